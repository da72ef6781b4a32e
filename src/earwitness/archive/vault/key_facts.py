"""What may be told of the recording keys of a key folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from earwitness.archive.vault.keys import Keyring
from earwitness.archive.vault.recording_keys import KmsKey, LocalKey


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One of them."""

    kind: str
    created_at: int
    """UTC µs: when its file was made."""
    summary: str
    configuration_id: str | None = None
    keypair_id: str | None = None
    kms_arn: str | None = None


def facts_of(keyring: Keyring, folder: Path) -> dict[int, KeyFacts]:
    """Every recording key, by number."""
    found = {}
    for version, key in keyring.recording_keys().items():
        path = folder / f"recording-{version}.key"
        configuration_id = None
        if not path.exists():
            path = path.with_suffix(".json")
        try:
            created_at = path.stat().st_mtime_ns // 1000
            if path.suffix == ".json":
                configuration_id = json.loads(path.read_bytes()).get("configuration")
        except OSError:
            continue
        found[version] = KeyFacts(
            kind=key.kind,
            created_at=created_at,
            summary=key.summary,
            configuration_id=configuration_id,
            keypair_id=key.keypair_id if isinstance(key, LocalKey) else None,
            kms_arn=key.arn if isinstance(key, KmsKey) else None,
        )
    return found

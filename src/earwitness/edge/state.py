"""What the edge keeps on its own disk: the last good configuration and where the phones are.

Files are replaced whole (write, fsync, rename) and private to their owner: they hold trunk passwords and digest hashes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from earwitness.domain.configuration import Snapshot

log = structlog.get_logger()


class EdgeState:
    """``DATA/edge``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load_snapshot(self) -> Snapshot | None:
        """The last good configuration, or None."""
        document = self._load("snapshot.json")
        if document is None:
            return None
        try:
            return Snapshot.from_document(document)
        except (TypeError, KeyError, ValueError) as error:
            log.error("the kept configuration cannot be read", error=str(error))
            return None

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keeps a configuration. :raises OSError: the disk says no."""
        write_private(self._folder / "snapshot.json", snapshot.to_document())

    def load_registrations(self) -> dict[str, Any]:
        """What ``Registrar.to_document`` gave, or nothing."""
        return self._load("registrations.json") or {}

    def save_registrations(self, document: Mapping[str, Any]) -> None:
        """Keeps the bindings. :raises OSError: the disk says no."""
        write_private(self._folder / "registrations.json", document)

    def load_agents(self) -> dict[str, Any]:
        """What ``Hall.to_document`` gave, or nothing."""
        return self._load("agents.json") or {}

    def save_agents(self, document: Mapping[str, Any]) -> None:
        """Keeps the agents' states. :raises OSError: the disk says no."""
        write_private(self._folder / "agents.json", document)

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            document = json.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.error("a state file cannot be read", file=name, error=str(error))
            return None
        return document if isinstance(document, dict) else None


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces a JSON file, mode 0600, so that readers see the old or the new one whole. :raises OSError: it cannot."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

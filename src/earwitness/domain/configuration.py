"""What the edge must know to run calls: an immutable snapshot of the configuration.

The store builds it, the edge keeps its last good copy on disk (so it starts without a database), and a call keeps
the snapshot that it began with until it ends. ``to_document``/``from_document`` are its JSON form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.recording.settings import TrunkRecording


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """How we answer a peer's digest challenge."""

    username: str
    password: str = field(repr=False)
    realm: str = ""
    """Empty: whatever realm the peer names."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A SIP trunk to a carrier or SBC."""

    id: str
    trunk_base_id: str
    name: str
    enabled: bool
    servers: tuple[str, ...] = ()
    """Where outbound calls go, ``host:port``, tried in order."""
    transport: str = "udp"
    """``udp`` or ``tcp``."""
    allow: tuple[str, ...] = ()
    """Addresses and networks (CIDR) whose requests belong to this trunk, beside those of ``servers``."""
    deny: tuple[str, ...] = ()
    credentials: DigestCredentials | None = None
    """For challenges of the peer, and for peers known by digest user instead of address."""
    patterns: tuple[str, ...] = ()
    """Regular expressions of the numbers that this trunk dials; empty: every number."""
    order: int = 0
    """Lower is tried first."""
    caller_address: str = ""
    """Number shown on outbound calls of users without one of their own."""
    max_dial_s: float = 120.0
    refuse_unrecordable: bool = False
    """True: a call that should be recorded but cannot be (full disk) is refused; False: it passes unrecorded."""
    recording: TrunkRecording = field(default_factory=TrunkRecording)


@dataclass(frozen=True, slots=True)
class Station:
    """A SIP phone's account."""

    id: str
    name: str
    username: str
    user_id: str | None = None
    extension: str = ""
    enabled: bool = True
    ha1_md5: str = field(default="", repr=False)
    ha1_sha256: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A person of the organisation, as far as calls go."""

    id: str
    name: str
    address: str = ""
    """Own external number (DID) shown when calling out, or empty."""


@dataclass(frozen=True, slots=True)
class CallRoute:
    """What a dialled number leads to."""

    id: str
    name: str
    dnis: tuple[str, ...]
    target_type: str
    """``user`` or ``number``; ``queue`` and ``flow`` with the contact centre."""
    target: str
    """The user's id, or the number."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of the above, as of ``version``."""

    version: int
    organization_id: str
    realm: str = "earwitness"
    trunks: tuple[Trunk, ...] = ()
    stations: tuple[Station, ...] = ()
    users: tuple[User, ...] = ()
    call_routes: tuple[CallRoute, ...] = ()
    ring_timeout_s: float = 30.0

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values; holds secrets, so whoever stores it keeps it private (0600)."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Snapshot:
        """The reverse of ``to_document``.

        :raises TypeError, KeyError, ValueError: not such a document.
        """
        values = dict(document)
        values["trunks"] = tuple(_trunk(item) for item in values.get("trunks", ()))
        values["stations"] = tuple(Station(**item) for item in values.get("stations", ()))
        values["users"] = tuple(User(**item) for item in values.get("users", ()))
        values["call_routes"] = tuple(
            CallRoute(**{**i, "dnis": tuple(i["dnis"])}) for i in values.get("call_routes", ())
        )
        return Snapshot(**values)


def _trunk(item: Mapping[str, Any]) -> Trunk:
    values = dict(item)
    for name in ("servers", "allow", "deny", "patterns"):
        values[name] = tuple(values.get(name, ()))
    if values.get("credentials") is not None:
        values["credentials"] = DigestCredentials(**values["credentials"])
    values["recording"] = TrunkRecording.from_document(values.get("recording", {}))
    return Trunk(**values)

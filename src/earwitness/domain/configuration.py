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

RING_TIMEOUT_S = 30.0


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
    recording: TrunkRecording | None = None
    """What is recorded of calls at it (A7), whatever their trunk records; None: nothing."""


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
    """``user``, ``number``, ``queue`` or ``flow``."""
    target: str
    """The id of the user, queue or flow, or the number."""


@dataclass(frozen=True, slots=True)
class WrapupCode:
    """What an agent may say a call was about."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Where calls wait for an agent."""

    id: str
    name: str
    members: tuple[str, ...] = ()
    """Users who have joined; each takes calls of it while on queue."""
    suppress_recording: bool = True
    """``Queue.suppressInQueueCallRecording``: the wait is not captured (B3, B4)."""
    alerting_s: float = 8.0
    """How long an agent's phone rings before the call is offered to the next."""
    acw: str = "OPTIONAL"
    """The contract's wrapupPrompt: ``MANDATORY``, ``OPTIONAL``, ``MANDATORY_TIMEOUT``, ``MANDATORY_FORCED_TIMEOUT``,
    ``AGENT_REQUESTED``.
    """
    acw_s: float = 300.0
    """After this long a wrap-up is closed whatever the prompt (W3: none is waited for without end)."""
    wrapup_codes: tuple[WrapupCode, ...] = ()
    hold_music: str = ""
    """Name of a prompt; empty: the built-in music."""
    in_queue_flow_id: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A published flow."""

    id: str
    name: str
    type: str
    """``inboundcall``, ``inqueuecall`` or ``outboundcall``."""
    version: str
    source: str = field(repr=False)
    """The YAML text, checked when it was published."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recorded prompt."""

    name: str
    files: Mapping[str, str]
    """Language (lower case, ``en-us``) -> path of a WAV file on this machine."""


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
    queues: tuple[Queue, ...] = ()
    flows: tuple[Flow, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    ring_timeout_s: float = RING_TIMEOUT_S
    record_code: str = "*1"
    """Pressed on a phone of ours in a call: starts and stops the user's recording. Empty: none."""
    stop_when_only_external: bool = True
    """A conference that only external parties are left of is not recorded on (D3)."""

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
        values["stations"] = tuple(_station(item) for item in values.get("stations", ()))
        values["users"] = tuple(User(**item) for item in values.get("users", ()))
        values["call_routes"] = tuple(
            CallRoute(**{**i, "dnis": tuple(i["dnis"])}) for i in values.get("call_routes", ())
        )
        values["queues"] = tuple(_queue(item) for item in values.get("queues", ()))
        values["flows"] = tuple(Flow(**item) for item in values.get("flows", ()))
        values["prompts"] = tuple(Prompt(**item) for item in values.get("prompts", ()))
        return Snapshot(**values)


def _queue(item: Mapping[str, Any]) -> Queue:
    codes = tuple(WrapupCode(**code) for code in item.get("wrapup_codes", ()))
    return Queue(**{**item, "members": tuple(item.get("members", ())), "wrapup_codes": codes})


def _station(item: Mapping[str, Any]) -> Station:
    recording = item.get("recording")
    return Station(**{**item, "recording": None if recording is None else TrunkRecording.from_document(recording)})


def _trunk(item: Mapping[str, Any]) -> Trunk:
    values = dict(item)
    for name in ("servers", "allow", "deny", "patterns"):
        values[name] = tuple(values.get(name, ()))
    if values.get("credentials") is not None:
        values["credentials"] = DigestCredentials(**values["credentials"])
    values["recording"] = TrunkRecording.from_document(values.get("recording", {}))
    return Trunk(**values)

"""What is to be rendered: the tapes of a conversation, as its events tell.

``plan_tapes`` folds events into one ``TapePlan`` for each tape: when it was open, which payload type meant which codec
at what time, where its files are, and which pauses were cut out and why. It reads no file.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from earwitness.domain.conversation.events import Event, parse_lines

Reasons = tuple[Mapping[str, Any], ...]

NO_PAUSE_ROWS = frozenset(
    {"trunk", "station", "party", "external", "consent", "user", "leg", "consult", "external_transfer"}
)
"""Rows whose no means that nothing was to be recorded, not that a recording paused."""


@dataclass(frozen=True, slots=True)
class Codec:
    """What a payload type means."""

    name: str
    """Upper case: ``PCMU``, ``PCMA``, ``G722``, ``OPUS``, …"""
    clock: int
    """RTP clock rate, Hz. G.722 has 8000 (RFC 3551 §4.5.2) although it samples at 16 kHz."""
    channels: int = 1


STATIC_CODECS: dict[int, Codec] = {
    0: Codec("PCMU", 8000),
    3: Codec("GSM", 8000),
    8: Codec("PCMA", 8000),
    9: Codec("G722", 8000),
    10: Codec("L16", 44100, 2),
    11: Codec("L16", 44100),
    13: Codec("CN", 8000),
    18: Codec("G729", 8000),
}
"""RFC 3551 §6: what payload types mean without negotiation."""


@dataclass(frozen=True, slots=True)
class MediaEpoch:
    """A (re)negotiation: what payload types mean from ``at_us`` on."""

    at_us: int
    codecs: Mapping[int, Codec]
    """Cumulative: what an earlier negotiation named is still understood."""

    def find(self, payload_type: int) -> Codec | None:
        """The codec of a payload type; None where nobody knows."""
        return self.codecs.get(payload_type) or STATIC_CODECS.get(payload_type)


@dataclass(frozen=True, slots=True)
class Opening:
    """A time in which the tape was open."""

    index: int
    from_us: int
    to_us: int | None
    """None while it is still open."""
    opened_because: Reasons = ()
    closed_because: Reasons = ()

    @property
    def length_us(self) -> int:
        """How long it was open; 0 while nobody knows."""
        return 0 if self.to_us is None else max(0, self.to_us - self.from_us)


@dataclass(frozen=True, slots=True)
class Pause:
    """A time cut out of the recording."""

    from_us: int
    to_us: int
    reasons: Reasons
    before_us: int
    """Length of what was recorded before it, µs."""


@dataclass(frozen=True, slots=True)
class MediaGap:
    """A hole that the media engine reported."""

    channel: int
    from_us: int
    to_us: int
    cause: str


@dataclass(frozen=True, slots=True)
class TapePlan:
    """One tape of a conversation and how to read it."""

    conversation_id: str
    tape_id: str
    leg_id: str
    kind: str
    """``trunk``, ``station``, ``user`` or ``consult``."""
    dual_channel: bool
    audio_format: str
    """As in the trunk's settings (A9), ``audio/opus`` and so on."""
    folder: Path
    """The spool folder of the conversation."""
    openings: tuple[Opening, ...]
    media: tuple[MediaEpoch, ...]
    pauses: tuple[Pause, ...] = ()
    gaps: tuple[MediaGap, ...] = ()
    level_control: bool = False
    """Levels are made even."""
    at_station: bool = False
    """The leg is a station's: its party is the internal side, so channels are the other way round (A8)."""

    def file(self, opening: int, channel: int) -> Path:
        """Where the packets of a channel of the recording are. Channel 0 = what the external party said, or whoever
        the station talked to; 1 = the internal side. Tapes have in file 0 what the leg's party said, in 1 what was
        sent to it.
        """
        return self.folder / f"{self.tape_id}.{opening}.{1 - channel if self.at_station else channel}.rtpdump"

    @property
    def length_us(self) -> int:
        """Sum of the openings: the length of the recording."""
        return sum(opening.length_us for opening in self.openings)

    @property
    def start_us(self) -> int:
        """When the recording starts, UTC µs."""
        return self.openings[0].from_us if self.openings else 0

    @property
    def end_us(self) -> int:
        """When the recording ends, UTC µs."""
        return (self.openings[-1].to_us or self.openings[-1].from_us) if self.openings else 0

    def epoch(self, at_us: int) -> MediaEpoch:
        """What payload types mean at a moment; before the first negotiation, what it is going to say."""
        if not self.media:
            return MediaEpoch(0, {})
        return self.media[max(0, bisect_right([epoch.at_us for epoch in self.media], at_us) - 1)]


@dataclass(slots=True)
class _Tape:
    tape_id: str
    leg_id: str
    kind: str
    dual_channel: bool = False
    audio_format: str = "audio/opus"
    level_control: bool = False
    openings: list[Opening] = field(default_factory=list)
    withheld: list[tuple[int, Reasons]] = field(default_factory=list)


def read_events(folder: Path) -> list[Event]:
    """The events of a spool folder. A last line that a crash cut short is dropped.

    :raises FileNotFoundError: no ``events.jsonl``.
    :raises EventError: a broken line elsewhere.
    """
    with (folder / "events.jsonl").open("rb") as lines:
        return list(parse_lines(lines))


def plan_folder(folder: Path) -> list[TapePlan]:
    """The tapes of a spool folder; see ``plan_tapes``."""
    return plan_tapes(read_events(folder), folder)


def plan_tapes(events: Iterable[Event], folder: Path) -> list[TapePlan]:
    """The tapes that were opened at least once, in the order in which they first were.

    An opening without a ``tape.closed`` ends with its leg, or with the conversation, whichever is told first.
    """
    conversation_id = folder.name
    tapes: dict[str, _Tape] = {}
    media: dict[str, list[MediaEpoch]] = {}
    gaps: dict[str, list[MediaGap]] = {}
    leg_ends: dict[str, int] = {}
    stations: set[str] = set()
    ended: int | None = None
    for event in events:
        data = event.data
        if event.type == "conversation.started":
            conversation_id = data["conversation_id"]
        elif event.type == "conversation.ended":
            ended = event.at
        elif event.type == "leg.offered" and data["kind"] == "station":
            stations.add(data["leg_id"])
        elif event.type == "leg.ended":
            leg_ends.setdefault(data["leg_id"], event.at)
        elif event.type == "gap":
            gap = MediaGap(int(data["channel"]), int(data["from_us"]), int(data["to_us"]), str(data["cause"]))
            gaps.setdefault(data["leg_id"], []).append(gap)
        elif event.type == "leg.media":
            epochs = media.setdefault(data["leg_id"], [])
            known = dict(epochs[-1].codecs) if epochs else {}
            epochs.append(MediaEpoch(event.at, known | _codecs(data)))
        elif event.type in ("tape.opened", "tape.withheld"):
            tape = tapes.setdefault(data["tape_id"], _Tape(data["tape_id"], data["leg_id"], data["kind"]))
            if event.type == "tape.withheld":
                tape.withheld.append((event.at, tuple(data["reasons"])))
                continue
            tape.dual_channel, tape.audio_format = bool(data["dual_channel"]), data["audio_format"]
            tape.level_control = bool(data.get("level_control", False))
            tape.openings.append(Opening(int(data["opening"]), event.at, None, tuple(data.get("reasons", ()))))
        elif event.type == "tape.closed" and data["tape_id"] in tapes:
            _close(tapes[data["tape_id"]], int(data["opening"]), event.at, tuple(data["reasons"]))
    plans = []
    for tape in (tape for tape in tapes.values() if tape.openings):
        end = min((at for at in (leg_ends.get(tape.leg_id), ended) if at is not None), default=None)
        at_station = tape.leg_id in stations and tape.kind != "user"
        openings = tuple(
            Opening(o.index, o.from_us, end if o.to_us is None else o.to_us, o.opened_because, o.closed_because)
            for o in tape.openings
        )
        plans.append(
            TapePlan(
                conversation_id=conversation_id,
                tape_id=tape.tape_id,
                leg_id=tape.leg_id,
                kind=tape.kind,
                dual_channel=tape.dual_channel,
                audio_format=tape.audio_format,
                folder=folder,
                openings=openings,
                media=tuple(media.get(tape.leg_id, ())),
                pauses=_pauses(openings, tape.withheld, end),
                gaps=tuple(
                    replace(gap, channel=1 - gap.channel) if at_station else gap for gap in gaps.get(tape.leg_id, ())
                ),
                level_control=tape.level_control,
                at_station=at_station,
            )
        )
    return plans


def _close(tape: _Tape, index: int, at: int, reasons: Reasons) -> None:
    for position, opening in enumerate(tape.openings):
        if opening.index == index and opening.to_us is None:
            tape.openings[position] = Opening(index, opening.from_us, at, opening.opened_because, reasons)


def _pauses(openings: tuple[Opening, ...], withheld: list[tuple[int, Reasons]], end: int | None) -> tuple[Pause, ...]:
    """The times between openings, before the first (B13) and after the last, as far as a rule asked for them.

    A time in which the reasons changed (a hold, then a secure pause within it) is as many pauses, one after the other.
    """
    first = openings[0].from_us
    early = next(((at, reasons) for at, reasons in withheld if at < first and _is_pause(reasons)), None)
    pauses = [] if early is None else [p for p in _pieces(*early, first, withheld, 0) if _is_pause(p.reasons)]
    recorded = 0
    for position, opening in enumerate(openings):
        recorded += opening.length_us
        if opening.to_us is None:
            continue
        if position + 1 < len(openings):
            following = openings[position + 1].from_us
            pauses += _pieces(opening.to_us, opening.closed_because, following, withheld, recorded)
        elif end is not None and _is_pause(opening.closed_because):
            pieces = _pieces(opening.to_us, opening.closed_because, end, withheld, recorded)
            pauses += itertools.takewhile(lambda piece: _is_pause(piece.reasons), pieces)
    return tuple(pauses)


def _pieces(start: int, reasons: Reasons, stop: int, withheld: list[tuple[int, Reasons]], recorded: int) -> list[Pause]:
    """A time in which nothing was recorded, cut where the reasons changed; nothing if it has no length."""
    words = [(start, reasons), *((at, said) for at, said in withheld if start <= at < stop)]
    ends = [at for at, _ in words[1:]] + [stop]
    return [Pause(at, to, said, recorded) for (at, said), to in zip(words, ends, strict=True) if to > at]


def _is_pause(reasons: Reasons) -> bool:
    rows = {str(reason.get("row")) for reason in reasons}
    return bool(rows) and not rows & NO_PAUSE_ROWS


def _codecs(data: Mapping[str, Any]) -> dict[int, Codec]:
    codecs = {
        int(payload_type): Codec(str(name).upper(), int(clock), int(channels or 1))
        for payload_type, (name, clock, channels) in data["payload_types"].items()
    }
    if data.get("telephone_event") is not None:
        codecs[int(data["telephone_event"])] = Codec("TELEPHONE-EVENT", 8000)
    return codecs

"""When is a tape open, and why: the one table that decides.

Theory of operation. ``RecordingRules`` folds the events of one conversation into the few facts that matter
(``Facts``), holds them against the rows of ``TRUNK_ROWS`` after each event, and says what must happen to tapes::

    event --> facts --> every row says yes or no --> open exactly when no row says no --> commands

A tape belongs to one leg. An external leg has a trunk tape (or a consult tape while it is a consult leg), a user's
leg has a user tape while its user asked for one. Reasons are a set: each no stands on its own and must go away by
itself, so a hold that ends inside a secure pause leaves the tape closed (B9). Nothing else opens or closes a tape.

A tape lives from its leg's answer to its leg's end. In between it is opened and closed any number of times; commands
carry the rows that spoke. No clock, no randomness, no I/O: the same events always give the same commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from earwitness.domain.conversation.events import Event
from earwitness.domain.recording.facts import Facts, Leg
from earwitness.domain.recording.settings import TrunkRecording


@dataclass(frozen=True, slots=True)
class Reason:
    """What one row said."""

    row: str
    """Name of the row in ``TRUNK_ROWS`` or ``USER_ROWS``, or ``leg`` for the end of the leg."""
    why: str
    """For people."""

    def to_document(self) -> dict[str, str]:
        """As it stands in events."""
        return {"row": self.row, "why": self.why}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    contract: str
    """Rules of the contract that it carries out."""
    no: Callable[[Facts, Leg, TrunkRecording], str | None]
    """Why not, or None for yes."""


def _trunk(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return None if settings.enabled else "recording is off on this trunk"


def _external(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return None if leg.external else "no external party on this leg"


def _consent(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    if facts.consent == "refused":
        return "the caller refused consent"
    if settings.consent_required and leg.direction == "inbound" and facts.consent != "granted":
        return "this trunk requires consent, and none was given"
    return None


def _flow(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return "inside a flow that suppresses recording" if facts.suppressed("ivr") else None


def _queue(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return "waiting in a queue that suppresses recording" if facts.suppressed("queue") else None


def _hold(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return None if settings.holds or not facts.held(leg) else "on hold, and this trunk does not record holds"


def _pause(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return "secure pause" if facts.secure_pauses else None


def _external_transfer(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    if settings.external_transfers or facts.internal_party():
        return None
    return "only external parties are left, and this trunk does not continue on external transfer"


def _consult(facts: Facts, leg: Leg, settings: TrunkRecording) -> str | None:
    return (
        None
        if settings.consult or not facts.consulting(leg)
        else "a consult leg, and this trunk does not record consults"
    )


TRUNK_ROWS: tuple[Row, ...] = (
    Row("trunk", "A1, A3", _trunk),
    Row("external", "A2", _external),
    Row("consent", "C1-C8", _consent),
    Row("flow", "B1, B2", _flow),
    Row("queue", "B3, B4", _queue),
    Row("hold", "B5, B6", _hold),
    Row("pause", "B7-B9, B14", _pause),
    Row("external_transfer", "D1-D4", _external_transfer),
    Row("consult", "A11", _consult),
)
"""Trunk and consult tapes are open exactly when no row objects."""

USER_ROWS: tuple[Row, ...] = (
    Row("user", "E4", lambda facts, leg, _: None if facts.user_asked(leg) else "the user did not ask for a recording"),
    Row("consent", "C10", lambda facts, leg, _: "the caller refused consent" if facts.consent == "refused" else None),
    Row("pause", "B14", _pause),
)
"""User tapes follow these alone: neither trunk nor policy matters (E3)."""


@dataclass(frozen=True, slots=True)
class OpenTape:
    """Capture this leg from now on."""

    leg_id: str
    kind: str
    """``trunk``, ``consult`` or ``user``."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class CloseTape:
    """Stop capturing; the same tape may open again."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class WithholdTape:
    """The leg was answered, or the reasons changed, and its tape stays closed: say why."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class DestroyTape:
    """Destroy what was captured of this leg so far: consent was refused after the fact."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]


TapeCommand = OpenTape | CloseTape | WithholdTape | DestroyTape

NO_TRUNK = TrunkRecording()


@dataclass(slots=True)
class RecordingRules:
    """The rules at work on one conversation."""

    trunks: Mapping[str, TrunkRecording]
    """Recording settings by trunk id, as they were when the conversation began (D4: each leg has its own trunk's)."""
    facts: Facts = field(default_factory=Facts)
    _said: dict[tuple[str, str], frozenset[Reason]] = field(default_factory=dict)
    """What was last said of each tape: the noes, empty for an open one."""
    _captured: set[tuple[str, str]] = field(default_factory=set)
    """Tapes that were open at least once."""

    def observe(self, event: Event) -> list[TapeCommand]:
        """Takes the next event; gives the commands that follow from it, in the order to carry them out."""
        ended = self.facts.legs.get(event.data.get("leg_id", "")) if event.type == "leg.ended" else None
        ended_kinds = self._kinds(ended) if ended is not None and ended.answered else ()
        self.facts.observe(event)
        commands: list[TapeCommand] = []
        if ended is not None:
            commands += self._close_ended(ended.leg_id, ended_kinds)
        for leg in self.facts.answered_legs():
            for kind in ("trunk", "consult", "user"):
                commands += self._judge(leg, kind, wanted=kind in self._kinds(leg))
        if event.type == "consent.refused":
            commands += self._destroy(event.data["leg_id"])
        return commands

    def _kinds(self, leg: Leg) -> tuple[str, ...]:
        """Which tapes a leg has at this moment."""
        if leg.kind == "trunk":
            return ("consult",) if self.facts.consulting(leg) else ("trunk",)
        return ("user",) if self.facts.user_asked(leg) or (leg.leg_id, "user") in self._said else ()

    def _noes(self, leg: Leg, kind: str) -> frozenset[Reason]:
        settings = self.trunks.get(leg.trunk_id or "", NO_TRUNK)
        rows = USER_ROWS if kind == "user" else TRUNK_ROWS
        spoken = ((row.name, row.no(self.facts, leg, settings)) for row in rows)
        return frozenset(Reason(name, why) for name, why in spoken if why is not None)

    def _judge(self, leg: Leg, kind: str, *, wanted: bool) -> list[TapeCommand]:
        key = (leg.leg_id, kind)
        before = self._said.get(key)
        if not wanted:
            if before is None:
                return []
            del self._said[key]
            other = (Reason("consult", "the leg became a consult leg, or ceased to be one"),)
            return [CloseTape(leg.leg_id, kind, other)] if not before else []
        noes = self._noes(leg, kind)
        if noes == before:
            return []
        self._said[key] = noes
        if not noes:
            self._captured.add(key)
            return [OpenTape(leg.leg_id, kind, self._yeses(kind))]
        if before is not None and not before:
            return [CloseTape(leg.leg_id, kind, _ordered(noes))]
        return [WithholdTape(leg.leg_id, kind, _ordered(noes))]

    def _yeses(self, kind: str) -> tuple[Reason, ...]:
        if kind == "user":
            return (Reason("user", "the user asked for it"),)
        return (Reason("trunk", "recording is on for this trunk, and nothing speaks against it"),)

    def _close_ended(self, leg_id: str, kinds: tuple[str, ...]) -> list[TapeCommand]:
        reasons = (Reason("leg", "the leg ended"),)
        closed: list[TapeCommand] = []
        for kind in kinds:
            noes = self._said.pop((leg_id, kind), None)
            if noes is not None and not noes:
                closed.append(CloseTape(leg_id, kind, reasons))
        return closed

    def _destroy(self, leg_id: str) -> list[TapeCommand]:
        reasons = (Reason("consent", "the caller refused consent"),)
        keys = sorted(key for key in self._captured if key[1] == "user" or key[0] == leg_id)
        self._captured.difference_update(keys)
        return [DestroyTape(leg, kind, reasons) for leg, kind in keys]

    def refuses_user_recording(self) -> Reason | None:
        """Why a user recording may not start on this call (C10), or None when it may."""
        return Reason("consent", "the caller refused consent") if self.facts.consent == "refused" else None


def _ordered(reasons: frozenset[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda reason: (reason.row, reason.why)))

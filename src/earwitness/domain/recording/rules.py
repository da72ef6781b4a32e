"""When is a tape open, and why: the one table that decides.

Theory of operation. ``RecordingRules`` folds the events of one conversation into the few facts that matter
(``Facts``), holds them against the rows of ``TRUNK_ROWS``, ``STATION_ROWS`` or ``USER_ROWS``, and says what must
happen to tapes::

    event --> facts --> every row says yes or no --> open exactly when no row says no --> commands

A tape belongs to one leg. An external leg has a trunk tape, the leg of a station that records a station tape; either
has a consult tape instead while it is a consult leg. A user's leg has a user tape from its user's asking for one to his
asking no more; asking again makes the next tape (E6), which ``take`` numbers. Reasons are a set: each no stands on its
own and must go away by itself, so a hold that ends inside a secure pause leaves the tape closed (B9). Nothing else
opens or closes a tape.

A tape lives from its leg's answer to its leg's end. In between it is opened and closed any number of times; commands
carry the rows that spoke. What was destroyed because consent was refused (C1) never opens again: a refusal stands.

Several events often tell of one moment (a flow ends, a queue begins). ``note`` takes each and gives only what cannot
wait: the closing of tapes whose leg or purpose is gone. ``settle`` judges what they mean together. ``observe`` is both.
No clock, no randomness, no I/O: the same events always give the same commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from earwitness.domain.conversation.events import Event
from earwitness.domain.recording.facts import Facts, Leg
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.domain.recording.station import STATION_ROWS, station_permissions
from earwitness.domain.recording.table import PAUSE, REFUSED, No, Reason, Row

_OFF = Reason("trunk", "recording is off on this trunk", "trunk_recording_enabled=false")
_INTERNAL = Reason("external", "no external party on this leg")
_UNASKED = Reason("consent", "this trunk requires consent, and none was given", "trunk_recording_consent_required=true")
_OTHER_UNASKED = Reason(
    "consent",
    "a caller on this call has given no consent, which the caller's trunk requires",
    "trunk_recording_consent_required=true",
)
_FLOW = Reason("flow", "inside a flow that suppresses recording", "suppressRecording=true")
_QUEUE = Reason("queue", "waiting in a queue that suppresses recording", "suppressInQueueCallRecording=true")
_HOLD = Reason("hold", "on hold, and this trunk does not record holds", "trunk_disallow_recording_during_hold=true")
_ONWARD = Reason(
    "external_transfer",
    "only external parties are left, and this trunk does not continue on external transfer",
    "trunk_recording_externalTransfersEnabled=false",
)
_CONFERENCE = Reason(
    "external_transfer",
    "only external parties are left of the conference, and the organization stops recording then",
    "stopRecordingWhenOnlyExternalParticipants=true",
)
_ALONE = Reason("external_transfer", "nobody else is on the call")
_CONSULT = Reason(
    "consult", "a consult leg, and this trunk does not record consults", "trunk_consult_recording_enabled=false"
)
_NOT_ASKED = Reason("user", "the user did not ask for a recording")


def _trunk(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if settings.enabled else _OFF


def _external(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if leg.external else _INTERNAL


def _consent(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    if facts.consent == "refused":
        return REFUSED
    if settings.consent_required and leg.direction == "inbound" and not facts.agreed(leg):
        return _UNASKED
    return _OTHER_UNASKED if facts.unasked else None


def _flow(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return _FLOW if facts.suppressing and facts.suppressed("ivr") else None


def _queue(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return _QUEUE if facts.suppressing and facts.suppressed("queue") else None


def _hold(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if settings.holds or not facts.held(leg) else _HOLD


def _pause(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return PAUSE if facts.secure_pause else None


def _external_transfer(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    """A transfer is the trunk's matter (D1, D2), a conference the organisation's (D3); neither looks at the other."""
    if facts.internal_party():
        return None
    if not facts.other_external_party(leg):
        return _ALONE
    if facts.conference:
        return _CONFERENCE if facts.stop_when_only_external else None
    return None if settings.external_transfers else _ONWARD


def _consult(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return _CONSULT if leg.participant_id in facts.consulting and not settings.consult else None


def _user(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if facts.user_asked(leg) else _NOT_ASKED


def _user_consent(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return _no_consent(facts, settings)


def _no_consent(facts: Facts, settings: TrunkRecording) -> Reason | None:
    """Whether users may record. A conference does not wait for consent (C7); a refusal stands there too (C10).

    :param settings: of the caller's trunk.
    """
    if facts.consent == "refused":
        return REFUSED
    if facts.conference:
        return None
    caller = facts.caller
    unset = settings.enabled and settings.consent_required and caller is not None and not facts.agreed(caller)
    return _UNASKED if unset or facts.unasked else None


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
    Row("user", "E4", _user),
    Row("consent", "C5, C7, C10", _user_consent),
    Row("pause", "B14", _pause),
)
"""User tapes follow these alone: whether the trunk records, and what policies say, does not matter (E3)."""

_TRUNK_NOES = tuple(row.no for row in TRUNK_ROWS)
_STATION_NOES = tuple(row.no for row in STATION_ROWS)
_USER_NOES = tuple(row.no for row in USER_ROWS)


@dataclass(frozen=True, slots=True)
class OpenTape:
    """Capture this leg from now on."""

    leg_id: str
    kind: str
    """``trunk``, ``station``, ``consult`` or ``user``."""
    reasons: tuple[Reason, ...]
    take: int = 0
    """Which of this leg's tapes of this kind, from 0. A take that was not there before is a tape of its own."""


@dataclass(frozen=True, slots=True)
class CloseTape:
    """Stop capturing; the same tape may open again."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]
    take: int = 0


@dataclass(frozen=True, slots=True)
class WithholdTape:
    """The leg was answered, or the reasons changed, and its tape stays closed: say why."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]
    take: int = 0


@dataclass(frozen=True, slots=True)
class DestroyTape:
    """Destroy what was captured of this leg so far: consent was refused after the fact. It never opens again."""

    leg_id: str
    kind: str
    reasons: tuple[Reason, ...]
    take: int = 0


TapeCommand = OpenTape | CloseTape | WithholdTape | DestroyTape

NO_TRUNK = TrunkRecording()

_LEG_ENDED = (Reason("leg", "the leg ended"),)
_OTHER_KIND = (Reason("consult", "the leg became a consult leg, or ceased to be one"),)
_USER_ASKED = (Reason("user", "the user asked for it"),)


@dataclass(slots=True)
class _Tape:
    """A tape of which something was said."""

    take: int
    noes: tuple[Reason, ...]
    """What was last said; empty: it is open."""


@dataclass(slots=True)
class RecordingRules:
    """The rules at work on one conversation."""

    trunks: Mapping[str, TrunkRecording]
    """Recording settings by trunk id, as they were when the conversation began (D4: each leg has its own trunk's)."""
    stop_when_only_external: bool = True
    """``stopRecordingWhenOnlyExternalParticipants`` (D3), as it was when the conversation began."""
    stations: Mapping[str, TrunkRecording] = field(default_factory=dict)
    """Recording settings by station id, as they were when the conversation began (A7); others do not record."""
    facts: Facts = field(init=False)
    _tapes: dict[tuple[str, str], _Tape] = field(default_factory=dict)
    """By leg and kind."""
    _takes: dict[str, int] = field(default_factory=dict)
    """Leg -> user tapes so far."""
    _captured: dict[tuple[str, str, int], None] = field(default_factory=dict)
    """Tapes that were open at least once and are not destroyed: leg, kind, take; in the order of their opening."""
    _asking: dict[str, TrunkRecording] = field(default_factory=dict)
    """Leg -> its station's settings, with the consent that the caller's trunk requires."""
    _unsettled: bool = False

    def __post_init__(self) -> None:
        self.facts = Facts(self.stop_when_only_external, self.stations)

    def observe(self, event: Event) -> list[TapeCommand]:
        """Takes the next event; gives the commands that follow from it, in the order to carry them out."""
        commands = self.note(event)
        return commands + self.settle() if self._unsettled else commands

    def note(self, event: Event) -> list[TapeCommand]:
        """Takes the next event; gives the closing of tapes whose leg has ended or whose user asks no more."""
        if self.facts.observe(event):
            self._unsettled = True
            if event.type == "leg.ended" or event.type == "participant.left" or event.type == "user_recording.off":
                return self._close_gone()
        return []

    def settle(self) -> list[TapeCommand]:
        """Judges every tape by what was noted; gives the commands, in the order to carry them out."""
        if not self._unsettled:
            return []
        self._unsettled = False
        commands: list[TapeCommand] = []
        facts = self.facts
        facts.unasked = any(self._unasked(leg) for leg in facts.answered.values())
        for leg in facts.answered.values():
            if leg.kind == "trunk":
                self._judge_side(leg, "trunk", _TRUNK_NOES, commands)
                continue
            if facts.station_records(leg):
                self._judge_side(leg, "station", _STATION_NOES, commands)
            if leg.leg_id in facts.recording_legs:
                settings = self._caller_settings()
                self._judge(leg, "user", tuple([r for no in _USER_NOES if (r := no(facts, leg, settings))]), commands)
        if facts.consent == "refused" and self._captured:
            commands += [DestroyTape(leg_id, kind, (REFUSED,), take) for leg_id, kind, take in self._captured]
            self._captured.clear()
        return commands

    def refuses_user_recording(self) -> Reason | None:
        """Why a user recording may not start on this call (C5, C10), or None when it may."""
        return _no_consent(self.facts, self._caller_settings())

    def _caller_settings(self) -> TrunkRecording:
        caller = self.facts.caller
        return NO_TRUNK if caller is None else self.trunks.get(caller.trunk_id or "", NO_TRUNK)

    def _unasked(self, leg: Leg) -> bool:
        if not leg.external or leg.direction != "inbound" or self.facts.agreed(leg):
            return False
        settings = self.trunks.get(leg.trunk_id or "", NO_TRUNK)
        return settings.enabled and settings.consent_required

    def _settings(self, leg: Leg) -> TrunkRecording:
        """Of the leg's trunk or station. Consent that the caller's trunk requires is required at stations too (C5)."""
        if leg.kind == "trunk":
            return self.trunks.get(leg.trunk_id or "", NO_TRUNK)
        settings = self.stations.get(leg.station_id or "", NO_TRUNK)
        if settings.consent_required:
            return settings
        caller = self._caller_settings()
        if not (caller.enabled and caller.consent_required):
            return settings
        asking = self._asking.get(leg.leg_id)
        if asking is None:
            asking = self._asking[leg.leg_id] = replace(settings, consent_required=True)
        return asking

    def _judge_side(self, leg: Leg, side: str, noes: tuple[No, ...], commands: list[TapeCommand]) -> None:
        """:param side: ``trunk`` or ``station``; a consult leg has a consult tape instead."""
        facts = self.facts
        kind, other = ("consult", side) if leg.participant_id in facts.consulting else (side, "consult")
        before = self._tapes.pop((leg.leg_id, other), None)
        if before is not None and not before.noes:
            commands.append(CloseTape(leg.leg_id, other, _OTHER_KIND))
        settings = self._settings(leg)
        self._judge(leg, kind, tuple([r for no in noes if (r := no(facts, leg, settings))]), commands)

    def _judge(self, leg: Leg, kind: str, noes: tuple[Reason, ...], commands: list[TapeCommand]) -> None:
        tape = self._tapes.get((leg.leg_id, kind))
        if tape is None:
            take = self._takes.get(leg.leg_id, 0) if kind == "user" else 0
            if kind == "user":
                self._takes[leg.leg_id] = take + 1
            tape = self._tapes[leg.leg_id, kind] = _Tape(take, noes)
        elif tape.noes == noes:
            return
        elif noes and not tape.noes:
            tape.noes = noes
            commands.append(CloseTape(leg.leg_id, kind, noes, tape.take))
            return
        tape.noes = noes
        if noes:
            commands.append(WithholdTape(leg.leg_id, kind, noes, tape.take))
        else:
            self._captured[leg.leg_id, kind, tape.take] = None
            commands.append(OpenTape(leg.leg_id, kind, self._yeses(leg, kind), tape.take))

    def _yeses(self, leg: Leg, kind: str) -> tuple[Reason, ...]:
        if kind == "user":
            return _USER_ASKED
        told = permissions if leg.kind == "trunk" else station_permissions
        return told(self.facts, leg, self._settings(leg))

    def _close_gone(self) -> list[TapeCommand]:
        """Tapes whose leg is gone, and user tapes that nobody asks for any more."""
        facts = self.facts
        closed: list[TapeCommand] = []
        for leg_id, kind in list(self._tapes):
            gone = leg_id not in facts.answered
            if gone or (kind == "user" and leg_id not in facts.recording_legs):
                tape = self._tapes.pop((leg_id, kind))
                if not tape.noes:
                    closed.append(CloseTape(leg_id, kind, _LEG_ENDED if gone else (_NOT_ASKED,), tape.take))
        return closed


_ON = Reason("trunk", "recording is on for this trunk, and nothing speaks against it", "trunk_recording_enabled=true")
_CONSENTED = Reason("consent", "the caller gave consent", "trunk_recording_consent_required=true")
_CONSULT_TOO = Reason(
    "consult", "a consult leg, and this trunk records consults", "trunk_consult_recording_enabled=true"
)
_HOLD_TOO = Reason("hold", "on hold, and this trunk records holds", "trunk_disallow_recording_during_hold=false")
_ONWARD_TOO = Reason(
    "external_transfer",
    "only external parties are left, and this trunk continues on external transfer",
    "trunk_recording_externalTransfersEnabled=true",
)
_CONFERENCE_TOO = Reason(
    "external_transfer",
    "only external parties are left of the conference, and the organization goes on recording",
    "stopRecordingWhenOnlyExternalParticipants=false",
)


def permissions(facts: Facts, leg: Leg, settings: TrunkRecording) -> tuple[Reason, ...]:
    """Why a trunk or consult tape that is open may be: the trunk, and every setting without which it would not be."""
    reasons = [_ON]
    if settings.consent_required and leg.direction == "inbound":
        reasons.append(_CONSENTED)
    if leg.participant_id in facts.consulting:
        reasons.append(_CONSULT_TOO)
    if facts.held(leg):
        reasons.append(_HOLD_TOO)
    if not facts.internal_party():
        reasons.append(_CONFERENCE_TOO if facts.conference else _ONWARD_TOO)
    return tuple(reasons)

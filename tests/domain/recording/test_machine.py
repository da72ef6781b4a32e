"""Random events, legal and illegal, past the recording rules: a state machine that keeps its own simple account."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from story import Story

from earwitness.domain.recording.facts import Leg
from earwitness.domain.recording.rules import (
    TRUNK_ROWS,
    USER_ROWS,
    CloseTape,
    DestroyTape,
    OpenTape,
    RecordingRules,
    TapeCommand,
    WithholdTape,
)
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.domain.recording.station import STATION_ROWS

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
"""Legs; each has one participant."""
STATIONS = NAMES.map(lambda name: f"s-{name}")
TRUNKS = st.sampled_from(["t1", "t2"])
FLAGS = st.booleans()
SAID = st.sampled_from([None, None, "granted", "unset"])
SETTINGS = st.builds(
    TrunkRecording, enabled=st.just(True) | FLAGS, holds=FLAGS, consult=FLAGS, external_transfers=FLAGS,
    consent_required=FLAGS,
)  # fmt: skip
PURPOSES = st.sampled_from(["external", "user", "agent", "ivr", "acd"])
KINDS = st.sampled_from(["dialing", "alerting", "interact", "hold", "ivr", "queue", "consult", "wrapup"])
CAUSES = st.sampled_from(["peer", "client", "transfer"])
TapeName = tuple[str, str, int]


@dataclass
class Tape:
    """What a recorder would know of a tape."""

    open: bool = False
    ever: bool = False
    destroyed: bool = False
    said: list[type[TapeCommand]] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """Any event at any time; after each step, the promises of the rules are held against their commands."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.tapes: dict[TapeName, Tape] = {}
        self.holding = False

    @initialize(first=SETTINGS, second=SETTINGS, stop=FLAGS, stations=st.dictionaries(STATIONS, SETTINGS))
    def begin(
        self, first: TrunkRecording, second: TrunkRecording, stop: bool, stations: dict[str, TrunkRecording]
    ) -> None:
        self.decides = RecordingRules({"t1": first, "t2": second}, stop, stations)
        self.story.begin()
        self.obey()

    def obey(self) -> None:
        while self.story.seen < len(self.story.events):
            event = self.story.events[self.story.seen]
            self.story.seen += 1
            for command in self.decides.note(event) if self.holding else self.decides.observe(event):
                self.carry_out(command)

    def carry_out(self, command: TapeCommand) -> None:
        assert command.reasons, "every change has a reason"
        assert all(reason.row and reason.why for reason in command.reasons)
        tape = self.tapes.setdefault((command.leg_id, command.kind, command.take), Tape())
        tape.said.append(type(command))
        match command:
            case OpenTape():
                assert not tape.open
                assert not tape.destroyed, "what is destroyed never opens again"
                tape.open = tape.ever = True
            case CloseTape():
                assert tape.open
                tape.open = False
            case WithholdTape():
                assert not tape.open
            case DestroyTape():
                assert tape.ever, "only what captured something can be destroyed"
                assert not tape.open
                assert not tape.destroyed
                tape.destroyed = True

    @rule(name=NAMES, purpose=PURPOSES)
    def join(self, name: str, purpose: str) -> None:
        self.story.tell("participant.joined", participant_id=f"p-{name}", purpose=purpose)
        self.obey()

    @rule(name=NAMES, external=FLAGS, inbound=FLAGS, trunk=TRUNKS, answered=FLAGS, said=SAID)
    def offer(self, name: str, external: bool, inbound: bool, trunk: str, answered: bool, said: str | None) -> None:
        if name in self.decides.facts.legs:
            return  # ids of legs are fresh
        direction = "inbound" if inbound else "outbound"
        if external:
            self.story.external(direction, name, trunk, said)
        else:
            self.story.phone(name, direction)
        if answered:
            self.story.answer(name)
        self.obey()

    @rule(name=NAMES)
    def answer(self, name: str) -> None:
        self.story.answer(name)
        self.obey()

    @rule(name=NAMES, cause=CAUSES, leave=FLAGS)
    def end(self, name: str, cause: str, leave: bool) -> None:
        self.story.tell("leg.ended", leg_id=name, cause=cause)
        if leave:
            self.story.tell("participant.left", participant_id=f"p-{name}", cause=cause)
        self.obey()

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        self.story.tell("participant.left", participant_id=f"p-{name}", cause="peer")
        self.obey()

    @rule(name=NAMES, kind=KINDS, suppress=FLAGS)
    def segment(self, name: str, kind: str, suppress: bool) -> None:
        self.story.segment(kind, f"p-{name}", suppress_recording=suppress)
        self.obey()

    @rule(name=NAMES, kind=KINDS)
    def segment_over(self, name: str, kind: str) -> None:
        self.story.segment_over(kind, f"p-{name}")
        self.obey()

    @rule(name=NAMES, granted=FLAGS)
    def consent(self, name: str, granted: bool) -> None:
        self.story.tell("consent.granted" if granted else "consent.refused", leg_id=name)
        self.obey()

    @rule(on=FLAGS, by=NAMES)
    def secure_pause(self, on: bool, by: str) -> None:
        self.story.tell("secure_pause.on" if on else "secure_pause.off", by=by)
        self.obey()

    @rule(name=NAMES, on=FLAGS)
    def user_recording(self, name: str, on: bool) -> None:
        event = "user_recording.on" if on else "user_recording.off"
        self.story.tell(event, participant_id=f"p-{name}", user_id="u", leg_id=name)
        self.obey()

    @rule(names=st.lists(NAMES, unique=True))
    def conference(self, names: list[str]) -> None:
        self.story.tell("conference.started", participants=[f"p-{name}" for name in names])
        self.obey()

    @rule(external=FLAGS)
    def transferred(self, external: bool) -> None:
        self.story.tell("transferred", kind="blind", target="+49", external=external)
        self.obey()

    @rule(name=NAMES, muted=FLAGS)
    def what_does_not_matter(self, name: str, muted: bool) -> None:
        self.story.tell("participant.muted", participant_id=f"p-{name}", muted=muted)
        self.story.tell("dtmf", leg_id=name, digit="1")
        self.story.tell("flow.failed", flow_id="f", error="x")
        before = {name: len(tape.said) for name, tape in self.tapes.items()}
        self.obey()
        assert before == {name: len(tape.said) for name, tape in self.tapes.items()}

    @rule()
    def hold_the_judgement(self) -> None:
        """From now on the events are of one moment."""
        self.holding = True

    @rule()
    def judge(self) -> None:
        self.holding = False
        for command in self.decides.settle():
            self.carry_out(command)

    def noes(self, leg: Leg, kind: str) -> list[str]:
        facts = self.decides.facts
        if kind == "user":
            caller = facts.caller
            trunk = self.decides.trunks[caller.trunk_id or ""] if caller is not None else TrunkRecording()
            return [row.name for row in USER_ROWS if row.no(facts, leg, trunk)]
        if leg.kind == "trunk":
            return [row.name for row in TRUNK_ROWS if row.no(facts, leg, self.decides.trunks[leg.trunk_id or ""])]
        station = self.decides.stations.get(leg.station_id or "", TrunkRecording())
        if facts.caller is not None:
            caller = self.decides.trunks[facts.caller.trunk_id or ""]
            required = station.consent_required or (caller.enabled and caller.consent_required)
            station = replace(station, consent_required=required)
        return [row.name for row in STATION_ROWS if row.no(facts, leg, station)]

    @invariant()
    def open_exactly_when_no_row_says_no(self) -> None:
        if not self.story.events or self.holding:
            return
        facts = self.decides.facts
        expected = set()
        for leg in facts.answered.values():
            side = "consult" if leg.participant_id in facts.consulting else leg.kind
            for kind in (side,) if leg.kind == "trunk" else (side, "user"):
                if not self.noes(leg, kind):
                    expected.add((leg.leg_id, kind))
        now_open = {(leg_id, kind) for (leg_id, kind, _), tape in self.tapes.items() if tape.open}
        assert now_open == expected

    @invariant()
    def a7_no_station_is_recorded_alone_or_with_a_colleague_whose_station_is_not(self) -> None:
        if not self.story.events or self.holding:
            return
        answered = self.decides.facts.answered
        of_stations = [
            leg for (name, kind, _), tape in self.tapes.items()
            if tape.open and kind != "user" and (leg := answered[name]).kind == "station"
        ]  # fmt: skip
        records = {name for name, settings in self.decides.stations.items() if settings.enabled}
        for leg in of_stations:
            assert leg.station_id in records
            assert len(answered) > 1
            if not any(other.external for other in answered.values()):
                assert len([other for other in answered.values() if other.station_id in records]) > 1

    @invariant()
    def one_take_at_a_time(self) -> None:
        for leg_id, kind in {name[:2] for name in self.tapes}:
            takes = sorted(take for leg, k, take in self.tapes if (leg, k) == (leg_id, kind))
            assert takes == list(range(len(takes))), "takes are numbered from 0"
            assert not any(self.tapes[leg_id, kind, take].open for take in takes[:-1]), "only the last can be open"

    @invariant()
    def nothing_is_open_under_a_refusal(self) -> None:
        if not self.story.events or self.holding or self.decides.facts.consent != "refused":
            return
        assert all(tape.destroyed for tape in self.tapes.values() if tape.ever)
        assert self.decides.refuses_user_recording() is not None

    @invariant()
    def c5_nobody_is_on_the_tape_of_another_without_a_yes_of_his_own(self) -> None:
        if not self.story.events or self.holding:
            return
        decides = self.decides
        for leg in decides.facts.answered.values():
            if leg.external and leg.direction == "inbound" and (leg.consent or decides.facts.consent) != "granted":
                trunk = decides.trunks[leg.trunk_id or ""]
                if trunk.enabled and trunk.consent_required:
                    assert not any(tape.open for (_, kind, _), tape in self.tapes.items() if kind == "trunk")

    @invariant()
    def reasons_nest(self) -> None:
        """A secure pause keeps everything closed, whatever else begins or ends inside it."""
        if self.story.events and not self.holding and self.decides.facts.secure_pause:
            assert not any(tape.open for tape in self.tapes.values())


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

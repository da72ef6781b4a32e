"""Station-side recording (A7) on the edge without sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from earwitness.domain.configuration import CallRoute, Queue
from earwitness.domain.recording.settings import Beep, TrunkRecording
from earwitness.edge.calls.commands import carry_out
from earwitness.media.engine import interface as media

OFF = TrunkRecording()
ON = TrunkRecording(enabled=True)
PCMU = TrunkRecording(enabled=True, audio_format="audio/PCMU", dual_channel=True, beep=Beep(enabled=True))


@pytest.fixture
def at_stations(make_office: Callable[..., Any]) -> Callable[..., Any]:
    """An office whose stations record as named: ``at_stations(anna=ON)``; the trunk does not, unless told so."""

    def make(trunk: TrunkRecording = OFF, **stations: TrunkRecording) -> Any:
        office = make_office()
        known = office.snapshot
        snapshot = replace(
            known,
            trunks=(replace(known.trunks[0], recording=trunk), *known.trunks[1:]),
            stations=tuple(replace(item, recording=stations.get(item.username)) for item in known.stations),
            queues=(Queue("q", "Support", ("u-anna", "u-bert"), suppress_recording=False),),
            call_routes=(*known.call_routes, CallRoute("r6", "bert", ("+4930106",), "user", "u-bert")),
        )
        office.snapshot = snapshot
        office.switchboard.use(type(office.switchboard.directory)(snapshot))
        return office

    return make


def captured(office: Any) -> dict[str, list[tuple[str, int]]]:
    """Kind of tape -> whose leg each is (user, or ``external``) and how often it was opened; withheld ones left out."""
    timeline = office.timeline()
    found: dict[str, list[tuple[str, int]]] = {}
    for tape in timeline.tapes:
        if tape.openings:
            owner = timeline.participant_of(tape.leg_id)
            found.setdefault(tape.kind, []).append((owner.user_id or "external", len(tape.openings)))
    return found


def internal(office: Any) -> tuple[Any, Any]:
    """Anna calls Bert, they talk, she hangs up."""
    anna, bert = office.phone("anna", 1), office.phone("bert", 3)
    anna.dial("203")
    bert.ring()
    bert.answer()
    office.run(5)
    return anna, bert


def test_a7_an_internal_call_needs_both_stations(at_stations: Callable[..., Any]) -> None:
    office = at_stations(anna=ON)
    anna, _ = internal(office)
    anna.hang_up()
    office.run(1)
    assert office.tapes() == []
    assert captured(office) == {}
    (why,) = {
        reason["why"] for event in office.story() if event.type == "tape.withheld" for reason in event.data["reasons"]
    }
    assert why == "a call between users, and not every station on it records"
    office.settled()


def test_a7_an_internal_call_between_stations_that_record_is_two_recordings(at_stations: Callable[..., Any]) -> None:
    office = at_stations(anna=ON, bert=PCMU)
    anna, _ = internal(office)
    anna.hang_up()
    office.run(1)
    assert {name: sorted(tapes) for name, tapes in captured(office).items()} == {
        "station": [("u-anna", 1), ("u-bert", 1)]
    }
    formats = {t.audio_format: t.dual_channel for t in office.timeline().tapes}
    assert formats == {"audio/opus": False, "audio/PCMU": True}, "each by the settings of its own station"
    office.settled()


def answered(office: Any) -> Any:
    """A carrier's call for Bert, answered."""
    bert = office.phone("bert", 3)
    office.carrier.dial("+4930106")
    bert.ring()
    bert.answer()
    office.run(5)
    return bert


def test_a7_a_call_from_outside_is_recorded_at_the_station_alone(at_stations: Callable[..., Any]) -> None:
    office = at_stations(bert=PCMU)
    bert = answered(office)
    (leg,) = [leg.id for leg in office.conversation.legs.values() if leg.station is not None]
    beeps = [command[1:] for command in office.engine.commands if command[0] == "beep"]
    assert [(who, beep is not None) for who, beep in beeps] == [(leg, True)], "the user hears the beep, nobody else"
    bert.hang_up()
    office.run(1)
    assert captured(office) == {"station": [("u-bert", 1)]}
    office.settled()


def test_a5_a7_trunk_and_station_record_apart(at_stations: Callable[..., Any]) -> None:
    office = at_stations(trunk=ON, bert=ON)
    answered(office).hang_up()
    office.run(1)
    assert captured(office) == {"trunk": [("external", 1)], "station": [("u-bert", 1)]}
    office.settled()


def test_a7_a_call_out_is_recorded_at_the_station(at_stations: Callable[..., Any]) -> None:
    office = at_stations(anna=replace(ON, consent_required=True))
    anna = office.phone("anna", 1)
    anna.dial("+4940555")
    office.carrier.ring()
    office.carrier.answer()
    office.run(5)
    anna.hang_up()
    office.run(1)
    assert captured(office) == {"station": [("u-anna", 1)]}, "the gate of consent is for calls from outside (C7)"
    office.settled()


def test_a7_c4_a_call_from_outside_waits_for_the_consent_that_a_station_requires(
    at_stations: Callable[..., Any],
) -> None:
    office = at_stations(bert=replace(ON, consent_required=True))
    answered(office).hang_up()
    office.run(1)
    assert captured(office) == {}
    office.settled()


def test_a7_a_caller_who_gives_up_in_the_queue_leaves_nothing(at_stations: Callable[..., Any]) -> None:
    office = at_stations(anna=ON)
    office.hall.set_agent("u-anna", True, None)
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930103")
    phone.ring()
    office.run(3)
    office.carrier.hang_up()
    office.run(1)
    assert captured(office) == {}
    assert office.tapes() == []
    office.settled()


def test_a7_an_agent_is_recorded_from_his_answer_until_he_leaves(at_stations: Callable[..., Any]) -> None:
    office = at_stations(anna=ON)
    office.hall.set_agent("u-anna", True, None)
    phone, bert = office.phone("anna", 1), office.phone("bert", 3)
    office.carrier.dial("+4930103")
    office.run(6)
    phone.answer()
    office.run(5)
    agent = next(p.participant_id for p in office.conversation.cast.people.values() if p.purpose == "agent")
    carry_out(office.conversation, {"do": "transfer", "participant": agent, "to": {"user": "u-bert"}, "by": "u-anna"})
    office.run(1)
    bert.answer()
    office.run(5)
    bert.hang_up()
    office.run(1)
    assert captured(office) == {"station": [("u-anna", 1)]}
    timeline = office.timeline()
    (opening,) = next(tape.openings for tape in timeline.tapes if tape.openings)
    leg = next(leg for p in timeline.participants for leg in p.legs if leg.user_id == "u-anna")
    assert opening.start == leg.answered
    assert opening.end == leg.ended
    office.settled()


@pytest.mark.parametrize("holds", [False, True])
def test_a7_b5_holds_at_the_station(at_stations: Callable[..., Any], holds: bool) -> None:
    office = at_stations(bert=replace(ON, holds=holds))
    bert = answered(office)
    bert.reinvite("sendonly")
    office.run(3)
    bert.reinvite("sendrecv")
    office.run(3)
    bert.hang_up()
    office.run(1)
    assert captured(office) == {"station": [("u-bert", 1 if holds else 2)]}
    office.settled()


def test_a7_b14_a_secure_pause_closes_the_station_tape(at_stations: Callable[..., Any]) -> None:
    office = at_stations(trunk=ON, bert=ON)
    bert = answered(office)
    carry_out(office.conversation, {"do": "secure_pause", "on": True, "by": "u-anna"})
    assert office.engine.tapes == {}
    carry_out(office.conversation, {"do": "secure_pause", "on": False, "by": "u-anna"})
    assert len(office.engine.tapes) == 2
    bert.hang_up()
    office.run(1)
    assert captured(office) == {"trunk": [("external", 2)], "station": [("u-bert", 2)]}
    office.settled()


def test_a7_digits_are_still_told_when_a_recorded_station_has_left(at_stations: Callable[..., Any]) -> None:
    office = at_stations(trunk=ON, anna=ON)
    office.hall.set_agent("u-anna", True, None)
    phone, bert = office.phone("anna", 1), office.phone("bert", 3)
    office.carrier.dial("+4930103")
    office.run(1)
    phone.answer()
    agent = next(p.participant_id for p in office.conversation.cast.people.values() if p.purpose == "agent")
    carry_out(office.conversation, {"do": "transfer", "participant": agent, "to": {"user": "u-bert"}, "by": "u-anna"})
    office.run(1)
    bert.answer()
    office.run(2)
    leg = office.conversation.caller
    office.switchboard.on_media_event(media.Digit(leg.id, "7", 100, office.engine.clock.now_us()))
    bert.hang_up()
    office.run(1)
    assert [event.data.get("digit") for event in office.story() if event.type == "dtmf"] == ["7"]
    office.settled()


def test_a7_e3_a_user_recording_does_not_follow_the_stations_settings(at_stations: Callable[..., Any]) -> None:
    office = at_stations(bert=PCMU)
    bert = answered(office)
    user = next(p.participant_id for p in office.conversation.cast.people.values() if p.user_id == "u-bert")
    carry_out(office.conversation, {"do": "record", "participant": user, "on": True, "user": "u-bert"})
    office.run(2)
    bert.hang_up()
    office.run(1)
    assert captured(office) == {"station": [("u-bert", 1)], "user": [("u-bert", 1)]}
    formats = {t.kind: t.audio_format for t in office.timeline().tapes if t.openings}
    assert formats == {"station": "audio/PCMU", "user": "audio/opus"}
    office.settled()

"""Flows, queues, transfers, consultations, conferences and user recordings, on the edge without sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from earwitness.domain.configuration import CallRoute, Flow, Queue
from earwitness.domain.recording.settings import Beep, TrunkRecording
from earwitness.edge.calls.commands import CommandError, carry_out
from earwitness.media.engine import interface as media

FLOW = """
inboundCall:
  name: Parcels
  startUpRef: ./menus/menu[main]
  defaultLanguage: en-us
  supportedLanguages: {en-us: {defaultLanguageSkill: {noValue: true}}}
  initialGreeting: {tts: Welcome}
  settingsSpeechRec: {suppressRecording: %s}
  menus:
    - menu:
        name: Main
        refId: main
        audio: {tts: "Press a key"}
        settingsMenu: {menuSelectionTimeout: {lit: {seconds: 3}}, repeatCount: {lit: 1}}
        choices:
          - menuTransferToAcd: {name: Agents, dtmf: digit_1, targetQueue: {lit: {name: Support}}}
          - menuTransferToUser: {name: Bert, dtmf: digit_2, targetUser: {lit: {name: Bert}}}
          - menuTransferToNumber: {name: Out, dtmf: digit_3, targetNumber: {lit: "+49401234"}}
          - menuTask:
              name: "Yes"
              dtmf: digit_4
              task:
                actions:
                  - enableParticipantRecord: {name: agreed}
                  - transferToAcd: {name: Agents, targetQueue: {lit: {name: Support}}}
          - menuTask:
              name: "No"
              dtmf: digit_5
              task:
                actions:
                  - disableParticipantRecord: {name: refused}
                  - transferToAcd: {name: Agents, targetQueue: {lit: {name: Support}}}
          - menuDisconnect: {name: Bye, dtmf: digit_9}
"""

RECORDING = TrunkRecording(enabled=True, dual_channel=True)


@pytest.fixture
def centre(make_office: Callable[..., Any]) -> Callable[..., Any]:
    """An office with a queue of Anna and Bert, and a flow that leads to it."""

    def make(
        *, suppress: bool = False, recording: TrunkRecording = RECORDING, queue: dict[str, Any] | None = None
    ) -> Any:
        office = make_office()
        known = office.snapshot
        support = Queue(
            "q", "Support", ("u-anna", "u-bert"), alerting_s=8, **{"suppress_recording": True, **(queue or {})}
        )
        flow = Flow("f", "Parcels", "inboundcall", "1", FLOW % str(suppress).lower())
        routes = (
            *known.call_routes,
            CallRoute("r5", "flow", ("+4930105",), "flow", "f"),
        )
        trunks = (replace(known.trunks[0], recording=recording), *known.trunks[1:])
        snapshot = replace(known, queues=(support,), flows=(flow,), call_routes=routes, trunks=trunks)
        office.snapshot = snapshot
        office.switchboard.use(type(office.switchboard.directory)(snapshot))
        office.switchboard.flows.use(snapshot.flows)
        return office

    return make


def command(office: Any, what: str, **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = carry_out(office.conversation, {"do": what, **arguments})
    office.run(0.3)
    return answer


def press(office: Any, digit: str, leg: Any = None) -> None:
    leg = leg or office.conversation.caller
    office.switchboard.on_media_event(media.Digit(leg.id, digit, 100, office.engine.clock.now_us()))
    office.run(0.2)


def played(office: Any) -> None:
    """What is being played comes to its end."""
    for leg_id, (play_id, _, loop) in list(office.engine.plays.items()):
        if not loop:
            del office.engine.plays[leg_id]
            office.switchboard.on_media_event(media.PlayEnded(leg_id, play_id, office.engine.clock.now_us()))
    office.run(0.1)


def participant(office: Any, purpose: str, index: int = 0) -> str:
    found = [p for p in office.conversation.cast.people.values() if p.purpose == purpose]
    return str(found[index].participant_id)


def captured(office: Any, kind: str = "trunk", index: int = -1) -> list[tuple[float, float]]:
    """Stretches that tapes of this kind captured, seconds from the start of the call."""
    timeline = office.timeline(index)
    return [
        (round((o.start - timeline.start) / 1e6, 1), round(((o.end or 0) - timeline.start) / 1e6, 1))
        for tape in timeline.tapes
        if tape.kind == kind
        for o in tape.openings
    ]


def events(office: Any, kind: str, index: int = -1) -> list[dict[str, Any]]:
    return [dict(event.data) for event in office.story(index) if event.type == kind]


def talking(office: Any) -> list[set[str]]:
    """Who is connected or mixed with whom, by participant purpose or user."""
    people = {leg.id: leg for leg in office.conversation.legs.values()}
    cast = office.conversation.cast.people
    groups = [*office.engine.links, *(mix for mix in office.engine.mixes.values() if mix)]
    return [{cast[people[leg].participant_id].user_id or "external" for leg in group} for group in groups]


def queued(office: Any) -> Any:
    """A caller in the queue, Anna on queue with her phone ringing."""
    office.hall.set_agent("u-anna", True, None)
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930103")
    return phone


def test_a_caller_waits_in_the_queue_and_an_agent_answers(centre: Any) -> None:
    office = centre()
    office.carrier.dial("+4930103")
    assert office.carrier.statuses[-1] == 200
    (play,) = office.engine.plays.values()
    assert play[2], "music goes round"
    office.run(5)
    office.hall.set_agent("u-anna", True, None)
    phone = office.phone("anna", 1)
    office.run(0.2)
    assert "invite" in phone.told
    phone.ring()
    phone.answer()
    assert talking(office) == [{"external", "u-anna"}]
    assert not office.engine.plays
    assert office.hall.desk.agent("u-anna").status == "INTERACTING"
    office.run(10)
    phone.hang_up()
    office.run(1)
    timeline = office.timeline()
    assert [p.purpose for p in timeline.participants] == ["external", "acd", "agent"]
    assert captured(office) == [pytest.approx((6.1, 16.2), abs=0.7)], "the wait is suppressed (B3)"
    assert events(office, "acw.started")[0]["queue_id"] == "q"
    assert office.hall.desk.agent("u-anna").status == "IDLE", "an optional wrap-up keeps nobody from the next call"
    office.settled()


def test_b3_a_queue_that_does_not_suppress_is_captured(centre: Any) -> None:
    office = centre(queue={"suppress_recording": False})
    office.carrier.dial("+4930103")
    office.run(5)
    office.carrier.hang_up()
    office.run(1)
    assert captured(office) == [pytest.approx((0.0, 5.2), abs=0.3)]
    office.settled()


def test_an_agent_who_does_not_answer_is_passed_over(centre: Any) -> None:
    office = centre()
    anna, bert = office.phone("anna", 1), office.phone("bert", 3)
    office.hall.set_agent("u-anna", True, None)
    office.run(1)
    office.hall.set_agent("u-bert", True, None)
    office.carrier.dial("+4930103")
    assert "invite" in anna.told
    assert "invite" not in bert.told
    anna.ring()
    office.run(9)
    assert "cancelled" in anna.told
    assert office.hall.desk.agent("u-anna").status == "NOT_RESPONDING"
    assert "invite" in bert.told
    bert.answer()
    assert talking(office) == [{"external", "u-bert"}]
    assert events(office, "agent.not_responding")[0]["cause"] == "timeout"
    bert.hang_up()
    office.settled()


def test_a_caller_who_gives_up_in_the_queue_leaves_nothing(centre: Any) -> None:
    office = centre()
    phone = queued(office)
    phone.ring()
    office.carrier.hang_up()
    office.run(1)
    assert "cancelled" in phone.told
    assert office.hall.desk.agent("u-anna").status == "IDLE"
    assert office.hall.desk.queues(0)[0].waiting == 0
    (acd,) = [event["participant_id"] for event in events(office, "participant.joined") if event["purpose"] == "acd"]
    causes = {event["participant_id"]: event["cause"] for event in events(office, "participant.left")}
    assert causes[acd] == "peer", "nobody has taken the call, it was abandoned"
    office.settled()


def test_a_flow_leads_to_a_queue(centre: Any) -> None:
    office = centre(suppress=True)
    office.hall.set_agent("u-anna", True, None)
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930105")
    office.run(0.1)
    assert "Welcome" in repr(office.voice.said[0])
    played(office)
    played(office)
    press(office, "1")
    assert "invite" in phone.told
    phone.answer()
    office.run(5)
    phone.hang_up()
    office.run(1)
    purposes = [p.purpose for p in office.timeline().participants]
    assert purposes == ["external", "ivr", "acd", "agent"]
    assert len(captured(office)) == 1
    assert captured(office)[0][0] > 0.5, "nothing of flow and queue (B1, B3, B13)"
    office.settled()
    assert [data["language"] for data in events(office, "conversation.language")] == ["en-us"]


@pytest.mark.parametrize(("digit", "purpose"), [("2", "user"), ("3", "external")])
def test_a_flow_leads_to_a_user_or_a_number(centre: Any, digit: str, purpose: str) -> None:
    office = centre()
    target = office.phone("bert", 3) if digit == "2" else office.carrier_2
    if digit == "3":
        office.carrier.reject_with = 503
    office.carrier.dial("+4930105")
    played(office)
    press(office, digit)
    office.run(1)
    assert "invite" in target.told
    target.answer()
    assert len(talking(office)) == 1
    office.run(2)
    target.hang_up()
    office.run(1)
    assert [p.purpose for p in office.timeline().participants] == ["external", "ivr", purpose]
    assert office.timeline().participants[1].end is not None
    office.settled()


def test_a_flow_goes_on_when_the_user_is_busy(centre: Any) -> None:
    office = centre()
    bert = office.phone("bert", 3)
    bert.reject_with = 486
    office.carrier.dial("+4930105")
    played(office)
    press(office, "2")
    office.run(1)
    assert events(office, "transfer.failed")[0]["sip_status"] == 486
    assert office.conversation.state.value == "up"
    played(office)
    press(office, "9")
    office.run(1)
    assert "bye" in office.carrier.told
    office.settled()


def test_a_silent_caller_is_hung_up_by_the_flow(centre: Any) -> None:
    office = centre()
    office.carrier.dial("+4930105")
    for _ in range(10):
        played(office)
        office.run(3)
    assert "bye" in office.carrier.told
    office.settled()


def test_prompts_that_cannot_be_spoken_do_not_lose_the_call(centre: Any) -> None:
    office = centre()
    office.voice.broken = True
    office.carrier.dial("+4930105")
    office.run(1)
    press(office, "1")
    assert office.hall.desk.queues(office.engine.clock.now_us())[0].waiting == 1
    office.carrier.hang_up()
    office.settled()


def test_c1_refusal_destroys_what_was_captured(centre: Any) -> None:
    office = centre()
    phone = office.phone("anna", 1)
    office.hall.set_agent("u-anna", True, None)
    office.carrier.dial("+4930105")
    played(office)
    press(office, "5")
    phone.answer()
    office.run(3)
    with pytest.raises(CommandError) as refused:
        command(office, "record", participant=participant(office, "agent"), on=True, user="u-anna")
    assert refused.value.status == 409
    assert refused.value.code == "consent.refused"
    phone.hang_up()
    office.run(1)
    assert events(office, "consent.refused")[0]["answer"] == "5"
    assert len(events(office, "tape.destroyed")) == 1
    assert len(office.timeline().tapes) == 1
    assert len(events(office, "user_recording.refused")) == 1
    office.settled()


def test_c4_nothing_is_captured_before_the_yes(centre: Any) -> None:
    office = centre(recording=replace(RECORDING, consent_required=True), queue={"suppress_recording": False})
    office.carrier.dial("+4930105")
    office.run(4)
    played(office)
    office.run(0.5)
    assert office.tapes() == []
    press(office, "4")
    office.run(3)
    office.carrier.hang_up()
    office.run(1)
    assert captured(office)[0][0] > 4.0
    office.settled()


def up(office: Any) -> Any:
    phone = queued(office)
    phone.answer()
    return phone


def test_hold_by_the_api_plays_music_and_pauses_the_tape(centre: Any) -> None:
    office = centre()
    phone = up(office)
    agent = participant(office, "agent")
    office.run(2)
    command(office, "hold", participant=agent, held=True)
    assert talking(office) == []
    assert list(office.engine.plays) == [office.conversation.caller.id]
    office.run(3)
    command(office, "hold", participant=agent, held=False)
    assert talking(office) == [{"external", "u-anna"}]
    assert not office.engine.plays
    office.run(2)
    phone.hang_up()
    office.run(1)
    assert len(captured(office)) == 2, "hold is not captured (B5)"
    assert "hold" in [s.kind for s in office.timeline().participants[2].segments]
    office.settled()


def test_blind_transfer_by_the_api_to_a_colleague(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    agent = participant(office, "agent")
    command(office, "transfer", participant=agent, to={"user": "u-bert"}, by="u-anna")
    assert "invite" in bert.told
    assert "bye" not in anna.told
    bert.ring()
    assert office.engine.plays[office.conversation.caller.id][2], "ringing"
    bert.answer()
    assert "bye" in anna.told
    assert talking(office) == [{"external", "u-bert"}]
    office.run(3)
    office.carrier.hang_up()
    office.run(1)
    timeline = office.timeline()
    assert [p.cause for p in timeline.participants if p.user_id == "u-anna"] == ["transfer"]
    assert events(office, "transferred")[0]["target"] == "u-bert"
    assert len(events(office, "acw.started")) == 1
    assert len(timeline.tapes) == 1, "one recording of the external leg, whoever is on it (A5)"
    office.settled()


def test_a_transfer_that_fails_gives_the_call_back(centre: Any) -> None:
    office = centre()
    up(office)
    bert = office.phone("bert", 3)
    bert.reject_with = 486
    command(office, "transfer", participant=participant(office, "agent"), to={"user": "u-bert"}, by="u-anna")
    office.run(0.5)
    assert talking(office) == [{"external", "u-anna"}]
    assert events(office, "transfer.failed")[0]["sip_status"] == 486
    office.carrier.hang_up()
    office.settled()


def test_a_transfer_to_nowhere_is_a_conflict(centre: Any) -> None:
    office = centre()
    up(office)
    for goal in ({"user": "u-nobody"}, {"address": "nobody"}, {"queue": "q-none"}, {"flow": "f-none"}):
        with pytest.raises(CommandError) as error:
            command(office, "transfer", participant=participant(office, "agent"), to=goal)
        assert error.value.status == 409
    assert talking(office) == [{"external", "u-anna"}]
    office.carrier.hang_up()
    office.settled()


def test_two_transfers_at_once(centre: Any) -> None:
    office = centre()
    up(office)
    office.phone("bert", 3)
    agent = participant(office, "agent")
    command(office, "transfer", participant=agent, to={"user": "u-bert"})
    with pytest.raises(CommandError) as error:
        command(office, "transfer", participant=agent, to={"address": "+49401234"})
    assert error.value.status == 409
    office.carrier.hang_up()
    office.settled()


def test_the_leaver_hangs_up_while_the_other_rings(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    command(office, "transfer", participant=participant(office, "agent"), to={"user": "u-bert"})
    anna.hang_up()
    assert office.conversation.state.value == "up"
    bert.answer()
    assert talking(office) == [{"external", "u-bert"}]
    bert.hang_up()
    office.settled()


def test_the_leaver_has_gone_and_nobody_answers(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    command(office, "transfer", participant=participant(office, "agent"), to={"user": "u-bert"})
    anna.hang_up()
    bert.session.reject(486)
    office.run(0.5)
    assert "bye" in office.carrier.told
    office.settled()


def test_transfer_into_a_queue_and_chained(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    office.run(2)
    command(office, "transfer", participant=participant(office, "agent"), to={"queue": "q"}, by="u-anna")
    assert "bye" in anna.told
    office.run(3)
    office.hall.set_agent("u-bert", True, None)
    office.hall.set_agent("u-anna", False, None)
    office.run(0.3)
    if bert.session is None:
        office.run(10)
    bert.answer()
    assert {"external", "u-bert"} in talking(office)
    office.run(2)
    command(office, "transfer", participant=participant(office, "agent"), to={"address": "+49401234"}, by="u-bert")
    office.carrier.reject_with = 503
    office.run(7)
    bert.hang_up()
    office.carrier.hang_up()
    office.settled()


def test_d1_external_transfer_ends_the_recording(centre: Any) -> None:
    office = centre()
    up(office)
    office.run(2)
    command(office, "transfer", participant=participant(office, "agent"), to={"address": "+49401234"}, by="u-anna")
    caller, target = office.conversation.caller.session, office.carrier.session
    assert caller.call_id != target.call_id
    office.carrier.answer()
    office.run(3)
    assert talking(office) == [{"external"}] or len(office.engine.links) == 1
    office.carrier.hang_up()
    office.run(1)
    spans = captured(office)
    assert len(spans) == 1
    assert spans[0][1] - spans[0][0] < 3.5
    office.settled()


def test_consult_complete(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    agent = participant(office, "agent")
    target = command(office, "consult", participant=agent, to={"user": "u-bert"}, by="u-anna")["participant"]
    assert talking(office) == []
    bert.answer()
    assert talking(office) == [{"u-anna", "u-bert"}]
    assert office.engine.plays[office.conversation.caller.id][2], "the customer hears music"
    command(office, "consult_speak", participant=agent, who="BOTH")
    assert talking(office) == [{"external", "u-anna", "u-bert"}]
    command(office, "consult_speak", participant=agent, who="OBJECT")
    assert {"external", "u-anna"} in talking(office)
    command(office, "consult_speak", participant=agent, who="DESTINATION")
    assert talking(office) == [{"u-anna", "u-bert"}]
    command(office, "consult_complete", participant=agent)
    assert "bye" in anna.told
    assert talking(office) == [{"external", "u-bert"}]
    kinds = [s.kind for p in office.timeline().participants if p.participant_id == target for s in p.segments]
    assert kinds[-1] == "interact"
    assert "consult" in kinds
    bert.hang_up()
    office.settled()


@pytest.mark.parametrize("who", ["agent cancels", "target leaves", "target busy", "customer leaves", "agent leaves"])
def test_consult_ends_otherwise(centre: Any, who: str) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    agent = participant(office, "agent")
    if who == "target busy":
        bert.reject_with = 486
    command(office, "consult", participant=agent, to={"user": "u-bert"})
    if who != "target busy":
        bert.answer()
    match who:
        case "agent cancels":
            command(office, "consult_cancel", participant=agent)
        case "target leaves":
            bert.hang_up()
        case "customer leaves":
            office.carrier.hang_up()
        case "agent leaves":
            anna.hang_up()
    office.run(0.3)
    expected = {"customer leaves": {"u-anna", "u-bert"}, "agent leaves": {"external", "u-bert"}}
    assert talking(office) == [expected.get(who, {"external", "u-anna"})]
    command(office, "disconnect")
    office.settled()


def test_conference(centre: Any) -> None:
    office = centre()
    anna = up(office)
    bert = office.phone("bert", 3)
    command(office, "add", to={"user": "u-bert"}, by="u-anna")
    assert talking(office) == [{"external", "u-anna"}], "they talk on while he is called"
    bert.answer()
    assert talking(office) == [{"external", "u-anna", "u-bert"}]
    assert len(events(office, "conference.started")[0]["participants"]) == 3
    command(office, "mute", participant=participant(office, "agent"), muted=True)
    assert office.engine.commands[-1][0] == "mute"
    anna.hang_up()
    assert len(talking(office)) == 1
    bert.hang_up()
    office.settled()


def test_e4_user_recordings_by_code_and_by_command(centre: Any) -> None:
    office = centre()
    phone = up(office)
    agent = participant(office, "agent")
    leg = office.conversation.leg_of(agent)
    assert ("set_codes", leg.id, ("*1",)) in office.engine.commands
    command(office, "record", participant=agent, on=True, user="u-anna")
    command(office, "record", participant=agent, on=True, user="u-anna")
    office.run(2)
    office.switchboard.on_media_event(media.Code(leg.id, "*1", office.engine.clock.now_us()))
    office.run(1)
    office.switchboard.on_media_event(media.Code(leg.id, "*1", office.engine.clock.now_us()))
    office.run(1)
    phone.hang_up()
    office.run(1)
    tapes = [tape for tape in office.timeline().tapes if tape.kind == "user"]
    assert len(tapes) == 2, "each start and stop is a recording of its own (E6)"
    office.settled()


def test_secure_pause_and_attributes_and_digits(centre: Any) -> None:
    office = centre()
    phone = up(office)
    agent = participant(office, "agent")
    command(office, "secure_pause", on=True, by="u-anna")
    office.run(1)
    command(office, "secure_pause", on=False, by="u-anna")
    command(office, "attributes", participant=agent, attributes={"order": "17"}, by="u-anna")
    command(office, "digits", participant=agent, digits="12#")
    assert office.engine.commands[-1] == ("send_digits", office.conversation.caller.id, "12#")
    command(office, "wrapup", participant=agent, code="w1", name="Sold", by="u-anna")
    phone.hang_up()
    office.run(1)
    assert len(captured(office)) == 2
    assert events(office, "acw.started") == [], "the wrap-up was there already"
    assert events(office, "participant.data")[0]["attributes"] == {"order": "17"}
    office.settled()


def test_a10_beep_while_recorded(centre: Any) -> None:
    office = centre(recording=replace(RECORDING, beep=Beep(enabled=True)))
    phone = up(office)
    agent = participant(office, "agent")
    caller = office.conversation.caller.id
    assert ("beep", caller, media.Beep(-24.0, 200, 1400, 14000, -24.0, 0)) in office.engine.commands
    command(office, "secure_pause", on=True, by="u-anna")
    assert office.engine.commands[-1] == ("beep", caller, None)
    assert agent
    phone.hang_up()
    office.settled()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"do": "fly"},
        {"do": "hold", "participant": "nobody", "held": True},
        {"do": "hold", "participant": 3, "held": True},
        {"do": "transfer", "participant": "nobody", "to": {}},
        {"do": "digits", "participant": "nobody", "digits": "x"},
        {"do": "consult_speak", "who": "ME"},
        {"do": "attributes", "participant": "nobody", "attributes": {}},
        {"do": "secure_pause", "on": "yes"},
    ],
)
def test_wrong_commands_change_nothing(centre: Any, arguments: dict[str, Any]) -> None:
    office = centre()
    up(office)
    with pytest.raises(CommandError) as error:
        carry_out(office.conversation, arguments)
    assert error.value.status in (400, 404)
    assert talking(office) == [{"external", "u-anna"}]
    office.carrier.hang_up()
    office.settled()


# From the phone.


def refer(phone: Any, to: str, office: Any) -> list[Any]:
    got: list[Any] = []
    usual = phone.session.receive_request

    def receive(transaction: Any, request: Any) -> None:
        if request.method == "NOTIFY":
            phone.requests.append(request)
            transaction.respond(200)
        else:
            usual(transaction, request)

    phone.session.receive_request = receive
    phone.session.request_in_dialog(
        "REFER", [("Refer-To", to), ("Contact", f"<sip:{phone.host}>")], b"", "", got.append
    )
    office.run(0.3)
    return got


def notified(phone: Any) -> list[str]:
    return [r.body.decode().split("\r\n")[0] for r in phone.requests if r.method == "NOTIFY"]


def test_a_phone_transfers_blindly(centre: Any) -> None:
    office = centre()
    anna, bert = up(office), office.phone("bert", 3)
    assert refer(anna, "<sip:203@192.0.2.1>", office)[0].status == 202
    assert "invite" in bert.told
    bert.ring()
    bert.answer()
    office.run(0.5)
    assert notified(anna)[-1] == "SIP/2.0 200 OK"
    assert "bye" in anna.told
    assert talking(office) == [{"external", "u-bert"}]
    bert.hang_up()
    office.settled()


def test_a_phone_transfers_to_nowhere(centre: Any) -> None:
    office = centre()
    anna = up(office)
    refer(anna, "<sip:nobody@192.0.2.1>", office)
    assert notified(anna)[-1].startswith("SIP/2.0 404")
    assert talking(office) == [{"external", "u-anna"}]
    anna.hang_up()
    office.settled()


def test_a_carrier_may_not_transfer(centre: Any) -> None:
    office = centre()
    up(office)
    assert refer(office.carrier, "<sip:+49401234@192.0.2.1>", office)[0].status == 403
    office.carrier.hang_up()
    office.settled()


def test_a_phone_transfers_attended(centre: Any) -> None:
    office = centre()
    anna, bert = up(office), office.phone("bert", 3)
    first = anna.session
    anna.reinvite("sendonly")
    anna.dial("203")
    bert.answer()
    second = anna.session
    office.run(2)
    replaces = f"{second.call_id}%3Bto-tag%3D{second.remote_tag}%3Bfrom-tag%3D{second.local_tag}"
    anna.session = first
    assert refer(anna, f"<sip:203@192.0.2.1?Replaces={replaces}>", office)[0].status == 202
    office.run(1)
    assert len(office.switchboard.conversations) == 1
    assert talking(office) == [{"external", "u-bert"}]
    assert office.carrier.offer.direction.value == "sendrecv", "the customer is off hold"
    office.run(3)
    bert.hang_up()
    office.run(1)
    kinds = [event["kind"] for i in (0, 1) for event in events(office, "transferred", i)]
    assert kinds == ["attended"]
    office.settled()


def test_a5_a_phone_may_ask_for_the_attended_transfer_on_either_of_its_calls(centre: Any) -> None:
    """The call with the customer stays, so there is one recording, whichever call carries the REFER."""
    office = centre()
    anna, bert = up(office), office.phone("bert", 3)
    first = anna.session
    anna.reinvite("sendonly")
    anna.dial("203")
    bert.answer()
    office.run(1)
    (customers, _) = list(office.switchboard.conversations)
    replaces = f"{first.call_id}%3Bto-tag%3D{first.remote_tag}%3Bfrom-tag%3D{first.local_tag}"
    assert refer(anna, f"<sip:x@192.0.2.1?Replaces={replaces}>", office)[0].status == 202
    office.run(1)
    assert list(office.switchboard.conversations) == [customers]
    assert talking(office) == [{"external", "u-bert"}]
    assert notified(anna)[-1] == "SIP/2.0 200 OK"
    bert.hang_up()
    office.run(1)
    assert len({event["tape_id"] for event in events(office, "tape.opened", 0)}) == 1
    assert events(office, "tape.opened", 1) == []
    office.settled()


def test_a_strangers_dialog_cannot_be_pulled_into_a_call(centre: Any) -> None:
    office = centre()
    anna, bert, other = up(office), office.phone("bert", 3), office.phone("lobby", 4)
    other.dial("203")
    bert.answer()
    theirs = other.session
    replaces = f"{theirs.call_id}%3Bto-tag%3D{theirs.remote_tag}%3Bfrom-tag%3D{theirs.local_tag}"
    assert refer(anna, f"<sip:203@192.0.2.1?Replaces={replaces}>", office)[0].status == 403
    anna.hang_up()
    other.hang_up()
    office.settled()


def test_another_phone_of_the_same_user_takes_the_call_over(centre: Any) -> None:
    office = centre()
    anna = up(office)
    second, stranger = office.phone("anna2", 2), office.phone("bert", 3)
    held = anna.session
    header = [("Replaces", f"{held.call_id};to-tag={held.remote_tag};from-tag={held.local_tag}")]
    stranger.dial("201", headers=header)
    assert stranger.statuses[-1] == 403
    second.dial("201", headers=header)
    assert second.statuses[-1] == 200
    assert "bye" in anna.told
    assert talking(office) == [{"external", "u-anna"}]
    second.hang_up()
    office.settled()


def test_a_call_from_the_screen(centre: Any) -> None:
    office = centre()
    anna = office.phone("anna", 1)
    from earwitness.edge.calls.transfer import Goal

    made = office.switchboard.call("u-anna", Goal("address", "+49401234"))
    office.run(0.2)
    assert "invite" in anna.told
    anna.answer()
    office.run(0.2)
    assert "invite" in office.carrier.told
    office.carrier.answer()
    assert talking(office) == [{"external", "u-anna"}]
    assert office.timeline().direction == "outbound"
    office.run(2)
    office.carrier.hang_up()
    office.run(1)
    assert len(captured(office)) == 1
    assert not isinstance(made, str)
    assert office.switchboard.call("u-bert", Goal("address", "+49401234")) == "no phone of the user is registered"
    office.settled()


IN_QUEUE = """
inqueueCall:
  name: Waiting
  defaultLanguage: en-us
  supportedLanguages: {en-us: {defaultLanguageSkill: {noValue: true}}}
  startUpTaskActions:
    - playAudio:
        name: Position
        audio: {exp: 'Append("You are number ", ToString(Call.PositionInQueue), " in ", Call.CurrentQueue)'}
    - holdMusic: {name: Music, playStyle: {duration: {lit: {seconds: 20}}}}
"""


def test_an_in_queue_flow_tells_the_position_and_gives_way_to_the_agent(centre: Any) -> None:
    office = centre(queue={"in_queue_flow_id": "iq"})
    flows = (*office.snapshot.flows, Flow("iq", "Waiting", "inqueuecall", "1", IN_QUEUE))
    snapshot = replace(office.snapshot, flows=flows)
    office.switchboard.use(type(office.switchboard.directory)(snapshot))
    office.switchboard.flows.use(flows)
    office.carrier.dial("+4930103")
    assert "You are number 1 in Support" in repr(office.voice.said[0])
    played(office)
    assert len(office.engine.plays) == 1, "then music"
    office.run(21)
    assert len(office.voice.said) == 2, "and round again"
    played(office)
    office.hall.set_agent("u-anna", True, None)
    phone = office.phone("anna", 1)
    phone.answer()
    assert talking(office) == [{"external", "u-anna"}]
    assert not office.engine.plays
    phone.hang_up()
    office.settled()


def test_a_waiting_call_is_given_to_a_user(centre: Any) -> None:
    office = centre()
    anna, bert = office.phone("anna", 1), office.phone("bert", 3)
    office.carrier.dial("+4930103")
    queue = participant(office, "acd")
    with pytest.raises(CommandError):
        command(office, "transfer", participant=queue, to={"user": "u-lost"})
    command(office, "transfer", participant=queue, to={"user": "u-bert"})
    bert.session.reject(486)
    office.run(0.5)
    assert office.hall.desk.queues(office.engine.clock.now_us())[0].waiting == 1, "it waits again"
    command(office, "transfer", participant=queue, to={"user": "u-anna"})
    anna.answer()
    assert talking(office) == [{"external", "u-anna"}]
    assert office.hall.desk.agent("u-anna").status in ("INTERACTING", "OFF_QUEUE")
    agent = participant(office, "agent")
    command(office, "wrapup", participant=agent, code="c", tags=["vip"])
    anna.hang_up()
    office.run(1)
    assert events(office, "wrapup.given")[0]["tags"] == ["vip"]
    office.settled()


def test_b7_what_was_said_in_a_pause_is_not_mixed_into_what_follows(centre: Any) -> None:
    office = centre()
    up(office)
    bert = office.phone("bert", 3)
    command(office, "secure_pause", on=True)
    command(office, "secure_pause", on=False)
    at = [c for c in office.engine.commands if c[0] == "open_tape"][-1][4]
    assert at <= office.engine.clock.now_us() - 250_000, "two who are connected hear each other at once"
    command(office, "add", to={"user": "u-bert"})
    bert.answer()
    command(office, "secure_pause", on=True)
    before = office.engine.clock.now_us()
    carry_out(office.conversation, {"do": "secure_pause", "on": False})
    at = [c for c in office.engine.commands if c[0] == "open_tape"][-1][4]
    assert at == before + 60_000
    office.carrier.hang_up()
    command(office, "disconnect")
    office.settled()


@pytest.mark.parametrize("refused", ["first", "second"])
def test_c1_a_refusal_holds_when_two_calls_become_one(centre: Any, refused: str) -> None:
    """Bert joins two outside calls of his; the party of one of them has refused to be recorded."""
    office = centre()
    bert = office.phone("bert", 3)
    sessions, callers = [], []
    for number in (1, 2):
        office.carrier.dial("+4930105")
        callers.append(office.carrier.session)
        played(office)
        for conversation in list(office.switchboard.conversations.values())[number - 1 :]:
            digit = "5" if (number == 1) == (refused == "first") else "4"
            press(office, digit, conversation.caller)
            if number == 1:
                office.hall.set_agent("u-bert", True, None)
                office.run(0.3)
                bert.answer()
            else:
                command_of = {"do": "transfer", "participant": participant_of(conversation, "acd")}
                carry_out(conversation, {**command_of, "to": {"user": "u-bert"}})
                office.run(0.3)
                bert.answer()
        sessions.append(bert.session)
    office.run(1)
    first, second = sessions
    replaces = f"{second.call_id}%3Bto-tag%3D{second.remote_tag}%3Bfrom-tag%3D{second.local_tag}"
    bert.session = first
    before = office.tapes().count("open_tape")
    assert refer(bert, f"<sip:x@192.0.2.1?Replaces={replaces}>", office)[0].status == 202
    office.run(1)
    (left,) = office.switchboard.conversations.values()
    assert left.recorder.consent_refused
    assert len(left.main) == 2
    assert office.tapes().count("open_tape") == before, "nothing is captured of either from now on"
    assert office.engine.tapes == {}
    left.disconnect()
    office.settled()


def participant_of(conversation: Any, purpose: str) -> str:
    return next(p.participant_id for p in conversation.cast.people.values() if p.purpose == purpose)

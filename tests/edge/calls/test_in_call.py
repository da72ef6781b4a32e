"""What happens while a call is up: hold, new codecs, digits, silence, dead peers."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from earwitness.domain.recording.settings import TrunkRecording
from earwitness.edge.sip.sdp import Direction
from earwitness.media.engine import interface as media


def _up(office: Any) -> tuple[Any, Any]:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.answer()
    return office.carrier, phone


def _leg(office: Any, host: str) -> str:
    return next(leg_id for leg_id, remote in office.engine.remotes.items() if remote.rtp and remote.rtp[0] == host)


PHONE, CARRIER = "192.0.2.11", "198.51.100.1"


@pytest.mark.parametrize("form", ["sendonly", "inactive"])
def test_b5_hold_from_the_phone_is_passed_on_and_not_taped(office: Any, form: str) -> None:
    carrier, phone = _up(office)
    phone.reinvite(form)
    assert phone.statuses[-1] == 200
    assert carrier.offer.direction.value == form
    assert phone.offer.direction is Direction(form).reversed()
    remote = office.engine.remotes[_leg(office, PHONE)]
    assert (remote.sending, remote.receiving) == (False, form == "sendonly")
    assert office.tapes() == ["open_tape", "close_tape"]
    assert office.timeline().recording_state == "paused"
    office.run(10)
    phone.reinvite("sendrecv")
    assert carrier.offer.direction is Direction.SENDRECV
    assert office.tapes() == ["open_tape", "close_tape", "open_tape"]
    remote = office.engine.remotes[_leg(office, PHONE)]
    assert (remote.sending, remote.receiving) == (True, True)
    segments = [s.kind for s in office.timeline().participants[1].segments]
    assert segments == ["alerting", "interact", "hold", "interact"]
    assert office.timeline().tapes[0].openings[1].opening == 1
    phone.hang_up()
    office.settled()


def test_b5_hold_is_taped_when_the_trunk_says_so(make_office: Any, office: Any) -> None:
    trunks = tuple(replace(t, recording=TrunkRecording(enabled=True, holds=True)) for t in office.snapshot.trunks)
    other = make_office(snapshot={"trunks": trunks})
    _, phone = _up(other)
    phone.reinvite("sendonly")
    assert other.tapes() == ["open_tape"]


def test_hold_by_an_unspecified_address(office: Any) -> None:
    carrier, phone = _up(office)
    body = phone.sdp().replace(b"c=IN IP4 192.0.2.11", b"c=IN IP4 0.0.0.0")
    phone.session.reinvite(body)
    office.run(0.3)
    assert carrier.offer.direction is Direction.SENDONLY
    assert office.tapes() == ["open_tape", "close_tape"]


def test_hold_from_the_carrier(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.reinvite("sendonly")
    assert phone.offer.direction is Direction.SENDONLY
    segments = [s.kind for s in office.timeline().participants[0].segments]
    assert segments == ["dialing", "interact", "hold"]


def test_both_hold_and_resume_one_after_the_other(office: Any) -> None:
    carrier, phone = _up(office)
    phone.reinvite("sendonly")

    def stay_held(session: Any, request: Any) -> None:
        session.accept_reinvite(phone.sdp("inactive"))

    phone.auto_reinvite = stay_held
    carrier.reinvite("sendonly")
    assert office.timeline().participants[0].held
    assert office.timeline().participants[1].held
    carrier.reinvite("recvonly")
    assert not office.timeline().participants[0].held
    assert office.timeline().participants[1].held


def test_the_other_side_refuses_and_the_call_goes_on(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.auto_reinvite = lambda session, request: session.reject_reinvite(488)
    phone.reinvite("sendonly")
    assert phone.statuses[-1] == 488
    assert office.conversation.state.value == "up"
    assert office.tapes() == ["open_tape"]
    phone.hang_up()
    office.settled()


def test_a_new_address_concerns_nobody_else(office: Any) -> None:
    carrier, phone = _up(office)
    phone.reinvite(port=4444)
    assert phone.statuses[-1] == 200
    assert "reinvite" not in carrier.told
    assert office.engine.remotes[_leg(office, PHONE)].rtp == (PHONE, 4444)
    facts = [event.data for event in office.story() if event.type == "leg.media"]
    assert facts[-1]["remote"] == f"{PHONE}:4444"


def test_another_codec_is_negotiated_with_the_other_side(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.codecs = "8 101"
    phone.reinvite(codecs="8 101")
    assert [f.name for f in carrier.offer.formats] == ["PCMA", "telephone-event"]
    assert phone.statuses[-1] == 200
    assert {r.payload_types[8].name for r in office.engine.remotes.values()} == {"PCMA"}
    assert office.conversation.recorder.settled is False
    phone.hang_up()
    office.settled()


def test_a_payload_type_never_changes_its_codec(office: Any) -> None:
    carrier, phone = _up(office)
    body = phone.sdp(codecs="96 101").replace(b"a=rtpmap:111 opus", b"a=rtpmap:96 opus")
    carrier.codecs = "96 101"

    def answer(session: Any, request: Any) -> None:
        session.accept_reinvite(carrier.sdp(codecs="96").replace(b"a=rtpmap:111 opus", b"a=rtpmap:96 opus"))

    carrier.auto_reinvite = answer
    phone.session.reinvite(body)
    office.run(0.3)
    assert phone.statuses[-1] == 200
    carrier.session.reinvite(carrier.sdp(codecs="96").replace(b"a=rtpmap:111 opus/48000/2", b"a=rtpmap:96 iLBC/8000"))
    office.run(0.3)
    (format_,) = phone.offer.formats
    assert format_.name == "iLBC"
    assert format_.payload_type not in (96, 101)


def test_reinvite_without_an_offer(office: Any) -> None:
    carrier, phone = _up(office)
    phone.session.reinvite(b"", defer_ack=True)
    office.run(0.2)
    assert phone.offer.direction is Direction.SENDRECV
    phone.session.ack(phone.sdp("sendonly"))
    office.run(0.3)
    assert carrier.offer.direction is Direction.SENDONLY
    assert office.tapes() == ["open_tape", "close_tape"]
    phone.hang_up()
    office.settled()


@pytest.mark.parametrize(("body", "status"), [(b"nonsense", 400), (b"v=0\r\no=- 1 1 IN IP4 h\r\n", 488)])
def test_a_bad_reoffer_leaves_the_call_alone(office: Any, body: bytes, status: int) -> None:
    _, phone = _up(office)
    phone.session.reinvite(body)
    office.run(0.3)
    assert phone.statuses[-1] == status
    assert office.conversation.state.value == "up"


def test_glare_resolves(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.session.reinvite(carrier.sdp("sendonly"))
    phone.session.reinvite(phone.sdp("sendonly"))
    office.run(10)
    assert carrier.statuses[-1] == 200
    assert phone.statuses[-1] == 200
    assert office.conversation.state.value == "up"
    phone.hang_up()
    office.settled()


def test_hang_up_in_the_middle_of_a_negotiation(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.auto_reinvite = lambda session, request: None
    phone.session.reinvite(phone.sdp("sendonly"))
    office.run(0.1)
    phone.hang_up()
    office.settled()


def test_digits_by_info_reach_the_other_side_and_the_story(office: Any) -> None:
    carrier, phone = _up(office)
    got: list[Any] = []
    phone.session.request_in_dialog("INFO", (), b"Signal=5\r\nDuration=160", "application/dtmf-relay", got.append)
    office.run(0.2)
    assert got[0].status == 200
    assert carrier.requests[-1].method == "INFO"
    assert carrier.requests[-1].body == b"Signal=5\r\nDuration=160"
    assert [event.data.get("digit") for event in office.story() if event.type == "dtmf"] == ["5"]


def test_info_is_answered_as_the_other_side_answers(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.on_info = 415
    got: list[Any] = []
    phone.session.request_in_dialog("INFO", (), b"x", "text/x", got.append)
    office.run(0.2)
    assert got[0].status == 415


def _tell_key(phone: Any, key: str) -> list[Any]:
    got: list[Any] = []
    body = f"Signal={key}\r\nDuration=160".encode()
    phone.session.request_in_dialog("INFO", (), body, "application/dtmf-relay", got.append)
    return got


def test_the_record_code_by_info_starts_a_recording_and_reaches_nobody(office: Any) -> None:
    carrier, phone = _up(office)
    before = len(carrier.requests)
    for key in "*1":
        got = _tell_key(phone, key)
        office.run(0.2)
        assert got[0].status == 200
    assert [event.type for event in office.story() if event.type.startswith("user_recording")] == ["user_recording.on"]
    assert len(carrier.requests) == before
    assert _digits(office) == []
    for key in "*1":
        _tell_key(phone, key)
    office.run(0.2)
    assert [event.type for event in office.story()].count("user_recording.off") == 1


@pytest.mark.parametrize("then", ["", "5", "*5"])
def test_keys_by_info_that_are_no_code_after_all_are_passed_on_in_order(office: Any, then: str) -> None:
    carrier, phone = _up(office)
    before = len(carrier.requests)
    for key in "*" + then:
        _tell_key(phone, key)
        office.run(0.2)
    office.run(3)
    passed = [request.body.split(b"\r")[0][-1:].decode() for request in carrier.requests[before:]]
    assert passed == list("*" + then)
    assert _digits(office) == list("*" + then)


def test_a_carriers_keys_by_info_are_never_a_code(office: Any) -> None:
    carrier, phone = _up(office)
    for key in "*1":
        _tell_key(carrier, key)
        office.run(0.2)
    assert _digits(office) == ["*", "1"]
    assert [request.method for request in phone.requests][-2:] == ["INFO", "INFO"]


def test_a_call_that_ends_while_a_key_is_kept_leaves_nothing(office: Any) -> None:
    carrier, phone = _up(office)
    _tell_key(phone, "*")
    office.run(0.2)
    carrier.hang_up()
    office.settled()
    office.run(3)
    assert _digits(office) == []


def _digits(office: Any) -> list[str | None]:
    return [event.data.get("digit") for event in office.story() if event.type == "dtmf"]


def _press(office: Any, digit: str, at: int | None = None) -> int:
    at = office.engine.clock.now_us() if at is None else at
    office.switchboard.on_media_event(media.Digit(_leg(office, CARRIER), digit, 100, at))
    return at


def test_digits_of_the_engine_are_told_but_not_while_a_tape_is_paused(office: Any) -> None:
    _, phone = _up(office)
    _press(office, "1")
    phone.reinvite("sendonly")
    pressed = _press(office, "2")
    phone.reinvite("sendrecv")
    _press(office, "3", pressed)
    _press(office, "4")
    assert _digits(office) == ["1", None, None, "4"]


@pytest.mark.parametrize("change", [{"consent_required": True}, {"enabled": False}])
def test_digits_of_a_call_that_is_not_recorded_are_not_kept(make_office: Any, office: Any, change: Any) -> None:
    trunks = tuple(replace(item, recording=replace(item.recording, **change)) for item in office.snapshot.trunks)
    office = make_office(snapshot={"trunks": trunks})
    _, phone = _up(office)
    _press(office, "7")
    phone.session.request_in_dialog("INFO", (), b"Signal=5\r\nDuration=160", "application/dtmf-relay")
    office.run(0.2)
    assert _digits(office) == [None, None]


def test_a_withdrawn_hold_is_not_carried_out(office: Any) -> None:
    carrier, phone = _up(office)
    held: list[Any] = []
    carrier.auto_reinvite = lambda *args: held.append(args)
    phone.session.reinvite(phone.sdp("sendonly"))
    office.run(0.2)
    phone.session.renegotiation._out.exchange.cancel([])
    office.run(0.2)
    assert phone.statuses[-1] == 487
    carrier.auto_reinvite = carrier._accept_reinvite
    carrier._accept_reinvite(*held[0])
    office.run(0.5)
    assert office.tapes() == ["open_tape"]
    assert office.timeline().recording_state == "active"
    assert carrier.offer.direction.value == "sendrecv"
    assert not any(leg.holding for leg in office.conversation.legs.values())
    phone.reinvite("sendonly")
    assert office.tapes() == ["open_tape", "close_tape"]
    phone.hang_up()
    office.settled()


def test_a_peer_that_has_moved_when_it_answers_a_refresh_is_followed(office: Any) -> None:
    carrier, phone = _up(office)
    carrier.auto_reinvite = lambda session, request: session.accept_reinvite(carrier.sdp(port=4444))
    leg = office.conversation.main[0]
    leg.session.renegotiation._peer_updates = False
    leg.session.renegotiation.refresh()
    office.run(0.3)
    assert office.engine.remotes[leg.id].rtp == (CARRIER, 4444)
    assert phone.told.count("reinvite") == 0


@pytest.mark.parametrize(("method", "status"), [("MESSAGE", 405), ("NOTIFY", 481)])
def test_methods_that_we_do_not_take_leave_the_call_alone(office: Any, method: str, status: int) -> None:
    _, phone = _up(office)
    got: list[Any] = []
    phone.session.request_in_dialog(method, [("Event", "refer")], b"", "", got.append)
    office.run(0.2)
    assert got[0].status == status
    assert office.conversation.state.value == "up"


def test_a_silent_peer_that_is_gone_ends_the_call(office: Any) -> None:
    carrier, _ = _up(office)
    office.unplugged.add(PHONE)
    office.switchboard.on_media_event(media.Silence(_leg(office, PHONE), 0))
    office.run(29)
    assert office.conversation.state.value == "up"
    office.run(35)
    assert carrier.told[-1] == "bye"
    timeline = office.timeline()
    assert (timeline.cause, timeline.participants[1].cause) == ("timeout", "timeout")


def test_a_silent_peer_that_is_there_keeps_the_call(office: Any) -> None:
    _, phone = _up(office)
    leg = _leg(office, PHONE)
    office.switchboard.on_media_event(media.Silence(leg, 0))
    office.run(300)
    assert office.conversation.state.value == "up"
    asked = sum("OPTIONS" in line for line in office.log)
    office.switchboard.on_media_event(media.Activity(leg, 0))
    office.run(300)
    every_leg_now_and_then = 2
    assert sum("OPTIONS" in line for line in office.log) == asked + every_leg_now_and_then
    phone.hang_up()
    office.settled()


def test_silence_of_both_sides_ends_the_call(office: Any) -> None:
    carrier, phone = _up(office)
    for host in (PHONE, CARRIER):
        office.switchboard.on_media_event(media.Silence(_leg(office, host), 0))
    office.run(121)
    assert carrier.told[-1] == phone.told[-1] == "bye"
    assert office.timeline().cause == "timeout"
    office.settled()


def test_a_hold_may_be_silent_for_long(office: Any) -> None:
    _, phone = _up(office)
    legs = [_leg(office, host) for host in (PHONE, CARRIER)]
    phone.reinvite("inactive")
    for leg in legs:
        office.switchboard.on_media_event(media.Silence(leg, 0))
    office.run(600)
    assert office.conversation.state.value == "up"


def test_a_call_that_is_never_acknowledged_ends(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    office.unplugged.add(CARRIER)
    phone.answer()
    office.run(40)
    assert phone.told[-1] == "bye"
    assert office.timeline().cause == "timeout"


def test_facts_of_the_media_engine_are_told(office: Any) -> None:
    _, phone = _up(office)
    leg = _leg(office, CARRIER)
    tape_id = next(iter(office.engine.tapes))
    for event in (
        media.SourceChanged(leg, 0, 42, 8, 0, "ssrc"),
        media.Gap(leg, 0, 1, 2, "overflow", 3),
        media.TapeFailed(tape_id, 0, leg, "disk full", 0),
        media.TapeRecovered(tape_id, 0, leg, 0),
        media.FirstPacket(leg, 0),
        media.EngineLost(2),
        media.EngineRestored(2, 150),
        media.Silence("stranger", 0),
        media.TapeClosed("stranger", 0, "stranger", (0, 0), (0, 0), 0),
    ):
        office.switchboard.on_media_event(event)
    assert office.types()[-4:] == ["source.changed", "gap", "tape.failed", "tape.recovered"]
    phone.hang_up()
    office.settled()


@pytest.mark.parametrize("where", ["set_remote", "connect", "open_tape"])
def test_a_mistake_of_ours_costs_one_call_and_leaves_nothing(
    office: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("on purpose")

    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    with monkeypatch.context() as patch:
        patch.setattr(office.engine, where, broken)
        phone.answer()
    assert office.carrier.statuses[-1] == 500
    assert phone.told[-1] == "bye"
    office.run(16)
    assert office.timeline().cause == "error"
    office.engine.tapes.clear()
    office.settled()


def test_a_mistake_at_the_beginning_is_500(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("on purpose")

    office.phone("anna", 1)
    monkeypatch.setattr(office.endpoint, "invite", broken)
    office.carrier.dial("+4930100")
    assert office.carrier.statuses == [500]
    office.settled()


def test_disconnect_from_outside(office: Any) -> None:
    carrier, phone = _up(office)
    office.conversation.disconnect(by="u-anna")
    office.run(0.2)
    assert carrier.told[-1] == phone.told[-1] == "bye"
    timeline = office.timeline()
    assert [p.cause for p in timeline.participants] == ["client", "client"]
    office.settled()


def test_disconnect_of_a_ringing_call(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.ring()
    office.conversation.disconnect()
    office.run(0.2)
    assert phone.told[-1] == "cancelled"
    assert office.carrier.statuses[-1] == 480
    office.settled()


def test_a_full_disk_does_not_disturb_a_call(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    carrier, phone = _up(office)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = office.types()
    monkeypatch.setattr(os, "write", full)
    phone.reinvite("sendonly")
    assert office.types() == before
    monkeypatch.setattr(os, "write", real)
    carrier.hang_up()
    assert [event.seq for event in office.story()] == list(range(len(office.story())))
    assert office.types()[-1] == "conversation.ended"
    office.settled()


@pytest.mark.parametrize(("refuse", "status"), [(True, 503), (False, None)])
def test_calls_that_cannot_be_recorded_are_refused_or_let_through(
    make_office: Any, office: Any, refuse: bool, status: int | None
) -> None:
    trunks = tuple(replace(t, refuse_unrecordable=refuse) for t in office.snapshot.trunks)
    other = make_office(snapshot={"trunks": trunks})
    phone = other.phone("anna", 1)
    other.switchboard.spool_full = True
    other.carrier.dial("+4930100")
    assert phone.told == ([] if refuse else ["invite"])
    assert other.carrier.statuses == ([status] if status else [])


def test_events_of_a_call_that_ends_on_a_full_disk_are_written_when_there_is_room(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, phone = _up(office)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    phone.hang_up()
    office.run(5)
    assert office.types()[-1] == "tape.opened"
    assert office.switchboard.conversations == {}
    assert len(office.switchboard.backlog) == 1
    monkeypatch.setattr(os, "write", real)
    office.run(2)
    assert office.types()[-1] == "conversation.ended"
    assert office.timeline().recording_state is not None
    office.settled()


def test_an_inactive_hold_of_two_dead_peers_ends(office: Any) -> None:
    _, phone = _up(office)
    phone.reinvite("inactive")
    office.unplugged |= {CARRIER, phone.host}
    office.run(400)
    assert office.switchboard.conversations == {}
    office.settled()


def test_a_hold_of_living_peers_lasts(office: Any) -> None:
    _, phone = _up(office)
    phone.reinvite("inactive")
    office.run(3600)
    assert len(office.switchboard.conversations) == 1
    phone.hang_up()
    office.settled()


def test_the_callee_hears_that_a_late_offer_was_narrowed(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", b"", defer_ack=True)
    phone.codecs = "0 8 101"
    phone.answer()
    office.carrier.session.ack(office.carrier.sdp(codecs="8 101"), "application/sdp")
    office.run(0.5)
    assert "reinvite" in phone.told
    assert [item.payload_type for item in phone.offer.formats] == [8, 101]
    for leg in office.conversation.legs.values():
        assert set(office.engine.remotes[leg.id].payload_types) == {8, 101}


def test_a_late_offer_that_was_taken_whole_is_not_told_again(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", b"", defer_ack=True)
    phone.answer(codecs="0 8 101")
    office.carrier.session.ack(office.carrier.sdp(codecs="8 0 101"), "application/sdp")
    office.run(0.5)
    assert "reinvite" not in phone.told


def test_a_flood_of_events_is_not_kept_in_memory(office: Any) -> None:
    _up(office)
    leg = _leg(office, CARRIER)
    for number in range(300):
        office.switchboard.on_media_event(media.SourceChanged(leg, 0, number, 0, 0, "ssrc"))
    story = office.conversation.story
    assert len(story.events()) == len(office.story()) > 300
    assert not any(isinstance(value, list) and len(value) > 10 for value in (getattr(story, n) for n in vars(story)))


def test_an_event_from_the_future_pulls_nothing_along(office: Any) -> None:
    _, phone = _up(office)
    leg = _leg(office, CARRIER)
    later = office.engine.clock.now_us() + 3_600_000_000
    office.switchboard.on_media_event(media.SourceChanged(leg, 0, 1, 0, later, "ssrc"))
    phone.hang_up()
    office.run(1)
    story = office.story()
    assert story[-1].at - story[0].at < 60_000_000


@pytest.mark.parametrize("host", [CARRIER, PHONE])
def test_a_call_whose_media_fail_ends(office: Any, host: str) -> None:
    carrier, phone = _up(office)
    office.switchboard.on_media_event(media.LegFailed(_leg(office, host), "out of file descriptors", 0))
    office.run(0.2)
    assert carrier.told[-1] == phone.told[-1] == "bye"
    assert office.timeline().cause == "error"
    office.settled()


def test_a_caller_whose_media_fail_is_refused(office: Any) -> None:
    office.phone("anna", 1)
    office.carrier.dial("+4930100")
    leg = office.conversation.caller.id
    office.switchboard.on_media_event(media.LegFailed(leg, "out of file descriptors", 0))
    office.run(0.2)
    assert office.carrier.statuses[-1] == 503
    office.settled()


def test_a_phone_whose_media_fail_is_cancelled(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.ring()
    leg = next(leg.id for leg in office.conversation.legs.values() if leg.trunk is None)
    office.switchboard.on_media_event(media.LegFailed(leg, "out of file descriptors", 0))
    office.run(0.2)
    assert phone.told[-1] == "cancelled"
    assert office.carrier.statuses[-1] == 480
    office.settled()

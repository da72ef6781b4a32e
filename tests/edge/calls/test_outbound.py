"""Phone to trunk and phone to phone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from earwitness.edge.calls.directory import Directory


def test_a_phone_calls_out(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    carrier = office.carrier
    invite = carrier.requests[0]
    assert invite.uri == "sip:+49401234@198.51.100.1"
    assert invite.from_.uri.username == "+4930201"
    assert invite.from_.display == "Anna"
    assert "+4930201" in (invite.get("p-asserted-identity") or "")
    carrier.ring()
    carrier.answer()
    assert phone.statuses == [180, 200]
    phone.hang_up()
    assert carrier.told[-1] == "bye"
    timeline = office.timeline()
    assert (timeline.direction, timeline.ani, timeline.dnis) == ("outbound", "201", "+49401234")
    assert [(p.purpose, p.user_id) for p in timeline.participants] == [("user", "u-anna"), ("external", None)]
    assert office.tapes() == ["open_tape", "close_tape"]
    office.settled()


def test_a_user_without_a_number_of_his_own_shows_the_trunks(office: Any) -> None:
    phone = office.phone("bert", 1)
    office.carrier.reject_with = 503
    phone.dial("+49401234")
    assert office.carrier_2.requests[0].from_.uri.username == "+49309999"


def test_a_trunk_that_is_trying_is_given_time(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    office.run(12)
    assert office.carrier.told == ["invite"]
    assert office.carrier_2.told == []
    office.carrier.answer()
    assert phone.statuses == [200]


@pytest.mark.parametrize("status", [503, 500, 408])
def test_the_next_trunk_is_tried_when_one_cannot(office: Any, status: int) -> None:
    phone = office.phone("anna", 1)
    office.carrier.reject_with = status
    phone.dial("+49401234")
    office.carrier_2.answer()
    assert phone.statuses == [200]
    timeline = office.timeline()
    assert [(leg.trunk_id, leg.sip_status) for leg in timeline.participants[1].legs] == [("t1", status), ("t2", None)]
    phone.hang_up()
    office.settled()


def test_the_next_trunk_is_tried_when_one_is_silent(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.unplugged.add("198.51.100.1")
    phone.dial("+49401234")
    office.run(7)
    office.carrier_2.answer()
    assert phone.statuses == [200]
    phone.hang_up()
    office.settled()


def test_early_media_of_a_trunk_that_then_fails_is_nobodys_answer(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    office.carrier.session.progress(183, office.carrier.sdp())
    office.run(0.1)
    office.carrier.session.reject(503)
    office.run(0.2)
    office.carrier_2.session.accept(b"")
    office.run(0.2)
    assert phone.statuses == [183, 488]
    assert office.carrier_2.told[-1] == "bye"
    office.settled()


def test_busy_is_the_callees_word_and_no_reason_for_another_trunk(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.reject_with = 486
    phone.dial("+49401234")
    assert phone.statuses == [486]
    assert office.carrier_2.told == []
    office.settled()


def test_trunks_that_cannot_be_reached_at_all(office: Any) -> None:
    first, second = office.snapshot.trunks
    trunks = (replace(first, transport="tls"), replace(second, servers=("unresolved.example",)))
    office.switchboard.use(Directory(replace(office.snapshot, trunks=trunks)))
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    assert phone.statuses == [503]
    office.settled()


def test_a_trunk_by_name_is_called_at_its_looked_up_address(office: Any) -> None:
    trunks = (replace(office.snapshot.trunks[0], servers=("carrier.example",)),)
    office.switchboard.resolved = {"carrier.example": ("198.51.100.1",)}
    office.switchboard.use(Directory(replace(office.snapshot, trunks=trunks), office.switchboard.resolved))
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    assert office.carrier.told == ["invite"]
    office.carrier.dial("+4930201")
    assert "invite" in phone.told


def test_all_trunks_down(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.reject_with = office.carrier_2.reject_with = 503
    phone.dial("+49401234")
    assert phone.statuses == [503]
    office.settled()


def test_a_challenge_of_the_trunk_is_answered(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.reject_with = 503
    carrier = office.carrier_2

    def challenge(session: Any, request: Any) -> None:
        carrier.session = session
        carrier.requests.append(request)
        session.owner = carrier
        if request.get("proxy-authorization") is None:
            session.reject(407, None, [("Proxy-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')])
        else:
            session.accept(carrier.sdp())

    carrier.on_invite = challenge
    phone.dial("+49401234")
    assert phone.statuses == [200]
    assert 'username="office"' in carrier.requests[-1].get("proxy-authorization")
    phone.hang_up()
    office.settled()


def test_the_caller_gives_up_while_a_trunk_is_being_tried(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    phone.hang_up()
    assert office.carrier.told == ["invite", "cancelled"]
    office.settled()


def test_early_media_of_the_trunk_is_passed_on(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    office.carrier.session.progress(183, office.carrier.sdp())
    office.run(0.1)
    assert phone.statuses == [183]
    assert phone.offer.host == "192.0.2.1"


@pytest.mark.parametrize("number", ["nobody", "x" * 200, "%00"])
def test_names_that_nobody_has(office: Any, number: str) -> None:
    phone = office.phone("anna", 1)
    phone.dial(number)
    assert phone.statuses == [404]
    office.settled()


def test_a2_a_call_between_two_phones_is_internal_and_not_recorded(office: Any) -> None:
    anna, bert = office.phone("anna", 1), office.phone("bert", 2)
    anna.dial("203")
    bert.answer()
    assert bert.requests[0].from_.uri.username == "201"
    bert.hang_up()
    assert anna.told[-1] == "bye"
    timeline = office.timeline()
    assert (timeline.direction, timeline.external) == ("internal", False)
    assert office.tapes() == []
    office.settled()


@pytest.mark.parametrize("number", ["203", "bert"])
def test_phones_reach_each_other_by_extension_and_name(office: Any, number: str) -> None:
    anna, bert = office.phone("anna", 1), office.phone("bert", 2)
    anna.dial(number)
    assert bert.told == ["invite"]


def test_an_extension_rings_all_phones_of_its_user(office: Any) -> None:
    first, second, bert = office.phone("anna", 1), office.phone("anna2", 2), office.phone("bert", 3)
    bert.dial("202")
    assert first.told == second.told == ["invite"]


@pytest.mark.parametrize("number", ["+4930201", "+4930100"])
def test_our_own_numbers_stay_inside(office: Any, number: str) -> None:
    anna, bert = office.phone("anna", 1), office.phone("bert", 2)
    bert.dial(number)
    assert anna.told == ["invite"]
    assert office.carrier.told == []


def test_a_phone_without_a_user(office: Any) -> None:
    lobby, bert = office.phone("lobby", 1), office.phone("bert", 2)
    bert.dial("210")
    lobby.answer()
    lobby.hang_up()
    assert office.timeline().participants[1].name == "lobby's phone"
    office.settled()


def test_a_call_keeps_the_configuration_that_it_began_with(office: Any) -> None:
    anna, bert = office.phone("anna", 1), office.phone("bert", 2)
    anna.dial("203")
    office.switchboard.use(Directory(replace(office.snapshot, version=8, stations=(), trunks=())))
    bert.answer()
    assert anna.statuses == [200]
    assert office.registrar.all_bindings(office.clock.unix()) == []
    bert.hang_up()
    office.settled()


def test_both_numbers_are_told_where_the_answer_renumbers(office: Any) -> None:
    """RFC 3264 §6.1: each side sends under the numbers of the other's description."""
    phone = office.phone("anna", 1)
    phone.dial("+49401234", phone.sdp(codecs="111 101"))
    body = office.carrier.sdp(codecs="107 96")
    for name, ours, theirs in ((b"opus", b"111", b"107"), (b"telephone-event", b"101", b"96")):
        body = body.replace(b"rtpmap:" + ours + b" " + name, b"rtpmap:" + theirs + b" " + name)
    office.carrier.session.accept(body)
    office.run(0.2)
    leg = next(leg for leg in office.conversation.legs.values() if leg.trunk is not None)
    told = [event.data for event in office.story() if event.type == "leg.media" and event.data["leg_id"] == leg.id]
    assert {number: codec[0] for number, codec in told[-1]["payload_types"].items()} == {
        "107": "opus",
        "96": "telephone-event",
        "111": "opus",
        "101": "telephone-event",
    }
    assert set(office.engine.remotes[leg.id].payload_types) == {107, 96}
    caller = next(leg for leg in office.conversation.legs.values() if leg.trunk is None)
    assert set(office.engine.remotes[caller.id].payload_types) == {111, 101}


@pytest.mark.parametrize("body", [b"", b"sdp"])
def test_183_that_brings_no_early_media_is_heard_as_ringing(office: Any, body: bytes) -> None:
    phone = office.phone("anna", 1)
    options = {"body": b"", "defer_ack": True} if body else {}
    phone.dial("+49401234", **options)
    office.carrier.session.progress(183, office.carrier.sdp() if body else b"", (), "application/sdp" if body else "")
    office.run(0.2)
    assert phone.statuses == [180]
    office.carrier.session.progress(180)
    office.run(0.2)
    assert phone.statuses == [180]
    assert "leg.ringing" in office.types()


def _refusing(office: Any) -> Any:
    first, second = office.snapshot.trunks
    return replace(office.snapshot, trunks=(replace(first, refuse_unrecordable=True), second))


def test_a_full_disk_is_heeded_where_a_trunk_is_dialled(office: Any) -> None:
    office.switchboard.use(Directory(_refusing(office)))
    office.switchboard.spool_full = True
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    assert (office.carrier.told, office.carrier_2.told) == ([], ["invite"])
    office.carrier_2.answer()
    phone.hang_up()
    office.settled()


def test_a_full_disk_withholds_the_recording_and_says_so(office: Any) -> None:
    office.switchboard.spool_full = True
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    office.carrier.answer()
    assert phone.statuses == [200]
    assert office.tapes() == []
    withheld = next(event for event in office.story() if event.type == "tape.withheld")
    assert withheld.data["reasons"][0]["row"] == "spool"
    office.run(1)
    office.switchboard.has_room(True)
    assert office.tapes() == ["open_tape"]
    opened = next(event for event in office.story() if event.type == "tape.opened")
    assert opened.at >= withheld.at + 900_000
    office.switchboard.has_room(True)
    assert office.tapes() == ["open_tape"]
    phone.hang_up()
    assert office.tapes() == ["open_tape", "close_tape"]
    office.settled()


def test_a_tape_that_wanted_for_room_and_is_not_to_be_open_any_more_stays_closed(office: Any) -> None:
    office.switchboard.spool_full = True
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    office.carrier.answer()
    phone.reinvite("sendonly")
    assert office.story()[-1].data["reasons"][0]["row"] == "hold"
    office.switchboard.has_room(True)
    assert office.tapes() == []
    phone.reinvite("sendrecv")
    assert office.tapes() == ["open_tape"]
    phone.hang_up()
    office.settled()

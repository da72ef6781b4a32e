"""Trunk to phone: the whole life of a call, and every way in which it does not come about."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.edge.sip.events import Flow
from earwitness.edge.sip.registrar import Contact, Source


def _answered(office: Any) -> tuple[Any, Any]:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.ring()
    phone.answer()
    return office.carrier, phone


def test_a_call_from_the_carrier_is_answered_recorded_and_ended(office: Any) -> None:
    carrier, phone = _answered(office)
    assert carrier.told == ["progress", "accepted"]
    assert carrier.statuses == [180, 200]
    assert phone.told == ["invite", "ack"]
    invite = phone.requests[0]
    assert invite.from_.display == "Peer +4940555"
    assert invite.from_.uri.username == "+4940555"
    office.run(5)
    carrier.hang_up()
    assert phone.told[-1] == "bye"
    assert office.types() == [
        "conversation.started",
        "participant.joined",
        "leg.offered",
        "segment.started",
        "participant.joined",
        "segment.started",
        "leg.offered",
        "leg.ringing",
        "leg.media",
        "leg.answered",
        "segment.ended",
        "segment.started",
        "leg.media",
        "leg.answered",
        "segment.ended",
        "segment.started",
        "tape.opened",
        "leg.ended",
        "tape.closed",
        "leg.ended",
        "participant.left",
        "participant.left",
        "conversation.ended",
    ]
    timeline = office.timeline()
    assert (timeline.direction, timeline.ani, timeline.dnis, timeline.cause) == (
        "inbound",
        "+4940555",
        "+4930100",
        "hangup",
    )
    assert [(p.purpose, p.user_id, p.cause) for p in timeline.participants] == [
        ("external", None, "endpoint"),
        ("user", "u-anna", "peer"),
    ]
    office.settled()


def test_the_tape_is_open_and_on_disk_before_the_caller_hears_the_answer(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    seen: list[Any] = []
    office.carrier.on_accepted = lambda session, response: seen.append(
        ([c[0] for c in office.engine.commands], office.types())
    )
    phone.answer()
    commands, types = seen[0]
    assert [c for c in commands if c != "set_codes"][-4:] == ["set_remote", "set_remote", "connect", "open_tape"]
    assert "tape.opened" in types


def test_media_goes_through_us_with_ports_of_our_own(office: Any) -> None:
    carrier, phone = _answered(office)
    assert phone.offer.host == "192.0.2.1"
    assert carrier.offer.host == "192.0.2.1"
    assert phone.offer.port != carrier.offer.port
    remotes = sorted((r.rtp, r.telephone_event, r.sending, r.receiving) for r in office.engine.remotes.values())
    assert remotes == [(("192.0.2.11", 4000), 101, True, True), (("198.51.100.1", 4000), 101, True, True)]
    assert len(office.engine.links) == 1


def test_the_callee_hangs_up(office: Any) -> None:
    carrier, phone = _answered(office)
    phone.hang_up()
    assert carrier.told[-1] == "bye"
    timeline = office.timeline()
    assert [p.cause for p in timeline.participants] == ["peer", "endpoint"]
    office.settled()


def test_the_caller_gives_up(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.ring()
    office.carrier.hang_up()
    assert phone.told == ["invite", "cancelled"]
    assert office.carrier.statuses[-1] == 487
    assert office.timeline().cause == "cancelled"
    assert office.tapes() == []
    office.settled()


@pytest.mark.parametrize(
    ("status", "heard", "cause"),
    [
        (486, 486, "rejected"),
        (603, 603, "rejected"),
        (302, 480, "rejected"),
        (401, 502, "rejected"),
        (480, 480, "rejected"),
    ],
)
def test_the_phone_refuses(office: Any, status: int, heard: int, cause: str) -> None:
    phone = office.phone("anna", 1)
    phone.reject_with = status
    office.carrier.dial("+4930100")
    assert office.carrier.statuses[-1] == heard
    timeline = office.timeline()
    assert timeline.cause == cause
    assert timeline.participants[1].legs[0].sip_status == status
    office.settled()


def test_nobody_answers(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.ring()
    office.run(21)
    assert phone.told[-1] == "cancelled"
    assert office.carrier.statuses[-1] == 480
    timeline = office.timeline()
    assert timeline.cause == "noanswer"
    assert timeline.participants[1].legs[0].cause == "timeout"
    office.settled()


def test_the_phone_is_dead(office: Any) -> None:
    office.phone("anna", 1)
    office.unplugged.add("192.0.2.11")
    office.carrier.dial("+4930100")
    office.run(21)
    assert office.carrier.statuses[-1] == 480
    office.settled()


@pytest.mark.parametrize(
    ("number", "status"), [("+4930100", 480), ("+4930999", 404), ("+4930102", 480), ("+4930103", 404)]
)
def test_calls_that_lead_nowhere(office: Any, number: str, status: int) -> None:
    office.carrier.dial(number)
    assert office.carrier.statuses == [status]
    assert office.timeline().cause == "rejected"
    office.settled()


def test_a_phone_whose_connection_has_gone_is_forgotten(office: Any) -> None:
    office.registrar.register(
        "station-anna",
        [Contact("sip:anna@192.0.2.77;transport=tcp")],
        star=False,
        expires=600,
        call_id="c",
        cseq=1,
        source=Source("tcp", "192.0.2.77", 40000, 5),
        now=office.clock.unix(),
    )
    office.carrier.dial("+4930100")
    assert "192.0.2.1>192.0.2.77 INVITE sip:anna@192.0.2.77;transport=tcp" in office.log
    office.endpoint.flow_failed(Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.77", 40000), 5))
    office.run(0.2)
    assert office.carrier.statuses == [480]
    assert office.registrar.all_bindings(office.clock.unix()) == []
    office.settled()


def test_a_number_is_known_with_and_without_plus(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("4930100")
    assert phone.told == ["invite"]


def test_a_users_own_number_rings_him(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930201")
    assert phone.told == ["invite"]


def test_all_phones_of_a_user_ring_and_the_first_answer_wins(office: Any) -> None:
    first, second = office.phone("anna", 1), office.phone("anna2", 2)
    office.carrier.dial("+4930100")
    first.ring()
    second.ring()
    assert office.carrier.statuses == [180]
    second.answer()
    assert first.told == ["invite", "cancelled"]
    assert len(office.engine.legs) == 2
    reason = first.requests[-1].get("reason")
    assert reason is not None
    assert "cause=200" in reason
    timeline = office.timeline()
    assert [(leg.cause, leg.answered is not None) for leg in timeline.participants[1].legs] == [
        ("other", False),
        (None, True),
    ]
    office.carrier.hang_up()
    assert second.told[-1] == "bye"
    office.settled()


def test_both_phones_answer_at_the_same_moment(office: Any) -> None:
    first, second = office.phone("anna", 1), office.phone("anna2", 2)
    office.carrier.dial("+4930100")
    first.session.accept(first.sdp())
    second.session.accept(second.sdp())
    office.run(0.5)
    told = sorted([first.told[-1], second.told[-1]])
    assert told == ["ack", "bye"]
    office.carrier.hang_up()
    office.settled()


def test_one_phone_busy_the_other_goes_on_ringing(office: Any) -> None:
    first, second = office.phone("anna", 1), office.phone("anna2", 2)
    first.reject_with = 486
    office.carrier.dial("+4930100")
    assert office.carrier.statuses == []
    second.answer()
    assert office.carrier.statuses == [200]


def test_a_decline_speaks_for_all_phones(office: Any) -> None:
    first, second = office.phone("anna", 1), office.phone("anna2", 2)
    first.reject_with = 603
    office.carrier.dial("+4930100")
    assert office.carrier.statuses == [603]
    assert second.told == ["invite", "cancelled"]
    office.settled()


def test_early_media_of_a_single_phone_is_passed_on_and_not_taped(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100")
    phone.session.progress(183, phone.sdp())
    office.run(0.1)
    assert office.carrier.statuses == [183]
    assert office.carrier.offer.host == "192.0.2.1"
    assert len(office.engine.links) == 1
    assert office.tapes() == []
    phone.session.accept(b"")
    office.run(0.1)
    assert office.carrier.statuses == [183, 200]
    assert office.tapes() == ["open_tape"]
    office.carrier.hang_up()
    office.settled()


def test_late_offer(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", b"", defer_ack=True)
    assert [f.name for f in phone.offer.formats] == ["PCMU", "PCMA", "G722", "opus", "G729", "telephone-event"]
    phone.answer(codecs="8 101")
    assert [f.name for f in office.carrier.offer.formats] == ["PCMA", "telephone-event"]
    office.carrier.session.ack(office.carrier.sdp(codecs="8 101"))
    office.run(0.2)
    assert sorted(str(r.rtp) for r in office.engine.remotes.values()) == [
        "('192.0.2.11', 4000)",
        "('198.51.100.1', 4000)",
    ]
    office.carrier.hang_up()
    office.settled()


@pytest.mark.parametrize("answer", [b"", b"nonsense"])
def test_late_offer_without_a_usable_answer_ends_the_call(office: Any, answer: bytes) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", b"", defer_ack=True)
    phone.answer()
    office.carrier.session.ack(answer)
    office.run(0.2)
    assert phone.told[-1] == "bye"
    assert office.carrier.told[-1] == "bye"
    assert office.timeline().cause == "error"
    office.settled()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"nonsense", 400),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n", 488),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nm=video 5000 RTP/AVP 96\r\n", 488),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nm=audio 0 RTP/AVP 0\r\n", 488),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n", 488),
    ],
)
def test_offers_that_we_cannot_take(office: Any, body: bytes, status: int) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", body)
    assert office.carrier.statuses == [status]
    assert phone.told == []
    office.settled()


def test_nothing_in_common_is_488_and_the_phone_is_hung_up(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", office.carrier.sdp(codecs="0"))
    phone.answer(codecs="8")
    assert office.carrier.statuses == [488]
    assert phone.told[-1] == "bye"
    office.settled()


def test_no_media_ports_is_503(office: Any) -> None:
    office.phone("anna", 1)
    office.engine.no_ports = True
    office.carrier.dial("+4930100")
    assert office.carrier.statuses == [503]
    office.settled()


def test_overload_is_503_with_retry_after(make_office: Any) -> None:
    office = make_office(max_calls=1)
    office.phone("anna", 1)
    office.carrier.dial("+4930100")
    other = office.carrier.endpoint.invite(
        office.carrier.target("+4930100"), office.carrier.sdp(), owner=office.carrier
    )
    office.run(0.2)
    assert not other.alive
    assert office.carrier.responses[-1].status == 503
    assert office.carrier.responses[-1].get("retry-after") == "5"


def test_asserted_identity_of_a_trunk_is_the_caller(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", headers=[("P-Asserted-Identity", '"Clara" <sip:+4940777@carrier.example>')])
    assert phone.requests[0].from_.uri.username == "+4940777"
    assert phone.requests[0].from_.display == "Clara"


def test_a_private_caller_stays_unknown_to_the_phone(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier.dial("+4930100", headers=[("Privacy", "id;critical")])
    assert phone.requests[0].from_.uri.username == "anonymous"
    assert "+4940555" not in phone.requests[0].to_bytes().decode()
    assert office.conversation.presentation.ani == "+4940555"


def test_bytes_that_are_no_text_do_not_stop_a_call(office: Any) -> None:
    phone = office.phone("anna", 1)
    header = [("P-Asserted-Identity", '"M\udcfcller" <sip:+49\udcff@carrier.example>')]
    office.carrier.dial("+4930100", headers=header)
    phone.answer()
    office.carrier.hang_up()
    assert office.timeline().participants[0].name == "M?ller"
    office.settled()


def test_a3_a_trunk_that_does_not_record_opens_no_tape(office: Any) -> None:
    phone = office.phone("anna", 1)
    office.carrier_2.dial("+4930100")
    phone.answer()
    office.carrier_2.hang_up()
    assert office.tapes() == []
    withheld = [event for event in office.story() if event.type == "tape.withheld"]
    assert [reason["row"] for reason in withheld[0].data["reasons"]] == ["trunk"]
    office.settled()


def test_a_redirected_call_between_two_carriers_is_not_recorded(office: Any) -> None:
    office.carrier_2.answer_at_once = False
    office.carrier.dial("+4930101")
    office.carrier.session.hang_up()
    office.run(1)
    assert office.timeline().participants[1].purpose == "external"
    office.settled()


def test_shutdown_tells_the_calls(office: Any) -> None:
    carrier, phone = _answered(office)
    office.switchboard.drain()
    office.run(0.2)
    assert carrier.told[-1] == "bye"
    assert phone.told[-1] == "bye"
    assert office.timeline().cause == "shutdown"
    office.carrier_2.dial("+4930100")
    assert office.carrier_2.statuses == [503]
    office.settled()


def test_the_folder_is_handed_over_only_when_the_tapes_are_complete(office: Any) -> None:
    carrier, _ = _answered(office)
    office.engine.slow = True
    carrier.hang_up()
    assert office.types()[-1] == "participant.left"
    ended = office.story()[-1].at
    office.run(3)
    office.engine.slow = False
    office.run(1)
    carrier.dial("+4930999")
    assert office.types(0)[-1] == "conversation.ended"
    assert office.story(0)[-1].at == ended
    office.settled()


def test_a_media_engine_that_never_completes_does_not_keep_the_call(office: Any) -> None:
    carrier, _ = _answered(office)
    office.engine.slow = True
    carrier.hang_up()
    office.run(60)
    assert office.types()[-1] == "participant.left"
    office.run(130)
    assert office.types()[-2:] == ["tape.failed", "conversation.ended"]
    assert office.story()[-2].data["opening"] == 0
    assert office.switchboard.conversations == {}


def test_events_are_published_as_they_are_written(office: Any) -> None:
    carrier, _ = _answered(office)
    carrier.hang_up()
    assert [event for _, event in office.published] == office.story()

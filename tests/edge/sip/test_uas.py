"""What a peer that calls us may expect: each probe is a raw message in, and what comes out of the endpoint.

Most are defects that other stacks were found to have: calls doubled by a repeated INVITE, final responses sent once.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = b"v=0\r\nanswer"


def statuses(messages: list[Any]) -> list[int]:
    return [message.status for message in messages]


def confirmed(wire: Any, req: Any, **invite: Any) -> Any:
    """An incoming call that has been answered and acknowledged."""
    wire.put(req("INVITE", body=OFFER, **invite))
    session = wire.handler.sessions[-1]
    session.accept(ANSWER)
    wire.take()
    wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=session.local_tag))
    return session


def test_invite_is_tried_at_once_and_shown_to_the_handler(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=OFFER))
    assert statuses(out) == [100]
    assert out[0].to_tag == ""
    assert wire.handler.names == ["invite"]
    assert wire.handler.last("invite").body == OFFER


def test_repeated_invite_while_ringing_is_the_same_call(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    wire.handler.sessions[0].progress(180)
    first = wire.take()[0]
    again = wire.put(req("INVITE", body=OFFER))
    assert statuses(again) == [180]
    assert again[0].to_tag == first.to_tag != ""
    assert wire.handler.names == ["invite"]


def test_repeated_invite_after_200_gets_the_200(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    wire.handler.sessions[0].accept(ANSWER)
    ok = wire.take()[0]
    again = wire.put(req("INVITE", body=OFFER))
    assert statuses(again) == [200]
    assert again[0].to_tag == ok.to_tag
    assert again[0].body == ANSWER


def test_repeated_invite_after_ack_is_absorbed(wire: Any, req: Any) -> None:
    confirmed(wire, req)
    assert wire.put(req("INVITE", body=OFFER)) == []


def test_200_is_repeated_until_ack_on_udp_and_tcp(make_wire: Any, req: Any) -> None:
    for kind in ("udp", "tcp"):
        wire = make_wire()
        source = wire.flow if kind == "udp" else wire.tcp
        wire.put(req("INVITE", body=OFFER), source)
        wire.handler.sessions[0].accept(ANSWER)
        wire.take()
        sent = wire.advance(8)
        assert [message.at for message in sent] == [0.5, 1.5, 3.5, 7.5]
        assert set(statuses(sent)) == {200}
        wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=wire.handler.sessions[0].local_tag), source)
        assert wire.advance(60) == []


def test_200_without_ack_ends_the_call_with_bye(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    wire.handler.sessions[0].accept(ANSWER)
    sent = wire.advance(33)
    assert "BYE" in [message.method for message in sent if hasattr(message, "method")]
    assert wire.handler.last("failed").value == "no-ack"


def test_ack_with_body_reaches_the_owner(wire: Any, req: Any) -> None:
    wire.put(req("INVITE"))
    session = wire.handler.sessions[0]
    session.accept(OFFER)
    wire.take()
    wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=session.local_tag, body=ANSWER))
    assert wire.handler.last("ack").body == ANSWER


def test_ack_is_reported_once(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    wire.put(req("ACK", branch="z9hG4bK-ack2", to_tag=session.local_tag))
    assert wire.handler.names.count("ack") == 1


def test_rejection_is_repeated_until_ack(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.reject(486)
    busy = wire.take()
    assert statuses(busy) == [486]
    assert busy[0].to_tag
    assert [m.at for m in wire.advance(8)] == [0.5, 1.5, 3.5, 7.5]
    assert statuses(wire.put(req("INVITE", body=OFFER))) == [486]
    wire.put(req("ACK", to_tag=session.local_tag))
    assert wire.advance(60) == []
    assert wire.handler.names == ["invite"]


def test_rejection_without_ack_is_given_up(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    wire.handler.sessions[0].reject(603)
    wire.take()
    assert len(wire.advance(40)) == 10
    assert wire.endpoint.sizes["server_transactions"] == 0


def test_repeated_bye_is_answered_again(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    bye = req("BYE", branch="z9hG4bK-bye", cseq=2, to_tag=session.local_tag)
    assert statuses(wire.put(bye)) == [200]
    assert statuses(wire.put(bye)) == [200]
    assert wire.handler.names.count("bye") == 1


def test_repeated_cancel_is_answered_again(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    first = wire.put(req("CANCEL"))
    assert statuses(first) == [200, 487]
    assert first[0].cseq[1] == "CANCEL"
    assert first[1].cseq[1] == "INVITE"
    assert first[0].to_tag == first[1].to_tag
    assert statuses(wire.put(req("CANCEL"))) == [200]
    assert [m.status for m in wire.advance(1)] == [487]
    wire.put(req("ACK", to_tag=first[1].to_tag))
    assert wire.advance(60) == []
    assert wire.handler.names == ["invite", "cancelled"]


def test_cancel_of_nothing_is_481(wire: Any, req: Any) -> None:
    assert statuses(wire.put(req("CANCEL"))) == [481]


def test_cancel_after_answer_changes_nothing(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.take()
    assert statuses(wire.put(req("CANCEL"))) == [200]
    assert session.alive
    assert "cancelled" not in wire.handler.names


def test_answer_after_cancel_does_nothing(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    wire.put(req("CANCEL"))
    assert wire.handler.sessions[0].accept(ANSWER) is False
    assert wire.handler.sessions[0].progress(180) is False
    assert wire.take() == []


def test_bye_before_the_answer_ends_the_invite_with_487(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.progress(180)
    wire.take()
    out = wire.put(req("BYE", branch="z9hG4bK-bye", cseq=2, to_tag=session.local_tag))
    assert sorted(statuses(out)) == [200, 487]
    assert wire.handler.names == ["invite", "cancelled"]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "UPDATE", "OPTIONS", "PRACK", "NOTIFY", "REFER"])
def test_unknown_to_tag_is_481(wire: Any, req: Any, method: str) -> None:
    assert statuses(wire.put(req(method, to_tag="nobody"))) == [481]
    assert wire.handler.names == []


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "NOTIFY"])
def test_dialog_methods_without_a_dialog_are_481(wire: Any, req: Any, method: str) -> None:
    assert statuses(wire.put(req(method))) == [481]


def test_ack_of_nothing_is_silent(wire: Any, req: Any) -> None:
    assert wire.put(req("ACK", to_tag="nobody")) == []
    assert wire.put(req("ACK")) == []


def test_repeated_reinvite_is_one_reinvite(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    again = req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER)
    assert statuses(wire.put(again)) == [100]
    assert statuses(wire.put(again)) == [100]
    session.accept_reinvite(ANSWER)
    assert statuses(wire.take()) == [200]
    assert statuses(wire.put(again)) == [200]
    assert wire.handler.names.count("reinvite") == 1
    assert [m.status for m in wire.advance(2)] == [200, 200]
    wire.put(req("ACK", branch="z9hG4bK-reack", cseq=2, to_tag=session.local_tag))
    assert wire.advance(20) == []


def test_rejected_reinvite_leaves_the_call(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    assert session.reject_reinvite(488)
    assert statuses(wire.take()) == [488]
    assert session.alive


def test_second_reinvite_while_the_first_is_open_is_500(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    out = wire.put(req("INVITE", branch="z9hG4bK-re2", cseq=3, to_tag=session.local_tag, body=OFFER))
    assert statuses(out) == [100, 500]
    assert 0 <= int(out[1].get("retry-after")) <= 10


def test_cancelled_reinvite_is_487_and_the_call_goes_on(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    out = wire.put(req("CANCEL", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag))
    assert statuses(out) == [200, 487]
    assert session.alive
    assert session.accept_reinvite(ANSWER) is False


def test_lower_cseq_is_500(wire: Any, req: Any) -> None:
    session = confirmed(wire, req, cseq=1)
    wire.put(req("INFO", branch="z9hG4bK-i1", cseq=7, to_tag=session.local_tag))
    assert statuses(wire.put(req("INFO", branch="z9hG4bK-i2", cseq=3, to_tag=session.local_tag))) == [500]


def test_info_reaches_the_owner(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    info = req(
        "INFO",
        branch="z9hG4bK-i",
        cseq=2,
        to_tag=session.local_tag,
        body=b"Signal=5\r\n",
        headers="Content-Type: application/dtmf-relay\r\n",
    )
    assert wire.put(info) == []
    assert wire.handler.last("request").body == b"Signal=5\r\n"
    wire.handler.transactions[-1].respond(200)
    assert statuses(wire.take()) == [200]
    assert statuses(wire.put(info)) == [200]


def test_options_in_dialog_is_answered(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    out = wire.put(req("OPTIONS", branch="z9hG4bK-o", cseq=2, to_tag=session.local_tag))
    assert statuses(out) == [200]
    assert "INVITE" in out[0].get("allow")


def test_options_outside_reaches_the_handler(wire: Any, req: Any) -> None:
    wire.handler.on["request"] = lambda transaction, _: transaction.respond(200)
    out = wire.put(req("OPTIONS"))
    assert statuses(out) == [200]
    assert out[0].to_tag


def test_update_without_body_refreshes(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    moved = "Contact: <sip:bob@192.0.2.98:5070>\r\n"
    update = req("UPDATE", branch="z9hG4bK-u", cseq=2, to_tag=session.local_tag, contact=moved)
    assert statuses(wire.put(update)) == [200]
    session.bye()
    bye = wire.take()[0]
    assert bye.uri == "sip:bob@192.0.2.98:5070"
    assert wire.sent_to[0].remote == ("192.0.2.98", 5070)


def test_update_with_offer_is_a_renegotiation(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    assert wire.put(req("UPDATE", branch="z9hG4bK-u", cseq=2, to_tag=session.local_tag, body=OFFER)) == []
    assert wire.handler.last("reinvite").method == "UPDATE"
    session.accept_reinvite(ANSWER)
    out = wire.take()
    assert statuses(out) == [200]
    assert out[0].body == ANSWER
    assert wire.advance(5) == []


def test_prack_of_nothing_is_481(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    out = wire.put(req("PRACK", branch="z9hG4bK-p", cseq=2, to_tag=session.local_tag, headers="RAck: 1 1 INVITE\r\n"))
    assert statuses(out) == [481]


def test_required_100rel_is_sent_reliably(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER, headers="Require: 100rel\r\n"))
    session = wire.handler.sessions[0]
    session.progress(180)
    session.accept(ANSWER)
    ringing = wire.take()
    assert statuses(ringing) == [180]
    assert ringing[0].get("require") == "100rel"
    assert [m.at for m in wire.advance(4)] == [0.5, 1.5, 3.5]
    rack = f"RAck: {ringing[0].get('rseq')} 1 INVITE\r\n"
    out = wire.put(req("PRACK", branch="z9hG4bK-p", cseq=2, to_tag=session.local_tag, headers=rack))
    assert statuses(out) == [200, 200]
    assert [m.cseq[1] for m in out] == ["PRACK", "INVITE"]


def test_missing_prack_ends_the_call(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER, headers="Require: 100rel\r\n"))
    wire.handler.sessions[0].progress(180)
    sent = wire.advance(33)
    assert 504 in statuses(sent)
    assert wire.handler.last("failed").value == "timeout"


def test_unknown_extension_is_420(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=OFFER, headers="Require: 100rel, foo\r\nRequire: bar\r\n"))
    assert statuses(out) == [420]
    assert out[0].get("unsupported") == "foo, bar"
    assert wire.handler.names == []


def test_unsupported_body_is_415(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=b"<a/>", headers="Content-Type: application/xml\r\n"))
    assert statuses(out) == [415]
    assert out[0].get("accept") == "application/sdp"


def test_unsupported_encoding_is_415(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=OFFER, headers="Content-Encoding: gzip\r\n"))
    assert statuses(out) == [415]
    assert out[0].get("accept-encoding") == "identity"


def test_optional_body_is_ignored(wire: Any, req: Any) -> None:
    headers = "Content-Type: application/xml\r\nContent-Disposition: render; handling=optional\r\n"
    assert statuses(wire.put(req("INVITE", body=b"<a/>", headers=headers))) == [100]


def test_unknown_method_is_501_and_unwanted_is_405(wire: Any, req: Any) -> None:
    out = wire.put(req("DANCE"))
    assert statuses(out) == [501]
    assert "INVITE" in out[0].get("allow")
    out = wire.put(req("SUBSCRIBE", branch="z9hG4bK-2"))
    assert statuses(out) == [405]
    assert "INVITE" in out[0].get("allow")


def test_exhausted_hops_are_483(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=OFFER).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
    assert statuses(out) == [483]


def test_foreign_scheme_is_416(wire: Any, req: Any) -> None:
    assert statuses(wire.put(req("INVITE", uri="soap.beep://192.0.2.103:3002"))) == [416]


def test_version_7_is_505(wire: Any, req: Any) -> None:
    assert statuses(wire.put(req("INVITE").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"))) == [505]


def test_cseq_of_another_method_is_400(wire: Any, req: Any) -> None:
    assert statuses(wire.put(req("OPTIONS", cseq_method="INVITE"))) == [400]


def test_merged_request_is_482(wire: Any, req: Any) -> None:
    assert statuses(wire.put(req("INVITE", body=OFFER))) == [100]
    assert statuses(wire.put(req("INVITE", body=OFFER, branch="z9hG4bK-other"))) == [482]
    assert wire.handler.names == ["invite"]


def test_overload_is_503_with_retry_after(make_wire: Any, req: Any) -> None:
    wire = make_wire(max_sessions=1)
    wire.put(req("INVITE", body=OFFER))
    out = wire.put(req("INVITE", body=OFFER, call_id="call-2", branch="z9hG4bK-2"))
    assert statuses(out) == [503]
    assert out[0].get("retry-after")
    wire = make_wire(max_transactions=1)
    wire.put(req("INVITE", body=OFFER))
    assert statuses(wire.put(req("OPTIONS", call_id="call-2", branch="z9hG4bK-2"))) == [503]


def test_call_without_an_owner_is_480(wire: Any, req: Any) -> None:
    def disown(session: Any, _: Any) -> None:
        session.owner = None

    wire.handler.on["invite"] = disown
    assert statuses(wire.put(req("INVITE", body=OFFER))) == [100, 480]


def test_handler_that_raises_disturbs_nothing(wire: Any, req: Any) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("bug")

    wire.handler.on["ack"] = broken
    session = confirmed(wire, req)
    assert wire.endpoint.counters["handler error"] == 1
    assert statuses(wire.put(req("BYE", branch="z9hG4bK-b", cseq=2, to_tag=session.local_tag))) == [200]


@pytest.mark.parametrize("port", ["99999", "0", "65536", "-1", "5060x", "", "1e3", "٣"])
def test_impossible_via_port_is_dropped_and_kills_nothing(wire: Any, req: Any, port: str) -> None:
    assert wire.put(req("OPTIONS", via=f"SIP/2.0/UDP 192.0.2.99:{port};branch=z9hG4bK-x")) == []
    assert statuses(wire.put(req("INVITE", body=OFFER))) == [100]


@pytest.mark.parametrize("uri", ["sip:bob@192.0.2.99:99999", "sip:", "sip:bob@", "sip:bob@[::1"])
def test_impossible_contact_is_refused(wire: Any, req: Any, uri: str) -> None:
    assert statuses(wire.put(req("INVITE", body=OFFER, contact=f"Contact: <{uri}>\r\n"))) == [400]


def test_response_goes_to_the_source_with_rport(wire: Any, req: Any) -> None:
    natted = wire.flow._replace(remote=("203.0.113.9", 40000))
    out = wire.put(req("OPTIONS", to_tag="x", via="SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bK-n"), natted)
    assert wire.sent_to[0].remote == ("203.0.113.9", 40000)
    assert "received=203.0.113.9" in out[0].get("via")
    assert "rport=40000" in out[0].get("via")
    assert "branch=z9hG4bK-n" in out[0].get("via")


def test_response_goes_to_the_via_port_without_rport(wire: Any, req: Any) -> None:
    natted = wire.flow._replace(remote=("203.0.113.9", 40000))
    out = wire.put(req("OPTIONS", to_tag="x", via="SIP/2.0/UDP 10.0.0.5:5080;branch=z9hG4bK-n"), natted)
    assert wire.sent_to[0].remote == ("203.0.113.9", 5080)
    assert out[0].get("via") == "SIP/2.0/UDP 10.0.0.5:5080;branch=z9hG4bK-n;received=203.0.113.9"


def test_all_vias_and_odd_tokens_come_back_as_they_were(wire: Any, req: Any) -> None:
    via = (
        "SIP/2.0/UDP host_with_underscore:5060;branch=z9hG4bK+ab/c==;rport , SIP/2.0/TLS [2001:db8::1]:5061;branch=b%41"
    )
    text = req("OPTIONS", via=via, from_tag="a/b==", call_id="x+y/z==@h_1", to_tag="t+1")
    out = wire.put(text.replace(b"Max-Forwards", b"v: SIP/2.0/UDP third;branch=q\r\nMax-Forwards"))
    assert "branch=z9hG4bK+ab/c==" in out[0].get("via")
    assert out[0].get("via").endswith(", SIP/2.0/TLS [2001:db8::1]:5061;branch=b%41")
    assert out[0].get_all("via")[1] == "SIP/2.0/UDP third;branch=q"
    assert out[0].get("from") == "<sip:bob@192.0.2.99>;tag=a/b=="
    assert out[0].call_id == "x+y/z==@h_1"


def test_old_peers_without_a_magic_cookie_are_matched(wire: Any, req: Any) -> None:
    via = "SIP/2.0/UDP 192.0.2.99:5060"
    assert statuses(wire.put(req("INVITE", via=via, body=OFFER))) == [100]
    session = wire.handler.sessions[0]
    session.reject(486)
    assert statuses(wire.take()) == [486]
    assert statuses(wire.put(req("INVITE", via=via, body=OFFER))) == [486]
    wire.put(req("ACK", via=via, to_tag=session.local_tag))
    assert wire.advance(60) == []
    assert wire.handler.names == ["invite"]


def test_old_peers_can_cancel(wire: Any, req: Any) -> None:
    via = "SIP/2.0/UDP 192.0.2.99:5060"
    wire.put(req("INVITE", via=via, body=OFFER))
    assert statuses(wire.put(req("CANCEL", via=via))) == [200, 487]


def test_peer_without_a_from_tag_can_call(wire: Any, req: Any) -> None:
    text = req("INVITE", body=OFFER).replace(b";tag=ft", b"")
    wire.put(text)
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.take()
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag).replace(b";tag=ft", b""))
    bye = req("BYE", branch="z9hG4bK-b", cseq=2, to_tag=session.local_tag).replace(b";tag=ft", b"")
    assert statuses(wire.put(bye)) == [200]
    assert wire.handler.names == ["invite", "ack", "bye"]


def test_route_set_of_the_caller_is_used_in_order(wire: Any, req: Any) -> None:
    headers = "Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.52;lr>\r\nRecord-Route: <sip:192.0.2.53;lr>\r\n"
    session = confirmed(wire, req, headers=headers)
    session.bye()
    bye = wire.take()[0]
    assert bye.get_all("route") == ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>", "<sip:192.0.2.53;lr>"]
    assert bye.uri == "sip:bob@192.0.2.99:5060"
    assert wire.sent_to[0].remote == ("192.0.2.51", 5060)


def test_record_route_is_copied_into_the_200(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER, headers="Record-Route: <sip:192.0.2.51;lr>\r\n"))
    wire.handler.sessions[0].accept(ANSWER)
    ok = wire.take()[0]
    assert ok.get("record-route") == "<sip:192.0.2.51;lr>"
    assert ok.get("contact") == "<sip:alice@192.0.2.1:5060>"


def test_strict_router_gets_its_own_routing(wire: Any, req: Any) -> None:
    headers = "Record-Route: <sip:p1@192.0.2.51>, <sip:192.0.2.52;lr>\r\n"
    session = confirmed(wire, req, headers=headers)
    session.bye()
    bye = wire.take()[0]
    assert bye.uri == "sip:p1@192.0.2.51"
    assert bye.get_all("route") == ["<sip:192.0.2.52;lr>", "<sip:bob@192.0.2.99:5060>"]
    assert wire.sent_to[0].remote == ("192.0.2.51", 5060)


def test_upper_case_transport_in_contact(wire: Any, req: Any) -> None:
    session = confirmed(wire, req, contact="Contact: <sip:bob@192.0.2.99:5062;transport=UDP>\r\n")
    session.bye()
    assert wire.take()[0].method == "BYE"
    assert wire.sent_to[0].transport == "udp"
    assert wire.sent_to[0].remote == ("192.0.2.99", 5062)


def test_unreachable_contact_names_use_the_flow(wire: Any, req: Any) -> None:
    session = confirmed(wire, req, contact="Contact: <sip:bob@f3gh.invalid;transport=ws>\r\n")
    session.bye()
    wire.take()
    assert wire.sent_to[0] == wire.flow


def test_tcp_answers_and_requests_use_the_connection(wire: Any, req: Any) -> None:
    via = "SIP/2.0/TCP 192.0.2.99:5060;branch=z9hG4bK-t"
    wire.put(req("INVITE", body=OFFER, via=via, contact="Contact: <sip:bob@192.0.2.99;transport=tcp>\r\n"), wire.tcp)
    assert wire.sent_to == [wire.tcp]
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    ok = wire.take()[0]
    assert "transport=tcp" in ok.get("contact")
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag), wire.tcp)
    session.bye()
    bye = wire.take()[0]
    assert wire.sent_to == [wire.tcp]
    assert re.match(r"SIP/2\.0/TCP ", bye.get("via"))
    assert wire.advance(5) == []


def test_bye_waits_for_the_ack(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.take()
    assert session.bye()
    assert wire.take() == []
    out = wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))
    assert [m.method for m in out] == ["BYE"]


def test_crossing_byes_are_both_answered(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    session.bye()
    wire.take()
    assert statuses(wire.put(req("BYE", branch="z9hG4bK-b", cseq=2, to_tag=session.local_tag))) == [200]
    assert "bye" not in wire.handler.names


def test_wrong_from_tag_is_481(wire: Any, req: Any) -> None:
    session = confirmed(wire, req)
    out = wire.put(req("BYE", branch="z9hG4bK-b", cseq=2, to_tag=session.local_tag, from_tag="thief"))
    assert statuses(out) == [481]
    assert session.alive


def test_everything_is_forgotten(wire: Any, req: Any, resp: Any) -> None:
    session = confirmed(wire, req)
    session.bye()
    wire.put(resp(wire.take()[0], 200))
    wire.put(req("INVITE", call_id="call-3", branch="z9hG4bK-3", body=OFFER))
    wire.handler.sessions[-1].reject(404)
    wire.put(req("OPTIONS", call_id="call-4", branch="z9hG4bK-4"))
    wire.handler.transactions[-1].respond(200)
    assert set(wire.settle().values()) == {0}


def test_forgotten_request_is_500_in_the_end(wire: Any, req: Any) -> None:
    wire.put(req("OPTIONS"))
    assert statuses(wire.advance(33)) == [500]
    assert set(wire.settle().values()) == {0}


@pytest.mark.parametrize("event", ["invite", "request", "reinvite"])
def test_broken_handlers_answer_500(wire: Any, req: Any, event: str) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("bug")

    session = confirmed(wire, req)
    wire.handler.on[event] = broken
    text = {
        "invite": req("INVITE", branch="z9hG4bK-x", call_id="call-2", body=OFFER),
        "request": req("INFO", branch="z9hG4bK-x", cseq=2, to_tag=session.local_tag),
        "reinvite": req("INVITE", branch="z9hG4bK-x", cseq=2, to_tag=session.local_tag, body=OFFER),
    }[event]
    assert statuses(wire.put(text))[-1] == 500


def test_early_dialog_lost_answers_the_invite(wire: Any, req: Any, resp: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.progress(183, ANSWER)
    session.request_in_dialog("INFO")
    info = wire.take()[-1]
    assert statuses(wire.put(resp(info, 481))) == [480]
    assert wire.handler.last("failed").value == "gone"


@pytest.mark.parametrize("inside", ["10.0.0.5", "100.64.0.5", "fd00::5"])
def test_caller_behind_nat_is_reached_on_its_flow(wire: Any, req: Any, inside: str) -> None:
    host = f"[{inside}]" if ":" in inside else inside
    via = f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK-1;rport"
    natted = wire.flow._replace(remote=("198.51.100.7", 40000))
    contact = f"Contact: <sip:bob@{host}:5060>\r\n"
    wire.put(req("INVITE", body=OFFER, via=via, contact=contact), natted)
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.take()
    moved = natted._replace(remote=("198.51.100.7", 40001))
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag), natted)
    wire.put(req("OPTIONS", branch="z9hG4bK-o", cseq=2, to_tag=session.local_tag), moved)
    session.bye()
    assert wire.take()[0].uri == f"sip:bob@{host}:5060"
    assert wire.sent_to == [moved]


def test_a_pinned_caller_is_reached_on_its_flow_whatever_it_says(wire: Any, req: Any) -> None:
    natted = wire.flow._replace(remote=("9.9.9.9", 40000))
    via = "SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bK-1;rport"
    wire.put(req("INVITE", body=OFFER, via=via, contact="Contact: <sip:bob@8.8.8.8:5060>\r\n"), natted)
    session = wire.handler.sessions[0]
    session.pin()
    session.accept(ANSWER)
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag), natted)
    wire.take()
    session.bye()
    assert wire.take()[0].uri == "sip:bob@8.8.8.8:5060"
    assert wire.sent_to == [natted]


@pytest.mark.parametrize(("rport", "port"), [(";rport", 40000), ("", 5070)])
def test_a_caller_that_listens_on_another_port_is_reached_there(wire: Any, req: Any, rport: str, port: int) -> None:
    source = wire.flow._replace(remote=("192.0.2.99", 40000))
    via = f"SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bK-p{rport}"
    wire.put(req("INVITE", body=OFFER, via=via, contact="Contact: <sip:bob@192.0.2.99:5070>\r\n"), source)
    session = wire.handler.sessions[-1]
    session.pin()
    session.accept(ANSWER)
    wire.take()
    wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=session.local_tag), source)
    session.bye()
    wire.take()
    assert [flow.remote for flow in wire.sent_to] == [("192.0.2.99", port)]


def test_closed_connection_is_replaced_by_one_to_the_contact(make_wire: Any, req: Any) -> None:
    wire = make_wire(connected=lambda number: False)
    via = "SIP/2.0/TCP 192.0.2.99:40001;branch=z9hG4bK-t"
    wire.put(
        req("INVITE", body=OFFER, via=via, contact="Contact: <sip:bob@192.0.2.99:5070;transport=tcp>\r\n"), wire.tcp
    )
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag), wire.tcp)
    session.bye()
    wire.take()
    assert wire.sent_to[0].remote == ("192.0.2.99", 5070)
    assert wire.sent_to[0].connection == 0


def test_flood_of_one_host_leaves_room_for_others_and_for_calls_that_are_up(make_wire: Any, req: Any) -> None:
    wire = make_wire(max_transactions_per_host=5)
    session = confirmed(wire, req)
    for number in range(10):
        wire.put(req("OPTIONS", branch=f"z9hG4bK-f{number}", call_id=f"f{number}"))
    assert wire.endpoint.counters["overload"] == 6
    assert wire.endpoint.sizes["server_transactions"] == 5
    other = wire.flow._replace(remote=("192.0.2.77", 5060))
    assert statuses(wire.put(req("INVITE", branch="z9hG4bK-o", call_id="o", body=OFFER), other)) == [100]
    assert statuses(wire.put(req("BYE", branch="z9hG4bK-b", cseq=2, to_tag=session.local_tag))) == [200]
    assert set(wire.settle().values()) <= {0, 1}


def test_strangers_cancels_and_dialogs_cost_no_memory(wire: Any, req: Any) -> None:
    for number in range(20):
        first = wire.put(req("CANCEL", branch=f"z9hG4bK-{number}"))
        assert statuses(first) == [481]
        assert wire.put(req("CANCEL", branch=f"z9hG4bK-{number}"))[0].to_tag == first[0].to_tag
        wire.put(req("BYE", branch=f"z9hG4bK-b{number}", to_tag="x"))
    assert set(wire.endpoint.sizes.values()) == {0}

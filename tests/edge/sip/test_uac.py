"""What we do when we call: loss, CANCEL races, forking, challenges, refreshes. The test plays the called peer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

OFFER = b"v=0\r\noffer"
ANSWER = b"v=0\r\nanswer"


def call(wire: Any, body: bytes = OFFER, **options: Any) -> tuple[Any, Any]:
    """Start a call: the session and the INVITE that went out."""
    target = wire.target(**options.pop("target", {}))
    session = wire.endpoint.invite(target, body, owner=wire.handler, **options)
    return session, wire.take()[0]


def established(wire: Any, resp: Any, **options: Any) -> tuple[Any, Any]:
    session, invite = call(wire, **options)
    wire.put(resp(invite, 200, body=ANSWER))
    return session, invite


def methods(messages: list[Any]) -> list[str]:
    return [getattr(message, "method", str(getattr(message, "status", ""))) for message in messages]


def test_invite_is_complete(wire: Any) -> None:
    session, invite = call(wire, target={"contact_user": "me", "headers": (("P-Asserted-Identity", "<sip:a@b>"),)})
    assert invite.method == "INVITE"
    assert invite.uri == "sip:bob@192.0.2.99"
    assert invite.top_via.branch.startswith("z9hG4bK")
    assert invite.from_tag == session.local_tag
    assert invite.to_tag == ""
    assert invite.get("contact") == "<sip:me@192.0.2.1:5060>"
    assert invite.get("p-asserted-identity") == "<sip:a@b>"
    assert invite.get("content-type") == "application/sdp"
    assert invite.get("content-length") == str(len(OFFER))
    assert invite.body == OFFER


def test_invite_is_repeated_and_given_up(wire: Any) -> None:
    call(wire)
    assert [m.at for m in wire.advance(32.5)] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert wire.handler.names == ["failed"]
    assert wire.handler.last("failed").value == "timeout"


def test_invite_over_tcp_is_not_repeated(wire: Any) -> None:
    call(wire, target={"flow": wire.tcp})
    assert wire.advance(31) == []
    wire.advance(2)
    assert wire.handler.last("failed").value == "timeout"


def test_1xx_stops_the_repeating(wire: Any, resp: Any) -> None:
    _, invite = call(wire)
    wire.put(resp(invite, 100, to_tag=""))
    assert wire.advance(60) == []
    assert wire.handler.names == []


@pytest.mark.parametrize("status", [100, 180, 183])
def test_the_owner_may_hear_of_the_first_1xx_of_any_kind(wire: Any, resp: Any, status: int) -> None:
    session, invite = call(wire)
    told: list[str] = []
    session.on_trying = lambda: told.append("trying")
    wire.put(resp(invite, status, to_tag=""))
    wire.put(resp(invite, status, to_tag=""))
    assert told == ["trying"]
    assert wire.handler.names == ([] if status == 100 else ["progress", "progress"])
    wire.put(resp(invite, 486))
    assert session.on_trying is None


@pytest.mark.parametrize("status", [300, 404, 407, 486, 487, 491, 503, 603])
def test_rejections_are_acked_every_time(wire: Any, resp: Any, status: int) -> None:
    _, invite = call(wire)
    out = wire.put(resp(invite, status))
    assert methods(out) == ["ACK"]
    assert out[0].top_via.branch == invite.top_via.branch
    assert out[0].to_tag == "tt"
    assert out[0].cseq == (1, "ACK")
    assert methods(wire.put(resp(invite, status))) == ["ACK"]
    assert wire.handler.names == ["rejected"]
    assert wire.handler.last("rejected").status == status


def test_2xx_is_acked_in_its_dialog(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    out = wire.put(resp(invite, 200, body=ANSWER, headers="Record-Route: <sip:192.0.2.52;lr>, <sip:192.0.2.51;lr>\r\n"))
    assert methods(out) == ["ACK"]
    ack = out[0]
    assert ack.top_via.branch != invite.top_via.branch
    assert ack.uri == "sip:bob@192.0.2.99:5060"
    assert ack.get_all("route") == ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"]
    assert wire.sent_to[0].remote == ("192.0.2.51", 5060)
    assert session.remote_tag == "tt"
    assert wire.handler.last("accepted").body == ANSWER


def test_repeated_2xx_is_acked_again_and_told_once(wire: Any, resp: Any) -> None:
    _, invite = established(wire, resp)
    assert methods(wire.put(resp(invite, 200, body=ANSWER))) == ["ACK"]
    assert wire.handler.names == ["accepted"]


def test_repeated_2xx_after_our_bye_is_still_acked(wire: Any, resp: Any) -> None:
    session, invite = established(wire, resp)
    session.bye()
    wire.take()
    assert methods(wire.put(resp(invite, 200, body=ANSWER))) == ["ACK"]


def test_late_offer_is_answered_in_the_ack(wire: Any, resp: Any) -> None:
    session, invite = call(wire, b"", defer_ack=True)
    assert invite.get("content-type") is None
    assert "100rel" not in invite.get("supported")
    assert wire.put(resp(invite, 200, body=OFFER)) == []
    assert wire.put(resp(invite, 200, body=OFFER)) == []
    assert session.ack(ANSWER)
    ack = wire.take()[0]
    assert ack.body == ANSWER
    assert wire.put(resp(invite, 200, body=OFFER))[0].body == ANSWER
    assert session.ack(ANSWER) is False


def test_bye_before_the_deferred_ack_acks_first(wire: Any, resp: Any) -> None:
    session, invite = call(wire, b"", defer_ack=True)
    wire.put(resp(invite, 200, body=OFFER))
    session.bye()
    assert methods(wire.take()) == ["ACK", "BYE"]


def test_cancel_waits_for_the_first_1xx(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    assert session.cancel([("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    assert wire.take() == []
    out = wire.put(resp(invite, 180))
    assert methods(out) == ["CANCEL"]
    assert out[0].top_via.branch == invite.top_via.branch
    assert out[0].cseq == (1, "CANCEL")
    assert out[0].to_tag == ""
    assert "cause=200" in out[0].get("reason")
    assert [m.at for m in wire.advance(2)] == [0.5, 1.5]
    wire.put(resp(out[0], 200))
    assert methods(wire.put(resp(invite, 487))) == ["ACK"]
    assert wire.handler.names == ["rejected"]


def test_2xx_crossing_the_cancel_is_acked_and_hung_up(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 180))
    session.cancel()
    wire.take()
    out = wire.put(resp(invite, 200, body=ANSWER))
    assert methods(out) == ["ACK", "BYE"]
    assert out[1].cseq == (2, "BYE")
    assert wire.handler.names == ["progress", "failed"]
    assert wire.handler.last("failed").value == "cancelled"
    wire.put(resp(out[1], 200))
    assert wire.endpoint.sizes["sessions"] == 0


def test_cancel_without_any_final_response_ends(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 180))
    session.cancel()
    wire.advance(33)
    assert wire.handler.last("failed").value == "cancelled"
    assert wire.endpoint.sizes["sessions"] == 0


def test_ringing_for_ever_is_cancelled_by_timer_c(wire: Any, resp: Any) -> None:
    _, invite = call(wire)
    wire.put(resp(invite, 180))
    wire.advance(170)
    wire.put(resp(invite, 180))
    assert wire.advance(170) == []
    assert methods(wire.advance(11))[0] == "CANCEL"
    wire.put(resp(invite, 487))
    assert wire.handler.names[-1] == "rejected"


def test_other_branches_of_a_fork_are_hung_up(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 180, to_tag="one"))
    wire.put(resp(invite, 183, to_tag="two", body=ANSWER))
    assert [r.to_tag for name, r in wire.handler.events if name == "progress"] == ["one", "two"]
    out = wire.put(resp(invite, 200, to_tag="two", body=ANSWER))
    assert methods(out) == ["ACK"]
    out = wire.put(resp(invite, 200, to_tag="one", body=ANSWER))
    assert methods(out) == ["ACK", "BYE"]
    assert {m.to_tag for m in out} == {"one"}
    assert methods(wire.put(resp(invite, 200, to_tag="one", body=ANSWER))) == ["ACK"]
    assert session.remote_tag == "two"
    assert session.alive
    session.bye()
    assert wire.take()[0].to_tag == "two"
    assert wire.handler.names.count("accepted") == 1


def test_reliable_1xx_is_pracked_once(wire: Any, resp: Any) -> None:
    _, invite = call(wire)
    reliable = "Require: 100rel\r\nRSeq: 41\r\n"
    out = wire.put(resp(invite, 183, headers=reliable, body=ANSWER))
    assert methods(out) == ["PRACK"]
    assert out[0].get("rack") == "41 1 INVITE"
    assert out[0].cseq == (2, "PRACK")
    assert out[0].to_tag == "tt"
    wire.put(resp(out[0], 200))
    assert wire.put(resp(invite, 183, headers=reliable, body=ANSWER)) == []
    assert wire.put(resp(invite, 180, headers="Require: 100rel\r\nRSeq: 43\r\n")) == []
    assert methods(wire.put(resp(invite, 180, headers="Require: 100rel\r\nRSeq: 42\r\n"))) == ["PRACK"]
    assert wire.handler.names == ["progress", "progress"]
    out = wire.put(resp(invite, 200, body=ANSWER))
    assert out[0].cseq == (1, "ACK")
    wire.handler.last("accepted")


def test_bye_is_repeated(wire: Any, resp: Any) -> None:
    session, _ = established(wire, resp)
    session.bye()
    bye = wire.take()[0]
    assert [m.at for m in wire.advance(12)] == [0.5, 1.5, 3.5, 7.5, 11.5]
    wire.put(resp(bye, 200))
    assert wire.advance(60) == []
    assert wire.handler.names == ["accepted"]


def test_bye_without_an_answer_is_given_up(wire: Any, resp: Any) -> None:
    session, _ = established(wire, resp)
    session.bye()
    wire.advance(40)
    assert wire.endpoint.sizes["sessions"] == 0


def test_called_peer_hangs_up(wire: Any, req: Any, resp: Any) -> None:
    session, invite = established(wire, resp)
    bye = req("BYE", call_id=invite.call_id, from_tag="tt", to_tag=session.local_tag, branch="z9hG4bK-b")
    out = wire.put(bye)
    assert out[0].status == 200
    assert wire.handler.names == ["accepted", "bye"]


def test_challenge_is_answered_with_new_branch_and_cseq(wire: Any, resp: Any) -> None:
    asked: list[Any] = []

    def authenticate(challenges: Sequence[str], method: str, uri: str, body: bytes) -> str:
        asked.append((list(challenges), method, uri, body))
        return "Digest response=1"

    session, invite = call(wire, authenticate=authenticate)
    out = wire.put(resp(invite, 401, headers='WWW-Authenticate: Digest realm="r"\r\n'))
    assert methods(out) == ["ACK", "INVITE"]
    again = out[1]
    assert again.get("authorization") == "Digest response=1"
    assert again.cseq == (2, "INVITE")
    assert again.call_id == invite.call_id
    assert again.from_tag == invite.from_tag
    assert again.top_via.branch != invite.top_via.branch
    assert asked == [(['Digest realm="r"'], "INVITE", "sip:bob@192.0.2.99", OFFER)]
    ack = wire.put(resp(again, 200, body=ANSWER))[0]
    assert ack.get("authorization") == "Digest response=1"
    assert ack.cseq == (2, "ACK")
    session.bye()
    bye = wire.take()[0]
    out = wire.put(resp(bye, 407, headers='Proxy-Authenticate: Digest realm="p"\r\n'))
    assert out[0].method == "BYE"
    assert out[0].get("proxy-authorization") == "Digest response=1"


def test_challenges_without_end_are_given_up(wire: Any, resp: Any) -> None:
    _, invite = call(wire, authenticate=lambda *_: "Digest x=1")
    sent = 1
    while True:
        out = wire.put(resp(invite, 407, headers="Proxy-Authenticate: Digest\r\n"))
        if len(out) < 2:
            break
        invite, sent = out[1], sent + 1
    assert sent == 4
    assert wire.handler.names == ["rejected"]


def test_wrong_password_is_a_rejection(wire: Any, resp: Any) -> None:
    _, invite = call(wire, authenticate=lambda *_: None)
    assert methods(wire.put(resp(invite, 401, headers="WWW-Authenticate: Digest\r\n"))) == ["ACK"]
    assert wire.handler.last("rejected").status == 401


def test_lost_connection_fails_the_call(wire: Any) -> None:
    call(wire, target={"flow": wire.tcp})
    wire.endpoint.flow_failed(wire.tcp)
    assert wire.handler.last("failed").value == "transport"
    assert wire.endpoint.sizes["sessions"] == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        lambda text: text.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"),
        lambda text: text.replace(b"SIP/2.0 200", b"SIP/2.0 4294967301"),
        lambda text: text.replace(b"From:", b"Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKq\r\nFrom:"),
        lambda text: text.replace(b"Content-Length: 11", b"Content-Length: 12"),
        lambda text: text.replace(b"Call-ID", b"X-Call-ID"),
    ],
)
def test_responses_that_are_not_ours_are_dropped(wire: Any, resp: Any, spoil: Any) -> None:
    _, invite = call(wire)
    text = resp(invite, 200, body=b"hello hello")
    assert spoil(text) != text
    assert wire.put(spoil(text)) == []
    assert wire.handler.names == []


def test_request_outside_a_dialog(wire: Any, resp: Any) -> None:
    answers: list[Any] = []
    target = wire.target(headers=(("Contact", "<sip:a@192.0.2.1>"), ("Expires", "60")), call_id="reg-1", cseq=7)
    wire.endpoint.request("REGISTER", target, on_response=answers.append, authenticate=lambda *_: "Digest y=1")
    register = wire.take()[0]
    assert register.cseq == (7, "REGISTER")
    assert [m.at for m in wire.advance(4)] == [0.5, 1.5, 3.5]
    again = wire.put(resp(register, 401, headers="WWW-Authenticate: Digest\r\n"))[0]
    assert again.cseq == (8, "REGISTER")
    wire.put(resp(again, 200))
    wire.put(resp(again, 200))
    assert [answer.status for answer in answers] == [200]
    wire.endpoint.request("OPTIONS", wire.target(), on_response=answers.append)
    wire.advance(40)
    assert answers[-1] is None
    assert set(wire.settle().values()) == {0}


def test_missing_contact_falls_back_to_the_request_uri(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 200, contact=False))
    session.bye()
    assert wire.take()[0].uri == "sip:bob@192.0.2.99"


def test_peer_behind_nat_is_reached_on_its_flow(wire: Any, resp: Any) -> None:
    public = wire.flow._replace(remote=("198.51.100.7", 30000))
    session, invite = call(wire, target={"flow": public, "pin": True})
    wire.put(resp(invite, 200).replace(b"sip:bob@192.0.2.99:5060", b"sip:bob@10.0.0.5:5060"), public)
    assert wire.sent_to == [public]
    session.bye()
    assert wire.take()[0].uri == "sip:bob@10.0.0.5:5060"
    assert wire.sent_to == [public]


@pytest.mark.parametrize("contact", ["10.0.0.5", "100.64.9.9", "169.254.3.3", "192.0.2.99"])
def test_called_peer_in_a_network_of_its_own_is_reached_on_its_flow(wire: Any, resp: Any, contact: str) -> None:
    public = wire.flow._replace(remote=("9.9.9.9", 30000))
    session, invite = call(wire, target={"flow": public})
    wire.put(resp(invite, 200).replace(b"sip:bob@192.0.2.99:5060", f"sip:bob@{contact}:5060".encode()), public)
    session.bye()
    wire.take()
    assert wire.sent_to == [public]


def test_line_breaks_in_headers_are_refused(wire: Any) -> None:
    with pytest.raises(ValueError, match="line break"):
        wire.endpoint.invite(wire.target(headers=(("X", "a\r\nEvil: 1"),)), OFFER)
    assert wire.endpoint.sizes["sessions"] == 0


def test_everything_is_forgotten(wire: Any, resp: Any) -> None:
    session, invite = established(wire, resp)
    session.bye()
    wire.put(resp(wire.take()[0], 200))
    _, invite = call(wire)
    wire.put(resp(invite, 486))
    call(wire)
    session, invite = call(wire)
    wire.put(resp(invite, 180, to_tag="e1"))
    session.cancel()
    wire.put(resp(invite, 487))
    assert set(wire.settle().values()) == {0}


def test_early_dialog_lost_cancels_the_invite(wire: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 183, body=ANSWER))
    session.request_in_dialog("INFO")
    assert methods(wire.put(resp(wire.take()[0], 481))) == ["CANCEL"]
    assert wire.handler.last("failed").value == "gone"
    assert methods(wire.put(resp(invite, 200, body=ANSWER))) == ["ACK", "BYE"]
    assert set(wire.settle().values()) == {0}


def test_bye_that_overtakes_the_200_ends_the_call(wire: Any, req: Any, resp: Any) -> None:
    session, invite = call(wire)
    wire.put(resp(invite, 180))
    bye = req("BYE", call_id=invite.call_id, from_tag="tt", to_tag=session.local_tag, branch="z9hG4bK-b")
    assert methods(wire.put(bye)) == ["200", "CANCEL"]
    assert wire.handler.names == ["progress", "bye"]


# -- requests too long for a datagram (RFC 3261 §18.1.1) --------------------------------------------------------------

LONG = OFFER + b"\r\na=x" * 400


def test_a_long_request_goes_over_tcp(wire: Any, resp: Any) -> None:
    session, invite = call(wire, LONG)
    assert [(flow.transport, flow.remote, flow.connection) for flow in wire.sent_to] == [
        ("tcp", ("192.0.2.99", 5060), 0)
    ]
    assert invite.get("via").startswith("SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK")
    assert invite.get("contact") == "<sip:192.0.2.1:5060>"
    wire.put(resp(invite, 200, body=ANSWER), wire.tcp)
    assert wire.handler.names == ["accepted"]
    session.bye()
    assert wire.take()[-1].get("via").startswith("SIP/2.0/UDP")
    assert wire.sent_to[-1].transport == "udp"


def test_where_nobody_takes_tcp_it_goes_over_udp_after_all(wire: Any, resp: Any) -> None:
    _, invite = call(wire, LONG)
    wire.endpoint.flow_failed(wire.sent_to[0])
    [again] = wire.take()
    assert again.get("via").startswith("SIP/2.0/UDP")
    assert again.cseq[0] == invite.cseq[0] + 1
    assert again.body == LONG
    wire.put(resp(again, 486))
    assert wire.handler.names == ["rejected"]
    _, second = call(wire, LONG)
    assert second.get("via").startswith("SIP/2.0/UDP")
    wire.advance(3601)
    _, third = call(wire, LONG)
    assert third.get("via").startswith("SIP/2.0/TCP")


def test_a_connection_lost_after_an_answer_is_a_failure(wire: Any, resp: Any) -> None:
    _, invite = call(wire, LONG)
    flow = wire.sent_to[0]
    wire.put(resp(invite, 180), wire.tcp)
    wire.endpoint.flow_failed(flow)
    assert wire.take() == []
    assert wire.handler.last("failed").value == "transport"


def test_a_cancelled_call_is_not_tried_again(wire: Any) -> None:
    session, _ = call(wire, LONG)
    flow = wire.sent_to[0]
    session.cancel()
    wire.endpoint.flow_failed(flow)
    assert wire.take() == []
    assert wire.handler.last("failed").value == "cancelled"


def test_peers_behind_nat_get_long_requests_by_udp(make_wire: Any) -> None:
    wire = make_wire()
    _, invite = call(wire, LONG, target={"pin": True})
    assert invite.get("via").startswith("SIP/2.0/UDP")
    wire = make_wire(tcp_above=0)
    _, invite = call(wire, LONG)
    assert invite.get("via").startswith("SIP/2.0/UDP")


def test_a_long_reinvite_and_a_long_message_too(wire: Any, resp: Any) -> None:
    session, _ = established(wire, resp)
    session.reinvite(LONG)
    assert wire.take()[-1].get("via").startswith("SIP/2.0/TCP")
    wire.endpoint.request("MESSAGE", wire.target(), LONG, "text/plain", on_response=lambda response: None)
    assert wire.take()[-1].get("via").startswith("SIP/2.0/TCP")

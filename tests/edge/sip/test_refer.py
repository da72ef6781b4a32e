"""REFER within a call: what is understood, what is refused, what the referrer hears (RFC 3515, 3891, 3892, 4488)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request, parse_message
from earwitness.edge.sip.refer import EXPIRES_S, Refer, parse_refer, receive_refer
from earwitness.edge.sip.replaces import Replaces, parse_replaces

OFFER = b"v=0\r\noffer"
ANSWER = b"v=0\r\nanswer"


def refer(to: str, more: str = "") -> Refer:
    fields = "".join(f"{line}\r\n" for line in [f"Refer-To: {to}", more] if line and not line.endswith(": "))
    request = parse_message(f"REFER sip:a@b SIP/2.0\r\n{fields}\r\n".encode("utf-8", "surrogateescape"))
    assert isinstance(request, Request)
    return parse_refer(request)


def test_who_is_to_be_called() -> None:
    assert refer("<sip:+4930123@192.0.2.1>").user == "+4930123"
    assert refer("sip:bob@192.0.2.1").user == "bob"
    assert refer('"Bob, the one" <sip:b%6Fb@h;user=phone>;x=1').user == "bob"
    assert refer("<tel:+49-30-123>").user == "+49-30-123"
    plain = refer("<sip:bob@h;method=INVITE>")
    assert (plain.replaces, plain.referred_by, plain.notify) == (None, "", True)
    assert refer("<sip:bob@h>", "Referred-By: <sip:anna@h>;cid=x").referred_by == "<sip:anna@h>;cid=x"
    assert refer("<sip:bob@h>", "b: <sip:anna@h>").referred_by == "<sip:anna@h>"
    assert refer("<sip:bob@h>", "Refer-Sub: FALSE ;x").notify is False


@pytest.mark.parametrize(
    "escaped",
    [
        "Replaces=12%40h%3Bto-tag%3Da%3Bfrom-tag%3Db",
        "replaces=12@h;to-tag=a;from-tag=b",
        "Require=replaces&Replaces=12%40h%3bfrom-tag%3db%3bto-tag%3da&Subject=x",
    ],
)
def test_an_attended_transfer_names_the_other_call(escaped: str) -> None:
    assert refer(f"<sip:bob@h?{escaped}>").replaces == Replaces("12@h", "a", "b")


@pytest.mark.parametrize(
    ("to", "more", "status"),
    [
        ("", "", 400),
        ("<sip:a@h>, <sip:b@h>", "", 400),
        ("<sip:a@h>", "Refer-To: <sip:b@h>", 400),
        ("<sip:a@h>", "r: <sip:b@h>", 400),
        ("<sip:a@h", "", 400),
        ("<sip:a@h:99999>", "", 400),
        ("<http://h/>", "", 416),
        ("<sip:a@h;method=BYE>", "", 403),
        ("<sip:a@h>", "Referred-By: nobody at all", 400),
        ("<sip:a@h>", "Referred-By: <sip:x@h>\r\nReferred-By: <sip:y@h>", 400),
        ("<sip:a@h?Replaces=1%3Bto-tag%3Da>", "", 400),
        ("<sip:a@h?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db>", "", 400),
        ("<sip:a@h?Replaces=1%0D%0AEvil:x%3Bto-tag%3Da%3Bfrom-tag%3Db>", "", 400),
        ("<sip:a@h?Require=join>", "", 420),
    ],
)
def test_what_cannot_be_done_is_refused(to: str, more: str, status: int) -> None:
    with pytest.raises(SipParseError) as error:
        refer(to, more)
    assert error.value.status == status


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1;to-tag=a",
        "1;from-tag=a",
        ";to-tag=a;from-tag=b",
        "1;to-tag=a;to-tag=c;from-tag=b",
        "1;to-tag;from-tag=b",
    ],
)
def test_half_a_dialog_replaces_nothing(value: str) -> None:
    with pytest.raises(SipParseError):
        parse_replaces(value)


@given(st.text(max_size=80), st.text(max_size=40))
def test_whatever_a_stranger_writes_is_understood_or_refused(to: str, more: str) -> None:
    for text in (to, f"<sip:a@h?{to}>", f"<sip:a@h?Replaces={quote(to)}>", f"<sip:{to}@h>"):
        fields = [("refer-to", "Refer-To", text), ("referred-by", "Referred-By", f"<sip:{more}>")]
        try:
            found = parse_refer(Request("REFER", "sip:a@b", fields)).replaces
        except SipParseError:
            continue
        assert found is None or parse_replaces(str(found)) == found


# -- in a call --------------------------------------------------------------------------------------------------------


class Referred:
    """A call whose owner hands REFERs to ``receive_refer`` and accepts them."""

    def __init__(self, wire: Any, req: Any, *, accept: bool = True) -> None:
        self.wire, self.req = wire, req
        self.transfers: list[Any] = []
        self.cseq = 1

        def on_request(session: Any, transaction: Any, request: Any) -> None:
            transfer = receive_refer(session, transaction, request)
            if transfer is not None:
                self.transfers.append(transfer)
                if accept:
                    assert transfer.accept()

        wire.handler.on["request"] = on_request
        wire.put(req("INVITE", body=OFFER))
        self.session = wire.handler.sessions[-1]
        self.session.accept(ANSWER)
        wire.take()
        wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=self.session.local_tag))

    def put(self, method: str, headers: str = "") -> list[Any]:
        self.cseq += 1
        branch = f"z9hG4bK-{self.cseq}"
        tag = self.session.local_tag
        out: list[Any] = self.wire.put(self.req(method, branch=branch, cseq=self.cseq, to_tag=tag, headers=headers))
        return out

    def refer(self, to: str = "<sip:bob@192.0.2.1>", more: str = "") -> list[Any]:
        return self.put("REFER", f"Refer-To: {to}\r\n{more}")


@pytest.fixture
def call(wire: Any, req: Any) -> Referred:
    return Referred(wire, req)


def told(notify: Any) -> tuple[str, str, bytes]:
    assert notify.method == "NOTIFY"
    assert notify.get("content-type") == "message/sipfrag;version=2.0"
    assert notify.get("contact")
    return notify.get("event"), notify.get("subscription-state"), notify.body


def test_the_referrer_hears_how_it_goes(call: Referred, resp: Any) -> None:
    accepted, first = call.refer()
    assert accepted.status == 202
    assert accepted.get("contact")
    assert told(first) == ("refer", f"active;expires={EXPIRES_S}", b"SIP/2.0 100 Trying\r\n")
    assert first.cseq[0] > 0
    assert call.wire.put(resp(first, 200)) == []
    [transfer] = call.transfers
    assert transfer.open
    assert transfer.progress(180)
    [ringing] = call.wire.take()
    assert told(ringing)[2] == b"SIP/2.0 180 Ringing\r\n"
    call.wire.put(resp(ringing, 200))
    done: list[str] = []
    assert transfer.final(200, done=lambda: done.append("done"))
    [final] = call.wire.take()
    assert told(final) == ("refer", "terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    assert done == []
    call.wire.put(resp(final, 200))
    assert done == ["done"]
    assert not transfer.open
    assert not transfer.progress(180)
    assert not transfer.final(486)
    assert call.session.alive
    assert call.session.transfers_open == 0
    call.session.bye()
    assert not any(call.wire.settle().values())


def test_notifies_wait_for_each_other_and_only_the_newest_is_sent(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    [transfer] = call.transfers
    transfer.progress(180)
    transfer.progress(183, "Almost\r\nEvil: yes")
    assert call.wire.take() == []
    [second] = call.wire.put(resp(first, 200))
    assert told(second)[2] == b"SIP/2.0 183 Almost Evil: yes\r\n"
    transfer.progress(180)
    transfer.final(486)
    [third] = call.wire.put(resp(second, 200))
    assert told(third)[1:] == ("terminated;reason=noresource", b"SIP/2.0 486 Busy Here\r\n")
    assert call.session.alive


@pytest.mark.parametrize("status", [481, 405, 489, 500])
def test_a_refused_notify_ends_the_reports_and_not_the_call(call: Referred, resp: Any, status: int) -> None:
    _, first = call.refer()
    call.wire.put(resp(first, status))
    assert call.session.alive
    [transfer] = call.transfers
    done: list[int] = []
    assert transfer.open
    transfer.progress(180)
    transfer.final(200, done=lambda: done.append(1))
    assert call.wire.take() == []
    assert done == [1]
    assert "failed" not in call.wire.handler.names


def test_an_unanswered_notify_ends_the_reports_and_not_the_call(call: Referred) -> None:
    call.refer()
    [transfer] = call.transfers
    done: list[int] = []
    transfer.final(200, done=lambda: done.append(1))
    call.wire.advance(1.9)
    assert done == []
    call.wire.advance(0.2)
    assert done == [1]
    call.wire.advance(40)
    assert done == [1]
    assert call.session.alive


def test_the_referrer_hangs_up_before_the_outcome(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    assert [m.status for m in call.put("BYE")] == [200]
    [transfer] = call.transfers
    assert transfer.open
    transfer.progress(180)
    assert call.wire.put(resp(first, 200)) == []
    done: list[int] = []
    assert transfer.final(200, done=lambda: done.append(1))
    [final] = call.wire.take()
    assert told(final)[1:] == ("terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    call.wire.put(resp(final, 481))
    assert done == [1]
    assert not any(call.wire.settle().values())


def test_the_outcome_is_told_although_we_hang_up_at_once(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    [transfer] = call.transfers
    assert transfer.final(200)
    call.session.bye()
    assert [m.method for m in call.wire.take()] == ["BYE"]
    [final] = call.wire.put(resp(first, 200))
    assert told(final)[2] == b"SIP/2.0 200 OK\r\n"
    assert not any(call.wire.settle().values())


def test_a_referrer_that_forgot_is_told_nothing(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    call.put("BYE")
    call.wire.put(resp(first, 481))
    call.transfers[0].final(200)
    assert call.wire.take() == []
    assert not any(call.wire.settle().values())


def test_the_referrer_hangs_up_before_it_is_accepted(wire: Any, req: Any) -> None:
    call = Referred(wire, req, accept=False)
    assert call.refer() == []
    call.put("BYE")
    [transfer] = call.transfers
    assert not transfer.accept()
    assert [m.status for m in wire.take()] == [481]
    done: list[int] = []
    assert not transfer.final(200, done=lambda: done.append(1))
    assert done == [1]


def test_refusing(wire: Any, req: Any) -> None:
    call = Referred(wire, req, accept=False)
    call.refer()
    [transfer] = call.transfers
    assert transfer.refuse(404)
    assert [m.status for m in wire.take()] == [404]
    assert not transfer.accept()
    assert not transfer.refuse(486)
    assert wire.take() == []
    assert call.session.alive


def test_a_repeated_refer_is_one_refer(call: Referred, req: Any) -> None:
    again = req(
        "REFER",
        branch="z9hG4bK-r",
        cseq=9,
        to_tag=call.session.local_tag,
        headers="Refer-To: <sip:bob@192.0.2.1>\r\n",
    )
    assert [getattr(m, "status", 0) for m in call.wire.put(again)] == [202, 0]
    assert [m.status for m in call.wire.put(again)] == [202]
    assert len(call.transfers) == 1


def test_without_a_subscription_nothing_is_told(call: Referred) -> None:
    [accepted] = call.refer(more="Refer-Sub: false\r\nRequire: norefersub\r\n")
    assert accepted.status == 202
    assert accepted.get("refer-sub") == "false"
    [transfer] = call.transfers
    done: list[int] = []
    transfer.progress(180)
    transfer.final(200, done=lambda: done.append(1))
    assert call.wire.take() == []
    assert done == [1]


def test_several_refers_are_told_apart(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    call.transfers[0].final(486)
    [final] = call.wire.put(resp(first, 200))
    call.wire.put(resp(final, 200))
    _, second = call.refer()
    assert told(first)[0] == "refer"
    assert told(second)[0] == f"refer;id={call.cseq}"


def test_a_storm_of_refers_is_stemmed(call: Referred) -> None:
    answers = [call.refer()[0].status for _ in range(40)]
    assert answers == [202] * 4 + [491] * 36
    for transfer in call.transfers:
        transfer.final(503)
    assert call.refer()[0].status == 202


def test_no_outcome_is_a_timeout(call: Referred, resp: Any) -> None:
    _, first = call.refer()
    call.wire.put(resp(first, 200))
    [last, *_] = call.wire.advance(EXPIRES_S + 1)
    assert told(last)[1:] == ("terminated;reason=timeout", b"SIP/2.0 408 Request Timeout\r\n")
    assert not call.transfers[0].open
    assert call.session.transfers_open == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", 400),
        ("Refer-To: <sip:bob@h\r\n", 400),
        ("Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>\r\n", 400),
        ("Refer-To: <sip:a@h;method=SUBSCRIBE>\r\n", 403),
        ("Refer-To: <mailto:a@h>\r\n", 416),
        ("Refer-To: <sip:a@h?Require=join>\r\n", 420),
        ("Refer-To: <sip:a@h>\r\nReplaces: 1;to-tag=a;from-tag=b\r\n", 400),
    ],
)
def test_a_malformed_refer_leaves_the_call(call: Referred, headers: str, status: int) -> None:
    [answer] = call.put("REFER", headers)
    assert answer.status == status
    assert call.transfers == []
    assert call.session.alive


def test_a_call_cannot_replace_itself(call: Referred) -> None:
    session = call.session
    value = quote(f"{session.call_id};to-tag={session.local_tag};from-tag=ft", safe="")
    assert [m.status for m in call.refer(f"<sip:bob@192.0.2.1?Replaces={value}>")] == [400]


def test_a_refer_outside_of_a_call_is_forbidden(wire: Any, req: Any) -> None:
    out = wire.put(req("REFER", headers="Refer-To: <sip:bob@192.0.2.1>\r\n"))
    assert [m.status for m in out] == [403]
    out = wire.put(req("REFER", branch="z9hG4bK-2", to_tag="gone", headers="Refer-To: <sip:bob@192.0.2.1>\r\n"))
    assert [m.status for m in out] == [481]
    assert wire.handler.names == []


def test_unsolicited_notifies_do_no_harm(call: Referred, req: Any) -> None:
    state = "Event: refer\r\nSubscription-State: active\r\n"
    assert [m.status for m in call.put("NOTIFY", state)] == [481]
    assert [m.status for m in call.wire.put(req("NOTIFY", call_id="new", branch="z9hG4bK-n", headers=state))] == [481]
    assert call.session.alive


def test_a_called_party_may_refer_too(wire: Any, req: Any, resp: Any) -> None:
    session = wire.endpoint.invite(wire.target(), OFFER, owner=wire.handler)
    transfers: list[Any] = []
    wire.handler.on["request"] = lambda *args: transfers.append(receive_refer(*args))
    invite = wire.take()[0]
    wire.put(resp(invite, 200, body=ANSWER))
    wire.put(
        req(
            "REFER",
            call_id=session.call_id,
            from_tag="tt",
            to_tag=session.local_tag,
            headers="Refer-To: <sip:carol@192.0.2.1>\r\n",
        )
    )
    assert transfers[0].accept()
    accepted, notify = wire.take()
    assert accepted.status == 202
    assert notify.get("call-id") == session.call_id
    assert notify.cseq[0] > invite.cseq[0]


# -- INVITE with Replaces ---------------------------------------------------------------------------------------------


def replacing(wire: Any, req: Any, value: str, more: str = "", call_id: str = "other") -> list[Any]:
    headers = f"Replaces: {value}\r\nRequire: replaces\r\n{more}"
    out: list[Any] = wire.put(req("INVITE", call_id=call_id, branch=f"z9hG4bK-{call_id}", body=OFFER, headers=headers))
    return out


def test_an_invite_may_replace_a_call(call: Referred, req: Any) -> None:
    session, endpoint = call.session, call.wire.endpoint
    assert endpoint.session_for("call-1", session.local_tag, "ft") is session
    assert endpoint.session_for("call-1", session.local_tag, "other") is None
    replaces = Replaces("call-1", session.local_tag, "ft")
    assert [m.status for m in replacing(call.wire, req, str(replaces))] == [100]
    new = call.wire.handler.sessions[-1]
    assert new is not session
    assert new.replaces is session
    assert session.alive
    new.reject(603)
    assert new.replaces is None
    assert "replaces" in call.wire.config.capabilities()[1][1]


def test_an_ordinary_invite_replaces_nothing(call: Referred) -> None:
    assert call.session.replaces is None


@pytest.mark.parametrize(
    ("value", "more", "status"),
    [
        ("call-1;to-tag={tag};from-tag=wrong", "", 481),
        ("call-1;to-tag=wrong;from-tag=ft", "", 481),
        ("call-2;to-tag={tag};from-tag=ft", "", 481),
        ("call-1;to-tag={tag};from-tag=ft;early-only", "", 486),
        ("call-1;to-tag={tag}", "", 400),
        ("call-1;to-tag={tag};from-tag=ft", "Replaces: call-1;to-tag={tag};from-tag=ft\r\n", 400),
        ("call-1;to-tag={tag};from-tag=ft", "Join: call-1;to-tag={tag};from-tag=ft\r\n", 400),
    ],
)
def test_what_an_invite_cannot_replace(call: Referred, req: Any, value: str, more: str, status: int) -> None:
    tag = call.session.local_tag
    out = replacing(call.wire, req, value.format(tag=tag), more.format(tag=tag))
    assert [m.status for m in out] == [100, status]
    assert len(call.wire.handler.sessions) == 1
    assert call.session.alive


def test_a_call_that_is_being_hung_up_cannot_be_replaced(call: Referred, req: Any) -> None:
    call.session.bye()
    call.wire.take()
    out = replacing(call.wire, req, f"call-1;to-tag={call.session.local_tag};from-tag=ft")
    assert [m.status for m in out] == [100, 603]
    assert call.wire.endpoint.session_for("call-1", call.session.local_tag, "ft") is None


def test_only_our_own_ringing_calls_can_be_replaced(wire: Any, req: Any, resp: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    ringing = wire.handler.sessions[-1]
    out = replacing(wire, req, f"call-1;to-tag={ringing.local_tag};from-tag=ft")
    assert [m.status for m in out] == [100, 481]
    ours = wire.endpoint.invite(wire.target(), OFFER, owner=wire.handler)
    wire.put(resp(wire.take()[-1], 180))
    value = f"{ours.call_id};to-tag={ours.local_tag};from-tag=tt;early-only"
    assert [m.status for m in replacing(wire, req, value, call_id="third")] == [100]
    assert wire.handler.sessions[-1].replaces is ours


def test_our_invite_may_carry_them(wire: Any) -> None:
    headers = (("Replaces", str(Replaces("a@b", "x", "y", early_only=True))), ("Referred-By", "<sip:anna@h>"))
    wire.endpoint.invite(wire.target(headers=headers), OFFER, owner=wire.handler)
    invite = wire.take()[0]
    assert invite.get("replaces") == "a@b;to-tag=x;from-tag=y;early-only"
    assert parse_replaces(invite.get("replaces")).early_only
    assert invite.get("referred-by") == "<sip:anna@h>"

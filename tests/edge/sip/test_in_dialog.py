"""Re-INVITE, UPDATE, glare and session timers within a call, seen from both roles."""

from __future__ import annotations

from typing import Any

import pytest

OFFER = b"v=0\r\noffer"
ANSWER = b"v=0\r\nanswer"
TIMER = "Supported: timer\r\nSession-Expires: {}\r\n"


def called(wire: Any, req: Any, headers: str = "", body: bytes = OFFER) -> Any:
    wire.put(req("INVITE", body=body, headers=headers))
    session = wire.handler.sessions[-1]
    session.accept(ANSWER)
    session.ok = wire.take()[-1]
    wire.put(req("ACK", branch="z9hG4bK-ack", to_tag=session.local_tag))
    return session


def calling(wire: Any, resp: Any, headers: str = "") -> Any:
    session = wire.endpoint.invite(wire.target(), OFFER, owner=wire.handler)
    wire.put(resp(wire.take()[0], 200, body=ANSWER, headers=headers))
    return session


def test_reinvite_and_its_result(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    assert session.reinvite(OFFER)
    assert session.reinvite(OFFER) is False
    reinvite = wire.take()[0]
    assert reinvite.get("from") == f"<sip:alice@192.0.2.1>;tag={session.local_tag}"
    assert reinvite.get("to") == "<sip:bob@192.0.2.99>;tag=ft"
    assert reinvite.get("contact")
    out = wire.put(resp(reinvite, 200, body=ANSWER))
    assert [m.method for m in out] == ["ACK"]
    assert out[0].cseq[0] == reinvite.cseq[0]
    assert wire.handler.last("reinvite_result").body == ANSWER
    assert [m.method for m in wire.put(resp(reinvite, 200, body=ANSWER))] == ["ACK"]
    assert wire.handler.names.count("reinvite_result") == 1


def test_reinvite_with_late_offer(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    session.reinvite(b"", defer_ack=True)
    reinvite = wire.take()[0]
    assert wire.put(resp(reinvite, 200, body=OFFER)) == []
    session.ack(ANSWER)
    assert wire.take()[0].body == ANSWER


def test_refused_reinvite_leaves_the_call(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    session.reinvite(OFFER)
    assert [m.method for m in wire.put(resp(wire.take()[0], 488))] == ["ACK"]
    assert wire.handler.last("reinvite_result").status == 488
    assert session.alive


@pytest.mark.parametrize(("status", "cause"), [(481, "gone"), (408, "timeout")])
def test_reinvite_into_nowhere_ends_the_call(wire: Any, req: Any, resp: Any, status: int, cause: str) -> None:
    session = called(wire, req)
    session.reinvite(OFFER)
    wire.put(resp(wire.take()[0], status))
    assert wire.handler.last("failed").value == cause
    assert not session.alive


def test_reinvite_without_an_answer_ends_the_call(wire: Any, req: Any) -> None:
    session = called(wire, req)
    session.reinvite(OFFER)
    sent = wire.advance(33)
    assert wire.handler.last("failed").value == "timeout"
    assert [m.method for m in sent][-1] == "BYE"


def test_glare_is_491_and_tried_again_by_the_called_side_first(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    session.reinvite(OFFER)
    ours = wire.take()[0]
    theirs = req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER)
    out = wire.put(theirs)
    assert [m.status for m in out] == [100, 491]
    assert [m.method for m in wire.put(resp(ours, 491))] == ["ACK"]
    sent = wire.advance(2.0)
    retried = [m for m in sent if getattr(m, "method", "") == "INVITE"]
    assert len(retried) >= 1
    assert retried[0].cseq[0] > ours.cseq[0]
    assert retried[0].body == OFFER
    assert "reinvite_result" not in wire.handler.names


def test_glare_makes_the_calling_side_wait_longer(wire: Any, resp: Any) -> None:
    session = calling(wire, resp)
    session.reinvite(OFFER)
    wire.put(resp(wire.take()[0], 491))
    assert wire.advance(2.0) == []
    assert any(m.method == "INVITE" for m in wire.advance(2.1))


def test_peer_may_reinvite_while_our_retry_waits(wire: Any, req: Any, resp: Any) -> None:
    session = calling(wire, resp)
    session.reinvite(OFFER)
    wire.put(resp(wire.take()[0], 491))
    theirs = req(
        "INVITE", branch="z9hG4bK-re", call_id=session.call_id, from_tag="tt", to_tag=session.local_tag, body=OFFER
    )
    assert [m.status for m in wire.put(theirs)] == [100]
    assert "reinvite" in wire.handler.names


def test_reinvite_waits_for_the_ack_of_our_200(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.take()
    assert session.reinvite(OFFER)
    assert wire.take() == []
    out = wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))
    assert [m.method for m in out] == ["INVITE"]


def test_reinvite_that_meets_a_waiting_one_of_ours_is_491(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    session.reinvite(OFFER)
    wire.take()
    again = req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER)
    assert [m.status for m in wire.put(again)] == [100, 491]
    assert [m.method for m in wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))] == ["INVITE"]


def test_no_reinvite_while_the_peers_is_open(wire: Any, req: Any) -> None:
    session = called(wire, req)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    assert session.reinvite(OFFER) is False


def test_reinvite_that_overtakes_the_ack_waits_for_it(wire: Any, req: Any) -> None:
    wire.put(req("INVITE"))
    session = wire.handler.sessions[0]
    session.accept(OFFER)
    wire.take()
    again = req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER)
    assert [m.status for m in wire.put(again)] == [100]
    assert [m.status for m in wire.put(again)] == [100]
    late = req("INVITE", branch="z9hG4bK-re3", cseq=3, to_tag=session.local_tag, body=OFFER)
    assert [m.status for m in wire.put(late)] == [100, 500]
    assert session.reinvite(OFFER) is False
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag, body=ANSWER))
    assert wire.handler.names == ["invite", "ack", "reinvite"]
    assert session.accept_reinvite(ANSWER)


def test_reinvite_that_overtakes_the_ack_can_be_cancelled(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    told: list[str] = []
    session.on_withdrawn = lambda: told.append("withdrawn")
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    out = wire.put(req("CANCEL", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag))
    assert [m.status for m in out][-2:] == [200, 487]
    assert told == []
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))
    assert wire.handler.names == ["invite", "ack"]


def test_hang_up_while_everything_waits_for_the_ack(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(ANSWER)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    session.bye()
    assert [m.status for m in wire.take()][-1] == 487
    assert [m.method for m in wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))] == ["BYE"]


def test_update_and_its_result(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    assert session.update(OFFER)
    update = wire.take()[0]
    assert update.method == "UPDATE"
    wire.put(resp(update, 200, body=ANSWER))
    assert wire.handler.last("reinvite_result").body == ANSWER
    assert wire.advance(4) == []


def test_in_dialog_request_and_its_answer(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    answers: list[Any] = []
    assert session.request_in_dialog("INFO", body=b"Signal=1", content_type="a/b", on_response=answers.append)
    info = wire.take()[0]
    assert info.get("content-type") == "a/b"
    wire.put(resp(info, 415))
    assert answers[0].status == 415
    assert session.alive


def test_in_dialog_481_and_silence_end_the_call(make_wire: Any, req: Any, resp: Any) -> None:
    wire = make_wire()
    called(wire, req).request_in_dialog("OPTIONS")
    wire.put(resp(wire.take()[0], 481))
    assert wire.handler.last("failed").value == "gone"
    wire = make_wire()
    answers: list[Any] = []
    called(wire, req).request_in_dialog("OPTIONS", on_response=answers.append)
    wire.advance(33)
    assert answers == [None]
    assert wire.handler.last("failed").value == "timeout"


def test_bye_during_the_peers_reinvite_closes_it(wire: Any, req: Any) -> None:
    session = called(wire, req)
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    session.bye()
    assert [getattr(m, "status", getattr(m, "method", 0)) for m in wire.take()] == [487, "BYE"]


def test_answer_to_our_reinvite_after_bye_is_acked(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req)
    session.reinvite(OFFER)
    reinvite = wire.take()[0]
    session.bye()
    wire.take()
    assert [m.method for m in wire.put(resp(reinvite, 200, body=ANSWER))] == ["ACK"]


def test_session_interval_is_echoed_with_the_caller_refreshing(wire: Any, req: Any) -> None:
    session = called(wire, req, TIMER.format(1800))
    assert session.ok.get("session-expires") == "1800;refresher=uac"
    assert session.ok.get("require") == "timer"


def test_session_expires_without_refresh(wire: Any, req: Any) -> None:
    called(wire, req, TIMER.format(90))
    assert wire.advance(58) == []
    sent = wire.advance(3)
    assert next(m.method for m in sent) == "BYE"
    assert wire.handler.last("failed").value == "expired"


def test_refresh_keeps_the_session(wire: Any, req: Any) -> None:
    session = called(wire, req, TIMER.format(90))
    for number in range(2, 6):
        wire.advance(50)
        headers = TIMER.format("90;refresher=uac")
        out = wire.put(
            req("UPDATE", branch=f"z9hG4bK-u{number}", cseq=number, to_tag=session.local_tag, headers=headers)
        )
        assert out[0].get("session-expires") == "90;refresher=uac"
    assert session.alive


def test_too_small_interval_is_422(wire: Any, req: Any) -> None:
    out = wire.put(req("INVITE", body=OFFER, headers=TIMER.format(30)))
    assert [m.status for m in out] == [100, 422]
    assert out[1].get("min-se") == "90"
    assert wire.handler.names == []


def test_called_side_refreshes_when_asked(wire: Any, req: Any, resp: Any) -> None:
    session = called(wire, req, TIMER.format("120;refresher=uas") + "Allow: INVITE, UPDATE\r\n")
    sent = wire.advance(61)
    assert next(m.method for m in sent) == "UPDATE"
    assert sent[0].get("session-expires") == "120;refresher=uac"
    wire.put(resp(sent[0], 200, headers="Session-Expires: 120;refresher=uac\r\n"))
    assert next(m.method for m in wire.advance(61)) == "UPDATE"
    assert "reinvite_result" not in wire.handler.names
    assert session.alive


def test_refresh_by_reinvite_repeats_our_last_description(wire: Any, resp: Any) -> None:
    calling(wire, resp, "Session-Expires: 120;refresher=uac\r\nRequire: timer\r\n")
    sent = wire.advance(61)
    assert sent[0].method == "INVITE"
    assert sent[0].body == OFFER
    assert sent[0].get("session-expires") == "120;refresher=uac"
    assert [m.method for m in wire.put(resp(sent[0], 200, body=ANSWER))] == ["ACK"]


def test_a_refused_offer_is_not_what_a_refresh_repeats(wire: Any, resp: Any) -> None:
    session = calling(wire, resp, "Session-Expires: 120;refresher=uac\r\nRequire: timer\r\n")
    session.reinvite(b"v=0\r\nhold")
    wire.put(resp(wire.take()[0], 488))
    assert session.local_body == OFFER
    sent = wire.advance(61)
    assert (sent[0].method, sent[0].body) == ("INVITE", OFFER)
    session = calling(wire, resp)
    session.reinvite(b"v=0\r\nhold")
    wire.put(resp(wire.take()[0], 200, body=ANSWER))
    assert session.local_body == b"v=0\r\nhold"


def test_the_answer_to_a_refresh_is_told_and_its_refusal_is_not(wire: Any, resp: Any) -> None:
    calling(wire, resp, "Session-Expires: 120;refresher=uac\r\nRequire: timer\r\n")
    again = "Session-Expires: 120;refresher=uac\r\nRequire: timer\r\n"
    wire.put(resp(wire.advance(61)[0], 200, body=b"v=0\r\nmoved", headers=again))
    assert wire.handler.last("reinvite_result").body == b"v=0\r\nmoved"
    refresh = next(m for m in wire.advance(61) if m.method == "INVITE")
    wire.put(resp(refresh, 500))
    assert wire.handler.names.count("reinvite_result") == 1


def test_the_owner_hears_that_the_peer_withdrew_its_reinvite(wire: Any, req: Any) -> None:
    session = called(wire, req)
    told: list[str] = []
    session.on_withdrawn = lambda: told.append("withdrawn")
    wire.put(req("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag, body=OFFER))
    out = wire.put(req("CANCEL", branch="z9hG4bK-re", cseq=2, to_tag=session.local_tag))
    assert [m.status for m in out] == [200, 487]
    assert told == ["withdrawn"]
    assert session.accept_reinvite(ANSWER) is False
    assert session.alive


def test_unanswered_refresh_ends_the_call(wire: Any, resp: Any) -> None:
    calling(wire, resp, "Session-Expires: 120;refresher=uac\r\nAllow: UPDATE\r\n")
    wire.advance(100)
    assert wire.handler.names[-1] == "failed"


def test_our_interval_is_raised_after_422(make_wire: Any, resp: Any) -> None:
    wire = make_wire(session_expires=90)
    wire.endpoint.invite(wire.target(), OFFER, owner=wire.handler)
    invite = wire.take()[0]
    assert invite.get("session-expires") == "90"
    out = wire.put(resp(invite, 422, headers="Min-SE: 600\r\n"))
    assert [m.method for m in out] == ["ACK", "INVITE"]
    assert out[1].get("session-expires") == "600"
    wire.put(resp(out[1], 200, body=ANSWER))
    assert wire.handler.names == ["accepted"]
    assert wire.advance(700) == []

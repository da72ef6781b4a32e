"""Timers A to M of RFC 3261 §17 and RFC 6026 at the second, UDP and TCP."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.edge.sip.events import Timers
from earwitness.edge.sip.timers import TimerQueue

OFFER = b"v=0\r\noffer"


def invite(wire: Any, **target: Any) -> Any:
    wire.endpoint.invite(wire.target(**target), OFFER, owner=wire.handler)
    return wire.take()[0]


def options(wire: Any, answers: list[Any] | None = None, **target: Any) -> Any:
    wire.endpoint.request("OPTIONS", wire.target(**target), on_response=(answers if answers is not None else []).append)
    return wire.take()[0]


def test_a_b_invite_doubles_and_ends_at_64_t1(make_wire: Any) -> None:
    wire = make_wire(timers=Timers(t1=0.1))
    invite(wire)
    assert [m.at for m in wire.advance(6.35)] == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3]
    wire.advance(0.2)
    assert wire.handler.names == ["failed"]


def test_d_completed_invite_acks_for_32_s(wire: Any, resp: Any) -> None:
    request = invite(wire)
    wire.put(resp(request, 486))
    wire.advance(31.9)
    assert wire.put(resp(request, 486))[0].method == "ACK"
    wire.advance(0.2)
    assert wire.put(resp(request, 486)) == []
    assert wire.endpoint.counters["stray response"] == 1


def test_d_is_zero_over_tcp(wire: Any, resp: Any) -> None:
    request = invite(wire, flow=wire.tcp)
    wire.put(resp(request, 486))
    assert wire.endpoint.sizes["client_transactions"] == 0


def test_e_f_other_requests_double_up_to_t2(wire: Any) -> None:
    answers: list[Any] = []
    options(wire, answers)
    assert [m.at for m in wire.advance(31.9)] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert answers == []
    wire.advance(0.2)
    assert answers == [None]


def test_e_is_t2_once_proceeding(wire: Any, resp: Any) -> None:
    request = options(wire)
    wire.put(resp(request, 100))
    assert [m.at for m in wire.advance(9)] == [0.5, 4.5, 8.5]


def test_k_absorbs_repeated_answers(wire: Any, resp: Any) -> None:
    answers: list[Any] = []
    request = options(wire, answers)
    wire.put(resp(request, 200))
    wire.advance(4.9)
    wire.put(resp(request, 200))
    assert wire.endpoint.counters["stray response"] == 0
    wire.advance(0.2)
    wire.put(resp(request, 200))
    assert wire.endpoint.counters["stray response"] == 1
    assert len(answers) == 1


def test_m_keeps_the_accepted_invite_for_64_t1(wire: Any, resp: Any) -> None:
    request = invite(wire)
    wire.put(resp(request, 200))
    wire.advance(31.9)
    assert wire.put(resp(request, 200))[0].method == "ACK"
    wire.advance(0.2)
    assert wire.put(resp(request, 200)) == []


def test_g_h_i(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.reject(486)
    wire.take()
    assert [m.at for m in wire.advance(16)] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5]
    wire.put(req("ACK", to_tag=session.local_tag))
    wire.advance(4.9)
    assert wire.put(req("INVITE", body=OFFER)) == []
    assert wire.endpoint.sizes["server_transactions"] == 1
    wire.advance(0.2)
    assert wire.endpoint.sizes["server_transactions"] == 0


def test_g_is_silent_over_tcp(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER), wire.tcp)
    wire.handler.sessions[0].reject(486)
    wire.take()
    assert wire.advance(33) == []
    assert wire.endpoint.sizes["server_transactions"] == 0


@pytest.mark.parametrize(("kind", "kept"), [("flow", 1), ("tcp", 0)])
def test_j_remembers_the_answer_for_64_t1_on_udp(wire: Any, req: Any, kind: str, kept: int) -> None:
    source = getattr(wire, kind)
    wire.put(req("OPTIONS"), source)
    wire.handler.transactions[0].respond(200)
    wire.take()
    assert wire.endpoint.sizes["server_transactions"] == kept
    wire.advance(31.9)
    assert wire.endpoint.sizes["server_transactions"] == kept
    wire.advance(0.2)
    assert wire.endpoint.sizes["server_transactions"] == 0


def test_l_absorbs_the_invite_after_200(wire: Any, req: Any) -> None:
    wire.put(req("INVITE", body=OFFER))
    session = wire.handler.sessions[0]
    session.accept(b"v")
    wire.put(req("ACK", branch="z9hG4bK-a", to_tag=session.local_tag))
    wire.advance(31.9)
    assert wire.put(req("INVITE", body=OFFER)) == []
    assert len(wire.handler.sessions) == 1


def test_cancelled_timers_do_not_pile_up() -> None:
    queue = TimerQueue()
    fired: list[int] = []
    for number in range(5000):
        timer = queue.start(float(number), lambda n=number: fired.append(n))  # type: ignore[misc]
        if number % 100:
            timer.cancel()
            timer.cancel()
    assert len(queue) == 50
    assert len(queue._heap) < 1200
    assert queue.next() == 0.0
    while (action := queue.due(10_000.0)) is not None:
        action()
    assert fired == list(range(0, 5000, 100))
    assert queue.next() is None
    assert len(queue) == 0

"""Two endpoints over a network that loses, repeats and reorders: every call completes and nothing is left behind."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from earwitness.edge.sip.events import Target

OFFER = b"v=0\r\noffer"
ANSWER = b"v=0\r\nanswer"


def two(make_network: Any, **quality: Any) -> Any:
    network = make_network(**quality)
    network.caller, network.calls = network.node("192.0.2.1")
    network.called, network.answers = network.node("192.0.2.2")
    return network


def dial(network: Any, **options: Any) -> Any:
    flow = network.caller.flow_to("udp", ("192.0.2.2", 5060))
    target = Target("sip:bob@192.0.2.2", flow, "<sip:alice@192.0.2.1>", "<sip:bob@192.0.2.2>")
    return network.caller.invite(target, OFFER, owner=network.calls, **options)


def clean(network: Any) -> None:
    network.run(500)
    for endpoint in (network.caller, network.called):
        assert set(endpoint.sizes.values()) == {0}, endpoint.sizes
        assert endpoint.counters["internal error"] == endpoint.counters["handler error"] == 0


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
def test_every_call_completes_in_spite_of_loss(make_network: Any, loss: float) -> None:
    network = two(make_network, loss=loss, duplicate=0.1, jitter=0.2, seed=11)
    network.answers.on["invite"] = lambda session, _: (session.progress(180), session.accept(ANSWER))
    sessions = []
    for _ in range(100):
        sessions.append(dial(network))
        network.run(0.1)
    network.run(40)
    assert network.calls.names.count("accepted") == 100
    assert network.answers.names.count("ack") == 100
    for session in sessions:
        session.bye()
        network.run(0.05)
    network.run(40)
    assert network.answers.names.count("bye") == 100
    assert "failed" not in network.calls.names + network.answers.names
    clean(network)


def test_rejections_and_cancels_in_spite_of_loss(make_network: Any) -> None:
    network = two(make_network, loss=0.2, duplicate=0.1, jitter=0.2, seed=5)

    def answer(session: Any, request: Any) -> None:
        session.progress(180)
        if len(network.answers.sessions) % 2:
            session.reject(486)

    network.answers.on["invite"] = answer
    for _ in range(60):
        session = dial(network)
        network.run(3)
        session.cancel()
    network.run(60)
    ends = [response.status for name, response in network.calls.events if name == "rejected"]
    assert len(ends) == 60
    assert set(ends) == {486, 487}
    assert "failed" not in network.calls.names
    clean(network)


def test_both_sides_hang_up_or_cancel_at_any_moment(make_network: Any) -> None:
    network = two(make_network, loss=0.1, duplicate=0.2, jitter=0.3, seed=3)
    rng = network.rng

    def answer(session: Any, request: Any) -> None:
        session.progress(180)
        if rng.random() < 0.7:
            session.accept(ANSWER)

    network.answers.on["invite"] = answer
    sessions = []
    for _ in range(150):
        sessions.append(dial(network))
        network.run(rng.random() * 0.3)
        for session in rng.sample(sessions + network.answers.sessions, k=min(2, len(sessions))):
            session.hang_up()
    for session in sessions + network.answers.sessions:
        network.run(rng.random() * 0.1)
        session.hang_up()
    network.run(120)
    assert all(not session.alive for session in sessions + network.answers.sessions)
    ends = {"rejected", "failed", "bye", "cancelled"}
    for recorder in (network.calls, network.answers):
        assert sum(name in ends for name in recorder.names) <= 150
    clean(network)


def test_reinvites_from_both_sides_at_once_settle(make_network: Any) -> None:
    network = two(make_network, loss=0.05, jitter=0.05, seed=9)
    network.answers.on["invite"] = lambda session, _: session.accept(ANSWER)
    for recorder in (network.calls, network.answers):
        recorder.on["reinvite"] = lambda session, _: session.accept_reinvite(ANSWER)
    ours = dial(network)
    network.run(5)
    theirs = network.answers.sessions[0]
    for number in range(20):
        assert ours.reinvite(b"a%d" % number)
        assert theirs.reinvite(b"b%d" % number)
        network.run(40)
    for recorder in (network.calls, network.answers):
        results = [response.status for name, response in recorder.events if name == "reinvite_result"]
        assert results == [200] * 20
    theirs.bye()
    clean(network)


def test_reliable_ringing_in_spite_of_loss(make_network: Any) -> None:
    network = two(make_network, loss=0.2, duplicate=0.1, jitter=0.1, seed=4)
    network.answers.on["invite"] = lambda session, _: (
        session.progress(180),
        session.progress(183, ANSWER),
        session.accept(ANSWER),
    )
    flow = network.caller.flow_to("udp", ("192.0.2.2", 5060))
    headers = (("Require", "100rel"),)
    sessions = []
    for _ in range(40):
        target = Target("sip:b@192.0.2.2", flow, "<sip:a@192.0.2.1>", "<sip:b@192.0.2.2>", headers=headers)
        sessions.append(network.caller.invite(target, OFFER, owner=network.calls))
        network.run(1)
    network.run(60)
    statuses = [response.status for name, response in network.calls.events if name == "progress"]
    assert statuses.count(180) == statuses.count(183) == 40
    assert network.calls.names.count("accepted") == 40
    for session in sessions:
        session.bye()
    clean(network)


def test_vanished_peer_is_noticed_by_the_session_timer(make_network: Any) -> None:
    network = make_network()
    network.caller, network.calls = network.node("192.0.2.1", session_expires=90)
    network.called, network.answers = network.node("192.0.2.2")
    network.answers.on["invite"] = lambda session, _: session.accept(ANSWER)
    session = dial(network)
    network.run(600)
    assert session.alive
    network.loss = 1.0
    network.run(120)
    assert not session.alive
    assert network.calls.names[-1] == "failed"
    assert network.answers.last("failed").value == "expired"
    clean(network)


def test_finished_calls_are_freed_without_the_garbage_collector(make_network: Any) -> None:
    network = two(make_network)
    network.answers.on["invite"] = lambda session, _: (session.progress(180), session.accept(ANSWER))
    network.answers.on["reinvite"] = lambda session, _: session.accept_reinvite(ANSWER)
    gc.collect()
    gc.disable()
    try:
        session = dial(network)
        network.run(1)
        session.reinvite(OFFER)
        network.run(1)
        alive = [weakref.ref(session), weakref.ref(network.answers.sessions[0])]
        session.bye()
        del session
        clean(network)
        for recorder in (network.calls, network.answers):
            recorder.sessions.clear()
            recorder.events.clear()
        assert [reference() for reference in alive] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(8))
def test_random_lives_of_calls_leave_nothing(make_network: Any, seed: int) -> None:
    network = two(make_network, loss=0.1, duplicate=0.1, jitter=0.2, seed=seed)
    rng = network.rng

    def maybe(chance: float, action: Any) -> Any:
        return lambda session, *rest: action(session, *rest) if rng.random() < chance else None

    network.answers.on["invite"] = maybe(
        0.8, lambda session, _: (session.progress(183, ANSWER), session.accept(ANSWER))
    )
    for recorder in (network.calls, network.answers):
        recorder.on["reinvite"] = maybe(0.8, lambda session, _: session.accept_reinvite(ANSWER))
        recorder.on["reinvite_result"] = maybe(0.7, lambda session, _: session.ack(ANSWER))
        recorder.on["accepted"] = maybe(0.7, lambda session, _: session.ack(ANSWER))
        recorder.on["request"] = maybe(0.8, lambda session, transaction, _: transaction.respond(200))
    actions = [
        lambda session: session.reinvite(OFFER),
        lambda session: session.reinvite(b"", defer_ack=True),
        lambda session: session.update(OFFER),
        lambda session: session.reject_reinvite(488),
        lambda session: session.request_in_dialog("INFO", body=b"x"),
        lambda session: session.ack(ANSWER),
        lambda session: session.accept(ANSWER) if session.role == "uas" else None,
        lambda session: session.hang_up(),
    ]
    sessions = []
    for _ in range(25):
        sessions.append(dial(network, defer_ack=rng.random() < 0.3))
        for _ in range(4):
            network.run(rng.random())
            rng.choice(actions)(rng.choice(sessions + network.answers.sessions))
    network.run(40)
    for session in sessions + network.answers.sessions:
        session.hang_up()
    assert {"accepted", "ack", "reinvite", "reinvite_result", "request", "bye"} <= {
        *network.calls.names,
        *network.answers.names,
    }
    clean(network)
    assert all(not session.alive for session in sessions + network.answers.sessions)

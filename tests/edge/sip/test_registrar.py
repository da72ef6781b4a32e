from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.registrar import Contact, Registrar, Source
from earwitness.edge.sip.throttle import GuessThrottle

UDP = Source("udp", "192.0.2.5", 5060)
TCP = Source("tcp", "192.0.2.6", 40000, 7)


def _register(registrar: Registrar, *contacts: Contact, **given_: Any) -> Any:
    values: dict[str, Any] = {"star": False, "expires": 600, "call_id": "c", "cseq": 1, "source": UDP, "now": 1000.0}
    return registrar.register("s1", contacts, **{**values, **given_})


def test_register_refresh_expire() -> None:
    registrar = Registrar()
    first = _register(registrar, Contact("sip:a@192.0.2.5"))
    assert (first.status, first.changed, first.bindings[0].expires_at) == (200, True, 1600.0)
    again = _register(registrar, Contact("sip:a@192.0.2.5"), cseq=2, now=1300.0)
    assert (again.changed, again.bindings[0].expires_at) == (False, 1900.0)
    assert registrar.station_at("192.0.2.5", 5060, 1300.0) == "s1"
    assert registrar.station_at("192.0.2.5", 5060, 1900.0) is None
    assert registrar.bindings("s1", 1900.0) == ()
    assert [b.uri for b in registrar.expire(1900.0)] == ["sip:a@192.0.2.5"]
    assert registrar.all_bindings(0.0) == []


def test_several_contacts_by_preference() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:low", q=0.1), Contact("sip:high", q=0.9))
    assert [b.uri for b in registrar.bindings("s1", 1000.0)] == ["sip:high", "sip:low"]


def test_expires_of_the_contact_beats_the_header_and_is_capped() -> None:
    registrar = Registrar(max_expires=1000)
    outcome = _register(registrar, Contact("sip:a", 60), Contact("sip:b", 99999))
    assert {b.uri: b.expires_at for b in outcome.bindings} == {"sip:a": 1060.0, "sip:b": 2000.0}


def test_too_short_is_423_and_changes_nothing() -> None:
    registrar = Registrar(min_expires=60)
    outcome = _register(registrar, Contact("sip:a"), Contact("sip:b", 10))
    assert (outcome.status, outcome.min_expires) == (423, 60)
    assert registrar.bindings("s1", 1000.0) == ()


def test_query_lists_and_changes_nothing() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"))
    outcome = _register(registrar, expires=None, cseq=2)
    assert (outcome.status, outcome.changed, [b.uri for b in outcome.bindings]) == (200, False, ["sip:a"])


def test_unregister_one_and_all() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"), Contact("sip:b"))
    assert [b.uri for b in _register(registrar, Contact("sip:a", 0), cseq=2).bindings] == ["sip:b"]
    assert _register(registrar, star=True, expires=0, cseq=3).bindings == ()
    assert registrar.station_at("192.0.2.5", 5060, 1000.0) is None


@pytest.mark.parametrize("values", [{"expires": 600}, {"expires": None}])
def test_star_needs_expires_0(values: dict[str, Any]) -> None:
    assert _register(Registrar(), star=True, **values).status == 400


def test_star_with_another_contact_is_400() -> None:
    assert _register(Registrar(), Contact("sip:a"), star=True, expires=0).status == 400


@pytest.mark.parametrize("star", [True, False])
def test_an_older_cseq_is_refused_whole(star: bool) -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"), cseq=5)
    contacts = () if star else (Contact("sip:b"), Contact("sip:a", 0))
    assert _register(registrar, *contacts, star=star, expires=0, cseq=5).status == 500
    assert [b.uri for b in registrar.bindings("s1", 1000.0)] == ["sip:a"]


def test_a_restarted_phone_replaces_its_old_contact() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a@:1", instance="<urn:uuid:1>"))
    _register(registrar, Contact("sip:a@:2", instance="<urn:uuid:1>"), call_id="new")
    assert [b.uri for b in registrar.bindings("s1", 1000.0)] == ["sip:a@:2"]


def test_contacts_per_station_are_bounded() -> None:
    registrar = Registrar(max_contacts=2)
    for i in range(4):
        _register(registrar, Contact(f"sip:{i}"), cseq=i + 1, now=1000.0 + i)
    assert [b.uri for b in registrar.bindings("s1", 1004.0)] == ["sip:3", "sip:2"]


def test_a_lost_connection_takes_its_bindings_along() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"))
    _register(registrar, Contact("sip:t"), source=TCP, call_id="t")
    assert [b.uri for b in registrar.connection_lost(7)] == ["sip:t"]
    assert [b.uri for b in registrar.bindings("s1", 1000.0)] == ["sip:a"]


def test_bindings_survive_a_restart_but_connections_do_not() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"))
    _register(registrar, Contact("sip:t"), source=TCP, call_id="t")
    document = json.loads(json.dumps(registrar.to_document(1000.0)))
    document["bindings"].append({"nonsense": 1})
    other = Registrar()
    assert other.load_document(document, 1100.0) == 1
    assert [b.uri for b in other.bindings("s1", 1100.0)] == ["sip:a"]
    assert other.station_at("192.0.2.5", 5060, 1100.0) == "s1"
    assert Registrar().load_document(document, 9999.0) == 0
    assert Registrar().load_document({"bindings": 3}, 0.0) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([0, 60, 600]), st.sampled_from([UDP, TCP]), st.booleans()),
        max_size=20,
    )
)
def test_address_index_follows_the_table(steps: list[tuple[str, int, Source, bool]]) -> None:
    registrar = Registrar(max_contacts=2)
    for i, (name, expires, source, star) in enumerate(steps):
        contacts = () if star else (Contact(f"sip:{name}", expires),)
        _register(
            registrar, *contacts, star=star, expires=0 if star else None, cseq=i + 1, source=source, now=1000.0 + i * 50
        )
        now = 1000.0 + i * 50
        for where in (UDP, TCP):
            there = any(b.source == where for b in registrar.bindings("s1", now))
            assert (registrar.station_at(where.host, where.port, now) == "s1") is there
    registrar.remove_station("s1")
    assert registrar._by_address == {}


def test_the_file_keeps_wall_time_whatever_ours_is() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"), now=1000.0)
    document = registrar.to_document(1100.0, shift=3600.0)
    assert document["bindings"][0]["expires_at"] == 5200.0
    other = Registrar()
    assert other.load_document(document, 700.0, shift=4000.0) == 1
    assert other.bindings("s1", 700.0)[0].expires_at == 1200.0


def test_hosts_of_phones_are_known_as_long_as_they_are_registered() -> None:
    registrar = Registrar()
    _register(registrar, Contact("sip:a"), Contact("sip:b"))
    _register(registrar, Contact("sip:a"), cseq=2)
    assert registrar.knows("192.0.2.5")
    assert not registrar.knows("192.0.2.6")
    registrar.remove_station("s1")
    assert not registrar.knows("192.0.2.5")
    assert registrar._hosts == {}


def test_guessing_gets_slower() -> None:
    throttle = GuessThrottle(free=3, longest=8.0)
    for _ in range(3):
        throttle.failed("203.0.113.1", "anna", 0.0)
    assert throttle.wait("203.0.113.1", "anna", 0.0) == 0.0
    waits = []
    for _ in range(6):
        throttle.failed("203.0.113.1", "anna", 0.0)
        waits.append(throttle.wait("203.0.113.1", "anna", 0.0))
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert throttle.wait("203.0.113.1", "bert", 0.0) == 8.0
    assert throttle.wait("203.0.113.2", "anna", 0.0) == 8.0
    assert throttle.wait("203.0.113.2", "bert", 0.0) == 0.0
    assert throttle.wait("203.0.113.1", "anna", 8.0) == 0.0


def test_the_phone_itself_is_not_kept_out_by_others_guessing() -> None:
    throttle = GuessThrottle(free=0)
    throttle.succeeded("192.0.2.5", "anna")
    throttle.failed("203.0.113.1", "anna", 0.0)
    assert throttle.wait("192.0.2.5", "anna", 0.0) == 0.0
    assert throttle.wait("192.0.2.9", "anna", 0.0) > 0.0


def test_one_phone_with_a_wrong_password_locks_out_no_other_of_its_office() -> None:
    throttle = GuessThrottle()
    throttle.succeeded("203.0.113.9", "good")
    for attempt in range(25):
        throttle.failed("203.0.113.9", "bad", 30.0 * attempt)
    assert throttle.wait("203.0.113.9", "good", 720.0) == 0.0
    assert throttle.wait("203.0.113.9", "bad", 720.0) > 0.0


def test_a_known_phone_whose_password_has_changed_waits_a_little_and_harms_nobody() -> None:
    throttle = GuessThrottle(free=2, longest_trusted=4.0)
    throttle.succeeded("203.0.113.9", "anna")
    for _ in range(20):
        throttle.failed("203.0.113.9", "anna", 0.0)
    assert throttle.wait("203.0.113.9", "anna", 0.0) == 4.0
    assert throttle.wait("203.0.113.9", "bert", 0.0) == 0.0
    throttle.succeeded("203.0.113.9", "anna")
    assert throttle.wait("203.0.113.9", "anna", 0.0) == 0.0


def test_failures_are_forgotten_and_bounded() -> None:
    throttle = GuessThrottle(free=1, forget_after=100.0, max_entries=4)
    throttle.failed("a", "u", 0.0)
    throttle.failed("a", "u", 200.0)
    assert throttle.wait("a", "u", 200.0) == 0.0
    for i in range(50):
        throttle.failed(f"s{i}", f"u{i}", 300.0)
        throttle.succeeded(f"t{i}", f"v{i}")
    assert len(throttle._records) <= 4
    assert len(throttle._trusted) <= 4


@pytest.mark.parametrize(
    ("uri", "rport", "source", "port"),
    [
        ("sip:a@192.0.2.5:5062", False, UDP, 5062),
        ("sip:a@192.0.2.5;transport=UDP", False, Source("udp", "192.0.2.5", 40000), 5060),
        ("sip:a@192.0.2.5:5062", True, UDP, 5060),
        ("sip:a@10.0.0.5:5062", False, UDP, 5060),
        ("sip:a@phone.example:5062", False, UDP, 5060),
        ("sip:a@192.0.2.5:5060", False, UDP, 5060),
        ("sip:a@192.0.2.6:5062", False, TCP, 40000),
        ("sip:a@192.0.2.5:5062;transport=tcp", False, UDP, 5060),
        ("nonsense", False, UDP, 5060),
    ],
)
def test_a_phone_that_listens_on_another_port_is_called_there(uri: str, rport: bool, source: Source, port: int) -> None:
    registrar = Registrar()
    [binding] = _register(registrar, Contact(uri), source=source, rport=rport).bindings
    assert (binding.reach.host, binding.reach.port) == (source.host, port)
    assert binding.source == source
    assert registrar.station_at(source.host, source.port, 1000.0) == "s1"
    again = Registrar()
    if source.connection is None:
        assert again.load_document(json.loads(json.dumps(registrar.to_document(1000.0))), 1000.0) == 1
        assert again.bindings("s1", 1000.0)[0].reach == binding.reach

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.configuration import DigestCredentials, Trunk
from earwitness.edge.sip.trunks import TrunkTable, normalise_number, places, same_number, split_address


def _trunk(name: str, **values: Any) -> Trunk:
    return Trunk(id=name, trunk_base_id="b-" + name, name=name, **{"enabled": True, **values})


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("192.0.2.7", 5060, "net"),
        ("192.0.2.10", 9999, "host"),
        ("192.0.2.10", 5070, "port"),
        ("192.0.2.99", 5060, None),
        ("203.0.113.1", 5060, None),
        ("198.51.100.1", 1234, "server"),
        ("198.51.100.2", 5060, "named"),
        ("2001:db8::5", 5060, "six"),
        ("::ffff:192.0.2.7", 5060, "net"),
        ("not an address", 5060, None),
    ],
)
def test_longest_prefix_wins(host: str, port: int, expected: str | None) -> None:
    table = TrunkTable(
        [
            _trunk("net", allow=("192.0.2.0/24",), deny=("192.0.2.96/28",)),
            _trunk("host", allow=("192.0.2.10",)),
            _trunk("port", allow=("192.0.2.10:5070",)),
            _trunk("server", servers=("198.51.100.1:5080",)),
            _trunk("named", servers=("sbc.example.net",)),
            _trunk("six", allow=("2001:db8::/32",)),
            _trunk("off", enabled=False, allow=("203.0.113.0/24",)),
        ],
        {"sbc.example.net": ("198.51.100.2",)},
    )
    found = table.identify(host, port)
    assert (found.name if found else None) == expected


def test_two_trunks_to_one_host_are_told_apart_by_port() -> None:
    table = TrunkTable([_trunk("a", servers=("192.0.2.1:5070",)), _trunk("b", servers=("192.0.2.1:5080",))])
    assert [table.identify("192.0.2.1", p) for p in (5070, 5080)] == list(table.trunks)
    assert table.identify("192.0.2.1", 40000) is not None


def test_digest_user() -> None:
    trunk = _trunk("d", credentials=DigestCredentials("carrier", "secret"))
    assert TrunkTable([trunk]).by_digest_user("carrier") == trunk
    assert TrunkTable([trunk]).by_digest_user("anna") is None


def test_outbound_choice_by_pattern_in_order() -> None:
    table = TrunkTable(
        [
            _trunk("all", servers=("192.0.2.1",), order=9),
            _trunk("de", servers=("192.0.2.2",), patterns=(r"\+49\d+", r"0[1-9]\d*"), order=1),
            _trunk("inbound only"),
        ]
    )
    assert [t.name for t in table.for_number("+4930123")] == ["de", "all"]
    assert [t.name for t in table.for_number("+4930123x")] == ["all"]
    assert [t.name for t in table.for_number("112")] == ["all"]


def test_broken_entries_are_reported_and_skipped() -> None:
    table = TrunkTable([_trunk("x", allow=("300.1.1.1", "192.0.2.1"), patterns=("(", "1.*"), servers=("192.0.2.9",))])
    assert len(table.problems) == 2
    assert table.identify("192.0.2.1", 5060) is not None
    assert len(table.for_number("123")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("host", 5060)),
        ("host:5080", ("host", 5080)),
        ("host:99999", ("host", 5060)),
        ("[2001:db8::1]:5080", ("2001:db8::1", 5080)),
        ("2001:db8::1", ("2001:db8::1", 5060)),
    ],
)
def test_split_address(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text, 5060) == expected


@pytest.mark.parametrize(
    ("user", "number"),
    [("+49 (30) 12-34;phone-context=x", "+49301234"), ("alice.b", "alice.b"), ("*97", "*97"), ("", "")],
)
def test_numbers(user: str, number: str) -> None:
    assert normalise_number(user) == number


def test_plus_does_not_matter() -> None:
    assert same_number("+15551234", "1 555 1234")
    assert not same_number("+15551234", "15551235")
    assert not same_number("", "+")


@given(st.text(max_size=40))
def test_any_text_splits(text: str) -> None:
    split_address(text, None)
    assert len(normalise_number(text)) <= 128


def test_a_server_is_where_its_name_was_found_to_be() -> None:
    resolved = {
        "srv.example": ["192.0.2.1:5070", "[2001:db8::1]:5080"],
        "plain.example": ["192.0.2.2", "2001:db8::2"],
        "srv.example:5099": ["192.0.2.3:5099"],
    }
    assert places("srv.example", resolved) == [("192.0.2.1", 5070), ("2001:db8::1", 5080)]
    assert places("plain.example", resolved) == [("192.0.2.2", 5060), ("2001:db8::2", 5060)]
    assert places("plain.example:5062", resolved) == [("192.0.2.2", 5062), ("2001:db8::2", 5062)]
    assert places("srv.example:5099", resolved) == [("192.0.2.3", 5099)]
    assert places("192.0.2.9:5064", resolved) == [("192.0.2.9", 5064)]
    assert places("unknown.example", resolved) == [("unknown.example", 5060)]
    table = TrunkTable([_trunk("t", servers=("srv.example",))], resolved)
    assert table.identify("2001:db8::1", 1234) is not None

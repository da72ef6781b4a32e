from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.locating import MAX_ADDRESSES, Srv, in_order, locate

HOSTS = {"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2", "2001:db8::2"], "carrier.example": ["192.0.2.9"]}


def places(server: str, records: Sequence[Srv] = (), transport: str = "udp") -> tuple[str, ...]:
    asked: list[str] = []

    def srv(name: str) -> Sequence[Srv]:
        asked.append(name)
        return records

    found = locate(server, transport, srv=srv, addresses=lambda host: HOSTS.get(host, []), chance=lambda n: n)
    assert asked == ([] if ":" in server else [f"_sip._{transport}.{server}"])
    return found


def test_srv_records_are_tried_by_priority_and_each_has_its_port() -> None:
    records = [Srv(20, 1, 5060, "a.example"), Srv(10, 1, 5070, "b.example")]
    assert places("carrier.example", records) == ("192.0.2.2:5070", "[2001:db8::2]:5070", "192.0.2.1:5060")
    assert places("carrier.example", records[:1], "tcp") == ("192.0.2.1:5060",)


def test_without_srv_records_the_name_is_the_host() -> None:
    assert places("carrier.example") == ("192.0.2.9:5060",)
    assert places("carrier.example:5080", [Srv(1, 1, 1, "a.example")]) == ("192.0.2.9:5080",)
    assert places("nowhere.example") == ()


def test_a_service_that_is_decidedly_absent_is_not_dialled() -> None:
    assert places("carrier.example", [Srv(0, 0, 5060, ".")]) == ()
    assert places("carrier.example", [Srv(0, 0, 5060, "")]) == ()


def test_a_resolver_cannot_make_us_dial_without_end() -> None:
    records = [Srv(0, 0, 5000 + number, "b.example") for number in range(1000)]
    assert len(places("carrier.example", records)) == MAX_ADDRESSES


def test_the_heavier_is_tried_first_more_often() -> None:
    rng = random.Random(3)
    records = [Srv(1, 0, 5060, "never"), Srv(1, 10, 5060, "seldom"), Srv(1, 90, 5060, "often")]
    first = Counter(in_order(records, lambda n: rng.randint(0, n))[0].host for _ in range(2000))
    assert 1650 < first["often"] < 1900
    assert first["never"] < 60


record = st.builds(
    Srv, st.integers(0, 3), st.integers(0, 65535), st.integers(0, 65535), st.sampled_from(["a", "b", ""])
)


@given(st.lists(record, max_size=12), st.randoms(use_true_random=False))
def test_order_keeps_every_record_and_the_priorities(records: list[Srv], rng: random.Random) -> None:
    found = in_order(records, lambda n: rng.randint(0, n))
    assert Counter(found) == Counter(records)
    assert [item.priority for item in found] == sorted(item.priority for item in records)

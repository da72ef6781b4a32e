"""Which records go when a tape is closed as of an earlier time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.tape.cut import cut_late
from earwitness.media.tape.format import encode_record

START = 1_000_000_000


@given(
    st.lists(st.tuples(st.integers(0, 50_000), st.binary(min_size=1, max_size=40)), max_size=30),
    st.integers(0, 60_000),
    st.integers(0, 16),
)
def test_no_packet_stays_that_arrived_late_and_none_goes_that_certainly_did_not(
    items: list[tuple[int, bytes]], until: int, known: int
) -> None:
    records = [encode_record(packet, offset // 1000) for offset, packet in items]
    data = np.frombuffer(b"".join(records), np.uint8)
    exact = [offset for offset, _ in items][len(items) - min(known, len(items)) :]
    cut = cut_late(data, START, START + until, np.array(exact, np.int64) + START)
    kept = data.tobytes() if cut is None else data[: cut.good].tobytes() + cut.rest
    first_exact = len(items) - len(exact)
    expected = [
        record
        for index, (record, (offset, _)) in enumerate(zip(records, items, strict=True))
        if (offset < until if index >= first_exact else offset // 1000 < until // 1000)
    ]
    assert kept == b"".join(expected)
    assert (cut.removed if cut is not None else 0) == len(records) - len(expected)

"""rtpdump: what is written is read; garbage is refused or cut, never worse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.tape import format as rtpdump
from earwitness.media.tape import reader

START = 1_795_353_600_123_456
records = st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.booleans()), max_size=40)


def file_of(items: list[tuple[bytes, int, bool]]) -> bytes:
    body = b"".join(rtpdump.encode_record(packet, offset, rtcp=rtcp) for packet, offset, rtcp in items)
    return rtpdump.encode_header(START, "192.0.2.7", 4000) + body


def parse(data: bytes) -> reader.Tape:
    return reader.parse(np.frombuffer(data, np.uint8))


@given(records, st.integers(0, 50))
def test_what_is_written_is_read(items: list[tuple[bytes, int, bool]], repeat: int) -> None:
    items = items + items[:1] * repeat
    tape = parse(file_of(items))
    assert (tape.header.host, tape.header.port, tape.header.start_us) == ("192.0.2.7", 4000, START)
    assert [tape.packet(n) for n in range(len(tape))] == [packet for packet, _, _ in items]
    assert tape.arrival_us.tolist() == [START + offset * 1000 for _, offset, _ in items]
    assert tape.rtcp.tolist() == [rtcp or not packet for packet, _, rtcp in items]
    assert tape.good_bytes == len(tape.data)


@given(records, st.data())
def test_a_file_that_was_cut_anywhere_is_read_up_to_there(
    items: list[tuple[bytes, int, bool]], data: st.DataObject
) -> None:
    whole = file_of(items)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        tape = parse(cut)
    except rtpdump.TapeError:
        assert len(cut) < len(file_of([]))
        return
    expected, size = [], len(file_of([]))
    for packet, _, _ in items:
        size += rtpdump.RECORD_HEADER + len(packet)
        if size <= len(cut):
            expected.append(packet)
    assert [tape.packet(n) for n in range(len(tape))] == expected


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_header_are_read_without_error(garbage: bytes) -> None:
    tape = parse(file_of([]) + garbage)
    assert tape.good_bytes <= len(tape.data)
    assert all(len(tape.packet(n)) == tape.lengths[n] for n in range(len(tape)))


@given(st.binary(max_size=100))
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(rtpdump.TapeError):
        parse(data)


def test_header_bytes_are_those_of_rtptools(tmp_path: Path) -> None:
    data = rtpdump.encode_header(1_000_002, "10.0.0.1", 5004) + rtpdump.encode_record(b"abcd", 20)
    assert data == (
        b"#!rtpplay1.0 10.0.0.1/5004\n" + b"\0\0\0\1" + b"\0\0\0\2" + b"\x0a\0\0\1" + b"\x13\x8c" + b"\0\0"
        + b"\0\x0c" + b"\0\4" + b"\0\0\0\x14" + b"abcd"
    )  # fmt: skip
    path = tmp_path / "x.rtpdump"
    path.write_bytes(data)
    assert reader.read(path).packet(0) == b"abcd"
    assert rtpdump.parse_header(rtpdump.encode_header(5, "2001:db8::1", 9)).host == "2001:db8::1"

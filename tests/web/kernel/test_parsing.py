"""Parsers of what strangers send: ranges, dates, JSON, enums. Property tests."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from earwitness.web.kernel import byte_ranges, strict_json
from earwitness.web.kernel.documents import LAST_US, DateInput, OneOf, RequestBody, date_text, parse_date


class Body(RequestBody):
    state: Annotated[str, OneOf("active", "inactive")] | None = None
    delete_date: DateInput | None = None
    count: int | None = None


@given(st.integers(1, 10_000), st.data())
def test_any_range_is_a_slice(size, data):
    start = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(start, size * 2))
    content = bytes(n % 251 for n in range(size))
    found = byte_ranges.parse(f"bytes={start}-{last}", size)
    assert content[found.start : found.end] == content[start : last + 1]
    suffix = byte_ranges.parse(f"bytes=-{last + 1}", size)
    assert content[suffix.start : suffix.end] == content[-(last + 1) :]
    rest = byte_ranges.parse(f"bytes={start}-", size)
    assert content[rest.start : rest.end] == content[start:]


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_range_header_crashes(header, size):
    try:
        found = byte_ranges.parse(header, size)
    except byte_ranges.UnsatisfiableError:
        return
    assert found is None or 0 <= found.start < found.end <= size


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_ranges_outside(header, size):
    with pytest.raises(byte_ranges.UnsatisfiableError):
        byte_ranges.parse(header, size)


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_s13_s27_dates_there_and_back(moment, offset_minutes):
    milliseconds = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    us = parse_date(milliseconds.isoformat())
    assert parse_date(date_text(us)) == us
    zone = timezone(timedelta(minutes=offset_minutes))
    there = milliseconds.replace(tzinfo=UTC)
    if 1 < there.year < 9999:
        assert parse_date(there.astimezone(zone).isoformat()) == us


def test_dates_beyond_the_calendar():
    assert date_text(1 << 62) == date_text(LAST_US) == "9999-12-31T23:59:59.999Z"
    assert date_text(-(1 << 62)) == "0001-01-01T00:00:00.000Z"


@given(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.booleans()))
def test_no_date_crashes(value):
    if value is None:
        return
    try:
        Body.model_validate({"deleteDate": value})
        kinds = []
    except ValidationError as error:
        kinds = [item["type"] for item in error.errors()]
    assert kinds in ([], ["earwitness_date"])


def test_s14_s15_s16_bodies():
    body = Body.model_validate({"state": "ACTIVE", "deleteDate": None, "selfUri": 3, "version": "x"})
    assert body.given() == {"state": "active", "delete_date": None}
    with pytest.raises(ValidationError):
        Body.model_validate({"state": "outdated_sdk_version"})
    for wrong in ("5", True, 5.5):
        with pytest.raises(ValidationError):
            Body.model_validate({"count": wrong})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(
        exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_good_json_passes_unchanged(document):
    assert strict_json.loads(json.dumps(document).encode()) == document


@given(st.binary(max_size=60))
def test_no_bytes_crash(data):
    try:
        strict_json.loads(data)
    except ValueError:
        return


BAD_JSON = [
    "NaN",
    "[Infinity]",
    '"\\u0000"',
    '"\\ud800"',
    '{"\\u0000": 1}',
    "9223372036854775808",
    "[" * 70 + "]" * 70,
    "1e999",
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BAD_JSON, ids=range(len(BAD_JSON)))
def test_json_that_cannot_be_kept(text):
    with pytest.raises(ValueError):
        strict_json.loads(text.encode())

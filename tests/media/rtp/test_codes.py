"""Feature codes: which digits are kept, which are let go, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.rtp.codes import PATIENCE_US, Codes, Verdict

SECOND = 1_000_000


def press(codes: Codes, digit: str, number: int, at: int) -> list[Verdict]:
    """A digit as three packets."""
    return [
        codes.packet(
            digit, (1, number), ended=part == 2, duration_ms=40 * part, packet=b"%d/%d" % (number, part), at=at
        )
        for part in range(3)
    ]


def passed(verdicts: list[Verdict]) -> str:
    return "".join(held.digit for verdict in verdicts for held in verdict.passed if held.ended)


def test_a_code_is_told_once_and_its_digits_go_nowhere() -> None:
    codes = Codes(["*1"])
    verdicts = press(codes, "*", 1, 0) + press(codes, "1", 2, SECOND)
    assert [each.code for each in verdicts if each.code] == ["*1"]
    assert passed(verdicts) == ""
    assert not codes.pending
    assert codes.packet("1", (1, 2), ended=True, duration_ms=80, packet=b"again", at=2 * SECOND) == Verdict()


def test_other_digits_pass_at_once_and_kept_ones_before_them() -> None:
    codes = Codes(["*1"])
    assert passed(press(codes, "5", 1, 0)) == "5"
    assert passed(press(codes, "*", 2, 1)) == ""
    verdicts = press(codes, "2", 3, 2)
    assert passed(verdicts) == "*2"
    assert [held.packets for held in verdicts[0].passed] == [[b"2/0", b"2/1", b"2/2"], [b"3/0"]]


def test_the_second_of_two_stars_may_begin_the_code() -> None:
    codes = Codes(["*1"])
    verdicts = press(codes, "*", 1, 0) + press(codes, "*", 2, 1) + press(codes, "1", 3, 2)
    assert passed(verdicts) == "*"
    assert [each.code for each in verdicts if each.code] == ["*1"]


def test_a_digit_is_not_kept_for_longer_than_two_seconds() -> None:
    codes = Codes(["*1"])
    press(codes, "*", 1, 0)
    assert codes.expire(PATIENCE_US) == Verdict()
    assert passed([codes.expire(PATIENCE_US + 1)]) == "*"
    assert not codes.pending


def test_a_code_that_begins_a_longer_one_waits() -> None:
    codes = Codes(["*1", "*12"])
    verdicts = press(codes, "*", 1, 0) + press(codes, "1", 2, 0)
    assert not any(each.code for each in verdicts)
    assert codes.expire(3 * SECOND).code == "*1"
    verdicts = press(codes, "*", 3, 0) + press(codes, "1", 4, 0) + press(codes, "2", 5, 0)
    assert [each.code for each in verdicts if each.code] == ["*12"]


def test_tones_count_as_well() -> None:
    codes = Codes(["*1"])
    assert codes.tone("*", 80, 0) == Verdict()
    assert codes.tone("1", 80, 1).code == "*1"
    assert passed([codes.tone("7", 80, 2)]) == "7"


@given(st.text("*12#", max_size=30), st.lists(st.text("*12#", min_size=1, max_size=4), max_size=3))
def test_every_digit_is_passed_on_in_order_or_belongs_to_a_code(digits: str, wanted: list[str]) -> None:
    codes = Codes(wanted)
    out = ""
    for number, digit in enumerate(digits):
        for verdict in press(codes, digit, number, number):
            out += "".join(held.digit for held in verdict.passed if held.ended)
            out += verdict.code or ""
    last = codes.decide()
    out += passed([last]) + (last.code or "")
    assert out == digits
    assert not codes.pending

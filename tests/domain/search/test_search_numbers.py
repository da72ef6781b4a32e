"""One number in its many spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.search.numbers import LEAST_COMMON, is_number, reversed_digits, same_number, shorter_forms

SPELLINGS = (
    "+49301234567", "+49 (30) 123-4567", "0049301234567", "030/1234567", "1234567", "sip:+49301234567@carrier:5060",
    "tel:+49-30-1234567;phone-context=x", "sips:0301234567@[::1]",
)  # fmt: skip


@pytest.mark.parametrize("one", SPELLINGS)
@pytest.mark.parametrize("other", SPELLINGS)
def test_spellings_of_one_number(one: str, other: str) -> None:
    assert same_number(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("+49301234567", "+49301234568"), ("42", "4942"), ("alice", "alice"), ("", ""), ("0", "0"), ("*97", "97")],
)
def test_different_numbers(one: str, other: str) -> None:
    assert not same_number(one, other)


def test_what_is_a_number() -> None:
    assert [is_number(text) for text in ("030 1234567", "+49 30", "12", "Müller 3", "201", "4-2")] == [
        True, True, False, False, True, False,
    ]  # fmt: skip
    assert reversed_digits("00 49 30") == "0394"
    assert reversed_digits("anonymous") is None
    assert shorter_forms("765432103") == ("7654321", "76543210", "765432103")
    assert shorter_forms("24") == ("24",)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_texts_can_be_compared(one: str, other: str) -> None:
    assert same_number(one, other) == same_number(other, one)
    digits = reversed_digits(one)
    assert digits is None or (digits.isascii() and digits.isdigit() and not digits.endswith("0"))


@given(st.integers(10**8, 10**12), st.sampled_from(["+", "00", "0", ""]), st.integers(0, 4))
def test_a_prefix_makes_no_other_number(number: int, prefix: str, cut: int) -> None:
    text = str(number)
    assert same_number(prefix + text, text)
    if len(text[cut:].lstrip("0")) >= LEAST_COMMON:
        assert same_number(text[cut:], "+" + text)

"""One number in every spelling, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.numbers import NumberError, PhoneNumber

BERLIN = PhoneNumber("49", "301234567")
SPELLINGS = (
    "+49301234567",
    "0049301234567",
    "49301234567",
    "0301234567",
    "030 1234567",
    "030/123 45-67",
    "+49 30 1234567",
    "0049 (30) 123.45.67",
    "+49 (0)30 1234567",
    "+49 (0) 30 / 123 45 67",
    "tel:+49-30-1234567",
    "sip:+49301234567@carrier.example;user=phone",
    "<sip:0301234567@10.0.0.1:5060>",
    "\u202a+49 30\u00a01234567",
)
OTHERS = (
    "1234567",
    "+43301234567",
    "+4930123456",
    "+493012345678",
    "0049311234567",
    "031 1234567",
    "+149301234567",
    "9301234567",
    "a301234567b",
    "",
    "anonymous",
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_is_found_and_replaced(text: str) -> None:
    assert BERLIN.is_in(text)
    assert BERLIN.is_in(f"call {text}, please")
    replaced = BERLIN.replaced(text, "erased-1")
    assert "erased-1" in replaced
    assert not BERLIN.is_in(replaced)


@pytest.mark.parametrize("text", OTHERS)
def test_nobody_else_is_touched(text: str) -> None:
    assert not BERLIN.is_in(text)
    assert BERLIN.replaced(text, "erased-1") == text


def test_what_stands_round_it_stays() -> None:
    assert BERLIN.replaced("sip:+49301234567@carrier", "x") == "sip:x@carrier"
    assert BERLIN.replaced("ring 030 1234567 or 0049301234567!", "x") == "ring x or x!"
    document = {
        "a": ["+49301234567", 7, None, {"callerId": "0301234567"}],
        "id": "30123456-7000-4000-8000-049301234567",
    }
    assert BERLIN.erased(document, "x") == {"a": ["x", 7, None, {"callerId": "x"}], "id": document["id"]}


@pytest.mark.parametrize(
    ("text", "country", "found"),
    [
        ("+49 30 1234567", None, BERLIN),
        ("0049 (0)30 1234567", None, BERLIN),
        ("030 1234567", "49", BERLIN),
        ("030 1234567", "+49", BERLIN),
        ("30 1234567", "0049", BERLIN),
        ("sip:+49301234567@x", "49", BERLIN),
        ("+1 (415) 555-0100", None, PhoneNumber("1", "4155550100")),
        ("+39 06 1234567", None, PhoneNumber("39", "061234567")),
        ("+352 27 1234", None, PhoneNumber("352", "271234")),
    ],
)
def test_numbers_are_read(text: str, country: str | None, found: PhoneNumber) -> None:
    assert PhoneNumber.parse(text, country) == found


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("030 1234567", None),
        ("", None),
        ("Anna", "49"),
        ("+49 110", None),
        ("+49 30 1234567", "43"),
        ("030 1234567", "4"),
        ("030 1234567", "x"),
        ("+0301234567", None),
        ("+49" + "1" * 30, None),
        ("+49301234567#", None),
    ],
)
def test_what_is_no_number_is_refused(text: str, country: str | None) -> None:
    with pytest.raises(NumberError):
        PhoneNumber.parse(text, country)


@given(st.text(max_size=60), st.one_of(st.none(), st.text(max_size=6)))
def test_any_text_is_a_number_or_an_error(text: str, country: str | None) -> None:
    try:
        found = PhoneNumber.parse(text, country)
    except NumberError:
        return
    assert PhoneNumber.parse(found.international) == found
    assert all(found.is_in(form) for form in found.forms)


@given(st.sampled_from(SPELLINGS), st.text(alphabet=" ,;!?\n", max_size=5), st.text(alphabet=" ,;!?\n", max_size=5))
def test_replacing_twice_is_replacing_once(text: str, before: str, after: str) -> None:
    once = BERLIN.replaced(f"{before}{text}{after}", "erased-1")
    assert BERLIN.replaced(once, "erased-1") == once

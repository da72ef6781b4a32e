"""One telephone number in its many spellings.

``+49 30 1234567``, ``0049301234567``, ``030/1234567`` and ``sip:+49301234567@carrier`` are one number. What is kept is
its digits in reverse, without leading zeros: two spellings of a number agree in their last digits, so one is the
beginning of the other once both are reversed.
"""

from __future__ import annotations

import re

LEAST_COMMON = 7
"""So many digits at the end must agree for two spellings of different length to be one number."""
LEAST_ASKED = 3
"""Fewer digits are no number to look for."""
MOST_DIGITS = 32
_PHONE = re.compile(r"\+?[0-9][0-9 ().\-/]*[0-9]")
_SEPARATORS = re.compile(r"[ ().\-/\u00a0\u2009-\u2015]")
_SCHEMES = ("sip:", "sips:", "tel:")


def reversed_digits(text: str) -> str | None:
    """The digits of a number, reversed, leading zeros left out; None: the text is no number.

    :param text: a number in any spelling, or a SIP or ``tel`` address of one.
    """
    bare = text.strip()[:256]
    for scheme in _SCHEMES:
        if bare.lower().startswith(scheme):
            bare = bare[len(scheme) :]
    bare = bare.partition("@")[0].partition(";")[0]
    digits = _SEPARATORS.sub("", bare).removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return None
    significant = digits.lstrip("0")[-MOST_DIGITS:]
    return significant[::-1] or None


def is_number(text: str) -> bool:
    """Whether somebody who types this looks for a number."""
    bare = text.strip()
    return bool(_PHONE.fullmatch(bare)) and len(reversed_digits(bare) or "") >= LEAST_ASKED


def shorter_forms(reversed_number: str) -> tuple[str, ...]:
    """What the same number may be kept as where it was seen without country or area code: itself and shorter ones."""
    return tuple(reversed_number[:length] for length in range(LEAST_COMMON, len(reversed_number) + 1)) or (
        reversed_number,
    )


def same_number(one: str, other: str) -> bool:
    """Whether two texts are spellings of one number; texts that are no numbers never are."""
    first, second = reversed_digits(one), reversed_digits(other)
    if first is None or second is None:
        return False
    short, long = sorted((first, second), key=len)
    return short == long or (len(short) >= LEAST_COMMON and long.startswith(short))

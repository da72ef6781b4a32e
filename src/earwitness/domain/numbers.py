"""One person's telephone number in every spelling, to find it and to put a pseudonym in its place.

``+49 30 1234567``, ``0049301234567``, ``030/1234567``, ``+49 (0)30 1234567`` and ``sip:+49301234567@carrier`` are one
number. Other than in a search, nothing is guessed here: a shorter number that only ends alike is somebody else's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LEAST_DIGITS = 5
"""Of the national part; extensions and service numbers are nobody's own."""
MOST_DIGITS = 17
"""E.164 has 15; some carriers put two before them."""
_SEPARATORS = " ().\\-/\u00a0\u2009-\u2015"
_BETWEEN = f"[{_SEPARATORS}]*"
_STRIP = re.compile(f"[{_SEPARATORS}]")
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ONE_DIGIT = {"1", "7"}
_TWO_DIGITS = re.compile("2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
"""Country codes of two digits (ITU-T E.164 assigned codes); those not of one or two have three."""
_WITHOUT_TRUNK_PREFIX = {"1", "30", "34", "39", "45", "47", "351", "352", "354", "356", "357", "420"}
"""Countries in which a national number is dialled without a 0 before it (or with one that belongs to it)."""


class NumberError(ValueError):
    """Not a number that somebody could be found by; the message says why."""


@dataclass(frozen=True)
class PhoneNumber:
    """A number, split into its country code and the rest."""

    country_code: str
    """Digits."""
    national: str
    """Digits, without the 0 that is dialled within the country."""

    @staticmethod
    def parse(text: str, country_code: str | None = None) -> PhoneNumber:
        """Reads a number in any spelling.

        :param country_code: ``49`` or ``+49``: needed for numbers that do not tell theirs.
        :raises NumberError: no number, too short or long, or its country is not known.
        """
        bare = re.sub(r"^(?:tel|sips?):", "", text.strip(), flags=re.IGNORECASE).partition("@")[0].partition(";")[0]
        digits = _STRIP.sub("", bare.replace("(0)", "") if bare.startswith(("+", "00")) else bare)
        plus = digits.startswith("+")
        digits = digits.removeprefix("+")
        if not digits.isascii() or not digits.isdigit():
            raise NumberError(f"{text!r} is no telephone number")
        home = None if country_code is None else _country(country_code)
        if plus or digits.startswith("00"):
            digits = digits if plus else digits[2:]
            code = _code_of(digits)
            if home is not None and home != code:
                raise NumberError(f"the number is of country {code}, not {home}")
            national = digits[len(code) :]
        elif home is None:
            raise NumberError("a national number needs its country code; give it, or write the number as +49 30 …")
        else:
            code, national = home, digits
        if code != "39":  # in Italy the 0 belongs to the number
            national = national.lstrip("0")
        if len(national.lstrip("0")) < LEAST_DIGITS or len(code + national) > MOST_DIGITS:
            raise NumberError(f"a number has {LEAST_DIGITS} to {MOST_DIGITS} digits")
        return PhoneNumber(code, national)

    @property
    def international(self) -> str:
        """As E.164 writes it."""
        return f"+{self.country_code}{self.national}"

    @property
    def core(self) -> str:
        """The digits that every spelling has in common, without blanks between them."""
        return self.national.lstrip("0")

    @property
    def forms(self) -> tuple[str, ...]:
        """The spellings it is looked for in, blanks and the like left out."""
        code, national = self.country_code, self.national
        found = [f"+{code}{national}", f"00{code}{national}", f"{code}{national}", f"+{code}0{national}"]
        return tuple(dict.fromkeys([*found, f"0{national}", national]))

    def is_in(self, text: str) -> bool:
        """Whether a text is this number, or has it in it."""
        return bool(self._pattern.search(text)) or self._is(text)

    def replaced(self, text: str, pseudonym: str) -> str:
        """The text with the pseudonym wherever the number was."""
        if self._is(text):
            return pseudonym
        return self._pattern.sub(pseudonym, text)

    def erased(self, value: Any, pseudonym: str) -> Any:
        """A JSON value with the pseudonym wherever the number was. UUIDs stay as they are."""
        if isinstance(value, str):
            return value if _UUID.fullmatch(value) else self.replaced(value, pseudonym)
        if isinstance(value, list):
            return [self.erased(item, pseudonym) for item in value]
        if isinstance(value, dict):
            return {key: self.erased(item, pseudonym) for key, item in value.items()}
        return value

    def _is(self, text: str) -> bool:
        """Whether a text is nothing but this number, be it without anything that says of which country."""
        return _STRIP.sub("", text.strip()) in self.forms

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        code, core = _BETWEEN.join(self.country_code), _BETWEEN.join(self.national)
        abroad = rf"(?:\+|00)?{_BETWEEN}{code}{_BETWEEN}(?:0{_BETWEEN})?{core}"
        at_home = rf"0{_BETWEEN}{core}"
        if self.country_code in _WITHOUT_TRUNK_PREFIX:
            at_home = rf"(?:0{_BETWEEN})?{core}"
        return re.compile(rf"(?<![0-9A-Za-z+])(?:{abroad}|{at_home})(?![0-9A-Za-z])")


def _country(text: str) -> str:
    digits = text.strip().removeprefix("+").removeprefix("00")
    if not digits.isascii() or not digits.isdigit() or _code_of(digits) != digits:
        raise NumberError(f"{text!r} is no country code")
    return digits


def _code_of(digits: str) -> str:
    """The country code that an international number begins with."""
    length = 1 if digits[:1] in _ONE_DIGIT else 2 if _TWO_DIGITS.fullmatch(digits[:2]) else 3
    if digits.startswith("0") or len(digits) < length:
        raise NumberError("the number does not begin with a country code")
    return digits[:length]

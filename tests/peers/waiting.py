"""Waiting for something that another process does: ask again until it is so, or say what was missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ASK_EVERY_S = 0.03


def talk(seconds: float) -> None:
    """Lets a call go on. Peers play in real time, so this is the length of what they say, not a guess at a delay."""
    time.sleep(seconds)


def eventually(ask: Callable[[], T | None], what: str, within_s: float = 10.0, story: Callable[[], str] = str) -> T:
    """The first answer of ``ask`` that is true.

    :raises AssertionError: none within ``within_s`` seconds; tells ``what`` was not, the last answer, the ``story``.
    """
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what} (last answer: {answer!r})\n{story()}")
        time.sleep(ASK_EVERY_S)

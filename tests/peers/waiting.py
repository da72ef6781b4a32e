"""Waiting for something that another process does: ask again until it is so, or say what was missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ASK_EVERY_S = 0.03
PATIENCE = 4.0
"""Machines that run tests are busy: only what has not happened after so many times the usual is called missing."""


def talk(seconds: float) -> None:
    """Lets a call go on. Peers play in real time, so this is the length of what they say, not a guess at a delay."""
    time.sleep(seconds)


def eventually(ask: Callable[[], T | None], what: str, within_s: float = 10.0, story: Callable[[], str] = str) -> T:
    """The first answer of ``ask`` that is true.

    :param within_s: how long it takes at most where nothing else runs, seconds.
    :raises AssertionError: none within ``PATIENCE`` times that; tells ``what`` was not, the last answer, the ``story``.
    """
    deadline = time.monotonic() + within_s * PATIENCE
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s * PATIENCE:g} s: {what} (last answer: {answer!r})\n{story()}")
        time.sleep(ASK_EVERY_S)

"""Feature codes of one leg: digits that may become one are kept until that is clear.

Kept digits form a row that some code begins with. With each new digit the row grows; while no code begins with it, its
first digit is let go. A row that is a code, and the beginning of no longer one, is done with: its digits go nowhere.
When nothing follows for ``PATIENCE_US``, a row that is a code is done with as well, and any other is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE_US = 2_000_000
MOST_KEYS = 32
MOST_PACKETS = 500
"""Packets that are kept of one digit: ten seconds of holding a key down."""

Key = tuple[int, int]
"""SSRC and time stamp of an event."""


@dataclass(slots=True)
class Held:
    """A digit that is kept."""

    digit: str
    key: Key | None
    """None: it was heard as a tone; there are no packets to keep."""
    at: int
    """When its latest packet came, us."""
    since: int
    """When its first one came."""
    packets: list[bytes] = field(default_factory=list)
    duration_ms: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became clear: a code, or digits that are none."""

    code: str | None = None
    passed: tuple[Held, ...] = ()


class Codes:
    """State of one leg."""

    def __init__(self, codes: Sequence[str]) -> None:
        self._codes = tuple(code for code in codes if code)
        self._row: list[Held] = []
        self._swallowed: dict[Key, None] = {}
        self._passed: dict[Key, tuple[bool, int]] = {}
        """Events that were let go: whether their end was, too, and when they began."""

    @property
    def pending(self) -> bool:
        """Whether digits are kept."""
        return bool(self._row)

    def packet(self, digit: str, key: Key, *, ended: bool, duration_ms: int, packet: bytes, at: int) -> Verdict:
        """A telephone event's packet. Of a digit that was let go already, each further packet is let go as it comes."""
        if key in self._swallowed:
            return Verdict()
        passed = self._passed.get(key)
        if passed is not None:
            over, since = passed
            self._passed[key] = (over or ended, since)
            return Verdict(passed=(Held(digit, key, at, since, [packet], duration_ms, ended and not over),))
        held = next((each for each in self._row if each.key == key), None)
        if held is not None:
            if len(held.packets) < MOST_PACKETS:
                held.packets.append(packet)
            held.at, held.duration_ms, held.ended = at, max(held.duration_ms, duration_ms), held.ended or ended
            return Verdict()
        return self._add(Held(digit, key, at, at, [packet], duration_ms, ended))

    def tone(self, digit: str, duration_ms: int, at: int) -> Verdict:
        """A digit that was heard as a tone, at its end."""
        return self._add(Held(digit, None, at, at, [], duration_ms, ended=True))

    def expire(self, now: int) -> Verdict:
        """To be called now and then: what is kept for too long is decided."""
        if not self._row or now - self._row[-1].at <= PATIENCE_US:
            return Verdict()
        return self.decide()

    def decide(self) -> Verdict:
        """Nothing follows any more."""
        text = self._text()
        return self._done(text) if text in self._codes else self._let_go(len(self._row))

    def _add(self, held: Held) -> Verdict:
        self._row.append(held)
        many = 0
        while many < len(self._row) and not self._begins(self._text()[many:]):
            many += 1
        gone = self._let_go(many)
        text = self._text()
        if text in self._codes and not any(code != text and code.startswith(text) for code in self._codes):
            return Verdict(self._done(text).code, gone.passed)
        return gone

    def _begins(self, text: str) -> bool:
        return any(code.startswith(text) for code in self._codes)

    def _text(self) -> str:
        return "".join(held.digit for held in self._row)

    def _done(self, code: str) -> Verdict:
        for held in self._row:
            if held.key is not None:
                self._swallowed[held.key] = None
        while len(self._swallowed) > MOST_KEYS:
            del self._swallowed[next(iter(self._swallowed))]
        self._row.clear()
        return Verdict(code=code)

    def _let_go(self, many: int) -> Verdict:
        gone, self._row = self._row[:many], self._row[many:]
        for held in gone:
            if held.key is not None:
                self._passed[held.key] = (held.ended, held.since)
        while len(self._passed) > MOST_KEYS:
            del self._passed[next(iter(self._passed))]
        return Verdict(passed=tuple(gone))

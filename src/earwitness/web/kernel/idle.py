"""Users' tokens that nobody uses end, if the organisation wants it so.

When a token was used is known to this process alone and not written down: after a restart the time begins anew. The
setting is read again every few seconds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from earwitness.store import settings

IDLE = "idleTokenTimeout"
"""Key of the setting: ``{"enabled", "seconds", "unit"}``."""
SHORTEST_S, LONGEST_S = 300, 8 * 3600
FRESH_US = 5_000_000
MOST = 50_000
SECOND = 1_000_000


@dataclass(slots=True)
class IdleTokens:
    """When tokens were used last. Thread-safe."""

    _used: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _limit_us: int | None = None
    _read_at: int = -(1 << 62)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look_again(self) -> None:
        """The setting has changed."""
        self._read_at = -(1 << 62)

    def used(self, session: Session, sha256: str, now: int) -> bool:
        """Notes that a user's token is used; False: it has idled for too long, and is to end."""
        if now - self._read_at > FRESH_US:
            stored = settings.get(session, IDLE, {})
            self._limit_us = int(stored.get("seconds", LONGEST_S)) * SECOND if stored.get("enabled") else None
            self._read_at = now
        if self._limit_us is None:
            return True
        with self._lock:
            last = self._used.get(sha256)
            if last is not None and now - last > self._limit_us:
                return False
            self._used[sha256] = now
            self._used.move_to_end(sha256)
            while len(self._used) > MOST:
                self._used.popitem(last=False)
        return True

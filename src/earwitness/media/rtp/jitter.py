"""The jitter buffer of one stream: packets in as they come, payloads out in order and on time. Times are RTP ticks.

The *play-out point* moves on as audio is taken. It starts ``DELAY_US`` behind the first packet, goes back when packets
turn out to come later than that, and is moved on when more waits for a while than the delay wants. A jump of the time
stamps (a new source, a gateway that begins anew) starts it again.
"""

from __future__ import annotations

DELAY_US = 40_000
MOST_US = 1_000_000
"""A packet that is so far from the play-out point belongs to another time line."""
PATIENCE = 50
"""Takes after which a buffer that was never short is made shorter."""
MOST_PACKETS = 100


Payload = tuple[int, bytes]
"""Payload type and what is in the packet."""


class Jitter:
    """State of one stream.

    :param rate: RTP clock, Hz
    """

    __slots__ = ("_delay", "_frame", "_most", "_packets", "_point", "_shortest", "_takes", "late")

    def __init__(self, rate: int) -> None:
        self._delay = rate * DELAY_US // 1_000_000
        self._most = rate * MOST_US // 1_000_000
        self._frame = rate // 50
        self._packets: dict[int, Payload] = {}
        self._point: int | None = None
        self._shortest = self._most
        self._takes = 0
        self.late = 0
        """Packets that came after their time."""

    def put(self, timestamp: int, payload: Payload) -> None:
        """A packet (32 bit time stamp)."""
        if self._point is None:
            self._begin(timestamp)
        assert self._point is not None
        ahead = (timestamp - self._point + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if not -self._most <= ahead <= self._most or len(self._packets) >= MOST_PACKETS:
            self._begin(timestamp)
            ahead = self._delay
        elif ahead < 0:
            self.late += 1
            if self._packets:
                return
            # Nothing waits and this comes late: the way has become longer.
            self._point += ahead - self._delay // 2
            ahead = self._delay // 2
        self._packets[self._point + ahead] = payload

    def take(self) -> Payload | int:
        """The payload that comes next, or for how long nothing does (ticks, at most 20 ms, which have then passed).

        After a payload, ``played`` says how long it was.
        """
        if self._point is None:
            return self._frame
        if not self._packets:
            self._point += self._frame
            self._takes, self._shortest = 0, self._most
            return self._frame
        first = min(self._packets)
        if first > self._point:
            gap = min(first - self._point, self._frame)
            self._point += gap
            return gap
        self._point = first
        return self._packets.pop(first)

    def played(self, ticks: int) -> None:
        """The last payload was so long."""
        assert self._point is not None
        self._skip(ticks)
        waiting = max(self._packets) + ticks - self._point if self._packets else 0
        self._shortest = min(self._shortest, waiting)
        self._takes += 1
        if self._takes >= PATIENCE:
            if self._shortest >= self._delay + self._frame:
                self._skip(self._frame)
            self._takes, self._shortest = 0, self._most

    @property
    def waiting(self) -> int:
        """Packets in the buffer."""
        return len(self._packets)

    def _skip(self, ticks: int) -> None:
        assert self._point is not None
        self._point += ticks
        for stamp in [each for each in self._packets if each < self._point]:
            del self._packets[stamp]

    def _begin(self, timestamp: int) -> None:
        self._packets.clear()
        self._point = timestamp - self._delay
        self._takes, self._shortest = 0, self._most

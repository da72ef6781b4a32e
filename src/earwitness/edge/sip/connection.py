"""One TCP connection of the transport, accepted or opened: framed when read, bounded when written, closed when idle."""

from __future__ import annotations

import asyncio
import itertools
from typing import Protocol, cast

import structlog

from earwitness.edge.sip.events import Address, Flow
from earwitness.edge.sip.framing import PONG, StreamFramer
from earwitness.edge.sip.headers import SipParseError

log = structlog.get_logger()

MAX_QUEUE = 512 * 1024
"""Bytes that a slow TCP peer may leave unread before its connection is closed."""
IDLE_TIMEOUT_S = 3600.0
SILENT_TIMEOUT_S = 30.0
"""A connection that was accepted and has not brought one whole message by then is closed."""


class ConnectionOwner(Protocol):
    """What a connection needs of the transport."""

    loop: asyncio.AbstractEventLoop

    def on_connected(self, connection: Connection, remote: Address, *, accepted: bool) -> None:
        """Gives the connection its flow, unless it closes it."""

    def on_frame(self, data: bytes, connection: Connection) -> None:
        """One whole message."""

    def on_disconnected(self, connection: Connection) -> None:
        """It is gone."""


_TURNS = itertools.count(1)
"""Orders what the event loop's clock, which counts milliseconds, cannot."""


class Connection(asyncio.Protocol):
    """One TCP connection, accepted or opened."""

    def __init__(self, owner: ConnectionOwner, *, accepted: bool) -> None:
        self._owner = owner
        self.accepted = accepted
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._registered = False
        self._idle: asyncio.TimerHandle | None = None
        self.last = 0.0
        self.turn = 0
        self._useful = not accepted
        self.flow = Flow("tcp", ("", 0), ("", 0))
        self.used: set[Flow] = set()
        """The flows over which something was sent here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        self._transport = stream
        peer = stream.get_extra_info("peername") or ("", 0)
        stream.set_write_buffer_limits(high=MAX_QUEUE)
        self._owner.on_connected(self, (peer[0], peer[1]), accepted=self.accepted)
        self._registered = self.flow.connection != 0
        self._alive()
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._useful:
            self._alive()
        try:
            frames = self._framer.feed(data)
        except SipParseError as error:
            log.warning("sip.stream_closed", remote=self.flow.remote[0], reason=error.reason)
            self.close()
            return
        for frame in frames:
            if frame == PONG:
                self._write(PONG)
            else:
                self._useful = True
                self._owner.on_frame(frame, self)

    def _alive(self) -> None:
        """Something useful came just now."""
        self.last = self._owner.loop.time()
        self.turn = next(_TURNS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._idle is not None:
            self._idle.cancel()
        if self._registered:
            self._registered = False
            self._owner.on_disconnected(self)

    def send(self, flow: Flow, data: bytes) -> None:
        """Write, remembering who waits for answers."""
        if len(self.used) < 256:
            self.used.add(flow)
        self._write(data)

    def finish(self) -> None:
        """Close when what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_QUEUE:
            self.close()
            return
        self._transport.write(data)

    def _watch(self) -> None:
        """Close the connection when nothing has arrived for the idle time."""
        loop = self._owner.loop
        due = self.last + (IDLE_TIMEOUT_S if self._useful else SILENT_TIMEOUT_S)
        if due <= loop.time():
            self.close()
        else:
            self._idle = loop.call_at(due, self._watch)

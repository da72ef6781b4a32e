"""The edge's side of a connection to a media process: commands go out in order and never block the event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from earwitness.media.engine import wire

BACKLOG = 10_000
"""Commands that may wait for a process that does not read."""


class Link:
    """Sends commands; ``on_lost`` is called when the other side is found gone while a backlog is sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, on_lost: Callable[[], None]) -> None:
        self.connection = connection
        self._loop = loop
        self._on_lost = on_lost
        self._backlog: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def send(self, message: list[Any], fds: tuple[int, ...] = ()) -> bool:
        """Sends a command, or keeps it until there is room; False when the other side is gone, or when it has left
        too many unread (``full``).
        """
        data = wire.encode(message)
        if not self._backlog:
            try:
                wire.send(self.connection, data, fds)
                return True
            except BlockingIOError:
                self._loop.add_writer(self.connection.fileno(), self._send_backlog)
            except OSError:
                return False
        if self.full:
            return False
        # The descriptors may be closed by the time that this is sent: keep copies.
        self._backlog.append((data, tuple(os.dup(fd) for fd in fds)))
        return True

    @property
    def full(self) -> bool:
        """Whether no more commands can wait."""
        return len(self._backlog) >= BACKLOG

    def close(self) -> None:
        """Closes the connection; what is in the backlog is forgotten."""
        self._loop.remove_reader(self.connection.fileno())
        self._loop.remove_writer(self.connection.fileno())
        self.connection.close()
        for _, fds in self._backlog:
            for fd in fds:
                os.close(fd)
        self._backlog.clear()

    def _send_backlog(self) -> None:
        try:
            while self._backlog:
                data, fds = self._backlog[0]
                wire.send(self.connection, data, fds)
                self._backlog.popleft()
                for fd in fds:
                    os.close(fd)
        except BlockingIOError:
            return
        except OSError:
            self._on_lost()
            return
        self._loop.remove_writer(self.connection.fileno())


def hung_up(connection: socket.socket) -> bool:
    """Whether the other side of a connection that never says anything is gone."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def peer_pid(connection: socket.socket) -> int:
    """Who is at the other end (unix(7), SO_PEERCRED)."""
    pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid

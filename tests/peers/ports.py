"""Free ports on loopback, for peers that want to be told theirs."""

from __future__ import annotations

import random
import socket

_given: set[int] = set()


def free_port(host: str = "127.0.0.1", run: int = 1) -> int:
    """An even port of which ``run`` in a row are free for UDP and TCP and were not given out before.

    Below the range that the kernel gives out by itself, so that nobody takes it in between.
    """
    while True:
        first = random.randrange(10000, 16000, 2)
        wanted = range(first, first + run)
        if not _given.intersection(wanted) and all(_is_free(host, port) for port in wanted):
            _given.update(wanted)
            return first


def _is_free(host: str, port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as attempt:
            try:
                attempt.bind((host, port))
            except OSError:
                return False
    return True

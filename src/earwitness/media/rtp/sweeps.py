"""Choosing a sweep."""

from __future__ import annotations

import structlog

from earwitness.media.rtp.arena import Arena
from earwitness.media.rtp.sweep import MmsgSweep, Sweep
from earwitness.media.rtp.uring_sweep import UringSweep

log = structlog.get_logger()


def open_sweep(arena: Arena, kind: str) -> Sweep:
    """The sweep that is asked for: ``uring``, ``mmsg``, or ``auto``, the former where the machine allows it.

    Raises OSError when ``uring`` is asked for and cannot be had, ValueError for any other name.
    """
    if kind not in ("auto", "mmsg", "uring"):
        raise ValueError(f"no such sweep: {kind}")
    if kind != "mmsg":
        try:
            return UringSweep(arena)
        except OSError as error:
            if kind == "uring":
                raise
            log.info("io_uring is not available; using recvmmsg", error=error.strerror)
    return MmsgSweep(arena)

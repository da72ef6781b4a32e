"""What every process of an installation does to itself first."""

from __future__ import annotations

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """Keeps this process out of core files: plain audio, keys and secrets in its memory must not reach a disk.

    Two ways, as neither is enough: the kernel is told not to dump it, wherever dumps go (prctl(2)), and the limit is 0
    for it and for the processes it starts, which an ``exec`` would make dumpable again.

    :raises OSError: the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl")

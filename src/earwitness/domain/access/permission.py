"""Permission strings, ``domain:entity:action``; in what a role holds each part may be ``*`` (contract §6)."""

from __future__ import annotations

import re

_PART = r"(?:[A-Za-z0-9_]+|\*)"
_PERMISSION = re.compile(rf"{_PART}:{_PART}:{_PART}")


def is_permission(text: str) -> bool:
    """Whether ``text`` is well-formed."""
    return _PERMISSION.fullmatch(text) is not None


def covers(held: str, asked: str) -> bool:
    """Whether somebody who holds ``held`` may do ``asked``. Malformed strings cover nothing.

    ``recording:*:view`` covers ``recording:recording:view``; a wildcard in ``asked`` needs one in ``held``.
    """
    if not is_permission(held) or not is_permission(asked):
        return False
    return all(mine in ("*", theirs) for mine, theirs in zip(held.split(":"), asked.split(":"), strict=True))

"""JSON bodies as our storage can hold them: no NaN, no NUL, no lone surrogates, no bottomless nesting."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 60


def loads(data: bytes) -> Any:
    """Parses a request body.

    :raises ValueError: not JSON (RFC 8259), or JSON that cannot be stored.
    """
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check(document, 0)
    return document


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("texts may hold neither NUL nor lone surrogates")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise ValueError("whole numbers have 64 bits")
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ValueError("number out of range")

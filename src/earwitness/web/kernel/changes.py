"""Changing a row so that the same request twice is the same as once (S20), and so that the audit log tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from earwitness.store.change_audit import Watch
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.services import Services


@contextmanager
def changing(parts: Services, caller: Caller) -> Iterator[Session]:
    """A transaction that leaves a row in the audit log for every object of the configuration that it changed."""
    with parts.database.transaction() as session:
        watch = Watch(session)
        yield session
        session.flush()
        watch.write(at=parts.clock.now_us(), subject=caller.subject, remote_address=caller.remote_address)


def differing(row: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that the row does not have yet."""
    return {name: value for name, value in values.items() if getattr(row, name) != value}


def apply(row: object, changes: Mapping[str, Any], version: int | None) -> bool:
    """Sets attributes; gives whether anything changed.

    A request that changes nothing is fine whatever version it speaks of: it may be the repetition of one whose reply
    was lost.

    :param version: the version that the client has seen, or None if it did not say.
    :raises ApiError: 409, somebody else changed the object meanwhile.
    """
    new = differing(row, changes)
    if not new:
        return False
    check_version(getattr(row, "version"), version)  # noqa: B009
    for name, value in new.items():
        setattr(row, name, value)
    return True


def check_version(current: int, given: int | None) -> None:
    """:raises ApiError: 409, ``given`` is not the version that the object has."""
    if given is not None and given != current:
        raise conflict(f"The object has version {current} now, the request speaks of {given}.", "version.conflict")


def required_text(value: str | None, field_name: str, longest: int = 256) -> str:
    """A text that must be there.

    :raises ApiError: 400, absent, blank or too long.
    """
    text = (value or "").strip()
    if not text:
        raise bad_request(f"{field_name} is required.", field_name)
    if len(text) > longest:
        raise bad_request(f"{field_name} may have {longest} characters.", field_name, "invalid.value")
    return text

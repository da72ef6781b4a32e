"""Audit rows of whatever touches a recording: written before the reply, and before the first byte of media."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store import audit
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.services import Services

log = structlog.get_logger()


def note(
    parts: Services,
    caller: Caller,
    action: str,
    entity_type: str,
    entity_id: str,
    conversation_id: str | None,
    *,
    allowed: bool = True,
    session: Session | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Writes one row, in ``session`` or in a transaction of its own."""
    note_subject(
        parts,
        caller.subject,
        caller.remote_address,
        action,
        entity_type,
        entity_id,
        conversation_id,
        allowed=allowed,
        session=session,
        detail=detail,
    )


def note_subject(
    parts: Services,
    subject: Subject,
    remote_address: str,
    action: str,
    entity_type: str,
    entity_id: str,
    conversation_id: str | None,
    *,
    allowed: bool = True,
    session: Session | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """The same for somebody who comes without a token, by a signed address."""

    def write(target: Session) -> None:
        audit.add(
            target,
            at=parts.clock.now_us(),
            subject=subject,
            action=action,
            entity_type=entity_type,
            entity_id=entity_id[:64],
            conversation_id=conversation_id[:64] if conversation_id else None,
            remote_address=remote_address,
            result="allowed" if allowed else "denied",
            detail=detail or {},
        )

    if session is not None:
        write(session)
        return
    with parts.database.transaction() as own:
        write(own)


def note_stranger(parts: Services, remote_address: str, action: str, entity_type: str, **more: Any) -> None:
    """Tells of a refusal to somebody who came without any valid token or address: in the log, and as a row.

    So that nobody fills the disk from outside, an address gets no more than a few rows in a time.

    :param more: ``entity_id``, ``detail``.
    """
    if parts.strangers.take(remote_address, parts.clock.monotonic()).exceeded:
        return
    log.warning("web.stranger_refused", action=action, remote_address=remote_address, **more)
    with parts.database.transaction() as session:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=audit.ANONYMOUS,
            action=action,
            entity_type=entity_type,
            remote_address=remote_address,
            result="denied",
            **more,
        )

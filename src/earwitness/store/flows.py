"""Flows, their versions, and uploads of them. Plain get, touch, delete: ``store.named``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session, undefer

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Division, Flow, FlowJob, FlowVersion, Prompt, Queue, User, WrapupCode

TYPES = ("inboundcall", "inqueuecall", "outboundcall")
NAMED: dict[str, Any] = {"queue": Queue, "user": User, "flow": Flow, "prompt": Prompt, "wrapup_code": WrapupCode}
"""What a flow may name -> where that is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look for; None asks nothing."""

    within: Divisions = ALL_DIVISIONS
    types: Collection[str] | None = None
    ids: Collection[str] | None = None
    division_ids: Collection[str] | None = None
    name: str | None = None
    description: str | None = None
    name_or_description: str | None = None
    published_number: int | None = None
    published_after: int | None = None
    published_before: int | None = None
    locked_by: str | None = None
    locked_by_client: str | None = None
    editable_by: str | None = None
    """A user or program that could change it: nobody else has it locked."""
    deleted: bool = False


def flows(
    session: Session, asked: Asked, *, order: str = "name", down: bool = False, number: int = 1, size: int = 25
) -> Page[Flow]:
    """A page of flows; ``order`` is ``name``, ``id`` or ``type``."""
    column = {"id": Flow.id, "type": Flow.type}.get(order, Flow.name)
    statement = _asked(asked).order_by(column.desc() if down else column, Flow.id)
    return page_of(session, statement, number, size)


def _asked(asked: Asked) -> Select[Flow]:
    statement = select(Flow).where(Flow.state == "deleted" if asked.deleted else Flow.state != "deleted")
    if not asked.within.every:
        statement = statement.where(Flow.division_id.in_(asked.within.ids))
    for column, values in ((Flow.type, asked.types), (Flow.id, asked.ids), (Flow.division_id, asked.division_ids)):
        if values is not None:
            statement = statement.where(column.in_(values))
    if asked.name:
        statement = statement.where(name_matches(Flow.name, asked.name))
    described = func.coalesce(Flow.description, "")
    if asked.description:
        statement = statement.where(
            func.lower(described).contains(asked.description.lower().strip("*"), autoescape=True)
        )
    if asked.name_or_description:
        text = asked.name_or_description.lower().strip("*")
        found = func.lower(described).contains(text, autoescape=True)
        statement = statement.where(or_(name_matches(Flow.name, asked.name_or_description), found))
    for column_, value in (
        (Flow.published_number, asked.published_number),
        (Flow.locked_by_user, asked.locked_by),
        (Flow.locked_by_client, asked.locked_by_client),
    ):
        if value is not None:
            statement = statement.where(column_ == value)
    if asked.published_after is not None:
        statement = statement.where(Flow.published_at > asked.published_after)
    if asked.published_before is not None:
        statement = statement.where(Flow.published_at < asked.published_before)
    if asked.editable_by is not None:
        mine = or_(Flow.locked_by_user == asked.editable_by, Flow.locked_by_client == asked.editable_by)
        free = Flow.locked_by_user.is_(None) & Flow.locked_by_client.is_(None)
        statement = statement.where(or_(mine, free))
    return statement


def by_name(session: Session, flow_type: str, name: str) -> Flow | None:
    """The flow of exactly that name among those of its type, unless deleted."""
    statement = select(Flow).where(Flow.type == flow_type, Flow.name == name, Flow.state != "deleted")
    return session.scalars(statement).first()


def version(session: Session, flow_id: str, number: int | None) -> FlowVersion | None:
    """A version with its text."""
    if number is None:
        return None
    statement = select(FlowVersion).where(FlowVersion.flow_id == flow_id, FlowVersion.number == number)
    return session.scalars(statement.options(undefer(FlowVersion.source), undefer(FlowVersion.configuration))).first()


def versions(session: Session, flow_id: str, *, number: int = 1, size: int = 25) -> Page[FlowVersion]:
    """A page of the versions, newest first, without their texts."""
    statement = select(FlowVersion).where(FlowVersion.flow_id == flow_id).order_by(FlowVersion.number.desc())
    return page_of(session, statement, number, size)


def heads(session: Session, rows: Collection[Flow]) -> dict[tuple[str, int], FlowVersion]:
    """The saved, checked-in and published versions of flows, without their texts, by flow and number."""
    wanted = {
        (row.id, number)
        for row in rows
        for number in (row.saved_number, row.checked_in_number, row.published_number)
        if number is not None
    }
    statement = select(FlowVersion).where(FlowVersion.flow_id.in_(sorted({row.id for row in rows})))
    found = session.scalars(statement.where(FlowVersion.number.in_(sorted({number for _, number in wanted}))))
    return {(item.flow_id, item.number): item for item in found if (item.flow_id, item.number) in wanted}


def add_version(session: Session, flow: Flow, row: FlowVersion) -> FlowVersion:
    """Adds a version as the newest; its number is given here."""
    last = session.scalar(select(func.max(FlowVersion.number)).where(FlowVersion.flow_id == flow.id)) or 0
    row.flow_id, row.number = flow.id, last + 1
    session.add(row)
    flow.saved_number = row.number
    session.flush()
    return row


def publish(session: Session, flow: Flow, row: FlowVersion, at: int, by: str | None) -> None:
    """Has calls run by that version from now on."""
    if flow.published_number == row.number:
        return
    retire(session, flow, at)
    row.type, row.published_at, row.published_until = "PUBLISH", at, None
    row.checked_in_at = row.checked_in_at or at
    flow.published_number, flow.published_at, flow.published_by = row.number, at, by
    flow.checked_in_number = max(flow.checked_in_number or 0, row.number)
    flow.saved_number = max(flow.saved_number or 0, row.number)
    session.flush()


def retire(session: Session, flow: Flow, at: int) -> None:
    """Has calls run by no version of the flow."""
    former = session.get(FlowVersion, (flow.id, flow.published_number)) if flow.published_number else None
    if former is not None:
        former.published_until = at
    flow.published_number = None
    session.flush()


def discard_saved(session: Session, flow: Flow) -> None:
    """Removes what was saved after the last check-in."""
    kept = flow.checked_in_number or 0
    session.execute(delete(FlowVersion).where(FlowVersion.flow_id == flow.id, FlowVersion.number > kept))
    flow.saved_number = flow.checked_in_number
    session.flush()


def there(session: Session, kind: str, name: str) -> bool:
    """Whether there is something of that kind (of ``NAMED``) of that id or name, in whatever case."""
    table = NAMED[kind]
    wanted = name.casefold()
    statement = select(table.id, table.name).where(table.state == "active")
    return any(name == key or wanted == known.casefold() for key, known in session.execute(statement))


def division_by_name(session: Session, name: str) -> Division | None:
    """The division of that name, in whatever case."""
    return session.scalars(select(Division).where(func.lower(Division.name) == name.lower())).first()


def queues_with(session: Session, flow_id: str) -> Sequence[Queue]:
    """Queues whose in-queue flow it is."""
    return session.scalars(
        select(Queue).where(Queue.queue_flow_id == flow_id, Queue.state != "deleted").order_by(Queue.name)
    ).all()


def job(session: Session, job_id: str, *, lock: bool = False) -> FlowJob | None:
    """The upload of that id; ``lock``: nobody else changes it until the transaction ends."""
    return session.get(FlowJob, job_id, with_for_update=True) if lock else session.get(FlowJob, job_id)


def expire_jobs(session: Session, before: int) -> None:
    """Removes uploads whose time was over before then."""
    session.execute(delete(FlowJob).where(FlowJob.expires_at < before))

"""Prompts and their recordings. Plain get, touch, delete: ``store.named``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Prompt, PromptResource, Queue


def prompts(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    names: Collection[str] | None = None,
    division_ids: Collection[str] | None = None,
    description: str | None = None,
    name_or_description: str | None = None,
    order: str = "name",
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Prompt]:
    """A page of prompts; with ``names``, those that match one of them (``*`` stands for anything)."""
    statement = select(Prompt).where(Prompt.state != "deleted")
    if not within.every:
        statement = statement.where(Prompt.division_id.in_(within.ids))
    if division_ids is not None:
        statement = statement.where(Prompt.division_id.in_(division_ids))
    if names:
        statement = statement.where(or_(*(name_matches(Prompt.name, name) for name in names)))
    described = func.lower(func.coalesce(Prompt.description, ""))
    if description:
        statement = statement.where(described.contains(description.lower().strip("*"), autoescape=True))
    if name_or_description:
        text = name_or_description.lower().strip("*")
        found = described.contains(text, autoescape=True)
        statement = statement.where(or_(name_matches(Prompt.name, name_or_description), found))
    column = {"id": Prompt.id, "description": Prompt.description}.get(order, Prompt.name)
    return page_of(session, statement.order_by(column.desc() if down else column, Prompt.id), number, size)


def by_name(session: Session, name: str) -> Prompt | None:
    """The prompt of that name, in whatever case, unless deleted."""
    statement = select(Prompt).where(func.lower(Prompt.name) == name.lower(), Prompt.state != "deleted")
    return session.scalars(statement).first()


def resource(session: Session, prompt_id: str, language: str) -> PromptResource | None:
    """A prompt in one language."""
    return session.get(PromptResource, (prompt_id, language))


def resources(session: Session, prompt_id: str, languages: Collection[str] | None = None) -> Sequence[PromptResource]:
    """A prompt in each of its languages."""
    statement = select(PromptResource).where(PromptResource.prompt_id == prompt_id)
    if languages is not None:
        statement = statement.where(PromptResource.language.in_(languages))
    return session.scalars(statement.order_by(PromptResource.language)).all()


def files(session: Session) -> set[str]:
    """Names of the files that some resource has."""
    return {
        name for name in session.scalars(select(PromptResource.file).where(PromptResource.file.is_not(None))) if name
    }


def queues_with(session: Session, prompt_id: str) -> Sequence[Queue]:
    """Queues whose music on hold it is."""
    statement = select(Queue).where(Queue.on_hold_prompt_id == prompt_id, Queue.state != "deleted")
    return session.scalars(statement.order_by(Queue.name)).all()

"""The inbox: recordings that users have made for themselves. Each is there for its owner alone (E2, E9).

Every function that looks something up starts from the scoped query, so whatever anybody's role, nobody reaches what is
another's. Programs have no inbox. Deleting is ``store.retention.ask_to_delete``.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session, undefer

from earwitness.domain.access import Access
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Recording
from earwitness.store.visibility import ADHOC, visible_to

DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Summary:
    """How much is in an inbox."""

    read: int
    unread: int

    @property
    def total(self) -> int:
        """Both."""
        return self.read + self.unread


def _own(access: Access) -> Select[Recording]:
    return select(Recording).where(visible_to(access), Recording.role == ADHOC, Recording.file_state != DELETED)


def inbox(session: Session, access: Access, *, number: int = 1, size: int = 25) -> Page[Recording]:
    """A page of the subject's own recordings, newest first."""
    return page_of(session, _own(access).order_by(Recording.started_at.desc(), Recording.id), number, size)


def summary(session: Session, access: Access) -> Summary:
    """How many of the subject's own recordings were opened and how many not."""
    found = _own(access).with_only_columns(func.count(), func.coalesce(func.sum(case((Recording.read, 1), else_=0)), 0))
    total, read = session.execute(found).one()
    return Summary(int(read), int(total) - int(read))


def get(session: Session, access: Access, recording_id: str) -> Recording | None:
    """The subject's own recording of that id, with its peaks."""
    return session.scalars(_own(access).where(Recording.id == recording_id).options(undefer(Recording.peaks))).first()


def set_read(session: Session, row: Recording, read: bool, at: int) -> bool:
    """Notes whether the owner has opened it (E10); gives whether that is new."""
    return _set(session, row, "read", read, at)


def rename(session: Session, row: Recording, name: str | None, at: int) -> bool:
    """What the owner calls it (None: nothing); gives whether that is new."""
    return _set(session, row, "name", name, at)


def _set(session: Session, row: Recording, column: str, value: object, at: int) -> bool:
    if getattr(row, column) == value:
        return False
    setattr(row, column, value)
    row.modified_at, row.version = at, row.version + 1
    session.flush()
    return True

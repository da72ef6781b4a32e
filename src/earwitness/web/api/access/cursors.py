"""Listings without page numbers (S34): the next page begins after the last entity of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request

from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import bad_request

Entity = TypeVar("Entity", bound=Document)


class CursorListing(Document, Generic[Entity]):
    """A page of a list. ``entities`` is always there."""

    entities: list[Entity]
    self_uri: str
    next_uri: str | None = None
    previous_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page is asked for: after an entity, before one, or the first."""

    size: int
    after: str | None
    before: str | None
    path: str
    others: tuple[tuple[str, str], ...]

    def window(self, ids: Sequence[str]) -> tuple[int, int]:
        """Where the page begins and ends in the list of all ids.

        :raises ApiError: 400, the entity that it is to begin or end at is not in the list any more.
        """
        if self.after:
            start = self._place(ids, self.after, "after") + 1
            return start, min(start + self.size, len(ids))
        if self.before:
            end = self._place(ids, self.before, "before")
            return max(0, end - self.size), end
        return 0, min(self.size, len(ids))

    def envelope(self, ids: Sequence[str], entities: list[Entity]) -> CursorListing[Entity]:
        """The reply: ``entities`` are those of ``window(ids)``."""
        start, end = self.window(ids)
        return CursorListing(
            entities=entities,
            self_uri=self._uri(after=self.after, before=self.before),
            next_uri=self._uri(after=ids[end - 1]) if start < end < len(ids) else None,
            previous_uri=self._uri(before=ids[start]) if 0 < start < len(ids) else None,
        )

    def _uri(self, **cursor: str | None) -> str:
        given = [(key, value) for key, value in cursor.items() if value]
        return f"{self.path}?{urlencode([*self.others, ('pageSize', self.size), *given])}"

    @staticmethod
    def _place(ids: Sequence[str], wanted: str, field: str) -> int:
        try:
            return list(ids).index(wanted)
        except ValueError as error:
            raise bad_request(f"{field} is no cursor of this list.", field, "invalid.value") from error


def _cursor(
    request: Request,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 25,
    after: str | None = None,
    before: str | None = None,
) -> Cursor:
    ours = {"pageSize", "after", "before"}
    others = tuple((key, value) for key, value in request.query_params.multi_items() if key not in ours)
    return Cursor(page_size, after, before, request.url.path, others)


Cursors = Annotated[Cursor, Depends(_cursor)]

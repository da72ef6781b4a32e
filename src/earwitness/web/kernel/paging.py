"""Paging and the listing envelope (S33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator

from earwitness.web.kernel.documents import Document

Entity = TypeVar("Entity", bound=Document)
Item = TypeVar("Item")


class Listing(Document, Generic[Entity]):
    """A page of a list. ``entities`` is always there."""

    entities: list[Entity]
    page_size: int
    page_number: int
    total: int
    page_count: int
    first_uri: str
    last_uri: str
    self_uri: str
    next_uri: str | None = None
    previous_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for, and by which request."""

    size: int
    number: int
    path: str
    query: str

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.size

    def cut(self, items: Sequence[Item]) -> Sequence[Item]:
        """The page of a complete list."""
        return items[self.offset : self.offset + self.size]

    def uri(self, number: int) -> str:
        """The same request for another page."""
        others = [(key, value) for key, value in parse_qsl(self.query) if key not in {"pageSize", "pageNumber"}]
        return f"{self.path}?{urlencode([*others, ('pageSize', self.size), ('pageNumber', number)])}"

    def envelope(self, entities: Sequence[Entity], total: int) -> Listing[Entity]:
        """The reply: the entities of this page out of ``total``."""
        count = -(-total // self.size)
        return Listing(
            entities=list(entities),
            page_size=self.size,
            page_number=self.number,
            total=total,
            page_count=count,
            first_uri=self.uri(1),
            last_uri=self.uri(max(count, 1)),
            self_uri=self.uri(self.number),
            next_uri=self.uri(self.number + 1) if self.number < count else None,
            previous_uri=self.uri(self.number - 1) if self.number > 1 else None,
        )


def _page(
    request: Request,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 25,
    page_number: Annotated[int, Query(alias="pageNumber", ge=1, le=1_000_000)] = 1,
) -> Page:
    return Page(page_size, page_number, request.url.path, request.url.query)


Paging = Annotated[Page, Depends(_page)]


def _split(value: object) -> object:
    """Comma lists come as one value (S11); repeated keys are taken as well."""
    if value is None:
        return None
    parts = value if isinstance(value, list) else [value]
    return [piece.strip() for part in parts for piece in str(part).split(",") if piece.strip()]


CommaList = Annotated[list[str] | None, BeforeValidator(_split), Query()]
"""A query parameter of type list; give ``alias`` by a further ``Query``."""

"""The search bodies of telephony objects: EXACT, STARTS_WITH and CONTAINS over named fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from earwitness.web.kernel.documents import OneOf, RequestBody


class SearchCriterion(RequestBody):
    """One condition."""

    type: Annotated[str, OneOf("EXACT", "STARTS_WITH", "CONTAINS")] | None = None
    operator: Annotated[str, OneOf("AND", "OR", "NOT")] | None = None
    fields: list[str] | None = None
    value: str | None = None
    values: list[str] | None = None


class SearchRequest(RequestBody):
    """A search; all conditions must hold."""

    page_size: int | None = Field(default=None, ge=1, le=500)
    page_number: int | None = Field(default=None, ge=1, le=1_000_000)
    query: list[SearchCriterion] | None = None

    @property
    def size(self) -> int:
        """Rows of a page."""
        return self.page_size or 25

    @property
    def number(self) -> int:
        """The page, from 1."""
        return self.page_number or 1

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.size


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "EXACT": lambda text, part: text == part,
    "STARTS_WITH": lambda text, part: text.startswith(part),
    "CONTAINS": lambda text, part: part in text,
}
_SEARCHED = {"id", "name", "description", "state", "trunk_type", "trunk_base_id"}


def matches(request: SearchRequest, row: object) -> bool:
    """Whether the row fits every condition of the search."""
    return all(_fits(criterion, row) for criterion in request.query or [])


def _fits(criterion: SearchCriterion, row: object) -> bool:
    wanted = [text.casefold() for text in (criterion.values or [criterion.value or ""])]
    texts = [str(_value(row, name) or "").casefold() for name in criterion.fields or ["name"]]
    compare = _COMPARE[criterion.type or "CONTAINS"]
    found = any(compare(text, part) for text in texts for part in wanted)
    return not found if criterion.operator == "NOT" else found


def _value(row: object, name: str) -> object:
    column = {"trunkType": "trunk_type", "trunkBase.id": "trunk_base_id", "state": "state", "id": "id"}.get(name, name)
    return getattr(row, column, None) if column in _SEARCHED else None

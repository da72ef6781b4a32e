"""Shapes of requests and replies: camelCase documents, dates (S13, S27), enums (S16, S25).

Two bases: ``Document`` for replies, where an absent value is left out (an explicit null for an enum breaks the
vendor's client, S25), and ``Request`` for bodies, which keeps apart absent and null (S14), ignores what it does not
know (S15) and never guesses a type.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LAST_US = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
DATE_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2026-12-01T00:00:00.000Z"]}


class Document(BaseModel):
    """Base of replies."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class RequestBody(BaseModel):
    """Base of bodies: what is not listed is ignored, ``given`` tells what was sent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=False, extra="ignore", strict=True)

    def given(self) -> dict[str, Any]:
        """The fields that were in the body, null included, by their names here."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def date_text(us: int) -> str:
    """UTC microseconds as ``yyyy-MM-ddTHH:mm:ss.SSSZ``; times off the calendar are its first or last."""
    moment = EPOCH + timedelta(microseconds=max(FIRST_US, min(us, LAST_US)))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date(text: object) -> int:
    """A date of a request as UTC microseconds: no zone is UTC; offsets, ``Z`` and fractions are fine.

    :raises ValueError: no such date.
    """
    if not isinstance(text, str) or len(text) > 40:
        raise ValueError("a date is a text such as 2026-12-01T00:00:00.000Z")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def _date_input(value: object) -> int:
    try:
        return parse_date(value)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("earwitness_date", "no date: {reason}", {"reason": str(error)}) from error


Moment = Annotated[int, PlainSerializer(date_text, return_type=str), WithJsonSchema(DATE_SCHEMA, mode="serialization")]
"""A time of a reply: UTC microseconds inside, text outside."""

DateInput = Annotated[int, BeforeValidator(_date_input), WithJsonSchema(DATE_SCHEMA)]
"""A time of a request: text outside, UTC microseconds inside."""


class OneOf:
    """``Annotated[str, OneOf("a", "b")]``: one of these, in whatever case it was sent; else 400 (S16, B15)."""

    def __init__(self, *values: str) -> None:
        self.values = values
        self._known = {value.casefold(): value for value in values}

    def check(self, value: object) -> str:
        """The value as we write it.

        :raises PydanticCustomError: none of them.
        """
        found = self._known.get(value.casefold()) if isinstance(value, str) else None
        if found is None:
            listed = ", ".join(self.values)
            raise PydanticCustomError("earwitness_enum", "must be one of {values}", {"values": listed})
        return found

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.values)}


class Reference(Document):
    """Something else, by its id."""

    id: str
    name: str | None = None
    self_uri: str | None = None


class ReferenceInput(RequestBody):
    """Something else, by its id; the rest is ignored."""

    id: str | None = None

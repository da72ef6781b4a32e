"""The contract's ``ConversationQuery`` and ``AsyncConversationQuery`` as filters of ``store.search_filters``.

What a query may ask is in ``CONVERSATION``, ``SEGMENT`` and ``EVALUATION``; anything else is refused by name, since to
ignore a condition would find what nobody asked for. Conditions on segments hold of a conversation if they hold anywhere
in it: two of them need not hold of the same segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, not_, or_, true
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.search.numbers import is_number, reversed_digits
from earwitness.store import search_filters
from earwitness.store.search_filters import Filter
from earwitness.store.tables import (
    AfterCallWork,
    Conversation,
    ConversationDivision,
    ConversationQueue,
    ConversationTeam,
    Evaluation,
    Participant,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_CALL_US = 24 * 3600 * 1_000_000
"""A conversation that began earlier than so long before an interval is not looked for in it."""
MOST_PREDICATES = 100
GROUPS = ("conversationFilters", "segmentFilters", "evaluationFilters", "surveyFilters", "resolutionFilters")


class QueryError(ValueError):
    """A query that cannot be carried out; ``field`` is what of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks: ``filters`` of conversations that began from ``since`` to ``until`` (UTC microseconds)."""

    filters: tuple[Filter, ...]
    since: int | None
    until: int | None


def read(session: Session, document: Mapping[str, Any], access: Access | None = None) -> Query:
    """Reads a query. Of an interval, conversations are found that took place in it, be it in part.

    :param access: of whoever asks: evaluations that do not exist for them do not count. None: on nobody's behalf.
    :raises QueryError: it is malformed, or asks for what we do not know.
    """
    since, until = interval(document.get("interval"))
    found: list[Filter] = []
    if since is not None:
        found.append(Filter(Conversation.ended_at >= since))
        since -= LONGEST_CALL_US
    asked = 0
    for group in GROUPS:
        for number, filter_ in enumerate(_list(document, group)):
            reader = _Reader(session, group, f"{group}[{number}]", access)
            found += reader.filter(filter_)
            asked += reader.predicates
    if asked > MOST_PREDICATES:
        raise QueryError("conversationFilters", f"A query may have {MOST_PREDICATES} predicates.")
    return Query(tuple(found), since, until)


def interval(text: Any) -> tuple[int | None, int | None]:
    """``start/end``, ISO 8601, as UTC microseconds; no interval is all time.

    :raises QueryError: it is none.
    """
    if text is None:
        return None, None
    start, slash, end = str(text).partition("/")
    try:
        since, until = _moment(start), _moment(end)
    except (ValueError, OverflowError) as error:
        raise QueryError("interval", f"interval is start/end, ISO 8601: {error}") from error
    if not slash or until < since:
        raise QueryError("interval", "interval is start/end, the end after the start.")
    return since, until


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise QueryError(name, f"{name} is a list.")
    return value


Match = Callable[[Session, str], Filter]


@dataclass(frozen=True, slots=True)
class Dimension:
    """How one is matched, and what it means to have one at all."""

    match: Match
    there: ColumnElement[bool]


def _column(column: SQLColumnExpression[Any], known: Mapping[str, str] | None = None) -> Dimension:
    def match(_session: Session, value: str) -> Filter:
        return Filter(column == (known.get(value.lower(), value) if known is not None else value))

    return Dimension(match, and_(column.is_not(None), column != ""))


def _participant(column: SQLColumnExpression[Any]) -> Dimension:
    def match(_session: Session, value: str) -> Filter:
        return search_filters.participants(column == value)

    return Dimension(match, search_filters.participants(column.is_not(None)).where)


def _listed(make: Callable[[Sequence[str]], Filter], there: ColumnElement[bool]) -> Dimension:
    return Dimension(lambda _session, value: make([value]), there)


def _number(column: SQLColumnExpression[str]) -> Dimension:
    def match(session: Session, value: str) -> Filter:
        wanted = search_filters.numbers(session, value) if is_number(value) else None
        if wanted is None:
            return Filter(column == value)
        last = (reversed_digits(value) or "")[:4][::-1]
        return Filter(and_(search_filters.term_in(wanted), column.like(f"%{last}")), wanted)

    return Dimension(match, column != "")


def _any_number() -> Dimension:
    def match(session: Session, value: str) -> Filter:
        try:
            return search_filters.number(session, value)
        except ValueError:
            return search_filters.participants(Participant.address == value)

    return Dimension(match, true())


def _name(session: Session, value: str) -> Filter:
    found = search_filters.text(session, value)
    return Filter(and_(true(), *(item.where for item in found)), found[0].lists if found else None)


def _flag(condition: ColumnElement[bool]) -> Dimension:
    def match(_session: Session, value: str) -> Filter:
        if value.lower() not in ("true", "false"):
            raise ValueError("true or false")
        return Filter(condition if value.lower() == "true" else not_(condition))

    return Dimension(match, true())


def _time(column: SQLColumnExpression[int]) -> Dimension:
    def match(_session: Session, value: str) -> Filter:
        if "/" in value:
            since, until = interval(value)
            assert since is not None
            assert until is not None
            return Filter(and_(column >= since, column < until))
        return Filter(column == _moment(value))

    return Dimension(match, true())


def _media(_session: Session, value: str) -> Filter:
    return Filter(true() if value.lower() == "voice" else false())


_here = Conversation.id
_users = search_filters.participants(Participant.user_id.is_not(None)).where
_queues = search_filters.there_is(ConversationQueue.conversation_id == _here)
_teams = search_filters.there_is(ConversationTeam.conversation_id == _here)
_divisions = search_filters.there_is(ConversationDivision.conversation_id == _here)
_wrapped = search_filters.there_is(AfterCallWork.conversation_id == _here, AfterCallWork.code_id.is_not(None))
_direction = _column(Conversation.direction)
_external = search_filters.participants(Participant.purpose == "external").where

CONVERSATION: Mapping[str, Dimension] = {
    "conversationId": _column(_here),
    "conversationStart": _time(Conversation.started_at),
    "conversationEnd": _time(Conversation.ended_at),
    "divisionId": _listed(search_filters.divisions, _divisions),
    "externalTag": _column(Conversation.external_tag),
    "originatingDirection": _direction,
    "customerParticipation": _flag(_external),
}
SEGMENT: Mapping[str, Dimension] = {
    "userId": _listed(search_filters.users, _users),
    "queueId": _listed(search_filters.queues, _queues),
    "teamId": _listed(search_filters.teams, _teams),
    "wrapUpCode": _listed(search_filters.wrapups, _wrapped),
    "flowId": _participant(Participant.flow_id),
    "purpose": _participant(Participant.purpose),
    "participantName": Dimension(_name, search_filters.participants(Participant.name.is_not(None)).where),
    "direction": _direction,
    "ani": _number(Conversation.ani),
    "dnis": _number(Conversation.dnis),
    "addressFrom": _number(Conversation.ani),
    "addressTo": _number(Conversation.dnis),
    "remote": _any_number(),
    "destinationAddress": _any_number(),
    "mediaType": Dimension(_media, true()),
    "edgeId": _column(Conversation.edge_id),
    "recording": _flag(Conversation.recording_state == search_filters.RECORDED),
}
_STATES = {"pending": "PENDING", "inprogress": "INPROGRESS", "finished": "FINISHED", "inreview": "INREVIEW",
           "retracted": "RETRACTED"}  # fmt: skip
EVALUATION: Mapping[str, Dimension] = {
    "evaluationId": _column(Evaluation.id),
    "evaluationStatus": _column(Evaluation.status, _STATES),
    "evaluatorId": _column(Evaluation.evaluator_user_id),
    "assigneeId": _column(Evaluation.assignee_user_id),
    "userId": _column(Evaluation.agent_user_id),
    "formId": _column(Evaluation.form_id),
    "contextId": _column(Evaluation.form_context_id),
    "queueId": _column(Evaluation.queue_id),
    "released": _flag(Evaluation.released_at.is_not(None)),
    "rescored": _flag(Evaluation.rescore.is_(True)),
}
METRICS: Mapping[str, SQLColumnExpression[Any]] = {
    "tConversationDuration": (Conversation.ended_at - Conversation.started_at) / 1000,
}
SCORES: Mapping[str, SQLColumnExpression[Any]] = {
    "oTotalScore": Evaluation.total_score,
    "oTotalCriticalScore": Evaluation.total_critical_score,
}
_KNOWN: Mapping[str, tuple[Mapping[str, Dimension], Mapping[str, SQLColumnExpression[Any]]]] = {
    "conversationFilters": (CONVERSATION, METRICS),
    "segmentFilters": (SEGMENT, {}),
    "evaluationFilters": (EVALUATION, SCORES),
    "surveyFilters": ({}, {}),
    "resolutionFilters": ({}, {}),
}


class _Reader:
    """Reads one filter."""

    def __init__(self, session: Session, group: str, place: str, access: Access | None) -> None:
        self._session, self._group, self._place, self._access = session, group, place, access
        self._dimensions, self._metrics = _KNOWN[group]
        self.predicates = 0

    def filter(self, document: Any) -> list[Filter]:
        """A filter: its predicates and clauses, all or one of which must hold."""
        parts = self._parts(document, self._place)
        for number, clause in enumerate(_list(document, "clauses")):
            place = f"{self._place}.clauses[{number}]"
            parts.append(_joined(self._kind(clause, place), self._parts(clause, place)))
        if not parts:
            return []
        kind = self._kind(document, self._place)
        if self._group == "evaluationFilters":
            return [search_filters.evaluations(_joined(kind, parts).where, self._access)]
        return [_joined(kind, parts)] if kind == "or" else parts

    def _kind(self, document: Any, place: str) -> str:
        if not isinstance(document, Mapping):
            raise QueryError(place, f"{place} is an object.")
        kind = str(document.get("type") or "and").lower()
        if kind not in ("and", "or"):
            raise QueryError(f"{place}.type", f"{place}.type is and, or or.")
        return kind

    def _parts(self, document: Any, place: str) -> list[Filter]:
        self._kind(document, place)
        found = []
        for number, predicate in enumerate(_list(document, "predicates")):
            self.predicates += 1
            found.append(self._predicate(predicate, f"{place}.predicates[{number}]"))
        return found

    def _predicate(self, document: Any, place: str) -> Filter:
        if not isinstance(document, Mapping):
            raise QueryError(place, f"{place} is an object.")
        operator = str(document.get("operator") or "matches").lower()
        if operator not in ("matches", "exists", "notexists"):
            raise QueryError(f"{place}.operator", f"{place}.operator is matches, exists or notExists.")
        if document.get("metric") is not None:
            return self._metric(document, place)
        name = str(document.get("dimension") or "")
        known = self._dimensions.get(name)
        if known is None:
            listed = ", ".join(self._dimensions) or "none"
            raise QueryError(f"{place}.dimension", f"{place}: dimension {name!r} is not known here; known: {listed}.")
        if operator != "matches":
            return Filter(known.there if operator == "exists" else not_(known.there))
        value = document.get("value")
        if not isinstance(value, str) or "\x00" in value or len(value) > 512:
            raise QueryError(f"{place}.value", f"{place}.value is a text.")
        try:
            return known.match(self._session, value)
        except (ValueError, OverflowError) as error:
            raise QueryError(f"{place}.value", f"{place}.value: {error}") from error

    def _metric(self, document: Mapping[str, Any], place: str) -> Filter:
        column = self._metrics.get(str(document["metric"]))
        if column is None:
            listed = ", ".join(self._metrics) or "none"
            raise QueryError(f"{place}.metric", f"{place}: metric {document['metric']!r} is not known here; {listed}.")
        bounds = document.get("range")
        if not isinstance(bounds, Mapping) or not all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in bounds.values()
        ):
            raise QueryError(f"{place}.range", f"{place}.range has gt, gte, lt or lte, all numbers.")
        compare: dict[str, Callable[[Any], ColumnElement[bool]]] = {
            "gt": column.__gt__, "gte": column.__ge__, "lt": column.__lt__, "lte": column.__le__,
        }  # fmt: skip
        return Filter(and_(true(), *(compare[key](value) for key, value in bounds.items() if key in compare)))


def _joined(kind: str, parts: Sequence[Filter]) -> Filter:
    if kind == "and":
        lists = [item.lists for item in parts if item.lists is not None]
        return Filter(and_(true(), *(item.where for item in parts)), min(lists, key=len) if lists else None)
    union = [item.lists for item in parts]
    known = [key for lists in union if lists is not None for key in lists] if None not in union else None
    return Filter(or_(false(), *(item.where for item in parts)), tuple(dict.fromkeys(known)) if known else None)

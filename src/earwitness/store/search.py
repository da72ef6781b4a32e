"""Finds conversations among millions, for a subject, newest (or oldest) first, in bounded time.

How. ``conversation_terms`` lists, for each division, user, queue, number…, the conversations in order of time. What a
subject may see is in a few such lists (those of its divisions, and its own), and so is what it asks for. A search
takes the lists that are the thinnest, goes through them in windows of time, and keeps what is visible and fits. Every
candidate is still judged by ``conversations_visible_to``: lists only decide where to look, never what may be seen.

A search looks at about ``BUDGET`` candidates at most. If the page is not full by then, ``Found.next`` says where to go
on: a page may have fewer entries than asked for, or none, and still not be the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, desc, func, or_, select, true, union, union_all
from sqlalchemy.orm import Session, defer

from earwitness.domain.access import Access, Scope
from earwitness.domain.access import call as rules
from earwitness.domain.access.condition import All, Any_, Condition, Evaluated, Involves
from earwitness.domain.search import terms
from earwitness.store.search_filters import EVALUATED, Filter
from earwitness.store.tables import (
    Conversation,
    ConversationDivision,
    ConversationTeam,
    ConversationTerm,
    Evaluation,
    Participant,
)
from earwitness.store.visibility import VIEW_CONVERSATIONS, conversations_visible_to

BUDGET = 12_000
"""Candidates that one search looks at."""
THOROUGH = 50_000
"""The same for those who have to have an answer: reports and jobs."""
WIDEST = 500
"""Candidates of one statement at most, so that a search that must end soon does."""
FIRST_WINDOW = 400
"""Candidates of the first look; the next ones are three times as wide each."""
MOST_LISTS = 64
"""With more lists than that, all conversations are gone through instead."""
LEAST = 8
"""Candidates of one list in a window."""
TIES = 2_000
"""Conversations that may begin in the same microsecond as the last of a window."""
FIRST, LAST = -(1 << 62), 1 << 62
"""Before and after every time."""
HIGHEST_ID = "\U0010ffff"

Lists = tuple[str, ...] | None
"""Terms whose lists together hold every conversation in question; None: all conversations."""
EVALUATES = "e:"
"""List of the calls that a user has evaluations to do of, or is evaluated in: read from the evaluations, as are those
of the calls with evaluations in certain states (``search_filters.EVALUATED``)."""
FROM_EVALUATIONS = (EVALUATES, EVALUATED)


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two conversations in order of time: after the one that began then and has that id."""

    started_at: int
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page."""

    rows: Sequence[Conversation]
    next: Position | None
    """Where to go on; None: there are no more."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many fit."""

    total: int
    exact: bool
    """False: there are at least so many."""


def page(
    session: Session,
    access: Access,
    filters: Sequence[Filter] = (),
    *,
    since: int | None = None,
    until: int | None = None,
    after: Position | None = None,
    size: int = 25,
    newest_first: bool = True,
    permission: str = VIEW_CONVERSATIONS,
    budget: int = BUDGET,
    enough: Callable[[], bool] = lambda: False,
    whole: bool = False,
) -> Found:
    """The next conversations that began from ``since`` (inclusive) to ``until`` (exclusive), UTC microseconds.

    :param whole: with their time lines.
    :param enough: asked now and then; True: the search is to end with what it has.
    """
    walk = _Walk(session, access, filters, since, until, newest_first, permission, enough)
    found, following = walk.go(after, size, budget)
    return Found(walk.rows([key for key, _at in found], whole=whole), following)


def numbered(
    session: Session,
    access: Access,
    filters: Sequence[Filter],
    number: int,
    size: int,
    *,
    since: int | None = None,
    until: int | None = None,
    newest_first: bool = True,
    permission: str = VIEW_CONVERSATIONS,
) -> Found:
    """The page of that number, from 1. All that come before are gone through: cursors are faster far down."""
    walk = _Walk(session, access, filters, since, until, newest_first, permission)
    found, following = walk.go(None, number * size, THOROUGH)
    return Found(walk.rows([key for key, _at in found[(number - 1) * size :]], whole=True), following)


def count(
    session: Session,
    access: Access,
    filters: Sequence[Filter] = (),
    *,
    since: int | None = None,
    until: int | None = None,
    most: int = 10_000,
    permission: str = VIEW_CONVERSATIONS,
    budget: int = BUDGET,
    enough: Callable[[], bool] = lambda: False,
) -> Count:
    """How many fit, up to ``most``, and as far as ``budget`` candidates tell.

    Where nothing is asked of conversations but that they are visible, lists are counted and nothing else is looked at.
    """
    walk = _Walk(session, access, filters, since, until, True, permission, enough)
    lists = lists_of(access, permission)
    if not filters and lists is not None and _is_exact(access, permission):
        total = walk.size(lists, most + 1)
        return Count(min(total, most), total <= most)
    found, following = walk.go(None, most, budget)
    return Count(len(found), following is None)


def people(session: Session, rows: Sequence[Conversation]) -> dict[str, list[Participant]]:
    """Who took part in conversations that were found here, in the order of their coming, by conversation."""
    statement = select(Participant).where(Participant.conversation_id.in_([row.id for row in rows]))
    found: dict[str, list[Participant]] = {row.id: [] for row in rows}
    for item in session.scalars(statement.order_by(Participant.joined_at, Participant.id)):
        found[item.conversation_id].append(item)
    return found


def touched(session: Session, rows: Sequence[Conversation]) -> dict[str, list[str]]:
    """Divisions of conversations that were found here, sorted, by conversation."""
    statement = select(ConversationDivision).where(ConversationDivision.conversation_id.in_([row.id for row in rows]))
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    for item in session.scalars(statement.order_by(ConversationDivision.division_id)):
        found[item.conversation_id].append(item.division_id)
    return found


def teams(session: Session, rows: Sequence[Conversation]) -> dict[str, dict[str, str]]:
    """Team at the time of the call by user, by conversation, of conversations that were found here."""
    statement = select(ConversationTeam).where(ConversationTeam.conversation_id.in_([row.id for row in rows]))
    found: dict[str, dict[str, str]] = {row.id: {} for row in rows}
    for item in session.scalars(statement):
        found[item.conversation_id][item.user_id] = item.team_id
    return found


class _Walk:
    """One search. Windows of time are cut so that each list has a bounded number of candidates in them."""

    def __init__(
        self,
        session: Session,
        access: Access,
        filters: Sequence[Filter],
        since: int | None,
        until: int | None,
        down: bool,
        permission: str,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self._session, self._down, self._enough = session, down, enough
        self._first = since if since is not None else FIRST
        self._last = until - 1 if until is not None else LAST
        self._visible, self._filters = conversations_visible_to(access, permission), filters
        asked = [item.lists for item in filters if item.lists is not None]
        candidates = [lists_of(access, permission), *(lists for lists in asked if len(lists) <= MOST_LISTS)]
        self._nothing = any(not lists for lists in [*asked, *candidates] if lists is not None)
        self._candidates = list(dict.fromkeys(candidates))

    def go(self, after: Position | None, size: int, budget: int) -> tuple[list[tuple[str, int]], Position | None]:
        """Ids and times, and where to go on."""
        found: list[tuple[str, int]] = []
        if self._nothing:
            return found, None
        window, lists = FIRST_WINDOW, None
        chosen = False
        while self._first <= (start := self._start(after)) <= self._last:
            if not chosen:  # the thinnest list reaches furthest in one window
                reach = [(self._edge(each, start, window), each) for each in self._candidates]
                order = min if self._down else max
                edge, lists = order(reach, key=lambda item: item[0])
                chosen = True
            else:
                edge = self._edge(lists, start, window)
            edge = max(edge, self._first) if self._down else min(edge, self._last)
            low, high = (edge, start) if self._down else (start, edge)
            most = size + 1 - len(found)
            rows = self._session.execute(self._window(lists, low, high, after, window, most)).all()
            found += [(row.id, row.started_at) for row in rows]
            if len(found) > size:
                found = found[:size]
                last_id, last_at = found[-1]
                return found, Position(last_at, last_id)
            if (edge <= self._first) if self._down else (edge >= self._last):
                return found, None
            after = Position(edge, "" if self._down else HIGHEST_ID)
            budget -= window
            if budget <= 0 or self._enough():
                return found, after
            window = min(window * 3, budget, WIDEST)
        return found, None

    def _start(self, after: Position | None) -> int:
        """Where the next window begins: each goes at least one instant further than the last."""
        if after is None:
            return self._last if self._down else self._first
        start = after.started_at
        if after.conversation_id in ("", HIGHEST_ID):  # everything of that instant was looked at
            start += -1 if self._down else 1
        return start

    def size(self, lists: Sequence[str], most: int) -> int:
        """Conversations in lists that are exact, up to ``most``; of the evaluations' lists those that are visible."""
        kept = [term for term in lists if not term.startswith(FROM_EVALUATIONS)]
        others = [term for term in lists if term.startswith(FROM_EVALUATIONS)]
        each = [_members([term], self._first, self._last).limit(most).subquery() for term in kept]
        ids: Select[Any] = select(union(*(select(part.c.id) for part in each)).subquery().c.id)
        if others:
            seen = select(Conversation.id).where(
                Conversation.id.in_(_members(others, self._first, self._last)), self._visible.is_(true())
            )
            both = union(ids, seen).subquery()
            ids = select(both.c.id)
        return self._session.scalar(select(func.count()).select_from(ids.limit(most).subquery())) or 0

    def rows(self, ids: Sequence[str], *, whole: bool) -> list[Conversation]:
        """The conversations, in order; with their time lines, or these are loaded where asked for."""
        statement = select(Conversation).where(Conversation.id.in_(ids))
        if not whole:
            statement = statement.options(defer(Conversation.timeline))
        known = {row.id: row for row in self._session.scalars(statement)}
        return [known[key] for key in ids if key in known]

    def _conditions(self, lists: Lists, low: int, high: int) -> list[ColumnElement[bool]]:
        """What must hold of each candidate. ``IS TRUE`` keeps a planner from beginning with anything but the window."""
        asked = [item.within(low, high) for item in self._filters if not (item.exact and item.lists == lists)]
        return [condition.is_(true()) for condition in (self._visible, *asked)]

    def _edge(self, lists: Lists, start: int, window: int) -> int:
        """How far a window reaches that has about ``window`` candidates at most, and those of one instant."""
        sources = [_all_times()] if lists is None else [_times(term) for term in lists]
        each = max(window // len(sources), LEAST)
        edges = [self._nth(statement, column, start, each) for statement, column in sources]
        found = [int(row[0]) for row in self._session.execute(union_all(*edges))]
        return max(found, default=FIRST) if self._down else min(found, default=LAST)

    def _nth(self, statement: Select[Any], column: SQLColumnExpression[int], start: int, n: int) -> Select[Any]:
        past = column <= start if self._down else column >= start
        within = column >= self._first if self._down else column <= self._last
        ordered = statement.where(past, within).order_by(desc(column) if self._down else column)
        return select(*ordered.limit(1).offset(n - 1).subquery().c)

    def _window(self, lists: Lists, low: int, high: int, after: Position | None, window: int, most: int) -> Select[Any]:
        """Those of a window that are visible and fit; the window itself is read first, by its key alone."""
        if lists is None:
            inner = select(Conversation.id.label("id")).where(Conversation.started_at.between(low, high))
            inner = inner.limit(window + TIES)
        else:
            inner = _members(lists, low, high).limit(window + len(lists) * LEAST + TIES)
        there = inner.cte("there").prefix_with("MATERIALIZED", dialect="postgresql")
        at, key = Conversation.started_at, Conversation.id
        statement: Any = (
            select(key, at)
            .select_from(there.join(Conversation, key == there.c.id))
            .where(*self._conditions(lists, low, high))
        )
        if after is not None:
            beyond = at < after.started_at if self._down else at > after.started_at
            same = key < after.conversation_id if self._down else key > after.conversation_id
            statement = statement.where(or_(beyond, and_(at == after.started_at, same)))
        ordering = (at.desc(), key.desc()) if self._down else (at, key)
        found: Select[Any] = statement.order_by(*ordering).limit(most)
        return found


def _all_times() -> tuple[Select[Any], SQLColumnExpression[int]]:
    return select(Conversation.started_at), Conversation.started_at


def _times(term: str) -> tuple[Select[Any], SQLColumnExpression[int]]:
    """The times of a list, and their column."""
    if term.startswith(FROM_EVALUATIONS):
        at = Evaluation.conversation_at
        return select(at).where(_evaluated(term)), at
    at = ConversationTerm.started_at
    return select(at).where(ConversationTerm.term == term), at


def _members(lists: Sequence[str], low: int, high: int) -> Select[Any]:
    """The ids in lists, each once, of a stretch of time."""
    kept = [term for term in lists if not term.startswith(FROM_EVALUATIONS)]
    inner = select(ConversationTerm.conversation_id.label("id")).where(
        ConversationTerm.term.in_(kept), ConversationTerm.started_at.between(low, high)
    )
    others = [
        select(Evaluation.conversation_id.label("id")).where(
            _evaluated(term), Evaluation.conversation_at.between(low, high)
        )
        for term in lists
        if term.startswith(FROM_EVALUATIONS)
    ]
    if not others:
        return inner if len(kept) == 1 else inner.distinct()
    if not kept and len(others) == 1:
        return others[0].distinct()
    both = union(inner, *others).subquery()
    return select(both.c.id)


def _evaluated(term: str) -> ColumnElement[bool]:
    if term.startswith(EVALUATED):
        return Evaluation.status.in_(term.removeprefix(EVALUATED).split(","))
    user_id = term.removeprefix(EVALUATES)
    return or_(
        Evaluation.evaluator_user_id == user_id,
        Evaluation.assignee_user_id == user_id,
        Evaluation.agent_user_id == user_id,
    )


def lists_of(access: Access, permission: str = VIEW_CONVERSATIONS) -> Lists:
    """Lists that hold everything that is visible to a subject; a wider set is fine, a narrower one is not."""
    found: dict[str, None] = {}
    if access.subject.user_id is not None:
        found[terms.user(access.subject.user_id)] = None
        if rules.evaluates(access) or rules.reviews(access):
            found[EVALUATES + access.subject.user_id] = None
    for scope in access.scopes_for(permission):
        lists = _of_scope(scope, access.subject.user_id)
        if lists is None:
            return None
        found.update(dict.fromkeys(lists))
    return tuple(found) if len(found) <= MOST_LISTS else None


def _is_exact(access: Access, permission: str) -> bool:
    """Whether everything in the subject's lists is visible to it, those of evaluations apart."""
    return all(
        scope.condition is None or (scope.divisions.every and isinstance(scope.condition, Involves))
        for scope in access.scopes_for(permission)
    )


def _of_scope(scope: Scope, user_id: str | None) -> Lists:
    if scope.condition is not None:
        by_condition = _of_condition(scope.condition, user_id)
        if by_condition is not None:
            return by_condition
    return None if scope.divisions.every else tuple(terms.division(key) for key in sorted(scope.divisions.ids))


def _of_condition(condition: Condition, user_id: str | None) -> Lists:
    match condition:
        case All(conditions):
            each = [lists for item in conditions if (lists := _of_condition(item, user_id)) is not None]
            return min(each, key=len) if each else None
        case Any_(conditions):
            union: dict[str, None] = {}
            for item in conditions:
                lists = _of_condition(item, user_id)
                if lists is None:
                    return None
                union.update(dict.fromkeys(lists))
            return tuple(union)
        case Evaluated():
            return (EVALUATES + user_id,) if user_id is not None else ()
        case Involves():
            users = set(condition.users) | ({user_id} if condition.current_user and user_id is not None else set())
            return (
                *(terms.user(key) for key in sorted(users)),
                *(terms.queue(key) for key in sorted(condition.queues)),
                *(terms.team(key) for key in sorted(condition.teams)),
            )

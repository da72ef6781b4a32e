"""What a search may ask of a conversation: each a condition, and the lists where such conversations are, if there are.

A filter speaks of ``Conversation`` and selects nothing by itself; ``store.search`` puts it beside the scoped query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, func, literal, not_, or_, select, true
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.search import terms
from earwitness.domain.search.numbers import LEAST_ASKED, LEAST_COMMON, is_number, reversed_digits, shorter_forms
from earwitness.store import evaluation_visibility
from earwitness.store.tables import Conversation, ConversationTerm, Evaluation, Participant, PolicyDecision, Recording

SPELLINGS = 600
"""So many different numbers, or words with one beginning, are listed one by one."""
FEW = 128
"""With more terms than that, a window looks for all that have one of them at once, and not for each candidate."""
EVALUATED = "v:"
"""List of the calls with an evaluation in one of these states, which follow it."""
RECORDED, FAILED, NONE = "RECORDED", "FAILED", "NONE"


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on ``Conversation``."""

    where: ColumnElement[bool]
    lists: tuple[str, ...] | None = None
    """Terms whose lists together hold every conversation that fits; None: none is known."""
    exact: bool = False
    """Whatever is in the lists fits."""

    def within(self, low: int, high: int) -> ColumnElement[bool]:
        """The condition, for conversations that began from ``low`` to ``high``."""
        if not self.exact or self.lists is None or len(self.lists) <= FEW:
            return self.where
        there = select(ConversationTerm.conversation_id).where(
            ConversationTerm.term.in_(self.lists), ConversationTerm.started_at.between(low, high)
        )
        return Conversation.id.in_(there)


def there_is(of_conversation: ColumnElement[bool], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """There is a row of the conversation for which that holds.

    ``IS TRUE`` keeps a planner from looking such rows up by the conditions, of which there may be a million.
    """
    return exists(select(1).where(of_conversation, and_(true(), *conditions).is_(true())))


def term_in(wanted: Sequence[str]) -> ColumnElement[bool]:
    """The conversation has one of these terms."""
    if not wanted:
        return false()
    return exists(
        select(1).where(
            ConversationTerm.term.in_(wanted),
            ConversationTerm.started_at == Conversation.started_at,
            ConversationTerm.conversation_id == Conversation.id,
        )
    )


def any_term(wanted: Iterable[str]) -> Filter:
    """Conversations with one of these terms."""
    each = tuple(dict.fromkeys(wanted))
    return Filter(term_in(each), each, exact=True)


def users(ids: Iterable[str]) -> Filter:
    """One of these users took part."""
    return any_term(terms.user(key) for key in ids)


def queues(ids: Iterable[str]) -> Filter:
    """It was in one of these queues."""
    return any_term(terms.queue(key) for key in ids)


def teams(ids: Iterable[str]) -> Filter:
    """Somebody took part who was in one of these teams then."""
    return any_term(terms.team(key) for key in ids)


def divisions(ids: Iterable[str]) -> Filter:
    """It touched one of these divisions."""
    return any_term(terms.division(key) for key in ids)


def wrapups(codes: Iterable[str]) -> Filter:
    """An agent gave it one of these codes."""
    return any_term(terms.wrapup(code) for code in codes)


def why(rows: Iterable[str]) -> Filter:
    """One of these rows of the recording rules decided about its recording."""
    return any_term(terms.why(row) for row in rows)


def directions(wanted: Iterable[str]) -> Filter:
    """It was ``inbound``, ``outbound`` or ``internal``."""
    return Filter(Conversation.direction.in_(sorted(set(wanted))))


def duration(least_ms: int | None, most_ms: int | None) -> Filter:
    """It lasted at least, and at most, so long."""
    lasted = Conversation.ended_at - Conversation.started_at
    conditions: list[ColumnElement[bool]] = [true()]
    if least_ms is not None:
        conditions.append(lasted >= least_ms * 1000)
    if most_ms is not None:
        conditions.append(lasted <= most_ms * 1000)
    return Filter(and_(*conditions))


def recording_states(wanted: Iterable[str]) -> Filter:
    """It was recorded (``RECORDED``), was not (``NONE``), or should have been (``FAILED``), inbox items apart."""
    return Filter(Conversation.recording_state.in_(sorted(set(wanted))))


def audible(yes: bool) -> Filter:
    """There is a recording that can still be played; inbox items do not count."""
    shared, kept = Recording.role != "ADHOC", Recording.file_state.not_in(("DELETED", "ERROR"))
    there = there_is(Recording.conversation_id == Conversation.id, shared, kept)
    return Filter(there if yes else not_(there))


def policies(ids: Iterable[str]) -> Filter:
    """One of these retention policies matched."""
    matched = cast(PolicyDecision.matched, Text)
    named = or_(*(or_(PolicyDecision.policy_id == key, matched.contains(f'"{key}"', autoescape=True)) for key in ids))
    return Filter(there_is(PolicyDecision.conversation_id == Conversation.id, named))


def verdicts(outcomes: Iterable[str]) -> Filter:
    """Policies decided so: ``KEEP``, ``DELETE_AFTER``, ``DELETE`` or ``NOT_APPLIED``."""
    decided = PolicyDecision.outcome.in_(sorted(set(outcomes)))
    return Filter(there_is(PolicyDecision.conversation_id == Conversation.id, decided))


def evaluations(condition: ColumnElement[bool], access: Access | None = None) -> Filter:
    """It has an evaluation for which that holds.

    :param access: of whoever asks; evaluations that do not exist for them do not count. None: of nobody.
    """
    seen = evaluation_visibility.visible_to(access) if access is not None else true()
    conditions = (Evaluation.deleted_at.is_(None), condition, seen)
    return Filter(there_is(Evaluation.conversation_id == Conversation.id, *conditions))


def evaluation_states(wanted: Iterable[str], access: Access) -> Filter:
    """It has an evaluation in one of these states; ``NONE``: it has none at all, that the subject could see."""
    states = set(wanted)
    there = sorted(states - {NONE})
    found = [evaluations(Evaluation.status.in_(there), access).where] if there else []
    if NONE not in states:
        return Filter(or_(false(), *found), (EVALUATED + ",".join(there),) if there else ())
    return Filter(or_(*found, not_(evaluations(true(), access).where)))


def participants(condition: ColumnElement[bool]) -> Filter:
    """Somebody took part for whom that holds."""
    return Filter(there_is(Participant.conversation_id == Conversation.id, condition))


def number(session: Session, text: str) -> Filter:
    """A number was on it, in whatever spelling.

    :raises ValueError: the text is no number, or too short.
    """
    wanted = numbers(session, text)
    if wanted is None:
        raise ValueError(f"{text!r} is no number of {LEAST_ASKED} digits and more")
    return any_term(wanted)


def numbers(session: Session, text: str) -> tuple[str, ...] | None:
    """The terms under which calls with a number are kept; None: the text is no number, or too short."""
    asked = reversed_digits(text)
    if asked is None or len(asked) < LEAST_ASKED:
        return None
    if len(asked) < LEAST_COMMON:  # an extension: that number alone
        return (terms.number(asked),)
    longer = beginning(session, terms.number(asked))
    return tuple(dict.fromkeys([*(terms.number(form) for form in shorter_forms(asked)), *longer]))


def text(session: Session, asked: str) -> list[Filter]:
    """Names and numbers: every word must be the beginning of a word of a name; what looks like a number is one.

    Gives no filter for a text without words.
    """
    if is_number(asked):
        wanted = numbers(session, asked)
        return [any_term(wanted)] if wanted is not None else []
    found = []
    for piece in asked.split():
        if is_number(piece) and (wanted := numbers(session, piece)) is not None:
            found.append(any_term(wanted))
        else:
            found += [_word(session, part) for part in terms.words(piece)]
    return found


def _word(session: Session, part: str) -> Filter:
    listed = beginning(session, terms.word(part), SPELLINGS + 1)
    if len(listed) <= SPELLINGS:
        return any_term(listed)
    low = terms.word(part)
    there = exists(
        select(1).where(
            ConversationTerm.term >= low,
            ConversationTerm.term < _after(low),
            ConversationTerm.started_at == Conversation.started_at,
            ConversationTerm.conversation_id == Conversation.id,
        )
    )
    return Filter(there)


def beginning(session: Session, start: str, most: int = SPELLINGS) -> tuple[str, ...]:
    """The first terms that begin so. Each is read off the index by one look, however many calls have it."""
    end, term = _after(start), ConversationTerm.term
    first = select(func.min(term).label("term"), literal(1).label("n")).where(term >= start, term < end)
    found = first.cte("found", recursive=True)
    following = select(func.min(term)).where(term > found.c.term, term < end).scalar_subquery()
    found = found.union_all(select(following, found.c.n + 1).where(found.c.term.is_not(None), found.c.n < most))
    return tuple(session.scalars(select(found.c.term).where(found.c.term.is_not(None)).order_by(found.c.n)))


def _after(start: str) -> str:
    """The first text, byte by byte, that does not begin so any more."""
    return start[:-1] + chr(ord(start[-1]) + 1)

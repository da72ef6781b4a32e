"""The queues at work: the desk decides, the hall carries it out. One for all conversations of an edge.

The desk's actions are carried out one after the other: what an action leads to (an agent who cannot be reached is
declined at once) waits its turn, so that the desk is never asked from within its own answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from earwitness.domain.configuration import Queue, Snapshot
from earwitness.edge.calls.services import Timer
from earwitness.edge.queues.actions import Action, AcwTimedOut, Lost, Offer, Withdraw
from earwitness.edge.queues.desk import Desk

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()


class Waiting(Protocol):
    """A call in a queue."""

    id: str

    def offer(self, user_id: str, ring_s: float) -> None:
        """Ring this agent; ``answered`` or ``declined`` of the hall is to be called, also at once."""

    def withdraw(self, user_id: str) -> None:
        """Stop ringing this agent."""

    def lost(self) -> None:
        """The queue does not exist any more."""


class Hall:
    """See the module."""

    def __init__(
        self,
        document: Mapping[str, Any],
        now_us: Callable[[], int],
        call_later: Callable[[float, Callable[[], None]], Timer],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """:param document: of ``to_document``, of an edge before.
        :param changed: told when ``to_document`` would give something else.
        """
        self.desk = Desk.from_document(document)
        self.now_us = now_us
        """The clock, UTC microseconds."""
        self._call_later = call_later
        self._changed = changed
        self._revision = self.desk.revision
        self._calls: dict[str, Waiting] = {}
        self._legs: dict[str, tuple[str, bool]] = {}
        """Legs of users that are up: user, and whether it is a queue's call."""
        self._actions: deque[Action] = deque()
        self._working = False
        self._timer: Timer | None = None
        self._timer_at = 0

    def to_document(self) -> dict[str, Any]:
        """What survives a restart."""
        return self.desk.to_document()

    def configure(self, snapshot: Snapshot) -> None:
        """A new configuration."""
        users = [user.id for user in snapshot.users]
        self._carry_out(self.desk.configure(snapshot.queues, users, self.now_us()))

    def reachable(self, users: Iterable[str], among: Iterable[str]) -> None:
        """Which of the users have a phone that is registered."""
        there = set(users)
        for user_id in among:
            self._carry_out(self.desk.reachable(user_id, user_id in there, self.now_us()))

    def set_agent(self, user_id: str, on_queue: bool | None, status: str | None) -> None:
        """An agent goes on or off queue, or responds again.

        :raises UnknownAgent: no such user. :raises ValueError: a status that cannot be set.
        """
        self._carry_out(self.desk.set_agent(user_id, on_queue, status, self.now_us()))

    def enter(self, call: Waiting, queue_id: str, priority: int) -> None:
        """A call begins to wait."""
        self._calls[call.id] = call
        self._carry_out(self.desk.enter(call.id, queue_id, self.now_us(), priority))

    def leave(self, call: Waiting) -> None:
        """A call waits no more."""
        if self._calls.pop(call.id, None) is not None:
            self._carry_out(self.desk.leave(call.id, self.now_us()))

    def answered(self, call: Waiting, user_id: str, leg_id: str, *, offered: bool = True) -> None:
        """The agent has taken it. ``offered``: by the desk, and not by somebody's word."""
        self._calls.pop(call.id, None)
        self._legs[leg_id] = (user_id, True)
        if not offered:
            self._report(user_id)
            return
        self._carry_out(self.desk.answered(call.id, user_id, self.now_us()))

    def declined(self, call: Waiting, user_id: str, cause: str) -> None:
        """The agent has not taken it; cause as in ``Desk.declined``."""
        self._carry_out(self.desk.declined(call.id, user_id, self.now_us(), cause))

    def busy(self, user_id: str, leg_id: str) -> None:
        """A user is on the phone; ``free`` follows when this leg ends."""
        self._legs.setdefault(leg_id, (user_id, False))
        self._report(user_id)

    def free(self, leg_id: str) -> None:
        """A leg has ended; of other legs than users' nothing is known, and nothing happens."""
        held = self._legs.pop(leg_id, None)
        if held is not None:
            self._report(held[0])

    def begin_acw(self, conversation: Conversation, user_id: str, participant_id: str, queue: Queue) -> None:
        """After-call work; told before the agent's leg is ``free``."""
        timeout_us = int(queue.acw_s * 1_000_000)
        self._carry_out(
            self.desk.begin_acw(
                user_id, conversation.id, participant_id, queue.id, self.now_us(), queue.acw, timeout_us
            )
        )

    def end_acw(self, user_id: str, participant_id: str | None = None) -> None:
        """The wrap-up was given."""
        self._carry_out(self.desk.end_acw(user_id, self.now_us(), participant_id))

    def _report(self, user_id: str) -> None:
        kinds = [queue_call for user, queue_call in self._legs.values() if user == user_id]
        now = self.now_us()
        if kinds:
            self._carry_out(self.desk.busy(user_id, now, any(kinds)))
        else:
            self._carry_out(self.desk.free(user_id, now))

    def _carry_out(self, actions: Iterable[Action]) -> None:
        self._actions.extend(actions)
        if self._working:
            return
        self._working = True
        try:
            while self._actions:
                self._act(self._actions.popleft())
        finally:
            self._working = False
        self._set_timer()
        if self.desk.revision != self._revision:
            self._revision = self.desk.revision
            self._changed()

    def _act(self, action: Action) -> None:
        match action:
            case Offer(call_id=call_id, user_id=user_id, ring_s=ring_s):
                call = self._calls.get(call_id)
                if call is None:
                    self._actions.extend(self.desk.leave(call_id, self.now_us()))
                    return
                try:
                    call.offer(user_id, ring_s)
                except Exception:
                    log.exception("an agent could not be rung", call=call_id)
                    self._actions.extend(self.desk.declined(call_id, user_id, self.now_us(), "unreachable"))
            case Withdraw(call_id=call_id, user_id=user_id):
                if (call := self._calls.get(call_id)) is not None:
                    call.withdraw(user_id)
            case Lost(call_id=call_id):
                if (call := self._calls.pop(call_id, None)) is not None:
                    call.lost()
            case AcwTimedOut(user_id=user_id, conversation_id=conversation_id):
                log.info("a wrap-up was not given in time", user=user_id, conversation=conversation_id)

    def _set_timer(self) -> None:
        when = self.desk.next_at
        if self._timer is not None and (when is None or when != self._timer_at):
            self._timer.cancel()
            self._timer = None
        if when is not None and self._timer is None:
            self._timer_at = when
            self._timer = self._call_later(max(0.0, (when - self.now_us()) / 1e6), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self.desk.tick(self.now_us()))

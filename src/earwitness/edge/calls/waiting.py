"""Somebody waits in a queue: hears its music, or goes through its in-queue flow, until an agent answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from earwitness.domain.configuration import Flow, Queue
from earwitness.edge.calls.activity import Activity
from earwitness.edge.calls.flow import FlowPlayer
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.music import music_named
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.edge.calls.search import AgentSearch
from earwitness.flows.values import NOT_SET, Value

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


class _Facts(Mapping[str, Value]):
    """What an in-queue flow may ask: ``Call.PositionInQueue`` and ``Call.CurrentQueue``."""

    def __init__(self, search: AgentSearch) -> None:
        self._search = search

    def __getitem__(self, name: str) -> Value:
        if name == "currentqueue":
            return self._search.queue.name
        if name == "positioninqueue":
            return self._search.position or NOT_SET
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("currentqueue", "positioninqueue"))

    def __len__(self) -> int:
        return 2


class QueueWait(Activity):
    """See the module."""

    name = "waiting in a queue"

    def __init__(
        self, conversation: Conversation, leg: Leg | None, queue: Queue, *, priority: int = 0, flow: Flow | None = None
    ) -> None:
        """:param leg: who waits; None: the caller, who has not been answered yet.
        :param flow: the in-queue flow, if it is another than the queue's.
        """
        self.queue = queue
        self._conversation = conversation
        self._leg = leg
        self._priority = priority
        self._search = AgentSearch(
            conversation,
            queue,
            conversation.presentation,
            meant_for=leg or conversation.caller,
            answered=self._answered,
            lost=self._lost,
        )
        found = (
            conversation.services.directory().flow(queue.in_queue_flow_id)
            if queue.in_queue_flow_id is not None
            else None
        )
        self._flow = flow or found
        self._player: FlowPlayer | None = None

    def join(self) -> None:
        """The queue joins; see ``AgentSearch.join``."""
        self._search.join()

    @property
    def participant_id(self) -> str:
        """Of the queue."""
        return self._search.participant_id

    def assign(self, user_id: str) -> bool:
        """Gives the call to this user, whoever's turn it is. False: he cannot be rung, and the wait goes on."""
        return self._search.assign(user_id)

    def begin(self) -> None:
        """The wait begins; ``conversation.do`` has been called."""
        conversation = self._conversation
        self._leg = self._leg or conversation.caller
        conversation.music = music_named(conversation.services.directory().snapshot, self.queue.hold_music)
        if self._flow is not None and self._leg is not None:
            self._player = FlowPlayer(
                conversation, self._leg, self._flow, self, over=self._flow_over, call=_Facts(self._search)
            )
            if not self._player.load():
                self._player = None
        conversation.arrange()
        self._search.begin(self._priority)
        if self._player is not None and conversation.activity is self:
            self._player.begin()
        conversation.story.flush()

    # Activity.

    def legs(self) -> Rooms:
        there = talkers(self._conversation)
        music = len(there) == 1 and self._player is None
        return Rooms([there], {there[0]: self._conversation.music} if music else {})

    def digit(self, leg: Leg, digit: str) -> None:
        if self._player is not None and leg is self._leg:
            self._player.digit(digit)

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        if self._player is not None and leg is self._leg:
            self._player.play_ended(play_id, error)

    def left(self, leg: Leg) -> None:
        if leg is self._leg:
            self._conversation.over(self)
            self.stop()

    def goes_on_without(self, leg: Leg) -> bool:
        return leg is not self._leg

    def stop(self) -> None:
        self._search.stop()
        if self._player is not None:
            self._player.stop()

    def _answered(self, leg: Leg) -> None:
        conversation = self._conversation
        if self._player is not None:
            self._player.stop()
        conversation.over(self)
        conversation.main.append(leg)
        conversation.arrange()

    def _lost(self) -> None:
        """Nobody will come: the call cannot go on."""
        self._conversation.over(self)
        if self._player is not None:
            self._player.stop()
        self._conversation.end("error", cause_of_legs="error")

    def _flow_over(self, moved: bool) -> None:
        """The in-queue flow is done: the queue's music plays on, unless it has moved the caller."""
        self._player = None
        if not moved:
            self._conversation.arrange()

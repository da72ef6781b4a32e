"""One agent: what is known of a user, and what follows from it.

Theory of operation. An agent's facts are set one by one by whoever learns of them (the API, the registrar, the calls),
and everything else follows from the facts, so that no order of events can leave an agent in a state that they do not
give::

    on queue?   no  -> OFF_QUEUE
    in a call?  of a queue -> INTERACTING; another -> COMMUNICATING
    in after-call work that must be done? -> INTERACTING (as the vendor shows it)
    did not take a call that was offered? -> NOT_RESPONDING, until set IDLE, or off queue and on again
    else        -> IDLE

An agent can be offered a call who is IDLE, reachable and not being offered one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.edge.queues.actions import AcwView, AgentView

BLOCKING = frozenset({"MANDATORY", "MANDATORY_TIMEOUT", "MANDATORY_FORCED_TIMEOUT"})
"""Prompts whose wrap-up keeps further calls away."""
NO_EARLY_EXIT = "MANDATORY_FORCED_TIMEOUT"
"""The vendor's "time-boxed, no early exit": the whole time passes, also after a code was given."""


@dataclass(slots=True)
class Acw:
    """After-call work of one call."""

    conversation_id: str
    participant_id: str
    queue_id: str
    prompt: str
    deadline: int
    done: bool = False
    """The wrap-up was given, and only the time box remains."""

    @property
    def blocking(self) -> bool:
        """Keeps further calls away."""
        return self.prompt in BLOCKING

    def view(self) -> AcwView:
        """For people and programs."""
        return AcwView(self.conversation_id, self.participant_id, self.queue_id, self.deadline)


@dataclass(slots=True)
class Agent:
    """See the module."""

    user_id: str
    since: int
    on_queue: bool = False
    not_responding: bool = False
    reachable: bool = False
    in_call: str | None = None
    """``queue`` or ``other``."""
    offered: str | None = None
    """The call that rings at this agent."""
    acw: list[Acw] = field(default_factory=list)
    handled: int = 0
    """When the last queue call, its after-call work included, was done; 0: none yet."""
    idle_since: int = 0
    status: str = "OFF_QUEUE"
    listed: tuple[int, int, str] | None = None
    """The place under which the queues list this agent as free."""
    queues: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """In after-call work that must end before the next call."""
        return any(work.blocking for work in self.acw)

    @property
    def free(self) -> bool:
        """May be offered a call now."""
        return self.status == "IDLE" and self.reachable and self.offered is None

    def settle(self, now: int) -> None:
        """Brings the status up to date with the facts."""
        status = self._status()
        if status == self.status:
            return
        self.status, self.since = status, now
        if status == "IDLE":
            self.idle_since = now

    def _status(self) -> str:
        if not self.on_queue:
            return "OFF_QUEUE"
        if self.in_call is not None:
            return "INTERACTING" if self.in_call == "queue" else "COMMUNICATING"
        if self.blocked:
            return "INTERACTING"
        return "NOT_RESPONDING" if self.not_responding else "IDLE"

    def view(self) -> AgentView:
        """For people and programs."""
        pending = [work for work in self.acw if not work.done]
        return AgentView(self.user_id, self.on_queue, self.status, self.since, pending[-1].view() if pending else None)

    def to_document(self) -> dict[str, Any]:
        """What survives a restart: calls do not, and the registrar tells who is reachable."""
        return {
            "on_queue": self.on_queue,
            "not_responding": self.not_responding,
            "since": self.since,
            "handled": self.handled,
            "idle_since": self.idle_since,
            "acw": [
                {
                    "conversation_id": work.conversation_id,
                    "participant_id": work.participant_id,
                    "queue_id": work.queue_id,
                    "prompt": work.prompt,
                    "deadline": work.deadline,
                    "done": work.done,
                }
                for work in self.acw
            ],
        }

    @staticmethod
    def from_document(user_id: str, document: Mapping[str, Any]) -> Agent:
        """The reverse of ``to_document``.

        :raises TypeError, KeyError, ValueError: not such a document.
        """
        agent = Agent(
            user_id,
            int(document["since"]),
            on_queue=bool(document["on_queue"]),
            not_responding=bool(document["not_responding"]),
            handled=int(document["handled"]),
            idle_since=int(document["idle_since"]),
        )
        for item in document["acw"]:
            agent.acw.append(
                Acw(
                    str(item["conversation_id"]),
                    str(item["participant_id"]),
                    str(item["queue_id"]),
                    str(item["prompt"]),
                    int(item["deadline"]),
                    bool(item["done"]),
                )
            )
        agent.status = agent._status()
        return agent

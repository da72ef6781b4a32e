"""What the desk asks of the calls, and what it shows of itself. Times are microseconds unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """Ring this agent for this call; report ``answered`` or ``declined``."""

    call_id: str
    queue_id: str
    user_id: str
    ring_s: float
    """Report ``declined`` with cause ``timeout`` after this long."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stop ringing this agent for this call; nothing is to be reported about it any more."""

    call_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class AcwTimedOut:
    """An agent's time for a wrap-up is over: it is closed without a code of the agent's (W3)."""

    user_id: str
    conversation_id: str
    participant_id: str
    queue_id: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The call's queue does not exist (any more); the desk has forgotten the call."""

    call_id: str


Action = Offer | Withdraw | AcwTimedOut | Lost


@dataclass(frozen=True, slots=True)
class AcwView:
    """A wrap-up that is waited for."""

    conversation_id: str
    participant_id: str
    queue_id: str
    deadline: int


@dataclass(frozen=True, slots=True)
class AgentView:
    """A user as the desk sees one."""

    user_id: str
    on_queue: bool
    status: str
    """``OFF_QUEUE``, ``IDLE``, ``INTERACTING``, ``NOT_RESPONDING`` or ``COMMUNICATING``."""
    since: int
    """When the status began."""
    acw: AcwView | None
    """The latest wrap-up that is waited for."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue at one moment."""

    queue_id: str
    waiting: int
    """Calls that nobody has answered, those that ring at an agent included."""
    longest_us: int
    """How long the oldest of them has waited; 0 without any."""
    on_queue: int
    """Members who are on queue."""
    idle: int
    """Members who would be offered the next call."""

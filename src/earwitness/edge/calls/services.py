"""What conversations need from the edge around them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from earwitness.domain.configuration import Prompt
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.flow_book import FlowBook
from earwitness.edge.calls.reach import Reach
from earwitness.edge.calls.writer import Backlog
from earwitness.edge.prompts import Broken, Job, Ready
from earwitness.edge.sip.events import Address, Authenticate, Flow, SessionHandler, Target
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.flows.values import AudioItem
from earwitness.media.engine.interface import MediaEngine

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation
    from earwitness.edge.calls.hall import Hall
    from earwitness.edge.calls.leg import Leg


class Timer(Protocol):
    """A started timer."""

    def cancel(self) -> None:
        """Never fire."""


class Caller(Protocol):
    """The part of the SIP endpoint that makes calls."""

    def invite(
        self,
        target: Target,
        body: bytes = b"",
        *,
        owner: SessionHandler,
        authenticate: Authenticate | None = None,
    ) -> Session:
        """Sends an INVITE; its events go to ``owner``."""

    def flow_to(self, transport: str, remote: Address) -> Flow:
        """The way to an address."""

    def session_for(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        """The session of a dialog."""


class Prompts(Protocol):
    """Makes what callers are played."""

    def fetch(
        self, items: Sequence[AudioItem], prompts: Iterable[Prompt], done: Callable[[Ready | Broken], None]
    ) -> Job:
        """See ``PromptShelf``."""


class InDialog(Protocol):
    """Answers requests that a party sends within its call."""

    def __call__(
        self, conversation: Conversation, leg: Leg, transaction: ServerTransaction, request: Request, /
    ) -> None: ...


@dataclass(slots=True)
class Services:
    """Passed to every conversation. Times are seconds."""

    sip: Caller
    engine: MediaEngine
    call_later: Callable[[float, Callable[[], None]], Timer]
    new_id: Callable[[], str]
    random: random.Random
    spool: Path
    media_hosts: Callable[[str], tuple[str, str]]
    """SIP address of a peer -> (address to bind its media to, address to advertise or "" for the same)."""
    directory: Callable[[], Directory]
    """The configuration of this moment: where to find those who are called. What is recorded goes by the one that the
    conversation began with.
    """
    reach: Reach
    hall: Hall
    flows: FlowBook
    prompts: Prompts
    in_dialog: InDialog
    register_leg: Callable[[str, Conversation], None]
    forget_leg: Callable[[str], None]
    conversation_of: Callable[[str], Conversation | None]
    """Whose leg it is."""
    register_tape: Callable[[str, Conversation], None]
    forget_tape: Callable[[str], None]
    connection_lost: Callable[[int], None]
    """A phone cannot be reached over this TCP connection any more."""
    backlog: Backlog
    spool_full: Callable[[], bool]
    """No room for new recordings."""
    edge_id: str = ""
    dead_peer_s: float = 30.0
    """How often a silent peer is asked."""
    everybody_s: float = 300.0
    """How often every peer is asked, silent or not."""
    both_silent_s: float = 120.0
    """A call from which no side sends anything, and none holds, ends after this."""
    failover_s: float = 6.0
    """A trunk that says nothing for this long gives way to the next."""
    settle_s: float = 180.0
    """How long the media engine may take to complete tapes: a disk may stall, a media process be replaced."""

"""Calls somebody: sends the INVITEs of one group after the other until somebody answers or all have failed.

Phones of a user form one group and ring at once. Each server of each trunk is a group of its own; the next has its turn
when one refuses with a status that is not the callee's (``plan.FAILOVER``) or does not react in time. Who does not know
the codecs of the offer is asked once more with a wider one, if the client has it.

What an answer means is the client's affair: ``Setup`` for a caller who waits for it, ``Arrival`` for a call that is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from earwitness.domain.configuration import Trunk, User
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import FAILOVER, GLOBAL, Attempt, Final, Groups, ToPhone, ToTrunk, verdict
from earwitness.edge.calls.services import Timer
from earwitness.edge.sip import digest
from earwitness.edge.sip.events import Authenticate, Flow, Target
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Response
from earwitness.edge.sip.sdp import Direction, Format
from earwitness.edge.sip.uri import format_host, parse_uri

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()

ELSEWHERE = [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')]

NO_CODEC = frozenset({415, 488, 606})
"""Answers that a wider offer may cure."""

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""The From of callers who do not want to be known (RFC 3323 §4.1)."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """Who calls, as the callee shall see it."""

    ani: str
    name: str = ""
    private: bool = False
    """He does not want to be known to whom he calls."""
    user: User | None = None
    """Calls of a user show his own number to a trunk."""
    max_forwards: int = 70

    def caller_id(self, trunk: Trunk) -> str:
        """The number to show to a trunk: the user's own, the trunk's, or who called us."""
        own = self.user.address if self.user is not None else ""
        return own or trunk.caller_address or self.ani


@dataclass(frozen=True, slots=True)
class Offer:
    """What a callee is offered."""

    formats: tuple[Format, ...]
    direction: Direction = Direction.SENDRECV
    ptime: int | None = None
    maxptime: int | None = None


class DialClient(Protocol):
    """Whom a dialler works for."""

    def dial_offer(self, wide: bool) -> Offer | None:
        """What to offer; with ``wide`` to somebody who refused the first offer, None: there is nothing wider."""

    def dial_progress(self, leg: Leg, response: Response) -> None: ...

    def dial_accepted(self, leg: Leg, response: Response) -> None:
        """A 2xx; ``answered`` or ``failed`` of the dialler is to be called."""

    def dial_over(self, final: Final) -> None:
        """Every attempt has failed."""


class Dialler:
    """See the module."""

    def __init__(
        self,
        conversation: Conversation,
        client: DialClient,
        participant_id: str,
        groups: Groups,
        presentation: Presentation,
    ) -> None:
        self._conversation = conversation
        self._client = client
        self._participant_id = participant_id
        self._groups = [list(group) for group in groups.groups]
        self._user = groups.user
        self._ring_s = groups.ring_s
        self._phones = groups.phones
        self._presentation = presentation
        self._active: dict[str, Leg] = {}
        self._attempts: dict[str, Attempt] = {}
        """Of each active leg that was made the first, narrow offer."""
        self._failures: list[tuple[int, str]] = []
        self._group_size = 0
        self._ring: Timer | None = None
        self._failover: Timer | None = None

    @property
    def client(self) -> DialClient:
        """Whom it works for."""
        return self._client

    @property
    def only(self) -> Leg | None:
        """The leg that is being called, if it is the only one of its group."""
        return next(iter(self._active.values())) if self._group_size == 1 and self._active else None

    def next_group(self) -> None:
        """Calls the next group, or reports that nobody answered."""
        self._stop_timers()
        while self._groups and not self._active:
            group = self._groups.pop(0)
            self._group_size = len(group)
            for attempt in group:
                self._call(attempt)
        if not self._active:
            self._client.dial_over(verdict(self._failures, phones=self._phones))
            return
        later = self._conversation.services.call_later
        self._ring = later(self._ring_s, self._not_answered)
        if self._groups:
            self._failover = later(self._conversation.services.failover_s, self._next_trunk)

    def heard_from(self) -> None:
        """A 1xx of any kind came: this one reacts. What follows may take its time (mobile phones, other countries)."""
        if self._failover is not None:
            self._failover.cancel()
            self._failover = None

    def failed(self, leg: Leg, status: int, reason: str) -> None:
        """An attempt has failed."""
        if self._active.pop(leg.id, None) is None:
            return
        attempt = self._attempts.pop(leg.id, None)
        self._conversation.end_leg(leg, "timeout" if status == 408 else "endpoint", status, reason)
        if attempt is not None and status in NO_CODEC and (wide := self._client.dial_offer(True)) is not None:
            self._call(attempt, wide)
            return
        self._failures.append((status, reason))
        if status in GLOBAL:
            self._cancel_all("other", None)
            self._groups.clear()
        elif not self._phones and status not in FAILOVER:
            self._groups.clear()
        if not self._active:
            self.next_group()

    def answered(self, leg: Leg) -> None:
        """This one has it; the others need not ring any more."""
        self._active.pop(leg.id, None)
        self._groups.clear()
        self._stop_timers()
        self._cancel_all("other", None, elsewhere=True)

    def stop(self) -> None:
        """The caller has gone: no further attempts. The conversation hangs up its legs."""
        self._stop_timers()
        self._groups.clear()
        self._active.clear()

    def cancel(self, cause: str) -> None:
        """Nobody is wanted any more: what rings is cancelled."""
        self._stop_timers()
        self._groups.clear()
        self._cancel_all(cause, None)

    def _call(self, attempt: Attempt, offer: Offer | None = None) -> None:
        conversation = self._conversation
        made = self._target(attempt)
        if made is None:
            self._failures.append((480, ""))
            return
        target, address, authenticate = made
        trunk = attempt.trunk if isinstance(attempt, ToTrunk) else None
        station = attempt.station if isinstance(attempt, ToPhone) else None
        leg = conversation.add_leg(self._participant_id, target.flow.remote[0], trunk=trunk, station=station)
        if leg is None:
            self._failures.append((503, ""))
            return
        if offer is None:
            self._attempts[leg.id] = attempt
        offer = offer or self._client.dial_offer(False)
        assert offer is not None, "every client has a first offer"
        leg.offered = offer.formats
        leg.learn(offer.formats)
        body = leg.local.offer(offer.formats, offer.direction, ptime=offer.ptime, maxptime=offer.maxptime)
        self._active[leg.id] = leg
        conversation.dials[leg.id] = self
        session = conversation.services.sip.invite(target, body, owner=leg, authenticate=authenticate)
        leg.attach(session)
        session.on_trying = self.heard_from
        conversation.offered(leg, address, self._user)

    def _target(self, attempt: Attempt) -> tuple[Target, str, Authenticate | None] | None:
        """The request to send, the address to show, and how to answer challenges; None: cannot be reached."""
        who = self._presentation
        flow_to = self._conversation.services.sip.flow_to
        if isinstance(attempt, ToPhone):
            source = attempt.binding.reach
            flow = flow_to(source.transport, (source.host, source.port))
            if source.connection is not None:
                flow = flow._replace(connection=source.connection)
            try:
                parse_uri(attempt.binding.uri)
            except SipParseError:
                return None
            ours = format_host(flow.local[0])
            target = Target(
                uri=attempt.binding.uri,
                flow=flow,
                from_=ANONYMOUS if who.private else _name_addr(who.name, who.ani, ours),
                to=f"<sip:{_user_part(attempt.station.username)}@{ours}>",
                contact_user="" if who.private else _user_part(who.ani),
                max_forwards=who.max_forwards,
                pin=attempt.binding.port == 0,
            )
            return target, attempt.station.username, None
        trunk = attempt.trunk
        flow = flow_to(trunk.transport, (attempt.host, attempt.port))
        caller = who.caller_id(trunk)
        ours, theirs = _host_port(flow), format_host(attempt.host)
        port = f":{attempt.port}" if attempt.port != 5060 else ""
        number = _user_part(attempt.number)
        headers = [("P-Asserted-Identity", f"<sip:{_user_part(caller)}@{ours}>")] if caller else []
        if who.private:
            headers.append(("Privacy", "id"))
        target = Target(
            uri=f"sip:{number}@{theirs}{port}",
            flow=flow,
            from_=ANONYMOUS if who.private else _name_addr(who.name, caller, ours),
            to=f"<sip:{number}@{theirs}>",
            contact_user=_user_part(caller),
            headers=headers,
            max_forwards=who.max_forwards,
        )
        return target, attempt.number, self._credentials(trunk)

    def _credentials(self, trunk: Trunk) -> Authenticate | None:
        credentials = trunk.credentials
        if credentials is None:
            return None
        rng = self._conversation.services.random

        def authenticate(challenges: Sequence[str], method: str, uri: str, body: bytes) -> str | None:
            return digest.authorize(
                challenges,
                credentials.username,
                credentials.password,
                method=method,
                uri=uri,
                cnonce=f"{rng.getrandbits(64):016x}",
                realm=credentials.realm,
            )

        return authenticate

    def _not_answered(self) -> None:
        """The ring time is over."""
        self._ring = None
        self._failures.append((408, ""))
        self._groups.clear()
        self._cancel_all("timeout", 408)
        self.next_group()
        self._conversation.story.flush()

    def _next_trunk(self) -> None:
        """This trunk does not react."""
        self._failover = None
        self._failures.append((408, ""))
        self._cancel_all("timeout", 408)
        self.next_group()
        self._conversation.story.flush()

    def _cancel_all(self, cause: str, status: int | None, *, elsewhere: bool = False) -> None:
        active, self._active = list(self._active.values()), {}
        for leg in active:
            self._conversation.end_leg(leg, cause, status)
            if leg.session is not None:
                leg.session.hang_up(ELSEWHERE if elsewhere else ())

    def _stop_timers(self) -> None:
        for timer in (self._ring, self._failover):
            if timer is not None:
                timer.cancel()
        self._ring = self._failover = None


def _name_addr(display: str, user: str, host: str) -> str:
    shown = "".join(c for c in display if c.isprintable()).replace("\\", "").replace('"', "")[:80]
    address = f"<sip:{_user_part(user)}@{host}>" if user else f"<sip:{host}>"
    return f'"{shown}" {address}' if shown else address


def _user_part(text: str) -> str:
    """Text as the user part of a URI (RFC 3261 §25.1): what may not stand there is escaped."""
    allowed = "-_.!~*'()&=+$,;?/"
    return "".join(
        c
        if (c.isascii() and c.isalnum()) or c in allowed
        else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace"))
        for c in text
    )


def _host_port(flow: Flow) -> str:
    return format_host(flow.local[0])

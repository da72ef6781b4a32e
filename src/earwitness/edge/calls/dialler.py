"""Calls somebody: sends the INVITEs of one group after the other until somebody answers or all have failed.

Phones of a user form one group and ring at once. Each server of each trunk is a group of its own; the next has its turn
when one refuses with a status that is not the callee's (``plan.FAILOVER``) or does not react in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from earwitness.domain.configuration import Trunk, User
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import FAILOVER, GLOBAL, Attempt, ToPhone, ToTrunk, verdict
from earwitness.edge.calls.services import Timer
from earwitness.edge.sip import digest
from earwitness.edge.sip.events import Authenticate, Flow, Target
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.uri import format_host, parse_uri

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()

ELSEWHERE = [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')]

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""The From of callers who do not want to be known (RFC 3323 §4.1)."""


class Dialler:
    """The callee's side of a conversation in setup."""

    def __init__(
        self,
        conversation: Conversation,
        participant_id: str,
        groups: Sequence[Sequence[Attempt]],
        *,
        user: User | None,
        ring_s: float,
    ) -> None:
        self._conversation = conversation
        self._participant_id = participant_id
        self._groups = list(groups)
        self._user = user
        self._ring_s = ring_s
        self._phones = isinstance(groups[0][0], ToPhone)
        self._active: dict[str, Leg] = {}
        self._failures: list[tuple[int, str]] = []
        self._group_size = 0
        self._ring: Timer | None = None
        self._failover: Timer | None = None

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
            self._conversation.nobody_answered(verdict(self._failures, phones=self._phones))
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
        self._failures.append((status, reason))
        self._conversation.end_leg(leg, "timeout" if status == 408 else "endpoint", status, reason)
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

    def _call(self, attempt: Attempt) -> None:
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
        formats, direction, stream = conversation.offer_for_callee()
        leg.learn(formats)
        ptime, maxptime = (stream.ptime, stream.maxptime) if stream is not None else (None, None)
        body = leg.local.offer(formats, direction, ptime=ptime, maxptime=maxptime)
        self._active[leg.id] = leg
        session = conversation.services.sip.invite(target, body, owner=leg, authenticate=authenticate)
        leg.attach(session)
        session.on_trying = self.heard_from
        conversation.offered(leg, address, self._user)

    def _target(self, attempt: Attempt) -> tuple[Target, str, Authenticate | None] | None:
        """The request to send, the address to show, and how to answer challenges; None: cannot be reached."""
        conversation = self._conversation
        flow_to = conversation.services.sip.flow_to
        if isinstance(attempt, ToPhone):
            source = attempt.binding.source
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
                from_=ANONYMOUS
                if conversation.private
                else _name_addr(conversation.caller_name, conversation.ani, ours),
                to=f"<sip:{_user_part(attempt.station.username)}@{ours}>",
                contact_user="" if conversation.private else _user_part(conversation.ani),
                max_forwards=conversation.max_forwards,
                pin=True,
            )
            return target, attempt.station.username, None
        trunk = attempt.trunk
        flow = flow_to(trunk.transport, (attempt.host, attempt.port))
        caller = conversation.caller_id(trunk)
        ours, theirs = _host_port(flow), format_host(attempt.host)
        port = f":{attempt.port}" if attempt.port != 5060 else ""
        number = _user_part(attempt.number)
        headers = [("P-Asserted-Identity", f"<sip:{_user_part(caller)}@{ours}>")] if caller else []
        if conversation.private:
            headers.append(("Privacy", "id"))
        target = Target(
            uri=f"sip:{number}@{theirs}{port}",
            flow=flow,
            from_=ANONYMOUS if conversation.private else _name_addr(conversation.caller_name, caller, ours),
            to=f"<sip:{number}@{theirs}>",
            contact_user=_user_part(caller),
            headers=headers,
            max_forwards=conversation.max_forwards,
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

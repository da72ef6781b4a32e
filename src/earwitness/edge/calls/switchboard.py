"""Takes what arrives at the edge from outside any call, and keeps the table of conversations.

Who is calling? In this order: the station whose REGISTER came from this very address and port, and whoever offers
credentials, must prove it by digest; a trunk is known by its peer's address; everybody else is asked for credentials.
Only then does the dialled number mean anything.

A conversation keeps the directory (configuration snapshot) that it began with; a new one is used for new calls only.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from earwitness.domain.configuration import Station, Trunk
from earwitness.domain.conversation.events import Event
from earwitness.edge.calls import routing
from earwitness.edge.calls.authentication import Authenticator, Ruling
from earwitness.edge.calls.conversation import Conversation
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.plan import Attempt, Final, ToPhone, ToTrunk
from earwitness.edge.calls.registration import Registration
from earwitness.edge.calls.services import Caller, Services, Timer
from earwitness.edge.calls.writer import Backlog
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.registrar import Registrar
from earwitness.edge.sip.sdp import is_address
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.trunks import normalise_number, split_address
from earwitness.edge.sip.uri import NameAddr, parse_name_addr
from earwitness.media.engine import interface as media
from earwitness.media.engine.interface import MediaEngine

log = structlog.get_logger()

ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REGISTER")
"""Methods that the edge takes."""

Subscriber = Callable[[str, Event], None]
"""Gets (conversation id, event) of every event once it is written."""


@dataclass(frozen=True, slots=True)
class SwitchboardOptions:
    """Limits and times, seconds."""

    max_calls: int = 4000
    dead_peer_s: float = 30.0
    both_silent_s: float = 120.0
    failover_s: float = 6.0
    settle_s: float = 180.0
    edge_id: str = ""


class Switchboard:
    """The SIP endpoint's handler. ``connect`` it to endpoint and engine before the first message."""

    def __init__(
        self,
        directory: Directory,
        registrar: Registrar,
        spool: Path,
        *,
        options: SwitchboardOptions,
        rng: random.Random,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        unix_time: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
        media_hosts: Callable[[str], tuple[str, str]],
        touched: Callable[[], None] = lambda: None,
        registrations_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """:param clock: seconds, never stepping. :param unix_time: seconds, never stepping either; for registrations.
        :param touched: told when something was written to the spool.
        """
        self.directory = directory
        self.registrar = registrar
        self.conversations: dict[str, Conversation] = {}
        self.counters: Counter[str] = Counter()
        self.resolved: dict[str, tuple[str, ...]] = {}
        """Addresses of trunk servers named by host name."""
        self.spool_full = False
        """The spool cannot take new recordings."""
        self._options = options
        self._rng = rng
        self._new_id = new_id
        self._unix_time = unix_time
        self._touched = touched
        self._legs: dict[str, Conversation] = {}
        self._subscribers: list[Subscriber] = []
        self._draining = False
        self._authenticator = Authenticator(directory.snapshot.realm, rng, clock)
        self._registration = Registration(registrar, self._authenticator, unix_time, registrations_changed)
        self._call_later = call_later
        self._media_hosts = media_hosts
        self._spool = spool
        self._services: Services | None = None
        self.backlog = Backlog(call_later, touched)
        """Events of ended calls that the disk has not taken."""

    def connect(self, sip: Caller, engine: MediaEngine) -> None:
        """Calls can be made from now on."""
        options = self._options
        self._services = Services(
            sip=sip,
            engine=engine,
            call_later=self._call_later,
            new_id=self._new_id,
            random=self._rng,
            spool=self._spool,
            media_hosts=self._media_hosts,
            register_leg=self._legs.__setitem__,
            forget_leg=self._forget_leg,
            connection_lost=self._connection_lost,
            backlog=self.backlog,
            spool_full=lambda: self.spool_full,
            allow=ALLOW,
            edge_id=options.edge_id,
            dead_peer_s=options.dead_peer_s,
            both_silent_s=options.both_silent_s,
            failover_s=options.failover_s,
            settle_s=options.settle_s,
        )

    def disconnect(self) -> None:
        """No calls can be made until ``connect`` is called again; none may be up."""
        self._services = None

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Live events; gives the function that ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def use(self, directory: Directory) -> None:
        """A new configuration, for new calls; bindings of stations that are gone are dropped."""
        self.directory = directory
        self._authenticator.use_realm(directory.snapshot.realm)
        for binding in self.registrar.all_bindings(self._unix_time()):
            if directory.station(binding.station_id) is None:
                self.registrar.remove_station(binding.station_id)
        for problem in directory.trunks.problems:
            log.warning("configuration problem", problem=problem)

    def knows(self, host: str) -> bool:
        """A trunk's peer or a registered phone is at this address."""
        return self.registrar.knows(host) or self.directory.trunks.knows(host)

    def drain(self, cause: str = "shutdown") -> None:
        """Takes no more calls and hangs up those in progress."""
        self._draining = True
        for conversation in list(self.conversations.values()):
            conversation.disconnect(cause, cause_of_legs="system")

    # From the SIP endpoint.

    def on_request(self, transaction: ServerTransaction, request: Request) -> None:
        """REGISTER and OPTIONS; nothing else is ours."""
        self.counters[request.method] += 1
        if request.method == "REGISTER":
            self._registration.register(transaction, request, self.directory)
        elif request.method == "OPTIONS":
            headers = [("Allow", ", ".join(ALLOW)), ("Accept", "application/sdp")]
            transaction.respond(503 if self._draining else 200, None, headers)
        else:
            transaction.respond(405, None, [("Allow", ", ".join(ALLOW))])

    def on_invite(self, session: UasSession, request: Request) -> None:
        """A new call."""
        self.counters["INVITE"] += 1
        if self._services is None or self._draining or len(self.conversations) >= self._options.max_calls:
            self.counters["overload"] += 1
            session.reject(503, None, [("Retry-After", "5")])
            return
        directory = self.directory
        host, port = session.flow.remote
        trunk = directory.trunks.identify(host, port)
        station: Station | None = None
        must_prove = (
            trunk is None
            or bool(self._authenticator.claimed(request))
            or self.registrar.station_at(host, port, self._unix_time()) is not None
        )
        if must_prove:
            identity = self._authenticator.identify(request, host, directory)
            if identity.ruling is not Ruling.KNOWN:
                self.counters["refused " + identity.ruling.value] += 1
                session.reject(identity.status, None, identity.headers)
                return
            trunk, station = identity.trunk, identity.station
        if trunk is not None and self._cannot_record(trunk):
            log.error("call refused: it cannot be recorded", trunk=trunk.name)
            session.reject(503, None, [("Retry-After", "60")])
            return
        if station is not None:
            session.pin()
        self._begin(session, request, directory, self._services, trunk, station)

    # From the media engine.

    def on_media_event(self, event: media.MediaEvent) -> None:
        """Hands an event to the conversation that it concerns."""
        match event:
            case media.Silence(leg_id=leg_id) | media.Activity(leg_id=leg_id) | media.Digit(leg_id=leg_id):
                conversation = self._legs.get(leg_id)
                leg = conversation.legs.get(leg_id) if conversation is not None else None
                if conversation is None or leg is None:
                    return
                if isinstance(event, media.Silence):
                    conversation.silence(leg)
                elif isinstance(event, media.Activity):
                    conversation.activity(leg)
                elif isinstance(event, media.Digit):
                    conversation.digit(leg, event.digit, event.at)
            case media.SourceChanged(leg_id=leg_id):
                self._fact(
                    leg_id,
                    "source.changed",
                    event.at,
                    leg_id=leg_id,
                    channel=event.channel,
                    cause=event.cause,
                    ssrc=event.ssrc,
                    payload_type=event.payload_type,
                )
            case media.Gap(leg_id=leg_id):
                self._fact(
                    leg_id,
                    "gap",
                    None,
                    leg_id=leg_id,
                    channel=event.channel,
                    from_us=event.from_us,
                    to_us=event.to_us,
                    cause=event.cause,
                )
            case media.TapeClosed(leg_id=leg_id):
                conversation = self._legs.get(leg_id)
                if conversation is not None:
                    conversation.tape_closed(event.tape_id, event.opening)
            case media.TapeFailed(leg_id=leg_id):
                log.error("tape cannot be written", tape=event.tape_id, error=event.error)
                self.counters["tape failed"] += 1
                self._fact(
                    leg_id, "tape.failed", event.at, tape_id=event.tape_id, opening=event.opening, error=event.error
                )
            case media.LegFailed(leg_id=leg_id):
                self.counters["leg failed"] += 1
                conversation = self._legs.get(leg_id)
                leg = conversation.legs.get(leg_id) if conversation is not None else None
                if conversation is not None and leg is not None:
                    conversation.media_failed(leg, event.error)
            case media.EngineLost():
                log.error("media process lost", legs=event.legs)
            case media.EngineRestored():
                log.warning("media process replaced", legs=event.legs, after_ms=event.after_ms)
            case _:
                pass

    def _connection_lost(self, connection: int) -> None:
        self.registrar.connection_lost(connection)

    def _forget_leg(self, leg_id: str) -> None:
        self._legs.pop(leg_id, None)

    def _fact(self, leg: str, event_type: str, at: int | None, **data: object) -> None:
        conversation = self._legs.get(leg)
        if conversation is not None:
            conversation.media_fact(event_type, at, **data)

    # Calls.

    def _begin(
        self,
        session: UasSession,
        request: Request,
        directory: Directory,
        services: Services,
        trunk: Trunk | None,
        station: Station | None,
    ) -> None:
        try:
            dialled = normalise_number(request.parsed_uri.username)
            ani, name = _caller(request, trusted=trunk is not None)
        except SipParseError:
            session.reject(400)
            return
        user = directory.user(station.user_id) if station is not None else None
        if station is not None:
            ani = station.extension or station.username
            destination = routing.from_station(directory, dialled)
            direction = "outbound" if isinstance(destination, routing.Dial) else "internal"
        else:
            destination = routing.from_trunk(directory, dialled)
            direction = "inbound"
        private = _private(request)
        conversation_id = services.new_id()

        def publish(event: Event) -> None:
            self._touched()
            for subscriber in tuple(self._subscribers):
                subscriber(conversation_id, event)

        conversation = Conversation(conversation_id, services, directory, publish, self._gone)
        self.conversations[conversation_id] = conversation
        try:
            began = conversation.begin(
                session,
                direction=direction,
                ani=ani,
                dnis=dialled,
                trunk=trunk,
                station=station,
                user=user,
                name=name,
                private=private,
            )
            if began:
                self._route(conversation, directory, destination)
            else:
                self.conversations.pop(conversation_id, None)
        except Exception:
            log.exception("a call broke", conversation=conversation_id)
            session.reject(500)
            conversation.broke()
            self.conversations.pop(conversation_id, None)

    def _route(self, conversation: Conversation, directory: Directory, destination: routing.Destination) -> None:
        match destination:
            case routing.Refuse(status=status, why=why):
                log.info("call refused", conversation=conversation.id, status=status, why=why)
                conversation.refuse(Final(status, None, "rejected"))
            case routing.Ring(stations=stations, user=user):
                now = self._unix_time()
                phones = [ToPhone(s, binding) for s in stations for binding in self.registrar.bindings(s.id, now)]
                if not phones:
                    conversation.refuse(Final(480, "Not Registered", "rejected"))
                    return
                address = stations[0].extension or stations[0].username
                conversation.dial([phones], user=user, ring_s=directory.snapshot.ring_timeout_s, address=address)
            case routing.Dial(number=number, trunks=trunks):
                usable = [trunk for trunk in trunks if not self._cannot_record(trunk)]
                if len(usable) < len(trunks):
                    log.error("trunks left out: calls over them cannot be recorded", left=len(usable))
                attempts = [attempt for trunk in usable for attempt in self._servers(trunk, number)]
                if not attempts:
                    conversation.refuse(Final(503, None, "rejected"))
                    return
                ring_s = max(trunk.max_dial_s for trunk in trunks)
                conversation.dial([[attempt] for attempt in attempts], user=None, ring_s=ring_s, address=number)

    def _cannot_record(self, trunk: Trunk) -> bool:
        """This trunk's calls must be recorded, and cannot be at the moment."""
        return self.spool_full and trunk.recording.enabled and trunk.refuse_unrecordable

    def _servers(self, trunk: Trunk, number: str) -> list[Attempt]:
        found: list[Attempt] = []
        if trunk.transport not in ("udp", "tcp"):
            log.error("this trunk's transport is not supported", trunk=trunk.name, transport=trunk.transport)
            return found
        for server in trunk.servers:
            host, port = split_address(server, 5060)
            for address in self.resolved.get(host, (host,)):
                if is_address(address):
                    found.append(ToTrunk(trunk, number, address, port or 5060))  # noqa: PERF401
        return found

    def _gone(self, conversation: Conversation) -> None:
        self.conversations.pop(conversation.id, None)
        self._touched()


def _private(request: Request) -> bool:
    """The caller asks not to be known to whom he calls (RFC 3323, RFC 3325)."""
    wanted = {
        word.strip().lower() for value in request.get_all("privacy") for word in value.replace(",", ";").split(";")
    }
    return bool(wanted & {"id", "user", "header", "session"})


def _caller(request: Request, *, trusted: bool) -> tuple[str, str]:
    """The caller's number (or name in the address) and display name.

    A trunk's P-Asserted-Identity (RFC 3325) says more than From, which may be anonymous.
    """
    who: NameAddr = request.from_
    asserted = request.elements("p-asserted-identity") if trusted else []
    for value in asserted:
        try:
            candidate = parse_name_addr(value)
            if candidate.uri.username:
                who = candidate
                break
        except SipParseError:
            continue
    try:
        number = normalise_number(who.uri.username)
    except SipParseError:
        number = ""
    return number, (who.display or request.from_.display)[:200]

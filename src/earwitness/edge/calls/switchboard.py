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
from earwitness.edge.calls.dialler import Presentation
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.flow_book import FlowBook
from earwitness.edge.calls.hall import Hall
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.origination import Origination
from earwitness.edge.calls.plan import Final
from earwitness.edge.calls.reach import Reach
from earwitness.edge.calls.registration import Registration
from earwitness.edge.calls.requests import InDialog
from earwitness.edge.calls.services import Caller, Prompts, Services, Timer
from earwitness.edge.calls.takeover import take_over
from earwitness.edge.calls.transfer import Goal
from earwitness.edge.calls.writer import Backlog
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.registrar import Registrar
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.trunks import normalise_number
from earwitness.edge.sip.uri import NameAddr, parse_name_addr
from earwitness.media.engine import interface as media
from earwitness.media.engine.interface import MediaEngine

log = structlog.get_logger()

ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "REGISTER")
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
        hall: Hall,
        prompts: Prompts,
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
        self._tapes: dict[str, Conversation] = {}
        self.flows = FlowBook()
        self.hall = hall
        self._prompts = prompts
        self._reach = Reach(registrar, unix_time, self._cannot_record, lambda: self.resolved)
        self._subscribers: list[Subscriber] = []
        self._draining = False
        self._authenticator = Authenticator(directory.snapshot.realm, rng, clock)
        self._registrations_changed = registrations_changed
        self._registration = Registration(registrar, self._authenticator, unix_time, self._registered)
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
            directory=lambda: self.directory,
            reach=self._reach,
            hall=self.hall,
            flows=self.flows,
            prompts=self._prompts,
            in_dialog=InDialog(ALLOW, sip.session_for),
            register_leg=self._legs.__setitem__,
            forget_leg=self._forget_leg,
            conversation_of=self._legs.get,
            register_tape=self._tapes.__setitem__,
            forget_tape=self._forget_tape,
            connection_lost=self._connection_lost,
            backlog=self.backlog,
            spool_full=lambda: self.spool_full,
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
        self.hall.configure(directory.snapshot)
        self._authenticator.use_realm(directory.snapshot.realm)
        for binding in self.registrar.all_bindings(self._unix_time()):
            if directory.station(binding.station_id) is None:
                self.registrar.remove_station(binding.station_id)
        for problem in directory.trunks.problems:
            log.warning("configuration problem", problem=problem)
        self.check_phones()

    def has_room(self, room: bool) -> None:
        """Whether the spool's disk has room for new recordings. Calls that wanted for it are recorded from now on."""
        again = room and self.spool_full
        self.spool_full = not room
        for conversation in list(self.conversations.values()) if again else ():
            conversation.story.room()

    def check_phones(self) -> None:
        """Tells the queues which users have a phone that is registered; to be called when bindings may have expired."""
        directory = self.directory
        bound = {binding.station_id for binding in self.registrar.all_bindings(self._unix_time())}
        stations = (directory.station(station_id) for station_id in bound)
        users = [station.user_id for station in stations if station is not None and station.user_id is not None]
        self.hall.reachable(users, [user.id for user in directory.snapshot.users])

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
        replaced = session.replaces
        if replaced is not None:
            take_over(session, station, replaced.owner if isinstance(replaced.owner, Leg) else None, self._services)
            return
        self._begin(session, request, directory, self._services, trunk, station)

    # From the media engine.

    def on_media_event(self, event: media.MediaEvent) -> None:
        """Hands an event to the conversation that it concerns."""
        match event:
            case (
                media.Silence(leg_id=leg_id)
                | media.Activity(leg_id=leg_id)
                | media.Digit(leg_id=leg_id)
                | media.Code(leg_id=leg_id)
                | media.PlayEnded(leg_id=leg_id)
            ):
                conversation = self._legs.get(leg_id)
                leg = conversation.legs.get(leg_id) if conversation is not None else None
                if conversation is None or leg is None:
                    return
                if isinstance(event, media.Silence):
                    conversation.reactions.silence(leg)
                elif isinstance(event, media.Activity):
                    conversation.reactions.activity_of(leg)
                elif isinstance(event, media.Digit):
                    conversation.reactions.digit(leg, event.digit, event.at)
                elif isinstance(event, media.Code):
                    conversation.reactions.code(leg)
                else:
                    conversation.reactions.play_ended(leg, event.play_id, event.error)
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
            case media.TapeClosed(tape_id=tape_id):
                conversation = self._tapes.get(tape_id)
                if conversation is not None:
                    conversation.ending.tape_closed(event.tape_id, event.opening)
            case media.TapeFailed(tape_id=tape_id, opening=opening, error=error):
                log.error("tape cannot be written", tape=tape_id, error=error)
                self.counters["tape failed"] += 1
                conversation = self._tapes.get(tape_id)
                if conversation is not None:
                    conversation.reactions.media_fact(
                        "tape.failed", event.at, tape_id=tape_id, opening=opening, error=error
                    )
            case media.TapeRecovered(tape_id=tape_id, opening=opening):
                conversation = self._tapes.get(tape_id)
                if conversation is not None:
                    conversation.reactions.media_fact("tape.recovered", event.at, tape_id=tape_id, opening=opening)
            case media.LegFailed(leg_id=leg_id):
                self.counters["leg failed"] += 1
                conversation = self._legs.get(leg_id)
                leg = conversation.legs.get(leg_id) if conversation is not None else None
                if conversation is not None and leg is not None:
                    conversation.reactions.media_failed(leg, event.error)
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

    def _forget_tape(self, tape_id: str) -> None:
        self._tapes.pop(tape_id, None)

    def _registered(self) -> None:
        self.check_phones()
        self._registrations_changed()

    def _fact(self, leg: str, event_type: str, at: int | None, **data: object) -> None:
        conversation = self._legs.get(leg)
        if conversation is not None:
            conversation.reactions.media_fact(event_type, at, **data)

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
        shown = Presentation(ani, user.name if user is not None else name, _private(request), user, _forwards(request))
        conversation = self._make(services, directory)
        try:
            if conversation.begin(session, shown, direction=direction, dnis=dialled, trunk=trunk, station=station):
                self._route(conversation, directory, destination)
            else:
                self.conversations.pop(conversation.id, None)
        except Exception:
            log.exception("a call broke", conversation=conversation.id)
            session.reject(500)
            conversation.reactions.broke()
            self.conversations.pop(conversation.id, None)

    def call(self, user_id: str, goal: Goal, *, queue_id: str | None = None) -> Conversation | str:
        """A user wants to call: his phone rings, and when he answers, the goal is called. Gives why it cannot be.

        :param queue_id: on whose behalf.
        """
        services, directory = self._services, self.directory
        if services is None or self._draining or len(self.conversations) >= self._options.max_calls:
            return "no further calls can be taken at the moment"
        conversation = self._make(services, directory)
        try:
            problem = Origination(conversation, user_id, goal, queue_id=queue_id).begin()
        except Exception:
            log.exception("a call broke", conversation=conversation.id)
            conversation.reactions.broke()
            problem = "an error of ours"
        if problem is not None:
            self.conversations.pop(conversation.id, None)
            return problem
        return conversation

    def _make(self, services: Services, directory: Directory) -> Conversation:
        conversation_id = services.new_id()

        def publish(event: Event) -> None:
            self._touched()
            for subscriber in tuple(self._subscribers):
                subscriber(conversation_id, event)

        conversation = Conversation(conversation_id, services, directory, publish, self._gone)
        self.conversations[conversation_id] = conversation
        return conversation

    def _route(self, conversation: Conversation, directory: Directory, destination: routing.Destination) -> None:
        match destination:
            case routing.Refuse(status=status, why=why):
                log.info("call refused", conversation=conversation.id, status=status, why=why)
                conversation.refuse(Final(status, None, "rejected"))
            case routing.Wait(queue=queue):
                conversation.wait(queue)
            case routing.Run(flow=flow):
                conversation.run(flow)
            case routing.Ring() | routing.Dial():
                groups = self._reach.groups(directory, destination)
                if isinstance(groups, Final):
                    conversation.refuse(groups)
                else:
                    conversation.dial(groups)

    def _cannot_record(self, trunk: Trunk) -> bool:
        """This trunk's calls must be recorded, and cannot be at the moment."""
        return self.spool_full and trunk.recording.enabled and trunk.refuse_unrecordable

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


def _forwards(request: Request) -> int:
    """Max-Forwards for the onward call: what came in, less one."""
    value = request.get("max-forwards") or ""
    return max(0, min(int(value), 70) - 1) if value.isascii() and value.isdigit() and len(value) < 4 else 69

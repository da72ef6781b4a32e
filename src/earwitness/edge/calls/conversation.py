"""A call: the state machine of one conversation.

Theory of operation. A conversation is made for an incoming INVITE whose caller is known, or for a user who wants to
call. ::

    SETUP --somebody, or we ourselves, answer--> UP --nobody is left to talk to--> ENDED --tapes complete--> (gone)
    SETUP --caller gives up, nobody answers, everybody refuses--> ENDED

SETUP (``setup``): the caller waits; somebody is dialled, or a flow or a queue takes the call.

Answer. In this order, without a pause: the legs' media are set and connected; the events are told, whereby the
recording rules open tapes (the media engine has the command) and everything is on disk; then the caller gets the 200
that starts the media. Nothing here waits for a database.

UP. Legs that are up are in ``main``, the room of the conversation; the one whom a participant consults is not. What
happens to the call is one ``Activity`` at a time: a flow or a queue has it, or somebody is transferring or consulting.
Whoever is to join is an ``Arrival``. ``arrange`` makes the media engine connect those who talk, and is called after
every change. ``Negotiation`` runs re-INVITEs; a change becomes events (``leg.media``, hold segments). A leg that sends
no RTP is asked by OPTIONS; no answer ends it. So does silence of all sides, hold apart.

ENDED. Every way out goes through ``end``. The peers hear at once; the folder gets its ``conversation.ended`` when the
media engine says that the tape files are complete, because that line hands it to the worker.

What drives it: sessions (through ``Leg``), the media engine's events, timers, the control API. All on one thread.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from earwitness.domain.configuration import Flow, Queue, Station, Trunk, User
from earwitness.domain.conversation.events import Event
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.bridge import Bridge, Sound
from earwitness.edge.calls.cast import Cast, Person
from earwitness.edge.calls.dialler import Dialler, Presentation
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.flow import FlowCall
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import BadOffer, Negotiation
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.recorder import Recorder
from earwitness.edge.calls.rooms import Rooms, rooms_of
from earwitness.edge.calls.services import Services, Timer
from earwitness.edge.calls.setup import Setup
from earwitness.edge.calls.story import Story
from earwitness.edge.calls.vigil import Vigil
from earwitness.edge.calls.waiting import QueueWait
from earwitness.edge.calls.writer import EventLog
from earwitness.edge.sip.events import Failure
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.offer_answer import LocalDescription, NotAcceptable
from earwitness.edge.sip.sdp import Direction
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.media.engine import sounds
from earwitness.media.engine.interface import EngineError

log = structlog.get_logger()

FAILURE_CAUSES = {
    Failure.TIMEOUT: "timeout",
    Failure.TRANSPORT: "transport.failure",
    Failure.NO_ACK: "timeout",
    Failure.GONE: "error",
    Failure.EXPIRED: "timeout",
    Failure.CANCELLED: "other",
}
"""The contract's disconnectType for each."""


class State(enum.Enum):
    SETUP = "setup"
    UP = "up"
    ENDED = "ended"


class Activity(Protocol):
    """What is going on with a call besides talking: a flow, a wait, a transfer, a consultation."""

    name: str
    """For people: "another … is under way"."""

    def legs(self) -> Rooms:
        """How the legs are to be arranged while it goes on."""

    def digit(self, leg: Leg, digit: str) -> None:
        """A digit was pressed."""

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        """A play of its own came to an end."""

    def left(self, leg: Leg) -> None:
        """A leg has gone, and the call goes on."""

    def goes_on_without(self, leg: Leg) -> bool:
        """Whether those who are left are still waiting for somebody."""

    def stop(self) -> None:
        """It is over, one way or the other."""


class Conversation:
    """See the module."""

    def __init__(
        self,
        conversation_id: str,
        services: Services,
        directory: Directory,
        publish: Callable[[Event], None],
        on_gone: Callable[[Conversation], None],
    ) -> None:
        self.id = conversation_id
        self.services = services
        self.directory = directory
        self.state = State.SETUP
        self.legs: dict[str, Leg] = {}
        """Every leg that the media engine still has, by id."""
        self.main: list[Leg] = []
        """The legs that are up and in the conversation's room, in the order of their coming."""
        self.holding: set[str] = set()
        """Participants who hold by the API."""
        self.arrivals: list[Arrival] = []
        self.dials: dict[str, Dialler] = {}
        """Who is calling a leg, by the leg's id."""
        self.activity: Activity | None = None
        self.presentation = Presentation("")
        """Of the caller."""
        self.dnis = ""
        self.language = ""
        """Of the flow; empty until one says so."""
        self.attributes: dict[str, str] = {}
        """Of the caller, for flows."""
        self.secure_pause = False
        self.handovers = 0
        """From flow to flow or queue."""
        self.music: Sound = sounds.hold_music()
        """What somebody on hold hears."""
        self._on_gone = on_gone
        snapshot = directory.snapshot
        folder = services.spool / conversation_id
        self.recorder = Recorder(
            services.engine,
            folder,
            {trunk.id: trunk for trunk in snapshot.trunks},
            services.new_id,
            services.spool_full,
            stop_when_only_external=snapshot.stop_when_only_external,
            register_tape=lambda tape_id: services.register_tape(tape_id, self),
        )
        self.story = Story(EventLog(folder), self.recorder, services.engine.clock.now_us, publish)
        self.cast = Cast(self.story, services.new_id)
        self.negotiation = Negotiation(self.partner, self._changed)
        self._bridge = Bridge(services.engine, conversation_id)
        self._setup: Setup | None = None
        self._vigil: Vigil | None = None
        self._settling: Timer | None = None
        self._ending: tuple[str, str | None, int] | None = None
        self._agents: dict[str, str] = {}
        """Participants with after-call work: their users."""

    # Setup.

    def begin(
        self,
        session: UasSession,
        presentation: Presentation,
        *,
        direction: str,
        dnis: str,
        trunk: Trunk | None = None,
        station: Station | None = None,
    ) -> bool:
        """The caller's INVITE. False: it was refused, and the conversation is over."""
        services, user = self.services, presentation.user
        leg = self._make_leg(services.new_id(), services.new_id(), session.flow.remote[0], trunk=trunk, station=station)
        if isinstance(leg, EngineError):
            log.error("no media ports", error=str(leg))
            session.reject(503, None, [("Retry-After", "5")])
            return False
        leg.attach(session)
        self._setup = setup = Setup(self, leg, session)
        self.presentation, self.dnis = presentation, dnis
        self._started(direction)
        name = presentation.name or (station.name if station is not None else None)
        self.cast.join(
            leg.participant_id,
            purpose="external" if trunk is not None else "user",
            name=name,
            user_id=user.id if user is not None else None,
            address=presentation.ani,
            ani=presentation.ani,
            dnis=dnis,
        )
        self.cast.offered(leg, "inbound", presentation.ani, user)
        self.cast.segment(leg.participant_id, "dialing")
        if user is not None:
            services.hall.busy(user.id, leg.id)
        try:
            setup.take_offer()
        except NotAcceptable:
            self.refuse(Final(488, None, "rejected"))
        except BadOffer:
            self.refuse(Final(400, "Bad SDP", "rejected"))
        self.story.flush()
        return self.state is State.SETUP

    def dial(self, groups: Groups) -> None:
        """Calls these for the waiting caller, one group after the other."""
        setup = self._setup
        if setup is None:
            return
        participant_id = self.services.new_id()
        user = groups.user
        self.cast.join(
            participant_id,
            purpose="user" if groups.phones else "external",
            name=groups.name,
            user_id=user.id if user is not None else None,
            address=groups.address,
            ani=self.presentation.ani,
            dnis=groups.address,
        )
        self.cast.segment(participant_id, "alerting" if groups.phones else "dialing")
        setup.dial(groups, participant_id, self.presentation)
        self.story.flush()

    def originate(
        self,
        groups: Groups,
        presentation: Presentation,
        *,
        direction: str,
        dnis: str,
        queue_id: str | None,
        came: Callable[[Leg], None],
    ) -> None:
        """A user wants to call: his own phones ring first. ``came`` is called when he has answered and is alone here.

        :param queue_id: he calls as an agent of this queue.
        """
        self.presentation, self.dnis = presentation, dnis
        self._started(direction)

        def answered(arrival: Arrival, leg: Leg) -> None:
            self._up(late=None)
            self.main.append(leg)
            came(leg)

        Arrival(
            self,
            groups,
            Presentation(dnis),
            meant_for=None,
            answered=answered,
            failed=lambda arrival, final: self.end(final.cause),
            purpose="agent" if queue_id is not None else "user",
            queue_id=queue_id,
        ).begin()
        self.story.flush()

    def take_call(self) -> bool:
        """Answers the caller ourselves. False: that was not possible, and the conversation is over. Whoever is to
        have the call has joined before, so that the recording rules know where the caller is.
        """
        setup = self._setup
        if setup is None or self.state is not State.SETUP:
            return False
        caller = setup.caller
        try:
            body = setup.description()
        except NotAcceptable:
            self.refuse(Final(488, None, "rejected"))
            return False
        self._up(late=caller if setup.late else None)
        self.came(caller, "interact")
        self.main.append(caller)
        self.story.flush()
        if not setup.accept(body):
            self.end("cancelled", by=caller, own_cause="endpoint")
            self.story.flush()
            return False
        return True

    def bridged(self, caller: Leg, callee: Leg, *, late: bool) -> None:
        """Somebody has answered the waiting caller, who is told next."""
        self._up(late=caller if late else None)
        self.main += [caller, callee]
        engine = self.services.engine
        engine.set_remote(callee.id, callee.remote())
        engine.set_remote(caller.id, caller.remote())
        self.arrange()
        for leg in (callee, caller):
            self._answered(leg, "interact")
        for leg in (callee, caller):
            self.cast.hold(leg.participant_id, leg.holding)
            if leg.silent and self._vigil is not None:
                self._vigil.silence(leg)
        self.story.flush()

    def early(self, caller: Leg, callee: Leg) -> None:
        """The caller hears the callee before the answer."""
        engine = self.services.engine
        engine.set_remote(callee.id, callee.remote())
        engine.set_remote(caller.id, caller.remote())
        engine.connect(caller.id, callee.id)

    def rings(self, leg: Leg) -> None:
        """A leg that is being called rings."""
        if not leg.ringing:
            leg.ringing = True
            self.story.tell("leg.ringing", leg_id=leg.id)
            self.story.flush()

    def came(self, leg: Leg, segment: str, queue_id: str | None = None) -> None:
        """A leg is up. Whoever asked for it puts it into a room."""
        self.services.engine.set_remote(leg.id, leg.remote())
        self._answered(leg, segment, queue_id)

    def add_leg(
        self, participant_id: str, source_host: str, *, trunk: Trunk | None = None, station: Station | None = None
    ) -> Leg | None:
        """A leg to call with, or None: no ports left."""
        leg = self._make_leg(self.services.new_id(), participant_id, source_host, trunk=trunk, station=station)
        if isinstance(leg, EngineError):
            log.error("no media ports", error=str(leg))
            return None
        return leg

    def offered(self, leg: Leg, address: str, user: User | None) -> None:
        """The INVITE of this leg is on its way."""
        self.cast.offered(leg, "outbound", address, user)

    def discard(self, leg: Leg) -> None:
        """A leg that came to nothing, and of which nothing was told."""
        leg.owner = None
        self._drop(leg)

    def end_leg(self, leg: Leg, cause: str, status: int | None = None, reason: str | None = None) -> None:
        """A leg is over, whatever its session still does."""
        if leg.ended:
            return
        leg.ended = True
        leg.owner = None
        self.dials.pop(leg.id, None)
        self.story.tell("leg.ended", leg_id=leg.id, cause=cause, sip_status=status, reason=reason or None)
        if self.state is not State.ENDED:
            self._drop(leg)

    def refuse(self, final: Final) -> None:
        """The waiting caller hears no, and the conversation ends."""
        if self.state is not State.SETUP:
            return
        if self._setup is not None:
            self._setup.reject(final)
        self.end(final.cause, status=final.status)
        self.story.flush()

    # Flows and queues.

    @property
    def caller(self) -> Leg | None:
        """The leg that began the call, as long as it is there."""
        return self.main[0] if self.main else (self._setup.caller if self._setup is not None else None)

    def runs(self, flow: Flow, leg: Leg | None) -> FlowCall:
        """A flow for this leg: ``join``, ``do`` and ``begin`` it."""
        return FlowCall(self, leg, flow)

    def waits(self, queue: Queue, leg: Leg | None, *, priority: int = 0, flow: Flow | None = None) -> QueueWait:
        """A wait for this leg: ``join``, ``do`` and ``begin`` it."""
        return QueueWait(self, leg, queue, priority=priority, flow=flow)

    def run(self, flow: Flow, leg: Leg | None = None) -> None:
        """The caller, or another leg, goes through a flow."""
        self._enter(self.runs(flow, leg))

    def wait(self, queue: Queue, leg: Leg | None = None, *, priority: int = 0, flow: Flow | None = None) -> None:
        """The caller, or another leg, waits in a queue."""
        self._enter(self.waits(queue, leg, priority=priority, flow=flow))

    def _enter(self, activity: FlowCall | QueueWait) -> None:
        activity.join()
        self.do(activity)
        if self.state is State.UP or self.take_call():
            activity.begin()

    # What people and programs want of the call.

    def now_us(self) -> int:
        """UTC microseconds, by the clock of the call."""
        return self.services.engine.clock.now_us()

    def set_attributes(self, participant_id: str, values: Mapping[str, str | None], by: str | None = None) -> None:
        """Attaches values to a participant; None removes one."""
        for name, value in values.items():
            if value is None:
                self.attributes.pop(name, None)
            else:
                self.attributes[name] = value
        self.story.tell("participant.data", participant_id=participant_id, attributes=dict(values), by=by)

    def record(self, leg: Leg, on: bool) -> list[dict[str, str]]:
        """The user of a leg wants a recording of his own, or no more. Gives why it is refused."""
        person = self.cast.people.get(leg.participant_id)
        if person is None or person.user_id is None or leg.station is None:
            return [{"row": "user", "why": "only users of ours have an inbox for recordings"}]
        about: dict[str, Any] = {"participant_id": leg.participant_id, "user_id": person.user_id}
        if on and (reasons := self.recorder.refuses_user_recording()):
            self.story.tell("user_recording.refused", **about, reasons=reasons)
            self.story.flush()
            return reasons
        if on != self.recorder.records(leg.id):
            self.story.tell("user_recording.on" if on else "user_recording.off", **about, leg_id=leg.id)
            self.story.flush()
        return []

    def code(self, leg: Leg) -> None:
        """The record code was dialled on a phone."""
        if self.state is State.UP and leg.answered and not leg.ended:
            self.record(leg, not self.recorder.records(leg.id))

    def wrap_up(self, participant_id: str, code: str, facts: Mapping[str, Any]) -> None:
        """What the call was about, as far as a participant is concerned; he may have left already."""
        person = self.cast.people.get(participant_id)
        if person is not None:
            person.wrapped_up = True
        self.story.tell("wrapup.given", participant_id=participant_id, code=code, **facts)
        if (user_id := self._agents.get(participant_id)) is not None:
            self.services.hall.end_acw(user_id, participant_id)

    def conferring(self, by: str) -> None:
        """Three or more talk to each other from now on."""
        participants = [leg.participant_id for leg in self.main]
        self.story.tell("conference.started", participants=participants, by=by)

    def hand_out(self, leg: Leg) -> Person:
        """A leg goes over to another conversation. Gives who is on it."""
        person = self.cast.people[leg.participant_id]
        self.negotiation.forget(leg)
        self.main.remove(leg)
        self.holding.discard(leg.participant_id)
        self.legs.pop(leg.id, None)
        self.story.tell("leg.ended", leg_id=leg.id, cause="transfer")
        self._after_call_work(leg.participant_id, leg.id)
        self.cast.leave_one(leg.participant_id, "transfer")
        self.story.flush()
        self._bridge.forget(leg.id)
        self.services.engine.disconnect(leg.id)
        self.services.forget_leg(leg.id)
        return person

    def take_in(self, leg: Leg, person: Person) -> None:
        """A leg comes from another conversation."""
        leg.participant_id = self.services.new_id()
        leg.owner, leg.told = self, None
        self.legs[leg.id] = leg
        self.services.register_leg(leg.id, self)
        self.services.engine.move_leg(leg.id, self.id)
        self.cast.join(leg.participant_id, **person.facts)
        user = self.directory.user(person.user_id)
        direction = "inbound" if leg.session is not None and leg.session.role == "uas" else "outbound"
        self.cast.offered(leg, direction, str(person.facts.get("address") or ""), user)
        self._answered(leg, "interact")
        self.cast.hold(leg.participant_id, leg.holding)
        self.main.append(leg)

    # Rooms.

    def do(self, activity: Activity | None) -> None:
        """This goes on with the call from now on; what went on before is stopped."""
        before, self.activity = self.activity, activity
        if before is not None and before is not activity:
            before.stop()

    def over(self, activity: Activity) -> None:
        """It is over; whoever says so arranges the legs next."""
        if self.activity is activity:
            self.activity = None

    def up_legs(self) -> list[Leg]:
        """The legs that are up, in whatever room."""
        return [leg for leg in self.legs.values() if leg.answered and not leg.ended]

    def leg_of(self, participant_id: str) -> Leg | None:
        """The leg of a participant that is up."""
        return next((leg for leg in self.up_legs() if leg.participant_id == participant_id), None)

    def partner(self, leg: Leg) -> Leg | None:
        """The leg that a leg is connected with, or None."""
        if self.state is not State.UP:
            return None
        room = next((room for room in rooms_of(self).rooms if leg in room), ())
        others = [other for other in room if other is not leg]
        return others[0] if len(others) == 1 else None

    def arrange(self) -> None:
        """Lets those hear each other who are to."""
        if self.state is not State.UP:
            return
        rooms = rooms_of(self)
        self._bridge.arrange(
            [[leg.id for leg in room] for room in rooms.rooms],
            {leg.id: sound for leg, sound in rooms.sounds.items()},
        )
        for room in rooms.rooms:
            for leg in room:
                holds_back = leg.direction is not Direction.SENDRECV
                if holds_back and not any(other.holding for other in room if other is not leg):
                    self.negotiation.reopen(leg)
        for leg in rooms.sounds:
            if not leg.direction.sends:
                self.negotiation.reopen(leg)
        if self._vigil is not None:
            self._vigil.changed()

    def hold(self, participant_id: str, holds: bool, by: str | None = None) -> None:
        """A participant holds by the API, or does no longer."""
        leg = self.leg_of(participant_id)
        if holds:
            self.holding.add(participant_id)
        else:
            self.holding.discard(participant_id)
        self.cast.hold(participant_id, holds or (leg is not None and leg.holding), by)
        self.arrange()
        self.story.flush()

    def release(self, leg: Leg, cause: str, *, hang_up: bool) -> None:
        """A leg leaves, and the call goes on."""
        if hang_up and leg.session is not None:
            leg.session.hang_up()
        self.negotiation.forget(leg)
        if leg in self.main:
            self.main.remove(leg)
        self.holding.discard(leg.participant_id)
        self._after_call_work(leg.participant_id, leg.id)
        self.end_leg(leg, cause)
        self.cast.leave_one(leg.participant_id, cause)
        if self.activity is not None:
            self.activity.left(leg)

    def gone(self, leg: Leg, own_cause: str, *, cause: str = "hangup") -> None:
        """A leg that was up is gone: the call goes on if anybody is left to talk to, or to wait for."""
        rest = [other for other in self.up_legs() if other is not leg]
        waiting = self.activity is not None and bool(rest) and self.activity.goes_on_without(leg)
        if self.state is State.UP and (len(rest) > 1 or waiting):
            self.release(leg, own_cause, hang_up=False)
            self.arrange()
        else:
            self.end(cause, by=leg, own_cause=own_cause)
        self.story.flush()

    # From the legs.

    def leg_progress(self, leg: Leg, response: Response) -> None:
        dialler = self.dials.get(leg.id)
        if self.state is not State.ENDED and dialler is not None and response.status in (180, 182, 183):
            dialler.client.dial_progress(leg, response)
            self.story.flush()

    def leg_accepted(self, leg: Leg, response: Response) -> None:
        dialler = self.dials.get(leg.id)
        if self.state is State.ENDED or dialler is None:
            leg.owner = None
            if leg.session is not None:
                leg.session.bye()
            return
        dialler.client.dial_accepted(leg, response)
        self.story.flush()

    def leg_rejected(self, leg: Leg, status: int, reason: str) -> None:
        dialler = self.dials.get(leg.id)
        if dialler is not None and self.state is not State.ENDED:
            dialler.failed(leg, status, reason)
            self.story.flush()

    def leg_cancelled(self, leg: Leg) -> None:
        self.end("cancelled", by=leg, own_cause="endpoint")
        self.story.flush()

    def leg_acknowledged(self, leg: Leg, request: Request) -> None:
        if self.state is State.UP and not self.negotiation.acknowledged(leg, request):
            if len(self.up_legs()) > 2:
                if leg.session is not None:
                    leg.session.hang_up()
                self.gone(leg, "error", cause="error")
            else:
                self.end("error", cause_of_legs="error")
        self.story.flush()

    def leg_offers(self, leg: Leg, request: Request) -> None:
        if self.state is State.UP and leg.answered:
            self.negotiation.offer(leg, request)
            self.story.flush()
        elif leg.session is not None:
            leg.session.reject_reinvite(491)

    def leg_withdraws(self, leg: Leg) -> None:
        self.negotiation.withdraw(leg)

    def leg_offer_answered(self, leg: Leg, response: Response) -> None:
        if self.state is State.UP:
            self.negotiation.answer(leg, response)
            self.story.flush()

    def leg_requests(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        self.services.in_dialog(self, leg, transaction, request)

    def leg_hung_up(self, leg: Leg) -> None:
        self.gone(leg, "endpoint")

    def leg_failed(self, leg: Leg, cause: Failure) -> None:
        if cause is Failure.TRANSPORT and leg.session is not None and leg.session.flow.connection:
            self.services.connection_lost(leg.session.flow.connection)
        if leg.id in self.dials and not leg.answered:
            self.leg_rejected(leg, 503 if cause is Failure.TRANSPORT else 408, "")
            return
        kind = FAILURE_CAUSES[cause]
        self.gone(leg, kind, cause="timeout" if kind == "timeout" else "error")

    def leg_broke(self, leg: Leg) -> None:
        self.broke()

    def broke(self) -> None:
        """A mistake of ours came up: the call cannot go on, the peers hear so, and nothing stays behind."""
        if self._setup is not None:
            self._setup.reject(Final(500, None, "error"))
        self.end("error", cause_of_legs="error")

    # From the media engine.

    def silence(self, leg: Leg) -> None:
        """Nothing has come from this leg for a while."""
        if self._vigil is not None and leg.answered:
            self._vigil.silence(leg)
        else:
            leg.silent = True

    def activity_of(self, leg: Leg) -> None:
        """Packets again."""
        if self._vigil is not None:
            self._vigil.activity(leg)
        else:
            leg.silent = False

    def digit(self, leg: Leg, digit: str, at: int | None = None) -> None:
        """A digit was pressed. Which one is told only if it may be heard on a recording as well."""
        self.media_fact("dtmf", at, leg_id=leg.id, digit=digit if self.recorder.heard_at(at) else None)
        if self.activity is not None and self.state is State.UP:
            self.activity.digit(leg, digit)
            self.story.flush()

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        """A play is over."""
        if self.activity is not None and self.state is State.UP:
            self.activity.play_ended(leg, play_id, error)
            self.story.flush()

    def media_fact(self, event_type: str, at: int | None, **data: Any) -> None:
        """Something that happened in the media and that nobody acts on."""
        if self.state is not State.ENDED or self._ending is not None:
            self.story.tell(event_type, at=at, **data)
            self.story.flush()

    def media_failed(self, leg: Leg, error: str) -> None:
        """The media engine cannot carry this leg: better no call than one without sound that nobody records."""
        if self.state is State.ENDED or leg.ended:
            return
        log.error("a leg has no media", conversation=self.id, leg=leg.id, error=error)
        if leg.id in self.dials and not leg.answered:
            if leg.session is not None:
                leg.session.hang_up()
            self.leg_rejected(leg, 503, "")
            return
        if self.state is State.SETUP and self._setup is not None:
            self._setup.reject(Final(503, None, "error"))
        if self.state is State.UP and len(self.up_legs()) > 2:
            if leg.session is not None:
                leg.session.hang_up()
            self.gone(leg, "error")
            return
        self.end("error", cause_of_legs="error")
        self.story.flush()

    def tape_closed(self, tape_id: str, opening: int) -> None:
        """A tape's files are complete."""
        self.recorder.tape_closed(tape_id, opening)
        if self._ending is not None and self.recorder.settled:
            self._finish()

    # The end.

    def disconnect(self, cause: str = "hangup", by: str | None = None, *, cause_of_legs: str = "client") -> None:
        """Hang up on everybody, from outside the call."""
        if self.state is State.SETUP and self._setup is not None:
            self._setup.reject(Final(480 if cause != "shutdown" else 503, None, cause))
        self.end(cause, cause_of_legs=cause_of_legs, by_name=by)
        self.story.flush()

    def end(
        self,
        cause: str,
        *,
        by: Leg | None = None,
        own_cause: str = "",
        cause_of_legs: str = "peer",
        status: int | None = None,
        by_name: str | None = None,
    ) -> None:
        """Ends what is left of the call.

        :param by: the leg that ended it; its session is over already.
        :param own_cause: disconnectType of that leg, ``cause_of_legs`` of the others.
        :param status: what the caller was refused with.
        """
        if self.state is State.ENDED:
            return
        was_up = self.state is State.UP
        caller = self._setup.caller if self._setup is not None else None
        self.state = State.ENDED
        if self._vigil is not None:
            self._vigil.stop()
        self._stop_all()
        at: int | None = None
        if by is not None:
            at = self.story.tell("leg.ended", leg_id=by.id, cause=own_cause)
            by.ended = True
            by.owner = None
        for leg in list(self.legs.values()):
            if leg.ended:
                continue
            if leg.session is not None:
                leg.session.hang_up()
            kind = cause_of_legs if was_up or leg is not caller else ("system" if status else cause_of_legs)
            self.end_leg(leg, kind, status if leg is caller and not was_up else None)
        for person in list(self.cast.people.values()):
            self._after_call_work(person.participant_id, None)
        for leg_id in self.legs:
            self.services.hall.free(leg_id)
        self.cast.leave(cause_of_legs, by.participant_id if by is not None else None, own_cause)
        who = by.participant_id if by is not None else by_name
        self._ending = (cause, who, at if at is not None else self.story.last)
        self.story.flush()
        if self.recorder.settled:
            self._finish()
        else:
            self._settling = self.services.call_later(self.services.settle_s, self._finish)

    def _stop_all(self) -> None:
        if self._setup is not None:
            self._setup.stop()
        self.do(None)
        for dialler in {id(item): item for item in self.dials.values()}.values():
            dialler.stop()
        self.arrivals.clear()

    def _finish(self) -> None:
        """The files are complete, or the media engine has had its time: the worker may have the folder."""
        ending, self._ending = self._ending, None
        if ending is None:
            return
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if not self.recorder.settled:
            log.error("the media engine did not complete the tapes in time", conversation=self.id)
        cause, by, at = ending
        for tape_id, opening in self.recorder.incomplete():
            self.story.tell(
                "tape.failed",
                at=at,
                tape_id=tape_id,
                opening=opening,
                error="not completed by the media engine in time",
            )
        self.story.tell("conversation.ended", at=at, cause=cause, by=by)
        unwritten = self.story.close()
        if unwritten is not None:
            self.services.backlog.add(unwritten)
        for leg in list(self.legs.values()):
            self._drop(leg)
        for tape_id in self.recorder.tape_ids():
            self.services.forget_tape(tape_id)
        self._setup = self._vigil = None
        self.main.clear()
        self.dials.clear()
        self._on_gone(self)

    # Steps.

    def _started(self, direction: str) -> None:
        self.story.tell(
            "conversation.started",
            conversation_id=self.id,
            organization_id=self.directory.snapshot.organization_id,
            direction=direction,
            ani=self.presentation.ani,
            dnis=self.dnis,
            config_version=self.directory.snapshot.version,
            edge_id=self.services.edge_id,
        )

    def _up(self, *, late: Leg | None) -> None:
        self.state = State.UP
        self._vigil = Vigil(self.services, self.up_legs, self._talking, self._nobody_there)
        if late is not None:
            self.negotiation.expect_late_answer(late)

    def _talking(self) -> bool:
        return self.activity is None and not self.holding and len(self.main) > 1

    def _answered(self, leg: Leg, segment: str, queue_id: str | None = None) -> None:
        if leg.stream is not None:
            self.cast.media(leg)
        leg.answered = True
        self.dials.pop(leg.id, None)
        if segment != "interact":
            self.cast.talks(leg.participant_id, segment)
        self.story.tell("leg.answered", leg_id=leg.id)
        self.cast.talks(leg.participant_id, segment)
        if leg.station is not None and leg.station.user_id is not None:
            if queue_id is None:
                self.services.hall.busy(leg.station.user_id, leg.id)
            if code := self.directory.snapshot.record_code:
                self.services.engine.set_codes(leg.id, (code,))

    def _changed(self, leg: Leg) -> None:
        self.services.engine.set_remote(leg.id, leg.remote())
        self.cast.media(leg)
        self.cast.hold(leg.participant_id, leg.holding or leg.participant_id in self.holding)
        if self._vigil is not None:
            self._vigil.changed()

    def _nobody_there(self) -> None:
        """No side has sent anything for a long time."""
        self.end("timeout", cause_of_legs="timeout")
        self.story.flush()

    def _after_call_work(self, participant_id: str, leg_id: str | None) -> None:
        """An agent's part of a queue call is over: what was it about?"""
        person: Person | None = self.cast.people.get(participant_id)
        if person is None or person.purpose != "agent" or person.queue_id is None or person.user_id is None:
            return
        queue = self.directory.queue(person.queue_id)
        if queue is None or not person.talked or person.wrapped_up:
            return
        person.wrapped_up = True
        self._agents[participant_id] = person.user_id
        self.story.tell(
            "acw.started",
            participant_id=participant_id,
            user_id=person.user_id,
            queue_id=queue.id,
            prompt=queue.acw,
            timeout_s=queue.acw_s,
            leg_id=leg_id,
        )
        self.services.hall.begin_acw(self, person.user_id, participant_id, queue)

    def _make_leg(
        self, leg_id: str, participant_id: str, source_host: str, *, trunk: Trunk | None, station: Station | None
    ) -> Leg | EngineError:
        services = self.services
        bind, advertised = services.media_hosts(source_host)
        try:
            media = services.engine.open_leg(leg_id, group=self.id, host=bind)
        except EngineError as error:
            return error
        local = LocalDescription(
            services.random.getrandbits(62), advertised or media.host, media.rtp_port, media.rtcp_port
        )
        leg = Leg(leg_id, participant_id, self, local, source_host, trunk=trunk, station=station)
        self.legs[leg_id] = leg
        services.register_leg(leg_id, self)
        return leg

    def _drop(self, leg: Leg) -> None:
        if self.legs.pop(leg.id, None) is not None:
            self._bridge.forget(leg.id)
            self.services.hall.free(leg.id)
            self.services.engine.close_leg(leg.id)
            self.services.forget_leg(leg.id)

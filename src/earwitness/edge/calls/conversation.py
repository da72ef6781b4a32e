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

from collections.abc import Callable

import structlog

from earwitness.domain.configuration import Flow, Queue, Station, Trunk, User
from earwitness.domain.conversation.events import Event
from earwitness.edge.calls.activity import Activity, State
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.bridge import Bridge, Sound
from earwitness.edge.calls.cast import Cast
from earwitness.edge.calls.dialler import Dialler, Presentation
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.ending import Ending
from earwitness.edge.calls.flow import FlowCall
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import BadOffer, Negotiation
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.reactions import Reactions
from earwitness.edge.calls.recorder import Recorder
from earwitness.edge.calls.rooms import rooms_of
from earwitness.edge.calls.services import Services
from earwitness.edge.calls.setup import Setup
from earwitness.edge.calls.story import Story
from earwitness.edge.calls.vigil import Vigil
from earwitness.edge.calls.waiting import QueueWait
from earwitness.edge.calls.wishes import Wishes
from earwitness.edge.calls.writer import EventLog
from earwitness.edge.sip.offer_answer import LocalDescription, NotAcceptable
from earwitness.edge.sip.sdp import Direction
from earwitness.edge.sip.session_uas import UasSession
from earwitness.media.engine import sounds
from earwitness.media.engine.interface import EngineError

log = structlog.get_logger()


MIX_LAG_US = 60_000
"""What a mix holds back at most, to even out the arrival of packets."""


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
        snapshot = directory.snapshot
        folder = services.spool / conversation_id
        self.recorder = Recorder(
            services.engine,
            folder,
            {trunk.id: trunk for trunk in snapshot.trunks},
            services.new_id,
            services.spool_full,
            stop_when_only_external=snapshot.stop_when_only_external,
            stations={item.id: item.recording for item in snapshot.stations if item.recording is not None},
            register_tape=lambda tape_id: services.register_tape(tape_id, self),
            lag_us=self._lag_us,
        )
        self.story = Story(EventLog(folder), self.recorder, services.engine.clock.now_us, publish)
        self.cast = Cast(self.story, services.new_id)
        self.negotiation = Negotiation(self.partner, self._changed)
        self.bridge = Bridge(services.engine, conversation_id)
        self.setup: Setup | None = None
        self.vigil: Vigil | None = None
        self.wishes = Wishes(self)
        self.reactions = Reactions(self)
        self.ending = Ending(self, on_gone)

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
        self.setup = setup = Setup(self, leg, session)
        self.presentation, self.dnis = presentation, dnis
        self.started(direction)
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
        setup = self.setup
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

    def take_call(self) -> bool:
        """Answers the caller ourselves. False: that was not possible, and the conversation is over. Whoever is to
        have the call has joined before, so that the recording rules know where the caller is.
        """
        setup = self.setup
        if setup is None or self.state is not State.SETUP:
            return False
        caller = setup.caller
        try:
            body = setup.description()
        except NotAcceptable:
            self.refuse(Final(488, None, "rejected"))
            return False
        self.go_up(late=caller if setup.late else None)
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
        self.go_up(late=caller if late else None)
        self.main += [caller, callee]
        engine = self.services.engine
        engine.set_remote(callee.id, callee.remote())
        engine.set_remote(caller.id, caller.remote())
        self.arrange()
        for leg in (callee, caller):
            self.answered(leg, "interact")
        for leg in (callee, caller):
            self.cast.hold(leg.participant_id, leg.holding)
            if leg.silent and self.vigil is not None:
                self.vigil.silence(leg)
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

    def came(self, leg: Leg, segment: str, queue_id: str | None = None, by: str | None = None) -> None:
        """A leg is up. Whoever asked for it puts it into a room."""
        self.services.engine.set_remote(leg.id, leg.remote())
        self.answered(leg, segment, queue_id, by)

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
        self.drop(leg)

    def end_leg(self, leg: Leg, cause: str, status: int | None = None, reason: str | None = None) -> None:
        """A leg is over, whatever its session still does."""
        if leg.ended:
            return
        leg.ended = True
        leg.owner = None
        self.dials.pop(leg.id, None)
        self.story.tell("leg.ended", leg_id=leg.id, cause=cause, sip_status=status, reason=reason or None)
        if self.state is not State.ENDED:
            self.drop(leg)

    def refuse(self, final: Final) -> None:
        """The waiting caller hears no, and the conversation ends."""
        if self.state is not State.SETUP:
            return
        if self.setup is not None:
            self.setup.reject(final)
        self.end(final.cause, status=final.status)
        self.story.flush()

    def now_us(self) -> int:
        """UTC microseconds, by the clock of the call."""
        return self.services.engine.clock.now_us()

    # Flows and queues.

    @property
    def caller(self) -> Leg | None:
        """The leg that began the call, as long as it is there."""
        return self.main[0] if self.main else (self.setup.caller if self.setup is not None else None)

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
        self.bridge.arrange(
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
        if self.vigil is not None:
            self.vigil.changed()

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
        self.wishes.after_call_work(leg.participant_id, leg.id)
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

    # The end.

    def disconnect(self, cause: str = "hangup", by: str | None = None, *, cause_of_legs: str = "client") -> None:
        """Hang up on everybody, from outside the call."""
        if self.state is State.SETUP and self.setup is not None:
            self.setup.reject(Final(480 if cause != "shutdown" else 503, None, cause))
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
        """Ends what is left of the call; see ``Ending.end``."""
        self.ending.end(cause, by=by, own_cause=own_cause, cause_of_legs=cause_of_legs, status=status, by_name=by_name)

    # Steps.

    def started(self, direction: str) -> None:
        """Tells the conversation's first event."""
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

    def go_up(self, *, late: Leg | None) -> None:
        """Somebody has answered. ``late``: a leg that still owes us the answer to our offer."""
        self.state = State.UP
        self.vigil = Vigil(self.services, self.up_legs, self._talking, self._nobody_there)
        if late is not None:
            self.negotiation.expect_late_answer(late)

    def _lag_us(self, leg_id: str) -> int:
        """What mixing and transcoding hold back."""
        leg = self.legs.get(leg_id)
        other = self.partner(leg) if leg is not None else None
        same = (
            leg is not None and other is not None and {f.codec for f in leg.formats} == {f.codec for f in other.formats}
        )
        return 0 if same else MIX_LAG_US

    def _talking(self) -> bool:
        return self.activity is None and not self.holding and len(self.main) > 1

    def answered(self, leg: Leg, segment: str, queue_id: str | None = None, by: str | None = None) -> None:
        """A leg is up: tells so."""
        if leg.stream is not None:
            self.cast.media(leg)
        leg.answered = True
        self.dials.pop(leg.id, None)
        if segment != "interact":  # before it is up: the rules must know what kind of leg it is
            self.cast.talks(leg.participant_id, segment, by)
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
        if self.vigil is not None:
            self.vigil.changed()

    def _nobody_there(self) -> None:
        """No side has sent anything for a long time."""
        self.end("timeout", cause_of_legs="timeout")
        self.story.flush()

    def _make_leg(
        self, leg_id: str, participant_id: str, source_host: str, *, trunk: Trunk | None, station: Station | None
    ) -> Leg | EngineError:
        services = self.services
        if trunk is not None:
            self.recorder.learn(trunk)
        bind, advertised = services.media_hosts(source_host)
        try:
            media = services.engine.open_leg(leg_id, group=self.id, host=bind)
        except EngineError as error:
            return error
        local = LocalDescription(
            services.random.getrandbits(62), advertised or media.host, media.rtp_port, media.rtcp_port
        )
        leg = Leg(leg_id, participant_id, self.reactions, local, source_host, trunk=trunk, station=station)
        self.legs[leg_id] = leg
        services.register_leg(leg_id, self)
        return leg

    def drop(self, leg: Leg) -> None:
        """The media engine need not know the leg any more."""
        if self.legs.pop(leg.id, None) is not None:
            self.bridge.forget(leg.id)
            self.services.hall.free(leg.id)
            self.services.engine.close_leg(leg.id)
            self.services.forget_leg(leg.id)

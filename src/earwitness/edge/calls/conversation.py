"""A bridged call: the state machine of one conversation.

Theory of operation. A conversation is made for an incoming INVITE whose caller is known. ::

    SETUP --callee's 2xx--> UP --either side ends--> ENDED --tapes complete--> (gone)
    SETUP --caller gives up, nobody answers, everybody refuses--> ENDED

SETUP. ``Dialler`` sends the INVITEs, group by group. The first 2xx wins, the others are cancelled. Ringing and, when
only one is called, early media are passed to the caller. Early media is relayed but not recorded: tapes open at the
answer.

Answer. In this order, without a pause: both legs' media are set and connected; the events are told, whereby the
recording rules open tapes (the media engine has the command) and everything is on disk; then the caller gets the 200
that starts the media. Nothing here waits for a database.

UP. ``Negotiation`` runs re-INVITEs between the legs; here a change becomes events (``leg.media``, hold segments). A
leg that sends no RTP is asked by OPTIONS; no answer ends the call. So does silence of both sides, hold apart.

ENDED. Every way out goes through ``end``: it is the only place where legs end. The peers hear at once; the folder gets
its ``conversation.ended`` when the media engine says that the tape files are complete, because that line hands it to
the worker.

What drives it: sessions (through ``Leg``), the media engine's events, timers, the control API. All on one thread.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from earwitness.domain.configuration import Station, Trunk, User
from earwitness.domain.conversation.events import Event
from earwitness.edge.calls.cast import Cast
from earwitness.edge.calls.dialler import Dialler
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import (
    BadOffer,
    Negotiation,
    answer_for,
    read_answer,
    read_offer,
    take_answer,
    take_offer,
)
from earwitness.edge.calls.plan import Attempt, Final, ToPhone
from earwitness.edge.calls.recorder import Recorder
from earwitness.edge.calls.services import Services, Timer
from earwitness.edge.calls.story import Story
from earwitness.edge.calls.vigil import Vigil
from earwitness.edge.calls.writer import EventLog
from earwitness.edge.sip.events import Failure
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.offer_answer import FULL_OFFER, LocalDescription, NotAcceptable, carried
from earwitness.edge.sip.sdp import AudioStream, Direction, Format, SessionDescription
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.transaction_server import ServerTransaction
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
        self.ani = ""
        self.caller_name = ""
        self.private = False
        """The caller does not want to be known to whom he calls."""
        self.max_forwards = 70
        self._user: User | None = None
        self._on_gone = on_gone
        folder = services.spool / conversation_id
        trunks = {trunk.id: trunk for trunk in directory.snapshot.trunks}
        self.recorder = Recorder(services.engine, folder, trunks, services.new_id, services.spool_full)
        self.story = Story(EventLog(folder), self.recorder, services.engine.clock.now_us, publish)
        self._cast = Cast(self.story, services.new_id)
        self._caller: Leg | None = None
        self._callee: Leg | None = None
        self._offer: tuple[SessionDescription, AudioStream] | None = None
        self._dialler: Dialler | None = None
        self._negotiation: Negotiation | None = None
        self._early: tuple[Leg, AudioStream] | None = None
        """Who answered early, and how: a 2xx without a body means the same."""
        self._vigil: Vigil | None = None
        self._settling: Timer | None = None
        self._ending: tuple[str, str | None, int] | None = None

    # Setup.

    def begin(
        self,
        session: UasSession,
        *,
        direction: str,
        ani: str,
        dnis: str,
        trunk: Trunk | None = None,
        station: Station | None = None,
        user: User | None = None,
        name: str = "",
        private: bool = False,
    ) -> bool:
        """The caller's INVITE. False: it was refused, and the conversation is over."""
        self.private = private
        services = self.services
        leg = self._make_leg(services.new_id(), services.new_id(), session.flow.remote[0], trunk=trunk, station=station)
        if isinstance(leg, EngineError):
            log.error("no media ports", error=str(leg))
            session.reject(503, None, [("Retry-After", "5")])
            return False
        self._caller = leg
        leg.attach(session)
        self.ani, self.caller_name, self._user = ani, (user.name if user is not None else name), user
        self.max_forwards = _forwards(session.request)
        self.story.tell(
            "conversation.started",
            conversation_id=self.id,
            organization_id=self.directory.snapshot.organization_id,
            direction=direction,
            ani=ani,
            dnis=dnis,
            config_version=self.directory.snapshot.version,
            edge_id=services.edge_id,
        )
        self._cast.join(
            leg.participant_id,
            purpose="external" if trunk is not None else "user",
            name=self.caller_name or (station.name if station is not None else None),
            user_id=user.id if user is not None else None,
            address=ani,
            ani=ani,
            dnis=dnis,
        )
        self._cast.offered(leg, "inbound", ani, user)
        self._cast.segment(leg.participant_id, "dialing")
        try:
            request = session.request
            if request is not None and request.body:
                self._offer = read_offer(request.body)
                take_offer(leg, self._offer[1])
                leg.learn(self._offer[1].formats)
        except NotAcceptable:
            self.refuse(Final(488, None, "rejected"))
        except BadOffer:
            self.refuse(Final(400, "Bad SDP", "rejected"))
        self.story.flush()
        return self.state is State.SETUP

    def dial(self, groups: Sequence[Sequence[Attempt]], *, user: User | None, ring_s: float, address: str) -> None:
        """Calls these, one group after the other."""
        participant_id = self.services.new_id()
        phones = isinstance(groups[0][0], ToPhone)
        first = groups[0][0]
        name = user.name if user is not None else (first.station.name if isinstance(first, ToPhone) else None)
        self._cast.join(
            participant_id,
            purpose="user" if phones else "external",
            name=name,
            user_id=user.id if user is not None else None,
            address=address,
            ani=self.ani,
            dnis=address,
        )
        self._cast.segment(participant_id, "alerting" if phones else "dialing")
        self._dialler = Dialler(self, participant_id, groups, user=user, ring_s=ring_s)
        self._dialler.next_group()
        self.story.flush()

    def caller_id(self, trunk: Trunk) -> str:
        """The number to show to a trunk: the user's own, the trunk's, or who called us."""
        own = self._user.address if self._user is not None else ""
        return own or trunk.caller_address or self.ani

    def offer_for_callee(self) -> tuple[tuple[Format, ...], Direction, AudioStream | None]:
        """What to offer to whom we call: formats, direction, and the caller's own offer."""
        if self._offer is None:
            return FULL_OFFER, Direction.SENDRECV, None
        stream = self._offer[1]
        return carried(stream.formats), stream.effective_direction, stream

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
        self._cast.offered(leg, "outbound", address, user)

    def end_leg(self, leg: Leg, cause: str, status: int | None = None, reason: str | None = None) -> None:
        """A leg that was called is over, whatever its session still does."""
        if leg.ended:
            return
        leg.ended = True
        leg.owner = None
        self.story.tell("leg.ended", leg_id=leg.id, cause=cause, sip_status=status, reason=reason or None)
        if self.state is not State.ENDED:
            self._drop(leg)

    def nobody_answered(self, final: Final) -> None:
        """Every attempt has failed."""
        self.refuse(final)
        self.story.flush()

    def refuse(self, final: Final, headers: Sequence[tuple[str, str]] = ()) -> None:
        """The caller hears no, and the conversation ends."""
        caller = self._caller
        if caller is None or self.state is not State.SETUP:
            return
        if isinstance(caller.session, UasSession):
            caller.session.reject(final.status, final.reason, headers)
        self.end(final.cause, status=final.status)

    # From the legs.

    def leg_progress(self, leg: Leg, response: Response) -> None:
        dialler, caller = self._dialler, self._caller
        if self.state is not State.SETUP or dialler is None or caller is None:
            return
        if not isinstance(caller.session, UasSession) or response.status not in (180, 182, 183):
            return
        if response.body and dialler.only is leg and self._offer is not None and self._early_media(leg, response):
            return
        if response.status == 180 and not leg.ringing:
            leg.ringing = True
            self.story.tell("leg.ringing", leg_id=leg.id)
            self.story.flush()
        # A 183 without early media is all that some carriers send while the phone rings.
        if response.status in (180, 183) and not caller.ringing:
            caller.ringing = True
            caller.session.progress(180)

    def leg_accepted(self, leg: Leg, response: Response) -> None:
        caller = self._caller
        if self.state is not State.SETUP or caller is None or not isinstance(caller.session, UasSession):
            leg.owner = None
            if leg.session is not None:
                leg.session.bye()
            return
        offered, direction, _ = self.offer_for_callee()
        try:
            early = self._early[1] if self._early is not None and self._early[0] is leg else None
            stream = read_answer(response.body, offered) if response.body or early is None else early
            take_answer(leg, stream, direction)
            leg.learn(leg.formats)
            body = self._answer_body(caller, leg)
        except NotAcceptable as error:
            if leg.session is not None:
                leg.session.bye()
            self.leg_rejected(leg, 488, str(error))
            return
        self._up(caller, leg)
        if not caller.session.accept(body):
            self.end("cancelled", by=caller, own_cause="endpoint")
            self.story.flush()

    def leg_rejected(self, leg: Leg, status: int, reason: str) -> None:
        if self._dialler is not None and self.state is State.SETUP:
            self._dialler.failed(leg, status, reason)
            self.story.flush()

    def leg_cancelled(self, leg: Leg) -> None:
        self.end("cancelled", by=leg, own_cause="endpoint")
        self.story.flush()

    def leg_acknowledged(self, leg: Leg, request: Request) -> None:
        if self._negotiation is not None and not self._negotiation.acknowledged(leg, request):
            self.end("error", cause_of_legs="error")
        self.story.flush()

    def leg_offers(self, leg: Leg, request: Request) -> None:
        if self._negotiation is not None and self.state is State.UP:
            self._negotiation.offer(leg, request)
            self.story.flush()
        elif leg.session is not None:
            leg.session.reject_reinvite(491)

    def leg_withdraws(self, leg: Leg) -> None:
        if self._negotiation is not None and self.state is State.UP:
            self._negotiation.withdraw(leg)

    def leg_offer_answered(self, leg: Leg, response: Response) -> None:
        if self._negotiation is not None and self.state is State.UP:
            self._negotiation.answer(leg, response)
            self.story.flush()

    def leg_requests(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        other = self._other(leg)
        if request.method != "INFO":
            transaction.respond(405, None, [("Allow", ", ".join(self.services.allow))])
        elif other is None or other.session is None or self.state is not State.UP:
            transaction.respond(480)
        else:
            self._pass_info(leg, other, transaction, request)

    def leg_hung_up(self, leg: Leg) -> None:
        self.end("hangup", by=leg, own_cause="endpoint")
        self.story.flush()

    def leg_failed(self, leg: Leg, cause: Failure) -> None:
        if cause is Failure.TRANSPORT and leg.session is not None and leg.session.flow.connection:
            self.services.connection_lost(leg.session.flow.connection)
        if self.state is State.SETUP and leg is not self._caller:
            status = 503 if cause is Failure.TRANSPORT else 408
            self.leg_rejected(leg, status, "")
            return
        kind = FAILURE_CAUSES[cause]
        self.end("timeout" if kind == "timeout" else "error", by=leg, own_cause=kind)
        self.story.flush()

    def leg_broke(self, leg: Leg) -> None:
        self.broke()

    def broke(self) -> None:
        """A mistake of ours came up: the call cannot go on, the peers hear so, and nothing stays behind."""
        if self._caller is not None and isinstance(self._caller.session, UasSession):
            self._caller.session.reject(500)
        self.end("error", cause_of_legs="error")

    # From the media engine.

    def silence(self, leg: Leg) -> None:
        """Nothing has come from this leg for a while."""
        if self._vigil is not None:
            self._vigil.silence(leg)
        else:
            leg.silent = True

    def activity(self, leg: Leg) -> None:
        """Packets again."""
        if self._vigil is not None:
            self._vigil.activity(leg)
        else:
            leg.silent = False

    def digit(self, leg: Leg, digit: str, at: int | None = None) -> None:
        """A digit was pressed. Which one is told only if it may be heard on a recording as well."""
        self.media_fact("dtmf", at, leg_id=leg.id, digit=digit if self.recorder.heard_at(at) else None)

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
        caller = self._caller
        if self.state is State.SETUP and leg is not caller:
            if leg.session is not None:
                leg.session.hang_up()
            self.leg_rejected(leg, 503, "")
            return
        if self.state is State.SETUP and caller is not None and isinstance(caller.session, UasSession):
            caller.session.reject(503)
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
        if self.state is State.SETUP and self._caller is not None and isinstance(self._caller.session, UasSession):
            self._caller.session.reject(480 if cause != "shutdown" else 503)
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
        self.state = State.ENDED
        if self._vigil is not None:
            self._vigil.stop()
        if self._dialler is not None:
            self._dialler.stop()
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
            kind = cause_of_legs if was_up or leg is not self._caller else ("system" if status else cause_of_legs)
            self.end_leg(leg, kind, status if leg is self._caller else None)
        self._cast.leave(cause_of_legs, by.participant_id if by is not None else None, own_cause)
        who = by.participant_id if by is not None else by_name
        self._ending = (cause, who, at if at is not None else self.story.last)
        self.story.flush()
        if self.recorder.settled:
            self._finish()
        else:
            self._settling = self.services.call_later(self.services.settle_s, self._finish)

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
        self._caller = self._callee = self._dialler = self._negotiation = self._vigil = None
        self._on_gone(self)

    # Steps.

    def _up(self, caller: Leg, callee: Leg) -> None:
        self.state = State.UP
        self._callee = callee
        if self._dialler is not None:
            self._dialler.answered(callee)
        self._negotiation = Negotiation(caller, callee, self._changed)
        self._vigil = Vigil(self.services, (caller, callee), self._nobody_there)
        if self._offer is None:
            self._negotiation.expect_late_answer(caller)
        self._offer = self._early = None
        engine = self.services.engine
        engine.set_remote(callee.id, callee.remote())
        engine.set_remote(caller.id, caller.remote())
        engine.connect(caller.id, callee.id)
        for leg in (callee, caller):
            if leg.stream is not None:
                self._cast.media(leg)
            leg.answered = True
            self.story.tell("leg.answered", leg_id=leg.id)
            self._cast.segment(leg.participant_id, "interact")
        for leg in (callee, caller):
            self._cast.hold(leg)
            if leg.silent:
                self._vigil.silence(leg)
        self.story.flush()

    def _answer_body(self, caller: Leg, callee: Leg) -> bytes:
        if self._offer is not None:
            return answer_for(caller, self._offer[0], self._offer[1], callee)
        caller.formats = callee.formats
        caller.learn(callee.formats)
        caller.direction = Direction.SENDONLY if callee.holding else Direction.SENDRECV
        return caller.local.offer(caller.formats, caller.direction)

    def _early_media(self, leg: Leg, response: Response) -> bool:
        caller, offer = self._caller, self._offer
        if caller is None or offer is None or not isinstance(caller.session, UasSession):
            return False
        formats, direction, _ = self.offer_for_callee()
        try:
            stream = read_answer(response.body, formats)
            take_answer(leg, stream, direction)
            leg.learn(leg.formats)
            body = answer_for(caller, offer[0], offer[1], leg)
        except NotAcceptable:
            return False
        self._early = (leg, stream)
        engine = self.services.engine
        engine.set_remote(leg.id, leg.remote())
        engine.set_remote(caller.id, caller.remote())
        engine.connect(caller.id, leg.id)
        if not leg.ringing:
            leg.ringing = True
            self.story.tell("leg.ringing", leg_id=leg.id)
            self.story.flush()
        caller.ringing = True
        caller.session.progress(response.status, body)
        return True

    def _changed(self, leg: Leg) -> None:
        self.services.engine.set_remote(leg.id, leg.remote())
        self._cast.media(leg)
        self._cast.hold(leg)
        if self._vigil is not None:
            self._vigil.changed()

    def _nobody_there(self) -> None:
        """No side has sent anything for a long time."""
        self.end("timeout", cause_of_legs="timeout")
        self.story.flush()

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
            self.services.engine.close_leg(leg.id)
            self.services.forget_leg(leg.id)

    def _other(self, leg: Leg) -> Leg | None:
        return self._callee if leg is self._caller else self._caller

    def _pass_info(self, leg: Leg, other: Leg, transaction: ServerTransaction, request: Request) -> None:
        def answered(response: Response | None) -> None:
            transaction.respond(response.status if response is not None else 408)

        content_type = request.get("content-type") or ""
        headers = [(name, value) for key, name, value in request.fields if key == "info-package"]
        if other.session is None or not other.session.request_in_dialog(
            "INFO", headers, request.body, content_type, answered
        ):
            transaction.respond(480)
            return
        if request.content_type == "application/dtmf-relay":
            for line in request.body.decode("ascii", "replace").splitlines():
                name, _, value = line.partition("=")
                if name.strip().lower() == "signal" and value.strip()[:1] in tuple("0123456789*#ABCD"):
                    self.digit(leg, value.strip()[:1])


def _forwards(request: Request) -> int:
    """Max-Forwards for the onward call: what came in, less one."""
    value = request.get("max-forwards") or ""
    return max(0, min(int(value), 70) - 1) if value.isascii() and value.isdigit() and len(value) < 4 else 69

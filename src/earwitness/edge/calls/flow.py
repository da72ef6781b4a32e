"""A flow speaks to a party: carries out what ``earwitness.flows`` wants done, and tells it what happened.

``FlowPlayer`` does so on one leg, for whatever activity it is a part of. ``FlowCall`` is the activity of a caller in a
flow, with the flow as a participant of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import structlog

from earwitness.domain.configuration import Flow
from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import Activity, State
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.music import music_named
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.edge.calls.services import Timer
from earwitness.edge.prompts import Ready
from earwitness.flows import commands as do
from earwitness.flows.memory import Facts
from earwitness.flows.run import FlowRun
from earwitness.flows.values import AudioItem, Value
from earwitness.media.engine import sounds

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation
    from earwitness.edge.prompts import Broken, Job

log = structlog.get_logger()

MAX_HANDOVERS = 50
"""A call that goes from flow to flow more often than this goes round in circles."""


class Over(Protocol):
    def __call__(self, moved: bool) -> None:
        """The flow is done. ``moved``: it has put the caller elsewhere, or hung up."""


class FlowPlayer:
    """See the module."""

    def __init__(
        self,
        conversation: Conversation,
        leg: Leg,
        flow: Flow,
        activity: Activity,
        *,
        over: Over,
        call: Mapping[str, Value] | None = None,
    ) -> None:
        """:param call: further facts of the call, which may change meanwhile; see ``earwitness.flows.Facts``."""
        self.flow = flow
        self._facts = call or {}
        self.arrival: Arrival | None = None
        """Whom it is transferring to."""
        self._conversation = conversation
        self._leg = leg
        self._activity = activity
        self._over = over
        self._run: FlowRun | None = None
        self._timers: dict[str, Timer] = {}
        self._plays: dict[str, Job | None] = {}
        """Plays under way; with what is still being prepared."""
        self._language = ""
        self._done = False

    def load(self) -> bool:
        """Makes the flow ready. False: it cannot be read, and the log says why."""
        conversation = self._conversation
        try:
            program = conversation.services.flows.program(self.flow)
        except ValueError as error:
            log.error("a flow cannot be read", flow=self.flow.name, error=str(error))
            conversation.story.tell("flow.failed", flow_id=self.flow.id, error=str(error)[:500])
            return False
        facts = Facts(
            ani=conversation.presentation.ani,
            called_address=conversation.dnis,
            conversation_id=conversation.id,
            flow_version=self.flow.version,
            attributes=dict(conversation.attributes),
            language=conversation.language,
            call=self._facts,
        )
        self._run = FlowRun(program, facts, conversation.now_us())
        return True

    def begin(self) -> None:
        """The flow starts."""
        if self._run is not None:
            self._speaks(self._run.memory.language)
            self._carry_out(self._run.start())

    def _speaks(self, language: str) -> None:
        conversation = self._conversation
        if language and language != conversation.language:
            conversation.language = language
            conversation.story.tell("conversation.language", language=language, flow_id=self.flow.id)

    def digit(self, digit: str) -> None:
        """The party pressed a key."""
        self._tell(do.Digit(digit))

    def play_ended(self, play_id: str, error: str | None) -> None:
        """A play on the leg came to an end."""
        if play_id in self._plays:
            del self._plays[play_id]
            self._tell(do.PlayEnded(play_id, error))

    def stop(self) -> None:
        """It is over, whatever the flow has left to do."""
        if self._done:
            return
        self._done = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for play_id in list(self._plays):
            self._stop_play(play_id)
        if self.arrival is not None:
            self.arrival.cancel()
            self.arrival = None

    def _tell(self, event: do.Event) -> None:
        if self._run is not None and not self._done:
            self._carry_out(self._run.on(event, self._conversation.now_us()))
            self._conversation.story.flush()

    def _carry_out(self, commands: list[do.Command]) -> None:
        for command in commands:
            if self._done:
                return
            self._act(command)

    def _act(self, command: do.Command) -> None:
        conversation = self._conversation
        match command:
            case do.Play(play_id=play_id, items=items):
                self._play(play_id, items)
            case do.HoldMusic(play_id=play_id, prompt=prompt, once=once):
                self._plays[play_id] = None
                music = music_named(conversation.directory.snapshot, prompt) if prompt else conversation.music
                conversation.services.engine.play(self._leg.id, play_id, music, loop=not once)
            case do.StopPlay(play_id=play_id):
                self._stop_play(play_id)
            case do.StartTimer(timer_id=timer_id, seconds=seconds):
                self._cancel_timer(timer_id)
                self._timers[timer_id] = conversation.services.call_later(seconds, lambda: self._timed_out(timer_id))
            case do.CancelTimer(timer_id=timer_id):
                self._cancel_timer(timer_id)
            case do.SetData(attributes=attributes):
                conversation.wishes.set_attributes(self._leg.participant_id, attributes, by=self.flow.id)
            case do.GrantConsent() | do.RefuseConsent():
                self._consent(command)
            case do.SetLanguage(language=language):
                self._speaks(language)
            case do.SetWrapupCode(name=name):
                conversation.wishes.set_attributes(self._leg.participant_id, {"wrapupCode": name}, by=self.flow.id)
            case do.TransferToQueue() | do.TransferToFlow():
                self._hand_over(command)
            case do.TransferToUser(user=user, timeout_s=timeout_s):
                found = conversation.services.directory().user_named(user)
                self._call("user", found.id if found is not None else "", user, timeout_s)
            case do.TransferToNumber(number=number, timeout_s=timeout_s):
                self._call("address", number, number, timeout_s)
            case do.Disconnect():
                self._end(moved=True)
                conversation.disconnect("hangup", by=self.flow.id, cause_of_legs="system")
            case do.Finished():
                self._end(moved=False)
            case do.Failed(error=error, where=where):
                log.warning("a flow failed", flow=self.flow.name, error=error, where=where)
                conversation.story.tell("flow.failed", flow_id=self.flow.id, error=error[:500], where=where)
            case do.Note(message=message, where=where):
                log.info("a flow did not go as written", flow=self.flow.name, message=message, where=where)
            case _:
                raise TypeError(f"unknown command of a flow: {command!r}")

    # Audio.

    def _play(self, play_id: str, items: tuple[AudioItem, ...]) -> None:
        for other in list(self._plays):
            self._stop_play(other)

        def done(made: Ready | Broken) -> None:
            if play_id not in self._plays or self._done:
                return
            if isinstance(made, Ready):
                self._plays[play_id] = None
                self._conversation.services.engine.play(self._leg.id, play_id, made.source)
                return
            del self._plays[play_id]
            log.warning("a prompt cannot be played", flow=self.flow.name, error=made.error)
            self._tell(do.PlayEnded(play_id, made.error))

        conversation = self._conversation
        self._plays[play_id] = conversation.services.prompts.fetch(items, conversation.directory.snapshot.prompts, done)

    def _stop_play(self, play_id: str) -> None:
        if play_id not in self._plays:
            return
        job = self._plays.pop(play_id)
        if job is not None:
            job.cancel()
        else:
            self._conversation.services.engine.stop_play(self._leg.id, play_id)

    def _cancel_timer(self, timer_id: str) -> None:
        timer = self._timers.pop(timer_id, None)
        if timer is not None:
            timer.cancel()

    def _timed_out(self, timer_id: str) -> None:
        if self._timers.pop(timer_id, None) is not None:
            self._tell(do.Timer(timer_id))

    # Consent.

    def _consent(self, command: do.GrantConsent | do.RefuseConsent) -> None:
        event = "consent.granted" if isinstance(command, do.GrantConsent) else "consent.refused"
        self._conversation.story.tell(
            event,
            leg_id=self._leg.id,
            flow_id=self.flow.id,
            flow_version=command.flow_version,
            question=command.question or None,
            language=command.language or None,
            answer=command.answer or None,
        )

    # Transfers.

    def _hand_over(self, command: do.TransferToQueue | do.TransferToFlow) -> None:
        """To a queue or another flow: the caller is there at once, or nothing has happened."""
        conversation, directory = self._conversation, self._conversation.services.directory()
        queue = directory.queue_named(command.queue) if isinstance(command, do.TransferToQueue) else None
        flow = directory.flow_named(command.flow) if isinstance(command, do.TransferToFlow) else None
        conversation.handovers += 1
        if conversation.handovers > MAX_HANDOVERS:
            conversation.story.tell("flow.failed", flow_id=self.flow.id, error="the call goes round in circles")
            self._end(moved=True)
            conversation.end("error", cause_of_legs="error")
            return
        if queue is None and flow is None:
            target = command.queue if isinstance(command, do.TransferToQueue) else command.flow
            self._tell(do.TransferFailed("notFound", f"there is no {target!r}"))
            return
        kind, target = ("queue", queue.id) if queue is not None else ("flow", flow.id if flow is not None else "")
        conversation.story.tell(
            "transferred", kind="flow", target=target, target_type=kind, external=False, by=self.flow.id
        )
        self._end(moved=True)
        if queue is not None and isinstance(command, do.TransferToQueue):
            inner = directory.flow_named(command.in_queue_flow) if command.in_queue_flow else None
            conversation.wait(queue, self._leg, priority=command.priority, flow=inner)
        elif flow is not None:
            conversation.run(flow, self._leg)

    def _call(self, kind: str, target: str, shown: str, timeout_s: float | None) -> None:
        """To a user or a number: the flow goes on if nobody answers."""
        conversation = self._conversation
        directory = conversation.services.directory()
        destination = routing.of_kind(directory, kind, target)
        if isinstance(destination, routing.Wait | routing.Run):
            self._hand_over(
                do.TransferToQueue(destination.queue.id)
                if isinstance(destination, routing.Wait)
                else do.TransferToFlow(destination.flow.id)
            )
            return
        if isinstance(destination, routing.Refuse):
            self._tell(do.TransferFailed("notFound", destination.why))
            return
        groups = conversation.services.reach.groups(directory, destination)
        if isinstance(groups, Final):
            self._tell(do.TransferFailed("unavailable", groups.reason or str(groups.status)))
            return
        self._ring(groups, kind, target or shown, timeout_s)

    def _ring(self, groups: Groups, kind: str, target: str, timeout_s: float | None) -> None:
        conversation = self._conversation

        def answered(arrival: Arrival, leg: Leg) -> None:
            self.arrival = None
            conversation.story.tell(
                "transferred",
                kind="flow",
                target=target,
                target_type=kind,
                external=leg.trunk is not None,
                by=self.flow.id,
                participant_id=leg.participant_id,
            )
            self._end(moved=True)
            conversation.do(None)
            conversation.main.append(leg)
            conversation.arrange()

        def failed(arrival: Arrival, final: Final) -> None:
            self.arrival = None
            conversation.story.tell(
                "transfer.failed",
                kind="flow",
                target=target,
                target_type=kind,
                error=final.reason or final.cause,
                by=self.flow.id,
                sip_status=final.status,
            )
            conversation.arrange()
            busy = final.status in (486, 600)
            self._tell(do.TransferFailed("busy" if busy else final.cause, final.reason or str(final.status)))

        for play_id in list(self._plays):
            self._stop_play(play_id)
        self.arrival = Arrival(
            conversation,
            groups,
            conversation.presentation,
            meant_for=self._leg,
            answered=answered,
            failed=failed,
            ring_s=timeout_s,
        )
        self.arrival.begin()
        conversation.arrange()

    def _end(self, *, moved: bool) -> None:
        if not self._done:
            self.stop()
            self._over(moved)


class FlowCall(Activity):
    """See the module."""

    name = "a flow"

    def __init__(self, conversation: Conversation, leg: Leg | None, flow: Flow) -> None:
        """:param leg: who is in it; None: the caller, who has not been answered yet."""
        self._conversation = conversation
        self._leg = leg
        self._flow = flow
        self._player: FlowPlayer | None = None
        self._participant_id = conversation.services.new_id()
        self._over = False

    def join(self) -> None:
        """The flow joins as a participant; before ``begin``, and before anybody leaves for its sake."""
        flow = self._flow
        suppress = self._conversation.services.flows.suppresses(flow)
        self._conversation.cast.join(self._participant_id, purpose="ivr", name=flow.name, flow_id=flow.id)
        self._conversation.cast.segment(
            self._participant_id, "ivr", flow_id=flow.id, flow_version=flow.version, suppress_recording=suppress
        )

    def begin(self) -> None:
        """The flow starts; ``conversation.do`` has been called."""
        conversation = self._conversation
        leg = self._leg = self._leg or conversation.caller
        conversation.arrange()
        if leg is None:
            return
        conversation.services.engine.detect_tones(leg.id, True)  # also of parties that negotiated events and send none
        self._player = FlowPlayer(conversation, leg, self._flow, self, over=self._flow_over)
        if not self._player.load():
            conversation.disconnect("error", by=self._flow.id, cause_of_legs="error")
            return
        self._player.begin()
        conversation.story.flush()

    # Activity.

    def legs(self) -> Rooms:
        there = talkers(self._conversation)
        calling = self._player is not None and self._player.arrival is not None
        return Rooms([there], {there[0]: sounds.ringback()} if calling and len(there) == 1 else {})

    def digit(self, leg: Leg, digit: str) -> None:
        if self._player is not None and leg is self._leg:
            self._player.digit(digit)

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        if self._player is not None and leg is self._leg:
            self._player.play_ended(play_id, error)

    def left(self, leg: Leg) -> None:
        if leg is self._leg:
            self._conversation.over(self)
            self.stop()

    def goes_on_without(self, leg: Leg) -> bool:
        return leg is not self._leg

    def stop(self) -> None:
        if self._player is not None:
            self._player.stop()
        if self._leg is not None and not self._leg.ended:
            self._conversation.services.engine.detect_tones(self._leg.id, False)
        if not self._over:
            self._over = True
            given_up = self._conversation.state is State.ENDED
            self._conversation.cast.leave_one(self._participant_id, "peer" if given_up else "transfer")

    def _flow_over(self, moved: bool) -> None:
        """The flow is done. One that ends without having moved its caller hangs up."""
        conversation = self._conversation
        conversation.over(self)
        self.stop()
        if not moved:
            conversation.disconnect("hangup", by=self._flow.id, cause_of_legs="system")

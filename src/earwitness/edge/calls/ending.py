"""How a call ends: everybody hears at once, and the folder is handed over when its tapes are complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from earwitness.edge.calls.activity import State
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.services import Timer

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()


class Ending:
    """Of one conversation; every way out of a call goes through ``end``."""

    def __init__(self, conversation: Conversation, on_gone: Callable[[Conversation], None]) -> None:
        self._call = conversation
        self._on_gone = on_gone
        self._settling: Timer | None = None
        self._ending: tuple[str, str | None, int] | None = None

    @property
    def settling(self) -> bool:
        """The call is over, and its tapes are not complete yet."""
        return self._ending is not None

    def tape_closed(self, tape_id: str, opening: int) -> None:
        """A tape's files are complete."""
        self._call.recorder.tape_closed(tape_id, opening)
        if self._ending is not None and self._call.recorder.settled:
            self._finish()

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
        """Ends what is left of the self._call.

        :param by: the leg that ended it; its session is over already.
        :param own_cause: disconnectType of that leg, ``cause_of_legs`` of the others.
        :param status: what the caller was refused with.
        """
        if self._call.state is State.ENDED:
            return
        was_up = self._call.state is State.UP
        caller = self._call.setup.caller if self._call.setup is not None else None
        self._call.state = State.ENDED
        if self._call.vigil is not None:
            self._call.vigil.stop()
        self._stop_all()
        at: int | None = None
        if by is not None:
            at = self._call.story.tell("leg.ended", leg_id=by.id, cause=own_cause)
            by.ended = True
            by.owner = None
        for leg in list(self._call.legs.values()):
            if leg.ended:
                continue
            if leg.session is not None:
                leg.session.hang_up()
            kind = cause_of_legs if was_up or leg is not caller else ("system" if status else cause_of_legs)
            self._call.end_leg(leg, kind, status if leg is caller and not was_up else None)
        for person in list(self._call.cast.people.values()):
            self._call.wishes.after_call_work(person.participant_id, None)
        for leg_id in self._call.legs:
            self._call.services.hall.free(leg_id)
        self._call.cast.leave(cause_of_legs, by.participant_id if by is not None else None, own_cause)
        who = by.participant_id if by is not None else by_name
        self._ending = (cause, who, at if at is not None else self._call.story.last)
        self._call.story.flush()
        if self._call.recorder.settled:
            self._finish()
        else:
            self._settling = self._call.services.call_later(self._call.services.settle_s, self._finish)

    def _stop_all(self) -> None:
        if self._call.setup is not None:
            self._call.setup.stop()
        self._call.do(None)
        for dialler in {id(item): item for item in self._call.dials.values()}.values():
            dialler.stop()
        self._call.arrivals.clear()

    def _finish(self) -> None:
        """The files are complete, or the media engine has had its time: the worker may have the folder."""
        ending, self._ending = self._ending, None
        if ending is None:
            return
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if not self._call.recorder.settled:
            log.error("the media engine did not complete the tapes in time", conversation=self._call.id)
        cause, by, at = ending
        for tape_id, opening in self._call.recorder.incomplete():
            self._call.story.tell(
                "tape.failed",
                at=at,
                tape_id=tape_id,
                opening=opening,
                error="not completed by the media engine in time",
            )
        self._call.story.tell("conversation.ended", at=at, cause=cause, by=by)
        unwritten = self._call.story.close()
        if unwritten is not None:
            self._call.services.backlog.add(unwritten)
        for leg in list(self._call.legs.values()):
            self._call.drop(leg)
        for tape_id in self._call.recorder.tape_ids():
            self._call.services.forget_tape(tape_id)
        self._call.setup = self._call.vigil = None
        self._call.main.clear()
        self._call.dials.clear()
        self._on_gone(self._call)

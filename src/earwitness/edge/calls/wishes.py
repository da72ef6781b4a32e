"""What people and programs want noted of a call: values, recordings of their own, conferences, what it was about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from earwitness.edge.calls.leg import Leg

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


class Wishes:
    """Of one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._call = conversation
        self._agents: dict[str, str] = {}
        """Participants with after-call work: their users."""

    def set_attributes(self, participant_id: str, values: Mapping[str, str | None], by: str | None = None) -> None:
        """Attaches values to a participant; None removes one."""
        for name, value in values.items():
            if value is None:
                self._call.attributes.pop(name, None)
            else:
                self._call.attributes[name] = value
        self._call.story.tell("participant.data", participant_id=participant_id, attributes=dict(values), by=by)

    def record(self, leg: Leg, on: bool) -> list[dict[str, str]]:
        """The user of a leg wants a recording of his own, or no more. Gives why it is refused."""
        person = self._call.cast.people.get(leg.participant_id)
        if person is None or person.user_id is None or leg.station is None:
            return [{"row": "user", "why": "only users of ours have an inbox for recordings"}]
        about: dict[str, Any] = {"participant_id": leg.participant_id, "user_id": person.user_id}
        if on and (reasons := self._call.recorder.refuses_user_recording()):
            self._call.story.tell("user_recording.refused", **about, reasons=reasons)
            self._call.story.flush()
            return reasons
        if on != self._call.recorder.records(leg.id):
            self._call.story.tell("user_recording.on" if on else "user_recording.off", **about, leg_id=leg.id)
            self._call.story.flush()
        return []

    def wrap_up(self, participant_id: str, code: str, facts: Mapping[str, Any]) -> None:
        """What the call was about, as far as a participant is concerned; he may have left already."""
        person = self._call.cast.people.get(participant_id)
        if person is not None:
            person.wrapped_up = True
        self._call.story.tell("wrapup.given", participant_id=participant_id, code=code, **facts)
        if (user_id := self._agents.get(participant_id)) is not None:
            self._call.services.hall.end_acw(user_id, participant_id)

    def conferring(self, by: str) -> None:
        """Three or more talk to each other from now on."""
        participants = [leg.participant_id for leg in self._call.main]
        self._call.story.tell("conference.started", participants=participants, by=by)

    def after_call_work(self, participant_id: str, leg_id: str | None) -> None:
        """An agent's part of a queue call is over: what was it about?"""
        person = self._call.cast.people.get(participant_id)
        if person is None or person.purpose != "agent" or person.queue_id is None or person.user_id is None:
            return
        queue = self._call.services.directory().queue(person.queue_id)
        if queue is None or not person.talked or person.wrapped_up:
            return
        person.wrapped_up = True
        self._agents[participant_id] = person.user_id
        self._call.story.tell(
            "acw.started",
            participant_id=participant_id,
            user_id=person.user_id,
            queue_id=queue.id,
            prompt=queue.acw,
            timeout_s=queue.acw_s,
            leg_id=leg_id,
        )
        self._call.services.hall.begin_acw(self._call, person.user_id, participant_id, queue)

"""What the control API may ask of a call in progress: each command by its name, checked before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import Activity
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.consult import WHO, Consult
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.edge.calls.transfer import Goal, Report, Transfer, seen_from
from earwitness.edge.calls.waiting import QueueWait
from earwitness.media.engine import sounds

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

Arguments = Mapping[str, Any]
GOALS = ("user", "queue", "address", "flow")
KEYS = frozenset("0123456789*#ABCD")
MAX_ATTRIBUTES = 200
MAX_TEXT = 4000


class CommandError(Exception):
    """A command that cannot be carried out."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """:param status: HTTP: 400 wrong arguments, 404 nobody of that id, 409 not at this moment."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def carry_out(conversation: Conversation, arguments: Arguments) -> dict[str, Any]:
    """Carries out ``arguments["do"]``; gives what the answer says.

    :raises CommandError: it cannot be; nothing has changed.
    """
    command = COMMANDS.get(str(arguments.get("do")))
    if command is None:
        raise CommandError(400, "bad.request", f"'do' must be one of {', '.join(COMMANDS)}")
    answer = command(conversation, arguments)
    conversation.story.flush()
    return answer or {}


def goal_of(arguments: Arguments) -> Goal:
    """``to``: one of user, queue, address, flow.

    :raises CommandError: it is none.
    """
    to = arguments.get("to")
    if isinstance(to, Mapping) and len(to) == 1:
        ((kind, target),) = to.items()
        if kind in GOALS and isinstance(target, str) and target:
            return Goal(kind, target)
    raise CommandError(400, "bad.request", f"'to' must be an object with one of {', '.join(GOALS)}")


def _text(arguments: Arguments, name: str, *, needed: bool = True) -> str:
    value = arguments.get(name)
    if isinstance(value, str) and len(value) <= MAX_TEXT and (value or not needed):
        return value
    if value is None and not needed:
        return ""
    raise CommandError(400, "bad.request", f"'{name}' must be a text")


def _flag(arguments: Arguments, name: str) -> bool:
    value = arguments.get(name)
    if not isinstance(value, bool):
        raise CommandError(400, "bad.request", f"'{name}' must be true or false")
    return value


def _leg(conversation: Conversation, arguments: Arguments) -> Leg:
    participant_id = _text(arguments, "participant")
    leg = conversation.leg_of(participant_id)
    if leg is not None:
        return leg
    if participant_id in conversation.cast.people:
        raise CommandError(409, "conflict", "this participant is not connected")
    raise CommandError(404, "not.found", "no such participant on this call")


def _by(arguments: Arguments) -> str:
    return _text(arguments, "by", needed=False) or "api"


def _idle(conversation: Conversation) -> None:
    if conversation.activity is not None:
        raise CommandError(409, "conflict", f"{conversation.activity.name} is under way")


def _disconnect(conversation: Conversation, arguments: Arguments) -> None:
    if arguments.get("participant") is None:
        conversation.disconnect("hangup", by=_by(arguments))
        return
    participant_id = _text(arguments, "participant")
    arrival = _arrival(conversation, participant_id)
    if arrival is not None:
        arrival.reject()
        return
    leg = _leg(conversation, arguments)
    if leg.session is not None:
        leg.session.hang_up()
    conversation.gone(leg, "client")


def _alert_reject(conversation: Conversation, arguments: Arguments) -> None:
    arrival = _arrival(conversation, _text(arguments, "participant"))
    if arrival is None:
        raise CommandError(409, "conflict", "this participant is not being rung")
    arrival.reject()


def _arrival(conversation: Conversation, participant_id: str) -> Arrival | None:
    return next((a for a in conversation.arrivals if a.participant_id == participant_id), None)


def _hold(conversation: Conversation, arguments: Arguments) -> None:
    leg, holds = _leg(conversation, arguments), _flag(arguments, "held")
    if leg not in conversation.main:
        raise CommandError(409, "conflict", "a consulted party cannot hold")
    conversation.hold(leg.participant_id, holds, arguments.get("by"))


def _mute(conversation: Conversation, arguments: Arguments) -> None:
    leg, muted = _leg(conversation, arguments), _flag(arguments, "muted")
    silence(conversation, leg, muted, _text(arguments, "by", needed=False) or None)


def silence(conversation: Conversation, leg: Leg, muted: bool, by: str | None) -> None:
    """Nobody hears a leg any more, or everybody does again."""
    if leg.muted != muted:
        leg.muted = muted
        conversation.services.engine.mute(leg.id, muted)
        conversation.story.tell("participant.muted", participant_id=leg.participant_id, muted=muted, by=by)


def _record(conversation: Conversation, arguments: Arguments) -> None:
    leg, on = _leg(conversation, arguments), _flag(arguments, "on")
    reasons = conversation.wishes.record(leg, on)
    if reasons:
        raise CommandError(409, "consent.refused", "; ".join(reason["why"] for reason in reasons))


def _secure_pause(conversation: Conversation, arguments: Arguments) -> None:
    on = _flag(arguments, "on")
    if on != conversation.secure_pause:
        conversation.secure_pause = on
        conversation.story.tell("secure_pause.on" if on else "secure_pause.off", by=_by(arguments))


def _digits(conversation: Conversation, arguments: Arguments) -> None:
    leg, digits = _leg(conversation, arguments), _text(arguments, "digits").upper()
    if len(digits) > 64 or not set(digits) <= KEYS:
        raise CommandError(400, "bad.request", "'digits' must be up to 64 of 0123456789*#ABCD")
    others = [other for other in conversation.main if other is not leg]
    for other in others or [leg]:
        conversation.services.engine.send_digits(other.id, digits)


def _attributes(conversation: Conversation, arguments: Arguments) -> None:
    participant_id = _text(arguments, "participant")
    if participant_id not in conversation.cast.people:
        raise CommandError(404, "not.found", "no such participant on this call")
    values = arguments.get("attributes")
    if not isinstance(values, Mapping) or len(values) > MAX_ATTRIBUTES:
        raise CommandError(400, "bad.request", f"'attributes' must be an object of at most {MAX_ATTRIBUTES} values")
    if not all(value is None or (isinstance(value, str) and len(value) <= MAX_TEXT) for value in values.values()):
        raise CommandError(400, "bad.request", "attributes are texts, or null to remove one")
    conversation.wishes.set_attributes(participant_id, values, by=_by(arguments))


def _wrapup(conversation: Conversation, arguments: Arguments) -> None:
    participant_id = _text(arguments, "participant")
    names = ("name", "notes", "by")
    facts: dict[str, Any] = {name: text for name in names if (text := _text(arguments, name, needed=False))}
    tags = arguments.get("tags")
    if tags is not None:
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags) or len(tags) > MAX_ATTRIBUTES:
            raise CommandError(400, "bad.request", "'tags' must be a list of texts")
        facts["tags"] = tags
    conversation.wishes.wrap_up(participant_id, _text(arguments, "code"), facts)


def _transfer(conversation: Conversation, arguments: Arguments) -> None:
    goal = goal_of(arguments)
    waiting = conversation.activity
    if isinstance(waiting, QueueWait) and waiting.participant_id == arguments.get("participant"):
        if goal.kind == "user" and not waiting.assign(goal.target):
            raise CommandError(409, "conflict", "this user cannot be reached")
        if goal.kind == "user":
            return
        raise CommandError(409, "conflict", "a call that waits in a queue can be given to a user only")
    leg = _leg(conversation, arguments)
    _idle(conversation)
    if leg not in conversation.main or len(conversation.main) < 2:
        raise CommandError(409, "conflict", "there is nobody to transfer")
    failed: list[Report] = []

    def report(state: Report) -> None:
        if state.status >= 300:
            failed.append(state)

    Transfer(conversation, leg, goal, by=_by(arguments), kind="replace", report=report).begin()
    if failed:
        raise CommandError(409, "transfer.failed", failed[0].reason or f"the target answered {failed[0].status}")


def _consult(conversation: Conversation, arguments: Arguments) -> dict[str, Any]:
    leg, goal = _leg(conversation, arguments), goal_of(arguments)
    _idle(conversation)
    if leg not in conversation.main or len(conversation.main) < 2:
        raise CommandError(409, "conflict", "there is nobody to consult about")
    consult = Consult(conversation, leg, goal, by=_by(arguments))
    refused = consult.begin()
    if refused is not None:
        raise CommandError(409, "consult.failed", refused.reason or f"the target answered {refused.status}")
    return {"participant": consult.participant_id}


def _consulting(conversation: Conversation, arguments: Arguments) -> Consult:
    participant_id = _text(arguments, "participant", needed=False)
    consult = conversation.activity
    if not isinstance(consult, Consult) or (participant_id and consult.own.participant_id != participant_id):
        raise CommandError(409, "conflict", "this participant does not consult anybody")
    return consult


def _consult_speak(conversation: Conversation, arguments: Arguments) -> None:
    who = arguments.get("who")
    if who not in WHO:
        raise CommandError(400, "bad.request", f"'who' must be one of {', '.join(WHO)}")
    _consulting(conversation, arguments).speak(who)


def _consult_complete(conversation: Conversation, arguments: Arguments) -> None:
    if not _consulting(conversation, arguments).complete():
        raise CommandError(409, "conflict", "the consulted party has not answered yet")


def _consult_cancel(conversation: Conversation, arguments: Arguments) -> None:
    _consulting(conversation, arguments).cancel()


def _conference(conversation: Conversation, arguments: Arguments) -> None:
    consult = conversation.activity
    if isinstance(consult, Consult):
        if not consult.merge():
            raise CommandError(409, "conflict", "the consulted party has not answered yet")
    else:
        _idle(conversation)
    for participant_id in list(conversation.holding):
        conversation.hold(participant_id, False)
    conversation.wishes.conferring(_by(arguments))


class Addition(Activity):
    """Somebody is called into a conference; those who are there go on talking."""

    name = "an invitation to the conference"

    def __init__(self, conversation: Conversation, by: str, muted: bool) -> None:
        self._conversation = conversation
        self._by = by
        self._muted = muted
        """Whoever comes only listens."""
        self._arrival: Arrival | None = None

    def begin(self, goal: Goal) -> str:
        """Calls. Gives the participant's id.

        :raises CommandError: it cannot be.
        """
        conversation = self._conversation
        destination = routing.of_kind(conversation.services.directory(), goal.kind, goal.target)
        if not isinstance(destination, routing.Ring | routing.Dial):
            why = destination.why if isinstance(destination, routing.Refuse) else "only users and numbers can be added"
            raise CommandError(409, "conflict", why)
        groups = conversation.services.reach.groups(conversation.services.directory(), destination)
        if isinstance(groups, Final):
            raise CommandError(409, "conflict", groups.reason or f"the target answered {groups.status}")
        conversation.do(self)
        self._arrival = Arrival(
            conversation,
            groups,
            seen_from(conversation, conversation.main[-1]),
            meant_for=None,
            answered=self._came,
            failed=self._did_not_come,
        )
        self._arrival.begin()
        return self._arrival.participant_id

    def legs(self) -> Rooms:
        conversation = self._conversation
        there = talkers(conversation)
        alone = len(there) == 1
        sound = sounds.ringback() if len(conversation.main) == 1 else conversation.music
        return Rooms([there], {there[0]: sound} if alone else {})

    def stop(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.cancel()

    def _came(self, arrival: Arrival, leg: Leg) -> None:
        conversation = self._conversation
        self._arrival = None
        conversation.over(self)
        if self._muted:
            silence(conversation, leg, True, self._by)
        conversation.main.append(leg)
        conversation.arrange()
        if len(conversation.main) > 2:
            conversation.wishes.conferring(self._by)

    def _did_not_come(self, arrival: Arrival, final: Final) -> None:
        self._arrival = None
        self._conversation.over(self)
        if len(self._conversation.main) < 2:
            self._conversation.end(final.cause, cause_of_legs="peer")
        else:
            self._conversation.arrange()


def _add(conversation: Conversation, arguments: Arguments) -> dict[str, Any]:
    goal = goal_of(arguments)
    _idle(conversation)
    if not conversation.main:
        raise CommandError(409, "conflict", "nobody is on this call yet")
    muted = bool(arguments.get("muted")) and _flag(arguments, "muted")
    return {"participant": Addition(conversation, _by(arguments), muted).begin(goal)}


COMMANDS: dict[str, Callable[[Conversation, Arguments], dict[str, Any] | None]] = {
    "disconnect": _disconnect,
    "alert_reject": _alert_reject,
    "hold": _hold,
    "mute": _mute,
    "record": _record,
    "secure_pause": _secure_pause,
    "digits": _digits,
    "attributes": _attributes,
    "wrapup": _wrapup,
    "transfer": _transfer,
    "consult": _consult,
    "consult_speak": _consult_speak,
    "consult_complete": _consult_complete,
    "consult_cancel": _consult_cancel,
    "conference": _conference,
    "add": _add,
}
"""By the name in ``do``."""

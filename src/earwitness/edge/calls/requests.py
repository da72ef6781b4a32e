"""Requests that a party sends within its call: INFO (keys, and whatever else phones tell each other) and REFER.

REFER is taken from phones of ours only: a carrier that could transfer would dial at our expense. Without Replaces it is
a blind transfer; with Replaces it names another call of the same phone, and the two become one: whoever was on the
other call moves into this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from earwitness.edge.calls.info_keys import InfoKeys
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.moving import hand_out, take_in
from earwitness.edge.calls.transfer import Goal, Report, Transfer
from earwitness.edge.calls.waiting import QueueWait
from earwitness.edge.sip import refer as sip_refer
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.trunks import normalise_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()


class InDialog:
    """Answers requests within calls."""

    def __init__(self, allow: tuple[str, ...], session_for: Callable[[str, str, str], Session | None]) -> None:
        """:param session_for: the session of (Call-ID, our tag, the peer's tag)."""
        self._allow = allow
        self._session_for = session_for
        self._keys = InfoKeys()

    def __call__(self, conversation: Conversation, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        if request.method == "INFO":
            self._keys(conversation, leg, transaction, request)
        elif request.method == "REFER":
            self._refer(conversation, leg, transaction, request)
        else:
            transaction.respond(405, None, [("Allow", ", ".join(self._allow))])

    def _refer(self, conversation: Conversation, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        session = leg.session
        if session is None or leg.station is None:
            transaction.respond(403)
            return
        asked = sip_refer.receive_refer(session, transaction, request)
        if asked is None:
            return
        if leg not in conversation.main or len(conversation.main) < 2 or conversation.activity is not None:
            asked.refuse(491 if conversation.activity is not None else 480)
            return
        replaces = asked.refer.replaces
        if replaces is None:
            self._blind(conversation, leg, asked)
            return
        other = self._session_for(replaces.call_id, replaces.to_tag, replaces.from_tag)
        other_leg = other.owner if other is not None else None
        if not isinstance(other_leg, Leg) or other_leg.station is None or other_leg.station.id != leg.station.id:
            asked.refuse(403)  # not 481, which would end this call as well (RFC 5057)
            return
        attended(conversation, leg, other_leg, asked)

    def _blind(self, conversation: Conversation, leg: Leg, asked: sip_refer.Transfer) -> None:
        try:
            number = normalise_number(asked.refer.user)
        except SipParseError:
            number = ""
        if not number:
            asked.refuse(404)
            return
        if not asked.accept():
            return

        goal = Goal("address", number)
        report = _reports(asked, leg.session)
        Transfer(conversation, leg, goal, by=leg.participant_id, report=report, hang_up=False).begin()


def _reports(asked: sip_refer.Transfer, session: Session | None) -> Callable[[Report], None]:
    """Tells the phone how it goes; when it has heard that it worked, it is hung up on."""

    def hang_up() -> None:
        if session is not None:
            session.hang_up()

    def report(state: Report) -> None:
        if state.status < 200:
            asked.progress(state.status, state.reason)
        else:
            asked.final(state.status, state.reason, done=hang_up if state.status < 300 else None)

    return report


def attended(conversation: Conversation, leg: Leg, other_leg: Leg, asked: sip_refer.Transfer) -> None:
    """Joins the parties of two calls of one phone; the phone leaves both."""
    other = conversation.services.conversation_of(other_leg.id)
    if other is None or other is conversation or not other_leg.answered or other_leg not in other.main:
        asked.refuse(404)
        return
    if isinstance(other.activity, QueueWait):
        queue = other.activity.queue
        if asked.accept():
            other.disconnect("transfer", cause_of_legs="transfer")
            report = _reports(asked, leg.session)
            goal = Goal("queue", queue.id)
            by = leg.participant_id
            Transfer(conversation, leg, goal, by=by, kind="attended", report=report, hang_up=False).begin()
        return
    swapped = _stays(other, conversation)
    stays, kept_leg = (other, other_leg) if swapped else (conversation, leg)
    goes, gone_leg = (conversation, leg) if swapped else (other, other_leg)
    movers = [mover for mover in goes.main if mover is not gone_leg]
    if other.activity is not None or not movers:
        asked.refuse(491)
        return
    if not asked.accept():
        return
    if goes.secure_pause and not stays.secure_pause:
        stays.secure_pause = True
        stays.story.tell("secure_pause.on", by=kept_leg.participant_id)
    moved = [hand_out(goes, mover) for mover in movers]
    for mover in moved:
        take_in(stays, mover)
    stays.story.tell(
        "transferred",
        kind="attended",
        target=str(moved[0].person.facts.get("address") or ""),
        target_type="address",
        external=any(mover.trunk is not None for mover in movers),
        by=kept_leg.participant_id,
        participant_id=movers[0].participant_id,
    )
    report = _reports(asked, leg.session)
    stays.release(kept_leg, "transfer", hang_up=swapped)
    report(Report(200))
    stays.arrange()
    stays.story.flush()
    if swapped:  # the phone is hung up on where it asked when it has heard how it went
        goes.release(gone_leg, "transfer", hang_up=False)
    goes.disconnect("transfer", cause_of_legs="transfer")


def _stays(other: Conversation, conversation: Conversation) -> bool:
    """Whether ``other`` is the one of two joined calls that stays, and not the one in which the phone asked.

    Who has refused to be recorded must not come into a call where nobody has: that call stays, whichever it is. Else
    it is the one with somebody from outside: phones ask on either, and a recording must not break in two (A5).
    """
    refused = (other.recorder.consent_refused, conversation.recorder.consent_refused)
    if refused[0] != refused[1]:
        return refused[0]
    outside = [any(leg.trunk is not None for leg in call.main) for call in (other, conversation)]
    return outside[0] and not outside[1]

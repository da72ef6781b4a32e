"""Offer and answer on the legs of a call that is up.

Two legs that are connected are each other's partners: what one side offers is offered to the other, and its answer goes
back. A leg without a partner (in a flow, in a queue, in a mix, on hold by the API) is answered by us alone.

Theory. At most one negotiation runs at a time; a further offer meanwhile is answered 491, and its side tries again.

- A re-INVITE or UPDATE that changes neither direction nor codecs (new address, session refresh) is answered here at
  once; the other side need not know.
- Any other is passed on as a re-INVITE to the other leg; its answer, under the numbers of the first leg, answers the
  first. The other leg's refusal refuses it, and the call goes on as before.
- A re-INVITE without offer gets ours in the 200; if the answer in the ACK changes anything, the other leg is told by a
  re-INVITE.

A party holds when its own description says that it does not receive. In an answer that only counts when the offer was
willing to send: recvonly meets sendonly without anybody holding twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from earwitness.edge.calls.leg import Leg
from earwitness.edge.sip import offer_answer, sdp
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.offer_answer import NotAcceptable
from earwitness.edge.sip.sdp import AudioStream, Direction, Format, SessionDescription

log = structlog.get_logger()


class BadOffer(ValueError):  # noqa: N818 - the counterpart of NotAcceptable
    """The body is no SDP: SIP 400."""


def read_offer(body: bytes) -> tuple[SessionDescription, AudioStream]:
    """The description and its audio stream.

    :raises BadOffer: not SDP. :raises NotAcceptable: no audio for us.
    """
    try:
        description = sdp.parse(body)
    except sdp.SdpError as error:
        raise BadOffer(str(error)) from error
    return description, offer_answer.audio_of(description)


def read_answer(body: bytes, offered: tuple[Format, ...]) -> AudioStream:
    """The audio stream of an answer, reduced to the formats offered.

    :raises NotAcceptable: none, or not SDP at all.
    """
    try:
        return offer_answer.answered_stream(sdp.parse(body), offered)
    except sdp.SdpError as error:
        raise NotAcceptable(str(error)) from error


def take_offer(leg: Leg, stream: AudioStream) -> None:
    """The leg's party has described itself by an offer."""
    leg.stream = stream
    leg.holding = not stream.effective_direction.receives


def take_answer(leg: Leg, stream: AudioStream, offered: Direction) -> None:
    """The leg's party has answered our offer of this direction."""
    leg.stream = stream
    leg.formats = stream.formats
    leg.direction = offered
    if offered.sends:
        leg.holding = not stream.effective_direction.receives


def answer_for(leg: Leg, description: SessionDescription, stream: AudioStream, other: Leg) -> bytes:
    """The answer to the leg's offer that follows from what the other leg agreed to. Changes what is negotiated on
    ``leg``.

    :raises NotAcceptable: nothing in common.
    """
    theirs = other.stream
    formats = offer_answer.common_formats(offer_answer.carried(stream.formats), other.formats)
    wanted = theirs.effective_direction if theirs is not None else Direction.SENDRECV
    leg.direction = _within(wanted, stream.effective_direction)
    leg.formats = formats
    leg.learn(formats)
    ptime = theirs.ptime if theirs is not None else None
    return leg.local.answer(description, formats, leg.direction, ptime=ptime)


@dataclass(slots=True)
class _Pending:
    """An offer of ``leg`` that the other leg has been asked about."""

    leg: Leg
    stream: AudioStream
    offered: tuple[Format, ...]
    """To the other leg, under its numbers."""
    direction: Direction
    asked: Leg
    description: SessionDescription | None
    """What to answer to; None: nothing, the leg's part is settled."""
    withdrawn: bool = False
    """The leg has cancelled it: if the other leg agrees, it is asked to go back."""


PLAYABLE = ("pcmu", "pcma", "g722", "opus", "l16")
"""Codecs that we can speak and mix ourselves, lower case."""

OUR_OFFER = tuple(item for item in offer_answer.FULL_OFFER if item.name.lower() in (*PLAYABLE, "telephone-event"))
"""What we offer to somebody who is to hear us, or a mix."""


def solo_formats(stream: AudioStream) -> tuple[Format, ...]:
    """What we take of an offer that nobody but us answers: its first codec that we can speak, and its DTMF. One codec
    only, so that whoever is connected later need only know that one.

    :raises NotAcceptable: there is none.
    """
    audio = next((item for item in stream.formats if item.name.lower() in PLAYABLE), None)
    if audio is None:
        raise NotAcceptable("no codec that we can speak")
    events = [item for item in stream.formats if item.is_telephone_event]
    events.sort(key=lambda item: item.clock_rate != audio.clock_rate)
    return (audio, *events[:1])


def answer_alone(leg: Leg, body: bytes, other: Leg | None) -> bytes:
    """Our answer to the offer in an INVITE that joins a call; to one without offer, ours. Changes the leg.

    :param other: the leg that it will be connected with, whose codec is taken if it can be.
    :raises BadOffer: not SDP. :raises NotAcceptable: nothing that we can speak.
    """
    if not body:
        leg.formats, leg.direction = OUR_OFFER, Direction.SENDRECV
        leg.learn(OUR_OFFER)
        return leg.local.offer(OUR_OFFER, leg.direction)
    description, stream = read_offer(body)
    take_offer(leg, stream)
    try:
        formats = offer_answer.common_formats(stream.formats, other.formats if other is not None else ())
    except NotAcceptable:
        formats = solo_formats(stream)
    leg.formats = formats
    leg.learn(stream.formats)
    leg.direction = _within(Direction.SENDRECV, stream.effective_direction)
    return leg.local.answer(description, formats, leg.direction, ptime=stream.ptime)


class Negotiation:
    """Of one call."""

    def __init__(self, partner: Callable[[Leg], Leg | None], changed: Callable[[Leg], None]) -> None:
        """:param partner: the leg that a leg is connected with, or None.
        :param changed: told after what is negotiated on a leg may have changed.
        """
        self._other = partner
        self._changed = changed
        self._pending: _Pending | None = None
        self._late: dict[Leg, Direction] = {}
        self._reopening: dict[Leg, tuple[Format, ...]] = {}
        """Legs with an offer of our own under way, and what it offers."""

    def expect_late_answer(self, leg: Leg) -> None:
        """The leg's initial INVITE had no offer; ours, in the 200, is answered by its ACK."""
        self._late[leg] = leg.direction

    def forget(self, leg: Leg) -> None:
        """The leg is gone."""
        self._late.pop(leg, None)
        self._reopening.pop(leg, None)
        pending = self._pending
        if pending is not None and leg in (pending.leg, pending.asked):
            self._pending = None
            asker = pending.leg
            if asker is not leg and pending.description is not None and asker.session is not None:
                asker.session.reject_reinvite(491)

    def reopen(self, leg: Leg) -> None:
        """We told this leg that we would not send, or not receive; from now on we do both again."""
        busy = self._pending is not None and leg in (self._pending.leg, self._pending.asked)
        if busy or leg in self._late or leg in self._reopening or leg.session is None or not leg.formats:
            return
        if leg.session.reinvite(leg.local.offer(leg.formats, Direction.SENDRECV)):
            self._reopening[leg] = leg.formats

    def offer(self, leg: Leg, request: Request) -> None:
        """A re-INVITE, or an UPDATE with a body, of this leg."""
        session = leg.session
        if session is None:
            return
        if self._pending is not None or leg in self._late:
            session.reject_reinvite(491)
        elif not request.body:
            self._offer_ours(leg)
        else:
            try:
                description, stream = read_offer(request.body)
                answered = self._alone(leg, description, stream) or self._pass_on(leg, stream, description)
                if not answered:
                    session.reject_reinvite(491)
            except NotAcceptable:
                session.reject_reinvite(488)
            except BadOffer:
                session.reject_reinvite(400, "Bad SDP")

    def answer(self, leg: Leg, response: Response) -> None:
        """The final response to our re-INVITE of this leg."""
        pending = self._pending
        if leg in self._reopening:
            self._reopened(leg, self._reopening.pop(leg), response)
            return
        if pending is None or pending.asked is not leg:
            self._refreshed(leg, response)
            return
        self._pending = None
        asker = pending.leg
        if pending.withdrawn:
            if response.status < 300 and asker.stream is not None and not self._pass_on(asker, asker.stream, None):
                log.warning("a withdrawn offer stands on the other side", leg=leg.id)
            return
        if response.status >= 300:
            if pending.description is not None and asker.session is not None:
                status = response.status if response.status in (415, 488, 491, 606) else 488
                asker.session.reject_reinvite(status)
            return
        try:
            take_answer(leg, read_answer(response.body, pending.offered), pending.direction)
            if pending.description is not None:
                body = answer_for(asker, pending.description, pending.stream, leg)
                take_offer(asker, pending.stream)
                if asker.session is not None:
                    asker.session.accept_reinvite(body)
            else:
                asker.formats = offer_answer.common_formats(pending.stream.formats, leg.formats)
        except NotAcceptable:
            if pending.description is not None and asker.session is not None:
                asker.session.reject_reinvite(488)
        self._changed(leg)
        self._changed(asker)

    def acknowledged(self, leg: Leg, request: Request) -> bool:
        """An ACK of this leg. False when it owed an answer and had none that we can use: the call cannot go on."""
        if leg not in self._late:
            return True
        direction = self._late.pop(leg)
        before = leg.stream.effective_direction if leg.stream is not None else Direction.SENDRECV
        try:
            stream = read_answer(request.body, leg.formats)
        except NotAcceptable:
            return leg.stream is not None
        take_answer(leg, stream, direction)
        self._changed(leg)
        left = {item.codec for item in stream.formats}
        other = self._other(leg)
        if other is None:
            return True
        narrowed = any(item.codec not in left for item in other.formats)
        if (stream.effective_direction is not before or narrowed) and not self._pass_on(leg, stream, None):
            log.warning("the other side could not be told what was agreed", leg=leg.id)
        return True

    def withdraw(self, leg: Leg) -> None:
        """The leg has cancelled its re-INVITE."""
        if self._pending is not None and self._pending.leg is leg and self._pending.description is not None:
            self._pending.description = None
            self._pending.withdrawn = True

    def _refreshed(self, leg: Leg, response: Response) -> None:
        """The answer to a session refresh, that is, to the description that stands. The leg's party may have moved."""
        if response.status >= 300 or not response.body or leg.stream is None or leg in self._late:
            return
        before = leg.stream.effective_direction
        try:
            stream = read_answer(response.body, tuple(leg.known))
        except NotAcceptable:
            return
        take_answer(leg, stream, leg.direction)
        self._changed(leg)
        if stream.effective_direction is not before and self._pending is None and self._other(leg) is not None:
            self._pass_on(leg, stream, None)

    def _reopened(self, leg: Leg, offered: tuple[Format, ...], response: Response) -> None:
        """The answer to ``reopen``."""
        if response.status >= 300:
            log.warning("a party was not told that we talk to it again", leg=leg.id, status=response.status)
            return
        try:
            take_answer(leg, read_answer(response.body, offered), Direction.SENDRECV)
        except NotAcceptable:
            return
        self._changed(leg)

    def _offer_ours(self, leg: Leg) -> None:
        other = self._other(leg)
        leg.direction = Direction.SENDONLY if other is not None and other.holding else Direction.SENDRECV
        self._late[leg] = leg.direction
        if leg.session is not None:
            leg.session.accept_reinvite(leg.local.offer(leg.formats, leg.direction))

    def _alone(self, leg: Leg, description: SessionDescription, stream: AudioStream) -> bool:
        """Answers without the other side, if there is none or nothing changes for it."""
        if self._other(leg) is None:
            self._solo(leg, description, stream)
            return True
        before = leg.stream
        offered = {item.codec for item in stream.formats}
        if before is None or before.effective_direction is not stream.effective_direction:
            return False
        if any(item.codec not in offered for item in leg.formats):
            return False
        leg.formats = offer_answer.common_formats(offer_answer.carried(stream.formats), leg.formats)
        leg.learn(stream.formats)
        leg.stream = stream
        if leg.session is not None:
            leg.session.accept_reinvite(leg.local.answer(description, leg.formats, leg.direction, ptime=stream.ptime))
        self._changed(leg)
        return True

    def _solo(self, leg: Leg, description: SessionDescription, stream: AudioStream) -> None:
        """Answers for ourselves. The codec stays if the party still offers it.

        :raises NotAcceptable: nothing that we can speak.
        """
        agreed = {item.codec for item in leg.formats}
        kept = tuple(item for item in offer_answer.carried(stream.formats) if item.codec in agreed)
        if not any(item.name.lower() in PLAYABLE for item in kept):
            kept = solo_formats(stream)
        take_offer(leg, stream)
        leg.formats = kept
        leg.learn(stream.formats)
        leg.direction = _within(Direction.SENDRECV, stream.effective_direction)
        if leg.session is not None:
            leg.session.accept_reinvite(leg.local.answer(description, kept, leg.direction, ptime=stream.ptime))
        self._changed(leg)

    def _pass_on(self, leg: Leg, stream: AudioStream, description: SessionDescription | None) -> bool:
        other = self._other(leg)
        if other is None or other.session is None or other in self._reopening:
            return False
        leg.learn(stream.formats)
        formats = offer_answer.renumbered(offer_answer.carried(stream.formats), other.known)
        direction = stream.effective_direction
        pending = _Pending(leg, stream, formats, direction, other, description)
        body = other.local.offer(formats, direction, ptime=stream.ptime, maxptime=stream.maxptime)
        if not other.session.reinvite(body):
            return False
        other.learn(formats)
        self._pending = pending
        return True


def _within(wanted: Direction, offer: Direction) -> Direction:
    """What of ``wanted`` an answer to ``offer`` may say."""
    most = offer.reversed()
    return Direction.of(sends=wanted.sends and most.sends, receives=wanted.receives and most.receives)

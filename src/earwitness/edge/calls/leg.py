"""One leg of a bridged call: a SIP session, a leg of the media engine, and what was negotiated on it.

The leg takes the session's events and hands them to its conversation; it decides nothing. ``formats`` are under this
leg's payload types, ``direction`` is what we last wrote on it, ``holding`` whether its party holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from earwitness.domain.configuration import Station, Trunk
from earwitness.edge.sip import sdp
from earwitness.edge.sip.events import Failure
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.offer_answer import LocalDescription
from earwitness.edge.sip.sdp import AudioStream, Direction, Format
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.media.engine.interface import Address, Codec, Remote

log = structlog.get_logger()


class LegOwner(Protocol):
    """Who decides what a leg's events mean."""

    def leg_progress(self, leg: Leg, response: Response) -> None: ...
    def leg_accepted(self, leg: Leg, response: Response) -> None: ...
    def leg_rejected(self, leg: Leg, status: int, reason: str) -> None: ...
    def leg_acknowledged(self, leg: Leg, request: Request) -> None: ...
    def leg_cancelled(self, leg: Leg) -> None: ...
    def leg_offers(self, leg: Leg, request: Request) -> None: ...
    def leg_withdraws(self, leg: Leg) -> None: ...
    def leg_offer_answered(self, leg: Leg, response: Response) -> None: ...
    def leg_requests(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None: ...
    def leg_hung_up(self, leg: Leg) -> None: ...
    def leg_failed(self, leg: Leg, cause: Failure) -> None: ...
    def leg_broke(self, leg: Leg) -> None: ...


class Leg:
    """See the module."""

    __slots__ = (
        "answered",
        "direction",
        "ended",
        "formats",
        "holding",
        "id",
        "known",
        "local",
        "muted",
        "offered",
        "owner",
        "participant_id",
        "ringing",
        "session",
        "silent",
        "source_host",
        "station",
        "stream",
        "told",
        "trunk",
    )

    def __init__(
        self,
        leg_id: str,
        participant_id: str,
        owner: LegOwner,
        local: LocalDescription,
        source_host: str,
        *,
        trunk: Trunk | None = None,
        station: Station | None = None,
    ) -> None:
        """:param source_host: where the peer's SIP comes from; its media may, too."""
        self.id = leg_id
        self.participant_id = participant_id
        self.owner: LegOwner | None = owner
        self.local = local
        self.source_host = source_host
        self.trunk = trunk
        self.station = station
        self.session: Session | None = None
        self.stream: AudioStream | None = None
        self.formats: tuple[Format, ...] = ()
        self.known: list[Format] = []
        """Every format under its number on this leg, as far as anybody used it."""
        self.offered: tuple[Format, ...] = ()
        """What we offered in the INVITE that called it."""
        self.direction = Direction.SENDRECV
        self.holding = False
        self.ringing = False
        self.answered = False
        self.ended = False
        self.muted = False
        """Nobody is to hear it."""
        self.silent = False
        """The media engine has heard nothing from it for a while."""
        self.told: dict[str, Any] | None = None
        """Data of the last ``leg.media`` event."""

    def attach(self, session: Session) -> None:
        """This is the leg's session; its events come here."""
        self.session = session
        session.owner = self
        session.on_withdrawn = self.on_withdrawn

    def learn(self, formats: Sequence[Format]) -> None:
        """These payload types mean these codecs on this leg from now on."""
        seen = {item.payload_type for item in self.known}
        self.known += [item for item in formats if item.payload_type not in seen]

    @property
    def has_telephone_events(self) -> bool:
        """Whether its party can send keys by RFC 4733."""
        return any(item.is_telephone_event for item in self.formats)

    def on_the_wire(self) -> list[Format]:
        """The negotiated formats under every number that may be seen: we send under those of the party's description,
        the party under those of ours (RFC 3264 §6.1). Where a number means two things, it is what the party sends.
        """
        agreed = {item.codec for item in self.formats}
        found = {item.payload_type: item for item in self.formats}
        found.update({item.payload_type: item for item in self.known if item.codec in agreed})
        return list(found.values())

    def remote(self) -> Remote:
        """What the media engine needs to know."""
        stream = self.stream
        if stream is None:
            return Remote(None, sending=False, receiving=False, sources=(self.source_host,))
        theirs = stream.effective_direction
        event = next((item for item in self.formats if item.is_telephone_event), None)
        rtp = _numeric(stream.host, stream.port)
        agreed = {item.codec for item in self.formats}
        ours = [item for item in self.local.formats if item.codec in agreed]
        our_event = next((item.payload_type for item in ours if item.is_telephone_event), None)
        return Remote(
            rtp,
            rtp if stream.rtcp_mux else _numeric(*stream.rtcp),
            {f.payload_type: Codec(f.name, f.clock_rate, f.channels) for f in self.formats},
            event.payload_type if event is not None else None,
            sending=theirs.receives and self.direction.sends,
            receiving=theirs.sends and self.direction.receives,
            sources=(self.source_host,),
            expected={f.payload_type: Codec(f.name, f.clock_rate, f.channels) for f in ours},
            expected_event=our_event,
        )

    def media_facts(self) -> dict[str, Any]:
        """Data of a ``leg.media`` event."""
        remote = self.remote()
        types = {str(f.payload_type): [f.name, f.clock_rate, f.channels] for f in self.on_the_wire()}
        facts: dict[str, Any] = {"leg_id": self.id, "payload_types": types}
        if remote.telephone_event is not None:
            facts["telephone_event"] = remote.telephone_event
        if remote.rtp is not None:
            facts["remote"] = f"{remote.rtp[0]}:{remote.rtp[1]}"
        return {**facts, "sending": remote.sending, "receiving": remote.receiving}

    # SessionHandler.

    def on_progress(self, session: Session, response: Response) -> None:
        self._tell(lambda owner: owner.leg_progress(self, response))

    def on_accepted(self, session: Session, response: Response) -> None:
        if not self._tell(lambda owner: owner.leg_accepted(self, response)):
            session.hang_up()

    def on_rejected(self, session: Session, response: Response) -> None:
        self._tell(lambda owner: owner.leg_rejected(self, response.status, response.reason))

    def on_ack(self, session: Session, request: Request) -> None:
        self._tell(lambda owner: owner.leg_acknowledged(self, request))

    def on_cancelled(self, session: Session, request: Request) -> None:
        self._tell(lambda owner: owner.leg_cancelled(self))

    def on_reinvite(self, session: Session, request: Request) -> None:
        if not self._tell(lambda owner: owner.leg_offers(self, request)):
            session.reject_reinvite(481)

    def on_withdrawn(self) -> None:
        """The party has cancelled the re-INVITE that waits for an answer."""
        self._tell(lambda owner: owner.leg_withdraws(self))

    def on_reinvite_result(self, session: Session, response: Response) -> None:
        self._tell(lambda owner: owner.leg_offer_answered(self, response))

    def on_request(self, session: Session, transaction: ServerTransaction, request: Request) -> None:
        if not self._tell(lambda owner: owner.leg_requests(self, transaction, request)):
            transaction.respond(481)

    def on_bye(self, session: Session, request: Request) -> None:
        self._tell(lambda owner: owner.leg_hung_up(self))

    def on_failed(self, session: Session, cause: Failure) -> None:
        self._tell(lambda owner: owner.leg_failed(self, cause))

    def _tell(self, event: Callable[[LegOwner], None]) -> bool:
        """Tells the owner; False without one. A mistake of ours costs this call, is logged, and leaves nothing."""
        owner = self.owner
        if owner is None:
            return False
        try:
            event(owner)
        except Exception:
            log.exception("a call broke", leg=self.id)
            owner.leg_broke(self)
        return True


def _numeric(host: str, port: int) -> Address | None:
    """The address, or None for names (never looked up) and for the 0.0.0.0 of an old hold."""
    return (host, port) if sdp.is_address(host) and not sdp.is_unspecified(host) else None

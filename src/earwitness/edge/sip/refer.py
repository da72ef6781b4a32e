"""REFER: a party asks us to connect its call with somebody else (RFC 3515, 3891, 3892, 4488, 5589).

The owner of a session gets the request in ``on_request`` and gives it to ``receive_refer``, which refuses what is
malformed and else hands out a ``Transfer``:

    ASKED -accept-> OPEN (202, NOTIFY 100) -progress*-> OPEN -final-> OVER (NOTIFY with the outcome, terminated)
          -refuse-> OVER

NOTIFYs go one at a time: the next waits for the answer to the last, and of several that wait only the newest is sent.
A NOTIFY that is refused or not answered ends the subscription and not the call (RFC 5057 §5.1). A BYE, of either
side, ends the call and not the subscription (§4.2): the outcome is told all the same, progress is not. Methods that
come too late do nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from earwitness.edge.sip.events import Failure
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.replaces import Replaces, parse_replaces
from earwitness.edge.sip.responses import reason_for
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction_client import ClientTransaction
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.uri import SipUri, parse_name_addr

EXPIRES_S = 300
"""A transfer that has had no outcome after this long is reported as timed out."""
MAX_OPEN = 4
"""Transfers of one call under way at a time; more are answered 491."""
SIPFRAG = "message/sipfrag;version=2.0"


@dataclass(frozen=True, slots=True)
class Refer:
    """What a REFER asks for."""

    uri: SipUri
    """Whom to call; its ``headers`` have been read and are of no further use."""
    replaces: Replaces | None
    """The call, at that party's end, which the new one is to replace: an attended transfer."""
    referred_by: str
    """The Referred-By value as written, to be passed on; empty without one."""
    notify: bool
    """False: the referrer wants to hear no outcome (RFC 4488)."""

    @property
    def user(self) -> str:
        """The user part or telephone number, without escapes; may be empty."""
        return self.uri.username


def parse_refer(request: Request) -> Refer:
    """What ``request`` asks for.

    :raises SipParseError: with the status to answer: 400 malformed, not one Refer-To; 403 another method than INVITE;
        416 a URI that cannot be called; 420 a header in it would require an extension that we lack.
    """
    targets = request.elements("refer-to")
    if len(targets) != 1:
        raise SipParseError("one Refer-To is needed")
    uri = parse_name_addr(targets[0]).uri
    method = uri.params.get("method")
    if method is not None and method.upper() != "INVITE":
        raise SipParseError("only calls can be referred", 403)
    by = request.get_all("referred-by")
    if len(by) > 1:
        raise SipParseError("more than one Referred-By")
    if by:
        parse_name_addr(by[0])
    return Refer(
        uri,
        _replaces_in(uri.headers),
        by[0] if by else "",
        (request.get("refer-sub") or "true").partition(";")[0].strip().lower() != "false",
    )


def _replaces_in(headers: str) -> Replaces | None:
    """The Replaces among the headers of a URI; other headers there are a stranger's words and not repeated by us."""
    found: Replaces | None = None
    for field in headers.split("&") if headers else ():
        name, _, value = field.partition("=")
        key, text = unquote(name).strip().lower(), unquote(value)
        if key == "replaces":
            if found is not None:
                raise SipParseError("more than one Replaces")
            found = parse_replaces(text)
        elif key == "require" and text.strip().lower() not in ("", "replaces"):
            raise SipParseError("required extension is not supported", 420)
    return found


def receive_refer(session: Session, transaction: ServerTransaction, request: Request) -> Transfer | None:
    """A REFER that came in ``session``: to be accepted or refused; None when it has been answered already."""
    try:
        refer = parse_refer(request)
    except SipParseError as error:
        headers = [("Unsupported", "unknown")] if error.status == 420 else []
        transaction.respond(error.status, error.reason.capitalize() if error.status == 400 else None, headers)
        return None
    replaces = refer.replaces
    if replaces is not None and (replaces.call_id, replaces.to_tag) == (session.call_id, session.local_tag):
        transaction.respond(400, "A call cannot replace itself")
        return None
    if session.transfers_open >= MAX_OPEN:
        transaction.respond(491)
        return None
    return Transfer(session, transaction, refer)


class _State(enum.Enum):
    ASKED = enum.auto()
    OPEN = enum.auto()
    OVER = enum.auto()


class Transfer:
    """One REFER and the reports on it. See the module."""

    def __init__(self, session: Session, transaction: ServerTransaction, refer: Refer) -> None:
        self.refer = refer
        self._session = session
        self._transaction = transaction
        self._event = "refer"
        self._state = _State.ASKED
        self._wanted = refer.notify
        self._waits = False
        self._next: tuple[str, str] | None = None
        self._done: Callable[[], None] | None = None
        self._timer: Timer | None = None

    @property
    def open(self) -> bool:
        """Accepted, and without an outcome."""
        return self._state is _State.OPEN

    def refuse(self, status: int, reason: str | None = None) -> bool:
        """Answer with a 3xx..6xx."""
        if self._state is not _State.ASKED:
            return False
        self._state = _State.OVER
        return self._transaction.respond(status, reason)

    def accept(self) -> bool:
        """202, and a first NOTIFY (100 Trying). False: too late, the peer has hung up."""
        session = self._session
        if self._state is not _State.ASKED or not session.alive or session.dialog is None:
            self.refuse(481)
            return False
        self._state = _State.OPEN
        headers = [("Contact", session.dialog.contact)]
        if not self.refer.notify:
            headers.append(("Refer-Sub", "false"))
        self._transaction.respond(202, None, headers)
        session.transfers += 1
        session.transfers_open += 1
        if session.transfers > 1:
            # RFC 3515 §2.4.6: the first of a dialog needs no id, and old phones know none.
            self._event = f"refer;id={self._transaction.request.cseq[0]}"
        self._timer = session.core.after(EXPIRES_S, self._expired)
        self.progress(100)
        return True

    def progress(self, status: int, reason: str | None = None) -> bool:
        """Report a provisional status (100..199) of the new call."""
        if self._state is not _State.OPEN:
            return False
        self._report(status, reason, f"active;expires={EXPIRES_S}")
        return True

    def final(self, status: int, reason: str | None = None, done: Callable[[], None] | None = None) -> bool:
        """Report the outcome (200..699).

        ``done`` is called once, when the referrer has acknowledged it, cannot be reached, or has not answered in
        4*T1: the time to hang up on it. It is called at once when there is nothing to report.
        """
        if self._state is not _State.OPEN:
            if done is not None:
                done()
            return False
        self._over()
        self._done = done
        self._timer = self._session.core.after(4 * self._session.core.config.timers.t1, self._finished)
        self._report(status, reason, "terminated;reason=noresource")
        return True

    def _over(self) -> None:
        self._state = _State.OVER
        self._session.transfers_open -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        self._over()
        self._report(408, None, "terminated;reason=timeout")

    def _report(self, status: int, reason: str | None, state: str) -> None:
        words = reason_for(status) if reason is None else " ".join(reason.split())
        self._next = (state, f"SIP/2.0 {status} {words}\r\n")
        self._send_next()

    def _send_next(self) -> None:
        if self._waits:
            return
        report, self._next = self._next, None
        session = self._session
        over = self._state is _State.OVER
        if report is None or not self._wanted or not (session.alive or over):
            if over:
                self._finished()
            return
        self._waits = True
        headers = [("Event", self._event), ("Subscription-State", report[0])]
        body = report[1].encode("utf-8", "surrogateescape")
        session.exchange("NOTIFY", headers, body, SIPFRAG, self._on_response, self._on_failure, contact=True)

    def _on_response(self, _: ClientTransaction, response: Response) -> None:
        if response.status >= 200:
            self._answered(wanted=response.status < 300)

    def _on_failure(self, _: Failure) -> None:
        self._answered(wanted=False)

    def _answered(self, *, wanted: bool) -> None:
        self._wanted = self._wanted and wanted
        self._waits = False
        self._send_next()

    def _finished(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        done, self._done = self._done, None
        if done is not None:
            self._session.core.guard(done)

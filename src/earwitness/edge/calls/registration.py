"""Answers REGISTER: whose it is, what it asks for, and what the registrar says to that."""

from __future__ import annotations

from collections.abc import Callable

from earwitness.edge.calls.authentication import Authenticator, Ruling
from earwitness.edge.calls.directory import Directory
from earwitness.edge.sip.events import Flow
from earwitness.edge.sip.headers import SipParseError, parse_number
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.registrar import Contact, Registrar, Source
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.uri import parse_name_addr

MAX_CONTACTS = 20


def source_of(flow: Flow) -> Source:
    """Where a request came from, as a binding keeps it."""
    return Source(flow.transport, flow.remote[0], flow.remote[1], flow.connection or None)


class Registration:
    """Takes REGISTER requests."""

    def __init__(
        self,
        registrar: Registrar,
        authenticator: Authenticator,
        unix_time: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """:param on_change: told when the table has changed, so that it can be saved."""
        self._registrar = registrar
        self._authenticator = authenticator
        self._unix_time = unix_time
        self._on_change = on_change

    def register(self, transaction: ServerTransaction, request: Request, directory: Directory) -> None:
        """Answers the request."""
        identity = self._authenticator.identify(request, transaction.source.remote[0], directory)
        if identity.ruling is not Ruling.KNOWN:
            transaction.respond(identity.status, None, identity.headers)
            return
        station = identity.station
        try:
            named = request.to.uri.username
            contacts, star = _contacts(request)
            expires = _expires(request.get("expires"))
            sequence = request.cseq[0]
        except SipParseError as error:
            transaction.respond(400, error.reason)
            return
        if station is None or named != station.username:
            transaction.respond(403)
            return
        now = self._unix_time()
        outcome = self._registrar.register(
            station.id,
            contacts,
            star=star,
            expires=expires,
            call_id=request.call_id,
            cseq=sequence,
            source=source_of(transaction.source),
            now=now,
            user_agent=request.get("user-agent") or "",
            rport=request.top_via.wants_rport,
        )
        headers = [("Min-Expires", str(outcome.min_expires))] if outcome.min_expires is not None else []
        headers += [
            ("Contact", f"<{item.uri}>;expires={max(1, int(item.expires_at - now))}") for item in outcome.bindings
        ]
        transaction.respond(outcome.status, None, headers)
        if outcome.changed or (outcome.status == 200 and contacts):
            self._on_change()


def _contacts(request: Request) -> tuple[list[Contact], bool]:
    """The contacts, and whether there is a ``*``.

    :raises SipParseError: unreadable, or too many.
    """
    values = request.elements("contact")
    if len(values) > MAX_CONTACTS:
        raise SipParseError("Too many contacts")
    found: list[Contact] = []
    star = False
    for value in values:
        if value == "*":
            star = True
            continue
        contact = parse_name_addr(value)
        contact.uri  # noqa: B018 - raises
        instance = (contact.params.get("+sip.instance") or "").strip('"')
        found.append(
            Contact(contact.uri_text, _expires(contact.params.get("expires")), _q(contact.params.get("q")), instance)
        )
    return found, star


def _expires(text: str | None) -> int | None:
    """Seconds; what is no number counts as not given (RFC 3261 §20.19)."""
    try:
        return parse_number(text, 2**32 - 1) if text is not None else None
    except SipParseError:
        return None


def _q(text: str | None) -> float:
    try:
        value = float(text) if text is not None else 1.0
    except ValueError:
        return 1.0
    return value if 0.0 <= value <= 1.0 else 1.0

"""Dialogs: the state that both ends keep to reach each other within a call (RFC 3261 §12).

Where a request within the dialog goes: to the first Route, else to the remote target (the peer's Contact). Its
transport is the URI's, or the one the dialog began with. A name instead of an IP address is never resolved, because
it is a stranger's: such requests, and those of a peer behind NAT (``pinned``), take the flow on which the dialog
lives. A strict router (no ``lr``) gets RFC 2543 routing (§12.2.1.1).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from earwitness.edge.sip.events import EndpointConfig, Flow
from earwitness.edge.sip.headers import SipParseError, header_key
from earwitness.edge.sip.message import Message, Request, Response
from earwitness.edge.sip.uri import SipUri, format_host, parse_name_addr, parse_uri


def is_address(host: str) -> bool:
    """It is a literal IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_private(host: str) -> bool:
    """It is a literal address that only means something in its own network: RFC 1918, carriers' shared space
    (RFC 6598), link-local and the like.
    """
    if not is_address(host):
        return False
    address = ipaddress.ip_address(host)
    return not address.is_global and not address.is_loopback


def behind_nat(claimed: str, seen: str) -> bool:
    """A peer claims a private address, but its packets come from another one."""
    return claimed != seen and is_private(claimed) and is_address(seen) and ipaddress.ip_address(seen).is_global


def contact_for(flow: Flow, user: str) -> str:
    """Our Contact towards a peer; ``user`` may be empty."""
    host = f"{format_host(flow.local[0])}:{flow.local[1]}"
    transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
    return f"<sip:{user}@{host}{transport}>" if user else f"<sip:{host}{transport}>"


def listens_at_contact(request: Request, flow: Flow) -> bool:
    """The peer sends over UDP from another port than it listens on: it asks for no ``rport`` (RFC 3581), and its
    Contact names the host it sends from, with another port. Then no NAT is in between.
    """
    if flow.transport != "udp" or request.top_via.wants_rport or request.contact is None:
        return False
    try:
        uri = request.contact.uri
    except SipParseError:
        return False
    return uri.transport in ("", "udp") and uri.host == flow.remote[0] and (uri.port or 5060) != flow.remote[1]


class Dialog:
    """One dialog, early or confirmed."""

    __slots__ = (
        "_next",
        "call_id",
        "confirmed",
        "contact",
        "flow",
        "local",
        "local_seq",
        "pinned",
        "remote",
        "remote_seq",
        "remote_tag",
        "route_set",
        "target",
    )

    def __init__(self, call_id: str, local: str, remote: str, remote_tag: str, flow: Flow, contact: str) -> None:
        self.call_id = call_id
        self.local = local
        """Our From (To) value with its tag."""
        self.remote = remote
        """The peer's value with its tag, as the peer wrote it."""
        self.remote_tag = remote_tag
        self.flow = flow
        """The way on which the dialog was made."""
        self.contact = contact
        """Our Contact value."""
        self.target = ""
        """The peer's Contact URI."""
        self.route_set: list[str] = []
        self.local_seq = 0
        self.remote_seq = -1
        self.confirmed = False
        self.pinned = False
        self._next: Flow | None = None

    @classmethod
    def of_request(cls, request: Request, flow: Flow, local_tag: str, contact: str) -> Dialog:
        """The UAS side (§12.1.1): route set in order, target from Contact."""
        to = request.get("to") or ""
        local = to if request.to_tag else f"{to};tag={local_tag}"
        dialog = cls(request.call_id, local, request.get("from") or "", request.from_tag, flow, contact)
        dialog.remote_seq = request.cseq[0]
        dialog.route_set = request.elements("record-route")
        dialog.refresh_target(request)
        if not dialog.target:
            dialog.target = request.from_.uri_text
            dialog.pinned = True
        via_host = request.top_via.host
        dialog.pinned = dialog.pinned or (via_host != flow.remote[0] and is_private(via_host))
        return dialog

    @classmethod
    def of_response(cls, request: Request, response: Response, flow: Flow, contact: str) -> Dialog:
        """The UAC side (§12.1.2): route set reversed."""
        dialog = cls(
            response.call_id, request.get("from") or "", response.get("to") or "", response.to_tag, flow, contact
        )
        dialog.local_seq = request.cseq[0]
        dialog.target = request.uri
        dialog.update_from_response(response)
        return dialog

    def update_from_response(self, response: Response) -> None:
        """Route set and target from a 1xx or 2xx that makes or confirms the dialog (§13.2.2.4)."""
        if not self.confirmed:
            self.route_set = response.elements("record-route")[::-1]
        self.refresh_target(response)
        target_host = _host_of(self.target)
        self.pinned = self.pinned or behind_nat(target_host, self.flow.remote[0])
        self._next = None

    def refresh_target(self, message: Message) -> None:
        """The Contact of a target refresh request or its 2xx is where requests go from now on (§12.2)."""
        contact = message.contact
        if contact is None:
            return
        try:
            parse_uri(contact.uri_text)
        except SipParseError:
            return
        self.target = contact.uri_text
        self._next = None

    def request(
        self,
        method: str,
        branch: str,
        cseq: int,
        config: EndpointConfig,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
        *,
        contact: bool = False,
    ) -> tuple[Request, Flow]:
        """A request within the dialog and where to send it."""
        flow = self.next_flow(config)
        uri = self.target
        routes = self.route_set
        if routes and not _is_loose(routes[0]):
            routes = [*routes[1:], f"<{uri}>"]
            uri = parse_name_addr(self.route_set[0]).uri_text.partition("?")[0]
        host = format_host(flow.local[0])
        via = f"SIP/2.0/{flow.transport.upper()} {host}:{flow.local[1]};branch={branch};rport"
        fields = [("via", "Via", via), ("max-forwards", "Max-Forwards", "70")]
        fields += [("route", "Route", route) for route in routes]
        fields += [
            ("from", "From", self.local),
            ("to", "To", self.remote),
            ("call-id", "Call-ID", self.call_id),
            ("cseq", "CSeq", f"{cseq} {method}"),
        ]
        if contact:
            fields.append(("contact", "Contact", self.contact))
        fields += [(header_key(name), name, value) for name, value in headers]
        if body:
            fields.append(("content-type", "Content-Type", content_type or "application/sdp"))
        return Request(method, uri, fields, body), flow

    def moved(self) -> None:
        """``flow`` has changed: find the next hop anew."""
        self._next = None

    def next_flow(self, config: EndpointConfig) -> Flow:
        """The next hop of requests in this dialog."""
        if self._next is None or (self._next.connection and not config.connected(self._next.connection)):
            self._next = self._find_flow(config)
        return self._next

    def _find_flow(self, config: EndpointConfig) -> Flow:
        flow = self.flow
        try:
            uri = parse_name_addr(self.route_set[0]).uri if self.route_set else parse_uri(self.target)
        except SipParseError:
            return flow
        if (self.pinned and not self.route_set) or uri.scheme != "sip":
            return flow
        host = uri.params.get("maddr") or uri.host
        if not is_address(host):
            return flow
        transport = uri.transport or flow.transport
        if transport not in ("udp", "tcp"):
            return flow
        remote = (host, uri.port or 5060)
        if transport == "tcp" and flow.transport == "tcp" and flow.remote[0] == host:
            return flow if flow.connection and config.connected(flow.connection) else Flow("tcp", flow.local, remote)
        local = (
            flow.local
            if transport == flow.transport and host == flow.remote[0]
            else config.address_for(transport, remote)
        )
        return Flow(transport, local, remote)


def _is_loose(route: str) -> bool:
    try:
        uri: SipUri = parse_name_addr(route).uri
    except SipParseError:
        return True
    return uri.is_loose_router


def _host_of(uri: str) -> str:
    try:
        return parse_uri(uri).host
    except SipParseError:
        return ""

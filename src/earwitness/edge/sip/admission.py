"""Which well-formed requests are refused before anybody sees them (RFC 3261 §8.2.1 to §8.2.3, §16.3, RFC 7332)."""

from __future__ import annotations

from dataclasses import dataclass

from earwitness.edge.sip.events import EndpointConfig
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request

METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "INFO",
        "UPDATE",
        "PRACK",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    }
)
"""Methods that exist; others are answered 501."""

_WITH_SESSION_BODY = frozenset({"INVITE", "UPDATE", "PRACK"})
_ONLY_IN_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK", "NOTIFY"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer that a refused request gets."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


def refusal(request: Request, config: EndpointConfig, *, in_dialog: bool) -> Refusal | None:
    """Why this request (neither ACK nor CANCEL) is refused, or None."""
    method = request.method
    if method not in config.allow:
        allow = (("Allow", ", ".join(config.allow)),)
        return Refusal(405 if method in METHODS else 501, allow)
    if not in_dialog:
        if method in _ONLY_IN_DIALOG:
            return Refusal(481)
        if method == "REFER":
            return Refusal(403, reason="Only Within A Call")
        if method == "INVITE" and (request.get("max-forwards") or "70").strip("0 ") == "":
            return Refusal(483)
    unknown = [tag for tag in request.elements("require") if tag.lower() not in config.supported]
    if unknown:
        return Refusal(420, (("Unsupported", ", ".join(unknown)),))
    if method != "INVITE" and request.get("replaces") is not None:
        return Refusal(400, reason="Replaces Outside Of INVITE")
    return _body_refusal(request, config) or _contact_refusal(request)


def _body_refusal(request: Request, config: EndpointConfig) -> Refusal | None:
    if not request.body or "handling=optional" in (request.get("content-disposition") or "").replace(" ", "").lower():
        return None
    encoding = (request.get("content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if request.method in _WITH_SESSION_BODY and request.content_type not in config.accept:
        return Refusal(415, (("Accept", ", ".join(config.accept)),))
    return None


def _contact_refusal(request: Request) -> Refusal | None:
    """An INVITE's Contact will be dialled: it must be one that can be (its port, for one)."""
    if request.method != "INVITE" or request.get("contact") is None:
        return None
    contact = request.contact
    if contact is None:
        return Refusal(400, reason="Bad Contact")
    try:
        contact.uri  # noqa: B018 - raises
    except SipParseError as error:
        return Refusal(400, reason="Bad Contact") if error.status == 400 else None
    return None

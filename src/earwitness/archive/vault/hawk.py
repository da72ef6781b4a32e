"""Hawk (the HTTP authentication scheme of hueniverse, version 1.1): the MAC of a request, and its header. Pure.

Both sides know an id and a key. The client signs time, nonce, method, address and a hash of the body; see
``docs/keys.md`` for the very bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_FIELD = re.compile(r'([a-z]+)="([^"\\]*)"\s*(?:,\s*|$)')
KNOWN = ("id", "ts", "nonce", "hash", "mac", "ext", "app", "dlg")


class HawkError(ValueError):
    """No Hawk header, or not one that fits."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes."""

    method: str
    resource: str
    """Path and query."""
    host: str
    port: int


def address_of(method: str, url: str) -> Address:
    """The address of a request to an absolute URL.

    :raises HawkError: no absolute http or https URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise HawkError(str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HawkError(f"{url!r} is no http or https address")
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(method.upper(), resource, parts.hostname.lower(), port)


def payload_hash(content_type: str, body: bytes) -> str:
    """Hash of a body, base64."""
    kind = content_type.partition(";")[0].strip().lower()
    return base64.b64encode(hashlib.sha256(f"hawk.1.payload\n{kind}\n".encode() + body + b"\n").digest()).decode()


def mac(key: str, address: Address, *, ts: int, nonce: str, payload: str) -> str:
    """The MAC of a request, base64."""
    signed = ("hawk.1.header", str(ts), nonce, address.method, address.resource, address.host, str(address.port))
    text = "\n".join((*signed, payload, "", ""))
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def header(api_id: str, key: str, address: Address, *, ts: int, nonce: str, payload: str) -> str:
    """``Authorization`` of a request."""
    if '"' in api_id or "\\" in api_id:
        raise HawkError("an api id may hold neither quotes nor backslashes")
    made = mac(key, address, ts=ts, nonce=nonce, payload=payload)
    return f'Hawk id="{api_id}", ts="{ts}", nonce="{nonce}", hash="{payload}", mac="{made}"'


def parse(text: str) -> dict[str, str]:
    """The fields of a header.

    :raises HawkError: it is none.
    """
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != "hawk" or len(text) > 4096:
        raise HawkError("no Hawk header")
    fields: dict[str, str] = {}
    position, rest = 0, rest.strip()
    while position < len(rest):
        match = _FIELD.match(rest, position)
        if match is None or match[1] not in KNOWN or match[1] in fields:
            raise HawkError("a Hawk header that cannot be read")
        fields[match[1]] = match[2]
        position = match.end()
    return fields


def verify(text: str, key: str, address: Address, *, payload: str, now_s: float, skew_s: float = 60.0) -> str:
    """Checks a header, as a server does; gives the nonce, which the server must not accept twice.

    :raises HawkError: missing fields, another body, a clock that is off, a wrong key.
    """
    fields = parse(text)
    ts, nonce = fields.get("ts", ""), fields.get("nonce", "")
    if not (ts.isascii() and ts.isdecimal() and len(ts) <= 12 and nonce):
        raise HawkError("a Hawk header without time or nonce")
    if not hmac.compare_digest(fields.get("hash", "").encode(), payload.encode()):
        raise HawkError("the body is not the one that was signed")
    right = mac(key, address, ts=int(ts), nonce=nonce, payload=payload)
    if not hmac.compare_digest(fields.get("mac", "").encode(), right.encode()):
        raise HawkError("the MAC does not fit")
    if abs(now_s - int(ts)) > skew_s:
        raise HawkError("the time of the request is too far from ours")
    return nonce

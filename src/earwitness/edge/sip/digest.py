"""Digest authentication (RFC 7616, RFC 8760 for SIP), as server and as client. Pure: time and randomness are arguments.

Server side nothing is remembered about a challenge: a nonce carries its time of issue and a MAC, so a flood of
unauthenticated requests costs no memory. Only nonces that have authenticated somebody are remembered, with the highest
nonce-count seen, until they expire; a repeated or older count is answered with ``stale=true``. When that table is full
its oldest entry goes and every nonce of that age or older is stale from then on, so nothing can be replayed either.

A nonce is good only for requests from the address that it was given to, so that nobody can produce failures in
another's name.

The digest's ``uri`` names the number that the credentials were made for. Who calls a phone from outside may challenge
its next re-INVITE with our nonce and use the answer for an INVITE of his own; so for INVITE the user part must be that
of the Request-URI. Proxies rewrite hosts, not numbers, so the host is not compared.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.uri import parse_uri

ALGORITHMS = ("SHA-256", "MD5")
"""What we know, best first."""

_HASHES: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_.*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
MAX_HEADER = 4096


class DigestError(ValueError):
    """A header that is no digest challenge or answer."""


class Verdict(enum.Enum):
    """What a request's credentials are worth."""

    GOOD = "good"
    MISSING = "missing"
    """None for our realm, or unusable ones: challenge."""
    STALE = "stale"
    """Old or used nonce: challenge with ``stale=true``; the password may well be right."""
    WRONG = "wrong"
    MISUSED = "misused"
    """The password is right, but they were made for another request: refuse."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One ``WWW-Authenticate`` or ``Proxy-Authenticate`` header."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of ``DigestServer.verify``."""

    verdict: Verdict
    username: str = ""
    """As claimed; proven only with ``GOOD``."""
    uri: str = ""
    """What the credentials were made for, as claimed."""


def parse_parameters(value: str) -> dict[str, str]:
    """The parameters of ``Digest k=v, k="v"`` (names in lower case, quotes taken off).

    :raises DigestError: another scheme, too long, or not such a list.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest" or len(value) > MAX_HEADER:
        raise DigestError("not a digest header")
    found: dict[str, str] = {}
    position = 0
    rest = rest.strip()
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise DigestError("not a list of parameters")
        quoted = match[2]
        found[match[1].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
        position = match.end()
    return found


def parse_challenge(value: str) -> Challenge:
    """Reads one challenge.

    :raises DigestError: no realm, no nonce, or not digest at all.
    """
    parameters = parse_parameters(value)
    if "realm" not in parameters or "nonce" not in parameters:
        raise DigestError("a challenge without realm or nonce")
    return Challenge(
        parameters["realm"],
        parameters["nonce"],
        parameters.get("algorithm", "MD5").upper(),
        tuple(item.strip().lower() for item in parameters.get("qop", "").split(",") if item.strip()),
        parameters.get("opaque"),
        parameters.get("stale", "").lower() == "true",
    )


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """H(username:realm:password), what a server keeps instead of a password.

    :raises KeyError: an unknown algorithm.
    """
    return _HASHES[algorithm](_bytes(f"{username}:{realm}:{password}"))


def response(
    secret: str, algorithm: str, method: str, uri: str, nonce: str, *, nc: str = "", cnonce: str = "", qop: str = ""
) -> str:
    """The response value (RFC 7616 §3.4.1) for an HA1; without ``qop`` the older RFC 2069 form."""
    digest = _HASHES[algorithm]
    ha2 = digest(_bytes(f"{method}:{uri}"))
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return digest(_bytes(f"{secret}:{middle}:{ha2}"))


def authorize(
    challenges: Sequence[str],
    username: str,
    password: str,
    *,
    method: str,
    uri: str,
    cnonce: str,
    realm: str = "",
    nonce_count: int = 1,
) -> str | None:
    """Answers the best of several challenges.

    :param challenges: values of the challenge headers of one 401 or 407.
    :param cnonce: fresh random text without quotes.
    :param realm: answer only this realm; empty: any.
    :returns: the value of ``Authorization`` / ``Proxy-Authorization``, or None where none of them can be answered.
    """
    usable: list[Challenge] = []
    for value in challenges:
        try:
            challenge = parse_challenge(value)
        except DigestError:
            continue
        fits = challenge.algorithm in ALGORITHMS and (not challenge.qop or "auth" in challenge.qop)
        if fits and (not realm or realm == challenge.realm):
            usable.append(challenge)
    if not usable:
        return None
    best = min(usable, key=lambda item: ALGORITHMS.index(item.algorithm))
    qop = "auth" if best.qop else ""
    nc = f"{nonce_count:08x}"
    secret = ha1(username, best.realm, password, best.algorithm)
    value = response(secret, best.algorithm, method, uri, best.nonce, nc=nc, cnonce=cnonce, qop=qop)
    parts = [
        f"username={_quote(username)}",
        f"realm={_quote(best.realm)}",
        f"nonce={_quote(best.nonce)}",
        f"uri={_quote(uri)}",
        f'response="{value}"',
        f"algorithm={best.algorithm}",
    ]
    if qop:
        parts += [f'cnonce="{cnonce}"', "qop=auth", f"nc={nc}"]
    if best.opaque is not None:
        parts.append(f"opaque={_quote(best.opaque)}")
    return "Digest " + ", ".join(parts)


class DigestServer:
    """Challenges and their verification for one realm."""

    def __init__(self, realm: str, secret: bytes, *, lifetime: float = 300.0, max_nonces: int = 20000) -> None:
        """:param secret: key of the nonces' MAC; random, at least 16 bytes.
        :param lifetime: seconds that a nonce may be used.
        :param max_nonces: how many used nonces are remembered.
        """
        self.realm = realm
        self._secret = secret
        self._lifetime = lifetime
        self._max = max_nonces
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._floor = float("-inf")

    def challenges(
        self,
        now: float,
        entropy: bytes,
        *,
        source: str = "",
        stale: bool = False,
        algorithms: Sequence[str] = ALGORITHMS,
    ) -> list[str]:
        """Header values to challenge with, one per algorithm, best first.

        :param entropy: 8 random bytes.
        :param source: the address that is challenged; the nonce is good for it alone.
        """
        nonce = self._nonce(now, entropy, source)
        end = ", stale=true" if stale else ""
        return [
            f'Digest realm={_quote(self.realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{end}'
            for algorithm in algorithms
        ]

    def verify(
        self,
        headers: Sequence[str],
        method: str,
        find_ha1: Callable[[str, str], str | None],
        now: float,
        *,
        source: str = "",
        request_uri: str | None = None,
    ) -> Answer:
        """Weighs a request's credentials.

        An unknown user costs the same work as a wrong password.

        :param headers: values of its ``Authorization`` (or ``Proxy-Authorization``) headers.
        :param find_ha1: (username, algorithm) -> HA1 in lower-case hex, or None.
        :param source: the address that the request came from.
        :param request_uri: whose user part the credentials must have been made for; None: any.
        """
        for value in headers:
            try:
                parameters = parse_parameters(value)
            except DigestError:
                continue
            if parameters.get("realm") == self.realm:
                return self._verify(parameters, method, find_ha1, now, source, request_uri)
        return Answer(Verdict.MISSING)

    @property
    def remembered(self) -> int:
        """Used nonces in the table."""
        return len(self._counts)

    def _verify(
        self,
        given: dict[str, str],
        method: str,
        find_ha1: Callable[[str, str], str | None],
        now: float,
        source: str,
        request_uri: str | None,
    ) -> Answer:
        username = given.get("username", "")
        algorithm = given.get("algorithm", "MD5").upper()
        nonce, uri = given.get("nonce", ""), given.get("uri", "")
        qop = given.get("qop", "").lower()
        nc, cnonce = given.get("nc", ""), given.get("cnonce", "")
        if algorithm not in ALGORITHMS or qop not in ("", "auth") or not username or not nonce or not uri:
            return Answer(Verdict.MISSING, username)
        if qop and (not re.fullmatch(r"[0-9a-fA-F]{1,8}", nc) or not cnonce):
            return Answer(Verdict.MISSING, username)
        issued = self._issued(nonce, source)
        if issued is None:
            return Answer(Verdict.STALE, username)
        known = find_ha1(username, algorithm)
        expected = response(known or "0" * 32, algorithm, method, uri, nonce, nc=nc, cnonce=cnonce, qop=qop)
        same = hmac.compare_digest(expected.encode(), given.get("response", "").lower().encode("utf-8", "replace"))
        if not (same and known):
            return Answer(Verdict.WRONG, username, uri)
        if request_uri is not None and _number(uri) != _number(request_uri):
            return Answer(Verdict.MISUSED, username, uri)
        if not 0 <= now - issued <= self._lifetime:
            return Answer(Verdict.STALE, username)
        return Answer(self._count(nonce, issued, int(nc, 16) if qop else 1, now), username, uri)

    def _count(self, nonce: str, issued: float, count: int, now: float) -> Verdict:
        seen = self._counts.get(nonce)
        if seen is None and issued <= self._floor:
            return Verdict.STALE
        if seen is not None and count <= seen[1]:
            return Verdict.STALE
        self._counts[nonce] = (issued, count)
        while self._counts:
            first = next(iter(self._counts))
            age = self._counts[first][0]
            if len(self._counts) > self._max:
                self._floor = max(self._floor, age)
            elif now - age <= self._lifetime:
                break
            del self._counts[first]
        return Verdict.GOOD

    def _nonce(self, now: float, entropy: bytes, source: str) -> str:
        body = struct.pack(">d", now) + entropy[:8].ljust(8, b"\0")
        return base64.b64encode(body + self._mac(body, source)).decode()

    def _issued(self, nonce: str, source: str) -> float | None:
        """When we issued it to this source, or None: we did not."""
        try:
            raw = base64.b64decode(nonce, validate=True)
        except ValueError:
            return None
        if len(raw) != 32 or not hmac.compare_digest(raw[16:], self._mac(raw[:16], source)):
            return None
        issued: float = struct.unpack(">d", raw[:8])[0]
        return issued

    def _mac(self, body: bytes, source: str) -> bytes:
        return hmac.new(self._secret, body + source.encode("utf-8", "replace"), hashlib.sha256).digest()[:16]


def _number(uri: str) -> str | None:
    """The user part without escapes, password and parameters; None: no URI."""
    try:
        return parse_uri(uri).username.partition(";")[0]
    except SipParseError:
        return None


def _bytes(text: str) -> bytes:
    """The bytes that the peer sent: header text carries what is no UTF-8 as surrogates (``message``)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

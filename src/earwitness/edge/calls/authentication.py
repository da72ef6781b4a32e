"""Who sent this request? Digest for stations and for trunks that are known by name, with guessing slowed down.

An unknown or disabled name gets the same answers in the same time as a wrong password.
"""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from earwitness.domain.configuration import Station, Trunk
from earwitness.edge.calls.directory import Directory
from earwitness.edge.sip import digest
from earwitness.edge.sip.digest import DigestServer, Verdict
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.throttle import GuessThrottle

log = structlog.get_logger()

_MD5_ONLY = re.compile(r"baresip v[0-2]\.", re.IGNORECASE)
"""User agents that refuse a request altogether when they are offered SHA-256 beside MD5."""


_OFFERED = ("MD5", "SHA-256")
"""In this order, against RFC 8760 §2.4: much equipment in use looks at the first challenge only, and knows only MD5.
Who knows better picks the better."""


class Ruling(enum.Enum):
    KNOWN = "known"
    CHALLENGE = "challenge"
    WRONG = "wrong"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Identity:
    """Outcome of ``Authenticator.identify``."""

    ruling: Ruling
    station: Station | None = None
    trunk: Trunk | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """For the answer: challenges, or Retry-After."""

    @property
    def status(self) -> int:
        """To refuse the request with."""
        return {Ruling.CHALLENGE: 401, Ruling.WRONG: 403, Ruling.WAIT: 503}.get(self.ruling, 500)


class Authenticator:
    """The digest server of the edge. Times are seconds on ``clock``, which does not step."""

    def __init__(self, realm: str, rng: random.Random, clock: Callable[[], float]) -> None:
        self._server = DigestServer(realm, rng.randbytes(32))
        self._throttle = GuessThrottle()
        self._rng = rng
        self._clock = clock

    def use_realm(self, realm: str) -> None:
        """Challenges name this realm from now on."""
        self._server.realm = realm

    def claimed(self, request: Request) -> str:
        """The user name that the request claims by credentials for our realm, or empty."""
        for value in request.get_all("authorization"):
            try:
                given = digest.parse_parameters(value)
            except digest.DigestError:
                continue
            if given.get("realm") == self._server.realm:
                return given.get("username", "")
        return ""

    def identify(self, request: Request, source: str, directory: Directory) -> Identity:
        """Weighs the credentials of a request that came from the address ``source``."""
        now = self._clock()
        username = self.claimed(request)
        wait = self._throttle.wait(source, username, now) if username else 0.0
        if wait > 0:
            return Identity(Ruling.WAIT, headers=(("Retry-After", str(int(wait) + 1)),))

        def find(name: str, algorithm: str) -> str | None:
            return _ha1(directory, self._server.realm, name, algorithm)

        answer = self._server.verify(
            request.get_all("authorization"),
            request.method,
            find,
            now,
            source=source,
            request_uri=request.uri if request.method == "INVITE" else None,
        )
        if answer.verdict in (Verdict.MISSING, Verdict.STALE):
            only = ("MD5",) if _MD5_ONLY.match(request.get("user-agent") or "") else _OFFERED
            values = self._server.challenges(
                now, self._rng.randbytes(8), source=source, stale=answer.verdict is Verdict.STALE, algorithms=only
            )
            return Identity(Ruling.CHALLENGE, headers=tuple(("WWW-Authenticate", value) for value in values))
        station = directory.station_named(answer.username)
        trunk = directory.trunks.by_digest_user(answer.username) if station is None else None
        if answer.verdict is Verdict.WRONG or (station is None and trunk is None):
            self._throttle.failed(source, username, now)
            return Identity(Ruling.WRONG)
        if answer.verdict is Verdict.MISUSED:
            log.warning("credentials were made for another request", user=username, uri=answer.uri, source=source)
            return Identity(Ruling.WRONG)
        self._throttle.succeeded(source, username)
        return Identity(Ruling.KNOWN, station, trunk)


def _ha1(directory: Directory, realm: str, username: str, algorithm: str) -> str | None:
    station = directory.station_named(username)
    if station is not None:
        return (station.ha1_sha256 if algorithm == "SHA-256" else station.ha1_md5).lower() or None
    trunk = directory.trunks.by_digest_user(username)
    if trunk is None or trunk.credentials is None:
        return None
    return digest.ha1(username, realm, trunk.credentials.password, algorithm)

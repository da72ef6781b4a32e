"""Tokens: getting one (RFC 6749 §4.3, §4.4), looking at it, giving it back."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import Form, Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store import audit, oauth, users
from earwitness.store.tables import OauthClient
from earwitness.web.api.recording_audit import note_stranger
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.operations import PUBLIC, SIGNED_IN, Family
from earwitness.web.kernel.passwords import new_token, verify_password
from earwitness.web.kernel.services import Parts, Services, remote_address
from earwitness.web.kernel.throttle import caller_key

family = Family("Tokens")

USER_TOKEN_S = 8 * 3600
"""How long a user stays signed in, seconds."""
SECOND = 1_000_000


class TokenReply(Document):
    """A token that was just made."""

    access_token: str = Field(alias="access_token")
    token_type: str = Field(alias="token_type")
    expires_in: int = Field(alias="expires_in")


class NamedEntity(Document):
    """An id and a name."""

    id: str
    name: str | None = None


class TokenClient(Document):
    """The program that a token belongs to."""

    id: str
    name: str
    date_created: Moment
    date_modified: Moment
    authorized_grant_type: str
    scope: list[str]
    state: str
    organization: NamedEntity


class TokenInfo(Document):
    """What a token stands for."""

    organization: NamedEntity
    home_organization: NamedEntity
    authorized_scope: list[str]
    date_token_idles: Moment
    client: TokenClient | None = Field(default=None, alias="OAuthClient")


@family.operation("POST", "/oauth/token", "get_client_credentials_token", PUBLIC, returns=TokenReply)
def make_token(
    request: Request,
    parts: Parts,
    grant_type: Annotated[str, Form(description="client_credentials or password")] = "",
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> TokenReply:
    """Gives a token for credentials.

    Programs: ``client_credentials``, with HTTP Basic or ``client_id`` and ``client_secret`` in the form. Users:
    ``password``, with ``username`` (the email) and ``password``. Guessing is slowed down (429, ``Retry-After``).
    """
    basic = _basic(request)
    if basic is not None:
        client_id, client_secret = basic
    if grant_type == "client_credentials":
        return _client_token(request, parts, client_id, client_secret)
    if grant_type == "password":
        return _user_token(request, parts, client_id, client_secret, username, password)
    raise ApiError(
        400,
        "grant_type must be client_credentials or password.",
        "bad.request",
        oauth_error="unsupported_grant_type" if grant_type else "invalid_request",
    )


def _client_token(request: Request, parts: Services, client_id: str, client_secret: str) -> TokenReply:
    with _guarded(parts, f"client:{client_id}", request) as attempt:
        with parts.database.reading() as session:  # the secret is weighed before the write lock is taken
            client = _verified_client(session, client_id, client_secret)
            if client is None:
                return attempt.refuse()
            grant_type, validity_s, scope = (
                client.authorized_grant_type,
                client.access_token_validity_s,
                list(client.scope),
            )
        attempt.succeeded()
        if grant_type != "CLIENT-CREDENTIALS":
            raise ApiError(400, f"The client is made for the grant {grant_type}.", oauth_error="unauthorized_client")
        with parts.database.transaction() as session:
            return _issue(session, parts, Subject("client", client_id), validity_s, client_id, scope)


def _user_token(
    request: Request, parts: Services, client_id: str, client_secret: str, username: str, password: str
) -> TokenReply:
    with _guarded(parts, f"user:{username.strip().lower()}", request) as attempt:
        with parts.database.reading() as session:
            user = users.by_email(session, username) if username else None
            right = verify_password(user.password_hash if user is not None else None, password)
            known = not client_id or _verified_client(session, client_id, client_secret) is not None
            subject = Subject("user", user.id) if user is not None and right and user.state == "active" else None
        if subject is None or not known:
            return attempt.refuse()
        attempt.succeeded()
        with parts.database.transaction() as session:
            audit.add(
                session,
                at=parts.clock.now_us(),
                subject=subject,
                action="signIn",
                entity_type="user",
                entity_id=subject.id,
                remote_address=remote_address(request),
            )
            return _issue(session, parts, subject, USER_TOKEN_S, client_id or None, [])


def _issue(
    session: Session, parts: Services, subject: Subject, validity_s: int, client_id: str | None, scope: list[str]
) -> TokenReply:
    token, now = new_token(), parts.clock.now_us()
    oauth.remove_expired(session, now)
    oauth.add_token(
        session,
        token,
        subject,
        at=now,
        expires_at=now + validity_s * SECOND,
        client_id=client_id,
        scope=scope,
    )
    parts.known_tokens.add(caller_key(f"Bearer {token}"))
    return TokenReply(access_token=token, token_type="bearer", expires_in=validity_s)  # noqa: S106


class _guarded:  # noqa: N801 (reads as a word at its uses)
    """One attempt to sign in, slowed down where there were too many wrong ones."""

    def __init__(self, parts: Services, name: str, request: Request) -> None:
        self._parts, self._name, self._address = parts, name[:200], remote_address(request)

    def __enter__(self) -> _guarded:
        wait = self._parts.guesses.wait_s(self._name, self._address, self._parts.clock.monotonic())
        if wait > 0:
            seconds = int(wait + 0.999)
            raise ApiError(
                429,
                f"Too many failed attempts. Retry the request in {seconds} seconds.",
                headers={"Retry-After": str(seconds)},
                oauth_error="slow_down",
            )
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def succeeded(self) -> None:
        """The secret was right."""
        self._parts.guesses.succeeded(self._name, self._address)

    def refuse(self) -> TokenReply:
        """:raises ApiError: 401, always; the guess is counted."""
        self._parts.guesses.failed(self._name, self._address, self._parts.clock.monotonic())
        kind, _, name = self._name.partition(":")
        note_stranger(self._parts, self._address, "signIn", kind, detail={"name": name})
        raise ApiError(
            401,
            "Invalid credentials.",
            "bad.credentials",
            headers={"WWW-Authenticate": 'Basic realm="earwitness"'},
            oauth_error="invalid_client" if self._name.startswith("client:") else "invalid_grant",
        )


def _verified_client(session: Session, client_id: str, client_secret: str) -> OauthClient | None:
    client = oauth.client(session, client_id) if client_id else None
    right = verify_password(client.secret_hash if client is not None else None, client_secret)
    return client if client is not None and right and client.state == "active" else None


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, found, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        found = ""
    if not found:
        raise ApiError(400, "The Authorization header is no HTTP Basic.", oauth_error="invalid_request")
    return unquote_plus(name), unquote_plus(secret)


@family.operation("GET", "/api/v2/tokens/me", "get_tokens_me", SIGNED_IN, returns=TokenInfo)
def token_info(
    caller: Signed, parts: Parts, preserve_idle_ttl: Annotated[bool, Query(alias="preserveIdleTTL")] = False
) -> TokenInfo:
    """What the token of this request stands for."""
    with parts.database.reading() as session:
        organization = users.organization(session)
        client = oauth.client(session, caller.client_id) if caller.client_id else None
        assert organization is not None
        named = NamedEntity(id=organization.id, name=organization.name)
        described = None
        if client is not None:
            described = TokenClient(
                id=client.id,
                name=client.name,
                date_created=client.created_at,
                date_modified=client.modified_at,
                authorized_grant_type=client.authorized_grant_type,
                scope=client.scope,
                state=client.state,
                organization=named,
            )
    return TokenInfo(
        organization=named,
        home_organization=named,
        authorized_scope=list(caller.scope),
        date_token_idles=caller.expires_at,
        OAuthClient=described,
    )


@family.operation("HEAD", "/api/v2/tokens/me", "head_tokens_me", SIGNED_IN)
def token_check(caller: Signed) -> Response:
    """Whether the token of this request is valid."""
    return Response(status_code=200, media_type="application/json")


@family.operation("DELETE", "/api/v2/tokens/me", "delete_tokens_me", SIGNED_IN, status=204)
def end_token(caller: Signed, parts: Parts, request: Request) -> None:
    """Ends the token of this request."""
    with parts.database.transaction() as session:
        oauth.end_token(session, request.headers.get("authorization", "").partition(" ")[2].strip())

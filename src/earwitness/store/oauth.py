"""Programs that call the API, and bearer tokens."""

from __future__ import annotations

import hashlib

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import AccessToken, OauthClient, User


def token_sha256(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def client(session: Session, client_id: str) -> OauthClient | None:
    """The client of that id."""
    return session.get(OauthClient, client_id)


def clients(session: Session, *, number: int = 1, size: int = 25) -> Page[OauthClient]:
    """A page of clients, by name."""
    return page_of(session, select(OauthClient).order_by(OauthClient.name, OauthClient.id), number, size)


def delete_client(session: Session, client_id: str) -> bool:
    """Removes a client and ends every token that it holds or that was given through it."""
    row = session.get(OauthClient, client_id)
    if row is None:
        return False
    session.execute(
        delete(AccessToken).where((AccessToken.subject_id == client_id) | (AccessToken.client_id == client_id))
    )
    session.delete(row)
    session.flush()
    return True


def add_token(
    session: Session,
    token: str,
    subject: Subject,
    *,
    at: int,
    expires_at: int,
    client_id: str | None = None,
    scope: list[str] | None = None,
) -> AccessToken:
    """Notes a token that was just given out; times in UTC microseconds."""
    row = AccessToken(
        sha256=token_sha256(token),
        subject_type=subject.type,
        subject_id=subject.id,
        client_id=client_id,
        scope=scope or [],
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    return row


def token(session: Session, presented: str, now: int) -> AccessToken | None:
    """The row of a token that is valid: known, not expired, its user or client active."""
    row = session.get(AccessToken, token_sha256(presented))
    if row is None or row.expires_at <= now:
        return None
    owner: User | OauthClient | None = (
        session.get(User, row.subject_id) if row.subject_type == "user" else session.get(OauthClient, row.subject_id)
    )
    if owner is None or owner.state != "active":
        return None
    if row.client_id is not None and row.client_id != row.subject_id:
        through = session.get(OauthClient, row.client_id)
        if through is None or through.state != "active":
            return None
    return row


def end_token(session: Session, presented: str) -> bool:
    """Ends one token; whether there was one."""
    return bool(
        session.scalars(
            delete(AccessToken).where(AccessToken.sha256 == token_sha256(presented)).returning(AccessToken.sha256)
        ).all()
    )


def end_tokens_of(session: Session, subject_id: str) -> int:
    """Ends every token of a subject (password changed, user deactivated); how many."""
    statement = delete(AccessToken).where(AccessToken.subject_id == subject_id).returning(AccessToken.sha256)
    return len(session.scalars(statement).all())


def remove_expired(session: Session, now: int) -> int:
    """Removes tokens whose time is over; how many."""
    return len(
        session.scalars(delete(AccessToken).where(AccessToken.expires_at <= now).returning(AccessToken.sha256)).all()
    )

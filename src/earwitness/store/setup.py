"""What a new installation begins with: organisation, home division, roles, a site, an administrator, a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earwitness.domain.ids import new_id
from earwitness.store import access, users
from earwitness.store.database import Database
from earwitness.store.tables import Division, Grant, OauthClient, Organization, Site, User


class AlreadySetUpError(ValueError):
    """The database has an organisation already."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Ids of what was made."""

    organization_id: str
    division_id: str
    site_id: str
    user_id: str
    client_id: str


def create_organization(
    database: Database,
    *,
    name: str,
    email: str,
    password: str,
    secret: str,
    hash_secret: Callable[[str], str],
    at: int,
) -> Identities:
    """Makes it all in one transaction.

    :param email: sign-in name of the administrator; ``password`` is theirs, ``secret`` the OAuth client's.
    :param hash_secret: what is kept of both.
    :param at: now, UTC microseconds.
    :raises AlreadySetUpError: there is an organisation.
    """
    made = Identities(*(new_id() for _ in range(5)))
    with database.transaction() as session:
        if users.organization(session) is not None:
            raise AlreadySetUpError("this database has an organisation already")
        times = {"created_at": at, "modified_at": at}
        session.add(Organization(id=made.organization_id, name=name, created_at=at))
        session.add(Division(id=made.division_id, name="Home", home=True, **times))
        session.flush()
        session.add(Site(id=made.site_id, name="Main site", division_id=made.division_id, **times))
        session.add(
            User(
                id=made.user_id,
                name="Administrator",
                email=email.strip().lower(),
                password_hash=hash_secret(password),
                division_id=made.division_id,
                **times,
            )
        )
        client = OauthClient(
            id=made.client_id,
            name="Administration",
            secret_hash=hash_secret(secret),
            description="Made at set-up",
            **times,
        )
        session.add(client)
        access.add_default_roles(session, at, new_id)
        administrator = access.default_role(session, "administrator")
        if administrator is None:
            raise LookupError("no administrator role")
        for subject_type, subject_id in (("user", made.user_id), ("client", made.client_id)):
            grant = Grant(
                id=new_id(),
                subject_type=subject_type,
                subject_id=subject_id,
                role_id=administrator.id,
                division_id="*",
                granted_at=at,
            )
            access.grant(session, grant)
    return made

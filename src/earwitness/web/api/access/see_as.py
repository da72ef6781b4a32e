"""Seeing what another user sees, to help them or to check their rights, without becoming them.

What it is not: it plays nothing that the administrator could not play anyway, it changes nothing, it does not open the
other user's inbox (E2), it lasts a quarter of an hour, and it does not go beyond what the administrator could have
given. It needs a reason; the reason, and every request that is made by it, is in the audit log under the
administrator's own name.
"""

from __future__ import annotations

from earwitness.domain.access import Subject
from earwitness.store import access as access_store
from earwitness.store import audit, oauth, users
from earwitness.web.api import roles
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import SEE_AS, Signed
from earwitness.web.kernel.documents import Document, Moment, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.passwords import new_token
from earwitness.web.kernel.services import Parts

family = Family("See as")

PATH = "/api/v2/earwitness/see-as"
LIFE_S = 15 * 60


class SeeAsInput(RequestBody):
    """Whose view, and why."""

    user_id: str | None = None
    reason: str | None = None


class SeeAsToken(Document):
    """A token that sees what the user sees, and does nothing."""

    access_token: str
    user: Reference
    expires: Moment


@family.operation(
    "POST", PATH, "post_earwitness_see_as", all_of(SEE_AS), returns=SeeAsToken, audited="user", each_time=True
)
def see_as(caller: Signed, parts: Parts, body: SeeAsInput) -> SeeAsToken:
    """Gives a token with which to read, for 15 minutes, what a user can read. Its use is audited; it changes nothing.

    Addresses of audio that it is given are the caller's: they play what the caller may hear. The user's inbox stays
    closed. The caller must hold everything that the user's roles hold, where the user holds it.
    """
    reason = changes.required_text(body.reason, "reason", 1000)
    if caller.user_id is None:
        raise bad_request("Programs see for themselves; this is for a person who answers for it.")
    token, now = new_token(), parts.clock.now_us()
    expires = now + LIFE_S * 1_000_000
    with parts.database.transaction() as session:
        user = users.get(session, body.user_id or "")
        if user is None or user.state != "active":
            raise not_found("user", body.user_id or "")
        for grant, role in access_store.grants(session, user.id):
            roles.check_may_give(caller, role.permissions, role.permission_policies, grant.division_id)
        row = oauth.add_token(session, token, Subject("user", user.id), at=now, expires_at=expires)
        row.seen_by = caller.user_id
        audit.add(
            session,
            at=now,
            subject=caller.subject,
            action="seeAs",
            entity_type="user",
            entity_id=user.id,
            remote_address=caller.remote_address,
            detail={"reason": reason},
        )
    return SeeAsToken(
        access_token=token,
        user=Reference(id=user.id, name=user.name, self_uri=f"/api/v2/users/{user.id}"),
        expires=expires,
    )

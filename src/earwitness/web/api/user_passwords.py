"""Passwords of users: one's own, and somebody else's."""

from __future__ import annotations

from earwitness.store import oauth, oauth_queries, users
from earwitness.web.api import users as users_api
from earwitness.web.api.password_rules import acceptable
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.passwords import hash_password, verify_password
from earwitness.web.kernel.services import Parts

family = Family("Passwords")


class MyPassword(RequestBody):
    """A new password of one's own."""

    old_password: str
    new_password: str


class NewPassword(RequestBody):
    """A new password of somebody else."""

    new_password: str


@family.operation("POST", "/api/v2/users/me/password", "post_users_me_password", SIGNED_IN, status=204)
def change_my_password(caller: Signed, parts: Parts, body: MyPassword) -> None:
    """Replaces one's own password. Every other token of the user ends; this one stays."""
    if caller.user_id is None:
        raise bad_request("Programs have no password; see /oauth/clients/{clientId}/secret.")
    name, now = f"password:{caller.user_id}", parts.clock.monotonic()
    if parts.guesses.wait_s(name, caller.remote_address, now) > 0:
        raise ApiError(429, "Too many failed attempts.", headers={"Retry-After": "5"})
    with parts.database.reading() as session:
        stored = users_api.find_user(session, caller.user_id).password_hash
    if not verify_password(stored, body.old_password):
        parts.guesses.failed(name, caller.remote_address, now)
        raise bad_request("The old password is not right.", "oldPassword", "invalid.password")
    hashed = hash_password(acceptable(body.new_password))
    with changes.changing(parts, caller) as session:
        user = users_api.find_user(session, caller.user_id)
        user.password_hash = hashed
        users.touch(user, parts.clock.now_us(), caller.subject.id)
        oauth_queries.end_other_tokens(session, user.id, caller.token_sha256)


@family.operation(
    "POST",
    "/api/v2/users/{userId}/password",
    "post_user_password",
    any_of("directory:user:setPassword"),
    status=204,
)
def set_password(caller: Signed, parts: Parts, userId: str, body: NewPassword) -> None:
    """Sets a user's password; every token of the user ends."""
    hashed = hash_password(acceptable(body.new_password))
    with changes.changing(parts, caller) as session:
        user = users_api.find_user(session, userId)
        users_api.check_division(caller, "directory:user:setPassword", user.division_id)
        users_api.check_no_more_than_own(session, caller, user.id)
        user.password_hash = hashed
        users.touch(user, parts.clock.now_us(), caller.subject.id)
        oauth.end_tokens_of(session, user.id)

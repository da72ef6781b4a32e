"""Organisation, divisions, roles, users, programs."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from earwitness.cli.contract.steps import Context, expect, keep, put, simple, step

AUTH = "AuthorizationApi"

simple("OrganizationApi", "get_organizations_me")
simple("TokensApi", "get_tokens_me")
simple("TokensApi", "head_tokens_me")

simple(AUTH, "get_authorization_divisions", listing=True)
simple(AUTH, "get_authorization_divisions_home")
keep(AUTH, "post_authorization_divisions", "division", lambda c: c.model("AuthzDivision", name="Sales"))
simple(AUTH, "get_authorization_division", "division")
put(AUTH, "put_authorization_division", "get_authorization_division", "division")
simple(AUTH, "get_authorization_permissions", listing=True)
simple(AUTH, "get_authorization_roles", listing=True)


def _role(context: Context) -> Any:
    return context.model("DomainOrganizationRoleCreate", name="Listener", permissions=["recording:recording:view"])


keep(AUTH, "post_authorization_roles", "role", _role)
simple(AUTH, "get_authorization_role", "role")
put(AUTH, "put_authorization_role", "get_authorization_role", "role")
put(AUTH, "patch_authorization_role", "get_authorization_role", "role")


@step
def get_authorization_divisionspermitted_me(c: Context) -> None:
    """Where the caller may listen. The SDK prints a warning: the vendor has deprecated the operation."""
    with contextlib.redirect_stderr(io.StringIO()):
        found = c.api(AUTH).get_authorization_divisionspermitted_me("recording:recording:view")
    expect(len(found) == 2, "two divisions")


def _new_user(context: Context) -> Any:
    return context.model("CreateUser", name="Ada", email="ada@example.com", password="a long password")  # noqa: S106


keep("UsersApi", "post_users", "user", _new_user)
simple("UsersApi", "get_users", listing=True)
simple("UsersApi", "get_user", "user")
simple("UsersApi", "get_users_me", user=True)


@step
def post_users_search(c: Context) -> None:
    """Finds Ada."""
    query = c.model("UserSearchCriteria", value="ada", fields=["name"], type="QUERY_STRING")
    expect(c.api("UsersApi").post_users_search(c.model("UserSearchRequest", query=[query])).total == 1, "one user")


@step
def patch_user(c: Context) -> None:
    """Gives Ada a title."""
    changed = c.api("UsersApi").patch_user(c.kept["user"], c.model("UpdateUser", title="Head", version=1))
    expect(changed.title == "Head", "title")


@step
def put_user_roles(c: Context) -> None:
    """Gives Ada a role."""
    expect(len(c.api("UsersApi").put_user_roles(c.kept["user"], [c.kept["role"]]).roles) == 1, "one role")


simple("UsersApi", "get_user_roles", "user")
simple(AUTH, "get_authorization_subjects_me")
simple(AUTH, "get_authorization_subject", "user")
simple(AUTH, "get_authorization_role_users", "role", listing=True)


@step
def post_authorization_role(c: Context) -> None:
    """Gives the role in a division."""
    body = c.model("SubjectDivisions", subject_ids=[c.kept["user"]], division_ids=[c.kept["division"]])
    c.api(AUTH).post_authorization_role(c.kept["role"], body)


@step
def put_authorization_role_users_remove(c: Context) -> None:
    """Takes it away everywhere."""
    c.api(AUTH).put_authorization_role_users_remove(c.kept["role"], [c.kept["user"]])


@step
def put_authorization_role_users_add(c: Context) -> None:
    """Gives it again."""
    c.api(AUTH).put_authorization_role_users_add(c.kept["role"], [c.kept["user"]])


def _bulk(name: str) -> None:
    def run(c: Context) -> None:
        pair = c.model("RoleDivisionPair", role_id=c.kept["role"], division_id=c.kept["division"])
        getattr(c.api(AUTH), name)(c.kept["user"], c.model("RoleDivisionGrants", grants=[pair]))

    run.__name__ = name
    step(run)


for _name in ("bulkadd", "bulkremove", "bulkreplace"):
    _bulk(f"post_authorization_subject_{_name}")
simple(AUTH, "post_authorization_subject_division_role", "user", "division", "role")
simple(AUTH, "delete_authorization_subject_division_role", "user", "division", "role")
simple(AUTH, "delete_authorization_role", "role")


def _new_client(context: Context) -> Any:
    return context.model("OAuthClientRequest", name="Export", authorized_grant_type="CLIENT-CREDENTIALS")


keep("OAuthApi", "post_oauth_clients", "client", _new_client)
simple("OAuthApi", "get_oauth_clients", listing=True)
simple("OAuthApi", "get_oauth_client", "client")
put("OAuthApi", "put_oauth_client", "get_oauth_client", "client")
simple("OAuthApi", "post_oauth_client_secret", "client")
simple("OAuthApi", "delete_oauth_client", "client")

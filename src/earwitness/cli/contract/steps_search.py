"""Details of conversations, groups, external contacts, divisions and roles beyond the usual, programs and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.cli.contract.steps import Context, expect, simple, step

ANALYTICS, GROUPS, CONTACTS, AUTH = "AnalyticsApi", "GroupsApi", "ExternalContactsApi", "AuthorizationApi"
INTERVAL = "2020-01-01T00:00:00Z/2100-01-01T00:00:00Z"


def refused(c: Context, status: int, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    """:raises AssertionError: the server does not refuse so."""
    try:
        call(*arguments, **more)
    except c.sdk.rest.ApiException as error:
        expect(error.status == status, f"{error.status} instead of {status}")
    else:
        raise AssertionError(f"not refused with {status}")


def _query(c: Context, kind: str, **more: Any) -> Any:
    predicate = c.model("SegmentDetailQueryPredicate", type="dimension", dimension="userId", operator="matches",
                        value=c.made["administrator"]["id"])  # fmt: skip
    filters = [c.model("SegmentDetailQueryFilter", type="and", predicates=[predicate])]
    return c.model(kind, interval=INTERVAL, order="desc", segment_filters=filters, **more)


@step
def post_analytics_conversations_details_query(c: Context) -> None:
    """The call is found; a dimension that is not known is refused."""
    api = c.api(ANALYTICS)
    found = api.post_analytics_conversations_details_query(_query(c, "ConversationQuery"))
    expect([item.conversation_id for item in found.conversations] == [c.conversation_id], "the call")
    expect(found.total_hits == 1, "one")
    refused(c, 400, api.post_analytics_conversations_details_query, c.model("ConversationQuery", interval="soon"))


@step
def get_analytics_conversation_details(c: Context) -> None:
    """The call."""
    api = c.api(ANALYTICS)
    expect(api.get_analytics_conversation_details(c.conversation_id).participants[0].sessions, "sessions")
    refused(c, 404, api.get_analytics_conversation_details, "unknown")


@step
def get_analytics_conversations_details(c: Context) -> None:
    """The call, and nothing for what is unknown."""
    found = c.api(ANALYTICS).get_analytics_conversations_details(id=[c.conversation_id, "unknown"])
    expect(len(found.conversations) == 1, "one")


@step
def post_analytics_conversations_details_jobs(c: Context) -> None:
    """A query that is kept."""
    c.kept["job"] = (
        c.api(ANALYTICS).post_analytics_conversations_details_jobs(_query(c, "AsyncConversationQuery")).job_id
    )


@step
def get_analytics_conversations_details_job(c: Context) -> None:
    """Done at once; somebody else's job is unknown."""
    expect(c.api(ANALYTICS).get_analytics_conversations_details_job(c.kept["job"]).state == "FULFILLED", "done")
    refused(c, 404, c.api(ANALYTICS, user=True).get_analytics_conversations_details_job, c.kept["job"])


@step
def get_analytics_conversations_details_job_results(c: Context) -> None:
    """The call."""
    found = c.api(ANALYTICS).get_analytics_conversations_details_job_results(c.kept["job"], page_size=10)
    expect([item.conversation_id for item in found.conversations] == [c.conversation_id], "the call")
    expect(found.cursor is None, "the last page")


simple(ANALYTICS, "get_analytics_conversations_details_jobs_availability")


@step
def delete_analytics_conversations_details_job(c: Context) -> None:
    """Gone."""
    api = c.api(ANALYTICS)
    api.delete_analytics_conversations_details_job(c.kept["job"])
    refused(c, 404, api.get_analytics_conversations_details_job, c.kept["job"])


@step
def post_groups(c: Context) -> None:
    """A group; a name is needed, and is there once."""
    api = c.api(GROUPS)
    made = api.post_groups(
        c.model("GroupCreate", name="Night", type="official", visibility="public", rules_visible=True)
    )
    c.kept["group"] = made.id
    refused(c, 409, api.post_groups, c.model("GroupCreate", name="Night"))
    refused(c, 400, api.post_groups, c.model("GroupCreate", name=" "))


simple(GROUPS, "get_groups", listing=True)
simple(GROUPS, "get_group", "group")


@step
def put_group(c: Context) -> None:
    """Another description."""
    api = c.api(GROUPS)
    version = api.get_group(c.kept["group"]).version
    body = c.model("GroupUpdate", description="At night", version=version)
    expect(api.put_group(c.kept["group"], body=body).description == "At night", "changed")
    refused(c, 409, api.put_group, c.kept["group"], body=c.model("GroupUpdate", description="x", version=version))


@step
def post_group_members(c: Context) -> None:
    """A member."""
    api, user = c.api(GROUPS), c.made["administrator"]["id"]
    api.post_group_members(c.kept["group"], c.model("GroupMembersUpdate", member_ids=[user]))
    expect(api.get_group(c.kept["group"]).member_count == 1, "one member")
    refused(c, 400, api.post_group_members, c.kept["group"], c.model("GroupMembersUpdate", member_ids=["nobody"]))


simple(GROUPS, "get_group_members", "group", listing=True)
simple(GROUPS, "get_group_individuals", "group", listing=True)


@step
def delete_group_members(c: Context) -> None:
    """None any more."""
    api = c.api(GROUPS)
    api.delete_group_members(c.kept["group"], c.made["administrator"]["id"])
    expect(api.get_group(c.kept["group"]).member_count == 0, "no member")


@step
def delete_group(c: Context) -> None:
    """Gone."""
    api = c.api(GROUPS)
    api.delete_group(c.kept["group"])
    refused(c, 404, api.get_group, c.kept["group"])


@step
def get_authorization_divisions_deleted(c: Context) -> None:
    """A division that was deleted."""
    api = c.api(AUTH)
    made = api.post_authorization_divisions(c.model("AuthzDivision", name="Short-lived"))
    api.delete_authorization_division(made.id)
    expect([item.id for item in api.get_authorization_divisions_deleted().entities] == [made.id], "it is listed")
    c.kept["deleted division"] = made.id


@step
def post_authorization_division_restore(c: Context) -> None:
    """It is there again."""
    api, key = c.api(AUTH), c.kept["deleted division"]
    again = api.post_authorization_division_restore(key, c.model("AuthzDivision", name="Long-lived"))
    expect((again.id, again.name) == (key, "Long-lived"), "under its id")
    refused(c, 404, api.post_authorization_division_restore, "unknown", c.model("AuthzDivision", name="X"))
    api.delete_authorization_division(key)


@step
def get_authorization_divisions_limit(c: Context) -> None:
    """A number."""
    expect(c.api(AUTH).get_authorization_divisions_limit() > 1, "a number")


@step
def get_authorization_divisions_query(c: Context) -> None:
    """By id."""
    found = [item.id for item in c.api(AUTH).get_authorization_divisions_query(page_size="100").entities]
    expect(found == sorted(found) and found, "in order")


@step
def get_authorization_divisionspermitted_paged_me(c: Context) -> None:
    """All of them."""
    expect(c.api(AUTH).get_authorization_divisionspermitted_paged_me("routing:queue:view").all_divs_permitted, "all")


@step
def get_authorization_divisionspermitted_paged_subject_id(c: Context) -> None:
    """All of them, of the administrator."""
    ask = c.api(AUTH).get_authorization_divisionspermitted_paged_subject_id
    expect(ask(c.made["administrator"]["id"], "routing:queue:view").entities, "divisions")
    refused(c, 404, ask, "nobody", "routing:queue:view")


simple(AUTH, "get_authorization_products", listing=True)


@step
def get_authorization_role_subjectgrants(c: Context) -> None:
    """The administrator holds the role of administrators."""
    api = c.api(AUTH)
    role = next(item for item in api.get_authorization_roles().entities if item.default_role_id == "administrator")
    names = [item.id for item in api.get_authorization_role_subjectgrants(role.id).entities]
    expect(c.made["administrator"]["id"] in names, "the administrator")


@step
def get_authorization_division_grants(c: Context) -> None:
    """Of the home division."""
    api = c.api(AUTH)
    home = api.get_authorization_divisions_home().id
    expect(isinstance(api.get_authorization_division_grants(home).entities, list), "grants")


@step
def post_authorization_division_object(c: Context) -> None:
    """A user moves into a division and back; a kind of object that there is none of is refused."""
    api, users = c.api(AUTH), c.api("UsersApi")
    mover = users.post_users(c.model("CreateUser", name="Mover", email="mover@example.com"))
    made = api.post_authorization_divisions(c.model("AuthzDivision", name="Branch"))
    api.post_authorization_division_object(made.id, "USER", [mover.id])
    expect(users.get_user(mover.id).division.id == made.id, "it has moved")
    refused(c, 400, api.post_authorization_division_object, made.id, "NOTHING", [mover.id])
    api.post_authorization_division_object(api.get_authorization_divisions_home().id, "USER", [mover.id])


@step
def post_authorization_roles_default(c: Context) -> None:
    """The built-in roles."""
    expect(c.api(AUTH).post_authorization_roles_default().total > 1, "roles")


@step
def put_authorization_roles_default(c: Context) -> None:
    """One of them, as it was."""
    api = c.api(AUTH)
    role = next(item for item in api.post_authorization_roles_default().entities if item.default_role_id == "agent")
    expect(api.put_authorization_roles_default([role]).entities, "roles")
    refused(c, 400, api.put_authorization_roles_default, [c.model("DomainOrganizationRole", id="none")])


simple(AUTH, "get_authorization_settings")


@step
def patch_authorization_settings(c: Context) -> None:
    """Days; the analysis there is none of is refused."""
    api = c.api(AUTH)
    changed = api.patch_authorization_settings(c.model("AuthorizationSettings", analysis_days=30))
    expect(changed.analysis_days == 30, "thirty")
    refused(c, 400, api.patch_authorization_settings, c.model("AuthorizationSettings", analysis_enabled=True))


@step
def get_authorization_subjects_rolecounts(c: Context) -> None:
    """Of the administrator."""
    expect(c.api(AUTH).get_authorization_subjects_rolecounts(id=[c.made["administrator"]["id"]]), "a count")


@step
def get_oauth_authorizations(c: Context) -> None:
    """The program that asks is among them."""
    found = c.api("OAuthApi").get_oauth_authorizations().entities
    expect(c.made["client"]["id"] in [item.client.id for item in found], "ourselves")


@step
def get_oauth_authorization(c: Context) -> None:
    """The program that asks."""
    api = c.api("OAuthApi")
    expect(api.get_oauth_authorization(c.made["client"]["id"]).state == "Authorized", "authorised")
    refused(c, 404, api.get_oauth_authorization, "unknown")


@step
def get_oauth_scopes(c: Context) -> None:
    """Of a program that has one."""
    api = c.api("OAuthApi")
    body = c.model(
        "OAuthClientRequest", name="Scoped", authorized_grant_type="CLIENT-CREDENTIALS", scope=["recordings"]
    )
    c.kept["scoped"] = api.post_oauth_clients(body).id
    expect("recordings" in [item.id for item in api.get_oauth_scopes().entities], "the scope")


@step
def get_oauth_scope(c: Context) -> None:
    """That one."""
    api = c.api("OAuthApi")
    expect(api.get_oauth_scope("recordings").id == "recordings", "the scope")
    refused(c, 404, api.get_oauth_scope, "unknown")
    api.delete_oauth_client(c.kept["scoped"])


simple("TokensApi", "get_tokens_timeout")


@step
def put_tokens_timeout(c: Context) -> None:
    """An hour, and off again; a second is refused."""
    api = c.api("TokensApi")
    body = c.model("IdleTokenTimeout", idle_token_timeout_seconds=3600, enable_idle_token_timeout=False)
    expect(api.put_tokens_timeout(body=body).idle_token_timeout_seconds == 3600, "an hour")
    refused(c, 400, api.put_tokens_timeout, body=c.model("IdleTokenTimeout", idle_token_timeout_seconds=28801))


@step
def delete_token(c: Context) -> None:
    """Those of a user who has none; nobody's are refused."""
    user = c.api("UsersApi").post_users(c.model("CreateUser", name="Tokenless", email="tokenless@example.com"))
    c.api("TokensApi").delete_token(user.id)
    refused(c, 404, c.api("TokensApi").delete_token, "nobody")


simple("TelephonyProvidersEdgeApi", "get_telephony_providers_edges_extensionpools", listing=True)
simple("RecordingApi", "get_recordings_screensessions_details")


@step
def get_gdpr_subjects(c: Context) -> None:
    """Who has a number."""
    found = c.api("GeneralDataProtectionRegulationApi").get_gdpr_subjects("PHONE", "+4930111")
    expect(found.entities, "the caller")


@step
def post_gdpr_requests(c: Context) -> None:
    """What there is of somebody; only what we can do is taken."""
    api = c.api("GeneralDataProtectionRegulationApi")
    subject = c.model("GDPRSubject", phone_numbers=["+4930000999"])
    made = api.post_gdpr_requests(c.model("GDPRRequest", request_type="GDPR_DELETE", subject=subject),
                                  delete_confirmed=True)  # fmt: skip
    c.kept["gdpr"] = made.id
    refused(c, 400, api.post_gdpr_requests, c.model("GDPRRequest", request_type="GDPR_DELETE", subject=subject))


simple("GeneralDataProtectionRegulationApi", "get_gdpr_requests", listing=True)
simple("GeneralDataProtectionRegulationApi", "get_gdpr_request", "gdpr")

"""One step for each operation of the contract that we serve: a call of the SDK's method, and a look at the reply.

Steps run in order and hand on what they made in ``Context.kept``.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

METABASE = "external_sip_pcv_byoc_carrier.json"


@dataclass(slots=True)
class Context:
    """What steps work with."""

    sdk: Any
    client: Any
    """An API client with a token of a program."""
    user: Any
    """One with a token of the administrator."""
    made: dict[str, Any]
    conversation_id: str
    deadline: float
    """Until when a recording may take, on the monotonic clock."""
    kept: dict[str, Any] = field(default_factory=dict)

    def api(self, name: str, *, user: bool = False) -> Any:
        """An API class of the SDK."""
        return getattr(self.sdk, name)(self.user if user else self.client)

    def model(self, kind: str, /, **fields: Any) -> Any:
        """A model of the SDK."""
        made = getattr(self.sdk, kind)()
        for key, value in fields.items():
            setattr(made, key, value)
        return made


Step = Callable[[Context], object]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    """Registers a step under the SDK's name of the operation."""
    STEPS[function.__name__] = function
    return function


def _is(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _simple(api: str, name: str, *keys: str, user: bool = False, listing: bool = False) -> None:
    """A step that calls the method with things kept earlier, and expects entities of a listing."""

    def run(context: Context) -> None:
        found = getattr(context.api(api, user=user), name)(*(context.kept[key] for key in keys))
        if listing:
            _is(isinstance(found.entities, list), "no entities")

    run.__name__ = name
    step(run)


def _keep(api: str, name: str, key: str, body: Callable[[Context], Any]) -> None:
    """A step that makes something and keeps its id."""

    def run(context: Context) -> None:
        made = getattr(context.api(api), name)(body(context))
        _is(made.id, "no id")
        context.kept[key] = made.id
        context.kept[f"{key}:object"] = made

    run.__name__ = name
    step(run)


def _put(api: str, name: str, get: str, key: str) -> None:
    """Get, change the description, put."""

    def run(context: Context) -> None:
        api_object, entity_id = context.api(api), context.kept[key]
        document = getattr(api_object, get)(entity_id)
        document.description = "changed"
        changed = getattr(api_object, name)(entity_id, document)
        _is(changed.description == "changed", "not changed")

    run.__name__ = name
    step(run)


TPE, AUTH = "TelephonyProvidersEdgeApi", "AuthorizationApi"

_simple("OrganizationApi", "get_organizations_me")
_simple("TokensApi", "get_tokens_me")
_simple("TokensApi", "head_tokens_me")

_simple(AUTH, "get_authorization_divisions", listing=True)
_simple(AUTH, "get_authorization_divisions_home")
_keep(AUTH, "post_authorization_divisions", "division", lambda c: c.model("AuthzDivision", name="Sales"))
_simple(AUTH, "get_authorization_division", "division")
_put(AUTH, "put_authorization_division", "get_authorization_division", "division")
_simple(AUTH, "get_authorization_permissions", listing=True)
_simple(AUTH, "get_authorization_roles", listing=True)


def _role(context: Context) -> Any:
    return context.model("DomainOrganizationRoleCreate", name="Listener", permissions=["recording:recording:view"])


_keep(AUTH, "post_authorization_roles", "role", _role)
_simple(AUTH, "get_authorization_role", "role")
_put(AUTH, "put_authorization_role", "get_authorization_role", "role")
_put(AUTH, "patch_authorization_role", "get_authorization_role", "role")


@step
def get_authorization_divisionspermitted_me(c: Context) -> None:
    """Where the caller may listen. The SDK prints a warning: the vendor has deprecated the operation."""
    with contextlib.redirect_stderr(io.StringIO()):
        found = c.api(AUTH).get_authorization_divisionspermitted_me("recording:recording:view")
    _is(len(found) == 2, "two divisions")


def _new_user(context: Context) -> Any:
    return context.model("CreateUser", name="Ada", email="ada@example.com", password="a long password")  # noqa: S106


_keep("UsersApi", "post_users", "user", _new_user)
_simple("UsersApi", "get_users", listing=True)
_simple("UsersApi", "get_user", "user")
_simple("UsersApi", "get_users_me", user=True)


@step
def post_users_search(c: Context) -> None:
    """Finds Ada."""
    query = c.model("UserSearchCriteria", value="ada", fields=["name"], type="QUERY_STRING")
    _is(c.api("UsersApi").post_users_search(c.model("UserSearchRequest", query=[query])).total == 1, "one user")


@step
def patch_user(c: Context) -> None:
    """Gives Ada a title."""
    changed = c.api("UsersApi").patch_user(c.kept["user"], c.model("UpdateUser", title="Head", version=1))
    _is(changed.title == "Head", "title")


@step
def put_user_roles(c: Context) -> None:
    """Gives Ada a role."""
    _is(len(c.api("UsersApi").put_user_roles(c.kept["user"], [c.kept["role"]]).roles) == 1, "one role")


_simple("UsersApi", "get_user_roles", "user")
_simple(AUTH, "get_authorization_subjects_me")
_simple(AUTH, "get_authorization_subject", "user")
_simple(AUTH, "get_authorization_role_users", "role", listing=True)


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
_simple(AUTH, "post_authorization_subject_division_role", "user", "division", "role")
_simple(AUTH, "delete_authorization_subject_division_role", "user", "division", "role")
_simple(AUTH, "delete_authorization_role", "role")


def _new_client(context: Context) -> Any:
    return context.model("OAuthClientRequest", name="Export", authorized_grant_type="CLIENT-CREDENTIALS")


_keep("OAuthApi", "post_oauth_clients", "client", _new_client)
_simple("OAuthApi", "get_oauth_clients", listing=True)
_simple("OAuthApi", "get_oauth_client", "client")
_put("OAuthApi", "put_oauth_client", "get_oauth_client", "client")
_simple("OAuthApi", "post_oauth_client_secret", "client")
_simple("OAuthApi", "delete_oauth_client", "client")

_keep(TPE, "post_telephony_providers_edges_sites", "site", lambda c: c.model("Site", name="Berlin"))
_simple(TPE, "get_telephony_providers_edges_sites", listing=True)
_simple(TPE, "get_telephony_providers_edges_site", "site")
_put(TPE, "put_telephony_providers_edges_site", "get_telephony_providers_edges_site", "site")
_simple(TPE, "get_telephony_providers_edges_trunkbasesettings_availablemetabases", listing=True)


@step
def get_telephony_providers_edges_trunkbasesettings_template(c: Context) -> None:
    """A new trunk, recording switched on."""
    template = c.api(TPE).get_telephony_providers_edges_trunkbasesettings_template(METABASE)
    _is("trunk_recording_enabled" in template.properties, "the keys of a trunk")
    template.name = "Carrier"
    template.properties["trunk_recording_enabled"] = {"value": {"instance": True}}
    c.kept["template"] = template


_keep(TPE, "post_telephony_providers_edges_trunkbasesettings", "base", lambda c: c.kept["template"])
_simple(TPE, "get_telephony_providers_edges_trunkbasesettings", listing=True)
_simple(TPE, "get_telephony_providers_edges_trunkbasesetting", "base")
_put(
    TPE,
    "put_telephony_providers_edges_trunkbasesetting",
    "get_telephony_providers_edges_trunkbasesetting",
    "base",
)
_simple(TPE, "get_telephony_providers_edges_trunkbasesettings_site_site_id", "site", listing=True)


def _search(name: str) -> None:
    def run(c: Context) -> None:
        query = c.model("TelephonySearchCriteria", type="STARTS_WITH", fields=["name"], value="Carr")
        _is(getattr(c.api(TPE), name)(c.model("TelephonySearchRequest", query=[query])).total == 1, "one")

    run.__name__ = name
    step(run)


_search("post_telephony_providers_edges_trunkbasesettings_search")
_search("post_telephony_providers_edges_trunks_search")


@step
def get_telephony_providers_edges_trunks(c: Context) -> None:
    """The trunk of the base."""
    trunks = c.api(TPE).get_telephony_providers_edges_trunks(trunk_base_id=c.kept["base"])
    c.kept["trunk"] = trunks.entities[0].id


_simple(TPE, "get_telephony_providers_edges_trunk", "trunk")


@step
def get_telephony_providers_edges_trunkswithrecording(c: Context) -> None:
    """A12."""
    _is(c.api(TPE).get_telephony_providers_edges_trunkswithrecording().enabled_count == 1, "one records")


@step
def get_telephony_providers_edges(c: Context) -> None:
    """The edge that runs."""
    c.kept["edge"] = c.api(TPE).get_telephony_providers_edges().entities[0].id


_simple(TPE, "get_telephony_providers_edge", "edge")
_simple(TPE, "get_telephony_providers_edge_trunks", "edge", listing=True)
_simple(TPE, "delete_telephony_providers_edges_trunkbasesetting", "base")
_simple(TPE, "delete_telephony_providers_edges_site", "site")
_simple(TPE, "get_telephony_providers_edges_phonebasesettings_availablemetabases", listing=True)


@step
def get_telephony_providers_edges_phonebasesettings_template(c: Context) -> None:
    """New phone base settings."""
    c.kept["phone template"] = c.api(TPE).get_telephony_providers_edges_phonebasesettings_template("generic_sip.json")
    c.kept["phone template"].name = "Desk phones"


_keep(TPE, "post_telephony_providers_edges_phonebasesettings", "phone base", lambda c: c.kept["phone template"])
_simple(TPE, "get_telephony_providers_edges_phonebasesettings", listing=True)
_simple(TPE, "get_telephony_providers_edges_phonebasesetting", "phone base")
_put(
    TPE,
    "put_telephony_providers_edges_phonebasesetting",
    "get_telephony_providers_edges_phonebasesetting",
    "phone base",
)


@step
def get_telephony_providers_edges_phones_template(c: Context) -> None:
    """A new phone."""
    phone = c.api(TPE).get_telephony_providers_edges_phones_template(c.kept["phone base"])
    phone.name = "Desk 1"
    c.kept["new phone"] = phone


_keep(TPE, "post_telephony_providers_edges_phones", "phone", lambda c: c.kept["new phone"])
_simple(TPE, "get_telephony_providers_edges_phones", listing=True)
_simple(TPE, "get_telephony_providers_edges_phone", "phone")
_put(TPE, "put_telephony_providers_edges_phone", "get_telephony_providers_edges_phone", "phone")


@step
def get_stations(c: Context) -> None:
    """The station of the phone."""
    c.kept["station"] = c.api("StationsApi").get_stations(name="Desk 1").entities[0].id


_simple("StationsApi", "get_station", "station")
_simple("UsersApi", "put_user_station_associatedstation_station_id", "user", "station")
_simple("UsersApi", "get_user_station", "user")
_simple("UsersApi", "delete_user_station_associatedstation", "user")
_simple("UsersApi", "put_user_station_defaultstation_station_id", "user", "station")
_simple("UsersApi", "delete_user_station_defaultstation", "user")
_simple("UsersApi", "put_users_stations_me_associatedstation_station_id", "station", user=True)
_simple("UsersApi", "get_users_stations_me", user=True)
_simple("UsersApi", "delete_users_stations_me_associatedstation", user=True)
_simple("StationsApi", "delete_station_associateduser", "station")
_simple(TPE, "delete_telephony_providers_edges_phone", "phone")
_simple(TPE, "delete_telephony_providers_edges_phonebasesetting", "phone base")
_simple(TPE, "get_telephony_providers_edges_didpools", listing=True)
_simple(TPE, "get_telephony_providers_edges_dids", listing=True)
_keep("ArchitectApi", "post_architect_ivrs", "ivr", lambda c: c.model("IVR", name="Hotline", dnis=["+4930100"]))
_simple("ArchitectApi", "get_architect_ivrs", listing=True)
_simple("ArchitectApi", "get_architect_ivr", "ivr")
_put("ArchitectApi", "put_architect_ivr", "get_architect_ivr", "ivr")
_simple("ArchitectApi", "delete_architect_ivr", "ivr")

_simple("RecordingApi", "get_recording_settings")


@step
def put_recording_settings(c: Context) -> None:
    """A shorter life for addresses."""
    settings = c.model("RecordingSettings", recording_playback_url_ttl=5)
    _is(c.api("RecordingApi").put_recording_settings(settings).recording_playback_url_ttl == 5, "five minutes")


@step
def get_conversation_recordings(c: Context) -> None:
    """The recording of the call, once it is made."""
    api = c.api("RecordingApi")
    while not (found := api.get_conversation_recordings(c.conversation_id, max_wait_ms=5000)):
        _is(time.monotonic() < c.deadline, "no recording appeared")
        time.sleep(0.2)
    _is("0" in found[0].media_uris, "a media address")
    c.kept["conversation"], c.kept["recording"] = c.conversation_id, found[0].id


_simple("RecordingApi", "get_conversation_recording", "conversation", "recording")
_simple("RecordingApi", "get_conversation_recordingmetadata", "conversation")
_simple("RecordingApi", "get_conversation_recordingmetadata_recording_id", "conversation", "recording")


@step
def put_conversation_recording(c: Context) -> None:
    """A date of deletion."""
    body = c.model("Recording", delete_date="2035-01-01T00:00:00Z")
    ids = (c.kept["conversation"], c.kept["recording"])
    _is(c.api("RecordingApi").put_conversation_recording(*ids, body).delete_date.year == 2035, "the date")


_simple("ConversationsApi", "get_conversations", listing=True)
_simple("ConversationsApi", "get_conversations_calls", listing=True)
_simple("ConversationsApi", "get_conversation", "conversation")
_simple("ConversationsApi", "get_conversations_call", "conversation")


@step
def get_conversations_calls_history(c: Context) -> None:
    """The call is in it."""
    found = c.api("ConversationsApi").get_conversations_calls_history()
    _is([item.id for item in found.entities] == [c.conversation_id], "the call")


_simple("ConversationsApi", "post_conversation_disconnect", "conversation")


@step
def patch_conversations_call(c: Context) -> None:
    """Over already, so nothing happens."""
    body = c.model("Conversation", state="disconnected")
    c.api("ConversationsApi").patch_conversations_call(c.conversation_id, body)


_simple("UsersApi", "delete_user", "user")
_simple(AUTH, "delete_authorization_division", "division")
_simple("TokensApi", "delete_tokens_me")

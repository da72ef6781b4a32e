"""Sites, trunks, edges, phones, stations, numbers."""

from __future__ import annotations

from earwitness.cli.contract.steps import Context, expect, keep, put, simple, step

TPE = "TelephonyProvidersEdgeApi"
METABASE = "external_sip_pcv_byoc_carrier.json"

keep(TPE, "post_telephony_providers_edges_sites", "site", lambda c: c.model("Site", name="Berlin"))
simple(TPE, "get_telephony_providers_edges_sites", listing=True)
simple(TPE, "get_telephony_providers_edges_site", "site")
put(TPE, "put_telephony_providers_edges_site", "get_telephony_providers_edges_site", "site")
simple(TPE, "get_telephony_providers_edges_trunkbasesettings_availablemetabases", listing=True)


@step
def get_telephony_providers_edges_trunkbasesettings_template(c: Context) -> None:
    """A new trunk, recording switched on."""
    template = c.api(TPE).get_telephony_providers_edges_trunkbasesettings_template(METABASE)
    expect("trunk_recording_enabled" in template.properties, "the keys of a trunk")
    template.name = "Carrier"
    template.properties["trunk_recording_enabled"] = {"value": {"instance": True}}
    c.kept["template"] = template


keep(TPE, "post_telephony_providers_edges_trunkbasesettings", "base", lambda c: c.kept["template"])
simple(TPE, "get_telephony_providers_edges_trunkbasesettings", listing=True)
simple(TPE, "get_telephony_providers_edges_trunkbasesetting", "base")
put(
    TPE,
    "put_telephony_providers_edges_trunkbasesetting",
    "get_telephony_providers_edges_trunkbasesetting",
    "base",
)
simple(TPE, "get_telephony_providers_edges_trunkbasesettings_site_site_id", "site", listing=True)


def _search(name: str) -> None:
    def run(c: Context) -> None:
        query = c.model("TelephonySearchCriteria", type="STARTS_WITH", fields=["name"], value="Carr")
        expect(getattr(c.api(TPE), name)(c.model("TelephonySearchRequest", query=[query])).total == 1, "one")

    run.__name__ = name
    step(run)


_search("post_telephony_providers_edges_trunkbasesettings_search")
_search("post_telephony_providers_edges_trunks_search")


@step
def get_telephony_providers_edges_trunks(c: Context) -> None:
    """The trunk of the base."""
    trunks = c.api(TPE).get_telephony_providers_edges_trunks(trunk_base_id=c.kept["base"])
    c.kept["trunk"] = trunks.entities[0].id


simple(TPE, "get_telephony_providers_edges_trunk", "trunk")


@step
def get_telephony_providers_edges_trunkswithrecording(c: Context) -> None:
    """A12."""
    expect(c.api(TPE).get_telephony_providers_edges_trunkswithrecording().enabled_count == 1, "one records")


@step
def get_telephony_providers_edges(c: Context) -> None:
    """The edge that runs."""
    c.kept["edge"] = c.api(TPE).get_telephony_providers_edges().entities[0].id


simple(TPE, "get_telephony_providers_edge", "edge")
simple(TPE, "get_telephony_providers_edge_trunks", "edge", listing=True)
simple(TPE, "delete_telephony_providers_edges_trunkbasesetting", "base")
simple(TPE, "delete_telephony_providers_edges_site", "site")
simple(TPE, "get_telephony_providers_edges_phonebasesettings_availablemetabases", listing=True)


@step
def get_telephony_providers_edges_phonebasesettings_template(c: Context) -> None:
    """New phone base settings."""
    c.kept["phone template"] = c.api(TPE).get_telephony_providers_edges_phonebasesettings_template("generic_sip.json")
    c.kept["phone template"].name = "Desk phones"


keep(TPE, "post_telephony_providers_edges_phonebasesettings", "phone base", lambda c: c.kept["phone template"])
simple(TPE, "get_telephony_providers_edges_phonebasesettings", listing=True)
simple(TPE, "get_telephony_providers_edges_phonebasesetting", "phone base")
put(
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


keep(TPE, "post_telephony_providers_edges_phones", "phone", lambda c: c.kept["new phone"])
simple(TPE, "get_telephony_providers_edges_phones", listing=True)
simple(TPE, "get_telephony_providers_edges_phone", "phone")
put(TPE, "put_telephony_providers_edges_phone", "get_telephony_providers_edges_phone", "phone")


@step
def get_stations(c: Context) -> None:
    """The station of the phone."""
    c.kept["station"] = c.api("StationsApi").get_stations(name="Desk 1").entities[0].id


simple("StationsApi", "get_station", "station")
simple("UsersApi", "put_user_station_associatedstation_station_id", "user", "station")
simple("UsersApi", "get_user_station", "user")
simple("UsersApi", "delete_user_station_associatedstation", "user")
simple("UsersApi", "put_user_station_defaultstation_station_id", "user", "station")
simple("UsersApi", "delete_user_station_defaultstation", "user")
simple("UsersApi", "put_users_stations_me_associatedstation_station_id", "station", user=True)
simple("UsersApi", "get_users_stations_me", user=True)
simple("UsersApi", "delete_users_stations_me_associatedstation", user=True)
simple("StationsApi", "delete_station_associateduser", "station")
simple(TPE, "delete_telephony_providers_edges_phone", "phone")
simple(TPE, "delete_telephony_providers_edges_phonebasesetting", "phone base")
simple(TPE, "get_telephony_providers_edges_didpools", listing=True)
simple(TPE, "get_telephony_providers_edges_dids", listing=True)

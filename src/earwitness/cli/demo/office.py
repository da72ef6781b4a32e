"""Sets the demo's installation up through its API, as an administrator's script would."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from earwitness.cli.demo.api import Api, DemoError
from earwitness.cli.demo.scenes import BOB_NUMBER, PARCEL_LINE

EDGES = "/telephony/providers/edges"
METABASE = "external_sip_pcv_byoc_carrier.json"
EXTENSIONS = {"Alice": "101", "Bob": "102", "Uma": "103", "Vic": "104"}
QUEUES = {"Parcels": "Alice", "Private matters": "Bob"}
PASSWORD = secrets.token_urlsafe(12)
"""Of the demo's people, another one in each run."""
FLOW = "flow.yaml"


@dataclass(slots=True)
class Office:
    """What was set up: ids and SIP accounts of the people, by name."""

    users: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)


def furnish(api: Api, carrier_port: int, asking_port: int) -> Office:
    """Makes two trunks, four users with phones, two queues, a flow, and numbers that lead to them.

    Both trunks record both channels; the one at ``asking_port`` only with the caller's consent. The phones come last:
    an edge that lets the last of them register knows all the rest.
    """
    recording = {"trunk_recording_enabled": True, "trunk_recording_dualChannel": True}
    _trunk(api, "Carrier", carrier_port, **recording)
    asking = {"trunk_recording_consent_required": True, "earwitness_outbound_patterns": ["none"]}
    _trunk(api, "Carrier that asks", asking_port, **recording, **asking)
    office = Office()
    for name in EXTENSIONS:
        body = {"name": name, "email": email(name), "password": PASSWORD}
        office.users[name] = api.post("/users", body)["id"]
    for queue, agent in QUEUES.items():
        made = api.post("/routing/queues", {"name": queue, "acwSettings": {"wrapupPrompt": "OPTIONAL"}})
        api.post(f"/routing/queues/{made['id']}/members", [{"id": office.users[agent]}])
    flow = api.publish("parcel-line.yaml", files("earwitness.cli.demo").joinpath(FLOW).read_bytes())
    _route(api, BOB_NUMBER, "user", office.users["Bob"])
    _route(api, PARCEL_LINE, "flow", flow)
    for name, extension in EXTENSIONS.items():
        office.accounts[name] = _phone(api, name, extension, office.users[name])
    return office


def email(name: str) -> str:
    """How somebody signs in."""
    return f"{name.lower()}@demo.example"


def _route(api: Api, number: str, kind: str, target: str) -> None:
    body = {"name": f"Calls to {number}", "dnis": [number], "target": {"type": kind, "id": target}}
    api.post("/earwitness/callroutes", body)


def _trunk(api: Api, name: str, port: int, **properties: Any) -> None:
    template = api.get(f"{EDGES}/trunkbasesettings/template", trunkMetabaseId=METABASE)
    values = {"trunk_transport_serverProxyList": [f"127.0.0.1:{port}"], **properties}
    body = {
        "name": name,
        "trunkType": "EXTERNAL",
        "trunkMetabase": {"id": METABASE},
        "properties": {
            **template["properties"],
            **{key: {"value": {"instance": value}} for key, value in values.items()},
        },
    }
    api.post(f"{EDGES}/trunkbasesettings", body)


def _phone(api: Api, name: str, extension: str, user_id: str) -> dict[str, Any]:
    site = api.get(f"{EDGES}/sites")["entities"][0]
    line = {"name": f"{name}'s phone", "properties": {"earwitness_extension": {"value": {"instance": extension}}}}
    api.post(f"{EDGES}/phones", {"name": f"{name}'s phone", "site": {"id": site["id"]}, "lines": [line]})
    stations = api.get("/stations", name=f"{name}'s phone")["entities"]
    if len(stations) != 1:
        raise DemoError(f"the phone of {name} has {len(stations)} stations")
    station = stations[0]["id"]
    api.put(f"/users/{user_id}/station/associatedstation/{station}")
    account: dict[str, Any] = api.post(f"/earwitness/stations/{station}/credentials", {})
    return account

"""Sets the demo's installation up through its API, as an administrator's script would."""

from __future__ import annotations

from typing import Any

from earwitness.cli.demo.scenes import ALICE_NUMBER, BOB_NUMBER
from earwitness.cli.demo.server import DemoError, Server

EDGES = "/telephony/providers/edges"
METABASE = "external_sip_pcv_byoc_carrier.json"
EXTENSIONS = {"Alice": "101", "Bob": "102"}


def furnish(server: Server, carrier_port: int, quiet_port: int) -> dict[str, dict[str, Any]]:
    """Makes two trunks, two users with phones, and numbers for them; gives each user's SIP account.

    The recording trunk takes both channels; the other one is left as new trunks are: recording off.
    """
    _trunk(server, "Carrier", carrier_port, trunk_recording_enabled=True, trunk_recording_dualChannel=True)
    _trunk(server, "Quiet carrier", quiet_port, earwitness_outbound_patterns=["none"])
    accounts: dict[str, dict[str, Any]] = {}
    users: dict[str, str] = {}
    for name, extension in EXTENSIONS.items():
        user = server.post(
            "/users", {"name": name, "email": f"{name.lower()}@demo.example", "addresses": _addresses(name)}
        )
        users[name] = user["id"]
        accounts[name] = _phone(server, name, extension, user["id"])
    for number, name in ((ALICE_NUMBER, "Alice"), (BOB_NUMBER, "Bob")):
        body = {"name": f"{name} {number}", "dnis": [number], "target": {"type": "user", "id": users[name]}}
        server.post("/earwitness/callroutes", body)
    return accounts


def _trunk(server: Server, name: str, port: int, **properties: Any) -> None:
    template = server.get(f"{EDGES}/trunkbasesettings/template", trunkMetabaseId=METABASE)
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
    server.post(f"{EDGES}/trunkbasesettings", body)


def _phone(server: Server, name: str, extension: str, user_id: str) -> dict[str, Any]:
    site = server.get(f"{EDGES}/sites")["entities"][0]
    line = {"name": f"{name}'s phone", "properties": {"earwitness_extension": {"value": {"instance": extension}}}}
    server.post(f"{EDGES}/phones", {"name": f"{name}'s phone", "site": {"id": site["id"]}, "lines": [line]})
    stations = server.get("/stations", name=f"{name}'s phone")["entities"]
    if len(stations) != 1:
        raise DemoError(f"the phone of {name} has {len(stations)} stations")
    station = stations[0]["id"]
    server.put(f"/users/{user_id}/station/associatedstation/{station}")
    account: dict[str, Any] = server.post(f"/earwitness/stations/{station}/credentials", {})
    return account


def _addresses(name: str) -> list[dict[str, str]]:
    """The number that people see when this user calls out."""
    own = {"Alice": ALICE_NUMBER, "Bob": BOB_NUMBER}[name]
    return [{"address": own, "mediaType": "PHONE"}]

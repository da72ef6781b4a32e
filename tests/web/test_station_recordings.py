"""Recordings at stations, as the API shows them (A7)."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813

from earwitness.domain.conversation.events import Event
from earwitness.store import snapshot
from earwitness.store.tables import Recording


def live(site, recorded, *more):
    """A call in progress, recorded at the trunk from its answer; then these, told at its second second."""
    conversation_id = recorded.new_id()
    events = recorded.call_events(conversation_id, site.world.users["agent"], recorded.new_id(), ended=False)
    for kind, data in more:
        events.append(Event(len(events), recorded.START + 2 * recorded.SECOND, kind, data))
    site.edge.conversations[conversation_id] = recorded.live_document(events)
    return sdk.ConversationsApi(site.sdk()).get_conversations_call(conversation_id).participants


def opened(recorded, kind="station"):
    tape = {"tape_id": recorded.new_id(), "leg_id": "s", "kind": kind, "opening": 0}
    return "tape.opened", {**tape, "dual_channel": False, "audio_format": "audio/opus", "reasons": []}


def test_a7_b14_each_recorder_has_a_state_of_its_own(sqlite_site, recorded):
    def states(*more):
        found = [person.recorders_state for person in live(sqlite_site, recorded, *more)]
        return [(item.customer_experience_state, item.agent_experience_state, item.adhoc_state) for item in found]

    assert states() == [("ACTIVE", "NONE", "NONE"), ("ACTIVE", "NONE", "NONE")]
    assert states(opened(recorded)) == [("ACTIVE", "NONE", "NONE"), ("ACTIVE", "ACTIVE", "NONE")]
    station = opened(recorded)
    pause = {"tape_id": station[1]["tape_id"], "opening": 0, "reasons": [{"row": "pause", "why": "secure pause"}]}
    assert states(station, ("tape.closed", pause))[1] == ("ACTIVE", "PAUSED", "NONE")


def test_a7_media_subtype_and_file_role_of_a_station_recording(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    with sqlite_site.world.database.transaction() as session:
        row = session.get_one(Recording, recording_id)
        row.kind, row.media_subtype = "station", "Station"
    api = sdk.RecordingApi(sqlite_site.sdk())
    (found,) = api.get_conversation_recordings(conversation_id)
    assert (found.media_subtype, found.recording_file_role) == ("Station", "CUSTOMER_EXPERIENCE")
    (found,) = api.get_conversation_recordingmetadata(conversation_id)
    assert found.media_subtype == "Station"
    assert sdk.UserRecordingsApi(sqlite_site.sdk("agent")).get_userrecordings().entities == []


def test_a7_a_phone_trunk_of_a_site_reaches_the_phones_of_that_site(sqlite_site):
    http = sqlite_site.http("client")
    edges = "/api/v2/telephony/providers/edges"
    (main,) = [item["id"] for item in http.get(f"{edges}/sites").json()["entities"]]
    berlin = http.post(f"{edges}/sites", json={"name": "Berlin"}).json()["id"]
    for name, site_id in (("Ada", main), ("Bob", berlin)):
        made = http.post(f"{edges}/phones", json={"name": name, "site": {"id": site_id}, "lines": [{"name": name}]})
        assert made.status_code == 200, made.text
    template = f"{edges}/trunkbasesettings/template?trunkMetabaseId=phone_connections_cdm.json"
    base = {**http.get(template).json(), "name": "Phones", "site": {"id": berlin}}
    base["properties"]["trunk_recording_enabled"] = {"value": {"instance": True}}
    made = http.post(f"{edges}/trunkbasesettings", json=base)
    assert made.json()["trunkType"] == "PHONE", made.text
    assert recording(sqlite_site) == {"Ada": False, "Bob": True}
    other = {**made.json(), "site": {"id": main}}
    assert http.put(f"{edges}/trunkbasesettings/{made.json()['id']}", json=other).status_code == 200
    assert recording(sqlite_site) == {"Ada": True, "Bob": False}
    counts = http.get(f"{edges}/trunkswithrecording", params={"trunkType": "PHONE"}).json()
    assert (counts["enabledCount"], counts["disabledCount"]) == (1, 0)


def recording(site):
    """Station -> whether its calls are recorded, as the edge gets it."""
    with site.world.database.reading() as session:
        return {item.name: item.recording is not None for item in snapshot.build(session, None).stations}

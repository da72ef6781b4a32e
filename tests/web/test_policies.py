"""Media retention policies: through the vendor's SDK, and what it cannot say by plain HTTP."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import audit
from earwitness.store.tables import RetentionPolicy

PATH = "/api/v2/recording/mediaretentionpolicies"
DAYS = {"retainRecording": True, "retentionDuration": {"deleteRetention": {"days": 30}}}


def model(kind, **fields):
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(call, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return caught.value.status


def make(site, **body):
    reply = site.http().post(PATH, json={"name": "P", "enabled": True, **body})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_policy_lives(site):
    api = sdk.RecordingApi(site.sdk())
    queue = sdk.RoutingApi(site.sdk()).post_routing_queues(model("CreateQueueRequest", name="Sales"))
    conditions = model("CallMediaPolicyConditions", for_queues=[model("Queue", id=queue.id)], directions=["INBOUND"])
    duration = model(
        "RetentionDuration",
        archive_retention=model("ArchiveRetention", days=10, storage_medium="CLOUDARCHIVE"),
        delete_retention=model("DeleteRetention", days=100),
    )
    actions = model("PolicyActions", retain_recording=True, retention_duration=duration)
    call = model("CallMediaPolicy", conditions=conditions, actions=actions)
    body = model("PolicyCreate", name="Keep sales", order=1, media_policies=model("MediaPolicies", call_policy=call))
    made = api.post_recording_mediaretentionpolicies(body)
    assert (made.name, made.order, made.enabled, made.policy_errors) == ("Keep sales", 1, False, None)
    assert made.media_policies.call_policy.actions.retention_duration.delete_retention.days == 100
    assert made.media_policies.call_policy.conditions.for_queues[0].id == queue.id
    # F4: PATCH changes the one field.
    enabled = api.patch_recording_mediaretentionpolicy(made.id, model("PolicyUpdate", enabled=True))
    assert (enabled.enabled, enabled.name) == (True, "Keep sales")
    # GET, change, PUT: what the server sets comes back and is ignored.
    policy = api.get_recording_mediaretentionpolicy(made.id)
    policy.description = "for a while"
    policy.media_policies.call_policy.actions.retention_duration.delete_retention.days = 200
    changed = api.put_recording_mediaretentionpolicy(made.id, policy)
    assert changed.description == "for a while"
    assert changed.media_policies.call_policy.actions.retention_duration.delete_retention.days == 200
    other = api.post_recording_mediaretentionpolicies(model("PolicyCreate", name="Other"))
    third = api.post_recording_mediaretentionpolicies(model("PolicyCreate", name="Third"))
    assert [item.name for item in api.get_recording_mediaretentionpolicies().entities] == [
        "Keep sales", "Other", "Third",
    ]  # fmt: skip
    api.delete_recording_mediaretentionpolicies(f"{other.id},{third.id},unknown")
    api.delete_recording_mediaretentionpolicies(f"{other.id},{third.id}")
    assert api.get_recording_mediaretentionpolicies().total == 1
    api.delete_recording_mediaretentionpolicy(made.id)
    api.delete_recording_mediaretentionpolicy(made.id)
    assert refused(api.get_recording_mediaretentionpolicy, made.id) == 404
    assert refused(api.delete_recording_mediaretentionpolicy, "unknown") == 404
    assert refused(api.put_recording_mediaretentionpolicy, made.id, policy) == 404
    with site.world.database.reading() as session:
        kinds = [row.action for row in audit.listing(session, entity_id=made.id).items]
    assert kinds == ["delete", "change", "change", "create"]


def test_f5_both_forms_come_back_as_they_were_given(sqlite_site):
    block = {
        "conditions": {
            "forUsers": [{"id": "u1", "name": "Ann"}],
            "dateRanges": ["2022-05-12T04:00:00.000Z/2022-05-13T04:00:00.000Z"],
            "timeAllowed": {
                "timeSlots": [{"startTime": "10:10:10.010", "stopTime": "11:11:11.011", "day": 3}],
                "timeZoneId": "Europe/Paris",
                "empty": False,
            },
            "duration": {"durationTarget": "DURATION_RANGE", "durationMode": "Between", "durationRange": "PT1M/PT5M"},
            "directions": ["INBOUND"],
        },
        "actions": {
            "retainRecording": True,
            "deleteRecording": False,
            "alwaysDelete": False,
            "assignEvaluations": [{"evaluationForm": {"id": "f"}, "user": {"id": "eve"}}],
            "assignMeteredEvaluations": [
                {"evaluationContextId": "", "evaluators": [{"id": "eve"}], "maxNumberEvaluations": 1,
                 "evaluationForm": {"id": "f"}, "assignToActiveUser": True,
                 "timeInterval": {"months": 1, "weeks": 1, "days": 1, "hours": 1}}
            ],
            "assignMeteredAssignmentByAgent": [
                {"evaluators": [{"id": "eve"}], "maxNumberEvaluations": 1, "evaluationForm": {"id": "f"},
                 "timeInterval": {"weeks": 1}, "timeZone": "EST"}
            ],
            "assignCalibrations": [
                {"calibrator": {"id": "eve"}, "evaluators": [{"id": "eve"}], "evaluationForm": {"id": "f"},
                 "expertEvaluator": {"id": "eve"}}
            ],
            "assignSurveys": [{"sendingDomain": "example.com", "surveyForm": {"name": "S"}}],
            "retentionDuration": {"archiveRetention": {"days": 1, "storageMedium": "CLOUDARCHIVE"},
                                  "deleteRetention": {"days": 3}},
            "initiateScreenRecording": {"recordACW": True, "deleteRetention": {"days": 3}},
            "integrationExport": {"integration": {"id": "s3"}, "shouldExportScreenRecordings": True},
        },
    }  # fmt: skip
    media = {"callPolicy": block, "chatPolicy": {"actions": {"retainRecording": True}}}
    new = make(sqlite_site, mediaPolicies=media)
    assert new["mediaPolicies"] == media
    assert "conditions" not in new
    old = make(sqlite_site, conditions={**block["conditions"], "mediaTypes": ["CALL"]}, actions=block["actions"])
    assert (old["conditions"]["mediaTypes"], old["actions"]) == (["CALL"], block["actions"])
    assert "mediaPolicies" not in old
    api = sdk.RecordingApi(sqlite_site.sdk())
    again = api.put_recording_mediaretentionpolicy(new["id"], api.get_recording_mediaretentionpolicy(new["id"]))
    assert again.media_policies.call_policy.actions.assign_metered_assignment_by_agent[0].time_zone == "EST"
    stored = sqlite_site.http().get(f"{PATH}/{new['id']}").json()
    assert stored["mediaPolicies"]["callPolicy"]["conditions"] == block["conditions"]
    # Absent stays, null goes (S14).
    partly = sqlite_site.http().put(f"{PATH}/{old['id']}", json={"conditions": None, "order": 7}).json()
    assert "conditions" not in partly
    assert (partly["order"], partly["actions"]) == (7, block["actions"])


def enabled_at(site, policy_id):
    with site.world.database.reading() as session:
        return session.get(RetentionPolicy, policy_id).enabled_at


def test_f1_f2_what_is_said_anew_is_said_from_now_on(sqlite_site):
    made = make(sqlite_site, actions=DAYS)
    http, path = sqlite_site.http(), f"{PATH}/{made['id']}"
    first = enabled_at(sqlite_site, made["id"])
    for same in ({"name": "Q", "order": 3, "description": "d"}, {"actions": DAYS}, {"enabled": True}):
        assert http.put(path, json=same).status_code == 200
    assert http.patch(path, json={"enabled": True}).status_code == 200
    assert enabled_at(sqlite_site, made["id"]) == first
    http.put(path, json={"actions": {"retainRecording": True}})
    second = enabled_at(sqlite_site, made["id"])
    assert second > first
    http.patch(path, json={"enabled": False})
    assert enabled_at(sqlite_site, made["id"]) == second
    assert http.patch(path, json={"enabled": True}).json()["enabledDate"]
    assert enabled_at(sqlite_site, made["id"]) > second


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"order": -1}, "order"),
        ({"order": "first"}, "order"),
        ({"enabled": "yes"}, "enabled"),
        ({"mediaPolicies": []}, "mediaPolicies"),
        ({"actions": {"retentionDuration": {"deleteRetention": {"days": -1}}}},
         "actions.retentionDuration.deleteRetention.days"),
        ({"mediaPolicies": {"callPolicy": {"actions": {"retentionDuration": {
            "archiveRetention": {"days": 31}, "deleteRetention": {"days": 30}}}}}},
         "mediaPolicies.callPolicy.actions.retentionDuration.archiveRetention.days"),
        ({"conditions": {"dateRanges": ["2026-02-01/2026-01-01"]}}, "conditions.dateRanges"),
        ({"conditions": {"directions": ["outdated_sdk_version"]}}, "conditions.directions"),
        ({"mediaPolicies": {"chatPolicy": {"actions": {"retainRecording": 7}}}},
         "mediaPolicies.chatPolicy.actions.retainRecording"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_and_name_their_field(lasting_site, body, field):
    reply = lasting_site.http().post(PATH, json={"name": "P", **body})
    assert reply.status_code == 400, reply.text
    assert reply.json()["details"][0]["fieldName"] == field
    made = make(lasting_site, actions=DAYS)
    reply = lasting_site.http().put(f"{PATH}/{made['id']}", json=body)
    assert reply.status_code == 400, reply.text
    assert lasting_site.http().get(f"{PATH}/{made['id']}").json()["actions"] == DAYS


def test_more_that_is_refused(lasting_site):
    http = lasting_site.http()
    assert http.post(PATH, json={}).status_code == 400
    assert http.post(PATH, content=b"null", headers={"Content-Type": "application/json"}).status_code == 400
    made = make(lasting_site)
    assert http.patch(f"{PATH}/{made['id']}", json={}).status_code == 400
    assert http.patch(f"{PATH}/{made['id']}", json={"enabled": None}).status_code == 400
    assert http.delete(PATH).status_code == 400
    assert http.get(PATH, params={"sortBy": "colour"}).status_code == 400
    large = {"forUsers": [{"id": "u" * 90} for _ in range(20_000)]}
    assert http.post(PATH, json={"name": "P", "conditions": large}).status_code in (400, 413)
    assert lasting_site.http("supervisor").get(PATH).status_code == 403


def test_f17_what_is_not_there_shows_in_policy_errors(site):
    http = site.http()
    queue = http.post("/api/v2/routing/queues", json={"name": "Sales"}).json()["id"]
    export = {"integrationExport": {"integration": {"id": "gone"}}}
    fine = make(site, name="Fine", conditions={"forQueues": [{"id": queue}]}, actions=DAYS)
    wrong = make(site, name="Wrong", conditions={"forUsers": [{"id": "nobody"}]}, actions=export)
    assert "policyErrors" not in fine
    messages = wrong["policyErrors"]["policyErrorMessages"]
    assert [item["userMessage"] for item in messages] == ["There is no user nobody.", "There is no integration gone."]
    assert messages[0]["userParams"] == [{"key": "type", "value": "user"}, {"key": "id", "value": "nobody"}]
    http.delete(f"/api/v2/routing/queues/{queue}")
    now = http.get(f"{PATH}/{fine['id']}").json()
    assert now["policyErrors"]["policyErrorMessages"][0]["errorCode"] == "reference.broken"
    survey = make(site, name="Survey", actions={"assignSurveys": [{"sendingDomain": "x"}]})
    assert survey["policyErrors"]["policyErrorMessages"][0]["errorCode"] == "action.unsupported"
    good = make(site, name="Good")
    assert [item["id"] for item in http.get(PATH, params={"hasErrors": "false"}).json()["entities"]] == [good["id"]]
    found = sdk.RecordingApi(site.sdk()).get_recording_mediaretentionpolicies(has_errors=True)
    assert {item.name for item in found.entities} == {"Fine", "Wrong", "Survey"}
    assert found.entities[0].policy_errors.policy_error_messages[0].user_message.startswith("There is no")


def test_f18_lists_are_filtered(sqlite_site):
    for name, days, enabled in (("Alpha", 10, True), ("Beta", 90, False), ("Gamma", 365, True)):
        actions = {"retentionDuration": {"deleteRetention": {"days": days}}}
        form = {"actions": actions} if name == "Beta" else {"mediaPolicies": {"callPolicy": {"actions": actions}}}
        make(sqlite_site, name=name, enabled=enabled, **form)
    make(sqlite_site, name="Keep", mediaPolicies={"emailPolicy": {"actions": {"retentionDuration": {
        "deleteRetention": {"days": 1000}}}}})  # fmt: skip
    api = sdk.RecordingApi(sqlite_site.sdk())

    def names(**query):
        return [item.name for item in api.get_recording_mediaretentionpolicies(**query).entities]

    assert names(name="ALPH") == ["Alpha"]
    assert names(enabled=True) == ["Alpha", "Gamma", "Keep"]
    assert names(enabled=False) == ["Beta"]
    assert names(delete_days_threshold=90) == ["Gamma", "Keep"]
    assert names(delete_days_threshold=89, enabled=False) == ["Beta"]
    assert names(page_size=2, page_number=2) == ["Gamma", "Keep"]
    assert names(page_size=1, page_number=2, delete_days_threshold=90) == ["Keep"]
    assert names(sort_by="name") == ["Alpha", "Beta", "Gamma", "Keep"]
    short = api.get_recording_mediaretentionpolicies(summary=True).entities[0]
    assert (short.name, short.enabled, short.media_policies) == ("Alpha", True, None)


def test_c2_w2_settings_of_the_organisation(sqlite_site):
    http, path = sqlite_site.http(), "/api/v2/earwitness/policies/settings"
    assert http.get(path).json() == {"consentShieldsFromDeletion": False, "keepBeatsDays": False}
    changed = http.put(path, json={"keepBeatsDays": True}).json()
    assert changed == {"consentShieldsFromDeletion": False, "keepBeatsDays": True}
    assert http.get(path).json() == changed
    assert http.put(path, json={"keepBeatsDays": "often"}).status_code == 400
    assert sqlite_site.http("agent").put(path, json={}).status_code == 403
    with sqlite_site.world.database.reading() as session:
        assert audit.listing(session, entity_type="policySettings").total == 1


def test_cross_platform_policies_are_apart(sqlite_site):
    api, http = sdk.RecordingApi(sqlite_site.sdk()), sqlite_site.http()
    cross = PATH.replace("recording/", "recording/crossplatform/")
    made = api.post_recording_crossplatform_mediaretentionpolicies(
        model(
            "CrossPlatformPolicyCreate", name="Theirs", actions=model("CrossPlatformPolicyActions", always_delete=True)
        )
    )
    assert (made.name, made.enabled, made.actions.always_delete) == ("Theirs", False, True)
    own = make(sqlite_site, name="Ours")
    assert [item.name for item in api.get_recording_crossplatform_mediaretentionpolicies().entities] == ["Theirs"]
    assert [item.name for item in api.get_recording_mediaretentionpolicies().entities] == ["Ours"]
    assert refused(api.get_recording_mediaretentionpolicy, made.id) == 404
    assert refused(api.get_recording_crossplatform_mediaretentionpolicy, own["id"]) == 404
    assert http.get(f"{cross}/{made.id}").json()["selfUri"] == f"{cross}/{made.id}"
    update = model("CrossPlatformPolicyUpdate", enabled=True)
    assert api.patch_recording_crossplatform_mediaretentionpolicy(made.id, update).enabled
    changed = api.get_recording_crossplatform_mediaretentionpolicy(made.id)
    changed.description = "changed"
    assert api.put_recording_crossplatform_mediaretentionpolicy(made.id, changed).description == "changed"
    api.delete_recording_crossplatform_mediaretentionpolicies(f"{made.id},{own['id']}")
    assert refused(api.delete_recording_crossplatform_mediaretentionpolicy, own["id"]) == 404
    assert api.get_recording_mediaretentionpolicy(own["id"]).name == "Ours"
    assert http.delete(f"{cross}/{made.id}").status_code == 204

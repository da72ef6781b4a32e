"""Audit queries through the vendor's SDK (J16)."""

from __future__ import annotations

from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store.tables import AuditEntry

DAY_US = 24 * 3600 * 1_000_000


def model(kind: str, **fields: Any) -> Any:
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(call: Any, *arguments: Any, **more: Any) -> int:
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return int(caught.value.status)


def filters(**values: str) -> list[Any]:
    return [model("AuditQueryFilter", pcProperty=key, value=value) for key, value in values.items()]


@pytest.fixture
def history(site: Any, recorded: Any) -> tuple[Any, str, str]:
    """Two weeks of entries, the last of them about a call."""
    conversation_id, recording_id = recorded.store_call(site)
    world, clock = site.world, site.app.state.services.clock
    object.__setattr__(clock, "now_us", lambda: recorded.START + 60_000_000)
    with world.database.transaction() as session:
        for days in range(30):
            session.add(AuditEntry(at=recorded.START - days * DAY_US, subject_type="user", entity_type="queue",
                                   subject_id=world.users["admin"], action="change", entity_id=f"q{days}",
                                   remote_address="127.0.0.1", result="allowed",
                                   detail={"before": {"name": "A"}, "after": {"name": "B"}}))  # fmt: skip
    site.http("supervisor").get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}")
    return site, conversation_id, recording_id


ALL = "2020-01-01T00:00:00Z/2030-01-01T00:00:00Z"


def test_j16_the_audit_log_is_asked_in_two_steps(history):
    site, conversation_id, recording_id = history
    api = sdk.AuditApi(site.sdk())
    asked = api.post_audits_query(model("AuditQueryRequest", interval=ALL, service_name="ContactCenter"))
    assert (asked.state, asked.service_name, asked.interval) == ("Succeeded", "ContactCenter", ALL)
    assert api.get_audits_query_transaction_id(asked.id).id == asked.id
    first = api.get_audits_query_transaction_id_results(asked.id, page_size=20)
    second = api.get_audits_query_transaction_id_results(asked.id, page_size=20, cursor=first.cursor)
    assert (len(first.entities), len(second.entities), second.cursor) == (20, 10, None)
    ids = [item.entity.id for item in (*first.entities, *second.entities)]
    assert ids == [f"q{days}" for days in range(30)]
    entry = first.entities[0]
    assert (entry.action, entry.entity_type, entry.service_name, entry.status, entry.level) == (
        "change", "queue", "ContactCenter", "SUCCESS", "USER",
    )  # fmt: skip
    assert (entry.user.id, entry.user.name, entry.remote_ip) == (site.world.users["admin"], "Admin", ["127.0.0.1"])
    (change,) = entry.property_changes
    assert (change.old_values, change.new_values) == (["A"], ["B"])
    upwards = model("AuditQueryRequest", interval=ALL, sort=[model("AuditQuerySort", sort_order="ascending")],
                    filters=filters(EntityType="queue", EntityId="q3"))  # fmt: skip
    found = api.get_audits_query_transaction_id_results(api.post_audits_query(upwards).id)
    assert [item.entity.id for item in found.entities] == ["q3"]
    by = model("AuditQueryRequest", interval=ALL, filters=filters(UserId=site.world.users["supervisor"]))
    found = api.get_audits_query_transaction_id_results(api.post_audits_query(by).id)
    assert [(item.action, item.entity.id) for item in found.entities] == [("viewRecording", recording_id)]
    assert found.entities[0].context["conversationId"] == conversation_id
    for bad in ("yesterday", "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", None):
        assert refused(api.post_audits_query, model("AuditQueryRequest", interval=bad)) == 400
    assert refused(api.post_audits_query, model("AuditQueryRequest", interval=ALL, service_name="Nothing")) == 400
    assert refused(api.get_audits_query_transaction_id, "unknown") == 404
    assert refused(api.get_audits_query_transaction_id_results, asked.id, cursor="!") == 400
    assert site.http("admin").get(f"/api/v2/audits/query/{asked.id}").status_code == 404  # asked by somebody else
    assert site.http("supervisor").post("/api/v2/audits/query", json={"interval": ALL}).status_code == 403


def test_j16_at_once_for_fourteen_days(history):
    site, _, _ = history
    api = sdk.AuditApi(site.sdk())
    lately = f"{day(site, 13)}/{day(site, -1)}"
    request = model(
        "AuditRealtimeQueryRequest", interval=lately, service_name="ContactCenter", page_size=5, page_number=3
    )
    found = api.post_audits_query_realtime(request)
    assert (found.total, found.page_count, len(found.entities)) == (13, 3, 3)
    request = model("AuditRealtimeQueryRequest", interval=f"{day(site, 15)}/{day(site, -1)}")
    assert refused(api.post_audits_query_realtime, request) == 400
    related = api.post_audits_query_realtime_related(
        model("AuditRealtimeRelatedRequest", audit_id=found.entities[0].id)
    )
    assert [item.id for item in related.entities] == [found.entities[0].id]
    unknown = model("AuditRealtimeRelatedRequest", audit_id="99999999")
    assert refused(api.post_audits_query_realtime_related, unknown) == 404
    for mapping in (api.get_audits_query_servicemapping(), api.get_audits_query_realtime_servicemapping()):
        services = {item.name: {kind.name: kind.actions for kind in item.entities} for item in mapping.services}
        assert "viewRecording" in services["Recording"]["recording"]


def day(site: Any, back: int) -> str:
    from earwitness.web.kernel.documents import date_text

    return date_text(site.app.state.services.clock.now_us() - back * DAY_US)


def test_audits_of_conversations_reach_as_far_as_the_right(history, recorded):
    site, conversation_id, recording_id = history
    world = site.world
    elsewhere, other_id = recorded.store_call(site, user="admin", divisions=[world.home])
    inbox, own_id = recorded.store_call(site, role="ADHOC")
    for call, recording in ((elsewhere, other_id), (inbox, own_id)):
        site.http("admin").get(f"/api/v2/conversations/{call}/recordings/{recording}")
    site.http("agent").get(f"/api/v2/conversations/{inbox}/recordings/{own_id}")
    http, path = site.http("supervisor"), "/api/v2/quality/conversations/audits/query"

    def ask(**more: Any) -> list[Any]:
        asked = http.post(path, json={"interval": ALL, **more}).json()
        assert http.get(f"{path}/{asked['id']}").json()["state"] == "Succeeded"
        return list(http.get(f"{path}/{asked['id']}/results").json()["entities"])

    (entry,) = ask()
    assert (entry["entity"]["id"], entry["action"], entry["entityType"], entry["status"]) == (
        recording_id, "Read", "Recording", "Success",
    )  # fmt: skip
    assert ask(filters=[{"property": "Action", "value": "Delete"}]) == []
    assert len(ask(filters=[{"property": "Action", "value": "Read"}])) == 1
    assert len(ask(filters=[{"property": "ConversationId", "value": conversation_id}])) == 1
    assert ask(filters=[{"property": "ServiceName", "value": "QualityService"}]) == []
    api = sdk.QualityApi(site.sdk())
    made = api.post_quality_conversations_audits_query(model("QMAuditQueryRequest", interval=ALL))
    assert api.get_quality_conversations_audits_query_transaction_id(made.id).state == "Succeeded"
    found = api.get_quality_conversations_audits_query_transaction_id_results(made.id)
    assert {item.entity.id for item in found.entities} == {recording_id, other_id}
    assert refused(api.get_quality_conversations_audits_query_transaction_id, "unknown") == 404
    assert site.http("agent").post(path, json={"interval": ALL}).status_code == 403

"""Searching conversations, their details, and jobs: what is found for whom, and what is refused."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813

PATH = "/api/v2/earwitness/conversations/search"
DETAILS = "/api/v2/analytics/conversations"
INTERVAL = "2026-11-01T00:00:00Z/2026-12-31T00:00:00Z"


def found(http, **body):
    reply = http.post(PATH, json=body)
    assert reply.status_code == 200, reply.text
    return [item["id"] for item in reply.json()["entities"]]


def test_what_is_found_and_for_whom(site, recorded):
    world = site.world
    one, _ = recorded.store_call(site)
    two, _ = recorded.store_call(site, user="admin", divisions=[world.home])
    inbox, _ = recorded.store_call(site, role="ADHOC")
    both = sorted([one, inbox], reverse=True)
    assert found(site.http("admin")) == sorted([one, two, inbox], reverse=True)
    assert found(site.http("supervisor")) == both
    assert found(site.http("agent")) == both
    assert found(site.http("nobody")) == []
    http = site.http("supervisor")
    item = http.post(PATH, json={"number": "030 111"}).json()["entities"]
    assert item == []  # too short a number to have another spelling
    item = http.post(PATH, json={"number": "+49 (30) 111", "userIds": [world.users["agent"]]}).json()["entities"][0]
    assert (item["ani"], item["durationMs"], item["recordingState"]) == ("+4930111", 3000, "RECORDED")
    assert {(p["purpose"], p.get("name")) for p in item["participants"]} == {("external", "Caller"), ("user", "Agent")}
    assert [division["name"] for division in item["divisions"]] == ["Sales"]
    assert item["reasons"]
    assert item["reasons"][0]["row"] == "trunk"
    assert found(http, text="call age", directions=["INBOUND"], minDurationMs=2999, maxDurationMs=3001) == both
    assert found(http, recordingStates=["NONE"]) == []
    assert found(http, divisionIds=[world.home]) == []
    assert found(http, startTime="2026-11-01T00:00:00Z", endTime="2100-01-01") == both
    assert found(http, startTime="2100-01-01") == []
    assert found(http, evaluationStates=["NONE"]) == both
    assert http.post(PATH + "/count", json={"text": "caller"}).json() == {"total": 2, "exact": True}
    first = http.get(PATH, params={"pageSize": 1, "text": "caller"}).json()
    second = http.get(PATH, params={"pageSize": 1, "text": "caller", "cursor": first["nextCursor"]}).json()
    assert [first["entities"][0]["id"], second["entities"][0]["id"], second.get("nextCursor")] == [*both, None]
    assert found(http, sortOrder="ascending") == both[::-1]


def test_searches_that_cannot_be_carried_out(sqlite_site):
    http = sqlite_site.http()
    for body in (
        {"number": "12"}, {"number": "nobody"}, {"startTime": "yesterday"}, {"directions": ["sideways"]},
        {"cursor": "x"}, {"cursor": "WzEsMV0"}, {"pageSize": 0}, {"userIds": "u"}, {"userIds": ["u"] * 51},
        {"minDurationMs": -1}, {"evaluationStates": ["GOOD"]},
    ):  # fmt: skip
        reply = http.post(PATH, json=body)
        assert reply.status_code == 400, body
    assert sqlite_site.http("nobody").post(PATH, json={"evaluationStates": ["PENDING"]}).status_code == 403
    assert sqlite_site.http("agent").post(PATH, json={"verdicts": ["KEEP"]}).status_code == 403
    assert found(http, text="%_ ' \" \\") == []


def model(kind, **fields):
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def predicate(kind, dimension, value=None, operator="matches"):
    return model(kind, type="dimension", dimension=dimension, operator=operator, value=value)


def test_details_by_id_and_by_query(site, recorded):
    world = site.world
    one, _ = recorded.store_call(site)
    recorded.store_call(site, user="admin", divisions=[world.home])
    api = sdk.AnalyticsApi(site.sdk("supervisor"))
    detail = api.get_analytics_conversation_details(one)
    assert (detail.conversation_id, detail.originating_direction, detail.division_ids) == (
        one,
        "inbound",
        [world.sales],
    )
    caller, agent = detail.participants
    assert (caller.purpose, agent.user_id, agent.sessions[0].segments[0].segment_type) == (
        "external", world.users["agent"], "interact",
    )  # fmt: skip
    assert {metric.name: metric.value for metric in agent.sessions[0].metrics} == {"tTalk": 2000}
    assert caller.sessions[0].recording is True
    assert [item.conversation_id for item in api.get_analytics_conversations_details(id=[one, "x"]).conversations] == [
        one
    ]
    body = model(
        "ConversationQuery", interval=INTERVAL, order="desc", paging=model("PagingSpec", page_size=10, page_number=1),
        segment_filters=[model("SegmentDetailQueryFilter", type="or", predicates=[
            predicate("SegmentDetailQueryPredicate", "userId", world.users["agent"]),
            predicate("SegmentDetailQueryPredicate", "userId", world.users["admin"])])],
        conversation_filters=[model("ConversationDetailQueryFilter", type="and", predicates=[
            predicate("ConversationDetailQueryPredicate", "originatingDirection", "inbound")])],
    )  # fmt: skip
    reply = api.post_analytics_conversations_details_query(body)
    assert ([item.conversation_id for item in reply.conversations], reply.total_hits) == ([one], 1)
    job = sdk.AnalyticsApi(site.sdk()).post_analytics_conversations_details_jobs(
        model("AsyncConversationQuery", interval=INTERVAL, segment_filters=body.segment_filters, order="asc")
    )
    mine = sdk.AnalyticsApi(site.sdk())
    assert mine.get_analytics_conversations_details_job(job.job_id).state == "FULFILLED"
    first = mine.get_analytics_conversations_details_job_results(job.job_id, page_size=1)
    second = mine.get_analytics_conversations_details_job_results(job.job_id, page_size=1, cursor=first.cursor)
    assert (len(first.conversations), len(second.conversations), second.cursor) == (1, 1, None)
    http = site.http("supervisor")
    assert http.get(f"{DETAILS}/details/jobs/{job.job_id}/results").status_code == 404
    mine.delete_analytics_conversations_details_job(job.job_id)
    assert site.http("client").get(f"{DETAILS}/details/jobs/{job.job_id}").status_code == 404
    assert mine.get_analytics_conversations_details_jobs_availability().data_availability_date


def test_each_dimension_of_a_query(sqlite_site, recorded):
    world, http = sqlite_site.world, sqlite_site.http()
    one, _ = recorded.store_call(sqlite_site)

    def hits(group, name, value=None, operator="matches", **more):
        filter_ = {"type": "and", "predicates": [{"dimension": name, "operator": operator, "value": value, **more}]}
        reply = http.post(f"{DETAILS}/details/query", json={"interval": INTERVAL, group: [filter_]})
        assert reply.status_code == 200, (name, reply.text)
        return reply.json()["totalHits"]

    for name, value in (
        ("conversationId", one), ("divisionId", world.sales), ("originatingDirection", "inbound"),
        ("customerParticipation", "true"), ("conversationStart", INTERVAL), ("conversationEnd", INTERVAL),
    ):  # fmt: skip
        assert hits("conversationFilters", name, value) == 1, name
    for name, value in (
        ("userId", world.users["agent"]), ("purpose", "user"), ("participantName", "Agent"), ("ani", "+4930111"),
        ("dnis", "+4930222"), ("remote", "+4930111"), ("mediaType", "voice"), ("recording", "true"),
        ("direction", "inbound"), ("addressFrom", "+4930111"), ("addressTo", "+4930222"),
    ):  # fmt: skip
        assert hits("segmentFilters", name, value) == 1, name
        assert hits("segmentFilters", name, operator="exists") == 1, name
    for name, value in (("ani", "+4930222"), ("queueId", "q"), ("teamId", "t"), ("wrapUpCode", "w"), ("flowId", "f"),
                        ("edgeId", "e"), ("mediaType", "email"), ("recording", "false")):  # fmt: skip
        assert hits("segmentFilters", name, value) == 0, name
    for name in ("queueId", "teamId", "wrapUpCode"):
        assert hits("segmentFilters", name, operator="notExists") == 1
    assert hits("evaluationFilters", "evaluationStatus", "Finished") == 0
    for low, expected in ((2999, 1), (3001, 0)):
        metric = {"dimension": None, "metric": "tConversationDuration", "range": {"gte": low, "lt": 1e9}}
        filter_ = {"type": "and", "clauses": [{"type": "or", "predicates": [metric]}]}
        reply = http.post(f"{DETAILS}/details/query", json={"interval": INTERVAL, "conversationFilters": [filter_]})
        assert reply.json()["totalHits"] == expected


def test_queries_that_cannot_be_carried_out(sqlite_site):
    http = sqlite_site.http()

    def refused(**body):
        reply = http.post(f"{DETAILS}/details/query", json={"interval": INTERVAL, **body})
        assert reply.status_code == 400, body
        return reply.json()["message"]

    assert "interval" in refused(interval="2026-12-01/2026-11-01")
    assert "interval" in refused(interval="soon/later")
    assert "interval" in refused(interval=None)
    one = {"type": "and", "predicates": [{"dimension": "journeyActionId", "value": "x"}]}
    assert "journeyActionId" in refused(segmentFilters=[one])
    refused(surveyFilters=[one])
    refused(segmentFilters=["x"])
    refused(segmentFilters=[{"type": "xor", "predicates": []}])
    refused(segmentFilters=[{"type": "or", "predicates": [{"dimension": "userId", "value": 7}]}])
    refused(segmentFilters=[{"type": "or", "predicates": [{"dimension": "userId", "operator": "like", "value": "7"}]}])
    refused(conversationFilters=[{"predicates": [{"metric": "tConversationDuration", "range": {"gt": "x"}}]}])
    refused(conversationFilters=[{"predicates": [{"dimension": "customerParticipation", "value": "maybe"}]}])
    refused(orderBy="conversationEnd")
    refused(aggregations=[{"type": "termFrequency"}])
    refused(paging={"pageSize": 101})
    refused(paging={"pageSize": 100, "pageNumber": 101})
    assert http.get(f"{DETAILS}/nothing/details").status_code == 404
    assert http.get(f"{DETAILS}/details").status_code == 400
    assert http.post(f"{DETAILS}/details/jobs", json={}).status_code == 400
    assert http.get(f"{DETAILS}/details/jobs/x").status_code == 404
    assert sqlite_site.http("nobody").get(f"{DETAILS}/details?id=x").status_code == 403

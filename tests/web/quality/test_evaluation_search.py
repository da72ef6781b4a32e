"""Search and aggregates over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from quality_desk import answers, field

SEARCH = "/api/v2/quality/evaluations/search"
SUMS = "/api/v2/analytics/evaluations/aggregates/query"
MINE = "/api/v2/quality/evaluations/aggregates/query/me"


def text(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def lately() -> dict[str, str]:
    return {"type": "DATE_RANGE", "field": "createdDate", "startValue": text(-1), "endValue": text(1)}


def test_search_and_sums(desk):
    first, second, third = (desk.make(number=n) for n in range(3))
    desk.finish(first, 0, None, 0)
    desk.finish(second, 1, 0, 1)
    desk.release(first)
    ask = lambda *query, **more: desk.admin.post(SEARCH, json={"query": [lately(), *query], **more}).json()  # noqa: E731
    found = lambda *query, **more: [item["id"] for item in ask(*query, **more)["results"]]  # noqa: E731
    assert found(sortOrder="ASC", sortBy="createdDate") == [first["id"], second["id"], third["id"]]
    assert found(pageSize=1, pageNumber=2, sortOrder="ASC") == [second["id"]]
    assert found({"field": "evaluationStatus", "value": "pending"}) == [third["id"]]
    assert found({"field": "agentId", "values": ["none"]}) == []
    assert set(found({"field": "released", "value": "true", "operator": "NOT"})) == {second["id"], third["id"]}
    assert found({"type": "GREATER_THAN", "field": "totalScore", "value": "50"}) == [first["id"]]
    price = desk.form["questionGroups"][1]["questions"][0]["id"]
    failed = [{"field": "questionId", "value": price}, {"field": "failedKillQuestion", "value": "true"}]
    assert found(*failed) == [second["id"]]
    assert found(systemSubmitted=True) == []
    mean = {"name": "mean", "field": "totalScore", "type": "AVERAGE"}
    sums = ask(aggregations=[{"name": "by", "field": "evaluationStatus", "type": "TERM", "subAggregations": [mean]}])
    buckets = {item["key"]: item for item in sums["aggregations"]["by"]["buckets"]}
    assert buckets["FINISHED"]["subAggregations"]["mean"]["value"] == 50
    assert buckets["PENDING"]["documentCount"] == 1
    assert sums["results"] == []


def test_search_is_refused_where_it_makes_no_sense(one_desk):
    desk = one_desk
    post = lambda *query, **more: desk.admin.post(SEARCH, json={"query": [lately(), *query], **more})  # noqa: E731
    assert field(desk.admin.post(SEARCH, json={})) == "query"
    long = {**lately(), "startValue": text(-200)}
    assert field(desk.admin.post(SEARCH, json={"query": [long]})) == "query"
    assert field(desk.admin.post(SEARCH, json={"query": [{**lately(), "endValue": "soon"}]})) == "query.0.endValue"
    assert field(post({"field": "colour", "value": "x"})) == "query.1.field"
    assert field(post({"field": "agentId"})) == "query.1.value"
    assert field(post({"type": "RANGE", "field": "agentId"})) == "query.1.type"
    assert field(post({"type": "LESS_THAN", "field": "totalScore", "value": "x"})) == "query.1.value"
    assert field(post(aggregations=[{"field": "agentId", "type": "TERM"}])) == "aggregations.0.name"
    wrong = {"name": "n", "field": "agentId", "type": "SUM"}
    assert field(post(aggregations=[wrong])) == "aggregations.0.type"
    assert field(post(aggregations=[{**wrong, "type": "TERM"}], pageSize=5)) == "pageSize"
    assert desk.agent.post(SEARCH, json={"query": [lately()]}).status_code == 403


def test_aggregates(desk):
    first, second = (desk.make(number=n) for n in range(2))
    desk.finish(first, 0, None, 0)
    desk.release(first)
    desk.put(desk.evaluator, second, answers=answers(desk.form, 1))
    interval = f"{text(-1)}/{text(1)}"
    body = {"interval": interval, "groupBy": ["userId", "released"], "metrics": ["nEvaluations", "oTotalScore"]}
    found = desk.admin.post(SUMS, json=body).json()["results"]
    assert [(item["group"]["released"], item["data"][0]["metrics"][0]["stats"]["count"]) for item in found] == [
        ("false", 1),
        ("true", 1),
    ]
    assert found[1]["data"][0]["metrics"][1]["stats"] == {"count": 1, "sum": 100, "min": 100, "max": 100}
    desk.admin.delete(f"{desk.path}/{second['id']}")
    hours = {"interval": interval, "granularity": "PT1H", "metrics": ["nEvaluationsDeleted"]}
    data = [d for item in desk.admin.post(SUMS, json=hours).json()["results"] for d in item["data"] if d["metrics"]]
    assert [d["metrics"][0]["stats"]["count"] for d in data] == [1]
    none = {"predicates": [{"dimension": "userId", "value": "none"}]}
    assert desk.admin.post(SUMS, json={"interval": interval, "filter": none}).json() == {"results": []}
    view = {"name": "good", "target": "oTotalScore", "function": "rangeBound", "range": {"gte": 80}}
    seen = desk.admin.post(SUMS, json={"interval": interval, "views": [view]}).json()["results"][0]["data"][0]["views"]
    assert seen[0]["stats"]["count"] == 1
    mine = desk.agent.post(MINE, json={"interval": interval}).json()["results"]
    assert mine[0]["data"][0]["metrics"][0] == {"metric": "nEvaluations", "stats": {"count": 1}}
    assert desk.site.http("other").post(MINE, json={"interval": interval}).json() == {"results": []}
    assert desk.site.http("client").post(MINE, json={"interval": interval}).status_code == 400
    assert field(desk.admin.post(SUMS, json={})) == "interval"
    assert field(desk.admin.post(SUMS, json={"interval": f"{text(1)}/{text(-1)}"})) == "interval"
    assert field(desk.admin.post(SUMS, json={"interval": interval, "granularity": "P1M"})) == "granularity"
    assert field(desk.admin.post(SUMS, json={"interval": interval, "groupBy": ["colour"]})) == "groupBy.0"

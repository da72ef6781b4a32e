"""Work teams and questions to the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from earwitness.cli.contract.steps import Context, expect, keep, simple, step

TEAMS, AUDIT, QUALITY = "TeamsApi", "AuditApi", "QualityApi"
INTERVAL = "2020-01-01T00:00:00.000Z/2100-01-01T00:00:00.000Z"


def _refused(status: int, call: Callable[..., object], *arguments: Any, **more: Any) -> None:
    try:
        call(*arguments, **more)
    except Exception as error:
        expect(getattr(error, "status", None) == status, f"{error} is not {status}")
    else:
        expect(condition=False, what=f"not refused with {status}")


keep(TEAMS, "post_teams", "team", lambda c: c.model("Team", name="North"))


@step
def get_teams(c: Context) -> None:
    """Finds it by a part of its name; an unknown cursor is refused."""
    found = c.api(TEAMS).get_teams(name="nor")
    expect([team.id for team in found.entities] == [c.kept["team"]], "one team")
    _refused(400, c.api(TEAMS).get_teams, after="nothing")


@step
def get_team(c: Context) -> None:
    """Reads it; another is not there."""
    expect(c.api(TEAMS).get_team(c.kept["team"]).name == "North", "name")
    _refused(404, c.api(TEAMS).get_team, "unknown")


@step
def patch_team(c: Context) -> None:
    """Describes it."""
    team = c.api(TEAMS).get_team(c.kept["team"])
    team.description = "Up there"
    expect(c.api(TEAMS).patch_team(team.id, team).description == "Up there", "description")
    _refused(400, c.api(TEAMS).patch_team, team.id, c.model("Team", name=" "))


@step
def post_team_members(c: Context) -> None:
    """Ada joins, a stranger cannot."""
    body = c.model("TeamMembers", member_ids=[c.kept["user"], "stranger"])
    reply = c.api(TEAMS).post_team_members(c.kept["team"], body)
    expect([item.id for item in reply.entities] == [c.kept["user"]], "one member")
    expect([item.reason for item in reply.failures] == ["UserNotFound"], "one failure")


@step
def get_team_members(c: Context) -> None:
    """Ada is in it."""
    found = c.api(TEAMS).get_team_members(c.kept["team"])
    expect([item.id for item in found.entities] == [c.kept["user"]], "one member")


@step
def delete_team_members(c: Context) -> None:
    """Ada leaves."""
    c.api(TEAMS).delete_team_members(c.kept["team"], c.kept["user"])
    expect(not c.api(TEAMS).get_team_members(c.kept["team"]).entities, "still in it")


@step
def delete_team(c: Context) -> None:
    """It is gone."""
    c.api(TEAMS).delete_team(c.kept["team"])
    _refused(404, c.api(TEAMS).get_team, c.kept["team"])


@step
def post_audits_query(c: Context) -> None:
    """Asks for what was done to teams."""
    body = c.model("AuditQueryRequest", interval=INTERVAL, service_name="Directory")
    body.filters = [c.model("AuditQueryFilter", pcProperty="EntityType", value="team")]
    asked = c.api(AUDIT).post_audits_query(body)
    expect(asked.state == "Succeeded", "state")
    c.kept["audit_query"] = asked.id
    _refused(400, c.api(AUDIT).post_audits_query, c.model("AuditQueryRequest", interval="never"))


simple(AUDIT, "get_audits_query_transaction_id", "audit_query")


@step
def get_audits_query_transaction_id_results(c: Context) -> None:
    """Page by page, to the end."""
    cursor, seen = None, list[str]()
    while True:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = c.api(AUDIT).get_audits_query_transaction_id_results(c.kept["audit_query"], page_size=2, **more)
        seen += [entry.id for entry in page.entities]
        cursor = page.cursor
        if not cursor:
            break
    expect(len(seen) == len(set(seen)) >= 5, "entries")
    _refused(404, c.api(AUDIT).get_audits_query_transaction_id_results, "unknown")


@step
def post_audits_query_realtime(c: Context) -> None:
    """The last minutes."""
    now = datetime.now(UTC)
    spans = [(now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z") for hours in (-1, 1)]
    body = c.model("AuditRealtimeQueryRequest", interval="/".join(spans), page_size=5)
    found = c.api(AUDIT).post_audits_query_realtime(body)
    expect(found.total > 0 and found.entities, "entries")
    c.kept["audit_entry"] = found.entities[0].id


@step
def post_audits_query_realtime_related(c: Context) -> None:
    """What belongs to one of them."""
    body = c.model("AuditRealtimeRelatedRequest", audit_id=c.kept["audit_entry"])
    expect(c.api(AUDIT).post_audits_query_realtime_related(body).entities, "itself")


def _mapping(name: str) -> None:
    def run(c: Context) -> None:
        expect(getattr(c.api(AUDIT), name)().services, "services")

    run.__name__ = name
    step(run)


_mapping("get_audits_query_servicemapping")
_mapping("get_audits_query_realtime_servicemapping")


@step
def post_quality_conversations_audits_query(c: Context) -> None:
    """What was done with recordings and evaluations."""
    asked = c.api(QUALITY).post_quality_conversations_audits_query(c.model("QMAuditQueryRequest", interval=INTERVAL))
    expect(asked.state == "Succeeded", "state")
    c.kept["quality_audit_query"] = asked.id


simple(QUALITY, "get_quality_conversations_audits_query_transaction_id", "quality_audit_query")


@step
def get_quality_conversations_audits_query_transaction_id_results(c: Context) -> None:
    """The first page."""
    api = c.api(QUALITY)
    found = api.get_quality_conversations_audits_query_transaction_id_results(c.kept["quality_audit_query"])
    expect(isinstance(found.entities, list), "entities")
    _refused(404, api.get_quality_conversations_audits_query_transaction_id_results, "unknown")

"""Work teams: who works together. Grants and policies may speak of them, and mean who was in them at the time (J13)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import audit, users
from earwitness.store import named as named_store
from earwitness.store import teams as team_store
from earwitness.store.tables import WorkTeam
from earwitness.web.api import divisions, scoped
from earwitness.web.api.access.cursors import CursorListing, Cursors
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts

family = Family("Work teams")

PATH = "/api/v2/teams"
ONE = PATH + "/{teamId}"
MEMBERS = ONE + "/members"
VIEW, ADD, EDIT, DELETE, ASSIGN = (f"groups:team:{action}" for action in ("view", "add", "edit", "delete", "assign"))
MOST_AT_ONCE = 100
LONGEST_DESCRIPTION = 2000


class TeamDocument(Document):
    """A work team."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    date_created: Moment
    date_modified: Moment
    member_count: int
    self_uri: str


class MemberDocument(Document):
    """Somebody in a team."""

    id: str
    name: str
    self_uri: str


class MemberReference(Document):
    """Somebody who is in the team now."""

    id: str
    self_uri: str


class MemberFailure(Document):
    """Who was not put into the team, and why."""

    id: str
    reason: str


class MembersAdded(Document):
    """What became of putting people into a team."""

    entities: list[MemberReference]
    failures: list[MemberFailure]


class TeamInput(RequestBody):
    """A team; absent fields stay as they are."""

    name: str | None = None
    description: str | None = None
    division: DivisionInput | None = None


class MembersInput(RequestBody):
    """Who is to be in the team as well."""

    member_ids: list[str] | None = None


def documents(session: Session, rows: Iterable[WorkTeam]) -> list[TeamDocument]:
    """Documents of teams."""
    found = list(rows)
    counts = team_store.member_counts(session, (row.id for row in found))
    mentions = divisions.references(session, {row.division_id for row in found})
    return [
        TeamDocument(
            id=row.id,
            name=row.name,
            division=mentions[row.division_id],
            description=row.description,
            date_created=row.created_at,
            date_modified=row.modified_at,
            member_count=counts.get(row.id, 0),
            self_uri=f"{PATH}/{row.id}",
        )
        for row in found
    ]


@family.operation("GET", PATH, "get_teams", any_of(VIEW), returns=CursorListing[TeamDocument])
def list_teams(
    caller: Signed,
    parts: Parts,
    cursor: Cursors,
    name: str | None = None,
    expand: CommaList = None,
) -> CursorListing[TeamDocument]:
    """Teams, by name. ``after`` and ``before`` are ids of teams of the page before and after."""
    with parts.database.reading() as session:
        rows = team_store.teams(session, divisions=scoped.reach(caller, VIEW), name=name)
        ids = [row.id for row in rows]
        start, end = cursor.window(ids)
        return cursor.envelope(ids, documents(session, rows[start:end]))


@family.operation("POST", PATH, "post_teams", any_of(ADD), returns=TeamDocument)
def create_team(caller: Signed, parts: Parts, body: TeamInput) -> TeamDocument:
    """Makes a team without members."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        name = _free_name(session, changes.required_text(body.name, "name"), None)
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        row = WorkTeam(
            id=new_id(),
            name=name,
            description=_description(body.description),
            division_id=division_id,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return documents(session, [row])[0]


@family.operation("GET", ONE, "get_team", any_of(VIEW), returns=TeamDocument)
def one_team(caller: Signed, parts: Parts, teamId: str, expand: CommaList = None) -> TeamDocument:
    """A team."""
    with parts.database.reading() as session:
        return documents(session, [scoped.find(session, caller, WorkTeam, teamId, "team", VIEW)])[0]


@family.operation("PATCH", ONE, "patch_team", any_of(EDIT), returns=TeamDocument)
def change_team(caller: Signed, parts: Parts, teamId: str, body: TeamInput) -> TeamDocument:
    """Changes a team. Calls of before stay calls of this team."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, WorkTeam, teamId, "team", VIEW, EDIT)
        given = body.given()
        wanted: dict[str, str | None] = {}
        if "name" in given:
            wanted["name"] = _free_name(session, changes.required_text(body.name, "name"), row.id)
        if "description" in given:
            wanted["description"] = _description(body.description)
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, str(wanted["division_id"]), EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return documents(session, [row])[0]


@family.operation("DELETE", ONE, "delete_team", any_of(DELETE), status=204)
def delete_team(caller: Signed, parts: Parts, teamId: str) -> None:
    """Deletes a team; its members are in none then. Calls of before stay calls of the team (J13)."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, WorkTeam, teamId, "team", VIEW, DELETE, deleted=True)
        if row.state != "deleted":
            team_store.remove(session, row.id, now)
            named_store.delete(row, now, caller.subject.id)


@family.operation("GET", MEMBERS, "get_team_members", any_of(VIEW), returns=CursorListing[MemberDocument])
def list_members(
    caller: Signed, parts: Parts, cursor: Cursors, teamId: str, expand: CommaList = None
) -> CursorListing[MemberDocument]:
    """Who is in a team now, by name."""
    with parts.database.reading() as session:
        scoped.find(session, caller, WorkTeam, teamId, "team", VIEW)
        people = team_store.members(session, teamId)
        ids = [person.id for person in people]
        start, end = cursor.window(ids)
        found = [
            MemberDocument(id=person.id, name=person.name, self_uri=f"/api/v2/users/{person.id}")
            for person in people[start:end]
        ]
        return cursor.envelope(ids, found)


@family.operation("POST", MEMBERS, "post_team_members", any_of(ASSIGN), returns=MembersAdded)
def add_members(caller: Signed, parts: Parts, teamId: str, body: MembersInput) -> MembersAdded:
    """Puts people into a team. Everybody is in one team at most, and in one of the own division."""
    asked = list(dict.fromkeys(body.member_ids or []))
    if not asked:
        raise bad_request("memberIds is required.", "memberIds")
    if len(asked) > MOST_AT_ONCE:
        raise bad_request(f"memberIds may have {MOST_AT_ONCE} ids.", "memberIds", "invalid.value")
    added, failures, now = [], [], parts.clock.now_us()
    with parts.database.transaction() as session:
        team = scoped.find_for_change(session, caller, WorkTeam, teamId, "team", VIEW, ASSIGN)
        for user_id in asked:
            reason = _obstacle(session, team, user_id)
            if reason is not None:
                failures.append(MemberFailure(id=user_id, reason=reason))
                continue
            if team_store.add(session, team.id, user_id, now):
                _note(session, caller, now, "addMember", team.id, user_id)
            added.append(MemberReference(id=user_id, self_uri=f"/api/v2/users/{user_id}"))
    return MembersAdded(entities=added, failures=failures)


@family.operation("DELETE", MEMBERS, "delete_team_members", any_of(ASSIGN), status=204)
def remove_members(caller: Signed, parts: Parts, teamId: str, ids: Annotated[CommaList, Query(alias="id")]) -> None:
    """Takes people out of a team; who is not in it is no error."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        team = scoped.find_for_change(session, caller, WorkTeam, teamId, "team", VIEW, ASSIGN)
        for user_id in team_store.remove(session, team.id, now, ids or []):
            _note(session, caller, now, "removeMember", team.id, user_id)


def _obstacle(session: Session, team: WorkTeam, user_id: str) -> str | None:
    user = users.get(session, user_id)
    if user is None:
        return "UserNotFound"
    if team_store.team_of(session, user_id) not in (None, team.id):
        return "UserGroupLimitExceeded"
    return None if user.division_id == team.division_id else "UserGroupDivisionMismatch"


def _note(session: Session, caller: Caller, now: int, action: str, team_id: str, user_id: str) -> None:
    audit.add(
        session,
        at=now,
        subject=caller.subject,
        action=action,
        entity_type="team",
        entity_id=team_id,
        remote_address=caller.remote_address,
        detail={"userId": user_id},
    )


def _description(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST_DESCRIPTION:
        raise bad_request(f"description may have {LONGEST_DESCRIPTION} characters.", "description", "invalid.value")
    return text


def _free_name(session: Session, name: str, team_id: str | None) -> str:
    other = team_store.named(session, name)
    if other is not None and other.id != team_id:
        raise conflict(f"There is a team {name} already.", "general.conflict")
    return name

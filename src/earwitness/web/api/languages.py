"""Languages, skills, and the settings of routing."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from earwitness.domain.ids import new_id
from earwitness.store import audit
from earwitness.store import languages as language_store
from earwitness.store import settings as setting_store
from earwitness.store.tables import Language, Skill
from earwitness.web.api import divisions, scoped
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import conflict, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Routing")
LANGUAGES, SKILLS = "/api/v2/routing/languages", "/api/v2/routing/skills"
SETTINGS = "/api/v2/routing/settings"
MANAGE, CREATE_SKILL, VIEW_SKILL = (f"routing:skill:{action}" for action in ("manage", "create", "view"))
EDIT_SETTINGS = "routing:settings:edit"


class LanguageDocument(Document):
    """A language."""

    id: str
    name: str
    date_modified: Moment
    state: str
    version: str
    self_uri: str


class LanguageInput(RequestBody):
    """A language to make."""

    name: str | None = None


class SkillDocument(Document):
    """A skill."""

    id: str
    name: str
    division: DivisionReference
    date_modified: Moment
    state: str
    version: str
    self_uri: str


class SkillInput(RequestBody):
    """A skill to make."""

    name: str | None = None
    division_id: str | None = None


class RoutingSettings(Document):
    """Settings of routing. Kept; agents are not scored here."""

    reset_agent_score_on_presence_change: bool = False


class RoutingSettingsInput(RequestBody):
    """Settings to change."""

    reset_agent_score_on_presence_change: bool | None = None


def _language(row: Language) -> LanguageDocument:
    return LanguageDocument(
        id=row.id,
        name=row.name,
        date_modified=row.modified_at,
        state=row.state,
        version=str(row.version),
        self_uri=f"{LANGUAGES}/{row.id}",
    )


@family.operation("GET", LANGUAGES, "get_routing_languages", SIGNED_IN, returns=Listing[LanguageDocument])
def list_languages(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    sort_order: Annotated[str, OneOf("ascending", "descending"), Query(alias="sortOrder")] = "ascending",
) -> Listing[LanguageDocument]:
    """Languages, by name."""
    down = sort_order == "descending"
    with parts.database.reading() as session:
        found = language_store.languages(session, ids=ids, name=name, down=down, number=page.number, size=page.size)
        return page.envelope([_language(row) for row in found.items], found.total)


@family.operation("POST", LANGUAGES, "post_routing_languages", any_of(MANAGE), returns=LanguageDocument)
def create_language(caller: Signed, parts: Parts, body: LanguageInput) -> LanguageDocument:
    """Adds a language."""
    name, now = changes.required_text(body.name, "name"), parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        if language_store.language_by_name(session, name) is not None:
            raise conflict(f"There is a language {name} already.", "general.conflict")
        by = caller.subject.id
        row = Language(id=new_id(), name=name, created_at=now, modified_at=now, created_by=by, modified_by=by)
        session.add(row)
        session.flush()
        return _language(row)


@family.operation("GET", LANGUAGES + "/{languageId}", "get_routing_language", SIGNED_IN, returns=LanguageDocument)
def one_language(caller: Signed, parts: Parts, languageId: str) -> LanguageDocument:
    """A language."""
    with parts.database.reading() as session:
        row = language_store.language(session, languageId)
        if row is None:
            raise not_found("language", languageId)
        return _language(row)


@family.operation("DELETE", LANGUAGES + "/{languageId}", "delete_routing_language", any_of(MANAGE), status=204)
def delete_language(caller: Signed, parts: Parts, languageId: str) -> None:
    """Deletes a language."""
    with changes.changing(parts, caller) as session:
        row = language_store.language(session, languageId, deleted=True)
        if row is None:
            raise not_found("language", languageId)
        if row.state != "deleted":
            row.state, row.version = "deleted", row.version + 1
            row.modified_at, row.modified_by = parts.clock.now_us(), caller.subject.id


@family.operation("GET", SKILLS, "get_routing_skills", any_of(VIEW_SKILL), returns=Listing[SkillDocument])
def list_skills(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
) -> Listing[SkillDocument]:
    """Skills, by name. They are kept; routing does not look at them."""
    with parts.database.reading() as session:
        found = language_store.skills(
            session, within=scoped.reach(caller, VIEW_SKILL), ids=ids, name=name, number=page.number, size=page.size
        )
        mentions = divisions.references(session, {row.division_id for row in found.items})
        return page.envelope([_skill(row, mentions[row.division_id]) for row in found.items], found.total)


@family.operation("POST", SKILLS, "post_routing_skills", any_of(MANAGE, CREATE_SKILL), returns=SkillDocument)
def create_skill(caller: Signed, parts: Parts, body: SkillInput) -> SkillDocument:
    """Adds a skill."""
    name, now = changes.required_text(body.name, "name"), parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division_id)
        divisions.check(caller, division_id, MANAGE, CREATE_SKILL)
        if language_store.skill_by_name(session, name) is not None:
            raise conflict(f"There is a skill {name} already.", "general.conflict")
        row = Skill(
            id=new_id(),
            name=name,
            division_id=division_id,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return _skill(row, divisions.references(session, {division_id})[division_id])


def _skill(row: Skill, division: DivisionReference) -> SkillDocument:
    return SkillDocument(
        id=row.id,
        name=row.name,
        division=division,
        date_modified=row.modified_at,
        state=row.state,
        version=str(row.version),
        self_uri=f"{SKILLS}/{row.id}",
    )


@family.operation("GET", SETTINGS, "get_routing_settings", SIGNED_IN, returns=RoutingSettings)
def settings(caller: Signed, parts: Parts) -> RoutingSettings:
    """The settings of routing."""
    with parts.database.reading() as session:
        return RoutingSettings(**setting_store.get(session, setting_store.ROUTING, {}))


@family.operation("PUT", SETTINGS, "put_routing_settings", any_of(EDIT_SETTINGS), returns=RoutingSettings)
def change_settings(caller: Signed, parts: Parts, body: RoutingSettingsInput) -> RoutingSettings:
    """Changes the settings of routing; absent fields stay."""
    return _store(parts, caller, body.reset_agent_score_on_presence_change)


@family.operation("DELETE", SETTINGS, "delete_routing_settings", any_of(EDIT_SETTINGS), status=204)
def reset_settings(caller: Signed, parts: Parts) -> None:
    """Takes the settings of routing back to what they are in a new installation."""
    _store(parts, caller, False)


def _store(parts: Services, caller: Caller, reset: bool | None) -> RoutingSettings:
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        current = RoutingSettings(**setting_store.get(session, setting_store.ROUTING, {}))
        if reset is None or reset == current.reset_agent_score_on_presence_change:
            return current
        setting_store.put(session, setting_store.ROUTING, {"reset_agent_score_on_presence_change": reset}, now)
        audit.add(
            session,
            at=now,
            subject=caller.subject,
            action="change",
            entity_type="routingSettings",
            remote_address=caller.remote_address,
            detail={"reset_agent_score_on_presence_change": reset},
        )
        return RoutingSettings(reset_agent_score_on_presence_change=reset)

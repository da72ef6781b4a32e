"""The texts of a flow."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body
from sqlalchemy.orm import Session

from earwitness.flows.read_flow import TYPES
from earwitness.store import flows as flow_store
from earwitness.store import named as named_store
from earwitness.store.tables import Flow, FlowVersion
from earwitness.web.api import flow_checking, flow_documents, scoped
from earwitness.web.api.flow_checking import Text
from earwitness.web.api.flow_documents import PATH, FlowVersionDocument
from earwitness.web.api.flows import EDIT, UNLOCK, VIEW
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Flows")
VERSIONS = PATH + "/{flowId}/versions"
ROOTS = {flow_type: root for root, flow_type in TYPES.items()}


class FlowText(Document):
    """The text of a version, as it was uploaded."""

    yaml: str


@family.operation("GET", VERSIONS, "get_flow_versions", any_of(VIEW), returns=Listing[FlowVersionDocument])
def list_versions(
    caller: Signed, parts: Parts, page: Paging, flowId: str, deleted: bool = False
) -> Listing[FlowVersionDocument]:
    """The versions of a flow, newest first."""
    with parts.database.reading() as session:
        flow = scoped.find(session, caller, Flow, flowId, "flow", VIEW, deleted=deleted)
        found = flow_store.versions(session, flow.id, number=page.number, size=page.size)
        return page.envelope([flow_documents.version_document(session, flow, row) for row in found.items], found.total)


@family.operation("POST", VERSIONS, "post_flow_versions", any_of(EDIT), returns=FlowVersionDocument)
def add_version(
    caller: Signed, parts: Parts, flowId: str, body: Annotated[dict[str, Any], Body()]
) -> FlowVersionDocument:
    """Saves a text of the flow as its newest version.

    The body is the flow's YAML tree as JSON, ``{"inboundCall": {…}}``, or ``{"yaml": "text", "substitutions": {…}}``.
    It must be readable, and of the flow's type; everything else is asked when it is published.
    """
    text = _text(body)
    with changes.changing(parts, caller) as session:
        flow = scoped.find_for_change(session, caller, Flow, flowId, "flow", VIEW, EDIT)
        check_lock(flow, caller)
        root = ROOTS[flow.type]
        if list(text.tree) != [root]:
            raise bad_request(f"A flow of this type has the one key {root!r}.", root, "invalid.value")
        row = save(session, caller, flow, text, parts.clock.now_us())
        return flow_documents.version_document(session, flow, row)


@family.operation("GET", VERSIONS + "/{versionId}", "get_flow_version", any_of(VIEW), returns=FlowVersionDocument)
def one_version(
    caller: Signed, parts: Parts, flowId: str, versionId: str, deleted: str | None = None
) -> FlowVersionDocument:
    """A version of a flow."""
    with parts.database.reading() as session:
        flow, row = _find(session, caller, flowId, versionId, deleted)
        return flow_documents.version_document(session, flow, row)


@family.operation(
    "GET",
    VERSIONS + "/{versionId}/configuration",
    "get_flow_version_configuration",
    any_of(VIEW),
    returns=dict[str, Any],
)
def configuration(
    caller: Signed, parts: Parts, flowId: str, versionId: str, deleted: str | None = None
) -> dict[str, Any]:
    """The text of a version as JSON; it can be saved again."""
    with parts.database.reading() as session:
        return _find(session, caller, flowId, versionId, deleted)[1].configuration


@family.operation(
    "GET",
    PATH + "/{flowId}/latestconfiguration",
    "get_flow_latestconfiguration",
    any_of(VIEW),
    returns=dict[str, Any],
)
def latest_configuration(caller: Signed, parts: Parts, flowId: str, deleted: bool = False) -> dict[str, Any]:
    """The text of the newest version as JSON."""
    with parts.database.reading() as session:
        flow = scoped.find(session, caller, Flow, flowId, "flow", VIEW, deleted=deleted)
        row = flow_store.version(session, flow.id, flow.saved_number)
        if row is None:
            raise not_found("version of the flow", flowId)
        return row.configuration


@family.operation(
    "GET",
    "/api/v2/earwitness/flows/{flowId}/versions/{versionId}/text",
    "get_earwitness_flow_version_text",
    any_of(VIEW),
    returns=FlowText,
)
def version_text(caller: Signed, parts: Parts, flowId: str, versionId: str) -> FlowText:
    """The YAML text of a version."""
    with parts.database.reading() as session:
        return FlowText(yaml=_find(session, caller, flowId, versionId, None)[1].source)


def _find(
    session: Session, caller: Caller, flow_id: str, version_id: str, deleted: str | None
) -> tuple[Flow, FlowVersion]:
    gone = (deleted or "").lower() == "true"
    flow = scoped.find(session, caller, Flow, flow_id, "flow", VIEW, deleted=gone)
    row = flow_store.version(session, flow.id, flow_documents.version_number(flow.id, version_id))
    if row is None:
        raise not_found(f"version of flow {flow.id}", version_id)
    return flow, row


def _text(body: dict[str, Any]) -> Text:
    if not body:
        raise bad_request("The body is the flow as JSON, or {yaml: text}.", "body")
    if "yaml" not in body:
        return flow_checking.of_tree(body)
    text, substitutions = body["yaml"], body.get("substitutions") or {}
    if not isinstance(text, str):
        raise bad_request("yaml is a text.", "yaml", "invalid.value")
    if not isinstance(substitutions, dict) or not all(isinstance(value, str) for value in substitutions.values()):
        raise bad_request("substitutions are names with texts.", "substitutions", "invalid.value")
    return flow_checking.read(text, substitutions)


def save(session: Session, caller: Caller, flow: Flow, text: Text, now: int) -> FlowVersion:
    """Adds a version; the same text as the newest is not saved again."""
    newest = flow_store.version(session, flow.id, flow.saved_number)
    if newest is not None and newest.source == text.yaml:
        return newest
    subject = caller.subject
    row = FlowVersion(
        source=text.yaml,
        configuration=text.tree,
        languages=_languages(text.tree),
        created_at=now,
        created_by=subject.user_id,
        created_by_client=subject.id if subject.user_id is None else None,
    )
    flow_store.add_version(session, flow, row)
    named_store.touch(flow, now, subject.id)
    return row


def _languages(tree: dict[str, Any]) -> list[str]:
    body = next(iter(tree.values()), None)
    if not isinstance(body, dict):
        return []
    default, supported = body.get("defaultLanguage"), body.get("supportedLanguages")
    names = [default, *(supported if isinstance(supported, dict) else ())]
    return list(dict.fromkeys(name.lower() for name in names if isinstance(name, str) and len(name) <= 35))


def check_lock(flow: Flow, caller: Caller, *, breaks: bool = False) -> None:
    """Whether the caller may change the flow as far as locks go.

    :param breaks: who may unlock flows in its division need not mind.
    :raises ApiError: 409, somebody else has checked it out.
    """
    holder = flow.locked_by_user or flow.locked_by_client
    if holder is None or holder == caller.subject.id:
        return
    if breaks and flow.division_id in scoped.reach(caller, UNLOCK):
        return
    raise conflict(f"The flow {flow.name} is checked out by {holder}.", "flow.locked")

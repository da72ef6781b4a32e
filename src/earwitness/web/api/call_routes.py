"""What a dialled number leads to.

The contract's form is the IVR object, whose target is a flow (``openHoursFlow``). A route may also lead straight to a
user, a queue or an external number, which the contract cannot say: ``/api/v2/earwitness/callroutes`` shows and sets
that of the same objects. There are no schedules: flows for closed hours and holidays are kept and shown.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from sqlalchemy.orm import Session

from earwitness.store import named as named_store
from earwitness.store import numbers_queries, telephony, telephony_queries, users
from earwitness.store.tables import CallRoute, Flow, Queue
from earwitness.web.api import named
from earwitness.web.api.named import NamedDocument, NamedInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Call routes")
IVRS = "/api/v2/architect/ivrs"
ROUTES = "/api/v2/earwitness/callroutes"
VIEW_ROUTES, ADD_ROUTES, EDIT_ROUTES, DELETE_ROUTES = (
    f"routing:callRoute:{action}" for action in ("view", "add", "edit", "delete")
)
VIEW, ADD, EDIT, DELETE = (all_of(name) for name in (VIEW_ROUTES, ADD_ROUTES, EDIT_ROUTES, DELETE_ROUTES))
MOST_NUMBERS = 1000
_DIALLED = re.compile(r"[+0-9A-Za-z._*#-]{1,64}")
_NUMBER = re.compile(r"\+?[0-9*#]{2,32}")


class IvrDocument(NamedDocument):
    """A call route, in the contract's form."""

    dnis: list[str]
    open_hours_flow: Reference | None = None
    closed_hours_flow: Reference | None = None
    holiday_hours_flow: Reference | None = None
    schedule_group: Reference | None = None


class Target(Document):
    """Where calls go: to a user, queue or flow by ``id``, or to a ``number``."""

    type: str
    id: str | None = None
    number: str | None = None


class CallRouteDocument(NamedDocument):
    """A call route with its target."""

    dnis: list[str]
    target: Target | None = None


class IvrInput(NamedInput):
    """A call route to make or change, in the contract's form."""

    dnis: list[str] | None = None
    open_hours_flow: ReferenceInput | None = None
    closed_hours_flow: ReferenceInput | None = None
    holiday_hours_flow: ReferenceInput | None = None


class TargetInput(RequestBody):
    """Where calls shall go."""

    type: Annotated[str, OneOf("user", "queue", "flow", "number")]
    id: str | None = None
    number: str | None = None


class CallRouteInput(NamedInput):
    """A call route to make or change."""

    dnis: list[str] | None = None
    target: TargetInput | None = None
    state: Annotated[str, OneOf("active", "inactive")] | None = None


def _ivr(session: Session, row: CallRoute) -> IvrDocument:
    return IvrDocument(
        **named.common(session, row, IVRS),
        dnis=list(row.dnis),
        open_hours_flow=_flow_reference(session, row.target if row.target_type == "flow" else None),
        closed_hours_flow=_flow_reference(session, row.extra.get("closed_hours_flow")),
        holiday_hours_flow=_flow_reference(session, row.extra.get("holiday_hours_flow")),
    )


def _flow_reference(session: Session, flow_id: str | None) -> Reference | None:
    if not flow_id:
        return None
    flow = named_store.get(session, Flow, flow_id)
    return Reference(id=flow_id, name=flow.name if flow else None, self_uri=f"/api/v2/flows/{flow_id}")


def _route(session: Session, row: CallRoute) -> CallRouteDocument:
    target = None
    if row.target_type == "number":
        target = Target(type="number", number=row.target)
    elif row.target_type:
        target = Target(type=row.target_type, id=row.target)
    return CallRouteDocument(**named.common(session, row, ROUTES), dnis=list(row.dnis), target=target)


def _dnis(session: Session, numbers: list[str], route_id: str | None) -> list[str]:
    """The numbers of a route, each once and owned by nobody else."""
    found = list(dict.fromkeys(re.sub(r"[\s()/]", "", text.removeprefix("tel:")) for text in numbers))
    if len(found) > MOST_NUMBERS:
        raise bad_request(f"A route may have {MOST_NUMBERS} numbers.", "dnis", "invalid.value")
    for number in found:
        if not _DIALLED.fullmatch(number):
            raise bad_request(f"dnis: {number!r} cannot be dialled.", "dnis", "invalid.value")
    for other in telephony_queries.routes(session):
        taken = set(other.dnis) & set(found)
        if other.id != route_id and taken:
            raise conflict(f"{min(taken)} leads to the call route {other.name} already.")
    for number in found:
        did = telephony.did_by_number(session, number)
        if did is not None and did.owner_type == "USER":
            raise conflict(f"{number} belongs to a user.")
    return found


def _flow(session: Session, reference: ReferenceInput | None, field_name: str) -> str | None:
    """The flow that a body names.

    :raises ApiError: 400, there is none such for inbound calls.
    """
    if reference is None or not reference.id:
        return None
    flow = named_store.get(session, Flow, reference.id)
    if flow is None or flow.type != "inboundcall":
        raise bad_request(f"There is no inbound call flow {reference.id}.", field_name, "invalid.value")
    return flow.id


def _flows(session: Session, body: IvrInput, row: CallRoute | None) -> dict[str, Any]:
    """The columns that a body's flows change."""
    given, wanted = body.given(), dict[str, Any]()
    if "open_hours_flow" in given:
        flow_id = _flow(session, body.open_hours_flow, "openHoursFlow.id")
        if flow_id is not None:
            wanted = {"target_type": "flow", "target": flow_id}
        elif row is not None and row.target_type == "flow":
            wanted = {"target_type": None, "target": None}
    extra = dict(row.extra) if row is not None else {}
    for name, field_name in (
        ("closed_hours_flow", "closedHoursFlow.id"),
        ("holiday_hours_flow", "holidayHoursFlow.id"),
    ):
        if name in given:
            extra[name] = _flow(session, getattr(body, name), field_name)
    return {**wanted, "extra": {name: value for name, value in extra.items() if value is not None}}


def _target(session: Session, target: TargetInput | None) -> dict[str, Any]:
    if target is None:
        return {"target_type": None, "target": None}
    if target.type == "user":
        if not target.id or users.get(session, target.id) is None:
            raise bad_request(f"There is no user {target.id}.", "target.id", "invalid.value")
        return {"target_type": "user", "target": target.id}
    if target.type == "queue":
        if not target.id or named_store.get(session, Queue, target.id) is None:
            raise bad_request(f"There is no queue {target.id}.", "target.id", "invalid.value")
        return {"target_type": "queue", "target": target.id}
    if target.type == "flow":
        flow_id = _flow(session, ReferenceInput(id=target.id), "target.id")
        if flow_id is None:
            raise bad_request("target.id must be that of a flow.", "target.id", "invalid.value")
        return {"target_type": "flow", "target": flow_id}
    number = re.sub(r"[\s()./-]", "", (target.number or "").removeprefix("tel:"))
    if not _NUMBER.fullmatch(number):
        raise bad_request("target.number must be a number to dial.", "target.number", "invalid.value")
    return {"target_type": "number", "target": number}


def _create(
    parts: Services, session: Session, caller: Caller, body: NamedInput, dnis: list[str], **more: Any
) -> CallRoute:
    now = parts.clock.now_us()
    row = CallRoute(
        **named.new_columns(session, caller, body, now, ADD_ROUTES), dnis=_dnis(session, dnis, None), **more
    )
    session.add(row)
    session.flush()
    numbers_queries.give_to_route(session, row.id, row.dnis, now)
    return row


def _change(
    parts: Services, session: Session, caller: Caller, row: CallRoute, body: NamedInput, wanted: dict[str, Any]
) -> None:
    now = parts.clock.now_us()
    if changes.apply(row, {**named.changed_columns(session, caller, body, EDIT_ROUTES), **wanted}, body.version):
        named_store.touch(row, now, caller.subject.id)
        session.flush()
        numbers_queries.give_to_route(session, row.id, row.dnis, now)


def _delete(parts: Services, session: Session, caller: Caller, route_id: str) -> None:
    row = named.find_for_delete(session, caller, CallRoute, route_id, "call route", DELETE_ROUTES)
    if row is not None:
        now = parts.clock.now_us()
        named_store.delete(row, now, caller.subject.id)
        numbers_queries.give_to_route(session, row.id, (), now)


@family.operation("GET", IVRS, "get_architect_ivrs", VIEW, returns=Listing[IvrDocument])
def list_ivrs(
    caller: Signed, parts: Parts, page: Paging, name: str | None = None, dnis: str | None = None
) -> Listing[IvrDocument]:
    """Call routes, by name."""
    with parts.database.reading() as session:
        rows = _rows(session, name, dnis)
        return page.envelope([_ivr(session, row) for row in page.cut(rows)], len(rows))


@family.operation("POST", IVRS, "post_architect_ivrs", ADD, returns=IvrDocument)
def create_ivr(caller: Signed, parts: Parts, body: IvrInput) -> IvrDocument:
    """Makes a call route to a flow, ``openHoursFlow``.

    Other targets are given by ``PUT /api/v2/earwitness/callroutes/{routeId}``.
    """
    with changes.changing(parts, caller) as session:
        more = _flows(session, body, None)
        return _ivr(session, _create(parts, session, caller, body, body.dnis or [], **more))


@family.operation("GET", IVRS + "/{ivrId}", "get_architect_ivr", VIEW, returns=IvrDocument)
def one_ivr(caller: Signed, parts: Parts, ivrId: str) -> IvrDocument:
    """A call route."""
    with parts.database.reading() as session:
        return _ivr(session, named.find(session, CallRoute, ivrId, "IVR"))


@family.operation("PUT", IVRS + "/{ivrId}", "put_architect_ivr", EDIT, returns=IvrDocument)
def change_ivr(caller: Signed, parts: Parts, ivrId: str, body: IvrInput) -> IvrDocument:
    """Changes a call route; a target that is no flow stays unless ``openHoursFlow`` names one."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, CallRoute, ivrId, "IVR", EDIT_ROUTES)
        wanted = _flows(session, body, row)
        if body.dnis is not None:
            wanted["dnis"] = _dnis(session, body.dnis, row.id)
        _change(parts, session, caller, row, body, wanted)
        return _ivr(session, row)


@family.operation("DELETE", IVRS + "/{ivrId}", "delete_architect_ivr", DELETE, status=204)
def delete_ivr(caller: Signed, parts: Parts, ivrId: str) -> None:
    """Marks a call route deleted."""
    with changes.changing(parts, caller) as session:
        _delete(parts, session, caller, ivrId)


@family.operation("GET", ROUTES, "get_earwitness_callroutes", VIEW, returns=Listing[CallRouteDocument])
def list_routes(
    caller: Signed, parts: Parts, page: Paging, name: str | None = None, dnis: str | None = None
) -> Listing[CallRouteDocument]:
    """Call routes with their targets, by name."""
    with parts.database.reading() as session:
        rows = _rows(session, name, dnis)
        return page.envelope([_route(session, row) for row in page.cut(rows)], len(rows))


@family.operation("POST", ROUTES, "post_earwitness_callroutes", ADD, returns=CallRouteDocument)
def create_route(caller: Signed, parts: Parts, body: CallRouteInput) -> CallRouteDocument:
    """Makes a call route: ``{name, dnis, target: {type: user, queue or flow, id} or {type: number, number}}``."""
    with changes.changing(parts, caller) as session:
        more = _target(session, body.target)
        row = _create(parts, session, caller, body, body.dnis or [], **more, state=body.state or "active")
        return _route(session, row)


@family.operation("GET", ROUTES + "/{routeId}", "get_earwitness_callroute", VIEW, returns=CallRouteDocument)
def one_route(caller: Signed, parts: Parts, routeId: str) -> CallRouteDocument:
    """A call route with its target."""
    with parts.database.reading() as session:
        return _route(session, named.find(session, CallRoute, routeId, "call route"))


@family.operation("PUT", ROUTES + "/{routeId}", "put_earwitness_callroute", EDIT, returns=CallRouteDocument)
def change_route(caller: Signed, parts: Parts, routeId: str, body: CallRouteInput) -> CallRouteDocument:
    """Changes a call route; absent fields stay, ``target`` null leads nowhere."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, CallRoute, routeId, "call route", EDIT_ROUTES)
        given, wanted = body.given(), dict[str, Any]()
        if body.dnis is not None:
            wanted["dnis"] = _dnis(session, body.dnis, row.id)
        if "target" in given:
            wanted |= _target(session, body.target)
        if body.state is not None:
            wanted["state"] = body.state
        _change(parts, session, caller, row, body, wanted)
        return _route(session, row)


@family.operation("DELETE", ROUTES + "/{routeId}", "delete_earwitness_callroute", DELETE, status=204)
def delete_route(caller: Signed, parts: Parts, routeId: str) -> None:
    """Marks a call route deleted."""
    with changes.changing(parts, caller) as session:
        _delete(parts, session, caller, routeId)


def _rows(session: Session, name: str | None, dnis: str | None) -> list[CallRoute]:
    wanted = (name or "").casefold().strip("*")
    return [
        row
        for row in telephony_queries.routes(session)
        if wanted in row.name.casefold() and (dnis is None or dnis in row.dnis)
    ]

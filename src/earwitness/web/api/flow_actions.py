"""What is done with flows: check out, check in, publish, revert, unlock, deactivate.

The contract's operations are asynchronous; here they are over when they answer, and ``Operation.complete`` is true.
Done twice they are done once, so each is carried out whenever it is asked for, like one that only looks (``reads``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import flows as flow_store
from earwitness.store import named as named_store
from earwitness.store.tables import Flow, FlowVersion
from earwitness.web.api import flow_checking, flow_documents, scoped
from earwitness.web.api.flow_documents import PATH, FlowDocument, Operation
from earwitness.web.api.flow_versions import check_lock
from earwitness.web.api.flows import EDIT, PUBLISH, UNLOCK, VIEW
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Flows")
ACTIONS = PATH + "/actions"
FlowId = Annotated[str, Query(alias="flow")]


def _find(session: Session, caller: Caller, flow_id: str, *permissions: str) -> Flow:
    return scoped.find_for_change(session, caller, Flow, flow_id, "flow", VIEW, *permissions)


def _unlock(flow: Flow) -> None:
    flow.locked_by_user = flow.locked_by_client = flow.locked_at = None


def _done(session: Session, caller: Caller, flow: Flow, action: str, now: int) -> Operation:
    subject = caller.subject
    program = subject.id if subject.user_id is None else None
    flow.operation = {
        "id": new_id(),
        "complete": True,
        "user": subject.user_id,
        "client": program,
        "action_name": action,
        "action_status": "SUCCESS",
    }
    named_store.touch(flow, now, subject.id)
    session.flush()
    return Operation(
        **{
            **flow.operation,
            "user": flow_documents.user_reference(session, subject.user_id),
            "client": flow_documents.client_reference(session, program),
        }
    )


@family.operation(
    "POST", ACTIONS + "/checkout", "post_flows_actions_checkout", any_of(EDIT), returns=FlowDocument, reads=True
)
def check_out(caller: Signed, parts: Parts, flow_id: FlowId) -> FlowDocument:
    """Locks a flow for the caller; nobody else can save, check in or publish it."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, EDIT)
        check_lock(flow, caller)
        if flow.locked_by_user is None and flow.locked_by_client is None:
            subject = caller.subject
            flow.locked_by_user = subject.user_id
            flow.locked_by_client = subject.id if subject.user_id is None else None
            flow.locked_at = now
            _done(session, caller, flow, "CHECKOUT", now)
        return flow_documents.document(session, flow)


@family.operation(
    "POST", ACTIONS + "/checkin", "post_flows_actions_checkin", any_of(EDIT, UNLOCK), returns=Operation, reads=True
)
def check_in(caller: Signed, parts: Parts, flow_id: FlowId) -> Operation:
    """Checks in the saved version and ends the lock."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, EDIT, UNLOCK)
        check_lock(flow, caller, breaks=True)
        row = flow_store.version(session, flow.id, flow.saved_number)
        if row is None:
            raise conflict(f"The flow {flow.name} has no text yet.")
        if row.type == "SAVE":
            row.type, row.checked_in_at = "CHECKIN", now
        flow.checked_in_number = row.number
        _unlock(flow)
        return _done(session, caller, flow, "CHECKIN", now)


@family.operation(
    "POST", ACTIONS + "/publish", "post_flows_actions_publish", any_of(UNLOCK, PUBLISH), returns=Operation, reads=True
)
def publish(caller: Signed, parts: Parts, flow_id: FlowId, version: str | None = None) -> Operation:
    """Has calls run by a version of the flow: the newest, or the one asked for.

    The text is checked whole, and so is everything that it names; of a flow with mistakes each is told with its line
    and what to do (``details``), and calls go on as before. Calls in progress keep the version they began with.
    """
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, PUBLISH, UNLOCK)
        check_lock(flow, caller, breaks=True)
        number = flow_documents.version_number(flow.id, version) if version else flow.saved_number
        row = flow_store.version(session, flow.id, number)
        if row is None:
            if version:
                raise not_found(f"version of flow {flow.id}", version)
            raise conflict(f"The flow {flow.name} has no text yet.")
        publish_version(session, caller, flow, row, now)
        return _done(session, caller, flow, "PUBLISH", now)


def publish_version(session: Session, caller: Caller, flow: Flow, row: FlowVersion, now: int) -> None:
    """Checks a version and has calls run by it.

    :raises ApiError: 400 with every mistake; nothing has changed.
    """
    read = flow_checking.check(row.source)
    if read.type != flow.type:
        raise bad_request(f"The text is of type {read.type}, the flow of type {flow.type}.", "type", "invalid.value")
    flow_checking.check_names(session, read)
    row.languages = list(dict.fromkeys(name.lower() for name in (read.default_language, *read.languages) if name))
    flow_store.publish(session, flow, row, now, caller.user_id)
    _unlock(flow)


@family.operation(
    "POST", ACTIONS + "/deactivate", "post_flows_actions_deactivate", any_of(PUBLISH), returns=FlowDocument, reads=True
)
def deactivate(caller: Signed, parts: Parts, flow_id: FlowId) -> FlowDocument:
    """Has no call run by the flow any more."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, PUBLISH)
        check_lock(flow, caller, breaks=True)
        if flow.published_number is not None:
            flow_store.retire(session, flow, now)
            _done(session, caller, flow, "STATE_CHANGE", now)
        return flow_documents.document(session, flow)


@family.operation(
    "POST", ACTIONS + "/revert", "post_flows_actions_revert", any_of(EDIT), returns=FlowDocument, reads=True
)
def revert(caller: Signed, parts: Parts, flow_id: FlowId) -> FlowDocument:
    """Throws away what was saved after the last check-in, and ends the lock."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, EDIT)
        check_lock(flow, caller)
        flow_store.discard_saved(session, flow)
        _unlock(flow)
        _done(session, caller, flow, "REVERT", now)
        return flow_documents.document(session, flow)


@family.operation(
    "POST", ACTIONS + "/unlock", "post_flows_actions_unlock", any_of(UNLOCK), returns=FlowDocument, reads=True
)
def unlock(caller: Signed, parts: Parts, flow_id: FlowId) -> FlowDocument:
    """Ends the lock of whoever has checked the flow out."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = _find(session, caller, flow_id, UNLOCK)
        if flow.locked_by_user is not None or flow.locked_by_client is not None:
            _unlock(flow)
            _done(session, caller, flow, "STATE_CHANGE", now)
        return flow_documents.document(session, flow)

"""Media retention policies: to make, change, order, enable, list and delete.

The operations are declared twice: for conversations of our own, and for those that another platform carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import policies as policy_store
from earwitness.store import policy_references
from earwitness.store.paging import page_of
from earwitness.store.tables import RetentionPolicy
from earwitness.web.api.policies.documents import (
    LONGEST_DESCRIPTION,
    PolicyDocument,
    PolicyInput,
    PolicyUpdate,
    delete_days,
    documents,
    given_parts,
    merged,
    path_of,
)
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import OneOf
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

VIEW, ADD, EDIT, DELETE = (f"recording:retentionPolicy:{action}" for action in ("view", "add", "edit", "delete"))
MOST_IDS = 1000


def declare(*, cross_platform: bool) -> Family:
    """The operations on policies of one of the two kinds."""
    path = path_of(cross_platform)
    entity = "crossPlatformRetentionPolicy" if cross_platform else "retentionPolicy"
    view, add, edit, remove = (f"recording:{entity}:{action}" for action in ("view", "add", "edit", "delete"))
    middle = "recording_crossplatform" if cross_platform else "recording"
    many, one = f"{middle}_mediaretentionpolicies", f"{middle}_mediaretentionpolicy"
    family = Family("Cross-platform retention policies" if cross_platform else "Media retention policies")

    @family.operation("GET", path, f"get_{many}", any_of(view), returns=Listing[PolicyDocument])
    def list_policies(
        caller: Signed,
        parts: Parts,
        page: Paging,
        name: str | None = None,
        enabled: bool | None = None,
        summary: bool = False,
        has_errors: Annotated[bool | None, Query(alias="hasErrors")] = None,
        threshold: Annotated[int | None, Query(alias="deleteDaysThreshold")] = None,
        sort_by: Annotated[str, OneOf(*policy_store.ORDERS), Query(alias="sortBy")] = "order",
    ) -> Listing[PolicyDocument]:
        """Policies, in the order in which their actions are carried out.

        ``deleteDaysThreshold`` leaves those that delete anything after more days than that.
        """
        wanted = policy_store.matching(cross_platform=cross_platform, name=name, enabled=enabled, order=sort_by)
        with parts.database.reading() as session:
            if has_errors is None and threshold is None:
                found = page_of(session, wanted, page.number, page.size)
                return page.envelope(documents(session, found.items, summary=summary), found.total)
            rows: Sequence[RetentionPolicy] = session.scalars(wanted).all()
            if threshold is not None:
                rows = [row for row in rows if any(days > threshold for days in delete_days(row.document))]
            if has_errors is not None:
                wrong = policy_references.problems(session, rows)
                rows = [row for row in rows if bool(wrong[row.id]) == has_errors]
            return page.envelope(documents(session, page.cut(rows), summary=summary), len(rows))

    @family.operation("POST", path, f"post_{many}", any_of(add), returns=PolicyDocument)
    def create_policy(caller: Signed, parts: Parts, body: PolicyInput) -> PolicyDocument:
        """Makes a policy. Unless told otherwise it is disabled, and comes last.

        It is for conversations that begin after it was enabled, never for earlier ones (F1). What it mentions and
        there is not shows in ``policyErrors`` (F17).
        """
        now = parts.clock.now_us()
        with changes.changing(parts, caller) as session:
            row = RetentionPolicy(
                id=new_id(),
                name=changes.required_text(body.name, "name"),
                description=_description(body.description),
                order=policy_store.next_order(session) if body.order is None else body.order,
                enabled=bool(body.enabled),
                enabled_at=now,
                cross_platform=cross_platform,
                document=merged({}, given_parts(body)),
                created_at=now,
                modified_at=now,
                created_by=caller.subject.id,
                modified_by=caller.subject.id,
            )
            session.add(row)
            session.flush()
            return documents(session, [row])[0]

    @family.operation("DELETE", path, f"delete_{many}", any_of(remove), status=204)
    def delete_policies(caller: Signed, parts: Parts, ids: CommaList = None) -> None:
        """Deletes the named policies and no others. Dates that they have set stay (F19)."""
        if not ids or len(ids) > MOST_IDS:
            raise bad_request(f"ids names 1 to {MOST_IDS} policies.", "ids")
        now = parts.clock.now_us()
        with changes.changing(parts, caller) as session:
            for row in policy_store.by_ids(session, ids, cross_platform=cross_platform):
                policy_store.delete(row, now, caller.subject.id)

    @family.operation("GET", path + "/{policyId}", f"get_{one}", any_of(view), returns=PolicyDocument)
    def one_policy(caller: Signed, parts: Parts, policyId: str) -> PolicyDocument:
        """A policy."""
        with parts.database.reading() as session:
            return documents(session, [find(session, policyId, cross_platform=cross_platform)])[0]

    @family.operation("PUT", path + "/{policyId}", f"put_{one}", any_of(edit), returns=PolicyDocument)
    def change_policy(caller: Signed, parts: Parts, policyId: str, body: PolicyInput) -> PolicyDocument:
        """Changes a policy; absent fields stay.

        With other conditions or actions, or enabled anew, it is for conversations that begin from now on (F1, F2):
        calls in progress are not judged by what was not yet said when they began.
        """
        now = parts.clock.now_us()
        with changes.changing(parts, caller) as session:
            row = find(session, policyId, cross_platform=cross_platform)
            given = body.given()
            wanted: dict[str, Any] = {"document": merged(row.document, given_parts(body))}
            if "name" in given:
                wanted["name"] = changes.required_text(body.name, "name")
            if "description" in given:
                wanted["description"] = _description(body.description)
            if body.order is not None:
                wanted["order"] = body.order
            if body.enabled is not None:
                wanted["enabled"] = body.enabled
            _apply(row, wanted, now, caller.subject.id)
            session.flush()
            return documents(session, [row])[0]

    @family.operation("PATCH", path + "/{policyId}", f"patch_{one}", any_of(edit), returns=PolicyDocument)
    def enable_policy(caller: Signed, parts: Parts, policyId: str, body: PolicyUpdate) -> PolicyDocument:
        """Enables or disables a policy, and changes nothing else (F4)."""
        now = parts.clock.now_us()
        with changes.changing(parts, caller) as session:
            row = find(session, policyId, cross_platform=cross_platform)
            _apply(row, {"enabled": body.enabled}, now, caller.subject.id)
            session.flush()
            return documents(session, [row])[0]

    @family.operation("DELETE", path + "/{policyId}", f"delete_{one}", any_of(remove), status=204)
    def delete_policy(caller: Signed, parts: Parts, policyId: str) -> None:
        """Deletes a policy. Dates that it has set stay (F19)."""
        with changes.changing(parts, caller) as session:
            row = find(session, policyId, cross_platform=cross_platform, deleted=True)
            policy_store.delete(row, parts.clock.now_us(), caller.subject.id)

    return family


def find(session: Session, policy_id: str, *, cross_platform: bool = False, deleted: bool = False) -> RetentionPolicy:
    """The policy of that id and kind.

    :raises ApiError: 404.
    """
    row = policy_store.get(session, policy_id, cross_platform=cross_platform, deleted=deleted)
    if row is None:
        raise not_found("media retention policy", policy_id)
    return row


def _apply(row: RetentionPolicy, wanted: dict[str, Any], now: int, by: str) -> None:
    """Changes a row; what is as wanted already stays as it is, dates included (S20)."""
    new = changes.differing(row, wanted)
    if not new:
        return
    if "document" in new or new.get("enabled"):
        new["enabled_at"] = now
    changes.apply(row, new, None)
    policy_store.touch(row, now, by)


def _description(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST_DESCRIPTION:
        raise bad_request(f"description may have {LONGEST_DESCRIPTION} characters.", "description", "invalid.value")
    return text


FAMILIES = (declare(cross_platform=False), declare(cross_platform=True))

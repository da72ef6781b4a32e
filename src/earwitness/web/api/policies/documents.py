"""Media retention policies as documents and as bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.policy import PARTS, Policy, PolicyError, check
from earwitness.store import policy_references
from earwitness.store.policies import MOST_ORDER
from earwitness.store.policy_references import Problem
from earwitness.store.tables import RetentionPolicy
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.free_documents import kept

PATH = "/api/v2/recording/mediaretentionpolicies"
CROSS_PATH = "/api/v2/recording/crossplatform/mediaretentionpolicies"
LONGEST_DESCRIPTION = 4000
LARGEST = 1 << 20
"""Characters of a policy's document."""
Free = dict[str, Any]


class UserParam(Document):
    """A value in a message."""

    key: str
    value: str


class PolicyErrorMessage(Document):
    """Something that keeps a policy from doing all that it says."""

    status_code: int
    user_message: str
    user_params_message: str
    error_code: str
    user_params: list[UserParam]
    insert_date: Moment


class PolicyErrors(Document):
    """What is wrong with a policy (F17)."""

    policy_error_messages: list[PolicyErrorMessage]


class PolicyDocument(Document):
    """A policy."""

    id: str
    name: str
    modified_date: Moment
    created_date: Moment
    order: int
    description: str | None = None
    enabled: bool
    enabled_date: Moment | None = None
    """Conversations that began before are none of its business (F2)."""
    media_policies: Free | None = None
    conditions: Free | None = None
    actions: Free | None = None
    policy_errors: PolicyErrors | None = None
    self_uri: str


class PolicyInput(RequestBody):
    """A policy to make or change; absent fields stay, null ones go. What the server sets is ignored."""

    name: str | None = None
    description: str | None = None
    order: int | None = Field(default=None, ge=0, le=MOST_ORDER)
    enabled: bool | None = None
    media_policies: Free | None = None
    conditions: Free | None = None
    actions: Free | None = None


class PolicyUpdate(RequestBody):
    """What PATCH changes (F4)."""

    enabled: bool


def given_parts(body: PolicyInput) -> dict[str, Free | None]:
    """``mediaPolicies``, ``conditions``, ``actions`` as far as they are in the body, without the nulls in them."""
    names = {"media_policies": "mediaPolicies", "conditions": "conditions", "actions": "actions"}
    return {names[name]: kept(value, names[name]) for name, value in body.given().items() if name in names}


def merged(before: Mapping[str, Any], parts: Mapping[str, Free | None]) -> dict[str, Any]:
    """The document after a change: what is absent stays, what is null goes.

    :raises ApiError: 400, it contradicts itself, naming the field.
    """
    found = {**before, **parts}
    document = {name: found[name] for name in PARTS if found.get(name) is not None}
    read(document)
    return document


def read(document: Mapping[str, Any]) -> Policy:
    """The policy of a document.

    :raises ApiError: 400, naming the field.
    """
    if len(repr(document)) > LARGEST:
        raise bad_request("The policy is too large.", "mediaPolicies", "invalid.value")
    try:
        return check(document)
    except PolicyError as error:
        raise bad_request(f"{error}.", error.field, "invalid.value") from error


def documents(session: Session, rows: Sequence[RetentionPolicy], *, summary: bool = False) -> list[PolicyDocument]:
    """Documents of policies; a summary has neither conditions nor actions (F18)."""
    wrong = policy_references.problems(session, rows)
    return [document(row, wrong[row.id], summary=summary) for row in rows]


def document(row: RetentionPolicy, wrong: Sequence[Problem], *, summary: bool = False) -> PolicyDocument:
    """The document of one policy."""
    stored = {} if summary else row.document
    return PolicyDocument(
        id=row.id,
        name=row.name,
        modified_date=row.modified_at,
        created_date=row.created_at,
        order=row.order,
        description=row.description,
        enabled=row.enabled,
        enabled_date=row.enabled_at if row.enabled else None,
        media_policies=stored.get("mediaPolicies"),
        conditions=stored.get("conditions"),
        actions=stored.get("actions"),
        policy_errors=errors(wrong, row.modified_at) if wrong else None,
        self_uri=f"{path_of(row.cross_platform)}/{row.id}",
    )


def path_of(cross_platform: bool) -> str:
    """Where policies of a kind are."""
    return CROSS_PATH if cross_platform else PATH


def errors(wrong: Sequence[Problem], at: int) -> PolicyErrors:
    """Problems as the contract has them."""
    return PolicyErrors(
        policy_error_messages=[
            PolicyErrorMessage(
                status_code=404 if problem.code == policy_references.BROKEN else 400,
                user_message=problem.message,
                user_params_message=problem.message,
                error_code=problem.code,
                user_params=[UserParam(key=key, value=value) for key, value in problem.params.items()],
                insert_date=at,
            )
            for problem in wrong
        ]
    )


def delete_days(document: Mapping[str, Any]) -> list[int]:
    """Every number of days after which something in the policy deletes, whatever the medium (F18)."""
    found = []
    for actions in _all_actions(document):
        if not isinstance(actions, dict):
            continue
        holders = (actions.get("retentionDuration"), actions.get("initiateScreenRecording"))
        for holder in holders:
            days = ((holder or {}).get("deleteRetention") or {}).get("days")
            if isinstance(days, int):
                found.append(days)
    return found


def _all_actions(document: Mapping[str, Any]) -> Iterator[Any]:
    yield document.get("actions")
    for block in (document.get("mediaPolicies") or {}).values():
        if isinstance(block, dict):
            yield block.get("actions")

"""Queues as documents and as bodies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import named as named_store
from earwitness.store import queues as queue_store
from earwitness.store.snapshot_queues import ALERTING_S
from earwitness.store.tables import Flow, Prompt, Queue
from earwitness.web.api import divisions
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.free_documents import kept

PATH = "/api/v2/routing/queues"
WRAPUP_PROMPTS = ("MANDATORY", "OPTIONAL", "MANDATORY_TIMEOUT", "MANDATORY_FORCED_TIMEOUT", "AGENT_REQUESTED")
LONGEST_ACW_MS = 60 * 60 * 1000
LONGEST_ALERTING_S = 3600
Free = dict[str, Any]


class AcwSettings(Document):
    """After-call work: whether a code must be given, and how long an agent has."""

    wrapup_prompt: str
    timeout_ms: int | None = None


class AcwInput(RequestBody):
    """After-call work to set."""

    wrapup_prompt: Annotated[str, OneOf(*WRAPUP_PROMPTS)] | None = None
    timeout_ms: int | None = Field(default=None, ge=1000, le=LONGEST_ACW_MS)


class _Kept(Document):
    """Fields that are kept and given back; they have no effect."""

    routing_rules: list[Free] | None = None
    conditional_group_routing: Free | None = None
    conditional_group_activation: Free | None = None
    bullseye: Free | None = None
    scoring_method: str | None = None
    last_agent_routing_mode: str | None = None
    skill_evaluation_method: str | None = None
    member_groups: list[Free] | None = None
    email_in_queue_flow: Free | None = None
    message_in_queue_flow: Free | None = None
    whisper_prompt: Free | None = None
    default_media_language: str | None = None
    auto_answer_only: bool | None = None
    canned_response_libraries: Free | None = None
    enable_transcription: bool | None = None
    enable_audio_monitoring: bool | None = None
    enable_manual_assignment: bool | None = None
    agent_owned_routing: Free | None = None
    direct_routing: Free | None = None
    calling_party_name: str | None = None
    calling_party_number: str | None = None
    default_scripts: dict[str, Free] | None = None
    outbound_messaging_addresses: Free | None = None
    outbound_email_address: Free | None = None


class QueueDocument(_Kept):
    """A queue."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    date_created: Moment
    date_modified: Moment
    modified_by: str | None = None
    created_by: str | None = None
    member_count: int
    user_member_count: int
    joined_member_count: int
    media_settings: Free
    acw_settings: AcwSettings
    queue_flow: Reference | None = None
    on_hold_prompt: Reference | None = None
    suppress_in_queue_call_recording: bool
    self_uri: str


class UserQueueDocument(QueueDocument):
    """A queue, and whether its user takes calls of it."""

    joined: bool


class QueueDigest(Document):
    """A queue in few words."""

    id: str
    name: str
    division: DivisionReference
    self_uri: str


class QueueInput(RequestBody):
    """A queue to make or change; absent fields stay, null ones go back to what they are in a new queue."""

    name: str | None = None
    description: str | None = None
    division: DivisionInput | None = None
    media_settings: Free | None = None
    acw_settings: AcwInput | None = None
    queue_flow: ReferenceInput | None = None
    on_hold_prompt: ReferenceInput | None = None
    suppress_in_queue_call_recording: bool | None = None
    source_queue_id: str | None = None
    routing_rules: list[Free] | None = None
    conditional_group_routing: Free | None = None
    conditional_group_activation: Free | None = None
    bullseye: Free | None = None
    scoring_method: Annotated[str, OneOf("TimestampAndPriority", "PriorityOnly")] | None = None
    last_agent_routing_mode: Annotated[str, OneOf("Disabled", "QueueMembersOnly", "AnyAgent")] | None = None
    skill_evaluation_method: Annotated[str, OneOf("NONE", "BEST", "ALL")] | None = None
    member_groups: list[Free] | None = None
    email_in_queue_flow: Free | None = None
    message_in_queue_flow: Free | None = None
    whisper_prompt: Free | None = None
    default_media_language: str | None = None
    auto_answer_only: bool | None = None
    canned_response_libraries: Free | None = None
    enable_transcription: bool | None = None
    enable_audio_monitoring: bool | None = None
    enable_manual_assignment: bool | None = None
    agent_owned_routing: Free | None = None
    direct_routing: Free | None = None
    calling_party_name: str | None = None
    calling_party_number: str | None = None
    default_scripts: dict[str, Free] | None = None
    outbound_messaging_addresses: Free | None = None
    outbound_email_address: Free | None = None


def documents(session: Session, rows: Iterable[Queue]) -> list[QueueDocument]:
    """Documents of queues."""
    found = list(rows)
    counts = queue_store.counts(session, (row.id for row in found))
    mentions = divisions.references(session, {row.division_id for row in found})
    return [QueueDocument(**_fields(session, row, counts.get(row.id, (0, 0)), mentions)) for row in found]


def document(session: Session, row: Queue) -> QueueDocument:
    """The document of one queue."""
    return documents(session, [row])[0]


def user_documents(session: Session, rows: Iterable[Queue], user_id: str) -> list[UserQueueDocument]:
    """Documents of queues that a user is a member of."""
    found = list(rows)
    counts = queue_store.counts(session, (row.id for row in found))
    mentions = divisions.references(session, {row.division_id for row in found})
    made = []
    for row in found:
        member = queue_store.member(session, row.id, user_id)
        fields = _fields(session, row, counts.get(row.id, (0, 0)), mentions)
        made.append(UserQueueDocument(**fields, joined=member is not None and member.joined))
    return made


def digests(session: Session, rows: Iterable[Queue]) -> list[QueueDigest]:
    """Queues in few words."""
    found = list(rows)
    mentions = divisions.references(session, {row.division_id for row in found})
    return [
        QueueDigest(id=row.id, name=row.name, division=mentions[row.division_id], self_uri=f"{PATH}/{row.id}")
        for row in found
    ]


def _fields(
    session: Session, row: Queue, counts: tuple[int, int], mentions: dict[str, DivisionReference]
) -> dict[str, Any]:
    media = {**row.media_settings}
    media["call"] = {"alertingTimeoutSeconds": int(ALERTING_S), **media.get("call", {})}
    flow = named_store.get(session, Flow, row.queue_flow_id) if row.queue_flow_id else None
    prompt = named_store.get(session, Prompt, row.on_hold_prompt_id) if row.on_hold_prompt_id else None
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "division": mentions[row.division_id],
        "description": row.description,
        "date_created": row.created_at,
        "date_modified": row.modified_at,
        "modified_by": row.modified_by,
        "created_by": row.created_by,
        "member_count": counts[0],
        "user_member_count": counts[0],
        "joined_member_count": counts[1],
        "media_settings": media,
        "acw_settings": AcwSettings(wrapup_prompt=row.wrapup_prompt, timeout_ms=row.wrapup_timeout_ms),
        "queue_flow": None if flow is None else _reference(flow.id, flow.name, "/api/v2/flows"),
        "on_hold_prompt": None if prompt is None else _reference(prompt.id, prompt.name, "/api/v2/architect/prompts"),
        "suppress_in_queue_call_recording": row.suppress_in_queue_call_recording,
        "self_uri": f"{PATH}/{row.id}",
    }


def _reference(object_id: str, name: str, path: str) -> Reference:
    return Reference(id=object_id, name=name, self_uri=f"{path}/{object_id}")


def columns(session: Session, body: QueueInput, extra: dict[str, Any]) -> dict[str, Any]:
    """The columns that a body speaks of, beside name, description and division.

    :param extra: what is kept so far of the fields without a meaning.
    :raises ApiError: 400, something that does not exist or makes no sense.
    """
    given = body.given()
    wanted: dict[str, Any] = {"extra": dict(extra)}
    for name in given.keys() & _Kept.model_fields.keys():
        value = kept(given[name], name)
        wanted["extra"].pop(name, None)
        if value is not None:
            wanted["extra"][name] = value
    if "media_settings" in given:
        wanted["media_settings"] = _media(kept(body.media_settings or {}, "mediaSettings"))
    if "acw_settings" in given:
        acw = body.acw_settings or AcwInput()
        wanted["wrapup_prompt"] = acw.wrapup_prompt or "OPTIONAL"
        wanted["wrapup_timeout_ms"] = acw.timeout_ms
    if "suppress_in_queue_call_recording" in given:
        suppressed = body.suppress_in_queue_call_recording
        wanted["suppress_in_queue_call_recording"] = True if suppressed is None else suppressed
    if "queue_flow" in given:
        wanted["queue_flow_id"] = _flow(session, body.queue_flow)
    if "on_hold_prompt" in given:
        prompt = body.on_hold_prompt.id if body.on_hold_prompt is not None else None
        if prompt and named_store.get(session, Prompt, prompt) is None:
            raise bad_request(f"There is no prompt {prompt}.", "onHoldPrompt.id", "invalid.value")
        wanted["on_hold_prompt_id"] = prompt or None
    return wanted


def _media(media: dict[str, Any]) -> dict[str, Any]:
    for name, part in media.items():
        if not isinstance(part, dict):
            raise bad_request(f"mediaSettings.{name} is an object.", f"mediaSettings.{name}", "invalid.value")
    seconds = media.get("call", {}).get("alertingTimeoutSeconds", ALERTING_S)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_ALERTING_S:
        raise bad_request(
            f"mediaSettings.call.alertingTimeoutSeconds is 1 to {LONGEST_ALERTING_S}.",
            "mediaSettings.call.alertingTimeoutSeconds",
            "invalid.value",
        )
    return media


def _flow(session: Session, reference: ReferenceInput | None) -> str | None:
    if reference is None or not reference.id:
        return None
    flow = named_store.get(session, Flow, reference.id)
    if flow is None or flow.type != "inqueuecall":
        raise bad_request(f"There is no in-queue call flow {reference.id}.", "queueFlow.id", "invalid.value")
    return flow.id

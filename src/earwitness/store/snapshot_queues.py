"""The contact centre's part of the edge's configuration: queues, published flows, prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from earwitness.domain import configuration
from earwitness.store.tables import (
    Flow,
    FlowVersion,
    Prompt,
    PromptResource,
    Queue,
    QueueMember,
    QueueWrapupCode,
    WrapupCode,
)

ALERTING_S = 8.0
ACW_S = 300.0
"""Where a queue says nothing of its own."""


def queues(session: Session, active_users: Collection[str]) -> tuple[configuration.Queue, ...]:
    """Queues with the members that are there and have joined, by name."""
    members: dict[str, list[str]] = defaultdict(list)
    joined = select(QueueMember).where(QueueMember.joined).order_by(QueueMember.added_at, QueueMember.user_id)
    for member in session.scalars(joined):
        if member.user_id in active_users:
            members[member.queue_id].append(member.user_id)
    codes: dict[str, list[configuration.WrapupCode]] = defaultdict(list)
    offered = (
        select(QueueWrapupCode.queue_id, WrapupCode.id, WrapupCode.name)
        .join(WrapupCode, WrapupCode.id == QueueWrapupCode.code_id)
        .where(WrapupCode.state == "active")
        .order_by(WrapupCode.name, WrapupCode.id)
    )
    for queue_id, code_id, name in session.execute(offered):
        codes[queue_id].append(configuration.WrapupCode(code_id, name))
    music = {
        row.id: row.name for row in session.execute(select(Prompt.id, Prompt.name).where(Prompt.state == "active"))
    }
    runnable = set(session.scalars(select(Flow.id).where(Flow.state == "active", Flow.published_number.is_not(None))))
    rows = session.scalars(select(Queue).where(Queue.state == "active").order_by(Queue.name, Queue.id))
    return tuple(
        configuration.Queue(
            id=row.id,
            name=row.name,
            members=tuple(members[row.id]),
            suppress_recording=row.suppress_in_queue_call_recording,
            alerting_s=alerting_s(row),
            acw=row.wrapup_prompt,
            acw_s=ACW_S if row.wrapup_timeout_ms is None else row.wrapup_timeout_ms / 1000,
            wrapup_codes=tuple(codes[row.id]),
            hold_music=music.get(row.on_hold_prompt_id or "", ""),
            in_queue_flow_id=row.queue_flow_id if row.queue_flow_id in runnable else None,
        )
        for row in rows
    )


def alerting_s(row: Queue) -> float:
    """How long an agent's phone rings for this queue, seconds."""
    call = row.media_settings.get("call")
    value = call.get("alertingTimeoutSeconds") if isinstance(call, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else ALERTING_S


def flows(session: Session) -> tuple[configuration.Flow, ...]:
    """The published version of each flow, by name."""
    published = (
        select(Flow, FlowVersion)
        .join(FlowVersion, (FlowVersion.flow_id == Flow.id) & (FlowVersion.number == Flow.published_number))
        .where(Flow.state == "active")
        .options(undefer(FlowVersion.source))
        .order_by(Flow.name, Flow.id)
    )
    return tuple(
        configuration.Flow(flow.id, flow.name, flow.type, f"{version.number}.0", version.source)
        for flow, version in session.execute(published)
    )


def prompts(session: Session, folder: Path) -> tuple[configuration.Prompt, ...]:
    """Prompts of which there are recordings, by name; ``folder`` is where those are."""
    recorded = (
        select(Prompt, PromptResource)
        .join(PromptResource, PromptResource.prompt_id == Prompt.id)
        .where(Prompt.state == "active", PromptResource.file.is_not(None))
        .order_by(Prompt.name, PromptResource.is_default.desc(), PromptResource.language)
    )
    files: dict[str, dict[str, str]] = defaultdict(dict)
    for prompt, resource in session.execute(recorded):
        files[prompt.name][resource.language] = str(folder / str(resource.file))
    return tuple(configuration.Prompt(name, found) for name, found in files.items())

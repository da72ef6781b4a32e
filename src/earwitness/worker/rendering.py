"""What a render process does with one conversation: follow it, then render, seal and leave the facts.

The file of a tape is written beside its packets in the spool folder, the only place where plain audio may be, and
removed as soon as the vault has it. Its name carries the process id: a render process whose worker was killed may still
be at the same tape when its successor is.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from earwitness.archive.render.annotations import annotate
from earwitness.archive.render.plan import TapePlan, plan_tapes
from earwitness.archive.render.renderer import Rendering, render_tape
from earwitness.archive.vault import DestroyedError, Item, Vault, object_key
from earwitness.worker import rendered
from earwitness.worker.follow import FOLLOWED_FORMATS, TapeFollower
from earwitness.worker.growing import GrowingLog
from earwitness.worker.rendered import RenderedTape, SealedObject

log = structlog.get_logger()

MASTER = "master"


@dataclass(slots=True)
class _Followed:
    follower: TapeFollower
    file: IO[bytes]
    path: Path


class ConversationRenderer:
    """One conversation in a render process."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder = folder
        self._vault = vault
        self._log = GrowingLog(folder / "events.jsonl")
        self._plans: list[TapePlan] = []
        self._refused = False
        """The caller said no to being recorded."""
        self._followed: dict[str, _Followed] = {}
        self._destroyed: set[str] = set()
        """Tapes that are followed no more, because what they had captured was destroyed during the call."""

    def poll(self, now_us: int) -> None:
        """Renders what has become final of a call that is up; ``now_us`` UTC microseconds."""
        plans = self._latest_plans()
        self._drop_destroyed()
        for plan in plans:
            if plan.audio_format not in FOLLOWED_FORMATS or plan.tape_id in self._destroyed or self._refused:
                continue
            if plan.tape_id not in self._followed:
                path = self._folder / f"{plan.tape_id}.{os.getpid()}.followed"
                file = path.open("wb")
                self._followed[plan.tape_id] = _Followed(TapeFollower(file.write), file, path)
            followed = self._followed[plan.tape_id]
            if not followed.follower.contradiction:
                followed.follower.poll(plan, now_us)

    def finish(self, tape_ids: list[str]) -> list[str]:
        """Renders and seals the tapes of a call that has ended; gives the ids of those that have a recording.

        A tape whose recording was destroyed in the meantime has none.

        :raises FileNotFoundError, EventError, UnsupportedFormatError, OSError: it cannot be done, or not now.
        """
        try:
            plans = {plan.tape_id: plan for plan in self._latest_plans()}
            return [tape_id for tape_id in tape_ids if self._is_rendered(tape_id) or self._tape(plans[tape_id])]
        finally:
            self.drop()

    def drop(self) -> None:
        """Gives up what was followed."""
        for tape_id in list(self._followed):
            self._drop(tape_id)

    def _drop(self, tape_id: str) -> None:
        followed = self._followed.pop(tape_id)
        followed.file.close()
        followed.path.unlink(missing_ok=True)

    def _drop_destroyed(self) -> None:
        """What a caller refused to have recorded must not live on here, decoded (C1)."""
        for tape_id, followed in list(self._followed.items()):
            if self._refused or tape_id in self._destroyed or followed.follower.vanished:
                self._destroyed.add(tape_id)
                self._drop(tape_id)

    def _is_rendered(self, tape_id: str) -> bool:
        return rendered.read(self._folder, tape_id) is not None

    def _latest_plans(self) -> list[TapePlan]:
        if self._log.read() or not self._plans:
            events = self._log.events
            self._refused = any(event.type == "consent.refused" for event in events)
            self._destroyed.update(event.data["tape_id"] for event in events if event.type == "tape.destroyed")
            self._plans = plan_tapes(self._log.events, self._folder)
        return self._plans

    def _tape(self, plan: TapePlan) -> bool:
        """Renders and seals one tape; False if its recording was destroyed."""
        began = time.monotonic()
        rendering, path = self._finish_followed(plan)
        followed = rendering is not None
        if rendering is None:
            with path.open("wb") as file:
                rendering = render_tape(plan, file.write)
        try:
            tape = self._seal(plan, rendering, path)
        except DestroyedError:
            log.warning("a destroyed recording is not made again", recording_id=plan.tape_id)
            return False
        finally:
            path.unlink(missing_ok=True)
        rendered.write(self._folder, tape)
        log.info(
            "recording sealed",
            recording_id=plan.tape_id,
            conversation_id=plan.conversation_id,
            duration_ms=rendering.length_ms,
            followed=followed,
            took_s=round(time.monotonic() - began, 3),
        )
        return True

    def _finish_followed(self, plan: TapePlan) -> tuple[Rendering | None, Path]:
        """The rendering of a tape that was followed to the end, or None and where to write instead."""
        followed = self._followed.pop(plan.tape_id, None)
        if followed is None:
            return None, self._folder / f"{plan.tape_id}.{os.getpid()}.rendering"
        with followed.file:
            rendering = followed.follower.finish(plan)
        if rendering is None:
            log.debug("rendered afresh", recording_id=plan.tape_id, why=followed.follower.contradiction)
        return rendering, followed.path

    def _seal(self, plan: TapePlan, rendering: Rendering, path: Path) -> RenderedTape:
        now_us = time.time_ns() // 1000
        openings = [
            {"from_us": opening.from_us, "to_us": opening.from_us + opening.length_us} for opening in plan.openings
        ]
        facts: dict[str, Any] = {
            "conversation_id": plan.conversation_id,
            "kind": plan.kind,
            "leg_id": plan.leg_id,
            "audio_format": plan.audio_format,
            "channels": rendering.channels,
            "rate": rendering.rate,
            "length_ms": rendering.length_ms,
            "openings": openings,
        }
        manifest = self._vault.seal(plan.tape_id, [Item(MASTER, rendering.media_type, path)], facts, now_us)
        item = manifest.item(MASTER)
        return RenderedTape(
            tape_id=plan.tape_id,
            leg_id=plan.leg_id,
            kind=plan.kind,
            audio_format=plan.audio_format,
            mime_type=item.media_type,
            channels=rendering.channels,
            sample_rate=rendering.rate,
            start_us=plan.start_us,
            end_us=plan.end_us,
            duration_ms=rendering.length_ms,
            openings=openings,
            annotations=annotations_of(plan),
            quality=rendering.sheet.to_document(),
            peaks=rendering.peaks.to_bytes(),
            objects=[SealedObject(MASTER, object_key(plan.tape_id, MASTER), item.media_type, item.size, item.sha256)],
        )


def annotations_of(plan: TapePlan) -> list[dict[str, Any]]:
    """The pauses of a recording as stored; all share one id (B11), derived from the recording's."""
    shared = str(uuid.uuid5(uuid.NAMESPACE_URL, f"earwitness:pauses:{plan.tape_id}"))
    return [
        {**pause.to_document(), "id": shared, "startUs": pause.start_us, "why": list(pause.why)}
        for pause in annotate(plan)
    ]

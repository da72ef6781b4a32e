"""What a render process does with a conversation: follow it, then render, seal and leave the facts.

Sealing is mostly waiting for the disk, so conversations that end together are sealed together (``seal_together``).

The file of a tape is written beside its packets in the spool folder, the only place where plain audio may be, and
removed as soon as the vault has it. Its name carries the process id: a render process whose worker was killed may still
be at the same tape when its successor is.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from earwitness.archive.render.annotations import annotate
from earwitness.archive.render.plan import TapePlan, plan_tapes
from earwitness.archive.render.renderer import Rendering, render_tape
from earwitness.archive.vault import DestroyedError, Item, Manifest, Sealing, Vault, object_key
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


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A tape that is rendered and not sealed yet."""

    plan: TapePlan
    rendering: Rendering
    path: Path
    followed: bool
    began: float


@dataclass(slots=True)
class Unsealed:
    """The tapes of a conversation, rendered."""

    folder: Path
    tapes: list[str | RenderedFile] = field(default_factory=list)
    """An id: that of a tape which was sealed before."""

    @property
    def files(self) -> list[RenderedFile]:
        """What is to be sealed."""
        return [tape for tape in self.tapes if isinstance(tape, RenderedFile)]

    def discard(self) -> None:
        """Removes the plain files."""
        for file in self.files:
            file.path.unlink(missing_ok=True)


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

    def poll(self, now_us: int) -> int | None:
        """Renders what has become final of a call that is up; gives when there will be more, None if nobody can tell.

        :param now_us: UTC microseconds, as is what comes back.
        """
        due: list[int] = []
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
            if followed.follower.contradiction:
                continue
            more_us = followed.follower.poll(plan, now_us)
            if more_us is not None and more_us > now_us:
                due.append(more_us)
        return min(due, default=None)

    def render(self, tape_ids: list[str]) -> Unsealed:
        """Renders the tapes of a call that has ended, those that are not sealed yet.

        :raises FileNotFoundError, EventError, UnsupportedFormatError, OSError: it cannot be done, or not now.
        """
        unsealed = Unsealed(self._folder)
        try:
            plans = {plan.tape_id: plan for plan in self._latest_plans()}
            for tape_id in tape_ids:
                known = rendered.read(self._folder, tape_id) is not None
                unsealed.tapes.append(tape_id if known else self._tape(plans[tape_id]))
        except BaseException:
            unsealed.discard()
            raise
        finally:
            self.drop()
        return unsealed

    def finish(self, tape_ids: list[str]) -> list[str]:
        """Renders and seals the tapes of a call that has ended; gives the ids of those that have a recording.

        A tape whose recording was destroyed in the meantime has none.

        :raises FileNotFoundError, EventError, UnsupportedFormatError, OSError: it cannot be done, or not now.
        """
        (result,) = seal_together(self._vault, [self.render(tape_ids)])
        if isinstance(result, Exception):
            raise result
        return result

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

    def _latest_plans(self) -> list[TapePlan]:
        if self._log.read() or not self._plans:
            events = self._log.events
            self._refused = any(event.type == "consent.refused" for event in events)
            self._destroyed.update(event.data["tape_id"] for event in events if event.type == "tape.destroyed")
            self._plans = plan_tapes(self._log.events, self._folder)
        return self._plans

    def _tape(self, plan: TapePlan) -> RenderedFile:
        """Renders one tape."""
        began = time.monotonic()
        rendering, path = self._finish_followed(plan)
        if rendering is not None:
            return RenderedFile(plan, rendering, path, followed=True, began=began)
        try:
            with path.open("wb") as file:
                rendering = render_tape(plan, file.write)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return RenderedFile(plan, rendering, path, followed=False, began=began)

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


def seal_together(vault: Vault, conversations: Sequence[Unsealed]) -> list[list[str] | Exception]:
    """Seals rendered conversations, waiting for the disk once for all, and removes the plain files.

    Gives for each the ids of its tapes that have a recording, or what went wrong.
    """
    try:
        sealings = [_sealing(file) for conversation in conversations for file in conversation.files]
        results = iter(vault.seal_all(sealings) if sealings else [])
        return [_conclude(conversation, results) for conversation in conversations]
    finally:
        for conversation in conversations:
            conversation.discard()


def _conclude(conversation: Unsealed, results: Iterator[Manifest | Exception]) -> list[str] | Exception:
    """Leaves the facts of what was sealed of a conversation; takes one of ``results`` for each of its files."""
    kept: list[str] = []
    failure: Exception | None = None
    for tape in conversation.tapes:
        if isinstance(tape, str):
            kept.append(tape)
            continue
        result = next(results)
        if isinstance(result, DestroyedError):
            log.warning("a destroyed recording is not made again", recording_id=tape.plan.tape_id)
        elif isinstance(result, Exception):
            failure = failure or result
        else:
            rendered.write(conversation.folder, _facts(tape, result))
            kept.append(tape.plan.tape_id)
            log.info(
                "recording sealed",
                recording_id=tape.plan.tape_id,
                conversation_id=tape.plan.conversation_id,
                duration_ms=tape.rendering.length_ms,
                followed=tape.followed,
                took_s=round(time.monotonic() - tape.began, 3),
            )
    return kept if failure is None else failure


def _openings(plan: TapePlan) -> list[dict[str, int]]:
    return [{"from_us": opening.from_us, "to_us": opening.from_us + opening.length_us} for opening in plan.openings]


def _sealing(file: RenderedFile) -> Sealing:
    plan, rendering = file.plan, file.rendering
    facts: dict[str, Any] = {
        "conversation_id": plan.conversation_id,
        "kind": plan.kind,
        "leg_id": plan.leg_id,
        "audio_format": plan.audio_format,
        "channels": rendering.channels,
        "rate": rendering.rate,
        "length_ms": rendering.length_ms,
        "openings": _openings(plan),
    }
    return Sealing(plan.tape_id, [Item(MASTER, rendering.media_type, file.path)], facts, time.time_ns() // 1000)


def _facts(file: RenderedFile, manifest: Manifest) -> RenderedTape:
    plan, rendering, item = file.plan, file.rendering, manifest.item(MASTER)
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
        openings=_openings(plan),
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

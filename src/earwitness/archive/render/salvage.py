"""What can still be read of a spool folder whose story is damaged: the tapes, and as much of the story as is whole.

An event log with a broken line, of another conversation, or none at all keeps a call from being finished for ever. Its
tapes are packets with times of their own: they can be rendered without a story, only less well (which payload type was
which codec, who was where, when the tape paused).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from earwitness.archive.render.plan import Codec, MediaEpoch, Opening, TapePlan, plan_tapes, read_events
from earwitness.domain.conversation.events import Event, EventError, parse
from earwitness.domain.conversation.timeline import fold
from earwitness.media.tape import reader
from earwitness.media.tape.format import TapeError
from earwitness.media.tape.spool import EVENTS, TapeFile, tape_files

PACKET_US = 20_000
REFUSED, DESTROYED = b"consent.refused", b"tape.destroyed"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What is left of a folder."""

    why: str
    """What is wrong with it, for people."""
    refused: bool
    """The caller refused to be recorded: nothing may be kept (C1)."""
    plans: list[TapePlan]
    """Tapes to render. What was destroyed in the call is not among them."""
    owners: dict[str, str]
    """Tape -> user, of user recordings."""
    story: bytes
    """The event log as it is."""


def trouble(folder: Path) -> str | None:
    """What keeps a folder from being finished; None: nothing, or there is nothing in it.

    :raises OSError: it cannot be read now.
    """
    try:
        events = read_events(folder)
    except FileNotFoundError:
        return "there is no event log" if folder.is_dir() and tape_files(folder) else None
    except EventError as error:
        return f"the event log is damaged: {error}"
    if not events:
        return "the event log is empty" if tape_files(folder) else None
    try:
        told = fold(events).conversation_id
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return f"the event log makes no sense: {error!r}"
    return None if told == folder.name else f"the event log is that of conversation {told!r}"


def salvage(folder: Path, why: str) -> Salvaged:
    """Reads what is whole.

    :raises OSError: it cannot be read now.
    """
    try:
        story = (folder / EVENTS).read_bytes()
    except FileNotFoundError:
        story = b""
    events = whole_events(story)
    try:
        known = {plan.tape_id: plan for plan in plan_tapes(events, folder)}
    except (ValueError, LookupError, TypeError, AttributeError):
        known = {}
    destroyed = b"\n".join(line for line in story.splitlines() if DESTROYED in line)
    files: dict[str, list[TapeFile]] = {}
    for file in tape_files(folder):
        files.setdefault(file.tape_id, []).append(file)
    plans = [
        _plan(folder, tape_id, found, known.get(tape_id), events)
        for tape_id, found in sorted(files.items())
        if tape_id.encode() not in destroyed
    ]
    users = {
        str(event.data["participant_id"]): str(event.data["user_id"])
        for event in events
        if event.type == "participant.joined" and event.data.get("user_id")
    }
    of_legs = {
        str(event.data["leg_id"]): users.get(str(event.data["participant_id"]))
        for event in events
        if event.type == "leg.offered"
    }
    owners = {plan.tape_id: owner for plan in plans if plan.kind == "user" and (owner := of_legs.get(plan.leg_id))}
    return Salvaged(why, REFUSED in story, plans, owners, story)


def whole_events(story: bytes) -> list[Event]:
    """The events of the lines that are whole, in order of time; strays of another numbering are kept."""
    found = []
    for line in story.splitlines():
        try:
            found.append(parse(line))
        except EventError:
            continue
    return sorted(found, key=lambda event: (event.at, event.seq))


def _plan(
    folder: Path, tape_id: str, files: Sequence[TapeFile], known: TapePlan | None, events: Sequence[Event]
) -> TapePlan:
    """A tape by its files, and by its story as far as that covers them."""
    spans = _spans(files)
    told = {opening.index: opening for opening in known.openings} if known is not None else {}
    openings = []
    for index, (first, last) in sorted(spans.items()):
        opening = told.get(index) or Opening(index, first, None)
        if opening.to_us is None:
            opening = replace(opening, to_us=max(last + PACKET_US, opening.from_us))
        openings.append(opening)
    if known is not None:
        return replace(known, conversation_id=folder.name, openings=tuple(openings))
    codecs: dict[int, Codec] = {}
    for event in events:
        if event.type == "leg.media" and isinstance(event.data["payload_types"], dict):
            codecs |= _codecs(event.data["payload_types"])
    return TapePlan(
        conversation_id=folder.name,
        tape_id=tape_id,
        leg_id="",
        kind="trunk",
        dual_channel=True,
        audio_format="audio/opus",
        folder=folder,
        openings=tuple(openings),
        media=(MediaEpoch(0, codecs),),
    )


def _codecs(payload_types: dict[str, Any]) -> dict[int, Codec]:
    found = {}
    for number, value in payload_types.items():
        try:
            found[int(number)] = Codec(str(value[0]).upper(), int(value[1]), int(value[2]))
        except (TypeError, ValueError, LookupError):
            continue
    return found


def _spans(files: Sequence[TapeFile]) -> dict[int, tuple[int, int]]:
    """Opening -> arrival of its first and last packet, UTC µs; files that are none of ours are left out."""
    found: dict[int, tuple[int, int]] = {}
    for file in files:
        try:
            tape = reader.read(file.path)
        except TapeError:
            continue
        if len(tape):
            first, last = int(tape.arrival_us.min()), int(tape.arrival_us.max())
            before = found.get(file.opening, (first, last))
            found[file.opening] = (min(first, before[0]), max(last, before[1]))
    return found

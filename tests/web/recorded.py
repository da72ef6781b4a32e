"""A finished call with a recording in the vault, and one in progress, for tests of the API."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import numpy as np

from earwitness.archive.render.ogg import OggOpus
from earwitness.archive.render.peaks import Meter
from earwitness.archive.vault.keys import create_keys
from earwitness.archive.vault.vault import Item, Vault
from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import fold
from earwitness.domain.recording.why import spans
from earwitness.store.internal import FinishedConversation, store_finished
from earwitness.store.tables import Conversation, Participant, Recording

RATE = 8000
START = 1_795_353_600_000_000
SECOND = 1_000_000


def new_id() -> str:
    return str(uuid.uuid4())


def tone(frequency: float, seconds: float) -> np.ndarray:
    times = np.arange(int(RATE * seconds)) / RATE
    return (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16)


def dominant(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def call_events(
    conversation_id: str, user_id: str, tape_id: str, *, ended: bool, organization_id: str = "o"
) -> list[Event]:
    """A carrier calls, a user answers; external on leg ``t``, user on leg ``s``; recorded for two seconds."""
    told: list[tuple[float, str, dict[str, Any]]] = [
        (0, "conversation.started", {"conversation_id": conversation_id, "organization_id": organization_id,
                                     "direction": "inbound", "ani": "+4930111", "dnis": "+4930222"}),
        (0, "participant.joined", {"participant_id": "p1", "purpose": "external", "name": "Caller",
                                   "address": "tel:+4930111"}),
        (0, "leg.offered", {"leg_id": "t", "participant_id": "p1", "kind": "trunk", "direction": "inbound",
                            "external": True, "address": "+4930111"}),
        (0, "participant.joined", {"participant_id": "p2", "purpose": "user", "name": "Agent", "user_id": user_id}),
        (0, "leg.offered", {"leg_id": "s", "participant_id": "p2", "kind": "station", "direction": "outbound",
                            "external": False, "address": "sip:agent"}),
        (0.5, "leg.ringing", {"leg_id": "s"}),
        (1, "leg.answered", {"leg_id": "s"}),
        (1, "leg.answered", {"leg_id": "t"}),
        (1, "segment.started", {"segment_id": "g1", "participant_id": "p2", "kind": "interact"}),
        (1, "tape.opened", {"tape_id": tape_id, "opening": 0, "leg_id": "t", "kind": "trunk", "dual_channel": True,
                            "audio_format": "audio/opus", "reasons": [{"row": "trunk", "why": "the trunk records"}]}),
    ]  # fmt: skip
    if ended:
        told += [
            (3, "tape.closed", {"tape_id": tape_id, "opening": 0, "reasons": [{"row": "leg", "why": "hung up"}]}),
            (3, "leg.ended", {"leg_id": "t", "cause": "endpoint"}),
            (3, "leg.ended", {"leg_id": "s", "cause": "peer"}),
            (3, "conversation.ended", {"cause": "hangup"}),
        ]
    return [Event(n, START + int(at * SECOND), kind, data) for n, (at, kind, data) in enumerate(told)]


def live_document(events: list[Event]) -> dict[str, Any]:
    """What the edge's control API says of a conversation."""
    return {
        "id": events[0].data["conversation_id"],
        "events": [json.loads(event.to_json()) for event in events],
        "timeline": fold(events).to_document(),
    }


def master() -> tuple[bytes, bytes]:
    """Two seconds of Ogg Opus, 440 Hz left and 1 kHz right, and their peaks."""
    samples = np.stack([tone(440, 2), tone(1000, 2)], axis=1)
    out = io.BytesIO()
    sink = OggOpus(out.write, RATE, 2, serial=1, bitrate=24000, complexity=5)
    meter = Meter(RATE, 2)
    sink.samples(samples)
    meter.samples(samples)
    sink.finish()
    return out.getvalue(), meter.finish().to_bytes()


def store_call_as(site: Any, conversation_id: str) -> str:
    """Puts a finished call of that id into database and vault; gives the recording's id."""
    return store_call(site, conversation_id=conversation_id)[1]


def store_call(
    site: Any,
    *,
    user: str = "agent",
    role: str = "CUSTOMER_EXPERIENCE",
    divisions: list[str] | None = None,
    conversation_id: str | None = None,
) -> tuple[str, str]:
    """Puts a finished call of a user into database and vault; gives (conversation id, recording id)."""
    world = site.world
    conversation_id, recording_id, user_id = conversation_id or new_id(), new_id(), world.users[user]
    events = call_events(conversation_id, user_id, recording_id, ended=True, organization_id=world.organization_id)
    timeline = fold(events)
    content, peaks = master()
    create_keys(site.arguments.keys_dir)
    vault = Vault.at(site.arguments.vault_url, site.arguments.keys_dir)
    sealed = vault.seal(recording_id, [Item("master", "audio/ogg", content)], {}, START).item("master")
    conversation = Conversation(
        id=conversation_id,
        organization_id=world.organization_id,
        started_at=START,
        ended_at=timeline.end,
        direction="inbound",
        ani="+4930111",
        dnis="+4930222",
        cause="hangup",
        timeline=timeline.to_document(),
        events=[json.loads(event.to_json()) for event in events],
        recording_state="RECORDED",
        why=[span.to_document() for span in spans(timeline, timeline.end or 0)],
        finalised_at=START + 4 * SECOND,
    )
    people = [
        Participant(conversation_id=conversation_id, id=item.participant_id, purpose=item.purpose, name=item.name,
                    user_id=item.user_id, joined_at=item.start, left_at=item.end, connected_at=item.connected)
        for item in timeline.participants
    ]  # fmt: skip
    pause = {"type": "pause", "reason": "Hold", "location": 500, "durationMs": 250, "realtimeLocation": 500,
             "absoluteLocation": 500, "absoluteDurationMs": 250, "recordingLocation": 500,
             "recordingDurationMs": 0}  # fmt: skip
    recording = Recording(
        id=recording_id,
        conversation_id=conversation_id,
        kind="user" if role == "ADHOC" else "trunk",
        media_subtype="Station" if role == "ADHOC" else "Trunk",
        role=role,
        owner_user_id=user_id if role == "ADHOC" else None,
        leg_id="t",
        file_state="AVAILABLE",
        started_at=START + SECOND,
        ended_at=START + 3 * SECOND,
        duration_ms=2000,
        audio_format="audio/opus",
        mime_type="audio/ogg",
        channels=2,
        sample_rate=RATE,
        size=sealed.size,
        sha256=sealed.sha256,
        annotations=[pause, {**pause, "reason": "SecurePause"}, {**pause, "reason": "SecurePause"}],
        peaks=peaks,
        created_at=START + 4 * SECOND,
        modified_at=START + 4 * SECOND,
    )
    with world.database.transaction() as session:
        finished = FinishedConversation(conversation, people, [recording], [], divisions or [world.sales])
        assert store_finished(session, finished)
    return conversation_id, recording_id

"""Segment view (J12, G11): the audio of other divisions is not in the bytes, and places are those of what is heard."""

from __future__ import annotations

import io
from typing import Any

import av
import httpx
import numpy as np
import pytest

from earwitness.archive.render.ogg import OggOpus
from earwitness.archive.render.peaks import Meter
from earwitness.archive.vault.keys import create_keys
from earwitness.archive.vault.vault import Item, Vault
from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import fold
from earwitness.store.internal import FinishedConversation, store_finished
from earwitness.store.tables import AuditEntry, Conversation, Grant, Participant, Recording, Role

SEGMENTS = "recording:recordingSegment:view"


def give(site: Any, name: str, division_id: str, *permissions: str) -> str:
    world, role_id = site.world, f"role-{name}-{len(site.world.roles)}"
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        session.add(Role(id=role_id, name=role_id, permissions=list(permissions), permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id=role_id, subject_type="user", subject_id=world.users[name], role_id=role_id,
                          division_id=division_id, granted_at=1))  # fmt: skip
    world.roles[role_id] = role_id
    return role_id


@pytest.fixture
def handed_over(sqlite_site: Any, recorded: Any) -> tuple[str, str]:
    """Recorded from 1 to 5 s, with a hole from 3 to 4: the agent (sales) until 3, the administrator (home) after it."""
    world, start, second = sqlite_site.world, recorded.START, recorded.SECOND
    conversation_id, recording_id = recorded.new_id(), recorded.new_id()
    people = {"p2": world.users["agent"], "p3": world.users["admin"]}
    told: list[tuple[float, str, dict[str, Any]]] = [
        (0, "conversation.started", {"conversation_id": conversation_id, "organization_id": "o",
                                     "direction": "inbound", "ani": "1", "dnis": "2"}),
        (0, "participant.joined", {"participant_id": "p1", "purpose": "external", "address": "1"}),
        *((at, "participant.joined", {"participant_id": key, "purpose": "user", "user_id": people[key]})
          for at, key in ((0, "p2"), (3, "p3"))),
        (1, "segment.started", {"segment_id": "g1", "participant_id": "p2", "kind": "interact"}),
        (3, "segment.ended", {"segment_id": "g1"}),
        (3.5, "segment.started", {"segment_id": "g2", "participant_id": "p3", "kind": "interact"}),
        (5, "conversation.ended", {"cause": "hangup"}),
    ]  # fmt: skip
    told.sort(key=lambda item: item[0])
    events = [Event(n, start + int(at * second), kind, data) for n, (at, kind, data) in enumerate(told)]
    timeline = fold(events)
    left = np.concatenate([recorded.tone(440, 2), recorded.tone(700, 1)])
    right = np.concatenate([recorded.tone(1000, 2), recorded.tone(1700, 1)])
    samples, out = np.stack([left, right], axis=1), io.BytesIO()
    sink, meter = OggOpus(out.write, 8000, 2, serial=1, bitrate=24000, complexity=5), Meter(8000, 2)
    for target in (sink, meter):
        target.samples(samples)
        target.finish()
    create_keys(sqlite_site.arguments.keys_dir)
    vault = Vault.at(sqlite_site.arguments.vault_url, sqlite_site.arguments.keys_dir)
    sealed = vault.seal(recording_id, [Item("master", "audio/ogg", out.getvalue())], {}, start).item("master")
    meter = Meter(8000, 2)
    meter.samples(samples)
    conversation = Conversation(id=conversation_id, organization_id="o", started_at=start, ended_at=start + 5 * second,
                                direction="inbound", timeline=timeline.to_document(), finalised_at=1)  # fmt: skip
    rows = [Participant(conversation_id=conversation_id, id=item.participant_id, purpose=item.purpose,
                        user_id=item.user_id, joined_at=item.start, left_at=item.end)
            for item in timeline.participants]  # fmt: skip
    hold = {"type": "pause", "reason": "Hold", "location": 2000, "durationMs": 1000, "realtimeLocation": 2000,
            "absoluteLocation": 2000, "absoluteDurationMs": 1000, "recordingLocation": 2000,
            "recordingDurationMs": 0}  # fmt: skip
    notes = [{"id": f"note-{place}", "type": "bookmark", "name": "N", "location": place, "durationMs": 100,
              "absoluteLocation": place, "absoluteDurationMs": 100, "recordingLocation": place,
              "recordingDurationMs": 100, "realtimeLocation": place + (1000 if place > 2000 else 0)}
             for place in (500, 2400)]  # fmt: skip
    recording = Recording(id=recording_id, conversation_id=conversation_id, kind="trunk", media_subtype="Trunk",
                          role="CUSTOMER_EXPERIENCE", file_state="AVAILABLE", started_at=start + second,
                          ended_at=start + 5 * second, duration_ms=3000, audio_format="audio/opus",
                          mime_type="audio/ogg", channels=2, sample_rate=8000, size=sealed.size,
                          openings=[{"from_us": start + second, "to_us": start + 3 * second},
                                    {"from_us": start + 4 * second, "to_us": start + 5 * second}],
                          annotations=[hold, *notes], peaks=meter.finish().to_bytes(),
                          created_at=1, modified_at=1)  # fmt: skip
    with world.database.transaction() as session:
        store_finished(session, FinishedConversation(conversation, rows, [recording], [], [world.sales, world.home]))
    return conversation_id, recording_id


def fetch(uri: str, **more: Any) -> httpx.Response:
    return httpx.get(uri, trust_env=False, timeout=30, **more)


def heard(content: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(content)) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
        stream = file.streams.audio[0]
        samples = np.concatenate(frames, axis=1).astype(np.float64)
        channels = stream.codec_context.channels
        return (samples.reshape(-1, channels).T if len(samples) == 1 and channels > 1 else samples), stream.rate


def loudness(samples: np.ndarray, rate: int, frequency: float) -> float:
    """How much of a tone there is anywhere, in windows of 50 ms."""
    window = rate // 20
    times = np.arange(window) / rate
    probe = np.exp(-2j * np.pi * frequency * times) * np.hanning(window)
    return max(abs(np.dot(samples[at : at + window], probe)) for at in range(0, len(samples) - window, window // 2))


def test_j12_what_other_divisions_said_is_not_in_the_bytes(sqlite_site, recorded, handed_over):
    world = sqlite_site.world
    path = f"/api/v2/conversations/{handed_over[0]}/recordings/{handed_over[1]}"
    for name, division, wanted, foreign, length in (
        ("nobody", world.sales, (440, 1000), (700, 1700), 2.0),
        ("other", world.home, (700, 1700), (440, 1000), 1.0),
    ):
        give(sqlite_site, name, division, SEGMENTS)
        for format_id in ("WEBM", "WAV", "OGG_OPUS", "MP3"):
            document = sqlite_site.http(name).get(path, params={"formatId": format_id}).json()
            for key, channel in (("0", 0), ("1", 1), ("S", None)):
                reply = fetch(document["mediaUris"][key]["mediaUri"])
                assert reply.status_code == 200
                samples, rate = heard(reply.content)
                assert samples.shape[1] / rate == pytest.approx(length, abs=0.08)
                for at, line in enumerate(samples):
                    side = at if channel is None else channel
                    own = loudness(line, rate, wanted[side])
                    assert own > 30 * loudness(line, rate, foreign[side]), (name, format_id, key)
            part = fetch(document["mediaUris"]["S"]["mediaUri"], headers={"Range": "bytes=10-99"})
            assert (part.status_code, part.content) == (206, reply.content[10:100])


def test_g11_times_and_annotations_are_those_of_what_is_heard(sqlite_site, recorded, handed_over):
    world, start, second = sqlite_site.world, recorded.START, recorded.SECOND
    path = f"/api/v2/conversations/{handed_over[0]}/recordings/{handed_over[1]}"
    give(sqlite_site, "nobody", world.home, SEGMENTS, "recording:annotation:*")
    http = sqlite_site.http("nobody")
    cut, whole = http.get(path).json(), sqlite_site.http().get(path).json()
    for document in (cut, whole):
        assert document["originalRecordingStartTime"] == recorded_date(start + second)
    assert (cut["startTime"], cut["endTime"]) == (recorded_date(start + 4 * second), recorded_date(start + 5 * second))
    assert (cut["outputDurationMs"], whole["outputDurationMs"]) == (1000, 3000)
    notes = [(item["type"], item["location"], item["realtimeLocation"]) for item in cut["annotations"]]
    assert notes == [("pause", 0, 0), ("bookmark", 400, 400)]
    assert "note-500" not in {item["id"] for item in http.get(f"{path}/annotations").json()}
    assert http.get(f"{path}/annotations/note-500").status_code == 404
    assert http.get(f"{path}/annotations/note-2400").json()["location"] == 400
    (meta,) = http.get(f"/api/v2/conversations/{handed_over[0]}/recordingmetadata").json()
    assert [item["location"] for item in meta["annotations"]] == [0, 400]
    # Half of the tone is silent in neither: the wave form is of the part.
    assert len(cut["mediaUris"]["0"]["waveformData"]) == 50
    # Bookmarks are made, changed and removed in places of what is heard.
    made = http.post(f"{path}/annotations", json={"location": 100, "durationMs": 50, "name": "here"}).json()
    assert made["location"] == 100
    stored = {item["id"]: item for item in sqlite_site.http().get(f"{path}/annotations").json()}[made["id"]]
    assert (stored["location"], stored["durationMs"], stored["realtimeLocation"]) == (2100, 50, 3100)
    for body in ({"location": 1000}, {"location": 900, "durationMs": 200}, {"location": -1}):
        assert http.post(f"{path}/annotations", json=body).status_code == 400
    assert http.put(f"{path}/annotations/{made['id']}", json={"name": "moved"}).json()["location"] == 100
    assert http.put(f"{path}/annotations/note-500", json={"name": "x"}).status_code == 404
    assert http.delete(f"{path}/annotations/note-500").status_code == 404
    assert http.delete(f"{path}/annotations/{made['id']}").status_code == 204


def recorded_date(us: int) -> str:
    from earwitness.web.kernel.documents import date_text

    return date_text(us)


def test_j12_an_address_of_the_whole_gives_what_is_heard_now(sqlite_site, recorded, handed_over):
    world = sqlite_site.world
    path = f"/api/v2/conversations/{handed_over[0]}/recordings/{handed_over[1]}"
    role = give(sqlite_site, "nobody", "*", "recording:recording:view")
    uri = sqlite_site.http("nobody").get(path, params={"formatId": "WAV"}).json()["mediaUris"]["0"]["mediaUri"]
    whole = fetch(uri)
    give(sqlite_site, "nobody", world.sales, SEGMENTS)
    assert len(fetch(uri).content) == len(whole.content)
    subject = f"/api/v2/authorization/subjects/{world.users['nobody']}"
    assert sqlite_site.http().delete(f"{subject}/divisions/*/roles/{role}").status_code == 204
    cut = fetch(uri, headers={"Range": "bytes=0-9", "If-Range": whole.headers["etag"]})
    assert cut.status_code == 200  # another file than the one that was begun
    assert len(cut.content) == pytest.approx(len(whole.content) * 2 / 3, rel=0.01)
    page = sqlite_site.http("nobody").get(f"/api/v2/earwitness/recordings/{handed_over[1]}/page").json()["pageUri"]
    assert "0:02.0" in fetch(page).text
    with world.database.reading() as session:
        rows = [row for row in session.query(AuditEntry) if row.action == "listen" and "stretchesMs" in row.detail]
    assert rows[0].detail["stretchesMs"] == [[0, 2000]]


def test_j12_rights_in_every_division_of_the_call_are_the_whole(sqlite_site, recorded, handed_over):
    world = sqlite_site.world
    path = f"/api/v2/conversations/{handed_over[0]}/recordings/{handed_over[1]}"
    for division in (world.sales, world.home):
        give(sqlite_site, "nobody", division, SEGMENTS)
    assert sqlite_site.http("nobody").get(path).json()["outputDurationMs"] == 3000

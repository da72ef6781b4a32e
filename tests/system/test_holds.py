"""Hold: cut out where the trunk says so, captured where it allows it, and never anywhere when it is cut out."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.office import HOLDS
from peers.recorder import new_caller
from peers.rtp import stream
from peers.scenario import Caller
from peers.tones import SPAN_MS, assert_never, assert_tone, spans, tone, ulaw
from peers.waiting import eventually, talk

SETTLE_MS = 200


def annotations_of(recording):
    return [item for item in recording.annotations or [] if item.type.lower() == "pause"]


def test_b5_hold_by_the_phone_is_cut_out(office, carrier, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440)
    scenario = scenario.answer_reinvite(direction="recvonly").answer_reinvite().hung_up()
    call = carrier.call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_RTPESTAB")
    conversation = office.recorder.conversation(caller)
    talk(1.5)
    alice.hold()
    held = call.when("ACK", sent=False)
    alice.play(700)
    talk(1.5)
    alice.play(1000)
    talk(0.5)
    alice.resume()
    resumed = call.when("ACK", sent=False, nth=1)
    talk(1.5)
    alice.hang_up()
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    whole = call.when("BYE") - call.when("SIP/2.0 200", sent=False)
    assert stereo.seconds == pytest.approx(whole - (resumed - held), abs=0.06)
    assert_never(stereo, 700)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=1300)
    (pause,) = annotations_of(recording)
    assert pause.reason == "Hold"
    assert pause.duration_ms == pytest.approx((resumed - held) * 1000, abs=60)


def test_b5_hold_by_the_carrier_is_cut_out(office, carrier, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(1500)
    scenario = scenario.reinvite(direction="sendonly").play(700).pause(1500).play(440).pause(500).reinvite()
    call = carrier.call(scenario.play(440).pause(1500).bye(), office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert_never(stereo, 700)
    assert stereo.seconds == pytest.approx(3.0, abs=0.15)


def test_b5_hold_is_captured_where_the_trunk_allows_it(office, carrier_at, phones):
    office.trunk("Holds", HOLDS, r"\+496\d+", trunk_disallow_recording_during_hold=False)
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(1500)
    scenario = scenario.reinvite(direction="sendonly").play(700).pause(1500).reinvite()
    call = carrier_at(HOLDS).call(scenario.play(440).pause(1500).bye(), office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    whole = call.when("BYE") - call.when("SIP/2.0 200", sent=False)
    assert stereo.seconds == pytest.approx(whole, abs=0.04)
    heard = [span for span in spans(stereo, 0) if abs(span.hz - 700) < 12]
    assert len(heard) * SPAN_MS >= 1000


def files_with(folder: Path, needle: bytes) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and needle in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def test_b5_suppressed_audio_is_nowhere(office, probe, phones):
    """While it holds, the probe sends what can be recognised bit by bit; no file of the instance may have it."""
    phones(office, "alice")
    caller = new_caller()
    needle = ulaw(tone(700, 0.02))[:80]
    call = probe.call(office.number("alice"), caller=caller)
    conversation = office.recorder.conversation(caller)
    call.rtp.play(stream(440, 1.0), call.media)
    call.rtp.played(3)
    folder = office.recorder.data
    spool = folder / "spool" / conversation
    eventually(lambda: files_with(spool, ulaw(tone(440, 0.02))[:10]), "the spool to hold what was said", 5)
    assert call.reinvite(direction="sendonly").status == 200
    call.rtp.play(stream(700, 2.0, sequence=1000, timestamp=90000), call.media)
    call.rtp.played(4)
    assert files_with(folder, needle) == []
    assert call.reinvite().status == 200
    call.rtp.play(stream(440, 1.0, sequence=2000, timestamp=120000), call.media)
    call.rtp.played(3)
    assert call.bye().status == 200
    (recording,) = office.recorder.recordings(conversation)
    assert files_with(folder, needle) == []
    assert needle not in office.recorder.log.read_bytes()
    assert_never(office.recorder.audio(recording), 700)


def test_b6_recording_state_follows_the_hold(office, probe, phones):
    phones(office, "alice")
    caller = new_caller()
    call = probe.call(office.number("alice"), caller=caller)
    conversation = office.recorder.conversation(caller)

    def states() -> set[str]:
        document = office.recorder.get(f"/api/v2/conversations/calls/{conversation}")
        return {str(item.get("recordingState", "")).lower() for item in document["participants"]}

    eventually(lambda: "active" in states(), "the recording to be active", 5)
    assert call.reinvite(direction="sendonly").status == 200
    eventually(lambda: "paused" in states(), "the recording to be paused", 5)
    assert call.reinvite().status == 200
    eventually(lambda: "active" in states() and "paused" not in states(), "the recording to go on", 5)
    call.bye()

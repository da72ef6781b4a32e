"""Bad lines: whatever is lost, late, doubled or renumbered, both channels keep their place and full length."""

from __future__ import annotations

import pytest

from peers.recorder import new_caller
from peers.rtp import Schedule, lose, reorder, stream
from peers.tones import assert_silent, assert_tone
from peers.waiting import talk

SETTLE_MS = 200
SECONDS = 4.0


def ssrc_change() -> Schedule:
    first = stream(440, SECONDS / 2)
    return first + stream(600, SECONDS / 2, start=SECONDS / 2, ssrc=0x55667788, sequence=9000, timestamp=77777)


def sequence_wrap() -> Schedule:
    return stream(440, SECONDS, sequence=65500, timestamp=2**32 - 8000)


LINES = {
    "clean": lambda: stream(440, SECONDS),
    "five percent lost": lambda: lose(stream(440, SECONDS), 0.05),
    "reordered and doubled": lambda: reorder(stream(440, SECONDS)),
    "lost and reordered": lambda: reorder(lose(stream(440, SECONDS), 0.05, seed=2)),
    "numbers wrap": sequence_wrap,
}


def record(office, probe, phones, schedule: Schedule):
    """Plays the schedule in a call to Alice; gives the stereo audio, the recording and the call's length."""
    alice = phones(office, "alice")
    caller = new_caller()
    call = probe.call(office.number("alice"), caller=caller)
    call.rtp.play(schedule, call.media)
    conversation = office.recorder.conversation(caller)
    call.rtp.played(SECONDS + 3)
    call.bye()
    alice.wait("CALL_CLOSED")
    (recording,) = office.recorder.recordings(conversation)
    return office.recorder.audio(recording), recording, call


@pytest.mark.parametrize("line", LINES)
def test_channels_stay_whole(office, probe, phones, line):
    stereo, _, call = record(office, probe, phones, LINES[line]())
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert call.rtp.missing() == []


def test_another_source_takes_over_in_place(office, probe, phones):
    stereo, _, call = record(office, probe, phones, ssrc_change())
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    half = int(SECONDS * 500)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=half - 100)
    assert_tone(stereo, 0, 600, from_ms=half + 100, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a_hole_is_silence_in_its_place(office, probe, phones):
    schedule = [item for item in stream(440, SECONDS) if not 1.5 <= item[0] < 2.5]
    stereo, _, _ = record(office, probe, phones, schedule)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=1400)
    assert_silent(stereo, 0, from_ms=1700, to_ms=2400)
    assert_tone(stereo, 0, 440, from_ms=2700, to_ms=-SETTLE_MS)


def test_one_way_audio_leaves_a_silent_channel_of_full_length(office, probe, phones):
    phones(office, "alice")
    caller = new_caller()
    call = probe.call(office.number("alice"), caller=caller)
    conversation = office.recorder.conversation(caller)
    talk(2)
    call.bye()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_silent(stereo, 0)
    # nobody spoke to the phone, but the phone was heard: it starts at once
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_codec_changes_in_the_call(office, probe, phones):
    alice = phones(office, "erin", codecs=("PCMU", "PCMA"))
    caller = new_caller()
    call = probe.call(office.number("erin"), caller=caller, formats=(0, 101))
    call.rtp.play(stream(440, 2.0), call.media)
    conversation = office.recorder.conversation(caller)
    call.rtp.played(4)
    assert call.reinvite(formats=(8, 101)).status == 200
    call.rtp.play(stream(600, 2.0, payload_type=8, sequence=100 + 100, timestamp=4000 + 16000 + 800), call.media)
    call.rtp.played(4)
    call.bye()
    alice.wait("CALL_CLOSED")
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=1900)
    assert_tone(stereo, 0, 600, from_ms=2300, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=1900)
    assert_tone(stereo, 1, 1000, from_ms=2400, to_ms=-SETTLE_MS)

"""``kill -9`` of every process in the middle of a call: what survives it, and how soon all is as before."""

from __future__ import annotations

import os
import signal
import time

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest

from peers.probe import Probe
from peers.recorder import new_caller
from peers.rtp import stream
from peers.tones import assert_tone
from peers.waiting import eventually, talk

SETTLE_MS = 200


@pytest.fixture
def own(new_office):
    """An instance of this test's own."""
    return new_office()


@pytest.fixture
def caller_probe(own):
    with Probe("127.0.0.4") as probe:
        probe.server = own.recorder.sip_address
        yield probe


def call_alice(own, probe, seconds=30.0):
    caller = new_caller()
    call = probe.call(own.number("alice"), caller=caller)
    call.rtp.play(stream(440, seconds), call.media)
    return call, own.recorder.conversation(caller)


def test_media_killed_the_call_goes_on_without_a_lost_packet(own, caller_probe, phones):
    alice = phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    for _ in range(3):
        talk(1.0)
        heard = len(call.rtp.audio())
        own.recorder.replaced("media", own.recorder.kill("media"))
        eventually(lambda heard=heard: len(call.rtp.audio()) > heard + 50, "the phone to be heard again", 20)
    call.bye()
    call.rtp.stop()
    alice.wait("CALL_CLOSED")
    assert len(call.rtp.audio()) > 200
    assert call.rtp.missing() == []
    (recording,) = own.recorder.recordings(conversation)
    stereo = own.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_edge_killed_what_was_said_until_then_is_kept(own, caller_probe, phones):
    alice = phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    talk(3.0)
    old = own.recorder.kill("edge")
    killed = time.monotonic()
    own.recorder.replaced("edge", old)
    own.recorder.ready()
    (recording,) = own.recorder.recordings(conversation, within_s=20)
    stereo = own.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(killed - call.answered_at, abs=0.3)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    ended = sdk.ConversationsApi(own.recorder.sdk).get_conversation(conversation)
    assert ended.end_time is not None
    assert {call.disconnect_type for side in ended.participants for call in side.calls} == {"error"}
    call.rtp.stop()

    alice.hang_up()
    caller_probe.server = own.recorder.sip_address
    call, conversation = call_alice(own, caller_probe)
    talk(1.0)
    call.bye()
    assert own.recorder.recordings(conversation)


@pytest.mark.parametrize("moment", ["in the call", "while it renders"])
def test_worker_killed_there_is_exactly_one_recording(own, caller_probe, phones, moment):
    phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    talk(2.0)
    if moment == "in the call":
        own.recorder.replaced("worker", own.recorder.kill("worker"))
        call.bye()
    else:
        call.bye()
        for _ in range(3):
            own.recorder.replaced("worker", own.recorder.kill("worker"))
    (recording,) = own.recorder.recordings(conversation, within_s=30)
    stereo = own.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    eventually(lambda: not list(own.recorder.spooled()), "the spool to be empty", 10)
    assert len(own.recorder.recordings(conversation)) == 1


def test_web_killed_it_is_back_and_the_call_does_not_notice(own, caller_probe, phones):
    phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    talk(1.0)
    own.recorder.replaced("web", own.recorder.kill("web"), within_s=30)
    own.recorder.ready()
    call.bye()
    assert call.rtp.missing() == []
    (recording,) = own.recorder.recordings(conversation)
    assert_tone(own.recorder.audio(recording), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_supervisor_killed_nothing_is_left_running_or_lost(own, caller_probe, phones):
    phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    talk(2.0)
    children = own.recorder.pids()
    own.recorder.process.kill()
    assert call.ended.wait(10), "the caller was not told"
    eventually(lambda: not any(_alive(pid) for pid in children.values()), "all processes to end", 15)
    own.recorder.start()
    (recording,) = own.recorder.recordings(conversation, within_s=20)
    assert own.recorder.audio(recording).seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.2)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_tells_the_calls_and_ends_cleanly(own, caller_probe, phones):
    alice = phones(own, "alice")
    call, conversation = call_alice(own, caller_probe)
    talk(1.5)
    children = own.recorder.pids()
    assert own.recorder.stop(signal.SIGINT) == 0
    assert call.ended.is_set()
    alice.wait("CALL_CLOSED")
    assert not any(_alive(pid) for pid in children.values())
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{own.recorder.url}/api/v2/earwitness/health", trust_env=False)
    own.recorder.start()
    (recording,) = own.recorder.recordings(conversation, within_s=20)
    assert own.recorder.audio(recording).seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.2)

"""What strangers send: the correct refusal or a counted drop, and the call in progress goes on unharmed."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from peers.office import STRANGER
from peers.probe import Probe, sdp
from peers.recorder import new_caller
from peers.rtp import packet, stream
from peers.tones import assert_tone, tone, ulaw
from peers.waiting import eventually

TORTURE = Path(__file__).parents[2].parent / "shared" / "torture"
SETTLE_MS = 200


@pytest.fixture
def stranger(office):
    """A peer that is no trunk's."""
    with Probe(STRANGER) as probe:
        probe.server = office.recorder.sip_address
        yield probe


@pytest.fixture
def call_in_progress(office, probe, phones):
    """A recorded call that is checked for damage afterwards: no packet missing, every 100 ms as it was played."""
    alice = phones(office, "alice")
    caller = new_caller()
    call = probe.call(office.number("alice"), caller=caller)
    conversation = office.recorder.conversation(caller)
    pids = office.recorder.pids()
    call.rtp.play(stream(440, 30.0), call.media)
    yield call
    assert not call.ended.is_set()
    assert office.recorder.pids() == pids, "a process died"
    assert len(call.rtp.audio()) > 5
    call.bye()
    call.rtp.stop()
    alice.wait("CALL_CLOSED")
    assert call.rtp.missing() == []
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_torture_messages_harm_nobody(call_in_progress, stranger, probe):
    own = [
        b"INVITE sip:x@127.0.0.1 SIP/7.0\r\nVia: SIP/7.0/UDP a;branch=z9hG4bK1\r\n\r\n",
        b"INVITE sip:x SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKnobody\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n\r\n",
        b"BYE sip:x@127.0.0.1 SIP/2.0\r\nContent-Length: -1\r\n\r\n",
    ]
    for data in own + [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))]:
        stranger.send(data)
        probe.send(data)
        assert stranger.options().status


def test_garbage_harms_nobody(call_in_progress, stranger):
    chance = random.Random(1)
    for size in (0, 1, 2, 4, 12, 100, 1500, 9000, 60000):
        for _ in range(20):
            stranger.send(chance.randbytes(size))
    template = (
        b"INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:9;branch=z9hG4bKg\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:1@127.0.0.1>\r\nCall-ID: g\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\nContent-Length: 0\r\n\r\n"
    )
    for _ in range(500):
        broken = bytearray(template)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        stranger.send(bytes(broken))
    assert stranger.options().status == 200


def test_via_port_99999_does_not_kill_the_listener(call_in_progress, stranger):
    for where in (b"99999", b"-1", b"0", b"65536", b"5060abc"):
        stranger.send(
            b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:"
            + where
            + b";branch=z9hG4bKp"
            + where
            + b"\r\n"
            b"From: <sip:a@b>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: p" + where + b"\r\nCSeq: 1 OPTIONS\r\n"
            b"Contact: <sip:a@127.0.0.9:99999>\r\nContent-Length: 0\r\n\r\n"
        )
        assert stranger.options().status == 200


def test_rtp_of_strangers_and_malformed_rtp_are_dropped(call_in_progress, stranger, office):
    call = call_in_progress
    loud = ulaw(tone(600, 0.02))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((STRANGER, 0))
        for number in range(100):
            other.sendto(packet(loud, 100 + number, 4000 + 160 * number, 0xBADBAD), call.media)
    for data in (
        b"",
        b"x",
        bytes(11),
        b"\x00" * 172,
        b"\x80",
        b"\x8f" + bytes(20),
        b"\x90\x00" + bytes(10) + b"\xff" * 4,
    ):
        call.rtp.send(data, call.media)
    eventually(lambda: len(call.rtp.audio()) > 50, "the call to go on", 5)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("port 0", b"v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"),
        (
            "no audio",
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\nm=video 5004 RTP/AVP 31\r\n",
        ),
        ("no media", b"v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\n"),
    ],
)
def test_offers_without_audio_are_488(office, probe, phones, name, body):
    phones(office, "alice")
    reply, _ = probe.invite(office.number("alice"), body=body)
    assert reply.status == 488


def test_an_offer_that_is_no_session_description_is_refused(office, probe, phones):
    phones(office, "alice")
    for body in (b"hello", b"v=0\r\n\xff\xfe\r\n", b"m=audio x RTP/AVP\r\n" * 50):
        reply, _ = probe.invite(office.number("alice"), body=body)
        assert reply.status in (400, 488)


def test_strangers_may_not_call(office, stranger, phones):
    phones(office, "alice")
    for number in (office.number("alice"), "+491777", "alice"):
        reply, _ = stranger.invite(number)
        assert reply.status in (401, 403, 407)


def test_guessing_passwords_is_slowed_down_for_the_guesser_only(office):
    account = office.account("grace")
    with Probe("127.0.0.40") as guesser, Probe("127.0.0.41") as owner:
        guesser.server = owner.server = office.recorder.sip_address
        assert owner.register(account.username, account.password).status == 200
        answers = [guesser.register(account.username, f"guess {number}").status for number in range(14)]
        assert set(answers[:5]) == {403}
        assert answers[-1] not in (200, 403)
        slowed = guesser.register(account.username, "one more")
        assert slowed["retry-after"]
        assert guesser.register(account.username, account.password).status != 200
        assert owner.register(account.username, account.password).status == 200


def test_unknown_and_known_names_are_refused_alike(office):
    account = office.account("heidi")
    with Probe("127.0.0.42") as guesser:
        guesser.server = office.recorder.sip_address
        known = guesser.register(account.username, "wrong")
        unknown = guesser.register("no-such-station", "wrong")
        assert (known.status, known.line) == (unknown.status, unknown.line)


def test_options_is_answered(office, probe, stranger):
    assert probe.options().status == 200
    reply = stranger.options()
    assert reply.status == 200
    assert "INVITE" in reply["allow"]


def test_requests_out_of_any_call_are_481_and_unknown_methods_405(office, probe):
    host, port = office.recorder.sip_address
    target, local = f"sip:x@{host}:{port}", f"<sip:p@{probe.address[0]}>;tag=zz"
    remote = f"<{target}>;tag=never-given"
    body = {"BYE": b"", "INFO": b"", "UPDATE": b"", "INVITE": sdp(probe.address)}
    for method in body:
        reply = probe.transact(
            method, target, local, remote, f"none-{method}", 1, sdp(probe.address) if method == "INVITE" else b""
        )
        assert reply.status == 481, method
    reply = probe.transact("DANCE", target, local, f"<{target}>", "dance", 1)
    assert reply.status in (405, 501)

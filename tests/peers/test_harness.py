"""The peers against each other, without Earwitness: what they report can be relied upon."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from peers.carrier import Carrier
from peers.phone import Account, Phone
from peers.ports import free_port
from peers.probe import Probe
from peers.rtp import RtpEnd, lose, reorder, stream
from peers.scenario import Called, Caller
from peers.tones import alaw, assert_never, assert_tone, decode, tone, ulaw
from peers.waiting import eventually


@pytest.mark.system
def test_carrier_and_phone_hear_each_other(tmp_path: Path) -> None:
    account = Account("alice", "secret", "")
    with Phone(tmp_path / "alice", account) as phone, Carrier(tmp_path / "carrier") as carrier:
        scenario = Caller().invite().answered().play(440).pause(1500).bye()
        carrier.call(scenario, f"127.0.0.1:{phone.sip_port}", "alice").finish()
        phone.wait("CALL_CLOSED")
        assert_tone(phone.heard(), 0, 440, from_ms=100, to_ms=-100)


@pytest.mark.system
def test_phone_calls_carrier_which_hangs_up(tmp_path: Path) -> None:
    with Phone(tmp_path / "alice", Account("alice", "secret", "")) as phone, Carrier(tmp_path / "carrier") as carrier:
        called = carrier.answer(Called().offered().ring().answer().play(440).pause(1500).bye())
        mark = phone.dial(f"sip:123@{carrier.host}:{called.port}")
        phone.wait("CALL_ESTABLISHED", after=mark)
        called.finish()
        phone.wait("CALL_CLOSED", after=mark)
        assert_tone(phone.heard(), 0, 440, from_ms=100, to_ms=-100)


@pytest.mark.system
def test_hold_and_resume_are_seen_by_the_carrier(tmp_path: Path) -> None:
    with Phone(tmp_path / "alice", Account("alice", "secret", "")) as phone, Carrier(tmp_path / "carrier") as carrier:
        scenario = (
            Caller().invite().answered().play(440).answer_reinvite(direction="recvonly").answer_reinvite().hung_up()
        )
        call = carrier.call(scenario, f"127.0.0.1:{phone.sip_port}", "alice")
        phone.wait("CALL_RTPESTAB")
        phone.hold()
        call.when("ACK", sent=False)
        phone.resume()
        call.when("ACK", sent=False, nth=1)
        phone.hang_up()
        call.finish()
        assert call.when("BYE") > call.when("INVITE", sent=False)


@pytest.mark.system
def test_carriers_call_each_other_over_tcp_with_a_password_and_give_up(tmp_path: Path) -> None:
    with Carrier(tmp_path / "a") as calling, Carrier(tmp_path / "b", "127.0.0.3") as called:
        at = free_port(called.host)
        answer = called.answer(
            Called().offered().challenge("b", status=401).ring().cancelled(), transport="tcp", port=at
        )
        scenario = Caller().invite().authorise("a", "secret").ringing().cancel()
        calling.call(scenario, f"{called.host}:{at}", "123", transport="tcp").finish()
        assert answer.finish().credentials("secret")["username"] == "a"
        with pytest.raises(AssertionError):
            answer.credentials("wrong")


@pytest.mark.system
def test_carrier_reinvites_and_busy_is_busy(tmp_path: Path) -> None:
    with Carrier(tmp_path / "a") as calling, Carrier(tmp_path / "b", "127.0.0.3") as called:
        answer = called.answer(Called().offered().early_media().answer().reinvite(("PCMA",)).hung_up())
        scenario = Caller().invite(("PCMU", "PCMA")).ringing(183).answered().answer_reinvite(("PCMA",)).bye()
        calling.call(scenario, f"{called.host}:{answer.port}", "123").finish()
        answer.finish()
        busy = called.answer(Called().offered().refuse("486 Busy Here"))
        calling.call(Caller().invite().refused(486), f"{called.host}:{busy.port}", "123").finish()
        busy.finish()


@pytest.mark.parametrize(("tag", "encode"), [(6, alaw), (7, ulaw)])
def test_tones_are_heard_as_made(tag: int, encode: Callable[[npt.NDArray[np.int16]], bytes]) -> None:
    data = encode(tone(440, 1.0))
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        tag,
        1,
        8000,
        8000,
        1,
        8,
        b"data",
        len(data),
    )
    audio = decode(header + data)
    assert audio.seconds == pytest.approx(1.0)
    assert_tone(audio, 0, 440)
    assert np.abs(audio.samples[:, 0] - tone(440, 1.0) / 32768).max() < 0.02
    with pytest.raises(AssertionError, match="is heard"):
        assert_never(audio, 440)


@pytest.mark.system
def test_probe_calls_a_phone_and_counts_every_packet(tmp_path: Path) -> None:
    with Phone(tmp_path / "alice", Account("alice", "secret", "")) as phone, Probe() as probe:
        probe.server = ("127.0.0.1", phone.sip_port)
        call = probe.call("alice")
        call.rtp.play(reorder(lose(stream(440, 1.0), 0.05)), call.media)
        call.rtp.played(3)
        assert call.bye().status == 200
        assert len(call.rtp.audio()) > 40
        assert call.rtp.missing() == []


def test_probe_knows_what_is_missing() -> None:
    end = RtpEnd("127.0.0.1")
    try:
        end.play(
            [item for number, item in enumerate(stream(440, 0.2, sequence=65534)) if number not in (3, 4)], end.address
        )
        end.played(2)
        eventually(lambda: len(end.audio()) == 8, "all packets", 2)
        assert end.missing() == [1, 2]
    finally:
        end.close()

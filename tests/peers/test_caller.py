"""The scripted phone against itself and against baresip: what it reports can be relied upon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.call import ScriptedCall
from peers.caller import ScriptedPhone
from peers.phone import Account, Phone
from peers.tones import assert_tone
from peers.waiting import eventually, talk


@pytest.fixture
def anna() -> Iterator[ScriptedPhone]:
    with ScriptedPhone("127.0.0.6") as phone:
        yield phone


@pytest.fixture
def bert(anna: ScriptedPhone) -> Iterator[ScriptedPhone]:
    with ScriptedPhone("127.0.0.7", hz=900) as phone:
        anna.server, phone.server = phone.address, anna.address
        yield phone


def up(anna: ScriptedPhone, bert: ScriptedPhone) -> tuple[ScriptedCall, ScriptedCall]:
    ours = anna.call("200").wait_answered()
    return ours, bert.wait_called()


def test_they_hear_each_other(anna: ScriptedPhone, bert: ScriptedPhone) -> None:
    ours, theirs = up(anna, bert)
    ours.tone(440)
    theirs.ear.wait_for(440)
    ours.ear.wait_for(900)
    assert ours.hearing(0.3) == pytest.approx(900, abs=12)
    start = ours.ear.now_ms
    talk(0.4)
    assert_tone(ours.ear.audio(), 0, 900, from_ms=start, to_ms=start + 300)
    ours.tone(0)
    theirs.ear.wait_for(0)
    ours.hang_up()
    assert theirs.wait_ended().by_peer
    assert not ours.by_peer


@pytest.mark.parametrize("law", [0, 8])
def test_digits_by_three_ways(anna: ScriptedPhone, bert: ScriptedPhone, law: int) -> None:
    anna.formats = (law, 101)
    ours, theirs = up(anna, bert)
    ours.press("12#")
    eventually(lambda: theirs.ear.digits() == "12#", "digits", 3, lambda: theirs.ear.digits())
    ours.press("4", "info")
    assert [m.body[:8] for m in bert.seen if m.method == "INFO" and not m.status] == [b"Signal=4"]
    before = theirs.ear.now_ms
    ours.press("1", "inband", 0.3)
    talk(0.1)
    found = theirs.ear.audio().samples[before * 8 :, 0]
    assert abs(found).max() > 0.2
    assert theirs.ear.digits() == "12#"


def test_hold_stops_the_other_and_resume_goes_on(anna: ScriptedPhone, bert: ScriptedPhone) -> None:
    ours, theirs = up(anna, bert)
    ours.ear.wait_for(900)
    assert ours.hold().status == 200
    assert (theirs.direction, theirs.theirs) == ("recvonly", "sendonly")
    ours.ear.wait_for(0)
    assert ours.resume().status == 200
    ours.ear.wait_for(900)
    theirs.hang_up()
    assert ours.wait_ended().by_peer


def test_ringing_taking_refusing_and_giving_up(anna: ScriptedPhone, bert: ScriptedPhone) -> None:
    bert.answers = "ring"
    first = anna.call("200").wait_ringing()
    assert first.state == "ringing"
    bert.wait_called().answer()
    first.wait_answered()
    second = anna.call("200").wait_ringing()
    bert.wait_called().reject(603)
    assert second.wait_refused() == 603
    third = anna.call("200").wait_ringing()
    third.hang_up()
    assert third.status == 487
    assert bert.wait_called().wait_ended().by_peer
    bert.answers = 486
    assert anna.call("200").wait_refused() == 486


def test_a_refer_names_the_other_call(anna: ScriptedPhone, bert: ScriptedPhone) -> None:
    ours, theirs = up(anna, bert)
    consult, _ = up(anna, bert)
    assert ours.refer(consult).status == 200
    refer = bert.seen[-1]
    assert "?Replaces=scripted" in refer["refer-to"]
    assert refer["referred-by"].startswith("<sip:")
    theirs.request(
        "NOTIFY", b"SIP/2.0 180 Ringing\r\n", "Subscription-State: active\r\nContent-Type: message/sipfrag\r\n"
    )
    theirs.request(
        "NOTIFY", b"SIP/2.0 200 OK\r\n", "Subscription-State: terminated\r\nContent-Type: message/sipfrag\r\n"
    )
    assert ours.wait_transferred() == "SIP/2.0 200 OK"
    assert ours.reports[0] == "SIP/2.0 180 Ringing"


@pytest.mark.system
def test_with_a_phone_of_others(tmp_path: Path, anna: ScriptedPhone) -> None:
    with Phone(tmp_path / "alice", Account("alice", "secret", "")) as alice:
        anna.server = ("127.0.0.1", alice.sip_port)
        call = anna.call("alice").wait_answered()
        call.ear.wait_for(1000)
        alice.press("7")
        eventually(lambda: call.ear.digits() == "7", "the digit", 5, call.ear.story)
        mark = alice.mark()
        call.press("5")
        alice.wait("CALL_DTMF_START", after=mark)
        alice.hold()
        eventually(lambda: call.theirs != "sendrecv", "the hold", 5)
        alice.resume()
        eventually(lambda: call.theirs == "sendrecv", "its end", 5)
        refer = alice.transfer("sip:300@127.0.0.9")
        assert "300" in refer
        eventually(lambda: any(m.method == "REFER" for m in anna.seen), "a REFER", 5)
        call.hang_up()

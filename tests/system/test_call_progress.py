"""How calls begin and end, and what does not become a call."""

from __future__ import annotations

import pytest

from peers.office import CARRIER
from peers.ports import free_port
from peers.probe import Probe
from peers.recorder import new_caller
from peers.rtp import stream
from peers.scenario import NO_OFFER, Called, Caller
from peers.tones import assert_tone
from peers.waiting import talk

SETTLE_MS = 200


def test_unknown_number_is_404(office, carrier):
    carrier.call(Caller(new_caller()).invite().refused(404), office.sip, "+49999").finish()


def test_user_without_a_registered_phone_is_480(office, carrier):
    caller = new_caller()
    carrier.call(Caller(caller).invite().refused(480), office.sip, office.number("nobody")).finish()
    office.recorder.never_recorded(office.recorder.conversation(caller))


def test_cancel_stops_the_ringing(office, carrier, phones):
    bob = phones(office, "bob", answer="manual")
    caller = new_caller()
    scenario = Caller(caller).invite().ringing().pause(300).cancel()
    carrier.call(scenario, office.sip, office.number("bob")).finish()
    bob.wait("CALL_CLOSED")
    office.recorder.never_recorded(office.recorder.conversation(caller))


def test_rejected_by_the_phone_is_told_to_the_caller(office, carrier, phones):
    bob = phones(office, "bob", answer="manual")
    caller = new_caller()
    call = carrier.call(Caller(caller).invite().ringing().refused(486), office.sip, office.number("bob"))
    bob.wait("CALL_INCOMING")
    bob.hang_up()
    call.finish()
    office.recorder.never_recorded(office.recorder.conversation(caller))


def test_carrier_is_busy(office, carrier, phones):
    alice = phones(office, "alice")
    busy = carrier.answer(Called().offered().ring().refuse("486 Busy Here"), port=office.ports[CARRIER])
    number = "+491" + new_caller()[-8:]
    mark = alice.dial(number)
    closed = alice.wait("CALL_CLOSED", after=mark)
    assert "486" in closed["param"]
    busy.finish()
    office.recorder.never_recorded(office.recorder.conversation(number))


def test_caller_gives_up_before_the_carrier_answers(office, carrier, phones):
    alice = phones(office, "alice")
    called = carrier.answer(Called().offered().ring().cancelled(), port=office.ports[CARRIER])
    mark = alice.dial("+491" + new_caller()[-8:])
    alice.wait("CALL_RINGING", after=mark)
    alice.hang_up()
    called.finish()
    alice.wait("CALL_CLOSED", after=mark)


def test_no_answer_ends_the_ringing(office, probe, phones):
    bob = phones(office, "bob", answer="manual")
    reply, _ = probe.invite(office.number("bob"))
    assert reply.status in (408, 480)
    bob.wait("CALL_CLOSED")


@pytest.mark.parametrize("who", ["carrier", "phone"])
def test_either_side_hangs_up(office, carrier, phones, who):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440)
    scenario = scenario.pause(1000).bye() if who == "carrier" else scenario.hung_up()
    call = carrier.call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_RTPESTAB")
    conversation = office.recorder.conversation(caller)
    if who == "phone":
        talk(1)
        alice.hang_up()
    call.finish()
    alice.wait("CALL_CLOSED")
    (recording,) = office.recorder.recordings(conversation)
    spoken = call.when("BYE") - call.when("SIP/2.0 200", sent=False)
    assert office.recorder.audio(recording).seconds == pytest.approx(spoken, abs=0.04)


def test_late_offer(office, carrier, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite(NO_OFFER).answered(("PCMU",)).play(440).pause(2000).bye()
    call = carrier.call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert_tone(stereo, 0, 440, from_ms=300, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=300, to_ms=-SETTLE_MS)


def test_early_media_is_heard_and_not_recorded(office, carrier, phones):
    alice = phones(office, "alice")
    scenario = Called().offered().early_media().play(600).pause(1500).answer().play(440).pause(2000).bye()
    called = carrier.answer(scenario, port=office.ports[CARRIER])
    number = "+491" + new_caller()[-8:]
    mark = alice.dial(number)
    alice.wait("CALL_ESTABLISHED", after=mark)
    conversation = office.recorder.conversation(number)
    called.finish()
    alice.wait("CALL_CLOSED", after=mark)
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    spoken = called.when("BYE") - called.when("SIP/2.0 200", sent=True)
    assert stereo.seconds == pytest.approx(spoken, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(alice.heard(), 0, 600, from_ms=SETTLE_MS, to_ms=1200)


def test_calls_over_tcp_in_and_out(office, carrier_at, phones):
    host = "127.0.0.20"
    office.trunk("TCP", host, r"\+494\d+", trunk_transport_protocolVariant="tcp")
    alice = phones(office, "alice", transport="tcp")
    carrier = carrier_at(host)
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(1500).bye()
    call = carrier.call(scenario, office.sip, office.number("alice"), transport="tcp")
    mark = alice.mark()
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    assert_tone(office.recorder.audio(recording), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)

    scenario = Called().offered().ring().answer().play(440).pause(1000).bye()
    called = carrier.answer(scenario, transport="tcp", port=office.ports[host])
    mark = alice.dial("+494" + new_caller()[-8:])
    alice.wait("CALL_ESTABLISHED", after=mark)
    called.finish()
    alice.wait("CALL_CLOSED", after=mark)


@pytest.mark.parametrize("status", [401, 407])
def test_a_carrier_that_wants_a_password_gets_ours(office, carrier_at, phones, status):
    host = f"127.0.1.{status % 250}"
    office.trunk(
        f"Digest {status}",
        host,
        rf"\+4955{status}\d+",
        trunk_sip_authentication_credentials_username="earwitness",
        trunk_sip_authentication_credentials_password="trunk secret",
        trunk_sip_authentication_credentials_realm="carrier",
    )
    alice = phones(office, "alice")
    scenario = Called().offered().challenge("carrier", status=status)
    called = carrier_at(host).answer(scenario.ring().answer().play(440).pause(1500).bye(), port=office.ports[host])
    number = f"+4955{status}" + new_caller()[-8:]
    mark = alice.dial(number)
    alice.wait("CALL_ESTABLISHED", after=mark)
    conversation = office.recorder.conversation(number)
    called.finish()
    assert called.credentials("trunk secret")["username"] == "earwitness"
    (recording,) = office.recorder.recordings(conversation)
    assert_tone(office.recorder.audio(recording), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a_carrier_known_by_its_password_calls_from_any_address(office, phones):
    office.trunk(
        "Known by digest",
        "192.0.2.1",
        r"\+4956\d+",
        trunk_access_acl_allowList=[],
        trunk_transport_serverProxyList=[],
        trunk_sip_authentication_credentials_username="byoc",
        trunk_sip_authentication_credentials_password="byoc secret",
    )
    phones(office, "alice")
    caller = new_caller()
    with Probe("127.0.0.30") as anywhere:
        anywhere.server = office.recorder.sip_address
        assert anywhere.invite(office.number("alice"), credentials=("byoc", "wrong"))[0].status == 403
        call = anywhere.call(office.number("alice"), caller=caller, credentials=("byoc", "byoc secret"))
        call.rtp.play(stream(440, 1.5), call.media)
        conversation = office.recorder.conversation(caller)
        call.rtp.played(3)
        call.bye()
    (recording,) = office.recorder.recordings(conversation)
    assert_tone(office.recorder.audio(recording), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_busy_signalling_line_with_loss_still_completes(office, carrier, phones):
    """sipp drops 5 % of what it sends and receives; both repeat until it is through."""
    alice = phones(office, "alice")
    for _ in range(4):
        caller = new_caller()
        mark = alice.mark()
        call = carrier.call(
            Caller(caller).invite().answered().play(440).pause(800).bye(),
            office.sip,
            office.number("alice"),
            options=["-lost", "5"],
            port=free_port(carrier.host),
        )
        alice.wait("CALL_ESTABLISHED", after=mark)
        call.finish()
        alice.wait("CALL_CLOSED", after=mark)

"""Who is recorded: a carrier plays 440 Hz, phones play 1 kHz, and the vendor's SDK asks for the result."""

from __future__ import annotations

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest

from peers.office import CARRIER, UNRECORDED
from peers.recorder import new_caller
from peers.scenario import Called, Caller
from peers.tones import assert_tone, decode
from peers.waiting import talk

LENGTH_TOLERANCE_S = 0.04
SETTLE_MS = 200
"""At both ends: until the first packets of both sides have come, and what is lost with the last."""


def test_a1_a_carriers_call_is_recorded_listed_by_the_sdk_and_heard(office, carrier, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(4000).bye()
    call = carrier.call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)

    assert recording.conversation_id == conversation
    assert recording.file_state == "AVAILABLE"
    assert recording.media_subtype == "Trunk"
    stereo = office.recorder.audio(recording)
    assert stereo.channels == 2
    spoken = call.when("BYE") - call.when("SIP/2.0 200", sent=False)
    assert stereo.seconds == pytest.approx(spoken, abs=LENGTH_TOLERANCE_S)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(alice.heard(), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)

    external = office.recorder.audio(recording, "0")
    assert external.channels == 1
    assert_tone(external, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(office.recorder.audio(recording, "1"), 0, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_g9_the_media_url_plays_parts_and_refuses_a_forged_one(office, carrier, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(1500).bye()
    call = carrier.call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation, format_id="OGG_OPUS")
    uri = recording.media_uris["0"].media_uri
    whole = httpx.get(uri, trust_env=False)
    part = httpx.get(uri, headers={"Range": "bytes=100-299"}, trust_env=False)
    assert part.status_code == 206
    assert part.content == whole.content[100:300]
    assert whole.content[:4] == b"OggS"
    assert decode(whole.content).seconds == pytest.approx(1.5, abs=0.3)
    broken = uri[:-1] + ("0" if uri[-1] != "0" else "1")
    assert httpx.get(broken, trust_env=False).status_code in (401, 403, 404)


@pytest.mark.parametrize("format_id", ["WAV", "MP3", "WEBM", "WAV_ULAW"])
def test_g7_formats_on_demand(office, carrier, phones, format_id):
    alice = phones(office, "alice")
    caller = new_caller()
    call = carrier.call(
        Caller(caller).invite().answered().play(440).pause(1500).bye(), office.sip, office.number("alice")
    )
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation, format_id=format_id)
    audio = office.recorder.audio(recording, "0")
    assert_tone(audio, 0, 440, from_ms=SETTLE_MS + 100, to_ms=-SETTLE_MS - 100)


def test_a6_a_call_out_over_the_trunk_is_recorded(office, carrier, phones):
    alice = phones(office, "alice")
    called = carrier.answer(
        Called().offered().ring().pause(300).answer().play(440).pause(2500).bye(), port=office.ports[CARRIER]
    )
    number = "+491" + new_caller()[-8:]
    mark = alice.dial(number)
    alice.wait("CALL_ESTABLISHED", after=mark)
    conversation = office.recorder.conversation(number)
    called.finish()
    alice.wait("CALL_CLOSED", after=mark)
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    spoken = called.when("BYE") - called.when("SIP/2.0 200", sent=True)
    assert stereo.seconds == pytest.approx(spoken, abs=LENGTH_TOLERANCE_S)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a2_a_call_between_two_users_is_not_recorded_and_says_why(office, phones):
    alice, bob = phones(office, "alice"), phones(office, "bob", tone=1500)
    mark = bob.mark()
    alice.dial(bob.account.username)
    bob.wait("CALL_ESTABLISHED", after=mark)
    conversation = office.recorder.conversation(bob.account.username)
    bob.wait("CALL_RTPESTAB", after=mark)
    talk(1.0)
    alice.hang_up()
    bob.wait("CALL_CLOSED", after=mark)
    why = office.recorder.never_recorded(conversation)
    assert "external" in str(why)
    assert_tone(bob.heard(), 0, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a3_a_trunk_that_does_not_record_leaves_a_reason(office, carrier_at, phones):
    alice = phones(office, "alice")
    caller = new_caller()
    scenario = Caller(caller).invite().answered().play(440).pause(1000).bye()
    call = carrier_at(UNRECORDED).call(scenario, office.sip, office.number("alice"))
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    why = office.recorder.never_recorded(conversation)
    assert "trunk" in str(why)
    assert_tone(alice.heard(), 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a5_one_recording_for_the_external_leg(office, carrier, phones):
    """Two phones ring, one answers: still one file."""
    alice = phones(office, "alice")
    second = phones(office, "alice", answer="manual", tone=1500)
    caller = new_caller()
    call = carrier.call(
        Caller(caller).invite().answered().play(440).pause(1500).bye(), office.sip, office.number("alice")
    )
    alice.wait("CALL_ESTABLISHED")
    second.wait("CALL_CLOSED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    metadata = sdk.RecordingApi(office.recorder.sdk).get_conversation_recordingmetadata(conversation)
    assert [item.id for item in metadata] == [recording.id]
    assert_tone(office.recorder.audio(recording), 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


@pytest.mark.parametrize(
    ("audio_format", "dual"), [("audio/PCMU", True), ("audio/PCMA", True), ("audio/L16", True), ("audio/opus", False)]
)
def test_a8_a9_formats_and_channels_of_the_trunk(office, carrier_at, phones, audio_format, dual):
    host = {"audio/PCMU": "127.0.0.10", "audio/PCMA": "127.0.0.11", "audio/L16": "127.0.0.12"}.get(
        audio_format, "127.0.0.13"
    )
    office.trunk(
        f"{audio_format} {dual}",
        host,
        r"\+498\d+",
        trunk_recording_audioFormat=audio_format,
        trunk_recording_dualChannel=dual,
    )
    alice = phones(office, "alice")
    caller = new_caller()
    call = carrier_at(host).call(
        Caller(caller).invite().answered().play(440).pause(2000).bye(), office.sip, office.number("alice")
    )
    alice.wait("CALL_ESTABLISHED")
    conversation = office.recorder.conversation(caller)
    call.finish()
    (recording,) = office.recorder.recordings(conversation)
    if dual:
        stereo = office.recorder.audio(recording)
        assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
        assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    else:
        mix = office.recorder.audio(recording, "0")
        assert mix.channels == 1
        assert set(recording.media_uris) == {"0"}


def test_a8_dual_channel_is_refused_with_other_formats(office):
    with pytest.raises(sdk.rest.ApiException) as refused:
        office.trunk("GSM", "127.0.0.14", trunk_recording_audioFormat="audio/GSM")
    assert refused.value.status == 400
    assert "trunk_recording" in refused.value.body


def test_a12_trunks_with_recording_are_counted(office):
    edges = sdk.TelephonyProvidersEdgeApi(office.recorder.sdk)
    counts = edges.get_telephony_providers_edges_trunkswithrecording()
    assert counts.enabled_count >= 2
    assert counts.disabled_count >= 1
    silent = edges.get_telephony_providers_edges_trunkbasesettings(recording_enabled=False, page_size=100)
    assert office.trunks[UNRECORDED].id in {base.id for base in silent.entities}


def test_several_trunks_at_once_each_by_its_own_rule(office, carrier, carrier_at, phones):
    alice, bob = phones(office, "alice"), phones(office, "bob", tone=1500)
    callers = [new_caller(), new_caller()]
    calls = [
        place.call(Caller(caller).invite().answered().play(hz).pause(2500).bye(), office.sip, office.number(name))
        for place, caller, hz, name in (
            (carrier, callers[0], 440, "alice"),
            (carrier_at(UNRECORDED), callers[1], 600, "bob"),
        )
    ]
    alice.wait("CALL_ESTABLISHED")
    bob.wait("CALL_ESTABLISHED")
    recorded, silent = (office.recorder.conversation(caller) for caller in callers)
    for call in calls:
        call.finish()
    (recording,) = office.recorder.recordings(recorded)
    stereo = office.recorder.audio(recording)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    office.recorder.never_recorded(silent)


@pytest.mark.parametrize(("codec", "rate"), [("G722", 16000), ("opus", 48000), ("PCMA", 8000)])
def test_wideband_and_alaw_between_phone_and_phone_over_a_trunk_route(office, phones, codec, rate):
    """Passed through without transcoding: what one phone plays the other hears, whatever the codec."""
    spec = {"G722": "G722", "opus": "opus/48000/2", "PCMA": "PCMA"}[codec]
    carol = phones(office, "carol", codecs=(spec,), tone=1200)
    dave = phones(office, "dave", codecs=(spec,), tone=1700)
    mark = dave.mark()
    carol.dial(dave.account.username)
    dave.wait("CALL_ESTABLISHED", after=mark)
    dave.wait("CALL_RTPESTAB", after=mark)
    talk(1.2)
    carol.hang_up()
    dave.wait("CALL_CLOSED", after=mark)
    heard = dave.heard()
    assert heard.rate == rate
    assert_tone(heard, 0, 1200, from_ms=300, to_ms=-200)

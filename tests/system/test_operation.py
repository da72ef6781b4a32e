"""Running it: changes while calls are up, other databases, neighbours, a full disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.office import PROBE
from peers.probe import Probe
from peers.recorder import new_caller
from peers.rtp import stream
from peers.tones import assert_tone
from peers.waiting import eventually, talk

SETTLE_MS = 200
REFUSING = "127.0.0.6"


@pytest.fixture
def probe_at():
    probes: list[Probe] = []

    def make(office, host: str = PROBE) -> Probe:
        probes.append(Probe(host))
        probes[-1].server = office.recorder.sip_address
        return probes[-1]

    yield make
    for probe in probes:
        probe.close()


def test_postgresql_as_the_database(new_office, phones, probe_at, postgresql_server):
    url = postgresql_server.make_empty_database()
    office = new_office(settings={"EARWITNESS_DATABASE_URL": url})
    assert not (office.recorder.data / "earwitness.db").exists()
    phones(office, "alice")
    probe, caller = probe_at(office), new_caller()
    call = probe.call(office.number("alice"), caller=caller)
    call.rtp.play(stream(440, 3.0), call.media)
    conversation = office.recorder.conversation(caller)
    call.rtp.played(5)
    call.bye()
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)
    assert_tone(stereo, 1, 1000, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_a_change_reaches_the_edge_and_leaves_calls_alone(new_office, phones, probe_at):
    office = new_office()
    phones(office, "alice")
    probe = probe_at(office)
    first, second = new_caller(), new_caller()
    kept = probe.call(office.number("alice"), caller=first)
    kept.rtp.play(stream(440, 30.0), kept.media)
    conversation = office.recorder.conversation(first)
    talk(1.0)

    office.recorder.change_trunk(office.trunks[PROBE], trunk_recording_enabled=False)
    office.recorder.route("another", ["+4977"], office.users["alice"])
    eventually(lambda: probe.invite("+4977", body=b"no sdp")[0].status != 404, "the new number to be known")

    phones(office, "bob")
    unrecorded = probe.call(office.number("bob"), caller=second)
    unrecorded.rtp.play(stream(600, 1.0), unrecorded.media)
    other = office.recorder.conversation(second)
    unrecorded.rtp.played(3)
    unrecorded.bye()
    assert "trunk" in str(office.recorder.never_recorded(other))

    talk(0.5)
    kept.bye()
    assert kept.rtp.missing() == []
    (recording,) = office.recorder.recordings(conversation)
    stereo = office.recorder.audio(recording)
    assert stereo.seconds == pytest.approx(kept.ended_at - kept.answered_at, abs=0.04)
    assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_two_instances_beside_each_other(office, new_office, phones, probe_at):
    other = new_office()
    assert other.recorder.url != office.recorder.url
    calls = []
    for place in (office, other):
        phones(place, "alice")
        probe, caller = probe_at(place), new_caller()
        call = probe.call(place.number("alice"), caller=caller)
        call.rtp.play(stream(440 if place is office else 600, 2.0), call.media)
        calls.append((place, call, place.recorder.conversation(caller)))
    for place, call, conversation in calls:
        call.rtp.played(4)
        call.bye()
        (recording,) = place.recorder.recordings(conversation)
        hz = 440 if place is office else 600
        assert_tone(place.recorder.audio(recording), 0, hz, from_ms=SETTLE_MS, to_ms=-SETTLE_MS)


def test_the_same_folder_is_not_served_twice(office):
    done = subprocess.run(
        [*office.recorder.command("serve")],
        env=office.recorder.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "already" in done.stderr
    assert "Traceback" not in done.stderr


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own on ``folder``; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_stops_recording_and_never_the_call(new_office, phones, probe_at):
    with contextlib.ExitStack() as stack:

        def mount(data: Path) -> None:
            stack.enter_context(small_disk(data / "spool", "96m"))

        office = new_office(before_start=mount)
        office.trunk("Refusing", REFUSING, r"\+499\d+", earwitness_record_failure="refuse")
        spool = office.recorder.data / "spool"
        phones(office, "alice")
        phones(office, "bob")
        probe = probe_at(office)
        first, second = new_caller(), new_caller()
        call = probe.call(office.number("alice"), caller=first)
        call.rtp.play(stream(440, 30.0), call.media)
        conversation = office.recorder.conversation(first)
        talk(1.5)
        ballast = spool / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        talk(2.0)
        assert not call.ended.is_set()
        passing = probe.call(office.number("bob"), caller=second)
        passing.rtp.play(stream(600, 1.0), passing.media)
        passing.rtp.played(3)
        assert passing.rtp.missing() == []
        assert len(passing.rtp.audio()) > 20
        passing.bye()
        refused, _ = probe_at(office, REFUSING).invite(office.number("bob"))
        assert refused.status == 503
        ballast.unlink()
        talk(2.0)
        call.bye()
        call.rtp.stop()
        assert call.rtp.missing() == []
        (recording,) = office.recorder.recordings(conversation, within_s=20)
        stereo = office.recorder.audio(recording)
        assert stereo.seconds == pytest.approx(call.ended_at - call.answered_at, abs=0.1)
        assert_tone(stereo, 0, 440, from_ms=SETTLE_MS, to_ms=1200)
        assert_tone(stereo, 0, 440, from_ms=-1000 + int(stereo.seconds * 1000), to_ms=-SETTLE_MS)
        office.recorder.close()

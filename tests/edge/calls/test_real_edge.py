"""A real edge with a real media process between sipp and baresip: sockets, packets, tapes, signals."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[2]))

from earwitness.domain.configuration import CallRoute, Snapshot, Station, Trunk, User
from earwitness.domain.conversation.events import Event, parse_lines
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.edge.sip.digest import ha1
from earwitness.media.tape.reader import read
from peers.carrier import Carrier
from peers.phone import Account, Phone
from peers.ports import free_port
from peers.scenario import NO_OFFER, Called, Caller
from peers.waiting import eventually

CARRIER = "127.0.0.2"


class RealEdge:
    """A running edge; its snapshot can be changed."""

    def __init__(self, folder: Path, **arguments: Any) -> None:
        self.data = folder / "data"
        self.folder = folder
        self.data.mkdir(exist_ok=True)
        self.arguments = {"sip_host": "127.0.0.1", "sip_port": 0, "sip_t1_ms": 100, "media_silence_s": 1.0, **arguments}
        base = random.randrange(40000, 60000, 400)
        self.arguments.update(rtp_port_min=base, rtp_port_max=base + 398)
        self.trunk_port = free_port(CARRIER)
        recording = TrunkRecording(enabled=True, dual_channel=True)
        hashes = [ha1("anna", "earwitness", "pw", algorithm) for algorithm in ("MD5", "SHA-256")]
        self.snapshot = Snapshot(
            version=1,
            organization_id="org",
            trunks=(
                Trunk(
                    "t",
                    "tb",
                    "carrier",
                    True,
                    servers=(f"{CARRIER}:{self.trunk_port}",),
                    patterns=(r"\+\d+",),
                    recording=recording,
                ),
            ),
            stations=(Station("s", "phone", "anna", "u", "200", True, *hashes),),
            users=(User("u", "Anna", "+4930200"),),
            call_routes=(CallRoute("r", "main", ("+4930100",), "user", "u"),),
        )
        self.save(self.snapshot)
        self.log = (folder / "edge.log").open("ab")
        self.start()

    def save(self, snapshot: Snapshot) -> None:
        temporary = self.folder / "snapshot.new"
        temporary.write_text(json.dumps(snapshot.to_document()))
        temporary.replace(self.folder / "snapshot.json")

    def start(self) -> None:
        main = Path(__file__).with_name("edge_main.py")
        command = [sys.executable, str(main), str(self.data), str(self.folder / "snapshot.json")]
        self.process = subprocess.Popen(
            [*command, json.dumps(self.arguments)], stdout=self.log, stderr=subprocess.STDOUT
        )
        self.told = eventually(self._told, "the edge to be up", 20)
        self.arguments["sip_port"] = self.told["sip_port"]
        eventually(lambda: self.get("/health")["mediaProcesses"] == 1, "the media process", 20)

    def _told(self) -> dict[str, Any] | None:
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "edge.log").read_text())
        try:
            told: dict[str, Any] = json.loads((self.data / "run" / "edge.json").read_text())
        except (OSError, ValueError):
            return None
        return told if told["pid"] == self.process.pid else None

    @property
    def sip(self) -> str:
        return f"127.0.0.1:{self.told['sip_port']}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer " + (self.data / "run" / "control.token").read_text()}

    def url(self, path: str) -> str:
        return f"{self.told['control_url']}{path}"

    def get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(self.url(path), headers=self.headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def registered(self) -> None:
        """Waits for the phone."""
        eventually(lambda: self.get("/registrations")["registrations"], "the phone to register", 10)

    def ended(self, count: int = 1) -> list[list[Event]]:
        """The events of ended conversations, oldest first; waits until there are so many."""

        def found() -> list[list[Event]] | None:
            stories = []
            for folder in (self.data / "spool").iterdir():
                file = folder / "events.jsonl"
                lines = file.read_bytes().splitlines() if file.exists() else []
                events = list(parse_lines(lines))
                if events and events[-1].type == "conversation.ended":
                    stories.append(events)
            return sorted(stories, key=lambda events: events[0].at) if len(stories) >= count else None

        return eventually(found, f"{count} conversations to end", 60)

    def tapes(self, story: list[Event]) -> list[tuple[int, int]]:
        """(packets of the party, packets to it) of each opening."""
        folder = self.data / "spool" / story[0].data["conversation_id"]
        opened = [event.data for event in story if event.type == "tape.opened"]
        found = []
        for tape in opened:
            stem = f"{tape['tape_id']}.{tape['opening']}"
            found.append(tuple(len(read(folder / f"{stem}.{channel}.rtpdump")) for channel in (0, 1)))
        return found  # type: ignore[return-value]

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(15)

    def close(self) -> None:
        self.stop()
        self.log.close()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[RealEdge]:
    running = RealEdge(tmp_path)
    try:
        yield running
    finally:
        running.close()
        text = (tmp_path / "edge.log").read_text()
        print(text[-4000:])
        assert "Traceback" not in text


@pytest.fixture
def carrier(tmp_path: Path) -> Iterator[Carrier]:
    with Carrier(tmp_path / "carrier", CARRIER) as running:
        yield running


def _account(edge: RealEdge) -> Account:
    return Account("anna", "pw", edge.sip)


@pytest.mark.system
def test_a_call_from_the_carrier_to_a_phone_is_on_tape(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    with Phone(tmp_path / "anna", _account(edge)) as phone:
        edge.registered()
        carrier.call(Caller().invite().answered().play(440).pause(2000).bye(), edge.sip, "+4930100").finish()
        phone.wait("CALL_CLOSED")
    (story,) = edge.ended()
    ((said, heard),) = edge.tapes(story)
    assert 90 <= said <= 105
    assert 85 <= heard <= 110


@pytest.mark.system
def test_a_phone_calls_out_holds_and_resumes(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    called = carrier.answer(
        Called().offered().ring().answer().play(440).answer_reinvite(direction="recvonly").answer_reinvite().hung_up(),
        port=edge.trunk_port,
    )
    with Phone(tmp_path / "anna", _account(edge)) as phone:
        edge.registered()
        mark = phone.dial("+49401234")
        phone.wait("CALL_ESTABLISHED", after=mark)
        time.sleep(1)
        phone.hold()
        called.when("ACK", sent=False, nth=1)
        time.sleep(1)
        phone.resume()
        called.when("ACK", sent=False, nth=2)
        time.sleep(1)
        phone.hang_up()
        called.finish()
    (story,) = edge.ended()
    assert [event.type for event in story if event.type.startswith("tape")] == [
        "tape.opened",
        "tape.closed",
        "tape.opened",
        "tape.closed",
    ]
    for said, _ in edge.tapes(story):
        assert 35 <= said <= 75


@pytest.mark.system
def test_late_offer_busy_and_cancel(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    with Phone(tmp_path / "anna", _account(edge)) as phone:
        edge.registered()
        late = Caller().invite(NO_OFFER).answered(("PCMU",)).play(440).pause(600).bye()
        carrier.call(late, edge.sip, "+4930100").finish()
    with Phone(tmp_path / "anna2", _account(edge), answer="manual") as phone:
        edge.registered()
        carrier.call(Caller().invite().ringing().cancel(), edge.sip, "+4930100").finish()
        phone.wait("CALL_CLOSED")
    carrier.call(Caller().invite().refused(404), edge.sip, "+49309").finish()
    assert [story[-1].data["cause"] for story in edge.ended(3)] == ["hangup", "cancelled", "rejected"]


@pytest.mark.system
def test_control_api_sees_and_ends_a_call(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    assert httpx.get(edge.url("/health"), trust_env=False).status_code == 401
    with (
        Phone(tmp_path / "anna", _account(edge)) as phone,
        connect(edge.url("/events").replace("http", "ws"), additional_headers=edge.headers, proxy=None) as live,
    ):
        edge.registered()
        assert [item["station_id"] for item in edge.get("/registrations")["registrations"]] == ["s"]
        call = carrier.call(Caller().invite().answered().play(440).hung_up(), edge.sip, "+4930100")
        phone.wait("CALL_ESTABLISHED")
        (found,) = edge.get("/conversations")["conversations"]
        assert found["state"] == "up"
        assert found["timeline"]["participants"][1]["user_id"] == "u"
        answer = httpx.post(edge.url(f"/conversations/{found['id']}/disconnect"), headers=edge.headers, trust_env=False)
        assert answer.status_code == 202
        call.finish()
        types = []
        while "conversation.ended" not in types:
            message = json.loads(live.recv(timeout=10))
            assert message["conversation_id"] == found["id"]
            types.append(message["event"]["type"])
        assert types[0] == "conversation.started"
    gone = httpx.get(edge.url(f"/conversations/{found['id']}"), headers=edge.headers, trust_env=False)
    assert gone.status_code == 404


@pytest.mark.system
def test_a_change_of_configuration_reaches_the_edge(edge: RealEdge, carrier: Carrier) -> None:
    edge.save(replace(edge.snapshot, version=2, call_routes=()))
    eventually(lambda: edge.get("/health")["configVersion"] == 2, "the change", 10)
    carrier.call(Caller().invite().refused(404), edge.sip, "+4930100").finish()


@pytest.mark.system
def test_a_killed_edge_comes_back_with_its_phones(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    with Phone(tmp_path / "anna", _account(edge)) as phone:
        edge.registered()
        time.sleep(1.5)
        edge.stop(signal.SIGKILL)
        edge.start()
        carrier.call(Caller().invite().answered().play(440).pause(500).bye(), edge.sip, "+4930100").finish()
        phone.wait("CALL_CLOSED")


@pytest.mark.system
def test_an_edge_starts_without_a_database(edge: RealEdge, carrier: Carrier) -> None:
    edge.stop(signal.SIGKILL)
    (edge.folder / "snapshot.json").rename(edge.folder / "away.json")
    edge.start()
    assert edge.get("/health")["configVersion"] == 1
    carrier.call(Caller().invite().refused(480), edge.sip, "+4930100").finish()
    edge.save(replace(edge.snapshot, version=3))
    eventually(lambda: edge.get("/health")["configVersion"] == 3, "the database to come back", 20)


@pytest.mark.system
def test_phone_and_carrier_over_tcp(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    with Phone(tmp_path / "anna", _account(edge), transport="tcp") as phone:
        edge.registered()
        (binding,) = edge.get("/registrations")["registrations"]
        assert binding["source"]["transport"] == "tcp"
        scenario = Caller().invite().answered().play(440).pause(600).bye()
        carrier.call(scenario, edge.sip, "+4930100", transport="tcp").finish()
        phone.wait("CALL_CLOSED")
    (story,) = edge.ended()
    assert story[-1].data["cause"] == "hangup"


@pytest.mark.system
def test_sigterm_tells_the_calls(edge: RealEdge, carrier: Carrier, tmp_path: Path) -> None:
    with Phone(tmp_path / "anna", _account(edge)) as phone:
        edge.registered()
        call = carrier.call(Caller().invite().answered().play(440).hung_up(), edge.sip, "+4930100")
        phone.wait("CALL_ESTABLISHED")
        call.when("ACK")
        time.sleep(0.3)
        edge.stop()
        call.finish()
        phone.wait("CALL_CLOSED")
    (story,) = edge.ended()
    assert story[-1].data["cause"] == "shutdown"


@pytest.mark.system
def test_a_dead_phone_ends_the_call(tmp_path: Path, carrier: Carrier) -> None:
    edge = RealEdge(tmp_path, dead_peer_s=1)
    try:
        with Phone(tmp_path / "anna", _account(edge)) as phone:
            edge.registered()
            call = carrier.call(Caller().invite().answered().play(440).hung_up(), edge.sip, "+4930100")
            phone.wait("CALL_ESTABLISHED")
            phone.kill()
            call.finish()
        (story,) = edge.ended()
        assert story[-1].data["cause"] in ("timeout", "error")
    finally:
        edge.close()


@pytest.mark.system
def test_loss_loses_no_call(edge: RealEdge, carrier: Carrier) -> None:
    edge.save(
        replace(edge.snapshot, version=2, call_routes=(CallRoute("r", "out", ("+4930100",), "number", "+49401234"),))
    )
    eventually(lambda: edge.get("/health")["configVersion"] == 2, "the change", 10)
    called = carrier.answer(
        Called().offered().ring().answer().hung_up().linger(), port=edge.trunk_port, options=["-lost", "5"], calls=40
    )
    scenario = Caller().invite().answered().pause(200).bye()
    carrier.call(scenario, edge.sip, "+4930100", calls=40, options=["-lost", "5", "-r", "10"]).finish(60)
    stories = edge.ended(40)
    assert {story[-1].data["cause"] for story in stories} == {"hangup"}
    assert np.all([story[0].data["ani"] == "+4930111222" for story in stories])
    called.stop()

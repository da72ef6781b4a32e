"""A contact centre in the shared office: flows, queues, agents, and calls that say a tone of their own in each phase.

Every tone fits into 20 ms a whole number of times, so each of a scripted phone's frames of it has the same bytes, and
``nowhere`` can look for them in every file of the instance.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from peers.call import ScriptedCall
from peers.caller import ScriptedPhone
from peers.office import Office
from peers.recorder import new_caller
from peers.tones import HZ_TOLERANCE, SPAN_MS, Audio, decode, spans, tone, ulaw
from peers.waiting import eventually, talk

STEP_HZ = 50
"""Tones are multiples of this."""
SAY_S = 1.0
_numbers = itertools.count(1)

FLOW = """\
inboundCall:
  name: {name}
  division: Home
  startUpRef: ./menus/menu[main]
  defaultLanguage: en-us
  supportedLanguages:
    en-us:
      defaultLanguageSkill:
        noValue: true
{settings}
  initialGreeting:
    tts: Hello
  menus:
    - menu:
        name: Main
        refId: main
        audio:
          tts: One or two?
        settingsMenu:
          repeatCount:
            lit: 3
          menuSelectionTimeout:
            lit:
              seconds: 30
        choices:
{choices}
"""
SUPPRESS = "  settingsSpeechRec:\n    suppressRecording: true"


def choice(digit: int, *actions: str) -> str:
    """A menu's choice that runs actions (YAML, each ``name:`` with what belongs to it, indented by two)."""
    lines = [
        "          - menuTask:",
        f"              name: Choice {digit}",
        f"              dtmf: digit_{digit}",
        "              task:",
        "                actions:",
    ]
    for action in actions:
        first, *rest = action.splitlines()
        lines += [f"                  - {first}", *(f"                    {line}" for line in rest)]
    return "\n".join(lines)


def to_queue(queue: str) -> str:
    return f"transferToAcd:\n  name: To {queue}\n  targetQueue:\n    lit:\n      name: {queue}"


def consent(granted: bool = True) -> str:
    return f"{'enable' if granted else 'disable'}ParticipantRecord:\n  name: Consent"


DISCONNECT = "disconnect:\n  name: Goodbye"


class Centre:
    """See the module. All names are made unique, so tests do not meet each other's."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.http = office.recorder.http  # made here, so that calls in several threads do not each make one
        self.phones: list[ScriptedPhone] = []

    # -- set-up -------------------------------------------------------------------------------------------------------

    def trunk(self, host: str, **properties: Any) -> str:
        """A trunk of its own, with these recording settings, at an address that callers of it use."""
        if host not in self.office.trunks:
            self.office.trunk(f"Trunk {host}", host, rf"\+49{host.split('.')[-1]}\d+", **properties)
        return host

    def outside(self, host: str, **how: Any) -> tuple[ScriptedPhone, str]:
        """Somebody outside who is called over the trunk at ``host``: the phone, and a number that leads to it."""
        phone = self.phone(host, port=self.office.ports[host], **how)
        return phone, f"+49{host.split('.')[-1]}{next(_numbers):05d}"

    def phone(self, host: str, **how: Any) -> ScriptedPhone:
        phone = ScriptedPhone(host, server=self.office.sip, **how)
        self.phones.append(phone)
        return phone

    def user_phone(self, name: str, **how: Any) -> ScriptedPhone:
        """The registered phone of a user (made on first mention)."""
        phone = ScriptedPhone("127.0.0.1", account=self.office.account(name), **how)
        self.phones.append(phone)
        return phone.register()

    def agent(self, name: str, **how: Any) -> ScriptedPhone:
        """The registered phone of an agent who is on queue."""
        phone = self.user_phone(name, **how)
        self.on_queue(name)
        return phone

    def on_queue(self, name: str) -> None:
        """Lets calls of queues come to a user."""
        path = f"/api/v2/users/{self.user_id(name)}"
        body = {"presenceDefinition": {"systemPresence": "On Queue"}}
        reply = self.http.patch(f"{path}/presences/PURECLOUD", json=body)
        assert reply.status_code == 200, reply.text

    def status(self, name: str) -> str:
        """A user's routing status."""
        return str(self.office.recorder.get(f"/api/v2/users/{self.user_id(name)}/routingstatus")["status"])

    def user_id(self, name: str) -> str:
        self.office.account(name)
        return str(self.office.users[name].id)

    def queue(self, name: str, *agents: str, **fields: Any) -> dict[str, Any]:
        body = {"name": f"{name} {next(_numbers)}", **fields}
        made = self.office.recorder.post("/api/v2/routing/queues", body)
        reply = self.http.post(
            f"/api/v2/routing/queues/{made['id']}/members", json=[{"id": self.user_id(agent)} for agent in agents]
        )
        assert reply.status_code < 300, reply.text
        self.office.recorder.in_use(made["id"])
        return made

    def flow(self, name: str, *choices: str, settings: str = "") -> str:
        """Publishes an inbound flow of one menu; gives its id."""
        name = f"{name} {next(_numbers)}"
        source = FLOW.format(name=name, settings=settings, choices="\n".join(choices))
        return self.publish(name, source)

    def publish(self, name: str, source: str, kind: str = "inboundcall") -> str:
        recorder = self.office.recorder
        job = recorder.post("/api/v2/flows/jobs", {"fileName": f"{name}.yaml"})
        reply = httpx.put(job["presignedUrl"], content=source, headers=job.get("headers") or {}, trust_env=False)
        assert reply.status_code < 300, reply.text

        def done() -> dict[str, Any] | None:
            state: dict[str, Any] = recorder.get(f"/api/v2/flows/jobs/{job['id']}?expand=messages")
            return state if state["status"] in ("Success", "Failure") else None

        state = eventually(done, "the flow to be published", 10, recorder.printed)
        assert state["status"] == "Success", state
        flow_id = str(state["flow"]["id"])
        recorder.in_use(flow_id)
        return flow_id

    def prompt(self, name: str, hz: float, seconds: float = 2.0) -> Path:
        """A recorded prompt that is a tone; gives its file in the instance's data."""
        recorder = self.office.recorder
        prompt = recorder.post("/api/v2/architect/prompts", {"name": name})
        path = f"/api/v2/architect/prompts/{prompt['id']}/resources"
        made = recorder.post(path, {"language": "en-us"})
        wav = io.BytesIO()
        with wave.open(wav, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(8000)
            writer.writeframes(tone(hz, seconds).tobytes())
        reply = httpx.put(made["uploadUri"], content=wav.getvalue(), trust_env=False)
        assert reply.status_code < 300, reply.text
        recorder.in_use(name)
        snapshot = json.loads((recorder.data / "edge" / "snapshot.json").read_text())
        return Path(next(item for item in snapshot["prompts"] if item["name"] == name)["files"]["en-us"])

    def number(self, kind: str, target: str) -> str:
        """A new number that leads to a flow, queue or user."""
        number = f"+4969{next(_numbers):05d}"
        body = {"name": f"Route {number}", "dnis": [number], "target": {"type": kind, "id": target}}
        self.office.recorder.post("/api/v2/earwitness/callroutes", body)
        self.office.recorder.in_use(number)
        return number

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, phone: ScriptedPhone, number: str) -> tuple[ScriptedCall, str]:
        """Calls in; gives the answered call and its conversation."""
        caller = new_caller()
        call = phone.call(number, caller=caller).wait_answered()
        return call, self.office.recorder.conversation(caller)

    def document(self, conversation: str) -> dict[str, Any]:
        document: dict[str, Any] = self.office.recorder.get(f"/api/v2/conversations/calls/{conversation}")
        return document

    def participant(self, conversation: str, ask: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The last participant that is so; waits for one."""

        def found() -> dict[str, Any] | None:
            there = [item for item in self.document(conversation)["participants"] if ask(item)]
            return there[-1] if there else None

        return eventually(found, what, 10, lambda: f"{self.document(conversation)}\n{self.office.story()}")

    def of_purpose(self, conversation: str, purpose: str, state: str = "connected") -> dict[str, Any]:
        """The connected participant of a purpose: external, ivr, acd, agent, user."""
        return self.participant(
            conversation,
            lambda item: item["purpose"] == purpose and item.get("state") == state,
            f"{purpose} to be {state}",
        )

    def patch(self, conversation: str, participant: dict[str, Any], **body: Any) -> httpx.Response:
        """What an agent's page does: held, muted, recording, state, wrapup."""
        path = f"/api/v2/conversations/calls/{conversation}/participants/{participant['id']}"
        return self.http.patch(path, json=body)

    def secure_pause(self, conversation: str, on: bool) -> httpx.Response:
        path = f"/api/v2/conversations/calls/{conversation}/recordingstate"
        return self.http.put(path, json={"recordingState": "PAUSED" if on else "ACTIVE"})

    def recording_states(self, conversation: str) -> set[tuple[str, bool]]:
        """(recordingState, securePause) of the participants that are connected and have one."""
        return {
            (str(item.get("recordingState", "none")).lower(), bool(item.get("securePause")))
            for item in self.document(conversation)["participants"]
            if item.get("state") == "connected" and item["purpose"] in ("external", "customer")
        }

    def signed_in(self, name: str) -> httpx.Client:
        """The API as this user."""
        client = self.office.recorder.secrets["client"]
        recorder = self.office.recorder
        form = {
            "grant_type": "password",
            "username": f"{name}@example.com",
            "password": "correct horse battery staple",
        }
        reply = httpx.post(
            f"{recorder.url}/oauth/token", data=form, auth=(client["id"], client["secret"]), trust_env=False
        )
        assert reply.status_code == 200, reply.text
        headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        return httpx.Client(base_url=recorder.url, headers=headers, timeout=30, trust_env=False)

    def inbox_audio(self, inbox: httpx.Client, recording_id: str) -> Audio:
        """A user recording as its owner hears it."""
        path = f"/api/v2/userrecordings/{recording_id}/transcoding?formatId=WAV"

        def made() -> dict[str, Any] | None:
            answer: dict[str, Any] = inbox.get(path).json()
            return answer if str(answer.get("state")).lower() == "completed" else None

        answer = eventually(made, "the user recording to be transcoded", 15, self.office.story)
        reply = httpx.get(answer["contentLocationUri"], timeout=30, trust_env=False)
        assert reply.status_code == 200, reply.text
        return decode(reply.content)

    # -- end ----------------------------------------------------------------------------------------------------------

    def story(self) -> str:
        """What happened, for a human."""
        return "\n".join([*(phone.story() for phone in self.phones), self.office.story()])

    def close(self) -> None:
        for phone in self.phones:
            with contextlib.suppress(AssertionError):  # whatever is wrong there, a test has said already
                for call in phone.calls:
                    if call.state == "up":
                        call.hang_up()
                if phone.account is not None:
                    phone.register(0)
            phone.close()
        self.phones.clear()


def say(hz: float, *calls: ScriptedCall, seconds: float = SAY_S) -> None:
    """They say a tone together, and then are silent."""
    for call in calls:
        call.tone(hz)
    talk(seconds)
    for call in calls:
        call.tone(0)
    talk(0.2)


def say_to(hz: float, speaker: ScriptedCall, *listeners: ScriptedCall) -> None:
    """Says a tone until all of them hear it, and long enough to be found in a recording; then is silent."""
    speaker.tone(hz)
    for listener in listeners:
        listener.ear.wait_for(hz)
    talk(SAY_S)
    speaker.tone(0)
    talk(0.2)


def tones_in(audio: Audio, channel: int, least_ms: int = 300) -> list[float]:
    """The tones of a channel in their order: each run of ``least_ms`` or more, the same one after a pause told once."""
    found: list[float] = []
    run, length = 0.0, 0
    for span in spans(audio, channel):
        near = 0.0 if span.quiet else round(span.hz / STEP_HZ) * STEP_HZ
        near = near if abs(near - span.hz) <= HZ_TOLERANCE else 0.0
        length = length + 1 if near == run else 1
        run = near
        if run and length * SPAN_MS >= least_ms and (not found or found[-1] != run):
            found.append(run)
    return found


def files_with(folder: Path, needle: bytes) -> list[Path]:
    """Files below a folder that contain these bytes."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and needle in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def nowhere(office: Office, *tones: float) -> None:
    """No file of the instance, and no log, has a frame of these tones (mu-law, as scripted phones say them)."""
    for hz in tones:
        needle = ulaw(tone(hz, 0.02))[:80]
        found = files_with(office.recorder.data, needle)
        assert not found, f"{hz:g} Hz is in {found}"
        assert needle not in office.recorder.log.read_bytes(), f"{hz:g} Hz is in the log"

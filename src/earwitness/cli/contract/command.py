"""``earwitness contract``: which operations of the contract pass through the vendor's unmodified SDK.

Starts a whole Earwitness in a temporary folder, lays a finished call into its spool, and calls each operation that has
a step through the SDK. What has no step, or fails, does not pass.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from earwitness import app as wiring
from earwitness.archive.render.wav import MU_LAW, encode
from earwitness.cli.contract.steps import STEPS, Context
from earwitness.domain.conversation.events import Event
from earwitness.domain.ids import new_id
from earwitness.media.tape.format import encode_header, encode_record
from earwitness.settings import load

START_TIMEOUT_S = 180.0
CALL_TIMEOUT_S = 120.0
SECONDS = 2
FAMILIES = (
    "access",
    "telephony",
    "routing",
    "teams",
    "flows",
    "calls",
    "search",
    "live",
    "retention",
    "interchange",
    "policies",
    "quality",
    "surveys",
    "end",
)
"""Files of steps, ``steps_<name>.py``, in the order in which their steps run."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract."""

    tier: int
    method: str
    path: str
    api: str
    name: str


def operations() -> list[Operation]:
    """Every operation of tiers 1 and 2."""
    lines = Path(__file__).with_name("operations.txt").read_text(encoding="utf-8").splitlines()
    return [Operation(int(t), method, path, api, name) for t, method, path, api, name in (x.split(" ") for x in lines)]


def print_contract() -> int:
    """Runs and prints; gives 0 if every step passed."""
    console = Console(stderr=True)
    try:
        sdk = importlib.import_module("PureCloudPlatformClientV2")
    except ImportError:
        console.print("The vendor's SDK is not installed; run `make setup` in a checkout.")
        return 2
    with tempfile.TemporaryDirectory(prefix="earwitness-contract-") as folder, _running(Path(folder)) as (url, made):
        conversation_id = _lay_call(Path(folder) / "spool", made)
        outcome = _run(sdk, url, made, conversation_id, console)
    known = operations()
    for operation in known:
        print(f"{outcome.get(operation.name, '-'):5} {operation.tier} {operation.method:6} {operation.path}")
    for tier in (1, 2):
        names = [operation.name for operation in known if operation.tier == tier]
        passed = sum(outcome.get(name) == "pass" for name in names)
        print(f"tier {tier}: {passed} of {len(names)} operations pass through the SDK")
    return 0 if all(word == "pass" for word in outcome.values()) else 1


def _run(sdk: Any, url: str, made: dict[str, Any], conversation_id: str, console: Console) -> dict[str, str]:
    sdk.configuration.host = url
    client = sdk.ApiClient().get_client_credentials_token(made["client"]["id"], made["client"]["secret"])
    user = sdk.ApiClient()
    user.access_token = _user_token(url, made)
    for family in FAMILIES:
        importlib.import_module(f"earwitness.cli.contract.steps_{family}")
    context = Context(sdk, client, user, made, conversation_id, time.monotonic() + CALL_TIMEOUT_S)
    outcome = {"get_client_credentials_token": "pass"}
    for name, step in track(list(STEPS.items()), "Calling", console=console, transient=True):
        try:
            step(context)
            outcome[name] = "pass"
        except Exception as error:  # whatever a client stumbles over is what we want to see
            outcome[name] = "FAIL"
            console.print(f"[red]{name}[/red]: {error}", highlight=False)
    return outcome


def _user_token(url: str, made: dict[str, Any]) -> str:
    import httpx

    form = {
        "grant_type": "password",
        "username": made["administrator"]["email"],
        "password": made["administrator"]["password"],
    }
    reply = httpx.post(f"{url}/oauth/token", data=form, trust_env=False).raise_for_status()
    return str(reply.json()["access_token"])


@contextmanager
def _running(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A whole Earwitness on free ports."""
    settings = load(data=folder, web_port=0, sip_port=0, sip_host="127.0.0.1")
    made = wiring.initialise(settings, "Contract", "administrator@example.com")
    free = {"EARWITNESS_WEB_PORT": "0", "EARWITNESS_SIP_PORT": "0", "EARWITNESS_SIP_HOST": "127.0.0.1"}
    command = [sys.executable, "-m", "earwitness.cli.main", "serve", "--data", str(folder)]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **free}, stdout=log, stderr=log)
        try:
            _wait(lambda: wiring.running(settings.run, "edge"), process, folder)
            web = _wait(lambda: wiring.running(settings.run, "web"), process, folder)
            yield str(web["url"]), {**made, "run": settings.run}
        finally:
            process.terminate()
            process.wait(30)


def _wait(look: Callable[[], dict[str, Any] | None], process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    raise wiring.AppError(f"Earwitness did not start:\n{(folder / 'serve.log').read_text()[-2000:]}")


def _lay_call(spool: Path, made: dict[str, Any]) -> str:
    """Writes a finished, recorded call of the administrator into the spool, as an edge would; gives its id."""
    import numpy as np

    conversation_id, tape_id = new_id(), new_id()
    start = time.time_ns() // 1000 - (SECONDS + 1) * 1_000_000
    user_id = made["administrator"]["id"]
    codecs = {"0": ["PCMU", 8000, 1]}
    told: list[tuple[float, str, dict[str, Any]]] = [
        (0, "conversation.started", {"conversation_id": conversation_id, "direction": "inbound", "dnis": "+4930222",
                                     "organization_id": made["organization"]["id"], "ani": "+4930111"}),
        (0, "participant.joined", {"participant_id": "p1", "purpose": "external", "name": "Carrier"}),
        (0, "leg.offered", {"leg_id": "t", "participant_id": "p1", "kind": "trunk", "direction": "inbound",
                            "external": True, "address": "+4930111"}),
        (0, "leg.media", {"leg_id": "t", "payload_types": codecs}),
        (0, "participant.joined", {"participant_id": "p2", "purpose": "user", "user_id": user_id}),
        (0, "leg.offered", {"leg_id": "s", "participant_id": "p2", "kind": "station", "direction": "outbound",
                            "external": False, "address": "desk"}),
        (0, "leg.answered", {"leg_id": "s"}),
        (0, "leg.answered", {"leg_id": "t"}),
        (0, "tape.opened", {"tape_id": tape_id, "opening": 0, "leg_id": "t", "kind": "trunk", "dual_channel": True,
                            "audio_format": "audio/opus", "reasons": []}),
        (SECONDS, "tape.closed", {"tape_id": tape_id, "opening": 0, "reasons": []}),
        (SECONDS, "conversation.ended", {"cause": "hangup"}),
    ]  # fmt: skip
    events = [Event(n, start + int(at * 1e6), kind, data) for n, (at, kind, data) in enumerate(told)]
    folder = spool / conversation_id
    hidden = spool / f".{conversation_id}"
    hidden.mkdir(parents=True)
    for channel, hertz in ((0, 440), (1, 1000)):
        records = [encode_header(start, "127.0.0.1", 4000)]
        for n in range(SECONDS * 50):
            tone = [int(8000 * math.sin(2 * math.pi * hertz * (n * 160 + i) / 8000)) for i in range(160)]
            rtp = struct.pack("!BBHII", 0x80, 0, n, n * 160, channel + 1)
            payload = encode(np.array(tone, dtype=np.int16).reshape(-1, 1), MU_LAW)
            records.append(encode_record(rtp + payload, n * 20))
        (hidden / f"{tape_id}.0.{channel}.rtpdump").write_bytes(b"".join(records))
    (hidden / "events.jsonl").write_text("".join(json.dumps(json.loads(e.to_json())) + "\n" for e in events))
    hidden.rename(folder)
    return conversation_id

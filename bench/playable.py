"""From hang-up to playable: calls of one minute that all end within one second, asked for through the API at once.

Playable is when the first bytes of the file that our page plays (both channels, WebM) have arrived; the time runs from
sipp's BYE. A single channel (key 0 or 1) has to be encoded at its first play, which takes 0.1 CPU s a minute more.

    python -m bench playable [--calls 20] [--seconds 60]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx
from bench.calls import register

from peers.carrier import Carrier
from peers.office import CARRIER, Office
from peers.ports import free_port
from peers.recorder import Recorder
from peers.scenario import Called, Caller
from peers.waiting import eventually

PHONE = "127.0.0.50"
LIMIT_S = 2.0
PATIENCE_S = 60.0


def until_playable(client: httpx.Client, conversation: str, found: dict[str, float]) -> None:
    """Asks as a player would, and notes the wall-clock time of the first bytes.

    :param client: made before: a new one costs 50 ms of CPU (it reads all certificates), 20 of them a second.
    """
    deadline = time.time() + PATIENCE_S
    while time.time() < deadline:
        reply = client.get(f"/api/v2/conversations/{conversation}/recordings", params={"maxWaitMs": 10_000})
        uris = [item["mediaUris"]["S"]["mediaUri"] for item in (reply.json() or []) if item.get("mediaUris")]
        if reply.status_code == 200 and uris:
            part = client.get(uris[0], headers={"Range": "bytes=0-4095", "Authorization": ""})
            assert part.status_code == 206, part.status_code
            found[conversation] = time.time()
            return
        time.sleep(0.05)


def main() -> int:
    """0 when 95 % are playable within the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    count = options.calls
    with tempfile.TemporaryDirectory(prefix="bench-playable") as name:
        folder = Path(name)
        recorder = Recorder(folder / "data", settings={"EARWITNESS_LOG_LEVEL": "warning"})
        try:
            office = Office(recorder.start())
            port = free_port(PHONE)
            register(office, PHONE, port)
            with Carrier(folder / "phone", PHONE) as phone, Carrier(folder / "carrier", CARRIER) as carrier:
                patience = int(options.seconds * 1000) + 30_000
                phone.answer(Called().offered().ring().answer().play(1000).hung_up(patience), calls=count, port=port)
                scenario = Caller("+4930[call_number]").invite().answered().play(440)
                scenario = scenario.pause(int(options.seconds * 1000)).bye()
                load = carrier.call(
                    scenario, office.sip, office.number("load"), calls=count, options=["-r", str(count)]
                )
                eventually(lambda: len(list(recorder.spooled())) == count, "all calls to be up", 20)
                conversations = {name: events[0]["data"]["ani"][5:] for name, events in recorder.spooled()}
                times: dict[str, float] = {}
                headers = {"Authorization": f"Bearer {recorder.sdk.access_token}"}
                limits = httpx.Limits(max_connections=count)
                client = httpx.Client(base_url=recorder.url, headers=headers, timeout=30, limits=limits)
                load.process.wait(options.seconds + 30)
                threads = [
                    threading.Thread(target=until_playable, args=(client, conversation, times))
                    for conversation in conversations
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                client.close()
                byes = [message for message in load.messages() if message.line.startswith("BYE")]
                ended = {message.call_id.partition("-")[0]: message.at for message in byes}
        finally:
            recorder.close()
    waits = sorted(at - ended[conversations[name]] for name, at in times.items())
    if len(waits) < count:
        print(f"only {len(waits)} of {count} became playable within {PATIENCE_S:g} s")
        return 1
    p95 = quantiles(waits, n=20, method="inclusive")[-1] if count > 1 else waits[0]
    spread = max(ended.values()) - min(ended.values())
    print(f"{count} calls of {options.seconds:g} s, the last BYE {spread:.2f} s after the first")
    figures = f"p50 {median(waits):.2f} s, p95 {p95:.2f} s, longest {waits[-1]:.2f} s"
    print(f"hang-up to playable: {figures} (limit p95 {LIMIT_S:g} s)")
    return 0 if p95 <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())

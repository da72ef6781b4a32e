"""Call control benchmark: sipp calls in over a trunk, Earwitness bridges to a phone, which is sipp again.

Rate: calls a second for a minute. Loss: the same while both sipps drop 5 % of what they send and receive (`patient`
says how they bear it). Concurrency: so many calls up at once on a trunk that records; memory of edge and media per
call, and what is left when all have ended. Every call must complete, at the caller and at the phone; for one that did
not, both sides' words are shown.

    python -m bench calls [--rate 100] [--seconds 60] [--concurrent 500]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.patient import LINGER_MS, PREFIX, PatientCalled, PatientCaller, failures

from peers.carrier import Carrier, Sipp
from peers.office import CARRIER, UNRECORDED, Office
from peers.ports import free_port
from peers.probe import Probe
from peers.recorder import Recorder
from peers.waiting import eventually

PHONE = "127.0.0.50"
SETTINGS = {"EARWITNESS_LOG_LEVEL": "warning", "EARWITNESS_RTP_PORT_MIN": "16384"}
"""All media ports: 500 calls need 2000 of them."""
MEMORY_LIMIT_KB = 150.0
LEFT_LIMIT_KB = 15.0
"""Per call, after all have ended and their transactions have expired."""
EXPIRY_S = 40.0
"""RFC 3261 keeps transactions for 32 s."""


@dataclass
class Run:
    """One line of the table."""

    name: str
    calls: int
    completed: int
    """At the caller."""
    hung_up: int
    """At the phone."""
    failed: dict[str, str]
    """Caller's number -> what was seen of it."""
    seconds: float
    edge_cpu: float

    def print(self) -> None:
        per_thousand = self.edge_cpu / max(1, self.calls) * 1000
        share = self.edge_cpu / self.seconds * 100
        ok = f"{self.completed}/{self.calls}"
        print(f"{self.name:34} {ok:>12} {self.hung_up:>10} {per_thousand:14.2f} {share:9.0f} %")
        for words in sorted(set(self.failed.values())):
            numbers = sorted(number for number, other in self.failed.items() if other == words)
            print(f"    {len(numbers)} x {words} (calls of {', '.join(numbers[:5])})")

    @property
    def whole(self) -> bool:
        return self.completed == self.hung_up == self.calls


def completed(sipp: Sipp) -> int:
    """Calls that went as written."""
    return int(sipp.statistics()["SuccessfulCall(C)"])


def told(caller: Sipp, phone: Sipp) -> dict[str, str]:
    """What both sides say of the calls that failed."""
    sides = {"caller": failures(caller.errors()), "phone": failures(phone.errors())}
    numbers = {number for side in sides.values() for number in side}
    return {
        number: "; ".join(f"{name}: {side.get(number, 'nothing unusual')}" for name, side in sides.items())
        for number in numbers
    }


def register(office: Office, host: str, port: int) -> None:
    """Makes the phone of ``load`` reachable at that address."""
    account = office.account("load")
    with Probe(host, port) as registrant:
        registrant.server = office.recorder.sip_address
        registered = registrant.register(account.username, account.password)
        assert registered.status == 200, registered.line


def load(office: Office, carrier: Carrier, name: str, rate: float, calls: int, hold_ms: int, *options: str) -> Run:
    """Makes ``calls`` calls, ``rate`` a second, each up for ``hold_ms``."""
    phone_port = free_port(PHONE)
    register(office, PHONE, phone_port)
    with Carrier(carrier.folder / "phone", PHONE) as phone:
        answering = PatientCalled().whole(within_ms=hold_ms + 90_000)
        answers = phone.answer(answering, calls=calls, trace=False, options=options, port=phone_port)
        cpu, started = office.recorder.cpu("edge"), time.monotonic()
        caller = carrier.call(
            PatientCaller(f"{PREFIX}[call_number]").whole(hold_ms), office.sip, office.number("load"), calls=calls,
            trace=False, options=[*options, "-r", f"{rate:g}", "-l", str(calls)],
        )  # fmt: skip
        caller.process.wait(calls / rate + (hold_ms + LINGER_MS) / 1000 + 120)
        seconds = time.monotonic() - started - LINGER_MS / 1000
        cpu = office.recorder.cpu("edge") - cpu
        with contextlib.suppress(AssertionError):
            answers.process.wait(LINGER_MS / 1000 + 60)
        eventually(lambda: not office.recorder.live(), "the edge to have no call", 60)
        return Run(name, calls, completed(caller), completed(answers), told(caller, answers), seconds, cpu)


def concurrent(office: Office, carrier: Carrier, calls: int) -> tuple[Run, float, float]:
    """``calls`` at once on the recorded trunk; the run, and KB a call in progress and after the end."""
    recorder = office.recorder
    load(office, carrier, "warm-up", 50, 50, 200)
    time.sleep(EXPIRY_S)
    before = recorder.rss("edge", "media")
    ramp, hold_s = calls / 50, 20

    result: list[Run] = []
    name = f"{calls} calls at once, recorded"
    hold_ms = 1000 * (hold_s + int(ramp))
    runner = threading.Thread(target=lambda: result.append(load(office, carrier, name, 50, calls, hold_ms)))
    runner.start()
    deadline = time.monotonic() + ramp + 8
    while time.monotonic() < deadline:
        time.sleep(0.5)
    up = len(recorder.live())
    peak = recorder.rss("edge", "media")
    runner.join()
    time.sleep(EXPIRY_S)
    after = recorder.rss("edge", "media")
    print(f"calls up when memory was read: {up}")
    return result[0], (peak - before) / 1024 / max(1, up), (after - before) / 1024 / calls


def main() -> int:
    """0 when every call completed and memory kept its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--concurrent", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-calls") as name:
        folder = Path(name)
        recorder = Recorder(folder / "data", settings=SETTINGS)
        try:
            office = Office(recorder.start())
            office.account("load")
            calls = int(options.rate * options.seconds)
            runs = []
            with Carrier(folder / "silent", UNRECORDED) as carrier:
                for title, more in (("no loss", ()), ("5 % of messages lost", ("-lost", "5"))):
                    title = f"{options.rate:g} calls/s, {title}"
                    runs.append(load(office, carrier, title, options.rate, calls, 1000, *more))
            with Carrier(folder / "recorded", CARRIER) as carrier:
                run, in_call, left = concurrent(office, carrier, options.concurrent)
                runs.append(run)
        finally:
            recorder.close()
    print(f"{'run':34} {'completed':>12} {'at phone':>10} {'CPU s/1000':>14} {'CPU':>11}")
    for run in runs:
        run.print()
    print(f"memory per call in progress: {in_call:.0f} KB (limit {MEMORY_LIMIT_KB:.0f})")
    print(f"memory left when all have ended: {left:.1f} KB a call (limit {LEFT_LIMIT_KB:.0f})")
    whole = all(run.whole for run in runs)
    return 0 if whole and in_call <= MEMORY_LIMIT_KB and left <= LEFT_LIMIT_KB else 1


if __name__ == "__main__":
    sys.exit(main())

"""Waiting in a queue: the CPU of legs that hear looped music in PCMA and send their own packets, recorded and not.

Prints cores (CPU seconds, user + system, of the media process and of the engine's client, per second of music) beside
the limit of one core for 300 legs, and how many of the frames that were due arrived.

    python -m bench music [--legs 300] [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.relay import Load, cpu_seconds

from earwitness.media.engine.interface import Codec, Remote
from earwitness.media.engine.ours import OurEngine
from earwitness.media.engine.sounds import hold_music

LIMIT_CORES = 1.0
LEAST_FRAMES = 0.999
CODECS = {8: Codec("PCMA", 8000)}


async def wait(legs: int, seconds: float, *, record: bool) -> tuple[float, float]:
    """Cores, and the share of frames that arrived."""
    folder = Path(tempfile.mkdtemp(prefix="music-"))
    music = hold_music()
    engine = OurEngine(folder / "m.sock", lambda _: None, ports=(30000, 39999))
    await engine.start()
    code = f"from pathlib import Path; from earwitness.media.process import run; run(Path({str(folder / 'm.sock')!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        await engine.ready()
        load = Load(seconds, legs)
        targets = []
        for leg in range(legs):
            local = engine.open_leg(f"l{leg}", group=f"c{leg}", host="127.0.0.1")
            engine.set_remote(f"l{leg}", Remote(load.address(leg), payload_types=CODECS))
            if record:
                engine.open_tape(f"t{leg}", 0, f"l{leg}", folder / "spool" / f"c{leg}")
            targets.append((local.host, local.rtp_port))
        running = asyncio.create_task(asyncio.to_thread(load.run, targets))
        await asyncio.sleep(0.5)
        for leg in range(legs):
            engine.play(f"l{leg}", f"p{leg}", music, loop=True)
            await asyncio.sleep(0.02 / legs)  # callers do not come at the same millisecond
        await asyncio.sleep(1)
        began, before = time.monotonic(), time.process_time() + cpu_seconds(process.pid)
        await asyncio.sleep(seconds - 3)
        spent = time.process_time() + cpu_seconds(process.pid) - before
        cores = spent / (time.monotonic() - began)
        stopped = time.monotonic()
        for leg in range(legs):
            engine.stop_play(f"l{leg}", f"p{leg}")
        result = await running
        due = legs * 50 * (stopped - began + 1)
        return cores, min((result["wrong"] + result["received"]) / due, 1.0)
    finally:
        await engine.stop()
        process.wait(10)
        shutil.rmtree(folder)


def main() -> int:
    """0 when the limit is kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--legs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    limit = LIMIT_CORES * arguments.legs / 300
    missed = False
    print(f"{arguments.legs} legs waiting with looped music (PCMA)   cores   limit {limit:.2f}   frames that arrived")
    for record in (False, True):
        cores, share = asyncio.run(wait(arguments.legs, arguments.seconds, record=record))
        kept = cores <= limit and share >= LEAST_FRAMES
        missed |= not kept
        name = "recorded" if record else "not recorded"
        print(f"{name:46} {cores:6.2f}   {'kept' if kept else 'MISSED':10}   {share:8.1%}", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

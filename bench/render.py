"""Rendering against the ffmpeg command: CPU seconds (user + system) for an hour of dual-channel 8 kHz call.

``python bench/render.py [--minutes 10] [--pairs 5]``. Two voices (espeak-ng) take turns and sometimes overlap, above a
noise floor on both sides, so that no frame of ours is spared as silence; once more without the floor, as phones with
silence suppression send it: this second figure is told, not judged. Ours starts from the packets on tape: reading,
placing, decoding, peaks, quality sheet, encoding; sealing is not included. ffmpeg starts from a finished stereo WAV of
the same samples. All write Ogg Opus at 8 kHz, VBR, ``application=voip``, with the complexity that masters have: ours as
two uncoupled streams; ffmpeg as it does by itself (coupled stereo), and uncoupled too (``-mapping_family 255``), each
with its own packets of 20 ms and with our 60 ms. Uncoupled it has the bit rate of our masters; coupled 24 kbit/s, with
which it sounds like ours and makes files as large. Runs alternate; figures are medians. Exit code 1 when the ratio to
ffmpeg making the same Opus, uncoupled, with its own packets, is above ``--limit``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from earwitness.archive.render.codecs import ULAW
from earwitness.archive.render.plan import plan_folder
from earwitness.archive.render.renderer import COMPLEXITY, bitrate, render_tape
from earwitness.archive.render.wav import MU_LAW, encode, header
from earwitness.media.tape.format import encode_header, encode_record

I16 = NDArray[np.int16]
RATE = 8000
BITRATE = str(bitrate(RATE, 2))
PEERS = {
    "ffmpeg coupled, 20 ms": ("-b:a", "24k", "-frame_duration", "20"),
    "ffmpeg coupled, 60 ms": ("-b:a", "24k", "-frame_duration", "60"),
    "ffmpeg uncoupled, 20 ms": ("-b:a", BITRATE, "-frame_duration", "20", "-mapping_family", "255"),
    "ffmpeg uncoupled, 60 ms": ("-b:a", BITRATE, "-frame_duration", "60", "-mapping_family", "255"),
}
"""Name -> what the ffmpeg command is told beyond what all are told."""
LIMITED = "ffmpeg uncoupled, 20 ms"
FLOOR = 12.0
"""-69 dBFS: what an idle telephone line sounds like."""
START_US = 1_795_353_600_000_000
AGENT = (
    "Good morning, you have reached the claims department, my name is Ann. How may I help you today?",
    "Could you tell me the number of your policy, please? It stands in the upper right corner of the letter.",
    "Thank you. I see that the report came in on the third of March, and that it was answered a week later.",
)
CALLER = (
    "Hello, I would like to ask about my claim. I have been waiting for an answer for more than four weeks now.",
    "Yes, it is four seven one one, stroke, eight one five. The name is Miller, with two l.",
    "That answer never arrived here. Would you be so kind as to send it once more, by mail this time?",
)


def speak(lines: tuple[str, ...], voice: bytes) -> list[I16]:
    """Each line as samples at 8 kHz."""
    lib = ctypes.CDLL(espeakng_loader.get_library_path())
    parts: list[I16] = []
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def take(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if count > 0 and samples:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = callback_type(take)
    rate = lib.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    lib.espeak_SetSynthCallback(callback)
    lib.espeak_SetVoiceByName(voice)
    spoken = []
    for line in lines:
        parts.clear()
        text = line.encode()
        lib.espeak_Synth(text, len(text) + 1, 0, 0, 0, 1, None, None)
        lib.espeak_Synchronize()
        spoken.append(np.asarray(soxr.resample(np.concatenate(parts), rate, RATE), dtype=np.int16))
    return spoken


def conversation(minutes: float, floor: float = FLOOR) -> I16:
    """Samples (n, 2) of a call.

    :param floor: of noise on both sides, root mean square.
    """
    length = round(minutes * 60 * RATE)
    rng = np.random.default_rng(7)
    call = rng.normal(0, 1, (length, 2)) * floor
    turns = [line for pair in zip(speak(CALLER, b"en-gb"), speak(AGENT, b"en-us"), strict=True) for line in pair]
    at, turn = 0, 0
    while at < length:
        line = turns[turn % len(turns)][: length - at]
        call[at : at + len(line), turn % 2] += line
        at += len(line) + int(rng.integers(-RATE // 2, RATE))
        turn += 1
    return np.clip(call, -32768, 32767).astype(np.int16)


def write_spool(folder: Path, call: I16) -> None:
    """The call as events and tapes."""
    end = START_US + len(call) * 1_000_000 // RATE
    events = [
        (START_US, "leg.media", {"leg_id": "leg", "payload_types": {"0": ["PCMU", 8000, 1]}}),
        (
            START_US,
            "tape.opened",
            {
                "tape_id": "tape",
                "opening": 0,
                "leg_id": "leg",
                "kind": "trunk",
                "dual_channel": True,
                "audio_format": "audio/opus",
            },
        ),
        (end, "tape.closed", {"tape_id": "tape", "opening": 0, "reasons": []}),
        (end, "conversation.ended", {"cause": "hangup"}),
    ]
    folder.joinpath("events.jsonl").write_text(
        "".join(json.dumps({"seq": n, "at": at, "type": t, "data": d}) + "\n" for n, (at, t, d) in enumerate(events))
    )
    jitter = np.random.default_rng(8)
    for channel in (0, 1):
        coded = encode(call[:, channel : channel + 1], MU_LAW)
        records = [encode_header(START_US, "127.0.0.1", 5004)]
        for number, at in enumerate(range(0, len(coded), 160)):
            head = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, 7 + channel)
            records.append(encode_record(head + coded[at : at + 160], 20 * (number + 1) + int(jitter.integers(0, 5))))
        folder.joinpath(f"tape.0.{channel}.rtpdump").write_bytes(b"".join(records))


def cpu(who: int) -> float:
    """User + system seconds."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure(who: int, work: Callable[[], object]) -> float:
    """CPU seconds of a piece of work."""
    before = cpu(who)
    work()
    return cpu(who) - before


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=0.6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(f"noise floor of {FLOOR:g} on both sides")
        judged = compare(Path(name), FLOOR, PEERS, options.minutes, options.pairs)
    with tempfile.TemporaryDirectory() as name:
        print("digital silence where nobody speaks")
        compare(Path(name), 0.0, {LIMITED: PEERS[LIMITED]}, options.minutes, options.pairs)
    print(f"ratio to {LIMITED} {judged:.2f}, limit {options.limit}")
    return 0 if judged <= options.limit else 1


def compare(folder: Path, floor: float, peers: dict[str, tuple[str, ...]], minutes: float, pairs: int) -> float:
    """Runs ours and the peers in turn and prints what they took; gives the ratio of ours to ``LIMITED``."""
    call = conversation(minutes, floor)
    write_spool(folder, call)
    wave = folder / "call.wav"
    heard = ULAW.take(np.frombuffer(encode(call, MU_LAW), dtype=np.uint8)).reshape(-1, 2)
    wave.write_bytes(header(1, RATE, 2, len(heard)) + heard.tobytes())

    def ours() -> None:
        with (folder / "ours.opus").open("wb") as file:
            render_tape(plan_folder(folder)[0], file.write)

    def ffmpeg(name: str, *options: str) -> None:
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(wave), "-c:a", "libopus"]
        command += ["-compression_level", str(COMPLEXITY), "-application", "voip", *options]
        subprocess.run([*command, str(folder / f"{name}.opus")], check=True)

    ours()
    runs: dict[str, list[float]] = {"ours": [], **{name: [] for name in peers}}
    for _ in range(pairs):
        runs["ours"].append(measure(resource.RUSAGE_SELF, ours))
        for name, extra in peers.items():
            runs[name].append(measure(resource.RUSAGE_CHILDREN, lambda n=name, e=extra: ffmpeg(n, *e)))
    judged = 0.0
    for contender, times in runs.items():
        rate = folder.joinpath(f"{contender}.opus").stat().st_size * 8 / (minutes * 60)
        used = statistics.median(times) * 60 / minutes
        ratio = statistics.median(a / b for a, b in zip(runs["ours"], times, strict=True))
        print(f"{contender:30} {used:6.1f} CPU s per hour of call, {rate / 1000:5.1f} kbit/s, ours to it {ratio:.2f}")
        if contender == LIMITED:
            judged = ratio
    return judged


if __name__ == "__main__":
    sys.exit(main())

"""Load generator for relays: G.711 at 20 ms to and from many legs, from a few sockets, by sendmmsg and recvmmsg.

Run as a program by ``relay.py``: reads one JSON line ``{"legs": [[host, port], …], "sockets": n}`` after having printed
the addresses of its sockets, sends for ``seconds``, and prints what came back. Leg ``2k`` is connected with leg ``2k +
1``. Each packet carries its leg, number and sending time; the kernel stamps its arrival, so latency does not depend on
when this process gets to read it. Packets are spread evenly over the 20 ms.
"""

from __future__ import annotations

import ctypes
import json
import socket
import sys
import threading
import time

import numpy as np

FRAME_NS = 20_000_000
STEP_NS = 100_000
SIZE = 172
BATCH = 512

libc = ctypes.CDLL(None, use_errno=True)
libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


def headers(count: int, size: int, *, control: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """mmsghdrs with their iovecs, packets and control areas (which must be kept alive)."""
    packets = np.zeros((count, size), np.uint8)
    iovecs = np.empty((count, 2), np.uint64)
    iovecs[:, 0] = packets.ctypes.data + np.arange(count) * size
    iovecs[:, 1] = size
    areas = np.zeros((count, 64), np.uint8)
    messages = np.zeros((count, 8), np.uint64)
    messages[:, 2] = iovecs.ctypes.data + np.arange(count) * 16
    messages[:, 3] = 1
    if control:
        messages[:, 4] = areas.ctypes.data + np.arange(count) * 64
        messages[:, 5] = control
    return messages, iovecs, packets, areas


class Receiver(threading.Thread):
    """Counts what comes back on one socket."""

    def __init__(self, sockets: list[socket.socket], legs: int, frames: int) -> None:
        super().__init__(daemon=True)
        self.sockets = sockets
        self.seen = np.zeros((legs, frames + 1), np.uint8)
        self.latencies: list[np.ndarray] = []
        self.wrong = 0
        self.stop = threading.Event()

    def run(self) -> None:
        messages, _iovecs, packets, areas = headers(BATCH, 512, control=64)
        legs, frames = self.seen.shape
        while not self.stop.wait(0.005):
            for each in self.sockets:
                while True:
                    messages[:, 5] = 64
                    count = libc.recvmmsg(each.fileno(), messages.ctypes.data, BATCH, socket.MSG_DONTWAIT, None)
                    if count <= 0:
                        break
                    self.count(packets[:count], areas[:count], legs, frames)
                    if count < BATCH:
                        break

    def count(self, packets: np.ndarray, areas: np.ndarray, legs: int, frames: int) -> None:
        words = np.ascontiguousarray(packets[:, 12:32]).view(np.uint32)
        leg, number = words[:, 0].astype(np.int64), words[:, 1].astype(np.int64)
        good = (leg < legs) & (number < frames)
        self.wrong += int((~good).sum())
        np.add.at(self.seen, (leg[good] ^ 1, number[good]), 1)
        sent = np.ascontiguousarray(packets[:, 20:28]).view(np.int64)[:, 0]
        stamp = np.ascontiguousarray(areas[:, 16:32]).view(np.int64)
        self.latencies.append((stamp[:, 0] * 1_000_000_000 + stamp[:, 1] - sent)[good])


def main() -> None:
    seconds, count, legs = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    sockets = []
    for _ in range(count):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            each.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        each.setsockopt(socket.SOL_SOCKET, 35, 1)
        each.bind(("127.0.0.1", 0))
        sockets.append(each)
    print(json.dumps([each.getsockname() for each in sockets]), flush=True)
    targets = json.loads(sys.stdin.readline())
    frames = int(seconds * 1e9 / FRAME_NS)
    receiver = Receiver(sockets, legs, frames)
    receiver.start()
    groups = FRAME_NS // STEP_NS
    plans = []
    for group in range(groups):
        for index, each in enumerate(sockets):
            mine = [leg for leg in range(group, legs, groups) if leg % count == index]
            if not mine:
                continue
            messages, iovecs, packets, _ = headers(len(mine), SIZE)
            names = np.zeros((len(mine), 16), np.uint8)
            for place, leg in enumerate(mine):
                host, port = targets[leg]
                raw = socket.AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)
                names[place] = np.frombuffer(raw, np.uint8)
            messages[:, 0] = names.ctypes.data + np.arange(len(mine)) * 16
            messages[:, 1] = 16
            packets[:, 0] = 0x80
            packets[:, 8:12] = (np.array(mine, ">u4") + 0x1000).view(np.uint8).reshape(-1, 4)
            packets[:, 12:16] = np.array(mine, np.uint32).view(np.uint8).reshape(-1, 4)
            packets[:, 28:] = 0xD5
            plans.append((group, each.fileno(), messages, packets, names, iovecs))
    sent = 0
    start = time.monotonic_ns() + 50_000_000
    for frame in range(frames):
        number = np.array([frame], np.uint32).view(np.uint8)
        sequence = np.array([frame & 0xFFFF], ">u2").view(np.uint8)
        stamp = np.array([frame * 160], ">u4").view(np.uint8)
        current = -1
        for group, fd, messages, packets, _, _ in plans:
            if group != current:
                current = group
                due = start + frame * FRAME_NS + group * STEP_NS
                wait = due - time.monotonic_ns()
                if wait > 0:
                    time.sleep(wait / 1e9)
            packets[:, 2:4] = sequence
            packets[:, 4:8] = stamp
            packets[:, 16:20] = number
            packets[:, 20:28] = np.array([time.time_ns()], np.int64).view(np.uint8)
            sent += max(libc.sendmmsg(fd, messages.ctypes.data, len(messages), 0), 0)
    time.sleep(1)
    receiver.stop.set()
    receiver.join()
    latency = np.concatenate([each for each in receiver.latencies if len(each)] or [np.zeros(1)]) / 1e6
    print(json.dumps({
        "sent": sent,
        "received": int((receiver.seen > 0).sum()),
        "duplicates": int((receiver.seen > 1).sum()),
        "wrong": receiver.wrong,
        "latency_ms": [float(np.percentile(latency, each)) for each in (50, 99, 100)],
    }))  # fmt: skip


main()

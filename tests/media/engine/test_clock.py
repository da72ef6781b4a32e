"""Arrival times while somebody sets the machine's clock."""

from __future__ import annotations

import time

import numpy as np
import pytest

from earwitness.media.engine.clock import KernelTime, WallClock

ANCHOR = 1_700_000_000_000_000
HOUR = 3_600_000_000


class Machine:
    """Both clocks of a machine, microseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic = 5_000_000
        self.wall = ANCHOR + self.monotonic
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic * 1000)
        monkeypatch.setattr(time, "time_ns", lambda: self.wall * 1000)

    def run(self, us: int) -> None:
        self.monotonic += us
        self.wall += us


@pytest.mark.parametrize("step", [HOUR, -HOUR, 200_000, -200_000])
def test_packets_from_before_and_after_a_step_get_the_time_at_which_they_arrived(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    machine = Machine(monkeypatch)
    clock = WallClock(ANCHOR)
    kernel = KernelTime(clock)
    before, true_before = machine.wall, clock.now_us()
    machine.run(4_000)
    machine.wall += step
    machine.run(4_000)
    after, true_after = machine.wall, clock.now_us()
    machine.run(2_000)
    assert kernel.arrivals(np.array([before, after])).tolist() == [true_before, true_after]
    machine.run(2 * KernelTime.WAIT_US)
    kernel.arrivals(np.array([machine.wall]))
    machine.run(10_000)
    assert kernel.arrivals(np.array([machine.wall - 7])).tolist() == [clock.now_us() - 7]


def test_no_packet_arrives_in_the_future_or_in_the_distant_past(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    clock = WallClock(ANCHOR)
    kernel = KernelTime(clock)
    now = clock.now_us()
    stamps = np.array([machine.wall + HOUR, machine.wall - HOUR, 0, machine.wall - 3_000_000])
    assert kernel.arrivals(stamps).tolist() == [
        now,
        now - KernelTime.WAIT_US,
        now - KernelTime.WAIT_US,
        now - 3_000_000,
    ]

"""The demo as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys


def test_the_demo_tells_four_calls_and_where_to_listen() -> None:
    command = [sys.executable, "-m", "earwitness.cli.main", "demo", "--once"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    calls = re.split(r"^\d\. ", result.stdout, flags=re.MULTILINE)[1:]
    assert len(calls) == 4
    carla, colleagues, hold, erika = (" ".join(call.split()) for call in calls)
    assert "listen: http://127.0.0.1:" in carla
    assert "a call between internal users is not recorded" in colleagues
    assert re.search(r"recorded .*not recorded .* on hold.* recorded .*listen: http", hold)
    assert "recording is off on this trunk" in erika
    assert "listen" not in colleagues + erika

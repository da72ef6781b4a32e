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
    erika, colleagues, frank, carla = (" ".join(call.split()) for call in calls)
    assert re.search(r"recorded .*listen: http://127.0.0.1:", erika)
    assert "a call between internal users is not recorded unless one of them records it" in colleagues
    assert re.search(r"in Uma's inbox: .*listen: http", colleagues)
    assert "the caller refused consent" in frank
    assert "listen" not in frank
    story = ("requires consent", "waiting in a queue", " recorded ", "on hold", " recorded ", "only external parties")
    assert re.search(".*".join(story), carla)
    assert "the caller gave consent" in carla
    assert "listen: http" in carla

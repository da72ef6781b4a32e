"""No process leaves a core file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import ctypes, resource, sys
from pathlib import Path
from earwitness import app
from earwitness.settings import load

def tell(settings):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))

setattr(app, f"_run_{sys.argv[1]}", tell)
app.run_process(sys.argv[1], load(data=Path(sys.argv[2])))
"""
"""Runs a process of the installation whose work is to tell whether it can be dumped."""


def test_no_process_leaves_a_core_file(tmp_path: Path) -> None:
    (tmp_path / "initialised").touch()
    for name in ("edge", "media", "worker", "web"):
        command = [sys.executable, "-c", PROGRAM, name, str(tmp_path)]
        told = subprocess.run(command, capture_output=True, check=True, text=True)
        assert told.stdout.split() == ["0", "0", "0"], name

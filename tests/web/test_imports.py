"""What the web process loads before it answers."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import earwitness.web.app
print(*sorted({"av", "numpy", "soxr"} & set(sys.modules)))
"""


def test_no_codec_library_is_loaded_before_somebody_listens() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert told.stdout.split() == []

"""Runs the benchmarks: ``python -m bench`` all, ``python -m bench NAME [options]`` one.

Each is a module with ``main() -> int`` that prints a table beside a peer or a limit, and fails when it misses it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("relay", "music", "render", "calls", "decide", "policies", "purge", "playable", "centre", "search")


def main() -> int:
    """The number of benchmarks that missed their limit."""
    wanted = sys.argv[1:]
    if wanted and wanted[0] not in NAMES:
        print(f"benchmarks: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    chosen, options = (wanted[:1], wanted[1:]) if wanted else (list(NAMES), [])
    missed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *options], cwd=ROOT, check=False).returncode:
            missed.append(name)
    print(f"missed: {', '.join(missed)}" if missed else "all limits kept")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())

"""Runs an edge and a media process for tests: ``python edge_main.py DATA SNAPSHOT.json [edge arguments as JSON]``.

The snapshot file is read again when it changes, as the database would be. The media process is started again when it
dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

from earwitness import logs
from earwitness.domain.configuration import Snapshot
from earwitness.edge.arguments import EdgeArguments
from earwitness.edge.process import start


def main(data: Path, snapshot: Path, values: dict[str, object]) -> None:
    logs.configure("info", "console", process="edge")
    seen: list[str] = []

    def load() -> Snapshot | None:
        text = snapshot.read_text()
        if seen == [text]:
            return None
        seen[:] = [text]
        return Snapshot.from_document(json.loads(text))

    keeper = MediaKeeper(data / "run" / "media.sock")
    threading.Thread(target=keeper.run, daemon=True).start()
    try:
        start(EdgeArguments(data=data, **values), load)  # type: ignore[arg-type]
    finally:
        keeper.stop()


class MediaKeeper:
    """Keeps one media process running until it is told to stop."""

    def __init__(self, socket: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from earwitness.media import process; process.run(Path(sys.argv[1]))"
        )
        self._command = [sys.executable, "-c", code, str(socket)]
        self._stopped = False
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        while child := self._start():
            child.wait()

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if not self._stopped:
                self._child = subprocess.Popen(self._command)
            return None if self._stopped else self._child

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        if self._child is not None:
            self._child.terminate()
            self._child.wait(20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})

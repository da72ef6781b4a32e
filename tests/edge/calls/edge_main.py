"""Runs an edge and a media process for tests: ``python edge_main.py DATA SNAPSHOT.json [edge arguments as JSON]``.

The snapshot file is read again when it changes, as the database would be. The media process is started again when it
dies.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading
from pathlib import Path

from earwitness import logs
from earwitness.domain.configuration import Snapshot
from earwitness.edge.process import EdgeArguments, start
from earwitness.media import process as media


def main(data: Path, snapshot: Path, values: dict[str, object]) -> None:
    logs.configure("info", "console", process="edge")
    seen: list[str] = []

    def load() -> Snapshot | None:
        text = snapshot.read_text()
        if seen == [text]:
            return None
        seen[:] = [text]
        return Snapshot.from_document(json.loads(text))

    stopping = threading.Event()

    def keep_media() -> None:
        context = multiprocessing.get_context("spawn")
        while not stopping.is_set():
            child = context.Process(target=media.run, args=(data / "run" / "media.sock",), daemon=True)
            child.start()
            child.join()

    threading.Thread(target=keep_media, daemon=True).start()
    try:
        start(EdgeArguments(data=data, **values), load)  # type: ignore[arg-type]
    finally:
        stopping.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})

"""What somebody on hold or in a queue hears."""

from __future__ import annotations

from pathlib import Path

from earwitness.domain.configuration import Snapshot
from earwitness.edge.calls.bridge import Sound
from earwitness.media.engine import sounds


def music_named(snapshot: Snapshot, name: str) -> Sound:
    """The recorded prompt of that name, in whatever language there is; the built-in music without one."""
    wanted = name.removeprefix("Prompt.").casefold()
    for prompt in snapshot.prompts:
        if wanted and prompt.name.casefold() == wanted and prompt.files:
            path = Path(next(iter(prompt.files.values())))
            if path.is_file():
                return path
    return sounds.hold_music()

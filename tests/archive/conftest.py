"""Makes ``tape_maker`` importable."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tape_maker import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Callable[..., Spool]:
    """A new spool folder for each call."""
    numbers = itertools.count()

    def make(**options: Any) -> Spool:
        folder = tmp_path / f"conversation-{next(numbers)}"
        folder.mkdir()
        return Spool(folder, **options)

    return make

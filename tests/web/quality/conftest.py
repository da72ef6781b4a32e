"""``quality_desk.py`` beside this file can be imported, and desks are fixtures."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from quality_desk import Desk


@pytest.fixture
def desk(site: Any, recorded: Any) -> Desk:
    """On SQLite and on PostgreSQL."""
    return Desk(site, recorded)


@pytest.fixture
def one_desk(sqlite_site: Any, recorded: Any) -> Desk:
    """On SQLite."""
    return Desk(sqlite_site, recorded)

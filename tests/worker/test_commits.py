"""The workflow engine's own file does not wait for the disk; no other file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from earwitness.worker.engine import commit_without_waiting


@pytest.mark.parametrize(("name", "synchronous"), [("workflows.db", 1), ("earwitness.db", 2)])
def test_only_the_engines_own_file_is_relaxed(tmp_path: Path, name: str, synchronous: int) -> None:
    commit_without_waiting(str(tmp_path / "workflows.db"))
    engine = create_engine(f"sqlite:///{tmp_path / name}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    engine.dispose()

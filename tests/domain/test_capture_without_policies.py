"""Policies act on what was captured; what is captured is decided without them."""

from __future__ import annotations

import dataclasses

from earwitness.domain.configuration import Queue, Snapshot, Station, Trunk
from earwitness.domain.recording.facts import Facts
from earwitness.domain.recording.rules import TRUNK_ROWS, USER_ROWS
from earwitness.domain.recording.settings import TrunkRecording


def test_a4_nothing_that_decides_about_capture_knows_of_policies():
    known = [
        field.name
        for kind in (Snapshot, Trunk, Station, Queue, TrunkRecording, Facts)
        for field in dataclasses.fields(kind)
    ]
    known += [row.name for row in (*TRUNK_ROWS, *USER_ROWS)]
    assert not [name for name in known if "polic" in name or "retention" in name]

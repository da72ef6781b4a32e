"""The one place that makes ids."""

from __future__ import annotations

import uuid


def new_id() -> str:
    """A fresh id: a random UUID (version 4) as text."""
    return str(uuid.uuid4())

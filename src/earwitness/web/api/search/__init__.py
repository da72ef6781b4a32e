"""Lists and searches over many conversations."""

from __future__ import annotations

from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = ()

"""Media retention policies: to make, order, explain and simulate."""

from __future__ import annotations

from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = ()

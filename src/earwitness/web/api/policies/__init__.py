"""Media retention policies: to make, order, explain and simulate."""

from __future__ import annotations

from earwitness.web.api.policies import explaining, operations, settings, simulating
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (*operations.FAMILIES, explaining.family, simulating.family, settings.family)

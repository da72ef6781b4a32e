"""What happens to recordings in time: dates, protection, bulk jobs, erasure."""

from __future__ import annotations

from earwitness.web.api.retention import deletion, erasures, jobs, kept, maximum, protections
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (
    deletion.family,
    protections.family,
    maximum.family,
    kept.family,
    jobs.family,
    erasures.family,
)

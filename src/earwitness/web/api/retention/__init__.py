"""What happens to recordings in time: dates, protection, bulk jobs, erasure."""

from __future__ import annotations

from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = ()

"""What leaves and what comes in: batch downloads, uploads, integrations, orphans, recording keys."""

from __future__ import annotations

from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = ()

"""Teams, who may hear what, the audit log."""

from __future__ import annotations

from earwitness.web.api.access import audits, listening, see_as, teams
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (teams.family, audits.family, listening.family, see_as.family)

"""Lists and searches over many conversations, and the small families beside them."""

from __future__ import annotations

from earwitness.web.api.search import (
    conversation_search,
    detail_jobs,
    details,
    division_extras,
    extension_pools,
    external_contacts,
    gdpr,
    groups,
    not_here,
    role_extras,
    supervision,
    token_extras,
)
from earwitness.web.kernel.operations import Family

FIRST: tuple[Family, ...] = (division_extras.family, role_extras.family)
"""Whose paths come before those of other families, which would take a word for an id."""
FAMILIES: tuple[Family, ...] = (
    conversation_search.family,
    detail_jobs.family,
    details.family,
    external_contacts.family,
    groups.family,
    token_extras.family,
    extension_pools.family,
    supervision.family,
    not_here.family,
    gdpr.family,
)

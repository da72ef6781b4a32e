"""Lists and searches over many conversations, and the small families beside them."""

from __future__ import annotations

from earwitness.web.api.search import conversation_search, detail_jobs, details
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (conversation_search.family, detail_jobs.family, details.family)

"""Evaluation forms, evaluations, calibrations, activity."""

from __future__ import annotations

from earwitness.web.api.quality import evaluations, forms, published_forms
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (
    forms.family,
    published_forms.family,
    evaluations.family,
    forms.older,
    published_forms.older,
)
"""The older paths come last: their ``{formId}`` would swallow the others."""

"""Evaluation forms, evaluations, calibrations, activity, surveys."""

from __future__ import annotations

from earwitness.web.api.quality import (
    activity,
    aggregates,
    calibrations,
    evaluations,
    forms,
    published_forms,
    scoring,
    search,
    survey_forms,
    surveys,
)
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (
    forms.family,
    published_forms.family,
    evaluations.family,
    scoring.family,
    search.family,
    activity.family,
    aggregates.family,
    calibrations.family,
    survey_forms.family,
    surveys.family,
    forms.older,
    published_forms.older,
)
"""The older paths come last: their ``{formId}`` would swallow the others."""

"""Evaluation forms, evaluations, calibrations, activity."""

from __future__ import annotations

from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = ()

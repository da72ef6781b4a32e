"""Packets to aligned audio, files, peaks and the quality sheet."""

from earwitness.archive.render.annotations import PauseAnnotation, annotate
from earwitness.archive.render.peaks import Peaks
from earwitness.archive.render.plan import TapePlan, plan_folder, plan_tapes
from earwitness.archive.render.renderer import (
    Renderer,
    Rendering,
    UnsupportedFormatError,
    check_audio_format,
    render_tape,
    render_to_file,
)
from earwitness.archive.render.sheet import ChannelSheet, Gap, QualitySheet

__all__ = [
    "ChannelSheet",
    "Gap",
    "PauseAnnotation",
    "Peaks",
    "QualitySheet",
    "Renderer",
    "Rendering",
    "TapePlan",
    "UnsupportedFormatError",
    "annotate",
    "check_audio_format",
    "plan_folder",
    "plan_tapes",
    "render_tape",
    "render_to_file",
]

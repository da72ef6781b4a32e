from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.recording.settings import PROPERTY_KEYS, SettingsError, TrunkRecording, from_properties


def wrapped(**instances: Any) -> dict[str, Any]:
    return {key: {"value": {"instance": instance}} for key, instance in instances.items()}


def test_a3_defaults_are_those_of_a_new_trunk() -> None:
    settings = from_properties({})
    assert settings == TrunkRecording()
    assert (settings.enabled, settings.holds, settings.audio_format) == (False, False, "audio/opus")


def test_b5_the_hold_key_is_inverted() -> None:
    assert from_properties(wrapped(trunk_disallow_recording_during_hold=False)).holds


@pytest.mark.parametrize("audio_format", ["audio/GSM", "audio/G726-32", "audio/TrueSpeech"])
def test_a8_dual_channel_needs_a_format_with_two(audio_format: str) -> None:
    with pytest.raises(SettingsError, match="trunk_recording_dualChannel"):
        from_properties(wrapped(trunk_recording_dualChannel=True, trunk_recording_audioFormat=audio_format))
    assert not from_properties(wrapped(trunk_recording_audioFormat=audio_format)).dual_channel


@pytest.mark.parametrize("audio_format", ["audio/opus", "audio/PCMU", "audio/PCMA", "audio/L16"])
def test_a8_formats_with_two_channels(audio_format: str) -> None:
    properties = wrapped(trunk_recording_dualChannel=True, trunk_recording_audioFormat=audio_format)
    assert from_properties(properties).dual_channel


def test_a9_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="audio/flac"):
        from_properties(wrapped(trunk_recording_audioFormat="audio/flac"))


def test_a10_beep_defaults() -> None:
    beep = from_properties({}).beep
    assert (beep.enabled, beep.amplitude_db, beep.duration_ms, beep.frequency_hz, beep.interval_ms) == (
        False, -24, 200, 1400, 14000,
    )  # fmt: skip
    assert (beep.tone2_amplitude_db, beep.tone2_frequency_hz) == (-24, 0)


@given(st.sampled_from(sorted(PROPERTY_KEYS)), st.one_of(st.integers(), st.text(), st.lists(st.none()), st.booleans()))
def test_a_wrong_type_names_its_key(key: str, value: Any) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(from_properties(wrapped(**{key: value})), TrunkRecording)


def test_a_text_where_a_flag_belongs_names_the_key() -> None:
    with pytest.raises(SettingsError, match="trunk_recording_enabled: must be true or false, not 'yes'"):
        from_properties(wrapped(trunk_recording_enabled="yes"))


def test_an_unwrapped_property_is_refused() -> None:
    with pytest.raises(SettingsError, match="instance"):
        from_properties({"trunk_recording_enabled": True})

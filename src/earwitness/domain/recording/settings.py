"""The recording settings of a trunk: contract section 1A, keys of ``TrunkBase.properties``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUDIO_FORMATS = (
    "audio/opus",
    "audio/PCMU",
    "audio/PCMA",
    "audio/L16",
    "audio/G726-32",
    "audio/GSM",
    "audio/TrueSpeech",
)
"""Every format a trunk can name (A9)."""
SUPPORTED_AUDIO_FORMATS = ("audio/opus", "audio/PCMU", "audio/PCMA", "audio/L16", "audio/G726-32", "audio/GSM")
"""Formats that recordings can be made in. Nobody publishes an encoder of TrueSpeech: a trunk that asks for it is
refused when it is set up."""
DUAL_CHANNEL_FORMATS = ("audio/opus", "audio/PCMU", "audio/PCMA", "audio/L16")
"""Formats that can hold two channels (A8)."""


class SettingsError(ValueError):
    """Recording settings that cannot be; the message names the key and the remedy."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Beep:
    """The periodic tone (A10)."""

    enabled: bool = False
    amplitude_db: float = -24.0
    duration_ms: int = 200
    frequency_hz: int = 1400
    interval_ms: int = 14000
    tone2_amplitude_db: float = -24.0
    tone2_frequency_hz: int = 0


@dataclass(frozen=True, slots=True)
class TrunkRecording:
    """What a trunk records."""

    enabled: bool = False
    consult: bool = False
    """A recording of their own for consult legs (A11)."""
    holds: bool = False
    """Holds are captured: ``not trunk_disallow_recording_during_hold`` (B5)."""
    external_transfers: bool = False
    consent_required: bool = False
    dual_channel: bool = False
    audio_format: str = "audio/opus"
    level_control: bool = False
    beep: Beep = Beep()

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> TrunkRecording:
        """The reverse of ``dataclasses.asdict``."""
        values = dict(document)
        if "beep" in values:
            values["beep"] = Beep(**values["beep"])
        return TrunkRecording(**values)


PROPERTY_KEYS: dict[str, tuple[str, type, Any]] = {
    "trunk_recording_enabled": ("enabled", bool, False),
    "trunk_consult_recording_enabled": ("consult", bool, False),
    "trunk_disallow_recording_during_hold": ("!holds", bool, True),
    "trunk_recording_externalTransfersEnabled": ("external_transfers", bool, False),
    "trunk_recording_consent_required": ("consent_required", bool, False),
    "trunk_recording_dualChannel": ("dual_channel", bool, False),
    "trunk_recording_audioFormat": ("audio_format", str, "audio/opus"),
    "trunk_recording_levelControlEnabled": ("level_control", bool, False),
    "trunk_recording_beep_enabled": ("beep.enabled", bool, False),
    "trunk_recording_beep_amplitude": ("beep.amplitude_db", float, -24),
    "trunk_recording_beep_duration": ("beep.duration_ms", int, 200),
    "trunk_recording_beep_frequency": ("beep.frequency_hz", int, 1400),
    "trunk_recording_beep_interval": ("beep.interval_ms", int, 14000),
    "trunk_recording_beep_tone2_amplitude": ("beep.tone2_amplitude_db", float, -24),
    "trunk_recording_beep_tone2_frequency": ("beep.tone2_frequency_hz", int, 0),
}
"""Property key -> (field, type, default on a new trunk). ``!`` inverts."""


def from_properties(properties: Mapping[str, Any]) -> TrunkRecording:
    """Reads the recording keys of ``TrunkBase.properties``, each wrapped as ``{"value": {"instance": X}}``.

    Absent keys, and keys whose instance is null, take the default of a new trunk. Other keys are left alone.

    :raises SettingsError: a wrong type, an unknown format (A9), dual channel with a format that has one (A8).
    """
    values: dict[str, Any] = {}
    beep: dict[str, Any] = {}
    for key, (name, kind, default) in PROPERTY_KEYS.items():
        value = _typed(key, instance_of(properties, key), kind, default)
        if name.startswith("beep."):
            beep[name.removeprefix("beep.")] = value
        elif name.startswith("!"):
            values[name[1:]] = not value
        else:
            values[name] = value
    audio_format = values["audio_format"]
    if audio_format not in AUDIO_FORMATS:
        raise SettingsError("trunk_recording_audioFormat", f"{audio_format!r} is none of {', '.join(AUDIO_FORMATS)}")
    if values["dual_channel"] and audio_format not in DUAL_CHANNEL_FORMATS:
        raise SettingsError(
            "trunk_recording_dualChannel",
            f"{audio_format} has one channel; take one of {', '.join(DUAL_CHANNEL_FORMATS)}",
        )
    for name in ("duration_ms", "interval_ms", "frequency_hz"):
        if beep[name] <= 0:
            raise SettingsError(f"trunk_recording_beep_{name.split('_')[0]}", "must be above 0")
    return TrunkRecording(**values, beep=Beep(**beep))


def instance_of(properties: Mapping[str, Any], key: str) -> Any:
    """The instance of a wrapped property, or None where it is absent.

    :raises SettingsError: the property is not wrapped as ``{"value": {"instance": X}}``.
    """
    wrapped = properties.get(key)
    if wrapped is None:
        return None
    if not isinstance(wrapped, Mapping) or not isinstance(wrapped.get("value"), Mapping):
        raise SettingsError(key, 'must be {"value": {"instance": …}}')
    return wrapped["value"].get("instance")


def _typed(key: str, value: Any, kind: type, default: Any) -> Any:
    if value is None:
        return default
    if kind is bool:
        fits = isinstance(value, bool)
    elif kind is str:
        fits = isinstance(value, str)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        names = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}
        raise SettingsError(key, f"must be {names[kind]}, not {value!r}")
    return value

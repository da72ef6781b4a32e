"""``TrunkBase.properties``: the template of a new trunk, and what is refused on write.

Each property is wrapped as ``{"value": {"instance": X}}``. Keys that we do not know are kept and echoed untouched.
Secrets never leave: they are sealed on write (``store.trunks``) and shown as a mask; a mask or an absent key on a later
write keeps the secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.recording import settings as recording
from earwitness.store.snapshot import seconds
from earwitness.store.trunks import MASK, SECRET_KEYS
from earwitness.web.kernel.errors import bad_request

MAX_PATTERN = 200
MAX_LIST = 256
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Metabase:
    """A kind of trunk that can be made."""

    id: str
    name: str
    type: str
    trunk_type: str


METABASES = (
    Metabase("external_sip_pcv_byoc_carrier.json", "Carrier or SBC", "EXTERNAL_BYOC_CARRIER", "EXTERNAL"),
    Metabase("external_sip_pcv_byoc_pbx.json", "PBX", "EXTERNAL_BYOC_PBX", "EXTERNAL"),
    Metabase("external_sip_pcv_aws.json", "SIP peer", "EXTERNAL_PCV_AWS", "EXTERNAL"),
    Metabase("external_sip.json", "SIP peer (premises)", "EXTERNAL", "EXTERNAL"),
    Metabase("phone_connections_cdm.json", "Phone connections", "STATION_CDM", "PHONE"),
    Metabase("phone_connections_cdm_webrtc.json", "WebRTC phone connections", "STATION_CDM_WEBRTC", "PHONE"),
    Metabase("tie_cloud_proxy.json", "Tie between edges", "TIE_CLOUD_PROXY", "EDGE"),
)


def metabase(metabase_id: str) -> Metabase | None:
    """The metabase of that id; one that we do not list is taken for an external trunk if its name says so."""
    known = next((item for item in METABASES if item.id == metabase_id), None)
    if known is not None:
        return known
    prefixes = (("external_", "EXTERNAL", "EXTERNAL"), ("phone_", "STATION", "PHONE"), ("tie_", "TIE", "EDGE"))
    for prefix, kind, trunk_type in prefixes:
        if metabase_id.startswith(prefix) and metabase_id.endswith(".json"):
            return Metabase(metabase_id, metabase_id.removesuffix(".json"), kind, trunk_type)
    return None


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _listed(check: Callable[[str], str | None]) -> Callable[[Any], str | None]:
    def check_list(value: Any) -> str | None:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return "must be a list of texts"
        if len(value) > MAX_LIST:
            return f"has more than {MAX_LIST} entries"
        return next((f"{item!r} {problem}" for item in value if (problem := check(item))), None)

    return check_list


def _server(text: str) -> str | None:
    match = _HOST_PORT.fullmatch(text)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 65536):
        return "is no host:port"
    return None


def _network(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is no address or network such as 192.0.2.0/24"
    return None


def _pattern(text: str) -> str | None:
    if len(text) > MAX_PATTERN:
        return f"is longer than {MAX_PATTERN} characters"
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression ({error})"
    return None


def _choice(*values: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and value.lower() in values
        return None if fits else f"must be one of {', '.join(values)}"

    return check


def _duration(value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        try:
            seconds(str(value)[:12], 1.0)
        except ValueError as error:
            return str(error)
        return None
    return "must be a length of time such as 2m or 90s"


SIP_KEYS: dict[str, tuple[Any, Callable[[Any], str | None]]] = {
    "trunk_enabled": (True, _flag),
    "trunk_label": ("", _text),
    "trunk_type": ("external.sip", _text),
    "trunk_language": ("en-US", _text),
    "trunk_transport_protocolVariant": ("udp", _choice("udp", "tcp")),
    "trunk_transport_serverProxyList": ([], _listed(_server)),
    "trunk_access_acl_allowList": ([], _listed(_network)),
    "trunk_access_acl_denyList": ([], _listed(_network)),
    "trunk_sip_authentication_credentials_realm": ("", _text),
    "trunk_sip_authentication_credentials_username": ("", _text),
    "trunk_sip_authentication_credentials_password": (None, _text),
    "trunk_maxDialTimeout": ("2m", _duration),
    "earwitness_outbound_patterns": ([], _listed(_pattern)),
    "earwitness_record_failure": ("allow", _choice("allow", "refuse")),
}
"""Key -> (value on a new trunk, check). A check returns what is wrong, or None."""


def template() -> dict[str, Any]:
    """Every key that we act on, with its value on a new trunk."""
    values: dict[str, Any] = {key: default for key, (default, _) in SIP_KEYS.items()}
    values |= {key: default for key, (_, _, default) in recording.PROPERTY_KEYS.items()}
    return {key: wrapped(value) for key, value in sorted(values.items())}


def wrapped(value: Any) -> dict[str, Any]:
    """A property as it travels."""
    return {"value": {"instance": value}}


def check(properties: Mapping[str, Any]) -> None:
    """Holds properties against what the edge and the recorder can do.

    :raises ApiError: 400 that names the key and what would be right (A8, A9).
    """
    try:
        trunk_recording = recording.from_properties(properties)
        for key, (_, problem_of) in SIP_KEYS.items():
            value = recording.instance_of(properties, key)
            problem = None if value is None else problem_of(value)
            if problem is not None:
                raise recording.SettingsError(key, problem)
    except recording.SettingsError as error:
        raise bad_request(f"properties.{error}", f"properties.{error.key}", "invalid.value") from error
    if trunk_recording.audio_format not in recording.SUPPORTED_AUDIO_FORMATS:
        raise bad_request(
            f"properties.trunk_recording_audioFormat: recordings cannot be made in {trunk_recording.audio_format}; "
            f"take one of {', '.join(recording.SUPPORTED_AUDIO_FORMATS)}",
            "properties.trunk_recording_audioFormat",
            "invalid.value",
        )


def shown(properties: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Properties as clients see them: a mask stands for each secret that there is."""
    masks = {key: wrapped(MASK if key in secrets else None) for key in sorted(SECRET_KEYS)}
    return {**properties, **masks}


def merged(stored: Mapping[str, Any], secrets: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """What a change makes of the stored properties: absent keys stay, null ones go (S14)."""
    kept = {key: value for key, value in {**stored, **sent}.items() if value is not None}
    gone = {key for key in SECRET_KEYS & sent.keys() if sent[key] is None and key in secrets}
    return kept | {key: wrapped("") for key in gone}


def differ(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether ``sent`` asks for anything that is not stored yet. A secret in the clear always does."""
    plain = {key: value for key, value in sent.items() if key not in SECRET_KEYS}
    return plain != dict(stored) or any(
        recording.instance_of(sent, key) not in (None, MASK) for key in SECRET_KEYS & sent.keys()
    )

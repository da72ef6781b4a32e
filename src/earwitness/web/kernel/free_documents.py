"""Parts of a document that we keep and give back without a meaning of our own."""

from __future__ import annotations

from typing import Any

from earwitness.web.kernel.errors import bad_request

OUTDATED = "outdated_sdk_version"
"""What the vendor's client sends in place of an enum that it does not know (S16)."""


def kept(value: Any, field_name: str) -> Any:
    """The value as it is kept: objects without their nulls, which break the vendor's client in enums (S25).

    :raises ApiError: 400, an enum that the client did not know is in it.
    """
    if isinstance(value, dict):
        return {key: kept(item, f"{field_name}.{key}") for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [kept(item, field_name) for item in value]
    if value == OUTDATED:
        raise bad_request(f"{field_name}: {OUTDATED} is no value.", field_name, "invalid.value")
    return value

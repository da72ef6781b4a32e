"""What a password must be."""

from __future__ import annotations

from earwitness.web.kernel.errors import bad_request

SHORTEST_PASSWORD = 10


def acceptable(password: str) -> str:
    """The password, if it is one.

    :raises ApiError: 400, too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= 256:
        raise bad_request(f"Passwords have {SHORTEST_PASSWORD} to 256 characters.", "password", "invalid.password")
    return password

"""What is wrong with a policy."""

from __future__ import annotations


class PolicyError(ValueError):
    """A policy that contradicts itself, or says what nobody can understand."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        """Path of the field in the document, ``mediaPolicies.callPolicy.actions…``."""

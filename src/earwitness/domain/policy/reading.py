"""Reading parts of a policy's document: each says where it stands, so that a mistake names its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earwitness.domain.policy.errors import PolicyError


class Part:
    """An object of a document, and the path that leads to it."""

    def __init__(self, value: object, path: str) -> None:
        """:raises PolicyError: it is no object. None is an empty one."""
        if value is not None and not isinstance(value, Mapping):
            raise PolicyError(path, "must be an object")
        self.values: Mapping[str, Any] = value or {}
        self.path = path

    def where(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, message: str) -> PolicyError:
        """What is wrong with a field."""
        return PolicyError(self.where(name), message)

    def part(self, name: str) -> Part:
        """An object in it; empty if absent."""
        return Part(self.values.get(name), self.where(name))

    def parts(self, name: str) -> list[Part]:
        """A list of objects; empty if absent."""
        items = self.values.get(name)
        if items is None:
            return []
        if not isinstance(items, list):
            raise self.error(name, "must be a list")
        return [Part(item, f"{self.where(name)}[{number}]") for number, item in enumerate(items)]

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty if absent."""
        items = self.values.get(name)
        if items is None:
            return []
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(name, "must be a list of texts")
        return items

    def text(self, name: str) -> str | None:
        """A text that is not empty, or None."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.error(name, "must be a text")
        return value or None

    def number(self, name: str, most: int, least: int = 0) -> int | None:
        """A whole number within bounds, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, "must be a whole number")
        if not least <= value <= most:
            raise self.error(name, f"must be {least} to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, "must be true or false")
        return value

    def choice(self, name: str, *allowed: str) -> str | None:
        """One of some words, whatever the case, or None."""
        text = self.text(name)
        if text is None:
            return None
        found = next((word for word in allowed if word.casefold() == text.casefold()), None)
        if found is None:
            raise self.error(name, f"must be one of {', '.join(allowed)}")
        return found

    def reference(self, name: str) -> str | None:
        """The id of an object that is mentioned, or None."""
        part = self.part(name)
        found = part.text("id")
        if found is None and part.values:
            raise part.error("id", "is required")
        return found

    def references(self, name: str) -> list[str]:
        """The ids of mentioned objects."""
        items = self.values.get(name)
        if isinstance(items, list):  # the short way: there may be hundreds of thousands of them
            ids = [key for item in items if isinstance(item, dict) and isinstance(key := item.get("id"), str) and key]
            if len(ids) == len(items):
                return ids
        found = []
        for part in self.parts(name):
            mentioned = part.text("id")
            if mentioned is None:
                raise part.error("id", "is required")
            found.append(mentioned)
        return found

"""What steps are made of. A step calls one method of the SDK and looks at the reply.

Each family of the API has its steps in a file of its own. They run in the order in which ``command`` imports these, and
hand on what they made in ``Context.kept``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Context:
    """What steps work with."""

    sdk: Any
    client: Any
    """An API client with a token of a program."""
    user: Any
    """One with a token of the administrator."""
    made: dict[str, Any]
    conversation_id: str
    deadline: float
    """Until when a recording may take, on the monotonic clock."""
    kept: dict[str, Any] = field(default_factory=dict)

    def api(self, name: str, *, user: bool = False) -> Any:
        """An API class of the SDK."""
        return getattr(self.sdk, name)(self.user if user else self.client)

    def model(self, kind: str, /, **fields: Any) -> Any:
        """A model of the SDK."""
        made = getattr(self.sdk, kind)()
        for key, value in fields.items():
            setattr(made, key, value)
        return made


Step = Callable[[Context], object]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    """Registers a step under the SDK's name of the operation."""
    STEPS[function.__name__] = function
    return function


def expect(condition: object, what: str) -> None:
    """:raises AssertionError: the condition does not hold."""
    if not condition:
        raise AssertionError(what)


def simple(api: str, name: str, *keys: str, user: bool = False, listing: bool = False) -> None:
    """A step that calls the method with things kept earlier, and expects entities of a listing."""

    def run(context: Context) -> None:
        found = getattr(context.api(api, user=user), name)(*(context.kept[key] for key in keys))
        if listing:
            expect(isinstance(found.entities, list), "no entities")

    run.__name__ = name
    step(run)


def keep(api: str, name: str, key: str, body: Callable[[Context], Any]) -> None:
    """A step that makes something and keeps its id."""

    def run(context: Context) -> None:
        made = getattr(context.api(api), name)(body(context))
        expect(made.id, "no id")
        context.kept[key] = made.id
        context.kept[f"{key}:object"] = made

    run.__name__ = name
    step(run)


def put(api: str, name: str, get: str, key: str) -> None:
    """Get, change the description, put."""

    def run(context: Context) -> None:
        api_object, entity_id = context.api(api), context.kept[key]
        document = getattr(api_object, get)(entity_id)
        document.description = "changed"
        changed = getattr(api_object, name)(entity_id, document)
        expect(changed.description == "changed", "not changed")

    run.__name__ = name
    step(run)

"""The text of a flow, held against the rules of flows and against what there is to name.

Every mistake comes back in one reply: line, place and remedy of each (``details``), so that nothing is found out at
call time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from sqlalchemy.orm import Session

from earwitness.flows import FlowError, FlowErrors, read_flow, source
from earwitness.flows.model import Flow
from earwitness.store import flows as flow_store
from earwitness.web.kernel.errors import ApiError

INVALID = "flow.invalid"
MOST = 100
"""Mistakes in one reply."""
SYSTEM_PROMPTS = ("on_hold_music", "beep")
"""``PromptSystem.…`` that there are."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,10})?")
_WORDS = {
    "queue": ("queue", "Make the queue, or correct the name"),
    "user": ("active user", "Write the user's full name as in the directory, or the id"),
    "flow": ("flow", "Make the flow first, or correct the name"),
    "prompt": ("prompt", "Make the prompt with a recording first, or correct the name"),
    "wrapup_code": ("wrap-up code", "Make the wrap-up code, or correct the name"),
}


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a flow that can be read; whether it can be published is another matter."""

    yaml: str
    """Placeholders filled."""
    tree: dict[str, Any]
    """The same as JSON."""


def read(text: str, substitutions: Mapping[str, str] | None = None) -> Text:
    """Reads a text, without asking whether it makes sense.

    :param substitutions: values of ``{{name}}`` placeholders.
    :raises ApiError: 400, not a readable document of one mapping, or a placeholder without a value.
    """
    try:
        root = source.read(text, substitutions or {})
    except FlowErrors as errors:
        raise refusal(errors.errors) from errors
    tree = _plain(root)
    if not isinstance(tree, dict):
        remedy = "The file begins with inboundCall:, inqueueCall: or outboundCall:"
        raise refusal([FlowError(root.line, root.column, "", "a flow is a mapping", remedy)])
    return Text(source.filled(text, substitutions) if substitutions else text, tree)


def of_tree(tree: Mapping[str, Any]) -> Text:
    """The text of a flow that was given as JSON.

    :raises ApiError: as ``read``.
    """
    return read(yaml.safe_dump(dict(tree), allow_unicode=True, sort_keys=False, width=1_000_000))


def check(text: str, substitutions: Mapping[str, str] | None = None) -> Flow:
    """The flow of a text.

    :raises ApiError: 400 with every mistake.
    """
    try:
        return read_flow(text, substitutions or {})
    except FlowErrors as errors:
        raise refusal(errors.errors) from errors


def check_names(session: Session, flow: Flow) -> None:
    """Looks up what a flow names.

    :raises ApiError: 400 with everything that is not there.
    """
    missing = []
    for reference in sorted(flow.references(), key=lambda item: (item.line, item.kind, item.name)):
        kind, remedy = _WORDS.get(reference.kind, (reference.kind, ""))
        name = reference.name
        if reference.kind == "prompt":
            space, dot, rest = name.partition(".")
            if dot and space.lower() == "promptsystem":
                if rest.lower() not in SYSTEM_PROMPTS:
                    listed = ", ".join(f"PromptSystem.{known}" for known in SYSTEM_PROMPTS)
                    remedy = f"There are {listed}; others can be recorded and named Prompt.{rest or 'name'}"
                    missing.append(FlowError(reference.line, 1, "", f"there is no prompt {name!r}", remedy))
                continue
            name = rest if dot and space.lower() == "prompt" else name
        itself = reference.kind == "flow" and name.casefold() == flow.name.casefold()
        if reference.kind in flow_store.NAMED and not itself and not flow_store.there(session, reference.kind, name):
            missing.append(FlowError(reference.line, 1, "", f"there is no {kind} {name!r}", remedy))
    if missing:
        raise refusal(missing)


def refusal(errors: tuple[FlowError, ...] | list[FlowError]) -> ApiError:
    """400 that names each mistake: ``fieldName`` is line, column and place, ``entityName`` what to do."""
    shown = list(errors)[:MOST]
    lines = [f"line {error.line}: {error.message}" + (f". {error.remedy}." if error.remedy else "") for error in shown]
    if len(errors) > MOST:
        lines.append(f"and {len(errors) - MOST} more")
    details = [
        {
            "errorCode": INVALID,
            "fieldName": f"line {error.line}, column {error.column}" + (f": {error.path}" if error.path else ""),
            "entityName": error.message + (f". {error.remedy}." if error.remedy else ""),
        }
        for error in shown
    ]
    return ApiError(400, "\n".join(lines) or "The flow cannot be used.", INVALID, details)


def _plain(node: source.Node) -> Any:
    """JSON of a node: plain scalars that are numbers, truth values or null become those."""
    if isinstance(node, source.Mapping):
        return {key: _plain(item) for key, item in node.items.items()}
    if isinstance(node, source.Sequence):
        return [_plain(item) for item in node.items]
    if not node.plain:
        return node.text
    if node.is_null:
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    if _NUMBER.fullmatch(node.text):
        return float(node.text) if "." in node.text else int(node.text)
    return node.text

"""What kind of value an expression has, as far as can be told before a call: finds comparisons that are never true."""

from __future__ import annotations

from collections.abc import Mapping

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.functions import FUNCTIONS
from earwitness.flows.nodes import Call, Constant, Name, Node, is_prompt
from earwitness.flows.values import NOT_SET, kind, moment

UNKNOWN = ""
_ORDERS = ("<", "<=", ">", ">=", "==", "!=")
_GIVEN = {
    "call.ani": "text", "call.calledaddress": "text", "call.calledaddressoriginal": "text", "call.language": "text",
    "call.conversationid": "text", "flow.name": "text", "flow.version": "text", "flow.holdprompt": "audio",
    "flow.startdatetimeutc": "date and time",
}  # fmt: skip


def kind_of(node: Node, variables: Mapping[str, str]) -> str:
    """Kind of an expression's value (``values.kind``), or ``UNKNOWN``.

    :param variables: kinds of variables by their name in lower case.
    :raises FlowExpressionError: its parts do not fit together.
    """
    if isinstance(node, Constant):
        return UNKNOWN if node.value is NOT_SET else kind(node.value)
    if isinstance(node, Name):
        name = node.name.lower()
        return "audio" if is_prompt(name) else variables.get(name) or _GIVEN.get(name, UNKNOWN)
    if isinstance(node, Call):
        return _called(node, variables)
    operator = node.operator
    kinds = [kind_of(operand, variables) for operand in node.operands]
    if operator in ("and", "or", "not"):
        for found in kinds:
            if found not in ("boolean", UNKNOWN):
                raise FlowExpressionError(
                    f"{operator} needs truth values, not {found}", node.column, "Compare it: x == …"
                )
        return "boolean"
    if operator in _ORDERS:
        if UNKNOWN not in kinds and kinds[0] != kinds[1]:
            remedy = "ToNumber(…) makes a number of a text, ToString(…) a text of a number"
            raise FlowExpressionError(f"{kinds[0]} is compared with {kinds[1]}", node.column, remedy)
        return "boolean"
    if operator.startswith("."):
        return "text"
    return _computed(operator, kinds, node.column)


def _called(node: Call, variables: Mapping[str, str]) -> str:
    kinds = [kind_of(argument, variables) for argument in node.arguments]
    if node.function == "if":
        if kinds[0] not in ("boolean", UNKNOWN):
            raise FlowExpressionError(f"If needs a truth value, not {kinds[0]}", node.column, "Compare it: x == …")
        return kinds[1] if kinds[1] == kinds[2] else UNKNOWN
    if node.function == "append":
        return "audio" if "audio" in kinds else UNKNOWN if UNKNOWN in kinds else "text"
    if node.function == "totimezone" and isinstance(zone := node.arguments[1], Constant):
        FUNCTIONS["totimezone"].call((moment(0), zone.value), 0)
    return FUNCTIONS[node.function].gives


def _computed(operator: str, kinds: list[str], column: int) -> str:
    if operator == "+" and "text" in kinds:
        return "text"
    if UNKNOWN in kinds:
        return UNKNOWN
    if set(kinds) <= {"number"}:
        return "number"
    if operator in ("+", "-") and kinds in (["date and time", "duration"], ["duration", "duration"]):
        return kinds[0]
    if operator == "-" and kinds == ["date and time", "date and time"]:
        return "duration"
    said = " and ".join(kinds)
    raise FlowExpressionError(f"{operator} does not work on {said}", column, "ToNumber(…) makes a number of a text")

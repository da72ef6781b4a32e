"""The value of an expression."""

from __future__ import annotations

from datetime import datetime, timedelta

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.functions import FUNCTIONS
from earwitness.flows.nodes import Call, Constant, Name, Node, Scope, is_prompt
from earwitness.flows.values import (
    NOT_SET,
    Audio,
    Value,
    bounded,
    kind,
    prompt_item,
    to_number,
    to_phone_number,
    to_text,
    to_truth,
)

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}


def evaluate(node: Node, scope: Scope) -> Value:
    """Its value now.

    :raises FlowExpressionError: it has none.
    """
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Name):
        if is_prompt(node.name):
            return Audio((prompt_item(node.name),))
        return scope.value(node.name.lower())
    if isinstance(node, Call):
        return _called(node, scope)
    operator = node.operator
    if operator in ("and", "or"):
        if to_truth(evaluate(node.operands[0], scope)) is (operator == "or"):
            return operator == "or"
        return to_truth(evaluate(node.operands[1], scope))
    values = [evaluate(operand, scope) for operand in node.operands]
    if operator == "not":
        return not to_truth(values[0])
    if operator in _COMPARISONS:
        return _compared(operator, values[0], values[1])
    if NOT_SET in values:
        return NOT_SET
    if operator.startswith("."):
        return to_phone_number(values[0]) if operator == ".e164" else to_text(values[0])
    if len(values) == 1:
        return bounded(-to_number(values[0]))
    return _computed(operator, values[0], values[1])


def _called(node: Call, scope: Scope) -> Value:
    function = FUNCTIONS[node.function]
    if node.function == "if":
        condition = to_truth(evaluate(node.arguments[0], scope))
        return evaluate(node.arguments[1 if condition else 2], scope)
    values = tuple(evaluate(argument, scope) for argument in node.arguments)
    if not function.takes_unset and NOT_SET in values:
        return NOT_SET
    return bounded(function.call(values, scope.now))


def _compared(operator: str, left: Value, right: Value) -> Value:
    if operator in ("==", "!="):
        return (kind(left) == kind(right) and left == right) is (operator == "==")
    if left is NOT_SET or right is NOT_SET:
        return NOT_SET
    if isinstance(left, (bool, Audio)) or kind(left) != kind(right):
        raise FlowExpressionError(f"cannot compare {kind(left)} with {kind(right)} by {operator}")
    smaller = left < right  # type: ignore[operator]
    return {"<": smaller, "<=": smaller or left == right, ">": not (smaller or left == right), ">=": not smaller}[
        operator
    ]


def _computed(operator: str, left: Value, right: Value) -> Value:
    try:
        if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
            return bounded(to_text(left) + to_text(right))
        if isinstance(left, datetime) and isinstance(right, timedelta) and operator in "+-":
            return left + right if operator == "+" else left - right
        if isinstance(left, datetime) and isinstance(right, datetime) and operator == "-":
            return left - right
        if isinstance(left, timedelta) and isinstance(right, timedelta) and operator in "+-":
            return left + right if operator == "+" else left - right
        a, b = _plain(operator, left), _plain(operator, right)
        if operator == "+":
            return bounded(a + b)
        if operator == "-":
            return bounded(a - b)
        if operator == "*":
            return bounded(a * b)
        if operator == "%":
            return bounded(a % b)
        quotient = a / b
        return bounded(int(quotient) if quotient.is_integer() else quotient)
    except ZeroDivisionError as error:
        raise FlowExpressionError("division by zero") from error
    except OverflowError as error:
        raise FlowExpressionError("a result out of range") from error


def _plain(operator: str, value: Value) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise FlowExpressionError(f"cannot compute {kind(value)} by {operator}; ToNumber(…) makes a number of a text")

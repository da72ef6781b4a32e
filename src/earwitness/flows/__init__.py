"""Architect-style flows: reading, checking and running them. Pure: no clock, no socket, no disk; see docs/flows.md."""

from earwitness.flows.errors import FlowError, FlowErrors, FlowExpressionError
from earwitness.flows.memory import Facts
from earwitness.flows.model import Flow, Reference
from earwitness.flows.read_flow import read_flow
from earwitness.flows.run import FlowRun
from earwitness.flows.source import filled

__all__ = [
    "Facts",
    "Flow",
    "FlowError",
    "FlowErrors",
    "FlowExpressionError",
    "FlowRun",
    "Reference",
    "filled",
    "read_flow",
]

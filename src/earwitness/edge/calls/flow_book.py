"""The published flows, read: each version once."""

from __future__ import annotations

import structlog

from earwitness import flows
from earwitness.domain.configuration import Flow

log = structlog.get_logger()


class FlowBook:
    """One for an edge."""

    def __init__(self) -> None:
        self._programs: dict[tuple[str, str], flows.Flow | ValueError] = {}

    def use(self, published: tuple[Flow, ...]) -> list[tuple[str, str]]:
        """A new configuration: reads what is new in it. Gives every text that may be spoken, with its language."""
        keys = {(flow.id, flow.version) for flow in published}
        self._programs = {key: program for key, program in self._programs.items() if key in keys}
        texts: list[tuple[str, str]] = []
        for flow in published:
            try:
                texts += self.program(flow).texts()
            except ValueError as error:
                log.error("a flow cannot be read: calls into it are not taken", flow=flow.name, error=str(error))
        return texts

    def program(self, flow: Flow) -> flows.Flow:
        """The flow as it can be run.

        :raises ValueError: its text is none that this version can read.
        """
        key = (flow.id, flow.version)
        if key not in self._programs:
            try:
                self._programs[key] = flows.read_flow(flow.source)
            except ValueError as error:
                self._programs[key] = error
        found = self._programs[key]
        if isinstance(found, ValueError):
            raise found
        return found

    def suppresses(self, flow: Flow) -> bool:
        """Whether nothing is captured while a call is in it (B1, B2). A flow that cannot be read captures nothing."""
        try:
            return self.program(flow).suppress_recording
        except ValueError:
            return True

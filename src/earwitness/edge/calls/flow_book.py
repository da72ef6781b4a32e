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
        """A new configuration: reads what is new in it. Gives every text that may be spoken, with its language.

        A large flow takes a second to read, so this may be called in a thread, one call at a time.
        """
        known = self._programs
        texts: list[tuple[str, str]] = []
        programs: dict[tuple[str, str], flows.Flow | ValueError] = {}
        for flow in published:
            key = (flow.id, flow.version)
            found = programs[key] = known[key] if key in known else _read(flow)
            if isinstance(found, ValueError):
                log.error("a flow cannot be read: calls into it are not taken", flow=flow.name, error=str(found))
            else:
                texts += found.texts()
        self._programs = programs
        return texts

    def program(self, flow: Flow) -> flows.Flow:
        """The flow as it can be run.

        :raises ValueError: its text is none that this version can read.
        """
        found = self._programs.get((flow.id, flow.version)) or _read(flow)
        if isinstance(found, ValueError):
            raise found
        return found

    def suppresses(self, flow: Flow) -> bool:
        """Whether nothing is captured while a call is in it (B1, B2). A flow that cannot be read captures nothing."""
        try:
            return self.program(flow).suppress_recording
        except ValueError:
            return True


def _read(flow: Flow) -> flows.Flow | ValueError:
    try:
        return flows.read_flow(flow.source)
    except ValueError as error:
        return error

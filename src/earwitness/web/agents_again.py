"""Tells an edge that has started who is on queue.

The edge keeps that itself, on its own disk; an edge on another disk, or one whose folder was lost, learns it from here.
What the database says counts: whoever goes on queue is noted there when the edge has agreed.
"""

from __future__ import annotations

import threading

import structlog

from earwitness.store import user_routing
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Services

log = structlog.get_logger()

LOOK_S = 2.0
LONGEST_WAIT_S = 60.0


class AgentsAgain:
    """Looks every now and then whether the edge is another one; a thread of its own."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: bytes | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agents-again", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        wait_s = LOOK_S
        while not self._stop.wait(wait_s):
            try:
                done = self.look()
            except Exception:
                log.exception("web.agents_not_told")
                done = False
            wait_s = LOOK_S if done else min(LONGEST_WAIT_S, wait_s * 2)

    def look(self) -> bool:
        """Tells the edge what differs, if it is another one than before; False: it could not be told, try again."""
        try:
            now = (self._services.arguments.run_dir / "edge.json").read_bytes()
        except OSError:
            return True  # no edge, nothing to tell
        if now == self._told:
            return True
        with self._services.database.reading() as session:
            wanted = {row.user_id: row.on_queue for row in user_routing.known(session)}
        try:
            agents = self._services.edge.agents() if any(wanted.values()) else []
            at_present = {str(agent.get("user_id")): bool(agent.get("on_queue")) for agent in agents}
            for user_id, on_queue in wanted.items():
                if on_queue and not at_present.get(user_id, False):
                    self._tell(user_id)
        except ApiError:
            return False
        self._told = now
        return True

    def _tell(self, user_id: str) -> None:
        try:
            self._services.edge.set_agent(user_id, on_queue=True)
        except ApiError as error:
            if error.status == 503:
                raise
            log.warning("web.agent_not_on_queue", user_id=user_id, reason=error.message)

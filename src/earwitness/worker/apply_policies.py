"""Applies policies to conversations that have become complete: each once, in a transaction of its own.

Killed anywhere, a conversation is either done with all that follows, or not begun. Several workers share the work: who
comes second finds the conversation done, or locked, and goes on to the next.
"""

from __future__ import annotations

import structlog

from earwitness.store import completion, policy_applying
from earwitness.store.policies import Compiled
from earwitness.worker.bench import Bench

log = structlog.get_logger()

AT_ONCE = 500
"""Conversations of one turn, so that other chores have theirs."""
AGAIN_US = 60_000_000
"""After a failure."""


class ApplyPolicies:
    """The chore. Remembers the policies between turns, as long as nobody changes them."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self._most = most
        self._known: Compiled | None = None
        self._failed: dict[str, int] = {}
        """Conversation -> when it is tried again; failures keep nobody else waiting."""

    def __call__(self, bench: Bench) -> int:
        """Applies policies to what is complete; gives to how many conversations."""
        now = bench.now_us()
        with bench.database.reading() as session:
            found = completion.due(session, self._most + len(self._failed))
        self._failed = {key: self._failed[key] for key in found if key in self._failed}
        done = 0
        for conversation_id in found:
            if self._failed.get(conversation_id, 0) > now:
                continue
            try:
                with bench.database.transaction() as session:
                    known = policy_applying.apply(session, conversation_id, bench.now_us(), self._known)
            except Exception:
                self._failed[conversation_id] = now + AGAIN_US
                log.exception("policies could not be applied; they are tried again", conversation_id=conversation_id)
            else:
                self._known, done = known, done + 1
                self._failed.pop(conversation_id, None)
        return done

"""The events of one conversation: numbered, timed, held against the recording rules, written, and published.

``tell`` collects; ``flush`` writes what was collected in one batch, with what the recording rules make of it: the
events of a batch happened at one moment, so it is judged when it is complete. A step of the conversation tells all
that it means and flushes before it lets the peers go on, so what is on disk is never behind what the callers know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.domain.conversation import events
from earwitness.domain.conversation.events import Event
from earwitness.edge.calls.recorder import Recorder
from earwitness.edge.calls.writer import EventLog


class Story:
    """Who writes a conversation's events."""

    def __init__(
        self,
        log: EventLog,
        recorder: Recorder,
        now_us: Callable[[], int],
        publish: Callable[[Event], None],
    ) -> None:
        """:param now_us: UTC microseconds, never stepping.
        :param publish: gets each event once it is written.
        """
        self._log = log
        self._recorder = recorder
        self._now_us = now_us
        self._publish = publish
        self._last = 0
        self._seq = 0
        self._batch: list[Event] = []

    def tell(self, event_type: str, *, at: int | None = None, **data: Any) -> int:
        """Adds an event, and those that follow from it alone by the recording rules. Gives its time.

        :param at: UTC microseconds; None: now. Never in the future, never before the event before it.
        :raises EventError: not in the vocabulary.
        """
        data = {name: _clean(value) for name, value in data.items() if value is not None}
        events.check(event_type, data)
        now = self._now_us()
        self._last = max(self._last, now if at is None else min(at, now))
        event = Event(self._seq, self._last, event_type, data)
        self._seq += 1
        self._batch.append(event)
        for follow_type, follow_data in self._recorder.note(event):
            self.tell(follow_type, at=event.at, **follow_data)
        return event.at

    @property
    def last(self) -> int:
        """Time of the last event, UTC microseconds."""
        return self._last

    def flush(self) -> bool:
        """Settles and writes the batch. False when the disk did not take it; it is kept and tried again."""
        for follow_type, follow_data in self._recorder.settle(self._last):
            self.tell(follow_type, at=self._last, **follow_data)
        if not self._batch:
            return self._log.flush()
        batch, self._batch = self._batch, []
        lines = [event.to_json().encode() for event in batch]
        written = self._log.append(lines)
        for event in batch:
            self._publish(event)
        return written

    def room(self) -> None:
        """The disk has room again for what is to be recorded."""
        self.flush()
        self._last = max(self._last, self._now_us())
        for follow_type, follow_data in self._recorder.room(self._last):
            self.tell(follow_type, at=self._last, **follow_data)
        self.flush()

    def close(self) -> EventLog | None:
        """Writes what is left and closes the file. Gives the file when the disk did not take all of it."""
        self.flush()
        return None if self._log.close() else self._log

    def events(self) -> list[Event]:
        """Everything that was told and flushed."""
        return list(events.parse_lines(self._log.lines()))


def _clean(value: Any) -> Any:
    """Text from peers may hold bytes that are no UTF-8 (as surrogates); in an event they are question marks."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value

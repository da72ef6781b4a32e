"""Rendering a tape while its call is up, so that at hang-up only the last seconds remain.

``TapeFollower`` feeds a growing tape to the same ``Renderer`` that the batch uses, ``MARGIN_US`` behind the present.
What it delivers is byte for byte what the batch would, or nothing: whenever the finished plan contradicts what was
already worked with (a packet or an event that turned up late, another sampling rate, a gap told afterwards), ``finish``
gives None, ``contradiction`` says why, and the tape is rendered from the spool as if nobody had followed it.

Formats that cost nothing to encode are not followed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from earwitness.archive.render.plan import Codec, MediaEpoch, MediaGap, Opening, TapePlan
from earwitness.archive.render.renderer import Renderer, Rendering, choose_rate, master_sink
from earwitness.worker.growing import GrowingTape

MARGIN_US = 2_000_000
"""How far behind the present: by then the packets of that time are in the spool, or something is wrong."""
BEGIN_US = 6_000_000
"""How long a tape runs before its sampling rate is chosen, by the codecs heard so far."""
FOLLOWED_FORMATS = frozenset({"audio/opus"})


class _LivePlan(TapePlan):
    """A plan that learns: what payload types mean is looked up in the latest one."""

    __slots__ = ("latest",)

    latest: TapePlan

    def epoch(self, at_us: int) -> MediaEpoch:
        """See ``TapePlan.epoch``."""
        return self.latest.epoch(at_us)

    @staticmethod
    def of(plan: TapePlan) -> _LivePlan:
        """A plan that has learnt nothing yet."""
        live = _LivePlan(**{item.name: getattr(plan, item.name) for item in dataclasses.fields(plan)})
        live.learn(plan)
        return live

    def learn(self, plan: TapePlan) -> None:
        """Takes the latest plan."""
        object.__setattr__(self, "latest", plan)


class TapeFollower:
    """Follows one tape. ``poll`` as often as you like with the latest plan; at last ``finish`` with the final one."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """:param write: takes the file, front to back. Worth nothing unless ``finish`` gives a rendering."""
        self.contradiction = ""
        """Why the batch must do it, or empty."""
        self._write = write
        self._plan: _LivePlan | None = None
        self._renderer: Renderer | None = None
        self._gaps: tuple[MediaGap, ...] = ()
        self._rate = 0
        self._tapes: dict[tuple[int, int], GrowingTape] = {}
        self._rendered: list[Opening] = []
        self._is_open = False
        self._done_us = 0
        """What happened before is rendered, or about to be, and must not change any more."""

    @property
    def vanished(self) -> bool:
        """Whether a file that was read from is there no more."""
        return any(tape.vanished for tape in self._tapes.values())

    def poll(self, plan: TapePlan, now_us: int) -> int | None:
        """Renders what has become final by ``now_us``, UTC microseconds; gives when there will be more, None if nobody
        can tell.
        """
        if plan.audio_format not in FOLLOWED_FORMATS:
            return None
        self._render(plan, now_us - MARGIN_US, final=False)
        if self.contradiction or len(self._rendered) == len(plan.openings):
            return None
        opening = plan.openings[len(self._rendered)]
        ready_us = opening.from_us + BEGIN_US if self._renderer is None else self._renderer.next_us
        return None if ready_us is None else ready_us + MARGIN_US

    def finish(self, plan: TapePlan) -> Rendering | None:
        """Renders the rest of a tape that is complete; None if the batch must do it."""
        if self._renderer is None:
            self.contradiction = self.contradiction or "not followed yet"
        self._render(plan, plan.end_us, final=True)
        if not self.contradiction and self._renderer is not None:
            self._check(plan)
        return None if self.contradiction or self._renderer is None else self._renderer.finish()

    def _render(self, plan: TapePlan, until_us: int, *, final: bool) -> None:
        self._learn(plan)
        while not self.contradiction and len(self._rendered) < len(plan.openings):
            opening = plan.openings[len(self._rendered)]
            tapes = self._tapes_of(plan, opening)
            for tape in tapes:
                tape.read()
            renderer = self._renderer or self._begin(plan, opening, until_us)
            if renderer is None:
                return
            if not self._is_open:
                renderer.open(opening.from_us)
                self._is_open, self._done_us = True, opening.from_us
            for channel, tape in enumerate(tapes):
                packets = tape.take()
                if len(packets) and self._done_us > opening.from_us and int(packets.arrival_us.min()) < self._done_us:
                    self._contradicted("packets came late")
                    return
                renderer.feed(channel, packets)
            if not final and (opening.to_us is None or opening.to_us > until_us):
                if until_us > self._done_us:
                    renderer.advance(until_us)
                    self._done_us = until_us
                    self._check_overtaken(renderer)
                return
            if self._done_us > opening.from_us + opening.length_us:
                self._contradicted("the tape closed before what was rendered")
                return
            renderer.close(opening.from_us + opening.length_us)
            self._check_overtaken(renderer)
            self._rendered.append(opening)
            self._is_open = False

    def _check_overtaken(self, renderer: Renderer) -> None:
        if renderer.overtaken:
            self._contradicted("packets came later than the renderer could wait for")

    def _contradicted(self, why: str) -> None:
        self.contradiction = self.contradiction or why

    def _tapes_of(self, plan: TapePlan, opening: Opening) -> list[GrowingTape]:
        for channel in (0, 1):
            if (opening.index, channel) not in self._tapes:
                self._tapes[opening.index, channel] = GrowingTape(plan.file(opening.index, channel))
        return [self._tapes[opening.index, channel] for channel in (0, 1)]

    def _begin(self, plan: TapePlan, opening: Opening, until_us: int) -> Renderer | None:
        """Chooses the rate once enough was heard."""
        heard = self._heard(plan)
        if until_us < opening.from_us + BEGIN_US or not plan.media or not heard:
            return None
        self._plan, self._gaps, self._rate = _LivePlan.of(plan), plan.gaps, choose_rate(heard)
        self._renderer = Renderer(self._plan, self._rate, master_sink(plan, self._write), eager=True)
        return self._renderer

    def _heard(self, plan: TapePlan) -> set[Codec]:
        """As ``renderer.codecs_heard`` of each whole file: by what is known at its last packet."""
        found: set[Codec] = set()
        for tape in self._tapes.values():
            epoch = plan.epoch(tape.last_us if tape.last_us is not None else 0)
            found.update(codec for item in tape.payload_types if (codec := epoch.find(item)) is not None)
        return found

    def _learn(self, plan: TapePlan) -> None:
        if self._plan is None:
            return
        before = self._plan.latest.media
        if plan.media[: len(before)] != before or any(e.at_us < self._done_us for e in plan.media[len(before) :]):
            self._contradicted("a negotiation was told late")
        self._plan.learn(plan)

    def _check(self, plan: TapePlan) -> None:
        """Holds the finished plan against what was rendered."""
        first = self._plan
        if first is None:
            return
        rendered = [(opening.index, opening.from_us, opening.length_us) for opening in self._rendered]
        if rendered != [(opening.index, opening.from_us, opening.length_us) for opening in plan.openings]:
            self._contradicted("openings were told otherwise")
        if (plan.dual_channel, plan.audio_format, plan.level_control) != (
            first.dual_channel,
            first.audio_format,
            first.level_control,
        ):
            self._contradicted("the format was told otherwise")
        if plan.gaps != self._gaps:
            self._contradicted("a gap was told afterwards")
        if choose_rate(self._heard(plan)) != self._rate:
            self._contradicted("another sampling rate")
        for tape in self._tapes.values():
            tape.read()
            if tape.damaged or len(tape.take()):
                self._contradicted("packets came late, or a file is damaged")

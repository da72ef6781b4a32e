"""Playing WAV files to legs: prompts and music in the codec that each leg negotiated.

A file is encoded in full by a thread when the first play of it begins (see ``frames``); the tick then sends the frames
that are due, to all legs that are played the same at once. How far each play has come lies in the arena, so that a
replacement of this process goes on where the play should be by then.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from earwitness.media.rtp.arena import PAYLOAD, Arena, Bool, Int64, UInt64
from earwitness.media.rtp.frames import Frames, Library, PlayError
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import named
from earwitness.media.rtp.sender import Sender

FRAME_US = 20_000
CATCH_UP = 10
"""Frames sent at once when the process was late; more are skipped."""
PREFERRED = ("pcmu", "pcma", "g722", "opus", "l16")


@dataclass(slots=True)
class Play:
    """One play in progress."""

    leg: Leg
    play_id: str
    loop: bool
    started_us: int
    payload_type: int
    frames: Frames
    source: int
    resumed: bool
    """A predecessor of this process began it."""


@dataclass(slots=True)
class Audience:
    """All plays of the same frames, as arrays in the same order."""

    frames: Frames
    plays: list[Play]
    slots: Int64
    started_us: Int64
    loops: Bool
    payload_types: Int64
    sources: UInt64


class Player:
    """The plays of a media process."""

    def __init__(self, arena: Arena, sender: Sender, legs: Legs, report: Callable[..., None]) -> None:
        self._key: Int64 = arena.play_key
        self._sent: Int64 = arena.play_sent
        """Frames of each leg's play that are sent or skipped."""
        self._sender = sender
        self._legs = legs
        self._report = report
        self._plays: dict[int, Play] = {}
        self._audiences: list[Audience] | None = []
        self._library = Library()

    @property
    def active(self) -> bool:
        """Whether anything is being played."""
        return bool(self._plays)

    def play(self, leg: Leg, play_id: str, source: BinaryIO, *, loop: bool, at: int) -> None:
        """Begins a play; ``at`` (us) is when it was asked for."""
        self.forget(leg, at)
        chosen = next((pt for name in PREFERRED for pt, codec in leg.codecs.items() if codec[0] == name), None)
        if chosen is None:
            self._report("play_ended", leg.leg_id, play_id, at, "no codec negotiated that can be played in")
            return
        try:
            frames = self._library.get(source, leg.codecs[chosen])
        except PlayError as error:
            self._report("play_ended", leg.leg_id, play_id, at, str(error))
            return
        key = _key(play_id, at)
        resumed = int(self._key[leg.slot]) == key
        if not resumed:
            self._sent[leg.slot] = 0
            self._key[leg.slot] = key
        self._plays[leg.slot] = Play(leg, play_id, loop, at, chosen, frames, named("play " + play_id), resumed)
        self._audiences = None
        leg.playing = True
        self._sender.route(leg)

    def stop(self, leg: Leg, play_id: str, now: int) -> None:
        """Stops a play."""
        play = self._plays.get(leg.slot)
        if play is not None and play.play_id == play_id:
            self._end(play, now)

    def forget(self, leg: Leg, now: int) -> None:
        """Stops whatever is played to a leg; silently when another process goes on with it."""
        play = self._plays.get(leg.slot)
        if play is not None:
            self._end(play, now)

    def resume(self, leg: Leg) -> None:
        """Another process has told how far the leg's play has come."""
        play = self._plays.get(leg.slot)
        if play is not None and int(self._key[leg.slot]) == _key(play.play_id, play.started_us):
            play.resumed = True

    def negotiated(self, leg: Leg, now: int) -> None:
        """A leg's codecs may be others now: what cannot be sent any more ends."""
        play = self._plays.get(leg.slot)
        if play is not None and leg.codecs.get(play.payload_type) != play.frames.codec:
            pt = next((pt for pt, codec in leg.codecs.items() if codec == play.frames.codec), None)
            if pt is None:
                self._end(play, now, "the codec of the play was negotiated away")
            else:
                play.payload_type = pt
                self._audiences = None

    def tick(self, now: int) -> None:
        """Sends the frames that are due."""
        if self._audiences is None:
            self._audiences = self._gather()
        for audience in self._audiences:
            if audience.frames.error is not None or (audience.frames.ready and not len(audience.frames.lengths)):
                for play in audience.plays:
                    self._end(play, now, audience.frames.error)
            elif audience.frames.ready:
                self._send_due(audience, now)

    def _gather(self) -> list[Audience]:
        by_frames: dict[int, list[Play]] = {}
        for play in self._plays.values():
            by_frames.setdefault(id(play.frames), []).append(play)
        return [
            Audience(
                plays[0].frames,
                plays,
                np.array([play.leg.slot for play in plays]),
                np.array([play.started_us for play in plays]),
                np.array([play.loop for play in plays]),
                np.array([play.payload_type for play in plays]),
                np.array([play.source for play in plays], np.uint64),
            )
            for plays in by_frames.values()
        ]

    def _send_due(self, audience: Audience, now: int) -> None:
        slots, sent = audience.slots, self._sent[audience.slots]
        late = now - audience.started_us >= FRAME_US * CATCH_UP
        if late.any():
            # Encoding took its time: such a play begins now, and not with its middle.
            for index in np.flatnonzero(late & (sent == 0)).tolist():
                if not audience.plays[index].resumed:
                    audience.plays[index].started_us = audience.started_us[index] = now
        count = len(audience.frames.lengths)
        due = (now - audience.started_us) // FRAME_US + 1
        due = np.where(audience.loops, due, np.minimum(due, count))
        first = np.maximum(sent, due - CATCH_UP)
        can = self._legs.can_play[slots]
        for number in range(int((due - first).max())):
            chosen = np.flatnonzero((first + number < due) & can)
            if len(chosen):
                self._send(audience, chosen, first[chosen] + number, now)
        self._sent[slots] = np.maximum(due, sent)
        if not audience.loops.all():
            for index in np.flatnonzero(~audience.loops & (due >= count)).tolist():
                self._end(audience.plays[index], now)

    def _send(self, audience: Audience, chosen: Int64, numbers: Int64, now: int) -> None:
        sender, frames, slots = self._sender, audience.frames, audience.slots[chosen]
        rows = sender.build_rows(len(chosen))
        which = numbers % len(frames.lengths)
        width = frames.payloads.shape[1]
        sender.rows[rows, PAYLOAD + 12 : PAYLOAD + 12 + width] = frames.payloads[which]
        stamps = numbers * frames.ticks
        for place in np.flatnonzero(sender.outgoing.source[slots] != audience.sources[chosen]).tolist():
            play = audience.plays[int(chosen[place])]
            sender.outgoing.begin(play.leg, play.source, frames.codec[1], now, int(stamps[place]))
        sender.emit(rows, slots, audience.payload_types[chosen], stamps, frames.lengths[which], now)

    def _end(self, play: Play, now: int, error: str | None = None) -> None:
        del self._plays[play.leg.slot]
        self._audiences = None
        self._key[play.leg.slot] = 0
        play.leg.playing = False
        self._sender.route(play.leg)
        if not play.leg.leaving:
            self._report("play_ended", play.leg.leg_id, play.play_id, now, error)


def _key(play_id: str, at: int) -> int:
    return zlib.crc32(f"{play_id} {at}".encode()) | 1 << 32

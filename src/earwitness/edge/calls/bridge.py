"""Who hears whom: turns rooms into commands of the media engine.

A room is a list of legs that talk to each other: two are connected, more are mixed, one alone hears a sound or nothing.
``arrange`` is given all rooms and sounds as they shall be, and does what differs from the last time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from earwitness.media.engine.interface import MediaEngine

Sound = Path | bytes
"""A WAV file, or its bytes; played in a loop."""


class Bridge:
    """Of one conversation."""

    def __init__(self, engine: MediaEngine, conversation_id: str) -> None:
        self._engine = engine
        self._id = conversation_id
        self._rooms: list[frozenset[str]] = []
        self._mixes: dict[frozenset[str], str] = {}
        self._made = 0
        self._sounds: dict[str, tuple[str, Sound]] = {}

    def arrange(self, rooms: Sequence[Sequence[str]], sounds: Mapping[str, Sound]) -> None:
        """:param rooms: leg ids; a leg is in one room at most.
        :param sounds: by leg id, for legs who are alone.
        """
        for leg_id in [leg for leg in self._sounds if sounds.get(leg) != self._sounds[leg][1]]:
            self._engine.stop_play(leg_id, self._sounds.pop(leg_id)[0])
        wanted = [frozenset(room) for room in rooms if len(room) > 1]
        kept = [room for room in self._rooms if room in wanted]
        for room in self._rooms:
            if room not in wanted:
                self._leave(room, wanted)
        for members in wanted:
            if members not in kept:
                self._join(next(list(room) for room in rooms if frozenset(room) == members))
        self._rooms = wanted
        for leg_id, sound in sounds.items():
            if leg_id not in self._sounds:
                self._made += 1
                play_id = f"sound-{self._made}"
                self._sounds[leg_id] = (play_id, sound)
                self._engine.play(leg_id, play_id, sound, loop=True)

    def forget(self, leg_id: str) -> None:
        """The leg is gone; the engine knows."""
        self._sounds.pop(leg_id, None)
        rest = [(room, room - {leg_id}) for room in self._rooms]
        for before, after in rest:
            if before != after and before in self._mixes:
                mix_id = self._mixes.pop(before)
                if len(after) > 1:
                    self._mixes[after] = mix_id
        self._rooms = [after for _, after in rest if len(after) > 1]

    def _join(self, legs: Sequence[str]) -> None:
        members = frozenset(legs)
        if len(legs) == 2:
            self._engine.connect(*legs)
            return
        self._made += 1
        self._mixes[members] = mix_id = f"{self._id}-{self._made}"
        self._engine.mix(mix_id, list(legs))

    def _leave(self, room: frozenset[str], wanted: Sequence[frozenset[str]]) -> None:
        mix_id = self._mixes.pop(room, None)
        if mix_id is not None:
            self._engine.mix(mix_id, [])
        elsewhere = frozenset[str]().union(*wanted)
        for leg_id in sorted(room - elsewhere):
            self._engine.disconnect(leg_id)

"""What callers are played: speech, recorded prompts, pauses and beeps, made into one WAV that the media engine plays.

Theory of operation. ``fetch`` takes a sequence of items and calls back on the event loop with ``Ready`` or ``Broken``;
the work is done in threads, and nothing that is wrong with a text or a file comes out as an exception. Texts that the
configuration contains (``prepare``) are spoken once and kept in a folder of bounded size. Others, which a flow made up
in a call out of what it knows of the caller, are spoken each time and written nowhere.

Everything is mono, 16 bit, 8 kHz; a single recorded prompt that the engine can play as it is is handed over as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog

from earwitness.domain.configuration import Prompt
from earwitness.edge.prompt_audio import (
    MAX_SECONDS,
    RATE,
    PromptError,
    Samples,
    beep,
    language_file,
    playable,
    primary,
    read_wav,
    to_wav,
)
from earwitness.flows.values import AudioItem, PromptRef, Say, Silence

log = structlog.get_logger()

MAX_TEXT = 4000
"""Characters that are spoken of a text: some five minutes."""
MAX_ITEMS = 200
MAX_SILENCE_MS = 60_000
KEPT_BYTES = 256 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ready:
    """For ``MediaEngine.play``."""

    source: Path | bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """It cannot be played."""

    error: str


class Job:
    """A ``fetch`` in progress."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Nobody is called back any more; work that has begun ends soon."""
        self.cancelled = True


async def in_thread(work: Callable[[], T]) -> T:
    """Runs ``work`` in a thread of asyncio's."""
    return await asyncio.to_thread(work)


class PromptShelf:
    """See the module. Belongs to one event loop."""

    def __init__(
        self,
        folder: Path,
        speak: Callable[[str, str], bytes],
        run_in_thread: Callable[[Callable[[], object]], Awaitable[object]] = in_thread,
        *,
        default_language: str = "en-us",
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """:param folder: where spoken texts are kept; made when missing, private to its owner.
        :param speak: ``(text, voice)`` -> a WAV file; called in threads; raises any exception when there is no such
            voice. Voices are language codes (``en-us``, ``de``).
        """
        self._folder = folder
        self._speak = speak
        self._run = run_in_thread
        self._default = default_language.lower()
        self._kept_bytes = kept_bytes
        self._kept: frozenset[str] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None

    def fetch(
        self, items: Sequence[AudioItem], prompts: Iterable[Prompt], done: Callable[[Ready | Broken], None]
    ) -> Job:
        """Makes a WAV of the items, one after the other; ``done`` is called on the event loop, never from in here.

        :param prompts: those of the caller's snapshot.
        """
        job = Job()
        by_name = {prompt.name.lower(): prompt for prompt in prompts}

        async def work() -> None:
            result = await self._run(lambda: self._make(items, by_name, job))
            if not job.cancelled:
                assert isinstance(result, Ready | Broken)
                done(result)

        self._start(work)
        return job

    def prepare(self, texts: Iterable[tuple[str, str]]) -> None:
        """Tells the texts of the present configuration, ``(text, language)``; those not kept yet are spoken now, one
        at a time. Replaces what was told before.
        """
        wanted = {}
        for text, language in ((_cut(text), language or self._default) for text, language in texts):
            wanted[self._key(text, language)] = (text, language)
        self._kept = frozenset(wanted)
        if self._warming is not None:
            self._warming.cancel()

        async def warm() -> None:
            for text, language in wanted.values():
                await self._run(lambda text=text, language=language: self._warm(text, language))  # type: ignore[misc]

        self._warming = self._start(warm)

    async def close(self) -> None:
        """Drops all work."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work()
            except Exception:
                log.exception("a prompt could not be handed over")

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- in threads --------------------------------------------------------------------------------------------------

    def _make(self, items: Sequence[AudioItem], prompts: Mapping[str, Prompt], job: Job) -> Ready | Broken:
        try:
            if len(items) == 1 and isinstance(items[0], PromptRef):
                file = _file(items[0], prompts, self._default)
                seconds = playable(file)
                if seconds is not None:
                    return Ready(file, seconds)
            pieces: list[Samples] = []
            left = MAX_SECONDS * RATE
            for item in items[:MAX_ITEMS]:
                if job.cancelled or left <= 0:
                    break
                pieces.append(self._samples(item, prompts)[:left])
                left -= len(pieces[-1])
            samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        except PromptError as error:
            return Broken(str(error))
        except Exception as error:
            log.exception("a prompt could not be made")
            return Broken(f"{type(error).__name__}: {error}")
        if not len(samples):
            samples = np.zeros(RATE // 50, np.int16)
        return Ready(to_wav(samples), len(samples) / RATE)

    def _samples(self, item: AudioItem, prompts: Mapping[str, Prompt]) -> Samples:
        if isinstance(item, Say):
            return self._spoken(_cut(item.text), item.language or self._default)
        if isinstance(item, PromptRef):
            return read_wav(_file(item, prompts, self._default))
        if isinstance(item, Silence):
            ms = min(max(item.ms, 0), MAX_SILENCE_MS)
            return np.zeros(ms * RATE // 1000, np.int16)
        return beep()

    def _spoken(self, text: str, language: str, *, used: bool = True) -> Samples:
        """:param used: somebody is played it: of the kept texts those go first that were used longest ago."""
        if not text.strip():
            return np.zeros(0, np.int16)
        key = self._key(text, language)
        if key not in self._kept:
            return self._voice(text, language)
        path = self._folder / f"{key}.wav"
        try:
            samples = read_wav(path)
            if used:
                os.utime(path)
        except (PromptError, OSError):
            samples = self._voice(text, language)
            self._keep(path, samples)
        return samples

    def _voice(self, text: str, language: str) -> Samples:
        problem: Exception | None = None
        for voice in dict.fromkeys((language.lower(), primary(language), self._default, primary(self._default))):
            try:
                return read_wav(io.BytesIO(self._speak(text, voice)))
            except Exception as error:  # whatever a synthesiser raises means: not with this voice
                problem = error
        raise PromptError(f"no text can be spoken in {language}: {problem}")

    def _warm(self, text: str, language: str) -> None:
        try:
            self._spoken(text, language, used=False)
        except Exception as error:
            log.warning("a text of the configuration cannot be spoken", language=language, error=str(error))

    def _key(self, text: str, language: str) -> str:
        return hashlib.sha256(f"1\0{language.lower()}\0{self._default}\0{text}".encode()).hexdigest()

    def _keep(self, path: Path, samples: Samples) -> None:
        """Writes a kept text whole or not at all; a disk that says no costs only time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd, temporary = tempfile.mkstemp(".part", dir=self._folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(to_wav(samples))
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._make_room()
        except OSError as error:
            log.warning("a spoken text cannot be kept", error=str(error))

    def _make_room(self) -> None:
        """Removes those unused for longest while there is too much."""
        files = []
        for entry in os.scandir(self._folder):
            try:
                state = entry.stat()
            except FileNotFoundError:
                continue
            files.append((state.st_mtime_ns, state.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        for _, size, name in sorted(files):
            if total <= self._kept_bytes:
                return
            Path(name).unlink(missing_ok=True)
            total -= size


def _cut(text: str) -> str:
    return text.replace("\0", " ")[:MAX_TEXT]


def _file(item: PromptRef, prompts: Mapping[str, Prompt], default: str) -> Path:
    name = item.name.lower()
    prompt = prompts.get(name) or prompts.get(name.removeprefix("prompt."))
    if prompt is None:
        raise PromptError(f"there is no prompt {item.name!r}")
    path = language_file(prompt.files, item.language, default)
    if path is None:
        raise PromptError(f"the prompt {item.name!r} has no recording in any language")
    return Path(path)

"""Prompts: what comes out for good and bad texts and files, and what is kept on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import threading
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.configuration import Prompt
from earwitness.edge.prompt_audio import RATE, PromptError, beep, language_file, read_wav, to_wav
from earwitness.edge.prompts import MAX_ITEMS, MAX_TEXT, Broken, PromptShelf, Ready
from earwitness.flows.values import Beep, PromptRef, Say, Silence


def tone(hz, seconds, rate=RATE):
    return (8000 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def write(path, samples, rate=RATE, channels=1, width=2):
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return str(path)


def loudest(samples):
    return np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples)


class Voice:
    """Speaks a text as a second of a tone of 10 Hz a character."""

    def __init__(self):
        self.said = []
        self.voices = ("en-us", "de")

    def __call__(self, text, voice):
        if voice not in self.voices:
            raise RuntimeError(f"no voice {voice!r}")
        self.said.append((text, voice))
        return to_wav(tone(10 * min(len(text), 300), 1))


@pytest.fixture
def voice():
    return Voice()


@pytest.fixture
def shelf(tmp_path, voice):
    return PromptShelf(tmp_path / "tts", voice)


def fetched(shelf, items, prompts=()):
    async def run():
        result = asyncio.get_running_loop().create_future()
        shelf.fetch(items, prompts, result.set_result)
        assert not result.done()
        return await asyncio.wait_for(result, 30)

    return asyncio.run(run())


def samples_of(result):
    assert isinstance(result, Ready), result
    source = io.BytesIO(result.source) if isinstance(result.source, bytes) else result.source
    samples = read_wav(source)
    assert abs(len(samples) / RATE - result.seconds) < 0.001
    return samples


def prepared(shelf, *texts):
    async def run():
        shelf.prepare(texts)
        await shelf._warming

    asyncio.run(run())


def test_items_are_joined_in_order(shelf, tmp_path):
    prompts = (Prompt("welcome", {"en-us": write(tmp_path / "w.wav", tone(500, 1, 16000), 16000)}),)
    items = [Say("x" * 70, "en-us"), Silence(500), PromptRef("Prompt.Welcome", "en-us"), Beep()]
    samples = samples_of(fetched(shelf, items, prompts))
    assert len(samples) == pytest.approx(2.7 * RATE, abs=2)
    assert loudest(samples[:RATE]) == pytest.approx(700, abs=2)
    assert not samples[RATE : RATE + RATE // 2].any()
    assert loudest(samples[12400:19600]) == pytest.approx(500, abs=2)
    assert loudest(samples[-len(beep()) :]) == pytest.approx(1000, abs=10)


def test_a_recorded_prompt_that_can_be_played_is_not_copied(shelf, tmp_path):
    path = write(tmp_path / "music.wav", tone(500, 3, 16000), 16000)
    assert fetched(shelf, [PromptRef("m", "fr")], (Prompt("m", {"en": path}),)) == Ready(tmp_path / "music.wav", 3.0)


def test_stereo_and_other_rates_are_made_playable(shelf, tmp_path):
    both = np.repeat(tone(440, 1, 44100), 2)
    prompt = Prompt("m", {"en": write(tmp_path / "m.wav", both, 44100, 2)})
    assert loudest(samples_of(fetched(shelf, [PromptRef("m", "en")], (prompt,)))) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("language", "expected"),
    [("de-at", "at"), ("DE-CH", "de"), ("fr-fr", "ca"), ("en-gb", "us"), ("nl", "us"), ("", "us")],
)
def test_the_language_nearest_to_the_callers(language, expected):
    files = {"de-at": "at", "de": "de", "fr-ca": "ca", "en-us": "us"}
    assert language_file(files, language, "en-us") == expected


def test_any_language_is_better_than_none():
    assert language_file({"tr": "t"}, "nl", "en-us") == "t"
    assert language_file({}, "nl", "en-us") is None


def test_the_voice_of_the_language_or_the_nearest(shelf, voice):
    for language in ("de-at", "EN-US", "xx", ""):
        samples_of(fetched(shelf, [Say("hello", language)]))
    assert [name for _, name in voice.said] == ["de", "en-us", "en-us", "en-us"]


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"not audio at all" * 100, "wide"])
def test_a_missing_or_broken_file_is_told(shelf, tmp_path, content):
    path = tmp_path / "p.wav"
    if content == "wide":
        write(path, np.zeros(300, np.int8), width=3)
    elif content is not None:
        path.write_bytes(content)
    for items in ([PromptRef("p", "en")], [Silence(1000), PromptRef("p", "en")]):
        result = fetched(shelf, items, (Prompt("p", {"en": str(path)}),))
        assert isinstance(result, Broken)
        assert "p.wav" in result.error


def test_what_else_cannot_be_played_is_told(shelf, voice):
    assert fetched(shelf, [PromptRef("nobody", "en")]) == Broken("there is no prompt 'nobody'")
    assert "no recording" in fetched(shelf, [PromptRef("p", "en")], (Prompt("p", {}),)).error
    voice.voices = ()
    assert "no voice" in fetched(shelf, [Say("hello", "en")]).error


def test_nothing_to_say_is_a_moment_of_silence(shelf, voice):
    for items in ([], [Say(" \n", "en-us")], [Silence(-3)]):
        assert not samples_of(fetched(shelf, items)).any()
    assert voice.said == []


def test_limits(shelf, voice):
    assert isinstance(fetched(shelf, [Say("a" * 100_000, "en-us"), Say("b\0c", "en-us")]), Ready)
    assert [text for text, _ in voice.said] == ["a" * MAX_TEXT, "b c"]
    assert len(samples_of(fetched(shelf, [Silence(10**12)]))) == 60 * RATE
    assert len(samples_of(fetched(shelf, [Beep()] * 10_000))) == MAX_ITEMS * len(beep())
    assert len(samples_of(fetched(shelf, [Silence(60_000)] * 100))) == 1800 * RATE


def test_texts_of_the_configuration_are_spoken_once_others_are_not_kept(shelf, voice, tmp_path):
    prepared(shelf, ("welcome", "en-us"), ("willkommen", "de"), ("odd", "en-us"), ("welcome", "en-us"))
    assert sorted(text for text, _ in voice.said) == ["odd", "welcome", "willkommen"]
    files = set(os.listdir(tmp_path / "tts"))
    assert len(files) == 3
    voice.said.clear()
    for _ in range(2):
        samples_of(fetched(shelf, [Say("welcome", "en-us"), Say("your code is 1234", "en-us")]))
    assert [text for text, _ in voice.said] == ["your code is 1234"] * 2
    assert set(os.listdir(tmp_path / "tts")) == files
    assert (tmp_path / "tts").stat().st_mode & 0o777 == 0o700


def test_a_kept_text_that_is_broken_is_spoken_anew(shelf, voice, tmp_path):
    prepared(shelf, ("welcome", "en-us"))
    (file,) = (tmp_path / "tts").iterdir()
    file.write_bytes(file.read_bytes()[:20])
    first = samples_of(fetched(shelf, [Say("welcome", "en-us")]))
    assert len(voice.said) == 2
    assert (samples_of(fetched(shelf, [Say("welcome", "en-us")])) == first).all()
    assert len(voice.said) == 2


def test_the_folder_has_a_bound_and_keeps_what_was_used_last(tmp_path, voice):
    shelf = PromptShelf(tmp_path / "tts", voice, kept_bytes=40_000)
    texts = [(name, "en-us") for name in ("one", "two", "three", "four")]
    prepared(shelf, *texts[:2])
    for number, file in enumerate(sorted((tmp_path / "tts").iterdir())):
        os.utime(file, (number, number))
    samples_of(fetched(shelf, [Say("one", "en-us")]))
    voice.said.clear()
    prepared(shelf, *texts[:3])
    assert len(list((tmp_path / "tts").iterdir())) == 2
    voice.said.clear()
    samples_of(fetched(shelf, [Say("one", "en-us")]))
    assert voice.said == []


def test_a_disk_that_says_no_costs_only_time(tmp_path, voice):
    (tmp_path / "tts").write_text("a file is in the way")
    shelf = PromptShelf(tmp_path / "tts", voice)
    prepared(shelf, ("welcome", "en-us"))
    samples_of(fetched(shelf, [Say("welcome", "en-us")]))


def test_a_cancelled_job_calls_nobody_back(shelf, voice):
    begun, go = threading.Event(), threading.Event()

    def slow(text, name):
        begun.set()
        assert go.wait(20)
        return voice(text, name)

    async def run():
        shelf._speak = slow
        told = []
        job = shelf.fetch([Say("one", "en-us"), Say("two", "en-us")], (), told.append)
        await asyncio.to_thread(begun.wait, 20)
        job.cancel()
        go.set()
        other = asyncio.get_running_loop().create_future()
        shelf.fetch([Silence(1000)], (), other.set_result)
        assert isinstance(await other, Ready)
        await asyncio.gather(*shelf._tasks)
        assert told == []
        assert [text for text, _ in voice.said] == ["one"]
        await shelf.close()

    asyncio.run(run())


def test_a_new_configuration_stops_the_work_for_the_former(shelf, voice, tmp_path):
    async def run():
        shelf.prepare([("never", "en-us")])
        shelf.prepare([("welcome", "en-us")])
        await shelf._warming
        await shelf.close()

    asyncio.run(run())
    assert [text for text, _ in voice.said] == ["welcome"]


@given(st.binary(max_size=200))
def test_any_bytes_are_audio_or_an_error(data):
    start = to_wav(tone(500, 0.01))
    for content in (data, start[:20] + data, start[:44] + data):
        with contextlib.suppress(PromptError):
            read_wav(io.BytesIO(content))

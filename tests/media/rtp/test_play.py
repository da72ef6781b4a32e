"""Prompts: G.711 against the standard's definition, other codecs by content, and a play through a real engine."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from media_rig import Rig, continuous, rtp

from earwitness.media.engine.interface import Codec, PlayEnded
from earwitness.media.rtp.frames import PlayError, encode, read_wav
from earwitness.media.rtp.g711 import a_law, mu_law
from earwitness.media.tape.reader import read


def tone(seconds: float, rate: int = 8000, hertz: float = 440) -> npt.NDArray[np.int16]:
    return (10000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def wav(samples: npt.NDArray[np.int16], rate: int = 8000, channels: int = 1) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return target.getvalue()


def mu_law_decoded(code: int) -> int:
    """ITU-T G.711 table 2a as the usual formula, 16 bit."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def a_law_decoded(code: int) -> int:
    """ITU-T G.711 table 1a as the usual formula, 16 bit."""
    code ^= 0x55
    segment, value = code >> 4 & 7, (code & 0x0F) << 4
    value = value + 8 if segment == 0 else value + 0x108 << segment - 1
    return value if code & 0x80 else -value


def test_mu_law_and_a_law_are_the_inverse_of_their_decoders() -> None:
    samples = np.arange(-32768, 32768, 7).astype(np.int16)
    for law, decoded in ((mu_law, mu_law_decoded), (a_law, a_law_decoded)):
        table = np.array([decoded(code) for code in range(256)])
        assert (table[law(table.astype(np.int16))] == table).all()
        best = np.abs(samples[:, None].astype(int) - table).min(axis=1)
        error = np.abs(table[law(samples)] - samples.astype(int))
        # At the border of two segments the standard's decision values are not the middle between its output values.
        assert (error > best + 8).mean() < 0.01
        assert (error <= best + 256).all()


@pytest.mark.parametrize(
    ("codec", "ticks", "frame"),
    [
        (("pcmu", 8000, 1), 160, 160),
        (("pcma", 8000, 1), 160, 160),
        (("g722", 8000, 1), 160, 160),
        (("opus", 48000, 2), 960, None),
    ],
)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_prompts_are_encoded_in_frames_of_20_ms(
    codec: tuple[str, int, int], ticks: int, frame: int | None, rate: int
) -> None:
    frames, step = encode(tone(1.0, rate), rate, codec)
    assert step == ticks
    assert 50 <= len(frames) <= 51
    assert frame is None or {len(each) for each in frames} == {frame}


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(PlayError, match="g729"):
        encode(tone(0.1), 8000, ("g729", 8000, 1))
    for data in (b"", b"RIFF", wav(tone(0.1), channels=2), wav(tone(0.1), rate=44100), b"\0" * 100):
        with pytest.raises(PlayError):
            read_wav(io.BytesIO(data))


async def test_a_play_is_sent_taped_and_ends(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        samples = tone(0.2)
        rig.engine.play("a", "p1", wav(samples))
        got = await a.receive(10)
        assert b"".join(packet[12:] for packet in got) == mu_law(samples).tobytes()
        sequence = [int.from_bytes(packet[2:4], "big") for packet in got]
        assert [(each - sequence[0]) & 0xFFFF for each in sequence] == list(range(10))
        ended = await rig.event(PlayEnded)
        assert (ended.play_id, ended.error) == ("p1", None)
        heard = b.send(rtp(1))
        again = (await a.receive(1))[0]
        assert again[12:] == heard[12:]
        assert continuous([*got, again])
        rig.engine.close_tape("tape")
        await rig.engine.idle()
        tape = read(tmp_path / "tape.0.1.rtpdump")
        assert [tape.packet(n) for n in range(len(tape))] == [*got, again]


async def test_a_loop_plays_until_it_is_stopped_and_goes_on_after_a_takeover(tmp_path: Path) -> None:
    path = tmp_path / "music.wav"
    path.write_bytes(wav(tone(0.04)))
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types={9: Codec("G722", 8000)})
        rig.engine.play("a", "p1", path, loop=True)
        first = await a.receive(5)
        rig.kill(rig.processes.pop())
        rig.start_process()
        ssrc = {packet[8:12] for packet in [*first, *await a.receive(8)]}
        assert len(ssrc) == 1
        rig.engine.stop_play("a", "p1")
        assert (await rig.event(PlayEnded)).error is None


async def test_a_play_that_cannot_be_ends_with_the_reason(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        rig.leg("a")
        rig.engine.play("a", "p1", b"no wav")
        rig.engine.play("a", "p2", tmp_path / "missing.wav")
        assert "No such file" in str((await rig.event(PlayEnded)).error)
        while len([each for each in rig.events if isinstance(each, PlayEnded)]) < 2:
            await rig.event(PlayEnded, len(rig.events))
        errors = {each.play_id: each.error for each in rig.events if isinstance(each, PlayEnded)}
        assert "no WAV file" in str(errors["p1"])

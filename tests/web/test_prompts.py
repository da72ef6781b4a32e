"""Prompts: made, spoken, recorded, fetched, removed."""

from __future__ import annotations

import io
import os
import tempfile
import wave
from pathlib import Path

import httpx
import numpy as np
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox
from earwitness.web.api import prompt_audio
from earwitness.web.kernel.errors import ApiError

PROMPTS = "/api/v2/architect/prompts"


def built(site):
    with site.world.database.reading() as session:
        return snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir), site.arguments.prompts_dir).prompts


def wav(rate=44100, channels=2, seconds=0.5, width=2, hertz=440):
    count = int(rate * seconds)
    tone = (8000 * np.sin(2 * np.pi * hertz * np.arange(count) / rate)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(np.repeat(tone, channels).tobytes())
    return file.getvalue()


def put(url, content):
    return httpx.put(url, content=content, trust_env=False)


def resource(language, **fields):
    made = sdk.PromptAssetCreate()
    made.language = language
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_a_prompt_is_recorded_and_played(site):
    api = sdk.ArchitectApi(site.sdk())
    body = sdk.Prompt()
    body.name, body.description = "Welcome", "What everybody hears"
    prompt = api.post_architect_prompts(body)
    assert built(site) == ()
    made = api.post_architect_prompt_resources(prompt.id, resource("en-US", text="Welcome!"))
    assert (made.language, made.upload_status, made.language_default) == ("en-us", "created", True)
    target = api.post_architect_prompt_resource_uploads(prompt.id, "en-us")
    assert put(target.url, wav()).status_code == 200
    assert put(target.url, wav()).status_code == 200
    shown = api.get_architect_prompt_resource(prompt.id, "en-us")
    assert (shown.upload_status, shown.duration_seconds, shown.audio_format.sample_rate) == ("transcoded", 0.5, 16000)
    assert shown.audio_format.encoding == "PCM"
    (known,) = built(site)
    path = Path(known.files["en-us"])
    assert (known.name, path.parent) == ("Welcome", site.arguments.prompts_dir)
    with wave.open(str(path)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16000)
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    assert abs(int(np.argmax(np.abs(np.fft.rfft(samples)))) * 16000 / len(samples) - 440) < 5
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    heard = httpx.get(shown.media_uri, trust_env=False)
    assert (heard.status_code, heard.headers["content-type"], heard.content) == (200, "audio/wav", path.read_bytes())
    assert httpx.get(shown.media_uri + "0", trust_env=False).status_code == 403
    # Another recording takes its place; the former file stays for calls that began with it.
    assert put(shown.upload_uri, wav(8000, 1, 1.0)).status_code == 200
    (known,) = built(site)
    assert Path(known.files["en-us"]) != path
    assert path.is_file()
    again = api.get_architect_prompt_resource(prompt.id, "en-us")
    assert (again.audio_format.sample_rate, again.duration_seconds) == (8000, 1.0)
    api.delete_architect_prompt_resource_audio(prompt.id, "en-us")
    assert built(site) == ()
    api.delete_architect_prompt_resource(prompt.id, "en-us")
    api.delete_architect_prompt_resource(prompt.id, "en-us")
    assert api.get_architect_prompt_resources(prompt.id).entities == []
    api.delete_architect_prompt(prompt.id)
    api.delete_architect_prompt(prompt.id)
    with pytest.raises(ApiException) as caught:
        api.get_architect_prompt(prompt.id)
    assert caught.value.status == 404


def test_a_text_is_spoken_until_there_is_a_recording(sqlite_site):
    http = sqlite_site.http()
    prompt = http.post(PROMPTS, json={"name": "Hours"}).json()["id"]
    path = f"{PROMPTS}/{prompt}/resources"
    made = http.post(path, json={"language": "de-de", "ttsString": "Guten Tag"}).json()
    assert made["uploadStatus"] == "created"
    assert made["durationSeconds"] > 0.3
    (spoken,) = built(sqlite_site)
    assert set(spoken.files) == {"de-de"}
    first = spoken.files["de-de"]
    changed = http.put(f"{path}/de-de", json={"ttsString": "Guten Abend allerseits"}).json()
    assert changed["durationSeconds"] > made["durationSeconds"]
    assert built(sqlite_site)[0].files["de-de"] != first
    assert put(changed["uploadUri"], wav(8000, 1, 0.25)).status_code == 200
    assert http.put(f"{path}/de-de", json={"ttsString": "Hallo"}).json()["durationSeconds"] == 0.25
    assert http.delete(f"{path}/de-de/audio").status_code == 204
    assert http.get(f"{path}/de-de").json()["uploadStatus"] == "created"
    assert set(built(sqlite_site)[0].files) == {"de-de"}
    assert http.post(path, json={"language": "en-us", "languageDefault": True}).json()["languageDefault"] is True
    assert http.get(f"{path}/de-de").json()["languageDefault"] is False
    for wrong in (
        {"language": "xx-xx", "ttsString": "?"},
        {"language": "../etc"},
        {},
        {"language": "fr", "ttsString": " "},
    ):
        assert http.post(path, json=wrong).status_code == 400, wrong
    assert http.post(path, json={"language": "de-DE"}).status_code == 409
    assert http.put(f"{path}/de-de", json={"ttsString": None}).status_code == 200
    assert built(sqlite_site) == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", wav()[:40], b"OggS" + b"\0" * 200,
     b"\xff\xfb" + b"\0" * 10, b"fLaC" + os.urandom(100), b"#EXTM3U\nfile:///etc/passwd\n", wav(seconds=0)],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_audio_is_refused(lasting_site, content):
    http = lasting_site.http()
    found = http.get(PROMPTS, params={"name": "Junk"}).json()["entities"]
    prompt = (found[0] if found else http.post(PROMPTS, json={"name": "Junk"}).json())["id"]
    http.post(f"{PROMPTS}/{prompt}/resources", json={"language": "en-us"})
    url = http.post(f"{PROMPTS}/{prompt}/resources/en-us/uploads").json()["url"]
    reply = put(url, content)
    assert reply.status_code == 400, reply.text
    assert http.get(f"{PROMPTS}/{prompt}/resources/en-us").json()["uploadStatus"] == "created"
    assert not list(lasting_site.arguments.prompts_dir.glob(".*"))


def test_names_lists_and_uses(sqlite_site):
    http = sqlite_site.http()
    ids = {name: http.post(PROMPTS, json={"name": name}).json()["id"] for name in ("Alpha", "Beta", "Gamma")}
    assert http.post(PROMPTS, json={"name": "alpha"}).status_code == 409
    assert [http.post(PROMPTS, json={"name": name}).status_code for name in ("", "a b", "1st", "ä")] == [400] * 4

    def names(**query):
        return [item["name"] for item in http.get(PROMPTS, params=query).json()["entities"]]

    assert names(name="Alpha,gam*") == ["Alpha", "Gamma"]
    assert names(sortOrder="desc") == ["Gamma", "Beta", "Alpha"]
    assert http.put(f"{PROMPTS}/{ids['Beta']}", json={"description": "Waltz"}).json()["description"] == "Waltz"
    assert names(nameOrDescription="waltz") == names(description="wal") == ["Beta"]
    queue = http.post("/api/v2/routing/queues", json={"name": "Q", "onHoldPrompt": {"id": ids["Beta"]}}).json()
    assert queue["onHoldPrompt"]["name"] == "Beta"
    assert http.delete(PROMPTS, params={"id": f"{ids['Alpha']},{ids['Beta']}"}).status_code == 409
    assert names() == ["Alpha", "Beta", "Gamma"]
    assert http.delete(PROMPTS, params={"id": f"{ids['Alpha']},{ids['Gamma']}"}).json()["complete"] is True
    assert names() == ["Beta"]
    assert http.delete(PROMPTS).status_code == 400
    assert sqlite_site.http("agent").get(PROMPTS).status_code == 403


def test_files_that_nothing_names_go_after_a_day(tmp_path):
    for name in ("kept.wav", "old.wav", "new.wav"):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / "kept.wav", (1, 1))
    os.utime(tmp_path / "old.wav", (1, 1))
    os.utime(tmp_path / "new.wav", (100_000, 100_000))
    prompt_audio.sweep(tmp_path, {"kept.wav"}, now_s=100_100.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.wav", "new.wav"]
    prompt_audio.sweep(tmp_path / "none", ())


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    magic=st.sampled_from([b"RIFF", b"OggS", b"fLaC", b"ID3", b"\xff\xfb", wav(8000, 1, 0.05)[:44], b""]),
    rest=st.binary(max_size=400),
)
def test_bytes_of_strangers_are_refused_or_read(magic, rest):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "upload").write_bytes(magic + rest)
        made, refusal = None, None
        try:
            made = prompt_audio.store_upload(folder, "p", "en-us", folder / "upload")
        except ApiError as error:
            refusal = error.status
        left = {path.name for path in folder.iterdir()}
        assert (refusal, left) == (400, {"upload"}) if made is None else left == {"upload", made.file}

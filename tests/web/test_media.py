"""Media beyond the happy road: derived files, their making, and how long addresses live."""

from __future__ import annotations

import asyncio
import io
import re
import threading

import av
import httpx
import pytest
from sqlalchemy import select

from earwitness.archive.vault.errors import NotSealedError
from earwitness.store.tables import RecordingObject
from earwitness.web.api import derived
from earwitness.web.kernel.conversions import Conversions
from earwitness.web.kernel.errors import ApiError


def fetch(uri: str, **more) -> httpx.Response:
    return httpx.get(uri, trust_env=False, verify=False, timeout=20, **more)


def address(site, conversation_id, recording_id, format_id):
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    return site.http().get(path, params={"formatId": format_id}).json()["mediaUris"]["S"]["mediaUri"]


def objects(site):
    with site.world.database.reading() as session:
        return [(row.role, row.sha256) for row in session.scalars(select(RecordingObject))]


def test_what_is_in_the_vault_is_in_the_database(sqlite_site, recorded, monkeypatch):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    uri = address(sqlite_site, conversation_id, recording_id, "MP3")

    def fail(*_args):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(derived.recording_store, "put_object", fail)
        assert fetch(uri).status_code == 500
    vault = sqlite_site.app.state.services.vault
    with pytest.raises(NotSealedError):
        vault.manifest(f"{recording_id}-s-mp3")
    with monkeypatch.context() as patch:
        patch.setattr(vault, "seal", fail)
        assert fetch(uri).status_code == 500
    assert len(objects(sqlite_site)) == 1
    reply = fetch(uri)
    assert reply.status_code == 200
    assert objects(sqlite_site) == [("derived", reply.headers["etag"].strip('"'))]


def test_g9_the_page_does_not_prolong_addresses(sqlite_site, recorded):
    _, recording_id = recorded.store_call(sqlite_site)
    link = sqlite_site.http().get(f"/api/v2/earwitness/recordings/{recording_id}/page").json()["pageUri"]
    expires = httpx.URL(link).params["expires"]
    clock = sqlite_site.app.state.services.clock
    before_the_end = (int(expires) - 5) * 1_000_000
    object.__setattr__(clock, "now_us", lambda: before_the_end)
    assert set(re.findall(r"expires=(\d+)", fetch(link).text)) == {expires}


def test_listeners_wait_outside_the_threads_and_not_forever(sqlite_site, recorded, monkeypatch):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    services = sqlite_site.app.state.services
    services.conversions.close()
    services.conversions = Conversions(patience_s=0.05, most=1)
    gate, begun, real = threading.Event(), threading.Event(), derived.make

    def slow(*args):
        begun.set()
        assert gate.wait(10)
        real(*args)

    monkeypatch.setattr(derived, "make", slow)
    uri = address(sqlite_site, conversation_id, recording_id, "MP3")
    replies = [fetch(uri), fetch(address(sqlite_site, conversation_id, recording_id, "WAV"))]
    assert [(reply.status_code, reply.headers["retry-after"]) for reply in replies] == [(503, "5")] * 2
    assert begun.is_set()
    (pending,) = services.conversions._pending.values()
    done = threading.Event()
    pending.get_loop().call_soon_threadsafe(pending.add_done_callback, lambda _future: done.set())
    gate.set()
    assert done.wait(10)
    assert fetch(uri).status_code == 200


def test_the_same_work_is_done_once():
    async def story() -> None:
        conversions, gate, calls = Conversions(), threading.Event(), []

        def work() -> None:
            calls.append(1)
            gate.wait(10)

        waiting = [asyncio.create_task(conversions.done("a", work)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*waiting)
        assert calls == [1]

        def broken() -> None:
            raise ApiError(500, "broken")

        with pytest.raises(ApiError):
            await conversions.done("b", broken)
        await asyncio.sleep(0)
        assert not conversions._pending
        conversions.close()

    asyncio.run(story())


@pytest.mark.parametrize(("format_id", "key"), [("WEBM", "S"), ("WEBM", "0"), ("WEBM", "1"), ("OGG_OPUS", "1")])
def test_g9_one_channel_is_taken_out_of_the_master_and_not_sealed(sqlite_site, recorded, format_id, key):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    uris = sqlite_site.http().get(path, params={"formatId": format_id}).json()["mediaUris"]
    reply = fetch(uris[key]["mediaUri"])
    assert reply.status_code == 200
    with av.open(io.BytesIO(reply.content)) as file:
        stream = file.streams.audio[0]
        assert stream.codec_context.name in ("opus", "libopus")
        assert stream.codec_context.channels == (2 if key == "S" else 1)
    part = fetch(uris[key]["mediaUri"], headers={"Range": "bytes=10-99"})
    assert (part.status_code, part.content) == (206, reply.content[10:100])
    assert objects(sqlite_site) == []

"""The WebSocket behind a channel's ``connectUri``. The address is signed: it needs no token, nobody can guess it."""

from __future__ import annotations

import asyncio

import anyio.to_thread
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import notification_channels
from earwitness.web.kernel.services import Services
from earwitness.web.notify import frames
from earwitness.web.notify.connection import Connection
from earwitness.web.notify.hub import Hub, is_active

log = structlog.get_logger()

PATH = "/api/v2/earwitness/channels/{channelId}/events"
LIFE_S = 30 * 24 * 3600
"""An address stays good for so long after its channel was made, seconds; the channel's own end comes before."""


def connect_uri(parts: Services, base_url: str, channel_id: str, subject: Subject, created_us: int) -> str:
    """The address of a channel's events.

    :param base_url: where clients reach us, ``http(s)://…``.
    """
    path = PATH.format(channelId=channel_id)
    signed = parts.signer.signed(path, f"{subject.type}:{subject.id}", created_us // 1_000_000 + LIFE_S)
    return "ws" + base_url.removeprefix("http") + signed


async def serve(websocket: WebSocket) -> None:
    """Sends events until one side ends it. Refused (403) before it begins where the address is not good."""
    parts, hub = websocket.app.state.services, websocket.app.state.hub
    assert isinstance(parts, Services)
    assert isinstance(hub, Hub)
    channel_id = websocket.path_params["channelId"]
    signed_for = parts.signer.subject(websocket.url.path, websocket.query_params, parts.clock.now_us() / 1e6)
    scheme = "https" if websocket.url.scheme == "wss" else "http"
    base = parts.arguments.public_url.rstrip("/") or f"{scheme}://{websocket.url.netloc}"
    listener = None
    if signed_for is not None:
        kind, _, subject_id = signed_for.partition(":")
        listener = Connection(channel_id, Subject(kind, subject_id), Access(Subject(kind, subject_id)), base)
        if not await anyio.to_thread.run_sync(_admit, parts, listener):
            listener = None
    if listener is None:
        await websocket.close(4403)
        return
    await websocket.accept()
    await hub.join(listener)
    reader = asyncio.create_task(_read(websocket, listener))
    writer = asyncio.create_task(_write(websocket, listener))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(listener)
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)


def _admit(parts: Services, listener: Connection) -> bool:
    """Whether the channel lives and is the subject's; sets rights and subscriptions."""
    with parts.database.reading() as session:
        row = notification_channels.get(session, listener.channel_id, parts.clock.now_us())
        owned = row is not None and (row.subject_type, row.subject_id) == (listener.subject.type, listener.subject.id)
        if row is None or not owned or not is_active(session, listener):
            return False
        listener.access = access_store.access_of(session, listener.subject)
        listener.subscribe(row.topics)
    return True


async def _read(websocket: WebSocket, listener: Connection) -> None:
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if frames.is_ping(message.get("text") or ""):
                listener.put(frames.pong())
    except (WebSocketDisconnect, RuntimeError):
        return


async def _write(websocket: WebSocket, listener: Connection) -> None:
    try:
        while not isinstance(said := await listener.next(), tuple):
            await websocket.send_text(said)
        await websocket.close(*said)
    except (WebSocketDisconnect, RuntimeError, OSError):
        return

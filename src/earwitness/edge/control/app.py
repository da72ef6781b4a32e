"""The control API of a running edge: what goes on in it, live events, and what calls and agents are to do.

For the web process on the same machine (or network), never for users. Every request carries ``Authorization: Bearer``
with the token of ``DATA/run/control.token``.

=====================================  =============================================================================
``GET /health``                        figures of the process: calls, tables, counters, configuration version
``GET /conversations``                 conversations in progress: events so far and the time line folded from them
``GET /conversations/{id}``            one of them; 404 when it is not in progress here
``POST /conversations/{id}/disconnect``  hang up on everybody; body may be ``{"by": "<participant or user id>"}``
``POST /conversations/{id}/commands``  ``{"do": …, …}``: see ``edge.calls.commands``; 200 with the command's answer
``POST /calls``                        ``{"user", "to", "on_behalf_of_queue"?}``: rings the user's phone, then calls
``GET /agents``                        every user as the queues see one
``PUT /agents/{id}``                   ``{"on_queue"?, "status"?: "IDLE"}``
``DELETE /agents/{id}/acw``            the agent's wrap-up was given; ``?participant=`` names one of several
``GET /queues``                        who waits, and how many agents are there
``GET /registrations``                 bindings of all stations
``POST /reload``                       read the configuration now; answers with its version
``WS /events``                         every event once it is written: ``{"conversation_id": …, "event": {…}}``
=====================================  =============================================================================
"""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import fold
from earwitness.edge.calls.commands import CommandError, carry_out, goal_of
from earwitness.edge.calls.conversation import Conversation
from earwitness.edge.calls.switchboard import Switchboard
from earwitness.edge.queues.desk import UnknownAgent

MAX_BEHIND = 10_000
"""Events that a listener may be behind before its connection is closed."""


class Figures(Protocol):
    """What the edge's process adds to ``/health``."""

    def __call__(self) -> dict[str, Any]: ...


def make_app(
    switchboard: Switchboard,
    token: str,
    *,
    figures: Figures,
    reload: Callable[[], Awaitable[int]],
    unix_time: Callable[[], float],
) -> Starlette:
    """The API of one edge.

    :param reload: reads the configuration and gives its version.
    """

    def allowed(connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

    def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            return await endpoint(request) if allowed(request) else _error(401, "a bearer token is needed")

        return guard

    async def health(request: Request) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "pid": os.getpid(),
                "conversations": len(switchboard.conversations),
                "registrations": len(switchboard.registrar.all_bindings(unix_time())),
                "configVersion": switchboard.directory.snapshot.version,
                "spoolFull": switchboard.spool_full,
                "counters": dict(switchboard.counters),
                **figures(),
            }
        )

    async def conversations(request: Request) -> Response:
        return JSONResponse({"conversations": [_document(item) for item in switchboard.conversations.values()]})

    async def conversation(request: Request) -> Response:
        found = switchboard.conversations.get(request.path_params["id"])
        return JSONResponse(_document(found)) if found is not None else _error(404, "no such conversation in progress")

    async def disconnect(request: Request) -> Response:
        found = switchboard.conversations.get(request.path_params["id"])
        if found is None:
            return _error(404, "no such conversation in progress")
        values = await _body(request)
        if values is None:
            return _error(400, "the body is no JSON object")
        by = values.get("by")
        found.disconnect(by=by if isinstance(by, str) else None)
        return JSONResponse({"id": found.id}, 202)

    async def commands(request: Request) -> Response:
        found = switchboard.conversations.get(request.path_params["id"])
        if found is None:
            return _error(404, "no such conversation in progress")
        values = await _body(request)
        if values is None:
            return _error(400, "the body is no JSON object")
        try:
            return JSONResponse(carry_out(found, values))
        except CommandError as error:
            return _error(error.status, error.message, error.code)

    async def calls(request: Request) -> Response:
        values = await _body(request)
        user = values.get("user") if values is not None else None
        queue = values.get("on_behalf_of_queue") if values is not None else None
        if values is None or not isinstance(user, str) or not isinstance(queue, str | None):
            return _error(400, "'user' must be a text, and so must 'on_behalf_of_queue'")
        try:
            made = switchboard.call(user, goal_of(values), queue_id=queue)
        except CommandError as error:
            return _error(error.status, error.message, error.code)
        return _error(409, made, "conflict") if isinstance(made, str) else JSONResponse({"id": made.id}, 201)

    async def agents(request: Request) -> Response:
        return JSONResponse({"agents": [dataclasses.asdict(agent) for agent in switchboard.hall.desk.agents()]})

    async def agent(request: Request) -> Response:
        values = await _body(request)
        on_queue = values.get("on_queue") if values is not None else None
        status = values.get("status") if values is not None else None
        if values is None or not isinstance(on_queue, bool | None) or not isinstance(status, str | None):
            return _error(400, "'on_queue' must be true or false, and 'status' a text")
        try:
            switchboard.hall.set_agent(request.path_params["id"], on_queue, status)
        except UnknownAgent:
            return _error(404, "no such user")
        except ValueError as error:
            return _error(400, str(error))
        return JSONResponse(dataclasses.asdict(switchboard.hall.desk.agent(request.path_params["id"])))

    async def wrapped_up(request: Request) -> Response:
        switchboard.hall.end_acw(request.path_params["id"], request.query_params.get("participant"))
        return Response(status_code=204)

    async def queues(request: Request) -> Response:
        found = switchboard.hall.desk.queues(switchboard.hall.now_us())
        return JSONResponse({"queues": [dataclasses.asdict(queue) for queue in found]})

    async def registrations(request: Request) -> Response:
        found = switchboard.registrar.all_bindings(unix_time())
        return JSONResponse({"registrations": [dataclasses.asdict(item) for item in found]})

    async def read_again(request: Request) -> Response:
        return JSONResponse({"version": await reload()})

    async def events(websocket: WebSocket) -> None:
        if not allowed(websocket):
            await websocket.close(4401)
            return
        await websocket.accept()
        await _stream(websocket, switchboard)

    return Starlette(
        routes=[
            Route("/health", guarded(health)),
            Route("/conversations", guarded(conversations)),
            Route("/conversations/{id}", guarded(conversation)),
            Route("/conversations/{id}/disconnect", guarded(disconnect), methods=["POST"]),
            Route("/conversations/{id}/commands", guarded(commands), methods=["POST"]),
            Route("/calls", guarded(calls), methods=["POST"]),
            Route("/agents", guarded(agents)),
            Route("/agents/{id}", guarded(agent), methods=["PUT"]),
            Route("/agents/{id}/acw", guarded(wrapped_up), methods=["DELETE"]),
            Route("/queues", guarded(queues)),
            Route("/registrations", guarded(registrations)),
            Route("/reload", guarded(read_again), methods=["POST"]),
            WebSocketRoute("/events", events),
        ]
    )


async def _stream(websocket: WebSocket, switchboard: Switchboard) -> None:
    """Sends events until the listener goes, or falls too far behind."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(MAX_BEHIND + 1)

    def take(conversation_id: str, event: Event) -> None:
        if queue.qsize() < MAX_BEHIND:
            queue.put_nowait(f'{{"conversation_id":{json.dumps(conversation_id)},"event":{event.to_json()}}}')
        elif queue.qsize() == MAX_BEHIND:
            queue.put_nowait(None)

    async def send() -> None:
        while (text := await queue.get()) is not None:
            await websocket.send_text(text)
        await websocket.close(1013, "too far behind")

    unsubscribe = switchboard.subscribe(take)
    sender = asyncio.create_task(send())
    try:
        while True:
            await websocket.receive()
            if sender.done():
                return
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        unsubscribe()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


def _document(conversation: Conversation) -> dict[str, Any]:
    events = conversation.story.events()
    return {
        "id": conversation.id,
        "state": conversation.state.value,
        "events": [{"seq": e.seq, "at": e.at, "type": e.type, "data": dict(e.data)} for e in events],
        "timeline": fold(events).to_document(),
    }


async def _body(request: Request) -> dict[str, Any] | None:
    """The JSON object in the body, empty without one; None: it is something else."""
    body = await request.body()
    try:
        values = json.loads(body) if body.strip() else {}
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _error(status: int, message: str, code: str = "") -> JSONResponse:
    return JSONResponse({"status": status, "code": code, "message": message}, status)

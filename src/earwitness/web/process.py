"""The web process: the application behind uvicorn, on one socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from earwitness.web.app import create_app
from earwitness.web.arguments import WebArguments

log = structlog.get_logger()

GRACE_S = 5
"""How long requests under way may take after the signal to end, seconds."""


def run(arguments: WebArguments) -> None:
    """Serves until SIGTERM or SIGINT. Where it listens is told in ``web.json`` of the run folder.

    :raises OSError: the address cannot be listened on.
    """
    listener = _listen(arguments.host, arguments.port)
    with listener:
        config = server_config(arguments, create_app(arguments))
        told = arguments.run_dir / "web.json"
        host, port = listener.getsockname()[:2]
        _tell(told, {"url": f"http://{_reachable(host)}:{port}", "host": host, "port": port, "pid": os.getpid()})
        log.info("web.up", host=host, port=port)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            _untell(told)
            log.info("web.down")


def server_config(arguments: WebArguments, app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves. The address of a client is that of the connection, unless a trusted proxy tells another."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(arguments.trusted_proxies),
        forwarded_allow_ips=arguments.trusted_proxies or None,
        timeout_keep_alive=75,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _reachable(host: str) -> str:
    """An address to connect to, where ``host`` means every address of the machine."""
    if host in ("0.0.0.0", "", "::"):  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _tell(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(path)


def _untell(path: Path) -> None:
    """Removes what we told, unless a successor has told something else meanwhile."""
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        return

"""A bucket as far as exports use one: objects in a dict behind HTTP, signatures of AWS (version 4) demanded."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Bucket:
    """``objects`` by path, the bucket's name in front."""

    access_key: str = "AKIATEST"
    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    broken: bool = False
    _server: ThreadingHTTPServer | None = None

    def start(self) -> Bucket:
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def allowed(self) -> bool:
                sign = self.headers.get("Authorization", "")
                return sign.startswith(f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/") and not bucket.broken

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if not self.allowed():
                    self.reply(500 if bucket.broken else 403)
                    return
                path = self.path.partition("?")[0].lstrip("/")
                bucket.objects[path] = body
                bucket.puts.append(path)
                self.reply(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

            def do_GET(self) -> None:
                body = bucket.objects.get(self.path.partition("?")[0].lstrip("/"))
                if not self.allowed():
                    self.reply(500 if bucket.broken else 403)
                elif body is None:
                    self.reply(404)
                else:
                    date = "Sun, 22 Nov 2026 10:00:00 GMT"
                    self.reply(200, body, ETag=f'"{hashlib.md5(body).hexdigest()}"', Last_Modified=date)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

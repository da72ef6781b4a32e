"""A key service as a customer runs one: an HTTP server with private keys, Hawk, and a memory for nonces."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from earwitness.archive.vault import hawk
from earwitness.archive.vault.recording_keys import OAEP, der_of


@dataclass
class KeyServer:
    """Private keys stay in here."""

    api_id: str = "earwitness"
    api_key: str = "a long shared key"
    makes_keys: bool = True
    port: int = 0
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys/open"

    def make(self) -> tuple[str, str]:
        """A key pair: (id, public key)."""
        name = str(uuid.uuid4())
        self.keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return name, der_of(self.keys[name].public_key())

    def answer(self, authorization: str, kind: str, path: str, host: str, body: bytes) -> tuple[int, dict[str, Any]]:
        name, _, port = host.partition(":")
        address = hawk.Address("POST", path, name, int(port or 80))
        try:
            if hawk.parse(authorization).get("id") != self.api_id:
                return 401, {}
            payload = hawk.payload_hash(kind, body)
            nonce = hawk.verify(authorization, self.api_key, address, payload=payload, now_s=time.time())
        except hawk.HawkError:
            return 401, {}
        if nonce in self.nonces:
            return 401, {}
        self.nonces.add(nonce)
        document = json.loads(body)
        self.asked.append(document)
        if document.get("create"):
            if not self.makes_keys:
                return 501, {}
            keypair_id, public_key = self.make()
            return 200, {"keypairId": keypair_id, "publicKey": public_key}
        if document["keypairId"] not in self.keys:
            return 404, {}
        plain = self.keys[document["keypairId"]].decrypt(base64.b64decode(document["body"]), OAEP)
        return 200, {"body": base64.b64encode(plain).decode()}

    def start(self) -> KeyServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status, document = server.answer(
                        self.headers.get("Authorization", ""),
                        self.headers.get("Content-Type", ""),
                        self.path,
                        self.headers["Host"],
                        body,
                    )
                except ValueError:
                    status, document = 400, {}
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

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

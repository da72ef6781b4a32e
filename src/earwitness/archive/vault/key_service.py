"""Client of a local key manager: a customer's own server that keeps private keys and opens data keys for us.

The protocol (``docs/keys.md``): ``POST <url>`` with ``{"keypairId", "body"}``, body the wrapped data key in base64, is
answered ``{"body"}``, the data key in base64. Requests carry Hawk authentication. ``POST <url>`` with
``{"create": true}`` makes a key pair: ``{"keypairId", "publicKey"}``; a service may refuse that (404, 405, 501).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from earwitness.archive.vault import hawk
from earwitness.archive.vault.errors import KeyServiceError

TIMEOUT_S = 5.0
LONGEST_REPLY = 64 * 1024
CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class MadeKeyPair:
    """A key pair that the service has made; the private half stays there."""

    keypair_id: str
    public_key: str
    """Base64 of the DER form, or PEM."""


@dataclass(frozen=True, slots=True)
class KeyService:
    """One service."""

    url: str
    api_id: str
    api_key: str
    timeout_s: float = TIMEOUT_S
    now_s: Callable[[], float] = time.time
    transport: httpx.BaseTransport | None = None

    def decrypt(self, keypair_id: str, wrapped: bytes) -> bytes:
        """A data key.

        :raises KeyServiceError: it does not answer, refuses, or says what nobody understands.
        """
        reply = self._ask({"keypairId": keypair_id, "body": base64.b64encode(wrapped).decode()})
        try:
            return base64.b64decode(reply["body"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise KeyServiceError(f"the key service at {self.url} gave no key") from error

    def create(self) -> MadeKeyPair:
        """A new key pair.

        :raises KeyServiceError: as ``decrypt``.
        """
        reply = self._ask({"create": True})
        keypair_id, public_key = reply.get("keypairId"), reply.get("publicKey")
        if not isinstance(keypair_id, str) or not isinstance(public_key, str) or not keypair_id:
            raise KeyServiceError(f"the key service at {self.url} makes no key pairs; register one with its public key")
        return MadeKeyPair(keypair_id, public_key)

    def greet(self) -> None:
        """Asks for something that no service has, to see that it is there and knows us.

        :raises KeyServiceError: it does not answer, or does not know us.
        """
        body = base64.b64encode(bytes(32)).decode()
        status, _ = self._post({"keypairId": "earwitness-validation", "body": body})
        if status not in (200, 400, 404, 409, 410, 422):
            raise self._refusal(status)

    def _ask(self, document: dict[str, Any]) -> dict[str, Any]:
        status, data = self._post(document)
        if status != 200:
            raise self._refusal(status)
        try:
            found = json.loads(data)
        except ValueError as error:
            raise KeyServiceError(f"the key service at {self.url} gave no JSON") from error
        if not isinstance(found, dict):
            raise KeyServiceError(f"the key service at {self.url} gave no JSON object")
        return found

    def _refusal(self, status: int) -> KeyServiceError:
        if status in (401, 403):
            return KeyServiceError(
                f"the key service at {self.url} refused us ({status}): api id or key are wrong, or a clock is off"
            )
        return KeyServiceError(f"the key service at {self.url} answered {status}")

    def _post(self, document: dict[str, Any]) -> tuple[int, bytes]:
        body = json.dumps(document).encode()
        payload = hawk.payload_hash(CONTENT_TYPE, body)
        try:
            address = hawk.address_of("POST", self.url)
            authorization = hawk.header(
                self.api_id, self.api_key, address, ts=int(self.now_s()), nonce=secrets.token_hex(8), payload=payload
            )
            headers = {"Content-Type": CONTENT_TYPE, "Authorization": authorization}
            with (
                httpx.Client(timeout=self.timeout_s, trust_env=False, transport=self.transport) as client,
                client.stream("POST", self.url, content=body, headers=headers) as reply,
            ):
                data = b""
                for piece in reply.iter_bytes():
                    data += piece
                    if len(data) > LONGEST_REPLY:
                        raise KeyServiceError(f"the key service at {self.url} says too much")
                status = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL, hawk.HawkError, UnicodeError) as error:
            raise KeyServiceError(f"the key service at {self.url} cannot be reached: {error}") from error
        return status, data

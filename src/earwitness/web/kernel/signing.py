"""Signed media addresses (G9): they carry their own right to be read, for one subject and a short time.

The signature is HMAC-SHA256 over path, expiry and subject, so an address cannot be turned into another recording's,
prolonged, or used after its subject lost access (the server looks the subject up again at serve time).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from earwitness.store.secret_box import key_file

KEY_FILE = "media-url.key"


def load_key(keys_dir: Path) -> bytes:
    """The signing key of this installation; made when there is none."""
    return key_file(keys_dir, KEY_FILE)


class UrlSigner:
    """Signs and verifies. Times are UTC seconds."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def signed(self, path: str, subject: str, expires_s: int, *, download: str | None = None) -> str:
        """``path`` with the query that opens it.

        :param subject: ``user:<id>`` or ``client:<id>``.
        :param download: name under which a browser saves the file; not part of what is signed.
        """
        query = {"expires": expires_s, "subject": subject, "signature": self._signature(path, subject, expires_s)}
        if download is not None:
            query["download"] = download
        return f"{path}?{urlencode(query)}"

    def subject(self, path: str, query: Mapping[str, str], now_s: float) -> str | None:
        """For whom the address was made; None: forged, altered or expired."""
        expires, subject = query.get("expires", ""), query.get("subject", "")
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            return None
        right = hmac.compare_digest(
            self._signature(path, subject, int(expires)).encode(), query.get("signature", "").encode()
        )
        return subject if right and now_s < int(expires) else None

    def _signature(self, path: str, subject: str, expires_s: int) -> str:
        text = f"earwitness media url v1\n{path}\n{subject}\n{expires_s}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

"""Digest authentication, RFC 2617 §3.2.2 (MD5, qop=auth), written once for those who answer and those who check."""

from __future__ import annotations

import hashlib
import re


def parameters(header: str) -> dict[str, str]:
    """``Digest name="value", …`` as a dict."""
    return dict(re.findall(r'(\w+)="?([^",]*)"?', header.partition(" ")[2]))


def response(values: dict[str, str], password: str, method: str) -> str:
    """The right ``response`` for what the other parameters say."""
    secret = _md5(f"{values['username']}:{values['realm']}:{password}")
    request = _md5(f"{method}:{values['uri']}")
    return _md5(f"{secret}:{values['nonce']}:{values['nc']}:{values['cnonce']}:{values['qop']}:{request}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

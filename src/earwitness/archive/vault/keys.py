"""The keys of an installation: one folder, readable by its owner alone.

``recording-<n>.key``
    AES-256 keys that wrap data keys (RFC 3394). The highest number wraps; all unwrap.
``signing-<n>.key``
    Ed25519 private keys (raw, 32 bytes) that sign manifests, receipts and tree heads. The highest number signs.

``data/``
    wrapped data keys of recordings, unless they are elsewhere (see ``vault``); other modules read and write them.

Files hold the key in base64 with a line feed. Losing the folder loses every recording: back it up apart from the vault.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from earwitness.archive.vault.errors import IntegrityError, KeyMissingError

KEY_BYTES = 32
Random = Callable[[int], bytes]
_NAME = re.compile(r"(recording|signing)-([1-9][0-9]*)\.key")


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key that only the key folder can open."""

    version: int
    """Number of the recording key that wraps it."""
    wrapped: bytes
    """40 bytes (RFC 3394)."""


class Keyring:
    """Wraps and signs; see the head of this file."""

    def __init__(self, recording: Mapping[int, bytes], signing: Mapping[int, Ed25519PrivateKey]) -> None:
        if not recording or not signing:
            raise KeyMissingError("the key folder holds no recording key or no signing key; run `earwitness init`")
        self._recording, self._signing = dict(recording), dict(signing)
        self._public = {fingerprint(key.public_key()): key.public_key() for key in signing.values()}
        self.version = max(self._recording)
        """Number of the recording key in use."""

    def wrap(self, data_key: bytes) -> WrappedKey:
        """Wraps a data key with the newest recording key."""
        return WrappedKey(self.version, aes_key_wrap(self._recording[self.version], data_key))

    def unwrap(self, key: WrappedKey) -> bytes:
        """The data key.

        :raises KeyMissingError: its recording key is not here.
        :raises IntegrityError: it was changed.
        """
        if key.version not in self._recording:
            raise KeyMissingError(f"recording-{key.version}.key is missing from the key folder")
        try:
            return aes_key_unwrap(self._recording[key.version], key.wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise IntegrityError("the wrapped data key was changed") from error

    def sign(self, purpose: str, message: bytes) -> tuple[str, bytes]:
        """(fingerprint of the key, signature). ``purpose`` keeps a signature from being used for something else."""
        key = self._signing[max(self._signing)]
        return fingerprint(key.public_key()), key.sign(_framed(purpose, message))

    def verify(self, purpose: str, message: bytes, key: str, signature: bytes) -> None:
        """Checks a signature of ours.

        :raises IntegrityError: it is not, or the key is not one of this installation's.
        """
        if key not in self._public:
            raise IntegrityError(f"signed with key {key}, which is none of ours")
        verify(self._public[key], purpose, message, signature)

    def public_keys(self) -> dict[str, str]:
        """Fingerprint -> raw public key in base64, to give to those who want to verify without us."""
        return {name: base64.b64encode(key.public_bytes_raw()).decode() for name, key in self._public.items()}


def fingerprint(key: Ed25519PublicKey) -> str:
    """The first 16 bytes of the SHA-256 of the raw public key, in hex."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def verify(key: Ed25519PublicKey, purpose: str, message: bytes, signature: bytes) -> None:
    """Checks a signature with nothing but the public key.

    :raises IntegrityError: it does not fit.
    """
    try:
        key.verify(signature, _framed(purpose, message))
    except InvalidSignature as error:
        raise IntegrityError(f"the signature of this {purpose} does not fit") from error


def create_keys(folder: Path, random: Random = os.urandom) -> Keyring:
    """Makes the first keys of an installation; keys that are already there stay as they are."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for kind in ("recording", "signing"):
        if not any(match[1] == kind for match in _files(folder)):
            _write(folder / f"{kind}-1.key", random(KEY_BYTES))
    return load_keys(folder)


def rotate_recording_key(folder: Path, random: Random = os.urandom) -> Keyring:
    """Adds a recording key, which wraps from now on; older ones keep unwrapping."""
    newest = load_keys(folder).version
    _write(folder / f"recording-{newest + 1}.key", random(KEY_BYTES))
    return load_keys(folder)


def load_keys(folder: Path) -> Keyring:
    """Reads the key folder.

    :raises KeyMissingError: there is none, it is open to others, or a file in it is no key.
    """
    recording: dict[int, bytes] = {}
    signing: dict[int, Ed25519PrivateKey] = {}
    for match in _files(folder):
        path = folder / match[0]
        if path.stat().st_mode & 0o077:
            raise KeyMissingError(f"{path} can be read by others; run: chmod 600 {path}")
        try:
            raw = base64.b64decode(path.read_text("ascii").strip(), validate=True)
        except (ValueError, binascii.Error) as error:
            raise KeyMissingError(f"{path} is not a key") from error
        if len(raw) != KEY_BYTES:
            raise KeyMissingError(f"{path} holds {len(raw)} bytes, not {KEY_BYTES}")
        if match[1] == "recording":
            recording[int(match[2])] = raw
        else:
            signing[int(match[2])] = Ed25519PrivateKey.from_private_bytes(raw)
    return Keyring(recording, signing)


def _files(folder: Path) -> list[re.Match[str]]:
    if not folder.is_dir():
        return []
    return [match for match in (_NAME.fullmatch(path.name) for path in sorted(folder.iterdir())) if match]


def _write(path: Path, raw: bytes) -> None:
    """Writes a key so that it is either whole or not there."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(raw) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        return
    finally:
        partial.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _framed(purpose: str, message: bytes) -> bytes:
    return f"earwitness/{purpose}/1\n".encode() + message

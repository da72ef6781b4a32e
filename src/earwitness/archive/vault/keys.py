"""The keys of an installation: one folder, readable by its owner alone.

``recording-<n>.key``
    AES-256 keys that wrap data keys (RFC 3394).
``recording-<n>.json``
    Recording keys that are kept elsewhere, or half of them: ``LocalKeyManager`` and ``KmsSymmetric`` (see
    ``recording_keys``). The highest number of both kinds of file wraps; all unwrap.
``service-<id>.json``
    Where a key service is, and by which id and key we may ask it.
``signing-<n>.key``
    Ed25519 private keys (raw, 32 bytes) that sign manifests, receipts and tree heads. The highest number signs.

``data/``
    wrapped data keys of recordings, unless they are elsewhere (see ``vault``); other modules read and write them.

Files ``.key`` hold the key in base64 with a line feed. Losing the folder loses every recording: back it up apart from
the vault. A keyring that was loaded from the folder notices keys that are added later, by whichever process.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from earwitness.archive.vault.errors import IntegrityError, KeyMissingError, KeyServiceError
from earwitness.archive.vault.key_service import KeyService
from earwitness.archive.vault.recording_keys import KEY_BYTES as KEY_BYTES
from earwitness.archive.vault.recording_keys import NativeKey, RecordingKey, from_document

Random = Callable[[int], bytes]
_NAME = re.compile(r"(recording|signing)-([1-9][0-9]{0,8})\.(key|json)")
SETTLED_NS = 1_000_000_000
"""File systems do not tell apart what happens within milliseconds."""
_CONFIGURATION = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key that only its recording key can open."""

    version: int
    """Number of the recording key that wraps it."""
    wrapped: bytes
    """40 bytes (RFC 3394), or as long as the modulus of a key pair."""


class Keyring:
    """Wraps and signs; see the head of this file. Safe for threads."""

    def __init__(
        self,
        recording: Mapping[int, RecordingKey],
        signing: Mapping[int, Ed25519PrivateKey],
        folder: Path | None = None,
    ) -> None:
        """
        :param folder: where keys may be added later; None: nowhere.
        """
        if not recording or not signing:
            raise KeyMissingError("the key folder holds no recording key or no signing key; run `earwitness init`")
        self._recording, self._signing = dict(recording), dict(signing)
        self._public = {fingerprint(key.public_key()): key.public_key() for key in signing.values()}
        self._folder = folder
        self._seen_ns = 0
        self._lock = threading.Lock()

    @property
    def version(self) -> int:
        """Number of the recording key in use."""
        return max(self._keys())

    def recording_keys(self) -> dict[int, RecordingKey]:
        """Every recording key, by number."""
        return dict(self._keys())

    def wrap(self, data_key: bytes) -> WrappedKey:
        """Wraps a data key with the newest recording key.

        :raises KeyServiceError: that is kept by a KMS, which does not open it.
        """
        keys = self._keys()
        version = max(keys)
        return WrappedKey(version, keys[version].wrap(data_key))

    def unwrap(self, key: WrappedKey) -> bytes:
        """The data key.

        :raises KeyMissingError: its recording key is not here.
        :raises KeyServiceError: its recording key is kept elsewhere, and that service does not help now.
        :raises IntegrityError: it was changed.
        """
        keys = self._keys()
        if key.version not in keys:
            raise KeyMissingError(f"recording key {key.version} is missing from the key folder")
        return keys[key.version].unwrap(key.wrapped)

    def kind(self, version: int) -> str | None:
        """The kind of a recording key; None: it is not here."""
        found = self._keys().get(version)
        return found.kind if found is not None else None

    def _keys(self) -> dict[int, RecordingKey]:
        """The recording keys, those that were added since included."""
        if self._folder is not None:
            changed = _changed_ns(self._folder)
            if changed == 0 or changed != self._seen_ns:
                with self._lock:
                    self._recording = {**self._recording, **_recording_keys(self._folder, self._recording)}
                    self._seen_ns = changed
        return self._recording

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
            _write(folder / f"{kind}-1.key", base64.b64encode(random(KEY_BYTES)) + b"\n")
    return load_keys(folder)


def rotate_recording_key(folder: Path, random: Random = os.urandom) -> Keyring:
    """Adds a recording key of our own, which wraps from now on; older ones keep unwrapping."""
    add_native_key(folder, random)
    return load_keys(folder)


def add_native_key(folder: Path, random: Random = os.urandom) -> int:
    """Adds a recording key of our own; gives its number."""
    return _add(folder, "key", base64.b64encode(random(KEY_BYTES)) + b"\n")


def add_described_key(folder: Path, document: Mapping[str, Any]) -> int:
    """Adds a recording key that is kept elsewhere; gives its number.

    :param document: as ``recording_keys.from_document`` reads it.
    :raises KeyMissingError: it describes none.
    """
    from_document(dict(document), lambda name: service_of(folder, name))
    return _add(folder, "json", json.dumps(dict(document), sort_keys=True).encode() + b"\n")


def put_service(folder: Path, configuration_id: str, url: str, api_id: str, api_key: str) -> None:
    """Notes where a key service is, and how to ask it. Replaces what was noted of it.

    :raises ValueError: no id of ours.
    """
    if not _CONFIGURATION.fullmatch(configuration_id):
        raise ValueError(f"{configuration_id!r} is no id")
    content = json.dumps({"url": url, "apiId": api_id, "apiKey": api_key}).encode() + b"\n"
    path = folder / f"service-{configuration_id}.json"
    partial = _partial(path, content)
    partial.replace(path)
    _sync(folder)


def service_of(folder: Path, configuration_id: str) -> KeyService:
    """A key service as it is configured now.

    :raises KeyServiceError: there is none of that id, or its file is damaged.
    """
    try:
        document = json.loads((folder / f"service-{configuration_id}.json").read_bytes())
        return KeyService(str(document["url"]), str(document["apiId"]), str(document["apiKey"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyServiceError(f"the key service of configuration {configuration_id} is not configured here") from error


def load_keys(folder: Path) -> Keyring:
    """Reads the key folder.

    :raises KeyMissingError: there is none, it is open to others, or a file in it is no key.
    """
    signing = {
        int(match[2]): Ed25519PrivateKey.from_private_bytes(_raw(folder / match[0]))
        for match in _files(folder)
        if match[1] == "signing" and match[3] == "key"
    }
    return Keyring(_recording_keys(folder, {}), signing, folder)


def _recording_keys(folder: Path, known: Mapping[int, RecordingKey]) -> dict[int, RecordingKey]:
    """Those in the folder that are not known yet."""
    found: dict[int, RecordingKey] = {}
    for match in _files(folder):
        number, path = int(match[2]), folder / match[0]
        if match[1] != "recording" or number in known:
            continue
        if number in found:
            raise KeyMissingError(f"there are two recording keys of number {number} in {folder}")
        if match[3] == "key":
            found[number] = NativeKey(_raw(path))
            continue
        _check_mode(path)
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise KeyMissingError(f"{path} is not a key") from error
        if not isinstance(document, dict):
            raise KeyMissingError(f"{path} is not a key")
        found[number] = from_document(document, lambda name: service_of(folder, name))
    return found


def _raw(path: Path) -> bytes:
    _check_mode(path)
    try:
        raw = base64.b64decode(path.read_text("ascii").strip(), validate=True)
    except (ValueError, binascii.Error) as error:
        raise KeyMissingError(f"{path} is not a key") from error
    if len(raw) != KEY_BYTES:
        raise KeyMissingError(f"{path} holds {len(raw)} bytes, not {KEY_BYTES}")
    return raw


def _check_mode(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise KeyMissingError(f"{path} can be read by others; run: chmod 600 {path}")


def _files(folder: Path) -> list[re.Match[str]]:
    if not folder.is_dir():
        return []
    return [match for match in (_NAME.fullmatch(path.name) for path in sorted(folder.iterdir())) if match]


def _changed_ns(folder: Path) -> int:
    """When a file was last added to the folder; 0: a moment ago, so that another may come at the same time."""
    try:
        changed = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
    return changed if time.time_ns() - changed > SETTLED_NS else 0


def _add(folder: Path, extension: str, content: bytes) -> int:
    """Adds a recording key under the next number, one process at a time."""
    handle = os.open(folder / ".keys.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        number = 1 + max((int(match[2]) for match in _files(folder) if match[1] == "recording"), default=0)
        _write(folder / f"recording-{number}.{extension}", content)
        return number
    finally:
        os.close(handle)


def _write(path: Path, content: bytes) -> bool:
    """Writes a file so that it is either whole or not there; False: there was one."""
    partial = _partial(path, content)
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    _sync(path.parent)
    return True


def _partial(path: Path, content: bytes) -> Path:
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return partial


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _framed(purpose: str, message: bytes) -> bytes:
    return f"earwitness/{purpose}/1\n".encode() + message

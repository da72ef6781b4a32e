"""The kinds of recording keys: what wraps data keys, and what opens them again.

``Native``
    An AES-256 key in a file of the key folder (RFC 3394).
``LocalKeyManager``
    The public half of an RSA key pair. The private half is with a customer's key service, which is asked for every data
    key. Wrapping needs no service, so calls are recorded and sealed while it is away; nothing can be played then.
``KmsSymmetric``
    An AES-256 key that is kept only as a KMS has sealed it, and opened once a process.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from earwitness.archive.vault import kms
from earwitness.archive.vault.errors import IntegrityError, KeyMissingError, KeyServiceError
from earwitness.archive.vault.key_service import KeyService

NATIVE, LOCAL, KMS = "Native", "LocalKeyManager", "KmsSymmetric"
KEY_BYTES = 32
LEAST_BITS = 2048
REMEMBERED = 256
REMEMBER_S = 60.0
"""How long a data key from a key service is kept in memory, for the ranges that a player asks for next."""


class RecordingKey(Protocol):
    """What a keyring needs of one."""

    @property
    def kind(self) -> str:
        """``Native``, ``LocalKeyManager`` or ``KmsSymmetric``."""

    @property
    def summary(self) -> str:
        """Something to tell it from others, not secret."""

    def wrap(self, data_key: bytes) -> bytes:
        """The data key, for this key only."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The reverse."""


@dataclass(frozen=True, slots=True)
class NativeKey:
    """An AES-256 key."""

    key: bytes = field(repr=False)
    kind: str = NATIVE

    @property
    def summary(self) -> str:
        """The first 16 bytes of its SHA-256, hex."""
        return hashlib.sha256(b"earwitness recording key\n" + self.key).hexdigest()[:32]

    def wrap(self, data_key: bytes) -> bytes:
        """RFC 3394."""
        return aes_key_wrap(self.key, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """:raises IntegrityError: it was changed."""
        try:
            return aes_key_unwrap(self.key, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise IntegrityError("the wrapped data key was changed") from error


def public_key_of(text: str) -> RSAPublicKey:
    """Reads an RSA public key: base64 of its DER form (SubjectPublicKeyInfo), or PEM.

    :raises ValueError: something else, or fewer than 2048 bits.
    """
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_public_key(text.encode("ascii"))
        else:
            key = serialization.load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm, UnicodeError) as error:
        raise ValueError("publicKey is no RSA public key (base64 of its DER form, or PEM)") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("publicKey is a public key, but not of RSA")
    if key.key_size < LEAST_BITS:
        raise ValueError(f"publicKey has {key.key_size} bits, {LEAST_BITS} are the least")
    return key


def der_of(key: RSAPublicKey) -> str:
    """Base64 of the DER form."""
    raw = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(raw).decode()


OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
"""RSA-OAEP with SHA-256 twice."""


class LocalKey:
    """A key pair of a key service."""

    kind = LOCAL

    def __init__(
        self,
        public_key: RSAPublicKey,
        keypair_id: str,
        service: Callable[[], KeyService],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param service: gives the service as it is configured now.
        :raises KeyServiceError: (of ``service``) there is none any more.
        """
        self.public_key, self.keypair_id = public_key, keypair_id
        self._service, self._clock = service, clock
        self._known: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def summary(self) -> str:
        """The public key."""
        return der_of(self.public_key)

    def wrap(self, data_key: bytes) -> bytes:
        """Needs nobody."""
        return self.public_key.encrypt(data_key, OAEP)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Asks the service, or remembers what it said a moment ago.

        :raises KeyServiceError: it is away, or refuses.
        :raises IntegrityError: what it gave is no data key.
        """
        now = self._clock()
        with self._lock:
            found = self._known.get(wrapped)
        if found is not None and now - found[0] < REMEMBER_S:
            return found[1]
        key = self._service().decrypt(self.keypair_id, wrapped)
        if len(key) != KEY_BYTES:
            raise IntegrityError("the key service gave something that is no data key")
        with self._lock:
            self._known[wrapped] = (now, key)
            for old in [name for name, (at, _) in self._known.items() if now - at >= REMEMBER_S]:
                del self._known[old]
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return key


class KmsKey:
    """An AES-256 key that a KMS has sealed."""

    kind = KMS

    def __init__(self, arn: str, sealed: bytes) -> None:
        self.arn, self.sealed = arn, sealed
        self._opened: NativeKey | None = None
        self._lock = threading.Lock()

    @property
    def summary(self) -> str:
        """A hash of the sealed form."""
        return hashlib.sha256(self.sealed).hexdigest()[:32]

    def wrap(self, data_key: bytes) -> bytes:
        """:raises KeyServiceError: the KMS does not open our key."""
        return self._key().wrap(data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """:raises KeyServiceError: the KMS does not open our key. :raises IntegrityError: it was changed."""
        return self._key().unwrap(wrapped)

    def _key(self) -> NativeKey:
        with self._lock:
            if self._opened is None:
                plain = kms.decrypt(self.arn, self.sealed)
                if len(plain) != KEY_BYTES:
                    raise KeyServiceError(f"the KMS opened {self.arn} to something that is no key")
                self._opened = NativeKey(plain)
            return self._opened


def from_document(document: dict[str, Any], service: Callable[[str], KeyService]) -> RecordingKey:
    """A key as a file of the key folder describes it.

    :param service: configuration id -> service.
    :raises KeyMissingError: the file is damaged.
    """
    try:
        if document["type"] == LOCAL:
            configuration_id = str(document["configuration"])
            public_key = public_key_of(str(document["publicKey"]))
            return LocalKey(public_key, str(document["keypairId"]), lambda: service(configuration_id))
        if document["type"] == KMS:
            return KmsKey(str(document["arn"]), base64.b64decode(document["sealed"], validate=True))
        raise KeyMissingError(f"a recording key of unknown type {document['type']!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise KeyMissingError(f"a recording key that cannot be read: {error}") from error

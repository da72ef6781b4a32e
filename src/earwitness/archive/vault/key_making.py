"""Making recording keys, and trying out those who keep them for us."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earwitness.archive.vault import kms
from earwitness.archive.vault.errors import KeyServiceError
from earwitness.archive.vault.key_service import KeyService
from earwitness.archive.vault.keys import add_described_key, add_native_key, service_of
from earwitness.archive.vault.recording_keys import KEY_BYTES, KMS, LOCAL, NATIVE, OAEP, der_of, public_key_of

Random = Callable[[int], bytes]
KINDS = (NATIVE, LOCAL, KMS)


@dataclass(frozen=True, slots=True)
class Way:
    """How recording keys are made, as configured."""

    kind: str
    configuration_id: str = ""
    arn: str = ""


def make_key(folder: Path, way: Way, random: Random = os.urandom) -> int:
    """Makes a recording key, which wraps from now on; gives its number.

    :raises KeyServiceError: those who are to keep it do not answer, or refuse; nothing has changed.
    """
    if way.kind == LOCAL:
        made = service_of(folder, way.configuration_id).create()
        return register_key(folder, way.configuration_id, made.keypair_id, made.public_key, random)
    if way.kind == KMS:
        key = random(KEY_BYTES)
        sealed = _seal(way.arn, key)
        document = {"type": KMS, "arn": way.arn, "sealed": base64.b64encode(sealed).decode()}
        return add_described_key(folder, document)
    return add_native_key(folder, random)


def register_key(
    folder: Path, configuration_id: str, keypair_id: str, public_key: str, random: Random = os.urandom
) -> int:
    """Takes a key pair of a key service into use; gives the number of the recording key.

    The service must open what is wrapped for it, else nothing that is recorded from now on could ever be played.

    :raises ValueError: the public key is none. :raises KeyServiceError: the service does not open it.
    """
    key = public_key_of(public_key)
    secret = random(KEY_BYTES)
    if service_of(folder, configuration_id).decrypt(keypair_id, key.encrypt(secret, OAEP)) != secret:
        raise KeyServiceError("the key service does not open what is wrapped with this public key")
    return add_described_key(
        folder,
        {"type": LOCAL, "configuration": configuration_id, "keypairId": keypair_id, "publicKey": der_of(key)},
    )


def try_service(service: KeyService) -> None:
    """Sees whether a key service answers, and takes our credentials.

    :raises KeyServiceError: it does not.
    """
    service.greet()


def try_kms(arn: str, random: Random = os.urandom) -> None:
    """Sees whether a KMS seals with a key, and opens what it sealed.

    :raises KeyServiceError: it does not, or there is no provider.
    """
    _seal(arn, random(KEY_BYTES))


def _seal(arn: str, key: bytes) -> bytes:
    sealed = kms.encrypt(arn, key)
    if sealed == key or kms.decrypt(arn, sealed) != key:
        raise KeyServiceError(f"the KMS does not keep what it is given with {arn}")
    return sealed

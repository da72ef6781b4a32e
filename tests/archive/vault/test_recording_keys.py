"""Recording keys of three kinds, with a real key service over HTTP (I11)."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from earwitness.archive.vault import (
    IntegrityError,
    Item,
    KeyMissingError,
    KeyServiceError,
    Vault,
    create_keys,
    hawk,
    kms,
    load_keys,
    rotate_recording_key,
)
from earwitness.archive.vault.key_service import KeyService
from earwitness.archive.vault.keys import add_described_key, add_native_key, put_service, service_of
from earwitness.archive.vault.recording_keys import KMS, LOCAL, NATIVE, der_of, public_key_of

SPECIFICATION = importlib.util.spec_from_file_location("key_server", Path(__file__).with_name("key_server.py"))
assert SPECIFICATION is not None
assert SPECIFICATION.loader is not None
MODULE = importlib.util.module_from_spec(SPECIFICATION)
__import__("sys").modules["key_server"] = MODULE
SPECIFICATION.loader.exec_module(MODULE)


@pytest.fixture
def server() -> Iterator[Any]:
    server = MODULE.KeyServer().start()
    yield server
    server.stop()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_keys(tmp_path / "keys")
    return tmp_path / "keys"


def vault_at(tmp_path: Path) -> Vault:
    return Vault.at(tmp_path / "vault", tmp_path / "keys")


def use(keys: Path, server: Any) -> str:
    """From now on recordings are wrapped for a key pair of the service; its id."""
    keypair_id, public_key = server.make()
    put_service(keys, "c1", server.url, server.api_id, server.api_key)
    add_described_key(keys, {"type": LOCAL, "configuration": "c1", "keypairId": keypair_id, "publicKey": public_key})
    return keypair_id


def seal(vault: Vault, recording_id: str, data: bytes) -> None:
    vault.seal(recording_id, [Item("master", "audio/ogg", data)], {}, 7)


def read(vault: Vault, recording_id: str) -> bytes:
    return vault.open(recording_id).item("master").read()


def test_i11_a_local_key_manager_opens_what_was_sealed_without_it(tmp_path: Path, keys: Path, server: Any) -> None:
    vault = vault_at(tmp_path)
    seal(vault, "before", b"native")
    keypair_id = use(keys, server)
    assert vault.keyring.kind(vault.keyring.version) == LOCAL
    server.stop()
    seal(vault, "during", b"the service is away")
    assert server.asked == []
    with pytest.raises(KeyServiceError, match="cannot be reached"):
        read(vault_at(tmp_path), "during")
    assert read(vault, "before") == b"native"
    server.start()
    assert read(vault_at(tmp_path), "during") == b"the service is away"
    assert [item["keypairId"] for item in server.asked] == [keypair_id]
    other = vault_at(tmp_path)
    for _ in range(3):
        read(other, "during")
    assert len(server.asked) == 2, "a player's ranges ask once"
    stored = b"".join(path.read_bytes() for path in keys.rglob("*") if path.is_file() and "service" not in path.name)
    assert server.api_key.encode() not in stored


def test_i11_what_was_destroyed_is_not_remembered(tmp_path: Path, keys: Path, server: Any) -> None:
    use(keys, server)
    vault = vault_at(tmp_path)
    seal(vault, "r", b"x")
    read(vault, "r")
    vault.destroy("r", by="t", reason="t", at_us=1)
    with pytest.raises(Exception, match="destroyed"):
        read(vault, "r")


def test_i11_wrong_credentials_wrong_keys_and_strange_answers_are_named(keys: Path, server: Any) -> None:
    service = KeyService(server.url, server.api_id, "another key")
    with pytest.raises(KeyServiceError, match="refused us"):
        service.decrypt("k", b"x")
    service = KeyService(server.url, server.api_id, server.api_key)
    with pytest.raises(KeyServiceError, match="404"):
        service.decrypt("unknown", b"x")
    made = service.create()
    public_key_of(made.public_key)
    server.makes_keys = False
    with pytest.raises(KeyServiceError, match="501"):
        service.create()
    for url in ("", "ftp://x", "http://", "http://127.0.0.1:99999/", "http://[", "https://127.0.0.1:1/"):
        with pytest.raises(KeyServiceError):
            KeyService(url, "i", "k").decrypt("k", b"x")
    with pytest.raises(KeyServiceError, match="not configured"):
        service_of(keys, "nowhere")
    with pytest.raises(ValueError, match="no id"):
        put_service(keys, "../x", "http://x", "i", "k")


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"[]", b"{}", b'{"body": 7}', b'{"body": "!!"}', b"x" * 100_000])
def test_i11_answers_that_are_none(answer: bytes) -> None:
    import httpx

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=answer))
    with pytest.raises(KeyServiceError):
        KeyService("http://k/", "i", "k", transport=transport).decrypt("k", b"x")


def test_i11_public_keys_that_are_none() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    for text in ("", "AAAA", "not base64", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", der_of(small)):
        with pytest.raises(ValueError, match="publicKey"):
            public_key_of(text)
    with pytest.raises(ValueError, match="not of RSA"):
        public_key_of(der_of(curve))  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_i11_any_text_is_a_public_key_or_a_clear_no(text: str) -> None:
    with pytest.raises(ValueError, match="publicKey"):
        public_key_of(text)


class Machine:
    """A KMS."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0

    def encrypt(self, key_id: str, plain: bytes) -> bytes:
        return self.decrypt(key_id, plain)

    def decrypt(self, key_id: str, sealed: bytes) -> bytes:
        self.asked += 1
        if not self.up:
            raise OSError("no route")
        return bytes(byte ^ 0x5A for byte in sealed)


def test_i11_without_a_provider_a_kms_key_is_a_clear_error(tmp_path: Path, keys: Path) -> None:
    arn = "arn:aws:kms:eu-central-1:1:alias/recordings"
    with pytest.raises(KeyServiceError, match=r"no KMS provider is configured for 'arn:aws"):
        kms.encrypt(arn, b"x" * 32)
    add_described_key(keys, {"type": KMS, "arn": arn, "sealed": base64.b64encode(b"x" * 32).decode()})
    with pytest.raises(KeyServiceError, match="no KMS provider"):
        seal(vault_at(tmp_path), "r", b"x")


def test_i11_a_kms_is_asked_once_a_process(tmp_path: Path, keys: Path) -> None:
    machine, arn = Machine(), "test:key"
    kms.register("test", machine)
    try:
        sealed = kms.encrypt(arn, os.urandom(32))
        add_described_key(keys, {"type": KMS, "arn": arn, "sealed": base64.b64encode(sealed).decode()})
        vault = vault_at(tmp_path)
        seal(vault, "r", b"x")
        machine.up = False
        assert read(vault, "r") == b"x"
        with pytest.raises(KeyServiceError, match="no route"):
            read(vault_at(tmp_path), "r")
        machine.up = True
        assert read(vault_at(tmp_path), "r") == b"x"
    finally:
        kms.unregister("test")


def test_i11_keys_of_several_processes_have_different_numbers(keys: Path) -> None:
    numbers: list[int] = []

    def add() -> None:
        numbers.extend(add_native_key(keys) for _ in range(5))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(2, 22))
    assert len({key.summary for key in load_keys(keys).recording_keys().values()}) == 21


def test_i11_a_key_with_a_number_of_another_or_damaged(keys: Path) -> None:
    with pytest.raises(KeyMissingError):
        add_described_key(keys, {"type": "Other"})
    for content in ("[]", "{", '{"type": "KmsSymmetric"}'):
        path = keys / "recording-2.json"
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(KeyMissingError):
            load_keys(keys)
        path.unlink()
    (keys / "recording-1.json").write_text('{"type": "KmsSymmetric", "arn": "a:b", "sealed": "AAAA"}')
    (keys / "recording-1.json").chmod(0o600)
    with pytest.raises(KeyMissingError, match="two recording keys"):
        load_keys(keys)


def test_i11_rewrapping_moves_a_recording_under_the_newest_key(tmp_path: Path, keys: Path, server: Any) -> None:
    vault = vault_at(tmp_path)
    seal(vault, "r", b"x")
    use(keys, server)
    assert vault.rewrap("r")
    assert vault.wrapped_by("r") == 2
    assert read(vault, "r") == b"x"
    rotate_recording_key(keys)
    assert vault.keyring.kind(3) == NATIVE
    assert vault.rewrap("r")
    server.stop()
    assert read(vault_at(tmp_path), "r") == b"x"


def test_i11_a_changed_data_key_is_noticed(tmp_path: Path, keys: Path, server: Any) -> None:
    use(keys, server)
    vault = vault_at(tmp_path)
    seal(vault, "r", b"x")
    (stored,) = (keys / "data").rglob("*.key")
    stored.write_bytes(stored.read_bytes().replace(b"A", b"B"))
    with pytest.raises((IntegrityError, KeyServiceError)):
        read(vault, "r")


@given(st.text(max_size=300))
def test_any_hawk_header_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"Hawk {text}", f'Hawk id="{text}"'):
        with contextlib.suppress(hawk.HawkError):
            assert isinstance(hawk.parse(candidate), dict)


def test_hawk_as_published() -> None:
    """The examples of the Hawk specification (header, and payload verification)."""
    address = hawk.address_of("GET", "http://example.com:8000/resource/1?b=1&a=2")
    key = "werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn"
    payload = hawk.payload_hash("text/plain", b"Thank you for flying Hawk")
    assert payload == "Yi9LfIIFRtBEPt74PVmbTF/xVAwPn7ub15ePICfgnuY="
    post = hawk.address_of("POST", "http://example.com:8000/resource/1?b=1&a=2")
    header = hawk.header("dh37fgj492je", key, post, ts=1353832234, nonce="j4h3g2", payload=payload)
    assert hawk.verify(header, key, post, payload=payload, now_s=1353832230) == "j4h3g2"
    for wrong in (
        {"key": "x"}, {"address": address}, {"payload": "x"}, {"now_s": 1353833000},
    ):  # fmt: skip
        given_ = {"key": key, "address": post, "payload": payload, "now_s": 1353832230.0} | wrong
        with pytest.raises(hawk.HawkError):
            hawk.verify(header, given_.pop("key"), given_.pop("address"), **given_)

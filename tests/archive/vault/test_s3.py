"""The vault on an S3 API: what it needs of a bucket (conditional create, ranges, several parts) with a real server.

Runs when ``EARWITNESS_TEST_S3`` names a bucket that may be filled, e.g. ``http://127.0.0.1:5000/bucket`` of
``moto_server`` or MinIO; key, secret and region come from the environment as ever (``AWS_ACCESS_KEY_ID`` …).
"""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path

import pytest

from earwitness.archive.vault import DestroyedError, Item, Vault, create_keys

BUCKET = os.environ.get("EARWITNESS_TEST_S3", "")
SEVERAL_PARTS = 12_000_000
"""Bytes; obstore sends objects above 5 MiB in parts."""

pytestmark = pytest.mark.skipif(not BUCKET, reason="EARWITNESS_TEST_S3 names no bucket")


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(objects, wrapped data keys), both empty."""
    endpoint, _, bucket = BUCKET.rpartition("/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if endpoint.startswith("http:"):
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    folder = uuid.uuid4().hex
    return f"s3://{bucket}/{folder}/vault", f"s3://{bucket}/{folder}/keys"


@pytest.fixture
def vault(urls: tuple[str, str], tmp_path: Path) -> Vault:
    create_keys(tmp_path / "keys")
    return Vault.at(urls[0], tmp_path / "keys", urls[1])


def test_sealed_read_and_destroyed_in_a_bucket(vault: Vault, urls: tuple[str, str], tmp_path: Path) -> None:
    data = os.urandom(SEVERAL_PARTS)
    sealed = vault.seal("r", [Item("master", "audio/ogg", data), Item("peaks", "x/y", b"peaks")], {"a": 1}, 7)
    again = Vault.at(urls[0], tmp_path / "keys", urls[1])
    assert again.seal("r", [Item("master", "audio/ogg", b"another")], {}, 8) == sealed
    assert again.verify("r") == sealed
    item = again.open("r").item("master")
    assert item.size == SEVERAL_PARTS
    for start, end in ((0, 1), (65_535, 65_537), (6_000_000, 6_200_000), (SEVERAL_PARTS - 1, SEVERAL_PARTS)):
        assert item.read(start, end) == data[start:end]
    stored = again.objects.get(sealed.items[0].object) or b""
    assert len(stored) > SEVERAL_PARTS
    assert data[:64] not in stored
    again.destroy("r", by="somebody", reason="test", at_us=9)
    with pytest.raises(DestroyedError):
        vault.open("r")
    with pytest.raises(DestroyedError):
        vault.seal("r", [Item("master", "audio/ogg", data)], {}, 10)
    assert vault.objects.list("recordings/r") == ["recordings/r/tombstone.json"]
    assert vault.data_keys.list("recordings/r") == []


def test_two_writers_share_one_log_in_a_bucket(vault: Vault, urls: tuple[str, str], tmp_path: Path) -> None:
    other = Vault.at(urls[0], tmp_path / "keys", urls[1])

    def write(who: Vault, name: str) -> None:
        for number in range(6):
            who.seal(f"{name}{number}", [Item("master", "audio/ogg", name.encode())], {}, 7)
            who.seal(f"both{number}", [Item("master", "audio/ogg", name.encode())], {}, 7)

    writers = [threading.Thread(target=write, args=pair) for pair in ((vault, "one"), (other, "two"))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert vault.log.check() == 18
    for number in range(6):
        assert vault.verify(f"both{number}") == other.verify(f"both{number}")

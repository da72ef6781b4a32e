"""Many recordings destroyed together, in folders and elsewhere; the archive; receipts that strangers bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from earwitness.archive.vault import (
    DestroyedError,
    IntegrityError,
    Item,
    NotSealedError,
    Objects,
    Receipt,
    Sealing,
    Vault,
    create_keys,
    receipt,
    shelf,
)
from earwitness.archive.vault.destruction import Order, destroy_all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(params=["folders", "elsewhere"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    keyring = create_keys(tmp_path / "keys")
    if request.param == "folders":
        return Vault(Objects.at(tmp_path / "vault"), keyring, Objects.at(tmp_path / "keys/data"))
    return Vault(Objects(MemoryStore()), keyring, Objects(MemoryStore()))


def seal(vault: Vault, count: int) -> list[str]:
    names = [f"r{number}" for number in range(count)]
    items = [Item("master", "audio/ogg", b"said" * 100), Item("peaks", "x/y", b"peaks")]
    vault.seal_all([Sealing(name, items, {}, 7) for name in names])
    return names


def orders(names: list[str]) -> list[Order]:
    return [Order(name, "system", "its date", 9) for name in names]


def test_destroyed_together_each_has_its_receipt(vault: Vault) -> None:
    names = [*seal(vault, 40), "never-sealed"]
    first = destroy_all(vault, orders(names))
    assert all(isinstance(item, Receipt) for item in first)
    assert destroy_all(vault, orders(names)) == first
    for name in names:
        assert vault.objects.list(f"recordings/{name}") == [f"recordings/{name}/tombstone.json"]
        with pytest.raises(DestroyedError):
            vault.open(name)
    assert vault.data_keys.list("recordings") == []
    assert vault.log.check() == 40 + 41
    assert destroy_all(vault, []) == []


def test_a_store_that_is_away_is_not_asked_for_each(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    names, asked = seal(vault, 100), []
    with monkeypatch.context() as away:

        def refuse(self: Objects, path: str) -> bytes | None:
            asked.append(path)
            raise OSError("away")

        away.setattr(Objects, "get", refuse)
        results = destroy_all(vault, orders(names))
    assert all(isinstance(item, OSError) for item in results)
    assert len(asked) < 50
    assert all(isinstance(item, Receipt) for item in destroy_all(vault, orders(names)))


def test_put_away_and_brought_back(vault: Vault) -> None:
    names = seal(vault, 2)
    for _ in range(2):
        shelf.put_away(vault, "r0")
        with pytest.raises(IntegrityError, match="missing"):
            vault.open("r0").item("master").read()
        assert len(vault.objects.list("archive/recordings/r0")) == 2
        assert vault.open("r1").item("master").read() == b"said" * 100
        for _ in range(2):
            shelf.bring_back(vault, "r0")
        vault.verify("r0")
    shelf.put_away(vault, "r0")
    destroy_all(vault, orders(names))
    assert vault.objects.list("archive") == []
    with pytest.raises(NotSealedError):
        shelf.put_away(vault, "none")
    with pytest.raises(DestroyedError):
        shelf.bring_back(vault, "r0")


@pytest.mark.parametrize(
    "path", ["recordings/r1/manifest.json", "/etc/passwd", "recordings/r0/../r1/x", "log/head.json"]
)
def test_a_manifest_that_names_others_things_destroys_only_its_own(vault: Vault, path: str) -> None:
    seal(vault, 2)
    stored: dict[str, Any] = json.loads(vault.objects.get("recordings/r0/manifest.json") or b"{}")
    stored["manifest"]["items"][0]["object"] = path
    stored["manifest"]["key_object"] = path
    vault.objects.put("recordings/r0/manifest.json", json.dumps(stored).encode())
    (result,) = destroy_all(vault, orders(["r0"]))
    assert isinstance(result, Receipt)
    assert path not in result.objects
    vault.verify("r1")
    vault.log.check()


@given(JSON)
def test_whatever_a_stranger_brings_is_a_receipt_or_an_error(document: Any) -> None:
    with pytest.raises(IntegrityError):
        receipt.check(document, {})
    with pytest.raises(IntegrityError):
        receipt.check({"receipt": document, "key": "k", "signature": ""}, {"k": "x"})


@given(st.sampled_from(["recording_id", "by", "reason", "manifest_sha256", "destroyed_at_us", "format"]), JSON)
def test_any_change_of_a_receipt_is_noticed(field: str, value: Any) -> None:
    good = _GOOD[0].to_document()
    if good["receipt"][field] == value:
        return
    changed = {**good, "receipt": {**good["receipt"], field: value}}
    with pytest.raises(IntegrityError):
        receipt.check(changed, _GOOD[1])


@pytest.fixture(autouse=True, scope="module")
def _a_good_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    keyring = create_keys(tmp_path_factory.mktemp("signing") / "keys")
    body = Receipt("r", 9, "system", "its date", "ab", ("a", "b"), "", b"")
    _GOOD[:] = [receipt.sign(body, keyring), keyring.public_keys()]
    assert receipt.check(_GOOD[0].to_document(), _GOOD[1]) == _GOOD[0]


_GOOD: list[Any] = []

"""Sealing, reading any range, tampering, destroying, and a crash between any two steps."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.archive.vault import (
    DestroyedError,
    IntegrityError,
    Item,
    KeyMissingError,
    Keyring,
    NotSealedError,
    Objects,
    Sealing,
    Vault,
    VaultError,
    create_keys,
    load_keys,
    rotate_recording_key,
)
from earwitness.archive.vault import objects as objects_module
from earwitness.archive.vault.seal import CHUNK, SEALED_CHUNK

FACTS = {"conversation_id": "c", "length_ms": 1234, "note": "Grüße"}


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return create_keys(tmp_path / "keys")


@pytest.fixture
def vault(tmp_path: Path, keyring: Keyring) -> Vault:
    return Vault(Objects.at(tmp_path / "vault"), keyring, Objects.at(tmp_path / "keys/data"))


def content(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


def seal(vault: Vault, data: bytes, recording_id: str = "r1") -> None:
    vault.seal(recording_id, [Item("master", "audio/ogg", data), Item("peaks", "x/y", b"peaks")], FACTS, 7)


def stored(vault: Vault, ending: str) -> Path:
    root = vault.objects._root
    assert root is not None
    return next(path for path in sorted(root.rglob("*")) if path.name.endswith(ending))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 20 * CHUNK + 17])
def test_what_is_sealed_can_be_read(vault: Vault, size: int, tmp_path: Path) -> None:
    source = tmp_path / "master.opus"
    source.write_bytes(content(size))
    manifest = vault.seal("r1", [Item("master", "audio/ogg", source), Item("peaks", "x/y", b"p")], FACTS, 7)
    recording = vault.open("r1")
    item = recording.item("master")
    assert item.read() == content(size)
    assert (item.size, item.media_type) == (size, "audio/ogg")
    assert recording.item("peaks").read() == b"p"
    assert recording.names == ("master", "peaks")
    assert manifest.facts == FACTS
    assert vault.verify("r1") == manifest
    with pytest.raises(KeyError):
        recording.item("video")


def test_nothing_readable_is_stored(vault: Vault) -> None:
    seal(vault, b"four seven one one " * 5000)
    root = vault.objects._root
    assert root is not None
    assert all(b"four seven" not in path.read_bytes() for path in root.rglob("*") if path.is_file())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(-5, 20 * CHUNK), end=st.integers(-5, 20 * CHUNK))
def test_any_range_is_the_slice(vault: Vault, start: int, end: int) -> None:
    data = content(17 * CHUNK + 1234)
    if vault.tombstone("r1") is None:
        seal(vault, data)
    expected = data[max(0, start) : max(0, end)]
    assert vault.open("r1").item("master").read(start, end) == expected


def test_a_range_touches_only_its_chunks(vault: Vault) -> None:
    seal(vault, content(5 * CHUNK))
    path = stored(vault, ".0.sealed")
    data = bytearray(path.read_bytes())
    data[4 * SEALED_CHUNK + 5] ^= 1
    path.write_bytes(data)
    item = vault.open("r1").item("master")
    assert item.read(0, 4 * CHUNK) == content(5 * CHUNK)[: 4 * CHUNK]
    with pytest.raises(IntegrityError):
        item.read(4 * CHUNK, 4 * CHUNK + 1)


def test_a_sealed_file_can_be_sought_in(vault: Vault) -> None:
    data = content(3 * CHUNK + 5)
    seal(vault, data)
    file = vault.open("r1").item("master").file()
    assert file.read(10) == data[:10]
    file.seek(-7, os.SEEK_END)
    assert file.read() == data[-7:]
    file.seek(CHUNK - 3)
    assert file.read(6) == data[CHUNK - 3 : CHUNK + 3]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_noticed(tmp_path: Path, keyring: Keyring, data: st.DataObject) -> None:
    root = tmp_path / "changed"
    vault = Vault(Objects.at(root), keyring, Objects.at(root / "keys"))
    if vault.objects.get("recordings/r1/manifest.json") is None:
        seal(vault, content(2 * CHUNK + 9))
    folders = (root / "recordings", root / "keys")
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    assert len(files) == 4
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    action = data.draw(st.sampled_from(["flip", "cut", "grow", "remove"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if action == "flip":
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
    elif action == "cut":
        path.write_bytes(whole[:at])
    elif action == "grow":
        path.write_bytes(whole + b" ")
    else:
        path.unlink()
    try:
        if action == "grow" and not path.name.endswith(".sealed"):
            vault.verify("r1")
        else:
            with pytest.raises(VaultError):
                vault.verify("r1")
    finally:
        path.write_bytes(whole)


def test_exchanged_chunks_and_items_are_noticed(vault: Vault) -> None:
    seal(vault, content(3 * CHUNK))
    path = stored(vault, ".0.sealed")
    data = path.read_bytes()
    path.write_bytes(data[SEALED_CHUNK : 2 * SEALED_CHUNK] + data[:SEALED_CHUNK] + data[2 * SEALED_CHUNK :])
    with pytest.raises(IntegrityError):
        vault.open("r1").item("master").read(0, 10)


def test_another_recordings_manifest_is_noticed(vault: Vault) -> None:
    seal(vault, b"one", "r1")
    seal(vault, b"two", "r2")
    root = vault.objects._root
    assert root is not None
    (root / "recordings/r1/manifest.json").write_bytes((root / "recordings/r2/manifest.json").read_bytes())
    with pytest.raises(IntegrityError):
        vault.open("r1")


def test_a_manifest_signed_by_somebody_else_is_noticed(vault: Vault, tmp_path: Path) -> None:
    seal(vault, b"one")
    stranger = Vault(vault.objects, create_keys(tmp_path / "stranger"), vault.data_keys)
    with pytest.raises(IntegrityError, match="none of ours"):
        stranger.open("r1")


def test_sealing_twice_gives_one_recording(vault: Vault) -> None:
    seal(vault, b"first")
    manifest = vault.manifest("r1")
    again = vault.seal("r1", [Item("master", "audio/ogg", b"second")], {}, 99)
    assert again == manifest
    assert vault.open("r1").item("master").read() == b"first"
    assert vault.log.check() == 1


def test_a_data_key_seals_once(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x")
    seal(vault, b"same", "r1")
    seal(vault, b"same", "r2")
    assert stored(vault, ".0.sealed").read_bytes()
    sealed = [p.read_bytes() for p in sorted((tmp_path / "vault").rglob("*.0.sealed"))]
    assert len(sealed) == 2
    assert sealed[0] != sealed[1]


class Stop(Exception):  # noqa: N818
    """The process dies here."""


class Death:
    """The process dies before or after its n-th change."""

    def __init__(self, changes: int, *, after: bool) -> None:
        self.left, self.after = changes, after

    def change(self, work: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Stop
        result = work()
        if self.left == 0:
            raise Stop
        return result


class Dying(Objects):
    """A store of a process that is going to die."""

    def __init__(self, inner: Objects, death: Death) -> None:
        super().__init__(inner._store, inner._root)
        self._change = death.change

    def put(self, path: str, data: bytes | Iterator[bytes], *, sync: bool = True) -> None:
        self._change(lambda: super(Dying, self).put(path, data, sync=sync))

    def create(self, path: str, data: bytes, *, sync: bool = True) -> bool:
        return bool(self._change(lambda: super(Dying, self).create(path, data, sync=sync)))

    def delete(self, path: str, *, sync: bool = True) -> None:
        self._change(lambda: super(Dying, self).delete(path, sync=sync))


@dataclass
class Stores:
    """What outlives a process."""

    folder: Path
    keyring: Keyring

    def __post_init__(self) -> None:
        self.objects, self.data_keys = Objects.at(self.folder / "vault"), Objects.at(self.folder / "keys/data")

    def vault(self) -> Vault:
        return Vault(self.objects, self.keyring, self.data_keys)

    def dying(self, change: int, *, after: bool) -> Vault:
        """A vault whose process dies before or after its n-th change, in whichever store."""
        death = Death(change, after=after)
        return Vault(Dying(self.objects, death), self.keyring, Dying(self.data_keys, death))


@pytest.fixture
def stores(tmp_path: Path, keyring: Keyring) -> Stores:
    return Stores(tmp_path, keyring)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", range(1, 8))
def test_sealing_survives_a_crash_at_any_step(stores: Stores, change: int, after: bool) -> None:
    try:
        seal(stores.dying(change, after=after), content(CHUNK + 1))
        died = False
    except Stop:
        died = True
    assert died == (change <= 6)
    vault = stores.vault()
    seal(vault, content(CHUNK + 1))
    vault.verify("r1")
    assert vault.log.check() == 1
    assert len(stores.objects.list("recordings/r1")) == 3
    assert len(stores.data_keys.list("recordings/r1")) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", range(1, 9))
def test_destroying_survives_a_crash_at_any_step(stores: Stores, change: int, after: bool) -> None:
    seal(stores.vault(), content(CHUNK + 1))
    sealed = stores.vault().manifest("r1")
    try:
        stores.dying(change, after=after).destroy("r1", by="policy", reason="old", at_us=8)
        died = False
    except Stop:
        died = True
    assert died == (change <= 7)
    vault = stores.vault()
    if died and (change > 1 or after):
        with pytest.raises(VaultError):
            vault.open("r1").item("master").read()
    receipt = vault.destroy("r1", by="policy", reason="old", at_us=9)
    assert receipt.manifest_sha256 == sealed.sha256
    assert stores.objects.list("recordings/r1") == ["recordings/r1/tombstone.json"]
    assert stores.data_keys.list("recordings") == []
    assert vault.log.check() == 2
    with pytest.raises(DestroyedError):
        vault.open("r1")


def test_destroying_removes_the_key_first(stores: Stores) -> None:
    seal(stores.vault(), b"secret")
    with pytest.raises(Stop):
        stores.dying(1, after=True).destroy("r1", by="me", reason="asked", at_us=8)
    assert stores.data_keys.list("recordings") == []
    assert [path for path in stores.objects.list("recordings/r1") if path.endswith(".sealed")]


def test_data_keys_are_not_among_the_objects(stores: Stores) -> None:
    seal(stores.vault(), b"secret")
    assert not [path for path in stores.objects.list("recordings") if path.endswith(".key")]
    assert [path.suffix for path in (stores.folder / "keys/data").rglob("*") if path.is_file()] == [".key"]


@pytest.mark.parametrize("tombstone", [False, True])
def test_a_deleted_recording_cannot_be_restored_from_a_copy_of_the_vault(stores: Stores, tombstone: bool) -> None:
    seal(stores.vault(), b"secret")
    root = stores.folder / "vault"
    shutil.copytree(root, stores.folder / "backup")
    stores.vault().destroy("r1", by="caller", reason="asked", at_us=8)
    if not tombstone:
        shutil.rmtree(root)
    shutil.copytree(stores.folder / "backup", root, dirs_exist_ok=True)
    vault = stores.vault()
    assert vault.objects.list("recordings/r1")[-1] == f"recordings/r1/{'tombstone' if tombstone else 'manifest'}.json"
    with pytest.raises(DestroyedError if tombstone else KeyMissingError):
        vault.open("r1")


def test_a_vault_is_opened_with_its_keys(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    seal(Vault.at(str(tmp_path / "vault"), tmp_path / "keys"), b"one", "r1")
    assert len(list((tmp_path / "keys/data").rglob("*.key"))) == 1
    seal(Vault.at(str(tmp_path / "vault"), tmp_path / "keys", (tmp_path / "apart").as_uri()), b"two", "r2")
    assert len(list((tmp_path / "apart").rglob("*.key"))) == 1
    again = Vault.at(str(tmp_path / "vault"), tmp_path / "keys")
    assert again.open("r1").item("master").read() == b"one"
    with pytest.raises(KeyMissingError, match="data key of recording r2"):
        again.open("r2")


def test_destroying_twice_is_destroying_once(vault: Vault) -> None:
    seal(vault, b"secret")
    first = vault.destroy("r1", by="policy", reason="old", at_us=8)
    assert vault.destroy("r1", by="somebody", reason="else", at_us=9) == first
    assert first.by == "policy"
    assert first.objects[0].endswith(".key")
    assert vault.log.check() == 2
    assert vault.log.find(first.log_entry()) == 1


def test_a_destroyed_recording_does_not_come_back(vault: Vault) -> None:
    vault.destroy("r1", by="consent", reason="refused", at_us=8)
    with pytest.raises(DestroyedError):
        seal(vault, b"late")
    with pytest.raises(DestroyedError):
        vault.open("r1")
    assert vault.objects.list("recordings/r1") == ["recordings/r1/tombstone.json"]


def test_a_forged_tombstone_is_noticed(vault: Vault) -> None:
    seal(vault, b"secret")
    receipt = vault.destroy("r1", by="policy", reason="old", at_us=8)
    forged = receipt.to_document()
    forged["receipt"]["by"] = "nobody"
    vault.objects.put("recordings/r1/tombstone.json", json.dumps(forged).encode())
    with pytest.raises(IntegrityError):
        vault.tombstone("r1")


@pytest.mark.parametrize("recording_id", ["", "../keys", "a/b", "a\\b", ".", "x" * 200, "ä"])
def test_ids_are_no_paths(vault: Vault, recording_id: str) -> None:
    with pytest.raises(NotSealedError):
        vault.open(recording_id)


def test_unknown_recording(vault: Vault) -> None:
    with pytest.raises(NotSealedError):
        vault.open("unknown")
    assert vault.tombstone("unknown") is None


def test_keys_rotate_and_old_recordings_stay_readable(tmp_path: Path, vault: Vault) -> None:
    seal(vault, b"old", "r1")
    newer = Vault(vault.objects, rotate_recording_key(tmp_path / "keys"), vault.data_keys)
    seal(newer, b"new", "r2")
    assert newer.open("r1").item("master").read() == b"old"
    assert newer.rewrap("r1")
    assert not newer.rewrap("r1")
    assert not newer.rewrap("r2")
    assert newer.open("r1").item("master").read() == b"old"
    assert vault.open("r2").item("master").read() == b"new"  # a process that was up before notices the new key
    (tmp_path / "keys/recording-2.key").unlink()
    with pytest.raises(KeyMissingError, match="recording key 2"):
        Vault(vault.objects, load_keys(tmp_path / "keys"), vault.data_keys).open("r2")


def test_key_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = create_keys(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert create_keys(folder).public_keys() == first.public_keys()
    (folder / "signing-1.key").chmod(0o644)
    with pytest.raises(KeyMissingError, match="chmod 600"):
        load_keys(folder)


@pytest.mark.parametrize("text", ["", "zz", "AAAA", "not base64 !"])
def test_broken_keys_are_named(tmp_path: Path, text: str) -> None:
    create_keys(tmp_path)
    (tmp_path / "recording-1.key").write_text(text)
    with pytest.raises(KeyMissingError, match=r"recording-1\.key"):
        load_keys(tmp_path)


def test_no_keys(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="earwitness init"):
        load_keys(tmp_path / "nowhere")


def test_file_urls_are_folders(tmp_path: Path) -> None:
    objects = Objects.at(f"file://{tmp_path}/a%20vault")
    objects.put("x/y", b"1")
    assert (tmp_path / "a vault/x/y").read_bytes() == b"1"
    assert not objects.create("x/y", b"2")
    assert objects.get_range("x/y", 5, 9) == b""
    assert objects.get("nothing") is None
    assert objects.get_range("nothing", 0, 1) is None
    objects.delete("nothing")


def test_a_source_that_grows_is_not_sealed(vault: Vault, tmp_path: Path) -> None:
    """A file that changes while it is sealed must not end as half a recording."""

    class Growing(type(tmp_path)):  # type: ignore[misc]
        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            real = super().stat(follow_symlinks=follow_symlinks)
            return os.stat_result((*tuple(real)[:6], real.st_size - 1, *tuple(real)[7:10]))

    path = Growing(tmp_path / "growing")
    path.write_bytes(b"12345")
    with pytest.raises(IntegrityError, match="grew"):
        vault.seal("r1", [Item("master", "audio/ogg", path)], {}, 7)
    with pytest.raises(NotSealedError):
        vault.open("r1")


class Counting(Objects):
    """Notes in which order things are written, and when the disk is waited for."""

    def __init__(self, inner: Objects, notes: list[str]) -> None:
        super().__init__(inner._store, inner._root)
        self.notes = notes

    def put(self, path: str, data: bytes | Iterator[bytes], *, sync: bool = True) -> None:
        super().put(path, data, sync=sync)
        self.notes.append(Path(path).suffix)

    def create(self, path: str, data: bytes, *, sync: bool = True) -> bool:
        self.notes.append(Path(path).name if "manifest" in path else "entry")
        return super().create(path, data, sync=sync)


def test_recordings_sealed_together_wait_for_the_disk_together(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(objects_module, "_sync_file_system", lambda root: notes.append("sync"))
    counting = Counting(stores.objects, notes), Counting(stores.data_keys, notes)
    vault = Vault(counting[0], stores.keyring, counting[1])
    results = vault.seal_all([Sealing(f"r{n}", [Item("master", "audio/ogg", b"x")], FACTS, 7) for n in range(3)])
    assert [type(result).__name__ for result in results] == ["Manifest"] * 3
    assert notes == [
        *[".sealed", ".key"] * 3, "sync",
        *["manifest.json"] * 3, "sync",
        *["entry"] * 3, "sync", ".json",
    ]  # fmt: skip
    assert vault.log.check() == 3


def test_one_that_was_destroyed_does_not_keep_the_others_from_being_sealed(vault: Vault) -> None:
    vault.destroy("r1", by="me", reason="asked", at_us=1)
    seal(vault, b"before", "r2")
    twice = [Item("a", "x/y", b""), Item("a", "x/y", b"")]
    sealings = [Sealing(name, [Item("master", "audio/ogg", b"new")], FACTS, 7) for name in ("r1", "r2", "r3")]
    results = vault.seal_all([*sealings, Sealing("r4", twice, FACTS, 7)])
    assert [type(result).__name__ for result in results] == ["DestroyedError", "Manifest", "Manifest", "ValueError"]
    assert vault.open("r2").item("master").read() == b"before"
    assert vault.open("r3").item("master").read() == b"new"
    assert vault.seal_all([]) == []


def test_nothing_is_sealed_when_the_disk_says_no(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(root: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(objects_module, "_sync_file_system", no)
    with pytest.raises(OSError, match="Input/output"):
        seal(stores.vault(), b"x")
    monkeypatch.undo()
    with pytest.raises(NotSealedError):
        stores.vault().open("r1")
    seal(stores.vault(), b"x")
    stores.vault().verify("r1")


@pytest.mark.parametrize("name", ["manifest.json", "000000000000.json"])
def test_an_object_that_a_power_cut_left_empty_is_written_again(stores: Stores, name: str) -> None:
    seal(stores.vault(), b"x")
    root = stores.folder / "vault"
    next(root.rglob(name)).write_bytes(b"")
    if name == "000000000000.json":
        (root / "log/head.json").unlink()
    seal(stores.vault(), b"x")
    stores.vault().verify("r1")
    stores.vault().log.check()


def test_without_syncfs_everything_is_synced(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    monkeypatch.setattr(objects_module, "_syncfs", None)
    monkeypatch.setattr(os, "sync", lambda: called.append(True))
    seal(stores.vault(), b"x")
    assert len(called) == 3

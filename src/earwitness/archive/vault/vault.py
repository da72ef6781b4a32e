"""The vault: seals recordings, opens them, destroys them.

Theory of operation. There are two stores: the objects, which may be copied and kept by anybody for any time, and the
wrapped data keys, of which backups are kept shortly. Every sealing of a recording has an id, a data key and objects of
its own, and one object decides::

    recordings/<id>/<sealing>.<n>.sealed   sealed bytes of item n          1. written
    recordings/<id>/<sealing>.key          the wrapped data key            2. written to the store of keys
    recordings/<id>/manifest.json          names the sealing that counts   3. created once: from here on it is sealed
    log/entry/…                            the manifest's hash             4. appended
    recordings/<id>/tombstone.json         written by destruction, for good

Each step waits until the one before it, 1 and 2 together, has reached the disk; several recordings may wait together.
A crash before 3 leaves an unfinished sealing, which the next attempt removes; a data key is never used twice. After 3,
sealing again finds the manifest, makes sure of 4, and gives the same answer. Destruction deletes keys first, then
sealed bytes, writes the tombstone, then deletes the manifest; each step may be repeated, and once there is a tombstone
the id is spent. Whoever has a copy of the objects from before has bytes that nothing opens.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.archive.vault import destruction
from earwitness.archive.vault import manifest as manifests
from earwitness.archive.vault import receipt as receipts
from earwitness.archive.vault.destruction import Order
from earwitness.archive.vault.errors import DestroyedError, IntegrityError, KeyMissingError, NotSealedError
from earwitness.archive.vault.keys import KEY_BYTES, Keyring, WrappedKey, load_keys
from earwitness.archive.vault.log import TransparencyLog, canonical
from earwitness.archive.vault.manifest import ItemManifest, Manifest
from earwitness.archive.vault.objects import Objects, sync_all
from earwitness.archive.vault.reader import SealedRecording
from earwitness.archive.vault.receipt import Receipt
from earwitness.archive.vault.seal import Binding, Sealer

DATA_KEYS = "data"
"""Where wrapped data keys are in the key folder, unless they are elsewhere."""
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be sealed."""

    name: str
    """Unique in its recording: ``master``, ``peaks``, …"""
    media_type: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class Sealing:
    """A recording to be sealed."""

    recording_id: str
    items: list[Item]
    facts: Mapping[str, Any]
    """Plain JSON that is signed with it."""
    at_us: int
    """UTC µs."""


class Vault:
    """See the head of this file. Safe for threads, and for several processes on one store."""

    def __init__(
        self, objects: Objects, keyring: Keyring, data_keys: Objects, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """
        :param data_keys: store of the wrapped data keys; neither among the objects nor backed up with them.
        """
        self.objects, self.keyring, self.data_keys, self._random = objects, keyring, data_keys, random
        self.log = TransparencyLog(objects, keyring)

    @staticmethod
    def at(url: str | Path, keys: Path, data_keys: str | Path = "") -> Vault:
        """The vault at a folder or URL, opened with the keys of a key folder.

        :param data_keys: folder or URL of the wrapped data keys; empty: the folder ``data`` of the key folder.
        :raises KeyMissingError: the key folder cannot be used.
        """
        keyring = load_keys(keys)
        return Vault(Objects.at(url), keyring, Objects.at(data_keys or keys / DATA_KEYS))

    def seal(self, recording_id: str, items: list[Item], facts: Mapping[str, Any], at_us: int) -> Manifest:
        """Seals a recording. Repeating it gives the manifest of the first time, whatever is passed.

        :param facts: plain JSON that is signed with it.
        :param at_us: UTC µs.
        :raises DestroyedError: a recording of this id was destroyed; it does not come back.
        """
        (result,) = self.seal_all([Sealing(recording_id, items, facts, at_us)])
        if isinstance(result, Exception):
            raise result
        return result

    def seal_all(self, sealings: Sequence[Sealing]) -> list[Manifest | Exception]:
        """Seals several recordings, waiting for the disk once a step for all of them.

        Gives what ``seal`` would give of each, or the error that it would raise.

        :raises OSError: the disk says no; nothing is known to be sealed.
        """
        results: list[Manifest | Exception] = [_attempt(self._prepare, sealing) for sealing in sealings]
        sync_all([self.objects, self.data_keys])
        results = [_attempt(self._publish, result) for result in results]
        self.objects.sync()
        sealed = [result for result in results if isinstance(result, Manifest)]
        if sealed:
            self.log.append_all([manifest.log_entry() for manifest in sealed], max(s.at_us for s in sealings))
        for manifest in sealed:
            self._sweep(manifest)
        return results

    def manifest(self, recording_id: str) -> Manifest:
        """The checked manifest, without unwrapping any key.

        :raises NotSealedError, DestroyedError, IntegrityError: see there.
        """
        manifest = self._manifest(recording_id)
        if manifest is None or self.objects.exists(f"{_folder(recording_id)}/tombstone.json"):
            if self.tombstone(recording_id) is not None:
                raise DestroyedError(f"recording {recording_id} was destroyed")
            raise NotSealedError(f"recording {recording_id} is not in the vault")
        return manifest

    def open(self, recording_id: str) -> SealedRecording:
        """A recording to read from.

        :raises NotSealedError, DestroyedError, IntegrityError: see there.
        :raises KeyMissingError: its data key, or the recording key that wraps it, is not there.
        """
        manifest = self.manifest(recording_id)
        return SealedRecording(self.objects, self.keyring.unwrap(self._wrapped(manifest)), manifest)

    def verify(self, recording_id: str) -> Manifest:
        """Holds every byte of a recording against its manifest, and the manifest against the log.

        :raises IntegrityError: something differs.
        """
        recording = self.open(recording_id)
        for name in recording.names:
            recording.item(name).verify()
        if self.log.find(recording.manifest.log_entry()) is None:
            raise IntegrityError(f"recording {recording_id} is not in the log")
        return recording.manifest

    def rewrap(self, recording_id: str) -> bool:
        """Wraps the data key with the newest recording key; False where it already was."""
        manifest = self.manifest(recording_id)
        wrapped = self._wrapped(manifest)
        if wrapped.version == self.keyring.version:
            return False
        self.data_keys.put(manifest.key_object, _key_document(self.keyring.wrap(self.keyring.unwrap(wrapped))))
        if self.objects.exists(f"{_folder(recording_id)}/tombstone.json"):  # destroyed while we were at it
            self.data_keys.delete(manifest.key_object)
            raise DestroyedError(f"recording {recording_id} was destroyed")
        return True

    def wrapped_by(self, recording_id: str) -> int:
        """Number of the recording key that wraps the data key of a recording.

        :raises NotSealedError, DestroyedError, IntegrityError, KeyMissingError: see there.
        """
        return self._wrapped(self.manifest(recording_id)).version

    def destroy(self, recording_id: str, *, by: str, reason: str, at_us: int) -> Receipt:
        """Destroys a recording: its data key first. Repeating it gives the first receipt.

        Also spends the id of a recording that was never sealed, so that a delayed sealing cannot bring it back.
        """
        (result,) = destruction.destroy_all(self, [Order(recording_id, by, reason, at_us)])
        if isinstance(result, Exception):
            raise result
        return result

    def tombstone(self, recording_id: str) -> Receipt | None:
        """The receipt of a destroyed recording, checked; None where it was not destroyed.

        :raises IntegrityError: it is not signed by this installation.
        """
        stored = self.objects.get(f"{_folder(recording_id)}/tombstone.json")
        if stored is None:
            return None
        try:
            receipt = receipts.check(json.loads(stored), self.keyring.public_keys())
        except ValueError as error:
            raise IntegrityError(f"the tombstone of recording {recording_id} cannot be read") from error
        if receipt.recording_id != recording_id:
            raise IntegrityError(f"the tombstone is not that of recording {recording_id}")
        return receipt

    def _manifest(self, recording_id: str) -> Manifest | None:
        stored = self.objects.get(f"{_folder(recording_id)}/manifest.json")
        return None if stored is None else manifests.parse(stored, recording_id, self.keyring)

    def _wrapped(self, manifest: Manifest) -> WrappedKey:
        stored = self.data_keys.get(manifest.key_object)
        if stored is None:
            raise KeyMissingError(
                f"the data key of recording {manifest.recording_id} is gone: it was destroyed, or its store was lost"
            )
        return _parse_key(stored)

    def _prepare(self, sealing: Sealing) -> Manifest:
        """Steps 1 and 2; a recording that is sealed already gives its manifest."""
        recording_id, items = sealing.recording_id, sealing.items
        folder = _folder(recording_id)
        if self.objects.exists(f"{folder}/tombstone.json"):
            raise DestroyedError(f"recording {recording_id} was destroyed")
        manifest = self._manifest(recording_id)
        if manifest is not None:
            return manifest
        if len({item.name for item in items}) != len(items):
            raise ValueError("two items of the same name")
        sealing_id = self._random(16).hex()
        key = self._random(KEY_BYTES)
        listed = []
        for number, item in enumerate(items):
            size = item.content.stat().st_size if isinstance(item.content, Path) else len(item.content)
            source = item.content.open("rb") if isinstance(item.content, Path) else io.BytesIO(item.content)
            path = f"{folder}/{sealing_id}.{number}.sealed"
            with source:
                sealer = Sealer(key, Binding(recording_id, sealing_id, number, size), source)
                self.objects.put(path, iter(sealer), sync=False)
            listed.append(ItemManifest(item.name, item.media_type, size, sealer.sha256, path, tuple(sealer.hashes)))
        key_object = f"{folder}/{sealing_id}.key"
        self.data_keys.put(key_object, _key_document(self.keyring.wrap(key)), sync=False)
        return Manifest(recording_id, sealing_id, sealing.at_us, key_object, tuple(listed), sealing.facts)

    def _publish(self, manifest: Manifest) -> Manifest:
        """Step 3; gives the manifest that counts."""
        recording_id = manifest.recording_id
        folder = _folder(recording_id)
        signed = manifests.sign(manifest, self.keyring)
        created = self.objects.create(f"{folder}/manifest.json", signed, sync=False)
        first = manifest if created else self._manifest(recording_id)
        if self.objects.exists(f"{folder}/tombstone.json"):
            self.clear(folder)
            first = None
        if first is None:
            raise DestroyedError(f"recording {recording_id} was destroyed while it was being sealed")
        return first

    def _sweep(self, manifest: Manifest) -> None:
        """Removes what unfinished sealings left."""
        folder = _folder(manifest.recording_id)
        for store in (self.data_keys, self.objects):
            for path in store.list(folder):
                if not path.startswith(f"{folder}/{manifest.sealing_id}.") and not path.endswith(".json"):
                    store.delete(path)

    def folder(self, recording_id: str) -> str:
        """Where a recording's objects are.

        :raises NotSealedError: that is no id.
        """
        return _folder(recording_id)

    def clear(self, folder: str) -> None:
        """Removes everything beside the tombstone, keys first."""
        for path in self.data_keys.list(folder):
            self.data_keys.delete(path)
        for path in self.objects.list(folder):
            if not path.endswith("/tombstone.json"):
                self.objects.delete(path, sync=False)


def _attempt(step: Callable[[Any], Manifest], argument: object) -> Manifest | Exception:
    """A step of one of several sealings; one that failed in an earlier step keeps its error."""
    if isinstance(argument, Exception):
        return argument
    try:
        return step(argument)
    except Exception as error:
        return error


def _folder(recording_id: str) -> str:
    if not _ID.fullmatch(recording_id):
        raise NotSealedError(f"{recording_id!r} is no recording id")
    return f"recordings/{recording_id}"


def _key_document(key: WrappedKey) -> bytes:
    return canonical({"version": key.version, "wrapped": base64.b64encode(key.wrapped).decode()})


def _parse_key(stored: bytes) -> WrappedKey:
    try:
        record = json.loads(stored)
        return WrappedKey(int(record["version"]), base64.b64decode(record["wrapped"], validate=True))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("the wrapped data key cannot be read") from error

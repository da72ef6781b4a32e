"""The objects of a vault: a folder, or a bucket, through obstore.

What one of the verbs returned from has reached the disk (or the bucket). Whoever writes much may wait once for all of
it: ``sync=False``, and ``sync`` afterwards. An object that a power cut left empty counts as not there: none of ours is.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

RETRIES, RETRY = 4, timedelta(seconds=20)
"""What a store that does not answer is given; whoever works with it tries again later, and is not to hang."""
MOST_ENTERED = 1000
"""Folders remembered at the most."""
_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
"""Linux has it."""


class Objects:
    """Small verbs over a store."""

    def __init__(self, store: ObjectStore, root: Path | None = None) -> None:
        """
        :param root: folder of a local store, so that files can be synced.
        """
        self._store, self._root = store, root
        self._entered: set[Path] = set()
        """Folders whose entry in the folder above has reached the disk."""

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return self._root is not None

    @staticmethod
    def at(url: str | Path) -> Objects:
        """A store at a folder path, ``file://…``, or any URL that obstore knows (``s3://bucket/prefix``)."""
        parts = urlsplit(str(url))
        if isinstance(url, str) and parts.scheme not in ("", "file"):
            return Objects(from_url(url, retry_config={"max_retries": RETRIES, "retry_timeout": RETRY}))
        root = Path(unquote(parts.path) if parts.scheme == "file" else url).absolute()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Objects(LocalStore(root, automatic_cleanup=True), root)

    def put(self, path: str, data: bytes | Iterator[bytes], *, sync: bool = True) -> None:
        """Writes an object, replacing what was there; it appears whole or not at all."""
        obstore.put(self._store, path, data)
        if sync:
            self._sync(path)

    def create(self, path: str, data: bytes, *, sync: bool = True) -> bool:
        """Writes an object unless there is one already; False where there was."""
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            if self.get(path) is not None:
                return False
            obstore.put(self._store, path, data)
        if sync:
            self._sync(path)
        return True

    def sync(self) -> None:
        """Waits until everything that was written has reached the disk.

        :raises OSError: the disk says no.
        """
        sync_all([self])

    def get(self, path: str) -> bytes | None:
        """A whole object, or None."""
        try:
            return bytes(obstore.get(self._store, path).bytes()) or None
        except (NotFoundError, FileNotFoundError):
            return None

    def get_range(self, path: str, start: int, end: int) -> bytes | None:
        """Bytes [start, end) of an object; fewer where it ends earlier, None where there is none."""
        try:
            size = int(obstore.head(self._store, path)["size"])
            end = min(end, size)
            return bytes(obstore.get_range(self._store, path, start=start, end=end)) if start < end else b""
        except (NotFoundError, FileNotFoundError):
            return None

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            obstore.head(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def copy(self, path: str, target: str) -> bool:
        """Copies an object, replacing what was there; False where there is none. ``sync`` afterwards."""
        try:
            obstore.copy(self._store, path, target)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def delete(self, path: str, *, sync: bool = True) -> None:
        """Removes an object; one that is not there is removed already."""
        try:
            obstore.delete(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return
        if self._root is not None:
            if sync:
                _sync_folder((self._root / path).parent)
            self._entered.clear()  # the store removes folders that have become empty

    def list(self, prefix: str) -> list[str]:
        """Paths of the objects below a prefix (a folder, without a slash at the end), sorted."""
        return sorted(str(meta["path"]) for batch in obstore.list(self._store, prefix) for meta in batch)

    def _sync(self, path: str) -> None:
        if self._root is None:
            return
        file = os.open(self._root / path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        folder = (self._root / path).parent
        _sync_folder(folder)
        if len(self._entered) > MOST_ENTERED:
            self._entered.clear()
        while folder != self._root.parent and folder not in self._entered:
            _sync_folder(folder.parent)
            self._entered.add(folder)
            folder = folder.parent


def sync_all(stores: Iterable[Objects]) -> None:
    """Waits until everything that was written to these stores has reached the disk: once for each file system.

    :raises OSError: the disk says no.
    """
    roots = {os.stat(store._root).st_dev: store._root for store in stores if store._root is not None}
    for root in roots.values():
        _sync_file_system(root)


def _sync_file_system(folder: Path) -> None:
    if _syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

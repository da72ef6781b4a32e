"""Destroying recordings, many at a time.

The order is the same for each: keys, sealed bytes (those in the archive too), tombstone, manifest, log. Every step is
done for all of them before the disk is waited for, and the next step begins only then. So a crash anywhere leaves
recordings that nothing opens, and doing it again gives the receipt of the first time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from earwitness.archive.vault import receipt as receipts
from earwitness.archive.vault.errors import IntegrityError
from earwitness.archive.vault.log import canonical
from earwitness.archive.vault.receipt import Receipt
from earwitness.archive.vault.shelf import archived

if TYPE_CHECKING:
    from earwitness.archive.vault.vault import Vault

THREADS = 16
"""Requests at once to stores that are not folders: each is mostly waited for."""
MOST_FAILURES = 3
"""So many recordings that the stores fail in a row, and the others are not tried: a store that is away stays away."""


@dataclass(frozen=True, slots=True)
class Order:
    """A recording to be destroyed."""

    recording_id: str
    by: str
    reason: str
    at_us: int
    """UTC µs."""


@dataclass(slots=True)
class _Case:
    """An order on its way."""

    order: Order
    folder: str
    sha256: str | None = None
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    receipt: Receipt | None = None
    error: Exception | None = None


def destroy_all(vault: Vault, orders: Sequence[Order]) -> list[Receipt | Exception]:
    """Destroys recordings; gives the receipt of each, or what went wrong with it: that one is to be destroyed again.

    Also spends the ids of recordings that were never sealed, so that a delayed sealing cannot bring them back.

    :raises OSError: the disk says no; all are to be destroyed again.
    """
    cases = [_Case(order, vault.folder(order.recording_id)) for order in orders]
    _each(vault, cases, _look)
    _each(vault, cases, _delete_keys)
    vault.data_keys.sync()
    _each(vault, cases, _delete_objects)
    vault.objects.sync()
    _each(vault, cases, _bury)
    vault.objects.sync()
    _each(vault, cases, _clear)
    buried = [case.receipt for case in cases if case.error is None and case.receipt is not None]
    if buried:
        try:
            vault.log.append_all([receipt.log_entry() for receipt in buried], max(order.at_us for order in orders))
        except Exception as error:
            for case in cases:
                case.error = case.error or error
    return [case.error or case.receipt or IntegrityError("nothing was destroyed") for case in cases]


def _each(vault: Vault, cases: Sequence[_Case], step: Callable[[Vault, _Case], None]) -> None:
    """Does a step of all cases that are still well."""
    well = [case for case in cases if case.error is None]
    failures = 0

    def attempt(case: _Case) -> None:
        nonlocal failures
        if failures >= MOST_FAILURES:
            case.error = OSError("the stores of the vault do not answer")
            return
        try:
            step(vault, case)
        except Exception as error:
            case.error = error
            failures += not isinstance(error, IntegrityError)
        else:
            failures = 0

    if vault.objects.local and vault.data_keys.local:
        for case in well:
            attempt(case)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(attempt, well):
            pass


def _look(vault: Vault, case: _Case) -> None:
    """What there is to remove.

    The manifest is not asked for more than names: one that was tampered with keeps nothing from being destroyed, and
    leads to nothing outside of the recording.
    """
    listed: list[str] = []
    stored = vault.objects.get(f"{case.folder}/manifest.json")
    if stored is not None:
        try:
            record = json.loads(stored)["manifest"]
            case.sha256 = hashlib.sha256(canonical(record)).hexdigest()
            named = [str(record["key_object"]), *(str(item["object"]) for item in record["items"])]
            listed = [path for path in named if path.startswith(f"{case.folder}/") and "/../" not in path]
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
    keys = [path for path in listed if path.endswith(".key")]
    case.keys = list(dict.fromkeys([*keys, *vault.data_keys.list(case.folder)]))
    present = [path for path in vault.objects.list(case.folder) if not path.endswith(".json")]
    sealed = [path for path in listed if not path.endswith((".key", ".json"))]
    case.paths = list(dict.fromkeys([*sealed, *present, *vault.objects.list(archived(case.folder))]))


def _delete_keys(vault: Vault, case: _Case) -> None:
    for path in case.keys:
        vault.data_keys.delete(path, sync=False)


def _delete_objects(vault: Vault, case: _Case) -> None:
    for path in case.paths:
        vault.objects.delete(path, sync=False)


def _bury(vault: Vault, case: _Case) -> None:
    order = case.order
    case.receipt = vault.tombstone(order.recording_id)
    if case.receipt is not None:
        return
    body = Receipt(
        order.recording_id, order.at_us, order.by, order.reason, case.sha256, (*case.keys, *case.paths), "", b""
    )
    signed = receipts.sign(body, vault.keyring)
    created = vault.objects.create(f"{case.folder}/tombstone.json", canonical(signed.to_document()), sync=False)
    case.receipt = signed if created else vault.tombstone(order.recording_id) or signed


def _clear(vault: Vault, case: _Case) -> None:
    vault.clear(case.folder)

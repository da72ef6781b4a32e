"""Destroying recordings: everybody who deletes one ends here.

What was decided (``store.retention.ask_to_delete``) is carried out: what is left in the spool goes, the vault destroys
the data key, then the sealed bytes of the recording and of everything made from it, and leaves a signed receipt in its
log; then the row becomes a tombstone with that receipt, without peaks, name and annotations, and the audit log tells.
Each step may be repeated, so whoever finds the work half done does it from the start, and the first receipt counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from earwitness.archive.vault import Receipt, Vault
from earwitness.archive.vault.destruction import Order, destroy_all
from earwitness.store import retention, retention_tasks
from earwitness.store.retention_tasks import Task
from earwitness.store.tables.base import Document
from earwitness.worker.bench import Bench
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

ALARM_AFTER = 5
"""Failed tries from which on a recording is worth somebody's attention."""


def destroy(bench: Bench, recording_id: str, *, by: str, reason: str, inbox: bool = False) -> Document | None:
    """Destroys a recording at once and gives its receipt; None: it is protected, in an inbox, or not there.

    What cannot be finished now is finished by the chore ``retention``.

    :param by: ``system``, ``user:<id>`` or ``client:<id>``.
    :raises Exception: the vault or the database cannot; the decision stands, and the chore will do it.
    """
    with bench.database.transaction() as session:
        retention.ask_to_delete(session, [recording_id], by, reason, bench.now_us(), inbox=inbox)
        tasks = retention_tasks.take_these(session, [recording_id], bench.now_us())
    destroy_taken(bench, vault_of(bench.arguments), [task for task in tasks if task.kind == "destroy"])
    with bench.database.reading() as session:
        return retention.receipt(session, recording_id)


def destroy_taken(bench: Bench, vault: Vault, tasks: Sequence[Task]) -> int:
    """Carries out tasks of kind ``destroy`` that were taken; gives how many are done."""
    if not tasks:
        return 0
    now = bench.now_us()
    problems: dict[str, str] = {}
    for task in tasks:
        try:
            forget_spooled(bench, task)
        except OSError as error:
            problems[task.recording_id] = f"the spool: {error}"
    orders = [
        Order(vault_id, task.by, task.reason, now)
        for task in tasks
        if task.recording_id not in problems
        for vault_id in task.vault_ids
    ]
    receipts: dict[str, Document] = {}
    try:
        results = dict(zip((order.recording_id for order in orders), destroy_all(vault, orders), strict=True))
    except Exception as error:
        results = dict.fromkeys((order.recording_id for order in orders), error)
    for task in tasks:
        if task.recording_id in problems:
            continue
        wrong = [result for name in task.vault_ids if isinstance(result := results[name], Exception)]
        own = results[task.recording_id]
        if wrong or not isinstance(own, Receipt):
            problems[task.recording_id] = "; ".join(f"{type(error).__name__}: {error}" for error in wrong)
        else:
            receipts[task.recording_id] = own.to_document()
    with bench.database.transaction() as session:
        retention_tasks.destroyed(session, receipts, now)
        retention_tasks.failed(session, problems, now)
    tell(tasks, problems)
    return len(receipts)


def forget_spooled(bench: Bench, task: Task) -> None:
    """Removes what the spool still holds of a recording that is stored (``keep_spool_s``).

    :raises OSError: it cannot be removed.
    """
    folder = bench.arguments.spool / task.conversation_id
    if not folder.is_dir():
        return
    for path in folder.glob(f"{task.recording_id}.*"):
        path.unlink(missing_ok=True)


def tell(tasks: Sequence[Task], problems: dict[str, str]) -> None:
    """Says what went wrong: once for all of them."""
    if not problems:
        return
    oldest = max(task.tries for task in tasks if task.recording_id in problems)
    say = log.error if oldest + 1 >= ALARM_AFTER else log.warning
    some = next(iter(problems))
    say(
        "recordings could not be destroyed, archived or restored; tried again later",
        count=len(problems),
        tries=oldest + 1,
        recording_id=some,
        problem=problems[some],
    )

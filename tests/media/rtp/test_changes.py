"""How often changes of source are told."""

from __future__ import annotations

from earwitness.media.rtp.changes import BURST, EACH_US, Changes


def test_a_few_changes_are_told_as_they_come() -> None:
    changes = Changes()
    assert [changes.add(n, 0, n, "ssrc") for n in range(BURST)] == [(n, 0, n, "ssrc", 1) for n in range(BURST)]
    assert not changes.due(10**12)
    assert changes.take() is None


def test_a_flood_is_one_a_second_and_no_change_is_left_uncounted() -> None:
    changes = Changes()
    told = [change for n in range(500) if (change := changes.add(n, 0, n * EACH_US // 50, "ssrc"))]
    assert BURST < len(told) <= BURST + 10
    last = changes.take()
    assert last is not None
    assert last[:4] == (499, 0, 499 * EACH_US // 50, "ssrc")
    assert sum(change[4] for change in [*told, last]) == 500


def test_what_was_kept_is_due_after_a_second() -> None:
    changes = Changes()
    for n in range(BURST + 2):
        changes.add(n, 0, 0, "ssrc")
    assert not changes.due(EACH_US - 1)
    assert changes.due(EACH_US)
    assert changes.take() == (BURST + 1, 0, 0, "ssrc", 2)

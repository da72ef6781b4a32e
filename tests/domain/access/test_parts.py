"""Which part of a call is in which division, and what is heard of a recording (J12, G11)."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.access.parts import Cut, Part, annotations_within, cut_of, joined, parts_of
from earwitness.domain.conversation.timeline import Participant, Segment, Timeline

S = 1_000_000
USERS, QUEUES, FLOWS = {"ann": "berlin", "bob": "paris"}, {"sales": "rome"}, {"menu": "oslo"}


def person(key: str, purpose: str, *segments: tuple[Any, ...], user: str | None = None) -> Participant:
    found = [Segment(f"{key}{n}", kind, start * S, end and end * S, **more)
             for n, (kind, start, end, more) in enumerate(segments)]  # fmt: skip
    return Participant(key, purpose, 0, user_id=user, segments=found)


def divisions(*people: Participant, end: int = 20) -> list[Part]:
    timeline = Timeline(participants=list(people))
    return parts_of(timeline, end * S, of_users=USERS, of_queues=QUEUES, of_flows=FLOWS)


def test_j12_a_call_from_menu_to_queue_to_agent_to_agent() -> None:
    found = divisions(
        person("x", "external", ("interact", 0, 20, {})),
        person("i", "ivr", ("ivr", 0, 3, {"flow_id": "menu"})),
        person("q", "acd", ("queue", 3, 6, {"queue_id": "sales"})),
        person("a", "agent", ("alerting", 5, 6, {}), ("interact", 6, 9, {}), ("hold", 9, 10, {}),
               ("wrapup", 10, 12, {}), user="ann"),
        person("b", "agent", ("interact", 10, None, {"queue_id": "sales"}), user="bob"),
    )  # fmt: skip
    assert found == [
        Part("berlin", 6 * S, 10 * S),
        Part("oslo", 0, 3 * S),
        Part("paris", 10 * S, 20 * S),
        Part("rome", 3 * S, 6 * S),
        Part("rome", 10 * S, 20 * S),
    ]


def test_j12_who_is_gone_from_the_configuration_gives_no_division() -> None:
    assert divisions(person("z", "agent", ("interact", 0, 5, {}), user="nobody")) == []
    assert divisions(person("x", "external", ("interact", 0, 5, {}), user="ann")) == []


spans = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=6).map(
    lambda found: [(min(a, b) * 100_000, max(a, b) * 100_000) for a, b in found]
)


@given(spans, st.lists(st.integers(1, 50), max_size=5), st.integers(0, 10_000))
def test_g11_what_is_heard_is_within_the_openings_and_the_spans(
    heard: list[tuple[int, int]], lengths: list[int], place: int
) -> None:
    openings, at = [], 0
    for length in lengths:
        openings.append({"from_us": at * 100_000, "to_us": (at + length) * 100_000})
        at += length + 3
    duration = sum(lengths) * 100
    cut = cut_of(heard, openings, 0, duration if openings else 5000)
    assert list(cut.stretches) == sorted(cut.stretches)
    assert all(0 <= start < end <= (duration or 5000) for start, end in cut.stretches)
    # Every millisecond of the file that is heard is one of the call that may be heard.
    for start, end in cut.stretches:
        for ms in (start, end - 1):
            us, rest = ms * 1000, list(openings) or [{"from_us": 0, "to_us": 5_000_000}]
            while us >= rest[0]["to_us"] - rest[0]["from_us"]:
                us -= rest[0]["to_us"] - rest[0]["from_us"]
                rest.pop(0)
            moment = rest[0]["from_us"] + us
            assert any(a <= moment < b for a, b in heard)
    inside = cut.inside(place)
    if inside is not None:
        assert cut.outside(inside) == place
        assert 0 <= inside < cut.length_ms


@given(spans)
def test_joined_spans_do_not_touch(found: list[tuple[int, int]]) -> None:
    whole = joined(found)
    assert all(a < b for a, b in whole)
    assert all(first[1] < second[0] for first, second in itertools.pairwise(whole))
    assert joined(whole) == whole


def test_g11_pauses_and_bookmarks_move_with_what_is_heard() -> None:
    cut = Cut(((1000, 2000), (3000, 4000)), 0, 0)

    def note(kind: str, place: int, length: int = 0) -> dict[str, Any]:
        return {"type": kind, "absoluteLocation": place, "absoluteDurationMs": length, "durationMs": length}

    found = annotations_within(
        [note("pause", 500, 9), note("pause", 1500, 250), note("bookmark", 1900, 1500), note("bookmark", 2500, 10)], cut
    )
    assert [(item["type"], item["location"], item["durationMs"], item["realtimeLocation"]) for item in found] == [
        ("pause", 500, 250, 500),
        ("bookmark", 900, 500, 1150),
    ]

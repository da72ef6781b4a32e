"""What policies see of a call, from the events of the call."""

from __future__ import annotations

from typing import Any

import pytest
from story import SECOND, START, Story

from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.domain.policy import Facts, facts_of
from earwitness.domain.policy.facts import may_listen_in

WITHHELD = [{"row": "consent", "why": "this trunk requires consent, and none was given"}]


def seen(story: Story, **more: Any) -> Facts:
    document = fold(story.events).to_document()
    assert Timeline.from_document(document).to_document() == document
    return facts_of(document, **more)


def centre_call() -> Story:
    """A caller, a queue, Ann's phone that rings in vain, Bob who answers, and Cora to whom Bob transfers."""
    story = Story().begin().external()
    story.tell("participant.joined", participant_id="p-acd", purpose="acd", queue_id="q1")
    story.segment("queue", "p-acd", queue_id="q2").answer("carrier")
    story.phone("ann", user="ann").tell("leg.ringing", leg_id="ann")
    story.leave("ann", "timeout").phone("bob", user="bob").answer("bob")
    story.tell("wrapup.given", participant_id="p-bob", code="sold")
    story.phone("cora", user="cora").answer("cora").leave("bob").leave("cora").leave("carrier")
    story.tell("conversation.ended", cause="hangup")
    return story


def test_f6_f15_who_talked_and_in_which_order() -> None:
    found = seen(centre_call())
    assert [agent.user_id for agent in found.agents] == ["bob", "cora"]
    assert found.agents[0].connected_at < found.agents[1].connected_at
    assert found.queues == {"q1", "q2"}
    assert (found.direction, found.customer, found.media_type) == ("INBOUND", True, "CALL")
    assert (found.start, found.duration_us) == (START, (len(centre_call().events) - 1) * SECOND)
    assert found.wrapup_codes == {"sold"}


def test_f6_codes_given_after_the_call_count_instead() -> None:
    assert seen(centre_call(), wrapup_codes={"p-bob": "other", "p-cora": "more"}).wrapup_codes == {"other", "more"}
    assert seen(centre_call(), wrapup_codes={"p-bob": None}).wrapup_codes == {"sold"}


def test_f6_teams_are_those_of_the_time_of_the_call() -> None:
    assert seen(centre_call(), teams=[("t", "bob")]).teams == {("t", "bob")}


def test_f6_languages() -> None:
    story = Story().begin().external().answer("carrier")
    story.tell("conversation.language", language="en-US", flow_id="f")
    story.tell("consent.granted", leg_id="carrier", language="de-DE")
    story.tell("conversation.ended", cause="hangup")
    found = seen(story, languages=["L1"])
    assert found.languages >= {"de-de", "en-us", "L1"}
    assert (found.consent, found.recordable) == ("granted", True)


def test_f15_who_only_listened_in_is_no_agent() -> None:
    story = Story().begin().external().answer("carrier").phone("bob", user="bob").answer("bob")
    document = fold(story.events).to_document()
    document["participants"].append({**document["participants"][1], "participant_id": "x", "user_id": "boss",
                                     "segments": [{"kind": "monitor", "queue_id": None}]})  # fmt: skip
    document["end"] = document["start"]
    assert [(agent.user_id, agent.observes) for agent in facts_of(document).agents] == [("bob", False), ("boss", True)]
    assert facts_of(document).users == {"bob"}


def test_c1_c5_consent() -> None:
    story = Story().begin().external().answer("carrier")
    assert seen(story).consent == "unset"
    story.tell("tape.withheld", tape_id="t", leg_id="carrier", kind="trunk", reasons=WITHHELD)
    assert (seen(story).consent, seen(story).recordable) == ("missing", False)
    opened = {"tape_id": "s", "opening": 0, "leg_id": "s", "dual_channel": True, "audio_format": "audio/opus"}
    story.tell("tape.opened", kind="user", **opened, reasons=[])
    assert seen(story).consent == "missing"  # somebody's own recording says nothing about the caller's
    story.tell("tape.opened", kind="trunk", **{**opened, "tape_id": "other"}, reasons=[])
    assert seen(story).consent == "unset"
    story.tell("consent.refused", leg_id="carrier")
    assert (seen(story).consent, seen(story).recordable) == ("refused", False)


def test_c5_a_tape_withheld_for_another_reason_needs_no_consent() -> None:
    story = Story().begin().external()
    story.tell("tape.withheld", tape_id="t", leg_id="carrier", kind="trunk", reasons=[{"row": "queue", "why": "x"}])
    assert seen(story).recordable


def test_a_call_between_two_of_ours() -> None:
    story = Story().begin("internal").phone("ann", "inbound", "ann").phone("bob", user="bob").answer("bob", "ann")
    found = seen(story.leave("ann").leave("bob"))
    assert (found.direction, found.customer, found.users) == ("INTERNAL", False, {"ann", "bob"})


@pytest.mark.parametrize(
    ("when", "by", "unmuted", "observes"),
    [(0, "boss", False, True), (5, "boss", False, False), (0, "ann", False, False), (0, "boss", True, False)],
)
def test_f15_who_monitors_is_silent_from_the_moment_of_coming(
    when: int, by: str, unmuted: bool, observes: bool
) -> None:
    story = Story().begin().external().answer("carrier").phone("bob", user="bob").answer("bob")
    story.phone("boss", user="boss").answer("boss")
    for _ in range(when):
        story.tell("dtmf", leg_id="carrier")
    story.tell("participant.muted", participant_id="p-boss", muted=True, by=by)
    if unmuted:
        story.tell("participant.muted", participant_id="p-boss", muted=False, by="boss")
    events = [{"at": event.at, "type": event.type, "data": dict(event.data)} for event in story.events]
    document = fold(story.events).to_document()
    assert may_listen_in(document) is not unmuted
    found = facts_of({**document, "end": document["start"]}, events=events)
    assert [(agent.user_id, agent.observes) for agent in found.agents] == [("bob", False), ("boss", observes)]

"""How many events a second the recording rules decide, on one core: the events of whole contact centre calls.

The call: a flow that asks for consent, a queue, an agent whose station records and whose phone rings, talk with a hold
and a secure pause, a user recording, a consult, a transfer to an external number, and all that does not matter to a
tape in between (media, DTMF, data). Nothing but the decision is timed; the decisions are held against the expected.

    python -m bench decide [--seconds 3]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "domain"))

from story import Story

from earwitness.domain.conversation.events import Event
from earwitness.domain.recording.rules import (
    CloseTape,
    OpenTape,
    RecordingRules,
    TapeCommand,
    WithholdTape,
)
from earwitness.domain.recording.settings import TrunkRecording

LIMIT = 100_000
"""Events a second."""
ROUND = 200
"""Calls between two looks at the clock."""
TRUNKS = {
    "t1": TrunkRecording(enabled=True, consult=True, consent_required=True),
    "t2": TrunkRecording(enabled=True, external_transfers=True),
}
STATIONS = {"s-agent": TrunkRecording(enabled=True)}
OPENS, CLOSES, HOLDS_BACK = OpenTape, CloseTape, WithholdTape
EXPECTED: list[tuple[type[TapeCommand], str, str]] = [
    (HOLDS_BACK, "carrier", "trunk"),  # inside a flow that suppresses recording, and no consent yet
    (HOLDS_BACK, "carrier", "trunk"),  # consent, still inside the flow
    (HOLDS_BACK, "carrier", "trunk"),  # between flow and queue
    (HOLDS_BACK, "carrier", "trunk"),  # in the queue
    (OPENS, "carrier", "trunk"),  # the agent is there
    (OPENS, "agent", "station"),
    (CLOSES, "carrier", "trunk"),  # hold
    (CLOSES, "agent", "station"),
    (OPENS, "carrier", "trunk"),
    (OPENS, "agent", "station"),
    (OPENS, "agent", "user"),
    (CLOSES, "carrier", "trunk"),  # secure pause
    (CLOSES, "agent", "station"),
    (CLOSES, "agent", "user"),
    (OPENS, "carrier", "trunk"),
    (OPENS, "agent", "station"),
    (OPENS, "agent", "user"),
    (CLOSES, "agent", "user"),  # no user recording any more
    (CLOSES, "carrier", "trunk"),  # on hold for the consult
    (CLOSES, "agent", "station"),
    (HOLDS_BACK, "agent", "station"),  # nobody is there yet
    (HOLDS_BACK, "agent", "station"),  # this station does not record consults
    (HOLDS_BACK, "expert", "consult"),  # not on this trunk
    (HOLDS_BACK, "agent", "station"),
    (HOLDS_BACK, "expert", "trunk"),  # held, until the agent has left
    (HOLDS_BACK, "carrier", "trunk"),  # this trunk does not continue on external transfer
    (OPENS, "expert", "trunk"),  # and this one does
    (CLOSES, "expert", "trunk"),
    (HOLDS_BACK, "carrier", "trunk"),  # nobody else is left
]


def call() -> list[Event]:
    """The events of one call."""
    story = Story().begin().external()
    carrier = "p-carrier"
    story.tell("participant.joined", participant_id="p-ivr", purpose="ivr", flow_id="f")
    story.segment("ivr", "p-ivr", flow_id="f", suppress_recording=True)
    story.tell("leg.media", leg_id="carrier", payload_types={"8": ["PCMA", 8000, 1]}, telephone_event=101)
    story.answer("carrier")
    for digit in "1234":
        story.tell("dtmf", leg_id="carrier", digit=digit)
    story.tell("participant.data", participant_id=carrier, attributes={"account": "1234"})
    story.tell("consent.granted", leg_id="carrier", flow_id="f")
    story.segment_over("ivr", "p-ivr")
    story.tell("participant.left", participant_id="p-ivr", cause="transfer")
    story.tell("participant.joined", participant_id="p-acd", purpose="acd", queue_id="q")
    story.segment("queue", "p-acd", queue_id="q", suppress_recording=True)
    story.phone("agent").segment("alerting", "p-agent").tell("leg.ringing", leg_id="agent")
    story.tell("leg.media", leg_id="agent", payload_types={"8": ["PCMA", 8000, 1]})
    story.answer("agent").segment_over("alerting", "p-agent").segment("interact", "p-agent").segment_over(
        "queue", "p-acd"
    )
    story.tell("participant.left", participant_id="p-acd", cause="transfer")
    story.segment("interact", carrier)
    story.segment_over("interact", "p-agent").segment("hold", "p-agent")
    story.tell("source.changed", leg_id="carrier", channel=1, cause="ssrc", ssrc=1, payload_type=8)
    story.segment_over("hold", "p-agent").segment("interact", "p-agent")
    story.tell("user_recording.on", participant_id="p-agent", user_id="u", leg_id="agent")
    story.tell("secure_pause.on", by="u")
    story.tell("dtmf", leg_id="carrier")
    story.tell("secure_pause.off", by="u")
    story.tell("user_recording.off", participant_id="p-agent", user_id="u", leg_id="agent")
    story.segment_over("interact", "p-agent").segment("hold", "p-agent")
    story.external("outbound", "expert", "t2").segment("dialing", "p-expert").segment_over("dialing", "p-expert")
    story.segment("consult", "p-expert").tell("leg.media", leg_id="expert", payload_types={"8": ["PCMA", 8000, 1]})
    story.answer("expert")
    story.segment_over("consult", "p-expert").segment("interact", "p-expert")
    story.tell("transferred", kind="consult", target="+49", external=True, by="p-agent")
    story.leave("agent", "transfer").leave("expert").leave("carrier")
    story.tell("conversation.ended", cause="hangup")
    return story.events


def decide(events: list[Event]) -> list[TapeCommand]:
    """All that the rules say to one call."""
    rules = RecordingRules(TRUNKS, stations=STATIONS)
    return [command for event in events for command in rules.observe(event)]


def main() -> int:
    """0 when the limit is kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    events = call()
    said = [(type(command), command.leg_id, command.kind) for command in decide(events)]
    if said != EXPECTED:
        print("the rules decided otherwise:", *said, sep="\n  ")
        return 1
    rates: list[float] = []
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        before = time.process_time()
        for _ in range(ROUND):
            decide(events)
        rates.append(ROUND * len(events) / (time.process_time() - before))
    print(f"{len(events)} events a call, {len(rates) * ROUND} calls decided, each as expected")
    print(f"decisions: {median(rates):,.0f} events/s of one core, slowest round {min(rates):,.0f} (limit {LIMIT:,})")
    return 0 if median(rates) >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

"""Participant attributes: what flows, scripts and people attached, and what we tell beside it.

Names that begin with ``earwitness.`` are ours: nobody else sets them. The answer to the consent question is among them
(C11), and so are the external tag and the secure attributes of a call that is still up.
"""

from __future__ import annotations

from typing import Any

from earwitness.domain.conversation.timeline import Participant, Timeline
from earwitness.web.kernel.documents import date_text
from earwitness.web.kernel.errors import bad_request

OURS = "earwitness."
TAG = "earwitness.externalTag"
SECURE = "earwitness.secure"
"""JSON: ``{"version": n, "attributes": {…}}``; shown by the operations of secure attributes only."""
MOST = 100
MOST_CHARACTERS = 20_000
"""Of all names and values of a change."""
LONGEST_VALUE = 4000
ACCESS = "earwitness.accessAttributes"
"""JSON: a list of texts."""
HIDDEN = (TAG, SECURE, ACCESS)
CONSENT_STATES = {"granted": "granted", "refused": "denied", "unset": "unset"}
"""Ours -> the contract's (C11)."""


def consent_state(timeline: Timeline) -> str:
    """``granted``, ``denied`` or ``unset``."""
    return CONSENT_STATES.get(timeline.consent, "unset")


def consent_was_due(timeline: Timeline) -> bool:
    """Whether the caller was asked, or a rule waited for the answer."""
    rows = {reason.get("row") for tape in timeline.tapes for word in tape.words for reason in word.reasons}
    return timeline.consent != "unset" or "consent" in rows


def shown_attributes(timeline: Timeline, item: Participant) -> dict[str, str]:
    """Attributes as documents show them; of the external party also its answer to the consent question."""
    found = {name: value for name, value in item.attributes.items() if name not in HIDDEN}
    if item.purpose == "external" and consent_was_due(timeline) and item is _first_external(timeline):
        found["earwitness.consent"] = consent_state(timeline)
        given = timeline.consent_given or {}
        if "at" in given:
            found["earwitness.consent.time"] = date_text(given["at"])
        for name, key in (("flowId", "flow_id"), ("flowVersion", "flow_version"), ("question", "question"),
                          ("language", "language"), ("answer", "answer")):  # fmt: skip
            if given.get(key) is not None:
                found[f"earwitness.consent.{name}"] = str(given[key])
    return found


def _first_external(timeline: Timeline) -> Participant | None:
    given = timeline.consent_given or {}
    asked = timeline.participant_of(given["leg_id"]) if "leg_id" in given else None
    return asked or next((item for item in timeline.participants if item.purpose == "external"), None)


def hidden_value(timeline: Timeline, name: str) -> str | None:
    """A value of ours that is kept with the participants, from whoever has it."""
    return next((item.attributes[name] for item in timeline.participants if name in item.attributes), None)


def merged(attributes: dict[str, str], change: dict[str, Any]) -> dict[str, str]:
    """Attributes after a change; null removes one."""
    both = {**attributes, **change}
    return {name: str(value) for name, value in both.items() if value is not None}


def settable(change: dict[str, str | None]) -> dict[str, str | None]:
    """What people may attach. Names of ours are left out: whoever sends back what it got means no harm (S15).

    :raises ApiError: 400, too much.
    """
    if len(change) > MOST:
        raise bad_request(f"At most {MOST} attributes at a time.", "attributes", "invalid.value")
    if sum(len(name) + len(value or "") for name, value in change.items()) > MOST_CHARACTERS:
        raise bad_request(f"Attributes may have {MOST_CHARACTERS} characters.", "attributes", "invalid.value")
    if any(not name.strip() for name in change):
        raise bad_request("An attribute needs a name.", "attributes", "invalid.value")
    if any(len(value or "") > LONGEST_VALUE for value in change.values()):
        raise bad_request(f"An attribute may have {LONGEST_VALUE} characters.", "attributes", "invalid.value")
    return {name: value for name, value in change.items() if not name.startswith(OURS)}

"""Station-side recording (A7): when the tape of a station's leg is open.

A station that records has a tape of each of its calls, from its user's answer until he is gone, of what he says and
hears. It is kept apart from the trunk's tape of the external party (A5): either may be on without the other.
"""

from __future__ import annotations

from earwitness.domain.recording.facts import Facts, Leg
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.domain.recording.table import PAUSE, REFUSED, Reason, Row

_OFF = Reason("station", "recording is off for this station", "trunk_recording_enabled=false")
_ALONE = Reason("party", "nobody else is on the call")
_ONE_SIDE = Reason(
    "party", "a call between users, and not every station on it records", "trunk_recording_enabled=false"
)
_UNASKED = Reason("consent", "consent is required, and none was given", "trunk_recording_consent_required=true")
_HOLD = Reason("hold", "on hold, and this station does not record holds", "trunk_disallow_recording_during_hold=true")
_CONSULT = Reason(
    "consult", "a consult, and this station does not record consults", "trunk_consult_recording_enabled=false"
)

_ON = Reason(
    "station", "recording is on for this station, and nothing speaks against it", "trunk_recording_enabled=true"
)
_BOTH = Reason("party", "a call between users, and every station on it records", "trunk_recording_enabled=true")
_CONSENTED = Reason("consent", "the caller gave consent", "trunk_recording_consent_required=true")
_CONSULT_TOO = Reason("consult", "a consult, and this station records consults", "trunk_consult_recording_enabled=true")
_HOLD_TOO = Reason("hold", "on hold, and this station records holds", "trunk_disallow_recording_during_hold=false")


def _station(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if settings.enabled else _OFF


def _party(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    """An external party is on the talk, or each internal one is at a station that records."""
    company = facts.company(leg)
    if not company:
        return _ALONE
    one_side = False
    for other in company:
        if other.external:
            return None
        one_side = one_side or not facts.station_records(other)
    return _ONE_SIDE if one_side else None


def _consent(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    """The gate is for calls from outside, and not for conferences (C7). A refusal stands there too (C1)."""
    if facts.consent == "refused":
        return REFUSED
    if facts.conference or facts.caller is None:
        return None
    unset = settings.consent_required and not facts.agreed(facts.caller)
    return _UNASKED if unset or facts.unasked else None


def _waits_for_consent(facts: Facts, settings: TrunkRecording) -> bool:
    return settings.consent_required and facts.caller is not None and not facts.conference


def _hold(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return None if settings.holds or not facts.held_by_company(leg) else _HOLD


def _pause(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return PAUSE if facts.secure_pause else None


def _consult(facts: Facts, leg: Leg, settings: TrunkRecording) -> Reason | None:
    return _CONSULT if not settings.consult and facts.consults(leg) else None


STATION_ROWS: tuple[Row, ...] = (
    Row("station", "A3, A7", _station),
    Row("party", "A2, A7", _party),
    Row("consent", "C1, C5, C7", _consent),
    Row("hold", "B5, B6", _hold),
    Row("pause", "B7-B9, B14", _pause),
    Row("consult", "A11", _consult),
)
"""Station tapes, and the consult tapes of stations, are open exactly when no row objects.

There is no row for flows and queues: nothing is recorded of somebody who is alone with one.
"""


def station_permissions(facts: Facts, leg: Leg, settings: TrunkRecording) -> tuple[Reason, ...]:
    """Why a tape of a station that is open may be: the station, and every setting without which it would not be."""
    reasons = [_ON]
    if not any(other.external for other in facts.company(leg)):
        reasons.append(_BOTH)
    if _waits_for_consent(facts, settings):
        reasons.append(_CONSENTED)
    if leg.participant_id in facts.consulting:
        reasons.append(_CONSULT_TOO)
    if facts.held_by_company(leg):
        reasons.append(_HOLD_TOO)
    return tuple(reasons)

"""Scenarios for sipp that bear any loss: whatever is lost is repeated, as RFC 3261 says, and nothing is "unexpected".

SIPp's own habits fail calls that a phone would save. It takes a repeated request for a new one when it has sent two
answers to it (180 and 200 lost: "unexpected INVITE"), a BYE for an error while the ACK is missing, and a late 200 of
the INVITE for the answer to its BYE. Here the callee takes an INVITE as often as it comes and can do without the ACK
(its 200 is repeated until then), and the caller tells the answers to INVITE and BYE apart by their branch (sipp's
transactions, RFC 3261 §17.1.3).
"""

from __future__ import annotations

import re
from typing import Self

from peers.scenario import Called, Caller, Scenario, sdp

LINGER_MS = 16_000
"""How long an ended call goes on answering what is repeated: BYE comes at 0.5, 1.5, 3.5, 7.5, 11.5 and 15.5 s."""
PREFIX = "+4930"
"""Callers' numbers are this and the number of sipp's call."""
_ABORTED = re.compile(r"Aborting call on (.*?)(?=Aborting call on|Dead call|\Z)", re.DOTALL)


class PatientCaller(Caller):
    """Calls, stays for a while, hangs up."""

    def whole(self, hold_ms: int) -> Self:
        self.request("INVITE", sdp())
        _mark(self, "send", 'start_txn="invite"')
        for status in (100, 180, 200):
            self.expect(status, optional=status < 200)
            _mark(self, "recv", 'response_txn="invite"')
        self._established = True
        self.send(self._request_head("ACK", self._cseq))
        _mark(self, "send", 'ack_txn="invite"')
        self.pause(hold_ms).request("BYE")
        _mark(self, "send", 'start_txn="bye"')
        self.expect(200)
        _mark(self, "recv", 'response_txn="bye"')
        return self.linger(LINGER_MS)


class PatientCalled(Called):
    """Rings, answers, is hung up."""

    def whole(self, within_ms: int) -> Self:
        self.offered().ring()
        self._again("200 OK", sdp())
        for method in ("INVITE", "ACK"):
            self.expect(method, optional=True)
            self._steps[-1] = self._steps[-1].replace('"true"', '"global" advance_state="false"', 1)
        return self.hung_up(within_ms=within_ms).linger(LINGER_MS)


def _mark(scenario: Scenario, element: str, attribute: str) -> None:
    """Gives the last step another attribute."""
    scenario._steps[-1] = scenario._steps[-1].replace(f"<{element}", f"<{element} {attribute}", 1)


def failures(errors: str) -> dict[str, str]:
    """Why sipp gave calls up: caller's number -> its words, from the text of its error file."""
    found: dict[str, str] = {}
    for text in _ABORTED.findall(errors):
        number = re.search(r"^From:.*?<sip:(\+\d+)", text, re.MULTILINE)
        ours = re.search(r"(\d+)-\d+@", text)
        name = number[1] if number else f"{PREFIX}{ours[1]}" if ours else f"unknown {len(found)}"
        words = re.sub(r"for (Call-Id|call):? \S+ ?", "", " ".join(text.split()))
        found[name] = re.split(r" Via:| ?\d{4}-\d\d-\d\d", words)[0][:120]
    return found

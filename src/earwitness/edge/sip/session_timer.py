"""Session timers (RFC 4028): a call whose peer has vanished ends although nobody said BYE.

Either end refreshes the session (re-INVITE or UPDATE) before the interval is over. The refresher does so at half of
it; the other end hangs up when no refresh came until shortly before it.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakMethod

from earwitness.edge.sip.headers import SipParseError, parse_number, parse_params
from earwitness.edge.sip.message import Message, Request, Response
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction import Core

LONGEST = 86_400


def interval_of(message: Message, key: str = "session-expires") -> tuple[int, str]:
    """(seconds, refresher) of a Session-Expires or Min-SE; (0, "") where there is none or it cannot be read."""
    value = message.get(key)
    if value is None:
        return 0, ""
    number, _, params = value.partition(";")
    try:
        return parse_number(number, 2**31), (parse_params(params).get("refresher") or "").lower()
    except SipParseError:
        return 0, ""


class SessionTimer:
    """The timer of one session. Its methods ``refresh`` and ``expire`` are called when due; they are held weakly."""

    def __init__(self, core: Core, refresh: Callable[[], None], expire: Callable[[], None]) -> None:
        self._core = core
        self._refresh = WeakMethod(refresh)
        self._expire = WeakMethod(expire)
        self._timer: Timer | None = None
        self.interval = 0
        """Seconds; 0: this session has no timer."""
        self.we_refresh = False

    def request_headers(self) -> list[tuple[str, str]]:
        """For our INVITE, re-INVITE or UPDATE."""
        if not self.interval:
            return []
        refresher = "" if self._timer is None else (";refresher=uac" if self.we_refresh else ";refresher=uas")
        return [("Session-Expires", f"{self.interval}{refresher}"), ("Min-SE", str(self._core.config.min_se))]

    def too_small(self, request: Request) -> bool:
        """The peer asks for an interval below ours: answer 422 with Min-SE."""
        seconds, _ = interval_of(request)
        return 0 < seconds < self._core.config.min_se and "timer" in request.tokens("supported")

    def answer_headers(self, request: Request) -> list[tuple[str, str]]:
        """For our 2xx to ``request``; starts (or restarts) the timer as agreed by it."""
        seconds, refresher = interval_of(request)
        if not seconds or "timer" not in request.tokens("supported") | request.tokens("require"):
            if self.interval:
                self._start(self.interval, self.we_refresh)
            return []
        seconds = min(max(seconds, self._core.config.min_se), LONGEST)
        refresher = refresher if refresher in ("uac", "uas") else "uac"
        self._start(seconds, refresher == "uas")
        return [("Session-Expires", f"{seconds};refresher={refresher}"), ("Require", "timer")]

    def accepted(self, response: Response) -> None:
        """The 2xx to our own request: starts, restarts or ends the timer."""
        seconds, refresher = interval_of(response)
        if seconds:
            self._start(min(seconds, LONGEST), refresher != "uas")
        else:
            self.stop()

    def stop(self) -> None:
        """No timer any more."""
        self.interval = 0
        self._cancel()

    def _start(self, seconds: int, we_refresh: bool) -> None:
        self._cancel()
        self.interval = seconds
        self.we_refresh = we_refresh
        if we_refresh:
            self._timer = self._core.after(seconds / 2, self._refresh_now)
        else:
            self._timer = self._core.after(seconds - min(32.0, seconds / 3), self._expire_now)

    def _refresh_now(self) -> None:
        remaining = self.interval / 2
        self._timer = self._core.after(remaining - min(32.0, remaining / 3), self._expire_now)
        if (refresh := self._refresh()) is not None:
            refresh()

    def _expire_now(self) -> None:
        if (expire := self._expire()) is not None:
            expire()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

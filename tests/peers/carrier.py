"""A carrier: sipp, playing one of our scenarios once, or many times for a load."""

from __future__ import annotations

import datetime
import itertools
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from peers import digest
from peers.ports import free_port
from peers.process import Process
from peers.scenario import Scenario
from peers.tones import raw_file
from peers.waiting import eventually

_number = itertools.count(1)
_TONE = re.compile(r"\[tone([0-9.]+)\]")
_MESSAGE = re.compile(
    r"^-{20,} (\S+ \S+)\n(?:UDP|TCP|TLS) message (sent|received) [^\n]*\n\n([^\r\n]*)(?s:.*?)^Call-ID: *([^\r\n]*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Message:
    """One SIP message as sipp saw it."""

    at: float
    """Wall clock, seconds."""
    sent: bool
    line: str
    """Its first line."""
    call_id: str


class Sipp:
    """A running sipp; ``finish`` waits for it and checks that every step went as written."""

    def __init__(self, process: Process, messages: Path, errors: Path, statistics: Path, port: int) -> None:
        self.process, self._messages, self._errors, self._statistics, self.port = (
            process,
            messages,
            errors,
            statistics,
            port,
        )

    def finish(self, within_s: float = 30.0) -> Self:
        """Waits for the scenario's end.

        :raises AssertionError: it went otherwise; shows sipp's errors and the messages.
        """
        status = self.process.wait(within_s)
        assert status == 0, f"sipp ended with {status}\n{self.story()}"
        return self

    def stop(self) -> None:
        """No new calls; ends when the present ones have."""
        self.process.process.send_signal(signal.SIGUSR1)

    def errors(self) -> str:
        """What sipp found wrong, messages included."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    def story(self) -> str:
        """What happened, for a human."""
        errors = self.errors()[-3000:]
        lines = [f"{message.at:.3f} {'->' if message.sent else '<-'} {message.line}" for message in self.messages()]
        return "\n".join([errors, *lines[-60:], self.process.printed()[-1500:]])

    def messages(self) -> list[Message]:
        """Every message, in order."""
        if not self._messages.exists():
            return []
        text = self._messages.read_text(errors="replace").replace("\r\n", "\n")
        return [
            Message(datetime.datetime.fromisoformat(at).astimezone().timestamp(), kind == "sent", line, call_id)
            for at, kind, line, call_id in _MESSAGE.findall(text)
        ]

    def when(self, start: str, *, sent: bool | None = None, nth: int = 0) -> float:
        """Wall-clock seconds of the ``nth`` message whose first line begins with ``start``; waits for it."""

        def found() -> float | None:
            fitting = [m.at for m in self.messages() if m.line.startswith(start) and sent in (None, m.sent)]
            return fitting[nth] if len(fitting) > nth else None

        return eventually(found, f"sipp to see {start}", 10)

    def credentials(self, password: str, method: str = "INVITE") -> dict[str, str]:
        """The digest parameters of the last request that had any.

        :raises AssertionError: they do not prove the password.
        """
        text = self._messages.read_text(errors="replace")
        found = re.findall(r"^(?:Proxy-)?Authorization: *([^\r\n]*)", text, re.MULTILINE)
        assert found, "no credentials came"
        values = digest.parameters(found[-1])
        assert values["response"] == digest.response(values, password, method), values
        return values

    def statistics(self) -> dict[str, str]:
        """The last line of sipp's statistics (only for loads)."""
        lines = self._statistics.read_text().splitlines()
        return dict(zip(lines[0].split(";"), lines[-1].split(";"), strict=False))

    def close(self) -> None:
        self.process.close()


class Carrier:
    """Plays scenarios from one address; all that it starts is ended with it."""

    def __init__(self, folder: Path, host: str = "127.0.0.2") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.host = folder, host
        self._running: list[Sipp] = []

    def _start(
        self,
        scenario: Scenario,
        arguments: Sequence[str],
        port: int,
        transport: str,
        options: Sequence[str],
        trace: bool,
    ) -> Sipp:
        name = f"{scenario.name}-{next(_number)}"
        xml = _TONE.sub(lambda found: str(raw_file(self.folder, float(found[1]))), scenario.xml())
        file = self.folder / f"{name}.xml"
        file.write_text(xml)
        messages, errors = self.folder / f"{name}.messages", self.folder / f"{name}.errors"
        statistics = self.folder / f"{name}.csv"
        command = [
            "sipp", *arguments, "-sf", str(file), "-t", {"udp": "u1", "tcp": "t1"}[transport],
            "-i", self.host, "-p", str(port), "-mi", self.host, "-mp", str(free_port(self.host, 8)),
            "-cp", str(free_port()), "-nostdin", "-timer_resol", "1", "-rtp_payload", "0",
            "-trace_err", "-error_file", str(errors), *options,
        ]  # fmt: skip
        command += (
            ["-trace_msg", "-message_file", str(messages)]
            if trace
            else ["-trace_stat", "-stf", str(statistics), "-fd", "1"]
        )
        process = Process(command, self.folder / f"{name}.log", folder=self.folder)
        sipp = Sipp(process, messages, errors, statistics, port)
        self._running.append(sipp)
        return sipp

    def call(
        self,
        scenario: Scenario,
        to: str,
        number: str,
        *,
        transport: str = "udp",
        options: Sequence[str] = (),
        calls: int = 1,
        trace: bool = True,
        port: int = 0,
    ) -> Sipp:
        """Calls ``number`` at ``to`` (``host:port``) along the scenario."""
        arguments = [to, "-s", number, "-m", str(calls)]
        return self._start(scenario, arguments, port or free_port(self.host), transport, options, trace)

    def answer(
        self,
        scenario: Scenario,
        *,
        transport: str = "udp",
        options: Sequence[str] = (),
        calls: int = 1,
        trace: bool = True,
        port: int = 0,
    ) -> Sipp:
        """Waits to be called, at ``.port`` of the result."""
        sipp = self._start(scenario, ["-m", str(calls)], port or free_port(self.host), transport, options, trace)
        kind = "udp" if transport == "udp" else "tcp"
        wanted = f"{sipp.port:04X}"
        eventually(lambda: wanted in Path(f"/proc/net/{kind}").read_text(), "sipp to listen", 5)
        return sipp

    def story(self) -> str:
        """What happened, for a human."""
        return "\n".join(f"--- sipp {sipp.process.log.stem}\n{sipp.story()}" for sipp in self._running)

    def close(self) -> None:
        for sipp in self._running:
            sipp.close()
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.story())
        self.close()

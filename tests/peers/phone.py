"""A SIP phone: baresip with a configuration of its own, commanded over its TCP interface.

It plays an endless tone instead of a microphone (module ``ausine``) and writes what it hears to a WAV file
(module ``sndfile``), so both directions of a call can be checked by content.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peers.ports import free_port
from peers.process import Process
from peers.tones import Audio, decode
from peers.waiting import eventually

HOST = "127.0.0.1"
MODULES = "/usr/lib/baresip/modules"

CONFIG = """\
poll_method epoll
sip_listen {host}:{sip_port}
net_interface {host}
call_local_timeout 120
call_max_calls 8
audio_source ausine,{tone}
audio_alert ausine,{tone}
ausrc_srate 48000
ausrc_channels 2
audio_buffer 20-160
audio_txmode thread
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {rtp_port}-{rtp_end}
rtcp_mux no
jitter_buffer_delay 1-5
module_path {modules}
{codec_modules}
module ausine.so
module sndfile.so
snd_path {folder}
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control_port}
ringback_disabled yes
menu_bell no
statmode_default off
"""


@dataclass(frozen=True)
class Account:
    """How a phone is known to its registrar."""

    username: str
    password: str
    registrar: str
    """``host:port``; empty: the phone does not register and is called at its own address."""


class Phone:
    """A running phone. ``answer``: ``auto`` picks up at once, ``manual`` waits for ``accept``."""

    def __init__(
        self,
        folder: Path,
        account: Account,
        *,
        tone: int = 1000,
        answer: str = "auto",
        codecs: Sequence[str] = ("PCMU",),
        transport: str = "udp",
    ) -> None:
        self.folder, self.account = folder, account
        folder.mkdir(parents=True, exist_ok=True)
        self.sip_port = free_port()
        control_port, rtp_port = free_port(), free_port(run=16)
        names = {codec.split("/")[0].lower() for codec in codecs}
        needed = [m for m, has in (("g711", "pcm"), ("g722", "g722"), ("opus", "opus")) if any(has in n for n in names)]
        (folder / "config").write_text(
            CONFIG.format(
                host=HOST,
                sip_port=self.sip_port,
                tone=tone,
                rtp_port=rtp_port,
                rtp_end=rtp_port + 15,
                modules=MODULES,
                folder=folder,
                control_port=control_port,
                codec_modules="\n".join(f"module {name}.so" for name in needed),
            )
        )
        server = account.registrar or f"{HOST}:{self.sip_port}"
        line = (
            f"<sip:{account.username}@{server};transport={transport}>;auth_user={account.username}"
            f";auth_pass={account.password};regint={600 if account.registrar else 0}"
            f";answermode={answer};audio_codecs={','.join(codecs)}"
        )
        (folder / "accounts").write_text(line + "\n")
        (folder / "contacts").write_text("")
        self.events: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.process = Process(["baresip", "-f", str(folder), "-v", "-s"], folder / "log")
        self._socket = eventually(lambda: self._connect(control_port), "the phone's control port", 10)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _connect(self, port: int) -> socket.socket | None:
        if not self.process.running:
            raise AssertionError(f"baresip ended at its start:\n{self.process.printed()}")
        try:
            return socket.create_connection((HOST, port), timeout=2)
        except OSError:
            return None

    # -- events ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        buffer = b""
        self._socket.settimeout(None)
        with contextlib.suppress(OSError):
            while block := self._socket.recv(65536):
                buffer += block
                while b":" in buffer:
                    head, _, rest = buffer.partition(b":")
                    length = int(head)
                    if len(rest) <= length:
                        break
                    message = json.loads(rest[:length].decode(errors="replace"))
                    buffer = rest[length + 1 :]
                    with self._changed:
                        message["at"] = time.monotonic()
                        (self.events if message.get("event") else self._answers).append(message)
                        self._changed.notify_all()

    def mark(self) -> int:
        """A place in the events, for ``wait(after=...)``."""
        with self._changed:
            return len(self.events)

    def wait(self, kind: str, *, after: int = 0, within_s: float = 10.0) -> dict[str, Any]:
        """The first event of ``kind`` (REGISTER_OK, CALL_ESTABLISHED, CALL_CLOSED, ...) from ``after`` on."""

        def found() -> dict[str, Any] | None:
            return next((e for e in self.events[after:] if e["type"] == kind), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, within_s):
                kinds = [e["type"] for e in self.events[after:]]
                raise AssertionError(f"{self.account.username}: no {kind} within {within_s:g} s, only {kinds}")
            event = found()
        assert event is not None
        return event

    def saw(self, kind: str, *, after: int = 0) -> bool:
        with self._changed:
            return any(e["type"] == kind for e in self.events[after:])

    # -- commands ----------------------------------------------------------------------------------------------------

    def command(self, name: str, parameters: str = "") -> dict[str, Any]:
        """Gives baresip a command and waits until it took it."""
        with self._changed:
            before = len(self._answers)
            body = json.dumps({"command": name, "params": parameters}).encode()
            self._socket.sendall(b"%d:%s," % (len(body), body))
            assert self._changed.wait_for(lambda: len(self._answers) > before, 5), f"baresip took no {name}"
            return self._answers[before]

    def registered(self, within_s: float = 10.0) -> Self:
        """Waits until the registrar has taken it; by its log too, as events were not listened to from the start."""

        def taken() -> bool:
            return self.saw("REGISTER_OK") or b" binding" in self.process.log.read_bytes()

        eventually(taken, f"{self.account.username} to be registered", within_s)
        return self

    def dial(self, number: str) -> int:
        """Dials a number or URI; returns the mark from which this call's events follow."""
        mark = self.mark()
        self.command("dial", number if ":" in number else f"sip:{number}@{self.account.registrar}")
        return mark

    def accept(self) -> None:
        self.command("accept")

    def hang_up(self) -> None:
        self.command("hangup")

    def hold(self) -> None:
        self.command("hold")

    def resume(self) -> None:
        self.command("resume")

    def press(self, digits: str) -> None:
        """Presses keys; they are sent by RFC 4733."""
        for digit in digits:
            self.command("sndcode", digit)

    def transfer(self, to: str) -> str:
        """Refers the other party of the call to a number or URI (blind; this phone knows no attended transfer); gives
        the URI. It hangs up by itself when it is told of success, and tells TRANSFER_FAILED otherwise.
        """
        uri = to if ":" in to else f"sip:{to}@{self.account.registrar}"
        self.command("transfer", uri)
        return uri

    def play(self, hz: int) -> None:
        """Changes the tone of the call in progress."""
        self.command("ausrc", f"ausine,{hz}")

    def heard(self) -> Audio:
        """What it heard in its last call; complete once the call is closed."""
        return decode(max(self.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime))

    def story(self) -> str:
        """What happened, for a human."""
        events = " ".join(event["type"] for event in self.events)
        return f"--- phone {self.account.username}: {events}\n{self.process.printed()}"

    # -- end ---------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Pulls its plug."""
        self.process.kill()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.process.close()
        self._reader.join(2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.story())
        self.close()

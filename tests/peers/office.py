"""An instance set up for calls: trunks, people with phones, numbers that lead to them."""

from __future__ import annotations

import dataclasses
from typing import Any

from peers.phone import Account
from peers.ports import free_port
from peers.recorder import Recorder

CARRIER, UNRECORDED, PROBE, HOLDS, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9"


class Office:
    """``number("alice")`` dials Alice from outside; each user and trunk is made on first mention."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._accounts: dict[str, Account] = {}
        self.users: dict[str, Any] = {}
        self.numbers: dict[str, str] = {}
        self.ports = {host: free_port(host) for host in (CARRIER, UNRECORDED, HOLDS)}
        self.trunks = {
            CARRIER: self._trunk("Recorded", CARRIER, r"\+491\d+"),
            UNRECORDED: self._trunk("Unrecorded", UNRECORDED, r"\+492\d+", trunk_recording_enabled=False),
            PROBE: self._trunk("Probe", PROBE, r"\+493\d+"),
        }

    def _trunk(self, name: str, host: str, pattern: str, **properties: Any) -> Any:
        port = self.ports.get(host, 5060)
        servers = {
            "trunk_transport_serverProxyList": [f"{host}:{port}"],
            "earwitness_outbound_patterns": [f"^{pattern}$"],
        }
        base = self.recorder.trunk(name, (host,), **{**servers, **properties})
        self.recorder.in_use(base.id)
        return base

    def trunk(self, name: str, host: str, pattern: str = r"\+49\d+", **properties: Any) -> Any:
        """Another trunk, to a peer at ``host``."""
        if host.startswith("127."):
            self.ports.setdefault(host, free_port(host))
        self.trunks[host] = self._trunk(name, host, pattern, **properties)
        return self.trunks[host]

    @property
    def sip(self) -> str:
        return self.recorder.sip

    def account(self, name: str, transport: str = "udp") -> Account:
        """How ``name``'s phone registers; makes the user, the phone and a number at first."""
        if name not in self._accounts:
            self.users[name] = self.recorder.user(name)
            self._accounts[name] = self.recorder.account(self.users[name])
            self.numbers[name] = f"+4940{len(self.numbers) + 1:04d}"
            self.recorder.route(f"{name}'s number", [self.numbers[name]], self.users[name])
            self.recorder.in_use(self.numbers[name])
        return dataclasses.replace(self._accounts[name], registrar=self.sip)

    def number(self, name: str) -> str:
        """The number under which ``name`` is called from outside."""
        self.account(name)
        return self.numbers[name]

    def story(self) -> str:
        return self.recorder.story()

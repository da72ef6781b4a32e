"""What an edge is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EdgeArguments:
    """Plain values of the settings that concern the edge."""

    data: Path
    sip_host: str = "0.0.0.0"  # noqa: S104 - a server listens
    sip_port: int = 5060
    sip_advertised: str = ""
    sip_t1_ms: int = 500
    max_calls: int = 4000
    registration_min_s: int = 60
    registration_max_s: int = 3600
    dead_peer_s: float = 30.0
    both_silent_s: float = 120.0
    session_expires_s: int = 1800
    rtp_host: str = ""
    rtp_port_min: int = 16384
    rtp_port_max: int = 32767
    media_processes: int = 1
    media_tick_ms: int = 10
    media_silence_s: float = 5.0
    control_host: str = "127.0.0.1"
    control_port: int = 0
    poll_s: float = 0.5
    resolve_s: float = 60.0
    """How often host names of trunk servers are looked up."""
    min_free_bytes: int = 64 * 1024 * 1024
    """With less on the spool's disk no new recording is promised."""

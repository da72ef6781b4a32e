"""What the web process is told at start: plain values, no settings object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from earwitness.web.kernel.shell import Limits


@dataclass(frozen=True, slots=True)
class WebArguments:
    """Everything that ``create_app`` needs to know."""

    database_url: str
    """``sqlite:///…`` or ``postgresql://…``."""
    vault_url: str
    """Folder path or ``s3://…`` of the sealed recordings."""
    keys_dir: Path
    """Folder of the keys (0700)."""
    run_dir: Path
    """Folder with ``edge.json`` (``control_url``) and ``control.token``; read afresh for each call to the edge."""
    prompts_dir: Path = Path("prompts")
    """Folder of recorded prompts; the edge on this machine plays them from there."""
    spool_dir: Path | None = None
    """The edge's spool, where it is on this machine: conversations between hang-up and vault are known from it."""
    data_keys_url: str = ""
    """Folder path or ``s3://…`` of the wrapped data keys; empty: ``data`` in the key folder."""
    public_url: str = ""
    """Base of absolute addresses in replies, ``https://recorder.example``; empty: the Host header of each request."""
    trusted_proxies: str = ""
    """Addresses or networks, by comma, whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    host: str = "127.0.0.1"
    port: int = 8080
    limits: Limits = field(default_factory=Limits)
    wait_poll_s: float = 0.15
    """How often a waiting request (``maxWaitMs``) looks again, seconds."""
    threads: int = 40
    """Requests that are worked on at the same time."""

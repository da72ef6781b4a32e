"""What a worker is started with; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """Where things are and how hard to work."""

    database_url: str
    spool: Path
    """Folder of spool folders, one a conversation; the edge and its media processes write there."""
    vault_url: str
    """Folder or object store URL of the sealed recordings."""
    keys: Path
    data_keys_url: str = ""
    """Folder or object store URL of the wrapped data keys; empty: ``data`` in the key folder."""
    workflows_url: str = ""
    """Database of the workflow engine; empty: PostgreSQL's own, or ``workflows.db`` beside the spool."""
    render_processes: int = 1
    executor_id: str = ""
    """Stable name of this worker: it takes up what a worker of this name left unfinished; empty: the spool's own id."""
    scan_s: float = 0.2
    """How often the spool is looked at."""
    keep_spool_s: float = 0.0
    """How long a spool folder stays after its recordings are stored."""
    follow: bool = True
    """Render calls while they are up, so that little is left to do after hang-up."""
    log_level: str = "info"
    log_format: str = "console"

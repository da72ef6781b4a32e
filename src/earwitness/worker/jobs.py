"""The chore ``bulk jobs``: goes on with those that select or process, a step at a time."""

from __future__ import annotations

import time

import structlog

from earwitness.domain.access import Subject
from earwitness.store import access as access_store
from earwitness.store import recording_jobs
from earwitness.store.detail_query import QueryError
from earwitness.worker.bench import Bench

log = structlog.get_logger()

TURN_S = 5.0
"""How long a turn may last; other chores wait meanwhile."""


def go_on(bench: Bench, turn_s: float = TURN_S) -> int:
    """Goes on with every job; gives how many steps were done. Safe on several workers at once."""
    began_s, steps = time.monotonic(), 0
    with bench.database.reading() as session:
        ids = recording_jobs.due(session, bench.now_us())
    while ids:
        for job_id in tuple(ids):
            over = _step(bench, job_id)
            steps += 1
            if over:
                ids.remove(job_id)
            if time.monotonic() - began_s > turn_s:
                return steps
    return steps


def _step(bench: Bench, job_id: str) -> bool:
    """One step of a job; gives whether there is no more to do now."""
    now = bench.now_us()
    try:
        with bench.database.transaction() as session:
            job = recording_jobs.locked(session, job_id)
            if job is None:
                return True
            access = access_store.access_of(session, Subject(job.subject_type, job.subject_id))
            if job.state == recording_jobs.PENDING:
                return recording_jobs.select_more(session, job, access, now)
            return recording_jobs.process_more(session, job, access, now)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}" if not isinstance(error, QueryError) else str(error)
        log.warning("a step of a bulk job failed; it is tried again", job_id=job_id, error=problem[:300])
        with bench.database.transaction() as session:
            job = recording_jobs.locked(session, job_id)
            if job is not None:
                recording_jobs.stumbled(session, job, problem, now)
        return True

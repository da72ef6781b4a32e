"""What the audit log must have, and when."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from earwitness.store.tables import AuditEntry
from earwitness.web.api import media


def fetch(uri: str, **more) -> httpx.Response:
    return httpx.get(uri, trust_env=False, verify=False, timeout=20, **more)


def entries(site: Any, *, after: int = 0) -> list[AuditEntry]:
    with site.world.database.reading() as session:
        rows = list(session.scalars(select(AuditEntry).where(AuditEntry.id > after).order_by(AuditEntry.id)))
        session.expunge_all()
    return rows


def test_no_listening_without_a_row(sqlite_site, recorded, monkeypatch):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    reply = sqlite_site.http().get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").json()
    uri = reply["mediaUris"]["0"]["mediaUri"]
    real, failures = media.note_subject, [OperationalError("", {}, Exception("database is locked"))]

    def note(*args, **more):
        if failures:
            raise failures.pop()
        real(*args, **more)

    monkeypatch.setattr(media, "note_subject", note)
    assert [fetch(uri).status_code for _ in range(3)] == [503, 200, 200]
    assert [row.action for row in entries(sqlite_site)].count("listen") == 1

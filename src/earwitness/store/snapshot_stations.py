"""What stations record: the recording settings of phone trunks (trunk base settings of trunk type ``PHONE``).

Settings with a site are for the phones of that site and come before those without one, which are for every station.
Among equals those that record come first, then they go by name: that a phone has two connections must not silence it.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.recording.settings import SettingsError, TrunkRecording, from_properties
from earwitness.store.tables import Phone, Station, Trunk, TrunkBase

log = structlog.get_logger()


class StationRecordings:
    """Finds the settings of each station, as of now."""

    def __init__(self, session: Session) -> None:
        rows = session.scalars(
            select(TrunkBase)
            .join(Trunk, Trunk.trunk_base_id == TrunkBase.id)
            .where(TrunkBase.trunk_type == "PHONE", TrunkBase.state == "active", Trunk.state == "active", Trunk.enabled)
            .order_by(TrunkBase.name, TrunkBase.id)
        ).unique()
        found: dict[str | None, TrunkRecording] = {}
        for base in rows:
            try:
                settings = from_properties(base.properties)
            except SettingsError as error:
                log.error("phone trunk left out: its settings cannot be used", trunk=base.name, error=str(error))
                continue
            before = found.get(base.site_id)
            if before is None or (settings.enabled and not before.enabled):
                found[base.site_id] = settings
        self._of_sites = found
        self._sites: dict[str, str | None] = {}
        if found:
            self._sites = {phone.id: phone.site_id for phone in session.execute(select(Phone.id, Phone.site_id))}

    def of(self, station: Station) -> TrunkRecording | None:
        """What is recorded of calls at this station; None: nothing (A3: off until somebody turns it on)."""
        site_id = self._sites.get(station.phone_id) if station.phone_id is not None else None
        everywhere = self._of_sites.get(None)
        settings = self._of_sites.get(site_id, everywhere) if site_id is not None else everywhere
        return settings if settings is not None and settings.enabled else None

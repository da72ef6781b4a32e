"""What leaves and what comes in: batch downloads, uploads, integrations, orphans, recording keys."""

from __future__ import annotations

from earwitness.web.api.interchange import (
    batch,
    encryption_keys,
    export_integrations,
    key_configurations,
    orphan_media,
    orphans,
    recording_uploads,
    upload_reports,
)
from earwitness.web.kernel.operations import Family

FAMILIES: tuple[Family, ...] = (
    orphans.family,
    orphan_media.family,
    batch.family,
    recording_uploads.family,
    upload_reports.family,
    export_integrations.family,
    key_configurations.family,
    encryption_keys.family,
)

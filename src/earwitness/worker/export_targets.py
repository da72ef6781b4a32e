"""Where recordings are exported to: a folder below ``exports`` of the data folder, or a bucket.

A target is marked when it is first tried: an object ``.earwitness-target`` that names its integration. Nothing is ever
written to a place without the mark, so a share that is not mounted does not fill the disk below its mount point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import S3Store

from earwitness.archive.vault import Objects
from earwitness.store import integrations
from earwitness.store.tables import Integration

MARK = ".earwitness-target"
FORMATS = ("WAV", "WAV_ULAW", "MP3", "OGG_OPUS", "OGG_VORBIS", "WEBM", "FLAC", "ORIGINAL")
TIMEOUT_S = 60
_FOLDER = re.compile(r"[^\\\0]{1,500}")


class TargetError(RuntimeError):
    """The target cannot be used, or not now; the message says why, without secrets."""


class Target:
    """An integration, open for writing."""

    def __init__(self, objects: Objects, integration_id: str) -> None:
        self._objects, self._id = objects, integration_id

    def mark(self) -> None:
        """Marks the place as ours, and sees that it can be written to and read.

        :raises TargetError: it cannot, or it is another integration's.
        """
        try:
            if self._objects.get(MARK) is None:
                self._objects.put(MARK, json.dumps({"integration": self._id}).encode())
        except (BaseError, OSError) as error:
            raise TargetError(_text(error)) from error
        self.check()

    def check(self) -> None:
        """:raises TargetError: the place is not the one that was marked, or cannot be reached."""
        try:
            found = self._objects.get(MARK)
        except (BaseError, OSError) as error:
            raise TargetError(_text(error)) from error
        if found is None:
            raise TargetError(f"the target has no {MARK}: is it mounted? Change the integration to mark it again")
        try:
            owner = json.loads(found).get("integration")
        except (ValueError, AttributeError) as error:
            raise TargetError(f"{MARK} at the target cannot be read") from error
        if owner != self._id:
            raise TargetError(f"the target belongs to another integration, {owner}")

    def get(self, path: str) -> bytes | None:
        """What is there, or None.

        :raises TargetError: it cannot be reached.
        """
        try:
            return self._objects.get(path)
        except (BaseError, OSError) as error:
            raise TargetError(_text(error)) from error

    def put(self, path: str, data: bytes) -> None:
        """Writes an object; it appears whole or not at all.

        :raises TargetError: it cannot be written.
        """
        try:
            self._objects.put(path, data)
        except (BaseError, OSError) as error:
            raise TargetError(_text(error)) from error


def open_target(row: Integration, secrets: Mapping[str, str], exports: Path, *, create: bool = False) -> Target:
    """Opens the target of an integration.

    :param exports: folder that folders of integrations are below.
    :param create: makes a folder that is not there.
    :raises TargetError: it is disabled, configured wrongly, or not there.
    """
    if row.intended_state != integrations.ENABLED:
        raise TargetError(f"the integration {row.name} is not enabled")
    try:
        if row.type == integrations.FOLDER:
            folder = folder_of(exports, str(row.config.get("path", "")))
            if not create and not folder.is_dir():
                raise TargetError(f"the folder {folder} is not there")
            return Target(Objects.at(folder), row.id)
        if row.type == integrations.S3:
            return Target(Objects(_bucket(row.config, secrets)), row.id)
    except (BaseError, OSError, ValueError, TypeError) as error:
        raise TargetError(_text(error)) from error
    raise TargetError(f"an integration of type {row.type} exports nothing")


def folder_of(exports: Path, path: str) -> Path:
    """The folder of an integration.

    :raises ValueError: not below ``exports``.
    """
    parts = Path(path).parts
    if not _FOLDER.fullmatch(path) or not parts or Path(path).is_absolute() or ".." in parts:
        raise ValueError("path must be a folder below the exports folder, such as archive/2026")
    return exports / path


def _bucket(config: Mapping[str, Any], secrets: Mapping[str, str]) -> S3Store:
    endpoint = config.get("endpoint")
    options: dict[str, Any] = {"timeout": timedelta(seconds=TIMEOUT_S), "connect_timeout": timedelta(seconds=5)}
    if isinstance(endpoint, str) and endpoint.startswith("http://"):
        options["allow_http"] = True
    given: dict[str, Any] = {
        "region": config.get("region") or "us-east-1",
        "endpoint": endpoint,
        "virtual_hosted_style_request": config.get("virtualHosted"),
        "access_key_id": secrets.get("accessKeyId"),
        "secret_access_key": secrets.get("secretAccessKey"),
        "session_token": secrets.get("sessionToken"),
    }
    return S3Store(
        str(config["bucket"]),
        prefix=str(config.get("prefix") or "") or None,
        client_options=options,  # type: ignore[arg-type]
        retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=TIMEOUT_S)},
        **{name: value for name, value in given.items() if value is not None},
    )


def _text(error: Exception) -> str:
    """The first line of what went wrong; libraries add their whole configuration below it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error).strip().partition("\n")[0][:500] or type(error).__name__

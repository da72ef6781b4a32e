"""Wires the floors together: the only place that knows them all.

Each process of the design has a ``run_…`` here that turns settings into the plain values its room takes. ``serve``
keeps one of each (media: several) running; ``initialise`` makes what they need to begin with.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from earwitness import logs
from earwitness.process import forbid_dumps
from earwitness.settings import Settings, load, variables
from earwitness.supervisor import CANNOT, Child, Supervisor

if TYPE_CHECKING:
    from earwitness.domain.configuration import Snapshot
    from earwitness.store.database import Database
    from earwitness.web.arguments import WebArguments


class AppError(RuntimeError):
    """Earwitness cannot start; the message says why and what to do."""

    status = 2
    """What the command exits with."""


class CannotListenError(AppError):
    """An address is taken, or not ours: starting again would not help."""

    status = CANNOT


def _private_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _prepare(settings: Settings) -> None:
    os.umask(0o077)  # whatever any process writes is for its owner alone
    try:
        for folder in (settings.data, settings.spool, settings.keys, settings.run, settings.data / "edge"):
            _private_folder(folder)
    except OSError as error:
        raise AppError(f"the data folder {settings.data} cannot be used: {error.strerror}") from error


def _require_initialised(settings: Settings) -> None:
    if not (settings.data / "initialised").is_file():
        raise AppError(f"{settings.data} is not initialised; run: earwitness init --data {settings.data}")


def initialise(settings: Settings, organization: str, administrator_email: str) -> dict[str, Any]:
    """Makes keys, database, organisation, administrator and OAuth client; gives the secrets, which are kept nowhere.

    :raises AppError: initialised before, or the folder or database cannot be used.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from earwitness.archive.vault.keys import create_keys
    from earwitness.store.database import Database
    from earwitness.store.schema import upgrade
    from earwitness.store.setup import AlreadySetUpError, create_organization
    from earwitness.web.kernel.passwords import hash_password, new_token

    marker = settings.data / "initialised"
    if marker.exists():
        raise AppError(f"{settings.data} is initialised already; its secrets were shown then and are kept nowhere")
    _prepare(settings)
    create_keys(settings.keys)
    password, secret = new_token(), new_token()
    try:
        upgrade(settings.database)
        database = Database(settings.database)
        try:
            made = create_organization(
                database,
                name=organization,
                email=administrator_email,
                password=password,
                secret=secret,
                hash_secret=hash_password,
                at=time.time_ns() // 1000,
            )
        finally:
            database.dispose()
    except AlreadySetUpError as error:
        raise AppError(str(error)) from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise AppError(f"the database cannot be used: {error}") from error
    marker.touch(mode=0o600)
    return {
        "organization": {"id": made.organization_id, "name": organization},
        "site": {"id": made.site_id},
        "administrator": {"id": made.user_id, "email": administrator_email.strip().lower(), "password": password},
        "client": {"id": made.client_id, "secret": secret},
    }


def serve(settings: Settings, say: Callable[[str], None]) -> int:
    """Runs all processes until SIGTERM or SIGINT; gives the exit status. ``say`` gets the line that tells it is up.

    :raises AppError: not initialised, or this data folder is served already.
    """
    _require_initialised(settings)
    _prepare(settings)
    logs.configure(settings.log_level, settings.log_format, process="serve")
    lock = (settings.run / "serve.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise AppError(f"another earwitness serves {settings.data} already") from error
    with lock:
        for name in ("edge.json", "web.json"):
            (settings.run / name).unlink(missing_ok=True)
        environment = {**os.environ, **variables(settings)}
        command = [sys.executable, "-m", "earwitness.cli.main"]
        children = [Child("edge", [*command, "edge"], stage=0)]
        # One more than there are seats: it waits, and takes over the legs of one that dies without a start in between.
        children += [Child(f"media-{n}", [*command, "media"], stage=1) for n in range(settings.media_process_count + 1)]
        children += [Child(name, [*command, name], stage=1) for name in ("worker", "web")]
        status = Supervisor(children, environment, _announcer(settings, say)).run()
        return AppError.status if status == CANNOT else status


def _announcer(settings: Settings, say: Callable[[str], None]) -> Callable[[], bool]:
    """Says once where everything listens; tells whether it has."""
    said: list[bool] = []

    def announce() -> bool:
        edge, web = running(settings.run, "edge"), running(settings.run, "web")
        if not said and edge and web:
            said.append(True)
            say(f"Earwitness is up: API {web['url']}, SIP {edge['sip_host']}:{edge['sip_port']}")
        return bool(said)

    return announce


def running(run: Path, name: str) -> dict[str, Any] | None:
    """What a running process tells about itself in ``run/<name>.json``, or None."""
    try:
        document: dict[str, Any] = json.loads((run / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document


def run_process(name: str, settings: Settings) -> None:
    """Runs one process until it is told to end.

    :raises AppError: not initialised.
    """
    forbid_dumps()
    _require_initialised(settings)
    _prepare(settings)
    logs.configure(settings.log_level, settings.log_format, process=name)
    {"edge": _run_edge, "media": _run_media, "worker": _run_worker, "web": _run_web}[name](settings)


class _SnapshotLoader:
    """Reads the edge's configuration when it has changed.

    The database is opened, and its library loaded, at the first call:
    an edge that is started again takes calls by its snapshot on disk before that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._version = -1

    def __call__(self) -> Snapshot | None:
        """The configuration, or None when it is the one given last."""
        from earwitness.store.database import Database
        from earwitness.store.secret_box import KeyFileBox
        from earwitness.store.snapshot import build, configuration_version

        if self._database is None:
            self._database = Database(self._settings.database, pool_size=2)
        with self._database.reading() as session:
            if configuration_version(session) == self._version:
                return None
            snapshot = build(session, KeyFileBox.open(self._settings.keys), self._settings.prompts)
        self._version = snapshot.version
        return snapshot


def _run_edge(settings: Settings) -> None:
    from earwitness.edge.arguments import EdgeArguments
    from earwitness.edge.process import start
    from earwitness.media.speech import speak_wav
    from earwitness.media.tape.recover import recover_spool

    arguments = EdgeArguments(
        data=settings.data,
        sip_host=settings.sip_host,
        sip_port=settings.sip_port,
        sip_advertised=settings.sip_advertised,
        sip_t1_ms=settings.sip_t1_ms,
        max_calls=settings.sip_max_calls,
        registration_min_s=settings.registration_min_s,
        registration_max_s=settings.registration_max_s,
        dead_peer_s=settings.dead_peer_s,
        rtp_host=settings.rtp_host,
        rtp_port_min=settings.rtp_port_min,
        rtp_port_max=settings.rtp_port_max,
        media_processes=settings.media_process_count,
        media_tick_ms=settings.media_tick_ms,
        control_host=settings.control_host,
        control_port=settings.control_port,
    )
    try:
        start(arguments, _SnapshotLoader(settings), recover_spool, speak_wav)
    except OSError as error:
        where = f"{settings.sip_host}:{settings.sip_port}"
        raise CannotListenError(f"the edge cannot start, SIP at {where}: {error.strerror or error}") from error


def _run_media(settings: Settings) -> None:
    from earwitness.media.process import run

    run(settings.run / "media.sock")


def _bring_up_to_date(settings: Settings) -> None:
    """The tables, after a new version was installed. The edge needs no tables, so calls go on meanwhile.

    :raises AppError: the database is newer than this program, or away.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from earwitness.store.schema import SchemaError, ensure_current

    try:
        if ensure_current(settings.database):
            structlog.get_logger().info("the database has been brought up to date")
    except SchemaError as error:
        raise AppError(str(error)) from error
    except SQLAlchemyError as error:
        raise AppError(f"the database cannot be used: {error}") from error


def _run_worker(settings: Settings) -> None:
    from earwitness.worker.arguments import WorkerArguments
    from earwitness.worker.process import run

    _bring_up_to_date(settings)
    run(
        WorkerArguments(
            database_url=settings.database,
            spool=settings.spool,
            vault_url=settings.vault,
            keys=settings.keys,
            data_keys_url=settings.data_keys_url,
            render_processes=settings.render_process_count,
            keep_spool_s=settings.keep_spool_s,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
    )


def _web_arguments(settings: Settings) -> WebArguments:
    from earwitness.web.arguments import WebArguments

    return WebArguments(
        database_url=settings.database,
        vault_url=settings.vault,
        keys_dir=settings.keys,
        data_keys_url=settings.data_keys_url,
        run_dir=settings.run,
        prompts_dir=settings.prompts,
        spool_dir=settings.spool,
        public_url=settings.public_url,
        trusted_proxies=settings.trusted_proxies,
        host=settings.web_host,
        port=settings.web_port,
    )


def _run_web(settings: Settings) -> None:
    from earwitness.web.process import run

    _bring_up_to_date(settings)
    try:
        run(_web_arguments(settings))
    except OSError as error:
        where = f"{settings.web_host}:{settings.web_port}"
        raise CannotListenError(f"the API cannot listen on {where}: {error.strerror}") from error


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the HTTP API; needs no installation."""
    import tempfile

    from earwitness.archive.vault.keys import create_keys
    from earwitness.web.app import create_app

    with tempfile.TemporaryDirectory() as folder:
        settings = load(data=Path(folder))
        create_keys(settings.keys)
        return create_app(_web_arguments(settings)).openapi()

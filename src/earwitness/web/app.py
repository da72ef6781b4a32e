"""The web application: every family of the API behind one shell."""

from __future__ import annotations

import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import structlog
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import WebSocketRoute

from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store import audit
from earwitness.store.database import Database
from earwitness.store.secret_box import KeyFileBox
from earwitness.web.agents_again import AgentsAgain
from earwitness.web.api import (
    access,
    agent_states,
    call_control,
    call_making,
    call_routes,
    call_transfers,
    conversation_data,
    conversations,
    division_operations,
    edges,
    flow_actions,
    flow_jobs,
    flow_versions,
    flows,
    grant_lists,
    grants,
    interchange,
    languages,
    media,
    notifications,
    numbers,
    oauth_clients,
    organizations,
    own,
    permissions,
    phone_bases,
    phones,
    play,
    policies,
    presence,
    prompt_resources,
    prompts,
    quality,
    queue_members,
    queues,
    recording_annotations,
    recording_settings,
    recordings,
    retention,
    role_members,
    roles,
    search,
    sites,
    stations,
    telephony_settings,
    tokens,
    trunk_bases,
    trunks,
    user_passwords,
    user_queues,
    user_recordings,
    users,
    wrapup_codes,
    wrapups,
)
from earwitness.web.arguments import WebArguments
from earwitness.web.kernel import errors
from earwitness.web.kernel.clock import Clock
from earwitness.web.kernel.edge_control import EdgeControl
from earwitness.web.kernel.replays import Replays
from earwitness.web.kernel.services import Services
from earwitness.web.kernel.shell import Shell
from earwitness.web.kernel.signing import UrlSigner, load_key
from earwitness.web.notify import socket
from earwitness.web.notify.hub import Hub

log = structlog.get_logger()

FAMILIES = (
    *search.FIRST,
    tokens.family,
    oauth_clients.family,
    organizations.family,
    division_operations.family,
    roles.family,
    permissions.family,
    grants.family,
    grant_lists.family,
    role_members.family,
    users.family,
    user_passwords.family,
    sites.family,
    trunk_bases.family,
    trunks.family,
    phone_bases.family,
    phones.family,
    stations.family,
    numbers.family,
    call_routes.family,
    telephony_settings.family,
    flow_jobs.family,
    flow_actions.family,
    flows.family,
    flow_versions.family,
    prompts.family,
    prompt_resources.family,
    queues.family,
    queue_members.family,
    user_queues.family,
    wrapup_codes.family,
    languages.family,
    presence.family,
    agent_states.family,
    conversations.family,
    call_making.family,
    call_control.family,
    call_transfers.family,
    wrapups.family,
    conversation_data.family,
    recordings.family,
    recording_annotations.family,
    recording_settings.family,
    user_recordings.family,
    notifications.family,
    media.family,
    own.family,
    play.family,
    *policies.FAMILIES,
    *retention.FAMILIES,
    *interchange.FAMILIES,
    *quality.FAMILIES,
    *access.FAMILIES,
    *search.FAMILIES,
    edges.family,
)
"""In the order in which paths are tried: ``edges`` comes last, its ``{edgeId}`` would swallow the others."""


def renew_roles(services: Services) -> None:
    """The built-in roles as this version knows them, in an installation that an earlier one has made."""
    try:
        with services.database.transaction() as session:
            for role in access_store.renew_default_roles(session, services.clock.now_us(), new_id):
                audit.add(
                    session,
                    at=services.clock.now_us(),
                    subject=audit.SYSTEM,
                    action="renew",
                    entity_type="role",
                    entity_id=role.id,
                    detail={"defaultRoleId": role.default_role_id},
                )
    except SQLAlchemyError as error:
        log.error("web.roles_not_renewed", error=str(error))


def create_app(arguments: WebArguments, clock: Clock | None = None) -> FastAPI:
    """The application. It opens the database and the keys at once, and everything else when it is needed."""
    services = Services(
        arguments=arguments,
        database=Database(arguments.database_url, pool_size=max(1, arguments.threads // 2)),
        edge=EdgeControl(arguments.run_dir),
        signer=UrlSigner(load_key(arguments.keys_dir)),
        box=KeyFileBox.open(arguments.keys_dir),
        clock=clock or Clock(),
    )

    again = AgentsAgain(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = arguments.threads
        # In the background once we answer, so that the first listener does not wait for codec libraries.
        threading.Thread(
            target=importlib.import_module, args=("earwitness.archive.render.convert",), daemon=True
        ).start()
        again.start()
        await anyio.to_thread.run_sync(renew_roles, services)
        yield
        again.stop()
        await app.state.hub.stop()
        services.conversions.close()
        services.edge.close()
        services.database.dispose()

    app = FastAPI(
        title="Earwitness",
        description="Call recording. The recording part of the Genesys Cloud platform API, and what it lacks.",
        version="2",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v2/docs/openapi.json",
        strict_content_type=False,
    )
    app.state.services = services
    app.state.hub = Hub(services)
    app.state.replays = Replays()
    app.state.operations = [route for family in FAMILIES for route in family.routes]
    errors.install(app)
    for family in FAMILIES:
        app.include_router(family)
    app.router.routes.append(WebSocketRoute(socket.PATH, socket.serve))
    app.add_middleware(Shell, limits=arguments.limits, known=services.known_tokens)
    return app

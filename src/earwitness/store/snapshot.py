"""Builds what the edge must know from the tables.

``configuration_version`` is one indexed read, cheap enough to ask several times a second; only when it moved need
``build`` be called. A trunk whose settings cannot be understood is left out and logged: one bad row must not stop the
others from taking calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain import configuration
from earwitness.domain.configuration import DigestCredentials, Snapshot
from earwitness.domain.recording.settings import SettingsError, from_properties, instance_of
from earwitness.store import settings as setting_store
from earwitness.store import snapshot_queues, snapshot_stations, trunks
from earwitness.store.secrets import REALM, SecretBox
from earwitness.store.tables import (
    CallRoute,
    ConfigurationVersion,
    Did,
    Organization,
    Station,
    Trunk,
    TrunkBase,
    User,
)

log = structlog.get_logger()

DEFAULT_MAX_DIAL_S = 120.0
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def configuration_version(session: Session) -> int:
    """The counter that every write for the edge raises."""
    return session.scalars(select(ConfigurationVersion.version)).one()


def build(session: Session, box: SecretBox, prompts: Path = Path("prompts")) -> Snapshot:
    """The configuration as of now.

    :param prompts: folder of the recorded prompts on this machine.
    :raises LookupError: no organisation yet; ``earwitness init`` has not run.
    """
    version = configuration_version(session)  # first: what changes meanwhile raises it again
    organization = session.scalars(select(Organization)).first()
    if organization is None:
        raise LookupError("there is no organization yet; run earwitness init")
    users = session.scalars(select(User).where(User.state == "active").order_by(User.name, User.id)).all()
    dids = session.scalars(select(Did).order_by(Did.number)).all()
    active = {user.id for user in users}
    telephony = setting_store.get(session, setting_store.TELEPHONY, {})
    recording = setting_store.get(session, setting_store.RECORDING, {})
    return Snapshot(
        version=version,
        organization_id=organization.id,
        realm=REALM,
        trunks=_trunks(session, box),
        stations=_stations(session, active),
        users=tuple(configuration.User(user.id, user.name, _address(user, dids)) for user in users),
        call_routes=_routes(session, dids),
        queues=snapshot_queues.queues(session, active),
        flows=snapshot_queues.flows(session),
        prompts=snapshot_queues.prompts(session, prompts),
        ring_timeout_s=float(telephony.get("ringTimeoutSeconds") or configuration.RING_TIMEOUT_S),
        record_code=str(telephony.get("recordCode", setting_store.RECORD_CODE)),
        stop_when_only_external=bool(recording.get(setting_store.STOP_WHEN_ONLY_EXTERNAL, True)),
    )


def _trunks(session: Session, box: SecretBox) -> tuple[configuration.Trunk, ...]:
    rows = session.execute(
        select(Trunk, TrunkBase)
        .join(TrunkBase, TrunkBase.id == Trunk.trunk_base_id)
        .where(Trunk.state == "active", TrunkBase.state == "active", Trunk.trunk_type == "EXTERNAL")
        .order_by(Trunk.name, Trunk.id)
    ).all()
    found = []
    for trunk, base in rows:
        try:
            found.append(trunk_of(trunk, base, box))
        except (SettingsError, ValueError, TypeError) as error:
            log.error("trunk left out: its settings cannot be used", trunk=trunk.name, error=str(error))
    return tuple(found)


def trunk_of(trunk: Trunk, base: TrunkBase, box: SecretBox) -> configuration.Trunk:
    """A trunk as the edge knows it.

    :raises SettingsError: a property of the wrong type or value; the error names the key.
    """
    properties = base.properties
    username = _text(properties, "trunk_sip_authentication_credentials_username")
    credentials = None
    if username:
        realm = _text(properties, "trunk_sip_authentication_credentials_realm")
        credentials = DigestCredentials(username, trunks.secret(base, trunks.PASSWORD, box), realm)
    order = instance_of(properties, "earwitness_order")
    return configuration.Trunk(
        id=trunk.id,
        trunk_base_id=base.id,
        name=trunk.name,
        enabled=trunk.enabled,
        servers=_texts(properties, "trunk_transport_serverProxyList"),
        transport=_text(properties, "trunk_transport_protocolVariant").lower() or "udp",
        allow=_texts(properties, "trunk_access_acl_allowList"),
        deny=_texts(properties, "trunk_access_acl_denyList"),
        credentials=credentials,
        patterns=_texts(properties, "earwitness_outbound_patterns"),
        order=order if isinstance(order, int) else 0,
        caller_address=_text(properties, "trunk_outboundIdentification_callingAddress"),
        max_dial_s=seconds(_text(properties, "trunk_maxDialTimeout"), DEFAULT_MAX_DIAL_S),
        refuse_unrecordable=_text(properties, "earwitness_record_failure").lower() == "refuse",
        recording=from_properties(properties),
    )


def _stations(session: Session, active: set[str]) -> tuple[configuration.Station, ...]:
    """A station is its user's, else its default user's, unless that one sits elsewhere."""
    rows = session.scalars(select(Station).where(Station.state != "deleted").order_by(Station.username)).all()
    seated = {row.user_id for row in rows if row.user_id is not None}
    recording = snapshot_stations.StationRecordings(session)
    found = []
    for row in rows:
        default = row.default_user_id if row.default_user_id not in seated else None
        user_id = row.user_id or default
        found.append(
            configuration.Station(
                id=row.id,
                name=row.name,
                username=row.username,
                user_id=user_id if user_id in active else None,
                extension=row.extension,
                enabled=row.state == "active",
                ha1_md5=row.ha1_md5,
                ha1_sha256=row.ha1_sha256,
                recording=recording.of(row),
            )
        )
    return tuple(found)


def _address(user: User, dids: Sequence[Did]) -> str:
    if user.address:
        return user.address
    return next((did.number for did in dids if did.owner_type == "USER" and did.owner_id == user.id), "")


def _routes(session: Session, dids: Sequence[Did]) -> tuple[configuration.CallRoute, ...]:
    """Call routes, then the numbers that belong to a user directly."""
    rows = session.scalars(select(CallRoute).where(CallRoute.state == "active").order_by(CallRoute.name, CallRoute.id))
    found = [
        configuration.CallRoute(row.id, row.name, tuple(row.dnis), row.target_type, row.target)
        for row in rows
        if row.target_type and row.target
    ]
    taken = {number for route in found for number in route.dnis}
    found += [
        configuration.CallRoute(did.id, did.number, (did.number,), "user", did.owner_id)
        for did in dids
        if did.owner_type == "USER" and did.owner_id and did.number not in taken
    ]
    return tuple(found)


def seconds(text: str, default: float) -> float:
    """Reads a length of time as trunk settings write it: ``2m``, ``90s``, ``1m30s``, or plain seconds.

    :raises ValueError: none of these, or 0.
    """
    if not text:
        return default
    if text.isdigit():
        total = int(text)
    else:
        match = _DURATION.fullmatch(text.lower())
        if match is None:
            raise ValueError(f"{text!r} is no length of time; write 2m, 90s or 1m30s")
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        total = hours * 3600 + minutes * 60 + rest
    if total <= 0:
        raise ValueError(f"{text!r}: must be above 0")
    return float(total)


def _text(properties: Mapping[str, Any], key: str) -> str:
    value = instance_of(properties, key)
    return "" if value is None else str(value).strip()


def _texts(properties: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = instance_of(properties, key)
    if value is None:
        return ()
    items = value if isinstance(value, list) else str(value).split(",")
    return tuple(text for item in items if (text := str(item).strip()))

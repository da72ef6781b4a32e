"""Every table, one model for SQLite and PostgreSQL."""

from earwitness.store.tables.base import Base
from earwitness.store.tables.conversations import (
    Conversation,
    ConversationDivision,
    Participant,
    Recording,
    RecordingObject,
)
from earwitness.store.tables.organization import AccessToken, Division, Grant, OauthClient, Organization, Role, User
from earwitness.store.tables.system import AuditEntry, ConfigurationVersion, Setting
from earwitness.store.tables.telephony import (
    CallRoute,
    Did,
    DidPool,
    Phone,
    PhoneBase,
    Site,
    Station,
    Trunk,
    TrunkBase,
)

__all__ = [
    "AccessToken",
    "AuditEntry",
    "Base",
    "CallRoute",
    "ConfigurationVersion",
    "Conversation",
    "ConversationDivision",
    "Did",
    "DidPool",
    "Division",
    "Grant",
    "OauthClient",
    "Organization",
    "Participant",
    "Phone",
    "PhoneBase",
    "Recording",
    "RecordingObject",
    "Role",
    "Setting",
    "Site",
    "Station",
    "Trunk",
    "TrunkBase",
    "User",
]

"""Every table, one model for SQLite and PostgreSQL."""

from earwitness.store.tables.after_call import AfterCallWork, NotificationChannel
from earwitness.store.tables.base import Base
from earwitness.store.tables.conversations import (
    Conversation,
    ConversationDivision,
    ConversationQueue,
    Participant,
    Recording,
    RecordingObject,
)
from earwitness.store.tables.flows import Flow, FlowJob, FlowVersion, Prompt, PromptResource
from earwitness.store.tables.organization import AccessToken, Division, Grant, OauthClient, Organization, Role, User
from earwitness.store.tables.routing import (
    Language,
    Queue,
    QueueMember,
    QueueWrapupCode,
    Skill,
    UserRouting,
    WrapupCode,
)
from earwitness.store.tables.system import AuditEntry, ConfigurationVersion, Setting
from earwitness.store.tables.teams import ConversationTeam, WorkTeam, WorkTeamMember
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
    "AfterCallWork",
    "AuditEntry",
    "Base",
    "CallRoute",
    "ConfigurationVersion",
    "Conversation",
    "ConversationDivision",
    "ConversationQueue",
    "ConversationTeam",
    "Did",
    "DidPool",
    "Division",
    "Flow",
    "FlowJob",
    "FlowVersion",
    "Grant",
    "Language",
    "NotificationChannel",
    "OauthClient",
    "Organization",
    "Participant",
    "Phone",
    "PhoneBase",
    "Prompt",
    "PromptResource",
    "Queue",
    "QueueMember",
    "QueueWrapupCode",
    "Recording",
    "RecordingObject",
    "Role",
    "Setting",
    "Site",
    "Skill",
    "Station",
    "Trunk",
    "TrunkBase",
    "User",
    "UserRouting",
    "WorkTeam",
    "WorkTeamMember",
    "WrapupCode",
]

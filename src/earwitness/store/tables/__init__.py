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
from earwitness.store.tables.directory import DeletedDivision, ExternalContact, Group, GroupMember
from earwitness.store.tables.flows import Flow, FlowJob, FlowVersion, Prompt, PromptResource
from earwitness.store.tables.interchange import (
    BatchDownload,
    BatchDownloadItem,
    Export,
    Integration,
    KeyConfiguration,
    OrphanRecording,
    RecordingKey,
    RecordingUpload,
    UploadReport,
)
from earwitness.store.tables.organization import AccessToken, Division, Grant, OauthClient, Organization, Role, User
from earwitness.store.tables.quality import Calibration, CalibrationEvaluator, Evaluation, EvaluationForm
from earwitness.store.tables.policies import PolicyDecision, RetentionPolicy
from earwitness.store.tables.routing import (
    Language,
    Queue,
    QueueMember,
    QueueWrapupCode,
    Skill,
    UserRouting,
    WrapupCode,
)
from earwitness.store.tables.search import ConversationTerm, DetailJob
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
    "BatchDownload",
    "BatchDownloadItem",
    "Calibration",
    "CalibrationEvaluator",
    "CallRoute",
    "ConfigurationVersion",
    "Conversation",
    "ConversationDivision",
    "ConversationQueue",
    "ConversationTeam",
    "ConversationTerm",
    "DeletedDivision",
    "DetailJob",
    "Did",
    "DidPool",
    "Division",
    "Evaluation",
    "EvaluationForm",
    "Export",
    "ExternalContact",
    "Flow",
    "FlowJob",
    "FlowVersion",
    "Grant",
    "Group",
    "GroupMember",
    "Integration",
    "KeyConfiguration",
    "Language",
    "NotificationChannel",
    "OauthClient",
    "Organization",
    "OrphanRecording",
    "Participant",
    "Phone",
    "PhoneBase",
    "PolicyDecision",
    "Prompt",
    "PromptResource",
    "Queue",
    "QueueMember",
    "QueueWrapupCode",
    "Recording",
    "RecordingKey",
    "RecordingObject",
    "RecordingUpload",
    "RetentionPolicy",
    "Role",
    "Setting",
    "Site",
    "Skill",
    "Station",
    "Trunk",
    "TrunkBase",
    "UploadReport",
    "User",
    "UserRouting",
    "WorkTeam",
    "WorkTeamMember",
    "WrapupCode",
]

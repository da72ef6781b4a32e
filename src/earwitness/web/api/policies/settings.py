"""What an organisation may decide about policies as such."""

from __future__ import annotations

from earwitness.store import audit, policies
from earwitness.store import settings as setting_store
from earwitness.web.api.policies.operations import EDIT, VIEW
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Policy settings")
PATH = "/api/v2/earwitness/policies/settings"


class PolicySettings(Document):
    """Where the contract leaves a choice. They hold for conversations that become complete from now on."""

    consent_shields_from_deletion: bool = False
    """A caller's yes to being recorded keeps policies from deleting at once (C2)."""
    keep_beats_days: bool = False
    """A policy that keeps without naming days beats those that name days (against F12)."""


class PolicySettingsInput(RequestBody):
    """Settings to change; absent ones stay."""

    consent_shields_from_deletion: bool | None = None
    keep_beats_days: bool | None = None


@family.operation("GET", PATH, "get_earwitness_policies_settings", any_of(VIEW), returns=PolicySettings)
def policy_settings(caller: Signed, parts: Parts) -> PolicySettings:
    """The settings."""
    with parts.database.reading() as session:
        return PolicySettings(**setting_store.get(session, policies.SETTINGS, {}))


@family.operation("PUT", PATH, "put_earwitness_policies_settings", any_of(EDIT), returns=PolicySettings)
def change_policy_settings(caller: Signed, parts: Parts, body: PolicySettingsInput) -> PolicySettings:
    """Changes settings."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        before = PolicySettings(**setting_store.get(session, policies.SETTINGS, {}))
        new = {name: value for name, value in body.given().items() if value is not None}
        changed = before.model_copy(update=new)
        if changed != before:
            setting_store.put(session, policies.SETTINGS, changed.model_dump(by_alias=True), now)
            audit.add(
                session,
                at=now,
                subject=caller.subject,
                action="change",
                entity_type="policySettings",
                remote_address=caller.remote_address,
                detail={"before": before.model_dump(by_alias=True), "after": changed.model_dump(by_alias=True)},
            )
        return changed

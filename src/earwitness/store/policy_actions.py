"""Carrying out what policies plan beside keeping and deleting, each with a word of what became of it (F14-F17).

What cannot be done (an evaluator is gone, a form was withdrawn) is passed over and said; it keeps nothing else from
being done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.policy import (
    AssignCalibration,
    AssignEvaluation,
    AssignMetered,
    Export,
    Form,
    Planned,
    Policy,
    Unsupported,
)
from earwitness.domain.policy.choice import choose
from earwitness.domain.policy.metering import since
from earwitness.store import calibrations, evaluation_forms, evaluations, integrations, policies
from earwitness.store.tables import Recording, User

NAMES: dict[type, str] = {
    AssignEvaluation: "assignEvaluations",
    AssignCalibration: "assignCalibrations",
    Export: "integrationExport",
}
NOTHING_RECORDED = "nothing was recorded"


class Carrier:
    """Carries out the actions for one conversation, in one transaction."""

    def __init__(self, session: Session, conversation_id: str, recordings: Sequence[Recording], now: int) -> None:
        self._session = session
        self._conversation_id = conversation_id
        self._recordings = recordings
        self._now = now
        self._given: dict[tuple[str, ...], str] = {}
        self.exported = False
        """Recordings are on their way to an integration."""

    def carry_out(self, planned: Planned) -> dict[str, Any]:
        """Does it, or says why not."""
        policy, action = planned.policy, planned.action
        told = {"policyId": policy.id, "policyName": policy.name, "action": name_of(planned)}
        if isinstance(action, Unsupported):
            return {**told, "done": False, "why": action.why}
        if not self._recordings:
            return {**told, "done": False, "why": NOTHING_RECORDED}
        if isinstance(action, Export):
            return {**told, **self._export(action)}
        if planned.agent_id is None:
            return {**told, "done": False, "why": "no agent took part"}
        form_id = self._form(action.form)
        if form_id is None:
            return {**told, "done": False, "why": "the evaluation form is not published, or gone"}
        told |= {"formId": form_id, "agentId": planned.agent_id}
        try:
            with self._session.begin_nested():
                if isinstance(action, AssignCalibration):
                    return {**told, **self._calibrate(policy, action, form_id, planned.agent_id)}
                if isinstance(action, AssignMetered):
                    return {**told, **self._metered(policy, action, form_id, planned.agent_id)}
                return {**told, **self._evaluation(policy, action.evaluator_id, form_id, planned.agent_id, policy.id)}
        except ValueError as error:  # CannotAssignError, or a form of another version that nobody understands
            return {**told, "done": False, "why": str(error)}

    def _form(self, form: Form) -> str | None:
        row = None
        if not form.latest and form.id is not None:
            row = evaluation_forms.published(self._session, form.id)
        if row is None and form.context_id is not None:
            row = evaluation_forms.latest_published(self._session, form.context_id)
        return row.id if row is not None else None

    def _people(self, ids: Sequence[str], *, active: bool = False) -> list[str]:
        """Those of the users who are there, in the same order."""
        states = ("active",) if active else ("active", "inactive")
        there = set(self._session.scalars(select(User.id).where(User.id.in_(sorted(ids)), User.state.in_(states))))
        return [user_id for user_id in dict.fromkeys(ids) if user_id in there]

    def _evaluation(
        self, policy: Policy, evaluator_id: str, form_id: str, agent_id: str, counted_for: str
    ) -> dict[str, Any]:
        told = {"evaluatorId": evaluator_id}
        if not self._people([evaluator_id]):
            return {**told, "done": False, "why": "the evaluator is gone"}
        before = self._given.get((form_id, evaluator_id, agent_id))
        if before is not None:
            return {**told, "done": False, "why": f'policy "{before}" has assigned the same'}
        row = evaluations.assign(
            self._session,
            conversation_id=self._conversation_id,
            form_id=form_id,
            evaluator_id=evaluator_id,
            agent_id=agent_id,
            at=self._now,
            source_type="Policy",
            source_id=policy.id,
            source_name=policy.name,
            policy_id=counted_for,
        )
        self._given[form_id, evaluator_id, agent_id] = policy.name
        return {**told, "done": True, "why": "assigned", "evaluationId": row.id}

    def _metered(self, policy: Policy, action: AssignMetered, form_id: str, agent_id: str) -> dict[str, Any]:
        there = self._people(action.evaluator_ids, active=action.active_only)
        if not there:
            return {"done": False, "why": "no evaluator is active" if action.active_only else "the evaluators are gone"}
        policies.lock(self._session, policy.id)
        first, key = since(action.interval, self._now, action.zone), f"{policy.id}:{action.meter}"

        def had(user_id: str) -> int:
            return evaluations.count_for_evaluator(self._session, user_id, key, first)

        of_agent = evaluations.count_for_agent(self._session, agent_id, key, first) if action.by_agent else 0
        chosen = choose(action, there, had, of_agent)
        if chosen is None:
            whose = "of this agent" if action.by_agent else "for each evaluator"
            return {"done": False, "why": f"there were {action.most} {whose} in the interval already"}
        return self._evaluation(policy, chosen, form_id, agent_id, key)

    def _calibrate(self, policy: Policy, action: AssignCalibration, form_id: str, agent_id: str) -> dict[str, Any]:
        told = {"calibratorId": action.calibrator_id}
        there = self._people(action.evaluator_ids)
        if not self._people([action.calibrator_id]):
            return {**told, "done": False, "why": "the calibrator is gone"}
        if not there:
            return {**told, "done": False, "why": "the evaluators are gone"}
        expert = action.expert_id if action.expert_id and self._people([action.expert_id]) else None
        row = calibrations.assign(
            self._session,
            conversation_id=self._conversation_id,
            form_id=form_id,
            calibrator_id=action.calibrator_id,
            evaluator_ids=there,
            expert_id=expert,
            agent_id=agent_id,
            at=self._now,
            source_type="Policy",
            source_id=policy.id,
            source_name=policy.name,
            policy_id=policy.id,
        )
        return {**told, "done": True, "why": "assigned", "calibrationId": row.id}

    def _export(self, action: Export) -> dict[str, Any]:
        told = {"integrationId": action.integration_id}
        if integrations.get(self._session, action.integration_id) is None:
            return {**told, "done": False, "why": "the integration is gone"}
        free = [row for row in self._recordings if row.export_date is None and row.exported_date is None]
        if not free:
            same = all(row.export_integration_id == action.integration_id for row in self._recordings)
            return {**told, "done": False, "why": f"the recordings go {'there' if same else 'elsewhere'} already"}
        for row in free:
            row.export_date, row.export_integration_id = self._now, action.integration_id
        self.exported = True
        return {**told, "done": True, "why": "on its way", "recordings": len(free)}


def name_of(planned: Planned) -> str:
    """The action's name in the contract."""
    action = planned.action
    if isinstance(action, Unsupported):
        return action.name
    if isinstance(action, AssignMetered):
        return "assignMeteredAssignmentByAgent" if action.by_agent else "assignMeteredEvaluations"
    return NAMES[type(action)]

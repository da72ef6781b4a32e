"""Every operation, for every built-in role, held against ``access_matrix.txt``: who is let in, and to what.

The table is made from the operations that are registered, so one that is new has no row, and the test fails until
somebody has read what it lets in: ``WRITE_TABLES=1 pytest tests/web/test_access_matrix.py`` writes the table anew, and
``git diff`` shows what changed.

Each role is granted in one division. Operations on calls, recordings, evaluations, inboxes, queues, teams, wrap-up
codes and users are asked of objects in five states:

    own        the user's own: their call, their inbox
    division   another's, in the division of the grant
    foreign    another's, in another division
    deleted    another's, in the division, deleted
    evaluated  of another division, with an evaluation that the user has to do, and one of the user that is released

``+`` is let in (whatever comes of it; also where the body is refused before anybody looks), ``-`` is 403, ``0`` is 404:
it does not exist for the user. All other operations
are the same for all objects: a single sign, from the permissions that they declare; ``test_who_may`` asks them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from earwitness.domain.access import DEFAULT_ROLES, Role, Subject, resolve
from earwitness.domain.access import Grant as RuleGrant
from earwitness.store import oauth
from earwitness.store.tables import (
    Evaluation,
    EvaluationForm,
    Grant,
    Queue,
    Recording,
    User,
    WorkTeam,
    WrapupCode,
)
from earwitness.web.app import FAMILIES

TABLE = Path(__file__).with_name("access_matrix.txt")
ROLES = [role.key for role in DEFAULT_ROLES]
STATES = ("own", "division", "foreign", "deleted", "evaluated")
OPERATIONS = sorted(
    (
        (next(iter(route.methods)), route.path, route)
        for family in FAMILIES
        for route in family.routes
        if isinstance(route, APIRoute)
    ),
    key=lambda item: (item[1], item[0]),
)
OF_CALLS = ("conversationId", "recordingId")
OTHERS = {"queueId": Queue, "teamId": WorkTeam, "codeId": WrapupCode, "userId": User}
"""What else is made in each state; of paths that have only the one parameter."""
BODIES: dict[str, Any] = {
    "/evaluations": {"evaluationForm": {"id": "f"}, "evaluator": {"id": "e"}, "agent": {"id": "a"}},
    "/annotations": {"location": 1, "type": "bookmark"},
    "/recordingstate": {"recordingState": "PAUSED"},
    "/tags": {"externalTag": "x"},
    "/secureattributes": {"attributes": {"a": "b"}},
    "/members": {"memberIds": ["nobody"]},
    "/note": {"name": "x"},
}
STAMP = {"created_at": 1, "modified_at": 1}
NOTE = {"id": "note", "type": "bookmark", "location": 1, "durationMs": 1, "absoluteLocation": 1, "realtimeLocation": 1}


def new_id() -> str:
    return str(uuid.uuid4())


class Scene:
    """A user of each role, and objects in each state."""

    def __init__(self, site: Any, recorded: Any) -> None:
        self.site, self.recorded, self.world = site, recorded, site.world
        self.users: dict[str, str] = {}
        self.calls: dict[tuple[str, str, str], tuple[str, str, str]] = {}
        self.others: dict[tuple[str, str], str] = {}
        with self.world.database.transaction() as session:
            options = [{"id": "y", "text": "Yes", "value": 1}, {"id": "n", "text": "No", "value": 0}]
            question = {"id": "q", "text": "Q?", "type": "multipleChoiceQuestion", "answerOptions": options}
            session.add(EvaluationForm(id="f", name="F", division_id=self.world.sales, context_id="f", published_at=1,
                                       question_groups=[{"id": "g", "name": "G", "questions": [question]}],
                                       **STAMP))  # fmt: skip
        for role in ROLES:
            self.users[role] = self._user(role)
        for kind in ("CUSTOMER_EXPERIENCE", "ADHOC"):
            for state in STATES:
                for role in ROLES if state in ("own", "evaluated") else ROLES[:1]:
                    self.calls[kind, state, role] = self._call(kind, state, role)
        for name, table in OTHERS.items():
            for state in ("division", "foreign", "deleted"):
                self.others[name, state] = self._other(table, state)

    def _user(self, role: str) -> str:
        world, key = self.world, new_id()
        world.users[f"m-{role}"] = key
        with world.database.transaction() as session:
            session.add(User(id=key, name=role, email=f"m-{role}@example.com", division_id=world.sales, **STAMP))
            session.flush()
            session.add(Grant(id=new_id(), subject_type="user", subject_id=key, role_id=world.roles[role],
                              division_id=world.sales, granted_at=1))  # fmt: skip
            world.tokens[f"m-{role}"] = key
            oauth.add_token(session, key, Subject("user", key), at=1, expires_at=1 << 60)
        return key

    def _call(self, kind: str, state: str, role: str) -> tuple[str, str, str]:
        world = self.world
        who = f"m-{role}" if state == "own" else "other" if state in ("division", "deleted") else "nobody"
        division = world.sales if state in ("own", "division", "deleted") else world.home
        call, recording = self.recorded.store_call(self.site, user=who, role=kind, divisions=[division])
        key = new_id()
        if kind == "CUSTOMER_EXPERIENCE":
            mine = self.users[role] if state == "evaluated" else "somebody"
            with world.database.transaction() as session:
                for id_, evaluator, agent in ((key, mine, "a"), (new_id(), "e", mine)):
                    session.add(Evaluation(id=id_, context_id=id_, conversation_id=call, conversation_at=1, form_id="f",
                                           form_context_id="f", evaluator_user_id=evaluator, agent_user_id=agent,
                                           status="FINISHED", released_at=1, created_at=1, assigned_at=1, changed_at=1,
                                           deleted_at=1 if state == "deleted" else None))  # fmt: skip
        self._set(Recording, recording, annotations=[NOTE])
        if state == "deleted":
            self._set(Recording, recording, file_state="DELETED", deleted_at=1)
        return call, recording, key

    def _other(self, table: Any, state: str) -> str:
        key, division = new_id(), self.world.home if state == "foreign" else self.world.sales
        more = {"email": f"{key}@example.com"} if table is User else {}
        with self.world.database.transaction() as session:
            state_ = "deleted" if state == "deleted" else "active"
            session.add(table(id=key, name=key, division_id=division, state=state_, **STAMP, **more))
        return key

    def _set(self, table: Any, key: str, **values: Any) -> None:
        with self.world.database.transaction() as session:
            row = session.get(table, key)
            for name, value in values.items():
                setattr(row, name, value)

    def restore(self, state: str, ids: dict[str, str]) -> None:
        """What an operation that was let in may have changed."""
        if "recordingId" in ids:
            gone = state == "deleted"
            self._set(Recording, ids["recordingId"], file_state="DELETED" if gone else "AVAILABLE",
                      deleted_at=1 if gone else None, annotations=[NOTE], delete_date=None)  # fmt: skip
        if "evaluationId" in ids:
            self._set(Evaluation, ids["evaluationId"], status="FINISHED", released_at=1,
                      deleted_at=1 if state == "deleted" else None)  # fmt: skip
        for name, table in OTHERS.items():
            if name in ids:
                division = self.world.home if state == "foreign" else self.world.sales
                gone_state = "deleted" if state == "deleted" else "active"
                self._set(table, ids[name], state=gone_state, division_id=division, name=ids[name])

    def ids(self, path: str, state: str, role: str) -> dict[str, str] | None:
        """What stands for the parameters of a path; None: there is no such thing in that state."""
        names = re.findall(r"{(\w+)}", path)
        if any(name in OF_CALLS for name in names):
            kind = "ADHOC" if path.startswith("/api/v2/userrecordings") else "CUSTOMER_EXPERIENCE"
            call, recording, evaluation = self.calls[kind, state, role if state in ("own", "evaluated") else ROLES[0]]
            known = {
                "conversationId": call,
                "recordingId": recording,
                "evaluationId": evaluation,
                "file": "0.webm",
                "annotationId": "note",
            }
            return {name: known.get(name, "none") for name in names}
        (name,) = names
        return {name: self.others[name, state]} if (name, state) in self.others else None


def stateful(path: str) -> bool:
    """Whether what an operation is about is made in each state."""
    names = re.findall(r"{(\w+)}", path)
    return any(name in OF_CALLS for name in names) or (len(names) == 1 and names[0] in OTHERS)


def declared(route: APIRoute, allows: Callable[[str], bool]) -> bool:
    """Whether a role holds what an operation declares that it needs."""
    needs = route.openapi_extra["x-earwitness-permissions"]
    held = [allows(name) for name in needs["permissions"]]
    return not held or (all(held) if needs["mode"] == "ALL" else any(held))


def sign(scene: Scene, method: str, path: str, route: APIRoute, role: str, state: str) -> str:
    """How an operation answers a role about an object in a state."""
    ids = scene.ids(path, state, role)
    if ids is None:
        return " "
    address = re.sub(r"{(\w+)}", lambda found: ids[found[1]], path)
    http, site = scene.site.http(f"m-{role}"), scene.site
    if (
        "signedIn" in route.openapi_extra["x-earwitness-permissions"]
        and not (route.openapi_extra["x-earwitness-permissions"]["signedIn"])
    ):
        http = site.http(None)
        subject = f"user:{scene.users[role]}"
        now = site.app.state.services.clock.now_us() // 1_000_000
        address = site.app.state.services.signer.signed(address, subject, now + 600)
    end = address.partition("?")[0]
    body = next((value for tail, value in BODIES.items() if re.sub(r"/none$", "", end).endswith(tail)), {})
    required = {item.alias: "x" for item in route.dependant.query_params if item.field_info.is_required()}
    if path.endswith("/recordings"):
        required["maxWaitMs"] = "0"
    if (method, path) == ("DELETE", "/api/v2/earwitness/recordings/{recordingId}"):
        required["reason"] = "a test"
    reply = http.request(method, address, params=required or None, json=body if route.body_field is not None else None)
    assert reply.status_code < 500 or reply.status_code == 503, (method, path, role, state, reply.text)
    assert reply.status_code != 401, (method, path, role)
    if method not in ("GET", "HEAD") and reply.status_code < 300:
        scene.restore(state, ids)
    return {403: "-", 404: "0"}.get(reply.status_code, "+")


@pytest.mark.timeout(900)
def test_j1_j11_e2_every_operation_for_every_role_and_state(lasting_site: Any, recorded: Any) -> None:
    scene = Scene(lasting_site, recorded)
    held = {}
    for role in DEFAULT_ROLES:
        held[role.key] = resolve(
            Subject("user", "u"), [RuleGrant(Role(role.key, role.name, role.permissions, role.policies), "d")]
        )
    lines = [f"# {' '.join(ROLES)}; each: {' '.join(STATES)}"]
    for method, path, route in OPERATIONS:
        cells = []
        for role in ROLES:
            allowed = declared(route, held[role].allows)
            if not stateful(path):
                cells.append("+" if allowed else "-")
            elif not allowed:
                assert sign(scene, method, path, route, role, "division") == "-", (method, path, role)
                cells.append("-----")
            else:
                cells.append("".join(sign(scene, method, path, route, role, state) for state in STATES))
        lines.append(f"{method:6} {path}  {' '.join(cells)}".rstrip())
    found = "\n".join(lines) + "\n"
    if os.environ.get("WRITE_TABLES"):
        TABLE.write_text(found, encoding="utf-8")
    assert found == TABLE.read_text(encoding="utf-8")

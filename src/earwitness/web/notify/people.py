"""Events of routing status and presence: what has changed since the last look."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from earwitness.store import user_routing, users
from earwitness.web.api import agent_states, presence
from earwitness.web.kernel.documents import date_text
from earwitness.web.kernel.services import Services
from earwitness.web.notify import frames, topics
from earwitness.web.notify.connection import Connection

KINDS = (topics.ROUTING_STATUS, topics.PRESENCE)


@dataclass(slots=True)
class People:
    """What was last told of whom."""

    _told: dict[tuple[str, str], str] = field(default_factory=dict)

    def deliver(self, parts: Services, session: Session, listeners: list[Connection]) -> None:
        """Tells whoever wants to know and may see the user of what is new.

        What is seen for the first time is not news: who subscribes asks for the present by itself.
        """
        wanted = {(topic.kind, topic.about) for listener in listeners for topic in listener.wants(*KINDS)}
        self._told = {key: text for key, text in self._told.items() if key in wanted}
        if not wanted:
            return
        agents = agent_states.live(parts) if any(kind == topics.ROUTING_STATUS for kind, _ in wanted) else {}
        for kind, user_id in sorted(wanted):
            user = users.get(session, user_id)
            if user is None:
                continue
            body = _body(session, kind, user_id, agents)
            before = self._told.get((kind, user_id))
            self._told[kind, user_id] = body
            if before is None or before == body:
                continue
            for listener in listeners:
                own = listener.subject.user_id == user_id
                if not own and user.division_id not in listener.access.divisions_for(topics.VIEW_USERS):
                    continue
                for topic in listener.wants(kind):
                    if topic.about == user_id:
                        listener.put(frames.event(topic.name, body))


def _body(session: Session, kind: str, user_id: str, agents: dict[str, agent_states.AgentState]) -> str:
    if kind == topics.ROUTING_STATUS:
        status = agent_states.status_of(session, user_id, agents).model_dump(mode="json", by_alias=True)
        return frames.body({"id": user_id, "routingStatus": {k: v for k, v in status.items() if v is not None}})
    row = user_routing.get(session, user_id)
    name = row.presence if row is not None else user_routing.OFFLINE
    key = presence.IDS.get(name, "")
    told = {
        "id": user_id,
        "source": presence.SOURCE,
        "primary": True,
        "presenceDefinition": {"id": key, "systemPresence": name},
        "message": row.message if row is not None else None,
        "modifiedDate": date_text(row.presence_at) if row is not None else None,
    }
    return frames.body({name: value for name, value in told.items() if value is not None})

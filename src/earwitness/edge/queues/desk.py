"""Who gets which call: automatic call distribution, without clock, network or disk.

Theory of operation. Calls wait in queues, agents are free or not (``agent.py``). Whenever something changes, the queues
that it touches are matched until no queue has both a waiting call and a free member, so nobody waits while somebody
could talk to them. Each step of matching takes, of all touched queues, the call of the highest priority and among
those the one that has waited longest, and offers it to the member who has gone longest since handling a queue call
(the vendor's rule; among those who never did, who has been idle longest), which no change of status can game.

A call that is offered rings at one agent, and an agent rings for one call. An offer ends by ``answered`` (the call
leaves the desk), ``declined`` (the call goes back to its old place, the agent becomes NOT_RESPONDING whatever the
cause: who lets a call ring, rejects it or whose phone is dead would be offered it again at once), ``leave`` (the caller
is gone), or because the agent went away (``Withdraw``; the call goes back to its place). A call that comes back is
offered to somebody else than last time if anybody else is free.

All times are microseconds on the clock that ``now`` is read from, which must not run backwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from earwitness.domain.configuration import Queue
from earwitness.edge.queues.actions import Action, AcwTimedOut, AgentView, Lost, Offer, QueueView, Withdraw
from earwitness.edge.queues.agent import NO_EARLY_EXIT, Acw, Agent
from earwitness.edge.queues.line import Call, Line

GRACE_US = 5_000_000
"""An offer about which nothing is reported is taken back this long after it should have stopped ringing."""


class UnknownAgent(LookupError):  # noqa: N818 - what it is
    """No such user."""


class Desk:
    """See the module. Each method that changes something gives the actions that follow, in order."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._lines: dict[str, Line] = {}
        self._calls: dict[str, Call] = {}
        self._arrivals = 0
        self._timers: list[tuple[int, int, str, str]] = []
        """(when, number, ``offer`` or ``acw``, user id); those that are not due any more are skipped."""
        self._timer_number = 0
        self.revision = 0
        """Changes whenever ``to_document`` would."""

    # -- configuration -----------------------------------------------------------------------------------------------

    def configure(self, queues: Iterable[Queue], user_ids: Iterable[str], now: int) -> list[Action]:
        """Takes a new configuration: calls of queues that are gone are ``Lost``, agents that are gone are forgotten."""
        actions: list[Action] = []
        wanted = {queue.id: queue for queue in queues}
        users = set(user_ids)
        for agent in list(self._agents.values()):
            self._unlist(agent)
            if agent.user_id not in users:
                actions += self._take_back(agent)
                del self._agents[agent.user_id]
                self.revision += 1
        for user_id in users - self._agents.keys():
            self._agents[user_id] = Agent(user_id, now)
            self.revision += 1
        for queue_id in self._lines.keys() - wanted.keys():
            for call_id in sorted(self._lines[queue_id].calls, key=lambda name: self._calls[name].place):
                actions += [*self._forget(call_id), Lost(call_id)]
            del self._lines[queue_id]
        membership: dict[str, list[str]] = {}
        for queue_id, queue in wanted.items():
            line = self._lines.setdefault(queue_id, Line(queue, frozenset()))
            line.queue, line.members = queue, frozenset(queue.members) & self._agents.keys()
            for user_id in line.members:
                membership.setdefault(user_id, []).append(queue_id)
        for agent in self._agents.values():
            agent.queues = tuple(membership.get(agent.user_id, ()))
            call = self._calls.get(agent.offered or "")
            if call is not None and call.queue_id not in agent.queues:
                actions += self._take_back(agent)
            self._relist(agent, now)
        return actions + self._match(self._lines.keys(), now)

    # -- calls -------------------------------------------------------------------------------------------------------

    def enter(self, call_id: str, queue_id: str, now: int, priority: int = 0) -> list[Action]:
        """A call begins to wait. In another queue it waits no longer; in one that does not exist it is ``Lost``."""
        actions = self.leave(call_id, now)
        line = self._lines.get(queue_id)
        if line is None:
            return [*actions, Lost(call_id)]
        self._arrivals += 1
        call = Call(call_id, queue_id, now, (-priority, now, self._arrivals, call_id))
        self._calls[call_id] = call
        line.calls.add(call_id)
        line.wait(call)
        return actions + self._match((queue_id,), now)

    def leave(self, call_id: str, now: int) -> list[Action]:
        """The call waits no more: the caller hung up, was transferred, or a flow went on. Unknown calls are fine."""
        call = self._calls.get(call_id)
        if call is None:
            return []
        agent = self._agents.get(call.offered_to or "")
        actions = self._forget(call_id)
        return actions + (self._changed(agent, now) if agent is not None else [])

    def answered(self, call_id: str, user_id: str, now: int) -> list[Action]:
        """An agent took an offered call, which leaves the desk; the agent is INTERACTING until ``free``.

        Gives ``Withdraw`` when the call was not (any more) offered to that agent: they may not have it.
        """
        call = self._calls.get(call_id)
        if call is None or call.offered_to != user_id:
            return [Withdraw(call_id, user_id)]
        self._forget(call_id)
        return self.busy(user_id, now, in_queue_call=True)

    def declined(self, call_id: str, user_id: str, now: int, cause: str) -> list[Action]:
        """An agent did not take an offered call.

        :param cause: ``timeout``, ``rejected`` or ``unreachable``; each makes the agent NOT_RESPONDING.
        """
        call, agent = self._calls.get(call_id), self._agents.get(user_id)
        if call is None or agent is None or call.offered_to != user_id:
            return []
        agent.not_responding = True
        self.revision += 1
        self._take_back(agent)
        return self._changed(agent, now, call.queue_id)

    # -- agents ------------------------------------------------------------------------------------------------------

    def set_agent(self, user_id: str, on_queue: bool | None, status: str | None, now: int) -> list[Action]:
        """An agent goes on or off queue, or is responding again (status ``IDLE``); None leaves it as it is.

        :raises UnknownAgent: no such user.
        :raises ValueError: a status that cannot be set.
        """
        agent = self._agents.get(user_id)
        if agent is None:
            raise UnknownAgent(user_id)
        if status not in (None, "IDLE"):
            raise ValueError(f"only the status IDLE can be set, not {status!r}")
        if status == "IDLE" or (on_queue is not None and on_queue != agent.on_queue):
            agent.not_responding = False
        if on_queue is not None:
            agent.on_queue = on_queue
        self.revision += 1
        return self._changed(agent, now)

    def busy(self, user_id: str, now: int, in_queue_call: bool) -> list[Action]:
        """The user is in a call (one that rings is none). Another than a queue's takes an offer back.

        The latest report counts; a user whose calls are of both kinds is to be reported with ``in_queue_call``.
        """
        agent = self._agents.get(user_id)
        if agent is None:
            return []
        agent.in_call = "queue" if in_queue_call else "other"
        return self._changed(agent, now)

    def free(self, user_id: str, now: int) -> list[Action]:
        """The user is in no call any more. Begin after-call work first, or the next call comes in between."""
        agent = self._agents.get(user_id)
        if agent is None or agent.in_call is None:
            return []
        if agent.in_call == "queue":
            agent.handled = now
            self.revision += 1
        agent.in_call = None
        return self._changed(agent, now)

    def reachable(self, user_id: str, reachable: bool, now: int) -> list[Action]:
        """Whether a phone of the user is registered."""
        agent = self._agents.get(user_id)
        if agent is None or agent.reachable == reachable:
            return []
        agent.reachable = reachable
        return self._changed(agent, now)

    def begin_acw(
        self,
        user_id: str,
        conversation_id: str,
        participant_id: str,
        queue_id: str,
        now: int,
        prompt: str,
        timeout_us: int,
    ) -> list[Action]:
        """An agent's queue call is over and a wrap-up is waited for, until ``timeout_us`` from now at most (W3).

        :param prompt: the contract's wrapupPrompt. The mandatory ones keep further calls away.
        """
        agent = self._agents.get(user_id)
        if agent is None:
            return []
        deadline = now + max(0, timeout_us)
        agent.acw = [work for work in agent.acw if work.participant_id != participant_id]
        agent.acw.append(Acw(conversation_id, participant_id, queue_id, prompt, deadline))
        self._at(deadline, "acw", user_id)
        self.revision += 1
        return self._changed(agent, now)

    def end_acw(self, user_id: str, now: int, participant_id: str | None = None) -> list[Action]:
        """The wrap-up of a participant was given; None: of all that are waited for.

        After ``MANDATORY_FORCED_TIMEOUT`` the agent is free only when its time is over.
        """
        agent = self._agents.get(user_id)
        if agent is None:
            return []
        for work in agent.acw:
            if participant_id in (None, work.participant_id):
                work.done = True
        return self._end_done(agent, now)

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> int | None:
        """When ``tick`` is due next, or None."""
        while self._timers and not self._pending(*self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def tick(self, now: int) -> list[Action]:
        """Ends what is overdue. Calling it early or late does no harm."""
        actions: list[Action] = []
        while (due := self.next_at) is not None and due <= now:
            _, _, kind, name = heapq.heappop(self._timers)
            if kind == "offer":
                call = self._calls[name]
                user_id = call.offered_to or ""
                actions += [Withdraw(name, user_id), *self.declined(name, user_id, now, "timeout")]
            else:
                actions += self._time_out(self._agents[name], now)
        return actions

    # -- observation -------------------------------------------------------------------------------------------------

    def agent(self, user_id: str) -> AgentView:
        """One agent. :raises UnknownAgent: no such user."""
        found = self._agents.get(user_id)
        if found is None:
            raise UnknownAgent(user_id)
        return found.view()

    def agents(self) -> list[AgentView]:
        """Every agent, by user id."""
        return [self._agents[user_id].view() for user_id in sorted(self._agents)]

    def queues(self, now: int) -> list[QueueView]:
        """Every queue, by id."""
        views = []
        for queue_id, line in sorted(self._lines.items()):
            longest = max((now - self._calls[call].entered for call in line.calls), default=0)
            on_queue = sum(self._agents[user].on_queue for user in line.members)
            views.append(QueueView(queue_id, len(line.calls), longest, on_queue, len(line.free)))
        return views

    def position(self, call_id: str) -> int | None:
        """How many calls are served before this one, itself included, so 1 is next; None: it does not wait."""
        call = self._calls.get(call_id)
        if call is None:
            return None
        return 1 if call.offered_to is not None else self._lines[call.queue_id].place_of(call) + 1

    # -- across restarts ---------------------------------------------------------------------------------------------

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values: who is on queue and responding, and the after-call work with its deadlines."""
        return {"agents": {user_id: agent.to_document() for user_id, agent in self._agents.items()}}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Desk:
        """The reverse of ``to_document``; agents that cannot be read are left out. ``configure`` it next."""
        desk = Desk()
        agents = document.get("agents")
        for user_id, item in (agents if isinstance(agents, Mapping) else {}).items():
            try:
                agent = Agent.from_document(str(user_id), item)
            except (TypeError, KeyError, ValueError):
                continue
            desk._agents[agent.user_id] = agent
            for work in agent.acw:
                desk._at(work.deadline, "acw", agent.user_id)
        return desk

    # -- inside ------------------------------------------------------------------------------------------------------

    def _match(self, queue_ids: Iterable[str], now: int) -> list[Action]:
        """Offers calls until none of these queues has both a waiting call and a free agent."""
        actions: list[Action] = []
        touched = [self._lines[queue_id] for queue_id in queue_ids]
        while touched := [line for line in touched if line.waiting and line.free]:
            line = min(touched, key=lambda candidate: candidate.waiting[0])
            call = self._calls[line.waiting[0][3]]
            agent = self._agents[line.first_free(call.last_offered_to)]
            line.unwait(call)
            call.offered_to = call.last_offered_to = agent.user_id
            agent.offered = call.call_id
            self._unlist(agent)
            ring_s = line.queue.alerting_s
            call.overdue = now + round(ring_s * 1_000_000) + GRACE_US
            self._at(call.overdue, "offer", call.call_id)
            actions.append(Offer(call.call_id, call.queue_id, agent.user_id, ring_s))
        return actions

    def _changed(self, agent: Agent, now: int, *queue_ids: str) -> list[Action]:
        """Draws the conclusions of an agent's changed facts; ``queue_ids``: other queues that are touched."""
        actions: list[Action] = []
        call = self._calls.get(agent.offered or "")
        if call is not None and (
            not agent.on_queue or not agent.reachable or agent.in_call == "other" or agent.blocked
        ):
            actions += self._take_back(agent)
            queue_ids += (call.queue_id,)
        self._relist(agent, now)
        return actions + self._match({*agent.queues, *queue_ids}, now)

    def _relist(self, agent: Agent, now: int) -> None:
        agent.settle(now)
        place = (agent.handled, agent.idle_since, agent.user_id) if agent.free else None
        if place == agent.listed and place is not None:
            return
        self._unlist(agent)
        if place is not None:
            agent.listed = place
            for queue_id in agent.queues:
                self._lines[queue_id].list_free(place)

    def _unlist(self, agent: Agent) -> None:
        if agent.listed is not None:
            for queue_id in agent.queues:
                self._lines[queue_id].unlist_free(agent.listed)
            agent.listed = None

    def _take_back(self, agent: Agent) -> list[Action]:
        """Ends the agent's offer; the call waits at its old place. Does not match."""
        call = self._calls.get(agent.offered or "")
        agent.offered = None
        if call is None:
            return []
        call.offered_to = None
        self._lines[call.queue_id].wait(call)
        return [Withdraw(call.call_id, agent.user_id)]

    def _forget(self, call_id: str) -> list[Action]:
        """Takes a call out of its queue, and its offer from the agent. Does not match."""
        call = self._calls.pop(call_id)
        line = self._lines[call.queue_id]
        line.calls.discard(call_id)
        if call.offered_to is None:
            line.unwait(call)
            return []
        self._agents[call.offered_to].offered = None
        return [Withdraw(call_id, call.offered_to)]

    def _end_done(self, agent: Agent, now: int) -> list[Action]:
        """Drops after-call work that is done and whose time box, if it has one, is over."""
        kept = [work for work in agent.acw if not work.done or (work.prompt == NO_EARLY_EXIT and work.deadline > now)]
        if agent.blocked and not any(work.blocking for work in kept):
            agent.handled = now
        agent.acw = kept
        self.revision += 1
        return self._changed(agent, now)

    def _time_out(self, agent: Agent, now: int) -> list[Action]:
        told: list[Action] = []
        for work in agent.acw:
            if work.deadline <= now and not work.done:
                work.done = True
                told.append(AcwTimedOut(agent.user_id, work.conversation_id, work.participant_id, work.queue_id))
        return told + self._end_done(agent, now)

    def _at(self, when: int, kind: str, name: str) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, kind, name))

    def _pending(self, when: int, _: int, kind: str, name: str) -> bool:
        if kind == "offer":
            call = self._calls.get(name)
            return call is not None and call.offered_to is not None and call.overdue == when
        agent = self._agents.get(name)
        return agent is not None and any(work.deadline == when for work in agent.acw)

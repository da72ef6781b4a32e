"""Queues, members, wrap-up codes, languages, skills, presence."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from earwitness.cli.contract.steps import Context, expect, keep, put, simple, step

ROUTING = "RoutingApi"

keep(ROUTING, "post_routing_wrapupcodes", "code", lambda c: c.model("WrapupCodeRequest", name="Sold"))
simple(ROUTING, "get_routing_wrapupcodes", listing=True)
simple(ROUTING, "get_routing_wrapupcode", "code")
simple(ROUTING, "get_routing_wrapupcodes_divisionviews", listing=True)
simple(ROUTING, "get_routing_wrapupcodes_divisionview", "code")


@step
def put_routing_wrapupcode(c: Context) -> None:
    """Describes a code."""
    body = c.model("WrapupCodeRequest", name="Sold", description="At last")
    expect(c.api(ROUTING).put_routing_wrapupcode(c.kept["code"], body).description == "At last", "description")


def _new_queue(context: Context) -> Any:
    acw = context.model("AcwSettings", wrapup_prompt="MANDATORY_TIMEOUT", timeout_ms=60_000)
    return context.model("CreateQueueRequest", name="Sales", acw_settings=acw)


keep(ROUTING, "post_routing_queues", "queue", _new_queue)
simple(ROUTING, "get_routing_queues", listing=True)
simple(ROUTING, "get_routing_queue", "queue")
put(ROUTING, "put_routing_queue", "get_routing_queue", "queue")
simple(ROUTING, "get_routing_queues_divisionviews", listing=True)
simple(ROUTING, "get_routing_queues_divisionviews_all", listing=True)


@step
def post_routing_queue_members(c: Context) -> None:
    """Ada and the administrator."""
    c.kept["administrator"] = c.made["administrator"]["id"]
    people = [c.model("WritableEntity", id=c.kept[name]) for name in ("user", "administrator")]
    c.api(ROUTING).post_routing_queue_members(c.kept["queue"], people)


@step
def get_routing_queue_members(c: Context) -> None:
    """Both."""
    found = c.api(ROUTING).get_routing_queue_members(c.kept["queue"], expand=["routingStatus"])
    expect({member.routing_status.status for member in found.entities} == {"OFF_QUEUE"}, "two members off queue")


@step
def patch_routing_queue_member(c: Context) -> None:
    """Ada leaves for now."""
    body = c.model("QueueMember", id=c.kept["user"], joined=False)
    c.api(ROUTING).patch_routing_queue_member(c.kept["queue"], c.kept["user"], body)


@step
def patch_routing_queue_members(c: Context) -> None:
    """And joins again."""
    body = [c.model("QueueMember", id=c.kept["user"], joined=True)]
    found = c.api(ROUTING).patch_routing_queue_members(c.kept["queue"], body)
    expect([member.joined for member in found.entities] == [True], "joined")


simple(ROUTING, "get_user_queues", "user", listing=True)
simple(ROUTING, "get_routing_queues_me", user=True, listing=True)


@step
def patch_user_queue(c: Context) -> None:
    """The administrator leaves the queue for now."""
    ids = (c.kept["queue"], c.kept["administrator"])
    left = c.api(ROUTING, user=True).patch_user_queue(*ids, c.model("UserQueue", joined=False))
    expect(left.joined is False, "left")


@step
def patch_user_queues(c: Context) -> None:
    """And joins it again."""
    body = [c.model("UserQueue", id=c.kept["queue"], joined=True)]
    found = c.api(ROUTING, user=True).patch_user_queues(c.kept["administrator"], body)
    expect([queue.joined for queue in found.entities] == [True], "joined")


@step
def post_routing_queue_wrapupcodes(c: Context) -> None:
    """The queue offers the code."""
    body = [c.model("WrapUpCodeReference", id=c.kept["code"])]
    expect(len(c.api(ROUTING).post_routing_queue_wrapupcodes(c.kept["queue"], body)) == 1, "one code")


simple(ROUTING, "get_routing_queue_wrapupcodes", "queue", listing=True)
keep(ROUTING, "post_routing_languages", "language", lambda c: c.model("Language", name="en-us"))
simple(ROUTING, "get_routing_languages", listing=True)
simple(ROUTING, "get_routing_language", "language")
simple(ROUTING, "delete_routing_language", "language")
keep(ROUTING, "post_routing_skills", "skill", lambda c: c.model("CreateRoutingSkill", name="Patience"))
simple(ROUTING, "get_routing_skills", listing=True)
simple(ROUTING, "get_routing_settings")


@step
def put_routing_settings(c: Context) -> None:
    """Kept."""
    changed = c.api(ROUTING).put_routing_settings(c.model("RoutingSettings", reset_agent_score_on_presence_change=True))
    expect(changed.reset_agent_score_on_presence_change is True, "kept")


simple(ROUTING, "delete_routing_settings")


def _set_presence(c: Context, word: str) -> Any:
    definition = c.model("PresenceDefinition", system_presence=word)
    body = c.model("UserPresence", presence_definition=definition)
    return c.api("PresenceApi", user=True).patch_user_presence(c.kept["administrator"], "PURECLOUD", body)


@step
def get_user_routingstatus(c: Context) -> None:
    """Off queue until presence says otherwise."""
    with contextlib.redirect_stderr(io.StringIO()):
        found = c.api("UsersApi").get_user_routingstatus(c.kept["administrator"])
    expect(found.status == "OFF_QUEUE", "off queue")


@step
def put_user_routingstatus(c: Context) -> None:
    """Takes an agent off queue."""
    _set_presence(c, "On Queue")
    found = c.api("UsersApi", user=True).put_user_routingstatus(
        c.kept["administrator"], c.model("RoutingStatus", status="OFF_QUEUE")
    )
    expect(found.status == "OFF_QUEUE", "off queue")


simple(ROUTING, "delete_routing_queue_wrapupcode", "queue", "code")
simple(ROUTING, "delete_routing_queue_member", "queue", "user")
simple(ROUTING, "delete_routing_wrapupcode", "code")

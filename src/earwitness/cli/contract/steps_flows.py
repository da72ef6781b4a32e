"""Flows, prompts, and the numbers that lead to flows."""

from __future__ import annotations

from earwitness.cli.contract.steps import Context, expect, keep, put, simple, step

keep("ArchitectApi", "post_architect_ivrs", "ivr", lambda c: c.model("IVR", name="Hotline", dnis=["+4930100"]))
simple("ArchitectApi", "get_architect_ivrs", listing=True)
simple("ArchitectApi", "get_architect_ivr", "ivr")
put("ArchitectApi", "put_architect_ivr", "get_architect_ivr", "ivr")
simple("ArchitectApi", "delete_architect_ivr", "ivr")


ARCHITECT = "ArchitectApi"
TEXT = """\
inboundCall:
  name: {name}
  defaultLanguage: en-us
  startUpRef: "./tasks/task[main]"
  tasks:
    - task:
        name: Main
        refId: main
        actions:
          - playAudio:
              name: Hello
              audio: {{tts: Hello}}
          - disconnect:
              name: Bye
"""

keep(ARCHITECT, "post_flows", "flow", lambda c: c.model("Flow", name="Office", type="INBOUNDCALL"))
simple(ARCHITECT, "get_flows", listing=True)
simple(ARCHITECT, "get_flow", "flow")
put(ARCHITECT, "put_flow", "get_flow", "flow")
simple(ARCHITECT, "get_flows_divisionviews", listing=True)
simple(ARCHITECT, "post_flows_actions_checkout", "flow")


@step
def post_flow_versions(c: Context) -> None:
    """Saves a text."""
    saved = c.api(ARCHITECT).post_flow_versions(c.kept["flow"], {"yaml": TEXT.format(name="Office")})
    c.kept["version"] = saved.id
    expect(saved.type == "SAVE", "saved")


simple(ARCHITECT, "get_flow_versions", "flow", listing=True)
simple(ARCHITECT, "get_flow_version", "flow", "version")
simple(ARCHITECT, "post_flows_actions_checkin", "flow")


def _configuration(name: str, *keys: str) -> None:
    def run(c: Context) -> None:
        found = getattr(c.api(ARCHITECT), name)(*(c.kept[key] for key in keys))
        expect(found["inboundCall"]["name"] == "Office", "the text as JSON")

    run.__name__ = name
    step(run)


_configuration("get_flow_version_configuration", "flow", "version")
_configuration("get_flow_latestconfiguration", "flow")


@step
def post_flows_actions_publish(c: Context) -> None:
    """Calls run by it."""
    done = c.api(ARCHITECT).post_flows_actions_publish(c.kept["flow"])
    expect(done.complete and done.action_status == "SUCCESS", "published")


simple(ARCHITECT, "post_flows_actions_deactivate", "flow")
simple(ARCHITECT, "post_flows_actions_revert", "flow")
simple(ARCHITECT, "post_flows_actions_unlock", "flow")


@step
def post_flows_jobs(c: Context) -> None:
    """A flow that is uploaded to the signed address."""
    import httpx

    job = c.api(ARCHITECT).post_flows_jobs()
    reply = httpx.put(job.presigned_url, content=TEXT.format(name="Uploaded"), headers=job.headers, trust_env=False)
    reply.raise_for_status()
    c.kept["job"] = job.id


@step
def get_flows_job(c: Context) -> None:
    """It is published."""
    expect(c.api(ARCHITECT).get_flows_job(c.kept["job"], expand=["messages"]).status == "Success", "published")


simple(ARCHITECT, "delete_flow", "flow")

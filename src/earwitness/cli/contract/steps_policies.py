"""Media retention policies."""

from __future__ import annotations

from typing import Any

from earwitness.cli.contract.steps import Context, expect, put, step

RECORDING = "RecordingApi"


def _body(c: Context, name: str, days: int) -> Any:
    duration = c.model(
        "RetentionDuration",
        archive_retention=c.model("ArchiveRetention", days=1, storage_medium="CLOUDARCHIVE"),
        delete_retention=c.model("DeleteRetention", days=days),
    )
    actions = c.model("PolicyActions", retain_recording=True, retention_duration=duration)
    conditions = c.model("CallMediaPolicyConditions", directions=["INBOUND"])
    call = c.model("CallMediaPolicy", conditions=conditions, actions=actions)
    return c.model("PolicyCreate", name=name, media_policies=c.model("MediaPolicies", call_policy=call))


def _refused(c: Context, call: Any, *arguments: Any) -> int:
    try:
        call(*arguments)
    except c.sdk.rest.ApiException as error:
        return int(error.status)
    return 0


@step
def post_recording_mediaretentionpolicies(c: Context) -> None:
    """Makes one; one that archives after it deletes is refused."""
    api = c.api(RECORDING)
    made = api.post_recording_mediaretentionpolicies(_body(c, "Keep inbound calls", 100))
    expect(made.media_policies.call_policy.actions.retention_duration.delete_retention.days == 100, "100 days")
    expect(made.enabled is False, "disabled until somebody enables it")
    c.kept["policy"] = made.id
    c.kept["policy:other"] = api.post_recording_mediaretentionpolicies(_body(c, "Another", 9)).id
    expect(_refused(c, api.post_recording_mediaretentionpolicies, _body(c, "Wrong", 1)) == 400, "400")


@step
def get_recording_mediaretentionpolicies(c: Context) -> None:
    """Filtered."""
    found = c.api(RECORDING).get_recording_mediaretentionpolicies(delete_days_threshold=50, has_errors=False)
    expect([item.id for item in found.entities] == [c.kept["policy"]], "the one that keeps longer")


@step
def get_recording_mediaretentionpolicy(c: Context) -> None:
    """Reads it."""
    api = c.api(RECORDING)
    expect(api.get_recording_mediaretentionpolicy(c.kept["policy"]).name == "Keep inbound calls", "name")
    expect(_refused(c, api.get_recording_mediaretentionpolicy, "unknown") == 404, "404")


put(RECORDING, "put_recording_mediaretentionpolicy", "get_recording_mediaretentionpolicy", "policy")


@step
def patch_recording_mediaretentionpolicy(c: Context) -> None:
    """Enables it."""
    body = c.model("PolicyUpdate", enabled=True)
    expect(c.api(RECORDING).patch_recording_mediaretentionpolicy(c.kept["policy"], body).enabled, "enabled")


@step
def delete_recording_mediaretentionpolicies(c: Context) -> None:
    """Deletes the other one alone."""
    api = c.api(RECORDING)
    api.delete_recording_mediaretentionpolicies(c.kept["policy:other"])
    expect(_refused(c, api.get_recording_mediaretentionpolicy, c.kept["policy:other"]) == 404, "gone")
    expect(api.get_recording_mediaretentionpolicy(c.kept["policy"]).enabled, "still there")


@step
def delete_recording_mediaretentionpolicy(c: Context) -> None:
    """Deletes it."""
    api = c.api(RECORDING)
    api.delete_recording_mediaretentionpolicy(c.kept["policy"])
    expect(_refused(c, api.get_recording_mediaretentionpolicy, c.kept["policy"]) == 404, "gone")


@step
def post_recording_crossplatform_mediaretentionpolicies(c: Context) -> None:
    """Makes two for conversations of other platforms; one that contradicts itself is refused."""
    api = c.api(RECORDING)
    actions = c.model("CrossPlatformPolicyActions", always_delete=True)
    for key in ("crosspolicy", "crosspolicy:other"):
        body = c.model("CrossPlatformPolicyCreate", name=key, actions=actions)
        c.kept[key] = api.post_recording_crossplatform_mediaretentionpolicies(body).id
    nameless = c.model("CrossPlatformPolicyCreate", actions=actions)
    expect(_refused(c, api.post_recording_crossplatform_mediaretentionpolicies, nameless) == 400, "400")


@step
def get_recording_crossplatform_mediaretentionpolicies(c: Context) -> None:
    """Both, and none of the others."""
    found = c.api(RECORDING).get_recording_crossplatform_mediaretentionpolicies()
    expect({item.id for item in found.entities} == {c.kept["crosspolicy"], c.kept["crosspolicy:other"]}, "two")


@step
def get_recording_crossplatform_mediaretentionpolicy(c: Context) -> None:
    """Reads one."""
    api = c.api(RECORDING)
    found = api.get_recording_crossplatform_mediaretentionpolicy(c.kept["crosspolicy"])
    expect(found.actions.always_delete is True, "always deletes")
    expect(_refused(c, api.get_recording_crossplatform_mediaretentionpolicy, "unknown") == 404, "404")


put(
    RECORDING,
    "put_recording_crossplatform_mediaretentionpolicy",
    "get_recording_crossplatform_mediaretentionpolicy",
    "crosspolicy",
)


@step
def patch_recording_crossplatform_mediaretentionpolicy(c: Context) -> None:
    """Enables it."""
    body = c.model("CrossPlatformPolicyUpdate", enabled=True)
    changed = c.api(RECORDING).patch_recording_crossplatform_mediaretentionpolicy(c.kept["crosspolicy"], body)
    expect(changed.enabled is True, "enabled")


@step
def delete_recording_crossplatform_mediaretentionpolicies(c: Context) -> None:
    """Deletes the other one alone."""
    api = c.api(RECORDING)
    api.delete_recording_crossplatform_mediaretentionpolicies(c.kept["crosspolicy:other"])
    expect(api.get_recording_crossplatform_mediaretentionpolicies().total == 1, "one is left")


@step
def delete_recording_crossplatform_mediaretentionpolicy(c: Context) -> None:
    """Deletes it."""
    api = c.api(RECORDING)
    api.delete_recording_crossplatform_mediaretentionpolicy(c.kept["crosspolicy"])
    expect(_refused(c, api.get_recording_crossplatform_mediaretentionpolicy, c.kept["crosspolicy"]) == 404, "gone")

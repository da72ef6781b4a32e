"""Annotations through the vendor's SDK: pauses with their offsets, bookmarks with their rights."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException


def api(site, name="supervisor"):
    return sdk.RecordingApi(site.sdk(name))


def bookmark(**fields):
    made = sdk.Annotation()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_b11_ids_of_pauses(sqlite_site, recorded):
    call = recorded.store_call(sqlite_site)
    first = api(sqlite_site).get_conversation_recording_annotations(*call)
    again = api(sqlite_site).get_conversation_recording_annotations(*call)
    ids = {reason: {item.id for item in first if item.reason == reason} for reason in ("Hold", "SecurePause")}
    assert len(ids["SecurePause"]) == 1
    assert {item.id for item in again if item.reason == "SecurePause"} == ids["SecurePause"]
    assert ids["Hold"].isdisjoint({item.id for item in again})
    one = api(sqlite_site).get_conversation_recording_annotation(*call, ids["SecurePause"].pop())
    assert (one.reason, one.duration_ms) == ("SecurePause", 250)


def test_b12_a_bookmark_has_all_offsets(sqlite_site, recorded):
    call = recorded.store_call(sqlite_site)
    made = api(sqlite_site).post_conversation_recording_annotations(
        *call, bookmark(name="The price", location=1000, duration_ms=200, description="agreed")
    )
    assert (made.absolute_location, made.recording_location, made.realtime_location) == (1000, 1000, 1750)
    assert (made.recording_duration_ms, made.type, made.user.id) == (
        200,
        "bookmark",
        sqlite_site.world.users["supervisor"],
    )
    made.name = "The discount"
    changed = api(sqlite_site).put_conversation_recording_annotation(*call, made.id, made)
    assert (changed.id, changed.name, changed.description) == (made.id, "The discount", "agreed")
    in_recording = api(sqlite_site).get_conversation_recording(*call).annotations
    assert [item.name for item in in_recording if item.type == "bookmark"] == ["The discount"]
    sdk.RecordingApi(sqlite_site.sdk("client")).delete_conversation_recording_annotation(*call, made.id)
    listed = api(sqlite_site).get_conversation_recording_annotations(*call)
    assert [item.type for item in listed] == ["pause"] * 3


@pytest.mark.parametrize(
    "body",
    [{}, {"location": -1}, {"location": 5000}, {"location": 1900, "duration_ms": 200}, {"location": 1, "type": "pause"},
     {"location": 1, "name": "x" * 300}],
)  # fmt: skip
def test_a_bookmark_lies_within_its_recording(sqlite_site, recorded, body):
    call = recorded.store_call(sqlite_site)
    with pytest.raises(ApiException) as caught:
        api(sqlite_site).post_conversation_recording_annotations(*call, bookmark(**body))
    assert caught.value.status == 400


def test_g16_rights(sqlite_site, recorded):
    call = recorded.store_call(sqlite_site)
    made = api(sqlite_site).post_conversation_recording_annotations(*call, bookmark(location=10))
    own = api(sqlite_site, "agent")
    assert made.id in {item.id for item in own.get_conversation_recording_annotations(*call)}
    for action, arguments in (
        (own.post_conversation_recording_annotations, (bookmark(location=1),)),
        (own.put_conversation_recording_annotation, (made.id, bookmark(location=1))),
        (own.delete_conversation_recording_annotation, (made.id,)),
    ):
        with pytest.raises(ApiException) as caught:
            action(*call, *arguments)
        assert caught.value.status == 403
    with pytest.raises(ApiException) as caught:
        api(sqlite_site, "other").get_conversation_recording_annotations(*call)
    assert caught.value.status == 404
    with sqlite_site.world.database.transaction() as session:
        role = sqlite_site.world.roles["ownCalls"]
        sql = "UPDATE roles SET permission_policies = replace(permission_policies, 'annotation', 'nothing')"
        session.connection().exec_driver_sql(f"{sql} WHERE id = '{role}'")
    kept = own.get_conversation_recording_annotations(*call)
    assert [item.type for item in kept] == ["pause"] * 3
    pause = next(item for item in kept if item.reason == "SecurePause")
    with pytest.raises(ApiException) as caught:
        api(sqlite_site).put_conversation_recording_annotation(*call, pause.id, bookmark(location=1))
    assert caught.value.status == 404

"""Recordings and conversations."""

from __future__ import annotations

import time

from earwitness.cli.contract.steps import Context, expect, simple, step

simple("RecordingApi", "get_recording_settings")


@step
def put_recording_settings(c: Context) -> None:
    """A shorter life for addresses."""
    settings = c.model("RecordingSettings", recording_playback_url_ttl=5)
    expect(c.api("RecordingApi").put_recording_settings(settings).recording_playback_url_ttl == 5, "five minutes")


@step
def get_conversation_recordings(c: Context) -> None:
    """The recording of the call, once it is made."""
    api = c.api("RecordingApi")
    while not (found := api.get_conversation_recordings(c.conversation_id, max_wait_ms=5000)):
        expect(time.monotonic() < c.deadline, "no recording appeared")
        time.sleep(0.2)
    expect("0" in found[0].media_uris, "a media address")
    c.kept["conversation"], c.kept["recording"] = c.conversation_id, found[0].id


simple("RecordingApi", "get_conversation_recording", "conversation", "recording")
simple("RecordingApi", "get_conversation_recordingmetadata", "conversation")
simple("RecordingApi", "get_conversation_recordingmetadata_recording_id", "conversation", "recording")


@step
def put_conversation_recording(c: Context) -> None:
    """A date of deletion."""
    body = c.model("Recording", delete_date="2035-01-01T00:00:00Z")
    ids = (c.kept["conversation"], c.kept["recording"])
    expect(c.api("RecordingApi").put_conversation_recording(*ids, body).delete_date.year == 2035, "the date")


simple("ConversationsApi", "get_conversations", listing=True)
simple("ConversationsApi", "get_conversations_calls", listing=True)
simple("ConversationsApi", "get_conversation", "conversation")
simple("ConversationsApi", "get_conversations_call", "conversation")


@step
def get_conversations_calls_history(c: Context) -> None:
    """The call is in it."""
    found = c.api("ConversationsApi").get_conversations_calls_history()
    expect([item.id for item in found.entities] == [c.conversation_id], "the call")


simple("ConversationsApi", "post_conversation_disconnect", "conversation")


@step
def patch_conversations_call(c: Context) -> None:
    """Over already, so nothing happens."""
    body = c.model("Conversation", state="disconnected")
    c.api("ConversationsApi").patch_conversations_call(c.conversation_id, body)

"""Data that people and programs keep with a conversation: attributes, secure attributes, an external tag."""

from __future__ import annotations

import json

from fastapi import Response

from earwitness.domain.conversation.timeline import Participant
from earwitness.store import conversations as conversation_store
from earwitness.store import later_facts
from earwitness.web.api import participant_data
from earwitness.web.api.call_control import CALL, CONVERSATION, ONE
from earwitness.web.api.participant_data import (
    ACCESS,
    SECURE,
    TAG,
    consent_state,
    hidden_value,
    merged,
    shown_attributes,
)
from earwitness.web.api.seen import DISCONNECT, Seen, attempt, find, require
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Conversation data")

VIEW = "conversation:participant:attributesview"
EDIT = "conversation:participant:attributesedit"
TAGS = "conversation:externalTag:edit"
LONGEST_TAG = 64


class AttributesBody(RequestBody):
    """Attributes to set; null removes one, absent ones stay."""

    attributes: dict[str, str | None] | None = None


class Attributes(Document):
    """All attributes of a participant."""

    attributes: dict[str, str]


class SecureAttributesBody(RequestBody):
    """Secure attributes, and the version that the client has seen."""

    attributes: dict[str, str | None] | None = None
    version: int | None = None


class SecureAttributes(Document):
    """Attributes that only those see who hold the permission for them."""

    attributes: dict[str, str]
    version: int


class TagsBody(RequestBody):
    """What another system calls the conversation."""

    external_tag: str | None = None


class AccessAttributesBody(RequestBody):
    """Words that a conversation is marked with."""

    access_attributes: list[str] | None = None


class AccessAttributes(Document):
    """Words that a conversation is marked with."""

    access_attributes: list[str]


class Consent(Document):
    """What the caller said to being recorded (C11)."""

    conversation_id: str
    state: str
    time: Moment | None = None
    flow_id: str | None = None
    flow_version: str | None = None
    question: str | None = None
    language: str | None = None
    answer: str | None = None


@family.operation(
    "PATCH",
    CALL + ONE + "/attributes",
    "patch_conversations_call_participant_attributes",
    SIGNED_IN,
    returns=Attributes,
)
def change_call_attributes(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: AttributesBody
) -> Attributes:
    """Changes attributes of a participant, during the call and after it. Gives all of them."""
    return Attributes(attributes=_change(parts, caller, conversationId, participantId, body))


@family.operation(
    "PATCH", CONVERSATION + ONE + "/attributes", "patch_conversation_participant_attributes", SIGNED_IN, status=204
)
def change_attributes(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: AttributesBody
) -> None:
    """Changes attributes of a participant, during the call and after it."""
    _change(parts, caller, conversationId, participantId, body)


def _change(
    parts: Services, caller: Caller, conversation_id: str, participant_id: str, body: AttributesBody
) -> dict[str, str]:
    if body.attributes is None:
        raise bad_request("attributes is required.", "attributes")
    change = participant_data.settable(body.attributes)
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    person = seen.participant(participant_id)
    took_part = caller.user_id is not None and any(p.user_id == caller.user_id for p in seen.timeline.participants)
    if not took_part:
        require(parts, caller, seen, EDIT, DISCONNECT)
    shown = shown_attributes(seen.timeline, person)
    if change:
        _keep(parts, caller, seen, person, change)
    return merged(shown, change)


def _keep(parts: Services, caller: Caller, seen: Seen, person: Participant, change: dict[str, str | None]) -> None:
    """Keeps attributes with a participant: at the edge while the call is up, then in the database.

    :raises ApiError: 409, the call has just ended and is not stored yet.
    """
    if seen.in_progress:
        values = {"participant": person.participant_id, "attributes": change, "by": caller.subject.id}
        if attempt(parts, caller, seen, "attributes", **values) is not None:
            return
    with parts.database.transaction() as session:
        row = conversation_store.get(session, caller.access, seen.id)
        if row is None:
            raise conflict("The call has just ended; in a moment it is stored.", "conversation.finalising")
        later_facts.set_attributes(session, row, person.participant_id, change)


def _anchor(seen: Seen) -> Participant:
    """With whom a value of the whole conversation is kept."""
    if not seen.timeline.participants:
        raise conflict("Nobody is on the call yet.", "conversation.empty")
    return seen.timeline.participants[0]


@family.operation(
    "GET",
    CONVERSATION + "/secureattributes",
    "get_conversation_secureattributes",
    any_of(VIEW),
    returns=SecureAttributes,
)
def secure_attributes(caller: Signed, parts: Parts, conversationId: str) -> SecureAttributes:
    """The secure attributes of a conversation."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    require(parts, caller, seen, VIEW)
    return _secure(seen)


@family.operation(
    "PUT",
    CONVERSATION + "/secureattributes",
    "put_conversation_secureattributes",
    any_of(EDIT),
    status=202,
    returns=str,
)
def put_secure_attributes(caller: Signed, parts: Parts, conversationId: str, body: SecureAttributesBody) -> Response:
    """Replaces the secure attributes of a conversation."""
    return _set_secure(parts, caller, conversationId, body, replace=True)


@family.operation(
    "PATCH",
    CONVERSATION + "/secureattributes",
    "patch_conversation_secureattributes",
    any_of(EDIT),
    status=202,
    returns=str,
)
def change_secure_attributes(caller: Signed, parts: Parts, conversationId: str, body: SecureAttributesBody) -> Response:
    """Changes some of the secure attributes of a conversation; null removes one."""
    return _set_secure(parts, caller, conversationId, body, replace=False)


def _secure(seen: Seen) -> SecureAttributes:
    text = hidden_value(seen.timeline, SECURE)
    if text is None:
        return SecureAttributes(attributes={}, version=0)
    stored = json.loads(text)
    return SecureAttributes(attributes=stored["attributes"], version=stored["version"])


def _set_secure(
    parts: Services, caller: Caller, conversation_id: str, body: SecureAttributesBody, *, replace: bool
) -> Response:
    if body.attributes is None:
        raise bad_request("attributes is required.", "attributes")
    change = participant_data.settable(body.attributes)
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    require(parts, caller, seen, EDIT)
    now = _secure(seen)
    if body.version is not None and body.version != now.version:
        raise conflict(f"The attributes have version {now.version} now.", "version.conflict")
    attributes = merged({} if replace else now.attributes, change)
    if attributes != now.attributes:
        text = json.dumps({"version": now.version + 1, "attributes": attributes})
        if len(text) > participant_data.LONGEST_VALUE:
            raise bad_request("There are too many secure attributes.", "attributes", "invalid.value")
        _keep(parts, caller, seen, _anchor(seen), {SECURE: text})
    return Response(status_code=202)


@family.operation(
    "GET",
    CONVERSATION + "/accessattributes",
    "get_conversation_accessattributes",
    any_of(VIEW),
    returns=AccessAttributes,
)
def access_attributes(caller: Signed, parts: Parts, conversationId: str) -> AccessAttributes:
    """The words that a conversation is marked with. They are kept and shown; rights come from divisions and roles."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    require(parts, caller, seen, VIEW)
    return AccessAttributes(access_attributes=json.loads(hidden_value(seen.timeline, ACCESS) or "[]"))


@family.operation(
    "PUT",
    CONVERSATION + "/accessattributes",
    "put_conversation_accessattributes",
    any_of(EDIT),
    status=202,
    returns=str,
)
def set_access_attributes(caller: Signed, parts: Parts, conversationId: str, body: AccessAttributesBody) -> Response:
    """Replaces the words that a conversation is marked with, during the call and after it."""
    if body.access_attributes is None:
        raise bad_request("accessAttributes is required.", "accessAttributes")
    words = list(dict.fromkeys(word.strip() for word in body.access_attributes))
    text = json.dumps(words)
    if "" in words or len(text) > participant_data.LONGEST_VALUE:
        raise bad_request("accessAttributes has an empty word, or too many.", "accessAttributes", "invalid.value")
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    require(parts, caller, seen, EDIT)
    _keep(parts, caller, seen, _anchor(seen), {ACCESS: text if words else None})
    return Response(status_code=202)


@family.operation("PUT", CONVERSATION + "/tags", "put_conversation_tags", any_of(TAGS), status=202, returns=str)
def set_tags(caller: Signed, parts: Parts, conversationId: str, body: TagsBody) -> Response:
    """Says what another system calls the conversation; null removes it."""
    if "external_tag" not in body.given():
        raise bad_request("externalTag is required.", "externalTag")
    tag = (body.external_tag or "").strip() or None
    if tag is not None and len(tag) > LONGEST_TAG:
        raise bad_request(f"externalTag may have {LONGEST_TAG} characters.", "externalTag", "invalid.value")
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    require(parts, caller, seen, TAGS)
    _keep(parts, caller, seen, _anchor(seen), {TAG: tag})
    if seen.pending is None:
        with parts.database.transaction() as session:
            row = conversation_store.get(session, caller.access, conversationId)
            if row is not None:
                row.external_tag = tag
    return Response(status_code=202)


@family.operation(
    "GET",
    "/api/v2/earwitness/conversations/{conversationId}/consent",
    "get_earwitness_consent",
    SIGNED_IN,
    returns=Consent,
)
def consent(caller: Signed, parts: Parts, conversationId: str) -> Consent:
    """What the caller said to being recorded: granted, denied or unset; when, in which flow, and to which question."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    given = seen.timeline.consent_given or {}
    texts = {name: given.get(name) for name in ("flow_id", "flow_version", "question", "language", "answer")}
    return Consent(
        conversation_id=conversationId,
        state=consent_state(seen.timeline),
        time=given.get("at"),
        **{name: str(value) for name, value in texts.items() if value is not None},
    )

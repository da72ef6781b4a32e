"""Orphans, batch downloads, uploads, integrations, recording keys."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import time
import wave
from collections.abc import Callable
from typing import Any

import httpx

from earwitness.cli.contract.steps import Context, expect, simple, step
from earwitness.domain.ids import new_id

API = "RecordingApi"
PATIENCE_S = 60.0


def _until(look: Callable[[], Any]) -> Any:
    """What a look gives, once it is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        expect(time.monotonic() < deadline, "the worker takes too long")
        time.sleep(0.2)
    return found


def _refused(status: int, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    """Expects a refusal of that status."""
    try:
        call(*arguments, **more)
    except Exception as error:
        expect(getattr(error, "status", None) == status, f"{status} was expected, not {error!r}")
        return
    raise AssertionError(f"{status} was expected, it went through")


def _tone(hertz: float) -> bytes:
    """A second of a tone as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        wave_form = (int(9000 * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(8000))
        writer.writeframes(b"".join(struct.pack("<h", value) for value in wave_form))
    return out.getvalue()


def _upload(c: Context, hertz: float, name: str) -> str:
    content = _tone(hertz)
    body = c.model("UploadUrlRequest", file_name=name, content_type="audio/wav",
                   content_md5=hashlib.md5(content, usedforsecurity=False).hexdigest())  # fmt: skip
    told = c.api("UploadsApi").post_uploads_recordings(body)
    httpx.put(told.url, content=content, headers=told.headers, timeout=30, trust_env=False).raise_for_status()
    return str(told.upload_key)


@step
def post_uploads_recordings(c: Context) -> None:
    """Two files: one of the call, one of nobody's."""
    _upload(c, 500, f"{c.conversation_id}.wav")
    _upload(c, 700, "lost.wav")
    wrong = c.model("UploadUrlRequest", file_name=".hidden")
    _refused(400, c.api("UploadsApi").post_uploads_recordings, wrong)


@step
def get_orphanrecordings(c: Context) -> None:
    """The one that nobody knows whose it is."""
    found = _until(lambda: c.api(API).get_orphanrecordings().entities)
    c.kept["orphan"] = next(item.id for item in found if item.orphan_status == "NO_CONVERSATION")


@step
def post_recording_uploads_reports(c: Context) -> None:
    """What has become of both."""
    body = c.model("RecordingUploadReportRequest")

    def both() -> Any:
        made = c.api(API).post_recording_uploads_reports(body)
        text = httpx.get(made.signed_url, timeout=30, trust_env=False).raise_for_status().text
        return made if "Success" in text and "WaitForConversation" in text else None

    c.kept["upload report"] = _until(both).id


simple(API, "get_recording_uploads_report", "upload report")
simple(API, "get_orphanrecording", "orphan")


@step
def get_orphanrecording_media(c: Context) -> None:
    """It can be heard."""
    found = c.api(API).get_orphanrecording_media(c.kept["orphan"], format_id="WAV")
    heard = httpx.get(found.media_uris["0"].media_uri, timeout=30, trust_env=False).raise_for_status()
    expect(heard.content[:4] == b"RIFF", "no WAV")


@step
def put_orphanrecording(c: Context) -> None:
    """It is given to the call."""
    api, orphan = c.api(API), c.kept["orphan"]
    _refused(400, api.put_orphanrecording, orphan, body=c.model("OrphanUpdateRequest"))
    body = c.model("OrphanUpdateRequest", conversation_id=c.conversation_id)
    expect(api.put_orphanrecording(orphan, body=body).id == orphan, "another id")
    _refused(404, api.get_orphanrecording, orphan)


@step
def delete_orphanrecording(c: Context) -> None:
    """Another is deleted."""
    _upload(c, 900, "lost-too.wav")
    found = _until(lambda: c.api(API).get_orphanrecordings().entities)
    expect(c.api(API).delete_orphanrecording(found[0].id).file_state == "DELETED", "not deleted")
    _refused(404, c.api(API).delete_orphanrecording, new_id())


@step
def post_recording_batchrequests(c: Context) -> None:
    """Every recording of the call."""
    item = c.model("BatchDownloadRequest", conversation_id=c.conversation_id)
    body = c.model("BatchDownloadJobSubmission", batch_download_request_list=[item])
    c.kept["batch"] = c.api(API).post_recording_batchrequests(body).id
    _refused(400, c.api(API).post_recording_batchrequests, c.model("BatchDownloadJobSubmission"))


@step
def get_recording_batchrequest(c: Context) -> None:
    """They can be fetched."""

    def done() -> Any:
        state = c.api(API).get_recording_batchrequest(c.kept["batch"])
        return state if state.status == "Completed" else None

    state = _until(done)
    urls = [result.result_url for result in state.results if result.error_msg is None]
    expect(urls, "nothing to fetch")
    for url in urls:
        expect(httpx.get(url, timeout=30, trust_env=False).status_code == 200, "cannot be fetched")


@step
def get_integrations(c: Context) -> None:
    """One that was made for it."""
    body = {
        "name": "Archive",
        "type": "earwitness-folder",
        "intendedState": "ENABLED",
        "properties": {"path": "archive"},
    }
    headers = {"Authorization": f"Bearer {c.client.access_token}"}
    url = f"{c.client.host}/api/v2/earwitness/integrations"
    made = httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False).raise_for_status().json()
    c.kept["integration"] = made["id"]
    expect(made["id"] in {item.id for item in c.api("IntegrationsApi").get_integrations().entities}, "not listed")


@step
def get_integration(c: Context) -> None:
    """The worker finds it good."""
    api = c.api("IntegrationsApi")
    _until(lambda: api.get_integration(c.kept["integration"]).reported_state.code == "ACTIVE")
    _refused(404, api.get_integration, new_id())


@step
def post_recording_keyconfigurations_validate(c: Context) -> None:
    """Keys of our own work, those of a service that is not there do not."""
    validate = c.api(API).post_recording_keyconfigurations_validate
    good = c.model("RecordingEncryptionConfiguration", key_configuration_type="Native")
    expect(validate(good).key_configuration_type == "Native", "type")
    fields = {"url": "http://127.0.0.1:9/", "api_id": "a", "api_key": "b"}
    away = c.model("RecordingEncryptionConfiguration", key_configuration_type="LocalKeyManager", **fields)
    _refused(400, validate, away)


@step
def post_recording_keyconfigurations(c: Context) -> None:
    """Keys of our own; a KMS that nobody provides is refused."""
    save = c.api(API).post_recording_keyconfigurations
    native = c.model("RecordingEncryptionConfiguration", key_configuration_type="Native")
    c.kept["key configuration"] = save(native).id
    fields = {"key_configuration_type": "KmsSymmetric", "url": "arn:aws:kms:eu-central-1:1:alias/a"}
    _refused(400, save, c.model("RecordingEncryptionConfiguration", **fields))


simple(API, "get_recording_keyconfiguration", "key configuration")
simple(API, "get_recording_keyconfigurations", listing=True)


@step
def put_recording_keyconfiguration(c: Context) -> None:
    """The same again."""
    body = c.model("RecordingEncryptionConfiguration", key_configuration_type="Native")
    put = c.api(API).put_recording_keyconfiguration
    expect(put(c.kept["key configuration"], body).key_configuration_type == "Native", "type")
    _refused(404, put, new_id(), body)


@step
def post_recording_recordingkeys(c: Context) -> None:
    """A new key."""
    expect(c.api(API).post_recording_recordingkeys().key_configuration_type == "Native", "type")


@step
def get_recording_recordingkeys(c: Context) -> None:
    """Both."""
    expect(len(c.api(API).get_recording_recordingkeys().entities) == 2, "two keys")


simple(API, "get_recording_recordingkeys_rotationschedule")


@step
def put_recording_recordingkeys_rotationschedule(c: Context) -> None:
    """Monthly."""
    put = c.api(API).put_recording_recordingkeys_rotationschedule
    expect(put(c.model("KeyRotationSchedule", period="MONTHLY")).period == "MONTHLY", "period")
    _refused(400, put, c.model("KeyRotationSchedule"))


class _Opener:
    """A key service of one key pair."""

    def __init__(self) -> None:
        import threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        from cryptography.hazmat.primitives.asymmetric import rsa

        key = self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, content = _open(key, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/open"


def _open(key: Any, body: bytes) -> tuple[int, bytes]:
    import base64
    import json

    from earwitness.archive.vault.recording_keys import OAEP

    try:
        plain = key.decrypt(base64.b64decode(json.loads(body)["body"]), OAEP)
    except (ValueError, KeyError):
        return 404, b"{}"
    return 200, json.dumps({"body": base64.b64encode(plain).decode()}).encode()


@step
def post_recording_localkeys(c: Context) -> None:
    """A key service opens what is wrapped for it; after that, keys are our own again."""
    from earwitness.archive.vault.recording_keys import der_of

    api, opener = c.api(API), _Opener()
    fields = {"url": opener.url, "api_id": "contract", "api_key": "a shared key"}
    body = c.model("RecordingEncryptionConfiguration", key_configuration_type="LocalKeyManager", **fields)
    configuration = api.post_recording_keyconfigurations(body)
    expect(configuration.api_key is None, "the api key is shown")
    request = c.model("LocalEncryptionKeyRequest", config_id=configuration.id, keypair_id="pair",
                      public_key=der_of(opener.key.public_key()))  # fmt: skip
    expect(api.post_recording_localkeys(request).key_configuration_type == "LocalKeyManager", "type")
    _refused(400, api.post_recording_localkeys, c.model("LocalEncryptionKeyRequest", config_id=new_id()))
    native = c.model("RecordingEncryptionConfiguration", key_configuration_type="Native")
    api.put_recording_keyconfiguration(c.kept["key configuration"], native)
    api.post_recording_recordingkeys()
    opener.server.shutdown()
    opener.server.server_close()

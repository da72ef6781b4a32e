"""``earwitness flow check`` and ``publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from earwitness.cli import flow as flow_command
from earwitness.cli.flow import PublishError, upload
from earwitness.cli.main import cli

FILES = Path(__file__).parent / "files"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["flow", *arguments])


def test_check_tells_what_a_flow_refers_to() -> None:
    result = run("check", str(FILES / "front_desk.yaml"))
    assert result.exit_code == 0
    assert "'Front desk' (inboundcall) can be published" in result.output
    assert "  queue 'Sales', line " in result.output


def test_check_tells_notes() -> None:
    result = run("check", str(FILES / "account_line.yaml"))
    assert result.exit_code == 0
    assert "note: line " in result.output


def test_check_tells_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("inboundCall:\n  name: x\n  startUpRef: ./tasks/task[a]\n", encoding="utf-8")
    result = run("check", str(file))
    assert result.exit_code == 2
    assert (
        f"{file}: line 3, column 15 (inboundCall.startUpRef): no task has the refId 'a'. There are none"
        in result.output
    )


def test_placeholders_are_set_on_the_line() -> None:
    reminder = str(FILES / "reminder.yaml")
    assert "--set flow_name=…" in run("check", reminder).output
    given = [f"--set={name}=value: {name}" for name in ("flow_name", "division", "greeting", "contact_list", "wrapup")]
    assert run("check", reminder, *given).exit_code == 0
    assert "write --set name=value" in run("check", reminder, "--set", "x").output


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"\xff\xfe\xfa", "cannot be read"), (b"x" * 2_000_001, "more than")],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "x.yaml"
    if content is not None:
        file.write_bytes(content)
    result = run("check", str(file))
    assert result.exit_code == 2
    assert said in result.output


class Server:
    """The part of the API that publishing uses."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)
        self.uploaded = b""
        self.seen: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(f"{request.method} {request.url.path}")
        if request.url.path == "/oauth/token":
            right = httpx.BasicAuth("id", "secret")._auth_header
            if request.headers["authorization"] != right:
                return httpx.Response(401, json={"message": "wrong secret"})
            return httpx.Response(200, json={"access_token": "t"})
        assert request.headers["authorization"] == "Bearer t"
        if request.method == "POST":
            return httpx.Response(
                200, json={"id": "j", "presignedUrl": "http://api/upload/j", "headers": {"x-key": "k"}}
            )
        if request.method == "PUT":
            assert request.headers["x-key"] == "k"
            self.uploaded = request.content
            return httpx.Response(200)
        return httpx.Response(200, json=self.states.pop(0))


def client(server: Server) -> httpx.Client:
    return httpx.Client(base_url="http://api", transport=httpx.MockTransport(server))


def test_publish_uploads_and_waits_for_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_command, "POLL_S", 0)
    server = Server({"status": "Registered"}, {"status": "Started"}, {"status": "Success", "flow": {"id": "f1"}})
    assert upload(client(server), "id", "secret", "x.yaml", "größe: 1") == "f1"
    assert server.uploaded == "größe: 1".encode()
    assert server.seen == [
        "POST /oauth/token",
        "POST /api/v2/flows/jobs",
        "PUT /upload/j",
        *["GET /api/v2/flows/jobs/j"] * 3,
    ]


def test_publish_tells_why_it_was_refused() -> None:
    server = Server({"status": "Failure", "messages": [{"text": "no queue 'Sales', line 3"}]})
    with pytest.raises(PublishError, match="no queue 'Sales', line 3"):
        upload(client(server), "id", "secret", "x.yaml", "")
    with pytest.raises(PublishError, match="401 wrong secret"):
        upload(client(server), "id", "other", "x.yaml", "")


def test_publish_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_command, "PUBLISH_S", -1)
    with pytest.raises(PublishError, match="not done"):
        upload(client(Server({"status": "Started"})), "id", "secret", "x.yaml", "")


def test_publish_without_a_server(tmp_path: Path) -> None:
    file = str(FILES / "front_desk.yaml")
    result = run("publish", file, "--client-id", "a", "--client-secret", "b", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "was not published" in result.output

"""``earwitness flow check`` and ``earwitness flow publish``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earwitness.flows import Flow, FlowErrors, read_flow
from earwitness.flows.source import MAX_BYTES, filled

if TYPE_CHECKING:
    import httpx

PUBLISH_S = 60.0
POLL_S = 0.2

flow = typer.Typer(name="flow", help="Check and publish flows.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The flow, a YAML file.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="name=value for a {{name}} in the file; may be repeated.")]


class PublishError(RuntimeError):
    """The flow was not published; the message says why."""


@flow.command()
def check(file: File, set: Set = None) -> None:
    """Read a flow and tell every mistake with its line and remedy; and what it refers to."""
    _text, found = _checked(file, set)
    for warning in found.warnings:
        print(f"{file}: note: {warning}", file=sys.stderr)
    print(f"{file}: {found.name!r} ({found.type}) can be published; it is checked then that these exist:")
    for reference in sorted(found.references(), key=lambda r: (r.kind, r.name, r.line)):
        print(f"  {reference.kind} {reference.name!r}, line {reference.line}")


@flow.command()
def publish(
    file: File,
    client_id: Annotated[str, typer.Option(envvar="EARWITNESS_CLIENT_ID", help="API client that may publish flows.")],
    client_secret: Annotated[str, typer.Option(envvar="EARWITNESS_CLIENT_SECRET", help="Its secret.")],
    set: Set = None,
    url: Annotated[str, typer.Option(help="Address of the HTTP API.")] = "http://127.0.0.1:8080",
) -> None:
    """Check a flow, upload it to a running Earwitness and publish it."""
    import httpx

    text, found = _checked(file, set)
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            flow_id = upload(client, client_id, client_secret, file.name, text)
    except (PublishError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise _fail(f"{file} was not published: {error}") from error
    print(f"{file}: {found.name!r} is published as {flow_id}")


def upload(client: httpx.Client, client_id: str, client_secret: str, name: str, text: str) -> str:
    """Publishes a flow's text the way deployment tools do: a job, its upload, its outcome. Gives the flow's id.

    :raises PublishError: refused, with the reasons of the server, or not done within ``PUBLISH_S``.
    """
    form = {"grant_type": "client_credentials"}
    token = _answer(client.post("/oauth/token", data=form, auth=(client_id, client_secret)))["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    job = _answer(client.post("/api/v2/flows/jobs", json={"fileName": name}))
    _answer(client.put(job["presignedUrl"], content=text.encode(), headers=job.get("headers") or {}))
    deadline = time.monotonic() + PUBLISH_S
    while True:
        state = _answer(client.get(f"/api/v2/flows/jobs/{job['id']}", params={"expand": "messages"}))
        if state["status"] == "Success":
            return str(state["flow"]["id"])
        if state["status"] == "Failure":
            raise PublishError(
                "\n".join(str(m.get("text", "")) for m in state.get("messages") or []) or "no reason given"
            )
        if time.monotonic() > deadline:
            raise PublishError(f"not done within {PUBLISH_S:.0f} seconds")
        time.sleep(POLL_S)


def _answer(reply: httpx.Response) -> Any:
    if reply.is_error:
        try:
            said = reply.json().get("message") or reply.text
        except (ValueError, AttributeError):
            said = reply.text
        raise PublishError(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {said}"[:1_000])
    return reply.json() if reply.content and "json" in reply.headers.get("content-type", "") else {}


def _checked(file: Path, given: list[str] | None) -> tuple[str, Flow]:
    """(text with placeholders filled, the flow); ends the program with every mistake when it has some."""
    substitutions: dict[str, str] = {}
    for pair in given or []:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise _fail(f"--set {pair}: write --set name=value")
        substitutions[name] = value
    try:
        if file.stat().st_size > MAX_BYTES:
            raise _fail(f"{file}: more than {MAX_BYTES} bytes")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise _fail(f"{file} cannot be read: {error}") from error
    try:
        found = read_flow(text, substitutions)
        return filled(text, substitutions), found
    except FlowErrors as found_errors:
        for mistake in found_errors.errors:
            print(f"{file}: {mistake}", file=sys.stderr)
        raise _fail(f"{file}: {len(found_errors.errors)} mistakes, not publishable") from found_errors


def _fail(message: str) -> typer.Exit:
    print(f"earwitness: {message}", file=sys.stderr)
    return typer.Exit(2)

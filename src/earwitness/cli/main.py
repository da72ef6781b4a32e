"""The command ``earwitness``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from earwitness import app as wiring
from earwitness.cli.flow import flow
from earwitness.settings import Settings, SettingsError, load

cli = typer.Typer(
    name="earwitness",
    help="Call recording for SIP contact centres, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(flow)

Data = Annotated[Path | None, typer.Option("--data", help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")]


def settings_of(data: Path | None, config: Path | None, **options: Any) -> Settings:
    """Settings from options, variables and file; ends the program with a clear message when they cannot be used."""
    try:
        return load(data=data, config=config, **options)
    except SettingsError as error:
        raise fail(str(error)) from error


def fail(message: str, status: int = 2) -> typer.Exit:
    """Prints an error for people; raise what it gives."""
    print(f"earwitness: {message}", file=sys.stderr)
    return typer.Exit(status)


@cli.command()
def init(
    data: Data = None,
    config: Config = None,
    organization: Annotated[str, typer.Option(help="Name of the organisation.")] = "Earwitness",
    admin_email: Annotated[str, typer.Option(help="Sign-in name of the administrator.")] = "admin@localhost",
) -> None:
    """Make the data folder, keys, database, organisation, administrator and an API client; print them once, as JSON."""
    settings = settings_of(data, config)
    try:
        created = wiring.initialise(settings, organization, admin_email)
    except wiring.AppError as error:
        raise fail(str(error)) from error
    print(json.dumps(created, indent=2))


@cli.command()
def serve(
    data: Data = None,
    config: Config = None,
    sip_host: Annotated[str | None, typer.Option(help="Address that SIP listens on.")] = None,
    sip_port: Annotated[int | None, typer.Option(help="Port that SIP listens on; 0 takes a free one.")] = None,
    web_host: Annotated[str | None, typer.Option(help="Address that the HTTP API listens on.")] = None,
    web_port: Annotated[int | None, typer.Option(help="Port of the HTTP API; 0 takes a free one.")] = None,
) -> None:
    """Run everything on this machine: edge, media, worker and web, each restarted when it dies."""
    settings = settings_of(data, config, sip_host=sip_host, sip_port=sip_port, web_host=web_host, web_port=web_port)
    try:
        raise typer.Exit(wiring.serve(settings, lambda line: print(line, flush=True)))
    except wiring.AppError as error:
        raise fail(str(error)) from error


def _process(name: str, data: Path | None, config: Path | None) -> None:
    try:
        wiring.run_process(name, settings_of(data, config))
    except wiring.AppError as error:
        raise fail(str(error), error.status) from error


@cli.command()
def edge(data: Data = None, config: Config = None) -> None:
    """Run the edge alone: signalling and call control."""
    _process("edge", data, config)


@cli.command()
def media(data: Data = None, config: Config = None) -> None:
    """Run one media process alone; it serves the edge of the same data folder."""
    _process("media", data, config)


@cli.command()
def worker(data: Data = None, config: Config = None) -> None:
    """Run the worker alone: what happens to recordings after the call."""
    _process("worker", data, config)


@cli.command()
def web(data: Data = None, config: Config = None) -> None:
    """Run the web process alone: the HTTP API."""
    _process("web", data, config)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API."""
    print(json.dumps(wiring.openapi_document(), indent=1, ensure_ascii=False))


@cli.command()
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder to keep; default: a new one, removed at the end.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the calls instead of staying up.")] = False,
    web_port: Annotated[int, typer.Option(help="Port of the HTTP API; 0: 8080 if it is free, else any.")] = 0,
) -> None:
    """Start Earwitness, make real calls, and print where to listen."""
    from earwitness.cli.demo.command import DemoError, run

    try:
        run(data, once=once, web_port=web_port)
    except DemoError as error:
        raise fail(str(error)) from error


@cli.command()
def rules() -> None:
    """Print which rules of the contract have a test. Run in a checkout."""
    from earwitness.cli.rules import print_rules

    print_rules(Path.cwd() / "tests")


@cli.command()
def contract() -> None:
    """Run the contract's operations through the vendor's SDK and print which pass."""
    from earwitness.cli.contract import print_contract

    raise typer.Exit(print_contract())


def main() -> None:
    """Entry of the command."""
    cli()


if __name__ == "__main__":
    main()

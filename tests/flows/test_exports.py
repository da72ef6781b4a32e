# ruff: noqa: E501  tables
"""Files in the style of exports: load unchanged, and do on a call what their authors meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earwitness.flows import FlowErrors, read_flow
from earwitness.flows.commands import (
    Disconnect,
    GrantConsent,
    HoldMusic,
    RefuseConsent,
    SetData,
    SetLanguage,
    SetWrapupCode,
    TransferToFlow,
    TransferToNumber,
    TransferToQueue,
    TransferToUser,
)

FILES = Path(__file__).parent / "files"
REMINDER = {
    "flow_name": "Reminder",
    "division": "Home",
    "greeting": "Hello: it's us",
    "contact_list": "c",
    "wrapup": "w",
}
NOON = 1_795_363_200_000_000 - 1_795_363_200_000_000 % 86_400_000_000 + 12 * 3_600_000_000


def text(name: str) -> str:
    return (FILES / f"{name}.yaml").read_text(encoding="utf-8")


def named(name: str, **values: str) -> set[tuple[str, str]]:
    return {(reference.kind, reference.name) for reference in read_flow(text(name), values).references()}


def test_front_desk_is_read_whole() -> None:
    flow = read_flow(text("front_desk"))
    assert (flow.type, flow.name, flow.division) == ("inboundcall", "Front desk", "Home")
    assert flow.languages == ("en-us", "de-de")
    assert set(flow.menus) == {"Languages_10", "Topics_20", "Offices_30"}
    assert (flow.menus["Languages_10"].plays, flow.menus["Languages_10"].selection_s) == (2, 5.0)
    assert (flow.menus["Topics_20"].plays, flow.menus["Topics_20"].selection_s) == (3, 10.0)
    assert not flow.suppress_recording
    assert not flow.warnings
    assert named("front_desk") == {
        ("queue", "Operators"), ("queue", "Sales"), ("queue", "Support"), ("flow", "Support waiting"), ("flow", "Lyon desk"),
        ("user", "Ann Example"), ("prompt", "Prompt.welcome_jingle"), ("prompt", "Prompt.one_moment"),
    }  # fmt: skip
    assert ("Niemand ist da.", "de-de") in flow.texts()
    assert ("Nobody is there.", "de-de") not in flow.texts()
    assert ("For English press 1. Für Deutsch drücken Sie die 2.", "de-de") in flow.texts()


def test_references_know_their_line() -> None:
    lines = text("front_desk").splitlines()
    for reference in read_flow(text("front_desk")).references():
        near = "\n".join(lines[reference.line - 1 : reference.line + 2])
        assert reference.name in near, reference


def test_front_desk_on_calls(call: Callable[..., Any]) -> None:
    caller = call(text("front_desk"))
    assert caller.heard == ["<500 ms> [Prompt.welcome_jingle]"]
    caller.press("2")
    assert caller.of(SetLanguage) == [SetLanguage("de-de")]
    assert caller.heard[-1] == "Die 1 für Verkauf, 2 für Hilfe, 3 für Büros, 4 für Ann."
    caller.press("1").listen()
    assert caller.last == TransferToQueue("Sales", 10)
    caller.refused()
    assert caller.heard[-1] == "Niemand ist da."
    assert call(text("front_desk")).press("12").last == TransferToQueue("Support", 0, "Support waiting")
    assert call(text("front_desk")).press("131").last == TransferToNumber("+49301234567", 30.0)
    assert call(text("front_desk")).press("132").last == TransferToFlow("Lyon desk")
    assert call(text("front_desk")).press("14").last == TransferToUser("Ann Example", 25.0)
    assert call(text("front_desk")).press("13*09").last == Disconnect()
    assert call(text("front_desk"), language="de-de").press("1").heard[-1].startswith("Die 1")


def test_account_line_by_day(call: Callable[..., Any]) -> None:
    caller = call(text("account_line"), now=NOON).listen()
    assert caller.heard[-1].startswith("Enter your account number")
    caller.press("9123#")
    assert caller.of(SetData) == [SetData({"account": "9123", "caller": "+4930123"})]
    assert caller.of(SetWrapupCode) == [SetWrapupCode("Account")]
    caller.listen()
    assert caller.last == TransferToQueue("Important", 10)
    caller.refused("full")
    assert caller.heard[-1] == "Please call again, error full"
    assert caller.listen().last == Disconnect()


def test_account_line_without_an_account(call: Callable[..., Any]) -> None:
    caller = call(text("account_line"), now=NOON).press("*")
    assert caller.heard[-1] == "We go on without an account."
    caller.listen().listen()
    assert caller.of(SetData) == [SetData({"account": None, "caller": "+4930123"})]
    assert caller.last == TransferToQueue("General", 0)


def test_account_line_tries_three_times(call: Callable[..., Any]) -> None:
    caller = call(text("account_line"), now=NOON).listen()
    for _ in range(9):
        assert caller.heard[-1].startswith("Enter your account number")
        caller.listen().wait()
    assert caller.heard[-1] == "We go on without an account."


def test_account_line_at_night_and_its_settings(call: Callable[..., Any]) -> None:
    caller = call(text("account_line"), now=NOON + 9 * 3_600_000_000).listen()
    assert caller.heard[-1] == "We are closed."
    assert caller.listen().last == Disconnect()
    flow = read_flow(text("account_line"))
    assert flow.suppress_recording
    assert ["read back" in str(warning) for warning in flow.warnings] == [True]
    assert named("account_line") >= {("queue", "General"), ("queue", "Important"), ("wrapup_code", "Account")}


def test_waiting_goes_round_and_round(call: Callable[..., Any]) -> None:
    position = {"positioninqueue": 3}
    caller = call(text("waiting"), call=position)
    assert caller.heard == ["You are number 3."]
    caller.listen()
    assert caller.of(HoldMusic)[-1] == HoldMusic("play-2", "Prompt.slow_waltz", 30.0, False)
    caller.wait().listen().wait()
    assert caller.of(HoldMusic)[-1].once
    position["positioninqueue"] = 2
    caller.listen()
    assert caller.heard[-1] == "You are number 2."
    caller.listen().wait().press("1")
    assert caller.last == TransferToNumber("+4940999", None)
    caller.refused()
    assert caller.heard[-1] == "♫ Prompt.slow_waltz"


def test_reminder_needs_its_values(call: Callable[..., Any]) -> None:
    with pytest.raises(FlowErrors) as raised:
        read_flow(text("reminder"))
    assert {error.line for error in raised.value.errors} == {2, 3, 11, 15, 18}
    assert all("--set" in error.remedy for error in raised.value.errors)
    flow = read_flow(text("reminder"), REMINDER)
    assert (flow.type, flow.name) == ("outboundcall", "Reminder")
    assert ("Hello: it's us", "en-us") in flow.texts()
    assert next(str(warning) for warning in flow.warnings).startswith("line 47")


@pytest.mark.parametrize(("key", "answer"), [("1", GrantConsent), ("2", RefuseConsent)])
def test_c11_consent_keeps_question_answer_language_and_version(
    call: Callable[..., Any], key: str, answer: type[Any]
) -> None:
    caller = call(text("consent"), language="de-de").press(key).listen()
    given = answer("Dürfen wir aufzeichnen? 1 ja, 2 nein.", "de-de", key, "3.0")
    assert caller.of(GrantConsent) + caller.of(RefuseConsent) == [given]
    assert caller.last == TransferToQueue("Agents", 0)


def test_c5_no_answer_runs_no_consent_action(call: Callable[..., Any]) -> None:
    caller = call(text("consent"))
    for _ in range(3):
        caller.listen().wait()
    assert caller.heard[-1] == "Thank you."
    assert not caller.of(GrantConsent)
    assert not caller.of(RefuseConsent)

# ruff: noqa: E501  tables
"""The error path, loops without end, late and foreign events, in-queue flows that have nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earwitness.flows import Facts, FlowRun, read_flow
from earwitness.flows.commands import (
    CancelTimer,
    Digit,
    Disconnect,
    Failed,
    HoldMusic,
    Note,
    Play,
    PlayEnded,
    SetData,
    StopPlay,
    Timer,
    TransferDone,
    TransferFailed,
    TransferToQueue,
)

BROKEN = """
inboundCall:
  name: T
  startUpRef: ./tasks/task[a]
  settingsErrorHandling:
    preHandlingAudio: {{tts: Sorry.}}
    errorHandling: {handling}
  menus: [menu: {{refId: m, audio: {{tts: Menu.}}, choices: [menuDisconnect: {{dtmf: digit_1}}]}}]
  tasks:
    - task:
        refId: a
        actions:
          - updateData: {{name: Divide, statements: [integer: {{variable: Flow.n, value: {{exp: 1 / 0}}}}]}}
    - task: {{refId: loop, actions: [jumpToTask: {{name: Round, targetTaskRef: "./tasks/task[loop]"}}]}}
    - task: {{refId: deep, actions: [callTask: {{targetTaskRef: "./tasks/task[deep]"}}]}}
    - task: {{refId: bye, actions: [playAudio: {{audio: {{tts: Bye.}}}}]}}
"""


def broken(handling: str = "{disconnect: {none: true}}", start: str = "a") -> str:
    return BROKEN.format(handling=handling).replace("task[a]", f"task[{start}]", 1)


def test_an_error_is_told_and_its_path_taken(call: Callable[..., Any]) -> None:
    caller = call(broken())
    assert caller.of(Failed) == [Failed("division by zero", "line 13: Divide")]
    assert caller.heard == ["Sorry."]
    assert caller.listen().last == Disconnect()


def test_without_handling_it_hangs_up(call: Callable[..., Any]) -> None:
    text = (
        broken()
        .replace("    errorHandling: {disconnect: {none: true}}\n", "")
        .replace("{tts: Sorry.}", "{noValue: true}")
    )
    assert call(text).last == Disconnect()


@pytest.mark.parametrize(
    ("handling", "heard"),
    [
        ("{queue: {targetQueue: {lit: {name: Q}}}}", "Sorry."),
        ("{transferToQueue: {targetQueue: {lit: {name: Q}}, preTransferAudio: {tts: To Q.}}}", "To Q."),
        ("{jumpToTask: {targetTaskRef: './tasks/task[bye]'}}", "Bye."),
        ("{menu: {targetMenuRef: './menus/menu[m]'}}", "Menu."),
    ],
)
def test_the_error_path_may_lead_elsewhere(call: Callable[..., Any], handling: str, heard: str) -> None:
    caller = call(broken(handling)).listen()
    assert caller.heard[-1] == heard
    if heard == "Sorry.":
        assert caller.last == TransferToQueue("Q", 0)
        assert caller.refused().last == Disconnect()


def test_an_error_on_the_error_path_hangs_up(call: Callable[..., Any]) -> None:
    caller = call(broken("{jumpToTask: {targetTaskRef: './tasks/task[a]'}}")).listen()
    assert len(caller.of(Failed)) == 2
    assert caller.last == Disconnect()


@pytest.mark.parametrize(("start", "said"), [("loop", "a flow that loops for ever"), ("deep", "for ever")])
def test_a_flow_that_loops_for_ever_is_stopped(call: Callable[..., Any], start: str, said: str) -> None:
    caller = call(broken(start=start))
    assert said in caller.of(Failed)[0].error
    assert caller.listen().last == Disconnect()


def test_the_error_path_does_not_loop_for_ever_either(call: Callable[..., Any]) -> None:
    caller = call(broken("{jumpToTask: {targetTaskRef: './tasks/task[loop]'}}")).listen()
    assert len(caller.of(Failed)) == 2
    assert caller.last == Disconnect()


def test_a_loop_of_short_waits_ends_some_day(call: Callable[..., Any]) -> None:
    text = broken(start="loop").replace("actions: [jumpToTask", "actions: [playAudio: {audio: {tts: x}}, jumpToTask", 1)
    run = FlowRun(read_flow(text), Facts(), 0)
    commands = run.start()
    for _ in range(200_000):
        plays = [command for command in commands if isinstance(command, Play)]
        if run.ended or not plays:
            break
        commands = run.on(PlayEnded(plays[-1].play_id), 0)
    assert run.ended


def test_commands_of_one_event_are_bounded() -> None:
    text = broken(start="loop").replace(
        "actions: [jumpToTask", "actions: [setWrapupCode: {wrapupCode: {lit: {name: w}}}, jumpToTask", 1
    )
    run = FlowRun(read_flow(text), Facts(), 0)
    assert len(run.start()) < 1_100


def test_texts_that_grow_in_a_loop_end_in_the_error_path(call: Callable[..., Any]) -> None:
    grow = 'updateData: {statements: [string: {variable: Flow.t, value: {exp: "Flow.s + Flow.t + Flow.t"}}]}'
    text = broken(start="loop").replace("actions: [jumpToTask", f"actions: [{grow}, jumpToTask", 1)
    text += "  variables: [stringVariable: {name: Flow.s, initialValue: xx}, stringVariable: {name: Flow.t, initialValue: x}]\n"
    assert "32000" in call(text).of(Failed)[0].error


def test_events_about_what_is_over_are_ignored(call: Callable[..., Any]) -> None:
    caller = call(broken("{menu: {targetMenuRef: './menus/menu[m]'}}")).listen().listen()
    for event in (
        PlayEnded("play-1"),
        PlayEnded("x"),
        Timer("timer-99"),
        TransferDone(),
        TransferFailed("x"),
        PlayEnded(""),
    ):
        assert caller.run.on(event, caller.now) == []
    assert caller.press("1").last == Disconnect()
    for event in (PlayEnded("play-1"), Timer("timer-1"), Digit("1"), TransferDone()):
        assert caller.run.on(event, caller.now) == []


def test_what_was_begun_is_stopped_before_the_flow_goes_on(call: Callable[..., Any]) -> None:
    caller = call(broken("{menu: {targetMenuRef: './menus/menu[m]'}}")).listen()
    assert isinstance(caller.press("1").commands[-2], StopPlay)
    caller = call(broken("{menu: {targetMenuRef: './menus/menu[m]'}}")).listen().listen()
    assert isinstance(caller.press("1").commands[-2], CancelTimer)


QUEUE = """
inqueueCall:
  name: Waiting
  startUpTaskActions:
    - {action}
"""


def test_an_in_queue_flow_with_nothing_to_wait_for_plays_music(call: Callable[..., Any]) -> None:
    caller = call(QUEUE.format(action="setParticipantData: {attributes: [attribute: {name: a, value: 1}]}"))
    assert caller.of(SetData)
    assert caller.commands[-1] == HoldMusic("play-1", "", None, False)


def test_an_in_queue_flow_begins_again_and_forgets_keys(call: Callable[..., Any]) -> None:
    caller = call(QUEUE.format(action="playAudio: {audio: {tts: Wait.}}")).press("111").listen()
    assert caller.heard.count("Wait.") >= 3
    assert not caller.ended


def test_music_that_cannot_be_played_is_silence_for_a_while(call: Callable[..., Any]) -> None:
    caller = call(QUEUE.format(action="holdMusic: {playStyle: {entirePrompt: true}}"))
    start = caller.now
    for _ in range(3):
        caller.listen("missing").wait()
    assert caller.now - start == 30_000_000
    assert len(caller.of(Note)) == 3


def test_music_for_a_time_goes_on_when_it_cannot_be_played(call: Callable[..., Any]) -> None:
    caller = call(QUEUE.format(action="holdMusic: {}"))
    start = caller.now
    caller.listen("missing").wait()
    assert caller.now - start == 60_000_000


def test_audio_that_cannot_be_played_does_not_spin(call: Callable[..., Any]) -> None:
    caller = call(QUEUE.format(action="playAudio: {audio: {prompt: Prompt.missing}}"))
    start = caller.now
    for _ in range(20):
        if caller.playing:
            caller.listen("missing")
        else:
            caller.wait()
    assert caller.now - start >= 12_000_000


def test_music_lets_itself_be_interrupted_where_allowed(call: Callable[..., Any]) -> None:
    ask = "    - collectInput: {digits: {exact: 1}, inputData: {var: Task.x}}\n    - transferToNumber: {targetNumber: {exp: Task.x}}\n"
    text = QUEUE.format(action="holdMusic: {bargeInEnabled: {lit: BARGE}, prompt: {exp: Flow.HoldPrompt}}") + ask
    caller = call(text.replace("BARGE", "true")).press("5")
    assert caller.last.number == "5"
    caller = call(text.replace("BARGE", "false")).press("5")
    assert not caller.wanted
    assert caller.wait().last.number == "5"


def test_in_queue_flows_may_have_states(call: Callable[..., Any]) -> None:
    text = """
inqueueCall:
  name: Waiting
  startUpRef: "/inqueueCall/states/state[s]"
  states:
    - state: {refId: s, actions: [playAudio: {audio: {tts: S}}]}
"""
    assert call(text).listen().listen().heard == ["S", "S", "S"]


def test_an_error_while_something_is_waited_for_stops_it_first(call: Callable[..., Any]) -> None:
    ask = "collectInput: {digits: {exact: 2}, inputAudio: {tts: '?'}, acceptJustStar: {exp: ToBool(Call.Ani)}}"
    text = broken(start="loop").replace("actions: [jumpToTask", f"actions: [{ask}, jumpToTask", 1)
    caller = call(text).listen().press("*")
    assert not caller.timers
    assert "neither true nor false" in caller.of(Failed)[0].error
    assert caller.heard[-1] == "Sorry."


def test_an_initial_value_without_value_takes_the_error_path(call: Callable[..., Any]) -> None:
    text = broken() + "  variables: [integerVariable: {name: Flow.x, initialValue: {exp: 1 / 0}}]\n"
    assert call(text).of(Failed)[0] == Failed("division by zero", "T")


def test_audio_that_is_none_takes_the_error_path(call: Callable[..., Any]) -> None:
    text = (
        broken(start="bye").replace("{tts: Bye.}", "{exp: Flow.n}")
        + "  variables: [integerVariable: {name: Flow.n, initialValue: 3}]\n"
    )
    assert call(text).of(Failed)[0].error == "the expression is no audio"


def test_waiting_keys_skip_music_that_may_be_interrupted(call: Callable[..., Any]) -> None:
    text = QUEUE.format(action="playAudio: {audio: {tts: Wait.}}")
    text += "    - holdMusic: {bargeInEnabled: true, prompt: {lit: {name: Prompt.x}}}\n    - playAudio: {audio: {exp: 'AudioPlaybackOptions(ToAudioTTS(\"End.\"), false)'}}\n"
    assert call(text).press("1").heard == ["Wait.", "End."]
    assert call(text).listen().heard == ["Wait.", "♫ Prompt.x"]


def test_a_menu_without_audio_waits_and_one_that_cannot_be_played_too(call: Callable[..., Any]) -> None:
    text = broken("{menu: {targetMenuRef: './menus/menu[m]'}}")
    caller = call(text).listen().listen("missing")
    assert caller.timers
    assert caller.press("1").last == Disconnect()
    silent = call(text.replace("audio: {tts: Menu.}, ", "")).listen()
    assert silent.timers
    assert silent.wait().wait().wait().last == Disconnect()


def test_a_menu_that_may_not_be_interrupted_takes_keys_afterwards(call: Callable[..., Any]) -> None:
    text = broken("{menu: {targetMenuRef: './menus/menu[m]'}}").replace(
        "{tts: Menu.}", "{exp: 'AudioPlaybackOptions(ToAudioTTS(\"Menu.\"), false)'}"
    )
    caller = call(text).listen().press("1")
    assert not caller.ended
    assert caller.listen().last == Disconnect()

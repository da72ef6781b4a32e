# ruff: noqa: E501  tables
"""Asking for digits: time-outs, tries, terminators, type-ahead, floods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earwitness.flows.commands import Disconnect, Failed, GrantConsent, Note, SetData

ASK = """
inboundCall:
  name: T
  startUpRef: ./tasks/task[a]
  initialGreeting: {{tts: Hi.}}
  tasks:
    - task:
        refId: a
        actions:
          - collectInput:
              inputData: {{var: Task.x}}
              inputAudio: {{tts: "Number?"}}
              {more}
              outputs:
                success: {{actions: [setParticipantData: {{attributes: [attribute: {{name: got, value: {{exp: Task.x}}}}]}}]}}
                failure: {{actions: [playAudio: {{audio: {{tts: Failed.}}}}]}}
                {outputs}
"""
RANGE = "digits: {range: {min: 2, max: 4, terminatingDtmf: digit_pound}}"


def ask(call: Callable[..., Any], more: str, outputs: str = "") -> Any:
    return call(ASK.format(more=more, outputs=outputs))


def got(caller: Any) -> str | None:
    data = caller.of(SetData)
    return data[0].attributes["got"] if data else None


def test_the_last_of_an_exact_number_ends_it(call: Callable[..., Any]) -> None:
    caller = ask(call, "digits: {exact: 3}").listen().listen().press("123")
    assert got(caller) == "123"
    assert caller.last == Disconnect()


def test_digits_pressed_during_audio_count(call: Callable[..., Any]) -> None:
    caller = ask(call, "digits: {exact: 3}").press("123")
    assert caller.heard == ["Hi."]
    assert got(caller) == "123"


@pytest.mark.parametrize(("keys", "expected"), [("12#", "12"), ("1234", "1234")])
def test_a_range_ends_with_its_terminator_or_its_last_digit(call: Callable[..., Any], keys: str, expected: str) -> None:
    assert got(ask(call, RANGE).press(keys)) == expected


def test_a_terminator_after_the_last_digit_is_not_taken_for_the_next_question(call: Callable[..., Any]) -> None:
    twice = "digits: {range: {min: 1, max: 2, terminatingDtmf: digit_#}}"
    text = ASK.format(more=twice, outputs="").replace(
        "setParticipantData: {attributes: [attribute: {name: got, value: {exp: Task.x}}]}",
        "collectInput: {digits: {exact: 1}, inputData: {var: Task.y}, acceptJustPound: true}, "
        "setParticipantData: {attributes: [attribute: {name: got, value: {exp: Task.x + Task.y}}]}",
    )
    assert got(call(text).press("12#3")) == "123"
    assert got(call(text).press("1#3")) == "13"


def test_enough_digits_and_a_pause_are_an_answer(call: Callable[..., Any]) -> None:
    caller = ask(call, RANGE).press("12")
    start = caller.now
    assert got(caller.wait()) == "12"
    assert caller.now - start == 3_000_000


def test_the_terminator_is_kept_when_asked_for(call: Callable[..., Any]) -> None:
    assert got(ask(call, RANGE + "\n              includeTerminatingDtmfInResultData: true").press("12#")) == "12#"


def test_too_few_digits_begin_it_again_three_times(call: Callable[..., Any]) -> None:
    caller = ask(call, RANGE).listen().press("1").wait().press("1#").press("#")
    assert caller.heard == ["Hi.", "Number?", "Number?", "Number?", "Failed."]


def test_silence_begins_it_again_then_takes_the_way_of_no_entry(call: Callable[..., Any]) -> None:
    caller = ask(
        call,
        "digits: {exact: 1}\n              retries: 1\n              noEntryTimeout: {lit: {seconds: 9}}\n"
        "              noEntryAudio: {tts: Hello?}",
        "noEntry: {actions: [playAudio: {audio: {tts: Nothing.}}]}",
    )
    caller.listen().listen()
    start = caller.now
    caller.wait()
    assert caller.now - start == 9_000_000
    caller.listen().listen().wait()
    assert caller.heard == ["Hi.", "Number?", "Hello?", "Number?", "Nothing."]


def test_without_that_way_silence_is_a_failure(call: Callable[..., Any]) -> None:
    caller = ask(call, "digits: {exact: 1}\n              retries: 0").listen().listen().wait()
    assert caller.heard[-1] == "Failed."


@pytest.mark.parametrize(("keys", "expected"), [("*", "*"), ("#", None), ("1*", None)])
def test_a_lone_star_only_where_it_is_accepted(call: Callable[..., Any], keys: str, expected: str | None) -> None:
    more = (
        "digits: {exact: 2}\n              acceptJustStar: {lit: true}\n              noMatchAudio: {tts: Once more.}"
    )
    caller = ask(call, more).press(keys)
    assert got(caller) == expected
    assert expected is not None or caller.heard[-1] == "Once more."


def test_audio_that_may_not_be_interrupted_is_played_to_its_end(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {exact: 1}", outputs="").replace(
        'inputAudio: {tts: "Number?"}', "inputAudio: {exp: 'AudioPlaybackOptions(ToAudioTTS(\"Number?\"), false)'}"
    )
    caller = call(text).listen().press("5")
    assert not caller.bargeable
    assert got(caller) is None
    assert got(caller.listen()) == "5"


def test_audio_that_may_not_be_interrupted_comes_even_after_keys(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {exact: 1}", outputs="").replace(
        "initialGreeting: {tts: Hi.}",
        "initialGreeting: {exp: 'AudioPlaybackOptions(ToAudioTTS(\"You are recorded.\"), false)'}",
    )
    caller = call(text).press("1")
    assert got(caller) is None
    assert got(caller.listen()) == "1"


def test_a_flood_of_digits_is_bounded(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {exact: 4}", outputs="").replace(
        "initialGreeting: {tts: Hi.}", "initialGreeting: {exp: 'AudioPlaybackOptions(ToAudioTTS(\"Hi.\"), false)'}"
    )
    caller = call(text)
    before = len(caller.commands)
    caller.press("0123456789" * 1_000)
    assert len(caller.commands) == before
    assert len(caller.run.digits) == 32
    assert got(caller.listen()) == "0123"


def test_other_signals_than_keys_are_nothing(call: Callable[..., Any]) -> None:
    assert got(ask(call, "digits: {exact: 2}").press("A1B!D2")) == "12"


def test_audio_that_cannot_be_played_is_left_out(call: Callable[..., Any]) -> None:
    caller = ask(call, "digits: {exact: 1}").listen("no such file").listen("no such file").press("7")
    assert [note.message for note in caller.of(Note)] == ["audio was not played: no such file"] * 2
    assert got(caller) == "7"


def test_a_wrong_number_of_digits_at_run_time_is_an_error(call: Callable[..., Any]) -> None:
    caller = ask(call, "digits: {exact: {exp: ToNumber(Call.Ani)}}", "").listen()
    assert caller.of(Failed)[0].where.startswith("line 10: collectInput")


def test_an_empty_question_waits_at_once(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {exact: 1}", outputs="").replace(
        'inputAudio: {tts: "Number?"}', "inputAudio: {noValue: true}"
    )
    caller = call(text).listen()
    assert caller.timers
    assert got(caller.press("3")) == "3"


def test_keys_that_nobody_asks_for_do_not_silence_the_flow(call: Callable[..., Any]) -> None:
    text = """
inboundCall:
  name: T
  startUpRef: ./tasks/task[a]
  tasks: [task: {refId: a, actions: [playAudio: {audio: {tts: Wait.}}, jumpToTask: {targetTaskRef: "./tasks/task[a]"}]}]
"""
    caller = call(text).press("5")
    assert not caller.of(Failed)
    assert caller.playing


def test_a_question_that_was_not_heard_is_not_kept_as_asked(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {exact: 1}", outputs="").replace(
        "setParticipantData: {", "enableParticipantRecord: {}, setParticipantData: {"
    )
    asked = call(text).listen().press("1").of(GrantConsent)[0]
    assert (asked.question, asked.answer) == ("Number?", "1")
    ahead = call(text).press("1").of(GrantConsent)[0]
    assert (ahead.question, ahead.answer) == ("", "1")


def test_a_terminator_long_after_the_last_digit_is_a_key_again(call: Callable[..., Any]) -> None:
    text = ASK.format(more="digits: {range: {min: 1, max: 1, terminatingDtmf: digit_#}}", outputs="").replace(
        "setParticipantData: {attributes: [attribute: {name: got, value: {exp: Task.x}}]}",
        "jumpToMenu: {targetMenuRef: './menus/menu[m]'}",
    )
    text += "  menus: [menu: {refId: m, audio: {tts: Menu.}, choices: [menuDisconnect: {dtmf: digit_pound}]}]\n"
    caller = call(text).press("1#")
    assert not caller.ended
    caller = call(text).press("1")
    caller.now += 4_000_000
    assert caller.press("#").ended

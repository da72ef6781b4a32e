# ruff: noqa: E501  tables
"""Every action, carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earwitness.flows.commands import (
    Command,
    Disconnect,
    Failed,
    Finished,
    GrantConsent,
    Note,
    RefuseConsent,
    SetData,
    SetLanguage,
    SetWrapupCode,
    TransferToFlow,
    TransferToNumber,
    TransferToQueue,
    TransferToUser,
)

HEAD = """
inboundCall:
  name: T
  startUpRef: ./tasks/task[a]
  supportedLanguages: {en-us: {}, de-de: {}}
  variables:
    - stringVariable: {name: Flow.s, initialValue: {lit: "x"}}
    - integerVariable: {name: Flow.n, initialValue: {lit: 1}}
"""
TASK = "  tasks:\n    - task:\n        refId: a\n        variables: [stringVariable: {name: Task.t, initialValue: {exp: Flow.s}}]\n        actions:\n"


def flow(*actions: str, more: str = "", head: str = HEAD) -> str:
    return head + TASK + "".join(f"          - {action}\n" for action in actions) + more


def say(text: str) -> str:
    return f"playAudio: {{audio: {{tts: {text}}}}}"


def data(value: str, name: str = "v") -> str:
    return f"setParticipantData: {{attributes: [attribute: {{name: {{lit: {name}}}, value: {value}}}]}}"


def wanted(call: Callable[..., Any], *actions: str, **facts: Any) -> list[Command]:
    return list(call(flow(*actions), **facts).wanted)


def test_the_end_of_the_first_task_hangs_up(call: Callable[..., Any]) -> None:
    assert wanted(call) == [Disconnect()]


def test_play_audio_in_the_callers_language(call: Callable[..., Any]) -> None:
    action = "playAudio: {audio: {tts: {en-us: Hi, de-de: Hallo}}}"
    assert call(flow(action)).heard == ["Hi"]
    assert call(flow(action), language="DE-de").heard == ["Hallo"]
    assert call(flow(action), language="fr-fr").heard == ["Hi"]
    assert call(flow("playAudio: {audio: {de-de: {prompt: Prompt.x}}}")).heard == ["[Prompt.x]"]
    assert call(flow("playAudio: {audio: {defaultAudio: {tts: D}, de-de: {tts: A}}}"), language="de-de").heard == ["A"]


def test_items_carry_their_language(call: Callable[..., Any]) -> None:
    action = 'playAudio: {audio: {exp: \'Append(ToAudioTTS("a"), ToAudioTTS("b", "fr-fr"), Prompt.p)\'}}'
    play = call(flow(action), language="de-de").commands[0]
    assert [item.language for item in play.items] == ["de-de", "fr-fr", "de-de"]


@pytest.mark.parametrize(
    "audio", ["{noValue: true}", '{tts: ""}', "{exp: 'ToAudioTTS(\"\")'}", "{exp: Flow.gone}", "~", "{}"]
)
def test_audio_without_anything_in_it_is_skipped(call: Callable[..., Any], audio: str) -> None:
    setting = "updateData: {statements: [string: {variable: Flow.gone, value: {noValue: true}}]}"
    caller = call(flow(setting, f"playAudio: {{audio: {audio}}}"))
    assert caller.heard == []
    assert caller.last == Disconnect()


def test_audio_may_be_a_text_or_the_name_of_a_prompt(call: Callable[..., Any]) -> None:
    assert call(flow("playAudio: {audio: {exp: Flow.s}}")).heard == ["x"]
    prompt = "updateData: {statements: [prompt: {variable: Flow.p, value: {lit: {name: Prompt.x}}}]}"
    assert call(flow(prompt, "playAudio: {audio: {exp: Flow.p}}")).heard == ["[Prompt.x]"]
    assert call(flow("playAudio: {audio: plain}")).heard == ["plain"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [("true", "yes"), ("{exp: Flow.n == 1}", "yes"), ("{exp: Flow.n == 2}", "no"), ("{exp: NOT_SET}", "no"), ("{exp: Call.RemoteName == NOT_SET}", "yes")],
)  # fmt: skip
def test_decision(call: Callable[..., Any], condition: str, said: str) -> None:
    outputs = f"outputs: {{yes: {{actions: [{say('yes')}]}}, no: {{actions: [{say('no')}]}}}}"
    caller = call(flow(f"decision: {{condition: {condition}, {outputs}}}", say("after")))
    assert caller.listen().heard == [said, "after"]


@pytest.mark.parametrize(("n", "said"), [("1", "one"), ("2", "two"), ("3", "other")])
def test_switch(call: Callable[..., Any], n: str, said: str) -> None:
    set_n = f"updateData: {{statements: [integer: {{variable: Flow.n, value: {n}}}]}}"
    cases = f"[case: {{value: {{lit: 1}}, actions: [{say('one')}]}}, case: {{value: {{exp: 1 + 1}}, actions: [{say('two')}]}}]"
    rest = f"cases: {cases}, default: {{actions: [{say('other')}]}}"
    assert call(flow(set_n, f"switch: {{evaluate: {{integer: {{expression: {{exp: Flow.n}}, {rest}}}}}}}")).heard == [
        said
    ]
    assert call(flow(set_n, f"switch: {{value: {{var: Flow.n}}, {rest}}}")).heard == [said]
    true = rest.replace("{lit: 1}", "{exp: Flow.n == 1}").replace("{exp: 1 + 1}", "{exp: Flow.n == 2}")
    assert call(flow(set_n, f"switch: {{evaluate: {{firstTrue: {{{true}}}}}}}")).heard == [said]


def test_loops_count_leave_and_skip(call: Callable[..., Any]) -> None:
    def loop(count: str, *actions: str) -> str:
        return f"loop: {{loopCount: {count}, currentIndex: {{var: Task.i}}, outputs: {{loop: {{actions: [{', '.join(actions)}]}}}}}}"

    def add(value: str) -> str:
        return f"updateData: {{statements: [string: {{variable: Task.t, value: {{exp: 'Task.t + {value}'}}}}]}}"

    def when(condition: str, action: str) -> str:
        return f"decision: {{condition: {{exp: '{condition}'}}, outputs: {{yes: {{actions: [{action}]}}}}}}"

    result = data("{exp: Task.t}")
    assert wanted(call, loop("3", add("Task.i")), result)[0] == SetData({"v": "x012"})
    assert wanted(call, loop("0", add("Task.i")), result)[0] == SetData({"v": "x"})
    assert wanted(call, loop("9", add("Task.i"), when("Task.i == 1", "loopExit: {}")), result)[0] == SetData(
        {"v": "x01"}
    )
    assert wanted(call, loop("4", when("Task.i == 1", "loopNext: {}"), add("Task.i")), result)[0] == SetData(
        {"v": "x023"}
    )
    inner = loop("2", add('"."')).replace("Task.i", "Task.j")
    assert wanted(call, loop("2", inner, add('"|"')), result)[0] == SetData({"v": "x..|..|"})


OTHER = """
    - task:
        refId: b
        variables: [stringVariable: {name: Task.t}]
        actions:
          - playAudio: {audio: {tts: In b.}}
          - endTask: {outputPath: {name: Second}}
          - playAudio: {audio: {tts: Never.}}
    - task:
        refId: c
        actions:
          - playAudio: {audio: {tts: In c.}}
"""


def test_called_tasks_come_back_by_their_output_and_have_their_own_variables(call: Callable[..., Any]) -> None:
    outputs = f"outputs: {{first: {{actions: [{say('first')}]}}, Second: {{actions: [{say('second')}]}}}}"
    task = f"callTask: {{targetTaskRef: './tasks/task[b]', {outputs}}}"
    caller = call(flow(task, data("{exp: Task.t}"), more=OTHER)).listen().listen()
    assert caller.heard == ["In b.", "second"]
    assert caller.of(SetData) == [SetData({"v": "x"})]


def test_a_task_that_just_ends_takes_the_default_output(call: Callable[..., Any]) -> None:
    outputs = f"outputs: {{default: {{actions: [{say('then')}]}}}}"
    caller = call(flow(f"callTask: {{targetTaskRef: './tasks/task[c]', {outputs}}}", say("after"), more=OTHER))
    assert caller.listen().listen().heard == ["In c.", "then", "after"]


def test_jumping_does_not_come_back(call: Callable[..., Any]) -> None:
    caller = call(flow("jumpToTask: {targetTaskRef: './tasks/task[c]'}", say("never"), more=OTHER)).listen()
    assert caller.heard == ["In c."]
    assert caller.last == Disconnect()


def test_jumping_to_a_menu_and_to_the_menu_before(call: Callable[..., Any]) -> None:
    menus = """
  menus:
    - menu:
        refId: m
        audio: {tts: Menu.}
        choices:
          - menuTask: {dtmf: digit_1, task: {actions: [playAudio: {audio: {tts: Task.}}, previousMenu: {}]}}
          - menuSubMenu:
              dtmf: digit_2
              menu:
                refId: n
                audio: {tts: Sub.}
                choices:
                  - menuTask: {dtmf: digit_1, task: {actions: [previousMenu: {}]}}
"""
    caller = call(flow("jumpToMenu: {targetMenuRef: './menus/menu[m]'}", more=menus)).press("1").listen()
    assert caller.heard == ["Menu.", "Task.", "Menu."]
    assert caller.press("21").heard[-2:] == ["Sub.", "Menu."]


def test_states_change_and_end(call: Callable[..., Any]) -> None:
    states = """
  states:
    - state: {refId: s, variables: [stringVariable: {name: State.v, initialValue: {lit: S}}], actions: [playAudio: {audio: {exp: ToAudioTTS(State.v)}}, changeState: {targetStateRef: "./states/state[e]"}]}
    - state: {refId: e, actions: [playAudio: {audio: {tts: E}}, endState: {}, playAudio: {audio: {tts: never}}]}
"""
    text = flow(more=states).replace("./tasks/task[a]", "./states/state[s]")
    caller = call(text).listen().listen()
    assert caller.heard == ["S", "E"]
    assert caller.last == Disconnect()


def test_data_of_the_participant(call: Callable[..., Any]) -> None:
    read = "getParticipantData: {attributes: [attribute: {name: {lit: old}, variable: Flow.o}, attribute: {name: none, variable: Flow.z}]}"
    found = wanted(
        call, read, data("{exp: Flow.o + \"!\"}", "a"), data("{exp: IsSet(Flow.z)}", "b"), data("{noValue: true}", "old"),
        read, data("{exp: IsSet(Flow.o)}", "c"), data("2.50", "d"), attributes={"old": "value"},
    )  # fmt: skip
    assert found == [SetData({"a": "value!", "b": "false", "old": None, "c": "false", "d": "2.50"}), Disconnect()]


def test_attributes_are_bounded(call: Callable[..., Any]) -> None:
    many = [data("1", f"a{number}") for number in range(250)]
    caller = call(flow(*many, data("1", '""')))
    kept = {name for command in caller.of(SetData) for name in command.attributes}
    assert len(kept) == 200
    assert [note.message for note in caller.of(Note)] == ["more than 200 attributes"] * 50 + [
        "an attribute without a name"
    ]


def test_language_and_wrap_up_code(call: Callable[..., Any]) -> None:
    caller = call(flow("setLanguage: {language: de-de}", "setLanguage: {language: {lit: {name: DE-DE}}}",
                       "setLanguage: {language: {exp: Flow.s}}", "setWrapupCode: {wrapupCode: {lit: {name: Done}}}", data("{exp: Call.Language}")))  # fmt: skip
    assert caller.of(SetLanguage) == [SetLanguage("de-de")]
    assert caller.of(SetWrapupCode) == [SetWrapupCode("Done")]
    assert caller.of(Note)[0].message == "the flow does not speak 'x'"
    assert caller.of(SetData) == [SetData({"v": "de-de"})]


def test_c3_c12_consent_takes_nothing_gives_nothing_and_twice_is_once(call: Callable[..., Any]) -> None:
    for name in ("enableParticipantRecord", "actionEnableParticipantRecord"):
        found = wanted(call, f"{name}: {{name: Record}}", f"{name}: {{}}")
        assert found == [GrantConsent("", "en-us", "", "3.0"), Disconnect()]


def test_consent_may_be_taken_back_and_given_again(call: Callable[..., Any]) -> None:
    caller = call(
        flow(
            say("We record."),
            "enableParticipantRecord: {}",
            "disableParticipantRecord: {}",
            "enableParticipantRecord: {}",
        )
    )
    caller.listen()
    kinds = [type(command) for command in caller.wanted]
    assert kinds == [GrantConsent, RefuseConsent, GrantConsent, Disconnect]
    assert caller.wanted[0].question == "We record."


def test_consent_in_other_words(call: Callable[..., Any]) -> None:
    action = "enableParticipantRecord: {question: {lit: Agreed in writing?}, answer: {exp: Flow.s}}"
    assert wanted(call, say("Hi"), action) == []
    caller = call(flow(say("Hi"), action)).listen()
    assert caller.wanted[0] == GrantConsent("Agreed in writing?", "en-us", "x", "3.0")


TRANSFERS = [
    ("transferToAcd: {targetQueue: {lit: {name: Q}}, priority: {lit: 3}", TransferToQueue("Q", 3)),
    ("transferToAcd: {targetQueue: {exp: FindQueue(Flow.s)}", TransferToQueue("x", 0)),
    ("transferToUser: {targetUser: {lit: {email: a@example.org}}, connectTimeout: {lit: {seconds: 9}}", TransferToUser("a@example.org", 9.0)),
    ("transferToUser: {targetUser: {lit: {name: Ann}}", TransferToUser("Ann", None)),
    ('transferToNumber: {targetNumber: {lit: "tel:+49 40-1"}', TransferToNumber("+49401", None)),
    ("transferToFlow: {targetFlow: {name: Other}", TransferToFlow("Other")),
]  # fmt: skip


@pytest.mark.parametrize(("action", "command"), TRANSFERS)
def test_transfers_that_come_about_end_the_flow(call: Callable[..., Any], action: str, command: Command) -> None:
    caller = call(flow(f"{action}, preTransferAudio: {{tts: Wait.}}}}")).listen()
    assert caller.last == command
    caller.press("123")
    assert caller.transferred().last == Finished()
    assert caller.run.on(object(), 0) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("action", "command"), TRANSFERS)
def test_transfers_that_fail_go_on(call: Callable[..., Any], action: str, command: Command) -> None:
    bound = "failureOutputs: {errorType: {var: Task.t}, errorMessage: {var: Flow.m}}"
    failure = f"outputs: {{failure: {{actions: [{data('{exp: Task.t + Flow.m}')}]}}}}"
    caller = call(flow(f"{action}, {bound}, failureTransferAudio: {{tts: Sorry.}}, {failure}}}", say("Next.")))
    assert caller.last == command
    caller.refused("busy", " now").listen()
    assert caller.heard == ["Sorry.", "Next."]
    assert caller.of(SetData) == [SetData({"v": "busy now"})]


def test_a_target_that_is_not_set_fails_at_once(call: Callable[..., Any]) -> None:
    unset = "updateData: {statements: [queue: {variable: Flow.q, value: {noValue: true}}]}"
    caller = call(flow(unset, "transferToAcd: {targetQueue: {exp: Flow.q}, failureTransferAudio: {tts: Sorry.}}"))
    assert caller.heard == ["Sorry."]


def test_voicemail_always_fails(call: Callable[..., Any]) -> None:
    caller = call(flow(f"transferToVoicemail: {{outputs: {{failure: {{actions: [{say('None here.')}]}}}}}}"))
    assert caller.heard == ["None here."]
    assert not caller.of(Failed)


def test_hanging_up_ends_it(call: Callable[..., Any]) -> None:
    assert wanted(call, "disconnect: {none: true}", data("1")) == [Disconnect()]
    assert wanted(call, "disconnect", data("1")) == [Disconnect()]


def test_choices_may_lead_to_tasks_and_menus_by_reference(call: Callable[..., Any]) -> None:
    menus = """
  menus:
    - menu:
        refId: m
        audio: {tts: {exp: Flow.s}}
        choices:
          - menuTask: {dtmf: digit_1, targetTaskRef: "./tasks/task[c]"}
          - menuSubMenu: {dtmf: digit_2, targetMenuRef: "./menus/menu[m]"}
          - menuJumpToTask: {dtmf: digit_3, targetTaskRef: "./tasks/task[c]"}
"""
    text = flow(more=OTHER + menus).replace("./tasks/task[a]", "./menus/menu[m]")
    assert call(text).press("21").heard == ["x", "x", "In c."]
    assert call(text).press("3").heard == ["x", "In c."]


def test_switch_on_a_bare_expression_and_on_truth(call: Callable[..., Any]) -> None:
    cases = f"cases: [case: {{value: {{lit: true}}, actions: [{say('true')}]}}, case: {{value: {{lit: 1}}, actions: [{say('one')}]}}]"
    assert call(flow(f"switch: {{evaluate: {{x: {{exp: Flow.n, {cases}}}}}}}")).heard == ["one"]
    assert call(flow(f"switch: {{evaluate: {{x: {{exp: Flow.n == 1, {cases}}}}}}}")).heard == ["true"]


def test_supported_languages_may_be_a_list(call: Callable[..., Any]) -> None:
    text = flow("setLanguage: {language: fr-fr}", "playAudio: {audio: {tts: {fr-fr: Salut}}}", more="").replace(
        "{en-us: {}, de-de: {}}", "[en-us, fr-fr]"
    )
    assert call(text).heard == ["Salut"]


def test_durations_add_up(call: Callable[..., Any]) -> None:
    setting = (
        "updateData: {statements: [duration: {variable: Flow.d, value: {lit: {minutes: 1, seconds: 30, ms: 500}}}]}"
    )
    assert wanted(call, setting, data("{exp: ToString(Flow.d)}"))[0] == SetData({"v": "PT90.5S"})
    longer = data('{exp: "ToString(Flow.d > MakeDuration(0, 0, 1, 0))"}')
    assert wanted(call, setting, longer)[0] == SetData({"v": "true"})

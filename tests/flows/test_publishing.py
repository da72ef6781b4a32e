# ruff: noqa: E501  tables
"""What keeps a flow from being published: each mistake with its line and a remedy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.flows import Flow, FlowErrors, read_flow
from earwitness.flows.action_reader import ACTIONS
from earwitness.flows.model import Reference

HEAD = "inboundCall:\n  name: Test\n  startUpRef: ./tasks/task[a]\n  tasks:\n    - task:\n        refId: a\n        actions:\n"


def with_actions(*actions: str) -> str:
    return HEAD + "".join(f"          - {action}\n" for action in actions)


def with_choices(*choices: str) -> str:
    lines = "".join(f"          - {choice}\n" for choice in choices)
    return f"inboundCall:\n  name: T\n  startUpRef: ./menus/menu[m]\n  menus:\n    - menu:\n        refId: m\n        choices:\n{lines}"


def mistakes(text: str) -> list[str]:
    with pytest.raises(FlowErrors) as raised:
        read_flow(text)
    return [str(error) for error in raised.value.errors]


@pytest.mark.parametrize(
    ("action", "said", "remedy"),
    [
        ("teleport: {}", "unknown action 'teleport'", "There are actionDisableParticipantRecord"),
        ("teleport", "a mapping is expected", "key: value"),
        ("{playAudio: {}, disconnect: {}}", "one action is expected here, not 2 keys", "Indent"),
        ("evaluateSchedule: {name: Open}", "unknown action 'evaluateSchedule'", "no schedules here. Decide by time"),
        ("evaluateScheduleGroup: {name: Open}", "unknown action", "no schedule groups"),
        ("playAudio: {audio: {sound: x}}", "'sound' is no audio", "Audio is tts, prompt"),
        ("playAudio: {audio: {prompt: hello}}", "'hello' is no prompt", "Prompt.name"),
        ("playAudio: {audio: {exp: Flow.gone}}", "unknown variable Flow.gone", "Declare it in the flow's"),
        ("playAudio: {audio: {exp: Task.gone}}", "unknown variable Task.gone", "Declare it in the task's"),
        ("playAudio: {audio: {exp: Call.Mood}}", "unknown variable Call.Mood", "There are Call.ani"),
        ("playAudio: {audio: {exp: User.x}}", "unknown variable User.x", "Variables are"),
        ("playAudio: {audio: {exp: [1]}}", "exp holds no text", "quotes"),
        ("playAudio: {audio: {exp: ToAudioTTS(}}", "a value is missing", ""),
        ("playAudio: [1]", "a mapping is expected", ""),
        ("collectInput: {inputData: {var: Task.x}}", "min is missing", ""),
        ("collectInput: {digits: {exact: 0}}", "0 to 0 digits", "1 to 64"),
        ("collectInput: {digits: {range: {min: 5, max: 3}}}", "5 to 3 digits", "1 to 64"),
        ("collectInput: {digits: {range: {min: x, max: 3}}}", "'x' is no number", ""),
        ("collectInput: {digits: {range: {min: 1, max: 3, terminatingDtmf: digit_x}}}", "'digit_x' is no key", "Keys are"),
        ("collectInput: {digits: {exact: 1}, inputData: {var: x}}", "'x' is no variable", ""),
        ("collectInput: {digits: {exact: 1}, outputs: {sucess: {actions: []}}}", "unknown output 'sucess'", "success"),
        ("collectInput: {digits: {exact: 1}, noEntryTimeout: {lit: {years: 1}}}", "a duration such as", ""),
        ("collectInput: {digits: {exact: 1}, noEntryTimeout: {lit: {days: 99999}}}", "are no duration", ""),
        ("collectInput: {digits: {exact: 1}, noEntryTimeout: -5}", "-5 seconds are no duration", ""),
        ("decision: {name: D}", "condition is missing", "Give it"),
        ("decision: {condition: {lit: perhaps}}", "'perhaps' is neither true nor false", ""),
        ("decision: {condition: {lit: true, exp: x}}", "both lit and exp", "Keep one"),
        ("decision: {condition: {exp: \"Call.Ani == 1\"}}", "text is compared with number", "ToNumber"),
        ("decision: {condition: {exp: \"Call.Ani and true\"}}", "and needs truth values", "Compare it"),
        ("decision: {condition: {exp: \"Call.Ani * 2 == 4\"}}", "* does not work on text and number", "ToNumber"),
        ("decision: {condition: {exp: \"If(Call.Ani, true, false)\"}}", "If needs a truth value", ""),
        ("decision: {condition: {exp: 'Hour(ToTimeZone(GetCurrentDateTimeUtc(), \"Mars\")) == 1'}}", "no time zone 'Mars'", ""),
        ("switch: {evaluate: {firstTrue: {default: {actions: []}}}}", "a switch without cases", "cases"),
        ("switch: {evaluate: {string: {cases: [case: {value: {lit: 1}}]}}}", "the expression to compare with is missing", ""),
        ("switch: {cases: [case: {actions: []}]}", "value is missing", ""),
        ("loop: {outputs: {loop: {actions: []}}}", "loopCount is missing", ""),
        ("loopExit: {}", "there is no loop around", "outputs of a loop"),
        ("loopNext: {}", "there is no loop around", ""),
        ("callTask: {targetTaskRef: \"./tasks/task[zzz]\"}", "no task has the refId 'zzz'", "There are a"),
        ("callTask: {targetTaskRef: \"./tasks/task[a]\", inputs: {x: 1}}", "inputs are not passed", "Flow variable"),
        ("callTask: {}", "'' refers to no task", "Write ./tasks/task[refId]"),
        ("jumpToTask: {targetTaskRef: \"./menus/menu[a]\"}", "refers to no task", ""),
        ("jumpToMenu: {targetMenuRef: \"./menus/menu[x]\"}", "no menu has the refId 'x'", "There are none"),
        ("changeState: {targetStateRef: \"./states/state[x]\"}", "no state has the refId", ""),
        ("updateData: {statements: [string: {value: {lit: 1}}]}", "variable is missing", ""),
        ("updateData: {statements: [string: {variable: x, value: 1}]}", "'x' is no variable", ""),
        ("updateData: {statements: [integer: {variable: Flow.x, value: {lit: one}}]}", "'one' is no number", ""),
        ("updateData: {statements: {}}", "a list is expected", "`- `"),
        ("updateData: {statements: [string: {variable: Flow.x, value: {exp: Flow.x + }}]}", "a value is missing", ""),
        ("updateData: {statements: [string: {variable: Flow.x, value: {var: \"1\"}}]}", "'1' is no variable", ""),
        ("setParticipantData: {}", "no attributes", ""),
        ("setParticipantData: {attributes: [attribute: {value: {lit: 1}}]}", "name is missing", ""),
        ("getParticipantData: {attributes: [attribute: {name: {lit: x}, variable: [1]}]}", "a variable is expected", ""),
        ("setLanguage: {language: fr-fr}", "the flow does not speak 'fr-fr'", "supportedLanguages"),
        ("setLanguage: {}", "language is missing", ""),
        ("setWrapupCode: {}", "wrapupCode is missing", ""),
        ("transferToAcd: {}", "targetQueue is missing", ""),
        ("transferToAcd: {targetQueue: {lit: {name: \" \"}}}", "the queue's name is empty", ""),
        ("transferToAcd: {targetQueue: {lit: {colour: red}}}", "a name such as", ""),
        ("transferToUser: {}", "targetUser is missing", ""),
        ("transferToNumber: {}", "targetNumber is missing", ""),
        ("transferToFlow: {}", "targetFlow is missing", ""),
        ("transferToVoicemail: {}", "there is no voicemail here", "outputs.failure"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_action_names_line_and_remedy(action: str, said: str, remedy: str) -> None:
    found = mistakes(with_actions("playAudio: {audio: {tts: Hi}}", action))
    assert found[0].startswith("line 9, column ")
    assert "(inboundCall.tasks[0].actions[1]" in found[0]
    assert said in found[0]
    assert remedy in found[0]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("menuTeleport: {dtmf: digit_1}", "unknown choice 'menuTeleport'"),
        ("menuTransferToVoicemail: {dtmf: digit_1}", "Use menuTask with transferToVoicemail"),
        ("menuDisconnect: {dtmf: digit_0}", "the key 0 is used twice in this menu, first on line 8"),
        ("menuDisconnect: {dtmf: seven}", "'seven' is no key"),
        ("menuTransferToAcd: {dtmf: digit_1}", "targetQueue is missing"),
        ("menuSubMenu: {dtmf: digit_1}", "a menu without choices"),
        ("menuSubMenu: {dtmf: digit_1, menu: {refId: m, choices: []}}", "two menus have the refId 'm'"),
        (
            "menuSubMenu: {dtmf: digit_1, menu: {refId: n, choices: [menuReplay: {dtmf: digit_0}]}}",
            "the key 0 leads to 'menuDisconnect' (line 8) in every menu",
        ),
        ("menuTask: {dtmf: digit_1, task: {actions: [loopExit: {}]}}", "there is no loop around"),
        ("menuTask: {dtmf: digit_1, task: {actions: [playAudio: {audio: {exp: Task.x}}]}}", "unknown variable Task.x"),
        ("menuJumpToMenu: {dtmf: digit_1, targetMenuRef: \"./menus/menu[x]\"}", "no menu has the refId 'x'"),
        ("menuTransferToNumber: {dtmf: digit_1, targetNumber: {exp: Task.x}}", "unknown variable Task.x"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_choice_is_told(choice: str, said: str) -> None:
    assert said in mistakes(with_choices("menuDisconnect: {dtmf: digit_0, globalDtmf: true}", choice))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inboundChat: {}", "unknown kind of flow 'inboundChat'. There are inboundCall, inqueueCall, outboundCall"),
        ("a: 1\nb: 2", "one flow is expected"),
        ("- a", "a mapping is expected"),
        ("inboundCall: {}", "the flow has no name"),
        ("inboundCall: {name: x}", "the flow has no beginning: startUpRef"),
        ("inqueueCall: {name: x}", "the flow has no beginning: startUpTaskActions"),
        ("inboundCall: {name: x, startUpRef: tasks}", "refers to no menu or task or state"),
        ("inboundCall: {name: x, startUpRef: './tasks/task[x]'}", "no task has the refId 'x'"),
        ("inboundCall: {name: x, tasks: [menu: {}]}", "a task is expected here, not 'menu'"),
        ("inboundCall: {name: x, menus: [task: {}]}", "a menu is expected here, not 'task'"),
        ("inboundCall: {name: x, tasks: [task: {refId: a}, task: {refId: a}]}", "two tasks have the refId 'a'"),
        ("inboundCall: {name: x, tasks: 3}", "a list is expected"),
        ("inboundCall: {name: {a: 1}}", "a text is expected"),
        ("inboundCall: {name: x, variables: [string: {name: Flow.x}]}", "'string' is no type of variable"),
        ("inboundCall: {name: x, variables: [stringVariable: {name: x}]}", "'x' is no variable"),
        ("inboundCall: {name: x, variables: [integerVariable: {name: Flow.x, initialValue: {lit: x}}]}", "'x' is no number"),
        ("inboundCall: {name: x, settingsErrorHandling: {errorHandling: {explode: {}}}}", "unknown error handling 'explode'"),
        ("inboundCall: {name: x, settingsErrorHandling: {errorHandling: {queue: {}}}}", "targetQueue is missing"),
        ("inboundCall: {name: x, settingsSpeechRec: {suppressRecording: maybe}}", "'maybe' is neither true nor false"),
        ("inboundCall: {name: x, settingsSpeechRec: {suppressRecording: {exp: Call.Ani == \"1\"}}}", "cannot be an expression"),
        ("inboundCall: {name: x, menus: [menu: {refId: m, settingsSpeechRec: {suppressRecording: true}}]}", "cannot be suppressed for one menu"),
        ("inboundCall: {name: x, settingsActionDefaults: {collectInput: {noEntryTimeout: {exp: 1 + 1}}}}", "a setting cannot be an expression"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_flow_is_told(text: str, said: str) -> None:
    assert any(said in found for found in mistakes(text)), mistakes(text)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    found = mistakes(with_actions("teleport: {}", "disconnect: {}", "explode: {}", "decision: {}"))
    assert [line.split(",")[0] for line in found] == ["line 8", "line 10", "line 11"]


def test_very_many_mistakes_are_not_all_told() -> None:
    assert len(mistakes(with_actions(*["teleport: {}"] * 500))) == 100


def test_b2_recording_is_suppressed_for_the_whole_flow() -> None:
    base = with_actions("disconnect: {}")
    assert not read_flow(base).suppress_recording
    for block in ("settingsSpeechRec: {suppressRecording: true}", "settingsSpeechRec: {suppressRecording: {lit: true}}",
                  "suppressRecording: true"):  # fmt: skip
        assert read_flow(f"{base}  {block}\n").suppress_recording


def test_what_nobody_acts_on_is_noted() -> None:
    flow = read_flow(
        with_actions(
            "playAudioOnSilence: {audio: {tts: Hi}}",
            "collectInput: {digits: {exact: 1}, verificationType: individualDigits}",
            "transferToUser: {targetUser: {lit: {name: Ann}}, outputs: {success: {actions: [disconnect: {}]}}}",
        )
    )
    assert [warning.line for warning in flow.warnings] == [8, 9, 10]
    assert read_flow(with_choices("menuDisconnect: {name: said}")).warnings[0].message.startswith("no key leads")


def test_references_are_names_ids_and_addresses() -> None:
    flow = read_flow(
        with_actions(
            "transferToAcd: {targetQueue: {lit: {name: Sales}}, overrideInQueueFlow: {name: Waltz}}",
            "transferToUser: {targetUser: {lit: {email: ann@example.org}}}",
            "transferToFlow: {targetFlow: {name: Other}}",
            "transferToFlow: {targetFlow: {id: 123}}",
            "setWrapupCode: {wrapupCode: {lit: {name: Done}}}",
            "holdMusic: {prompt: {lit: {name: Prompt.waltz}}}",
            "transferToAcd: {targetQueue: {exp: Call.CurrentQueue}}",
        )
    )
    assert flow.references() == {
        Reference("queue", "Sales", 8), Reference("flow", "Waltz", 8), Reference("user", "ann@example.org", 9),
        Reference("flow", "Other", 10), Reference("flow", "123", 11), Reference("wrapup_code", "Done", 12),
        Reference("prompt", "Prompt.waltz", 13),
    }  # fmt: skip


def test_texts_are_all_that_may_be_said() -> None:
    flow = read_flow(
        with_actions(
            "playAudio: {audio: {tts: {en-us: Hi, de-de: Hallo}}}",
            'playAudio: {audio: {exp: "Append(ToAudioTTS(\\"Bye\\"), ToAudioTTS(\\"Tschüs\\", \\"de-de\\"), ToAudioTTS(Call.Ani))"}}',
        )
        + "  supportedLanguages: {en-us: {}, de-de: {}}\n"
    )
    assert flow.texts() == {
        ("Hi", "en-us"), ("Hallo", "de-de"), ("Bye", "en-us"), ("Bye", "de-de"), ("Tschüs", "de-de"),
    }  # fmt: skip


def test_every_action_and_choice_is_documented() -> None:
    from pathlib import Path

    from earwitness.flows.read_flow import TYPES
    from earwitness.flows.read_menus import CHOICES

    page = (Path(__file__).parents[2] / "docs/flows.md").read_text(encoding="utf-8")
    for name in {*ACTIONS, *CHOICES, *TYPES}:
        assert f"`{name}`" in page or name.startswith("action"), name


_KEYS = ["name", "startUpRef", "tasks", "task", "menus", "menu", "choices", "actions", "refId", "audio", "tts", "exp", "lit", "var",
         "noValue", "outputs", "success", "variables", "stringVariable", "settingsMenu", "dtmf", *sorted(ACTIONS), "menuTask",
         "menuSubMenu", "digits", "range", "min", "evaluate", "firstTrue", "cases", "case", "value", "statements", "condition",
         "settingsErrorHandling", "errorHandling", "initialGreeting", "supportedLanguages"]  # fmt: skip
_LEAVES = st.sampled_from(
    [
        "1",
        "x",
        "true",
        '""',
        "./tasks/task[a]",
        "digit_1",
        "Flow.x",
        "Task.x == 1",
        "ToAudioTTS(Flow.x)",
        "null",
        "[]",
        "{}",
        "'{{x}}'",
    ]
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=30,
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["inboundCall", "inqueueCall", "outboundCall"]),
    st.dictionaries(st.sampled_from(_KEYS), _TREES, max_size=6),
)
def test_any_document_is_a_flow_or_flow_errors(kind: str, body: dict[str, str]) -> None:
    text = f"{kind}: {{{', '.join(f'{key}: {value}' for key, value in body.items())}}}"
    try:
        assert isinstance(read_flow(text), Flow)
    except FlowErrors as found:
        assert all(error.line == 1 and error.message for error in found.errors)  # noqa: PT017


def test_hold_music_is_a_prompt() -> None:
    base = "inqueueCall: {name: x, startUpTaskActions: [holdMusic: {}], settingsInQueueCall: {holdMusic: %s}}"
    assert read_flow(base % "{lit: {name: Prompt.waltz}}").settings.hold_music == "Prompt.waltz"
    assert read_flow(base % "{exp: Prompt.waltz}").settings.hold_music == "Prompt.waltz"
    assert read_flow(base % "{noValue: true}").settings.hold_music == "PromptSystem.on_hold_music"
    assert "is no prompt" in mistakes(base % "{lit: {name: waltz}}")[0]

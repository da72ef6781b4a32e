# ruff: noqa: E501  tables
"""Callers who do anything at any time, in flows that were put together at random: nothing raises, nothing runs away, and
whoever lets the time pass comes to an end.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from earwitness.flows import Facts, Flow, FlowRun, read_flow
from earwitness.flows.commands import (
    CancelTimer,
    Command,
    Digit,
    Disconnect,
    Event,
    Failed,
    Finished,
    GrantConsent,
    HoldMusic,
    Play,
    PlayEnded,
    RefuseConsent,
    StartTimer,
    StopPlay,
    Timer,
    TransferDone,
    TransferFailed,
    TransferToFlow,
    TransferToNumber,
    TransferToQueue,
    TransferToUser,
)

FILES = sorted((Path(__file__).parent / "files").glob("*.yaml"))
VALUES = dict.fromkeys(["flow_name", "division", "greeting", "contact_list", "wrapup"], "x")
WRITTEN = [read_flow(file.read_text(encoding="utf-8"), VALUES) for file in FILES]
TRANSFERS = (TransferToQueue, TransferToUser, TransferToNumber, TransferToFlow)

_SIMPLE = [
    "playAudio: {audio: {tts: Hi}}",
    "playAudio: {audio: {exp: 'AudioPlaybackOptions(ToAudioTTS(\"Hi\"), false)'}}",
    "playAudio: {audio: {prompt: Prompt.x}}",
    "playAudio: {audio: {exp: Flow.s}}",
    "collectInput: {digits: {exact: 2}, inputData: {var: Flow.s}, inputAudio: {tts: '?'}}",
    "collectInput: {digits: {range: {min: 1, max: 3, terminatingDtmf: digit_#}}, inputData: {var: Flow.s}, acceptJustStar: true}",
    "collectInput: {digits: {exact: {exp: 'ToNumber(Flow.s)'}}}",
    "updateData: {statements: [integer: {variable: Flow.n, value: {exp: 'Flow.n + 1'}}]}",
    "updateData: {statements: [string: {variable: Flow.s, value: {exp: 'Append(Flow.s, Flow.s)'}}]}",
    "updateData: {statements: [string: {variable: Flow.s, value: {noValue: true}}]}",
    "setParticipantData: {attributes: [attribute: {name: {exp: Flow.s}, value: {exp: ToString(Flow.n)}}]}",
    "setWrapupCode: {wrapupCode: {lit: {name: w}}}",
    "enableParticipantRecord: {}",
    "disableParticipantRecord: {}",
    "setLanguage: {language: {exp: Flow.s}}",
    "holdMusic: {}",
    "holdMusic: {playStyle: {entirePrompt: true}, bargeInEnabled: true}",
    "transferToAcd: {targetQueue: {exp: Flow.s}, failureTransferAudio: {tts: Sorry}}",
    "transferToUser: {targetUser: {lit: {name: Ann}}, preTransferAudio: {tts: Wait}}",
    "transferToNumber: {targetNumber: '1'}",
    "transferToFlow: {targetFlow: {name: F}}",
    "transferToVoicemail: {failureTransferAudio: {tts: None}}",
    'jumpToTask: {targetTaskRef: "./tasks/task[a]"}',
    'jumpToTask: {targetTaskRef: "./tasks/task[b]"}',
    'callTask: {targetTaskRef: "./tasks/task[b]"}',
    'jumpToMenu: {targetMenuRef: "./menus/menu[m]"}',
    "endTask: {}",
    "previousMenu: {}",
    "disconnect: {}",
]
_ACTIONS = st.recursive(
    st.sampled_from(_SIMPLE),
    lambda inner: st.one_of(
        st.builds(
            "decision: {{condition: {{exp: 'Flow.n % 2 == 0'}}, outputs: {{yes: {{actions: [{}]}}, no: {{actions: [{}]}}}}}}".format,
            inner,
            inner,
        ),
        st.builds("loop: {{loopCount: 3, outputs: {{loop: {{actions: [{}, {}]}}}}}}".format, inner, inner),
        st.builds(
            "switch: {{evaluate: {{firstTrue: {{cases: [case: {{value: {{exp: 'Flow.n > 3'}}, actions: [{}]}}], default: {{actions: [{}]}}}}}}}}".format,
            inner,
            inner,
        ),
        st.builds(
            "transferToAcd: {{targetQueue: {{lit: {{name: Q}}}}, outputs: {{failure: {{actions: [{}]}}}}}}".format,
            inner,
        ),
    ),
    max_leaves=6,
)
_BLOCKS = st.lists(_ACTIONS, max_size=5).map(lambda actions: f"[{', '.join(actions)}]")


def _flow(kind: str, start: str, blocks: list[str], handling: str) -> Flow:
    begin = f"startUpTaskActions: {blocks[0]}" if start == "actions" else f'startUpRef: "./{start}"'
    return read_flow(
        f"""
{kind}:
  name: Random
  {begin}
  initialGreeting: {{tts: Hello.}}
  supportedLanguages: {{en-us: {{}}, de-de: {{}}}}
  settingsErrorHandling: {{preHandlingAudio: {{tts: Sorry.}}, errorHandling: {{{handling}}}}}
  variables:
    - integerVariable: {{name: Flow.n, initialValue: 0}}
    - stringVariable: {{name: Flow.s, initialValue: de-de}}
  tasks:
    - task: {{refId: a, actions: {blocks[0]}}}
    - task: {{refId: b, actions: {blocks[1]}}}
  menus:
    - menu:
        refId: m
        audio: {{tts: Menu.}}
        choices:
          - menuTask: {{dtmf: digit_1, task: {{actions: {blocks[2]}}}}}
          - menuSubMenu: {{dtmf: digit_2, menu: {{refId: n, choices: [menuPrevious: {{dtmf: digit_1}}, menuReplay: {{dtmf: digit_2}}]}}}}
          - menuDisconnect: {{dtmf: digit_star, globalDtmf: true}}
"""
    )


_RANDOM = st.builds(
    _flow,
    st.sampled_from(["inboundCall", "inqueueCall", "outboundCall"]),
    st.sampled_from(["tasks/task[a]", "menus/menu[m]"]),
    st.lists(_BLOCKS, min_size=3, max_size=3),
    st.sampled_from(
        ["disconnect: {}", "queue: {targetQueue: {lit: {name: E}}}", 'jumpToTask: {targetTaskRef: "./tasks/task[b]"}', 'menu: {targetMenuRef: "./menus/menu[m]"}']
    ),
)  # fmt: skip


class AnyCall(RuleBasedStateMachine):
    """One call with a caller and an edge that do as they like."""

    @initialize(flow=st.one_of(st.sampled_from(WRITTEN), _RANDOM), now=st.integers(0, 2**51))
    def begin(self, flow: Flow, now: int) -> None:
        self.now = now
        self.playing = ""
        self.timers: dict[str, float] = {}
        self.transferring = False
        self.end: Command | None = None
        self.consent: type[Command] | None = None
        self.run = FlowRun(flow, Facts("tel:+4930", "+4940", "c", attributes={"office": "x"}), now)
        self.take(self.run.start())

    def take(self, commands: list[Command]) -> None:
        assert len(commands) <= 1_100
        assert sum(isinstance(command, Failed) for command in commands) <= 2
        for command in commands:
            assert self.end is None, "a command after the end"
            if isinstance(command, (Play, HoldMusic)):
                self.playing = command.play_id
                assert isinstance(command, HoldMusic) or command.items
            elif isinstance(command, StopPlay) and command.play_id == self.playing:
                self.playing = ""
            elif isinstance(command, StartTimer):
                assert command.seconds >= 0.1
                self.timers[command.timer_id] = self.now + command.seconds * 1_000_000
            elif isinstance(command, CancelTimer):
                self.timers.pop(command.timer_id, None)
            elif isinstance(command, TRANSFERS):
                self.transferring = True
            elif isinstance(command, (GrantConsent, RefuseConsent)):
                assert type(command) is not self.consent, "told twice"
                self.consent = type(command)
            elif isinstance(command, (Disconnect, Finished)):
                self.end = command

    def tell(self, event: Event) -> None:
        if isinstance(event, PlayEnded) and event.play_id == self.playing:
            self.playing = ""
        if isinstance(event, (TransferDone, TransferFailed)):
            self.transferring = False
        self.take(self.run.on(event, self.now))

    @rule(digits=st.text("0123456789*#A", min_size=1, max_size=5))
    def press(self, digits: str) -> None:
        for digit in digits:
            self.tell(Digit(digit))

    @rule(error=st.sampled_from([None, None, "missing"]))
    def listen(self, error: str | None) -> None:
        self.tell(PlayEnded(self.playing, error))

    @rule()
    def let_time_pass(self) -> None:
        self.pass_time()

    def pass_time(self) -> None:
        if self.timers:
            timer_id = min(self.timers, key=lambda name: self.timers[name])
            self.now = max(self.now, int(self.timers.pop(timer_id)))
            self.tell(Timer(timer_id))

    @precondition(lambda self: self.transferring)
    @rule(event=st.sampled_from([TransferDone(), TransferFailed("busy"), TransferFailed("", "no")]))
    def answer_transfer(self, event: Event) -> None:
        self.tell(event)

    @rule(event=st.sampled_from([PlayEnded("play-1"), PlayEnded("?"), Timer("timer-1"), Timer(""), TransferDone(), Digit(""), Digit("12")]))  # fmt: skip
    def say_something_foreign(self, event: Event) -> None:
        self.timers.pop(event.timer_id, None) if isinstance(event, Timer) else None
        self.tell(event)

    @invariant()
    def something_will_happen(self) -> None:
        if hasattr(self, "run"):
            assert self.run.ended == (self.end is not None)
            assert self.run.ended or self.playing or self.timers or self.transferring, "the caller waits for nothing"
            assert len(self.run.digits) <= 32

    def teardown(self) -> None:
        """Whoever says nothing more, and hears everything, comes to an end or waits in a queue."""
        if not hasattr(self, "run"):
            return
        for _ in range(400):
            if self.end is not None or self.run.flow.type == "inqueuecall":
                return
            if self.transferring:
                self.tell(TransferFailed("busy"))
            elif self.playing:
                self.tell(PlayEnded(self.playing))
            else:
                self.pass_time()
        self.run._steps = 100_000  # a flow may go round by design; the limit of all steps ends that
        for _ in range(400):
            if self.end is not None:
                return
            if self.transferring:
                self.tell(TransferFailed("busy"))
            elif self.playing:
                self.tell(PlayEnded(self.playing))
            else:
                self.pass_time()
        raise AssertionError("a call without an end")


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

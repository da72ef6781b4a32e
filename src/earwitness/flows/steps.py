"""Carries out one step of a running flow: the top frame's next action, or what its end means."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from earwitness.flows import model, waiting
from earwitness.flows.commands import (
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
from earwitness.flows.memory import Frame
from earwitness.flows.values import (
    NOT_SET,
    Audio,
    PromptRef,
    to_number,
    to_phone_number,
    to_seconds,
    to_text,
    to_truth,
)

if TYPE_CHECKING:
    from earwitness.flows.run import FlowRun

MAX_ATTRIBUTES = 200
MAX_ATTRIBUTE = 5_000
"""Characters of an attribute's value."""


def step(run: FlowRun) -> None:
    """One step."""
    frames = run.memory.frames
    if not frames:
        _end_of_flow(run)
        return
    frame = frames[-1]
    if frame.menu is not None:
        run.where = f"line {frame.menu.line}: {frame.menu.name}"
        waiting.Choosing(run, frame.menu).ask()
    elif frame.at < len(frame.actions):
        action = frame.actions[frame.at]
        frame.at += 1
        run.where = _where(action)
        _STEPS[type(action)](run, action)
    else:
        _end_of_frame(run, frame)


def _end_of_flow(run: FlowRun) -> None:
    if run.flow.type != "inqueuecall":
        run.hang_up()
    elif run.waited:
        run.waited = False
        run.begin()
    else:
        _hold(run, "", None, False, False, run.flow.name)


def _end_of_frame(run: FlowRun, frame: Frame) -> None:
    frames = run.memory.frames
    if frame.kind == "loop" and frame.round + 1 < frame.count:
        frame.round += 1
        frame.at = 0
        run.memory.set(frame.index, frame.round)
        return
    frames.pop()
    if frame.kind == "task":
        run.enter_block(frame.outputs.get("default", ()))


def _play(run: FlowRun, action: model.PlayAudio) -> None:
    run.play(action.audio, lambda: None, _where(action))


def _collect(run: FlowRun, action: model.CollectInput) -> None:
    waiting.Collecting(run, action).ask()


def _decide(run: FlowRun, action: model.Decision) -> None:
    run.enter_block(action.yes if to_truth(run.evaluate(action.condition)) else action.no)


def _switch(run: FlowRun, action: model.Switch) -> None:
    subject = None if action.subject is None else run.evaluate(action.subject)
    for value, block in action.cases:
        found = run.evaluate(value)
        if to_truth(found) if subject is None else _same(found, subject):
            run.enter_block(block)
            return
    run.enter_block(action.default)


def _same(case: object, subject: object) -> bool:
    if isinstance(case, bool) is not isinstance(subject, bool):
        return False
    return case == subject or (isinstance(case, (int, float)) and to_text(case) == subject)


def _loop(run: FlowRun, action: model.Loop) -> None:
    count = int(to_number(run.evaluate(action.count)))
    if count > 0 and action.body:
        run.memory.set(action.index, 0)
        run.memory.frames.append(Frame("loop", action.body, count=count, index=action.index))


def _leave_loop(run: FlowRun, action: model.LeaveLoop) -> None:
    frames = run.memory.frames
    while frames and frames[-1].kind != "loop":
        frames.pop()
    if frames:
        frames[-1].at = len(frames[-1].actions)
        if not action.next:
            frames.pop()


def _go_to(run: FlowRun, action: model.GoTo) -> None:
    if not action.comes_back:
        run.memory.frames.clear()
    run.go(action.kind, action.target)
    run.memory.frames[-1].outputs = action.outputs


def _end(run: FlowRun, action: model.End) -> None:
    if action.what == "menu":
        run.previous_menu()
        return
    frames = run.memory.frames
    while frames:
        frame = frames.pop()
        if frame.kind in (action.what, "start"):
            run.enter_block(frame.outputs.get(action.output) or frame.outputs.get("default", ()))
            return


def _update(run: FlowRun, action: model.UpdateData) -> None:
    for variable, value in action.statements:
        run.memory.set(variable, run.evaluate(value))


def _set_data(run: FlowRun, action: model.SetParticipantData) -> None:
    changes: dict[str, str | None] = {}
    for name_value, value in action.attributes:
        name, found = to_text(run.evaluate(name_value)).strip()[:200], run.evaluate(value)
        if not name:
            run.note("an attribute without a name", _where(action))
        elif found is NOT_SET:
            changes[name] = None
            run.memory.attributes.pop(name, None)
        elif name not in run.memory.attributes and len(run.memory.attributes) >= MAX_ATTRIBUTES:
            run.note(f"more than {MAX_ATTRIBUTES} attributes", _where(action))
        else:
            changes[name] = run.memory.attributes[name] = to_text(found)[:MAX_ATTRIBUTE]
    if changes:
        run.emit(SetData(changes))


def _get_data(run: FlowRun, action: model.GetParticipantData) -> None:
    for name, variable in action.attributes:
        run.memory.set(variable, run.memory.attributes.get(to_text(run.evaluate(name)), NOT_SET))


def _language(run: FlowRun, action: model.ChangeLanguage) -> None:
    language = to_text(run.evaluate(action.language)).lower()
    if language not in run.flow.languages:
        run.note(f"the flow does not speak {language[:40]!r}", _where(action))
    elif language != run.memory.language:
        run.memory.language = language
        run.emit(SetLanguage(language))


def _wrapup(run: FlowRun, action: model.Wrapup) -> None:
    run.emit(SetWrapupCode(to_text(run.evaluate(action.code))))


def _consent(run: FlowRun, action: model.Consent) -> None:
    if run.consent is action.granted:
        return
    run.consent = action.granted
    question, answer = run.question or (run.last_text, "")
    if action.question is not None:
        question = to_text(run.evaluate(action.question))
    if action.answer is not None:
        answer = to_text(run.evaluate(action.answer))
    command = GrantConsent if action.granted else RefuseConsent
    run.emit(command(question, run.memory.language, answer, run.memory.facts.flow_version))


def _hold_music(run: FlowRun, action: model.PlayHoldMusic) -> None:
    prompt = run.flow.settings.hold_music
    if action.prompt is not None:
        value = run.evaluate(action.prompt)
        if isinstance(value, Audio):
            prompt = next((item.name for item in value.items if isinstance(item, PromptRef)), prompt)
        elif isinstance(value, str) and value:
            prompt = value
    bargeable = to_truth(run.evaluate(action.bargeable))
    if bargeable and run.skips():
        return
    seconds = None if action.seconds is None else to_seconds(run.evaluate(action.seconds))
    _hold(run, prompt, seconds, action.seconds is None, bargeable, _where(action))


def _hold(run: FlowRun, prompt: str, seconds: float | None, once: bool, bargeable: bool, where: str) -> None:
    play_id = run.new_id("play")
    run.emit(HoldMusic(play_id, prompt, seconds, once))
    run.wait(waiting.Holding(run, play_id, seconds, bargeable, where))


def _transfer(run: FlowRun, action: model.Transfer) -> None:
    run.play(action.before, lambda: _send(run, action), _where(action))


def _send(run: FlowRun, action: model.Transfer) -> None:
    settings = run.flow.settings
    target = "" if action.target is None else to_text(run.evaluate(action.target))
    if action.kind == "voicemail":
        waiting.failed(run, action, "unsupported", "there is no voicemail")
        return
    if not target.strip():
        waiting.failed(run, action, "invalid", f"the {action.kind} is not set")
        return
    given = NOT_SET if action.timeout_s is None else run.evaluate(action.timeout_s)
    timeout = None if given is NOT_SET else to_seconds(given)
    run.wait(waiting.Transferring(run, action))
    if action.kind == "queue":
        run.emit(TransferToQueue(target, int(to_number(run.evaluate(action.priority))), action.in_queue_flow))
    elif action.kind == "user":
        run.emit(TransferToUser(target, timeout if timeout is not None else settings.user_s))
    elif action.kind == "number":
        run.emit(TransferToNumber(to_phone_number(target), timeout if timeout is not None else settings.number_s))
    else:
        run.emit(TransferToFlow(target))


def _hang_up(run: FlowRun, _action: model.HangUp) -> None:
    run.hang_up()


def _where(action: model.Action) -> str:
    return f"line {action.line}: {action.name}"


_STEPS: dict[type[model.Action], Callable[[FlowRun, Any], None]] = {
    model.PlayAudio: _play,
    model.CollectInput: _collect,
    model.Decision: _decide,
    model.Switch: _switch,
    model.Loop: _loop,
    model.LeaveLoop: _leave_loop,
    model.GoTo: _go_to,
    model.End: _end,
    model.UpdateData: _update,
    model.SetParticipantData: _set_data,
    model.GetParticipantData: _get_data,
    model.ChangeLanguage: _language,
    model.Wrapup: _wrapup,
    model.Consent: _consent,
    model.PlayHoldMusic: _hold_music,
    model.Transfer: _transfer,
    model.HangUp: _hang_up,
}

"""Reads actions: one function for each that we have."""

from __future__ import annotations

from earwitness.flows import model
from earwitness.flows.action_reader import ACTIONS, ActionFunction, ActionReader
from earwitness.flows.expressions import Expression, literal
from earwitness.flows.model import Action, AudioSpec, Block
from earwitness.flows.reading import value_kind
from earwitness.flows.source import Mapping, Scalar
from earwitness.flows.values import NOT_SET

__all__ = ["ACTIONS"]


def _either(value: Expression | None, default: bool | int) -> Expression:
    return literal(default) if value is None else value


def _play(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    return model.PlayAudio(line, name, reader.audio(body, "audio"))


def _play_on_silence(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    reader.warn(body, "silence is not waited for: the audio is played at once")
    return _play(reader, body, line, name)


def _collect(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    digits = reader.mapping(body.items.get("digits"), body)
    with reader.at("digits"):
        if "exact" in digits.items:
            limits, keys = digits, ("exact", "exact")
        else:
            limits, keys = reader.mapping(digits.items.get("range"), digits), ("min", "max")
        least, most = (reader.needed(limits, key, "number") for key in keys)
        _check_digits(reader, limits, least, most)
        terminator = reader.dtmf(limits, "terminatingDtmf")
    verification = reader.text(body, "verificationType", "none")
    if verification.lower() not in ("none", ""):
        reader.warn(
            body.items["verificationType"], f"verification {verification!r}: digits are not read back to the caller"
        )
    variable = reader.target_variable(body, "inputData", "text")
    found = reader.outputs(body, "success", "failure", "noEntry")
    with_no_entry = "noEntry" in reader.mapping(body.items.get("outputs"), body).items
    return model.CollectInput(
        line, name, variable, least, most, terminator,
        keep_terminator=reader.text(body, "includeTerminatingDtmfInResultData").lower() == "true",
        accept_star=_either(reader.expression(body, "acceptJustStar", "boolean"), False),
        accept_pound=_either(reader.expression(body, "acceptJustPound", "boolean"), False),
        no_entry_s=reader.expression(body, "noEntryTimeout", "duration"),
        inter_digit_s=reader.expression(body, "interDigitTimeout", "duration"),
        audio=reader.audio(body, "inputAudio"),
        no_entry_audio=reader.audio(body, "noEntryAudio"),
        no_match_audio=reader.audio(body, "noMatchAudio"),
        tries=min(max(1 + reader.whole(body, "retries", 2), 1), 20),
        success=found["success"], failure=found["failure"], no_entry=found["noEntry"] if with_no_entry else None,
    )  # fmt: skip


def _check_digits(reader: ActionReader, limits: Mapping, least: Expression, most: Expression) -> None:
    low, high = least.constant, most.constant
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not 1 <= low <= high <= 64:
        reader.error(
            limits, f"{low} to {high} digits cannot be asked for", "Ask for 1 to 64, at least no more than at most"
        )


def _decision(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    condition = reader.needed(body, "condition", "boolean")
    found = reader.outputs(body, "yes", "no")
    return model.Decision(line, name, condition, found["yes"], found["no"])


def _switch(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    inner, first_true = body, False
    if "evaluate" in body.items:
        key, value, place = reader.only(body.items["evaluate"], "way to evaluate")
        inner, first_true = reader.mapping(value, place), key == "firstTrue"
    subject: Expression | None = None
    if not first_true:
        key = next((key for key in ("expression", "value", "exp", "lit", "var") if key in inner.items), "")
        if key in ("exp", "lit", "var"):
            subject = reader.wrapped(key, inner.items[key], "any")
        elif key:
            subject = reader.expression(inner, key, "any")
        elif inner is not body:
            reader.error(inner, "the expression to compare with is missing", "Give it as `expression: {exp: …}`")
    cases: list[tuple[Expression, Block]] = []
    with reader.at("cases"):
        for number, item in enumerate(reader.sequence(inner.items.get("cases"))):
            with reader.at(f"[{number}]"):
                wrapped = isinstance(item, Mapping) and set(item.items) == {"case"}
                case = reader.mapping(item.items["case"] if wrapped and isinstance(item, Mapping) else item, item)
                wanted = reader.needed(case, "value", "boolean" if subject is None else "any")
                cases.append((wanted, reader.actions_of(case)))
    if not cases:
        reader.error(inner, "a switch without cases", "Give `cases: [case: {value: …, actions: […]}]`")
    with reader.at("default"):
        default = reader.actions_of(inner.items.get("default") or Mapping(line, 1, {}, {}))
    return model.Switch(line, name, subject, tuple(cases), default)


def _loop(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    count = reader.needed(body, "loopCount", "number")
    index = reader.target_variable(body, "currentIndex", "number")
    reader.in_loop += 1
    try:
        found = reader.outputs(body, "loop")
    finally:
        reader.in_loop -= 1
    return model.Loop(line, name, count, index, found["loop"])


def _leave_loop(after: bool) -> ActionFunction:
    def read(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
        if not reader.in_loop:
            reader.error(body, "there is no loop around this action", "Use it inside the outputs of a loop")
        return model.LeaveLoop(line, name, after)

    return read


def _go_to(kind: str) -> ActionFunction:
    def read(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
        _kind, target = reader.reference(body, f"target{kind.capitalize()}Ref", kind)
        return model.GoTo(line, name, kind, target)

    return read


def _call_task(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    if (node := body.items.get("inputs")) is not None and not (isinstance(node, Scalar) and node.is_null):
        reader.error(node, "inputs are not passed to tasks", "Set a Flow variable with updateData before the call")
    _kind, target = reader.reference(body, "targetTaskRef", "task")
    outputs: dict[str, Block] = {}
    with reader.at("outputs"):
        for key, node in reader.mapping(body.items.get("outputs"), body).items.items():
            with reader.at(key):
                outputs[key.lower()] = reader.actions_of(node)
    return model.GoTo(line, name, "task", target, True, outputs)


def _end(what: str) -> ActionFunction:
    def read(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
        return model.End(line, name, what, reader.text(body, "outputPath").lower() if what == "task" else "")

    return read


def _update(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    statements: list[tuple[str, Expression]] = []
    with reader.at("statements"):
        for number, item in enumerate(reader.sequence(body.items.get("statements"))):
            with reader.at(f"[{number}]"):
                key, value, place = reader.only(item, "statement")
                inner = reader.mapping(value, place)
                kind = value_kind(key)
                variable = reader.target_variable(inner, "variable", "" if kind == "any" else kind)
                if not variable and "variable" not in inner.items:
                    reader.error(place, "variable is missing", "Give `variable: Flow.x`")
                found = reader.expression(inner, "value", kind)
                reader.refer_typed(key, inner, "value", found)
                statements.append((variable, literal(NOT_SET) if found is None else found))
    return model.UpdateData(line, name, tuple(statements))


def _attributes(reader: ActionReader, body: Mapping) -> list[Mapping]:
    found: list[Mapping] = []
    with reader.at("attributes"):
        for item in reader.sequence(body.items.get("attributes")):
            _key, value, place = reader.only(item, "attribute")
            found.append(reader.mapping(value, place))
    if not found:
        reader.error(body, "no attributes", "Give `attributes: [attribute: {name: {lit: …}, …}]`")
    return found


def _set_data(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    def value(item: Mapping) -> Expression:
        found = reader.expression(item, "value", "text")
        return literal(NOT_SET) if found is None else found

    pairs = tuple((reader.needed(item, "name", "text"), value(item)) for item in _attributes(reader, body))
    return model.SetParticipantData(line, name, pairs)


def _get_data(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    items = _attributes(reader, body)
    pairs = tuple(
        (reader.needed(item, "name", "text"), reader.target_variable(item, "variable", "text")) for item in items
    )
    return model.GetParticipantData(line, name, pairs)


def _language(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    language = reader.needed(body, "language", "name")
    if isinstance(language.constant, str):
        with reader.at("language"):
            reader.spoken_languages.append((language.constant.lower(), body.items["language"], reader.here()))
    return model.ChangeLanguage(line, name, language)


def _wrapup(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    return model.Wrapup(line, name, reader.target(body, "wrapupCode", "wrapup_code"))


def _consent(granted: bool) -> ActionFunction:
    def read(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
        question = reader.expression(body, "question", "text")
        return model.Consent(line, name, granted, question, reader.expression(body, "answer", "text"))

    return read


def _hold_music(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    prompt: Expression | None = None
    if (node := body.items.get("prompt")) is not None:
        with reader.at("prompt"):
            prompt = reader.value(node, "name")
            if prompt is not None and isinstance(prompt.constant, str):
                reader.refer("prompt", prompt.constant, node)
    style = reader.mapping(body.items.get("playStyle"), body)
    with reader.at("playStyle"):
        seconds = reader.expression(style, "duration", "duration")
        if seconds is None and not style.items:
            seconds = literal(60)
    barge = _either(reader.expression(body, "bargeInEnabled", "boolean"), False)
    return model.PlayHoldMusic(line, name, prompt, seconds, barge)


def transfer(kind: str, key: str) -> ActionFunction:
    """The reader of an action (or a menu's choice) that sends the caller elsewhere."""

    def read(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
        target = reader.needed(body, key, "text") if kind == "number" else reader.target(body, key, kind)
        return _transfer(reader, body, line, name, kind, target)

    return read


def _transfer(
    reader: ActionReader, body: Mapping, line: int, name: str, kind: str, target: Expression | None
) -> model.Transfer:
    with reader.at("failureOutputs"):
        bound = reader.mapping(body.items.get("failureOutputs"), body)
        error_type = reader.target_variable(bound, "errorType", "text")
        error_message = reader.target_variable(bound, "errorMessage", "text")
    override = reader.text(body, "overrideInQueueFlow")
    if override:
        reader.refer("flow", override, body.items["overrideInQueueFlow"])
    found = reader.outputs(body, "failure", "success")
    if found["success"]:
        reader.warn(body, "the actions of output success are not run: the call has left the flow by then")
    return model.Transfer(
        line, name, kind, target,
        priority=_either(reader.expression(body, "priority", "number"), 0),
        timeout_s=reader.expression(body, "connectTimeout", "duration"),
        in_queue_flow=override,
        before=reader.audio(body, "preTransferAudio"),
        on_failure=reader.audio(body, "failureTransferAudio"),
        error_type=error_type, error_message=error_message, failure=found["failure"],
    )  # fmt: skip


def _voicemail(reader: ActionReader, body: Mapping, line: int, name: str) -> Action:
    action = _transfer(reader, body, line, name, "voicemail", None)
    if not action.failure and action.on_failure == AudioSpec():
        remedy = "Give outputs.failure with actions, or use transferToAcd: they are what callers get"
        reader.error(
            body, "there is no voicemail here, so this action always fails, and nothing is said for that", remedy
        )
    return action


def _hang_up(_reader: ActionReader, _body: Mapping, line: int, name: str) -> Action:
    return model.HangUp(line, name)


ACTIONS |= {
    "playAudio": _play,
    "playAudioOnSilence": _play_on_silence,
    "collectInput": _collect,
    "decision": _decision,
    "switch": _switch,
    "loop": _loop,
    "loopExit": _leave_loop(False),
    "loopNext": _leave_loop(True),
    "callTask": _call_task,
    "jumpToTask": _go_to("task"),
    "jumpToMenu": _go_to("menu"),
    "changeState": _go_to("state"),
    "endTask": _end("task"),
    "endState": _end("state"),
    "previousMenu": _end("menu"),
    "updateData": _update,
    "setParticipantData": _set_data,
    "getParticipantData": _get_data,
    "setLanguage": _language,
    "setWrapupCode": _wrapup,
    "enableParticipantRecord": _consent(True),
    "actionEnableParticipantRecord": _consent(True),
    "disableParticipantRecord": _consent(False),
    "actionDisableParticipantRecord": _consent(False),
    "holdMusic": _hold_music,
    "transferToAcd": transfer("queue", "targetQueue"),
    "transferToUser": transfer("user", "targetUser"),
    "transferToNumber": transfer("number", "targetNumber"),
    "transferToFlow": transfer("flow", "targetFlow"),
    "transferToVoicemail": _voicemail,
    "disconnect": _hang_up,
}

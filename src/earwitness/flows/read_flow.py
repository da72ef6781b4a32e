"""Reads a whole flow: head, settings, menus, tasks, states; then holds references against what exists."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field

from earwitness.flows import model, source
from earwitness.flows.errors import FlowErrors, FlowExpressionError
from earwitness.flows.kinds import kind_of
from earwitness.flows.model import Flow, Settings
from earwitness.flows.nodes import is_prompt
from earwitness.flows.read_menus import MenuReader
from earwitness.flows.reading import FLOW_VARIABLES, Names, UnreadableError
from earwitness.flows.source import Mapping, Node, Scalar

TYPES = {"inboundCall": "inboundcall", "inqueueCall": "inqueuecall", "outboundCall": "outboundcall"}

_ERROR_HANDLING: dict[str, str] = {
    "disconnect": "disconnect",
    "queue": "transferToAcd", "transferToQueue": "transferToAcd", "transferToAcd": "transferToAcd",
    "user": "transferToUser", "transferToUser": "transferToUser", "number": "transferToNumber",
    "transferToNumber": "transferToNumber", "flow": "transferToFlow", "transferToFlow": "transferToFlow",
    "task": "jumpToTask", "jumpToTask": "jumpToTask", "menu": "jumpToMenu", "jumpToMenu": "jumpToMenu",
}  # fmt: skip


def read_flow(text: str, substitutions: Dictionary[str, str] | None = None) -> Flow:
    """Reads and checks the text of a flow.

    :param substitutions: values of ``{{name}}`` placeholders.
    :raises FlowErrors: with everything that keeps it from being published.
    """
    reader = FlowReader()
    try:
        flow = reader.flow(source.read(text, {} if substitutions is None else substitutions))
    except UnreadableError:
        flow = None
    if reader.errors or flow is None:
        raise FlowErrors(reader.errors)
    return flow


@dataclass(slots=True)
class FlowReader(MenuReader):
    """A reader that knows whole flows."""

    tasks: dict[str, model.Sequence] = field(default_factory=dict)
    states: dict[str, model.Sequence] = field(default_factory=dict)

    def flow(self, root: Node) -> Flow:
        """The document."""
        key, value, place = self.only(root, "flow")
        self.path.append(key)
        if key not in TYPES:
            raise self.stop(place, f"unknown kind of flow {key!r}", f"There are {', '.join(TYPES)}")
        body = self.mapping(value, place)
        if not self.text(body, "name").strip():
            self.error(place, "the flow has no name", "Give it: `name: Main line`")
        variables = self.variables(body)
        language = self.text(body, "defaultLanguage", "en-us").lower()
        languages = [language]
        with self.at("supportedLanguages"):
            supported = body.items.get("supportedLanguages")
            if isinstance(supported, Mapping):
                languages += [name.lower() for name in supported.items if name.lower() != language]
            elif supported is not None:
                items = self.sequence(supported)
                languages += [i.text.lower() for i in items if isinstance(i, Scalar) and i.text.lower() != language]
        greeting = self.audio(body, "initialGreeting")
        suppress = self.suppressed(body)
        self.menu_settings(body)
        settings = self.settings(body)
        self.sequences(body, "tasks", "task", self.tasks)
        self.sequences(body, "states", "state", self.states)
        self.all_menus(body)
        start, actions = self.start(body, key)
        self.check_jumps()
        self.check_names(self.flow_names, set(FLOW_VARIABLES), "flow")
        self.check_kinds()
        self.check_languages(languages)
        texts = {(t, lang) for t, given in self.texts for lang in ([given] if given else languages)}
        return Flow(
            TYPES[key], self.text(body, "name"), self.text(body, "description"), self.text(body, "division"),
            language, tuple(languages), greeting, start, actions, self.menus, self.tasks, self.states, variables,
            settings, suppress, self.everywhere(), frozenset(self.references), frozenset(texts), tuple(self.warnings),
        )  # fmt: skip

    def start(self, body: Mapping, key: str) -> tuple[model.GoTo | None, model.Sequence]:
        """Where the flow begins: ``startUpRef``, or ``startUpTaskActions`` of in-queue flows."""
        actions: model.Block = ()
        if "startUpTaskActions" in body.items:
            self.names = Names()
            with self.at("startUpTaskActions"):
                actions = self.block(body.items["startUpTaskActions"])
            self.check_names(self.names, set(), "task")
        start: model.GoTo | None = None
        if "startUpRef" in body.items:
            try:
                kind, target = self.reference(body, "startUpRef", "menu", "task", "state")
                start = model.GoTo(body.places["startUpRef"][0], "start", kind, target)
            except UnreadableError:
                pass
        elif not actions:
            what = "startUpTaskActions" if key == "inqueueCall" else "startUpRef"
            remedy = (
                "Give `startUpTaskActions: [- holdMusic: …]`"
                if key == "inqueueCall"
                else "Give `startUpRef: ./menus/menu[refId]`"
            )
            self.error(body, f"the flow has no beginning: {what} is missing or empty", remedy)
        return start, model.Sequence("", "start", body.line, (), actions)

    def suppressed(self, body: Mapping) -> bool:
        """B1, B2: ``settingsSpeechRec.suppressRecording``; also read at the flow's root, where people expect it."""
        found = False
        for block in (self.mapping(body.items.get("settingsSpeechRec"), body), body):
            value = self.expression(block, "suppressRecording", "boolean")
            if value is not None and value.constant is None:
                self.error(block, "suppressRecording cannot be an expression", "Write true or false")
            found = found or (value is not None and value.constant is True)
        return found

    def settings(self, body: Mapping) -> Settings:
        """Settings blocks that we act on."""
        with self.at("settingsActionDefaults"):
            defaults = self.mapping(body.items.get("settingsActionDefaults"), body)

            def seconds(action: str, key: str, default: float | None) -> float | None:
                with self.at(action):
                    return self.seconds(self.mapping(defaults.items.get(action), defaults), key, default)

            no_entry, inter_digit = (
                seconds("collectInput", "noEntryTimeout", 5.0),
                seconds("collectInput", "interDigitTimeout", 3.0),
            )
            user, number = (
                seconds("transferToUser", "connectTimeout", None),
                seconds("transferToNumber", "connectTimeout", None),
            )
        with self.at("settingsInQueueCall"):
            music = self.hold_music(self.mapping(body.items.get("settingsInQueueCall"), body))
            if music != model.HOLD_MUSIC:
                self.refer("prompt", music, body.items["settingsInQueueCall"])
        self.names = Names()
        with self.at("settingsErrorHandling"):
            handling = self.mapping(body.items.get("settingsErrorHandling"), body)
            audio = self.audio(handling, "preHandlingAudio")
            actions = self.error_handling(handling)
        return Settings(no_entry or 5.0, inter_digit or 3.0, user, number, music, audio, actions)

    def hold_music(self, block: Mapping) -> str:
        """``holdMusic`` of the flow: a prompt's name, literal or as an expression that is only that."""
        value = self.expression(block, "holdMusic", "name")
        if value is None:
            return model.HOLD_MUSIC
        name = value.constant if isinstance(value.constant, str) else value.source
        if not is_prompt(name.strip()):
            with self.at("holdMusic"):
                self.error(block, f"{name[:80]!r} is no prompt", "Prompts are Prompt.name or PromptSystem.name")
        return name.strip()

    def error_handling(self, handling: Mapping) -> model.Block:
        """``errorHandling: {disconnect: …}`` as actions."""
        if "errorHandling" not in handling.items:
            return ()
        with self.at("errorHandling"):
            try:
                key, value, place = self.only(handling.items["errorHandling"], "way to handle errors")
                action = _ERROR_HANDLING.get(key)
                if action is None:
                    raise self.stop(place, f"unknown error handling {key!r}", f"There are {', '.join(_ERROR_HANDLING)}")
                return self.block(source.Sequence(place.line, place.column, (_renamed(place, action, value),)))
            except UnreadableError:
                return ()

    def sequences(self, body: Mapping, key: str, kind: str, into: dict[str, model.Sequence]) -> None:
        """``tasks`` or ``states``."""
        with self.at(key):
            for number, item in enumerate(self.sequence(body.items.get(key))):
                with self.at(f"[{number}]"):
                    try:
                        name, value, place = self.only(item, kind)
                        if name != kind:
                            raise self.stop(place, f"a {kind} is expected here, not {name!r}", f"Write `- {kind}:`")
                        found = self.one_sequence(self.mapping(value, place), kind)
                    except UnreadableError:
                        continue
                    if found.ref_id in into:
                        self.error(place, f"two {key} have the refId {found.ref_id!r}", "Give each its own")
                    into[found.ref_id] = found

    def check_kinds(self) -> None:
        """Parts of expressions fit together."""
        for expression, names, node, path in self.expressions:
            try:
                kind_of(expression.root, {**self.flow_names.kinds, **names.kinds})
            except FlowExpressionError as error:
                said = f"expression {expression.source[:80]!r}, character {error.column}: {error}"
                self.error_at(node, path, said, error.remedy)

    def check_languages(self, languages: list[str]) -> None:
        """Only languages of the flow are spoken."""
        for language, node, path in self.spoken_languages:
            if language not in languages:
                remedy = "Add it to supportedLanguages"
                self.error_at(node, path, f"the flow does not speak {language!r}", remedy)

    def check_jumps(self) -> None:
        """Every reference leads somewhere."""
        known: dict[str, Dictionary[str, object]] = {"menu": self.menus, "task": self.tasks, "state": self.states}
        for kind, target, node, path in self.jumps:
            if target not in known[kind]:
                there = ", ".join(sorted(known[kind])[:20]) or "none"
                self.error_at(node, path, f"no {kind} has the refId {target!r}", f"There are {there}")


def _renamed(place: Mapping, key: str, value: Node) -> Mapping:
    return Mapping(place.line, place.column, {key: value}, {key: (place.line, place.column)})

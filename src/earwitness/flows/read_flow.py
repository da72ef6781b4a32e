"""Reads a whole flow: head, settings, menus, tasks, states; then holds references against what exists."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field

from earwitness.flows import model, source
from earwitness.flows.errors import FlowErrors
from earwitness.flows.model import Choice, Flow, Menu, Settings
from earwitness.flows.read_actions import ACTIONS, ActionReader
from earwitness.flows.reading import FLOW_VARIABLES, Names, UnreadableError
from earwitness.flows.source import Mapping, Node, Scalar

TYPES = {"inboundCall": "inboundcall", "inqueueCall": "inqueuecall", "outboundCall": "outboundcall"}
DEFAULT_PLAYS = 3
DEFAULT_SELECTION_S = 10.0

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
class FlowReader(ActionReader):
    """A reader that knows whole flows."""

    menus: dict[str, Menu] = field(default_factory=dict)
    tasks: dict[str, model.Sequence] = field(default_factory=dict)
    states: dict[str, model.Sequence] = field(default_factory=dict)
    places: dict[str, Node] = field(default_factory=dict)
    """Of menus, by refId."""
    plays: int = DEFAULT_PLAYS
    selection_s: float = DEFAULT_SELECTION_S

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
            music = self.text(self.mapping(body.items.get("settingsInQueueCall"), body), "holdMusic", model.HOLD_MUSIC)
            if music != model.HOLD_MUSIC:
                self.refer("prompt", music, body.items["settingsInQueueCall"])
        self.names = Names()
        with self.at("settingsErrorHandling"):
            handling = self.mapping(body.items.get("settingsErrorHandling"), body)
            audio = self.audio(handling, "preHandlingAudio")
            actions = self.error_handling(handling)
        return Settings(no_entry or 5.0, inter_digit or 3.0, user, number, music, audio, actions)

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

    def variables(self, body: Mapping) -> tuple[model.Variable, ...]:
        """``variables: [stringVariable: {name, initialValue}]``."""
        found: list[model.Variable] = []
        with self.at("variables"):
            for number, item in enumerate(self.sequence(body.items.get("variables"))):
                with self.at(f"[{number}]"):
                    try:
                        key, value, place = self.only(item, "variable")
                        inner = self.mapping(value, place)
                        name = self.declare(self.text(inner, "name"), place)
                        kind = {"string": "text", "integer": "number", "decimal": "number", "boolean": "boolean"}.get(
                            key.removesuffix("Variable"), "duration" if key == "durationVariable" else "any"
                        )
                        found.append(model.Variable(name, self.expression(inner, "initialValue", kind)))
                    except UnreadableError:
                        continue
        return tuple(found)

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

    def one_sequence(self, body: Mapping, kind: str) -> model.Sequence:
        """A task or state, with its variables."""
        outer, self.names = self.names, Names()
        loop, self.in_loop = self.in_loop, 0
        try:
            variables = self.variables(body)
            with self.at("actions"):
                actions = self.block(body.items.get("actions"))
            self.check_names(self.names, set(), kind)
        finally:
            self.names, self.in_loop = outer, loop
        name = self.text(body, "name")
        return model.Sequence(self.text(body, "refId") or name, name, body.line, variables, actions)

    def check_names(self, names: Names, given: set[str], what: str) -> None:
        """Every variable that is read was declared or is written somewhere."""
        for name, node, path in names.used:
            if name.lower() not in names.known and name.lower() not in given:
                before, self.path = self.path, [path]
                self.error(
                    node,
                    f"unknown variable {name}",
                    f"Declare it in the {what}'s `variables`, or set it with updateData",
                )
                self.path = before

    def check_jumps(self) -> None:
        """Every reference leads somewhere."""
        known: dict[str, Dictionary[str, object]] = {"menu": self.menus, "task": self.tasks, "state": self.states}
        for kind, target, node, path in self.jumps:
            if target not in known[kind]:
                before, self.path = self.path, [path]
                there = ", ".join(sorted(known[kind])[:20]) or "none"
                self.error(node, f"no {kind} has the refId {target!r}", f"There are {there}")
                self.path = before

    # Menus

    def menu_settings(self, body: Mapping) -> None:
        """``settingsMenu`` of the flow."""
        self.plays, self.selection_s = self.menu_numbers(body)

    def menu_numbers(self, body: Mapping) -> tuple[int, float]:
        """(how often to play, seconds to wait) as a ``settingsMenu`` block says."""
        with self.at("settingsMenu"):
            block = self.mapping(body.items.get("settingsMenu"), body)
            plays = min(max(self.whole(block, "repeatCount", self.plays), 1), 100)
            return plays, self.seconds(block, "menuSelectionTimeout", self.selection_s) or self.selection_s

    def all_menus(self, body: Mapping) -> None:
        """``menus``."""
        with self.at("menus"):
            for number, item in enumerate(self.sequence(body.items.get("menus"))):
                with self.at(f"[{number}]"):
                    try:
                        name, value, place = self.only(item, "menu")
                        if name != "menu":
                            raise self.stop(place, f"a menu is expected here, not {name!r}", "Write `- menu:`")
                        self.menu(self.mapping(value, place), place)
                    except UnreadableError:
                        continue

    def menu(self, body: Mapping, place: Node) -> Menu:
        """One menu; it is added to ``menus``."""
        name = self.text(body, "name")
        ref_id = self.text(body, "refId") or name
        recording = self.mapping(body.items.get("settingsSpeechRec"), body)
        if self.text(recording, "suppressRecording").lower() == "true":
            remedy = "Put suppressRecording into settingsSpeechRec of the flow: it holds for the whole flow"
            self.error(recording.items["suppressRecording"], "recording cannot be suppressed for one menu", remedy)
        plays, selection_s = self.menu_numbers(body)
        choices: dict[str, Choice] = {}
        audio = self.audio(body, "audio")
        with self.at("choices"):
            for number, item in enumerate(self.sequence(body.items.get("choices"))):
                with self.at(f"[{number}]"):
                    try:
                        self.choice(item, choices)
                    except UnreadableError:
                        continue
        menu = Menu(ref_id, name, place.line, audio, plays, selection_s, choices)
        if ref_id in self.menus:
            self.error(place, f"two menus have the refId {ref_id!r}", "Give each its own")
        self.menus[ref_id] = menu
        self.places[ref_id] = place
        return menu

    def choice(self, item: Node, choices: dict[str, Choice]) -> None:
        """One choice, under its digit."""
        key, value, place = self.only(item, "choice")
        reader = CHOICES.get(key)
        with self.at(key):
            if reader is None:
                remedy = (
                    "Use menuTask with transferToVoicemail"
                    if "Voicemail" in key
                    else f"There are {', '.join(sorted(CHOICES))}"
                )
                raise self.stop(place, f"unknown choice {key!r}", remedy)
            body = self.mapping(value, place)
            body = Mapping(place.line, place.column, body.items, body.places)
            digit = self.dtmf(body, "dtmf")
            everywhere = self.text(body, "globalDtmf").lower() == "true"
            choice = reader(self, body, place.line, self.text(body, "name") or key, everywhere)
            if not digit:
                self.warn(place, "no key leads to this choice: speech is not recognised", "Give `dtmf: digit_1`")
            elif digit in choices:
                said = f"the key {digit} is used twice in this menu, first on line {choices[digit].line}"
                self.error(place, said, "Give each choice its own key")
            else:
                choices[digit] = choice

    def everywhere(self) -> dict[str, Choice]:
        """Choices that are in every menu; a key of theirs may not be used for something else."""
        found: dict[str, Choice] = {}
        for menu in self.menus.values():
            for digit, choice in menu.choices.items():
                if choice.everywhere:
                    found.setdefault(digit, choice)
        for menu in self.menus.values():
            for digit, choice in menu.choices.items():
                if digit in found and found[digit] is not choice:
                    said = f"the key {digit} leads to {found[digit].name!r} (line {found[digit].line}) in every menu"
                    place = Mapping(choice.line, 1, {}, {})
                    self.error(place, said, "Give one of the two another key, or set its globalDtmf to false")
        return found


def _renamed(place: Mapping, key: str, value: Node) -> Mapping:
    return Mapping(place.line, place.column, {key: value}, {key: (place.line, place.column)})


_ChoiceReader = Callable[[FlowReader, Mapping, int, str, bool], Choice]


def _by_action(action: str) -> _ChoiceReader:
    def read(reader: FlowReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
        outer, reader.names = reader.names, Names()
        try:
            actions = (ACTIONS[action](reader, body, line, name),)
            reader.check_names(reader.names, set(), "task")
        finally:
            reader.names = outer
        return Choice(line, name, "actions", everywhere, actions)

    return read


def _task(reader: FlowReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
    if "targetTaskRef" in body.items:
        return _by_action("jumpToTask")(reader, body, line, name, everywhere)
    with reader.at("task"):
        task = reader.one_sequence(reader.mapping(body.items.get("task"), body), "task")
    return Choice(line, name, "task", everywhere, task=task)


def _sub_menu(reader: FlowReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
    if "targetMenuRef" in body.items:
        return _by_action("jumpToMenu")(reader, body, line, name, everywhere)
    node = body.items.get("menu")
    with reader.at("menu"):
        inner = reader.mapping(node, body) if node is not None else body
        if "choices" not in inner.items:
            reader.error(body, "a menu without choices", "Give `menu: {audio: …, choices: […]}`")
        menu = reader.menu(inner, body if node is None else node)
    return Choice(line, name, "menu", everywhere, menu=menu)


def _plain(kind: str) -> _ChoiceReader:
    def read(_reader: FlowReader, _body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
        return Choice(line, name, kind, everywhere)

    return read


CHOICES: dict[str, _ChoiceReader] = {
    "menuDisconnect": _by_action("disconnect"),
    "menuTransferToAcd": _by_action("transferToAcd"),
    "menuTransferToUser": _by_action("transferToUser"),
    "menuTransferToNumber": _by_action("transferToNumber"),
    "menuTransferToFlow": _by_action("transferToFlow"),
    "menuTask": _task,
    "menuSubMenu": _sub_menu,
    "menuJumpToTask": _by_action("jumpToTask"),
    "menuJumpToMenu": _by_action("jumpToMenu"),
    "menuReplay": _plain("replay"),
    "menuPrevious": _plain("previous"),
}

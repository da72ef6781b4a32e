"""Reads menus and their choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from earwitness.flows.action_reader import ActionReader
from earwitness.flows.model import Choice, Menu
from earwitness.flows.read_actions import ACTIONS
from earwitness.flows.reading import Names, UnreadableError
from earwitness.flows.source import Mapping, Node

DEFAULT_PLAYS = 3
DEFAULT_SELECTION_S = 10.0


@dataclass(slots=True)
class MenuReader(ActionReader):
    """A reader that knows menus."""

    menus: dict[str, Menu] = field(default_factory=dict)
    plays: int = DEFAULT_PLAYS
    selection_s: float = DEFAULT_SELECTION_S

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


_ChoiceReader = Callable[[MenuReader, Mapping, int, str, bool], Choice]


def _by_action(action: str) -> _ChoiceReader:
    def read(reader: MenuReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
        outer, reader.names = reader.names, Names()
        try:
            actions = (ACTIONS[action](reader, body, line, name),)
            reader.check_names(reader.names, set(), "task")
        finally:
            reader.names = outer
        return Choice(line, name, "actions", everywhere, actions)

    return read


def _task(reader: MenuReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
    if "targetTaskRef" in body.items:
        return _by_action("jumpToTask")(reader, body, line, name, everywhere)
    with reader.at("task"):
        task = reader.one_sequence(reader.mapping(body.items.get("task"), body), "task")
    return Choice(line, name, "task", everywhere, task=task)


def _sub_menu(reader: MenuReader, body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
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
    def read(_reader: MenuReader, _body: Mapping, line: int, name: str, everywhere: bool) -> Choice:
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

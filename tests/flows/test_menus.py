from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.flows.commands import Disconnect, Finished, TransferToNumber, TransferToQueue

FLOW = """
inboundCall:
  name: Main line
  startUpRef: "/inboundCall/menus/menu[Main_1]"
  initialGreeting:
    tts: Welcome.
  settingsMenu:
    repeatCount: {lit: 2}
    menuSelectionTimeout: {lit: {seconds: 7}}
  menus:
    - menu:
        name: Main
        refId: Main_1
        audio: {tts: "1 sales, 2 message, 3 more."}
        choices:
          - menuTransferToAcd:
              name: Sales
              dtmf: digit_1
              targetQueue: {lit: {name: Sales}}
              preTransferAudio: {tts: One moment.}
              failureTransferAudio: {tts: Nobody is there.}
              priority: {lit: 5}
          - menuTask:
              name: Message
              dtmf: digit_2
              task:
                actions:
                  - playAudio: {name: Say, audio: {tts: We are in Berlin.}}
          - menuSubMenu:
              name: More
              dtmf: digit_3
              menu:
                name: More
                refId: More_2
                audio: {tts: "1 again, 2 back, 4 outside."}
                choices:
                  - menuReplay: {name: Again, dtmf: digit_1}
                  - menuPrevious: {name: Back, dtmf: digit_2}
                  - menuTransferToNumber:
                      name: Outside
                      dtmf: digit_4
                      targetNumber: {lit: +4940 77}
          - menuDisconnect: {name: Bye, dtmf: digit_star, globalDtmf: true}
"""


def test_a_choice_leads_to_a_queue(call: Callable[..., Any]) -> None:
    caller = call(FLOW).listen().press("1").listen()
    assert caller.heard == ["Welcome.", "1 sales, 2 message, 3 more.", "One moment."]
    assert caller.last == TransferToQueue("Sales", 5)
    assert caller.transferred().last == Finished()


def test_a_failed_transfer_brings_the_caller_back_to_the_menu(call: Callable[..., Any]) -> None:
    caller = call(FLOW).press("1").listen().refused()
    assert caller.heard[-1] == "Nobody is there."
    assert caller.listen().heard[-1].startswith("1 sales")


def test_a_menu_that_nobody_answers_hangs_up_after_its_repetitions(call: Callable[..., Any]) -> None:
    caller = call(FLOW).listen().listen().wait().listen().wait()
    assert caller.heard.count("1 sales, 2 message, 3 more.") == 2
    assert caller.last == Disconnect()


def test_another_key_plays_the_menu_again(call: Callable[..., Any]) -> None:
    caller = call(FLOW).listen().press("8")
    assert caller.heard.count("1 sales, 2 message, 3 more.") == 2
    assert caller.press("2").heard[-1] == "We are in Berlin."


def test_after_a_task_the_menu_begins_again(call: Callable[..., Any]) -> None:
    caller = call(FLOW).press("2").listen()
    assert caller.heard[-1] == "1 sales, 2 message, 3 more."


def test_submenus_replay_and_previous(call: Callable[..., Any]) -> None:
    caller = call(FLOW).press("31")
    assert caller.heard[-1] == "1 again, 2 back, 4 outside."
    assert caller.press("2").heard[-1] == "1 sales, 2 message, 3 more."
    assert caller.press("34").last == TransferToNumber("+494077", None)


def test_a_global_key_works_in_every_menu(call: Callable[..., Any]) -> None:
    assert call(FLOW).press("3*").last == Disconnect()

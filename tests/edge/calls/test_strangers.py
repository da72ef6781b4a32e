"""Who may register and call: digest, trunks by address, guessing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from earwitness.edge.calls.directory import Directory
from earwitness.edge.sip.events import Flow
from earwitness.edge.sip.message import parse_message

EDGE = ("192.0.2.1", 5060)


def test_register_refresh_and_unregister(office: Any) -> None:
    phone = office.peer("192.0.2.11", "anna", "anna-pw")
    assert phone.register() == 200
    assert phone.register() == 200
    assert len(office.registrar.all_bindings(office.clock.unix())) == 1
    assert phone.register(expires=0) == 200
    assert office.registrar.all_bindings(office.clock.unix()) == []


def test_short_registrations_are_423(office: Any) -> None:
    assert office.peer("192.0.2.11", "anna", "anna-pw").register(expires=5) == 423


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", "x"), ("off", "off-pw")])
def test_wrong_unknown_and_disabled_look_the_same(office: Any, name: str, password: str) -> None:
    station = replace(office.snapshot.stations[0], id="s-off", username="off", enabled=False)
    office.switchboard.use(Directory(replace(office.snapshot, stations=(*office.snapshot.stations, station))))
    assert office.peer("192.0.2.66", name, password).register() == 403


def test_guessing_is_slowed_down_and_does_not_keep_the_phone_out(office: Any) -> None:
    phone = office.phone("anna", 1)
    guesser = office.peer("192.0.2.66", "anna", "guess")
    statuses = [guesser.register() for _ in range(14)]
    assert statuses[:10] == [403] * 10
    assert statuses[-1] == 503
    assert phone.register() == 200


def test_a_phone_with_a_wrong_password_locks_out_no_other_behind_its_nat(office: Any) -> None:
    good = office.peer("203.0.113.9", "anna", "anna-pw")
    assert good.register() == 200
    bad = office.peer("203.0.113.9", "bert", "old password")
    assert [bad.register() for _ in range(14)][-1] == 503
    office.nodes["203.0.113.9"] = good.endpoint
    assert good.register() == 200


def test_credentials_made_for_a_stranger_do_not_pay_for_his_call(office: Any) -> None:
    phone = office.peer("203.0.113.9", "anna", "anna-pw")

    def signed_for_the_stranger(challenges: Any, method: str, uri: str, body: bytes) -> str | None:
        return phone_answer(challenges, method, "sip:stranger@203.0.113.9", body)

    phone_answer = phone.authenticate
    phone.authenticate = signed_for_the_stranger
    phone.dial("+1900555")
    assert phone.statuses == [403]
    phone.authenticate = phone_answer
    phone.dial("+49401234")
    assert office.carrier.told == ["invite"]


def test_a_station_is_reached_the_way_its_calls_come(office: Any) -> None:
    phone = office.phone("anna", 1)
    phone.dial("+49401234")
    dialog = office.conversation.caller.session.dialog
    assert dialog.pinned
    dialog.target = "sip:anna@8.8.8.8:5060"
    office.carrier.answer()
    office.carrier.hang_up()
    assert phone.told[-1] == "bye"


def test_nobody_registers_somebody_elses_name(office: Any) -> None:
    phone = office.peer("192.0.2.11", "anna", "anna-pw")
    got: list[Any] = []
    headers = [("Contact", "<sip:bert@192.0.2.11>")]
    target = replace(phone.target("", headers), to="<sip:bert@192.0.2.1>")
    phone.endpoint.request("REGISTER", target, on_response=got.append, authenticate=phone.authenticate)
    office.run(0.5)
    assert got[0].status == 403


def test_a_stranger_is_challenged_and_then_refused(office: Any) -> None:
    stranger = office.peer("203.0.113.9", "nobody", "x")
    stranger.dial("+4930100")
    assert stranger.statuses == [403]
    assert not office.spool.exists() or list(office.spool.iterdir()) == []


def test_a_stranger_without_credentials_gets_401(office: Any) -> None:
    stranger = office.peer("203.0.113.9")
    stranger.authenticate = lambda *args: None
    stranger.dial("+4930100")
    assert stranger.statuses == [401]
    assert {
        value.split("algorithm=")[1].split(",")[0] for value in stranger.responses[0].get_all("www-authenticate")
    } == {
        "MD5",
        "SHA-256",
    }
    office.settled()


def test_an_old_baresip_is_offered_md5_alone(office: Any) -> None:
    office.endpoint.receive(
        b"REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.44;branch=z9hG4bK1;rport\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n"
        b"User-Agent: baresip v1.0.0 (x86_64/linux)\r\nContent-Length: 0\r\n\r\n",
        Flow("udp", EDGE, ("192.0.2.44", 5060)),
    )
    (answer,) = [parse_message(data) for _, data in office.endpoint.take_outgoing()]
    (challenge,) = answer.get_all("www-authenticate")
    assert "algorithm=MD5" in challenge


def test_a_station_may_call_from_anywhere_with_its_password(office: Any) -> None:
    bert = office.phone("bert", 2)
    phone = office.peer("203.0.113.9", "anna", "anna-pw")
    phone.dial("203")
    assert bert.told == ["invite"]


def test_a_trunk_known_by_its_digest_user(office: Any) -> None:
    phone = office.phone("anna", 1)
    trunk = office.peer("203.0.113.9", "office", "secret")
    trunk.dial("+4930100")
    assert phone.told == ["invite"]
    trunk.hang_up()
    assert office.timeline().participants[0].legs[0].trunk_id == "t2"


def test_a_phone_behind_the_trunks_address_is_a_phone(office: Any) -> None:
    trunks = (replace(office.snapshot.trunks[0], allow=("0.0.0.0/0",)),)
    office.switchboard.use(Directory(replace(office.snapshot, trunks=trunks)))
    anna, bert = office.phone("anna", 1), office.phone("bert", 2)
    anna.dial("203")
    assert bert.told == ["invite"]
    anna.hang_up()
    assert office.timeline().direction == "internal"


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("MESSAGE", 405), ("SUBSCRIBE", 405), ("PUBLISH", 405)]
)
def test_requests_outside_a_call(office: Any, method: str, status: int) -> None:
    got: list[Any] = []
    office.carrier.endpoint.request(method, office.carrier.target("x"), on_response=got.append)
    office.run(0.2)
    assert got[0].status == status


@pytest.mark.parametrize("contact", ["<sip:x", "<mailto:a@b>", "*", ", ".join(["<sip:a@b>"] * 21)])
def test_contacts_that_cannot_be(office: Any, contact: str) -> None:
    phone = office.peer("192.0.2.11", "anna", "anna-pw")
    got: list[Any] = []
    target = replace(phone.target("", [("Contact", contact)]), to="<sip:anna@192.0.2.1>")
    phone.endpoint.request("REGISTER", target, on_response=got.append, authenticate=phone.authenticate)
    office.run(0.5)
    assert got[0].status == 400
    assert office.registrar.all_bindings(office.clock.unix()) == []


def test_loss_of_packets_loses_no_call(office: Any) -> None:
    rng = random.Random(5)
    receive = office.endpoint.receive
    office.endpoint.receive = lambda data, flow: None if rng.random() < 0.2 else receive(data, flow)
    phone = office.peer("192.0.2.11", "anna", "anna-pw")
    phone.answer_at_once = True
    for _ in range(30):
        while phone.register() != 200:
            office.run(30)
        office.carrier.dial("+4930100")
        office.run(20)
        assert office.carrier.statuses[-1] == 200
        office.carrier.session.bye()
        office.run(40)
    office.endpoint.receive = receive
    office.settled()
    assert len(list(office.spool.iterdir())) == 30

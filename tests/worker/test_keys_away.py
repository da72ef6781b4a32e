"""Calls are recorded and finished whoever keeps the keys, and wherever they are (I11)."""

from __future__ import annotations

import base64
import importlib.util
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from earwitness.archive.vault import KeyServiceError, Vault, kms
from earwitness.archive.vault.keys import add_described_key, put_service
from earwitness.archive.vault.recording_keys import KMS, LOCAL
from earwitness.store.database import Database
from earwitness.store.tables import Division
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.finalise import Finaliser
from earwitness.worker.rendering import ConversationRenderer

KEY_SERVER = Path(__file__).parents[1] / "archive/vault/key_server.py"


class DirectPool:
    """Renders in the test's own process."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.vault = Vault.at(arguments.vault_url, arguments.keys)
        self.spool = arguments.spool

    def render(self, conversation_id: str, tape_ids: list[str]) -> Future[list[str]]:
        future: Future[list[str]] = Future()
        try:
            future.set_result(ConversationRenderer(self.spool / conversation_id, self.vault).finish(tape_ids))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def finaliser(arguments: WorkerArguments) -> Iterator[Finaliser]:
    database = Database(arguments.database_url)
    with database.transaction() as session:
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
    yield Finaliser(database, DirectPool(arguments), arguments.spool)  # type: ignore[arg-type]
    database.dispose()


class Machine:
    """A KMS that is there, or not."""

    up = True

    def encrypt(self, key_id: str, plain: bytes) -> bytes:
        if not self.up:
            raise OSError("no route to the KMS")
        return bytes(byte ^ 0x5A for byte in plain)

    decrypt = encrypt


def test_i11_without_its_kms_a_call_waits_in_the_spool(
    finaliser: Finaliser, arguments: WorkerArguments, simple_call: Any
) -> None:
    machine = Machine()
    kms.register("away", machine)
    try:
        sealed = base64.b64encode(kms.encrypt("away:key", os.urandom(32))).decode()
        add_described_key(arguments.keys, {"type": KMS, "arn": "away:key", "sealed": sealed})
        call = simple_call(1.0)
        machine.up = False
        for _ in range(2):
            with pytest.raises(KeyServiceError, match="no route to the KMS"):
                finaliser.finish(call.id)
        assert (call.folder / "events.jsonl").exists()
        assert not list(call.folder.glob("*.rendering")), "no plain audio lies about"
        machine.up = True
        assert finaliser.finish(call.id) == 0.0
        assert not call.folder.exists()
        vault = Vault.at(arguments.vault_url, arguments.keys)
        assert vault.wrapped_by(call.tape_id) == 2
        vault.verify(call.tape_id)
    finally:
        kms.unregister("away")


def test_i11_a_key_service_that_is_away_keeps_no_call_from_being_finished(
    finaliser: Finaliser, arguments: WorkerArguments, simple_call: Any
) -> None:
    specification = importlib.util.spec_from_file_location("worker_key_server", KEY_SERVER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["worker_key_server"] = module
    specification.loader.exec_module(module)
    server = module.KeyServer().start()
    keypair_id, public_key = server.make()
    put_service(arguments.keys, "c1", server.url, server.api_id, server.api_key)
    key = {"type": LOCAL, "configuration": "c1", "keypairId": keypair_id, "publicKey": public_key}
    add_described_key(arguments.keys, key)
    server.stop()
    call = simple_call(1.0)
    assert finaliser.finish(call.id) == 0.0
    with pytest.raises(KeyServiceError, match="cannot be reached"):
        Vault.at(arguments.vault_url, arguments.keys).open(call.tape_id)
    server.start()
    Vault.at(arguments.vault_url, arguments.keys).verify(call.tape_id)
    server.stop()

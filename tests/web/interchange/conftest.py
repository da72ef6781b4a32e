"""A worker's bench on the site's own database, vault and spool; orphans to play with."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earwitness.archive.render import wav
from earwitness.archive.vault.keys import create_keys
from earwitness.archive.vault.vault import Item, Vault
from earwitness.store import orphans
from earwitness.store.database import Database
from earwitness.store.tables import OrphanRecording
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench

KEY_SERVER = Path(__file__).parents[2] / "archive/vault/key_server.py"


@dataclass
class Clock:
    """Told by the test; both processes look at it."""

    us: int

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return time.monotonic()

    def forward(self, *, days: float = 0, seconds: float = 0) -> None:
        self.us += round((days * 86400 + seconds) * 1e6)


@dataclass
class Workshop:
    """A site and a bench, with one clock."""

    site: Any
    bench: Bench
    clock: Clock

    @property
    def vault(self) -> Vault:
        return Vault.at(self.bench.arguments.vault_url, self.bench.arguments.keys)

    def reading(self) -> Any:
        return self.bench.database.reading()

    def transaction(self) -> Any:
        return self.bench.database.transaction()


def tone(seconds: float, hertz: float = 440, rate: int = 8000, channels: int = 1) -> np.ndarray:
    wave = (9000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)
    return np.repeat(wave.reshape(-1, 1), channels, axis=1)


def wav_of(samples: np.ndarray, rate: int = 8000) -> bytes:
    return wav.header(wav.PCM, rate, samples.shape[1], len(samples)) + wav.encode(samples, wav.PCM)


def put_in_order(site: Any) -> Workshop:
    clock = Clock(time.time_ns() // 1000)
    site.app.state.services.clock = clock
    create_keys(site.arguments.keys_dir)
    arguments = WorkerArguments(
        database_url=site.arguments.database_url,
        spool=site.arguments.spool_dir,
        vault_url=site.arguments.vault_url,
        keys=site.arguments.keys_dir,
    )
    return Workshop(site, Bench(Database(site.arguments.database_url), arguments, clock.now_us), clock)


@pytest.fixture
def shop(site: Any) -> Iterator[Workshop]:
    """On SQLite, then on PostgreSQL."""
    workshop = put_in_order(site)
    yield workshop
    workshop.bench.database.dispose()


@pytest.fixture
def small_shop(sqlite_site: Any) -> Iterator[Workshop]:
    """On SQLite."""
    workshop = put_in_order(sqlite_site)
    yield workshop
    workshop.bench.database.dispose()


@pytest.fixture
def make_wav() -> Callable[..., bytes]:
    """A WAV file of a tone."""
    return lambda seconds=1.0, hertz=440.0, channels=1: wav_of(tone(seconds, hertz, channels=channels))


@pytest.fixture
def make_orphan(make_wav: Callable[..., bytes]) -> Callable[..., str]:
    """Seals a WAV and lays an orphan; gives its id."""

    def make(shop: Workshop, **fields: Any) -> str:
        orphan_id = fields.pop("id", None) or str(__import__("uuid").uuid4())
        content = make_wav(2.0, channels=2)
        sealed = shop.vault.seal(orphan_id, [Item("master", "audio/wav", content)], {}, shop.clock.us).item("master")
        master = {"object_key": f"{orphan_id}/master", "role": "master", "media_type": "audio/wav",
                  "size": sealed.size, "sha256": sealed.sha256, "created_at": shop.clock.us}  # fmt: skip
        row = OrphanRecording(
            id=orphan_id, source="spool", why="a test", file_state="AVAILABLE", started_at=shop.clock.us - 10_000_000,
            ended_at=shop.clock.us - 8_000_000, duration_ms=2000, audio_format="audio/L16", sample_rate=8000,
            size=sealed.size, sha256=sealed.sha256, objects=[master],
            **{"channels": 2, "mime_type": "audio/wav", "created_at": shop.clock.us, "recovered_at": shop.clock.us,
               **fields},
        )  # fmt: skip
        with shop.transaction() as session:
            assert orphans.add(session, row)
        return orphan_id

    return make


@pytest.fixture
def key_server() -> Iterator[Any]:
    """A key service that answers."""
    specification = importlib.util.spec_from_file_location("web_key_server", KEY_SERVER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["web_key_server"] = module
    specification.loader.exec_module(module)
    server = module.KeyServer().start()
    yield server
    server.stop()

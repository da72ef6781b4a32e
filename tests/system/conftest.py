"""One Earwitness for most tests (started once), peers for each test, and what they all saw when a test fails.

Addresses: Earwitness and the phones are at 127.0.0.1, the carrier that is recorded at 127.0.0.2, one that is not
recorded at 127.0.0.3, the hand-made probe at 127.0.0.4, one that records holds at 127.0.0.5, strangers at 127.0.0.9.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers.carrier import Carrier
from peers.office import Office
from peers.phone import Phone
from peers.probe import Probe
from peers.recorder import Recorder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Shows what every peer of a failed test saw."""
    report = yield
    if report.failed and call.when != "teardown":
        for name, value in getattr(item, "funcargs", {}).items():
            if hasattr(value, "story"):
                with contextlib.suppress(Exception):
                    report.sections.append((f"what {name} saw", value.story()))
    return report


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The shared instance with its trunks, people and numbers."""
    recorder = Recorder(tmp_path_factory.mktemp("earwitness") / "data")
    try:
        yield Office(recorder.start())
    finally:
        recorder.close()


@pytest.fixture
def new_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """Makes instances of a test's own, for what would disturb others."""
    recorders: list[Recorder] = []

    def make(**how: Any) -> Office:
        recorder = Recorder(tmp_path / f"instance{len(recorders)}" / "data", **how)
        recorders.append(recorder)
        return Office(recorder.start())

    yield make
    for recorder in recorders:
        recorder.close()


@pytest.fixture
def carrier(tmp_path: Path) -> Iterator[Carrier]:
    """The carrier of the recorded trunk."""
    with Carrier(tmp_path / "carrier") as carrier:
        yield carrier


class Carriers:
    """Makes carriers at other addresses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Carrier] = []

    def __call__(self, host: str) -> Carrier:
        self._made.append(Carrier(self._folder / f"carrier-{host}", host))
        return self._made[-1]

    def story(self) -> str:
        return "\n".join(carrier.story() for carrier in self._made)

    def close(self) -> None:
        for carrier in self._made:
            carrier.close()


@pytest.fixture
def carrier_at(tmp_path: Path) -> Iterator[Carriers]:
    """``carrier_at("127.0.0.20")`` gives a carrier at that address."""
    made = Carriers(tmp_path)
    yield made
    made.close()


class Phones:
    """Makes phones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Phone] = []

    def __call__(self, office: Office, name: str, **how: Any) -> Phone:
        """A registered phone of a user (made on first mention)."""
        account = office.account(name, transport=how.get("transport", "udp"))
        phone = Phone(self._folder / f"{name}{len(self._made)}", account, **how)
        self._made.append(phone)
        return phone.registered()

    def story(self) -> str:
        return "\n".join(phone.story() for phone in self._made)

    def close(self) -> None:
        for phone in self._made:
            phone.close()


@pytest.fixture
def phones(tmp_path: Path) -> Iterator[Phones]:
    """``phones(office, "alice", tone=1000)`` gives a registered phone."""
    made = Phones(tmp_path)
    yield made
    made.close()


@pytest.fixture
def probe(office: Office) -> Iterator[Probe]:
    """The probe, as a recorded trunk of the shared instance."""
    with Probe("127.0.0.4") as probe:
        probe.server = office.recorder.sip_address
        yield probe

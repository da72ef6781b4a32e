"""The supervisor with real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        started.append(_start(tmp_path, body))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _start(tmp_path: Path, body: str) -> subprocess.Popen[str]:
    script = tmp_path / "supervise.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys
            from earwitness.logs import configure
            from earwitness.supervisor import Child, Supervisor
            configure()
            child = [sys.executable, "-c", r"import os, time; os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"]
            """
        )
        + textwrap.dedent(body)
    )
    return subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def read_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"


def test_a_killed_child_is_started_again_and_all_end_on_ctrl_c(
    supervise: Start,
) -> None:
    process = supervise("Supervisor([Child('a', child)], os.environ).run()")
    first = read_pid(process)
    os.kill(first, signal.SIGKILL)
    second = read_pid(process)
    assert second != first
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert gone(second)


def test_children_die_with_a_killed_supervisor(supervise: Start) -> None:
    process = supervise("Supervisor([Child('a', child)], os.environ).run()")
    child = read_pid(process)
    pidfd = os.pidfd_open(child)
    process.kill()
    process.wait(20)
    assert select.select([pidfd], [], [], 20)[0], "the child outlived its supervisor"
    os.close(pidfd)


def test_one_that_cannot_do_its_work_at_the_first_start_ends_everything(supervise: Start) -> None:
    body = """
    cannot = [sys.executable, "-c", "import sys; sys.exit(78)"]
    sys.exit(Supervisor([Child('a', child), Child('b', cannot)], os.environ).run())
    """
    process = supervise(body)
    first = read_pid(process)
    assert process.wait(20) == 78
    assert gone(first)


def test_stages_stop_in_order(supervise: Start) -> None:
    body = """
    code = r'''
    import os, signal, sys, time
    def end(*_):
        os.write(1, sys.argv[1].encode() + b"\\n")
        sys.exit()
    signal.signal(signal.SIGTERM, end)
    os.write(1, b"0\\n")
    time.sleep(60)
    '''
    import textwrap
    run = [sys.executable, "-c", textwrap.dedent(code)]
    names = [Child("late", [*run, "2"], stage=1), Child("early", [*run, "1"])]
    Supervisor(names, os.environ).run()
    """
    process = supervise(body)
    assert [read_pid(process), read_pid(process)] == [0, 0]
    process.terminate()
    assert [read_pid(process), read_pid(process)] == [1, 2]
    assert process.wait(20) == 0

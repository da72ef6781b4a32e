"""``earwitness init`` as a stranger would run it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path


def earwitness(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earwitness.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_init_prints_the_secrets_once_and_keeps_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = earwitness("init", "--data", str(data), "--organization", "Acme", "--admin-email", "Boss@Acme.test")
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)
    assert made["organization"]["name"] == "Acme"
    assert made["administrator"]["email"] == "boss@acme.test"
    secrets = [made["administrator"]["password"], made["client"]["secret"]]
    assert all(len(secret) >= 40 for secret in secrets)
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    again = earwitness("init", "--data", str(data))
    assert (again.returncode, again.stdout) == (2, "")
    assert "initialised already" in again.stderr


def test_serve_without_init_says_what_to_do(tmp_path: Path) -> None:
    result = earwitness("serve", "--data", str(tmp_path / "none"))
    assert result.returncode == 2
    assert f"run: earwitness init --data {tmp_path}/none" in result.stderr


def test_a_folder_that_cannot_be_used_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = earwitness("init", "--data", str(tmp_path / "file" / "data"))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "cannot be used" in result.stderr


def test_an_unknown_database_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "earwitness.toml"
    file.write_text('database_url = "mysql://somewhere/x"')
    result = earwitness("init", "--data", str(tmp_path / "data"), "--config", str(file))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr

"""Documented or it does not exist: docs and code name the same things."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from earwitness.cli.rules import RULES, rules_with_tests
from earwitness.domain.conversation.events import EVENT_FIELDS
from earwitness.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def names_in_table(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    assert names_in_table(read("docs/configuration.md")) == set(Settings.model_fields)


def test_defaults_are_documented_as_they_are() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \| `([^`]*)` \|", read("docs/configuration.md"), re.MULTILINE))
    for name, field in Settings.model_fields.items():
        shown = "none" if field.default is None else str(field.default) or "empty"
        assert table[name] == shown, name


def test_every_event_type_is_documented_with_its_fields() -> None:
    text = read("docs/events.md")
    assert names_in_table(text) == set(EVENT_FIELDS)
    for name, fields in EVENT_FIELDS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        for field in (*fields.required, *fields.optional):
            assert field in row, (name, field)


def test_every_command_is_documented() -> None:
    from typer.main import get_command

    from earwitness.cli.main import cli

    text = read("docs/operations.md")
    for name in get_command(cli).commands:  # type: ignore[attr-defined]
        assert f"`earwitness {name}" in text, name


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    text = read("docs/dependencies.md")
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    for requirement in wanted:
        name = re.split(r"[\[<>=~!]", requirement)[0]
        assert name.lower() in text.lower(), name


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in [*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(page)):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_every_verb_of_the_makefile_is_one_of_ours() -> None:
    verbs = set(re.findall(r"^([a-z]+):.*##", read("Makefile"), re.MULTILINE))
    assert verbs == {"help", "setup", "demo", "test", "check", "bench", "docs", "rules", "contract", "lock"}


def test_the_project_names_no_registry() -> None:
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)", "deb" + r"\.debian\.org"])
    )
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        path = ROOT / name
        if path.is_file():
            assert not hosts.search(path.read_text(encoding="utf-8", errors="replace")), name


def test_there_are_129_rules() -> None:
    assert sum(RULES.values()) == 129
    assert rules_with_tests(ROOT / "tests")["B5"]


def test_the_command_starts_without_loading_every_floor() -> None:
    code = "import sys, earwitness.cli.main; print(any(name in sys.modules for name in ('av', 'dbos', 'sqlalchemy')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"

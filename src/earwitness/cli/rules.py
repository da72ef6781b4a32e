"""``earwitness rules``: which rules of the contract have a test, which do not."""

from __future__ import annotations

import re
from pathlib import Path

RULES = {
    "A": 12, "B": 15, "C": 12, "D": 4, "E": 14, "F": 22, "G": 16, "H": 6, "I": 12, "J": 16,
}  # fmt: skip
"""Rules of each family of the contract, 129 in all: A1…A12 and so on."""


def rules_with_tests(tests: Path) -> dict[str, list[str]]:
    """Rule number -> tests that carry it in their name (``test_b5_hold_is_suppressed`` proves B5)."""
    found: dict[str, list[str]] = {f"{family}{n}": [] for family, count in RULES.items() for n in range(1, count + 1)}
    for file in sorted(tests.rglob("test_*.py")):
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            for rule in re.findall(r"(?<=_)([a-j][0-9]{1,2})(?=_|$)", name):
                found.get(rule.upper(), []).append(f"{file.relative_to(tests)}::{name}")
    return found


def print_rules(tests: Path) -> None:
    """Prints each rule with its tests, and those without."""
    found = rules_with_tests(tests)
    for rule, names in found.items():
        print(f"{rule:4} {'; '.join(names) if names else '-'}")
    without = [rule for rule, names in found.items() if not names]
    print(f"{len(found) - len(without)} of {len(found)} rules have a test; without: {', '.join(without) or 'none'}")

"""Nothing but the scoped query selects recordings and conversations: a search of the source, as a lint."""

from __future__ import annotations

import ast
from pathlib import Path

import earwitness

SOURCE = Path(earwitness.__file__).parent
GUARDED = {
    "Recording",
    "RecordingObject",
    "Conversation",
    "ConversationDivision",
    "ConversationPart",
    "ConversationQueue",
}
ALLOWED = {
    "store/tables": "defines them",
    "store/migrations": "moves them, on nobody's behalf",
    "store/visibility.py": "is the scoped query",
    "store/recordings.py": "starts from it",
    "store/user_recordings.py": "starts from it",
    "store/recordings_queries.py": "what belongs to a row that was found through it",
    "store/conversations.py": "starts from it",
    "store/evaluation_visibility.py": "the divisions of evaluated calls; selects no call",
    "store/listeners.py": "who hears a row that was found through it",
    "store/hearing.py": "how much of a row that was found through it",
    "store/search.py": "starts from it",
    "store/search_filters.py": "conditions beside the scoped query",
    "store/search_index.py": "what conversations are found by, on nobody's behalf",
    "store/internal.py": "workflows, on nobody's behalf",
    "store/completion.py": "workflows, on nobody's behalf",
    "store/policy_simulation.py": "starts from it",
    "store/exports.py": "workflows, on nobody's behalf",
    "store/recording_keys.py": "wraps data keys anew, on nobody's behalf",
    "store/orphans.py": "asks only whether the conversation of an orphan is there",
    "worker/rows.py": "makes rows, selects none",
    "store/retention.py": "what is due, on nobody's behalf, and ids that were found through the scoped query",
    "store/retention_tasks.py": "the same",
    "store/protection.py": "the same",
    "store/recording_jobs.py": "starts from it",
    "store/erasures.py": "finds one person, whoever may see what; web shows counts and what the caller may see",
}
SELECTORS = {"select", "query", "get", "get_one", "exists", "update", "delete", "scalars", "execute", "join", "aliased"}
DOMAIN = {"earwitness.domain.conversation.timeline"}
"""Where other things of these names live."""


def _names_of_tables(tree: ast.Module) -> set[str]:
    """Names under which a module has imported guarded tables, or whole modules that hold them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("earwitness.store"):
            for alias in node.names:
                if alias.name in GUARDED or (node.module == "earwitness.store" and alias.name == "tables"):
                    found.add(alias.asname or alias.name)
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name for alias in node.names if alias.name.startswith("earwitness.store.t")}
    return found


def _selects(tree: ast.Module, tables: set[str]) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in SELECTORS:
            continue
        used = {leaf.id for argument in node.args for leaf in ast.walk(argument) if isinstance(leaf, ast.Name)}
        if used & tables:
            lines.append(node.lineno)
    return lines


def test_only_the_scoped_query_selects_recordings() -> None:
    offences = []
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if any(place.startswith(allowed) for allowed in ALLOWED):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        offences += [f"{place}:{line}" for line in _selects(tree, _names_of_tables(tree))]
        if any(
            table in path.read_text(encoding="utf-8").lower() for table in (" from recordings", " from conversations")
        ):
            offences.append(f"{place}: SQL text")
    assert offences == [], "start from store.recordings or store.conversations instead"


def test_web_never_asks_on_nobodys_behalf() -> None:
    for path in (SOURCE / "web").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "store.internal" not in text, path
        assert "import internal" not in text, path


def test_the_lint_finds_what_it_looks_for() -> None:
    text = "from earwitness.store.tables import Recording as R\nsession.scalars(select(R.id).where(R.id == 1))\n"
    tree = ast.parse(text)
    assert _selects(tree, _names_of_tables(tree)) == [2, 2]

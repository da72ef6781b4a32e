from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.flows.errors import FlowErrors
from earwitness.flows.source import MAX_BYTES, Mapping, Node, Scalar, Sequence, filled, read


def plain(node: Node) -> object:
    """A tree as Python values, for comparing."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.items.items()}


def mistakes(text: str, **values: str) -> list[str]:
    with pytest.raises(FlowErrors) as raised:
        read(text, values)
    return [str(error) for error in raised.value.errors]


def test_words_stay_what_was_written() -> None:
    root = read("a: {yes: no, n: 0123, t: +49 30, f: on}", {})
    assert plain(root) == {"a": {"yes": "no", "n": "0123", "t": "+49 30", "f": "on"}}


def test_nodes_know_their_place() -> None:
    root = read("a:\n  b: 1\n  c:\n    - x\n", {})
    assert isinstance(root, Mapping)
    inner = root.items["a"]
    assert isinstance(inner, Mapping)
    assert inner.places["c"] == (3, 3)
    assert (inner.items["b"].line, inner.items["b"].column) == (2, 6)


def test_a_key_given_twice_is_told_with_both_lines() -> None:
    assert mistakes("a: 1\nb: 2\na: 3\n") == [
        "line 3, column 1: 'a' is given twice, first on line 1. Remove one of them"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a: [1", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a: !!python/object:os.system {}", "the tag"),
        ("a: !!int 3", "the tag"),
        ("a: *x", "no anchor"),
        ("a: &x [*x]", "no anchor"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("<<: {a: 1}", "a merge key"),
        ("? [1]\n: 2", "a key that is not a word"),
        ("a: \x07", "not YAML"),
        ("a: \ue000" + "0\ue001", "private alphabet"),
        ("[" * 150 + "]" * 150, "nested more than"),
        ("a: " + "x" * MAX_BYTES, "more than"),
    ],
)
def test_what_is_not_such_a_document_is_refused(text: str, said: str) -> None:
    assert said in mistakes(text)[0]


def test_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 200000 values" in mistakes("\n".join(lines))[0]


def test_an_alias_is_what_its_anchor_names() -> None:
    assert plain(read("a: &x {tts: Hi}\nb: *x\n", {})) == {"a": {"tts": "Hi"}, "b": {"tts": "Hi"}}


def test_placeholders_are_filled_and_cannot_change_the_structure() -> None:
    root = read("a: {{x}}\nb: 'say {{ x }}!'\n{{k}}: 1\n", {"x": 'v"\nc: 2 # {{k}}', "k": "key"})
    assert plain(root) == {"a": 'v"\nc: 2 # {{k}}', "b": 'say v"\nc: 2 # {{k}}!', "key": "1"}


def test_a_placeholder_without_a_value_names_line_and_option() -> None:
    said = mistakes("a: 1\nb: {{gone}}\n# {{in.a.comment}}\n")
    assert said == ["line 2, column 4: the placeholder {{gone}} has no value. Give it a value: --set gone=…"]


def test_filled_text_reads_as_the_filled_tree() -> None:
    text = (
        "n: {{n}}\ns: &x {{s}} # {{c}}\nq: '{{s}} ''x'''\nd: \"{{s}}\"\nl: |\n  {{s}}\n  x\nf: {{{s}}: [*x, {{n}}]}\n"
    )
    values = {"n": "4", "s": "a: 'b' \"c\" 😀 #"}
    out = filled(text, values)
    assert "n: 4\n" in out
    assert "{{c}}" in out
    assert plain(read(out, {})) == plain(read(text, values))


@settings(deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ue000\ue001")))
def test_any_value_survives_filling(value: str) -> None:
    text = "😀: 1\na: x {{v}} y\nb: [{{v}}, '{{v}}']\n"
    values = {"v": value}
    assert plain(read(filled(text, values), {})) == plain(read(text, values))


@settings(deadline=None)
@given(st.one_of(st.text(), st.text(alphabet="ab:-[]{}&*!|>'\"#% \n,?<\t").map(lambda text: "a:\n  " + text)))
def test_garbage_raises_nothing_but_flow_errors(text: str) -> None:
    with suppress(FlowErrors):
        assert read(text, {}).line >= 1


def test_byte_order_marks_and_line_ends_of_other_systems() -> None:
    assert plain(read("\ufeffa: {{x}}\r\nb:\r\n  - 1\r\n", {"x": "v"})) == {"a": "v", "b": ["1"]}
    assert filled("\ufeffa: {{x}}\r\nb: 1\r\n", {"x": "v"}) == 'a: "v"\r\nb: 1\r\n'

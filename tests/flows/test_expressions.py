# ruff: noqa: E501  tables
from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.expressions import MAX_LENGTH, literal, parse
from earwitness.flows.functions import FUNCTIONS, names
from earwitness.flows.kinds import kind_of
from earwitness.flows.values import NOT_SET, Audio, Beep, PromptRef, Say, Silence, Value, to_text

NOW = 1_795_353_600_000_000  # Sunday 2026-11-22 08:40:00 UTC


@dataclass
class Scope:
    variables: dict[str, Value] = field(default_factory=dict)
    now: int = NOW

    def value(self, name: str) -> Value:
        return self.variables.get(name, NOT_SET)


def value(source: str, **variables: Value) -> Value:
    return parse(source).evaluate(Scope({f"flow.{name}": given for name, given in variables.items()}))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 % 4", 3), ("7 / 2", 3.5), ("6 / 2", 3), ("-3 + 1", -2), ("- -3", 3), ("2.5 * 2", 5.0),
        ('"a" + "b"', "ab"), ('"n" + 1', "n1"), (r'"say \"hi\" \\ \n"', 'say "hi" \\ \n'), ('""', ""),
        ("true", True), ("FALSE", False), ("not true", False), ("not not true", True), ("!false", True),
        ("true or false and false", True), ("true && false", False), ("false || true", True), ("NOT true or true", True),
        ("1 == 1.0", True), ('"1" == 1', False), ("1 <> 2", True), ("2 >= 2", True), ("2 > 3", False), ("1 < 2 and 2 < 3", True),
        ('"a" < "b"', True), ("not 1 == 2", True), ("NOT_SET == NOT_SET", True), ('NOT_SET == ""', False), ("NOT_SET != 1", True),
        ("NOT_SET < 1", NOT_SET), ("NOT_SET + 1", NOT_SET), ("-Flow.gone", NOT_SET),
        ('If(true, "a", 1 / 0)', "a"), ("if(NOT_SET, 1, 2)", 2), ("IF(1 == 2, 1, 2)", 2),
        ("IsSet(Flow.gone)", False), ("IsSet(1)", True), ("IsNotSet(Flow.gone)", True), ('IsNotSetOrEmpty("")', True),
        ("IsNotSetOrEmpty(Flow.gone)", True), ('isnotsetorempty("x")', False),
        ("ToString(12)", "12"), ("ToString(1.5)", "1.5"), ("ToString(true)", "true"), ("ToString(NOT_SET)", NOT_SET),
        ('ToNumber(" 12 ")', 12), ('ToNumber("1.5")', 1.5), ('ToInt("3.9")', 3), ("ToInt(-3.9)", -3), ('ToBool("True")', True),
        ('ToPhoneNumber("tel:+49 (30) 12-3")', "+49301 23".replace(" ", "")), ('ToPhoneNumber("sip:+4930@x;a=b")', "+4930"),
        ('ToPhoneNumber("sip:bob@x")', "bob"), ('ToPhoneNumber("tel:+4930").e164', "+4930"),
        ('Contains("hello", "ell")', True), ('Contains("hello", "ELL")', False), ('Contains("hello", "ELL", true)', True),
        ('StartsWith("+49301", "+49")', True), ('EndsWith("a.b", ".b")', True), ('startswith("Ab", "aB", true)', True),
        ('Substring("hello", 1, 3)', "ell"), ('Substring("hello", 3)', "lo"), ('Substring("hello", 9, 3)', ""),
        ('Substring("hello", -2, 3)', "hel"), ('Left("hello", 2)', "he"), ('right("hello", 2)', "lo"), ('Right("a", 5)', "a"),
        ('Right("abc", 0)', ""), ('Length("hello")', 5), ("Length(Flow.gone)", NOT_SET),
        ('Append("a", 1, Flow.gone, true)', "a1true"), ('Upper("aß")', "ASS"), ('Lower("ÄB")', "äb"), ('Trim("  x ")', "x"),
        ('Replace("a-b-c", "-", "")', "abc"), ('Replace("abc", "", "x")', "abc"),
        ("Abs(-2)", 2), ("Floor(1.9)", 1), ("Ceiling(1.1)", 2), ("Round(2.6)", 3), ("Round(2.345, 1)", 2.3), ("Min(3, 1, 2)", 1), ("Max(3, 4)", 4),
        ("Hour(GetCurrentDateTimeUtc())", 13), ("Minute(GetCurrentDateTimeUtc())", 20), ("DayOfWeek(GetCurrentDateTimeUtc())", 1),
        ("DayOfWeek(MakeDateTime(2026, 11, 28))", 7), ("Year(MakeDateTimeUtc(2026, 2, 3, 4, 5, 6))", 2026), ("Month(MakeDateTime(2026, 2, 3))", 2),
        ("Day(MakeDateTime(2026, 2, 3))", 3), ("Second(MakeDateTime(2026, 2, 3, 4, 5, 6))", 6),
        ("Hour(ToTimeZone(MakeDateTime(2026, 7, 1, 10), \"Europe/Berlin\"))", 12),
        ("Hour(ToTimeZone(MakeDateTime(2026, 1, 1, 10), \"Europe/Berlin\"))", 11),
        ("Hour(AddHours(MakeDateTime(2026, 1, 1, 23), 2))", 1), ("Day(AddDays(MakeDateTime(2026, 1, 31), 1))", 1),
        ("Minute(AddMinutes(MakeDateTime(2026, 1, 1), 90))", 30), ("Second(AddSeconds(MakeDateTime(2026, 1, 1), 5))", 5),
        ("MakeDateTime(2026, 1, 2) > MakeDateTime(2026, 1, 1)", True),
        ("DateTimeDiff(MakeDateTime(2026, 1, 2), MakeDateTime(2026, 1, 1)) == MakeDuration(1, 0, 0, 0)", True),
        ("MakeDateTime(2026, 1, 2) - MakeDateTime(2026, 1, 1) > MakeDuration(0, 1, 0, 0)", True),
        ("Hour(MakeDateTime(2026, 1, 1) + MakeDuration(0, 3, 0, 0))", 3), ("ToNumber(MakeDuration(0, 0, 1, 1))", 61.0),
        ('Hour(ToDateTime("2026-01-01T07:00:00Z"))', 7), ('Hour(ToDateTime("2026-01-01T07:00:00"))', 7),
        ('ToString(MakeDateTime(2026, 1, 2, 3))', "2026-01-02T03:00:00.000Z"), ("ToString(MakeDuration(0, 0, 1, 0))", "PT60S"),
        ('FindQueue("Sales")', "Sales"), ('FindQueueById("x").id', "x"), ('FindUserById("u").name', "u"),
    ],
)  # fmt: skip
def test_values(source: str, expected: Value) -> None:
    if source == "Hour(GetCurrentDateTimeUtc())":
        expected = (NOW // 3_600_000_000) % 24
    if source == "Minute(GetCurrentDateTimeUtc())":
        expected = (NOW // 60_000_000) % 60
    found = value(source)
    assert found == expected
    assert type(found) is type(expected)


def test_variables_are_found_without_regard_to_case() -> None:
    assert value("flow.COUNT + 1", count=2) == 3
    assert value("Flow.Name.e164", name="tel:+49 30") == "+4930"


def test_audio() -> None:
    assert value('ToAudioTTS("Hi", "de-de")') == Audio((Say("Hi", "de-de"),))
    mixed = value(
        'AudioPlaybackOptions(Append(Prompt.hello, ToAudioBlank(500), "x", Flow.gone, PromptSystem.beep), false)'
    )
    assert mixed == Audio((PromptRef("Prompt.hello"), Silence(500), Say("x"), Beep()), False)
    assert value("ToAudioNumber(12)") == Audio((Say("12"),))
    assert value('ToAudio("x")') == value('ToAudio(ToAudio(ToAudioTTS("x")))')
    assert value("ToAudioBlank(99999999)") == Audio((Silence(60_000),))
    assert to_text(Audio((Say("a"), Silence(1), Say("b")))) == "a b"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "a value is missing before the end"), ("1 +", "missing"), ("1 2", "unexpected"), ("(1", "not closed"), ("Length(1", "not closed"),
        ("a = 1", "cannot read"), ("Flow.a = 1", "cannot read"), ("'x'", "cannot read"), ('"x', "cannot read"), ("Call.Ani[0]", "cannot read"),
        ("Foo(1)", "unknown function Foo"), ("eval(1)", "unknown function"), ("__import__(1)", "unknown function"),
        ("Length()", "takes 1 arguments, not 0"), ("Contains(1)", "takes 2 to 3"), ("x", "unknown name"), ("Flow.a.b", "no property"),
        ("ToString(1).x", "no property"), ("1 == 2 == 3", "unexpected"), (")", "missing"), ("1,2", "unexpected"), ("§", "cannot read"),
        ("(" * 60 + "1" + ")" * 60, "nested"), ("-" * 100 + "1", "nested"), ("+".join(["1"] * 500), "too many parts"), ("1" * MAX_LENGTH + "1", "more than"),
        ("99999999999999999999", "beyond"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(source: str, said: str) -> None:
    with pytest.raises(FlowExpressionError, match="(?s).*" + said.replace("(", r"\(")):
        parse(source)


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0", "1 % 0", '"a" * 2', "true + 1", '"a" < 1', "true < false", "1 and true", 'If("x", 1, 2)', 'ToNumber("x")', "ToNumber(true)",
        'ToBool("x")', "MakeDateTime(2026, 13, 1)", 'ToDateTime("x")', "Hour(1)", "AddDays(MakeDateTime(2026, 1, 1), 999999999)",
        "999999999999999 * 999999999999999", "MakeDuration(9999999999, 0, 0, 0)", "AudioPlaybackOptions(1, true)",
        'ToTimeZone(GetCurrentDateTimeUtc(), "Nowhere/At all")', 'ToTimeZone(GetCurrentDateTimeUtc(), "../../etc/passwd")',
        "MakeDateTime(9999, 12, 31) + MakeDuration(9, 0, 0, 0)",
        'ToTimeZone(MakeDateTime(1, 1, 1), "America/New_York")', "-true",
    ],
)  # fmt: skip
def test_what_has_no_value_says_so(source: str) -> None:
    with pytest.raises(FlowExpressionError):
        value(source)


def test_texts_do_not_grow_without_end() -> None:
    with pytest.raises(FlowExpressionError, match="32000"):
        value("Append(Flow.a, Flow.a)", a="x" * 20_000)
    with pytest.raises(FlowExpressionError):
        value('Replace(Flow.a, "x", Flow.a)', a="x" * 20_000)
    with pytest.raises(FlowExpressionError, match="parts"):
        value("Append(Flow.a, Flow.a)", a=Audio((Say("x"),) * 60))


def test_parts_of_an_expression() -> None:
    found = parse("If(Flow.a == Task.b, Prompt.x, PromptSystem.y)")
    assert sorted(name.name for name in found.variables()) == ["Flow.a", "Task.b"]
    assert sorted(found.prompts()) == ["Prompt.x", "PromptSystem.y"]
    assert found.constant is None
    assert literal(5).constant == 5
    assert parse("-5").constant == -5


def test_every_function_is_listed_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/flows.md").read_text(encoding="utf-8")
    for name in names():
        assert f"`{name}`" in page, name


_words = st.sampled_from(
    ["1", "0", "2.5", '"a"', '""', '"12"', "true", "NOT_SET", "Flow.a", "Flow.b", "Prompt.x", "Call.Ani", "(", ")", ",", "and", "or", "not", "==",
     "<", ">=", "+", "-", "*", "/", "%", ".e164", *(f"{function.name}(" for function in FUNCTIONS.values())]
)  # fmt: skip


@settings(deadline=None)
@given(st.one_of(st.text(max_size=50), st.lists(_words, max_size=30).map(" ".join)))
def test_garbage_raises_nothing_but_expression_errors(source: str) -> None:
    with suppress(FlowExpressionError):
        parse(source).evaluate(Scope({"flow.a": "text", "flow.b": 3}))


_values = st.one_of(
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(-1e15, 1e15),
    st.text(max_size=20),
    st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC)),
    st.timedeltas(),
    st.just(NOT_SET),
    st.just(Audio((Say("x"),))),
)


@settings(deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(_values, min_size=1, max_size=6))
def test_functions_take_any_values(name: str, arguments: list[Value]) -> None:
    function = FUNCTIONS[name]
    count = min(max(function.least, len(arguments)), function.most)
    arguments = (arguments * 6)[:count]
    source = f"{name}({', '.join(f'Flow.v{number}' for number in range(count))})"
    with suppress(FlowExpressionError):
        assert isinstance(to_text(value(source, **{f"v{n}": given for n, given in enumerate(arguments)})), str)


@settings(deadline=None)
@given(_values, _values, st.sampled_from(["+", "-", "*", "/", "%", "==", "<", ">=", "and", "or"]))
def test_operators_take_any_values(left: Value, right: Value, operator: str) -> None:
    with suppress(FlowExpressionError):
        value(f"Flow.a {operator} Flow.b", a=left, b=right)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("MakeDateTime(2026, 1, 1) - MakeDateTime(2026, 1, 1)", "duration"), ("MakeDateTime(2026, 1, 1) + MakeDuration(0, 0, 0, 1)", "date and time"),
        ("MakeDuration(0, 0, 0, 1) - MakeDuration(0, 0, 0, 1)", "duration"), ("Flow.x + 1", ""), ("Flow.x + \"a\"", "text"), ("1 + 2", "number"),
        ("Append(Prompt.x, \"a\")", "audio"), ("Append(Flow.x)", ""), ("Append(\"a\")", "text"), ("If(Flow.x, 1, 2)", "number"), ("If(true, 1, \"a\")", ""),
        ("Flow.x == 1", "boolean"), ("Call.Ani.e164", "text"), ("NOT_SET", ""), ("not Flow.x", "boolean"), ("-Flow.n", "number"),
    ],
)  # fmt: skip
def test_kinds_are_known_as_far_as_they_are_certain(source: str, kind: str) -> None:
    assert kind_of(parse(source).root, {"flow.n": "number"}) == kind


def test_differences() -> None:
    assert value("5 - 7") == -2
    assert value("MakeDuration(0, 0, 2, 0) - MakeDuration(0, 0, 1, 0)") == timedelta(minutes=1)

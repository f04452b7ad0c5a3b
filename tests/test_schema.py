"""JSON Schema in our own words: what each keyword says, and that no value can break it."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gt_conformance import document, resources, schema
from gt_conformance.errors import InputError
from gt_conformance.schema._explanation import matches
from gt_conformance.schema._value import is_plain, make_safe

Lines = Sequence[str | re.Pattern[str]]
Refused = Callable[[dict[str, Any], object], list[str]]

NAMES = sorted(
    path.relative_to(resources.schemas_dir()).as_posix().removesuffix(".schema.json")
    for path in resources.schemas_dir().rglob("*.schema.json")
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def write(folder: Path, name: str, rule: dict[str, Any]) -> None:
    """Put a schema into the folder under that name."""
    path = folder / f"{name}.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"gt-conformance:{name}.schema.json",
    }
    path.write_text(json.dumps(head | rule), encoding="utf-8")


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Say what a schema of these keywords refuses about a value."""

    def ask(rule: dict[str, Any], value: object) -> list[str]:
        write(tmp_path, "asked", rule)
        return [str(error) for error in schema.load("asked", tmp_path).errors(value)]

    return ask


WORDS = {"enum": ["native", "gt_extension", "not_supported", None]}
SECRET = {"oneOf": [{"required": ["env"]}, {"required": ["file"]}, {"required": ["command"]}]}
MESSAGES = {
    "parts": {
        "anyOf": [
            {"properties": {"type": {"const": "text"}, "text": {"type": "string"}}, "required": ["type", "text"]},
            {"properties": {"type": {"const": "image"}, "url": {"type": "string"}}, "required": ["type", "url"]},
        ]
    }
}
ROW = {
    "required": ["verdict"],
    "properties": {"verdict": {"enum": ["native", "not_supported"]}},
    "if": {"properties": {"verdict": {"const": "not_supported"}}},
    "then": {"required": ["instead"]},
    "else": {"properties": {"instead": False}},
}
KEYWORDS: dict[str, tuple[dict[str, Any], object, Lines]] = {
    "type of a number": ({"type": "string"}, 1.0, ["must be text, not the number 1.0."]),
    "type of true": ({"type": "string"}, True, ["must be text, not true."]),
    "type of a list": ({"type": ["object", "null"]}, [1], ["must be a mapping or null, not a list of 1 item."]),
    "type of a text": ({"type": "array"}, "a", ["must be a list, not the text 'a'."]),
    "type of nothing": ({"type": "boolean"}, None, ["must be true or false, not null."]),
    "true is no number": ({"type": "integer"}, True, ["must be a whole number, not true."]),
    "required": (
        {"required": ["a", "b", "c"]},
        {"b": 1},
        ["the key 'a' is missing.", "the key 'c' is missing."],
    ),
    "unknown keys": (
        {"properties": {"verdict": {}, "integration": {}}, "additionalProperties": False},
        {"verdit": 1, "x": 2},
        [
            "unknown key 'verdit': did you mean 'verdict'? Allowed here: verdict, integration.",
            "unknown key 'x'. Allowed here: verdict, integration.",
        ],
    ),
    "a misspelled key is not missing as well": (
        {"properties": {"verdict": {}}, "required": ["verdict"], "additionalProperties": False},
        {"Verdict": 1},
        ["unknown key 'Verdict': did you mean 'verdict'? Allowed here: verdict."],
    ),
    "no keys at all": ({"additionalProperties": False}, {"a": 1}, ["unknown key 'a'. Allowed here: nothing."]),
    "keys of a form": (
        {"patternProperties": {"^[a-z]+$": {}}, "additionalProperties": False},
        {"A": 1, "a": 2},
        ["the key 'A' does not match ^[a-z]+$: did you mean 'a'?"],
    ),
    "$ is the very end of a key": (
        {"patternProperties": {"^[a-z]+$": {"type": "string"}}, "additionalProperties": False},
        {"a\n": 1, "b": 2},
        ["b: must be text, not the number 2.", r"the key 'a\n' does not match ^[a-z]+$: did you mean 'a'?"],
    ),
    "keys beyond those named": (
        {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        {"a": 1, "b": 2},
        ["b: must be text, not the number 2."],
    ),
    "anyOf of a length and a type": (
        {"anyOf": [{"type": "string", "minLength": 3}, {"type": "array"}]},
        "ab",
        ["must be at least 3 characters long, not 2."],
    ),
    "keys named or of a form": (
        {"properties": {"id": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False},
        {"idd": 1, "x-a": 2},
        ["unknown key 'idd': did you mean 'id'? Allowed here: id, keys that match ^x-."],
    ),
    "names of keys": (
        {"propertyNames": {"maxLength": 2}},
        {"abc": 1},
        ["as a key, must be at most 2 characters long, not 3."],
    ),
    "enum with a near word": (
        WORDS,
        "nativ",
        ["'nativ' is not allowed here: did you mean 'native'? Allowed: native, gt_extension, not_supported, null."],
    ),
    "enum without a near word": (
        WORDS,
        "maybe",
        ["'maybe' is not allowed here. Allowed: native, gt_extension, not_supported, null."],
    ),
    "enum and a value of another type": (WORDS, ["native"], [re.compile("^a list of 1 item is not allowed here.")]),
    "const": ({"const": "list"}, "lists", ["must be 'list', not 'lists'."]),
    "pattern": (
        {"pattern": "^[a-z]+$", "examples": ["dify", 3, "n8n"]},
        "Dify App",
        ["'Dify App' does not match ^[a-z]+$. For example: dify, n8n."],
    ),
    "$ is the very end": ({"pattern": "^[a-z]+$"}, "dify\n", [r"'dify\n' does not match ^[a-z]+$."]),
    "$ in a class or escaped is itself": ({"pattern": r"^[$]\$$"}, "$$", []),
    "digits are those of ASCII": ({"pattern": r"^\d[\d]$"}, "٣٣", [r"'٣٣' does not match ^\d[\d]$."]),
    "blank": ({"pattern": r"\S"}, " ", ["must not be blank."]),
    "an empty text is told once": ({"minLength": 1, "pattern": r"\S"}, "", ["must not be empty."]),
    "minLength": ({"minLength": 3}, "ab", ["must be at least 3 characters long, not 2."]),
    "minItems": ({"minItems": 3}, [1, 2], ["must hold at least 3 items, not 2."]),
    "minItems of an empty list": ({"minItems": 1}, [], ["must not be empty."]),
    "maxItems": ({"maxItems": 1}, [1, 2], ["must hold at most 1 item, not 2."]),
    "maxItems of none": ({"maxItems": 0}, [1], ["must be empty, not hold 1."]),
    "minProperties": ({"minProperties": 1}, {}, ["must not be empty."]),
    "maxProperties": ({"maxProperties": 1}, {"a": 1, "b": 2}, ["must hold at most 1 key, not 2."]),
    "uniqueItems": (
        {"uniqueItems": True},
        ["a", 1, True, {"b": [1]}, "a", {"b": [1.0]}],
        ["4: 'a' is already in this list.", "5: a mapping of 1 key is already in this list."],
    ),
    "minimum": ({"minimum": 1}, 0, ["must be at least 1, not 0."]),
    "maximum": ({"maximum": 1.5}, 2, ["must be at most 1.5, not 2."]),
    "exclusiveMinimum": ({"exclusiveMinimum": 0}, 0, ["must be more than 0, not 0."]),
    "exclusiveMaximum": ({"exclusiveMaximum": 0}, 0, ["must be less than 0, not 0."]),
    "multipleOf": ({"multipleOf": 0.5}, 0.7, ["must be a multiple of 0.5, not 0.7."]),
    "date": ({"format": "date"}, "2026-13-01", ["'2026-13-01' is not a date (YYYY-MM-DD)."]),
    "date of the form that ISO calls basic": ({"format": "date"}, "20261101", [re.compile("is not a date")]),
    "a week": ({"format": "date"}, "2026-W47-1", [re.compile("is not a date")]),
    "a right date": ({"format": "date"}, "2026-11-22", []),
    "date-time": (
        {"format": "date-time"},
        "2026-11-22 10:00",
        ["'2026-11-22 10:00' is not a time with its zone (YYYY-MM-DDThh:mm:ssZ)."],
    ),
    "a right date-time": ({"format": "date-time"}, "2026-11-22T10:00:00.5+01:00", []),
    "uri": ({"format": "uri"}, "acme.example", ["'acme.example' is not an absolute address."]),
    "a right uri": ({"format": "uri"}, "https://acme.example/api", []),
    "formats of other types": ({"allOf": [{"format": each} for each in ("date", "date-time", "uri")]}, 1, []),
    "a false schema": ({"properties": {"a": False}}, {"a": 1}, ["the key 'a' does not belong here."]),
    "a false schema of everything": ({"allOf": [False]}, 1, ["nothing is allowed here."]),
    "then": (
        ROW,
        {"verdict": "not_supported"},
        ["the key 'instead' is missing: it is needed where 'verdict' is 'not_supported'."],
    ),
    "else": (
        ROW,
        {"verdict": "native", "instead": 1},
        ["the key 'instead' does not belong here where 'verdict' is 'native'."],
    ),
    "a condition on a wrong word is not told as well": (
        ROW,
        {"verdict": 5, "instead": 1},
        [re.compile("^verdict: 5 is")],
    ),
    "a condition on a missing word is not told as well": (ROW, {}, ["the key 'verdict' is missing."]),
    "a condition on missing keys": (
        {"if": {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "else": {"required": ["c"]}},
        {},
        ["the key 'c' is missing: it is needed where 'a' and 'b' are left out."],
    ),
    "a condition that is no mapping": (
        {"if": True, "then": {"type": "string"}},
        1,
        ["must be text, not the number 1."],
    ),
    "dependentSchemas": (
        {"dependentSchemas": {"env": {"properties": {"file": False}}}},
        {"env": 1, "file": 2},
        ["the key 'file' does not belong here where 'env' is given."],
    ),
    "dependentRequired": (
        {"dependentRequired": {"a": ["b", "c"], "x": ["y"]}},
        {"a": 1},
        [
            "the key 'b' is missing: it is needed where 'a' is given.",
            "the key 'c' is missing: it is needed where 'a' is given.",
        ],
    ),
    "anyOf of types": (
        {"anyOf": [{"type": "string"}, {"type": ["array", "null"]}]},
        1,
        ["must be text or a list or null, not the number 1."],
    ),
    "anyOf of words and a type": (
        {"anyOf": [{"enum": ["auto", "none"]}, {"const": "required"}, {"type": "object"}]},
        "requird",
        ["'requird' is not allowed here: did you mean 'required'? Allowed: auto, none, required, or a mapping."],
    ),
    "anyOf picks the form whose word it has": (
        MESSAGES["parts"],
        {"type": "image", "url": 1},
        ["url: must be text, not the number 1."],
    ),
    "anyOf picks the form of its type": (
        {"anyOf": [{"type": "array"}, {"type": "object", "required": ["a", "b"]}]},
        {},
        ["the key 'a' is missing.", "the key 'b' is missing."],
    ),
    "oneOf of keys, none given": (SECRET, {}, ["one of these keys is missing: 'env', 'file', 'command'."]),
    "oneOf of keys, two given": (SECRET, {"env": 1, "file": 2}, ["only one of these keys may be given: env, file."]),
    "oneOf of keys, one misspelled": (
        SECRET | {"properties": {"env": {}, "file": {}}, "additionalProperties": False},
        {"emv": 1},
        ["unknown key 'emv': did you mean 'env'? Allowed here: env, file."],
    ),
    "oneOf of forms that overlap": ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, ["fits several forms at once."]),
    "a keyword without a sentence of its own": ({"not": {}}, 3, ["3 does not fit the schema's rule not."]),
    "the wrong type is the only error of its place": (
        {"type": "string", "enum": ["a"]},
        1,
        [re.compile("^must be text")],
    ),
}


@pytest.mark.parametrize(("rule", "value", "expected"), KEYWORDS.values(), ids=KEYWORDS)
def test_each_keyword_says_what_is_wrong(
    refused: Refused, rule: dict[str, Any], value: object, expected: Lines
) -> None:
    """Each keyword says in a sentence what is wrong and what would be right, once."""
    found = refused(rule, value)
    assert len(found) == len(expected), found
    for sentence, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, re.Pattern):
            assert wanted.search(sentence), sentence
        else:
            assert sentence == wanted


SHOWN = {
    "a long text": ("x" * 10_000_000, "'" + "x" * 59 + "…'"),
    "control characters": ("a\x1b[31m\n\x00\u202e\ud800", r"'a\x1b[31m\n\x00\u202e\ud800'"),
    "a quote": ("it's", '"it\'s"'),
    "a GT key": ("Bearer gtak_abc.def/ghi+jkl rest", "'Bearer gtak_*** rest'"),
    "a GT key behind a long text": ("x" * 50 + " gtak_" + "s" * 500, "'" + "x" * 50 + " gtak_***'"),
    "a GT key around a control character": ("gtak_ab\x00cd", "'gtak_***'"),
    "a long number": (10**5000, "a whole number of 16610 bits"),
    "not a number": (float("nan"), "NaN"),
    "infinity": (float("-inf"), "infinity"),
    "a mapping": ({"a": {"b": 1}, "c": 2}, "a mapping of 2 keys"),
    "an empty mapping": ({}, "an empty mapping"),
    "an empty list": ([], "an empty list"),
    "something that is no JSON": ({1, 2}, "a Python set"),
}


@pytest.mark.parametrize(("value", "sentence"), SHOWN.values(), ids=SHOWN)
def test_values_are_shown_short_safe_and_without_keys(value: object, sentence: str) -> None:
    """A value stands in a sentence short, on one line, escaped, and with every GT key masked."""
    assert schema.quote(value) == sentence


def test_a_key_in_a_path_or_key_is_masked(refused: Refused) -> None:
    """A GT key used as a mapping's key is masked in path, sentence and repr."""
    found = refused({"additionalProperties": {"additionalProperties": False}}, {"gtak_one": {"gtak_two": "gtak_three"}})
    assert found == ["gtak_***: unknown key 'gtak_***'. Allowed here: nothing."]


def test_an_error_keeps_its_value_out_of_its_repr(tmp_path: Path) -> None:
    """The repr of an error does not show the value, which may be a secret."""
    write(tmp_path, "asked", {"properties": {"secret": {"maxLength": 3}}})
    (error,) = schema.load("asked", tmp_path).errors({"secret": "hunter2"})
    assert error.value == "hunter2"
    assert "hunter2" not in repr(error)


HOSTILE: dict[str, tuple[object, list[str]]] = {
    "NaN": ([float("nan")], ["0: NaN is not a number that JSON can hold."]),
    "infinity": ({"a": float("inf")}, ["a: infinity is not a number that JSON can hold."]),
    "a number beyond any float": ([10**400], ["0: a whole number of 1329 bits is too great a number."]),
    "a key that is a number": ({1: 2}, ["a key must be text, not the number 1."]),
    "a Python object": ([{"a": {1, 2}}], ["0.a: a Python set is nothing that JSON can hold."]),
}


@pytest.mark.parametrize(("value", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_what_json_cannot_hold_is_an_error(refused: Refused, value: object, expected: list[str]) -> None:
    """What JSON cannot hold is refused by every schema, even by one that allows anything."""
    assert refused({}, value) == expected


def nested(levels: int, value: object = "x") -> object:
    """A list within a list, so many levels deep."""
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [101, 100_000])
def test_deep_nesting_is_one_error(refused: Refused, levels: int) -> None:
    """A value nested too deeply is one error, however deep."""
    assert refused({"type": "string"}, nested(levels)) == ["nested too deeply: at most 100 levels are read."]


def test_deep_nesting_in_a_recursive_schema_is_one_error(refused: Refused) -> None:
    """Where the schema itself recurses, exhausting the stack is that same error."""
    rule = {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"anyOf": [{"items": {"$ref": "#/$defs/a"}}]}]}}}
    assert refused(rule, nested(100)) in ([], ["nested too deeply: at most 100 levels are read."])


def test_a_hundred_levels_are_read(refused: Refused) -> None:
    """A hundred levels are not too deep."""
    assert refused({"type": "array"}, nested(100)) == []


BIG: dict[str, tuple[dict[str, Any], object]] = {
    "a huge text, every level around it refused": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "items": {"$ref": "#/$defs/a"}}}},
        nested(50, "x" * 5_000_000),
    ),
    "100,000 mappings that must differ": ({"uniqueItems": True}, [{"a": index} for index in range(100_000)]),
    "100,000 unknown keys": (
        {"properties": {"verdict": {}}, "additionalProperties": False},
        {f"verdict{index}": 1 for index in range(100_000)},
    ),
    "100,000 wrong items": ({"items": {"type": "string"}}, [1] * 100_000),
}


@pytest.mark.unmeasured
@pytest.mark.parametrize(("rule", "value"), BIG.values(), ids=BIG)
def test_big_values_are_answered_soon_and_shortly(refused: Refused, rule: dict[str, Any], value: object) -> None:
    """A value of megabytes is answered in seconds, in at most 1,001 sentences of ordinary length."""
    begun = time.thread_time()  # of this thread alone: a busy machine does not count
    found = refused(rule, value)
    assert time.thread_time() - begun < 20
    assert len(found) <= 1001
    assert all(len(sentence) < 500 for sentence in found)


class Unprintable(str):
    """A text that fails whoever formats it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Fail."""
        raise AssertionError


def test_what_is_inside_a_refused_value_is_not_formatted(refused: Refused) -> None:
    """To refuse a list or mapping, nobody formats what it holds, which may be megabytes a level."""
    rule = {"type": "string", "items": {"type": "string", "maxProperties": 0}}
    assert refused(rule, [{"a": Unprintable()}])[0] == "must be text, not a list of 1 item."


def test_too_many_errors_are_said_to_be_more(refused: Refused) -> None:
    """Beyond a thousand errors the last one says that there are more."""
    assert refused({"items": False, "allOf": [{"items": {"type": "string"}}]}, [1] * 2000)[-1] == (
        "more than 1,000 errors; these are some."
    )


def test_a_part_of_a_schema_can_be_asked(tmp_path: Path) -> None:
    """A pointer asks a part of the schema instead of its root."""
    write(tmp_path, "asked", {"type": "object", "$defs": {"published": {"required": ["object"]}}})
    asked = schema.load("asked", tmp_path)
    assert asked.errors({}) == ()
    assert [error.key for error in asked.errors({}, at="#/$defs/published")] == ["object"]


def test_a_pointer_that_leads_nowhere_is_a_slip_in_the_code(tmp_path: Path) -> None:
    """Asking a part that there is not raises LookupError."""
    write(tmp_path, "asked", {})
    with pytest.raises(LookupError, match=r"leads to /\$defs/none"):
        schema.load("asked", tmp_path).errors({}, at="#/$defs/none")


def test_schemas_refer_to_one_another_by_id(tmp_path: Path) -> None:
    """A $ref leads to another file of the folder, whose own references and rules hold."""
    write(tmp_path, "wire/row", {"$ref": "#/$defs/row", "$defs": {"row": {"properties": {"a": False}}}})
    write(tmp_path, "asked", {"items": {"$ref": "gt-conformance:wire/row.schema.json"}})
    assert [str(error) for error in schema.load("asked", tmp_path).errors([{"a": 1}])] == [
        "0: the key 'a' does not belong here."
    ]


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """A $ref to the web leads nowhere."""
    write(tmp_path, "asked", {"$ref": "https://json-schema.org/draft/2020-12/schema-that-is-not-ours"})
    with pytest.raises(LookupError):
        schema.load("asked", tmp_path).errors({})


def test_a_schema_is_loaded_once() -> None:
    """The same name gives the same schema."""
    assert schema.load("runbook") is schema.load("runbook")


def test_a_wrong_name_says_the_right_ones(tmp_path: Path) -> None:
    """A name without a schema is an InputError that says which there are."""
    write(tmp_path, "runbook", {})
    write(tmp_path, "wire/error", {})
    with pytest.raises(InputError) as caught:
        schema.load("runbok", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: there is no schema 'runbok': did you mean 'runbook'? There are: runbook, wire/error."
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("{", "this schema is not JSON", id="no JSON"),
        pytest.param("[]", "this schema does not say what it is.", id="no mapping"),
        pytest.param('{"$schema": "x"}', "this schema does not say what it is.", id="another dialect"),
    ],
)
def test_a_broken_schema_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    """A schema file that is broken is an InputError that names it."""
    (tmp_path / "asked.schema.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        schema.load("asked", tmp_path).errors({})
    assert str(caught.value).startswith(f"{tmp_path / 'asked.schema.json'}: {sentence}")


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", NAMES)
def test_our_schemas_are_sound(name: str) -> None:
    """Each schema of the project is valid, uses only formats that are checked, and refers to what exists."""
    contents = json.loads((resources.schemas_dir() / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(contents)
    mappings = list(_mappings(contents))
    assert {each["format"] for each in mappings if isinstance(each.get("format"), str)} <= {"date", "date-time", "uri"}
    for reference in {each["$ref"] for each in mappings if isinstance(each.get("$ref"), str)}:
        target, _, pointer = reference.removeprefix("gt-conformance:").partition("#")
        schema.load(target.removesuffix(".schema.json") or name).errors(None, at=f"#{pointer}")


def _mappings(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in _mappings(inner))]
    return [found for inner in value for found in _mappings(inner)] if isinstance(value, list) else []


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", NAMES)
@settings(derandomize=True, max_examples=25)  # the same examples each time: a finding is the change's
@given(value=JSON_VALUES)
def test_any_value_gets_an_answer(name: str, value: object) -> None:
    """Any value gets sentences, never an exception."""
    for error in schema.load(name).errors(value):
        assert error.message.endswith((".", "?"))
        assert "\n" not in str(error)


def one_deeper(below: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A list of such values, or a mapping to one."""
    return st.lists(below, max_size=3) | st.dictionaries(st.just("a"), below)


ODD_VALUES: tuple[Any, ...] = (
    *(float("nan"), float("inf"), 10**400, -(10**400), 1.5, "a", None, True, b"a"),
    *({1: "a"}, {None: 1}, {"a": (1,)}, nested(99), nested(100), nested(101)),
)


@settings(derandomize=True, max_examples=100)
@given(value=st.recursive(st.sampled_from(ODD_VALUES), one_deeper))
def test_what_is_taken_as_it_is_needs_no_copy(value: object) -> None:
    """A value is only given to the validator as it is where its safe copy says the same and leaves nothing out."""
    try:
        safe = make_safe(value)
    except RecursionError:
        assert not is_plain(value)
    else:
        assert is_plain(value) is (not safe.errors)
        assert safe.errors or safe.value == value


@st.composite
def mutated_runbooks(draw: st.DrawFn) -> object:
    """A sound runbook in which a few parts were replaced, removed or renamed."""
    value = json.loads(SOUND)
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from([each for each in _containers(value) if each]))
        step: Any = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        kept = part.pop(step)
        match draw(st.sampled_from(["replace", "remove", "rename"])):
            case "replace" if isinstance(part, dict):
                part[step] = draw(FINITE)
            case "rename" if isinstance(part, dict):
                part[draw(st.text(max_size=3)) + step[1:]] = kept
            case "replace":
                part.insert(step, draw(FINITE))
            case _:
                pass
    return value


def _containers(value: object) -> list[Any]:
    if not isinstance(value, (dict, list)):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(found for each in inner for found in _containers(each))]


SOUND = json.dumps(document.read(resources.runbooks_dir() / "dify.yaml", schema="runbook").value)
FINITE: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just([]) | st.just({})
)
THEIRS = Draft202012Validator(json.loads((resources.schemas_dir() / "runbook.schema.json").read_text(encoding="utf-8")))


@pytest.mark.unmeasured
@settings(derandomize=True, max_examples=100)
@given(value=mutated_runbooks())
def test_a_mutated_runbook_is_refused_where_jsonschema_refuses_it(value: object) -> None:
    """What is left unsaid, because it follows from another error, never makes a wrong runbook right."""
    assert bool(schema.load("runbook").errors(value)) == (not THEIRS.is_valid(value))


def test_the_project_lies_in_its_checkout() -> None:
    """In a checkout, the project's files are those being edited."""
    assert resources.root() == Path(resources.__file__).parents[1]
    assert (resources.runbooks_dir() / "dify.yaml").is_file()
    assert (resources.schemas_dir() / "runbook.schema.json").is_file()
    assert resources.suites_dir().is_dir()


def test_an_installed_project_carries_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package lies in no checkout, its files are those that the wheel carries."""
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "gt_conformance")
    (tmp_path / "gt_conformance" / "_data" / "runbooks").mkdir(parents=True)
    assert resources.runbooks_dir() == tmp_path / "gt_conformance" / "_data" / "runbooks"


def test_a_missing_folder_is_an_error_rather_than_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder, or all of them, is an InputError that names the place and the remedy."""
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    remedy = "Install gt-conformance again, or run it from a whole checkout."
    with pytest.raises(InputError) as caught:
        resources.runbooks_dir()
    assert str(caught.value) == (
        f"{tmp_path}: the files that come with gt-conformance (runbooks, schemas, suites) are missing. {remedy}"
    )
    (tmp_path / "_data").mkdir()
    with pytest.raises(InputError) as caught:
        resources.suites_dir()
    assert str(caught.value) == (
        f"{tmp_path / '_data' / 'suites'}: the folder suites/ that comes with gt-conformance is missing. {remedy}"
    )


def test_what_fits_is_not_asked_of_jsonschema() -> None:
    """A run on a tenant without a fault does not wait for jsonschema to be imported, nor for its answers."""
    code = (
        "import sys; from gt_conformance import resources; from gt_conformance.runbook import load_directory; "
        "load_directory(resources.runbooks_dir()); sys.exit('jsonschema' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(resources.__file__).parents[1])


PATTERNS = sorted(
    {
        pattern
        for name in NAMES
        for each in _mappings(json.loads((resources.schemas_dir() / f"{name}.schema.json").read_text(encoding="utf-8")))
        for pattern in [each.get("pattern"), *each.get("patternProperties", ())]
        if isinstance(pattern, str)
    }
)
ODD = "\t\n\x0b\x0c\r\x1c\x1f \x7f\x85\xa0\u0664\u1680\u2028\u3000\ufeff\xe9$-._/09azAZ"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_the_same_to_both_validators(pattern: str) -> None:
    """What a pattern of ours matches is matched by the compiled validator, and nothing else, whatever the script."""
    compiled = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    for start in ("", "a", "GT ", "2026-01-01", "GET /", "https://a", "https://<tenant-host>/"):
        for text in (start, *(start + odd + end for odd in ODD for end in ("", "a", "\n"))):
            assert compiled.is_valid(text) == matches(pattern, text), text

"""The wire schemas: what each takes at its root (must) and at #/$defs/published (should)."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parent.parent / "schemas" / "wire"
SCHEMAS: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.schema.json"))
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
PIECE = {"index": 0, **CALL}
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
AN_ERROR = {"message": "overloaded", "type": "server_error"}
COMPLETION_MESSAGE = {"role": "assistant", "content": "Ready.", "refusal": None, "tool_calls": [CALL]}
CHUNK_DELTA = {"role": "assistant", "content": "Rea", "tool_calls": [PIECE]}
STAMP = {"id": "chatcmpl-1", "created": 1780012800, "model": "field-analyst"}

FULL: dict[str, dict[str, Any]] = {
    "accepted-file": {"id": "file_1"},
    "chat-completion": {
        **STAMP,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": COMPLETION_MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
        "error": None,
    },
    "chat-completion-chunk": {
        **STAMP,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": CHUNK_DELTA, "finish_reason": None}],
        "usage": USAGE,
        "error": None,
    },
    "conversation": {"id": "conv_1"},
    "embeddings": {
        "object": "list",
        "model": "field-analyst",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    },
    "error": {
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": None},
        "detail": "No.",
    },
    "file-status": {"status": "ready"},
    "images": {"created": 1780012800, "data": [{"url": "https://acme.example/1.png", "b64_json": None}]},
    "model-list": {
        "object": "list",
        "data": [{"id": "field-analyst", "object": "model", "created": 1780012800, "owned_by": "gt"}],
    },
    "response": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1780012800,
        "status": "completed",
        "model": "field-analyst",
        "output": [{"type": "message"}],
    },
    "transcription": {"text": "Beep."},
}
"""One answer per schema that holds to both levels. The tables below name a place in it, and wrong values for that."""

Table = dict[str, dict[str, tuple[object, ...]]]
CHOICE, MESSAGE, DELTA = "choices.0", "choices.0.message", "choices.0.delta"

NEEDED: Table = {
    "chat-completion": {
        "choices": (None, [], {}),
        CHOICE: (None, []),
        MESSAGE: (None, "Ready."),
        f"{MESSAGE}.tool_calls.0": (None, "call_1"),
        f"{MESSAGE}.tool_calls.0.id": (None, ""),
        f"{MESSAGE}.tool_calls.0.type": (None, "custom"),
        f"{MESSAGE}.tool_calls.0.function": (None, "look_up"),
        f"{MESSAGE}.tool_calls.0.function.name": (None, ""),
        f"{MESSAGE}.tool_calls.0.function.arguments": (None, {}),
    },
    "chat-completion-chunk": {
        CHOICE: (None, []),
        f"{DELTA}.tool_calls.0": (None, "call_1"),
        f"{DELTA}.tool_calls.0.index": (None, "0", -1),
    },
    "embeddings": {
        "data": (None, [], {}),
        "data.0": (None, [0.6, -0.8]),
        "data.0.embedding": (None, [], "", 0.6, {}),
        "data.0.embedding.1": (None, "0.6", True, [0.6]),
    },
    "images": {"data": (None, [], {}), "data.0": (None, "iVBO")},
    "model-list": {"data": (None, {}), "data.0": (None, "field-analyst"), "data.0.id": (None, "", 7)},
    "response": {
        "object": (None, "chat.completion"),
        "output": (None, [], {}),
        "output.0": ("message",),
        "output.0.type": (None, "", 7),
    },
    "transcription": {"text": (None, 1)},
}
"""Places that a client cannot do without."""

OPTIONAL: Table = {
    "chat-completion": {
        "error": (AN_ERROR, "overloaded", True, [AN_ERROR]),
        "model": (["field-analyst"],),
        "usage": ([], 11),
        "usage.prompt_tokens": ("9",),
        "usage.completion_tokens": ("2",),
        "usage.total_tokens": ("11",),
        f"{MESSAGE}.content": ([{"type": "text", "text": "Ready."}], 4),
        f"{MESSAGE}.tool_calls": ({}, "call_1"),
    },
    "chat-completion-chunk": {
        "error": (AN_ERROR, "overloaded", True, [AN_ERROR]),
        "model": (["field-analyst"],),
        "usage": ([], 11),
        "usage.prompt_tokens": ("9",),
        "usage.completion_tokens": ("2",),
        "usage.total_tokens": ("11",),
        "choices": ({},),
        DELTA: ("Rea",),
        f"{DELTA}.content": ([{"type": "text", "text": "Rea"}], 4),
        f"{DELTA}.tool_calls": ({}, "call_1"),
        f"{DELTA}.tool_calls.0.id": (1,),
        f"{DELTA}.tool_calls.0.type": ("custom",),
        f"{DELTA}.tool_calls.0.function": (None, "look_up"),
        f"{DELTA}.tool_calls.0.function.name": (1,),
        f"{DELTA}.tool_calls.0.function.arguments": ({},),
    },
    "images": {"data.0.b64_json": (1, {})},
}
"""Places that may be absent, and break a client where they hold the wrong thing."""

TOKENS = (None, 1.5, -1)
PUBLISHED: Table = {
    "chat-completion": {
        "id": (None, "", 7),
        f"{CHOICE}.index": (None, "0", -1),
        f"{CHOICE}.finish_reason": (None, "", "eos"),
        f"{MESSAGE}.role": (None, "user"),
        "object": (None, "chat.completion.chunk"),
        "created": (None, 1780012800.5, -1),
        "model": (None, ""),
        "usage": (None,),
        "usage.prompt_tokens": TOKENS,
        "usage.completion_tokens": TOKENS,
        "usage.total_tokens": TOKENS,
    },
    "chat-completion-chunk": {
        "id": (None, "", 7),
        f"{CHOICE}.index": (None, "0", -1),
        "object": (None, "chat.completion"),
        "created": (None, 1780012800.5, -1),
        "model": (None, ""),
        "choices": (None,),
        DELTA: (None,),
        "usage.prompt_tokens": TOKENS,
        "usage.completion_tokens": TOKENS,
        "usage.total_tokens": TOKENS,
    },
    "embeddings": {
        "object": (None, "embedding"),
        "model": (None, ""),
        "data.0.object": (None, "list"),
        "data.0.index": (None, "0", -1),
        "usage": (None, 2),
        "usage.prompt_tokens": TOKENS,
        "usage.total_tokens": TOKENS,
    },
    "error": {
        "error": (None, "forbidden", []),
        "error.message": (None, ""),
        "error.type": (None, ""),
        "error.param": (1, {}),
        "error.code": (403, {}),
    },
    "images": {"created": (None, 1780012800.5, -1)},
    "model-list": {
        "object": (None, "model"),
        "data.0.object": (None, "list"),
        "data.0.created": (None, 1780012800.5, -1),
        "data.0.owned_by": (None, 1),
    },
}
"""Places that only OpenAI's reference asks for."""

TIERS = ("gold", 1)
NULLABLE: Table = {
    "chat-completion": {
        f"{MESSAGE}.refusal": (1,),
        f"{MESSAGE}.audio": ("UklGRg==", []),
        f"{MESSAGE}.function_call": ("look_up", []),
        f"{CHOICE}.logprobs": ([],),
        "service_tier": TIERS,
        "system_fingerprint": (1, {}),
    },
    "chat-completion-chunk": {
        f"{CHOICE}.finish_reason": ("", "eos"),
        f"{DELTA}.role": ("user",),
        f"{CHOICE}.logprobs": ([], True),
        "service_tier": TIERS,
        "system_fingerprint": (1, {}),
        "obfuscation": (1,),
    },
    "images": {
        "background": ("grey", True),
        "output_format": ("bmp",),
        "quality": ("hd", 1),
        "size": (64, [64, 64]),
        "usage": ("9", {"total_tokens": 9}),
        "data.0.revised_prompt": (1,),
    },
}
"""Places that OpenAI's reference lets be empty. It requires some that no client misses: refusal, logprobs."""

SINGLE: dict[str, dict[str, dict[str, tuple[object, ...]]]] = {
    "chat-completion": {
        "needs.index": {f"{CHOICE}.index": (None, "0")},
        "needs.role": {f"{MESSAGE}.role": (None, 1)},
        "needs.assistant": {f"{MESSAGE}.role": ("model",)},
        "needs.types": {"id": (7,), "created": ("2026-05-29",)},
        "needs.object": {"object": ("completion", None)},
        "needs.usage": {"usage": (7,), "usage.total_tokens": (None, 1.5)},
    },
    "chat-completion-chunk": {
        "needs.choices": {"choices": (None, {})},
        "needs.delta": {DELTA: (None, "Rea")},
        "needs.index": {f"{CHOICE}.index": (None, "0")},
        "needs.assistant": {f"{DELTA}.role": ("model",)},
        "needs.types": {"id": (7,), "created": ("2026-05-29",)},
    },
    "embeddings": {
        "needs.model": {"model": (None, "", 7)},
        "needs.usage": {"usage": (None, 2), "usage.total_tokens": (None, 1.5)},
    },
}
"""Places that single clients cannot do without, by the need that their wire profiles name."""

BODIES: dict[str, dict[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("wire-bodies.json").read_text(encoding="utf-8")
)
"""Whole bodies: no client minds the ``tolerated``; nothing in the ``unusable`` serves, whatever is there."""


def violations(name: str, body: object, part: str | None = None) -> set[str]:
    """The places of the body that break the schema's root, or one of its $defs."""
    schema = SCHEMAS[name]
    at = schema if part is None else schema["$defs"][part]
    return {error.json_path for error in Draft202012Validator(schema).evolve(schema=at).iter_errors(body)}


def json_path(place: str) -> str:
    """``choices.0.index`` as jsonschema writes it: ``$.choices[0].index``."""
    return "$" + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in place.split("."))


def holder_of(body: dict[str, Any], place: str) -> tuple[Any, str | int]:
    """What holds the place inside the body, and the last step to it."""
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    holder: Any = body
    for step in steps:
        holder = holder[step]
    return holder, last


def changed(name: str, place: str, value: object) -> dict[str, Any]:
    """The full answer with another value at the place."""
    body = copy.deepcopy(FULL[name])
    holder, last = holder_of(body, place)
    holder[last] = value
    return body


def without(name: str, place: str) -> dict[str, Any]:
    """The full answer without the place."""
    body = copy.deepcopy(FULL[name])
    holder, last = holder_of(body, place)
    del holder[last]
    return body


def wrong(table: Table) -> list[Any]:
    """One parameter for each wrong value of the table."""
    return [
        pytest.param(name, place, value, id=f"{name}-{place}-{json.dumps(value).replace(' ', '_')}")
        for name, places in table.items()
        for place, values in places.items()
        for value in values
    ]


def keys(table: Table) -> list[Any]:
    """One parameter for each place of the table that is a key of an object."""
    rows = [(name, place) for name, places in table.items() for place in places if not place[-1].isdigit()]
    return [pytest.param(*row, id="-".join(row)) for row in rows]


def bodies(table: dict[str, dict[str, Any]]) -> list[Any]:
    """One parameter for each body of the table."""
    return [
        pytest.param(name, body, id=f"{name}-{what.replace(' ', '_')}")
        for name, cases in table.items()
        for what, body in cases.items()
    ]


def examples_within(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any], object]]:
    """Every example at any depth, with the subschema that carries it."""
    if isinstance(schema, dict):
        for index, example in enumerate(schema.get("examples", [])):
            yield f"{path or 'root'}-{index}", schema, example
        for key, value in schema.items():
            if key not in {"examples", "enum", "const"}:
                yield from examples_within(value, f"{path}.{key}".lstrip("."))


def test_the_wire_schemas_are_all_there() -> None:
    """The folder holds the schemas that the checks use, and no other."""
    assert set(SCHEMAS) == set(FULL)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_sound(name: str) -> None:
    """Each is a valid 2020-12 schema with its own $id, a title, a source, examples and both levels."""
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"gt-conformance:wire/{name}.schema.json"
    assert schema["title"]
    assert "API reference" in schema["description"]
    assert len(schema["examples"]) >= 2
    assert len(schema["$defs"]["published"]["examples"]) >= 2


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_example_holds_to_its_schema(name: str) -> None:
    """Each example validates against the schema that carries it."""
    validator = Draft202012Validator(SCHEMAS[name])
    wrong = [
        (place, error.message)
        for place, subschema, example in examples_within(SCHEMAS[name])
        for error in validator.evolve(schema=subschema).iter_errors(example)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_published_example_holds_to_the_root_too(name: str) -> None:
    """Whatever has OpenAI's published shape is no violation for a client, whatever extra fields it has."""
    for example in [*SCHEMAS[name]["$defs"]["published"]["examples"], FULL[name]]:
        body = {**example, "x_gt_trace": {"error": True}, "service_tier": None}
        assert not violations(name, body)
        assert not violations(name, body, "published")


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("body", [None, [], "text", 1, True], ids=["null", "array", "string", "number", "boolean"])
def test_a_body_that_is_no_object_is_a_violation(name: str, body: object) -> None:
    """No answer is anything but a JSON object."""
    assert violations(name, body) == {"$"}


@pytest.mark.parametrize(("name", "place"), keys(NEEDED))
def test_what_a_client_needs_is_missed_where_it_is_absent(name: str, place: str) -> None:
    """A needed field that is left out is a violation at what should hold it."""
    assert violations(name, without(name, place)) == {json_path(place).rpartition(".")[0]}


@pytest.mark.parametrize(("name", "place"), keys(OPTIONAL))
def test_what_no_client_needs_may_be_absent(name: str, place: str) -> None:
    """A field that clients can do without is no violation of the root where it is left out."""
    assert not violations(name, without(name, place))


@pytest.mark.parametrize(("name", "place", "value"), [*wrong(NEEDED), *wrong(OPTIONAL)])
def test_a_wrong_value_is_a_violation_at_its_place(name: str, place: str, value: object) -> None:
    """A value that breaks a client is a violation of the root, exactly where it stands."""
    assert violations(name, changed(name, place, value)) == {json_path(place)}


@pytest.mark.parametrize(("name", "place"), keys(PUBLISHED))
def test_what_only_openai_asks_for_is_missed_at_the_published_level(name: str, place: str) -> None:
    """A field of OpenAI's reference that is left out is a deviation at what should hold it, and breaks no client."""
    assert violations(name, without(name, place), "published") == {json_path(place).rpartition(".")[0]}
    assert not violations(name, without(name, place))


@pytest.mark.parametrize(("name", "place", "value"), wrong(PUBLISHED))
def test_a_deviation_from_openai_is_no_breach_for_clients(name: str, place: str, value: object) -> None:
    """A value that only OpenAI's reference rules out deviates at the published level and holds to the root."""
    assert violations(name, changed(name, place, value), "published") == {json_path(place)}
    assert not violations(name, changed(name, place, value))


@pytest.mark.parametrize(("name", "place", "value"), wrong(NULLABLE))
def test_optional_fields_of_openai_are_judged_where_they_are_present(name: str, place: str, value: object) -> None:
    """A field that may be left out, or null, deviates where it holds anything but OpenAI's type."""
    assert violations(name, changed(name, place, value), "published") == {json_path(place)}
    assert not violations(name, changed(name, place, value))
    assert not violations(name, changed(name, place, None), "published")


def test_each_need_of_a_single_client_is_in_the_table() -> None:
    """The table holds every needs.* of the schemas."""
    found = {name: {part for part in schema["$defs"] if part.startswith("needs.")} for name, schema in SCHEMAS.items()}
    assert {name: parts for name, parts in found.items() if parts} == {name: {*parts} for name, parts in SINGLE.items()}


@pytest.mark.parametrize(
    ("name", "part", "place", "value"),
    [
        pytest.param(name, part, place, value, id=f"{name}-{part}-{place}-{json.dumps(value)}")
        for name, parts in SINGLE.items()
        for part, places in parts.items()
        for place, values in places.items()
        for value in values
    ],
)
def test_what_a_single_client_needs_is_judged_by_its_own_rule(name: str, part: str, place: str, value: object) -> None:
    """A value that stops one client breaks its need, exactly there; a whole answer breaks none."""
    assert violations(name, changed(name, place, value), part) == {json_path(place)}
    assert not violations(name, FULL[name], part)


@pytest.mark.parametrize(("name", "body"), bodies(BODIES["tolerated"]))
def test_a_tolerable_body_is_no_violation(name: str, body: object) -> None:
    """What no client minds holds to the root."""
    assert not violations(name, body)


@pytest.mark.parametrize(("name", "body"), bodies(BODIES["unusable"]))
def test_a_body_of_no_use_is_a_violation(name: str, body: object) -> None:
    """Something in the right place is not enough: it has to be usable."""
    assert violations(name, body)


@pytest.mark.parametrize(
    "body",
    [{"id": "c"}, {"conversation_id": 41}, {"data": {"id": "c"}}, {"conversation": {"conversation_id": "c"}}],
    ids=["id", "conversation_id", "inside_data", "inside_conversation"],
)
def test_a_conversation_carries_its_id_in_any_of_its_places(body: object) -> None:
    """Where the header is absent, the body may hold the id at each of the documented places."""
    assert not violations("conversation", body, "carries_id")


@pytest.mark.parametrize(
    "body",
    [None, {}, {"id": ""}, {"id": "a b"}, {"id": "c\n"}, {"data": {"id": None}}, {"data": {}}, {"conversation": "c"}],
    ids=["no_body", "nothing", "empty", "space", "line_break", "null", "data_alone", "text"],
)
def test_a_conversation_without_a_usable_id_is_a_violation(body: object) -> None:
    """Where the header is absent, a body without an id that can travel in a header is a violation."""
    assert violations("conversation", body, "carries_id")

"""Hostile answers: whatever a tenant sends, a check comes to a verdict about it and never to a fault of the suite."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CALLED,
    CHUNKS,
    COMPLETION,
    DONE,
    TENANT,
    FakeSender,
    answer,
    embedding_list,
    event,
    judged,
    plan_of,
    run,
    stream,
)

VALUES: tuple[object, ...] = (None, 10**400, "\ud800\x1b[2J", [None], {"": {}})
DEEP = '{"choices": ' + "[" * 5_000 + "]" * 5_000 + "}"
SHAPES: dict[str, tuple[Parameters, dict[str, Any]]] = {
    "chat.completes": (Parameters(), COMPLETION),
    "chat.model_is_published": (Parameters(), COMPLETION),
    "chat.tools": (Parameters(), CALLED),
    "chat.structured_output": (Parameters(), COMPLETION),
    "chat.client_load": (Parameters(load=(("tools", 1),)), COMPLETION),
    "embeddings.batch": (Parameters(), embedding_list([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])),
    "embeddings.base64": (Parameters(), embedding_list(["AACAPwAAAAA=", "AAAAAAAAgD8=", "AACAPwAAAAA="])),
    "embeddings.token_ids": (Parameters(), embedding_list([[1.0, 0.0], [0.0, 1.0]])),
    "embeddings.model_is_published": (Parameters(), embedding_list([[1.0, 0.0]])),
    "audio.transcribes": (Parameters(), {"text": "Beep."}),
    "images.generates": (Parameters(), {"created": 1, "data": [{"url": "/1.png", "b64_json": "iVBORw0KGgo="}]}),
    "models.contains_alias": (Parameters(), {"object": "list", "data": [{"id": "field-analyst", "object": "model"}]}),
    "models.exact_allowlist": (Parameters(), {"object": "list", "data": [{"id": "field-analyst"}]}),
}


def spoiled(value: Any) -> Iterator[Any]:
    """The value with each of its places, itself included, taken by each of the odd values in turn."""
    yield from VALUES
    if isinstance(value, dict):
        for name, item in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            for odd in spoiled(item):
                yield {**value, name: odd}
    elif isinstance(value, list) and value:
        yield [*value, *value]
        for odd in spoiled(value[0]):
            yield [odd, *value[1:]]


def everything(response: Response, request: Request) -> Response | None:
    """The answer to every request but the control's of a route that cannot exist."""
    return None if "no-such-route" in request.url else response


def come_to(check: str, parameters: Parameters, response: Response) -> Outcome:
    """What the check comes to when every request gets that answer; fails where the suite itself does."""
    listing = check.startswith("models.")
    sender = FakeSender(lambda request: everything(response, request) if listing or request.method == "POST" else None)
    return judged(check, parameters=parameters, sender=sender).outcome


@pytest.mark.parametrize(
    ("check", "parameters", "body"), [(name, *shape) for name, shape in SHAPES.items()], ids=SHAPES
)
def test_any_spoiled_answer_is_judged(check: str, parameters: Parameters, body: dict[str, Any]) -> None:
    """Whatever stands at whichever place of an answer, the check judges it."""
    for odd in spoiled(body):
        come_to(check, parameters, answer(json.dumps(odd)))
    for raw in (DEEP, "", "[" * 9_000, '{"a": NaN}'):
        come_to(check, parameters, answer(raw))


def test_any_spoiled_stream_is_judged() -> None:
    """Whatever stands at whichever place of a chunk, the stream is judged."""
    for odd in spoiled(CHUNKS[3]):
        come_to("chat.streams", Parameters(stream_usage=True), stream(*CHUNKS[:3], event(odd), DONE))


def test_any_spoiled_refusal_is_judged() -> None:
    """Whatever a refusal holds, the check that meets it judges it."""
    for odd in spoiled({"error": {"message": "No.", "type": "t", "param": None, "code": None}}):
        assert come_to("chat.completes", Parameters(), answer(json.dumps(odd), 400)) is Outcome.VIOLATES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "data", "id", "usage", "error", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("check", "parameters"), [(name, shape[0]) for name, shape in SHAPES.items()], ids=SHAPES)
@settings(max_examples=10)
@given(body=JSON, status=st.sampled_from([200, 201, 400, 404, 500]))
def test_any_json_is_judged(check: str, parameters: Parameters, body: object, status: int) -> None:
    """Whatever JSON comes, under whatever status, the check judges it."""
    come_to(check, parameters, answer(json.dumps(body), status))


BYTES = st.binary(max_size=60) | st.sampled_from([b"data: ", b"\n\n", b"{}", b"[DONE]", b"\xff", b"\r\n"])


@settings(max_examples=30)
@given(
    body=st.lists(BYTES, max_size=12).map(b"".join), kind=st.sampled_from(["text/event-stream", "application/json", ""])
)
def test_any_bytes_are_judged(body: bytes, kind: str) -> None:
    """Whatever bytes come, under whatever content type, nothing but a verdict comes of them."""
    response = Response(200, (("content-type", kind),), body)
    calls = [
        CheckCall(check, "chat") for check in ("chat.streams", "chat.completes", "audio.speaks", "images.generates")
    ]
    whole = [CheckCall("key.never_echoed"), CheckCall("tenant.no_raw_model_ids")]
    sender = FakeSender(lambda request: response if request.method == "POST" else None)
    runner = run(plan_of(TENANT, *calls, *whole), sender)
    assert not runner.suite_errors
    assert json.dumps(runner.evidence())

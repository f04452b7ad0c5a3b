"""Answers as real gateways give them, played over HTTP: what each makes of the row of a client that was measured."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any

import pytest

from gt_conformance import resources, session, tenant
from gt_conformance.judgement import Judgement
from gt_conformance.planning import Selection
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.session import Session
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import Outcome, Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    Call,
    MiddlewareFactory,
    Request,
    Response,
    change_responses,
    error_response,
    is_stream,
    json_response,
    per_call,
)

pytestmark = pytest.mark.runs

ALIAS = "field-analyst"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
REASONED = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 3}}
DONE = "[DONE]"


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a stream; without a delta its choices are empty."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": ALIAS, "choices": choices, **fields}


def whole(content: str, finish: str) -> Response:
    """A chat completion in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": ALIAS, "choices": [choice], "usage": USAGE}
    return json_response(200, body)


FIRST, EMPTY, STOP = (
    chunk({"role": "assistant", "content": "1 2 3"}),
    chunk({"role": "assistant", "content": ""}),
    chunk({}, "stop"),
)
AZURE = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
ERROR = {"error": {"message": "upstream at capacity", "type": "server_error", "code": 503}}
NO_CHOICES = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": ALIAS, "usage": USAGE}


@dataclass(frozen=True)
class Case:
    """A stream's events, the runbook whose row is judged, what it comes to, and words of a finding or a remark."""

    events: Sequence[object]
    wanted: Outcome = Outcome.CONFORMS
    said: str = ""
    runbook: str = "openai-sdk-curl"


STREAMS: dict[str, Case] = {
    "the usage chunk has an empty choice": Case(
        [FIRST, STOP, chunk(usage=USAGE, choices=[{"index": 0, "delta": {}}]), DONE],
        said="the usage chunk should have choices: []",
    ),
    "the usage chunk repeats the finish": Case(
        [FIRST, STOP, chunk({"content": ""}, "stop", usage=USAGE), DONE], said="the usage chunk should have choices: []"
    ),
    "filter results come first": Case([AZURE, FIRST, STOP, DONE]),
    "filter results come first, for Dify": Case([AZURE, FIRST, STOP, DONE], runbook="dify"),
    "all in one event": Case([chunk({"role": "assistant", "content": "1 2"}, "stop"), DONE], said="nothing streams"),
    "reasoning that is not shown": Case(
        [EMPTY, chunk({}, "length"), chunk(usage=REASONED), DONE], Outcome.BLOCKED, "a larger token limit"
    ),
    "a content filter": Case([EMPTY, chunk({}, "content_filter"), DONE], Outcome.BLOCKED, "filter"),
    "a filter after some text": Case([FIRST, chunk({}, "content_filter"), DONE], Outcome.BLOCKED, "content filter"),
    "no [DONE]": Case([FIRST, STOP], said="should end with data: [DONE]"),
    "no finish": Case([FIRST, chunk({"content": "4"}), DONE], said="finish_reason"),
    "neither a finish nor [DONE]": Case([FIRST, chunk({"content": "4"})], Outcome.VIOLATES, "it ends with neither"),
    "an empty delta after the finish": Case([FIRST, STOP, chunk({}), DONE], said="an empty delta follows"),
    "an error event": Case([EMPTY, ERROR], Outcome.VIOLATES, "upstream at capacity"),
    "usage without choices": Case([FIRST, STOP, NO_CHOICES, DONE], said="'choices' is missing"),
    "usage without choices, for Dify": Case(
        [FIRST, STOP, NO_CHOICES, DONE], Outcome.VIOLATES, "'choices' is missing", "dify"
    ),
    "usage without choices, for the Vercel AI SDK": Case(
        [FIRST, STOP, {**NO_CHOICES, "choices": None}, DONE], Outcome.VIOLATES, "choices", "vercel-ai-sdk"
    ),
    "a null delta": Case(
        [FIRST, chunk(choices=[{"index": 0, "delta": None, "finish_reason": "stop"}]), DONE], said="delta"
    ),
    "a null delta, for Dify": Case(
        [FIRST, chunk(choices=[{"index": 0, "delta": None, "finish_reason": "stop"}]), DONE],
        Outcome.VIOLATES,
        "delta",
        "dify",
    ),
}


@cache
def books() -> tuple[Runbook, ...]:
    """The bundled runbooks."""
    return tuple(load_directory(resources.runbooks_dir()))


def judged(middleware: MiddlewareFactory, runbook: str, route: Route) -> Judgement:
    """The row of that runbook and route against a tenant with that middleware."""
    with EmbeddedTenant(middleware=(middleware,)) as running:
        under_test = tenant.from_mapping(
            running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )
        planned = session.plan(under_test, books(), selection=Selection(runbooks=(runbook,), routes=(route,)))
        [case] = [case for case in planned.cases if case.id == f"{runbook}-{route.value}-native"]
        with Session(replace(planned, cases=(case,)), run_id="played") as judging:
            judgement = judging.judgement(case)
        assert judging.suite_errors == ()
    return judgement


def texts(judgement: Judgement) -> Iterator[str]:
    """Everything that it says."""
    for check in judgement.checks:
        for violation in check.violations:
            yield f"{violation.expected}; found {violation.found}; {violation.remedy}"
        for blocker in check.blockers:
            yield f"{blocker.reason}; {blocker.remedy}"
        yield from (item.text for item in check.advisories)


def streamed(events: Sequence[object]) -> MiddlewareFactory:
    """Every chat that is to be streamed is answered with these events, but where tools are to be called."""
    data = (event if isinstance(event, str) else json.dumps(event) for event in events)
    body = "".join(f"data: {item}\n\n" for item in data).encode()

    def plain(request: Request) -> bool:
        return is_stream(request) and not request.fields.get("tools")

    return change_responses(plain, lambda *_: Response(200, (("content-type", "text/event-stream"),), body))


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
def test_a_stream_is_judged_as_the_rows_client_takes_it(case: Case) -> None:
    """The row is what the client makes of it, and the finding, the block or the remark names the matter."""
    judgement = judged(streamed(case.events), case.runbook, Route.CHAT)
    assert judgement.outcome is case.wanted
    assert any(case.said in text for text in texts(judgement)) or not case.said


def test_filter_results_before_the_role_are_not_even_remarked() -> None:
    """A chunk that names nothing tells clients nothing."""
    assert not [
        text
        for text in texts(judged(streamed([AZURE, FIRST, STOP, DONE]), "openai-sdk-curl", Route.CHAT))
        if "model" in text and "gt-large-raw" not in text  # it answers every chat with one and the same stream
    ]


# -- answers


def until_a_date(status: int) -> MiddlewareFactory:
    """Chats are refused until a time, given as an HTTP date, and taken afterwards."""
    free: list[datetime] = []

    async def handle(call: Call) -> None:
        now = datetime.now(UTC)
        if CHAT(call.request) and not free:
            free.append((now + timedelta(seconds=2)).replace(microsecond=0))
        if CHAT(call.request) and now < free[0]:
            until = format_datetime(free[0], usegmt=True)
            await call.respond(error_response(status, "Later.").with_header("retry-after", until))
        else:
            await call.forward()

    return per_call(handle)


@pytest.mark.parametrize("status", [429, 503])
def test_who_says_when_is_asked_again_then(status: int) -> None:
    """A 429 and a 503 with a date are waited for; nothing is said of them in the end."""
    judgement = judged(until_a_date(status), "openai-sdk-curl", Route.CHAT)
    assert judgement.outcome is Outcome.CONFORMS
    assert not [text for text in texts(judgement) if str(status) in text]


def answers(wanted: Any, response: Response) -> MiddlewareFactory:
    """That response in place of the tenant's."""
    return change_responses(wanted, lambda *_: response)


def _wants_more(request: Request) -> bool:
    return CHAT(request) and request.fields.get("max_tokens", 0) > 32_000


def _drop_usage(_: Request, response: Response) -> Response:
    body = response.json or {}
    return response.with_json({name: value for name, value in body.items() if name != "usage"})


FASTAPI = {
    "detail": [
        {
            "type": "less_than_equal",
            "loc": ["body", "max_tokens"],
            "msg": "Input should be less than or equal to 32000",
            "input": 65536,
        }
    ]
}
BLOCKED_PAGE = Response(
    403, (("content-type", "text/html"),), b"<html><title>Attention</title><body>You have been blocked.</body></html>"
)
ANSWERS: dict[str, tuple[MiddlewareFactory, str, Route, Outcome, str]] = {
    "FastAPI names the field": (
        answers(_wants_more, json_response(422, FASTAPI)),
        "hermes",
        Route.CHAT,
        Outcome.VIOLATES,
        "body.max_tokens: Input should be less than or equal to 32000",
    ),
    "a firewall's page": (
        answers(CHAT, BLOCKED_PAGE),
        "langchain",
        Route.CHAT,
        Outcome.BLOCKED,
        "something in front of",
    ),
    "reasoning that is not shown": (
        answers(lambda request: CHAT(request) and not is_stream(request), whole("", "length")),
        "openai-sdk-curl",
        Route.CHAT,
        Outcome.BLOCKED,
        "Give the alias field-analyst a larger token limit: the request sets none.",
    ),
    "embeddings without usage, for Dify": (
        change_responses(EMBEDDINGS, _drop_usage),
        "dify",
        Route.EMBEDDINGS,
        Outcome.VIOLATES,
        "'usage' is missing",
    ),
    "embeddings without usage": (
        change_responses(EMBEDDINGS, _drop_usage),
        "langchain",
        Route.EMBEDDINGS,
        Outcome.CONFORMS,
        "'usage' is missing",
    ),
}


@pytest.mark.parametrize(("middleware", "runbook", "route", "wanted", "said"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_judged_as_the_rows_client_takes_it(
    middleware: MiddlewareFactory, runbook: str, route: Route, wanted: Outcome, said: str
) -> None:
    """The row is what the client makes of it, and what is said quotes the tenant's reason."""
    judgement = judged(middleware, runbook, route)
    assert judgement.outcome is wanted
    assert any(said in text for text in texts(judgement))
    assert not any("Check the secret" in text for text in texts(judgement))


@pytest.mark.parametrize(("runbook", "wanted"), [("n8n", Outcome.VIOLATES), ("langchain", Outcome.CONFORMS)])
def test_floats_for_base64_break_only_who_misreads_them(runbook: str, wanted: Outcome) -> None:
    """The SDK beneath n8n turns them into other numbers without an error; LangChain's reads them."""
    [fault] = select_faults(["base64-as-floats"]).members
    assert fault.middleware is not None
    judgement = judged(fault.middleware, runbook, Route.EMBEDDINGS)
    assert judgement.outcome is wanted
    assert any("plain floats" in text for text in texts(judgement))

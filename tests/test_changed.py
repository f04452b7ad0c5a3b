"""A tenant that becomes another one in the middle of a run, or has an instance of its own kind, is one finding."""

import json
from itertools import count

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gt_sandbox.faults._parts import PROVIDER
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    SPEECH,
    Middleware,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_chunks,
    change_requests,
    change_successes,
    combine,
    error_response,
    is_any,
    is_stream,
    refuse,
    replace_json,
)
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs

FAILED = error_response(500, "Internal server error")
NOT_FOUND = error_response(404, "Not Found")
WORDS = "Find what changed while the run was under way, or which instance differs"


def some(other: MiddlewareFactory, *, wanted: range | None = None, each: int = 1) -> MiddlewareFactory:
    """Another version answers the requests of these numbers, or each of so many."""

    def make(secrets: Secrets) -> Middleware:
        def wrap(app: ASGIApp) -> ASGIApp:
            numbers, changed = count(1), other(secrets)(app)

            async def call(scope: Scope, receive: Receive, send: Send) -> None:
                number = next(numbers)
                is_other = number in wanted if wanted is not None else number % each == 0
                await (changed if is_other else app)(scope, receive, send)

            return call

        return wrap

    return make


def ignore_stream(body: bytes) -> bytes:
    """A chat that asks for no stream."""
    return json.dumps({**json.loads(body), "stream": False}).encode()


def names_a_provider(wanted: Predicate) -> MiddlewareFactory:
    """Each answer names the provider's model, streams too."""
    return combine(
        replace_json(wanted, lambda body: {**body, "model": PROVIDER}),
        change_chunks(lambda chunk: [{**chunk, "model": PROVIDER}]),
    )


def is_chat_or_embedding(request: Request) -> bool:
    """Whether its answer names a model."""
    return CHAT(request) or EMBEDDINGS(request)


def is_unversioned(request: Request) -> bool:
    """Whether it goes to an address without a version."""
    return "/v1/" not in request.path


VERSIONS: dict[str, tuple[MiddlewareFactory, str]] = {
    "does not stream": (change_requests(is_stream, ignore_stream), "(application/json)"),
    "does not embed": (refuse(EMBEDDINGS, NOT_FOUND), "POST /api/tenant/v1/embeddings got HTTP 200"),
    "has no un-versioned routes": (refuse(is_unversioned, NOT_FOUND), "POST /api/tenant/chat/completions got HTTP 200"),
}


@pytest.mark.parametrize(("other", "words"), VERSIONS.values(), ids=VERSIONS)
def test_a_version_that_is_deployed_in_the_middle_is_one_finding(other: MiddlewareFactory, words: str) -> None:
    """What breaks with it breaks in each check's own words, and nobody is sent to the un-versioned address for it."""
    [line] = found(judged(some(other, wanted=range(200, 10_000)), every=True))
    assert line.startswith(f"violates: {WORDS}")
    assert words in line


def test_a_tenant_that_fails_from_some_time_on_is_described_as_that() -> None:
    """A server error has its own words: whoever has to act looks in the log."""
    [line] = found(judged(some(refuse(is_any, FAILED), wanted=range(200, 10_000)), every=True))
    assert line.startswith("violates: Look in the tenant's log")


INSTANCES: dict[str, tuple[MiddlewareFactory, str]] = {
    "does not stream": (change_requests(is_stream, ignore_stream), "(application/json)"),
    "names the provider's model": (names_a_provider(is_chat_or_embedding), f"(model {PROVIDER})"),
}


@pytest.mark.parametrize(("other", "words"), INSTANCES.values(), ids=INSTANCES)
def test_an_instance_that_answers_in_another_form_is_one_finding(other: MiddlewareFactory, words: str) -> None:
    """The same request gets the right form when it comes again, so that who tries it by hand may see nothing wrong."""
    [line] = found(judged(some(other, each=3), every=True))
    assert line.startswith(f"violates: {WORDS}")
    assert words in line


def test_what_is_wrong_all_the_time_stays_a_finding_beside_it() -> None:
    """A deployment explains what is wrong in its own way, and hides nothing else."""
    other = some(change_requests(is_stream, ignore_stream), wanted=range(200, 10_000))
    broken = change_successes(SPEECH, lambda response: Response(response.status, response.headers, b""))
    lines = found(judged(combine(other, broken), every=True))
    assert len(lines) == 2
    assert len([line for line in lines if WORDS in line]) == 1

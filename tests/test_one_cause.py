"""A gateway that spoils every answer alike, and an instance that spoils its own, are one finding each."""

from dataclasses import replace
from itertools import count

import pytest

from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_headers,
    change_responses,
    is_any,
    is_stream,
    replace_json,
)
from tests.test_outages import found, judged


def is_whole(request: Request) -> bool:
    """Whether it asks for no stream."""
    return not is_stream(request)


def encode_again(_: Request, response: Response) -> Response:
    """JSON in a JSON text."""
    return response if response.json is None else response.with_json(response.body.decode())


def every_third_is_empty() -> MiddlewareFactory:
    """What an instance of three answers has no body."""
    numbers = count(1)

    def empty(_: Request, response: Response) -> Response:
        return replace(response, body=b"") if response.succeeded and next(numbers) % 3 == 0 else response

    return change_responses(is_any, empty)


GATEWAYS = {
    "encoded twice": (change_responses(is_whole, encode_again), "with nothing around them"),
    "wrapped": (replace_json(is_any, lambda body: {"success": True, "data": body}), "with nothing around them"),
    "no content type": (
        change_headers(lambda headers: {name: value for name, value in headers.items() if name != "content-type"}),
        "send JSON as application/json, streams as text/event-stream",
    ),
    "all of one type": (
        change_headers(lambda headers: {**headers, "content-type": "application/octet-stream"}),
        "send JSON as application/json, streams as text/event-stream",
    ),
    "no body": (
        change_responses(is_any, lambda _, one: replace(one, body=b"") if one.succeeded else one),
        "send each answer whole",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), GATEWAYS.values(), ids=GATEWAYS)
def test_what_spoils_every_answer_alike_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """Whichever route is asked: what stands around the answers is at fault, and not their shapes."""
    [line] = found(judged(middleware))
    assert words in line


def test_an_instance_whose_answers_are_empty_is_one_finding() -> None:
    """Now and then a success has no body, whatever was asked for."""
    lines = [line for line in found(judged(every_third_is_empty(), every=True)) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert "the same request is answered when it is sent again" in lines[0]

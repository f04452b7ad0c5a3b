"""The plan: the parameters that the profile of a client gives to a check."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.runbook import (
    ChatProfile,
    ClientProfile,
    EmbeddingsProfile,
)
from gt_conformance.vocabulary import Route, Verdict
from tests.planned import TENANT, a_book, parameters, planned_row


def chatting(**facts: Any) -> ClientProfile:
    """A client with that chat profile."""
    return ClientProfile(chat=ChatProfile(**facts))


LIMIT: dict[str, Any] = {"token_limit": "max_tokens", "token_limit_value": 65_536}

SHAPES: dict[str, tuple[str, Sequence[ClientProfile], list[Parameters]]] = {
    "completes: plain": ("chat.completes", [chatting()], [Parameters()]),
    "completes: the client's own fields": (
        "chat.completes",
        [chatting(token_limit="max_tokens", token_limit_value=5, fields=(("user", "u"),))],
        [Parameters(token_limit="max_tokens", token_limit_value=5, fields=(("user", "u"),))],
    ),
    "completes: two clients alike are one": ("chat.completes", [chatting(), chatting(tools=True)], [Parameters()]),
    "completes: two that differ are two": (
        "chat.completes",
        [chatting(), chatting(token_limit="max_tokens")],
        [Parameters(), Parameters(token_limit="max_tokens")],
    ),
    "streams: usage as the client asks": (
        "chat.streams",
        [chatting(stream_usage="always")],
        [Parameters(stream_usage=True)],
    ),
    "streams: no usage": ("chat.streams", [chatting(stream_usage="never")], [Parameters()]),
    "streams: usage perhaps": (
        "chat.streams",
        [chatting(stream_usage="optional")],
        [Parameters(), Parameters(stream_usage=True)],
    ),
    "streams: a client that reads LF alone": (
        "chat.streams",
        [chatting(stream_usage="never", sse="lf_data_only")],
        [Parameters(lf_data_only=True)],
    ),
    "streams: not for the client that does not": (
        "chat.streams",
        [chatting(stream="never"), chatting(stream_usage="never", token_limit="max_tokens")],
        [Parameters(token_limit="max_tokens")],
    ),
    "published: the stream too, where the client streams": (
        "chat.model_is_published",
        [chatting(stream_usage="always"), chatting(stream="never")],
        [Parameters(), Parameters(stream=True, stream_usage=True)],
    ),
    "forms: required of a client that sends them": (
        "chat.message_forms",
        [chatting(), chatting(message_forms=True)],
        [Parameters(required=True)],
    ),
    "forms: a should for others": ("chat.message_forms", [chatting()], [Parameters(required=False)]),
    "limits: the client's own value": ("chat.token_limits", [chatting(**LIMIT)], [Parameters(**LIMIT)]),
    "limits: no value of its own": ("chat.token_limits", [chatting(token_limit="max_tokens")], [Parameters()]),
    "load: as the client's": (
        "chat.client_load",
        [chatting(stream="always", load=(("tools", 9),)), chatting(load=(("tools", 2),))],
        [
            Parameters(load=(("tools", 9),), stream=True, base_path="/api/tenant"),
            Parameters(load=(("tools", 2),), base_path="/api/tenant"),
        ],
    ),
    "discovery: as the client's": (
        "client.discovery",
        [ClientProfile(discovery=("GET /api/tags",))],
        [Parameters(discovery=("GET /api/tags",))],
    ),
    "joins: once for clients that join alike": (
        "base_url.joins",
        [chatting(), chatting(tools=True)],
        [Parameters(route=Route.CHAT, base_path="/api/tenant")],
    ),
}

MINIMAL = Parameters(minimal=True)

PLAINEST = {"chat.completes", "chat.model_is_published", "embeddings.batch"}
"""What each row's own key asks for in the plainest request, before one key asks for what clients send beyond it."""


@pytest.mark.parametrize(("check", "clients", "wanted"), SHAPES.values(), ids=SHAPES)
def test_a_chat_is_probed_in_the_shape_of_its_clients(
    check: str, clients: Sequence[ClientProfile], wanted: list[Parameters]
) -> None:
    """A check is asked for once for each different shape that the runbook's clients use; some in the plainest first."""
    found = parameters(a_book(*clients, chat=Verdict.NATIVE), Route.CHAT, check)
    assert found == [*([MINIMAL] if check in PLAINEST else []), *wanted]


EMBEDDED: dict[str, tuple[str, EmbeddingsProfile, list[Parameters]]] = {
    "batch": (
        "embeddings.batch",
        EmbeddingsProfile("float", batch=False),
        [Parameters(encoding_format="float", batch=False)],
    ),
    "published": (
        "embeddings.model_is_published",
        EmbeddingsProfile("base64"),
        [Parameters(batch=False, minimal=True), Parameters(encoding_format="base64")],
    ),
    "base64": ("embeddings.base64", EmbeddingsProfile("base64", batch=False), [Parameters(batch=False)]),
    "token ids": (
        "embeddings.token_ids",
        EmbeddingsProfile("float", "token_ids"),
        [Parameters(encoding_format="float", base_path="/api/tenant")],
    ),
}


@pytest.mark.parametrize(("check", "profile", "wanted"), EMBEDDED.values(), ids=EMBEDDED)
def test_embeddings_are_probed_in_the_shape_of_the_client(
    check: str, profile: EmbeddingsProfile, wanted: list[Parameters]
) -> None:
    """Embeddings are asked for in the encoding and the batches that the client uses, token ids at its address."""
    book = a_book(ClientProfile(embeddings=profile), embeddings=Verdict.NATIVE)
    assert parameters(book, Route.EMBEDDINGS, check) == [*([MINIMAL] if check in PLAINEST else []), *wanted]


def test_a_refusal_is_asked_of_its_own_route() -> None:
    """A refused row asks for the refusal of its own route."""
    for route in Route:
        assert parameters(a_book(), route, "route.refused") == [Parameters(route=route)]


JOINS: dict[str, tuple[str, str, str]] = {
    "as documented": ("https://<tenant-host>/api/tenant", "verbatim", "/gt/api"),
    "with /v1": ("https://<tenant-host>/api/tenant/v1", "verbatim", "/gt/api/v1"),
    "by a client that adds /v1": ("https://<tenant-host>/api/tenant", "adds_v1", "/gt/api/v1"),
    "by one that finds it there": ("https://<tenant-host>/api/tenant/v1", "adds_v1", "/gt/api/v1"),
    "at another path of the host": ("https://<tenant-host>/openai", "verbatim", "/openai"),
}


@pytest.mark.parametrize(("base_url", "joins", "path"), JOINS.values(), ids=JOINS)
def test_a_documented_base_url_is_taken_to_this_tenant(base_url: str, joins: str, path: str) -> None:
    """The base URL of a runbook, as its client completes it, is tried on the host and path of the tenant."""
    book = replace(a_book(ClientProfile(joins=joins), models=Verdict.NATIVE), base_url=base_url)
    row = planned_row(book, Route.MODELS, replace(TENANT, base_url="https://acme.example/gt/api"))
    [call] = [item for item in row.checks if item.check == "base_url.joins"]
    assert call.parameters == Parameters(route=Route.MODELS, base_path=path)


def test_parameters_are_told_where_they_differ() -> None:
    """The record of a check names the parameters that are not at their defaults, as JSON values."""
    told = Parameters(route=Route.CHAT, fields=(("seed", 1),), load=(("tools", 2),), discovery=("GET /x",)).described()
    assert told == {"route": "chat", "fields": {"seed": 1}, "load": {"tools": 2}, "discovery": ["GET /x"]}
    assert Parameters().described() == {}
    assert Parameters(required=False).described() == {"required": False}
    assert Parameters(required=True).described() == {}


def test_subjects_have_one_order() -> None:
    """By check, then by key, then by parameters: plans and reports are the same from run to run."""
    ordered = [
        CheckCall("a"),
        CheckCall("a", "x"),
        CheckCall("a", "x", Parameters(stream=True)),
        CheckCall("a", "y"),
        CheckCall("b"),
    ]
    keys = [call.sort_key for call in ordered]
    assert keys == sorted(set(keys))

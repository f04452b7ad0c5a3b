"""The chat checks: each wrong answer is a violation, each tolerable one is none, each advisory is recorded."""

import gzip
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import Parameters
from gt_conformance.exchange import Failure, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CALLED,
    CHUNKS,
    COMPLETION,
    DONE,
    DROPPED,
    FINISH,
    HTML_PAGE,
    ONE,
    ROLE,
    TWO,
    AnswerCase,
    Reply,
    answer,
    changed,
    escaped,
    findings,
    judged,
    key,
    refusal,
    stream,
    tenant_of,
    to,
)

CHAT = "chat/completions"
MESSAGE = "choices.0.message"
When = Callable[[dict[str, Any]], object]


class Case(AnswerCase):
    """An answer to some of a check's chats."""

    path = CHAT


def with_message(**facts: object) -> dict[str, Any]:
    """A completion whose message has these fields."""
    return changed(COMPLETION, {f"{MESSAGE}.{name}": value for name, value in facts.items()})


def with_call(**facts: object) -> dict[str, Any]:
    """An answer that calls a tool, with another value at these places of the call."""
    changes = {f"{MESSAGE}.tool_calls.0.{name.replace('__', '.')}": value for name, value in facts.items()}
    return changed(CALLED, changes)


def sends(name: str) -> When:
    """A request whose body has that field."""
    return lambda body: name in body


def is_whole(body: dict[str, Any]) -> bool:
    """A request for an answer in one piece: the same model has it right in a stream."""
    return not body.get("stream")


def has_result(body: dict[str, Any]) -> bool:
    """A request that carries a tool's result."""
    return any(message["role"] == "tool" for message in body["messages"])


def named_choice(body: dict[str, Any]) -> bool:
    """A request whose tool_choice names the function."""
    return isinstance(body.get("tool_choice"), dict)


def in_a_row(body: dict[str, Any]) -> bool:
    """A request with two user messages in a row."""
    roles = [message["role"] for message in body["messages"]]
    return ("user", "user") in itertools.pairwise(roles)


def of_parts(body: dict[str, Any]) -> bool:
    """A request with a message whose content is a list of parts."""
    return any(isinstance(message["content"], list) for message in body["messages"])


def from_developer(body: dict[str, Any]) -> bool:
    """A request with a message of the role developer."""
    return any(message["role"] == "developer" for message in body["messages"])


def from_system(body: dict[str, Any]) -> bool:
    """A request with a message of the role system."""
    return any(message["role"] == "system" for message in body["messages"])


FIELDS: dict[str, Any] = {"temperature": 0.2, "seed": 7, "user": "", "n": 1, "stop": [], "parallel_tool_calls": True}


def one_field(name: str) -> When:
    """A request with that sampling field, alone or among all of them."""
    return lambda body: name in body


def all_at_once(body: dict[str, Any]) -> bool:
    """A request with several sampling fields."""
    return len(FIELDS.keys() & body.keys()) > 1


SERVER_ERROR = refusal(500, "Something broke.")
GONE = Reply(failure=Failure.CLOSED, detail="the connection was closed without an answer")
LIMIT = Parameters(token_limit="max_tokens", token_limit_value=65_536)
LOAD = Parameters(load=(("tools", 3), ("system_prompt_chars", 500), ("body_bytes", 4_000)))
STREAMED_LOAD = Parameters(load=(("tools", 3),), stream=True)
DISCOVERY = Parameters(discovery=("GET /api/tags", "GET /v1/props"))
NOT_SENT = Parameters(required=False)

VIOLATIONS: dict[str, Case] = {
    "completes: a 5xx": Case("chat.completes", SERVER_ERROR, "HTTP 500: Something broke."),
    "completes: a 4xx": Case("chat.completes", refusal(400, "No."), "HTTP 400: No."),
    "completes: a redirect": Case(
        "chat.completes",
        answer("", 307, location="https://elsewhere.example/"),
        "redirect to https://elsewhere.example/",
    ),
    "completes: no answer": Case("chat.completes", GONE, "no answer: the connection was closed without an answer"),
    "completes: a web page": Case("chat.completes", HTML_PAGE, "HTTP 200 (text/html), but it is an HTML page"),
    "completes: cut JSON": Case("chat.completes", answer('{"choices": ['), "but the body is not JSON"),
    "completes: nothing": Case("chat.completes", answer(""), "but the body is empty"),
    "completes: a list": Case("chat.completes", answer([COMPLETION]), "list"),
    "completes: no choices": Case("chat.completes", changed(COMPLETION, {"choices": DROPPED}), "choices"),
    "completes: empty choices": Case("chat.completes", changed(COMPLETION, {"choices": []}), "choices"),
    "completes: no content": Case("chat.completes", with_message(content=DROPPED), "no content and no tool call"),
    "completes: null content": Case("chat.completes", with_message(content=None), "no content and no tool call"),
    "completes: blank content": Case("chat.completes", with_message(content=" \n"), "no content and no tool call"),
    "completes: content of parts": Case(
        "chat.completes", with_message(content=[{"type": "text", "text": "ok"}]), "choices.0.message.content"
    ),
    "completes: nothing in the first of two choices": Case(
        "chat.completes",
        changed(COMPLETION, {"choices": [*with_message(content="")["choices"], *COMPLETION["choices"]]}),
        "no content and no tool call",
    ),
    "completes: an error in a 200": Case("chat.completes", {"error": {"message": "overloaded"}}, "error"),
    "completes: an error beside choices": Case(
        "chat.completes", changed(COMPLETION, {"error": {"message": "overloaded"}}), "error"
    ),
    "completes: a cut body": Case(
        "chat.completes",
        stream(json.dumps(COMPLETION), kind="application/json", complete=False, end="the connection ended"),
        "HTTP 200, but the connection ended",
    ),
    "published: a provider's name": Case(
        "chat.model_is_published", changed(COMPLETION, {"model": "vendor/large-70b"}), "model is 'vendor/large-70b'"
    ),
    "published: a name in the stream": Case(
        "chat.model_is_published",
        stream(*CHUNKS[:2], changed(TWO, {"model": "agent-7f3a"}), CHUNKS[3], DONE),
        "model is 'agent-7f3a'",
        sends("stream"),
        Parameters(stream=True),
    ),
    "published: a name after an event that is no JSON": Case(
        "chat.model_is_published",
        stream(ROLE, "data: {oops\n\n", changed(TWO, {"model": "agent-7f3a"}), FINISH, DONE),
        "model is 'agent-7f3a'",
        sends("stream"),
        Parameters(stream=True),
    ),
    "published: no JSON": Case("chat.model_is_published", HTML_PAGE, "but it is an HTML page"),
    "published: a stream refused": Case(
        "chat.model_is_published", SERVER_ERROR, "HTTP 500", sends("stream"), Parameters(stream=True)
    ),
    "roles: refused": Case("chat.roles", refusal(400, "Unknown role."), "HTTP 400: Unknown role."),
    "roles: empty": Case("chat.roles", with_message(content=""), "no content and no tool call", from_system),
    "tools: refused": Case("chat.tools", refusal(400, "No tools."), "HTTP 400: No tools."),
    "tools: a call without an id": Case("chat.tools", with_call(id=DROPPED), "tool_calls.0: the key 'id' is missing"),
    "tools: a call with an empty id": Case("chat.tools", with_call(id=""), "tool_calls.0.id"),
    "tools: a call of another type": Case("chat.tools", with_call(type="custom"), "tool_calls.0.type"),
    "tools: a call without a function": Case("chat.tools", with_call(function=DROPPED), "tool_calls.0"),
    "tools: a tool that was not offered": Case(
        "chat.tools", with_call(function__name="get_time"), "those offered (get_weather); found 'get_time'", is_whole
    ),
    "tools: arguments that are no JSON": Case(
        "chat.tools", with_call(function__arguments="{city: Oslo}"), "parses as JSON; found '{city: Oslo}'", is_whole
    ),
    "tools: empty arguments": Case(
        "chat.tools", with_call(function__arguments=""), "parses as JSON; found ''", is_whole
    ),
    "tools: arguments that say nothing": Case(
        "chat.tools", with_call(function__arguments="null"), "parses as JSON; found 'null'", is_whole
    ),
    "tools: arguments that are no text": Case(
        "chat.tools", with_call(function__arguments={"city": "Oslo"}), "tool_calls.0.function.arguments"
    ),
    "tools: the result is refused": Case("chat.tools", refusal(400, "No role tool."), "No role tool.", has_result),
    "tools: nothing is said to the result": Case(
        "chat.tools", with_message(content=""), "no content and no tool call", has_result
    ),
    "tools: a bad call of a named choice": Case(
        "chat.tools", with_call(function__name="get_time"), "found 'get_time'", named_choice
    ),
    "forms: two user messages": Case(
        "chat.message_forms",
        refusal(400, "Roles must alternate."),
        "two user messages in a row is accepted with 2xx; found HTTP 400: Roles must alternate.",
        in_a_row,
    ),
    "forms: text parts": Case(
        "chat.message_forms",
        refusal(422, "Not a string."),
        "content as a list of text parts is accepted",
        of_parts,
    ),
    "forms: an earlier tool call": Case(
        "chat.message_forms", SERVER_ERROR, "earlier tool calls with their results is accepted", has_result
    ),
    "forms: no answer": Case("chat.message_forms", GONE, "no answer"),
    "load: refused": Case("chat.client_load", refusal(413, "Too large."), "HTTP 413: Too large.", parameters=LOAD),
    **{
        f"{check}: an error in a 200": Case(
            check, {"error": {"message": "no"}}, f"{what}; found HTTP 200 with an error inside: no", when
        )
        for check, what, when in (
            ("chat.message_forms", "content as a list of text parts is accepted with 2xx", of_parts),
        )
    },
    "load: an error in a 200": Case(
        "chat.client_load", {"error": {"message": "too long"}}, "HTTP 200 with an error inside", parameters=LOAD
    ),
    "load: an error in the stream": Case(
        "chat.client_load",
        stream(*CHUNKS[:2], {"error": {"message": "too long"}}),
        "HTTP 200 with an error inside",
        parameters=STREAMED_LOAD,
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_wrong_answer_is_a_violation(case: Case) -> None:
    """An answer that breaks what must hold violates, and the reason says what came."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert result.outcome is Outcome.VIOLATES
    assert case.said in " | ".join(f"{violation.expected}; found {violation.found}" for violation in result.violations)
    assert {violation.exchange for violation in result.violations} <= set(result.exchanges)
    assert result.remedy


ADVISED: dict[str, Case] = {
    "limits: max_tokens refused": Case(
        "chat.token_limits",
        refusal(400, "max_tokens is unknown."),
        "max_tokens alone should be accepted",
        sends("max_tokens"),
    ),
    "limits: max_completion_tokens refused": Case(
        "chat.token_limits",
        refusal(400, "Unknown."),
        "max_completion_tokens alone should be accepted",
        sends("max_completion_tokens"),
    ),
    "limits: a large value refused namelessly": Case(
        "chat.token_limits",
        refusal(400, "Too much."),
        "max_tokens: 65536, which this client sends, should be accepted, or refused with a 400 that names max_tokens",
        lambda body: body.get("max_tokens") == 65_536,
        LIMIT,
    ),
    "limits: a large value breaks": Case(
        "chat.token_limits",
        refusal(500, "max_tokens"),
        "HTTP 500",
        lambda body: body.get("max_tokens") == 65_536,
        LIMIT,
    ),
    **{
        f"sampling: {name} refused namelessly": Case(
            "chat.sampling_fields",
            refusal(400, "Invalid request: unknown argument given by the caller."),
            f"{name} should be accepted, or refused with a 400 that names {name}",
            one_field(name),
        )
        for name in FIELDS
    },
    "sampling: seed breaks": Case(
        "chat.sampling_fields", refusal(500, "seed"), "seed should be accepted", one_field("seed")
    ),
    "sampling: seed forbidden": Case(
        "chat.sampling_fields", refusal(403, "seed"), "seed should be accepted", one_field("seed")
    ),
    "sampling: no answer": Case("chat.sampling_fields", GONE, "no answer"),
    "structured: breaks": Case("chat.structured_output", SERVER_ERROR, "HTTP 500", sends("response_format")),
    "structured: a redirect": Case("chat.structured_output", answer("", 302), "HTTP 302", sends("response_format")),
    "structured: no answer": Case("chat.structured_output", GONE, "no answer", sends("response_format")),
    "limits: an error in a 200": Case(
        "chat.token_limits",
        {"error": {"message": "no"}},
        "should be accepted: HTTP 200: no",
        sends("max_completion_tokens"),
    ),
    "sampling: an error in a 200": Case(
        "chat.sampling_fields", {"error": {"message": "no"}}, "that names stop: HTTP 200: no", one_field("stop")
    ),
    "structured: refused namelessly": Case(
        "chat.structured_output",
        refusal(400, "No."),
        "response_format json_schema should be honoured, or named where it is refused: HTTP 400: No.",
        sends("response_format"),
    ),
    "completes: another role": Case("chat.completes", with_message(role="user"), "choices[].message.role"),
    "completes: an unknown finish": Case(
        "chat.completes", changed(COMPLETION, {"choices.0.finish_reason": "eos"}), "choices[].finish_reason"
    ),
    "completes: no finish": Case(
        "chat.completes", changed(COMPLETION, {"choices.0.finish_reason": None}), "choices[].finish_reason"
    ),
}


@pytest.mark.parametrize("case", ADVISED.values(), ids=ADVISED)
def test_what_no_page_promises_is_advised(case: Case) -> None:
    """An answer that no clause forbids, and that no measured client minds, is remarked by its name."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert any(case.said in item.text for item in result.advisories)


SINGLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "an index": ("index", changed(COMPLETION, {"choices.0.index": DROPPED}), "choices.0: the key 'index' is missing"),
    "a role": ("role", with_message(role=DROPPED), "choices.0.message: the key 'role' is missing"),
    "no other role": ("assistant", with_message(role="user"), "choices.0.message.role: "),
    "an id that is text": ("types", changed(COMPLETION, {"id": 7}), "id: "),
    "no other object": ("object", changed(COMPLETION, {"object": "completion"}), "object: "),
    "whole token counts": ("usage", changed(COMPLETION, {"usage.total_tokens": 1.5}), "usage.total_tokens: "),
}


def test_what_nobody_measured_is_not_said_of_a_client() -> None:
    """That a client does not send a form is known of those that were driven; of others it is said to be unknown."""
    refused = to("chat/completions", refusal(400, "Roles must alternate."), when=in_a_row)
    for client, said in ((None, "this client does not send it"), ("unmeasured", "was not measured")):
        result = judged("chat.message_forms", refused, parameters=Parameters(required=False, client=client))
        assert result.outcome is Outcome.CONFORMS
        assert all(said in advisory.text for advisory in result.advisories)
        assert result.advisories


CODED = {
    "a coding that nobody asked for": (("br", b"{}"), "the body is encoded as br"),
    "no coding that is named": (("identity", gzip.compress(b"{}")), "the body is compressed, and no content-encoding"),
}


@pytest.mark.parametrize(("given", "said"), CODED.values(), ids=CODED)
def test_a_body_that_no_client_can_decode_is_a_violation(given: tuple[str, bytes], said: str) -> None:
    """The finding says how it is coded, and is the same for whatever route has it."""
    coding, body = given
    response = Response(200, (("content-type", "application/json"), ("content-encoding", coding)), body)
    result = judged("chat.completes", to("chat/completions", response))
    assert result.outcome is Outcome.VIOLATES
    assert said in result.reason


def test_a_label_that_names_no_coding_is_passed_over() -> None:
    """As clients do: the body is JSON, whatever a server writes there."""
    response = answer(COMPLETION, content_encoding="utf-8")
    assert judged("chat.completes", to("chat/completions", response)).outcome is Outcome.CONFORMS


@pytest.mark.parametrize("kind", ["text/plain", "text/html", ""])
def test_json_of_another_type_is_a_violation_for_clients_that_read_it_as_text(kind: str) -> None:
    """OpenAI's SDK for JavaScript parses nothing else; the same answer is remarked for others."""
    rule = to("chat/completions", answer(COMPLETION, kind=kind))
    needing = judged("chat.completes", rule, parameters=Parameters(needs=("json",)))
    assert needing.outcome is Outcome.VIOLATES
    assert f"found {kind or 'no content type'}" in findings(needing)
    assert judged("chat.completes", rule).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(("need", "given", "found"), SINGLE.values(), ids=SINGLE)
def test_what_single_clients_need_is_a_violation_for_them_alone(need: str, given: dict[str, Any], found: str) -> None:
    """What stops the clients that were measured so is a violation in their rows, and a remark in all others."""
    rule = to("chat/completions", answer(given))
    [violation] = judged("chat.completes", rule, parameters=Parameters(needs=(need,))).violations
    assert violation.found.startswith(found)
    others = judged("chat.completes", rule)
    assert (others.outcome, bool(others.advisories)) == (Outcome.CONFORMS, True)


LIMITED = Parameters(token_limit="max_tokens")
EMPTY: dict[str, tuple[str, Parameters, str]] = {
    "a used-up limit of the alias": ("length", Parameters(), "Give the alias field-analyst a larger token limit"),
    "a used-up limit of the tenant file": ("length", LIMITED, "Raise limits.completion_tokens in the tenant file"),
    "a used-up limit of the client": ("length", replace(LIMITED, token_limit_value=7), "this client allows 7 tokens"),
    "a filter": ("content_filter", Parameters(), "filter"),
}


@pytest.mark.parametrize(("finish", "parameters", "remedy"), EMPTY.values(), ids=EMPTY)
def test_an_answer_that_is_empty_for_a_reason_it_names_is_blocked(
    finish: str, parameters: Parameters, remedy: str
) -> None:
    """Reasoning that is not shown, and a content filter, are not the tenant's; a limit is raised where it was set."""
    empty = changed(COMPLETION, {f"{MESSAGE}.content": "", "choices.0.finish_reason": finish})
    result = judged("chat.completes", to("chat/completions", answer(empty)), parameters=parameters)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert remedy in result.remedy


TOLERATED: dict[str, Case] = {
    "completes: no more than clients need": Case(
        "chat.completes",
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "length"}]},
        "OpenAI's published shape: the key 'id' is missing.",
    ),
    "completes: extra fields": Case("chat.completes", changed(COMPLETION, {"gt": {"agent": 1}, "error": None})),
    "completes: a refusal of the model": Case("chat.completes", with_message(content=None, refusal="I cannot.")),
    "completes: a tool call": Case("chat.completes", CALLED),
    "completes: 201": Case("chat.completes", answer(COMPLETION, 201)),
    "completes: another content type": Case(
        "chat.completes", answer(COMPLETION, kind="text/plain"), "some SDKs parse nothing: text/plain"
    ),
    "completes: a JSON type of its own": Case("chat.completes", answer(COMPLETION, kind="application/vnd.gt+json")),
    "completes: a sum that is wrong": Case(
        "chat.completes", changed(COMPLETION, {"usage.total_tokens": 12}), "usage adds up: 9 + 2 is not 12 tokens"
    ),
    "completes: no usage but its name": Case(
        "chat.completes", changed(COMPLETION, {"usage": None}), "OpenAI's published shape: usage"
    ),
    "completes: created as text would be": Case(
        "chat.completes", changed(COMPLETION, {"object": "text"}), "OpenAI's published shape: object"
    ),
    **{
        f"completes: {reason}": Case("chat.completes", changed(COMPLETION, {"choices.0.finish_reason": reason}))
        for reason in ("stop", "length", "tool_calls", "content_filter", "function_call")
    },
    "published: no name at all": Case("chat.model_is_published", changed(COMPLETION, {"model": DROPPED})),
    "published: a null name in a chunk": Case(
        "chat.model_is_published",
        stream(changed(ONE, {"model": None}), ": comment\n\n", TWO, DONE),
        when=sends("stream"),
        parameters=Parameters(stream=True),
    ),
    "tools: the model calls only when it is told to": Case(
        "chat.tools", COMPLETION, when=lambda body: body.get("tool_choice") == "auto"
    ),
    "tools: the model calls only where it may choose": Case(
        "chat.tools", COMPLETION, "tool_choice that names the function gives no tool call", named_choice
    ),
    "tools: a named choice is refused": Case(
        "chat.tools", refusal(400, "auto only"), "tool_choice that names the function is not accepted", named_choice
    ),
    "tools: a named choice is not answered": Case(
        "chat.tools", GONE, "tool_choice that names the function is not accepted", named_choice
    ),
    "tools: arguments with half a character": Case("chat.tools", with_call(function__arguments='{"city": "\ud800"}')),
    "tools: content beside the call": Case(
        "chat.tools", changed(CALLED, {f"{MESSAGE}.content": "Let me look."}), when=lambda body: not has_result(body)
    ),
    "limits: a large value refused by name": Case(
        "chat.token_limits",
        refusal(400, "max_tokens must be at most 4096."),
        when=lambda body: body.get("max_tokens") == 65_536,
        parameters=LIMIT,
    ),
    "forms: a client that sends none of them": Case(
        "chat.message_forms",
        refusal(400, "Roles must alternate."),
        "two user messages in a row is not accepted (HTTP 400: Roles must alternate.); this client does not send it",
        in_a_row,
        NOT_SENT,
    ),
    "forms: not answered to a client that sends none": Case(
        "chat.message_forms",
        GONE,
        "earlier tool calls with their results is not accepted (no answer)",
        has_result,
        NOT_SENT,
    ),
    "forms: the role developer": Case(
        "chat.message_forms",
        refusal(400, "Unknown role."),
        "the role developer is not accepted (HTTP 400: Unknown role.)",
        from_developer,
    ),
    **{
        f"sampling: {name} refused by name": Case(
            "chat.sampling_fields", refusal(400, f"Unsupported parameter: {name}."), when=one_field(name)
        )
        for name in FIELDS
    },
    "sampling: refused by its place": Case(
        "chat.sampling_fields", answer({"detail": [{"loc": ["body", "n"], "msg": "no"}]}, 422), when=one_field("n")
    ),
    "sampling: refused by name, in escapes": Case(
        "chat.sampling_fields", answer(f'{{"error": {escaped("seed is not supported")}}}', 400), when=one_field("seed")
    ),
    "sampling: refused together alone": Case("chat.sampling_fields", SERVER_ERROR, when=all_at_once),
    "structured: refused by name": Case(
        "chat.structured_output", refusal(400, "response_format is not supported."), when=sends("response_format")
    ),
    "structured: refused by what it asks for": Case(
        "chat.structured_output", refusal(400, "json_schema is not supported."), when=sends("response_format")
    ),
    **{
        f"structured: ignored with {content}": Case(
            "chat.structured_output",
            with_message(content=content),
            "accepted but not honoured",
            sends("response_format"),
        )
        for content in ("ok", '"ok"', "{}", '{"answer": 1}', '{"answer": "ok", "more": 1}')
    },
    "load: an answer that is no JSON, which chat.completes tells": Case(
        "chat.client_load", answer("ok", kind="text/plain"), parameters=LOAD
    ),
    "load: streamed": Case("chat.client_load", stream(*CHUNKS, DONE), parameters=STREAMED_LOAD),
}


@pytest.mark.parametrize("case", TOLERATED.values(), ids=TOLERATED)
def test_a_tolerable_answer_is_no_violation(case: Case) -> None:
    """What no client minds conforms, with a remark where OpenAI's shape asks for more, and none where it does not."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    remarks = [advisory.text for advisory in result.advisories]
    assert any(text.startswith(case.said) or case.said in text for text in remarks) if case.said else not remarks


CONFORMING = {
    "completes": ("chat.completes", Parameters()),
    "published": ("chat.model_is_published", Parameters()),
    "published, streamed": ("chat.model_is_published", Parameters(stream=True, stream_usage=True)),
    "roles": ("chat.roles", Parameters()),
    "tools": ("chat.tools", Parameters()),
    "limits": ("chat.token_limits", LIMIT),
    "forms": ("chat.message_forms", Parameters()),
    "sampling": ("chat.sampling_fields", Parameters()),
    "structured": ("chat.structured_output", Parameters()),
    "load": ("chat.client_load", LOAD),
    "load, streamed": ("chat.client_load", STREAMED_LOAD),
    "discovery": ("client.discovery", DISCOVERY),
}


@pytest.mark.parametrize(("check", "parameters"), CONFORMING.values(), ids=CONFORMING)
def test_a_conforming_tenant_gives_nothing_to_say(check: str, parameters: Parameters) -> None:
    """A tenant that answers as OpenAI does conforms without a remark, with --strict as well."""
    result = judged(check, parameters=parameters, strict=True)
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())


@pytest.mark.parametrize("count", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_a_count_that_is_left_out_is_not_added_up(count: str) -> None:
    """Usage without one of its counts is remarked for its shape alone."""
    result = judged("chat.completes", to(CHAT, answer(changed(COMPLETION, {f"usage.{count}": None}))))
    assert [f"usage.{count}" in advisory.text for advisory in result.advisories] == [True]


LONG = "x" * 300
QUOTED: dict[str, tuple[Case, str]] = {
    "the name of a tool": (
        Case("chat.tools", with_call(function__name=LONG), when=is_whole),
        f"'{LONG[:59]}… [302 characters",
    ),
    "the arguments of a call": (
        Case("chat.tools", with_call(function__arguments=LONG), when=is_whole),
        f"'{LONG[:99]}… [302 characters",
    ),
    "an error in a 200": (
        Case("chat.client_load", {"error": LONG}, parameters=LOAD),
        f"with an error inside: {LONG[:120]}… [300 characters",
    ),
}


@pytest.mark.parametrize(("case", "found"), QUOTED.values(), ids=QUOTED)
def test_what_a_tenant_says_at_length_is_quoted_by_its_beginning(case: Case, found: str) -> None:
    """A long text of the tenant's is told by its first words and its length."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert result.outcome is Outcome.VIOLATES
    assert found in result.reason


def test_with_strict_a_remark_is_a_violation() -> None:
    """What is a remark by default violates with --strict, and says whose shape it deviates from."""
    result = judged("chat.completes", to(CHAT, answer(changed(COMPLETION, {"usage": DROPPED}))), strict=True)
    assert result.outcome is Outcome.VIOLATES
    assert result.violations[0].expected == "no deviation from OpenAI's published shape"
    assert not result.advisories


# -- what cannot be told

LENGTH = {"choices.0.finish_reason": "length"}


def test_an_answer_that_ran_out_of_tokens_is_blocked() -> None:
    """A reasoning model that used up its limit before it said anything proves nothing."""
    wrong = to(CHAT, answer(changed(with_message(content=""), LENGTH)))
    result = judged("chat.completes", wrong)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == "the answer used up its token limit before any text came, as with a reasoning model"
    assert result.remedy == "Give the alias field-analyst a larger token limit: the request sets none."


def test_names_are_compared_with_what_the_key_lists_where_none_is_declared() -> None:
    """Without a declared allowlist the names are those that the tenant lists to the key."""
    tenant = tenant_of(key("chat", models=None))
    assert judged("chat.model_is_published", tenant=tenant).outcome is Outcome.CONFORMS
    wrong = to(CHAT, answer(changed(COMPLETION, {"model": "agent-7f3a"})))
    assert judged("chat.model_is_published", wrong, tenant=tenant).outcome is Outcome.VIOLATES


UNDECLARED = tenant_of(key("chat", scopes=None, purpose=None, models=None))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_to_a_key_of_unknown_rights_is_blocked(status: int) -> None:
    """Where the tenant file does not say what the key may do, a refusal breaks no promise."""
    result = judged("chat.completes", to(CHAT, refusal(status, "No scope.")), tenant=UNDECLARED)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == (
        f"HTTP {status}: No scope.: the key chat may lack the right, since tenant.yaml does not declare its "
        "purpose, scopes and models"
    )


NO_PAGE = answer("<html>", 404, "text/html")


@pytest.mark.parametrize("wrong", [refusal(400), SERVER_ERROR, NO_PAGE], ids=["400", "500", "a web page"])
def test_other_failures_of_such_a_key_are_violations(wrong: Any) -> None:
    """What no missing right explains is a violation, whatever the tenant file says."""
    assert judged("chat.completes", to(CHAT, wrong), tenant=UNDECLARED).outcome is Outcome.VIOLATES


def test_a_tenant_that_is_busy_is_blocked() -> None:
    """A lasting 429 says nothing about the promise."""
    result = judged("chat.completes", to(CHAT, refusal(429)))
    assert result.outcome is Outcome.BLOCKED
    assert result.reason == "the tenant answered 429 (too many requests) 1 time"


@pytest.mark.parametrize(
    "said",
    [
        "Too many failed requests from your address.",
        "Too many invalid authentication attempts.",
        "Your IP is temporarily blocked.",
        "Brute-force protection is on.",
    ],
)
def test_a_limit_on_refused_requests_is_said_to_be_one(said: str) -> None:
    """A 429 that counts refusals is not about the rate of requests: the remedy is about what is refused."""
    result = judged("chat.completes", to(CHAT, refusal(429, said)))
    assert result.outcome is Outcome.BLOCKED
    assert "limits.refusals_per_minute" in result.remedy
    assert "limits.requests_per_minute" not in result.remedy
    for rate in (
        "Too many requests.",
        "Rate limit reached for requests per minute.",
        "Invalid burst: 5 over the limit.",
    ):
        assert "limits.requests_per_minute" in judged("chat.completes", to(CHAT, refusal(429, rate))).remedy

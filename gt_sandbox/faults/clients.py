"""Faults that show only for some clients: those that send or probe more than others, and what people write for one."""

import gzip
from collections.abc import Callable, Mapping
from typing import Any

from gt_sandbox.alterations import TenantFile
from gt_sandbox.app import BASE
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, web_page
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    MODELS,
    MiddlewareFactory,
    Predicate,
    Request,
    Secrets,
    change_choice,
    change_headers,
    change_json,
    change_requests,
    change_responses,
    error_response,
    has_field,
    has_role,
    is_stream,
    is_whole_chat,
    json_response,
    refuse,
    respond_with,
    with_secrets,
)

_EDITOR = {"secret_env": "GT_EMBEDDED_EDITOR", "purpose": "inference", "scopes": ["inference:chat"], "models": [ALIAS]}


def _has_long_prompt(request: Request) -> bool:
    return CHAT(request) and any(len(str(message.get("content"))) > 20_000 for message in request.messages)


_MOST_MESSAGES = 20


def _holds(code: str) -> Predicate:
    return lambda request: CHAT(request) and any(code in str(one.get("content")).lower() for one in request.messages)


def _lock(secrets: Secrets) -> MiddlewareFactory:
    """Refuse the model list to a key that asked for /version, as a client does that probes for other servers."""
    locked: set[str] = set()

    def is_locked(request: Request) -> bool:
        if request.path == f"{BASE}/version" and request.secret == secrets["GT_EMBEDDED_EDITOR"]:
            locked.add(request.secret)
        return MODELS(request) and request.secret in locked

    return change_responses(is_locked, lambda *_: error_response(403, "Too many unknown routes: the key is locked."))


def _give_own_key(document: TenantFile) -> TenantFile:
    """Give Hermes, which probes for other servers, a key of its own, so that what happens to that key is separate.

    The key was never rotated: nothing can be said of its rotation.
    """
    keys = {**document["keys"], "editor": _EDITOR}
    return {**document, "keys": keys, "runbooks": {**document["runbooks"], "hermes": {"key": "editor"}}}


def _share_key(document: TenantFile) -> TenantFile:
    """Give another client the key that Cursor has for itself."""
    return {**document, "runbooks": {**document["runbooks"], "continue": {"key": "cursor"}}}


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.header("accept-encoding")


def _sends_instructions_with_a_limit(request: Request) -> bool:
    return has_role("system")(request) and has_field("max_tokens", "max_completion_tokens")(request)


def _has_a_dash(tool: Mapping[str, Any]) -> bool:
    return "-" in tool["function"]["name"]


def _takes_nothing(tool: Mapping[str, Any]) -> bool:
    return not tool["function"]["parameters"]["properties"]


def _names_a_draft(tool: Mapping[str, Any]) -> bool:
    return "$schema" in tool["function"]["parameters"]


def _has_two_types(tool: Mapping[str, Any]) -> bool:
    return any(isinstance(value.get("type"), list) for value in tool["function"]["parameters"]["properties"].values())


def _offers_a_tool(odd: Callable[[Mapping[str, Any]], bool]) -> Predicate:
    """Whether it is a chat that offers such a tool."""
    return lambda request: CHAT(request) and any(map(odd, request.fields.get("tools", ())))


FAULTS = (
    fault(
        "instructions-with-a-limit-refused",
        "A chat with a system prompt and a token limit is refused; each alone is accepted.",
        respond_with(_sends_instructions_with_a_limit, error_response(400, "Invalid combination of parameters.")),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "gzip-in-label-only",
        "A client that takes gzip gets answers that are labelled so, and are not compressed.",
        change_headers(lambda headers: {**headers, "content-encoding": "gzip"}, _takes_gzip),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "gzip-without-label",
        "A client that takes gzip gets compressed answers that are not labelled so.",
        change_responses(
            _takes_gzip,
            lambda _, response: response.with_body(gzip.compress(response.body)) if response.succeeded else response,
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "gzip-in-label-of-whole-chats",
        "Chats in one piece are labelled as gzip for clients that take it, and are not compressed.",
        change_headers(
            lambda headers: {**headers, "content-encoding": "gzip"},
            lambda request: _takes_gzip(request) and is_whole_chat(request),
        ),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "brotli-unasked",
        "A proxy before the tenant compresses answers as br, whatever the client takes.",
        change_headers(
            lambda headers: {**headers, "content-encoding": "br"},
            lambda request: CHAT(request) and bool(request.fields.get("tools")),
        ),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "user-agents-of-sdks-refused",
        "A firewall before the tenant refuses chats of programs that call themselves OpenAI's SDKs.",
        respond_with(
            lambda request: CHAT(request) and "OpenAI/" in request.header("user-agent"),
            error_response(403, "Automated clients are not permitted."),
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    *(
        fault(
            f"{name}-of-prompts-refused",
            f"A firewall before the tenant takes {what} in a prompt for an attack.",
            respond_with(_holds(code), web_page(403)),
            caught_by="chat.message_forms",
            breaks=("C1", "R1"),
        )
        for name, what, code in (
            ("html", "HTML", "<script"),
            ("sql", "SQL", "select id from"),
            ("paths", "a path that leads up", "../../"),
        )
    ),
    fault(
        "templates-in-prompts-500",
        "A gateway takes prompts for templates of its own, and fails at braces that name nothing.",
        respond_with(_holds("{{"), error_response(500, "KeyError: 'user'")),
        caught_by="chat.message_forms",
        breaks=("C1", "R1"),
    ),
    fault(
        "chats-of-20-messages-at-most",
        "A chat of more than 20 messages, as agents send their sessions, is refused.",
        respond_with(
            lambda request: CHAT(request) and len(request.messages) > _MOST_MESSAGES,
            error_response(400, "The list of messages is too long.", "invalid_request_error"),
        ),
        caught_by="chat.client_load",
        breaks=("C1", "R1"),
    ),
    fault(
        "embeddings-of-32-at-most",
        "More than 32 texts in one request are refused.",
        respond_with(
            lambda request: EMBEDDINGS(request) and len(request.fields.get("input", ())) > 32,
            error_response(422, "batch size 40 > maximum allowed batch size 32"),
        ),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-96-at-most",
        "More than 96 texts to embed are refused, as Cohere's API does: LlamaIndex sends 100.",
        respond_with(
            lambda request: EMBEDDINGS(request) and len(request.fields.get("input", ())) > 96,
            error_response(400, "invalid request: total number of texts must be at most 96."),
        ),
        caught_by="embeddings.client_batch",
        breaks=("E1", "R1"),
    ),
    fault(
        "large-bodies-refused",
        "A proxy before the tenant refuses requests of more than 32 kB.",
        respond_with(
            lambda request: CHAT(request) and len(request.body) > 32_000,
            error_response(413, "Request entity too large."),
        ),
        caught_by="chat.client_load",
        breaks=("R1",),
    ),
    fault(
        "unversioned-large-bodies-refused",
        "A proxy before the tenant refuses chats of more than 32 kB by the un-versioned path, which clients call.",
        respond_with(
            lambda request: CHAT(request) and "/v1/" not in request.path and len(request.body) > 32_000,
            error_response(413, "Request entity too large."),
        ),
        caught_by="chat.client_load",
        breaks=("R1",),
    ),
    fault(
        "large-streams-come-whole",
        "A gateway that inspects large bodies answers a chat of more than 8 kB that is to be streamed in one piece.",
        change_requests(
            lambda request: is_stream(request) and len(request.body) > 8_000,
            lambda body: body.replace(b'"stream":true', b'"stream":false'),
        ),
        caught_by="chat.client_load",
        breaks=("R1",),
    ),
    fault(
        "large-chats-say-nothing",
        "The answer to a chat of more than 8 kB has no text.",
        change_json(
            lambda request: is_whole_chat(request) and len(request.body) > 8_000,
            change_choice(lambda choice: choice.update(message={"role": "assistant", "content": ""})),
        ),
        caught_by="chat.client_load",
        breaks=("R1", "C1"),
    ),
    fault(
        "long-system-prompts-refused",
        "A chat with a system prompt of more than 20,000 characters is refused.",
        respond_with(_has_long_prompt, error_response(400, "The system prompt is too long.")),
        caught_by="chat.client_load",
        breaks=("R1",),
    ),
    fault(
        "many-tools-refused",
        "A chat that offers more than 16 tools is refused.",
        respond_with(
            lambda request: CHAT(request) and len(request.fields.get("tools", ())) > 16,
            error_response(400, "Too many tools."),
        ),
        caught_by="chat.client_load",
        breaks=("R1",),
    ),
    *(
        fault(
            name,
            f"A chat that offers a tool {what} is refused.",
            refuse(_offers_a_tool(odd), error_response(400, "One of the tools cannot be passed on.")),
            caught_by="chat.client_load",
            breaks=("R1",),
        )
        for name, what, odd in (
            ("tools-with-dashes-refused", "with a dash in its name", _has_a_dash),
            ("tools-without-parameters-refused", "that takes no parameters", _takes_nothing),
            ("tools-with-a-draft-refused", "whose parameters name the draft of their JSON Schema", _names_a_draft),
            ("tools-with-two-types-refused", "with a parameter of two types", _has_two_types),
        )
    ),
    fault(
        "looks-like-another-server",
        "Paths of another server's API are answered with 200, and a client takes the tenant for it.",
        change_responses(
            lambda request: request.path.endswith(("/api/tags", "/api/v1/models")),
            lambda *_: json_response(200, {"models": []}),
        ),
        caught_by="client.discovery",
        breaks=("R1",),
    ),
    fault(
        "paths-of-another-server-list-names",
        "A path of another server's API, which clients ask for, lists published names to anybody.",
        change_responses(
            lambda request: request.path.endswith("/api/tags"),
            lambda *_: json_response(200, {"models": [{"name": "field-analyst"}]}),
        ),
        caught_by="client.discovery",
        breaks=("M7",),
    ),
    fault(
        "looking-around-locks-the-key",
        "A key whose client asks for unknown paths is locked.",
        with_secrets(_lock),
        tenant_file=_give_own_key,
        caught_by="client.discovery",
        breaks=("R1",),
    ),
    fault(
        "one-key-for-two-clients",
        "Two clients share one key.",
        tenant_file=_share_key,
        caught_by="key.dedicated",
        breaks=("K24",),
    ),
)

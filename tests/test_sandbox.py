"""The embedded tenant's API over real HTTP: keys, names, every route, and every refusal."""

import base64
import json
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest

from gt_conformance.tenant import TenantKind, from_mapping
from gt_sandbox import EmbeddedTenant
from gt_sandbox.accounts import INTERNAL_DATASETS, MARKERS
from gt_sandbox.conversations import StoredFile
from gt_sandbox.faults import select_faults
from gt_sandbox.tenant_file import with_markers
from tests.commands import DEADLINE_S

HI = [{"role": "user", "content": "Reply with the word pong."}]
CHAT: dict[str, Any] = {"model": "field-analyst", "messages": HI}
MODEL = "field-analyst"
HEADER = "X-GT-Conversation-Id"
NOTE = {"file": ("note.txt", b"a note", "text/plain")}
ROUTES = (
    ("GET", "/models"),
    ("POST", "/chat/completions"),
    ("POST", "/embeddings"),
    ("POST", "/audio/transcriptions"),
    ("POST", "/audio/speech"),
    ("POST", "/images/generations"),
    ("POST", "/conversations"),
    ("POST", "/conversations/files"),
    ("POST", "/datasets/scratch-briefs/files"),
    ("GET", "/files/file_1"),
    ("GET", "/uploads/file_1"),
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Ask(Protocol):
    """``ask(key, method, path, ...)``: one request with the key of that name, or with none."""

    def __call__(self, key: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Send it, and return the answer."""
        ...


@pytest.fixture(scope="module")
def tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the whole module: no test depends on what another has left there."""
    with EmbeddedTenant() as running:
        yield running


@pytest.fixture(scope="module")
def ask(tenant: EmbeddedTenant) -> Iterator[Ask]:
    """Requests below /v1; a path that begins with ``~`` is taken from the base URL itself."""
    with httpx.Client(trust_env=False) as client:

        def ask(key: str | None, method: str, path: str, **options: Any) -> httpx.Response:
            headers = dict(options.pop("headers", {}))
            if key:
                headers["Authorization"] = "Bearer " + tenant.secrets["GT_EMBEDDED_" + key.upper().replace("-", "_")]
            url = tenant.base_url + (path[1:] if path.startswith("~") else "/v1" + path)
            return client.request(method, url, headers=headers, **options)

        yield ask


def is_error(answer: httpx.Response, status: int, param: str | None = None) -> bool:
    """Whether the answer is OpenAI's error object with that status, naming that field."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code == status and (param is None or error["param"] == param)


def events(answer: httpx.Response) -> list[Any]:
    """The chunks of a stream whose framing is exactly what the narrowest client takes."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "\r" not in answer.text
    *data, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in data]


# ---- addresses, keys, names


@pytest.mark.parametrize("prefix", ["", "~"])
def test_both_address_forms_reach_the_routes(ask: Ask, prefix: str) -> None:
    """The routes answer with and without /v1."""
    assert ask("rag", "GET", f"{prefix}/models").json()["data"][0]["id"] == MODEL
    completion = ask("rag", "POST", f"{prefix}/chat/completions", json=CHAT).json()
    assert completion["choices"][0]["message"]["content"] == "pong"
    assert ask("rag", "POST", f"{prefix}/embeddings", json={"model": MODEL, "input": "x"}).status_code == 200


def test_versioned_only_serves_nothing_without_v1() -> None:
    """A tenant started as versioned only answers 404 where /v1 is missing."""
    middleware = select_faults(["versioned-only"]).middleware
    with EmbeddedTenant(middleware=middleware) as running, httpx.Client(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {running.secrets['GT_EMBEDDED_CHAT']}"}
        assert client.get(running.base_url + "/v1/models", headers=headers).status_code == 200
        assert is_error(client.get(running.base_url + "/models", headers=headers), 404)


@pytest.mark.parametrize(
    "given",
    ["nothing", "unknown", "malformed", "bare", "basic", "query", "api-key", "retired", "revoked", "twice", "spaces"],
)
def test_without_a_live_key_nothing_is_reached(tenant: EmbeddedTenant, ask: Ask, given: str) -> None:
    """Every route, unknown ones included, answers 401 unless one live key is presented as a bearer token."""
    live = tenant.secrets["GT_EMBEDDED_FULL"]
    headers = {
        "unknown": {"Authorization": "Bearer gtak_" + "x" * 40},
        "malformed": {"Authorization": "Bearer"},
        "bare": {"Authorization": live},
        "basic": {"Authorization": f"Basic {live}"},
        "api-key": {"X-Api-Key": live},
        "retired": {"Authorization": f"Bearer {tenant.secrets['GT_EMBEDDED_CHAT_OLD']}"},
        "revoked": {"Authorization": f"Bearer {tenant.secrets['GT_EMBEDDED_GONE']}"},
        "twice": {"Authorization": f"Bearer {live}", "authorization": f"Bearer {live}"},
        "spaces": {"Authorization": f"Bearer  {live}"},
    }
    params = {"api_key": live, "key": live} if given == "query" else None
    for method, path in (*ROUTES, ("GET", "/no-such-route"), ("OPTIONS", "/models"), ("GET", "~")):
        answer = ask(None, method, path, headers=headers.get(given, {}), params=params)
        assert is_error(answer, 401), path
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("chat", [MODEL]),
        ("full", [MODEL, "gt-large-raw"]),
        ("upload", []),
        ("app", [MODEL]),
        ("partner-chat", ["desk-assistant"]),
        ("partner", ["desk-assistant"]),
    ],
)
def test_a_key_lists_its_own_names_only(ask: Ask, key: str, names: list[str]) -> None:
    """The model list is the key's allowlist: inherited for a conversation key, empty for an upload key."""
    listing = ask(key, "GET", "/models").json()
    assert [entry["id"] for entry in listing["data"]] == names
    assert listing["object"] == "list"
    assert all(entry["object"] == "model" and isinstance(entry["created"], int) for entry in listing["data"])


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        ("chat", {"/chat/completions"}),
        ("rag", {"/chat/completions", "/embeddings"}),
        ("upload", {"/datasets/scratch-briefs/files", "/conversations/files"}),
        ("editor", {"/chat/completions"}),
        ("voice", {"/chat/completions", "/audio/transcriptions", "/audio/speech"}),
        ("image", {"/images/generations"}),
        (
            "app",
            {
                "/chat/completions",
                "/embeddings",
                "/conversations",
                "/conversations/files",
                "/datasets/scratch-briefs/files",
            },
        ),
    ],
)
def test_each_scope_opens_its_own_routes_only(ask: Ask, key: str, paths: set[str]) -> None:
    """A key gets a 403 on each route that it lacks the scope for, whatever the body."""
    answers = {path: ask(key, method, path) for method, path in ROUTES if method == "POST"}
    assert {path for path, answer in answers.items() if not is_error(answer, 403)} == paths


@pytest.mark.parametrize("name", ["agent-7f3a", "desk-assistant", "no-such-model"])
def test_names_that_a_key_may_not_use_all_look_alike(ask: Ask, name: str) -> None:
    """An internal id, a name outside the allowlist and an invented one get the same 404 on every inference route."""
    answers = [
        ask("full", "POST", "/chat/completions", json={"model": name, "messages": HI}),
        ask("full", "POST", "/embeddings", json={"model": name, "input": "x"}),
        ask("full", "POST", "/audio/speech", json={"model": name, "input": "x"}),
        ask("full", "POST", "/images/generations", json={"model": name, "prompt": "x"}),
        ask("full", "POST", "/audio/transcriptions", data={"model": name}, files=NOTE),
        ask("app", "POST", "/conversations", json={"model": name}),
    ]
    assert all(is_error(answer, 404, "model") for answer in answers)
    assert len({answer.text for answer in answers}) == 1
    assert name not in answers[0].text


def test_a_name_is_refused_where_it_lacks_the_ability(ask: Ask) -> None:
    """A published chat model asked for an image is a 400 that names the model."""
    answer = ask("full", "POST", "/images/generations", json={"model": "gt-large-raw", "prompt": "x"})
    assert is_error(answer, 400, "model")


# ---- what is refused


@pytest.mark.parametrize("path", ["/files", "/assistants", "/threads", "/responses", "/completions", "/models/x"])
@pytest.mark.parametrize("prefix", ["", "~"])
def test_vendor_routes_are_absent(ask: Ask, path: str, prefix: str) -> None:
    """What OpenAI has and GT has not is a JSON 404."""
    assert is_error(ask("full", "POST", prefix + path, json={"model": MODEL, "input": "x"}), 404)


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/tags", "/v1/props", "/props", "/version", "/models/", "/"])
def test_discovery_of_other_products_finds_nothing(ask: Ask, path: str) -> None:
    """Probes for LM Studio, Ollama, llama.cpp and vLLM get a 401 without the key and a 404 with it, no redirect."""
    assert is_error(ask(None, "GET", "~" + path), 401)
    assert is_error(ask("chat", "GET", "~" + path), 404)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST", "OPTIONS"])
def test_a_wrong_method_is_told_the_right_one(ask: Ask, method: str) -> None:
    """A route called with a method that it does not take answers 405 with Allow."""
    answer = ask("chat", method, "/models")
    assert is_error(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
@pytest.mark.parametrize("key", ["chat", None])
def test_a_browser_origin_is_never_welcome(ask: Ask, key: str | None, method: str) -> None:
    """No answer to a foreign origin carries any CORS header."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = ask(key, method, "/chat/completions", headers=headers, json=CHAT)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"model": "field-analyst", "temperature": NaN}', None),
        (b'{"model": "field-analyst", "temperature": 1e999}', None),
        (b'{"model": "field-analyst", "messages": [{"role": "user", "content": "\\ud800"}]}', None),
        (b'{"messages": []}', "model"),
        (b'{"model": 7}', "model"),
        (b'{"model": "field-analyst"}', "messages"),
        (b'{"model": "field-analyst", "messages": []}', "messages"),
        (b'{"model": "field-analyst", "messages": "hi"}', "messages"),
        (b'{"model": "field-analyst", "messages": ["hi"]}', "messages[0]"),
        (b'{"model": "field-analyst", "messages": [{}]}', "messages[0].role"),
        (b'{"model": "field-analyst", "messages": [{"role": "user"}]}', "messages[0].content"),
        (b'{"model": "field-analyst", "messages": [{"role": "user", "content": [{}]}]}', "messages[0].content"),
        (b'{"model": "field-analyst", "messages": [{"role": "tool", "content": "x"}]}', "messages[0].tool_call_id"),
        (b'{"model": "field-analyst", "messages": [{"role": "assistant", "tool_calls": 1}]}', "messages[0].tool_calls"),
    ],
)
def test_a_bad_chat_body_is_a_400_that_names_the_field(ask: Ask, body: bytes, param: str | None) -> None:
    """Broken JSON and wrong types are refused with a 400, never a 500."""
    assert is_error(ask("chat", "POST", "/chat/completions", content=body), 400, param)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("n", 0),
        ("temperature", 2.1),
        ("temperature", True),
        ("top_p", -1),
        ("seed", "x"),
        ("user", 7),
        ("stop", [1]),
        ("stop", ["a"] * 5),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_completion_tokens", -1),
        ("stream", "yes"),
        ("stream_options", []),
        ("parallel_tool_calls", 1),
        ("tools", {}),
        ("tool_choice", "sometimes"),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "no_such_tool"}}),
        ("response_format", "json"),
        ("response_format", {"type": "xml"}),
        ("response_format", {"type": 7}),
        ("response_format", {"type": "json_schema"}),
    ],
)
def test_a_bad_chat_option_is_a_400_that_names_it(ask: Ask, field: str, value: object) -> None:
    """Each option out of range or of the wrong type is refused, naming the option."""
    answer = ask("chat", "POST", "/chat/completions", json={**CHAT, field: value})
    assert is_error(answer, 400, field)


@pytest.mark.parametrize(
    "given",
    [[], "", None, [""], [[]], ["x", [1]], [1, "x"], [True], 7, [{}], [[1, -1]], ["x"] * 2049],
    ids=lambda given: f"{given!r:.12}",
)
def test_a_bad_embedding_input_is_a_400(ask: Ask, given: object) -> None:
    """An input that is neither texts nor token ids is refused, naming the field."""
    assert is_error(ask("rag", "POST", "/embeddings", json={"model": MODEL, "input": given}), 400, "input")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/embeddings", {"input": "x", "dimensions": 65}, "dimensions"),
        ("/embeddings", {"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ("/audio/speech", {}, "input"),
        ("/audio/speech", {"input": "x", "response_format": "mp3"}, "response_format"),
        ("/audio/speech", {"input": "x" * 4097}, "input"),
        ("/images/generations", {}, "prompt"),
        ("/images/generations", {"prompt": "x", "n": 2}, "n"),
        ("/images/generations", {"prompt": "x", "response_format": "url"}, "response_format"),
        ("/images/generations", {"prompt": "x", "size": "4096x1"}, "size"),
    ],
)
def test_other_bad_options_are_a_400_too(ask: Ask, path: str, body: dict[str, object], param: str) -> None:
    """What a route cannot do is refused, naming the option, and not silently ignored."""
    assert is_error(ask("full", "POST", path, json={"model": MODEL, **body}), 400, param)


def test_a_form_without_its_file_is_a_400(ask: Ask) -> None:
    """A multipart route refuses a form without a file, an empty file, JSON, and a form that breaks off."""
    broken = {"content": b"--x\r\nContent-Disp", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    for key, path in (("voice", "/audio/transcriptions"), ("upload", "/datasets/scratch-briefs/files")):
        assert is_error(ask(key, "POST", path, data={"model": MODEL}), 400, "file")
        assert is_error(ask(key, "POST", path, files={"other": ("a", b"x")}), 400, "file")
        assert is_error(ask(key, "POST", path, files={"file": ("a", b"")}), 400, "file")
        assert is_error(ask(key, "POST", path, json={"file": "x"}), 400, "file")
        assert is_error(ask(key, "POST", path, **broken), 400)


def test_a_body_may_hold_25_mebibytes(ask: Ask) -> None:
    """A larger body is refused with a 413, announced or streamed."""
    size = 25 * 1024 * 1024 + 1
    assert is_error(ask("chat", "POST", "/chat/completions", content=b"x" * size), 413)
    pieces = (b"x" * 65_536 for _ in range(size // 65_536 + 1))
    assert is_error(ask("chat", "POST", "/chat/completions", content=pieces), 413)


def test_no_answer_repeats_a_secret(tenant: EmbeddedTenant, ask: Ask) -> None:
    """A secret sent as model, option, path, query or header comes back in no answer."""
    secret = tenant.secrets["GT_EMBEDDED_FULL"]
    answers = [
        ask("full", "POST", "/chat/completions", json={"model": secret, "messages": HI}),
        ask("full", "POST", "/chat/completions", json={**CHAT, "stop": [secret] * 9}),
        ask("full", "POST", "/chat/completions", json=CHAT, headers={HEADER: secret}),
        ask("full", "GET", f"/{secret}"),
        ask("full", "GET", f"/files/{secret}", params={"key": secret}),
        ask(None, "GET", "/models", headers={"Authorization": f"Basic {secret}"}),
    ]
    assert not [answer for answer in answers if secret[5:] in answer.text + str(answer.headers)]


# ---- chat


def test_a_completion_has_openais_shape(ask: Ask) -> None:
    """A chat answers with one assistant message, the published name, and usage that adds up."""
    answer = ask("chat", "POST", "/chat/completions", json={**CHAT, "an_unknown_field": 1}).json()
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "pong", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be terse."}, *HI],
        [{"role": "developer", "content": "Be terse."}, *HI],
        [*HI, {"role": "assistant", "content": "pong"}, *HI],
        [{"role": "user", "content": "Hello."}, *HI],
        [{"role": "user", "content": [{"type": "text", "text": "Hello."}, {"type": "text", "text": HI[0]["content"]}]}],
        [
            {"role": "user", "content": "Hello."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "done"},
            *HI,
        ],
    ],
    ids=["system", "developer", "assistant", "two-users", "parts", "tools"],
)
def test_every_form_of_message_is_taken(ask: Ask, messages: list[object]) -> None:
    """All roles, text parts, two user messages in a row and earlier tool calls complete."""
    answer = ask("chat", "POST", "/chat/completions", json={"model": MODEL, "messages": messages})
    assert answer.json()["choices"][0]["message"]["content"] == "pong"


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0, "top_p": 1, "seed": 7, "user": "someone", "n": 1, "parallel_tool_calls": True},
        {"stop": "END"},
        {"stop": ["END", "STOP"], "stream": False},
        {"max_tokens": 65_536},
        {"max_completion_tokens": 5},
        {"stream": None, "tools": None, "tool_choice": None, "response_format": None, "stop": None},
        {"response_format": {"type": "text"}},
    ],
    ids="-".join,
)
def test_every_option_of_a_client_is_taken(ask: Ask, options: dict[str, object]) -> None:
    """What real clients send beside the messages is accepted, and null counts as absent."""
    answer = ask("chat", "POST", "/chat/completions", json={**CHAT, **options}).json()
    assert answer["choices"][0]["message"]["content"] == "pong"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_answer(ask: Ask, field: str) -> None:
    """An answer is cut to the limit, says so in finish_reason, and counts what it kept."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "What is the capital of France?"}], field: 3}
    answer = ask("chat", "POST", "/chat/completions", json=body).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"].split() == ["I", "do", "not"]
    assert answer["usage"]["completion_tokens"] == 3


def test_a_stop_text_ends_the_answer(ask: Ask) -> None:
    """Nothing from the stop text on is answered."""
    body = {**CHAT, "messages": [{"role": "user", "content": 'Say "one two three".'}], "stop": [" two"]}
    assert ask("chat", "POST", "/chat/completions", json=body).json()["choices"][0]["message"]["content"] == "one"


def test_a_stream_joins_to_the_whole_answer(ask: Ask) -> None:
    """The role comes once, then several deltas, one finish, the usage where it was asked for, and [DONE]."""
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, usage = events(ask("chat", "POST", "/chat/completions", json=body))
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert not [choice for choice in choices[1:] if "role" in choice["delta"]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "pong"
    assert len(choices) >= 4
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}


def test_a_stream_without_usage_says_nothing_of_it(ask: Ask) -> None:
    """Where usage was not asked for, no chunk mentions it."""
    chunks = events(ask("chat", "POST", "/chat/completions", json={**CHAT, "stream": True}))
    assert not [chunk for chunk in chunks if "usage" in chunk or not chunk["choices"]]


def test_a_stream_is_spread_over_time(tenant: EmbeddedTenant) -> None:
    """Chunks arrive one after another and not in one burst."""
    body = {**CHAT, "messages": [{"role": "user", "content": "What is this?"}], "stream": True}
    headers = {"Authorization": f"Bearer {tenant.secrets['GT_EMBEDDED_CHAT']}"}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{tenant.base_url}/chat/completions", json=body, headers=headers) as answer,
    ):
        arrivals = [time.perf_counter() for _ in answer.iter_raw()]
    assert len(arrivals) > 4
    assert arrivals[-1] - arrivals[0] > 0.015


@pytest.mark.parametrize(
    "choice", [None, "auto", "required", {"type": "function", "function": {"name": "get_weather"}}], ids=str
)
def test_a_tool_call_goes_round(ask: Ask, choice: object) -> None:
    """A tool that is asked for or forced is called with fitting arguments, and its result is answered with."""
    messages: list[object] = [{"role": "user", "content": "What is the weather in Paris?"}]
    body = {"model": MODEL, "messages": messages, "tools": [WEATHER], "tool_choice": choice}
    first = ask("chat", "POST", "/chat/completions", json=body).json()["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    assert first["message"]["content"] is None
    (call,) = first["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    messages += [first["message"], {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}]
    second = ask("chat", "POST", "/chat/completions", json={**body, "tool_choice": "auto"}).json()["choices"][0]
    assert second["finish_reason"] == "stop"
    assert "21 degrees" in second["message"]["content"]


def test_a_tool_call_streams_in_fragments(ask: Ask) -> None:
    """The first fragment names the call, the others continue its arguments under the same index."""
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    body = {"model": MODEL, "messages": messages, "tools": [WEATHER], "stream": True}
    chunks = events(ask("chat", "POST", "/chat/completions", json=body))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    first, *others = [part for delta in deltas for part in delta.get("tool_calls", [])]
    assert deltas[0] == {"role": "assistant", "content": None}
    assert first["function"] == {"name": "get_weather", "arguments": ""}
    assert first["id"].startswith("call_")
    assert [set(part) for part in others] == [{"index", "function"}] * len(others)
    assert json.loads("".join(part["function"]["arguments"] for part in others)) == {"city": "Paris"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_structured_output_fits_its_schema(ask: Ask) -> None:
    """A json_schema format is answered with JSON that fits it, json_object with some object."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}}
    messages = [{"role": "user", "content": "Describe the city of Lyon."}]
    body = {"model": MODEL, "messages": messages, "response_format": form}
    content = ask("chat", "POST", "/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {"city": "Lyon", "people": 1}
    content = ask("chat", "POST", "/chat/completions", json={**body, "response_format": {"type": "json_object"}}).json()
    assert isinstance(json.loads(content["choices"][0]["message"]["content"]), dict)


def test_a_request_of_a_coding_agents_size_is_answered(ask: Ask) -> None:
    """A long system prompt of plain English with 28 tools draws no tool call from a plain request."""
    system = "You are an agent; the rules are: be brief, and remember that all files are yours to read. " * 600
    tools = [
        {"type": "function", "function": {"name": f"tool_{number}", "description": system[:300], "parameters": {}}}
        for number in range(28)
    ]
    body = {"model": MODEL, "messages": [{"role": "system", "content": system}, *HI], "tools": tools}
    answer = ask("chat", "POST", "/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "pong"


# ---- embeddings, audio, images


def test_embeddings_are_unit_vectors_in_either_encoding(ask: Ask) -> None:
    """The same input gives the same unit vector as floats and as base64; other inputs give others."""
    body = {"model": MODEL, "input": ["alpha", "beta", "alpha"]}
    answer = ask("rag", "POST", "/embeddings", json=body).json()
    packed = ask("rag", "POST", "/embeddings", json={**body, "encoding_format": "base64"}).json()["data"]
    floats = [item["embedding"] for item in answer["data"]]
    assert [list(struct.unpack("<64f", base64.b64decode(item["embedding"]))) for item in packed] == floats
    assert floats[0] == floats[2] != floats[1]
    assert all(abs(sum(value * value for value in vector) - 1) < 1e-6 for vector in floats)
    assert [item["index"] for item in answer["data"]] == [0, 1, 2]
    assert (answer["model"], answer["usage"]) == (MODEL, {"prompt_tokens": 3, "total_tokens": 3})


@pytest.mark.parametrize(
    ("given", "items", "tokens"),
    [("two words", 1, 2), (["a", "b"], 2, 2), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3)],
    ids=["text", "texts", "ids", "lists-of-ids"],
)
def test_embeddings_take_texts_and_token_ids(ask: Ask, given: object, items: int, tokens: int) -> None:
    """A text, texts, token ids and lists of token ids each give one vector an input."""
    answer = ask("rag", "POST", "/embeddings", json={"model": MODEL, "input": given, "dimensions": 8}).json()
    assert [len(item["embedding"]) for item in answer["data"]] == [8] * items
    assert all(abs(sum(value * value for value in item["embedding"]) - 1) < 1e-6 for item in answer["data"])
    assert answer["usage"]["total_tokens"] == tokens


def test_speech_can_be_transcribed(ask: Ask) -> None:
    """Speech is a WAVE file, which transcription accepts and measures in each of its formats."""
    speech = ask("voice", "POST", "/audio/speech", json={"model": MODEL, "input": "hello", "voice": "alloy"})
    assert speech.headers["content-type"] == "audio/wav"
    assert (speech.content[:4], speech.content[8:16]) == (b"RIFF", b"WAVEfmt ")
    text = "A recording of 0.2 seconds."
    for style, expected in ((None, text), ("json", text), ("verbose_json", text), ("text", text + "\n")):
        form = {"model": MODEL} | ({"response_format": style} if style else {})
        answer = ask("voice", "POST", "/audio/transcriptions", data=form, files={"file": ("a.wav", speech.content)})
        assert (answer.text if style == "text" else answer.json()["text"]) == expected
        assert style != "verbose_json" or answer.json()["duration"] == 0.2


@pytest.mark.parametrize(
    ("form", "content", "param"),
    [
        ({"model": MODEL}, b"no audio at all", "file"),
        ({"model": MODEL}, b"RIFF\0\0\0\0WAVEdata", "file"),
        ({"model": MODEL, "response_format": "srt"}, b"ID3", "response_format"),
        ({"model": ""}, b"ID3", "model"),
        ({}, b"ID3", "model"),
    ],
    ids=["text", "damaged", "format", "empty-model", "no-model"],
)
def test_a_bad_transcription_is_a_400(ask: Ask, form: dict[str, str], content: bytes, param: str) -> None:
    """What is no audio, an unknown format and an empty model are refused, naming the field."""
    answer = ask("voice", "POST", "/audio/transcriptions", data=form, files={"file": ("a.wav", content)})
    assert is_error(answer, 400, param)


@pytest.mark.parametrize(("size", "pixels"), [(None, (64, 64)), ("auto", (64, 64)), ("100x50", (100, 50))])
def test_an_image_is_a_real_png(ask: Ask, size: str | None, pixels: tuple[int, int]) -> None:
    """An image is a PNG of the size asked for, with sound checksums and rows that fill it."""
    body = {"model": MODEL, "prompt": "a cat", "size": size, "n": 1}
    png = base64.b64decode(ask("image", "POST", "/images/generations", json=body).json()["data"][0]["b64_json"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        chunks[kind] = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + chunks[kind])
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack_from(">II", chunks[b"IHDR"]) == pixels
    assert len(zlib.decompress(chunks[b"IDAT"])) == pixels[1] * (1 + -(-pixels[0] // 8))


# ---- conversations and files


def converse(ask: Ask, key: str, conversation: str | None, text: str) -> str:
    """What the tenant says to that, in that conversation or statelessly."""
    headers = {HEADER: conversation} if conversation else {}
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    answer = ask(key, "POST", "/chat/completions", json=body, headers=headers)
    assert answer.headers.get(HEADER) == conversation
    content = answer.json()["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


STATES = ("uploaded", "processing", "ready")


def settled(ask: Ask, key: str, file_id: str) -> list[str]:
    """The states that a file goes through until it is ready."""
    states: list[str] = []
    deadline = time.monotonic() + DEADLINE_S
    while "ready" not in states and time.monotonic() < deadline:
        state = ask(key, "GET", f"/files/{file_id}").json()["status"]
        assert ask(key, "GET", f"/uploads/{file_id}").json()["id"] == file_id
        states += [state] if state not in states else []
    return states


OPENERS = (("app", MODEL), ("partner", "desk-assistant"))
PROMPTED = {"rag": set(MARKERS), "app": set(MARKERS), "chat": {"base_prompt"}}


def test_a_file_goes_through_its_states_by_the_clock() -> None:
    """Uploaded, processing, ready: each for its time, and none again."""
    stored = StoredFile("file_1", "app", "note.txt", 6, "A note", "dataset", 0, accepted=100.0)
    seen = [str(stored.answer(100.0 + age / 100)["status"]) for age in range(30)]
    assert tuple(dict.fromkeys(seen)) == STATES
    assert seen == sorted(seen, key=STATES.index)


def test_a_conversation_remembers(ask: Ask) -> None:
    """A fact given under a conversation's id is known under that id, and nowhere else."""
    made = ask("app", "POST", "/conversations", json={"model": MODEL, "title": "A talk"})
    conversation = made.json()["id"]
    assert made.status_code == 201
    assert conversation.startswith("conv_")
    assert made.headers[HEADER] == conversation
    assert made.json().items() >= {"object": "conversation", "model": MODEL, "title": "A talk"}.items()
    converse(ask, "app", conversation, "Remember: the code word is ZEBRA-42. Reply with OK.")
    assert "ZEBRA-42" in converse(ask, "app", conversation, "What is the code word?")
    assert "ZEBRA-42" not in converse(ask, "app", None, "What is the code word?")
    other = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    assert "ZEBRA-42" not in converse(ask, "app", other, "What is the code word?")


def test_a_streamed_turn_is_remembered_too(ask: Ask) -> None:
    """A stream carries the conversation's id in its header, and what was said in it stays known."""
    conversation = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    messages = [{"role": "user", "content": "Remember: the code word is ZEBRA-42."}]
    body = {"model": MODEL, "messages": messages, "stream": True}
    answer = ask("app", "POST", "/chat/completions", json=body, headers={HEADER: conversation})
    assert answer.headers[HEADER] == conversation
    assert events(answer)
    assert "ZEBRA-42" in converse(ask, "app", conversation, "What is the code word?")


@pytest.mark.parametrize("key", ["chat", "upload"])
def test_only_a_conversation_key_opens_conversations(ask: Ask, key: str) -> None:
    """Inference and upload keys get a 403, and the conversation key a 400 without a model."""
    assert is_error(ask(key, "POST", "/conversations", json={"model": MODEL}), 403)
    assert is_error(ask("app", "POST", "/conversations", json={}), 400, "model")


def test_a_conversation_belongs_to_its_key(ask: Ask) -> None:
    """Another key's conversation and an unknown one get the same 404, in chat and in uploads."""
    foreign = ask("partner", "POST", "/conversations", json={"model": "desk-assistant"}).json()["id"]
    answers = [
        ask("app", "POST", path, headers={HEADER: wanted}, **body)
        for wanted in (foreign, "conv_unknown")
        for path, body in (("/chat/completions", {"json": CHAT}), ("/conversations/files", {"files": NOTE}))
    ]
    assert all(is_error(answer, 404, HEADER) for answer in answers)
    assert len({answer.text for answer in answers}) == 1


def test_a_linked_upload_key_uploads_into_its_conversation_and_does_not_read_it(ask: Ask) -> None:
    """By a right of its own; into a conversation of a key that is not linked to it, it does not."""
    opened = {key: ask(key, "POST", "/conversations", json={"model": model}).json()["id"] for key, model in OPENERS}
    sent = ask("upload", "POST", "/conversations/files", headers={HEADER: opened["app"]}, files=NOTE)
    assert (sent.status_code, sent.headers[HEADER]) == (202, opened["app"])
    foreign = ask("upload", "POST", "/conversations/files", headers={HEADER: opened["partner"]}, files=NOTE)
    assert is_error(foreign, 404, HEADER)
    assert is_error(ask("rag", "POST", "/chat/completions", headers={HEADER: opened["app"]}, json=CHAT), 404, HEADER)


@pytest.mark.parametrize(("key", "kinds"), PROMPTED.items())
def test_texts_are_put_before_the_chats_of_their_keys(ask: Ask, key: str, kinds: set[str]) -> None:
    """The agent's base prompt, and what an inference key has; its conversation key has that as well."""
    shown = {kind for kind, text in MARKERS.items() if text.expect in converse(ask, key, None, text.ask)}
    assert shown == kinds


def test_the_tenant_file_may_name_what_does_not_show(tenant: EmbeddedTenant) -> None:
    """Markers, raw models and internal datasets make a valid tenant file."""
    document = with_markers(tenant.tenant_document())
    read = from_mapping(document, tenant.secrets, kind=TenantKind.EMBEDDED, name="it")
    assert (read.raw_models, read.internal_datasets) == (("gt-large-raw",), INTERNAL_DATASETS)
    assert [key.name for key in read.credentials.values() if key.prompt_text] == ["rag", "app"]


def test_a_conversation_upload_gets_ready(ask: Ask) -> None:
    """A file sent to a conversation goes through its states to ready, in the conversation's one dataset."""
    conversation = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    sent = [ask("app", "POST", "/conversations/files", headers={HEADER: conversation}, files=NOTE) for _ in range(2)]
    accepted = sent[0].json()
    assert sent[0].status_code == 202
    assert sent[0].headers[HEADER] == conversation
    assert (accepted["object"], accepted["status"], accepted["filename"]) == ("file", "uploaded", "note.txt")
    assert accepted["bytes"] == 6
    assert sent[1].json()["dataset_id"] == accepted["dataset_id"]
    assert sent[1].json()["id"] != accepted["id"]
    states = settled(ask, "app", accepted["id"])
    assert states == [state for state in STATES if state in states]  # a busy machine may see but the last
    assert states[-1] == "ready"
    assert is_error(ask("app", "POST", "/conversations/files", files=NOTE), 400, HEADER)


@pytest.mark.parametrize("key", ["upload", "app"])
def test_a_dataset_upload_gets_ready(ask: Ask, key: str) -> None:
    """An upload key, and a conversation key that inherits it, fill the allowlisted dataset."""
    sent = ask(key, "POST", "/datasets/scratch-briefs/files", files=NOTE)
    assert sent.status_code == 202
    assert sent.json()["dataset_id"] == "scratch-briefs"
    assert settled(ask, key, sent.json()["id"])[-1] == "ready"


def test_foreign_and_unknown_datasets_look_alike(ask: Ask) -> None:
    """A dataset that the key may not use and one that does not exist get the same 404."""
    answers = [ask("upload", "POST", f"/datasets/{name}/files", files=NOTE) for name in ("partner-briefs", "none")]
    assert all(is_error(answer, 404) for answer in answers)
    assert answers[0].text == answers[1].text


def test_a_file_is_known_to_its_key_only(ask: Ask) -> None:
    """Any other key gets the 404 that an unknown file gets, the keys linked to it included."""
    file_id = ask("upload", "POST", "/datasets/scratch-briefs/files", files=NOTE).json()["id"]
    unknown = ask("upload", "GET", "/files/file_unknown")
    assert is_error(unknown, 404)
    for key in ("chat", "full", "app", "partner-upload", "partner"):
        for route in ("files", "uploads"):
            answer = ask(key, "GET", f"/{route}/{file_id}")
            assert (answer.status_code, answer.text) == (404, unknown.text)

"""The embedded tenant: addresses, keys, names, and what it refuses."""

from collections.abc import Iterator

import httpx
import pytest

from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from tests.embedded_requests import CHAT, HEADER, HI, MODEL, NOTE, Ask, is_error, opened_client, start_tenant


@pytest.fixture(scope="module")
def ask(tenant: EmbeddedTenant) -> Iterator[Ask]:
    """Requests below /v1; a path that begins with ``~`` is taken from the base URL itself."""
    yield from opened_client(tenant)


@pytest.fixture(scope="module")
def tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the whole module: no test depends on what another has left there."""
    yield from start_tenant()


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

"""The embedded tenant: chats, embeddings, audio and images have OpenAI's shape."""

import base64
import json
import struct
import time
import zlib
from collections.abc import Iterator

import httpx
import pytest

from gt_sandbox import EmbeddedTenant
from tests.embedded_requests import CHAT, HI, MODEL, Ask, events, is_error, opened_client, start_tenant


@pytest.fixture(scope="module")
def ask(tenant: EmbeddedTenant) -> Iterator[Ask]:
    """Requests below /v1; a path that begins with ``~`` is taken from the base URL itself."""
    yield from opened_client(tenant)


@pytest.fixture(scope="module")
def tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the whole module: no test depends on what another has left there."""
    yield from start_tenant()


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

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

"""The official Python SDK takes the embedded tenant for OpenAI, sync and async, by either base URL."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from oracles.asked import ABOUT_A_CITY, SAY_IT, TEXTS, TOOL, WEATHER, WORD, City, message
from oracles.served import ALIAS, UNPUBLISHED, VECTOR, Served


@pytest.fixture
def client(base_url: str, served: Served) -> Iterator[OpenAI]:
    """The SDK with a key that may do everything. It tries nothing twice."""
    with OpenAI(base_url=base_url, api_key=served.secrets["full"], max_retries=0) as client:
        yield client


def test_models(client: OpenAI) -> None:
    """The names that the key is allowed are listed."""
    assert [model.id for model in client.models.list()] == [ALIAS, "gt-large-raw"]


def test_chat(client: OpenAI) -> None:
    """A chat answers what was asked, under the published name."""
    answer = client.chat.completions.create(model=ALIAS, messages=[message(SAY_IT)])
    assert answer.choices[0].message.content == WORD
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == ALIAS
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_as_a_stream(client: OpenAI) -> None:
    """The pieces of a stream join to the same answer, and the usage that was asked for comes last."""
    stream = client.chat.completions.create(
        model=ALIAS, messages=[message(SAY_IT)], stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORD
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens > 0


def test_the_helper_for_streams(client: OpenAI) -> None:
    """The SDK's own accumulator, which needs id, object and created in each chunk, ends with the whole answer."""
    with client.chat.completions.stream(model=ALIAS, messages=[message(WEATHER)], tools=[TOOL]) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}


def test_tools(client: OpenAI) -> None:
    """A tool is called with arguments that fit, and its result is read."""
    first = client.chat.completions.create(model=ALIAS, messages=[message(WEATHER)], tools=[TOOL]).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    (call,) = first.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    told = {"role": "tool", "tool_call_id": call.id, "content": "17 degrees"}
    after = client.chat.completions.create(
        model=ALIAS, messages=[message(WEATHER), first.message.to_dict(), told], tools=[TOOL]
    )
    assert "17 degrees" in (after.choices[0].message.content or "")


def test_structured_output(client: OpenAI) -> None:
    """An answer by a schema of the caller's becomes the caller's value."""
    answer = client.chat.completions.parse(model=ALIAS, messages=[message(ABOUT_A_CITY)], response_format=City)
    found = answer.choices[0].message.parsed
    assert found is not None
    assert found.inhabitants == 520000


def test_embeddings(client: OpenAI) -> None:
    """The base64 that the SDK asks for by default and floats are the same vectors, one for each text, every time."""
    asked = [client.embeddings.create(model=ALIAS, input=TEXTS) for _ in range(2)]
    asked.append(client.embeddings.create(model=ALIAS, input=TEXTS, encoding_format="float"))
    first, second, floats = ([item.embedding for item in given.data] for given in asked)
    assert first == second
    assert [len(vector) for vector in first] == [VECTOR] * len(TEXTS)
    assert first[0] != first[1]
    for one, other in zip(first, floats, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_embeddings_of_token_ids(client: OpenAI) -> None:
    """Lists of token ids give a vector each."""
    given = client.embeddings.create(model=ALIAS, input=[[101, 7, 42], [9]])
    assert [(item.index, len(item.embedding)) for item in given.data] == [(0, VECTOR), (1, VECTOR)]


def test_audio(client: OpenAI) -> None:
    """Speech is sound, and a recording of it is transcribed in each form that clients ask for."""
    spoken = client.audio.speech.create(model=ALIAS, input="Good morning.", voice="alloy", response_format="wav")
    assert spoken.content.startswith(b"RIFF")
    file = ("spoken.wav", spoken.content)
    plain = client.audio.transcriptions.create(model=ALIAS, file=file)
    verbose = client.audio.transcriptions.create(model=ALIAS, file=file, response_format="verbose_json")
    text = client.audio.transcriptions.create(model=ALIAS, file=file, response_format="text")
    assert plain.text == verbose.text == text.strip() != ""
    assert verbose.segments is not None
    assert verbose.duration > 0


def test_image(client: OpenAI) -> None:
    """A picture comes."""
    data = client.images.generate(model=ALIAS, prompt="a red square", n=1).data
    assert data is not None
    assert data[0].b64_json is not None
    assert data[0].b64_json.startswith("iVBORw0KGgo")  # base64 of a PNG's first bytes


@pytest.mark.parametrize(
    ("key", "model", "kind"),
    [
        pytest.param("gone", ALIAS, openai.AuthenticationError, id="revoked-key"),
        pytest.param("full", UNPUBLISHED, openai.NotFoundError, id="unpublished-name"),
        pytest.param("upload", ALIAS, openai.PermissionDeniedError, id="key-without-the-scope"),
        pytest.param("full", "", openai.BadRequestError, id="no-model"),
    ],
)
def test_refusals(key: str, model: str, kind: type[openai.APIStatusError], client: OpenAI, served: Served) -> None:
    """A refusal is the SDK's own error for it, with a message that says why."""
    with pytest.raises(kind) as raised:
        client.with_options(api_key=served.secrets[key]).chat.completions.create(
            model=model, messages=[message(SAY_IT)]
        )
    assert raised.value.code
    assert raised.value.type in {"invalid_request_error", "authentication_error", "permission_error"}
    assert served.secrets[key] not in str(raised.value)


def test_async(base_url: str, served: Served) -> None:
    """The asynchronous client gets the same: at once, as a stream, vectors and refusals."""

    async def drive() -> None:
        async with AsyncOpenAI(base_url=base_url, api_key=served.secrets["full"], max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=ALIAS, messages=[message(SAY_IT)]) for _ in range(4))
            )
            assert [answer.choices[0].message.content for answer in answers] == [WORD] * 4
            stream = await client.chat.completions.create(model=ALIAS, messages=[message(SAY_IT)], stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == WORD
            given = await client.embeddings.create(model=ALIAS, input=TEXTS)
            assert [len(item.embedding) for item in given.data] == [VECTOR] * len(TEXTS)
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model=UNPUBLISHED, messages=[message(SAY_IT)])
            with pytest.raises(openai.AuthenticationError):
                await client.with_options(api_key="gtak_made_up").models.list()

    asyncio.run(drive())

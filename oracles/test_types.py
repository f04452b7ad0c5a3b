"""OpenAI's own types read every answer that the suite calls conforming, strictly: nothing missing, nothing coerced."""

from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import httpx2
import pytest
from openai import OpenAI, Stream
from openai.pagination import SyncPage
from openai.types import CreateEmbeddingResponse, ImagesResponse, Model
from openai.types.audio import Transcription
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter

from oracles.recorded import Answer, record

GT_ROUTES = ("/conversations", "/datasets/", "/files/", "/uploads/")
"""GT's own surfaces: OpenAI has no type for them."""


@pytest.fixture(scope="module")
def every_answer() -> Sequence[Answer]:
    """Every answer of a whole run, and of a small one for each variant."""
    return record()


@pytest.fixture
def answers(every_answer: Sequence[Answer]) -> Sequence[Answer]:
    """Every answer of the whole run."""
    return [answer for answer in every_answer if not answer.variant]


def strictly(kind: Any) -> Callable[[Answer], None]:
    """Reads a whole body as that type; a byte order mark before it is passed over, as by the SDK's own reader."""
    adapter = TypeAdapter(kind)

    def read(answer: Answer) -> None:
        adapter.validate_json(answer.body.removeprefix(BOM_UTF8), strict=True)

    return read


def read_stream(answer: Answer) -> None:
    """Each event is a chunk by OpenAI's type, as its own reader of streams takes them apart."""
    client = _client()
    response = httpx2.Response(200, content=answer.body, request=httpx2.Request("POST", client.base_url))
    chunks = list(Stream(cast_to=dict, response=response, client=client))
    assert chunks, "the stream holds no event"
    adapter = TypeAdapter(ChatCompletionChunk)
    for chunk in chunks:
        adapter.validate_python(chunk, strict=True)


@cache
def _client() -> OpenAI:
    """One for all: each would read the certificates of this machine again."""
    return OpenAI(api_key="none", base_url="http://127.0.0.1/")


def read_base64_vectors(answer: Answer) -> None:
    """The SDK decodes them into vectors of one length."""

    def replay(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=answer.body, headers={"content-type": "application/json"})

    with OpenAI(api_key="none", http_client=httpx2.Client(transport=httpx2.MockTransport(replay))) as client:
        given = client.embeddings.create(model="any", input="any")
    TypeAdapter(CreateEmbeddingResponse).validate_python(given.model_dump(), strict=True)
    (length,) = {len(item.embedding) for item in given.data}
    assert length in {64, 1536, 4096}, f"a vector has {length} numbers"


def read_audio(answer: Answer) -> None:
    """OpenAI has no type for sound: bytes that do not say that they are something else."""
    sound = answer.media_type == "application/octet-stream" or answer.media_type.startswith("audio/")
    assert sound, f"it is {answer.media_type}"
    assert answer.body, "it is empty"


KINDS: dict[str, Callable[[Answer], None]] = {
    "model-list": strictly(SyncPage[Model]),
    "chat-completion": strictly(ChatCompletion),
    "chat-stream": read_stream,
    "embeddings-float": strictly(CreateEmbeddingResponse),
    "embeddings-base64": read_base64_vectors,
    "transcription": strictly(Transcription),
    "speech": read_audio,
    "images": strictly(ImagesResponse),
}


DIALECTS: dict[str, set[str]] = {
    "chat-completion": {
        "chat-at-a-fraction",
        "chat-with-foreign-finish-reason",
        "chat-without-finish-reason",
        "stop-refused-in-200",
    },
    "chat-stream": {"stream-begins-with-filter-results", "stream-with-foreign-finish"},
    "speech": {"speech-of-another-type"},
}
"""What real gateways send and no clause forbids. OpenAI's SDK takes it all the same: it builds its types unchecked."""


def kind_of(answer: Answer) -> str:
    """Which of the kinds a 2xx is, by what was asked for; ``gt`` on GT's own routes; else its route."""
    if answer.path.startswith(GT_ROUTES):
        return "gt"
    plain = {
        "GET /models": "model-list",
        "POST /chat/completions": "chat-stream" if answer.asked.get("stream") else "chat-completion",
        "POST /embeddings": f"embeddings-{answer.asked.get('encoding_format', 'float')}",
        "POST /audio/speech": "speech",
        "POST /images/generations": "images",
    }
    if answer.route == "POST /audio/transcriptions" and answer.asked.get("response_format", "json") == "json":
        return "transcription"
    return plain.get(answer.route, answer.route)


def refused(answers: Sequence[Answer], read: Callable[[Answer], None]) -> list[str]:
    """What the oracle refuses, and why."""
    found = []
    for answer in answers:
        try:
            read(answer)
        except (ValueError, AssertionError) as error:  # pydantic's own is a ValueError
            found.append(f"{answer.variant or 'plain'} {answer.ref} {answer.route}: {error}")
    return found


def of_kind(kind: str, answers: Sequence[Answer]) -> list[Answer]:
    """The 2xx of that kind that the suite calls conforming."""
    found = [answer for answer in answers if answer.succeeded and answer.conforms and kind_of(answer) == kind]
    assert found, "the run asked for none of these"
    return found


def test_no_answer_is_left_out(answers: Sequence[Answer]) -> None:
    """Every 2xx of the run is of a kind that is read here, or of GT's own routes, and all that a check saw conform."""
    succeeded = [answer for answer in answers if answer.succeeded]
    assert {kind_of(answer) for answer in succeeded} == {*KINDS, "gt"}
    assert [answer.ref for answer in succeeded if answer.judged and not answer.conforms] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_types_of_openai_read_what_conforms(kind: str, answers: Sequence[Answer]) -> None:
    """Every 2xx of that kind that belongs to a conforming check is of OpenAI's own type."""
    assert refused(of_kind(kind, answers), KINDS[kind]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_types_of_openai_read_what_conforms_in_each_variant(kind: str, every_answer: Sequence[Answer]) -> None:
    """So is every one of a tenant that differs lawfully, wherever the suite had nothing to remark on it."""
    found = of_kind(kind, [answer for answer in every_answer if answer.variant])
    assert len({answer.variant for answer in found}) > 40
    assert {text.split()[0] for text in refused(found, KINDS[kind])} == DIALECTS.get(kind, set())


SPOILED: dict[str, Callable[[Answer], Answer]] = {
    "model-list": lambda answer: with_body(answer, b'"owned_by"', b'"owner"'),
    "chat-completion": lambda answer: with_body(answer, b'"chat.completion"', b'"completion"'),
    "chat-stream": lambda answer: with_body(answer, b'"index":0', b'"index":"0"'),
    "embeddings-float": lambda answer: with_body(answer, b'"index":0', b'"index":null'),
    "embeddings-base64": lambda answer: with_body(answer, b'"embedding":"', b'"embedding":"AAAAAAAA'),
    "transcription": lambda answer: with_body(answer, b'"text"', b'"words"'),
    "speech": lambda answer: replace(answer, media_type="application/json"),
    "images": lambda answer: with_body(answer, b'"created":', b'"made":'),
}


def with_body(answer: Answer, old: bytes, new: bytes) -> Answer:
    """The answer with some bytes of its body replaced."""
    assert old in answer.body
    return replace(answer, body=answer.body.replace(old, new))


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_answer_is_refused(kind: str, answers: Sequence[Answer]) -> None:
    """Each oracle refuses an answer that one small change takes out of its type: it can fail."""
    answer = of_kind(kind, answers)[0]
    assert refused([SPOILED[kind](answer)], KINDS[kind]) != []


def read_refusal(answer: Answer) -> None:
    """An error object, and nothing beside it, by OpenAI's type."""
    found = TypeAdapter(dict[str, ErrorObject]).validate_json(answer.body, strict=True)
    assert set(found) == {"error"}


def test_every_refusal_carries_openais_error_object(answers: Sequence[Answer]) -> None:
    """Every 4xx of the run is an error object by OpenAI's type; one that lacks its message is not."""
    refusals = [answer for answer in answers if 400 <= answer.status < 500 and answer.method != "HEAD"]
    assert {answer.status for answer in refusals} >= {400, 401, 403, 404, 405}
    assert refused(refusals, read_refusal) == []
    assert refused([with_body(refusals[0], b'"message"', b'"detail"')], read_refusal) != []

"""langchain-openai takes the embedded tenant for OpenAI: chats, streams, tools, structured output, embeddings."""

import openai
import pytest
import tiktoken
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from oracles.asked import ABOUT_A_CITY, SAY_IT, TEXTS, TOOL, WEATHER, WORD, City
from oracles.served import ALIAS, UNPUBLISHED, VECTOR, Served


@pytest.fixture
def chat(base_url: str, served: Served) -> ChatOpenAI:
    """Its chat model, as its documentation sets it up."""
    return ChatOpenAI(base_url=base_url, api_key=SecretStr(served.secrets["rag"]), model=ALIAS, max_retries=0)


@pytest.fixture
def embeddings(base_url: str, served: Served, monkeypatch: pytest.MonkeyPatch) -> OpenAIEmbeddings:
    """Its embeddings with their defaults: token ids, answered in base64."""
    # It cuts texts into the ids of a vocabulary that it would download. Bytes are a vocabulary too.
    vocabulary = tiktoken.Encoding(
        "bytes", pat_str=r"\S+|\s+", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _: vocabulary)
    return OpenAIEmbeddings(base_url=base_url, api_key=SecretStr(served.secrets["rag"]), model=ALIAS, max_retries=0)


def test_chat(chat: ChatOpenAI) -> None:
    """A chat answers what was asked, under the published name, with its usage."""
    answer = chat.invoke(SAY_IT)
    assert answer.text == WORD
    assert answer.response_metadata["model_name"] == ALIAS
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > 0


def test_chat_with_a_limit(chat: ChatOpenAI) -> None:
    """The limit that it sends as max_completion_tokens is kept."""
    answer = chat.bind(max_tokens=2).invoke("Count from one to twenty.")
    assert answer.response_metadata["token_usage"]["completion_tokens"] <= 2


def test_chat_as_a_stream(chat: ChatOpenAI) -> None:
    """The pieces of a stream join to the same answer."""
    pieces = list(chat.stream(SAY_IT, stream_usage=True))
    assert "".join(piece.text for piece in pieces) == WORD
    assert [piece.usage_metadata["total_tokens"] > 0 for piece in pieces if piece.usage_metadata] == [True]


def test_tools(chat: ChatOpenAI) -> None:
    """A bound tool is called with arguments that fit, at once and as a stream."""
    bound = chat.bind_tools([TOOL])
    (call,) = bound.invoke(WEATHER).tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    first, *rest = bound.stream(WEATHER)
    for piece in rest:
        first += piece
    (streamed,) = first.tool_calls
    assert (streamed["name"], streamed["args"]) == ("get_weather", {"city": "Paris"})


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(method: str, chat: ChatOpenAI) -> None:
    """Structured output by either way becomes the caller's value."""
    found = chat.with_structured_output(City, method=method).invoke(ABOUT_A_CITY)
    assert isinstance(found, City)
    assert found.inhabitants == 520000


def test_embeddings(embeddings: OpenAIEmbeddings) -> None:
    """Token ids answered in base64 give a vector for each text, the same one every time."""
    first = embeddings.embed_documents(TEXTS)
    assert [len(vector) for vector in first] == [VECTOR] * len(TEXTS)
    assert first[0] != first[1]
    assert embeddings.embed_query(TEXTS[1]) == pytest.approx(first[1], abs=1e-6)


def test_embeddings_of_texts(embeddings: OpenAIEmbeddings) -> None:
    """With its check of lengths off it sends the texts themselves."""
    embeddings.check_embedding_ctx_length = False
    assert [len(vector) for vector in embeddings.embed_documents(TEXTS)] == [VECTOR] * len(TEXTS)


def test_refusals(base_url: str, served: Served) -> None:
    """A revoked key and an unpublished name are OpenAI's own errors."""

    def ask(key: str, model: str) -> None:
        ChatOpenAI(base_url=base_url, api_key=SecretStr(served.secrets[key]), model=model, max_retries=0).invoke(SAY_IT)

    with pytest.raises(openai.AuthenticationError):
        ask("gone", ALIAS)
    with pytest.raises(openai.NotFoundError):
        ask("chat", UNPUBLISHED)

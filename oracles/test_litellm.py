"""litellm takes the embedded tenant for any OpenAI-compatible server: ``openai/`` and the alias, with ``api_base``."""

from collections.abc import Callable
from typing import Any

import litellm
import pytest

from oracles.asked import SAY_IT, TEXTS, WORD, message
from oracles.served import ALIAS, UNPUBLISHED, VECTOR, Served

Call = Callable[..., Any]


@pytest.fixture
def completion(base_url: str, served: Served) -> Call:
    """``litellm.completion`` with this tenant's address, and a key that may do everything unless another is given."""

    def call(text: str, key: str = "full", model: str = ALIAS, **more: Any) -> Any:
        return litellm.completion(
            model=f"openai/{model}",
            messages=[message(text)],
            api_base=base_url,
            api_key=served.secrets[key],
            num_retries=0,
            max_retries=0,
            **more,
        )

    return call


def test_chat(completion: Call) -> None:
    """A chat answers what was asked, under the published name, with its usage."""
    answer = completion(SAY_IT, max_tokens=20)
    assert answer.choices[0].message.content == WORD
    assert answer.model == ALIAS
    assert answer.usage.total_tokens > 0


def test_chat_as_a_stream(completion: Call) -> None:
    """The pieces of a stream join to the same answer."""
    pieces = list(completion(SAY_IT, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == WORD
    assert pieces[-1].choices[0].finish_reason == "stop"


def test_embeddings(base_url: str, served: Served) -> None:
    """Each text gets its vector, the same one every time."""
    first, second = (
        litellm.embedding(
            model=f"openai/{ALIAS}", input=TEXTS, api_base=base_url, api_key=served.secrets["rag"], max_retries=0
        )
        for _ in range(2)
    )
    vectors = [item["embedding"] for item in first.data]
    assert [len(vector) for vector in vectors] == [VECTOR] * len(TEXTS)
    assert vectors == [item["embedding"] for item in second.data]
    assert vectors[0] != vectors[1]


def test_transcription(base_url: str, served: Served) -> None:
    """It asks for verbose JSON, and reads the text in it."""
    spoken = litellm.speech(
        model=f"openai/{ALIAS}",
        input="Good morning.",
        voice="alloy",
        response_format="wav",
        api_base=base_url,
        api_key=served.secrets["full"],
        max_retries=0,
    )
    heard = litellm.transcription(
        model=f"openai/{ALIAS}",
        file=("spoken.wav", spoken.content),
        api_base=base_url,
        api_key=served.secrets["full"],
        max_retries=0,
    )
    assert "recording" in heard.text


def test_refusals(completion: Call) -> None:
    """A revoked key and an unpublished name are its own errors of those names."""
    with pytest.raises(litellm.AuthenticationError):
        completion(SAY_IT, key="gone")
    with pytest.raises(litellm.NotFoundError):
        completion(SAY_IT, model=UNPUBLISHED)

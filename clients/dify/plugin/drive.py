"""Dify's OpenAI-API-compatible provider: credentials are checked, an LLM node answers, a knowledge base embeds."""

# It patches sockets as it is imported, which has to come before anything else opens one.
from dify_plugin import OAICompatEmbeddingModel, OAICompatLargeLanguageModel
from dify_plugin.entities.model.message import UserPromptMessage
from dify_plugin.interfaces.model.ai_model import AIModel
from said import BASE_URL, KEY, MODEL, call, model

# Dify counts tokens before it sends texts, by a vocabulary that its image brings and its package would download.
AIModel._get_num_tokens_by_gpt2 = lambda _, text: len(text)  # noqa: SLF001 - it has no setting for that

CHAT = {"endpoint_url": BASE_URL, "api_key": KEY, "mode": "chat"}
EMBEDDING = {"endpoint_url": BASE_URL, "api_key": KEY, "context_size": "512"}
HELLO = [UserPromptMessage(content="Say hello in one word.")]
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}


def answered(*, stream: bool) -> str:
    """The text of an LLM node's answer: Dify reads a whole one as a stream of one part, too."""
    parts = OAICompatLargeLanguageModel([]).invoke(
        MODEL, dict(CHAT), list(HELLO), model_parameters={"max_tokens": 16}, stream=stream, user="gt-conformance"
    )
    return "".join(str(part.delta.message.content or "") for part in parts)


def embedded() -> list[int]:
    """The lengths of the vectors of a knowledge base's segments."""
    vectors = (
        OAICompatEmbeddingModel([])
        .invoke(model("embeddings"), dict(EMBEDDING), TEXTS, user="gt-conformance")
        .embeddings
    )
    return [len(vector) for vector in vectors]


def saved(entry: OAICompatLargeLanguageModel | OAICompatEmbeddingModel, alias: str, credentials: dict[str, str]) -> str:
    """The credentials of a model, which Dify checks by a request before it keeps them."""
    entry.validate_credentials(alias, credentials)
    return "saved"


call("LLM.validate_credentials", "chat", {"max_tokens": 5}, lambda: saved(OAICompatLargeLanguageModel([]), MODEL, CHAT))
call("LLM.invoke", "chat", ASKED, lambda: answered(stream=False))
call("LLM.invoke(stream=True)", "chat", {**ASKED, "stream": True}, lambda: answered(stream=True))
call(
    "TextEmbedding.validate_credentials",
    "embeddings",
    {"input": "ping"},
    lambda: saved(OAICompatEmbeddingModel([]), model("embeddings"), EMBEDDING),
)
call("TextEmbedding.invoke", "embeddings", {"texts": TEXTS}, embedded)

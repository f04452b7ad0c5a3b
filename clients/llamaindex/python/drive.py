"""LlamaIndex: OpenAILike chats, whole and streamed, and OpenAIEmbedding embeds, as the runbook's known issues say."""

import os

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike
from said import BASE_URL, KEY, MODEL, call, model

os.environ["OPENAI_API_KEY"] = KEY

HELLO = [ChatMessage(role="user", content="Say hello in one word.")]
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}

llm = OpenAILike(model=MODEL, api_base=BASE_URL, api_key=KEY, is_chat_model=True, max_tokens=16, max_retries=0)
embedding = OpenAIEmbedding(model_name=model("embeddings"), api_base=BASE_URL, max_retries=0)

call("OpenAILike.chat", "chat", ASKED, lambda: llm.chat(HELLO).message.content)
call(
    "OpenAILike.stream_chat",
    "chat",
    {**ASKED, "stream": True},
    lambda: "".join(part.delta or "" for part in llm.stream_chat(HELLO)),
)
call(
    "OpenAIEmbedding.get_text_embedding_batch",
    "embeddings",
    {"texts": TEXTS},
    lambda: [len(vector) for vector in embedding.get_text_embedding_batch(TEXTS)],
)
call(
    "OpenAIEmbedding.get_query_embedding",
    "embeddings",
    {"text": "one"},
    lambda: len(embedding.get_query_embedding("one")),
)

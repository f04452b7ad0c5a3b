"""LangChain in Python: a chain that answers, whole and streamed, and a batch of texts that is embedded."""

from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from said import BASE_URL, KEY, MODEL, call, model

HELLO = "Say hello in one word."
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}

chain = ChatOpenAI(base_url=BASE_URL, api_key=KEY, model=MODEL, max_tokens=16, max_retries=0) | StrOutputParser()
# The default sends token ids, for which it downloads a vocabulary; the runbook has texts sent where that cannot be had.
embeddings = OpenAIEmbeddings(
    base_url=BASE_URL, api_key=KEY, model=model("embeddings"), max_retries=0, check_embedding_ctx_length=False
)

call("ChatOpenAI.invoke", "chat", ASKED, lambda: chain.invoke(HELLO))
call("ChatOpenAI.stream", "chat", {**ASKED, "stream": True}, lambda: "".join(chain.stream(HELLO)))
call(
    "OpenAIEmbeddings.embed_documents",
    "embeddings",
    {"texts": TEXTS, "departs": ["embeddings.input"]},
    lambda: [len(vector) for vector in embeddings.embed_documents(TEXTS)],
)
call(
    "OpenAIEmbeddings.embed_query",
    "embeddings",
    {"text": "one", "departs": ["embeddings.input"]},
    lambda: len(embeddings.embed_query("one")),
)

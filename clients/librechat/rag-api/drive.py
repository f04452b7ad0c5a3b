"""What LibreChat's RAG API embeds with, built of its settings: the parts of a document, and a question about it."""

from langchain_openai import OpenAIEmbeddings
from said import BASE_URL, KEY, call, model

embeddings = OpenAIEmbeddings(
    model=model("embeddings"),  # EMBEDDINGS_MODEL
    api_key=KEY,  # RAG_OPENAI_API_KEY, else OPENAI_API_KEY
    base_url=BASE_URL,  # RAG_OPENAI_BASEURL
    chunk_size=200,  # EMBEDDINGS_CHUNK_SIZE, as it is by default
    check_embedding_ctx_length=False,  # RAG_CHECK_EMBEDDING_CTX_LENGTH: token ids need a vocabulary from elsewhere
    max_retries=0,
)
TEXTS = ["one", "two"]

call(
    "OpenAIEmbeddings.embed_documents",
    "embeddings",
    {"texts": TEXTS},
    lambda: [len(vector) for vector in embeddings.embed_documents(TEXTS)],
)
call("OpenAIEmbeddings.embed_query", "embeddings", {"text": "one"}, lambda: len(embeddings.embed_query("one")))

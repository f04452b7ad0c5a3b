"""LiteLLM's library: a Router with one model_list entry a name, as the runbook's configuration has it."""

import litellm
from said import BASE_URL, KEY, MODEL, call, model

litellm.telemetry = False

HELLO = [{"role": "user", "content": "Say hello in one word."}]
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}


def entry(name: str, alias: str) -> dict[str, object]:
    """An entry of model_list: openai/<alias>, at the tenant."""
    return {
        "model_name": name,
        "litellm_params": {"model": f"openai/{alias}", "api_base": BASE_URL, "api_key": KEY, "max_retries": 0},
    }


# After a failure it would leave an entry out for some seconds; here each call is to be sent, whatever came before.
router = litellm.Router(
    model_list=[entry("chat", MODEL), entry("embed", model("embeddings"))], num_retries=0, disable_cooldowns=True
)


def streamed() -> str:
    """The text of a streamed chat, put together."""
    stream = router.completion(model="chat", messages=HELLO, max_tokens=16, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


call(
    "Router.completion",
    "chat",
    ASKED,
    lambda: router.completion(model="chat", messages=HELLO, max_tokens=16).choices[0].message.content,
)
call("Router.completion(stream=True)", "chat", {**ASKED, "stream": True}, streamed)
call(
    "Router.embedding",
    "embeddings",
    {"input": TEXTS},
    lambda: [len(item["embedding"]) for item in router.embedding(model="embed", input=TEXTS).data],
)

"""Semantic Kernel in Python: a kernel's prompt, whole and streamed, and texts embedded by its OpenAI services."""

import asyncio

from openai import AsyncOpenAI
from said import BASE_URL, KEY, MODEL, call, model
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
    OpenAITextEmbedding,
)
from semantic_kernel.functions import KernelArguments

HELLO = "Say hello in one word."
TEXTS = ["one", "two"]
ASKED = {"messages": 1, "max_tokens": 16}


def client() -> AsyncOpenAI:
    """The OpenAI client that a service takes: in Python it alone can be given the address."""
    return AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)


def kernel() -> tuple[Kernel, KernelArguments]:
    """A kernel with a chat service, and what its prompt is asked with."""
    made = Kernel()
    made.add_service(OpenAIChatCompletion(ai_model_id=MODEL, async_client=client()))
    return made, KernelArguments(settings=OpenAIChatPromptExecutionSettings(max_tokens=16))


async def whole() -> str:
    """The answer to a prompt."""
    made, arguments = kernel()
    return str(await made.invoke_prompt(HELLO, "hello", arguments=arguments))


async def streamed() -> str:
    """The answer to a prompt, put together from its parts."""
    made, arguments = kernel()
    parts = [part async for some in made.invoke_prompt_stream(HELLO, "hello", arguments=arguments) for part in some]
    return "".join(map(str, parts))


async def embedded() -> list[int]:
    """The lengths of the vectors of two texts."""
    service = OpenAITextEmbedding(ai_model_id=model("embeddings"), async_client=client())
    return [len(vector) for vector in await service.generate_embeddings(TEXTS)]


call("Kernel.invoke_prompt", "chat", ASKED, lambda: asyncio.run(whole()))
call("Kernel.invoke_prompt_stream", "chat", {**ASKED, "stream": True}, lambda: asyncio.run(streamed()))
call("OpenAITextEmbedding.generate_embeddings", "embeddings", {"texts": TEXTS}, lambda: asyncio.run(embedded()))

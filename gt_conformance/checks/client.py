"""What one client does beyond plain requests: their size, and how it finds out what the server is."""

from collections import defaultdict
from itertools import cycle, islice
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.checks._stream import errors_in
from gt_conformance.checks._tools import numbered_tool
from gt_conformance.checks.discovery import still_lists
from gt_conformance.exchange import Request

_QUICK_MS = 2_000
_FILLER = "Follow the conventions of the project and keep answers short. "


@check(
    "chat.client_load",
    claim="A request of the client's own size is taken: its system prompt and its tools.",
    remedy="Raise the tenant's and its proxies' limits on body size, message length and number of tools.",
    source="Measured client requests (facts of each runbook's wire profile)",
)
async def client_load(probe: Probe) -> None:
    """As many tools, as long a system prompt, as large a body as the client sends on a trivial prompt."""
    load = defaultdict(int, probe.parameters.load)
    tools = [numbered_tool(number) for number in range(load["tools"])]
    system = filler(load["system_prompt_chars"])
    messages = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": requests.ONE_WORD},
    ]
    body: dict[str, Any] = {"tools": tools} if tools else {}
    if probe.parameters.stream:
        body["stream"] = True
    request = requests.chat(probe.tenant, probe.credential.name, messages, fields=body)
    if (short := load["body_bytes"] - request.size) > 0:
        padded = [{"role": "system", "content": system + filler(short)}, messages[-1]]
        request = requests.chat(probe.tenant, probe.credential.name, padded, fields=body)
    exchange = await probe.send(request)
    expected = f"a request of this client's size ({request.size} bytes, {len(tools)} tools) is accepted with 2xx"
    response = probe.success(exchange, expected)
    for error in errors_in(response):
        probe.fail(expected, f"HTTP {response.status} with an error inside: {error}", exchange)


def filler(length: int) -> str:
    """Plain text of that many characters."""
    return "".join(islice(cycle(_FILLER), length))


@check(
    "client.discovery",
    claim="The client's own discovery requests get quick refusals, and its key works afterwards.",
    remedy="Have the tenant answer unknown paths below the base URL with a 404 at once, with and without a key.",
    source="Measured client requests (facts of each runbook's wire profile)",
)
async def discovery(probe: Probe) -> None:
    """Each discovery request, with and without the key: a 4xx within two seconds; then the key lists models."""
    for line in probe.parameters.discovery:
        method, _, path = line.partition(" ")
        for key in (None, probe.credential.name):
            exchange = await probe.send(Request(method, probe.url(path), key))
            expected = f"{line} {'with' if key else 'without'} the key is refused with a 4xx"
            response = probe.answer(exchange, expected)
            probe.must(response.refused, expected, said(response), exchange)
            probe.must(
                exchange.elapsed_ms <= _QUICK_MS,
                "a refusal within two seconds",
                f"it took {exchange.elapsed_ms / 1000:.1f} s",
                exchange,
            )
    await still_lists(probe, "the key works after the client's discovery", again=1)

"""Chat completions in a client's shape, and what their answers say."""

from collections.abc import Mapping
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, StopCheck
from gt_conformance.checks._stream import errors_in
from gt_conformance.exchange import Exchange, Request, Response

COMPLETES = "a 2xx chat completion with an assistant message that is not empty"


def shaped(probe: Probe, messages: Any = requests.ONE_WORD, **body: Any) -> Request:
    """A chat completion with the limit field and the body fields that the row's client sends."""
    parameters = probe.parameters
    if parameters.token_limit != "none":
        body = {parameters.token_limit: parameters.token_limit_value or probe.tenant.limits.completion_tokens, **body}
    fields = {**dict(parameters.fields), **body}
    return requests.chat(probe.tenant, probe.credential.name, messages, fields=fields)


def streamed(probe: Probe) -> Request:
    """The same as a stream, with usage where the client asks for it."""
    options = {"stream_options": {"include_usage": True}} if probe.parameters.stream_usage else {}
    return shaped(probe, requests.COUNT, stream=True, **options)


def completion(probe: Probe, exchange: Exchange, expected: str = COMPLETES) -> Mapping[str, Any]:
    """The first choice of an answer that holds to the schema and says something; else that is the breach."""
    body: Mapping[str, Any] = probe.json(exchange, "chat-completion", expected)
    choice: Mapping[str, Any] = body["choices"][0]
    message = choice["message"]
    if not says_something(message) and choice.get("finish_reason") == "length":
        probe.block(
            "the answer used up its token limit before it said anything, as a reasoning model does",
            "Raise limits.completion_tokens in the tenant file.",
        )
    else:
        probe.must(says_something(message), expected, "the message has no content and no tool call", exchange)
    _check_usage(probe, exchange, body.get("usage"))
    return choice


def taken(response: Response) -> bool:
    """Whether a chat request was accepted: a 2xx without an error object inside, which most SDKs do not see."""
    return response.succeeded and not any(errors_in(response))


def completes(probe: Probe, exchange: Exchange) -> bool:
    """Whether it is a completion as :func:`completion` judges it, without noting anything."""
    dry_run = probe.dry_run()
    try:
        completion(dry_run, exchange)
    except StopCheck:
        return False
    return not dry_run.violations and not dry_run.blockers


def says_something(message: Mapping[str, Any]) -> bool:
    """Whether a message has text, a tool call or a refusal in it."""
    return bool(text_of(message).strip() or message.get("tool_calls") or message.get("refusal"))


def text_of(message: Mapping[str, Any]) -> str:
    """The content of a message; empty where it has none."""
    return message.get("content") or ""


def tool_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool calls of a message."""
    return message.get("tool_calls") or []


def _check_usage(probe: Probe, exchange: Exchange, usage: Any) -> None:
    if not isinstance(usage, dict):
        return
    prompt, answer, total = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if isinstance(prompt, int) and isinstance(answer, int) and isinstance(total, int):
        probe.should(prompt + answer == total, f"usage adds up: {prompt} + {answer} is not {total} tokens", exchange)

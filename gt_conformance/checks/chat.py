"""Chat completions that do not stream."""

from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._chat_shape import completion, shaped, streamed, taken
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.checks._tools import CALL_MESSAGES, WEATHER_TOOL
from gt_conformance.checks.discovery import published_names
from gt_conformance.exchange import Exchange, NotJson, Request, parse_json

_CHAT = "OpenAI API reference, Create chat completion"
_PUBLISHED = "the model named in the answer is a published name of the key"


@check(
    "chat.completes",
    claim="A chat in the shape that this client sends gives a chat completion.",
    remedy="Check that the alias is published with a working chat model, and that the key has inference:chat for it.",
    source=_CHAT,
)
async def completes(probe: Probe) -> None:
    """2xx JSON, choices not empty, an assistant message with content or tool calls, a known finish_reason."""
    exchange = await probe.send(shaped(probe))
    completion(probe, exchange)


@check(
    "chat.model_is_published",
    claim="Answers name a published model, never a provider's or an internal one.",
    remedy="Have the tenant put the published name into `model` of every answer and stream chunk.",
    source="GT published endpoints; GT API reference, Run a chat completion",
)
async def model_is_published(probe: Probe) -> None:
    """`model` in the answer, and in every chunk of the stream where the client streams, is on the key's allowlist."""
    exchange = await probe.send(shaped(probe))
    response = probe.success(exchange, _PUBLISHED)
    model = _model_in(probe.parsed(exchange, response, _PUBLISHED))
    named = {} if model is None else {model: exchange}
    if probe.parameters.stream:
        exchange = await probe.send(streamed(probe))
        named = dict.fromkeys(_models_streamed(probe, exchange), exchange) | named
    published = await published_names(probe)
    for name in sorted(named.keys() - published):
        probe.fail(f"{_PUBLISHED}: {', '.join(sorted(published))}", f"model is {name!r}", named[name])


def _model_in(body: Any) -> str | None:
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else None


def _models_streamed(probe: Probe, exchange: Exchange) -> set[str]:
    found = set()
    for event in probe.success(exchange, _PUBLISHED).events:
        try:
            model = _model_in(parse_json(event.data))
        except NotJson:
            continue
        if model is not None:
            found.add(model)
    return found


@check(
    "chat.roles",
    claim="A conversation of system, user and assistant messages completes.",
    remedy="Have the tenant pass every role of the message list to the model.",
    source=_CHAT,
)
async def roles(probe: Probe) -> None:
    """System + user + assistant + user completes with 2xx."""
    messages = [
        {"role": "system", "content": "You answer in one word."},
        {"role": "user", "content": "What colour is the sky by day?"},
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": requests.ONE_WORD},
    ]
    exchange = await probe.send(requests.chat(probe.tenant, probe.credential.name, messages))
    completion(probe, exchange, "a chat with system, user and assistant messages completes")


@check(
    "chat.message_forms",
    claim="The message forms of clients are taken: consecutive user messages, content parts, earlier tool calls.",
    remedy="Have the tenant accept OpenAI's message forms as they are: no alternating roles, no string content needed.",
    source=_CHAT + "; measured clients (openclaw, cline)",
)
async def message_forms(probe: Probe) -> None:
    """All forms in one chat; where that is refused, each alone. Role developer is a should."""
    together = await probe.send(_forms_chat(probe, _EVERY_FORM))
    if together.response is not None and taken(together.response):
        return
    for form, messages in _FORMS.items():
        exchange = await probe.send(_forms_chat(probe, messages))
        _accepts(probe, exchange, form, required=probe.parameters.required)
    exchange = await probe.send(_forms_chat(probe, _DEVELOPER))
    _accepts(probe, exchange, "the role developer", required=False)


_DEVELOPER: list[dict[str, Any]] = [
    {"role": "developer", "content": "You answer in one word."},
    {"role": "user", "content": requests.ONE_WORD},
]
_PARTS: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": requests.ONE_WORD}]}]
_IN_A_ROW: list[dict[str, Any]] = [
    {"role": "user", "content": "I will ask for one word."},
    {"role": "user", "content": requests.ONE_WORD},
]
_FORMS = {
    "two user messages in a row": _IN_A_ROW,
    "content as a list of text parts": _PARTS,
    "an earlier tool call with its result": CALL_MESSAGES,
}
_EVERY_FORM = [_DEVELOPER[0], *CALL_MESSAGES, *_IN_A_ROW, *_PARTS]


def _forms_chat(probe: Probe, messages: list[dict[str, Any]]) -> Request:
    fields = {"tools": [WEATHER_TOOL]} if any(message["role"] == "tool" for message in messages) else {}
    return requests.chat(probe.tenant, probe.credential.name, messages, fields=fields)


def _accepts(probe: Probe, exchange: Exchange, form: str, *, required: bool) -> None:
    expected = f"{form} is accepted with 2xx"
    if required:
        response = probe.answer(exchange, expected)
        probe.must(taken(response), expected, said(response), exchange)
    elif exchange.response is None or not taken(exchange.response):
        found = said(exchange.response) if exchange.response else "no answer"
        probe.advise(f"{form} is not accepted ({found}); this client does not send it", exchange)

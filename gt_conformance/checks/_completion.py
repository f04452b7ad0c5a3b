"""Chat completions: asked for in a client's shape, and their answers read, whole or streamed."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gt_conformance import schema
from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Parameters
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import describe_error, place_of
from gt_conformance.checks._words import ACCENTED, escaped_in, say_word, say_words, spoilt_in
from gt_conformance.exchange import Exchange, NotJson, Request, Response, ServerSentEvent, parse_json, shortened
from gt_conformance.runbook import ChatProfile
from gt_conformance.vocabulary import Modality

DONE = "[DONE]"
COMPLETES = "a 2xx chat completion with an assistant message that is not empty"
FILTERED = (
    "the model's content filter refused this prompt (finish_reason content_filter)",
    "Publish the alias with a model, or with filter settings, that answer a harmless question.",
)
"""The block of an answer that the model's filter withholds: reason and remedy."""
_LONGEST_QUOTE = 120
_SHORT = 16_384
"""Bytes of a stream that is kept as it was read. So many of them do not fill the memory."""
AFTER_DONE = "stream:output after [DONE]"
"""The one cause of what clients lose that stop reading at [DONE]: text, or pieces of a tool call."""
PASS_ON_WHOLE = "Have the tenant, and every proxy before it, pass the stream on as it is made, to its end."
FIND_THE_TEXT = "Look for this request in the tenant's log: the tenant loses the text, or the model gives none at all."
PASS_ON_MESSAGES, MESSAGES_LOST = "Have the tenant pass every message of a chat on to the model.", "chat:many"
"""One cause, whether all but the last message are lost, or the first of a few."""
EMPTY, EMPTY_STREAM, EMPTY_LARGE = "empty:chat", "empty:stream", "empty:large chat"
"""The causes of answers without text: one where several kinds of chats lack it, each its own where it is alone."""


def shape_of(profile: ChatProfile) -> Parameters:
    """The body fields with which this client asks for a chat."""
    return Parameters(
        token_limit=profile.token_limit, token_limit_value=profile.token_limit_value, fields=profile.fields
    )


def chat_request(probe: Probe, messages: Any = None, **body: Any) -> Request:
    """A chat completion with the limit field and the body fields that the row's client sends.

    Left out, the message asks for the code word alone, and with a limit or fields of a client for several words.
    """
    parameters = probe.parameters
    if messages is None and (parameters.fields or parameters.token_limit != "none"):
        messages = say_words(probe.run_id, probe.credential.name)
    if parameters.token_limit != "none":
        body = {parameters.token_limit: parameters.token_limit_value or probe.tenant.limits.completion_tokens, **body}
    fields = {**dict(parameters.fields), **body}
    return requests.chat(probe.tenant, probe.credential.name, _asked(probe, messages), fields=fields)


def plain_chat(
    probe: Probe,
    messages: Any = None,
    *,
    conversation: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Request:
    """A chat completion with these fields and no client's own."""
    asked = _asked(probe, messages)
    return requests.chat(probe.tenant, probe.credential.name, asked, conversation=conversation, fields=fields)


def _asked(probe: Probe, messages: Any) -> Any:
    """The messages; left out, the prompt that asks for the code word of this run and key."""
    return say_word(probe.run_id, probe.credential.name) if messages is None else messages


def stream_request(probe: Probe) -> Request:
    """The same as a stream, with usage where the client asks for it."""
    options = {"stream_options": {"include_usage": True}} if probe.parameters.stream_usage else {}
    return chat_request(probe, say_words(probe.run_id, probe.credential.name), stream=True, **options)


def expect_completion(probe: Probe, exchange: Exchange, expected: str = COMPLETES) -> Mapping[str, Any]:
    """The first choice of an answer that holds to the schema and has output; else that is the violation."""
    body: Mapping[str, Any] = probe.json(exchange, "chat-completion", expected)
    expect_no_error(probe, exchange, expected)
    expect_needs(probe, exchange, body, "chat-completion", PLAIN_NEEDS)
    expect_json_type(probe, exchange)
    choice: Mapping[str, Any] = body["choices"][0]
    message = choice["message"]
    if not has_output(message):
        probe.usable = False
        if not block_unfinished(probe, exchange, {choice.get("finish_reason")}):
            probe.fail(
                expected,
                "the message has no content and no tool call",
                exchange,
                remedy=FIND_THE_TEXT,
                cause=EMPTY,
            )
    _check_usage(probe, exchange, body.get("usage"))
    return choice


def expect_unspoilt(probe: Probe, exchange: Exchange, text: str) -> None:
    """The accented word that the prompt asks for, where it comes at all, comes as it was sent, and so does an "&".

    A token limit may end an answer within that word.
    """
    is_cut = text.lower().endswith(ACCENTED[:-1]) and _ends_at_a_limit(exchange.response)
    if (found := spoilt_in(text)) and not is_cut:
        probe.fail(
            "text beyond ASCII goes to the model and comes back as it is",
            f"an accented word came as {found!r}",
            exchange,
            remedy="Have the tenant, and every proxy before it, read and write UTF-8, and part no text between bytes.",
            cause="chat:utf-8",
        )
    if found := escaped_in(text):
        probe.fail(
            "an answer comes as the model wrote it",
            f"it holds the HTML entity {found}",
            exchange,
            remedy="Have the tenant, and every proxy before it, pass answers on as text, not escaped for a web page.",
            cause="chat:escaped",
        )


def _ends_at_a_limit(response: Response | None) -> bool:
    bodies = bodies_in(response) if response is not None else ()
    return any(choice.get("finish_reason") == "length" for body in bodies for choice in choices_in(body))


def block_unfinished(probe: Probe, exchange: Exchange, finish_reasons: Container[object]) -> bool:
    """Block an answer that is empty for a reason which it names and which is not the tenant's; whether there is one."""
    if "length" in finish_reasons:
        # Reasoning counts against the limit, whether the answer shows it or not.
        probe.block(
            "the answer used up its token limit before any text came, as with a reasoning model",
            raise_limit(probe, exchange.request),
        )
        return True
    if "content_filter" in finish_reasons:
        probe.block(*FILTERED)
        return True
    return False


def raise_limit(probe: Probe, request: Request) -> str:
    """What to do about a token limit that was too small: it is the tenant file's, the client's own, or the alias's."""
    body, own = parse_json(request.body.decode()), probe.tenant.limits.completion_tokens
    sent = next((body[name] for name in ("max_completion_tokens", "max_tokens") if name in body), None)
    if sent == own:
        return f"Raise limits.completion_tokens in the tenant file ({own})."
    alias = probe.model(Modality.CHAT)
    if sent is None:
        return f"Give the alias {alias} a larger token limit: the request sets none."
    return f"Publish the alias {alias} with a model that thinks less: this client allows {sent} tokens."


JSON_TYPE = "json"
PLAIN_NEEDS = frozenset({"index", "role", "assistant", "types", "object", "usage", JSON_TYPE})
CHUNK_NEEDS = frozenset({"index", "assistant", "types", "choices", "delta"})
"""What single clients need, as far as the schema of an answer and that of a chunk can tell: their ``needs.*``."""


def expect_json_type(probe: Probe, exchange: Exchange) -> None:
    """That JSON is called JSON, which clients need that read anything else as a text; others do not look."""
    kind = exchange.response.media_type if exchange.response else ""
    if kind == "application/json" or kind.endswith("+json"):
        return
    found = kind or "no content type"
    if JSON_TYPE in probe.parameters.needs:
        expected = "content type application/json: this client reads anything else as a text"
        fail_type(probe, exchange, expected, found)
    else:
        probe.advise(f"content type application/json, without which some SDKs parse nothing: {found}", exchange)


def fail_type(probe: Probe, exchange: Exchange, expected: str, found: str) -> None:
    """Record a wrong content type: one that is the same for JSON and for streams comes from one place before both."""
    remedy = "Have the tenant, and every proxy before it, send JSON as application/json, streams as text/event-stream."
    probe.fail(expected, found, exchange, remedy=remedy, cause=_TYPES.get(found, "type:another"))


_TYPES = {
    "no content type": "type:none",
    "application/octet-stream": "type:octets",
    "text/html": "type:page",
    "text/plain": "type:text",
}


def expect_needs(probe: Probe, exchange: Exchange, body: Any, wire: str, known: Container[str]) -> None:
    """What the row's client was measured to need of a body, and others do not; the same text once."""
    rules = schema.load(f"wire/{wire}")
    needs = [need for need in probe.parameters.needs if need in known and need != JSON_TYPE]
    failing = [(need, error) for need in needs for error in rules.errors(body, at=f"#/$defs/needs.{need}")[:1]]
    for need, error in failing:
        expected, found = f"what this client cannot do without ({need})", describe_error(error)
        if (expected, found) not in {(item.expected, item.found) for item in probe.violations}:
            remedy = f"Have the tenant answer in OpenAI's shape: {found.rstrip('.')}."
            cause = f"needs:{wire}:{place_of(failing[0][1])}"
            probe.fail(expected, found, exchange, remedy=remedy, cause=cause)


def is_accepted(response: Response) -> bool:
    """Whether a chat request was accepted: a 2xx without an error object inside, which most SDKs do not see."""
    return response.succeeded and not any(errors_in(response))


def has_output(message: Mapping[str, Any]) -> bool:
    """Whether a message has text, a tool call or a refusal in it."""
    return bool(text_in(message).strip() or message.get("tool_calls") or message.get("refusal"))


def text_in(message: Mapping[str, Any]) -> str:
    """The content of a message; empty where it has none."""
    return message.get("content") or ""


def tool_calls_in(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool calls of a message."""
    return message.get("tool_calls") or []


def _check_usage(probe: Probe, exchange: Exchange, usage: Any) -> None:
    if not isinstance(usage, dict):
        return
    prompt, answer, total = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if isinstance(prompt, int) and isinstance(answer, int) and isinstance(total, int):
        probe.should(prompt + answer == total, f"usage adds up: {prompt} + {answer} is not {total} tokens", exchange)


# -- streams


@dataclass
class Stream:
    """The events of a stream in order: chunks as mappings, with what was not one and the position of [DONE]."""

    chunks: list[Mapping[str, Any]] = field(default_factory=list)
    chunk_events: list[ServerSentEvent] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    without_data: list[str] = field(default_factory=list)
    done_at: int | None = None
    events_after_done: int = 0

    @cached_property
    def errors(self) -> tuple[str, ...]:
        """What its error objects say."""
        return tuple(_errors_in(self.chunks))

    @property
    def finish_reasons(self) -> set[object]:
        """Those of all choices."""
        reasons = (choice.get("finish_reason") for chunk in self.chunks for choice in choices_in(chunk))
        return {reason for reason in reasons if isinstance(reason, str)}

    @property
    def goes_on(self) -> bool:
        """Whether text, a tool call or a piece of one follows [DONE]."""
        late = self.chunks[self.done_at :] if self.done_at is not None else ()
        return any(brings_output(delta_in(choice)) for chunk in late for choice in choices_in(chunk))


def read_stream(response: Response) -> Stream:
    """The stream in a response, read-only. Comments are skipped; what follows [DONE] is kept where it is a chunk."""
    return _read_short(response) if len(response.body) <= _SHORT else _read(response)


@lru_cache(maxsize=128)
def _read_short(response: Response) -> Stream:
    """What is short is kept for a while: a run looks at the same stream ten times."""
    return _read(response)


def _read(response: Response) -> Stream:
    stream = Stream()
    for event in response.events:
        if "data" not in event.fields:
            stream.without_data.append(event.fields[0])
            continue
        if event.data.strip() == DONE:
            stream.done_at = len(stream.chunks) if stream.done_at is None else stream.done_at
            continue
        stream.events_after_done += stream.done_at is not None
        try:
            value = parse_json(event.data)
        except NotJson as error:
            joined = "; two events may be separated by a single LF" if "\n" in event.data else ""
            text = f"{shortened(event.data, _LONGEST_QUOTE)!r} {error}{joined}"
        else:
            if isinstance(value, dict):
                stream.chunks.append(value)
                stream.chunk_events.append(event)
                continue
            text = f"{shortened(event.data, _LONGEST_QUOTE)!r} is not a JSON object"
        if stream.done_at is None:
            stream.malformed.append(text)
    return stream


def whole_stream(probe: Probe, exchange: Exchange, expected: str) -> Response:
    """The 2xx response to a request for a stream. After [DONE] nothing is missing, whatever becomes of the connection.

    Anything else is a violation and ends the check.
    """
    response = exchange.response
    sound = response is not None and response.succeeded and not response.miscoded
    if response is not None and sound and read_stream(response).done_at is not None:
        return response
    return probe.success(exchange, expected)


def is_whole(response: Response) -> bool:
    """Whether nothing of it is missing: after [DONE] nothing is, whatever becomes of the connection."""
    is_stream = response.media_type == "text/event-stream"
    return response.complete or (is_stream and read_stream(response).done_at is not None)


def bodies_in(response: Response) -> list[Mapping[str, Any]]:
    """The JSON objects of an answer: its chunks where it is streamed, else its body, where that is one."""
    if response.media_type == "text/event-stream":
        return list(read_stream(response).chunks)
    try:
        body = response.json()
    except NotJson:
        return []
    return [body] if isinstance(body, dict) else []


def errors_in(response: Response) -> Iterator[str]:
    """What the error objects in a 2xx answer say, streamed or not."""
    if response.media_type == "text/event-stream":
        yield from read_stream(response).errors
    else:
        yield from _errors_in(bodies_in(response))


def _errors_in(bodies: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for body in bodies:
        if error := error_inside(body):
            said = error.get("message") if isinstance(error, dict) else None
            yield shortened(str(said or error), _LONGEST_QUOTE)


def error_inside(body: Mapping[str, Any]) -> Any:
    """The error in an answer or a chunk, or in one of its choices, as gateways put that of a provider; else None."""
    found = (one.get("error") for one in (body, *choices_in(body)))
    return next((error for error in found if error), None)


def expect_no_error(probe: Probe, exchange: Exchange, expected: str) -> None:
    """End the check where a 2xx answer has an error inside, on which nothing else can rest."""
    if fail_error_inside(probe, exchange, expected):
        probe.usable = False
        raise StopCheck


def fail_error_inside(probe: Probe, exchange: Exchange, expected: str) -> bool:
    """Record an error inside of a 2xx answer: the same mistake, whatever was asked; whether there is one."""
    response = exchange.response
    error = next(errors_in(response), "") if response is not None and response.succeeded else ""
    if response is not None and error:
        remedy = f"Have the tenant answer with an error status: most clients take {response.status} for a success."
        found = f"HTTP {response.status} with an error inside: {error}"
        probe.fail(expected, found, exchange, remedy=remedy, cause="chat:error inside")
    return bool(error)


def choices_in(chunk: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The choices of a chunk that are objects at all."""
    listed = chunk.get("choices")
    yield from (choice for choice in listed if isinstance(choice, dict)) if isinstance(listed, list) else ()


def brings_output(delta: Mapping[str, Any]) -> bool:
    """Whether a delta has text, a piece of a tool call or of a refusal."""
    content = delta.get("content")
    return bool((isinstance(content, str) and content) or delta.get("tool_calls") or delta.get("refusal"))


def delta_in(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The delta of a choice; empty where it has none."""
    value = choice.get("delta")
    return value if isinstance(value, dict) else {}

"""A chat stream read for judging: its chunks, its end, and the errors inside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gt_conformance.exchange import NotJson, Response, ServerSentEvent, parse_json, shortened

DONE = "[DONE]"
_LONGEST_QUOTE = 120


@dataclass
class Stream:
    """The events of a stream in order: chunks as mappings, with what was not one and where [DONE] stood."""

    chunks: list[Mapping[str, Any]] = field(default_factory=list)
    chunk_events: list[ServerSentEvent] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    done_at: int | None = None
    chunks_after_done: int = 0


def read(response: Response) -> Stream:
    """The stream in a response. Events without data (comments, bare event lines) are passed over."""
    stream = Stream()
    for event in response.events:
        if "data" not in event.fields:
            continue
        if event.data.strip() == DONE:
            stream.done_at = len(stream.chunks) if stream.done_at is None else stream.done_at
            continue
        if stream.done_at is not None:
            stream.chunks_after_done += 1
        try:
            value = parse_json(event.data)
        except NotJson as error:
            joined = "; two events may be parted by a single LF" if "\n" in event.data else ""
            stream.malformed.append(f"{shortened(event.data, _LONGEST_QUOTE)!r} {error}{joined}")
            continue
        if not isinstance(value, dict):
            stream.malformed.append(f"{shortened(event.data, _LONGEST_QUOTE)!r} is no JSON object")
            continue
        stream.chunks.append(value)
        stream.chunk_events.append(event)
    return stream


def errors_in(response: Response) -> Iterator[str]:
    """The error objects in a 2xx answer, streamed or not."""
    if response.media_type == "text/event-stream":
        bodies: list[Any] = list(read(response).chunks)
    else:
        try:
            bodies = [response.json()]
        except NotJson:
            return
    for body in bodies:
        if isinstance(body, dict) and body.get("error"):
            yield shortened(str(body["error"]), _LONGEST_QUOTE)


def choices(chunk: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The choices of a chunk that are objects at all."""
    listed = chunk.get("choices")
    yield from (choice for choice in listed if isinstance(choice, dict)) if isinstance(listed, list) else ()


def delta(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The delta of a choice; empty where it has none."""
    value = choice.get("delta")
    return value if isinstance(value, dict) else {}

"""Faults by which an answer is to another request: of another key, or an earlier one."""

import asyncio
import json
import re
from collections.abc import Callable, Hashable, Mapping
from itertools import count
from typing import Any

from starlette.types import Scope

from gt_sandbox.faults._fault import fault
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_responses,
    change_scopes,
    has_file,
    is_any,
    is_dataset_upload,
    is_live,
    is_stream,
    is_whole_chat,
    per_call,
    use_key,
    with_bearer,
    with_secrets,
)

_FIRST_BYTES = 100
_WORD = re.compile(rb"gtword[0-9a-f]{10}")


def _cache(wanted: Predicate, key: Callable[[Request], Hashable]) -> MiddlewareFactory:
    """What was answered first is the answer to all requests that the cache takes for the same."""

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[Hashable, Response] = {}

        def change(request: Request, response: Response) -> Response:
            return kept.setdefault(key(request), response) if response.succeeded else response

        return change_responses(wanted, change)

    return with_secrets(make)


def _answer_one_late(wanted: Predicate) -> MiddlewareFactory:
    """Each answer to a key is the one that its request before should have got."""

    def make(_: Secrets) -> MiddlewareFactory:
        before: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded:
                return response
            answered, before[request.secret] = before.get(request.secret, response), response
            return answered

        return change_responses(wanted, change)

    return with_secrets(make)


def _has_pdf(request: Request) -> bool:
    return has_file(".pdf")(request) and not has_file(".broken.pdf")(request)


def _name_files_by_texts() -> MiddlewareFactory:
    """A PDF is answered with the id of the text that its key uploaded last."""

    def make(_: Secrets) -> MiddlewareFactory:
        texts: dict[str, str] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded:
                return response
            if has_file(".txt")(request):
                texts[request.secret] = response.json["id"]
            return response.with_json({**response.json, "id": texts.get(request.secret, response.json["id"])})

        return change_responses(lambda request: has_file(".txt")(request) or _has_pdf(request), change)

    return with_secrets(make)


def _cache_in_front(wanted: Predicate, key: Callable[[Request], Hashable]) -> MiddlewareFactory:
    """The same by a cache that stands before the tenant, which does not see what is answered from it."""

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[Hashable, Response] = {}

        async def serve(call: Call) -> None:
            if not wanted(call.request):
                await call.forward()
                return
            response = kept.get(key(call.request)) or await call.response()
            if response.succeeded:
                kept.setdefault(key(call.request), response)
            await call.respond(response)

        return per_call(serve)

    return with_secrets(make)


def _keep_refusals(key: Callable[[Request], Hashable]) -> MiddlewareFactory:
    """What is refused once is refused for two seconds, to all requests that the cache takes for the same."""

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[Hashable, tuple[float, Response]] = {}

        async def serve(call: Call) -> None:
            now = asyncio.get_running_loop().time()
            since, response = kept.get(key(call.request), (now - _KEPT_S, None))
            if response is None or now - since >= _KEPT_S:
                response = await call.response()
                if 400 <= response.status < 500:
                    kept[key(call.request)] = (now, response)
            await call.respond(response)

        return per_call(serve)

    return with_secrets(make)


_KEPT_S = 2


def _path_of(request: Request) -> str:
    return request.path.rpartition("/")[2]


def _answer_late(wanted: Predicate, waits_at: Callable[[Request], str] = _path_of) -> MiddlewareFactory:
    """Each request gets the last answer that waits there: a connection that is pooled is one answer behind."""

    def make(_: Secrets) -> MiddlewareFactory:
        last: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded:
                return response
            earlier = last.get(waits_at(request), response)
            last[_path_of(request)] = response
            return earlier

        return change_responses(wanted, change)

    return with_secrets(make)


def _answer_streams_plainly() -> MiddlewareFactory:
    """A streamed chat with tools gets what the same chat gets in one piece, which is waited for."""
    same = _all_but("stream", "stream_options")

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[Hashable, Response] = {}

        async def serve(call: Call) -> None:
            request = call.request
            if not (CHAT(request) and "tools" in request.fields):
                await call.forward()
            elif is_stream(request):
                for _ in range(_PATIENCE):
                    if same(request) in kept:
                        await call.respond(kept[same(request)])
                        return
                    await asyncio.sleep(_PAUSE_S)
                await call.forward()
            else:
                kept[same(request)] = response = await call.response()
                await call.respond(response)

        return per_call(serve)

    return with_secrets(make)


_PATIENCE, _PAUSE_S = 100, 0.02


def swap_concurrent(wanted: Predicate, alike: Callable[[Request], object] = lambda _: None) -> MiddlewareFactory:
    """Two requests of one key, and ``alike``, that are under way at the same time get each other's answers."""

    def make(_: Secrets) -> MiddlewareFactory:
        waiting: dict[tuple[str, object], tuple[asyncio.Future[Response], Response]] = {}

        async def serve(call: Call) -> None:
            if not wanted(call.request):
                await call.forward()
                return
            own, key = await call.response(), (call.request.secret, alike(call.request))
            if not own.succeeded:
                await call.respond(own)
            elif key in waiting:
                other, others = waiting.pop(key)
                other.set_result(own)
                await call.respond(others)
            else:
                waiting[key] = (answer := asyncio.get_running_loop().create_future(), own)
                await asyncio.wait([answer], timeout=_TOGETHER_S)
                if not answer.done():
                    del waiting[key]
                await call.respond(answer.result() if answer.done() else own)

        return per_call(serve)

    return with_secrets(make)


_TOGETHER_S = 0.05


def _form_of(request: Request) -> tuple[object, ...]:
    """In which form vectors are asked for, and for how many texts: texts do not tell what comes in another form."""
    texts = request.fields.get("input")
    return request.fields.get("encoding_format"), len(texts) if isinstance(texts, list) else 1


def _is_in_words(request: Request) -> bool:
    """Whether it is a chat in one piece, without tools, a form or a conversation."""
    plain = not {"tools", "response_format"} & request.fields.keys()
    return is_whole_chat(request) and plain and not request.header(CONVERSATION_HEADER)


def _mix_keys(wanted: Predicate) -> MiddlewareFactory:
    """A chat gets what was answered to the same kind of chat of another key, where there was one."""

    def make(_: Secrets) -> MiddlewareFactory:
        answered: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded:
                return response
            others = [given for secret, given in answered.items() if secret != request.secret]
            answered.setdefault(request.secret, response)
            return others[0] if others else response

        return change_responses(wanted, change)

    return with_secrets(make)


def _list_others_later() -> MiddlewareFactory:
    def make(secrets: Secrets) -> MiddlewareFactory:
        listed: set[str] = set()

        def change(scope: Scope, request: Request) -> Scope:
            if not (MODELS(request) and "/v1/" in request.path) or not is_live(request, secrets, "CHAT", "CURSOR"):
                return scope
            is_first = request.secret not in listed
            listed.add(request.secret)
            return scope if is_first else with_bearer(scope, secrets["GT_EMBEDDED_PARTNER"])

        return change_scopes(change)

    return with_secrets(make)


def _says_a_word(request: Request) -> bool:
    """Whether it asks for a word, and for nothing else."""
    asked = str(request.messages[-1].get("content")) if request.messages else ""
    plain = not {"tools", "response_format"} & request.fields.keys()
    return plain and asked.startswith("Reply with the word") and "gtword" in asked


def _holds_a_word(request: Request) -> bool:
    """Whether it asks for a word that an earlier message tells, outside of conversations."""
    return not request.header(CONVERSATION_HEADER) and _WORD.search(request.body) is not None


def _without_boundary(request: Request) -> bytes:
    """The body, without what parts a form at random."""
    _, _, boundary = request.header("content-type").partition("boundary=")
    return request.body.replace(boundary.encode(), b"") if boundary else request.body


def _all_but(*names: str) -> Callable[[Request], Hashable]:
    """The key, the conversation and the fields of a chat, but for some."""
    return lambda request: (
        request.secret,
        request.header(CONVERSATION_HEADER),
        json.dumps({name: value for name, value in request.fields.items() if name not in names}, sort_keys=True),
    )


def _without_system(request: Request) -> list[Mapping[str, Any]]:
    return [message for message in request.messages if message.get("role") != "system"]


def _by_address(wanted: Predicate) -> MiddlewareFactory:
    """A cache that looks at the address alone, and into which whoever asks looks before the key is checked."""

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            known = kept.get(request.path, response)
            return kept.setdefault(request.path, known) if known.succeeded else known

        return change_responses(wanted, change)

    return with_secrets(make)


def _before_the_key(wanted: Predicate) -> MiddlewareFactory:
    """A cache that answers by the body alone, before the right of the key is looked at."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        kept: dict[bytes, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not is_live(request, secrets):
                return response
            body = _without_boundary(request)
            return kept.setdefault(body, response) if response.succeeded else kept.get(body, response)

        return change_responses(wanted, change)

    return with_secrets(make)


def _list_to_anybody(_: Secrets) -> MiddlewareFactory:
    """At each third list whoever asks is taken for the widest key."""
    asked = count(1)
    return use_key(lambda request, _: "FULL" if MODELS(request) and next(asked) % 3 == 0 else None)


FAULTS = (
    fault(
        "chats-cached-before-the-key",
        "A cached chat is given to any key that sends the same request, whatever its scopes.",
        _before_the_key(lambda request: is_whole_chat(request) and not request.header(CONVERSATION_HEADER)),
        caught_by="key.scope_enforced",
        breaks=("A5", "K11"),
    ),
    fault(
        "vectors-cached-before-the-key",
        "Vectors that a key was given are given to any key that asks for the same, whatever its scopes.",
        _before_the_key(EMBEDDINGS),
        caught_by="key.scope_enforced",
        breaks=("A5", "K12"),
    ),
    *(
        fault(
            f"{name}-cached-before-the-key",
            f"{what} that a key was given is given to any key that asks for the same, whatever its scopes.",
            _before_the_key(wanted),
            caught_by="key.scope_enforced",
            breaks=("A5", clause),
        )
        for name, what, wanted, clause in (
            ("transcriptions", "A transcription", TRANSCRIPTIONS, "K13"),
            ("speech", "Speech", SPEECH, "K14"),
            ("images", "An image", IMAGES, "K15"),
        )
    ),
    fault(
        "chats-cached-by-their-last-message",
        "A cache of chats looks at the last message alone, and leaves out those before it.",
        _cache(
            is_whole_chat,
            lambda request: (_all_but("messages")(request), json.dumps(request.messages[-1:], sort_keys=True)),
        ),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "chats-cached-without-their-conversation",
        "A cache of chats does not look at X-GT-Conversation-Id.",
        _cache(is_whole_chat, lambda request: (request.secret, request.body)),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "embeddings-cached-by-the-first-100-bytes",
        "A cache before the key knows a request for embeddings by the first 100 bytes of its body.",
        _cache_in_front(EMBEDDINGS, lambda request: request.body[:_FIRST_BYTES]),
        caught_by="embeddings.base64",
        breaks=("E3", "K12"),
    ),
    fault(
        "chats-swapped-under-load",
        "Two chats of one key that are under way at the same time get each other's answers.",
        swap_concurrent(CHAT),
        caught_by="answers.own",
        breaks=("C1",),
        by_chance=True,
    ),
    fault(
        "embeddings-swapped-under-load",
        "Two requests of one key for as many embeddings that are under way at the same time get each other's answers.",
        swap_concurrent(EMBEDDINGS, _form_of),
        caught_by="answers.own",
        breaks=("E1",),
        by_chance=True,
    ),
    fault(
        "transcriptions-cached-without-their-file",
        "A cache of transcriptions looks at the key and not at their file.",
        _cache(TRANSCRIPTIONS, lambda request: request.secret),
        caught_by="audio.transcribes_as_asked",
        breaks=("S4",),
    ),
    fault(
        "chats-cached-by-key-alone",
        "A cache before the tenant gives each key its first chat, whatever else it asks.",
        _cache_in_front(CHAT, lambda request: (request.path, request.secret)),
        caught_by="answers.own",
        breaks=("C1", "A9"),
    ),
    fault(
        "chats-cached-without-tools",
        "A cache of chats does not look at tools, nor at which of them is ordered.",
        _cache(CHAT, _all_but("tools", "tool_choice")),
        caught_by="answers.own",
        breaks=("C1",),
    ),
    fault(
        "chats-cached-without-system-messages",
        "A cache of chats does not look at system messages.",
        _cache(CHAT, lambda request: (_all_but("messages")(request), json.dumps(_without_system(request)))),
        caught_by="answers.own",
        breaks=("C1",),
    ),
    fault(
        "chats-cached-without-stream",
        "A cache of chats with tools does not look at stream, and answers a stream with the plain answer of before.",
        _answer_streams_plainly(),
        caught_by="chat.streamed_tools",
        breaks=("R1",),
    ),
    fault(
        "chat-answers-of-other-keys",
        "A chat is answered from a cache that does not look at the key.",
        _mix_keys(lambda request: is_whole_chat(request) and _says_a_word(request)),
        caught_by="answers.own",
        breaks=("C3",),
    ),
    fault(
        "stream-answers-of-other-keys",
        "A streamed chat gets the stream of another key.",
        _mix_keys(lambda request: is_stream(request) and "tools" not in request.fields and _holds_a_word(request)),
        caught_by="answers.own",
        breaks=("C3",),
    ),
    fault(
        "chat-answers-from-before",
        "Every chat of a key is answered from a cache with what it was answered first.",
        _cache(_is_in_words, lambda request: (request.secret, request.fields.get("model"))),
        caught_by="answers.own",
        breaks=("C1",),
    ),
    fault(
        "later-lists-of-other-keys",
        "A key is listed its own names at first, and later those of another key, from a cache.",
        _list_others_later(),
        caught_by="answers.own",
        breaks=("M1",),
    ),
    fault(
        "vectors-of-other-keys",
        "A cache of embeddings looks at a part of the text only, and gives a key the vectors of another.",
        _cache(
            lambda request: EMBEDDINGS(request) and "encoding_format" not in request.fields,
            lambda request: _WORD.sub(b"", request.body),
        ),
        caught_by="answers.own",
        breaks=("E1",),
    ),
    fault(
        "embeddings-answered-one-behind",
        "Each request for embeddings gets the answer to the one before.",
        _answer_late(EMBEDDINGS),
        caught_by="answers.own",
        breaks=("E1",),
    ),
    fault(
        "speech-and-images-swapped",
        "Speech is answered with the last images, and images with the last speech.",
        _answer_late(
            lambda request: SPEECH(request) or IMAGES(request),
            lambda request: "generations" if SPEECH(request) else "speech",
        ),
        caught_by="answers.own",
        breaks=("S2", "S5"),
    ),
    fault(
        "lists-cached-by-their-address",
        "A cache before the tenant keeps model lists by their address: whoever asks gets the list of who asked first.",
        _by_address(lambda request: MODELS(request) and request.method == "GET"),
        caught_by="models.exact_allowlist",
        breaks=("M1", "A1"),
    ),
    fault(
        "all-cached-by-address",
        "A proxy keeps each answer by its address alone, posted requests as well, and gives it to whoever comes there.",
        _by_address(is_any),
        caught_by="models.exact_allowlist",
        breaks=("M1", "A1"),
    ),
    fault(
        "conversation-ids-given-again",
        "Whoever opens a conversation gets the one that was opened first.",
        _cache(CONVERSATIONS, _path_of),
        caught_by="answers.own",
        breaks=("A9",),
    ),
    fault(
        "file-ids-given-again",
        "Whoever uploads a file to a dataset gets the id of the first one.",
        _cache(is_dataset_upload, _path_of),
        caught_by="files.status",
        breaks=("F1", "F5"),
    ),
    fault(
        "pdfs-given-ids-of-texts",
        "An uploaded PDF is given the id of the text that its key uploaded before.",
        _name_files_by_texts(),
        caught_by="answers.own",
        breaks=("F1",),
    ),
    fault(
        "speech-one-request-late",
        "Speech is the sound of the text that its key sent before.",
        _answer_one_late(SPEECH),
        caught_by="answers.own",
        breaks=("S2",),
    ),
    fault(
        "one-instance-lists-to-anybody",
        "One instance of three lists the names of the widest key to whoever asks.",
        with_secrets(_list_to_anybody),
        caught_by="models.exact_allowlist",
        breaks=("M1", "A1"),
        by_chance=True,
    ),
    fault(
        "refusals-kept-by-key",
        "A cache before the tenant keeps a refusal for two seconds, for the same key at that address.",
        _keep_refusals(lambda request: (request.path, request.secret)),
        caught_by="chat.streams",
        breaks=("C8",),
        by_chance=True,
    ),
)

"""A gateway that spoils every answer alike, and an instance that spoils its own, are one finding each."""

import html
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from gt_sandbox.faults import FAULTS
from gt_sandbox.faults._parts import web_page
from gt_sandbox.faults.crosstalk import swap_concurrent
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_choice,
    change_chunks,
    change_headers,
    change_json,
    change_requests,
    change_responses,
    change_successes,
    combine,
    error_response,
    has_field,
    is_any,
    is_file_state,
    is_live,
    is_stream,
    is_upload,
    is_whole_chat,
    json_response,
    per_call,
    refuse,
    replace_json,
    with_secrets,
)
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs


def is_json(request: Request) -> bool:
    """Whether its body is JSON."""
    return request.header("content-type").startswith("application/json")


def is_whole(request: Request) -> bool:
    """Whether it asks for no stream."""
    return not is_stream(request)


def encode_again(_: Request, response: Response) -> Response:
    """JSON in a JSON text."""
    return response if response.json is None else response.with_json(response.body.decode())


def every_third_is_empty() -> MiddlewareFactory:
    """What an instance of three answers has no body."""
    numbers = count(1)

    def empty(_: Request, response: Response) -> Response:
        return replace(response, body=b"") if response.succeeded and next(numbers) % 3 == 0 else response

    return change_responses(is_any, empty)


GATEWAYS = {
    "encoded twice": (change_responses(is_whole, encode_again), "with nothing around them"),
    "wrapped": (replace_json(is_any, lambda body: {"success": True, "data": body}), "with nothing around them"),
    "no content type": (
        change_headers(lambda headers: {name: value for name, value in headers.items() if name != "content-type"}),
        "send JSON as application/json, streams as text/event-stream",
    ),
    "all of one type": (
        change_headers(lambda headers: {**headers, "content-type": "application/octet-stream"}),
        "send JSON as application/json, streams as text/event-stream",
    ),
    "no body": (
        change_responses(is_any, lambda _, one: replace(one, body=b"") if one.succeeded else one),
        "send each answer whole",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), GATEWAYS.values(), ids=GATEWAYS)
def test_what_spoils_every_answer_alike_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """Whichever route is asked: what stands around the answers is at fault, and not their shapes."""
    [line] = found(judged(middleware))
    assert words in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("streamed-tools-come-whole", "stream the answers to requests with tools as it streams others"),
        ("conversation-ids-cut-in-headers", "give the id of a new conversation whole in X-GT-Conversation-Id"),
        ("transcription-bare", "answer in JSON where nothing else is asked for"),
        ("conversation-files-known-in-every-conversation", "for the chats of that conversation alone"),
    ],
)
def test_what_goes_wrong_in_one_form_is_one_finding_with_a_remedy_for_it(name: str, words: str) -> None:
    """Neither a limit on sizes, nor a missing model, nor what a refused upload left behind is blamed."""
    middleware = FAULTS[name].middleware
    assert middleware is not None
    [line] = found(judged(middleware, every=True))
    assert words in line


def test_control_characters_within_texts_are_one_finding_that_speaks_of_no_cut() -> None:
    """The bodies are whole: what has a text of several words is no JSON, and the model is not blamed for it."""
    unescape = change_responses(is_whole, lambda _, one: one.with_body(one.body.replace(b" ", b"\v")))
    lines = found(judged(unescape, "dify"))
    assert all("control characters escaped" in line for line in lines), lines
    assert len(lines) == 1


def test_an_instance_whose_answers_are_empty_is_one_finding() -> None:
    """Now and then a success has no body, whatever was asked for."""
    lines = [line for line in found(judged(every_third_is_empty(), every=True)) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert "the same request is answered when it is sent again" in lines[0]


def test_bodies_that_do_not_arrive_are_one_finding() -> None:
    """Each route says in its own way what is missing: JSON, or a part of a form."""
    [line] = found(judged(change_requests(lambda request: request.method == "POST", lambda _: b"")))
    assert "Find what keeps the bodies of requests from the tenant" in line


@pytest.mark.parametrize(
    "given", [json_response(200, {}), Response(204, (), b"")], ids=["an empty object", "nothing at all"]
)
def test_a_gateway_that_answers_nobody_with_a_success_is_one_finding(given: Response) -> None:
    """What discovers the server without a key gets it as well, which is the same hole."""
    [line] = found(judged(refuse(lambda request: not request.secret, given), every=True))
    assert "Put authentication before every route" in line


def without_defaults(value: object) -> object:
    """The same without what is 0, empty or null, as gateways write JSON that make it of another form."""
    if isinstance(value, dict):
        return {key: without_defaults(one) for key, one in value.items() if one or isinstance(one, float)}
    return [without_defaults(one) for one in value] if isinstance(value, list) else value


def test_keys_that_are_left_out_where_their_value_is_empty_are_one_finding() -> None:
    """In whole chats, in streams, in the pieces of tool calls: the remedy names what is missing in each."""
    shortened = combine(replace_json(is_any, without_defaults), change_chunks(lambda chunk: [without_defaults(chunk)]))
    [line] = found(judged(shortened, every=True))
    assert "even if its value is 0, empty or null" in line
    assert "'choices' is missing" in line
    assert "'index' is missing" in line


def test_a_filter_that_answers_in_place_of_the_model_blocks_once() -> None:
    """It says so by its finish_reason: nothing is known of conversations, tools or uploads, and all of it waits."""

    def withhold(choice: dict[str, object]) -> None:
        choice.update(message={"role": "assistant", "content": "I cannot help."}, finish_reason="content_filter")

    [line] = found(judged(change_json(is_whole_chat, change_choice(withhold)), every=True))
    assert line.startswith("blocked: Publish the alias with a model, or with filter settings")


@pytest.mark.parametrize(("before", "behind"), [(b")]}',\n", b""), (b"", b"<!-- proxy -->")], ids=["before", "behind"])
def test_what_stands_around_json_is_not_blamed_on_the_address(before: bytes, behind: bytes) -> None:
    """The API answers, and something adds to it on the way: base_url is right."""

    def surround(_: Request, response: Response) -> Response:
        return response if response.json is None else response.with_body(before + response.body + behind)

    [line] = found(judged(change_responses(is_whole, surround)))
    assert "send JSON alone, whole and in UTF-8" in line


def test_a_method_that_a_gateway_refuses_is_not_blamed_on_the_address() -> None:
    """What is posted comes through, so that the address is right."""
    page = Response(405, (("content-type", "text/html"),), b"<!doctype html><html><body>Not allowed</body></html>")
    [line] = found(judged(refuse(is_file_state, page)))
    assert "let each method of the API through" in line


PAGE = Response(200, (("content-type", "text/html"),), b"<!doctype html><html><body>Sign in</body></html>")


@pytest.mark.parametrize(
    ("given", "words"),
    [(PAGE, "a web page in place of an answer"), (Response(302, (("location", "/login"),), b""), "HTTP 302")],
    ids=["a web page", "a redirect"],
)
def test_an_instance_that_is_not_the_api_is_one_finding(given: Response, words: str) -> None:
    """It gives its page, or leads to it, whoever asks for what: no boundary is open, and no key is refused."""
    numbers = count(2)  # the first two answers come from the API, and one of each three is no longer
    middleware = change_responses(is_any, lambda _, response: given if next(numbers) % 3 == 1 else response)
    [line] = found(judged(middleware, every=True))
    assert words in line
    assert "the same request is answered when it is sent again" in line


def test_conversations_that_are_forgotten_are_not_blamed_on_the_route() -> None:
    """Chats are served; a chat in a conversation that was just opened gets a 404."""
    unknown = error_response(404, "The conversation does not exist.")
    is_in_one = refuse(lambda request: CHAT(request) and bool(request.header(CONVERSATION_HEADER)), unknown)
    [line] = found(judged(is_in_one))
    assert "keep each conversation that it opens" in line


def test_numbers_that_are_text_are_one_mistake_whether_they_are_whole_or_not() -> None:
    """OpenAI's shape says a number of one count, and a whole number of another."""

    def as_text(body: dict[str, object]) -> object:
        counts = body.get("usage")
        return {**body, "usage": {key: str(one) for key, one in counts.items()}} if isinstance(counts, dict) else body

    [line] = found(judged(replace_json(lambda request: CHAT(request) or EMBEDDINGS(request), as_text), "dify"))
    assert "In several places it returns values of type text where type number is expected" in line


def numbered(value: object) -> object:
    """The same with a number in place of each id."""
    if isinstance(value, dict):
        return {key: hash(one) % 10**9 if key == "id" else numbered(one) for key, one in value.items()}
    return [numbered(one) for one in value] if isinstance(value, list) else value


def test_ids_that_are_numbers_are_one_finding_where_nobody_knows_the_number() -> None:
    """Who asks for a file by the id that was given gets a 404 for the same reason."""
    [line] = found(judged(replace_json(lambda request: not MODELS(request), numbered), "dify"))
    assert "In several places it returns values of type number where type text is expected" in line


def test_an_instance_that_lists_nothing_to_nobody_is_no_cache() -> None:
    """An empty list is nobody's: the instance lets in who has no key, and the others do not."""
    numbers = count(1)
    nothing = json_response(200, {"object": "list", "data": []})

    def is_every_second(request: Request) -> bool:
        return MODELS(request) and not request.secret and next(numbers) % 2 == 1

    [line] = found(judged(refuse(is_every_second, nothing), every=True))
    assert "decide alike" in line


def test_a_filter_that_writes_over_names_is_one_finding() -> None:
    """In model lists, in the model of answers and in what is said in a conversation: the list is not the operator's."""

    def mask(_: Request, response: Response) -> Response:
        masked = re.sub(rb"[a-z]+-[a-z]+(?:-[a-z0-9]+)*", b"[REDACTED]", response.body)
        return response if response.json is None else response.with_body(masked)

    [line] = found(judged(change_responses(is_whole, mask), "dify"))
    assert "Find what puts '[REDACTED]' in place of published names" in line


def test_answers_that_are_cut_at_a_size_are_one_finding() -> None:
    """Vectors are no JSON then, and a sound has fewer bytes than it states."""

    def cut(_: Request, response: Response) -> Response:
        return response.with_body(response.body[:2048]) if response.succeeded else response

    [line] = found(judged(change_responses(is_whole, cut)))
    assert "whatever its size" in line
    assert "POST /embeddings" in line
    assert "POST /audio/speech" in line


def test_bytes_in_the_wrong_order_are_no_instance_of_another_model() -> None:
    """Numbers made of them may be none, which equal nothing: the same answer came each time."""
    middleware = FAULTS["base64-big-endian"].middleware
    assert middleware is not None
    [line] = found(judged(middleware, every=True))
    assert "little-endian float32" in line


def test_a_filter_that_escapes_texts_is_not_the_model_that_writes_no_json() -> None:
    """Tool calls and JSON are escaped as well: nobody is told to publish a stronger model."""

    def escape(value: object) -> object:
        if isinstance(value, dict):
            return {key: escape(one) for key, one in value.items()}
        if isinstance(value, list):
            return [escape(one) for one in value]
        return html.escape(value) if isinstance(value, str) else value

    escaped = combine(replace_json(is_any, escape), change_chunks(lambda chunk: [escape(chunk)]))
    [line] = found(judged(escaped, "dify"))
    assert "not escaped for a web page" in line


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("bodies-cut-at-4-kb", "Find what limits or cuts the bodies of requests"),
        ("chats-routed-to-embeddings", "Find out where POST /api/tenant/chat/completions leads"),
        ("inference-fails-in-200", "answer an error with its own status"),
        ("byte-order-marks", "Find what puts a byte order mark (EF BB BF) before each answer"),
        ("unknown-fields-dropped", "pass on each field of a request"),
        ("any-key-is-the-widest-unversioned", "Put authentication before every route"),
        ("embeddings-in-reverse", "in the order of the texts"),
        ("embeddings-of-the-first-text", "give each text its own vector"),
        ("chats-cached-by-key-alone", "answer each chat by itself, whoever asked before"),
    ],
)
def test_what_one_part_of_the_way_does_is_one_finding(fault: str, words: str) -> None:
    """Whatever is asked: nobody is told of a weak model, a hole or a wrong name besides."""
    middleware = FAULTS[fault].middleware
    assert middleware is not None
    [line] = found(judged(middleware, every=True))
    assert line.startswith("violates")
    assert words in line


SAID = {
    "one character": ("!" * 20, "it writes one character again and again"),
    "marks of a template": ("<|im_start|>assistant\nNo.<|im_end|>", "the chat template and the stop words"),
    "another answer": ("I cannot help.", "with a stronger model"),
}


@pytest.mark.parametrize(("text", "words"), SAID.values(), ids=SAID)
def test_what_a_model_says_in_place_of_an_answer_tells_what_to_look_at(text: str, words: str) -> None:
    """It is quoted, so that who reads the finding sees it."""

    def say(choice: dict[str, dict[str, object]]) -> None:
        if choice["message"].get("content"):
            choice["message"]["content"] = text

    def stream(chunk: dict[str, list[dict[str, dict[str, object]]]]) -> list[object]:
        for choice in chunk.get("choices", []):
            if choice.get("delta", {}).get("content"):
                choice["delta"]["content"] = text
        return [chunk]

    record = judged(combine(change_json(is_whole_chat, change_choice(say)), change_chunks(stream)), "dify")
    lines = found(record)
    assert len(lines) == 1, lines
    assert words in lines[0]


def test_an_encoding_that_was_not_asked_for_is_no_caches() -> None:
    """However much else is wrong with chats: their answers are encoded by something else."""
    middleware = [FAULTS[name].middleware for name in ("chats-cached-without-tools", "brotli-unasked")]
    lines = found(judged(combine(*(one for one in middleware if one is not None)), every=True))
    assert len(lines) == 2, lines
    assert any("compress only as the request accepts" in line for line in lines)


def test_uploads_that_get_each_others_answers_are_one_finding() -> None:
    """Whichever of them are under way at the same time: it is no file that is missing, and none that fails."""
    [line] = found(judged(swap_concurrent(is_upload), every=True))
    assert "answer each upload and each new conversation with its own id" in line


def test_an_instance_that_fails_in_successes_is_one_finding() -> None:
    """It is told from a gateway that takes the status from every error."""
    numbers = count(2)
    inside = {"error": {"message": "upstream failed"}}

    def fail(_: Request, response: Response) -> Response:
        return response.with_json(inside) if response.succeeded and next(numbers) % 3 == 1 else response

    [line] = found(judged(change_responses(is_whole, fail), every=True))
    assert "an error in a success: upstream failed, and the same request is answered when it is sent again" in line


@pytest.mark.parametrize(
    "names",
    [
        ("byte-order-marks", "tool-arguments-lost"),
        ("bodies-cut-at-4-kb", "token-ids-refused"),
        ("unknown-fields-dropped", "speech-500"),
        ("chats-cached-by-key-alone", "retired-secrets-work-unversioned"),
        ("chats-cached-without-tools", "conversations-of-others-open-unversioned"),
        ("any-x-api-key-taken", "revoked-keys-list-models"),
        ("vectors-cached-before-the-key", "base64-unasked"),
        ("embeddings-of-first-lines", "embeddings-in-ascii"),
    ],
    ids=" and ".join,
)
def test_what_one_part_of_the_way_does_hides_no_second_cause(names: tuple[str, str]) -> None:
    """Two findings, though what is wrong by the second comes through the first."""
    middleware = [made for name in names if (made := FAULTS[name].middleware) is not None]
    lines = found(judged(combine(*middleware), every=True))
    assert len(lines) == 2, lines
    assert all(line.startswith("violates") for line in lines)


def expire_after_two(_: Secrets) -> MiddlewareFactory:
    """A conversation is known for two requests."""
    asked: Counter[str] = Counter()

    def is_expired(request: Request) -> bool:
        named = request.header(CONVERSATION_HEADER)
        asked[named] += 1
        return bool(named) and asked[named] > 2

    return refuse(is_expired, error_response(404, "The conversation does not exist."))


@pytest.mark.parametrize(
    ("middleware", "words"),
    [
        (
            refuse(
                lambda one: bool(one.header(CONVERSATION_HEADER)), Response(431, (("content-type", "text/plain"),), b"")
            ),
            "take requests with the header X-GT-Conversation-Id",
        ),
        (with_secrets(expire_after_two), "keep each conversation that it opens"),
    ],
    ids=["too large", "expired"],
)
def test_what_names_a_conversation_and_is_refused_for_that_is_one_finding(
    middleware: MiddlewareFactory, words: str
) -> None:
    """A chat in it, and an upload into it."""
    lines = found(judged(middleware, every=True))
    assert len(lines) == 1, lines
    assert words in lines[0]


def test_an_instance_that_drops_a_field_is_not_an_address_that_does() -> None:
    """Each second request for vectors comes without encoding_format, at whichever address."""
    numbers = count()

    def drop(body: bytes) -> bytes:
        return body if next(numbers) % 2 else body.replace(b'"encoding_format":"base64"', b'"encoding_format":"float"')

    lines = found(judged(change_requests(EMBEDDINGS, drop), every=True))
    assert len(lines) == 1, lines
    assert re.search("the same request .*again", lines[0])  # which of them meet the instance hangs on their order


def test_letters_that_one_instance_loses_are_one_finding() -> None:
    """In chats as in embeddings: they are not two models, though a text gets other vectors when it comes again."""
    numbers = count()

    def lose(body: bytes) -> bytes:
        return body if next(numbers) % 3 else re.sub(rb"[\x80-\xff]", b"?", body)

    lines = found(judged(change_requests(is_any, lose), every=True))
    assert len(lines) == 1, lines
    assert "read and write UTF-8" in lines[0]


def test_a_cache_that_looks_at_a_part_of_the_body_is_one_finding() -> None:
    """Chats and vectors are those of earlier requests, some in another form, whoever asks."""

    def keep(_: Secrets) -> MiddlewareFactory:
        kept: dict[tuple[str, bytes], Response] = {}

        def answer(request: Request, response: Response) -> Response:
            key = (request.path, request.body[:100])
            return kept.setdefault(key, response) if response.succeeded or key in kept else response

        return change_responses(lambda one: CHAT(one) or EMBEDDINGS(one), answer)

    lines = [line for line in found(judged(with_secrets(keep), every=True)) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert "check the key before it looks into its cache" in lines[0]


def with_messages(change: Callable[[str], str]) -> MiddlewareFactory:
    """Texts of messages are changed on their way to the model."""

    def write(body: bytes) -> bytes:
        fields = json.loads(body)
        for message in fields.get("messages", []):
            if isinstance(message.get("content"), str):
                message["content"] = change(message["content"])
        return json.dumps(fields).encode()

    return change_requests(CHAT, write)


def test_a_filter_that_masks_codes_is_no_weak_model() -> None:
    """It may be there for a good reason, so it blocks; but nobody is told to look for another model."""
    masked = with_messages(lambda text: re.sub(r"(?<=-)[0-9a-f]{4}\b", "####", text))  # by chance one holds no digit
    [line] = found(judged(masked, "generic-openai-http"))
    assert line.startswith("blocked")
    assert "Find what masks parts of messages" in line


def test_an_echo_in_place_of_the_model_is_one_finding() -> None:
    """Whatever it seems to have forgotten, of conversations and of earlier messages."""

    def repeat(request: Request, response: Response) -> Response:
        body = response.json
        if body is None or not response.succeeded:
            return response
        body["choices"][0]["message"]["content"] = request.messages[-1].get("content")
        return response.with_json(body)

    lines = found(judged(change_responses(is_whole_chat, repeat), every=True))
    assert len(lines) == 1, lines
    assert "Find what answers in place of the model" in lines[0]


def test_an_instance_that_opens_no_conversation_is_not_the_operators_mistake() -> None:
    """The first request of one key reaches it: the tenant file's name for that key is not blamed."""
    left = ["PARTNER"]

    def make(secrets: Secrets) -> MiddlewareFactory:
        def is_first(request: Request) -> bool:
            return CONVERSATIONS(request) and is_live(request, secrets, "PARTNER") and bool(left) and bool(left.pop())

        return refuse(is_first, error_response(404, "Not found."))

    lines = found(judged(with_secrets(make), every=True))
    assert len(lines) == 1, lines
    assert "violates: Find what fails intermittently" in lines[0]


def in_camel_case(name: bytes) -> bytes:
    """A name in JSON, as a mapper of objects writes it."""
    return re.sub(rb"_([a-z])", lambda found: found[1].upper(), name)


def map_keys(body: bytes) -> bytes:
    """JSON with its keys in camel case."""
    return re.sub(rb'"[a-z]+(?:_[a-z]+)+"(?=\s*:)', lambda found: in_camel_case(found[0]), body)


def keep_the_plain(body: bytes) -> bytes:
    """A chat that has its model and messages alone."""
    fields = Request("POST", "", (), body=body).fields
    return (
        json.dumps({name: fields[name] for name in ("model", "messages") if name in fields}).encode()
        if fields
        else body
    )


def by_first_text(_: Secrets) -> MiddlewareFactory:
    """Vectors are given again by the first text, to the key that had them."""
    had: dict[object, Response] = {}

    async def give_again(call: Call) -> None:
        asked = call.request.fields.get("input")
        by = (call.request.secret, json.dumps(asked[0] if isinstance(asked, list) and asked else asked))
        if EMBEDDINGS(call.request) and by in had:
            await call.respond(had[by])
        elif EMBEDDINGS(call.request):
            response = await call.response()
            had.update({by: response} if response.succeeded else {})
            await call.respond(response)
        else:
            await call.forward()

    return per_call(give_again)


def answer_nothing(wanted: Predicate, body: bytes = b"", content_type: str = "application/json") -> MiddlewareFactory:
    """All keys that live get the same success there, whether what they ask is due or not."""
    nothing = Response(200, (("content-type", content_type),), body)
    return with_secrets(lambda secrets: refuse(lambda request: is_live(request, secrets) and wanted(request), nothing))


NOTHING = {
    "a web page for chats and embeddings": (
        answer_nothing(lambda one: CHAT(one) or EMBEDDINGS(one), b"<html>Busy 4711</html>", "text/html"),
        "a web page is there in its place",
    ),
    "the same for large bodies": (
        answer_nothing(lambda one: len(one.body) > 2_000, b'{"status": "ok"}'),
        "the same is there in its place, whatever is asked for",
    ),
    "an empty body by the un-versioned address": (
        answer_nothing(lambda one: "/v1/" not in one.path),
        "Set this client's base URL",
    ),
    "a web page for chats with tools": (
        answer_nothing(has_field("tools", "response_format"), b"<html>Busy</html>", "text/html"),
        "a web page is there in its place",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), NOTHING.values(), ids=NOTHING)
def test_a_success_that_is_the_same_whatever_is_asked_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """No scope, allowlist or name is said to be open, nor a weak model blamed."""
    [line] = found(judged(middleware, every=True))
    assert words in line


def test_a_hole_is_a_finding_of_its_own_though_something_else_is_empty_too() -> None:
    """One route that gives nothing does not explain what is open elsewhere, where nothing comes either."""
    nothing = Response(200, (("content-type", "audio/mpeg"),), b"")
    middleware = refuse(lambda one: SPEECH(one) or (IMAGES(one) and not one.header("authorization")), nothing)
    assert len(found(judged(middleware, every=True))) == 2


MAPPED = {
    "vectors by their first text": (with_secrets(by_first_text), "compare the whole request before"),
    "fields of chats": (
        change_requests(lambda one: CHAT(one) and is_json(one), keep_the_plain),
        "`stream` of chats, `tools` and `response_format`",
    ),
    "fields of requests": (change_requests(is_json, map_keys), "`encoding_format` of embeddings, `tool_calls`"),
    "keys of some answers": (
        change_responses(lambda one: CHAT(one) or EMBEDDINGS(one), lambda _, one: one.with_body(map_keys(one.body))),
        "tool_calls is written toolCalls",
    ),
    "a page on two routes": (
        change_successes(lambda one: one.path.endswith(("/speech", "/transcriptions")), lambda _: web_page()),
        "Have these lead to the API",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), MAPPED.values(), ids=MAPPED)
def test_what_maps_fields_or_routes_otherwise_is_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """Neither is a weak model blamed, nor the base URL."""
    lines = found(judged(middleware, every=True))
    assert len(lines) == 1, lines
    assert words in lines[0]


def test_refusals_that_a_cache_keeps_leave_other_causes_one_finding_each() -> None:
    """A route that fails for everybody fails where a refusal is due, too."""
    kept = FAULTS["refusals-kept-by-key"].middleware
    assert kept is not None
    lines = found(judged(combine(kept, refuse(IMAGES, error_response(500, "storage is down"))), every=True))
    assert len(lines) == 2, lines
    assert any("have no cache" in line.lower() for line in lines)
    assert any("images/generations fails inside" in line for line in lines)


def test_a_version_that_leads_nowhere_is_not_an_api_that_is_off() -> None:
    """The un-versioned address answers, which is asked where /v1 does not."""
    missing = Response(404, (("content-type", "text/plain"),), b"404 page not found")
    [line] = found(judged(refuse(lambda one: "/v1/" in one.path, missing)))
    assert "lead /api/tenant/v1/* to the API" in line


@pytest.mark.parametrize(
    "refusal",
    [
        error_response(401, "invalid key"),
        error_response(403, "Forbidden"),
        error_response(404, "Not Found"),
        web_page(404),
    ],
    ids=["401", "403", "404", "a page"],
)
def test_instances_most_of_which_refuse_are_one_finding(refusal: Response) -> None:
    """One of four answers: no key is blamed, no right, no address, and no ban."""
    numbers = count(1)
    lines = found(judged(refuse(lambda _: next(numbers) % 4 > 0, refusal), every=True))
    assert len(lines) == 1, lines
    assert "violates: Find what fails intermittently" in lines[0]

"""Faults of keys: who is let in without one that works, what a key opens, and what a rotation leaves behind."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.types import Scope

from gt_sandbox.accounts import OTHER_TENANT
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, act_as_owner, model_entry
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_refusals,
    change_requests,
    change_responses,
    change_scopes,
    change_successes,
    change_vectors,
    combine,
    error_response,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_stream,
    json_response,
    refuse,
    reroute,
    use_key,
    with_bearer,
    with_request_header,
    with_secrets,
)

_LEFT_BEHIND, _SAID_THERE = "conv_left_behind", "cobalt-5108"
"""A conversation of the key ``gone`` from before it was revoked, and the code word that was said in it."""

_OPEN = (
    ("models", "The model list", MODELS, "FULL"),
    ("chat", "Chat", CHAT, "FULL"),
    ("embeddings", "The embeddings route", EMBEDDINGS, "FULL"),
    ("transcriptions", "Transcription", TRANSCRIPTIONS, "FULL"),
    ("speech", "Speech", SPEECH, "FULL"),
    ("images", "Image generation", IMAGES, "FULL"),
    ("conversations", "Opening conversations", CONVERSATIONS, "APP"),
    ("conversation-files", "Uploading to conversations", CONVERSATION_FILES, "PARTNER"),
    ("dataset-files", "Uploading to datasets", is_dataset_upload, "UPLOAD"),
    ("file-state", "The state of files", is_file_state, "UPLOAD"),
)


def _is_dead(request: Request, secrets: Secrets) -> bool:
    """Whether the key is one of the tenant's that works no more."""
    return request.secret in secrets.values() and not is_live(request, secrets)


def _use_key_where(wanted: Callable[[Request, Secrets], bool], key: str) -> MiddlewareFactory:
    """Take some requests as if they had been sent with this key."""
    return use_key(lambda request, secrets: key if wanted(request, secrets) else None)


def _open(wanted: Predicate, key: str) -> MiddlewareFactory:
    """A route that answers without a key."""
    return _use_key_where(
        lambda request, _: wanted(request) and not request.header("authorization") and not request.query, key
    )


def _grant(wanted: Predicate, key: str, *to: str) -> MiddlewareFactory:
    """These keys may use a route as another key does; every live key if none is named."""
    return _use_key_where(lambda request, secrets: wanted(request) and is_live(request, secrets, *to), key)


def _accept_key(find: Callable[[Request], str]) -> MiddlewareFactory:
    """A key that is sent in another way than as a bearer key is accepted."""

    def change(scope: Scope, request: Request) -> Scope:
        secret = find(request)
        return with_bearer(scope, secret) if secret else scope

    return change_scopes(change)


def _basic_key(request: Request) -> str:
    scheme, _, encoded = request.header("authorization").partition(" ")
    return base64.b64decode(encoded).decode().strip(":") if scheme == "Basic" else ""


def _bare_key(request: Request) -> str:
    value = request.header("authorization")
    return value if value and " " not in value else ""


_TRUSTED = (
    ("internal-addresses-need-no-key", "Requests that claim to come from inside need no key.", "x-forwarded-for", ""),
    (
        "origins-need-no-key",
        "Requests with an Origin need no key, as where a gateway exempts preflights.",
        "origin",
        "",
    ),
    ("event-streams-need-no-key", "What asks for an event stream needs no key.", "accept", "text/event-stream"),
    ("any-x-api-key-taken", "Whatever is sent as x-api-key is taken for a key.", "x-api-key", ""),
    ("empty-keys-taken", "Bearer with no key after it is taken.", "authorization", "Bearer"),
)


def _let_in_with(header: str, value: str) -> MiddlewareFactory:
    """A request with this header needs no key."""

    def wanted(request: Request, secrets: Secrets) -> bool:
        sent = request.header(header)
        return bool(sent) and value in {"", sent.strip()} and not is_live(request, secrets)

    return _use_key_where(wanted, "FULL")


def _key_of_examples(request: Request, _: Secrets) -> str | None:
    """For the key of LiteLLM's examples one that may use the name which is asked for."""
    if request.secret != "sk-1234":
        return None
    return "PARTNER" if request.fields.get("model") == "desk-assistant" else "FULL"


def _key_by(request: Request, secrets: Secrets, form: Callable[[str], str]) -> str | None:
    """The live key whose secret is another one, and the same in that form."""
    return next(
        (
            name.removeprefix("GT_EMBEDDED_")
            for name, secret in secrets.items()
            if not name.endswith(("_OLD", "_GONE", "_OTHER_TENANT"))
            and secret != request.secret
            and form(secret) == form(request.secret)
        ),
        None,
    )


def _key_of_first_half(request: Request, secrets: Secrets) -> str | None:
    return _key_by(request, secrets, lambda secret: secret[: len(secret) // 2])


def _key_of_last_quarter(request: Request, secrets: Secrets) -> str | None:
    return _key_by(request, secrets, lambda secret: secret[-len(secret) // 4 :]) if request.secret else None


def _live_key(secrets: Secrets, has: Callable[[str], bool]) -> str | None:
    """The live key whose secret is so."""
    dead = ("_OLD", "_GONE", "_OTHER_TENANT")
    found = (name for name, secret in secrets.items() if not name.endswith(dead) and has(secret))
    return next((name.removeprefix("GT_EMBEDDED_") for name in found), None)


def _key_that_begins_so(request: Request, secrets: Secrets) -> str | None:
    sent = request.secret
    return _live_key(secrets, lambda secret: secret != sent and secret.startswith(sent)) if len(sent) > 20 else None


def _key_with_more_behind(request: Request, secrets: Secrets) -> str | None:
    return _live_key(secrets, lambda secret: secret != request.secret and request.secret.startswith(secret))


def _tell_names(_: Request, response: Response) -> Response:
    if response.status != 401 or response.json is None:
        return response
    error = {**response.json["error"], "message": "Invalid key. Models: field-analyst, desk-assistant, gt-large-raw."}
    return response.with_json({"error": error})


def _key_before(mark: str) -> Callable[[Request, Secrets], str | None]:
    return lambda request, secrets: _live_key(secrets, lambda secret: request.secret.startswith(f"{secret}{mark}"))


def _key_in_a_cookie(request: Request, secrets: Secrets) -> str | None:
    sent = request.header("cookie")
    return _live_key(secrets, lambda secret: secret in sent) if sent and not request.secret else None


def _key_in_the_query_of_google(request: Request, secrets: Secrets) -> str | None:
    return _live_key(secrets, lambda secret: f"&key={secret}" in f"&{request.query}")


def _key_in_other_case(request: Request, secrets: Secrets) -> str | None:
    return _key_by(request, secrets, str.lower)


def _take_sessions(secrets: Secrets) -> MiddlewareFactory:
    """Set a cookie for whoever has a live key, and take what comes with it."""
    cookie = "gtsession=4f1c"

    def change(request: Request, response: Response) -> Response:
        return response.with_header("set-cookie", cookie) if is_live(request, secrets) else response

    return combine(
        _use_key_where(lambda request, _: cookie in request.header("cookie") and not request.secret, "FULL"),
        change_responses(MODELS, change),
    )


def _without_double_slashes(request: Request) -> str | None:
    return request.path.replace("//", "/") if "//" in request.path else None


def _spelled(change: Callable[[str], str]) -> MiddlewareFactory:
    """A path that this changes is served as what it becomes, and what has no key passes by the check of keys there."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        def change_scope(scope: Scope, request: Request) -> Scope:
            path = scope["raw_path"].decode("latin-1")
            plain = change(path)
            if plain == path:
                return scope
            served = {**scope, "path": plain, "raw_path": plain.encode("latin-1")}
            return served if request.header("authorization") else with_bearer(served, secrets["GT_EMBEDDED_FULL"])

        return change_scopes(change_scope)

    return with_secrets(make)


_UP = re.compile(r"/health/%2e%2e/", re.IGNORECASE)
_FILE = re.compile(r"\.(?:json|css|js|png|ico)$")


def _query_key(request: Request) -> str:
    return next((values[0] for values in parse_qs(request.query).values() if values[0].startswith("gtak_")), "")


def _variable(request: Request, secrets: Secrets) -> str:
    """The variable of the secret that was sent; empty if the tenant has no such secret."""
    return next((name for name, secret in secrets.items() if secret == request.secret), "")


def _is_unknown(request: Request, secrets: Secrets) -> bool:
    return request.secret.startswith("gtak_") and _variable(request, secrets) in {"", OTHER_TENANT}


def _key_for_revoked(request: Request, secrets: Secrets) -> str | None:
    return "CHAT" if _variable(request, secrets).endswith("_GONE") else None


def _is_of_other_tenant(request: Request, secrets: Secrets) -> bool:
    return _variable(request, secrets) == OTHER_TENANT


def _key_of_retired(request: Request, secrets: Secrets) -> str | None:
    """The key whose old secret this is."""
    name = _variable(request, secrets)
    return name.removeprefix("GT_EMBEDDED_").removesuffix("_OLD") if name.endswith("_OLD") else None


def _at_unversioned(request: Request) -> bool:
    return "/v1/" not in request.path


def _retired_works(wanted: Predicate) -> MiddlewareFactory:
    """The old secret is still let in where the predicate holds."""
    return use_key(lambda request, secrets: _key_of_retired(request, secrets) if wanted(request) else None)


def _embed_rotated(change: Callable[[list[float]], list[float]]) -> MiddlewareFactory:
    """Change the vectors that the key ``rag``, which was rotated, and the one linked to it get."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        return change_vectors(
            lambda request: EMBEDDINGS(request) and is_live(request, secrets, "RAG", "APP"),
            lambda vectors: [change(vector) for vector in vectors],
        )

    return with_secrets(make)


def _refuse_key(wanted: Predicate, *keys: str) -> MiddlewareFactory:
    """These keys are refused a route."""
    refusal = error_response(403, "This key lacks the scope.")
    return with_secrets(lambda secrets: refuse(lambda asked: wanted(asked) and is_live(asked, secrets, *keys), refusal))


def _names_conversation_left_behind(request: Request) -> bool:
    return CHAT(request) and request.header(CONVERSATION_HEADER) == _LEFT_BEHIND


def _recall_conversation_left_behind(body: bytes) -> bytes:
    """Put what was said in the conversation of the revoked key before what is said now."""
    fields = json.loads(body)
    said = {"role": "user", "content": f"Remember: the code word is {_SAID_THERE}."}
    return json.dumps({**fields, "messages": [said, *fields["messages"]]}).encode()


def _leave_conversation(scope: Scope, request: Request) -> Scope:
    return with_request_header(scope, CONVERSATION_HEADER, None) if _names_conversation_left_behind(request) else scope


def _with_conversation_left_behind(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tenant file that names the conversation of its revoked key."""
    return _with_key(document, "gone", conversation={"id": _LEFT_BEHIND, "fact": _SAID_THERE})


def _with_key(document: Mapping[str, Any], name: str, **facts: object) -> Mapping[str, Any]:
    """A tenant file that says more of a key."""
    return {**document, "keys": {**document["keys"], name: {**document["keys"][name], **facts}}}


def _list_models(*names: str, to: tuple[str, ...]) -> MiddlewareFactory:
    """Show these keys a model list of these names."""
    listing = json_response(200, {"object": "list", "data": [model_entry(name) for name in names]})
    return with_secrets(
        lambda secrets: change_successes(
            lambda request: MODELS(request) and request.secret in {secrets[f"GT_EMBEDDED_{key}"] for key in to},
            lambda _: listing,
        )
    )


def _echo_key(request: Request, response: Response) -> Response:
    if response.status != 403:
        return response
    return error_response(403, f"The key {request.secret} has no such scope.")


def _echo_tail(request: Request, response: Response) -> Response:
    if response.status != 404:
        return response
    return error_response(404, f"No such route for the key {request.secret[5:]}.")


def _echo_in_header(request: Request, response: Response) -> Response:
    return response.with_header("x-authenticated-by", request.secret or None)


def _echo_in_stream(request: Request, response: Response) -> Response:
    if not response.succeeded:
        return response
    return response.with_body(f": {request.secret}\n\n".encode() + response.body)


FAULTS = (
    fault(
        "no-authentication",
        "Every route answers without a key.",
        _use_key_where(lambda request, secrets: not is_live(request, secrets), "FULL"),
        caught_by="key.required",
        breaks=("A1", "M7"),
    ),
    *(
        fault(
            f"{name}-open-without-a-key",
            f"{what} needs no key.",
            _open(wanted, key),
            caught_by="key.required",
            breaks=("A1", "M7") if wanted is MODELS else ("A1",),
        )
        for name, what, wanted, key in _OPEN
    ),
    fault(
        "any-key-taken",
        "Whatever looks like a key is taken.",
        _use_key_where(_is_unknown, "FULL"),
        caught_by="key.required",
        breaks=("A1", "A3"),
    ),
    fault(
        "any-key-taken-in-streams",
        "Whatever looks like a key is taken in streamed chats.",
        _use_key_where(lambda request, secrets: is_stream(request) and _is_unknown(request, secrets), "FULL"),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "streams-begin-without-a-key",
        "A streamed chat without a key is begun, and nothing but a comment comes.",
        change_responses(
            lambda request: is_stream(request) and not request.header("authorization"),
            lambda *_: Response(200, (("content-type", "text/event-stream"),), b": waiting\n\n"),
        ),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "x-api-key-taken",
        "The key is taken in the header x-api-key as well.",
        _accept_key(lambda request: request.header("x-api-key")),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "keys-of-gateways-headers-taken",
        "The key is taken in the header apikey as well, as a gateway's plugin has it by default.",
        _accept_key(lambda request: request.header("apikey")),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "refusals-without-a-key-list-names",
        "The refusal of a request without a valid key lists the models that there are.",
        change_refusals(_tell_names),
        caught_by="key.required",
        breaks=("M7",),
    ),
    fault(
        "key-before-a-colon-taken",
        "A key is read no further than to a colon behind it.",
        use_key(_key_before(":")),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "key-in-a-cookie-taken",
        "The key is taken from a cookie as well.",
        use_key(_key_in_a_cookie),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "key-in-query-of-another-name-taken",
        "The key is taken from the query string as `key`, as Google's API has it.",
        use_key(_key_in_the_query_of_google),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "key-before-a-dash-taken",
        "A key is read no further than to a dash behind it, where a gateway looks for the name of a channel.",
        use_key(_key_before("-")),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "basic-authentication-taken",
        "The key is taken as Basic authentication as well.",
        _accept_key(_basic_key),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "key-without-bearer-taken",
        "The key is taken without Bearer before it.",
        _accept_key(_bare_key),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "key-in-query-taken",
        "The key is taken from the query string, where logs keep it.",
        _accept_key(_query_key),
        caught_by="key.required",
        breaks=("A1",),
    ),
    *(
        fault(name, what, _let_in_with(header, value), caught_by="key.required", breaks=("A1",))
        for name, what, header, value in _TRUSTED
    ),
    fault(
        "default-keys-taken",
        "The gateway's own key is still the one of LiteLLM's examples.",
        use_key(_key_of_examples),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "half-of-the-key-compared",
        "Only the first half of a key is compared.",
        use_key(_key_of_first_half),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "end-of-the-key-compared",
        "Only the last characters of a key are compared.",
        use_key(_key_of_last_quarter),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "beginning-of-a-key-taken",
        "The beginning of a key is accepted.",
        use_key(_key_that_begins_so),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "more-behind-the-key-taken",
        "A key with more behind it is accepted, as where only so many characters are hashed.",
        use_key(_key_with_more_behind),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "chunked-bodies-need-no-key",
        "What comes in chunks, without a length, passes by the check of keys.",
        _let_in_with("transfer-encoding", "chunked"),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "raw-models-need-no-key",
        "Chats with a raw model of the catalog need no key.",
        _use_key_where(
            lambda request, secrets: request.fields.get("model") == "gt-large-raw" and not is_live(request, secrets),
            "FULL",
        ),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "heads-need-no-key",
        "The method HEAD, with which probes ask, needs no key.",
        _use_key_where(lambda request, secrets: request.method == "HEAD" and not is_live(request, secrets), "FULL"),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "options-answered-as-get",
        "OPTIONS needs no key, and is answered as GET is.",
        combine(
            _use_key_where(lambda request, _: request.method == "OPTIONS" and MODELS(request), "FULL"),
            change_scopes(
                lambda scope, request: (
                    {**scope, "method": "GET"} if request.method == "OPTIONS" and MODELS(request) else scope
                )
            ),
        ),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "case-of-keys-ignored",
        "A key is taken in other case as well.",
        use_key(_key_in_other_case),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "sessions-taken",
        "An answer to a key sets a cookie, and what comes with that cookie needs no key.",
        with_secrets(_take_sessions),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "double-slashes-need-no-key",
        "A path with a double slash is served, and passes by the check of keys.",
        combine(_open(lambda request: "//" in request.path, "FULL"), reroute(_without_double_slashes)),
        caught_by="key.required",
        breaks=("A1", "A2"),
    ),
    *(
        fault(
            f"{name}-need-no-key",
            f"A path {what} is served, and passes by the check of keys.",
            _spelled(change),
            caught_by="key.required",
            breaks=("A1", "A2"),
        )
        for name, what, change in (
            ("semicolons", "with a parameter after a semicolon", lambda path: path.partition(";")[0]),
            ("paths-of-files", "that ends as that of a file", lambda path: _FILE.sub("", path)),
            ("encoded-letters", "with an encoded letter", unquote),
            ("dots-at-the-end", "with a dot at its end", lambda path: path.removesuffix(".")),
            ("encoded-ways-up", "with encoded dots that lead up from a public one", lambda path: _UP.sub("/", path)),
        )
    ),
    fault(
        "dead-keys-work",
        "The tenant's cache of keys holds revoked keys and retired secrets for ever.",
        use_key(lambda request, secrets: "FULL" if _is_dead(request, secrets) else None),
        caught_by="key.revocation",
        breaks=("K19", "K22"),
    ),
    fault(
        "revoked-keys-work",
        "A revoked key still works.",
        use_key(_key_for_revoked),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "revoked-keys-list-models",
        "A revoked key still lists models, from a cache.",
        use_key(lambda request, secrets: _key_for_revoked(request, secrets) if MODELS(request) else None),
        caught_by="key.revocation",
        breaks=("K22",),
    ),
    fault(
        "key-echoed",
        "A refusal repeats the key that was presented.",
        change_refusals(_echo_key),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-tail-echoed",
        "A refusal repeats the key without its prefix.",
        change_refusals(_echo_tail),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-echoed-in-stream",
        "A comment in a stream carries the key.",
        change_responses(is_stream, _echo_in_stream),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "key-echoed-in-header",
        "Answers carry the key in a header.",
        change_responses(MODELS, _echo_in_header),
        caught_by="key.never_echoed",
        breaks=("A4",),
    ),
    fault(
        "chat-open-to-upload-keys",
        "Chat takes keys that have no inference scope.",
        _grant(CHAT, "RAG", "UPLOAD"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K11"),
    ),
    fault(
        "conversations-open-without-the-name",
        "Keys that are not allowed the model may open conversations with it.",
        _grant(CONVERSATIONS, "APP", "UPLOAD", "PARTNER"),
        caught_by="key.scope_enforced",
        breaks=("M5",),
    ),
    fault(
        "embeddings-open-to-chat-keys",
        "Embeddings take keys without inference:embed.",
        _grant(EMBEDDINGS, "RAG", "CHAT", "CURSOR", "MANUS"),
        caught_by="key.least_privilege",
        breaks=("A5", "K12"),
    ),
    fault(
        "transcriptions-open-to-chat-keys",
        "Transcription takes keys without inference:transcribe.",
        _grant(TRANSCRIPTIONS, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K13"),
    ),
    fault(
        "speech-open-to-chat-keys",
        "Speech takes keys without inference:speech.",
        _grant(SPEECH, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("A5", "K14"),
    ),
    fault(
        "images-open-to-chat-keys",
        "Image generation takes keys without inference:image.",
        _grant(IMAGES, "FULL", "CHAT", "RAG", "APP", "CURSOR", "MANUS"),
        caught_by="key.least_privilege",
        breaks=("A5", "K15"),
    ),
    fault(
        "images-open-to-two-keys",
        "Two keys have the scope inference:image, which their clients do not need.",
        _grant(IMAGES, "FULL", "CURSOR", "MANUS"),
        caught_by="route.refused",
        breaks=("A5", "K15"),
    ),
    fault(
        "datasets-open-to-all-keys",
        "Every key may upload to the dataset.",
        _grant(
            lambda request: request.path.endswith("/datasets/scratch-briefs/files"),
            "UPLOAD",
            *("CHAT", "CURSOR", "FULL", "MANUS", "PARTNER", "RAG"),
        ),
        caught_by="key.scope_enforced",
        breaks=("A5", "K16"),
    ),
    fault(
        "every-dataset-open-to-upload-keys",
        "A key with datasets:write may upload to datasets that are not on its allowlist.",
        _grant(lambda request: request.path.endswith("/datasets/partner-briefs/files"), "PARTNER", "UPLOAD", "APP"),
        caught_by="dataset.not_allowlisted_refused",
        breaks=("K17",),
    ),
    fault(
        "conversations-of-others-open",
        "Every key may upload to every conversation.",
        act_as_owner(lambda request: request.header(CONVERSATION_HEADER) if CONVERSATION_FILES(request) else ""),
        caught_by="upload.needs_conversation",
        breaks=("A8", "U2"),
    ),
    fault(
        "retired-secrets-work",
        "The secret from before a rotation still works.",
        use_key(_key_of_retired),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-embed",
        "The secret from before a rotation still embeds, from a cache.",
        use_key(lambda request, secrets: _key_of_retired(request, secrets) if EMBEDDINGS(request) else None),
        caught_by="embeddings.after_rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-draw",
        "Image generation takes the secret from before a rotation, whatever the key may do.",
        _use_key_where(lambda request, secrets: IMAGES(request) and bool(_key_of_retired(request, secrets)), "FULL"),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-upload",
        "Uploads to datasets take the secret from before a rotation, whatever the key may do.",
        _use_key_where(
            lambda request, secrets: is_dataset_upload(request) and bool(_key_of_retired(request, secrets)), "UPLOAD"
        ),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "retired-secrets-draw-unversioned",
        "By the un-versioned path the secret from before a rotation still draws images.",
        _use_key_where(
            lambda request, secrets: (
                IMAGES(request) and _at_unversioned(request) and bool(_key_of_retired(request, secrets))
            ),
            "FULL",
        ),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "revoked-keys-speak-unversioned",
        "By the un-versioned path a revoked key still speaks.",
        _use_key_where(
            lambda request, secrets: (
                SPEECH(request) and _at_unversioned(request) and bool(_key_for_revoked(request, secrets))
            ),
            "FULL",
        ),
        caught_by="key.revocation",
        breaks=("K22", "A2"),
    ),
    fault(
        "retired-secrets-work-unversioned",
        "The secret from before a rotation still works by the un-versioned paths.",
        _retired_works(_at_unversioned),
        caught_by="key.rotation",
        breaks=("K19", "A2"),
    ),
    fault(
        "retired-secrets-stream",
        "The secret from before a rotation still works for streamed chats.",
        _retired_works(is_stream),
        caught_by="key.rotation",
        breaks=("K19",),
    ),
    fault(
        "rotated-keys-embed-by-another-model",
        "A rotated key embeds to vectors of the same length that mean something else.",
        _embed_rotated(lambda vector: vector[::-1]),
        caught_by="embeddings.after_rotation",
        breaks=("K21",),
    ),
    fault(
        "rotated-keys-embed-shorter",
        "A rotated key embeds to shorter vectors than before.",
        _embed_rotated(lambda vector: vector[:32]),
        caught_by="embeddings.after_rotation",
        breaks=("K21",),
    ),
    fault(
        "presets-grant-too-little",
        "A key that was made from the preset for editors may not chat.",
        _refuse_key(CHAT, "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("K25",),
        tenant_file=lambda document: _with_key(document, "manus", preset="agentic-editor"),
    ),
    fault(
        "keys-of-other-tenants-taken",
        "A key of another tenant works here as well.",
        _use_key_where(_is_of_other_tenant, "FULL"),
        caught_by="key.required",
        breaks=("A3",),
        tenant_file=lambda document: {**document, "other_tenant_key_env": OTHER_TENANT},
    ),
    fault(
        "conversations-of-revoked-keys-open",
        "What was said in a conversation reaches other keys once its own key is revoked.",
        combine(
            change_requests(_names_conversation_left_behind, _recall_conversation_left_behind),
            change_scopes(_leave_conversation),
        ),
        caught_by="key.revocation",
        breaks=("A9", "K22"),
        tenant_file=_with_conversation_left_behind,
    ),
    fault(
        "rotated-keys-lose-names",
        "A rotated key no longer sees its names.",
        _list_models("desk-assistant", to=("CHAT", "RAG", "CURSOR", "MANUS")),
        caught_by="key.rotation",
        breaks=("K20",),
    ),
    fault(
        "rotation-empties-other-lists",
        "After a rotation other keys see the names of the rotated one.",
        _list_models(ALIAS, to=("FULL", "PARTNER")),
        caught_by="key.isolation",
        breaks=("K23", "M1"),
    ),
)

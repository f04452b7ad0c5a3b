"""Faults of authentication: somebody gets in without a valid key, or shows it in a way that no page allows."""

import base64
import re
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from starlette.types import Scope

from gt_sandbox.accounts import OTHER_TENANT
from gt_sandbox.faults._fault import fault
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
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
    change_responses,
    change_scopes,
    combine,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_stream,
    json_response,
    reroute,
    use_key,
    with_bearer,
    with_secrets,
)

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


def use_key_where(wanted: Callable[[Request, Secrets], bool], key: str) -> MiddlewareFactory:
    """Take some requests as if they had been sent with this key."""
    return use_key(lambda request, secrets: key if wanted(request, secrets) else None)


def _open(wanted: Predicate, key: str) -> MiddlewareFactory:
    """A route that answers without a key."""
    return use_key_where(
        lambda request, _: wanted(request) and not request.header("authorization") and not request.query, key
    )


def _accept_key(find: Callable[[Request], str]) -> MiddlewareFactory:
    """A key that is sent in another way than as a bearer key is accepted."""

    def change(scope: Scope, request: Request) -> Scope:
        secret = find(request)
        return with_bearer(scope, secret) if secret else scope

    return change_scopes(change)


def _basic_key(request: Request) -> str:
    scheme, _, encoded = request.header("authorization").partition(" ")
    return base64.b64decode(encoded).decode().strip(":") if scheme == "Basic" else ""


def _key_of_any_scheme(request: Request) -> str:
    return request.header("authorization").partition(" ")[2]


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

    return use_key_where(wanted, "FULL")


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


def _key_of_all_but_the_end(request: Request, secrets: Secrets) -> str | None:
    long_enough = len(request.secret) > 20
    return _key_by(request, secrets, lambda secret: f"{len(secret)} {secret[:-1]}") if long_enough else None


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


def _key_in_a_body(request: Request, secrets: Secrets) -> str | None:
    given = request.fields.get("api_key")
    return None if request.secret else _live_key(secrets, lambda secret: secret == given)


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
        use_key_where(lambda request, _: cookie in request.header("cookie") and not request.secret, "FULL"),
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


def variable_of(request: Request, secrets: Secrets) -> str:
    """The variable of the secret that was sent; empty if the tenant has no such secret."""
    return next((name for name, secret in secrets.items() if secret == request.secret), "")


def _is_unknown(request: Request, secrets: Secrets) -> bool:
    return request.secret.startswith("gtak_") and variable_of(request, secrets) in {"", OTHER_TENANT}


FAULTS = (
    fault(
        "no-authentication",
        "Every route answers without a key.",
        use_key_where(lambda request, secrets: not is_live(request, secrets), "FULL"),
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
        use_key_where(_is_unknown, "FULL"),
        caught_by="key.required",
        breaks=("A1", "A3"),
    ),
    fault(
        "any-key-is-the-widest-unversioned",
        "By the un-versioned address whoever sends a key is taken for the key with all scopes of inference.",
        use_key_where(lambda request, _: "/v1/" not in request.path and bool(request.secret), "FULL"),
        caught_by="key.required",
        breaks=("A1", "A2"),
    ),
    fault(
        "chats-take-anybody",
        "Chats need no key: whoever has none that is alive is taken for a key without a conversation.",
        use_key_where(lambda request, secrets: CHAT(request) and not is_live(request, secrets), "FULL"),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "any-key-taken-in-streams",
        "Whatever looks like a key is taken in streamed chats.",
        use_key_where(lambda request, secrets: is_stream(request) and _is_unknown(request, secrets), "FULL"),
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
        "key-in-a-body-taken",
        "The key is taken from the field api_key of a body, as upstreams of gateways are given theirs.",
        use_key(_key_in_a_body),
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
        "key-of-any-scheme-taken",
        "The key is whatever follows the first blank of Authorization: Bearer is not asked for.",
        _accept_key(_key_of_any_scheme),
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
        "last-character-of-a-key-ignored",
        "All of a key but its last character is compared.",
        use_key(_key_of_all_but_the_end),
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
        use_key_where(
            lambda request, secrets: request.fields.get("model") == "gt-large-raw" and not is_live(request, secrets),
            "FULL",
        ),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "heads-need-no-key",
        "The method HEAD, with which probes ask, needs no key.",
        use_key_where(lambda request, secrets: request.method == "HEAD" and not is_live(request, secrets), "FULL"),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "options-answered-as-get",
        "OPTIONS needs no key, and is answered as GET is.",
        combine(
            use_key_where(lambda request, _: request.method == "OPTIONS" and MODELS(request), "FULL"),
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
        "details-of-a-model-need-no-key",
        "GET /v1/models/{model}, which no page names, describes a published name to whoever asks.",
        change_responses(
            lambda request: request.path.endswith("/v1/models/field-analyst"),
            lambda _request, _: json_response(200, {"id": "field-analyst", "object": "model", "created": 1}),
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
)

"""Faults of names: which the model list shows, which work, and which leak."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from gt_sandbox.accounts import INTERNAL_DATASETS
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, INTERNAL, PROVIDER, model_entry, redirect, replace_bytes, web_page
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    MODELS,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_json,
    change_refusals,
    change_requests,
    change_responses,
    combine,
    error_response,
    is_dataset_upload,
    is_live,
    is_stream,
    is_whole_chat,
    refuse,
    respond_with,
    use_key,
    with_secrets,
)

_TAKEN_BACK = "spring-desk"
"""An alias that the tenant published once."""


def _change_list(change: Callable[[list[Any]], list[Any]]) -> MiddlewareFactory:
    """Change the entries of the model list."""
    return change_json(MODELS, lambda body: body.update(data=change(body["data"])))


def _drop_now_and_then() -> MiddlewareFactory:
    """The first list that a key asks for comes from an instance that does not know its first name yet."""

    def make(_: Secrets) -> MiddlewareFactory:
        asked: Counter[str] = Counter()

        def drop(request: Request, response: Response) -> Response:
            asked[request.secret] += 1
            if not response.succeeded or asked[request.secret] > 1:
                return response
            return response.with_json({**response.json, "data": response.json["data"][1:]})

        return change_responses(MODELS, drop)

    return with_secrets(make)


def _is_post(request: Request) -> bool:
    return request.method == "POST"


def _accept_any(body: bytes) -> bytes:
    """Take any model that is not known for the alias."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    known = {ALIAS, "desk-assistant", "gt-large-raw"}
    if not isinstance(fields, dict) or "model" not in fields or fields["model"] in known:
        return body
    return json.dumps({**fields, "model": ALIAS}).encode()


def _of_raw_models(wanted: Predicate) -> Predicate:
    return lambda request: wanted(request) and request.fields.get("model") == "gt-large-raw"


def _take_raw_for_own(wanted: Predicate) -> MiddlewareFactory:
    """A raw model is taken for a name that the key may use; an upload key, which may use none, is taken for APP."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        def is_wanted(request: Request) -> bool:
            return wanted(request) and request.fields.get("model") == "gt-large-raw" and is_live(request, secrets)

        def rename(body: bytes) -> bytes:
            return json.dumps({**json.loads(body), "model": ALIAS}).encode()

        def rename_of_partner(body: bytes) -> bytes:
            return json.dumps({**json.loads(body), "model": "desk-assistant"}).encode()

        def is_of(*keys: str) -> Predicate:
            return lambda request: is_wanted(request) and is_live(request, secrets, *keys)

        return combine(
            change_requests(is_of("PARTNER"), rename_of_partner),
            use_key(lambda request, _: "APP" if is_of("UPLOAD")(request) else None),
            change_requests(lambda request: is_wanted(request) and not is_of("PARTNER", "FULL")(request), rename),
        )

    return with_secrets(make)


def _accept_foreign(secrets: Secrets) -> MiddlewareFactory:
    """The name of another key's agent works with every key."""
    owner = secrets["GT_EMBEDDED_PARTNER"]
    return change_requests(
        lambda request: _is_post(request) and request.secret != owner,
        lambda body: body.replace(b"desk-assistant", ALIAS.encode()),
    )


def _accept_foreign_everywhere(secrets: Secrets) -> MiddlewareFactory:
    """So it does, and the key that owns the name opens conversations with the name of others."""
    return combine(
        change_requests(
            lambda request: CONVERSATIONS(request) and is_live(request, secrets, "PARTNER"),
            lambda body: body.replace(ALIAS.encode(), b"desk-assistant"),
        ),
        _accept_foreign(secrets),
    )


def _accept_raw_models(secrets: Secrets) -> MiddlewareFactory:
    """A key that is allowed an agent's alias may use the raw models of the catalog as well."""
    owner = secrets["GT_EMBEDDED_FULL"]
    return change_requests(
        lambda request: _is_post(request) and request.secret != owner,
        lambda body: body.replace(b"gt-large-raw", ALIAS.encode()),
    )


def _name_agent(request: Request, response: Response) -> Response:
    """A refusal that says what the alias stands for."""
    if response.status != 404:
        return response
    return error_response(404, f"No route {request.path} for the agent {INTERNAL}.")


def _resolve_loosely(body: bytes) -> bytes:
    """Resolve a name in other case, or with a space after it, without a look at the allowlist."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    name = fields.get("model") if isinstance(fields, dict) else None
    if not isinstance(name, str) or name == name.strip().lower() or name.strip().lower() != "desk-assistant":
        return body
    return json.dumps({**fields, "model": ALIAS}).encode()


def _cut_providers(body: bytes) -> bytes:
    """A provider before a name is cut off, and the allowlist is not asked about what is left."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    name = fields.get("model") if isinstance(fields, dict) else None
    return json.dumps({**fields, "model": ALIAS}).encode() if name == "openai/desk-assistant" else body


def _cut_longer_names(body: bytes) -> bytes:
    """A name that begins as a published one is taken for that one."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    name = fields.get("model") if isinstance(fields, dict) else None
    begun = [known for known in (ALIAS, "desk-assistant", "gt-large-raw") if isinstance(name, str) and name != known]
    found = next((known for known in begun if str(name).startswith(known)), None)
    return body if found is None else json.dumps({**fields, "model": found}).encode()


def _replace_unknown_name(body: bytes) -> bytes:
    """What is the name of nothing here is replaced by that of the default agent."""
    fields = json.loads(body)
    known = {ALIAS, "desk-assistant", "gt-large-raw", INTERNAL, PROVIDER}
    return body if fields.get("model") in known else json.dumps({**fields, "model": ALIAS}).encode()


def _cut_tags(body: bytes) -> bytes:
    """What stands behind a colon in a name is taken for the tag of a version."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    name = fields.get("model") if isinstance(fields, dict) else None
    return json.dumps({**fields, "model": name.partition(":")[0]}).encode() if isinstance(name, str) else body


def _is_conversing(request: Request) -> bool:
    return CHAT(request) and bool(request.header(CONVERSATION_HEADER))


def _accept_in_conversations(wanted: Predicate) -> MiddlewareFactory:
    """Some chats in a conversation take any published name."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        def own(key: str, alias: str, *others: str) -> MiddlewareFactory:
            def change(body: bytes) -> bytes:
                for name in others:
                    body = body.replace(f'"{name}"'.encode(), f'"{alias}"'.encode())
                return body

            return change_requests(
                lambda request: _is_conversing(request) and wanted(request) and is_live(request, secrets, key), change
            )

        return combine(
            own("APP", ALIAS, "desk-assistant", "gt-large-raw"),
            own("PARTNER", "desk-assistant", ALIAS, "gt-large-raw"),
        )

    return with_secrets(make)


FAULTS = (
    fault(
        "names-in-other-case-pass-allowlists",
        "A name in other case, or with a space after it, is resolved and is on no allowlist.",
        change_requests(CHAT, _resolve_loosely),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "names-behind-a-provider-pass-allowlists",
        "A name with a provider before it is resolved without it, and is on no allowlist.",
        change_requests(CHAT, _cut_providers),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "longer-names-taken",
        "A name that begins as one that the key is allowed is taken for that one.",
        change_requests(CHAT, _cut_longer_names),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "unknown-names-stream",
        "A streamed chat with a name that nobody has is answered by the default agent; internal names are refused.",
        change_requests(is_stream, _replace_unknown_name),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "names-with-a-tag-taken",
        "A name with a tag behind a colon, as Ollama has it, is taken for the name before the colon.",
        change_requests(CHAT, _cut_tags),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "internal-id-works-in-conversations",
        "The internal id of an agent works in chats of a conversation.",
        change_requests(_is_conversing, lambda body: body.replace(f'"{INTERNAL}"'.encode(), f'"{ALIAS}"'.encode())),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "raw-models-open-to-streams-unversioned",
        "A streamed chat by the un-versioned path takes the raw models of the catalog from any key.",
        change_requests(
            lambda request: is_stream(request) and "/v1/" not in request.path,
            lambda body: body.replace(b'"gt-large-raw"', f'"{ALIAS}"'.encode()),
        ),
        caught_by="names.not_allowlisted_refused",
        breaks=("A7",),
    ),
    fault(
        "allowlist-left-out-in-conversations",
        "A chat in a conversation takes names that its key is not allowed.",
        _accept_in_conversations(CHAT),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "allowlist-left-out-in-streams-of-conversations",
        "A streamed chat in a conversation takes names that its key is not allowed.",
        _accept_in_conversations(is_stream),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "raw-models-fail-in-streams",
        "A streamed chat with a raw model fails, whichever key asks for it: names are looked at later.",
        refuse(_of_raw_models(is_stream), error_response(500, "The model's server cannot stream.")),
        caught_by="chat.raw_model",
        breaks=("M6",),
    ),
    fault(
        "raw-models-open-conversations",
        "A conversation may be opened with a raw model of the catalog by any key: its allowlist is of aliases alone.",
        _take_raw_for_own(CONVERSATIONS),
        caught_by="key.scope_enforced",
        breaks=("M5",),
    ),
    fault(
        "refusals-of-names-list-others",
        "The refusal of a name says which names there are, whoever is allowed them.",
        change_refusals(
            lambda _, response: (
                response.with_json({"error": {"message": "No such model. There are: field-analyst, desk-assistant."}})
                if b"model_not_found" in response.body
                else response
            )
        ),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "raw-models-open-conversations-of-conversation-keys",
        "A conversation key opens conversations with raw models that it is not allowed; other keys open none.",
        with_secrets(
            lambda secrets: _take_raw_for_own(
                lambda request: CONVERSATIONS(request) and is_live(request, secrets, "APP", "PARTNER")
            )
        ),
        caught_by="key.scope_enforced",
        breaks=("M5",),
    ),
    fault(
        "raw-models-open-in-conversations",
        "A chat in a conversation takes the raw models of the catalog from any key.",
        _take_raw_for_own(lambda request: CHAT(request) and bool(request.header(CONVERSATION_HEADER))),
        caught_by="names.not_allowlisted_refused",
        breaks=("A7",),
    ),
    fault(
        "alias-not-listed",
        "The model list leaves out the alias that clients are set up with.",
        _change_list(lambda entries: [entry for entry in entries if entry["id"] != ALIAS]),
        caught_by="models.contains_alias",
        breaks=("M2",),
    ),
    fault(
        "names-listed-now-and-then",
        "One instance of several lists a name less than the others.",
        _drop_now_and_then(),
        caught_by="models.contains_alias",
        breaks=("M2",),
    ),
    fault(
        "names-of-others-listed",
        "The model list shows a published name that is not on the key's allowlist.",
        _change_list(lambda entries: [*entries, model_entry("board-secretary")]),
        caught_by="models.exact_allowlist",
        breaks=("M1",),
    ),
    fault(
        "internal-id-listed",
        "The model list shows the internal id of an agent beside its alias.",
        _change_list(lambda entries: [*entries, model_entry(INTERNAL)]),
        caught_by="models.exact_allowlist",
        breaks=("M1", "M3"),
    ),
    fault(
        "any-name-works-in-one-piece",
        "A plain chat with a name that is not known is answered by the default agent; a streamed one is refused.",
        change_requests(is_whole_chat, _accept_any),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "unknown-names-embed-as-the-default",
        "An embedding with a name that nobody knows comes from the default model; internal names are refused.",
        change_requests(lambda request: EMBEDDINGS(request) and request.fields.get("model") != INTERNAL, _accept_any),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "models-as-plain-names",
        "The model list holds bare names instead of objects with an id.",
        _change_list(lambda entries: [entry["id"] for entry in entries]),
        caught_by="models.contains_alias",
        breaks=("M2",),
    ),
    fault(
        "models-500",
        "The model list fails with 500.",
        respond_with(MODELS, error_response(500, "upstream failed")),
        caught_by="models.contains_alias",
        breaks=("M2", "K1"),
    ),
    fault(
        "models-redirect",
        "The model list redirects to a login page.",
        respond_with(MODELS, redirect(302)),
        caught_by="models.contains_alias",
        breaks=("M2", "K1"),
    ),
    fault(
        "models-html",
        "The model list is answered with a web page and 200.",
        respond_with(MODELS, web_page()),
        caught_by="models.contains_alias",
        breaks=("M2", "K1"),
    ),
    fault(
        "internal-id-works",
        "The internal id of an agent works as a model.",
        change_requests(_is_post, lambda body: body.replace(INTERNAL.encode(), ALIAS.encode())),
        caught_by="names.unpublished_refused",
        breaks=("M4", "M5"),
    ),
    fault(
        "unpublished-alias-works",
        "An alias that was un-published is not listed any more, and still works in chats.",
        change_requests(CHAT, lambda body: body.replace(_TAKEN_BACK.encode(), ALIAS.encode())),
        caught_by="names.unpublished_refused",
        breaks=("M4", "M8"),
        tenant_file=lambda document: {
            **document,
            "unpublished_models": [*document["unpublished_models"], _TAKEN_BACK],
        },
    ),
    fault(
        "any-name-works",
        "A model that does not exist is taken for the default one.",
        change_requests(CHAT, _accept_any),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "allowlist-ignored",
        "A published name works with keys whose allowlist does not hold it.",
        with_secrets(_accept_foreign),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6",),
    ),
    fault(
        "allowlists-ignored-wherever-names-are",
        "A published name works, and opens a conversation, with keys whose allowlist does not hold it.",
        with_secrets(_accept_foreign_everywhere),
        caught_by="names.not_allowlisted_refused",
        breaks=("A6", "M5"),
    ),
    fault(
        "raw-models-open-to-agent-keys",
        "Keys that are allowed an agent's alias may use the raw models of the catalog as well.",
        with_secrets(_accept_raw_models),
        caught_by="names.not_allowlisted_refused",
        breaks=("A7", "A6"),
    ),
    fault(
        "internal-id-in-errors",
        "An error names the internal id of the agent.",
        change_refusals(_name_agent),
        caught_by="tenant.no_raw_model_ids",
        breaks=("A11",),
    ),
    fault(
        "internal-id-in-header",
        "A header of every chat names the internal id of the agent.",
        change_responses(CHAT, lambda _, response: response.with_header("x-agent", INTERNAL)),
        caught_by="tenant.no_raw_model_ids",
        breaks=("A11",),
    ),
    fault(
        "internal-dataset-shown",
        "The answer to an upload names the dataset by its internal identifier.",
        change_json(is_dataset_upload, lambda body: body.update(storage=f"vault/{INTERNAL_DATASETS[0]}/1")),
        caught_by="tenant.no_raw_model_ids",
        breaks=("A10",),
    ),
    fault(
        "raw-models-refused",
        "A raw model of the catalog is listed, and does not work as model.",
        change_requests(CHAT, lambda body: body.replace(b'"gt-large-raw"', b'"no-such-model"')),
        caught_by="chat.raw_model",
        breaks=("M6",),
    ),
    fault(
        "raw-models-do-not-stream",
        "A streamed chat with a raw model of the catalog fails with 500.",
        respond_with(_of_raw_models(is_stream), error_response(500, "upstream failed")),
        caught_by="chat.raw_model",
        breaks=("M6",),
    ),
    fault(
        "raw-models-refused-unversioned",
        "A raw model of the catalog does not work by the un-versioned path, which clients call.",
        respond_with(
            _of_raw_models(lambda request: CHAT(request) and "/v1/" not in request.path),
            error_response(404, "The model does not exist."),
        ),
        caught_by="chat.raw_model",
        breaks=("M6",),
    ),
    fault(
        "raw-models-named-by-provider-in-streams",
        "The chunks of a stream name the provider's model where a raw model was asked for.",
        replace_bytes(_of_raw_models(is_stream), b'"model":"gt-large-raw"', f'"model":"{PROVIDER}"'.encode()),
        caught_by="chat.raw_model",
        breaks=("C2",),
    ),
)

"""Which checks each row takes, and the tenant: the rows and tenant sections of the specification of checks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from gt_conformance.checks._call import CheckCall, Parameters, chat_shape, embeddings_shape
from gt_conformance.checks._registry import checks
from gt_conformance.errors import Blocker
from gt_conformance.runbook import ChatProfile, ChecklistItem, ClientProfile, EmbeddingsProfile, Row, Runbook
from gt_conformance.tenant import Choice, Credential, Tenant
from gt_conformance.vocabulary import Modality, Route, Verdict

_RESPONSES = "/responses"
_DOCUMENTED_BASE = "https://<tenant-host>/api/tenant"

_EXTENSION = {
    Route.CONVERSATION_FILES: (
        "conversation.create",
        "upload.needs_conversation",
        "upload.conversation_ready",
        "vendor.files_refused",
    ),
    Route.DATASET_FILES: ("upload.dataset_ready", "dataset.not_allowlisted_refused", "vendor.files_refused"),
    Route.FILE_STATUS: ("files.status", "files.isolated"),
}
_SINGLE = {
    Route.TRANSCRIPTIONS: "audio.transcribes",
    Route.SPEECH: "audio.speaks",
    Route.IMAGES: "images.generates",
}

ATTESTATION = "attestation"
"""The one thing in a checklist that no probe can show: a person's word, from the attestation file."""

_OF_THE_RUNBOOK_FILE = frozenset({"key.dedicated", "runbook.extensions_documented"})
_OF_CONVERSATIONS = frozenset({"conversation.continuity", "conversation.same_key"})

TENANT_CHECKS = (
    "key.required",
    "key.scope_enforced",
    "key.never_echoed",
    "names.unpublished_refused",
    "names.not_allowlisted_refused",
    "tenant.no_raw_model_ids",
    "tenant.browser_origin_refused",
    "tenant.errors_shaped",
    "dataset.not_allowlisted_refused",
    "files.isolated",
    "key.revocation",
)
"""Once a run, whatever runbooks are selected."""

OF_MANY_KEYS = frozenset(
    {
        "key.scope_enforced",
        "key.never_echoed",
        "names.unpublished_refused",
        "names.not_allowlisted_refused",
        "runbook.extensions_documented",
        "tenant.no_raw_model_ids",
    }
)
"""Checks that present several keys, or none, instead of one."""


_NEEDS = {
    "embeddings.after_rotation": Route.EMBEDDINGS,
    "conversation.continuity": Route.CONVERSATION_FILES,
    "conversation.same_key": Route.CONVERSATION_FILES,
}


def row_calls(tenant: Tenant, book: Runbook, row: Row, choice: Choice) -> tuple[CheckCall, ...]:
    """The checks of a row with the credential that the choice gives it. A missing credential leaves it None."""
    if row.verdict is Verdict.NATIVE:
        key = choice.inference.get(row.route)
        pairs = list(_native(tenant, book, row.route))
    elif row.verdict is Verdict.GT_EXTENSION:
        key = choice.extension.get(row.route)
        pairs = [(check, Parameters()) for check in _EXTENSION[row.route]]
    else:
        key = choice.own
        pairs = [("route.refused", Parameters(route=row.route))]
    name = key.name if key else None
    names = {"base_url.joins": (_reaching(tenant, row.route) or name) if name else None}
    # dict.fromkeys: two clients of one runbook that ask for the same are one subject, in the order first named.
    calls = dict.fromkeys(CheckCall(check, names.get(check, name), parameters) for check, parameters in pairs)
    return tuple(call if call.credential else replace(call, blocker=_no_credential(row, choice)) for call in calls)


def _no_credential(row: Row, choice: Choice) -> Blocker:
    if row.verdict is Verdict.NOT_SUPPORTED:
        return Blocker(
            "this runbook has no credential of its own that could be refused",
            "Add a live key for this client to the tenant file.",
        )
    return Blocker(f"no credential reaches {row.route.title}", choice.missing[row.route])


def _reaching(tenant: Tenant, route: Route) -> str | None:
    """The narrowest key for the route: whether an address is routed does not hang on which key asks, so one asks."""
    able = (
        key
        for key in tenant.live_credentials
        if key.may(route) and (route.modality is None or key.may_use(tenant.model(route.modality)))
    )
    key = _narrowest(able)
    return key.name if key else None


def item_calls(tenant: Tenant, book: Runbook, item: ChecklistItem, choice: Choice) -> tuple[CheckCall, ...]:
    """The checks of a checklist item, less attestation: those that rows take already are the same subjects."""
    taken: dict[str, list[CheckCall]] = {}
    for row in book.rows:
        for call in row_calls(tenant, book, row, choice):
            taken.setdefault(call.check, []).append(call)
    found: list[CheckCall] = []
    for check in item.checks:
        if check == ATTESTATION:
            continue
        found += taken.get(check) or [_item_call(tenant, book, check, choice)]
    return tuple(dict.fromkeys(found))


def _item_call(tenant: Tenant, book: Runbook, check: str, choice: Choice) -> CheckCall:
    if check in TENANT_CHECKS:
        return tenant_call(tenant, check)
    call = _own_item_call(book, check, choice)
    if call.credential is None and check not in OF_MANY_KEYS:
        missing = choice.missing.get(_NEEDS.get(check, Route.CHAT)) or missing_for(check)
        return replace(call, blocker=Blocker("no credential of the tenant file can serve it", missing))
    return call


def _own_item_call(book: Runbook, check: str, choice: Choice) -> CheckCall:
    key = choice.own
    if check == "embeddings.after_rotation":
        key = choice.inference.get(Route.EMBEDDINGS)
    elif check in _OF_CONVERSATIONS:
        key = choice.extension.get(Route.CONVERSATION_FILES)
    elif check == "runbook.extensions_documented":
        key = None
    name = key.name if key else None
    if check in _OF_THE_RUNBOOK_FILE:
        return CheckCall(check, name, Parameters(runbook=book.id))
    if check == "key.least_privilege":
        return CheckCall(check, name, Parameters(routes=_beyond(book, choice)))
    return CheckCall(check, name)


def _beyond(book: Runbook, choice: Choice) -> tuple[Route, ...]:
    """The routes that the runbook's own key must not open: not native, and no extension that this key serves."""
    native = book.native_routes()
    return tuple(route for route in Route if route not in native and choice.extension.get(route) is not choice.own)


def tenant_call(tenant: Tenant, check: str) -> CheckCall:
    """A tenant-wide check with the key that it presents: the narrowest that can serve."""
    if check in OF_MANY_KEYS:
        return CheckCall(check)
    if check == "tenant.errors_shaped":
        key = _narrowest(key for key in tenant.live_credentials if key.may(Route.CHAT) is not False)
    elif check == "dataset.not_allowlisted_refused":
        key = _narrowest(key for key in tenant.live_credentials if key.may(Route.DATASET_FILES))
    elif check == "files.isolated":
        key = _narrowest(_uploaders(tenant))
    else:
        key = _narrowest(
            key for key in tenant.live_credentials if key.may_use(tenant.model(Modality.CHAT)) is not False
        )
    if key is None:
        missing = Blocker("no credential of the tenant file can serve this check", missing_for(check))
        return CheckCall(check, blocker=missing)
    return CheckCall(check, key.name)


def missing_for(check: str) -> str:
    """What to add to the tenant file where a tenant-wide check finds no key to present."""
    if check in {"dataset.not_allowlisted_refused", "files.isolated"}:
        return "Add a live key with purpose upload, scope datasets:write and its datasets to the tenant file."
    return "Add a live key with purpose inference and scope inference:chat to the tenant file."


def _uploaders(tenant: Tenant) -> Iterator[Credential]:
    for key in tenant.live_credentials:
        writes = (
            tenant.dataset is not None and key.may(Route.DATASET_FILES) and key.may_write(tenant.dataset) is not False
        )
        if writes or key.holds_conversations:
            yield key


def _native(tenant: Tenant, book: Runbook, route: Route) -> Iterator[tuple[str, Parameters]]:
    if route is Route.MODELS:
        yield "models.contains_alias", Parameters()
        yield "models.exact_allowlist", Parameters()
    elif route is Route.CHAT:
        yield from _chat(book.clients)
    elif route is Route.EMBEDDINGS:
        yield from _embeddings(book.clients)
    else:
        yield _SINGLE[route], Parameters()
    for client in book.clients:
        yield "base_url.joins", Parameters(route=route, base_path=base_path(tenant, book, client))


def _chat(clients: Sequence[ClientProfile]) -> Iterator[tuple[str, Parameters]]:
    profiles = [client.chat for client in clients]
    for profile in profiles:
        yield "chat.completes", chat_shape(profile)
    for profile in profiles:
        streams, usage = profile.stream != "never", profile.stream_usage == "always"
        yield "chat.model_is_published", replace(chat_shape(profile), stream=streams, stream_usage=usage)
    yield "chat.roles", Parameters()
    yield "chat.message_forms", Parameters(required=any(profile.message_forms for profile in profiles))
    for profile in profiles:
        yield "chat.token_limits", _own_limit(chat_shape(profile))
    yield "chat.sampling_fields", Parameters()
    for profile in profiles:
        yield from _streams(profile)
    yield from _by_profile(clients)


def _streams(profile: ChatProfile) -> Iterator[tuple[str, Parameters]]:
    if profile.stream == "never":
        return
    for usage in {"always": (True,), "never": (False,), "optional": (False, True)}[profile.stream_usage]:
        shape = replace(chat_shape(profile), stream_usage=usage, lf_data_only=profile.sse == "lf_data_only")
        yield "chat.streams", shape


def _by_profile(clients: Sequence[ClientProfile]) -> Iterator[tuple[str, Parameters]]:
    if any(client.chat.tools for client in clients):
        yield "chat.tools", Parameters()
    if any(client.chat.structured_output for client in clients):
        yield "chat.structured_output", Parameters()
    if any(client.default_surface == _RESPONSES for client in clients):
        yield "vendor.responses_refused", Parameters()
    for client in clients:
        if client.chat.load:
            yield "chat.client_load", Parameters(load=client.chat.load, stream=client.chat.stream == "always")
        if client.discovery:
            yield "client.discovery", Parameters(discovery=client.discovery)


def _own_limit(shape: Parameters) -> Parameters:
    if shape.token_limit_value is None:
        return Parameters()
    return Parameters(token_limit=shape.token_limit, token_limit_value=shape.token_limit_value)


def _embeddings(clients: Iterable[ClientProfile]) -> Iterator[tuple[str, Parameters]]:
    profiles = [client.embeddings for client in clients if client.embeddings] or [EmbeddingsProfile()]
    for profile in profiles:
        yield "embeddings.batch", embeddings_shape(profile)
    for profile in profiles:
        yield "embeddings.model_is_published", embeddings_shape(profile)
    for profile in profiles:
        if profile.encoding_format == "base64":
            yield "embeddings.base64", Parameters(batch=profile.batch)
        if profile.input == "token_ids":
            yield "embeddings.token_ids", Parameters(encoding_format=profile.encoding_format)


def base_path(tenant: Tenant, book: Runbook, client: ClientProfile) -> str:
    """The path to which this client joins its routes, from the documented base URL on this tenant's host."""
    own = urlsplit(tenant.base_url).path
    if book.base_url.startswith(_DOCUMENTED_BASE):
        path = own + book.base_url.removeprefix(_DOCUMENTED_BASE)
    else:
        path = urlsplit(book.base_url).path
    return path if client.joins == "verbatim" or path.endswith("/v1") else f"{path}/v1"


def _narrowest(keys: Iterable[Credential]) -> Credential | None:
    return min(keys, key=lambda key: key.breadth, default=None)


def known_ids() -> frozenset[str]:
    """Every id that a checklist item may name."""
    return frozenset(checks()) | {ATTESTATION}

"""The choice of credentials: the named one, else the narrowest live one that covers what is needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest

from gt_conformance.tenant import Choice, Credential, KeyMapping, choose
from gt_conformance.vocabulary import Modality, Purpose, Route, Scope
from tests.fake_tenant import ALIAS, key, tenant_of

CHAT = key("chat", scopes=frozenset({Scope.CHAT}))
EMBED = key("embed", scopes=frozenset({Scope.EMBED}))
BOTH = key("both", scopes=frozenset({Scope.CHAT, Scope.EMBED}))
VOICE = key("voice", scopes=frozenset({Scope.TRANSCRIBE, Scope.SPEECH}))
EVERYTHING = key("everything")
UNKNOWN = key("unknown", purpose=None, scopes=None, models=None)
OTHER_NAME = key("other-name", scopes=frozenset({Scope.CHAT}), models=frozenset({"catalog-large"}))
TWO_NAMES = key("two-names", scopes=frozenset({Scope.CHAT}), models=frozenset({ALIAS, "catalog-large"}))
DEAD = key("dead", scopes=frozenset({Scope.CHAT}), revoked=True)
UPLOAD = key(
    "upload",
    purpose=Purpose.UPLOAD,
    scopes=frozenset({Scope.DATASETS_WRITE}),
    models=None,
    datasets=frozenset({"scratch"}),
)
WIDE_UPLOAD = key(
    "wide-upload",
    purpose=Purpose.UPLOAD,
    scopes=frozenset({Scope.DATASETS_WRITE}),
    models=None,
    datasets=frozenset({"scratch", "reference"}),
)
ELSEWHERE = key(
    "elsewhere",
    purpose=Purpose.UPLOAD,
    scopes=frozenset({Scope.DATASETS_WRITE}),
    models=None,
    datasets=frozenset({"reference"}),
)
APP = key(
    "app",
    purpose=Purpose.CONVERSATION,
    scopes=frozenset({Scope.CHAT, Scope.DATASETS_WRITE}),
    datasets=frozenset({"scratch"}),
    inherits=("chat", "upload"),
)
MUTE_APP = key("mute-app", purpose=Purpose.CONVERSATION, scopes=frozenset(), models=frozenset(), datasets=frozenset())

CHAT_ONLY = (Route.MODELS, Route.CHAT)
CHAT_EMBED = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS)
GT_ROUTES = (Route.CONVERSATION_FILES, Route.DATASET_FILES, Route.FILE_STATUS)


@dataclass(frozen=True)
class Case:
    """Keys, what of them is chosen, and what is missing."""

    keys: tuple[Credential, ...]
    native: tuple[Route, ...] = CHAT_ONLY
    mapping: KeyMapping | None = None
    own: str | None = None
    inference: Mapping[Route, str] = field(default_factory=dict)
    missing: Mapping[Route, str] = field(default_factory=dict)
    note: str | None = None


def choice_for(keys: tuple[Credential, ...], native: tuple[Route, ...], mapping: KeyMapping | None) -> Choice:
    """The choice for dify in a tenant with these keys."""
    runbooks = {"dify": mapping} if mapping else {}
    return choose(tenant_of(*keys, dataset="scratch", runbooks=runbooks), "dify", native)


ADD = "Add a live key to the tenant file with"
NOTE = "No single key covers all native rows, so each takes the narrowest that covers it:"
INFERENCE: dict[str, Case] = {
    "the one that covers all": Case((EMBED, BOTH), CHAT_EMBED, own="both", inference=dict.fromkeys(CHAT_EMBED, "both")),
    "the narrowest by scopes": Case((EVERYTHING, BOTH, CHAT), own="chat", inference=dict.fromkeys(CHAT_ONLY, "chat")),
    "then by names": Case((TWO_NAMES, CHAT), own="chat", inference=dict.fromkeys(CHAT_ONLY, "chat")),
    "then the first of the file": Case(
        (key("first", scopes=CHAT.scopes), CHAT), own="first", inference=dict.fromkeys(CHAT_ONLY, "first")
    ),
    "never a revoked one": Case((DEAD, BOTH), own="both", inference=dict.fromkeys(CHAT_ONLY, "both")),
    "never one that is not allowed the name": Case(
        (OTHER_NAME, BOTH), own="both", inference=dict.fromkeys(CHAT_ONLY, "both")
    ),
    "a declared one before an unknown one": Case(
        (UNKNOWN, EVERYTHING), own="everything", inference=dict.fromkeys(CHAT_ONLY, "everything")
    ),
    "an unknown one where nothing is declared": Case(
        (UNKNOWN,), CHAT_EMBED, own="unknown", inference=dict.fromkeys(CHAT_EMBED, "unknown")
    ),
    "a conversation key where it is all there is": Case((APP,), own="app", inference=dict.fromkeys(CHAT_ONLY, "app")),
    "split where none covers all": Case(
        (EMBED, CHAT, VOICE),
        (*CHAT_EMBED, Route.SPEECH),
        own="chat",
        inference={Route.MODELS: "embed", Route.CHAT: "chat", Route.EMBEDDINGS: "embed", Route.SPEECH: "voice"},
        note=f"{NOTE} models by embed, chat by chat, embeddings by embed, speech by voice.",
    ),
    "split with a row that none covers": Case(
        (CHAT, EMBED),
        (*CHAT_EMBED, Route.IMAGES),
        own="chat",
        inference={Route.MODELS: "chat", Route.CHAT: "chat", Route.EMBEDDINGS: "embed"},
        missing={Route.IMAGES: f"{ADD} scope inference:image, allowed field-analyst."},
        note=f"{NOTE} models by chat, chat by chat, embeddings by embed.",
    ),
    "one for what it covers, without a note": Case(
        (CHAT,),
        CHAT_EMBED,
        own="chat",
        inference=dict.fromkeys(CHAT_ONLY, "chat"),
        missing={Route.EMBEDDINGS: f"{ADD} scope inference:embed, allowed field-analyst."},
    ),
    "own without chat is the first that covers any": Case(
        (EMBED,),
        CHAT_EMBED,
        own="embed",
        inference={Route.MODELS: "embed", Route.EMBEDDINGS: "embed"},
        missing={Route.CHAT: f"{ADD} scope inference:chat, allowed field-analyst."},
    ),
    "never an upload key for the model list": Case(
        (UPLOAD, key("chat", scopes=CHAT.scopes, models=None), key("embed", scopes=EMBED.scopes, models=None)),
        CHAT_EMBED,
        own="chat",
        inference={Route.MODELS: "chat", Route.CHAT: "chat", Route.EMBEDDINGS: "embed"},
        note=f"{NOTE} models by chat, chat by chat, embeddings by embed.",
    ),
    "never a key without the name for the model list": Case(
        (OTHER_NAME, CHAT, EMBED),
        CHAT_EMBED,
        own="chat",
        inference={Route.MODELS: "chat", Route.CHAT: "chat", Route.EMBEDDINGS: "embed"},
        note=f"{NOTE} models by chat, chat by chat, embeddings by embed.",
    ),
    "none": Case(
        (DEAD, UPLOAD),
        missing={
            Route.MODELS: f"{ADD} access to the tenant's models, allowed field-analyst.",
            Route.CHAT: f"{ADD} scope inference:chat, allowed field-analyst.",
        },
    ),
    "the named one, however wide": Case(
        (CHAT, EVERYTHING),
        mapping=KeyMapping(key="everything"),
        own="everything",
        inference=dict.fromkeys(CHAT_ONLY, "everything"),
    ),
    "the named one, for what it covers": Case(
        (CHAT, BOTH),
        CHAT_EMBED,
        mapping=KeyMapping(key="chat"),
        own="chat",
        inference=dict.fromkeys(CHAT_ONLY, "chat"),
        missing={
            Route.EMBEDDINGS: "The tenant file maps dify to the key chat, which is not declared to have it: "
            "it needs scope inference:embed, allowed field-analyst."
        },
    ),
    "the named one, whatever it is not known to lack": Case(
        (CHAT, UNKNOWN),
        CHAT_EMBED,
        mapping=KeyMapping(key="unknown"),
        own="unknown",
        inference=dict.fromkeys(CHAT_EMBED, "unknown"),
    ),
    "a named extension key leaves it open": Case(
        (CHAT, APP), mapping=KeyMapping(extension_key="app"), own="chat", inference=dict.fromkeys(CHAT_ONLY, "chat")
    ),
}


@pytest.mark.parametrize("case", INFERENCE.values(), ids=INFERENCE)
def test_native_rows_take_the_inference_credential(case: Case) -> None:
    """The named key proves the native rows, else the narrowest live one; what none covers says what to add."""
    choice = choice_for(case.keys, case.native, case.mapping)
    assert (choice.own.name if choice.own else None) == case.own
    assert {route: found.name for route, found in choice.inference.items()} == case.inference
    assert {route: text for route, text in choice.missing.items() if route not in GT_ROUTES} == case.missing
    assert choice.note == case.note


def test_each_modality_asks_for_its_own_name() -> None:
    """A key covers a route where it is allowed the name that the tenant file gives for that route's modality."""
    speaker = key("speaker", models=frozenset({"voice"}))
    tenant = tenant_of(EVERYTHING, speaker, models={Modality.CHAT: ALIAS, Modality.SPEECH: "voice"})
    choice = choose(tenant, "dify", (Route.CHAT, Route.SPEECH))
    assert {route: found.name for route, found in choice.inference.items()} == {
        Route.CHAT: "everything",
        Route.SPEECH: "speaker",
    }


NEEDS_DATASET = "Add dataset: NAME to the tenant file, a scratch dataset that may receive tiny files."
CONVERSES = "purpose conversation, allowed field-analyst"
WRITES = "purpose upload, scope datasets:write and dataset scratch"
UPLOADS = "the right to upload (purpose upload or conversation)"
EXTENSION: dict[str, tuple[tuple[Credential, ...], KeyMapping | None, tuple[str | None, str | None, str | None]]] = {
    "upload for datasets, conversation for conversations": ((CHAT, UPLOAD, APP), None, ("app", "upload", "upload")),
    "the narrowest upload": ((WIDE_UPLOAD, UPLOAD), None, (None, "upload", "upload")),
    "never to another dataset": ((ELSEWHERE, WIDE_UPLOAD), None, (None, "wide-upload", "wide-upload")),
    "a conversation key writes where it may": ((CHAT, APP), None, ("app", "app", "app")),
    "a conversation key that may not write polls its own": (
        (key("talk", purpose=Purpose.CONVERSATION, scopes=CHAT.scopes),),
        None,
        ("talk", None, "talk"),
    ),
    "never a conversation key without the name": ((MUTE_APP, UPLOAD), None, (None, "upload", "upload")),
    "an unknown key for all": ((UNKNOWN,), None, ("unknown", "unknown", "unknown")),
    "inference keys for none": ((EVERYTHING,), None, (None, None, None)),
    "never a revoked one": ((replace(UPLOAD, revoked=True), replace(APP, revoked=True)), None, (None, None, None)),
    "the named one, however wide": ((UPLOAD, APP), KeyMapping(extension_key="app"), ("app", "app", "app")),
    "the named one, for what it covers": (
        (UPLOAD, APP),
        KeyMapping(extension_key="upload"),
        (None, "upload", "upload"),
    ),
    "a named inference key leaves it open": ((CHAT, UPLOAD, APP), KeyMapping(key="chat"), ("app", "upload", "upload")),
}


@pytest.mark.parametrize(("keys", "mapping", "names"), EXTENSION.values(), ids=EXTENSION)
def test_gt_rows_take_the_extension_credentials(
    keys: tuple[Credential, ...], mapping: KeyMapping | None, names: tuple[str | None, ...]
) -> None:
    """The named key, else an upload key for datasets and a conversation key for conversations, proves the GT rows."""
    choice = choice_for(keys, CHAT_ONLY, mapping)
    found = [choice.extension.get(route) for route in GT_ROUTES]
    assert tuple(item.name if item else None for item in found) == names
    assert {route for route in GT_ROUTES if route in choice.missing} == {
        route for route, name in zip(GT_ROUTES, names, strict=True) if name is None
    }


def test_a_missing_extension_says_what_to_add() -> None:
    """A GT row without a credential says which key to add, or what the named one lacks."""
    missing = choice_for((CHAT,), CHAT_ONLY, None).missing
    assert missing == {
        Route.CONVERSATION_FILES: f"{ADD} {CONVERSES}.",
        Route.DATASET_FILES: f"{ADD} {WRITES}.",
        Route.FILE_STATUS: f"{ADD} {UPLOADS}.",
    }
    named = choice_for((CHAT, UPLOAD), CHAT_ONLY, KeyMapping(extension_key="upload")).missing
    assert named == {
        Route.CONVERSATION_FILES: "The tenant file maps dify to the key upload, which is not declared to have it: "
        f"it needs {CONVERSES}."
    }


def test_a_key_that_may_not_write_the_dataset_is_no_slip_in_its_name() -> None:
    """Where another key writes the dataset, its name is right: the remedy says what the named key lacks."""
    named = choice_for((CHAT, UPLOAD, ELSEWHERE), CHAT_ONLY, KeyMapping(extension_key="elsewhere")).missing
    remedy = named[Route.DATASET_FILES]
    assert remedy.startswith(
        "The tenant file maps dify to the key elsewhere, which is not declared to have it: it needs"
    )
    assert WRITES in remedy


def test_a_runbook_that_is_mapped_to_a_key_without_its_rights_is_one_finding() -> None:
    """The remedy is the same for each route, and names all that the key lacks."""
    missing = choice_for((CHAT, UPLOAD, ELSEWHERE), CHAT_EMBED, KeyMapping(key="upload")).missing
    of_inference = {missing[route] for route in CHAT_EMBED}
    assert len(of_inference) == 1, of_inference
    assert "scope inference:chat" in (named := of_inference.pop())
    assert "scope inference:embed" in named


def test_without_a_chat_model_no_key_is_for_chats() -> None:
    """A name for embeddings is for these alone; it is among the models that keys list."""
    tenant = replace(tenant_of(BOTH, APP), models={Modality.EMBEDDINGS: ALIAS})
    choice = choose(tenant, "dify", CHAT_EMBED)
    assert set(choice.inference) == {Route.MODELS, Route.EMBEDDINGS}
    assert Route.CONVERSATION_FILES not in choice.extension


def test_without_a_dataset_nothing_is_written() -> None:
    """Where the tenant file names no dataset, the dataset row is missing it, and an upload key polls nothing."""
    choice = choose(tenant_of(CHAT, UPLOAD, APP), "dify", CHAT_ONLY)
    assert {route: found.name for route, found in choice.extension.items()} == {
        Route.CONVERSATION_FILES: "app",
        Route.FILE_STATUS: "app",
    }
    assert choice.missing == {Route.DATASET_FILES: NEEDS_DATASET}


def test_a_mapping_is_of_its_runbook_alone() -> None:
    """A key that is named for one runbook is not chosen for another."""
    tenant = tenant_of(CHAT, EVERYTHING, runbooks={"n8n": KeyMapping(key="everything")})
    chosen = choose(tenant, "dify", CHAT_ONLY).own
    assert chosen is not None
    assert chosen.name == "chat"


def test_the_order_of_the_file_decides_between_equals_only() -> None:
    """Of keys that differ in breadth, the same one is chosen in whatever order they stand."""
    orders = permutations((TWO_NAMES, CHAT, BOTH, EVERYTHING, UNKNOWN))
    owns = {choice_for(order, CHAT_ONLY, None).own for order in orders}
    assert {own.name for own in owns if own} == {"chat"}

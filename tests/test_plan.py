"""The plan: the checks of rows and items, their keys, and what is blocked before anything is sent."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import TENANT_CHECKS, CheckCall, checks
from gt_conformance.errors import InputError
from gt_conformance.planning import (
    Case,
    CaseKind,
    Plan,
    Selection,
    list_cases,
    make_plan,
    require_known_mapping,
    tenant_case,
)
from gt_conformance.runbook import (
    ChatProfile,
    ChecklistItem,
    ClientProfile,
    EmbeddingsProfile,
    Runbook,
)
from gt_conformance.tenant import Credential, KeyMapping
from gt_conformance.vocabulary import Route, Scope, Verdict
from tests.fake_tenant import ALIAS, BASE_URL, INFERENCE, key, tenant_of
from tests.planned import APP, CHAT, TENANT, UPLOAD, a_book, bundled, ids, planned_row

QUIET = ChatProfile(stream="never")

CHAT_ADDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({"chat": QUIET}, []),
    "a stream": ({"chat": replace(QUIET, stream="always")}, ["chat.streams"]),
    "a stream or none": ({"chat": replace(QUIET, stream="both")}, ["chat.streams"]),
    "tools": ({"chat": replace(QUIET, tools=True)}, ["chat.tools"]),
    "structured output": ({"chat": replace(QUIET, structured_output=True)}, ["chat.structured_output"]),
    "discovery": ({"chat": QUIET, "discovery": ("GET /api/tags",)}, ["client.discovery"]),
    "another surface by default": ({"chat": QUIET, "default_surface": "/responses"}, ["vendor.responses_refused"]),
}

EMBEDDINGS_ADD: dict[str, tuple[EmbeddingsProfile | None, list[str]]] = {
    "no profile": (None, []),
    "floats": (EmbeddingsProfile("float"), []),
    "base64": (EmbeddingsProfile("base64"), ["embeddings.base64"]),
    "token ids": (EmbeddingsProfile("none", "token_ids"), ["embeddings.token_ids"]),
    "both": (EmbeddingsProfile("base64", "token_ids"), ["embeddings.base64", "embeddings.token_ids"]),
}


def added_to(plain: Case, row: Case) -> list[str]:
    """The checks that the row takes and the plain one does not; every one of the plain row's is taken."""
    assert set(ids(plain)) <= set(ids(row))
    return [check for check in ids(row) if check not in ids(plain)]


@pytest.mark.parametrize(("facts", "added"), CHAT_ADDS.values(), ids=CHAT_ADDS)
def test_a_chat_row_adds_what_its_client_does(facts: dict[str, Any], added: list[str]) -> None:
    """What a client's profile has is checked besides, and nothing else."""
    row = planned_row(a_book(ClientProfile(**facts), chat=Verdict.NATIVE), Route.CHAT)
    plain = planned_row(a_book(ClientProfile(chat=QUIET), chat=Verdict.NATIVE), Route.CHAT)
    assert added_to(plain, row) == added


def test_a_measured_load_is_the_whole_turn() -> None:
    """A client whose own size is measured sends that besides its whole turn."""
    loads = replace(QUIET, load=(("tools", 25),))
    plain = planned_row(a_book(ClientProfile(chat=QUIET), chat=Verdict.NATIVE), Route.CHAT)
    loaded = planned_row(a_book(ClientProfile(chat=loads), chat=Verdict.NATIVE), Route.CHAT)
    assert "client.turn" in ids(plain)
    assert added_to(plain, loaded) == ["chat.client_load"]


@pytest.mark.parametrize(("profile", "added"), EMBEDDINGS_ADD.values(), ids=EMBEDDINGS_ADD)
def test_an_embeddings_row_adds_what_its_client_does(profile: EmbeddingsProfile | None, added: list[str]) -> None:
    """Base64 and token ids are checked for the clients that send them."""
    row = planned_row(a_book(ClientProfile(embeddings=profile), embeddings=Verdict.NATIVE), Route.EMBEDDINGS)
    plain = planned_row(a_book(ClientProfile(), embeddings=Verdict.NATIVE), Route.EMBEDDINGS)
    assert added_to(plain, row) == added


def test_every_bundled_row_takes_checks() -> None:
    """Each row of the bundled runbooks takes checks that declare it, and an item none that do not exist."""
    plan = make_plan(TENANT, list(bundled().values()))
    assert [case.row for case in plan.of(CaseKind.ROW)] == [row for book in bundled().values() for row in book.rows]
    for case in plan.of(CaseKind.ROW):
        assert case.row is not None
        declared = {check.id for check, _ in checks().taken_by(case.row)}
        assert ids(case), case.id
        assert set(ids(case)) <= declared, case.id
    assert {item.check for item in plan.distinct} <= checks().keys()


# -- credentials


def test_rows_take_the_credentials_of_their_kind() -> None:
    """A native or refused row takes the inference key, a dataset row the upload key, a conversation row its own."""
    book = a_book(
        chat=Verdict.NATIVE,
        conversation_files=Verdict.GT_EXTENSION,
        dataset_files=Verdict.GT_EXTENSION,
        file_status=Verdict.GT_EXTENSION,
    )
    plan = make_plan(TENANT, [book])
    found = {case.route: {check.credential for check in case.checks} for case in plan.of(CaseKind.ROW)}
    assert found.pop(Route.CONVERSATION_FILES) == {"app"}
    assert found.pop(Route.DATASET_FILES) == {"upload"}
    assert found.pop(Route.FILE_STATUS) == {"upload"}
    assert set(map(frozenset, found.values())) == {frozenset({"chat"})}


def tenant_calls(plan: Plan) -> list[CheckCall]:
    """The tenant-wide checks of a plan."""
    return [call for case in plan.of(CaseKind.TENANT) for call in case.checks]


WIDE: dict[str, str | None] = {
    "key.required": "upload",
    "key.scope_enforced": None,
    "key.never_echoed": None,
    "names.unpublished_refused": None,
    "names.not_allowlisted_refused": None,
    "tenant.no_raw_model_ids": None,
    "tenant.browser_origin_refused": "upload",
    "tenant.errors_shaped": "chat",
    "dataset.not_allowlisted_refused": "upload",
    "files.isolated": "upload",
    "key.revocation": "upload",
}


def test_the_tenant_is_checked_once_whatever_is_selected() -> None:
    """The tenant-wide checks stand in every plan once, each with the narrowest key that can serve it."""
    for books in ([a_book()], list(bundled().values())):
        wide = tenant_calls(make_plan(TENANT, books))
        assert WIDE.items() <= {item.check: item.credential for item in wide}.items()
        assert [item.check for item in wide] == list(TENANT_CHECKS)
        assert not [item for item in wide if item.blocker]


UPLOADERS: dict[str, tuple[tuple[Credential, ...], str | None]] = {
    "the key that may write the dataset": ((CHAT, APP, UPLOAD), "upload"),
    "a key that may hold conversations": ((CHAT, replace(APP, scopes=INFERENCE)), "app"),
    "no key of another dataset": ((CHAT, replace(UPLOAD, datasets=frozenset({"other"}))), None),
    "no revoked key": ((CHAT, replace(UPLOAD, revoked=True)), None),
    "no key of unknown purpose": ((key("unknown", purpose=None, scopes=None),), None),
}


@pytest.mark.parametrize(("keys", "name"), UPLOADERS.values(), ids=UPLOADERS)
def test_files_are_isolated_by_a_key_that_can_upload(keys: tuple[Credential, ...], name: str | None) -> None:
    """What a stranger must not see is uploaded by the narrowest key that is declared to be able to."""
    [planned] = tenant_calls(make_plan(tenant_of(*keys, dataset="d"), [], [tenant_case("files.isolated")]))
    assert planned.credential == name


_NARROW = {"narrow": frozenset({Scope.CHAT}), "unused": frozenset({Scope.CHAT})}


def test_an_address_is_tried_by_the_narrowest_key_of_its_route() -> None:
    """Whether an address is routed does not hang on the key, so one key asks for all runbooks, where it is allowed.

    The further keys stand in for it where it does not work. A run of one runbook needs no key but its own.
    """
    wide, narrow, unused = (key(name, scopes=scopes) for name, scopes in {"wide": INFERENCE, **_NARROW}.items())
    tenant = tenant_of(wide, unused, narrow, runbooks={"dify": KeyMapping("wide"), "n8n": KeyMapping("narrow")})
    books = [a_book(book_id=name, chat=Verdict.NATIVE) for name in ("dify", "n8n")]
    plan = make_plan(tenant, books)
    row = plan.case("dify-chat-native")
    assert {(call.credential, call.stand_ins) for call in row.checks if call.check == "base_url.joins"} == {
        ("narrow", ("narrow", "wide"))
    }
    completes = [call for call in row.checks if call.check == "chat.completes"]
    assert {(call.credential, call.parameters.minimal) for call in completes} == {("wide", True), ("narrow", False)}
    alone = make_plan(tenant, books, list_cases(books, Selection(("dify",)))).case("dify-chat-native")
    assert {call.credential for call in alone.checks} == {"wide"}
    other = key("other", scopes=frozenset({Scope.CHAT}), models=frozenset({"another-agent"}))
    row = planned_row(a_book(chat=Verdict.NATIVE), Route.CHAT, tenant_of(other, wide))
    assert {check.credential for check in row.checks} == {"wide"}
    unknown = tenant_of(key("unknown", purpose=None, scopes=None, models=None))
    row = planned_row(a_book(chat=Verdict.NATIVE), Route.CHAT, unknown)
    assert {check.credential for check in row.checks} == {"unknown"}


# -- checklist items


ITEMS: dict[str, tuple[tuple[str, ...], list[tuple[str, str | None]]]] = {
    "what rows take already": (("chat.roles", "files.status"), [("chat.roles", "chat"), ("files.status", "upload")]),
    "a person's word is no check": (("attestation", "chat.roles"), [("chat.roles", "chat")]),
    "the tenant's own": (
        ("key.scope_enforced", "key.revocation"),
        [("key.scope_enforced", None), ("key.revocation", "upload")],
    ),
    "the runbook's own key": (("key.rotation",), [("key.rotation", "chat")]),
    "the key that embeds": (("embeddings.after_rotation",), [("embeddings.after_rotation", "chat")]),
    "the key that converses": (("conversation.continuity",), [("conversation.continuity", "app")]),
    "each once": (("chat.roles", "chat.roles"), [("chat.roles", "chat")]),
}


EXTENDED = {
    "conversation_files": Verdict.GT_EXTENSION,
    "dataset_files": Verdict.GT_EXTENSION,
    "file_status": Verdict.GT_EXTENSION,
}


def a_book_of_items(*checks_of_items: tuple[str, ...]) -> Runbook:
    """A runbook of chat, embeddings and GT's extensions whose checklist items name these checks."""
    book = a_book(chat=Verdict.NATIVE, embeddings=Verdict.NATIVE, **EXTENDED)
    items = tuple(ChecklistItem("dify", number, "So it is.", named) for number, named in enumerate(checks_of_items, 1))
    return replace(book, checklist=items)


@pytest.mark.parametrize(("named", "wanted"), ITEMS.values(), ids=ITEMS)
def test_an_item_takes_the_checks_that_it_names(named: tuple[str, ...], wanted: list[tuple[str, str | None]]) -> None:
    """A checklist item takes its checks with the keys that its runbook's rows take, or the one that each needs."""
    planned = make_plan(TENANT, [a_book_of_items(named)]).case("dify-item-1")
    assert [(check.check, check.credential) for check in planned.checks] == wanted
    assert not [check for check in planned.checks if check.blocker]
    assert planned.attested is ("attestation" in named)


def test_an_item_shares_what_its_rows_take() -> None:
    """A check that a row takes is the same check for an item, so that it is judged once."""
    plan = make_plan(TENANT, [a_book_of_items(("chat.streams", "vendor.files_refused"))])
    taken = {check for case in plan.of(CaseKind.ROW) for check in case.checks}
    found = plan.case("dify-item-1").checks
    assert set(found) <= taken
    assert {(check.check, check.credential) for check in found} == {
        ("chat.streams", "chat"),
        ("vendor.files_refused", "app"),
        ("vendor.files_refused", "upload"),
    }


def test_least_privilege_is_asked_beyond_what_the_runbook_uses() -> None:
    """The runbook's own key must not open the routes that are neither native nor an extension that it serves itself."""
    beyond = {Route.MODELS, Route.TRANSCRIPTIONS, Route.SPEECH, Route.IMAGES}
    extensions = {Route.CONVERSATION_FILES, Route.DATASET_FILES, Route.FILE_STATUS}
    book = a_book_of_items(("key.least_privilege",))
    [check] = make_plan(TENANT, [book]).case("dify-item-1").checks
    assert (check.credential, set(check.parameters.routes)) == ("chat", beyond | extensions)
    [check] = make_plan(tenant_of(APP, dataset="d"), [book]).case("dify-item-1").checks
    assert (check.credential, set(check.parameters.routes)) == ("app", beyond)


def test_an_item_without_a_key_is_blocked_already() -> None:
    """An item whose check no key can serve says which key to add."""
    book = a_book_of_items(("conversation.continuity",), ("embeddings.after_rotation",))
    plan = make_plan(tenant_of(key("chat", scopes=frozenset({Scope.CHAT}))), [book])
    remedies = [check.blocker.remedy for case in plan.of(CaseKind.ITEM) for check in case.checks if check.blocker]
    assert remedies == [
        f"Add a live key to the tenant file with purpose conversation, allowed {ALIAS}.",
        f"Add a live key to the tenant file with scope inference:embed, allowed {ALIAS}.",
    ]


# -- what is blocked before anything is sent


def blockers(plan: Plan) -> Iterator[tuple[str, CheckCall, str, str]]:
    """Each check that is blocked already: its row, its subject, the reason and the remedy."""
    for case in plan.of(CaseKind.ROW):
        for call in case.checks:
            if call.blocker is not None:
                yield case.id, call, call.blocker.reason, call.blocker.remedy


def test_a_row_without_a_credential_is_blocked_already() -> None:
    """Where no key reaches a row, each of its checks is blocked, with what to add, and no other row's."""
    tenant = tenant_of(key("chat", scopes=frozenset({Scope.CHAT})))
    book = a_book(chat=Verdict.NATIVE, embeddings=Verdict.NATIVE, dataset_files=Verdict.GT_EXTENSION)
    found = {(row, reason, remedy) for row, _, reason, remedy in blockers(make_plan(tenant, [book]))}
    assert found == {
        (
            "dify-embeddings-native",
            "no credential reaches POST /v1/embeddings",
            "Add a live key to the tenant file with scope inference:embed, allowed field-analyst.",
        ),
        (
            "dify-dataset_files-gt_extension",
            "no credential reaches POST /v1/datasets/{id}/files",
            "Add dataset: NAME to the tenant file, a scratch dataset that may receive tiny files.",
        ),
    }


def test_a_runbook_without_a_key_refuses_nothing() -> None:
    """Where a runbook has no key of its own, its refused rows are blocked: nobody was refused."""
    tenant = tenant_of(UPLOAD, dataset="d")
    plan = make_plan(tenant, [a_book(chat=Verdict.NATIVE)])
    refused = {(reason, remedy) for row, _, reason, remedy in blockers(plan) if "not_supported" in row}
    assert refused == {
        (
            "this runbook has no credential of its own that could be refused",
            "Add a live key for this client to the tenant file.",
        )
    }


def test_each_row_is_blocked_for_its_own_reason() -> None:
    """Two rows that lack a credential for the same check each say what they miss themselves, and it is planned once."""
    tenant = tenant_of(CHAT, dataset="d", runbooks={"n8n": KeyMapping(extension_key="chat")})
    extensions = dict.fromkeys(("conversation_files", "dataset_files"), Verdict.GT_EXTENSION)
    books = [a_book(book_id=name, chat=Verdict.NATIVE, **extensions) for name in ("dify", "n8n")]
    plan = make_plan(tenant, books)
    found = {row: remedy for row, call, _, remedy in blockers(plan) if call.check == "vendor.files_refused"}
    add = "Add a live key to the tenant file with"
    lacks = (
        "The tenant file maps n8n to the key chat, which is not declared to have it: it needs purpose conversation, "
        f"allowed {ALIAS}; purpose upload, scope datasets:write and dataset d."
    )
    assert found == {
        "dify-conversation_files-gt_extension": f"{add} purpose conversation, allowed {ALIAS}.",
        "dify-dataset_files-gt_extension": f"{add} purpose upload, scope datasets:write and dataset d.",
        "n8n-conversation_files-gt_extension": lacks,
        "n8n-dataset_files-gt_extension": lacks,
    }
    assert [item.check for item in plan.distinct].count("vendor.files_refused") == 1


LACKING: dict[str, tuple[tuple[Credential, ...], set[str]]] = {
    "no upload key": ((CHAT,), {"dataset.not_allowlisted_refused", "files.isolated", "conversation.isolated"}),
    "upload keys alone": ((UPLOAD,), {"tenant.errors_shaped", "conversation.isolated"}),
    "no live key": (
        (replace(CHAT, revoked=True),),
        {"key.required", "tenant.browser_origin_refused", "tenant.errors_shaped", "key.revocation"}
        | {"dataset.not_allowlisted_refused", "files.isolated", "conversation.isolated"},
    ),
}

NEEDS = {
    "dataset.not_allowlisted_refused": "upload",
    "files.isolated": "upload",
    "conversation.isolated": "conversation",
}


@pytest.mark.parametrize(("keys", "blocked"), LACKING.values(), ids=LACKING)
def test_a_tenant_check_without_a_key_is_blocked_already(keys: tuple[Credential, ...], blocked: set[str]) -> None:
    """A tenant-wide check that no key can serve is blocked, with the key to add."""
    plan = make_plan(tenant_of(*keys, dataset="d"), [], list(map(tenant_case, TENANT_CHECKS)))
    found = {call.check: call.blocker for call in tenant_calls(plan)}
    assert {check for check, blocker in found.items() if blocker} == blocked
    for check, blocker in found.items():
        if blocker is not None:
            assert blocker.remedy.startswith(f"Add a live key with purpose {NEEDS.get(check, 'inference')}")


def test_a_mapping_to_no_runbook_is_an_error() -> None:
    """Keys that the tenant file maps to a runbook which does not exist would go unused, so it is an error."""
    tenant = tenant_of(CHAT, runbooks={"dify": KeyMapping("chat"), "n9n": KeyMapping("chat")})
    with pytest.raises(InputError) as caught:
        require_known_mapping(tenant, [bundled()["dify"], bundled()["n8n"]])
    [problem] = caught.value.problems
    assert str(problem).startswith(
        f"tenant.yaml: runbooks.n9n: there is no runbook 'n9n'. Did you mean n8n? Known: {min(bundled())}, "
    )
    require_known_mapping(tenant, [a_book(book_id="n9n"), a_book()])


def test_a_mapping_to_a_runbook_that_is_not_judged_is_no_error() -> None:
    """A runbook that comes with the suite exists, also where a folder of others is judged."""
    tenant = tenant_of(CHAT, runbooks={"cursor": KeyMapping("chat")})
    require_known_mapping(tenant, [bundled()["dify"]])


def test_a_plan_is_made_of_names() -> None:
    """No secret and no address is part of a check's subject: subjects become ids and stand in reports."""
    text = repr(make_plan(TENANT, list(bundled().values())).distinct)
    assert BASE_URL not in text
    assert not [item for item in TENANT.secrets().values() if item.reveal() in text]


def test_which_checks_create_and_which_read_the_whole_run() -> None:
    """A read-only run leaves out what creates, and what reads the whole run comes last."""
    assert {"key.never_echoed", "tenant.no_raw_model_ids"} <= {
        check.id for check in checks().values() if check.whole_run
    }
    uploads = {check.id for check in checks().values() if check.id.startswith(("conversation.", "upload.", "files."))}
    # The one is about what no chat may create, the other creates in two of its parts alone, which say so.
    sparing = {"conversation.on_request", "conversation.inherits"}
    assert uploads - sparing <= {check.id for check in checks().values() if check.creates}

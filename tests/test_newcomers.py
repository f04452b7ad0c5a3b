"""What an operator does wrong on a faultless tenant: one sentence that names the cause, and nobody else is accused."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gt_conformance import Record, plan, run
from gt_conformance.errors import InputError
from gt_conformance.planning import Selection
from gt_conformance.results import cases, exit_code
from gt_conformance.runner import Rehearsal
from gt_conformance.tenant import Tenant, TenantKind, from_environment, from_file, from_mapping
from gt_sandbox import EmbeddedTenant
from gt_sandbox.variants import select_variants
from tests.direct import judge
from tests.scripted import BOOKS as RUNBOOKS

pytestmark = pytest.mark.runs

BOOKS = ("dify", "n8n", "cursor")
"""Between them they use every kind of key."""
UNKNOWN = "gtak_" + "of-another-tenant" * 2
Document = dict[str, Any]
Secrets = dict[str, str]
Slip = Callable[[Document, Secrets], None]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedTenant]:
    """One faultless tenant on loopback for all of them."""
    with EmbeddedTenant() as found:
        yield found


def judged(running: EmbeddedTenant, tenant: Tenant, *books: str) -> Record:
    """A run of a few runbooks."""
    planned = plan(tenant, tuple(RUNBOOKS.values()), selection=Selection(runbooks=books or BOOKS))
    return judge(planned, running)


def lines_to_fix(record: Record) -> list[str]:
    """What is to be fixed or supplied, a line each; attestations are another story."""
    assert [item for item in record["findings"] if item["outcome"] == "violates"] == []
    return [
        f"{item['proofs'][0]['found']} -> {item['remedy']}"
        for item in record["findings"]
        if item["outcome"] == "blocked"
    ]


def change(*path: str, to: object = None) -> Slip:
    """A line of the tenant file put in the place of another, or taken out."""

    def slip(document: Document, _: Secrets) -> None:
        inside = document
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        if to is None:
            del inside[path[-1]]
        else:
            inside[path[-1]] = to

    return slip


def secret(variable: str, value: str | None) -> Slip:
    """Another secret in an environment variable, or none."""

    def slip(_: Document, secrets: Secrets) -> None:
        if value is None:
            del secrets[variable]
        else:
            secrets[variable] = value

    return slip


def both(*slips: Slip) -> Slip:
    """Several changes that are one mistake."""

    def slip(document: Document, secrets: Secrets) -> None:
        for one in slips:
            one(document, secrets)

    return slip


def all_dead(_: Document, secrets: Secrets) -> None:
    """The keys of another tenant."""
    for number, name in enumerate(secrets):
        secrets[name] = f"{UNKNOWN}{number}"


def undeclared_models(document: Document, _: Secrets) -> None:
    """No key says which names it is allowed."""
    for entry in document["keys"].values():
        entry.pop("models", None)


def web_address(document: Document, _: Secrets) -> None:
    """The address without its path."""
    document["base_url"] = document["base_url"].removesuffix("/api/tenant")


def secure(document: Document, _: Secrets) -> None:
    """Https where plain http is spoken."""
    document["base_url"] = document["base_url"].replace("http:", "https:")


def tenant_in(folder: Path, running: EmbeddedTenant, slip: Slip) -> Tenant:
    """The tenant of a file with that mistake in it."""
    document, secrets = copy.deepcopy(dict(running.tenant_document())), dict(running.secrets)
    slip(document, secrets)
    path = folder / "acme.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / "empty").write_text("\n", encoding="utf-8")
    return from_file(path, secrets)


def longer(document: Document, _: Secrets) -> None:
    """The address with its path a second time."""
    document["base_url"] += "/api/tenant"


def around(before: str, after: str) -> Slip:
    """A secret with something around it."""

    def slip(_: Document, secrets: Secrets) -> None:
        secrets[RAG] = f"{before}{secrets[RAG]}{after}"

    return slip


def exchanged(one: str, other: str) -> Slip:
    """The secrets of two keys, each in the place of the other."""

    def slip(_: Document, secrets: Secrets) -> None:
        secrets[one], secrets[other] = secrets[other], secrets[one]

    return slip


RAG, UPLOAD, CHAT, APP, FULL = (f"GT_EMBEDDED_{name}" for name in ("RAG", "UPLOAD", "CHAT", "APP", "FULL"))
swapped = exchanged(RAG, UPLOAD)
MISTYPED = change("models", "chat", to="field-analist")
FAILING = both(change("keys", "rag", "secret_env"), change("keys", "rag", "secret_command", to=["false"]))
EMPTY = both(change("keys", "rag", "secret_env"), change("keys", "rag", "secret_file", to="empty"))
ONE_FINDING: dict[str, tuple[Slip, int, tuple[str, ...]]] = {
    "the web address": (web_address, 8, ("no such route", "path in base_url", "/api/tenant")),
    "the path twice": (longer, 8, ("no such route", "path in base_url", "/api/tenant")),
    "https for http": (secure, 8, ("does not speak TLS",)),
    "a wrong port": (change("base_url", to="http://127.0.0.1:9/api/tenant"), 8, ("no connection", "host and port")),
    "the keys of another tenant": (all_dead, 8, ("refuses all", "belong to another tenant")),
    "one key of another tenant": (secret(RAG, UNKNOWN), 7, ("key `rag`", "Check the secret of the key rag")),
    "an upload key that is dead": (secret(UPLOAD, UNKNOWN), 7, ("Check the secret of the key upload",)),
    "a secret in quotes": (around('"', '"'), 7, ("acme.yaml:", "'rag'", "in quotes")),
    "a secret with its scheme": (around("Bearer ", ""), 7, ("acme.yaml:", "'rag'", "begins with Bearer")),
    "a secret that is a variable's name": (around("${", "}"), 7, ("acme.yaml:", "'rag'", "gives a placeholder")),
    "a secret of two lines": (around("", "\nx"), 7, ("acme.yaml:", "'rag'", "a space, a line break")),
    "a secret with blanks around it": (around("  ", " \n"), 0, ()),
    "a mistyped name": (MISTYPED, 7, ("field-analist", "Did you mean field-analyst")),
    "a name in capitals": (change("models", "chat", to="FIELD-ANALYST"), 7, ("Did you mean field-analyst",)),
    "a name with a blank behind it": (
        both(change("models", "chat", to="field-analyst "), change("models", "embeddings", to="field-analyst ")),
        7,
        ("allowed the name 'field-analyst '", "Did you mean field-analyst?"),
    ),
    "read-only": (change("read_only", to=True), 7, ("read-only", "Set read_only: false")),
    "a variable that is not set": (secret(RAG, None), 7, (RAG, "which is not set", f"export {RAG}=")),
    "an empty secret file": (EMPTY, 7, ("acme.yaml:", "'rag'", "gives nothing")),
    "a secret command that fails": (FAILING, 7, ("acme.yaml:", "'rag'", "failed with exit code 1")),
    "a retired secret that is not set": (secret(f"{RAG}_OLD", None), 7, (f"{RAG}_OLD", "which is not set")),
    "a scope that the key has not": (
        change("keys", "rag", "scopes", to=["inference:chat", "inference:embed", "inference:speech"]),
        7,
        ("key rag has not the right", "Take inference:speech off"),
    ),
    "a scope that the key of a native row has not": (
        change("keys", "chat", "scopes", to=["inference:chat", "inference:embed"]),
        7,
        ("key chat has not the right", "Take inference:embed off"),
    ),
    "no dataset": (both(change("dataset"), change("dataset_attached")), 7, ("Add dataset: NAME",)),
    "a misspelt dataset": (change("dataset", to="scratch-brief"), 7, ("Did you mean scratch-briefs",)),
    "a dataset that nobody has": (
        both(change("dataset", to="briefs-of-2019"), change("keys", "upload", "datasets", to=["briefs-of-2019"])),
        7,
        ("the dataset briefs-of-2019 takes no upload", "Correct dataset in the tenant file"),
    ),
    "a dataset by its path": (
        both(change("dataset", to="./scratch-briefs"), change("keys", "upload", "datasets", to=["./scratch-briefs"])),
        7,
        ("the dataset ./scratch-briefs takes no upload", "Correct dataset in the tenant file"),
    ),
    "a retired secret in the place of the live one": (
        exchanged(RAG, f"{RAG}_OLD"),
        7,
        ("put each in its place: rag and the retired secret of rag", "the tenant has undone a rotation"),
    ),
    "a purpose that the key has not": (
        change("keys", "rag", "purpose", to="conversation"),
        7,
        ("key rag, which is declared to open conversations, may not", "correct its purpose"),
    ),
    "a link that is left out": (change("keys", "app", "inherits", to=["rag"]), 0, ()),
    "a revoked key that is not there": (change("keys", "gone"), 7, ("no revoked key", "revoked: true")),
}


@pytest.mark.parametrize(("slip", "code", "words"), ONE_FINDING.values(), ids=ONE_FINDING)
def test_a_slip_is_one_finding_that_names_it(
    tmp_path: Path, running: EmbeddedTenant, slip: Slip, code: int, words: tuple[str, ...]
) -> None:
    """One mistake is told once, in words that name it, whatever rests on it; and nothing violates."""
    record = judged(running, tenant_in(tmp_path, running, slip))
    lines = lines_to_fix(record)
    assert len(lines) == bool(words), lines
    for word in words:
        assert word in lines[0]
    assert exit_code(record) == (code or 7), "attestations are missing, as nobody gave any"


FEW = ("rag", "upload", "app", "gone")


def test_a_name_that_every_key_mistypes_accuses_nobody(tmp_path: Path, running: EmbeddedTenant) -> None:
    """No key is declared to be allowed the name that chats take: said once; no dead key is asked to chat."""

    def slip(document: Document, _: Secrets) -> None:
        document["keys"] = {name: document["keys"][name] for name in FEW}
        document["keys"]["rag"]["models"] = ["field-analist"]
        del document["runbooks"]

    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, slip)))
    assert len([line for line in lines if "no key is declared to be allowed the name field-analyst" in line]) == 1, (
        lines
    )
    assert not [line for line in lines if "Select something that chats" in line]


def test_a_name_that_one_key_mistypes_is_said_where_the_key_is_missed(tmp_path: Path, running: EmbeddedTenant) -> None:
    """Rather than one key more: the name that was probably meant, and the key whose models have it."""
    lines = lines_to_fix(
        judged(running, tenant_in(tmp_path, running, change("keys", "rag", "models", to=["field-analist"])))
    )
    (line,) = [line for line in lines if "no credential reaches POST /v1/conversations/files" in line]
    assert (
        "Did you mean field-analyst by field-analist, which the key app may use? Correct the models of the key rag"
        in line
    )
    (line,) = [line for line in lines if "the name field-analist is not among those" in line]
    assert "Correct the models of the key rag in " in line


def test_the_dataset_of_a_run_is_none_that_no_key_may_write(tmp_path: Path, running: EmbeddedTenant) -> None:
    """An upload to it would be taken, and the tenant accused: the file contradicts itself."""
    with pytest.raises(InputError, match=r"other_datasets\.0: the dataset 'scratch-briefs' is under other_datasets"):
        tenant_in(tmp_path, running, change("other_datasets", to=["scratch-briefs"]))


def test_another_dataset_that_the_key_may_write_is_named(tmp_path: Path, running: EmbeddedTenant) -> None:
    """One is named in other_datasets: what is missing is another than that."""
    own = both(
        change("other_datasets", to=["partner-briefs"]),
        change("keys", "upload", "datasets", to=["scratch-briefs", "partner-briefs"]),
    )
    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, own)))
    assert len([line for line in lines if "partner-briefs is declared to be its own" in line]) == 1, lines


PARTNER = "GT_EMBEDDED_PARTNER"
MAIN = [CHAT, RAG, FULL, UPLOAD, APP, PARTNER]
_NAMES = "APP CHAT CHAT_OLD CURSOR CURSOR_OLD FULL GONE MANUS MANUS_OLD OTHER_TENANT PARTNER RAG RAG_OLD UPLOAD"
EVERY = [f"GT_EMBEDDED_{name}" for name in _NAMES.split()]
"""The secrets of a list in the order of their names: the retired ones and that of another tenant are among them."""
_FILE = "CHAT CHAT_OLD RAG RAG_OLD FULL UPLOAD APP PARTNER CURSOR CURSOR_OLD MANUS MANUS_OLD GONE"
FILE = [f"GT_EMBEDDED_{name}" for name in _FILE.split()]
"""And in the order of the tenant file."""


def placed(*into: str, of: Sequence[str] = MAIN) -> Slip:
    """The secrets of some keys, each in the place of another one."""

    def slip(_: Document, secrets: Secrets) -> None:
        secrets.update({place: secrets[name] for place, name in zip(into, of, strict=True)})

    return slip


@pytest.mark.parametrize(
    ("slip", "runbooks"),
    [
        (swapped, BOOKS),
        (exchanged(CHAT, APP), RUNBOOKS),
        (exchanged(RAG, FULL), (*BOOKS, "openai-sdk-curl")),
        (exchanged(APP, UPLOAD), RUNBOOKS),
        (placed(RAG, FULL, UPLOAD, APP, PARTNER, CHAT), RUNBOOKS),
        (placed(FULL, UPLOAD, APP, PARTNER, CHAT, RAG), RUNBOOKS),
        (placed(PARTNER, APP, UPLOAD, FULL, RAG, CHAT), RUNBOOKS),
        (placed(APP, FULL, "GT_EMBEDDED_GONE", of=(FULL, "GT_EMBEDDED_GONE", APP)), RUNBOOKS),
        (placed(*EVERY[1:], EVERY[0], of=EVERY), RUNBOOKS),
        (placed(EVERY[-1], *EVERY[:-1], of=EVERY), RUNBOOKS),
        (placed(*FILE, of=[*FILE[3:], *FILE[:3]]), RUNBOOKS),
        (placed(*FILE, of=[*FILE[1:], *FILE[:1]]), ("dify",)),
        (placed(*FILE, of=[*FILE[2:], *FILE[:2]]), ("langchain", "n8n")),
        (exchanged(RAG, "GT_EMBEDDED_CHAT_OLD"), RUNBOOKS),
        (exchanged(UPLOAD, "GT_EMBEDDED_MANUS_OLD"), RUNBOOKS),
        (exchanged(f"{RAG}_OLD", CHAT), ("dify",)),
        (exchanged(f"{RAG}_OLD", APP), ("dify",)),
        (exchanged(RAG, APP), ("dify",)),
    ],
    ids=[
        "two",
        "chat",
        "wide",
        "upload",
        "one place on",
        "two places on",
        "reversed",
        "with a revoked one",
        "all down",
        "all up",
        "the file by three",
        "the file by one",
        "the file by two",
        "with the retired secret of another key",
        "with a retired secret that is tried at few places",
        "a retired one and that of a key that the run has no use for",
        "a retired one and that of a key that inherits from it",
        "one and that of a key that inherits from it",
    ],
)
def test_secrets_in_each_others_places_accuse_nobody(
    tmp_path: Path, running: EmbeddedTenant, slip: Slip, runbooks: Sequence[str]
) -> None:
    """The tenant keeps each key to its rights, but to those of another one: that is one finding, which names them."""
    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, slip), *runbooks))
    assert len(lines) == 1, lines
    assert "seem to be in each other's places" in lines[0]
    assert "-> Check these secrets in the tenant file" in lines[0]


@pytest.mark.parametrize("refusing", ["dead-keys-get-400", "dead-keys-get-404"])
@pytest.mark.parametrize("dead", [UPLOAD, APP], ids=["a later key", "the first key"])
def test_a_dead_key_is_named_whatever_it_is_refused_with(tmp_path: Path, refusing: str, dead: str) -> None:
    """Where other keys work the API is there: nobody is to switch it on, and the others are judged."""
    with EmbeddedTenant(middleware=select_variants((refusing,)).middleware) as running:
        lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, secret(dead, UNKNOWN)), "dify"))
    assert len(lines) == 1, lines
    assert f"Check the secret of the key {dead.rpartition('_')[2].lower()}: the tenant does not take it." in lines[0]


def test_an_upload_keys_secret_in_anothers_place_may_be_refused_the_list(tmp_path: Path) -> None:
    """A tenant may list nothing to upload keys: the key in whose place one is does not work, and is not dead either."""
    with EmbeddedTenant(middleware=select_variants(("model-list-closed-to-upload-keys",)).middleware) as running:
        slip = placed(RAG, FULL, UPLOAD, APP, PARTNER, CHAT)
        lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, slip), *RUNBOOKS))
    assert len(lines) == 1, lines
    assert "seem to be in each other's places" in lines[0]


README_KEYS = {"rag", "upload", "app", "gone", "full"}


@pytest.mark.parametrize(
    "moved",
    ["APP RAG", "APP GONE", "RAG RAG_OLD APP", "RAG_OLD APP FULL", "UPLOAD APP GONE", "UPLOAD RAG_OLD"],
)
def test_the_six_secrets_of_the_readme_in_each_others_places_are_one_finding(
    tmp_path: Path, running: EmbeddedTenant, moved: str
) -> None:
    """Nobody else's conversations are missed for it, and a key that works in a dead one's place is no old secret."""

    def slip(document: Document, secrets: Secrets) -> None:
        document["keys"] = {name: entry for name, entry in document["keys"].items() if name in README_KEYS}
        document.pop("runbooks")
        document["other_datasets"] = ["partner-briefs"]
        document.pop("other_tenant_key_env")
        names = [f"GT_EMBEDDED_{name}" for name in moved.split()]
        placed(*names, of=[*names[1:], names[0]])(document, secrets)

    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, slip), "dify"))
    assert len(lines) == 1, lines
    assert "-> Check these secrets in the tenant file" in lines[0]


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (change("keys", "full", "scopes", to=["inference:chat"]), "Declare inference:embed of the key full"),
        (change("keys", "full", "models", to=["field-analyst", "desk-assistant"]), "correct the key's models"),
    ],
    ids=["scopes", "models"],
)
def test_what_is_declared_of_a_key_and_is_out_of_date_is_the_operators(
    tmp_path: Path, running: EmbeddedTenant, slip: Slip, words: str
) -> None:
    """The tenant keeps other keys from what this one may do, or never published a name to it: its entry is old."""
    mapped = both(slip, change("runbooks", "continue", to={"key": "full"}))
    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, mapped), "continue"))
    assert len([line for line in lines if words in line]) == 1, lines


def test_an_allowlist_that_is_declared_too_short_is_the_operators(tmp_path: Path, running: EmbeddedTenant) -> None:
    """The tenant lists the name to the key and lets it use it, and keeps other keys to theirs: the file is behind."""
    short = both(
        change("keys", "full", "models", to=["field-analyst"]),
        change("runbooks", "openai-sdk-curl", to={"key": "full"}),
    )
    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, short), "openai-sdk-curl"))
    assert len([line for line in lines if "Add gt-large-raw to the models of the key full" in line]) == 1, lines


def only(*names: str) -> Slip:
    """A file of these keys alone."""

    def slip(document: Document, _: Secrets) -> None:
        document["keys"] = {name: document["keys"][name] for name in names}
        del document["runbooks"]

    return slip


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (
            both(only("chat"), change("keys", "chat", "scopes", to=["inference:chat", "inference:embed"])),
            "Take inference:embed off the scopes of the key chat",
        ),
        (
            both(only("app", "upload"), change("keys", "app", "inherits", to=["upload"])),
            "Add the inference key that app",
        ),
    ],
    ids=["a scope too many", "a link too few"],
)
def test_what_is_declared_of_the_only_key_of_its_kind_accuses_nobody(
    tmp_path: Path, running: EmbeddedTenant, slip: Slip, words: str
) -> None:
    """Nothing shows whether the file or the tenant is right: the operator is told what to look at."""
    tenant = tenant_in(tmp_path, running, slip)
    boundary = judge(plan(tenant, selection=Selection(boundary=True)), running)
    record = judged(running, tenant, "openai-sdk-curl")
    assert lines_to_fix(record)
    assert lines_to_fix(boundary)
    reasons = [
        check["reason"] + check["remedy"] for one in (record, boundary) for case in cases(one) for check in case.checks
    ]
    assert any(words in reason for reason in reasons), sorted(set(reasons))


def test_without_a_conversation_key_that_key_is_missing_once(tmp_path: Path, running: EmbeddedTenant) -> None:
    """Whatever rows, items and checks of the boundary would use it."""

    def without(document: Document, _: Secrets) -> None:
        kept = {name: key for name, key in document["keys"].items() if key.get("purpose") != "conversation"}
        document["keys"] = kept
        document["other_datasets"] = ["partner-briefs"]

    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, without)))
    assert len([line for line in lines if "conversation" in line]) == 1, lines


def test_a_mistyped_name_is_found_in_the_models_that_are_listed(tmp_path: Path, running: EmbeddedTenant) -> None:
    """Where no allowlist is declared the tenant's own list tells the right name."""
    lines = lines_to_fix(judged(running, tenant_in(tmp_path, running, both(undeclared_models, MISTYPED))))
    found = [line for line in lines if "field-analist" in line and "Did you mean field-analyst" in line]
    assert len(found) == 1, lines


REFUSED: dict[str, tuple[Slip, tuple[str, ...]]] = {
    "/v1 at the end": (change("base_url", to="https://acme.example/api/tenant/v1"), ("ends with /v1", "/api/tenant")),
    "http for https": (change("base_url", to="http://acme.example/api/tenant"), ("plain http", "Use https")),
    "a placeholder": (change("base_url", to="https://<tenant-host>/api/tenant"), ("placeholder",)),
    "a key of the runbook that is mistyped": (
        change("runbooks", "dify", to={"key": "rga"}),
        ("'rga'", "Did you mean 'rag'"),
    ),
    "a runbook that does not exist": (change("runbooks", "difi", to={"key": "rag"}), ("'difi'", "Known: ")),
    "a runbook that uses what is no route": (change("runbooks", "dify", to={"uses": ["image"]}), ("image", "images")),
    "a runbook with a revoked key": (change("runbooks", "dify", to={"key": "gone"}), ("'gone' is marked revoked",)),
    "the wrong purpose": (
        change("keys", "upload", "purpose", to="inference"),
        ("datasets:write", "Set purpose: upload"),
    ),
    "an unpublished name that a key uses": (
        change("unpublished_models", to=["field-analyst"]),
        ("'field-analyst' is under unpublished_models", "Take it off one of the two"),
    ),
    "two keys of one secret": (
        change("keys", "chat", "secret_env", to=RAG),
        ("the key 'chat' and the key 'rag' have the same secret",),
    ),
    "a secret in the file": (change("keys", "chat", "secret_env", to=UNKNOWN), ("keys.chat.secret_env",)),
    "a mistyped scope": (change("keys", "chat", "scopes", to=["inference:chats"]), ("inference:chat",)),
}


@pytest.mark.parametrize(("slip", "words"), REFUSED.values(), ids=REFUSED)
def test_a_slip_that_no_run_could_mend_is_one_error(
    tmp_path: Path, running: EmbeddedTenant, slip: Slip, words: tuple[str, ...]
) -> None:
    """What contradicts itself is said before anything is sent, once, with its place and the right value."""
    with pytest.raises(InputError) as refused:
        plan(tenant_in(tmp_path, running, slip))
    assert len(refused.value.problems) == 1, refused.value
    for word in words:
        assert word in str(refused.value)


def of_environment(running: EmbeddedTenant, key: str, **more: str) -> dict[str, str]:
    """The three variables of the README."""
    return {"GT_BASE_URL": running.base_url, "GT_API_KEY": running.secrets[key], "GT_MODEL": "field-analyst"} | more


INCOMPLETE = {
    "no name": ("GT_MODEL", None),
    "no key": ("GT_API_KEY", None),
    "an empty key": ("GT_API_KEY", ""),
    "an empty address": ("GT_BASE_URL", ""),
}


@pytest.mark.parametrize(("name", "value"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_variable_that_is_left_out_is_named(running: EmbeddedTenant, name: str, value: str | None) -> None:
    """Two of three variables are no tenant, and never the embedded one."""
    environment: dict[str, str] = of_environment(running, RAG)
    del environment[name]
    if value is not None:
        environment[name] = value
    with pytest.raises(InputError, match=f"but {name} is not"):
        from_environment(environment)


ADDRESSES: dict[str, tuple[Callable[[str], str], int]] = {
    "a slash at its end": (lambda url: f"{url}/", 7),
    "no path": (lambda url: url.removesuffix("/api/tenant"), 8),
}


@pytest.mark.parametrize(("changed", "code"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_in_the_environment(running: EmbeddedTenant, changed: Callable[[str], str], code: int) -> None:
    """A slash is no matter; where the path is missing, the one finding says where the API usually is."""
    tenant = from_environment(of_environment(running, RAG, GT_BASE_URL=changed(running.base_url)))
    assert tenant is not None
    record = judged(running, tenant, "cursor")
    lines = lines_to_fix(record)
    assert exit_code(record) == code
    if code == 8:
        [line] = lines
        assert f"Check the path in base_url, /: the tenant's API is usually at {running.base_url}" in line


def test_an_address_that_ends_with_a_version_is_refused(running: EmbeddedTenant) -> None:
    """It is said how it should be."""
    with pytest.raises(InputError, match="ends with /v1"):
        from_environment(of_environment(running, RAG, GT_BASE_URL=f"{running.base_url}/v1"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace that a tenant without a file is asked at is nobody's concern here."""
    monkeypatch.setattr("gt_conformance.runner._sender.Pace.wait", lambda *_: 0.0)


@pytest.mark.parametrize("key", ["CHAT", "FULL", "UPLOAD", "APP"])
def test_one_key_alone_accuses_nobody(running: EmbeddedTenant, key: str) -> None:
    """The README's three lines with any key: what it may do beyond a runbook is no violation, what it lacks is missing.

    Nobody is told about a tenant file as if there were one.
    """
    tenant = from_environment(of_environment(running, f"GT_EMBEDDED_{key}"))
    assert tenant is not None
    record = judged(running, tenant, *BOOKS, "continue")
    lines = lines_to_fix(record)
    assert exit_code(record) == 7
    [line] = lines
    assert "Write a tenant file (gt-conformance init writes one)" in line
    assert "the tenant file" not in line


def test_what_the_operator_granted_is_remarked_and_what_is_used_is_judged(
    tmp_path: Path, running: EmbeddedTenant
) -> None:
    """A wide key leaves remarks on not_supported rows; a route that is used here is judged as promised."""
    wide = tenant_in(tmp_path, running, change("runbooks", "dify", to={"key": "full"}))
    [book] = judged(running, wide, "dify")["runbooks"]
    row = next(row for row in book["routes"] if row["route"] == "images")
    assert [remark["kind"] for check in row["checks"] for remark in check.get("remarks", ())] == ["granted"]
    assert row["outcome"] == "conforms"
    used = tenant_in(tmp_path, running, change("runbooks", "dify", to={"key": "full", "uses": ["images"]}))
    [book] = judged(running, used, "dify")["runbooks"]
    row = next(row for row in book["routes"] if row["route"] == "images")
    assert (row["verdict"], row.get("uses"), row["outcome"]) == ("not_supported", True, "conforms")
    assert "images.generates" in [check["id"] for check in row["checks"]]


def test_a_plan_needs_no_secret(tmp_path: Path) -> None:
    """Rehearsed, a tenant file is read without its secrets, and no command is run."""
    marker = tmp_path / "ran"
    path = tmp_path / "acme.yaml"
    keys = {"chat": {"secret_env": "NOT_SET"}, "rag": {"secret_command": ["touch", str(marker)]}}
    document = {"base_url": "https://acme.example/api/tenant", "models": {"chat": "field-analyst"}, "keys": keys}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    tenant = from_file(path, {}, rehearsed=True)
    record = run(plan(tenant, selection=Selection(runbooks=("cursor",))), sender=lambda: Rehearsal(tenant))
    assert record["traffic"]["requests"] > 0
    assert not marker.exists()
    named = from_environment({"GT_BASE_URL": "https://acme.example/api/tenant", "GT_MODEL": "x"}, rehearsed=True)
    assert named is not None


# -- whatever the file says


@st.composite
def slips(draw: st.DrawFn, whole: Mapping[str, Any]) -> Document:
    """A tenant file in which keys are missing, facts are left out, names are wrong, and runbooks are mapped anyhow."""
    document = copy.deepcopy(dict(whole))
    keys = document["keys"]
    live = [name for name in keys if not keys[name].get("revoked")]
    kept = draw(st.sets(st.sampled_from(live), min_size=1))
    for name in set(live) - kept:
        del keys[name]
    for entry in keys.values():
        for fact in ("scopes", "models", "datasets", "purpose", "retired_secret_env", "inherits"):
            if fact in entry and draw(st.integers(0, 3)) == 0:
                del entry[fact]
        linked = entry.get("inherits", ())
        if linked and (any(name not in keys for name in linked) or "purpose" not in entry):
            del entry["inherits"]
    names = st.sampled_from(sorted(kept))
    document["runbooks"] = {
        book: draw(st.sampled_from(({"key": draw(names)}, {"extension_key": draw(names)})))
        for book in draw(st.sets(st.sampled_from(sorted(RUNBOOKS)), max_size=6))
    }
    document["models"]["chat"] = draw(
        st.sampled_from(("field-analyst", "field-analyst", "field-analist", "desk-assistant", "gt-large-raw"))
    )
    if draw(st.booleans()):
        document["models"] = {"chat": document["models"]["chat"]}
    document["dataset"] = draw(st.sampled_from(("scratch-briefs", "scratch-briefs", "scratch-brief", "partner-briefs")))
    for name in ("dataset", "unpublished_models"):
        if draw(st.integers(0, 3)) == 0:
            del document[name]
    document["read_only"] = draw(st.integers(0, 5)) == 0
    return document


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_tenant_file_makes_a_faultless_tenant_violate(running: EmbeddedTenant, data: st.DataObject) -> None:
    """Whatever is left out, mistyped or mapped: what the tenant does is right, so nothing violates."""
    document = data.draw(slips(running.tenant_document()))
    books = data.draw(st.sets(st.sampled_from(sorted(RUNBOOKS)), min_size=2, max_size=2))
    try:
        tenant = from_mapping(document, running.secrets, kind=TenantKind.LIVE, name="acme.yaml")
    except InputError:
        return
    lines_to_fix(judged(running, tenant, *sorted(books)))

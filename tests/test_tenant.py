"""The tenant file: what becomes of it, and what is refused and where."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest

from gt_conformance.errors import InputError
from gt_conformance.tenant import (
    OTHER_TENANT,
    Credential,
    KeyMapping,
    Limits,
    Secret,
    Tenant,
    TenantKind,
    from_environment,
    from_file,
    from_mapping,
)
from gt_conformance.vocabulary import GRANTS, Modality, Preset, Purpose, Route, Scope
from tests.input_files import problems_of
from tests.tenant_files import ENVIRONMENT, OTHER, SECRET, SMALLEST, THIRD, load

pytestmark = pytest.mark.usefixtures("own_folder")

# -- what becomes of a file


ALLOWED = SMALLEST.replace("{secret_env", "{models: [field-analyst], secret_env")
"""The smallest file, whose key declares the names that it is allowed."""


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param(
            "dataset: briefs\ninternal_datasets: [ds-1, briefs]",
            "internal_datasets.1: the dataset 'briefs' is under internal_datasets, and under dataset.",
            id="internal, and the one that is uploaded to",
        ),
        pytest.param(
            "other_datasets: [partner]\ninternal_datasets: [partner]",
            "internal_datasets.0: the dataset 'partner' is under internal_datasets, and under other_datasets.",
            id="internal, and another that is asked for",
        ),
        pytest.param("dataset: briefs/", "dataset: dataset is a path, 'briefs/', and not an id.", id="a path"),
        pytest.param(
            "raw_models: [field-analist]",
            "raw_models.0: no key is allowed the name 'field-analist'. Did you mean 'field-analyst'?",
            id="a raw model of no key",
        ),
        pytest.param(
            "base_prompts: {analyst: {ask: 'Which station?', expect: Skerryvore}}",
            "base_prompts.analyst: no key is allowed the name 'analyst'. Did you mean 'field-analyst'?",
            id="a base prompt of nobody",
        ),
    ],
)
def test_what_would_accuse_the_tenant_or_go_unused_is_a_slip(lines: str, problem: str) -> None:
    """What the file says of a name at two places must agree, and a name that is to be asked for must be some key's."""
    (found,) = problems_of(load, f"{ALLOWED}{lines}\n", file="tenant.yaml")
    assert problem in found


def test_a_raw_model_may_be_that_of_a_key_whose_names_are_unknown() -> None:
    """A key that declares no names may be allowed any."""
    assert load(f"{SMALLEST}raw_models: [gt-large]\n").raw_models == ("gt-large",)


@pytest.mark.parametrize("preset", Preset)
def test_a_preset_gives_purpose_and_scopes(preset: Preset) -> None:
    """Where they are left out they are the preset's; a conversation key inherits its scopes."""
    key = load(SMALLEST.replace("{secret_env", f"{{preset: {preset}, secret_env")).credentials["chat"]
    assert (key.preset, key.purpose, key.scopes) == (preset, GRANTS[preset].purpose, GRANTS[preset].scopes)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param(
            "scopes: ['inference:chat'], preset: voice-audio",
            "the key 'chat' is of the preset voice-audio, which gives inference, inference:chat, inference:speech, "
            "inference:transcribe, and not inference:chat.",
            id="scopes",
        ),
        pytest.param(
            "purpose: upload, preset: conversation-app",
            "the key 'chat' is of the preset conversation-app, which gives conversation, and not upload.",
            id="purpose",
        ),
        pytest.param(
            "conversation: {id: conv_1, fact: amber}",
            "the key 'chat' names a conversation, and is not revoked.",
            id="conversation",
        ),
    ],
)
def test_what_a_key_says_of_itself_must_agree(said: str, sentence: str) -> None:
    """A preset beside what it does not give, and a conversation of a live key, are slips that are named."""
    with pytest.raises(InputError) as caught:
        load(SMALLEST.replace("{secret_env", f"{{{said}, secret_env"))
    assert "tenant.yaml:4:" in str(caught.value)
    assert sentence in str(caught.value)


def test_a_key_of_another_tenant_is_a_secret_of_its_own() -> None:
    """It is kept apart from this tenant's keys, is redacted as they are, and must be none of them."""
    tenant = load(SMALLEST + "other_tenant_key_env: GT_KEY_APP\n")
    assert tenant.secrets()[OTHER_TENANT] == Secret(OTHER)
    assert OTHER_TENANT not in tenant.credentials
    with pytest.raises(InputError, match=r"the key of another tenant and the key 'chat' have the same secret"):
        load(SMALLEST + "other_tenant_key_env: GT_KEY_CHAT\n")
    unset = load(SMALLEST + "other_tenant_key_env: GT_NOWHERE\n")
    assert "GT_NOWHERE, which is not set" in unset.blockers[OTHER_TENANT].reason


def test_the_smallest_file_gives_a_tenant() -> None:
    """An address, a name and a key are enough; all else is unknown, empty or its default."""
    tenant = load(SMALLEST)
    assert tenant == Tenant(
        base_url="https://acme.example/api/tenant",
        kind=TenantKind.LIVE,
        models={Modality.CHAT: "field-analyst"},
        credentials={"chat": Credential("chat", Secret(SECRET))},
        source="tenant.yaml",
    )
    assert tenant.limits == Limits(
        concurrency=8,
        requests_per_minute=12_000,
        timeout_s=60,
        poll_timeout_s=120,
        max_requests=1000,
        refusals_per_minute=12_000,
        max_refusals=1000,
        max_response_bytes=8 * 1024 * 1024,
        max_run_bytes=64 * 1024 * 1024,
        run_timeout_s=3600,
        completion_tokens=256,
    )


def test_a_whole_file_gives_a_tenant() -> None:
    """Every field of a tenant file stands in the tenant."""
    tenant = load(
        """\
base_url: https://acme.example/api/tenant/
models: {chat: field-analyst, speech: voice}
unpublished_models: [agent-7f3a]
dataset: scratch
dataset_attached: true
other_datasets: [reference]
keys:
  chat:
    secret_env: GT_KEY_CHAT
    retired_secret_env: GT_KEY_APP
    purpose: inference
    scopes: [inference:chat, inference:speech]
    models: [field-analyst, voice]
  gone: {secret_env: GT_KEY_THIRD, revoked: true, datasets: [scratch]}
runbooks: {dify: {key: chat}, n8n: {extension_key: chat}}
limits: {concurrency: 2, timeout_s: 0.5}
read_only: true
"""
    )
    assert tenant == Tenant(
        base_url="https://acme.example/api/tenant",
        kind=TenantKind.LIVE,
        models={Modality.CHAT: "field-analyst", Modality.SPEECH: "voice"},
        credentials={
            "chat": Credential(
                name="chat",
                secret=Secret(SECRET),
                retired_secret=Secret(OTHER),
                purpose=Purpose.INFERENCE,
                scopes=frozenset({Scope.CHAT, Scope.SPEECH}),
                models=frozenset({"field-analyst", "voice"}),
                position=0,
            ),
            "gone": Credential(
                name="gone", secret=Secret(THIRD), datasets=frozenset({"scratch"}), revoked=True, position=1
            ),
        },
        unpublished_models=("agent-7f3a",),
        dataset="scratch",
        dataset_attached=True,
        other_datasets=("reference",),
        runbooks={"dify": KeyMapping(key="chat"), "n8n": KeyMapping(extension_key="chat")},
        limits=Limits(concurrency=2, timeout_s=0.5),
        read_only=True,
        source="tenant.yaml",
    )


def test_a_tenant_tells_its_keys_apart() -> None:
    """Live and revoked keys are kept apart, and every secret has a name, the retired ones as well."""
    tenant = load(
        SMALLEST.replace("GT_KEY_CHAT}", "GT_KEY_CHAT, retired_secret_env: GT_KEY_APP}")
        + "  gone: {secret_env: GT_KEY_THIRD, revoked: true}\n"
    )
    assert [key.name for key in tenant.live_credentials] == ["chat"]
    assert [key.name for key in tenant.revoked_credentials] == ["gone"]
    assert tenant.secrets() == {"chat": Secret(SECRET), "chat.old": Secret(OTHER), "gone": Secret(THIRD)}


def test_the_chat_name_stands_in_for_those_left_out() -> None:
    """An alias serves every modality, so a name left out is that of chat; whether it was declared is known."""
    tenant = load(SMALLEST.replace("field-analyst}", "field-analyst, speech: voice}"))
    assert [tenant.model(modality) for modality in Modality] == [*["field-analyst"] * 3, "voice", "field-analyst"]
    assert [modality for modality in Modality if tenant.declares(modality)] == [Modality.CHAT, Modality.SPEECH]


# -- the three environment variables

SHORT = {"GT_BASE_URL": "https://acme.example/api/tenant", "GT_API_KEY": SECRET, "GT_MODEL": "field-analyst"}


def test_three_variables_make_a_tenant() -> None:
    """An address, a key and a name in the environment are the short form of a file."""
    assert from_environment(SHORT) == Tenant(
        base_url="https://acme.example/api/tenant",
        kind=TenantKind.LIVE,
        models={Modality.CHAT: "field-analyst"},
        credentials={"default": Credential("default", Secret(SECRET))},
    )


@pytest.mark.parametrize(
    "environment", [{}, dict.fromkeys(SHORT, ""), {"PATH": "/bin"}], ids=["none", "empty", "others"]
)
def test_no_variable_makes_no_tenant(environment: Mapping[str, str]) -> None:
    """Where none of the three is set, no tenant is named."""
    assert from_environment(environment) is None


def test_a_variable_may_end_with_a_line_break() -> None:
    """As it does where it was read from a file: neither the address nor the key nor the name has it."""
    spaced = {name: f" {value}\n" for name, value in SHORT.items()}
    assert from_environment(spaced) == from_environment(SHORT)
    with pytest.raises(InputError, match=r"^GT_BASE_URL and GT_API_KEY are set, but GT_MODEL is not\."):
        from_environment({**SHORT, "GT_MODEL": " \n"})


HALF = {
    "no address": ("GT_BASE_URL", "GT_API_KEY and GT_MODEL are set, but GT_BASE_URL is not."),
    "no key": ("GT_API_KEY", "GT_BASE_URL and GT_MODEL are set, but GT_API_KEY is not."),
    "no name": ("GT_MODEL", "GT_BASE_URL and GT_API_KEY are set, but GT_MODEL is not."),
}


@pytest.mark.parametrize(("missing", "message"), HALF.values(), ids=HALF)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "unset"])
def test_some_of_the_variables_are_no_tenant(missing: str, message: str, *, empty: bool) -> None:
    """Where some of the three are missing, the error names them rather than taking the embedded tenant."""
    environment = {name: value for name, value in SHORT.items() if name != missing} | ({missing: ""} if empty else {})
    with pytest.raises(InputError) as caught:
        from_environment(environment)
    assert str(caught.value) == f"{message} Set all three, or name a tenant file with --tenant FILE."


def test_one_variable_alone_is_no_tenant() -> None:
    """Where one of the three stands alone, the other two are asked for."""
    with pytest.raises(InputError, match=r"^GT_MODEL is set, but GT_BASE_URL and GT_API_KEY are not\."):
        from_environment({"GT_MODEL": "field-analyst"})


def test_the_variables_are_held_to_the_same_rules() -> None:
    """An address in the environment is checked as one in a file is."""
    with pytest.raises(InputError, match=r"^base_url is plain http to acme\.example"):
        from_environment(SHORT | {"GT_BASE_URL": "http://acme.example/api/tenant"})


def test_a_path_that_a_shell_would_have_written_out_says_so(tmp_path: Path) -> None:
    """Nothing replaces ~ in a file: whoever is told to check the path sees nothing wrong with it."""
    path = tmp_path / "acme.yaml"
    path.write_text(SMALLEST + "ca_file: ~/ca.pem\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"ca_file: the file .*/~/ca\.pem cannot be read: .*Only a shell replaces ~"):
        from_file(path, ENVIRONMENT)


# -- a value in the form of a file


def test_a_mapping_gives_a_tenant_of_its_kind() -> None:
    """A value in the form of a tenant file, such as the embedded tenant gives, becomes a tenant of that kind."""
    value = {
        "base_url": "http://127.0.0.1:8017/api/tenant",
        "models": {"chat": "field-analyst"},
        "keys": {"chat": {"secret_env": "GT_KEY_CHAT"}},
    }
    tenant = from_mapping(value, ENVIRONMENT, kind=TenantKind.EMBEDDED, name="the embedded tenant")
    assert (tenant.kind, tenant.source) == (TenantKind.EMBEDDED, "the embedded tenant")
    with pytest.raises(InputError, match="models"):
        from_mapping(value | {"models": {}}, ENVIRONMENT, kind=TenantKind.EMBEDDED, name="the embedded tenant")


# -- addresses

ADDRESSES = {
    "https://acme.example/api/tenant": "https://acme.example/api/tenant",
    "https://acme.example/api/tenant/": "https://acme.example/api/tenant",
    "https://acme.example:8443": "https://acme.example:8443",
    "http://localhost:8017/api/tenant": "http://localhost:8017/api/tenant",
    "http://LOCALHOST/api/tenant": "http://LOCALHOST/api/tenant",
    "http://127.0.0.1:8017": "http://127.0.0.1:8017",
    "http://127.9.9.9": "http://127.9.9.9",
    "'http://[::1]:8017/api'": "http://[::1]:8017/api",
    "' https://acme.example/v1x '": "https://acme.example/v1x",
}


@pytest.mark.parametrize(("given", "taken"), ADDRESSES.items())
def test_an_address_is_taken(given: str, taken: str) -> None:
    """An https address anywhere and http on this machine are taken, without a slash at the end."""
    assert load(SMALLEST.replace("https://acme.example/api/tenant", given)).base_url == taken


LOOKS = "It looks like https://<tenant-host>/api/tenant."
CLEAR = "the keys would travel in clear. Use https; http is taken for loopback only."
REFUSED_ADDRESSES = {
    "http://acme.example/api/tenant": f"base_url is plain http to acme.example: {CLEAR}",
    "http://127.0.0.1.acme.example": f"base_url is plain http to 127.0.0.1.acme.example: {CLEAR}",
    "http://localhost.acme.example": f"base_url is plain http to localhost.acme.example: {CLEAR}",
    "http://10.0.0.1": f"base_url is plain http to 10.0.0.1: {CLEAR}",
    "http://0.0.0.0": f"base_url is plain http to 0.0.0.0: {CLEAR}",
    "'http://[::2]'": f"base_url is plain http to ::2: {CLEAR}",
    "https://acme.example/api/tenant/v1": "base_url ends with /v1: 'https://acme.example/api/tenant/v1'. "
    "Leave it out, the suite adds it: https://acme.example/api/tenant",
    "https://acme.example/api/tenant/v1/chat/completions": "base_url ends with a route, /v1/chat/completions: "
    "'https://acme.example/api/tenant/v1/chat/completions'. "
    "Leave it out, the suite adds it: https://acme.example/api/tenant",
    "https://acme.example:8443/v1/": "base_url ends with /v1: 'https://acme.example:8443/v1/'. "
    "Leave it out, the suite adds it: https://acme.example:8443",
    "https://<tenant-host>/api/tenant": "base_url still holds a placeholder: 'https://<tenant-host>/api/tenant'. "
    "Put the tenant's host in its place.",
    "'https://{host}/api/tenant'": "base_url still holds a placeholder: 'https://{host}/api/tenant'. "
    "Put the tenant's host in its place.",
    "http://${GT_HOST}:8080/api/tenant": "base_url still holds a placeholder: 'http://${GT_HOST}:8080/api/tenant'. "
    "Put the tenant's host in its place.",
    "$GT_BASE_URL": "base_url still holds a placeholder: '$GT_BASE_URL'. Put the tenant's host in its place.",
    "\u201chttps://acme.example/api/tenant\u201d": "base_url begins with a quotation mark: "
    "'\u201chttps://acme.example/api/tenant\u201d'. Remove the quotation marks: they are read as a part of the "
    "URL.",
    "ftp://acme.example": f"base_url is not an http(s) address: 'ftp://acme.example'. {LOOKS}",
    "acme.example/api/tenant": f"base_url is not an http(s) address: 'acme.example/api/tenant'. {LOOKS}",
    "https:///api/tenant": f"base_url is not an http(s) address: 'https:///api/tenant'. {LOOKS}",
    "https://acme.example:port": f"base_url is not a URL: 'https://acme.example:port'. {LOOKS}",
    "https://acme.example:99999": f"base_url is not a URL: 'https://acme.example:99999'. {LOOKS}",
    "'https://[acme'": f"base_url is not a URL: 'https://[acme'. {LOOKS}",
    "https://me:pass@acme.example": f"base_url holds a user name or password. Leave them out. {LOOKS}",
    "https://me@acme.example": f"base_url holds a user name or password. Leave them out. {LOOKS}",
    "https://acme.example/?key=1": f"base_url has a query or a fragment: 'https://acme.example/?key=1'. {LOOKS}",
    "https://acme.example/#top": f"base_url has a query or a fragment: 'https://acme.example/#top'. {LOOKS}",
}


@pytest.mark.parametrize(("given", "message"), REFUSED_ADDRESSES.items())
def test_an_address_is_refused_before_a_key_could_travel(given: str, message: str) -> None:
    """An address that would leak the key, or cannot be right, is refused with what to do, at its line."""
    [problem] = problems_of(load, SMALLEST.replace("https://acme.example/api/tenant", given))
    assert problem == f"tenant.yaml:1:11: {message}"


# -- names that must exist

BUNDLE_HINT = "Name a PEM bundle; the path is taken from the folder of the tenant file."
NAMES = {
    "a runbook mapped to no key": (
        "runbooks: {dify: {key: chta}}",
        ["5:24: runbooks.dify.key: there is no key named 'chta'. Did you mean 'chat'? Keys of this file: chat."],
    ),
    "and far from any": (
        "runbooks: {dify: {extension_key: upload}}",
        ["5:34: runbooks.dify.extension_key: there is no key named 'upload'. Keys of this file: chat."],
    ),
    "a key that inherits from none": (
        "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, up]}",
        ["5:73: keys.app.inherits.1: there is no key named 'up'. Keys of this file: chat, app."],
    ),
    "a runbook mapped to a revoked key": (
        "  gone: {secret_env: GT_KEY_APP, revoked: true}\nrunbooks:\n  dify: {key: gone}",
        ["7:15: runbooks.dify.key: the key 'gone' is marked revoked: no runbook can use it. Name a live key."],
    ),
    "each of several": (
        "runbooks:\n  dify: {key: a-key}\n  n8n: {key: b-key, extension_key: chat}",
        [
            "6:15: runbooks.dify.key: there is no key named 'a-key'. Keys of this file: chat.",
            "7:14: runbooks.n8n.key: there is no key named 'b-key'. Keys of this file: chat.",
        ],
    ),
    "no bundle": (
        "ca_file: ca.pem",
        [
            f"5:10: ca_file: the file ca.pem cannot be read: No such file or directory. {BUNDLE_HINT}",
        ],
    ),
}


@pytest.mark.parametrize(("lines", "problems"), NAMES.values(), ids=NAMES)
def test_a_name_that_does_not_exist_is_refused_where_it_stands(lines: str, problems: list[str]) -> None:
    """A key or a file that is named and does not exist is an error at its line, with the nearest name."""
    assert problems_of(load, f"{SMALLEST}{lines}\n") == [f"tenant.yaml:{problem}" for problem in problems]


def test_a_bundle_that_holds_no_certificate_is_refused() -> None:
    """A file that is no PEM bundle is an error before the run, not in the middle of it."""
    Path("ca.pem").write_text("no certificate\n", encoding="utf-8")
    [problem] = problems_of(load, f"{SMALLEST}ca_file: ca.pem\n")
    assert problem == (
        "tenant.yaml:5:10: ca_file: the file ca.pem holds no certificate that can be read. "
        "Name a PEM bundle; the path is taken from the folder of the tenant file."
    )


def test_a_bundle_is_taken_from_the_folder_of_the_file() -> None:
    """A PEM bundle beside the tenant file is taken."""
    shutil.copy(certifi.where(), "ca.pem")
    assert load(f"{SMALLEST}ca_file: ca.pem\n").ca_file == "ca.pem"


def test_all_problems_are_told_at_once() -> None:
    """An address, a secret and a name that are wrong are three problems of one error."""
    text = SMALLEST.replace("https:", "http:").replace("GT_KEY_CHAT", "GT_KEY_NONE") + "runbooks: {dify: {key: app}}\n"
    assert [problem.split(": ")[0] for problem in problems_of(load, text)] == [
        "tenant.yaml:1:11",
        "tenant.yaml:4:9",
        "tenant.yaml:5:24",
    ]


def test_a_breach_of_the_schema_is_told_first() -> None:
    """A field that the schema does not know is an error at its line, with the nearest one."""
    [problem] = problems_of(load, f"{SMALLEST}limit: {{concurrency: 2}}\n")
    assert problem.startswith("tenant.yaml:5:1: ")
    assert "limits" in problem


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A tenant file that does not exist is an error that names it."""
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "none.yaml"))):
        from_file(tmp_path / "none.yaml", {})


# -- what a key is declared to do


def may(**names: bool | None) -> dict[Route, bool | None]:
    """Whether a key may, cannot, or may perhaps use these routes."""
    return {Route(name): allowed for name, allowed in names.items()}


MAY: dict[str, tuple[dict[str, Any], dict[Route, bool | None]]] = {
    "a chat key": (
        {"purpose": Purpose.INFERENCE, "scopes": frozenset({Scope.CHAT})},
        may(models=True, chat=True, embeddings=False, dataset_files=False, conversation_files=False, file_status=False),
    ),
    "an upload key": (
        {"purpose": Purpose.UPLOAD, "scopes": frozenset({Scope.DATASETS_WRITE})},
        may(models=True, chat=False, dataset_files=True, conversation_files=None, file_status=True),
    ),
    "a conversation key": (
        {"purpose": Purpose.CONVERSATION, "scopes": frozenset({Scope.CHAT, Scope.DATASETS_WRITE})},
        may(chat=True, embeddings=False, dataset_files=True, conversation_files=True, file_status=True),
    ),
    "an inference key without scopes": (
        {"purpose": Purpose.INFERENCE},
        may(chat=None, dataset_files=False, conversation_files=False, file_status=False),
    ),
    "an upload key without scopes": (
        {"purpose": Purpose.UPLOAD},
        may(chat=False, dataset_files=None, conversation_files=None, file_status=True),
    ),
    "a key of which nothing is known": (
        {},
        may(models=True) | {route: None for route in Route if route is not Route.MODELS},
    ),
}


@pytest.mark.parametrize(("facts", "routes"), MAY.values(), ids=MAY)
def test_what_a_key_may_do_is_as_declared(facts: dict[str, Any], routes: dict[Route, bool | None]) -> None:
    """A key reaches the routes of its scopes and purpose; where the file is silent, nobody knows."""
    found = Credential("k", Secret(SECRET), **facts)
    assert {route: found.may(route) for route in routes} == routes


def test_an_allowlist_left_out_is_unknown() -> None:
    """A name or a dataset is allowed, not allowed, or unknown where no allowlist is declared."""
    known = Credential("k", Secret(SECRET), models=frozenset({"a"}), datasets=frozenset())
    unknown = Credential("k", Secret(SECRET))
    assert [known.may_use("a"), known.may_use("b"), unknown.may_use("a")] == [True, False, None]
    assert [known.may_write("a"), unknown.may_write("a")] == [False, None]

"""The tenant file: what becomes of it, what is refused and where, and secrets that never print."""

import copy
import json
import os
import pickle
import re
import shutil
import ssl
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from gt_conformance.errors import InputError
from gt_conformance.tenant import (
    OTHER_TENANT,
    ClientCertificate,
    Credential,
    KeyMapping,
    Limits,
    Marker,
    Secret,
    Tenant,
    TenantKind,
    from_environment,
    from_file,
    from_mapping,
)
from gt_conformance.vocabulary import GRANTS, Modality, Preset, Purpose, Route, Scope
from tests.input_files import problems_of

SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
OTHER = "gtak_Zz81kP-q3Wn5_TbV6yHj2dRe"
THIRD = "gtak_Hq5mB7-t2Xw9_LcDs4Kf1nGo"
ENVIRONMENT = {
    "GT_KEY_CHAT": SECRET,
    "GT_KEY_APP": OTHER,
    "GT_KEY_THIRD": THIRD,
    "GT_SHORT": "gtak_12",
    "GT_TWO": f"{SECRET} {OTHER}",
}
SMALLEST = """\
base_url: https://acme.example/api/tenant
models: {chat: field-analyst}
keys:
  chat: {secret_env: GT_KEY_CHAT}
"""

Load = Callable[[str], Tenant]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as the file tenant.yaml of the current folder."""
    monkeypatch.chdir(tmp_path)

    def loading(text: str) -> Tenant:
        Path("tenant.yaml").write_text(text, encoding="utf-8")
        return from_file(Path("tenant.yaml"), ENVIRONMENT)

    return loading


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
def test_what_would_accuse_the_tenant_or_go_unused_is_a_slip(load: Load, lines: str, problem: str) -> None:
    """What the file says of a name at two places must agree, and a name that is to be asked for must be some key's."""
    (found,) = problems_of(load, f"{ALLOWED}{lines}\n", file="tenant.yaml")
    assert problem in found


def test_a_raw_model_may_be_that_of_a_key_whose_names_are_unknown(load: Load) -> None:
    """A key that declares no names may be allowed any."""
    assert load(f"{SMALLEST}raw_models: [gt-large]\n").raw_models == ("gt-large",)


@pytest.mark.parametrize("preset", Preset)
def test_a_preset_gives_purpose_and_scopes(load: Load, preset: Preset) -> None:
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
def test_what_a_key_says_of_itself_must_agree(load: Load, said: str, sentence: str) -> None:
    """A preset beside what it does not give, and a conversation of a live key, are slips that are named."""
    with pytest.raises(InputError) as caught:
        load(SMALLEST.replace("{secret_env", f"{{{said}, secret_env"))
    assert "tenant.yaml:4:" in str(caught.value)
    assert sentence in str(caught.value)


def test_a_key_of_another_tenant_is_a_secret_of_its_own(load: Load) -> None:
    """It is kept apart from this tenant's keys, is redacted as they are, and must be none of them."""
    tenant = load(SMALLEST + "other_tenant_key_env: GT_KEY_APP\n")
    assert tenant.secrets()[OTHER_TENANT] == Secret(OTHER)
    assert OTHER_TENANT not in tenant.credentials
    with pytest.raises(InputError, match=r"the keys 'other-tenant.key' and 'chat' have the same secret"):
        load(SMALLEST + "other_tenant_key_env: GT_KEY_CHAT\n")
    unset = load(SMALLEST + "other_tenant_key_env: GT_NOWHERE\n")
    assert "GT_NOWHERE, which is not set" in unset.blockers[OTHER_TENANT].reason


def test_the_smallest_file_gives_a_tenant(load: Load) -> None:
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


def test_a_whole_file_gives_a_tenant(load: Load) -> None:
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


def test_a_tenant_tells_its_keys_apart(load: Load) -> None:
    """Live and revoked keys are kept apart, and every secret has a name, the retired ones as well."""
    tenant = load(
        SMALLEST.replace("GT_KEY_CHAT}", "GT_KEY_CHAT, retired_secret_env: GT_KEY_APP}")
        + "  gone: {secret_env: GT_KEY_THIRD, revoked: true}\n"
    )
    assert [key.name for key in tenant.live_credentials] == ["chat"]
    assert [key.name for key in tenant.revoked_credentials] == ["gone"]
    assert tenant.secrets() == {"chat": Secret(SECRET), "chat.old": Secret(OTHER), "gone": Secret(THIRD)}


def test_the_chat_name_stands_in_for_those_left_out(load: Load) -> None:
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
def test_an_address_is_taken(load: Load, given: str, taken: str) -> None:
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
    "'\u201chttps://acme.example/api/tenant\u201d'. Write it in plain quotation marks, or in none: those of word "
    "processors are a part of it.",
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
def test_an_address_is_refused_before_a_key_could_travel(load: Load, given: str, message: str) -> None:
    """An address that would leak the key, or cannot be right, is refused with what to do, at its line."""
    [problem] = problems_of(load, SMALLEST.replace("https://acme.example/api/tenant", given))
    assert problem == f"tenant.yaml:1:11: {message}"


# -- secrets by reference


def python(code: str) -> str:
    """A YAML list that runs the code in this Python."""
    return json.dumps([sys.executable, "-I", "-c", code])


GIVEN = {
    "by environment": "secret_env: GT_KEY_CHAT",
    "by file": "secret_file: secrets/chat",
    "by command": f"secret_command: {python(f'print({SECRET!r})')}",
}


@pytest.mark.parametrize("reference", GIVEN.values(), ids=GIVEN)
def test_a_secret_is_read_where_the_file_says(load: Load, reference: str) -> None:
    """The environment, a file beside the tenant file, and a command each give the secret, less its line break."""
    Path("secrets").mkdir()
    Path("secrets/chat").write_text(f"{SECRET}\n", encoding="utf-8")
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)).secrets()["chat"].reveal() == SECRET
    retired = f"secret_env: GT_KEY_APP, retired_{reference}"
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", retired)).credentials["chat"].retired_secret == Secret(
        SECRET
    )


def test_the_mark_of_an_editor_before_a_secret_is_no_part_of_it(load: Load) -> None:
    """Some editors save UTF-8 with a mark before the text, and lines that end in two characters."""
    Path("marked").write_bytes(f"\ufeff{SECRET}\r\n".encode())
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", "secret_file: marked")).secrets()["chat"].reveal() == SECRET


def test_a_command_runs_without_a_shell(load: Load) -> None:
    """What a shell would act on reaches the command as it is written."""
    code = "import sys; print('gtak_' + sys.argv[1].replace('$(echo x)', '12345678'))"
    reference = f"secret_command: {python(code)[:-1]}, '$(echo x)']"
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)).credentials["chat"].secret == Secret(
        "gtak_12345678"
    )


SECRET_HINT = "A GT key looks like gtak_... with nothing before or after it."
UNUSABLE = {
    "no variable": (
        "secret_env: GT_KEY_NONE",
        (
            "the key 'chat' takes its secret from the environment variable GT_KEY_NONE, which is not set. "
            "Set it: export GT_KEY_NONE=..."
        ),
    ),
    "a short one": (
        "secret_env: GT_SHORT",
        (
            "the secret of the key 'chat' is unusable: the environment variable GT_SHORT gives fewer than 8 "
            "characters, "
            f"too short for a GT key. {SECRET_HINT}"
        ),
    ),
    "two in one": (
        "secret_env: GT_TWO",
        (
            "the secret of the key 'chat' is unusable: the environment variable GT_TWO gives text that "
            f"is not allowed in a header: a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
    "no file": (
        "secret_file: secrets/none",
        (
            "the key 'chat' takes its secret from the file secrets/none, which cannot be read: No such file or "
            "directory. "
            "Check the path; it is taken from the folder of the tenant file."
        ),
    ),
    "an empty file": (
        "secret_file: empty",
        f"the secret of the key 'chat' is unusable: the file empty gives nothing. {SECRET_HINT}",
    ),
    "bytes in a file": (
        "secret_file: bytes",
        (
            "the key 'chat' takes its secret from the file bytes, which cannot be read: it is not UTF-8 text. "
            "Save it as UTF-8, without anything but the key."
        ),
    ),
    "letters beyond ASCII in a file": (
        "secret_file: accents",
        (
            "the secret of the key 'chat' is unusable: the file accents gives text that is not allowed in a header: "
            f"a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
    "a line of a shell": (
        "secret_file: assigned",
        (
            "the secret of the key 'chat' is unusable: the file assigned gives more than a key: something is "
            f"before gtak_, such as the name of a variable. {SECRET_HINT}"
        ),
    ),
    "no command": (
        "secret_command: [gt-no-such-command, read]",
        (
            "the key 'chat' takes its secret from the command 'gt-no-such-command', which cannot be started: "
            "No such file or directory. "
            "It is run without a shell: give the program and each argument as an entry of its own."
        ),
    ),
    "a command that fails": (
        f"secret_command: {python(f'import sys; print({SECRET!r}, file=sys.stderr); sys.exit({SECRET!r}[:0] or 3)')}",
        (
            f"the secret command {sys.executable!r} of the key 'chat' failed with exit code 3. "
            "Run it by hand to see why; its output is not displayed here, since it may contain a secret."
        ),
    ),
    "a command with a pipe": (
        f"secret_command: {python('raise SystemExit(1)')[:-1]}, '|', cut]",
        (
            f"the secret command {sys.executable!r} of the key 'chat' failed with exit code 1. "
            'It is run without a shell, to which | belongs: use [sh, -c, "..."], or do without it.'
        ),
    ),
    "a command in the home folder": (
        "secret_command: [~/bin/key, chat]",
        (
            "the key 'chat' takes its secret from the command '~/bin/key', which cannot be started: "
            "No such file or directory. "
            'It is run without a shell, to which ~/bin/key belongs: use [sh, -c, "..."], or do without it.'
        ),
    ),
    "a command that says nothing": (
        f"secret_command: {python('pass')}",
        f"the secret of the key 'chat' is unusable: the command {sys.executable!r} gives nothing. {SECRET_HINT}",
    ),
    "a command that says too much": (
        f"secret_command: {python(f'print({SECRET!r}); print(1)')}",
        (
            f"the secret of the key 'chat' is unusable: the command {sys.executable!r} gives text that "
            f"is not allowed in a header: a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
}


@pytest.mark.parametrize(("reference", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_secret_that_cannot_be_used_is_named_at_its_key(load: Load, reference: str, message: str) -> None:
    """A missing or unusable secret is an error at the line of its key, and is never shown."""
    Path("empty").write_text(" \n", encoding="utf-8")
    Path("bytes").write_bytes(b"\xff\xfe")
    Path("assigned").write_text(f"GT_API_KEY={SECRET}\n", encoding="utf-8")
    Path("accents").write_text("gtak_ääääääää", encoding="utf-8")
    text = SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)
    with pytest.raises(InputError) as caught:
        load(text)
    assert [str(problem) for problem in caught.value.problems] == [f"tenant.yaml:4:9: {message}"]
    told = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in ENVIRONMENT.values() if secret in told]


@pytest.fixture
def endless(load: Load) -> None:
    """A pipe that nobody writes into, a device that never ends, a link to it, and a file that is far too large."""
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    with Path("large").open("wb") as file:
        file.truncate(1 << 40)
    del load  # for the folder that it changed to


ENDLESS = {"pipe": "it is not a regular file", "device": "it is not a regular file", ".": "Is a directory"}
REFERENCES = {
    "secret_file": (
        SMALLEST.replace("secret_env: GT_KEY_CHAT", "secret_file: {}"),
        "the key 'chat' takes its secret from",
    ),
    "ca_file": (SMALLEST + "ca_file: {}\n", "ca_file: "),
    "client_cert": (SMALLEST + "client_cert: {}\n", "client_cert: "),
    "client_key": (SMALLEST + "client_cert: client.pem\nclient_key: {}\n", "client_key: "),
}


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize(
    ("name", "reason"), [*ENDLESS.items(), ("large", "it is larger than"), ("none", "No such file or directory")]
)
@pytest.mark.parametrize(("text", "begin"), REFERENCES.values(), ids=REFERENCES)
def test_a_file_is_read_within_bounds(load: Load, text: str, begin: str, name: str, reason: str) -> None:
    """Every file that a tenant file names is a regular one of a bounded size; any other is refused, at its line."""
    Path("client.pem").write_bytes(issued().cert_chain_pems[0].bytes())
    [problem] = problems_of(load, text.replace("{}", name))
    place, _, message = problem.partition(": ")
    assert place.startswith("tenant.yaml:")
    assert message.startswith(begin)
    assert f"the file {name}" in message
    assert f"cannot be read: {reason}" in message


def test_a_command_that_prints_without_end_is_ended(load: Load) -> None:
    """A command is read up to a bound, and ended there."""
    reference = f"secret_command: {python('while True: print(1)')}"
    [problem] = problems_of(load, SMALLEST.replace("secret_env: GT_KEY_CHAT", reference))
    assert problem == (
        f"tenant.yaml:4:9: the secret command {sys.executable!r} of the key 'chat' printed too much: over 65536 bytes. "
        "It must print the secret, and nothing else."
    )


def test_a_process_that_a_command_leaves_behind_is_not_waited_for(load: Load) -> None:
    """An agent that a command starts, and that holds its output open, does not keep the secret from being read."""
    agent = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({HANGS_S})'])"
    code = f"import subprocess, sys; {agent}; print({SECRET!r})"
    tenant = load(SMALLEST.replace("secret_env: GT_KEY_CHAT", f"secret_command: {python(code)}"))
    assert tenant.credentials["chat"].secret == Secret(SECRET)


HANGS_S = 35
"""Longer than a command may take."""


def test_a_command_that_hangs_is_ended(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that asks for a password and waits is given up, with that as the likely reason."""
    monkeypatch.setattr("gt_conformance.tenant._references._COMMAND_TIMEOUT_S", 0.1)
    reference = f"secret_command: {python('import time; time.sleep(60)')}"
    [problem] = problems_of(load, SMALLEST.replace("secret_env: GT_KEY_CHAT", reference))
    assert problem == (
        f"tenant.yaml:4:9: the secret command {sys.executable!r} of the key 'chat' took over 0.1 seconds. "
        "Run it by hand: it may be waiting for a password."
    )


# -- a type that never prints

PRINTED: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "an f-string": lambda secret: f"{secret} {secret!r} {secret:>40}",
    "percent formatting": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the old way must not print it either
    "format": lambda secret: "{} {0!s}".replace("{}", "{0}").format(secret),
    "inside a list": lambda secret: str([secret]),
    "its credential": lambda secret: repr(Credential("chat", secret, retired_secret=secret)),
    "its fingerprint": lambda secret: secret.fingerprint,
    "its attributes": lambda secret: str([getattr(secret, name) for name in dir(secret) if name != "reveal"][:0]),
}


@pytest.mark.parametrize("show", PRINTED.values(), ids=PRINTED)
def test_a_secret_never_prints(show: Callable[[Secret], str]) -> None:
    """However a secret is turned into text, its plaintext is not in it."""
    shown = show(Secret(SECRET))
    assert SECRET[5:13] not in shown


TAKEN_APART: dict[str, Callable[[Credential], object]] = {
    "pickled": pickle.dumps,
    "pickled alone": lambda credential: pickle.dumps(credential.secret),
    "copied": lambda credential: copy.copy(credential.secret),
    "copied with its credential": copy.deepcopy,
    "made a dict": asdict,
    "written as JSON": lambda credential: json.dumps(credential.secret),
}


@pytest.mark.parametrize("take", TAKEN_APART.values(), ids=TAKEN_APART)
def test_a_secret_is_not_written_elsewhere(take: Callable[[Credential], object]) -> None:
    """A secret is neither pickled nor turned into JSON."""
    with pytest.raises(TypeError) as caught:
        take(Credential("chat", Secret(SECRET)))
    assert SECRET not in str(caught.value)


def test_a_tenant_prints_without_its_secrets(load: Load) -> None:
    """The repr of a whole tenant holds no plaintext."""
    assert SECRET[5:13] not in repr(load(SMALLEST))


def test_secrets_compare_by_their_plaintext() -> None:
    """Equal plaintexts are one secret; a secret is no text, and its fingerprint tells others apart."""
    assert Secret(SECRET) == Secret(SECRET)
    assert len({Secret(SECRET), Secret(SECRET), Secret(OTHER)}) == 2
    assert Secret(SECRET) != SECRET
    assert re.fullmatch("[0-9a-f]{12}", Secret(SECRET).fingerprint)
    assert Secret(SECRET).fingerprint != Secret(OTHER).fingerprint


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
def test_a_name_that_does_not_exist_is_refused_where_it_stands(load: Load, lines: str, problems: list[str]) -> None:
    """A key or a file that is named and does not exist is an error at its line, with the nearest name."""
    assert problems_of(load, f"{SMALLEST}{lines}\n") == [f"tenant.yaml:{problem}" for problem in problems]


def test_a_bundle_that_holds_no_certificate_is_refused(load: Load) -> None:
    """A file that is no PEM bundle is an error before the run, not in the middle of it."""
    Path("ca.pem").write_text("no certificate\n", encoding="utf-8")
    [problem] = problems_of(load, f"{SMALLEST}ca_file: ca.pem\n")
    assert problem == (
        "tenant.yaml:5:10: ca_file: the file ca.pem holds no certificate that can be read. "
        "Name a PEM bundle; the path is taken from the folder of the tenant file."
    )


def test_a_bundle_is_taken_from_the_folder_of_the_file(load: Load) -> None:
    """A PEM bundle beside the tenant file is taken."""
    shutil.copy(certifi.where(), "ca.pem")
    assert load(f"{SMALLEST}ca_file: ca.pem\n").ca_file == "ca.pem"


# -- a client certificate


def issued(**facts: Any) -> trustme.LeafCert:
    """A client's certificate of some authority."""
    return trustme.CA().issue_cert("operator@acme.example", **facts)


def encrypted(pem: bytes, password: str) -> bytes:
    """The same private key, under a password."""
    return load_pem_private_key(pem, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )


def test_a_client_certificate_is_taken_with_its_key(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in one file, the key in a file of its own, and an encrypted key with its password are taken."""
    leaf = issued()
    Path("both.pem").write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    Path("client.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    Path("client.key").write_bytes(leaf.private_key_pem.bytes())
    Path("secret.key").write_bytes(encrypted(leaf.private_key_pem.bytes(), "open sesame"))
    monkeypatch.setitem(ENVIRONMENT, "GT_PASSWORD", "open sesame")
    files = {
        "client_cert: both.pem": ClientCertificate("both.pem"),
        "client_cert: client.pem\nclient_key: client.key": ClientCertificate("client.pem", "client.key"),
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_PASSWORD": ClientCertificate(
            "client.pem", "secret.key", Secret("open sesame")
        ),
    }
    for lines, certificate in files.items():
        tenant = load(f"{SMALLEST}{lines}\n")
        assert tenant.client_certificate == certificate
        assert "sesame" not in repr(tenant)


NOW, YEAR = datetime.now(UTC), timedelta(days=365)
PAIRS: dict[str, tuple[str, str]] = {
    "no certificate": (
        "client_cert: client.key",
        (
            "5:14: client_cert: the file client.key holds no certificate that can be read. "
            "Name a PEM file that holds the certificate; the path is taken from the folder of the tenant file."
        ),
    ),
    "no key": (
        "client_cert: client.pem",
        "5:14: client_cert: the file client.pem holds no private key. Name the private key's PEM file as client_key.",
    ),
    "another's key": (
        "client_cert: client.pem\nclient_key: other.key",
        (
            "6:13: client_key: the private key in the file other.key does not belong to the certificate in the file "
            "client.pem. Name the key that the certificate was issued for; the client's own certificate comes first in "
            "its file."
        ),
    ),
    "an encrypted key": (
        "client_cert: client.pem\nclient_key: secret.key",
        (
            "6:13: client_key: the private key in the file secret.key is encrypted. "
            "Name the environment variable that holds its password: client_key_password_env."
        ),
    ),
    "a wrong password": (
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_KEY_CHAT",
        (
            "6:13: client_key: the private key in the file secret.key cannot be decrypted. "
            "Check the password in the environment variable that client_key_password_env names."
        ),
    ),
    "no password": (
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_NONE",
        (
            "7:26: the password of client_key comes from the environment variable GT_NONE, which is not set. "
            "Set it: export GT_NONE=..."
        ),
    ),
    "a broken key": (
        "client_cert: client.pem\nclient_key: broken.key",
        (
            "6:13: client_key: the private key in the file broken.key cannot be read. "
            "Name an RSA, ECDSA or Ed25519 key in PEM form."
        ),
    ),
    "an expired one": (
        "client_cert: old.pem",
        (
            f"5:14: client_cert: the client certificate in the file old.pem expired on {NOW - YEAR:%Y-%m-%d}. "
            "Ask for a new one from whoever issued it."
        ),
    ),
    "an early one": (
        "client_cert: early.pem",
        (
            "5:14: client_cert: the client certificate in the file early.pem is not valid before "
            f"{NOW + YEAR:%Y-%m-%d}. Ask for a new one from whoever issued it."
        ),
    ),
}


@pytest.mark.parametrize(("lines", "message"), PAIRS.values(), ids=PAIRS)
def test_a_client_certificate_that_cannot_be_used_is_named_at_its_line(load: Load, lines: str, message: str) -> None:
    """Each fault of a certificate and its key is an error before the run, at the line that names the file."""
    leaf = issued()
    key = leaf.private_key_pem.bytes()
    Path("client.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    Path("client.key").write_bytes(key)
    Path("other.key").write_bytes(issued().private_key_pem.bytes())
    Path("secret.key").write_bytes(encrypted(key, "open sesame"))
    Path("broken.key").write_bytes(key.replace(b"\n", b"\nA", 1))
    old = issued(not_before=NOW - 2 * YEAR, not_after=NOW - YEAR)
    Path("old.pem").write_bytes(old.private_key_and_cert_chain_pem.bytes())
    early = issued(not_before=NOW + YEAR, not_after=NOW + 2 * YEAR)
    Path("early.pem").write_bytes(early.private_key_and_cert_chain_pem.bytes())
    assert problems_of(load, f"{SMALLEST}{lines}\n") == [f"tenant.yaml:{message}"]


FIRST_VERSION = """\
-----BEGIN CERTIFICATE-----
MIIBIjCByQIUaL8HENdTi+s8ljBpCdX4vF+PlhQwCgYIKoZIzj0EAwIwEzERMA8G
A1UEAwwIb3BlcmF0b3IwIBcNMjYxMTI2MTgyODE4WhgPMjEyNjExMDIxODI4MTha
MBMxETAPBgNVBAMMCG9wZXJhdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
l0011+/rJPf1UJ/5H84+JSxW5KhRdVbi1PhJOHb5kbb7j+gms83/v0pnPE0vjyzo
l4Lo5PaUdzYQZTmFL2X5kjAKBggqhkjOPQQDAgNIADBFAiEA/TeE8V9D77FfqKio
/AJeRBQqLCKxqAin5VNQJF2BTSECIC0/NxTaJm4mQf14ixR8M6rqGJUWerFkESpU
T//JPYaY
-----END CERTIFICATE-----
"""
"""A certificate as openssl makes it without extensions: of X.509's first version, which does not say so."""


def test_a_certificate_of_the_first_version_is_read(load: Load) -> None:
    """A certificate without a version is one all the same: what is missing is its key."""
    Path("client.pem").write_text(FIRST_VERSION, encoding="ascii")
    [problem] = problems_of(load, f"{SMALLEST}client_cert: client.pem\n")
    assert "the file client.pem holds no private key" in problem


@given(pem=st.binary(max_size=400).map(ssl.DER_cert_to_PEM_cert))
def test_no_certificate_is_a_fault_of_the_suite(tmp_path_factory: pytest.TempPathFactory, pem: str) -> None:
    """Whatever stands in the file, it is a problem of the tenant file."""
    folder = tmp_path_factory.mktemp("pem")
    (folder / "client.pem").write_text(pem, encoding="ascii")
    (folder / "tenant.yaml").write_text(f"{SMALLEST}client_cert: client.pem\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no certificate that can be read"):
        from_file(folder / "tenant.yaml", ENVIRONMENT)


def test_all_problems_are_told_at_once(load: Load) -> None:
    """An address, a secret and a name that are wrong are three problems of one error."""
    text = SMALLEST.replace("https:", "http:").replace("GT_KEY_CHAT", "GT_KEY_NONE") + "runbooks: {dify: {key: app}}\n"
    assert [problem.split(": ")[0] for problem in problems_of(load, text)] == [
        "tenant.yaml:1:11",
        "tenant.yaml:4:9",
        "tenant.yaml:5:24",
    ]


def test_a_breach_of_the_schema_is_told_first(load: Load) -> None:
    """A field that the schema does not know is an error at its line, with the nearest one."""
    [problem] = problems_of(load, f"{SMALLEST}limit: {{concurrency: 2}}\n")
    assert problem.startswith("tenant.yaml:5:1: ")
    assert "limits" in problem


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A tenant file that does not exist is an error that names it."""
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "none.yaml"))):
        from_file(tmp_path / "none.yaml", {})


# -- inheritance

CHAT = "  chat: {secret_env: GT_KEY_CHAT, purpose: inference, scopes: [inference:chat], models: [field-analyst]}\n"
UPLOAD = "  upload: {secret_env: GT_KEY_THIRD, purpose: upload, scopes: [datasets:write], datasets: [scratch]}\n"
HEAD = "base_url: https://acme.example/api/tenant\nmodels: {chat: field-analyst}\nkeys:\n"
INHERITED: dict[str, tuple[str, tuple[set[str] | None, set[str] | None, set[str] | None]]] = {
    "both keys": (
        CHAT + UPLOAD + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n",
        ({"inference:chat", "datasets:write"}, {"field-analyst"}, {"scratch"}),
    ),
    "the inference key alone": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n",
        ({"inference:chat"}, {"field-analyst"}, set()),
    ),
    "what it and its links agree on": (
        CHAT + UPLOAD + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload], "
        "scopes: [inference:chat, inference:embed], models: [], datasets: [scratch, other]}\n",
        ({"inference:chat"}, set(), {"scratch"}),
    ),
    "what a linked key leaves out is unknown": (
        (
            "  chat: {secret_env: GT_KEY_CHAT, purpose: inference}\n  upload: {secret_env: GT_KEY_THIRD, purpose: "
            "upload}\n"
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n"
        ),
        (None, None, None),
    ),
    "a linked key without a purpose may allow anything": (
        (
            "  chat: {secret_env: GT_KEY_CHAT, scopes: [inference:chat], models: [field-analyst]}\n"
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n"
        ),
        ({"inference:chat"}, {"field-analyst"}, None),
    ),
    "names of an upload key count as well": (
        CHAT
        + UPLOAD.replace("datasets: [scratch]", "datasets: [scratch], models: [reader]")
        + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n",
        ({"inference:chat", "datasets:write"}, {"field-analyst", "reader"}, {"scratch"}),
    ),
    "nothing": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: conversation}\n",
        (None, None, None),
    ),
}


@pytest.mark.parametrize(("keys", "effective"), INHERITED.values(), ids=INHERITED)
def test_a_conversation_key_has_what_its_linked_keys_have(
    load: Load, keys: str, effective: tuple[set[str] | None, ...]
) -> None:
    """Scopes, names and datasets of a conversation key are those of the keys that it is linked to."""
    app = load(HEAD + keys).credentials["app"]
    scopes = None if app.scopes is None else {scope.value for scope in app.scopes}
    assert (scopes, app.models, app.datasets) == effective


def test_what_a_conversation_key_and_its_links_do_not_agree_on_is_unknown(load: Load) -> None:
    """A narrower or wider list of its own beside the links says both: the tenant's answer decides."""
    keys = (
        CHAT
        + UPLOAD
        + (
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload], "
            "scopes: [inference:chat, inference:embed], models: [other], datasets: []}\n"
        )
    )
    app = load(HEAD + keys).credentials["app"]
    assert {route: app.may(route) for route in (Route.CHAT, Route.EMBEDDINGS, Route.SPEECH, Route.DATASET_FILES)} == {
        Route.CHAT: True,
        Route.EMBEDDINGS: None,
        Route.SPEECH: False,
        Route.DATASET_FILES: None,
    }
    assert [app.may_use(name) for name in ("field-analyst", "other", "third")] == [None, None, False]
    assert [app.may_write(name) for name in ("scratch", "third")] == [None, False]


MARKED = """\
base_url: https://acme.example/api/tenant
models: {chat: field-analyst}
raw_models: [gt-large-raw]
internal_datasets: [ds-41]
base_prompts: {field-analyst: {ask: "Which station?", expect: Skerryvore}}
keys:
  chat:
    secret_env: GT_KEY_CHAT
    purpose: inference
    prompt_modules: {ask: "Who has the vault?", expect: The harbour master}
    prompt_text: {ask: "Which desk?", expect: Dogger}
  upload: {secret_env: GT_KEY_THIRD, purpose: upload, conversation_uploads: false}
  app:
    secret_env: GT_KEY_APP
    purpose: conversation
    inherits: [chat, upload]
    prompt_text: {ask: "Which quay?", expect: Ninth}
"""


def test_markers_are_read_and_inherited(load: Load) -> None:
    """What shows that texts of the operator's are applied; a conversation key has those of its inference key."""
    tenant = load(MARKED)
    chat, upload, app = (tenant.credentials[name] for name in ("chat", "upload", "app"))
    assert (tenant.raw_models, tenant.internal_datasets) == (("gt-large-raw",), ("ds-41",))
    assert tenant.base_prompts == {"field-analyst": Marker("Which station?", "Skerryvore")}
    assert chat.prompt_modules == app.prompt_modules == Marker("Who has the vault?", "The harbour master")
    assert (chat.prompt_text, app.prompt_text) == (Marker("Which desk?", "Dogger"), Marker("Which quay?", "Ninth"))
    assert (upload.may(Route.CONVERSATION_FILES), chat.conversation_uploads) == (False, None)


@pytest.mark.parametrize(
    ("upload", "app", "right"),
    [("", "", None), ("false", "", False), ("false", "true", True), ("true", "", True), ("", "false", False)],
)
def test_the_right_to_upload_into_conversations_is_a_keys_own_or_its_links(
    load: Load, upload: str, app: str, *, right: bool | None
) -> None:
    """Either directly or through the linked upload key, as the API reference says."""
    stated = [f", conversation_uploads: {value}" if value else "" for value in (upload, app)]
    keys = load(
        HEAD
        + CHAT
        + UPLOAD.replace("}", stated[0] + "}")
        + f"  app: {{secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]{stated[1]}}}\n"
    ).credentials
    assert keys["app"].conversation_uploads is right


def test_a_question_that_tells_its_answer_is_refused(load: Load) -> None:
    """An answer that repeats the question would pass for the text that was to be applied."""
    with pytest.raises(InputError, match=r":11:18: keys.chat.prompt_text: the question tells what is expected") as told:
        load(MARKED.replace("Which desk?", "Is it the dogger desk?"))
    assert len(told.value.problems) == 1


NO_LINK = {
    "an inference key": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: inference, inherits: [chat]}\n",
        (
            "5:3: keys.app.inherits: the key 'app' inherits, but its purpose is not conversation. "
            "Set purpose: conversation, or drop inherits."
        ),
    ),
    "a key without a purpose": (
        CHAT + "  app: {secret_env: GT_KEY_APP, inherits: [chat]}\n",
        (
            "5:3: keys.app.inherits: the key 'app' inherits, but its purpose is not conversation. "
            "Set purpose: conversation, or drop inherits."
        ),
    ),
    "two levels": (
        CHAT + "  a: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n"
        "  b: {secret_env: GT_KEY_THIRD, purpose: conversation, inherits: [a]}\n",
        (
            "6:70: keys.b.inherits: the key 'b' inherits from 'a', which inherits itself. "
            "Link one inference key and one upload key."
        ),
    ),
}


@pytest.mark.parametrize(("keys", "message"), NO_LINK.values(), ids=NO_LINK)
def test_other_links_are_refused(load: Load, keys: str, message: str) -> None:
    """Only a conversation key inherits, and from keys that do not."""
    [problem] = problems_of(load, HEAD + keys)
    assert re.sub(r":\d+: keys", ": keys", problem) == re.sub(r":\d+: keys", ": keys", f"tenant.yaml:{message}")


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

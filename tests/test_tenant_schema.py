"""The schema of the tenant file: what it takes, what it refuses, and that its errors point at the mistake."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gt_conformance.vocabulary import Preset

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "schemas" / "tenant.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)
SMALLEST, WHOLE = SCHEMA["examples"]
KEY = {"secret_env": "GT_KEY_CHAT"}
SIX_SCOPES = [*(f"inference:{what}" for what in ("chat", "embed", "transcribe", "speech", "image")), "datasets:write"]
BAD_TEXT = ("", " ", None, 1)
BAD_NAMES = ("field-analyst", ["a", "a"], ["a", " "], [1], None)
BAD_COUNT = (0, -1, 1.5, "8", True, None)
BAD_SECONDS = (0, -1, 3601, float("inf"), "60", True, None)

WRONG: dict[tuple[str, ...], tuple[object, ...]] = {
    ("base_url",): ("", None, 1),
    ("models",): (None, "field-analyst", {}, {"chat": "a", "rerank": "a"}),
    ("models", "chat"): BAD_TEXT,
    ("models", "embeddings"): BAD_TEXT,
    ("models", "transcription"): BAD_TEXT,
    ("models", "speech"): BAD_TEXT,
    ("models", "image"): BAD_TEXT,
    ("unpublished_models",): BAD_NAMES,
    ("dataset",): BAD_TEXT,
    ("dataset_attached",): ("true", 1, None),
    ("other_datasets",): BAD_NAMES,
    ("keys",): (None, ["chat"], {}, {"Chat Key": KEY}, {"-": KEY}, {"": KEY}),
    ("keys", "chat"): (None, "gtak_canary", {}, {"purpose": "inference"}, {**KEY, "scope": []}),
    ("keys", "chat", "secret_env"): (*BAD_TEXT, "GT-KEY", "1KEY", "$GT_KEY", "gtak_canary"),
    ("keys", "chat", "retired_secret_env"): (*BAD_TEXT, "GT-KEY", "gtak_canary"),
    ("keys", "upload", "secret_file"): BAD_TEXT,
    ("keys", "app", "secret_command"): ("op read x", [], [""], ["op", 1], None),
    ("keys", "chat", "purpose"): ("chat", None),
    ("keys", "chat", "scopes"): ("inference:chat", ["chat"], ["inference:chat", "inference:chat"], None),
    ("keys", "chat", "models"): BAD_NAMES,
    ("keys", "upload", "datasets"): BAD_NAMES,
    ("keys", "app", "inherits"): ("chat", [], ["chat", "chat"], ["a", "b", "c"], ["Chat Key"], None),
    ("keys", "gone", "revoked"): ("yes", 1, None),
    ("keys", "gone", "conversation"): ("conv_1", {"id": "conv_1"}, {"id": "", "fact": "amber"}, None),
    ("keys", "voice", "preset"): ("chat", "voice", None),
    ("other_tenant_key_file",): BAD_TEXT,
    ("runbooks",): (None, ["dify"], {"Dify": {"key": "chat"}}, {"-dify": {"key": "chat"}}),
    ("runbooks", "dify"): (None, "chat", {}, {"key": "chat", "keys": "app"}),
    ("runbooks", "dify", "key"): ("Chat Key", "", None),
    ("runbooks", "dify", "extension_key"): ("Chat Key", "", None),
    ("limits",): (None, 8, {"retries": 3}),
    ("limits", "concurrency"): (*BAD_COUNT, 65),
    ("limits", "requests_per_minute"): BAD_COUNT,
    ("limits", "timeout_s"): (*BAD_SECONDS, 0.01, 0.49),
    ("limits", "poll_timeout_s"): (*BAD_SECONDS, 0.01, 0.9),
    ("limits", "max_requests"): BAD_COUNT,
    ("limits", "refusals_per_minute"): BAD_COUNT,
    ("limits", "max_refusals"): BAD_COUNT,
    ("limits", "max_response_bytes"): (*BAD_COUNT, 1023),
    ("limits", "max_run_bytes"): (*BAD_COUNT, 1023),
    ("limits", "run_timeout_s"): (0, -1, 86_401, float("inf"), "60", True, None),
    ("limits", "completion_tokens"): BAD_COUNT,
    ("limits", "max_tokens"): BAD_COUNT,
    ("prices",): (None, 2.5, {}, {"chat": {"input_per_million": 1}}, {"currency": "EUR", "files": {"per_image": 1}}),
    ("prices", "currency"): ("€", "Eur", "euro", "", None),
    ("prices", "chat"): (None, 2.5, {}, {"per_image": 1}, {"input_per_million": -1}, {"input_per_million": "2.5"}),
    ("prices", "transcriptions"): ({"per_audio_minute": 1, "per_audio_second": 1}, {"per_1000_characters": 1}),
    ("prices", "models"): (
        None,
        [],
        {"": {"chat": {"input_per_million": 1}}},
        {"a": {}},
        {"a": {"input_per_million": 1}},
    ),
    ("read_only",): ("true", 1, None),
    ("ca_file",): BAD_TEXT,
    ("client_cert",): BAD_TEXT,
    ("client_key",): BAD_TEXT,
    ("client_key_password_env",): (*BAD_TEXT, "open sesame"),
}
"""Places of the whole tenant file, and wrong values for them."""


def places(tenant: object) -> set[str]:
    """The places where the schema refuses something."""
    return {error.json_path for error in VALIDATOR.iter_errors(tenant)}


def with_key(**entry: object) -> dict[str, Any]:
    """The smallest tenant with this entry as its only key."""
    return {**SMALLEST, "keys": {"chat": entry}}


def subschemas(schema: object, path: str = "root") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema that is an object, with its place."""
    if isinstance(schema, dict):
        yield path, schema
        for keyword in ("properties", "patternProperties", "$defs"):
            for name, value in schema.get(keyword, {}).items():
                yield from subschemas(value, f"{path}.{keyword.removeprefix('$')}.{name}")


def shown(subschema: dict[str, Any]) -> list[Any]:
    """What the subschema shows of itself: its examples, and its default where it has one."""
    return [*subschema.get("examples", []), *(subschema[word] for word in ("default",) if word in subschema)]


def test_the_schema_is_sound() -> None:
    """It is a valid 2020-12 schema with its own $id."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "gt-conformance:tenant.schema.json"


def test_everything_is_described_and_shown() -> None:
    """Each property and definition has a description and examples, and no object takes unknown keys."""
    parts = dict(subschemas(SCHEMA))
    own = {place: part for place, part in parts.items() if set(part) != {"$ref"}}
    assert [place for place, part in own.items() if not part.get("description") or not part.get("examples")] == []
    objects = {place: part for place, part in parts.items() if part.get("type") == "object"}
    assert [place for place, part in objects.items() if part.get("additionalProperties") is not False] == []


def test_an_example_or_default_holds_to_its_schema() -> None:
    """Each example and each default validates against the schema that carries it."""
    wrong = [
        (place, error.message)
        for place, subschema in subschemas(SCHEMA)
        for example in shown(subschema)
        for error in VALIDATOR.evolve(schema=subschema).iter_errors(example)
    ]
    assert wrong == []


def test_the_defaults_are_those_of_the_design() -> None:
    """What a limit is where the file leaves it out stands in the schema."""
    limits = SCHEMA["$defs"]["limits"]["properties"]
    assert [name for name, limit in limits.items() if "default" not in limit] == ["max_tokens"]
    assert {name: limit["default"] for name, limit in limits.items() if "default" in limit} == {
        "concurrency": 8,
        "requests_per_minute": 12_000,
        "timeout_s": 60,
        "poll_timeout_s": 120,
        "max_requests": 1000,
        "refusals_per_minute": 12_000,
        "max_refusals": 1000,
        "max_response_bytes": 8 * 1024 * 1024,
        "max_run_bytes": 64 * 1024 * 1024,
        "run_timeout_s": 3600,
        "completion_tokens": 256,
    }


@pytest.mark.parametrize(
    "tenant",
    [
        pytest.param(with_key(secret_file="secrets/chat"), id="secret_file"),
        pytest.param(with_key(secret_command=["op", "read", ""]), id="secret_command"),
        *(
            pytest.param(with_key(**KEY, **{f"retired_secret_{way}": value}), id=f"retired_{way}")
            for way, value in {"env": "GT_OLD", "file": "old", "command": ["op", "read"]}.items()
        ),
        *(
            pytest.param(with_key(**KEY, purpose=purpose), id=purpose)
            for purpose in ("inference", "upload", "conversation")
        ),
        *(
            pytest.param({**SMALLEST, f"other_tenant_key_{way}": value}, id=f"other_tenant_{way}")
            for way, value in {"env": "GT_OTHER", "file": "other", "command": ["op", "read"]}.items()
        ),
        *(pytest.param(with_key(**KEY, preset=preset.value), id=f"preset {preset.value}") for preset in Preset),
        pytest.param(with_key(**KEY, scopes=[], models=[], datasets=[]), id="empty_allowlists"),
        pytest.param(with_key(**KEY, scopes=SIX_SCOPES), id="every_scope"),
        pytest.param({**SMALLEST, "keys": {"a": KEY, "0": KEY, "dify-prod_2": KEY}}, id="key_names"),
        pytest.param({**SMALLEST, "runbooks": {"n8n": {"key": "key"}}}, id="key_alone"),
        pytest.param({**SMALLEST, "runbooks": {"openai-sdk-curl": {"extension_key": "key"}}}, id="extension_key_alone"),
        pytest.param({**SMALLEST, "limits": {"concurrency": 64, "timeout_s": 0.5}}, id="limits_at_their_ends"),
    ],
)
def test_a_good_tenant_is_accepted(tenant: object) -> None:
    """What the design allows holds to the schema."""
    assert not places(tenant)


@pytest.mark.parametrize("name", ["base_url", "models", "keys"])
def test_what_is_required_is_missed(name: str) -> None:
    """The address, a published name and a key are required, and nothing else of the file is."""
    assert places({key: value for key, value in SMALLEST.items() if key != name}) == {"$"}
    assert set(SMALLEST) == set(SCHEMA["required"])


@pytest.mark.parametrize("name", ["client_key", "client_key_password_env"])
def test_a_key_without_its_certificate_is_refused(name: str) -> None:
    """A private key or its password means nothing without client_cert."""
    assert places({**SMALLEST, name: "GT_CLIENT"}) == {"$"}
    assert not places({**SMALLEST, name: "GT_CLIENT", "client_cert": "client.pem"})


@pytest.mark.parametrize("tenant", [None, [], "https://acme.example/api/tenant"], ids=["empty", "list", "text"])
def test_a_file_that_is_no_mapping_is_refused(tenant: object) -> None:
    """A tenant file is a mapping."""
    assert places(tenant) == {"$"}


def test_an_unknown_key_is_refused() -> None:
    """A key that the schema does not know is an error where it stands, since a slip must not pass for a default."""
    assert places({**SMALLEST, "unpublished_model": ["agent-7f3a"]}) == {"$"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{'.'.join(path)}-{json.dumps(value).replace(' ', '_')}")
        for path, values in WRONG.items()
        for value in values
    ],
)
def test_a_mistake_is_refused_at_its_place(path: tuple[str, ...], value: object) -> None:
    """Each mistake is refused where it stands or inside it, and nowhere else."""
    tenant = copy.deepcopy(WHOLE)
    holder = tenant
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    found = places(tenant)
    assert found
    assert all(place.startswith("$." + ".".join(path)) for place in found)


@pytest.mark.parametrize("prefix", ["secret", "retired_secret"])
@pytest.mark.parametrize(
    "ways", [("env", "file"), ("env", "command"), ("file", "command"), ("env", "file", "command")], ids="-".join
)
def test_a_secret_comes_from_one_place(prefix: str, ways: tuple[str, ...]) -> None:
    """A secret that is named twice is refused, the current one and the retired one alike."""
    sources = {f"{prefix}_{way}": {"env": "GT_KEY", "file": "key", "command": ["op"]}[way] for way in ways}
    entry = sources if prefix == "secret" else {**KEY, **sources}
    assert places(with_key(**entry)) == {"$.keys.chat"}


def test_a_plain_secret_is_an_unknown_key() -> None:
    """A secret written into the file is refused by its key, beside the choice of the right keys."""
    found = {str(error.validator): error for error in VALIDATOR.iter_errors(with_key(secret="gtak_canary"))}
    assert set(found) == {"additionalProperties", "anyOf"}
    assert found["additionalProperties"].message == "Additional properties are not allowed ('secret' was unexpected)"
    ways = found["anyOf"].validator_value
    assert ways == [{"required": [f"secret_{way}"]} for way in ("env", "file", "command")]

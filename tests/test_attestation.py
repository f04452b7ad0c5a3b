"""Attestations: what is read from a file, what is refused and where, and whether an attestation is still valid."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gt_conformance import attestation, dated_entries, resources, schema
from gt_conformance.attestation import Attestation, Attestations, State
from gt_conformance.dated_entries import normalise
from gt_conformance.errors import InputError, Location
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.vocabulary import Part
from tests.input_files import change, list_entries, problems_of

TODAY = date(2026, 11, 22)
DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
ENTRY: dict[str, Any] = {
    "runbook": "crewai",
    "item": 2,
    "statement": "The log shows each id.",
    "by": {"name": "A. Example", "role": "Platform lead"},
    "on": "2026-11-20",
    "evidence": "logs/crew.txt",
    "expires": "2027-11-20",
    "runbook_digest": DIGEST,
}
TENANT = "https://acme.example/api/tenant"
ELSEWHERE = "https://staging.acme.example/api/tenant"

Load = Callable[..., Attestations]


@cache
def books() -> tuple[Runbook, ...]:
    """The runbooks that come with the suite."""
    return load_directory(resources.runbooks_dir())


@cache
def crewai() -> Runbook:
    """The runbook whose second item needs a person, and only that one."""
    return dated_entries.by_id(books())["crewai"]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as the file attestations.yaml of the current folder."""
    monkeypatch.chdir(tmp_path)

    def loading(text: str, tenant: str | None = None) -> Attestations:
        Path("attestations.yaml").write_text(text, encoding="utf-8")
        return attestation.load(Path("attestations.yaml"), books(), TODAY, tenant)

    return loading


def written(*entries: dict[str, Any]) -> str:
    """A file of these entries."""
    return list_entries("attestations", *entries)


def entry(**changes: object) -> dict[str, Any]:
    """A good entry with these changes; what is None is left out."""
    return change(ENTRY, changes)


def attested(book: Runbook, item: int, **changes: Any) -> Attestations:
    """A file that holds one attestation of that item, for the tenant under test."""
    value = entry(runbook=book.id, item=item, runbook_digest=book.digest, tenant=TENANT)
    return Attestations((replace(Attestation.of(value, Location("attestations.yaml", 3)), **changes),))


# -- what becomes of a file


def test_an_entry_becomes_an_attestation(load: Load) -> None:
    """Every field of an entry stands in the value, which knows its line."""
    assert load(written(ENTRY)).entries == (
        Attestation(
            runbook="crewai",
            item=2,
            statement="The log shows each id.",
            name="A. Example",
            role="Platform lead",
            on=date(2026, 11, 20),
            evidence="logs/crew.txt",
            expires=date(2027, 11, 20),
            runbook_digest=DIGEST,
            where=Location("elsewhere"),
            tenant="embedded",
        ),
    )
    assert load(written(ENTRY)).entries[0].where == Location("attestations.yaml", 2)


def test_a_word_may_count_for_a_day(load: Load) -> None:
    """What was seen today may be attested until today."""
    (found,) = load(written(entry(on=str(TODAY), expires=str(TODAY)))).entries
    assert found.on == found.expires == TODAY


@pytest.mark.parametrize("text", ["attestations: []\n", "attestations:\n", "attestations: # none\n"])
def test_a_file_may_hold_no_entry(load: Load, text: str) -> None:
    """Whoever removes the last entry is left with a file that still loads."""
    assert load(text).entries == ()


def test_the_items_that_need_a_person_are_those_that_ask_one() -> None:
    """Which items need a person stands in the runbooks: those whose sentence asks one, and no others."""
    items = [item for book in books() for item in book.checklist]
    asking = [item.id for item in items if Part.PERSON in item.asks]
    assert [item.id for item in items if attestation.needs_a_person(item)] == asking != []


# -- what is refused

KNOWN = f"Known: {', '.join(sorted(book.id for book in load_directory(resources.runbooks_dir())))}."
REFUSED: dict[str, tuple[str, ...]] = {
    "no-name": (written(entry(by={"role": "Lead"})), "5:9: attestations.0.by: the key 'name' is missing."),
    "no-role": (written(entry(by={"name": "A. Example"})), "5:9: attestations.0.by: the key 'role' is missing."),
    "nobody": (written(entry(by=None)), "2:5: attestations.0: the key 'by' is missing."),
    "blank-name": (
        written(entry(by={"name": " ", "role": "Lead"})),
        "5:18: attestations.0.by.name: must not be blank.",
    ),
    "name-left-over": (
        written(entry(by={"name": "...", "role": "Lead"})),
        "5:18: attestations.0.by.name: '...' says nothing.",
        "Put it in words.",
    ),
    "a-key": (
        written(entry(evidence="seen with gtak_canary")),
        "7:15: attestations.0.evidence: this text contains a GT key.",
        "Delete it, and rotate the key: whoever can read it has it.",
    ),
    "no-date": (written(entry(on=None)), "2:5: attestations.0: the key 'on' is missing."),
    "no-such-date": (
        written(entry(on="2026-02-30")),
        "6:9: attestations.0.on: '2026-02-30' is not a date (YYYY-MM-DD).",
    ),
    "no-end": (written(entry(expires=None)), "2:5: attestations.0: the key 'expires' is missing."),
    "future": (
        written(entry(on="2026-11-23")),
        "6:9: attestations.0.on: 2026-11-23 is in the future: today is 2026-11-22.",
        "Name the day on which they looked.",
    ),
    "ends-before-it-starts": (
        written(entry(expires="2026-11-19")),
        "8:14: attestations.0.expires: it expires on 2026-11-19, before it was given on 2026-11-20.",
        "Name a later day.",
    ),
    "no-such-runbook": (
        written(entry(runbook="crew-ai")),
        "2:14: attestations.0.runbook: there is no runbook 'crew-ai': did you mean crewai?",
        KNOWN,
    ),
    "no-such-item": (written(entry(item=4)), "3:11: attestations.0.item: 4 is not allowed here. Allowed: 1, 2, 3."),
    "automatic-item": (
        written(entry(runbook="dify", item=1)),
        "3:11: attestations.0.item: item 1 of dify is verified by the run; nothing to attest.",
        "Of dify, item 3 needs a person.",
    ),
    "a-runbook-of-automatic-items": (
        written(entry(runbook="langchain", item=1)),
        "3:11: attestations.0.item: item 1 of langchain is verified by the run; nothing to attest.",
        "No item of langchain needs a person.",
    ),
    "no-such-tenant": (
        written(entry(tenant="acme")),
        "10:13: attestations.0.tenant: 'acme' does not match ^(embedded|https?://[^\\s<>?#@/]+(/[^\\s<>?#@]*)?)$.",
        "For example: https://acme.example/api/tenant, embedded.",
    ),
    "the-item-beside-it": (
        written(entry(item=3)),
        "3:11: attestations.0.item: item 3 of crewai is verified by the run; nothing to attest.",
        "Of crewai, item 2 needs a person.",
    ),
    "twice": (
        written(ENTRY, entry(by={"name": "B. Example", "role": "Operations"})),
        "10:5: attestations.1: item 2 of crewai is attested already in line 2. Keep one of the two.",
    ),
    "digest-cut-short": (
        written(entry(runbook_digest="5891b5b5")),
        "9:21: attestations.0.runbook_digest: '5891b5b5' does not match ^[0-9a-f]{64}$.",
        f"For example: {DIGEST}.",
    ),
    "misspelled-key": (
        written({**entry(expires=None), "expire": "2027-11-20"}),
        "9:5: attestations.0: unknown key 'expire': did you mean 'expires'?",
        "Allowed here: runbook, item, tenant, statement, by, on, evidence, expires, runbook_digest.",
    ),
    "no-list": (
        "attestation: []\n",
        "1:1: unknown key 'attestation': did you mean 'attestations'?",
        "Allowed here: attestations.",
    ),
}
"""A text, and the parts of the one line that is said about it."""


@pytest.mark.parametrize(("text", "line"), [(text, " ".join(parts)) for text, *parts in REFUSED.values()], ids=REFUSED)
def test_a_mistake_is_told_at_its_place(load: Load, text: str, line: str) -> None:
    """Each mistake is one problem, at its line and column, with what would be right."""
    assert problems_of(load, text, file="attestations.yaml") == [line]


def test_every_mistake_is_told_at_once(load: Load) -> None:
    """Entries that break the schema hide nothing of what is wrong with the others; the order is that of the file."""
    text = written(
        entry(on="2027-01-01"),
        entry(by={"name": "A. Example"}),
        entry(runbook="open-webui", item=1, expires="2026-01-01"),
        entry(runbook="nobody"),
    )
    places = [re.sub(r"(\S+ \S+) .*", r"\1", line) for line in problems_of(load, text, file="attestations.yaml")]
    assert places == [
        "6:9: attestations.0.on:",
        "13:9: attestations.1.by:",
        "19:11: attestations.2.item:",
        "24:14: attestations.2.expires:",
        "26:14: attestations.3.runbook:",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [('attestations: "open\n', "1:15: this quote is never closed."), ("", "1:1: the file is empty.")],
    ids=["syntax", "empty"],
)
def test_a_file_that_cannot_be_read_is_told_once(load: Load, text: str, message: str) -> None:
    """What keeps the whole file from being read is one problem."""
    assert [line.startswith(message) for line in problems_of(load, text, file="attestations.yaml")] == [True]


def test_what_yaml_forbids_hides_nothing_of_the_rest(load: Load) -> None:
    """A key that stands twice is told beside what the schema refuses."""
    found = problems_of(load, "attestations: []\nattestations: []\nmore: 1\n", file="attestations.yaml")
    assert [line[:24] for line in found] == ["2:1: duplicate key 'atte", "3:1: unknown key 'more'."]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that was named and does not exist is no empty one."""
    with pytest.raises(InputError, match="there is no such file"):
        attestation.load(tmp_path / "attestations.yaml", books(), TODAY)


# -- whether it counts

REST = f'--tenant {TENANT} --statement "..." --by "..." --role "..." --evidence "..."'
AGAIN = f"Look at it again, then attest it again: gt-conformance attest crewai 2 {REST} --replace"


def test_nobody_attested() -> None:
    """An item that nobody attested is missing, and the remedy is the command."""
    status = Attestations().status(crewai(), 2, TODAY, TENANT)
    assert (status.state, status.attestation, status.expires_soon) == (State.MISSING, None, False)
    assert status.reason == "Only a person can attest this item, and nobody has."
    assert status.remedy == f"Look at it, then attest it: gt-conformance attest crewai 2 {REST}"


def test_someone_attested() -> None:
    """A word that counts says whose it is and until when, and nothing is to be done."""
    status = attested(crewai(), 2).status(crewai(), 2, TODAY, TENANT)
    assert status.state is State.VALID
    assert status.reason == "A. Example (Platform lead) attested item 2 of crewai on 2026-11-20, until 2027-11-20."
    assert status.remedy == ""


@pytest.mark.parametrize(("runbook", "item"), [("crewai", 1), ("flowise", 2)], ids=["another-item", "another-runbook"])
def test_a_word_counts_for_its_item_only(runbook: str, item: int) -> None:
    """What someone attested says nothing of another item or runbook."""
    book = dated_entries.by_id(books())[runbook]
    assert attested(crewai(), 2).status(book, item, TODAY, TENANT).state is State.MISSING


def test_a_word_expires() -> None:
    """After its last day a word no longer counts, and the remedy replaces it."""
    status = attested(crewai(), 2, expires=TODAY - timedelta(days=1)).status(crewai(), 2, TODAY, TENANT)
    assert status.state is State.EXPIRED
    assert status.reason == (
        "A. Example (Platform lead) attested item 2 of crewai on 2026-11-20, but only until 2026-11-21 "
        "(attestations.yaml:3)."
    )
    assert status.remedy == AGAIN


def test_a_changed_runbook_asks_again() -> None:
    """A word about a runbook that has changed since is outdated, and the remedy replaces it."""
    status = attested(crewai(), 2, runbook_digest=DIGEST).status(crewai(), 2, TODAY, TENANT)
    assert status.state is State.OUTDATED
    assert status.reason == (
        "A. Example (Platform lead) attested item 2 of crewai on 2026-11-20, but the runbook has changed since "
        "(attestations.yaml:3)."
    )
    assert status.remedy == AGAIN


@pytest.mark.parametrize(
    ("days", "state", "soon", "due"),
    [
        (-1, State.EXPIRED, False, True),
        (0, State.VALID, True, True),
        (30, State.VALID, True, True),
        (31, State.VALID, False, False),
    ],
)
def test_the_end_comes_into_sight(days: int, state: State, soon: bool, due: bool) -> None:  # noqa: FBT001 - a table
    """A word counts through its last day, and from 30 days before it is about to expire: the command is due."""
    status = attested(crewai(), 2, expires=TODAY + timedelta(days=days)).status(crewai(), 2, TODAY, TENANT)
    assert (status.state, status.expires_soon, bool(status.remedy)) == (state, soon, due)


def test_a_changed_byte_changes_the_digest(tmp_path: Path) -> None:
    """A word is bound to the bytes of the runbook's file, a comment included."""
    shutil.copy(crewai().document.path, tmp_path)
    (same,) = load_directory(tmp_path)
    with (tmp_path / "crewai.yaml").open("a", encoding="utf-8") as file:
        file.write("# seen\n")
    (changed,) = load_directory(tmp_path)
    given = attested(crewai(), 2)
    assert given.status(same, 2, TODAY, TENANT).state is State.VALID
    assert given.status(changed, 2, TODAY, TENANT).state is State.OUTDATED


def test_the_command_names_the_files_in_use(tmp_path: Path) -> None:
    """Where other files than the usual are in use the command names them, so that it can be pasted."""
    folder = tmp_path / "my books"
    folder.mkdir()
    shutil.copy(crewai().document.path, folder)
    (mine,) = load_directory(folder)
    first, _, rest = REST.partition(" --statement")
    assert attestation.command(mine, 2, TENANT, Path("team's.yaml")) == (
        f"gt-conformance attest crewai 2 {first} --attestations 'team'\"'\"'s.yaml' --runbooks '{folder}'"
        f" --statement{rest}"
    )


# -- for which tenant it counts


def test_a_word_counts_for_its_tenant_only() -> None:
    """What someone saw on one tenant says nothing of another; the reason names both, and the remedy adds one."""
    status = attested(crewai(), 2).status(crewai(), 2, TODAY, ELSEWHERE)
    assert (status.state, status.attestation) == (State.OTHER_TENANT, None)
    assert status.reason == (
        f"A. Example (Platform lead) attested item 2 of crewai on 2026-11-20, but for {TENANT} (attestations.yaml:3), "
        f"not for {ELSEWHERE}."
    )
    assert status.remedy.endswith(f"gt-conformance attest crewai 2 {REST.replace(TENANT, ELSEWHERE)}")


def test_a_file_may_speak_of_several_tenants(load: Load) -> None:
    """One item may be attested once for each tenant, and each tenant has its own."""
    here = entry(runbook_digest=crewai().digest, tenant=TENANT)
    there = {**here, "tenant": ELSEWHERE, "by": {"name": "B. Example", "role": "Operations"}}
    found = load(written(here, there), ELSEWHERE)
    by = [found.status(crewai(), 2, TODAY, tenant).attestation for tenant in (TENANT, ELSEWHERE)]
    assert [one.name if one else None for one in by] == ["A. Example", "B. Example"]


SAME = [
    "https://acme.example/api/tenant/",
    "HTTPS://Acme.Example/api/tenant",
    "https://acme.example:443/api/tenant",
    "https://acme.example/api/tenant/v1",
]
OTHERS = [
    "http://acme.example/api/tenant",
    "https://acme.example:8443/api/tenant",
    "https://acme.example/api/Tenant",
    "https://acme.example/tenant",
    "https://acme.example:99999/api/tenant",
]


@pytest.mark.parametrize("address", SAME)
def test_one_tenant_has_several_spellings(address: str) -> None:
    """Small letters of the host, the default port, a slash at the end and /v1 make no other tenant."""
    assert normalise(address) == TENANT


@pytest.mark.parametrize("address", OTHERS)
def test_another_address_is_another_tenant(address: str) -> None:
    """Another scheme, port, path or host is another tenant."""
    assert normalise(address) != TENANT


def test_the_same_tenant_in_two_spellings_is_attested_twice(load: Load) -> None:
    """An item has one attestation for each tenant, however its address is written."""
    found = problems_of(load, written(*(entry(tenant=one) for one in (TENANT, *SAME[:1]))), file="attestations.yaml")
    assert found == ["11:5: attestations.1: item 2 of crewai is attested already in line 2. Keep one of the two."]


UNBOUND: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no tenant": (
        [entry(tenant=TENANT), entry(runbook="open-webui", item=3)],
        (
            "11:5: attestations.1: this attestation is not bound to a tenant: nobody can know where they looked. "
            f"Add the tenant to each (tenant: {TENANT}), or attest it again."
        ),
    ),
    "no tenant in several": (
        [entry(), entry(runbook="open-webui", item=3)],
        (
            "2:5: attestations.0: 2 attestations are not bound to a tenant: nobody can know where they looked. "
            f"Add the tenant to each (tenant: {TENANT}), or attest it again."
        ),
    ),
    "a sample": (
        [entry(tenant="embedded"), entry(runbook="open-webui", item=3, tenant="embedded")],
        (
            "10:13: attestations.0.tenant: 2 attestations are a sample for the embedded tenant: "
            "nobody attested anything of "
            f"a live one. Look at each item on {TENANT}, then attest it: gt-conformance attest --list --tenant {TENANT}"
        ),
    ),
}


@pytest.mark.parametrize(("entries", "line"), UNBOUND.values(), ids=UNBOUND)
def test_a_live_tenant_takes_only_what_is_bound_to_one(load: Load, entries: list[dict[str, Any]], line: str) -> None:
    """A file that names no tenant, or is a sample, is refused once for a live tenant, and read for the embedded one."""
    assert problems_of(lambda text: load(text, TENANT), written(*entries), file="attestations.yaml") == [line]
    assert len(load(written(*entries), "embedded").entries) == len(entries)


def test_the_bundled_sample_is_refused_for_a_live_tenant() -> None:
    """Whoever names it for a live tenant is told so, in one sentence."""
    with pytest.raises(InputError, match=r"attestations are a sample for the embedded tenant") as refused:
        attestation.load(resources.sample_attestations(), books(), date.max - timedelta(days=1), TENANT)
    assert len(refused.value.problems) == 1


# -- the schemas of both files

SCHEMAS = {
    name: json.loads((resources.schemas_dir() / f"{name}.schema.json").read_text(encoding="utf-8"))
    for name in ("attestations", "waivers")
}


def subschemas(rule: object, place: str) -> Sequence[tuple[str, dict[str, Any]]]:
    """Every property and definition below this one, with its place, and itself."""
    if not isinstance(rule, dict):
        return []
    inner = [(word, name) for word in ("properties", "$defs") for name in rule.get(word, ())]
    below = [one for word, name in inner for one in subschemas(rule[word][name], f"{place}.{name}")]
    return [(place, rule), *below]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_part_of_a_schema_is_described_and_shown(name: str) -> None:
    """Each part has a description and examples that hold to it, and no mapping takes unknown keys."""
    validator = Draft202012Validator(SCHEMAS[name])
    for place, rule in subschemas(SCHEMAS[name], name):
        assert rule["description"], place
        for example in rule["examples"]:
            assert not list(validator.evolve(schema=rule).iter_errors(example)), place
        if rule.get("type") == "object":
            assert rule["additionalProperties"] is False, place


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_the_one_that_the_loader_finds(name: str) -> None:
    """It is sound, has its own $id, and describes an entry where the loader looks for it."""
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"gt-conformance:{name}.schema.json"
    assert schema.load(name).errors({}, dated_entries.ENTRY)

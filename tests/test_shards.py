"""Several results put together as one: nothing lost, nothing counted twice, nothing chosen in silence."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance import results
from gt_conformance.errors import InputError, Location
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.results.run_types import OUTCOME_NAMES, CredentialRecord
from gt_conformance.shards import Source, by_tenant, merge
from tests.made_records import LIVE, OUTCOMES, PARTS, book, check, record, references

RUNBOOKS = ("aider", "dify", "n8n")
REFS = ("x0001", "x0002", "x0003")


def sources(*records: Record) -> list[Source]:
    """The records as if read from one.json, two.json and so on."""
    names = ("one.json", "two.json", "three.json", "four.json")
    return [Source(Location(name), value) for name, value in zip(names, records, strict=False)]


def merged(*records: Record) -> Record:
    """The one record of them."""
    return merge(sources(*records))


def ids(value: Record) -> list[tuple[str, str]]:
    """Every row, item and tenant check with its outcome."""
    return sorted((case.id, case.outcome.value) for case in results.cases(value))


def proofs(value: Record) -> dict[tuple[str, str], list[str]]:
    """Place and check to the requests that its references lead to, wherever they stand in the check."""
    found: dict[tuple[str, str], list[str]] = {}
    for case in results.cases(value):
        for one in case.checks:
            proof = [item["exchange"] for item in (*one["breaches"], *one["advisories"]) if item["exchange"]]
            found[case.id, one["id"]] = [value["exchanges"][ref]["curl"] for ref in (*one["exchanges"], *proof)]
    return found


@st.composite
def shards(draw: st.DrawFn) -> Sequence[Record]:
    """Records of one tenant which judged, between them, the parts of three runbooks, in no order, and of none twice."""
    parts = [(name, part) for name in RUNBOOKS for part in PARTS[6:]]
    owners = draw(st.lists(st.integers(0, 2), min_size=len(parts), max_size=len(parts)))
    found: list[dict[str, dict[str, list[CheckRecord]]]] = [{}, {}, {}]
    for (name, part), owner in zip(parts, owners, strict=True):
        refs = draw(st.lists(st.sampled_from(REFS), min_size=1, max_size=2, unique=True))
        outcome = draw(st.sampled_from(OUTCOMES))
        remarks = [{"text": "odd", "exchange": refs[0]}] if outcome == "conforms" else []
        one = check(outcome, exchanges=refs, advisories=remarks)
        one["breaches"] = [violation | {"exchange": refs[-1]} for violation in one["breaches"]]
        found[owner].setdefault(name, {})[part] = [one]
    boundary = [[check(draw(st.sampled_from(OUTCOMES)), f"key.{number}")] for number in range(3)]
    return [
        record(
            *(book(name, some, only=()) for name, some in each.items()), tenant_checks=checks, run={"id": f"a{number}"}
        )
        for number, (each, checks) in enumerate(zip(found, boundary, strict=True))
    ]


@given(shards())
@settings(max_examples=20, derandomize=True)
def test_everything_stands_in_the_merged_record_once(some: Sequence[Record]) -> None:
    """Each row, item and tenant check with its outcome; the totals, requests and exchanges add up; it is valid."""
    whole = merged(*some)
    assert ids(whole) == sorted(part for each in some for part in ids(each))
    assert whole["totals"] == {name: sum(each["totals"][name] for each in some) for name in OUTCOME_NAMES}
    for name in ("requests", "tokens", "bytes_sent", "bytes_received"):
        assert whole["traffic"][name] == sum(each["traffic"][name] for each in some)
    assert len(whole["exchanges"]) == sum(len(each["exchanges"]) for each in some)
    results.parsed(json.dumps(whole).encode(), Location("merged"))


@given(shards())
@settings(max_examples=20, derandomize=True)
def test_references_lead_to_the_same_exchanges(some: Sequence[Record]) -> None:
    """Two runs number their exchanges alike; merged, each check still has its own proofs, in its violations too."""
    wanted = {place: found for each in some for place, found in proofs(each).items()}
    assert proofs(merged(*some)) == wanted


@given(shards(), st.permutations(range(3)))
@settings(max_examples=20, derandomize=True)
def test_the_order_of_the_files_is_of_no_account(some: Sequence[Record], order: Sequence[int]) -> None:
    """Whatever comes first, every outcome is the same, that of each runbook and the name of the run included."""
    one, other = merged(*some), merged(*(some[number] for number in order))
    assert ids(one) == ids(other)
    for value in (one, other):
        value["runbooks"].sort(key=lambda book: book["id"])
    for key in ("id", "outcome", "evidence_level"):
        assert [book[key] for book in one["runbooks"]] == [book[key] for book in other["runbooks"]]
    assert one["totals"] == other["totals"]
    assert {name: one["run"][name] for name in ("id", "started", "scope")} == {
        name: other["run"][name] for name in ("id", "started", "scope")
    }


@given(shards())
@settings(max_examples=20, derandomize=True)
def test_merging_again_is_merging_at_once(some: Sequence[Record]) -> None:
    """What was merged from two files and then a third is what all three give."""
    one, two, three = some
    stepwise, at_once = merged(merged(one, two), three), merged(one, two, three)
    assert stepwise["run"] == at_once["run"]
    assert ids(stepwise) == ids(at_once)


def test_a_runbook_is_whole_when_its_shards_are() -> None:
    """Nine rows of one run and three items of another are one runbook, in the order of the wiki, every row probed."""
    rows, items = PARTS[:9], PARTS[9:]
    halves = [
        record(book(only=part), run={"id": run}, options={"runbooks": ["dify"], "routes": routes})
        for run, part, routes in (("a1", rows[5:], ["speech"]), ("a2", rows[:5], []), ("a3", items, []))
    ]
    whole = merged(*halves)
    (only,) = whole["runbooks"]
    assert [row["route"] for row in only["routes"]] == list(rows)
    assert [item["item"] for item in only["checklist"]] == [1, 2, 3]
    assert (only["outcome"], only["evidence_level"]) == ("conformant", "probed")
    assert whole["run"]["options"] == halves[0]["run"]["options"] | {"routes": []}
    assert [part["id"] for part in whole["run"]["shards"]] == ["a1", "a2", "a3"]
    assert whole["run"]["duration_s"] == 3 * 2.0


def test_a_single_result_stays_as_it_is() -> None:
    """One file is its own record, with what it says of earlier nights."""
    alone = record(book()) | {"history": []}
    assert merged(alone) is alone


def test_a_scope_that_one_run_does_not_tell_is_not_told() -> None:
    """How much of the whole was selected is unknown where any of the runs does not say so."""
    some = [record(book(name), run={"id": run}) for name, run in (("aider", "a1"), ("dify", "a2"))]
    del some[1]["run"]["scope"]
    assert "scope" not in merged(*some)["run"]
    assert "scope" not in merged(*some[::-1])["run"]


def test_a_merged_record_keeps_the_unproven_checks() -> None:
    """Each check that is unproven in any of the runs, once; nothing where no run recorded any."""
    some = [record(book(name), run={"id": f"a{number}"}) for number, name in enumerate(RUNBOOKS)]
    some[0]["unproven_checks"], some[1]["unproven_checks"] = ["chat.streams"], ["chat.streams", "key.required"]
    assert merged(*some)["unproven_checks"] == ["chat.streams", "key.required"]
    assert "unproven_checks" not in merged(some[2], record(book("langchain"), run={"id": "a4"}))


def test_a_merged_record_keeps_what_was_said_of_waivers() -> None:
    """Each problem and each remark once, whichever runs had it."""
    one = record(book("dify"), run={"id": "a1"}, waiver_remarks=["w.yaml:3: fixed.", "w.yaml:9: fixed."])
    said: dict[str, Any] = {"waiver_remarks": ["w.yaml:3: fixed."], "waiver_problems": ["w.yaml:6: over."]}
    other, plain = record(book("n8n"), run={"id": "a2"}, **said), record(book("aider"), run={"id": "a3"})
    found = merged(one, other, plain)
    assert found["waiver_remarks"] == ["w.yaml:3: fixed.", "w.yaml:9: fixed."]
    assert found["waiver_problems"] == ["w.yaml:6: over."]
    assert "waiver_remarks" not in merged(plain, record(book("n8n"), run={"id": "a2"}))


def test_one_refusal_is_no_refusal_of_all() -> None:
    """Where one of the runs found the tenant, something was tested; where none did, nothing was."""
    refusal = {"reason": "nobody answers", "remedy": "Check the address."}
    some = [record(book(name), run={"id": run, "refusal": refusal}) for name, run in (("aider", "a1"), ("dify", "a2"))]
    assert merged(*some)["run"]["refusal"] == refusal
    some[1]["run"]["refusal"] = None
    assert merged(*some)["run"]["refusal"] is None


def key(fingerprint: str) -> CredentialRecord:
    """A key of the tenant file, as a record declares it."""
    return {
        "name": "chat",
        "fingerprint": fingerprint,
        "purpose": None,
        "scopes": None,
        "models": None,
        "datasets": None,
        "revoked": False,
    }


DISAGREEING: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], str]] = {
    "version": ({"run": {"version": "0.1.0"}}, {"run": {"version": "0.2.0"}}, "the version of gt-conformance is 0.2.0"),
    "runbooks": (
        {"run": {"runbooks_digest": "a" * 64}},
        {"run": {"runbooks_digest": "b" * 64}},
        f"the digest of all runbooks is {'b' * 64} here, and {'a' * 64} in one.json",
    ),
    "strict": ({"options": {"strict": False}}, {"options": {"strict": True}}, "strict is True here, and False in"),
    "versioned": ({}, {"options": {"versioned_only": True}}, "versioned_only is True here, and False in one.json"),
    "read-only": ({}, {"tenant": {"read_only": True}}, "read_only is True here, and False in one.json"),
    "row": (
        {"parts": {"chat": [check()]}},
        {"parts": {"chat": [check("violates")]}},
        "the outcome of the row dify-chat-native is violates here, and conforms in one.json",
    ),
    "item": (
        {"parts": {"item-2": [check("blocked")]}},
        {"parts": {"item-2": [check()]}},
        "the outcome of the item dify-item-2 is conforms here, and blocked in one.json",
    ),
    "tenant check": (
        {"tenant_checks": [check(name="key.required")]},
        {"tenant_checks": [check("violates", "key.required")]},
        "the outcome of the tenant check tenant-key.required is violates here, and conforms in one.json",
    ),
    "key": (
        {"credentials": [key("aaaa")]},
        {"credentials": [key("bbbb")]},
        "the fingerprint of the key chat is bbbb here, and aaaa in one.json",
    ),
}


@pytest.mark.parametrize("kind", DISAGREEING, ids=[name.replace(" ", "-") for name in DISAGREEING])
def test_what_two_runs_disagree_on_is_told_with_both_files(kind: str) -> None:
    """Nothing is chosen: the error names the matter, the file where it stands and the other one."""
    made = []
    for number, given_keys in enumerate(DISAGREEING[kind][:2]):
        keys = dict(given_keys)
        parts, run = keys.pop("parts", None), keys.pop("run", {})
        made.append(record(book(parts=parts), run={"id": f"a{number}", **run}, **keys))
    with pytest.raises(InputError) as raised:
        merged(*made)
    (problem,) = raised.value.problems
    assert problem.where == Location("two.json")
    assert DISAGREEING[kind][2] in str(problem)
    assert problem.hint


def test_every_disagreement_is_told_at_once() -> None:
    """A person fixes them in one go."""
    one = record(book(), run={"id": "a1"})
    other = record(book(parts={"chat": [check("violates")], "item-1": [check("blocked")]}), run={"id": "a2"})
    with pytest.raises(InputError) as raised:
        merged(one, other | {"run": other["run"] | {"version": "9.9"}})
    assert len(raised.value.problems) == 3


def test_the_embedded_tenant_makes_its_keys_anew() -> None:
    """Its shards have other keys each time, and are shards all the same."""
    tenant = {"kind": "embedded", "base_url": "http://127.0.0.1:1/api/tenant"}
    some = [
        record(book(name), run={"id": run}, tenant=tenant, credentials=[key(print_)])
        for name, run, print_ in (("aider", "a1", "aaaa"), ("dify", "a2", "bbbb"))
    ]
    assert merged(*some)["credentials"] == [key("aaaa")]


@pytest.mark.parametrize("again", ["a-copy", "merged-before"])
def test_a_run_that_is_named_twice_is_refused(again: str) -> None:
    """The same run in two files, or in a file and in one that was merged from it, would count twice."""
    one, two = (record(book(name), run={"id": run}) for name, run in (("aider", "a1"), ("dify", "a2")))
    second = one if again == "a-copy" else merged(one, two)
    with pytest.raises(InputError, match=r"two\.json: this is run a1, and so is one\.json.*Name each run once"):
        by_tenant(sources(one, second))


def test_tenants_are_kept_apart() -> None:
    """The files of each tenant are one group, in the order in which tenants come; the embedded one is one tenant."""
    embedded = [{"kind": "embedded", "base_url": f"http://127.0.0.1:{port}/api/tenant"} for port in (1, 2)]
    tenants = [{"base_url": "https://b"}, embedded[0], {"base_url": LIVE}, embedded[1]]
    files = sources(*(record(book(), run={"id": f"a{number}"}, tenant=one) for number, one in enumerate(tenants)))
    groups = [[str(source.where) for source in group] for group in by_tenant(files)]
    assert groups == [["one.json"], ["two.json", "four.json"], ["three.json"]]


def test_the_references_of_a_merged_record_are_numbered_on() -> None:
    """The second file's exchanges go on where the first one's end."""
    some = [record(book(name), run={"id": run}) for name, run in (("aider", "a1"), ("dify", "a2"))]
    whole = merged(*some)
    assert Counter(references(whole)) == {"x0001": len(PARTS), "x0002": len(PARTS)}

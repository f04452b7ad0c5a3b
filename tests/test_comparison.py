"""What changed between two records, and what that means to the shell."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance import comparison, results
from gt_conformance.errors import InputError, Location
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.results.record_types import ChangeKind, SinceRecord
from tests import commands
from tests.made_records import OUTCOMES, PARTS, book, check, record

KINDS: tuple[ChangeKind, ...] = (
    "new_violations",
    "fixed",
    "still_violating",
    "newly_waived",
    "newly_untested",
    "newly_tested",
    "not_judged",
)
AFTER = ("absent", "conforms", "waived", "unattested", "blocked", "violates")
CALLED_FOR = {
    "absent": ("", "", "newly_waived", "newly_untested", "newly_untested", "new_violations"),
    "conforms": ("", "", "newly_waived", "newly_untested", "newly_untested", "new_violations"),
    "waived": ("not_judged", "fixed", "", "newly_untested", "newly_untested", "new_violations"),
    "unattested": ("", "newly_tested", "newly_waived", "", "", "new_violations"),
    "blocked": ("", "newly_tested", "newly_waived", "", "", "new_violations"),
    "violates": ("not_judged", "fixed", "newly_waived", "newly_untested", "newly_untested", "still_violating"),
}
"""By what a check came to before, the kind for each of what it came to after."""

NAMES = ("chat.completes", "chat.streams")
Found = Mapping[tuple[str, str, str], str]
"""Runbook, part and check to an outcome."""
FOUND = st.dictionaries(
    st.tuples(st.sampled_from(("dify", "n8n")), st.sampled_from(PARTS[7:]), st.sampled_from(NAMES)),
    st.sampled_from(OUTCOMES),
    max_size=12,
)


def of(found: Found) -> Record:
    """A record in which this, and nothing else, was judged."""
    parts: dict[str, dict[str, list[CheckRecord]]] = {}
    for (runbook, part, name), outcome in found.items():
        parts.setdefault(runbook, {}).setdefault(part, []).append(check(outcome, name))
    return record(*(book(name, some, only=()) for name, some in parts.items()))


def places(since: SinceRecord, kind: ChangeKind) -> set[tuple[str, str]]:
    """Where the changes of that kind are, and of which check."""
    return {(change["place"], change["check"]) for change in since[kind]}


def kinds_of(since: SinceRecord) -> list[tuple[str, str, str]]:
    """Place, check and kind of every change."""
    return sorted((change["place"], change["check"], kind) for kind in KINDS for change in since[kind])


def named(found: Iterable[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The places and checks as a comparison names them."""
    return {
        (f"{book}-{part}" if part.startswith("item") else f"{book}-{part}-native", name) for book, part, name in found
    }


def called_for(before: Found, after: Found) -> list[tuple[str, str, str]]:
    """What the table above says of two records."""
    kinds = []
    for key in {*before, *after}:
        kind = CALLED_FOR[before.get(key, "absent")][AFTER.index(after.get(key, "absent"))]
        ((place, name),) = named([key])
        kinds += [(place, name, kind)] if kind else []
    return sorted(kinds)


@pytest.mark.parametrize("before", CALLED_FOR)
@pytest.mark.parametrize("after", AFTER)
def test_a_change_is_of_the_kind_that_its_outcomes_call_for(before: str, after: str) -> None:
    """Each pair of outcomes is one kind of change or none; what was not judged again is never fixed."""
    key = ("dify", "item-1", "chat.completes")
    old, new = ({key: outcome} if outcome != "absent" else {} for outcome in (before, after))
    found = comparison.compare(of(old), of(new))
    wanted = CALLED_FOR[before][AFTER.index(after)]
    changes = {kind: found[kind] for kind in KINDS if found[kind]}
    assert list(changes) == ([wanted] if wanted else [])
    for (change,) in changes.values():
        assert [change["before"] or "absent", change["after"] or "absent"] == [before, after]


@given(FOUND, FOUND)
@settings(max_examples=40, derandomize=True)
def test_every_check_is_told_once_or_did_not_change(before: Found, after: Found) -> None:
    """Each check of either record stands under the kind that it calls for and no other, and the result is valid."""
    since = comparison.compare(of(before), of(after))
    assert kinds_of(since) == called_for(before, after)
    results.parsed(json.dumps(of(after) | {"since": since}).encode(), Location("results.json"))


@given(FOUND)
@settings(max_examples=20, derandomize=True)
def test_a_record_compared_with_itself_has_no_news(found: Found) -> None:
    """Nothing is new or fixed; what violates still does."""
    since = comparison.compare(of(found), of(found))
    violating = named(key for key, outcome in found.items() if outcome == "violates")
    assert places(since, "still_violating") == violating
    assert [kind for kind in KINDS if since[kind] and kind != "still_violating"] == []
    assert since["checks"] == {"added": [], "missing": []}


@given(FOUND, FOUND)
@settings(max_examples=40, derandomize=True)
def test_what_is_new_one_way_is_fixed_the_other_way(before: Found, after: Found) -> None:
    """Of checks that conform or violate in both records, new violations and fixed ones change places."""
    measured = {key for key in {*before} & {*after} if {before[key], after[key]} <= {"conforms", "violates"}}
    old, new = ({key: found[key] for key in measured} for found in (before, after))
    there, back = comparison.compare(of(old), of(new)), comparison.compare(of(new), of(old))
    assert places(there, "new_violations") == places(back, "fixed")
    assert places(there, "fixed") == places(back, "new_violations")
    assert places(there, "still_violating") == places(back, "still_violating")


def test_a_renamed_key_is_no_change() -> None:
    """A check is the same whatever key it used."""
    old = record(book(parts={"chat": [check("violates", credential="chat")]}))
    new = record(book(parts={"chat": [check("violates", credential="renamed")]}))
    assert kinds_of(comparison.compare(old, new)) == [("dify-chat-native", "chat.completes", "still_violating")]


def test_other_parameters_are_another_check() -> None:
    """A check that a row takes twice, with different parameters, is compared with itself."""
    streamed, whole = ({"stream": value} for value in (True, False))
    old = record(book(parts={"chat": [check("violates", parameters=streamed), check(parameters=whole)]}))
    new = record(book(parts={"chat": [check("violates", parameters=whole), check(parameters=streamed)]}))
    assert [kind for *_, kind in kinds_of(comparison.compare(old, new))] == ["fixed", "new_violations"]


def test_a_key_more_in_the_tenant_file_is_no_other_check() -> None:
    """A check of the boundary names the keys that it tries; with another one it is fixed or tested, and not new."""
    keys = ["rag"], ["rag", "upload"]
    for before, kind in (("violates", "fixed"), ("blocked", "newly_tested")):
        old = record(book(parts={"chat": [check(before, parameters={"keys": keys[0], "routes": ["chat"]})]}))
        new = record(book(parts={"chat": [check(parameters={"keys": keys[1], "routes": ["chat"]})]}))
        assert [found for *_, found in kinds_of(comparison.compare(old, new))] == [kind]


@pytest.mark.parametrize("order", [1, -1], ids=["bad-first", "bad-last"])
def test_with_two_keys_the_worst_counts(order: int) -> None:
    """A check that a row makes with two keys is as bad as the worse of them, in whichever order they stand."""
    both = [check("violates", credential="chat"), check(credential="rag")][::order]
    since = comparison.compare(record(book()), record(book(parts={"chat": both})))
    assert [kind for *_, kind in kinds_of(since)] == ["new_violations"]


def test_a_change_tells_what_is_wrong_or_was() -> None:
    """A new violation tells its own reason; a fixed one what it was, since nothing else does."""
    bad = record(book(parts={"chat": [check("violates", reason="HTTP 500", remedy="Fix it.")]}))
    (new,) = comparison.compare(record(book()), bad)["new_violations"]
    (fixed,) = comparison.compare(bad, record(book()))["fixed"]
    assert [(change["reason"], change["remedy"]) for change in (new, fixed)] == [("HTTP 500", "Fix it.")] * 2


def test_what_was_waived_before_is_said_to_have_been(tmp_path: Path) -> None:
    """A block whose waiver ended was not tested before either: the line says that it was waived."""
    block = check("waived", breaches=[], obstacles=[{"reason": "no key", "remedy": "Add it."}])
    for name, one in {"old": block, "new": check("blocked")}.items():
        made = record(book(parts={"chat": [one]}))
        (tmp_path / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    for form, text in {
        "text": "dify-chat-native, waived before",
        "markdown": "`dify-chat-native`, waived before",
    }.items():
        words = ("diff", "old.json", "new.json", "--unverified", "--format", form)
        assert text in commands.in_process(*words, cwd=tmp_path).stdout


def test_a_changed_runbook_is_named_with_its_verdicts() -> None:
    """Another digest is a change; the verdicts that differ stand with it."""
    old = record(book("dify"), book("n8n"), book("aider"))
    new = record(
        book("dify", digest="e" * 64, verdicts={"images": "not_supported"}), book("n8n", digest="f" * 64), book("manus")
    )
    assert comparison.compare(old, new)["runbooks"] == {
        "added": ["manus"],
        "missing": ["aider"],
        "changed": [
            {"id": "dify", "verdicts": [{"route": "images", "before": "native", "after": "not_supported"}]},
            {"id": "n8n", "verdicts": []},
        ],
    }


def test_checks_requests_and_time_are_compared() -> None:
    """Checks that one of the two does not have are named; requests and seconds stand side by side."""
    old = record(book(parts={"chat": [check(name="chat.old")]}))
    new = record(book(parts={"chat": [check(name="chat.new")]}), run={"id": "b2", "duration_s": 3.5})
    new["traffic"]["requests"] = 7
    since = comparison.compare(old, new)
    assert since["checks"] == {"added": ["chat.new"], "missing": ["chat.old"]}
    assert since["requests"] == {"before": 1, "after": 7}
    assert since["duration_s"] == {"before": 2.0, "after": 3.5}
    assert since["run"]["id"] == "a1"


TENANTS = {
    "same address": ({"kind": "live", "base_url": "https://a"}, {"kind": "live", "base_url": "https://a"}, True),
    "other address": ({"kind": "live", "base_url": "https://a"}, {"kind": "live", "base_url": "https://b"}, False),
    "other port": (
        {"kind": "embedded", "base_url": "http://x:1"},
        {"kind": "embedded", "base_url": "http://x:2"},
        True,
    ),
    "other kind": ({"kind": "embedded", "base_url": "http://x:1"}, {"kind": "live", "base_url": "http://x:1"}, False),
}


@pytest.mark.parametrize("case", TENANTS.values(), ids=[name.replace(" ", "-") for name in TENANTS])
def test_which_tenant_is_the_same(case: tuple[dict[str, Any], dict[str, Any], bool]) -> None:
    """A tenant is told by its address; the embedded one is the same at any port. What is new needs the same one."""
    one, other, same = case
    old, new = record(book(), tenant=one), record(book(), tenant=other)
    assert comparison.compare(old, new)["same_tenant"] is same
    if same:
        comparison.require_same_tenant(old, new["run"]["tenant"], Location("old.json"))
    else:
        with pytest.raises(InputError, match=r"old\.json: this is a record of .*what is new cannot be determined"):
            comparison.require_same_tenant(old, new["run"]["tenant"], Location("old.json"))

"""Accepting: nights that stay red until somebody fixes or accepts, and what becomes of the decision."""

import gzip
import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import results
from gt_conformance.cli.serve import write_tenant_file
from gt_conformance.errors import Location
from gt_conformance.report._badges import badges
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.vocabulary import Decision, Outcome
from gt_conformance.waiver import Waiver, Waivers
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet
from gt_sandbox.variants import VariantSet
from tests.commands import WITHOUT_PAGES, Finished, in_process, run
from tests.made_records import PARTS as EVERY
from tests.made_records import book, check, record, refused

OWNER = ("--owner", "A. Example", "--reason", "The backend is being moved.")
TODAY = date(2026, 11, 22)
CHAT = "chat.completes~aaaaaa"
KEY = "setup~bbbbbb"


def violating(finding: str = CHAT) -> CheckRecord:
    """A check with a violation of that finding."""
    return check("violates", breaches=[{"expected": "200", "found": "500", "exchange": "x0001", "finding": finding}])


def blocked(finding: str = KEY, **more: Any) -> CheckRecord:
    """A check that a finding keeps from being tested."""
    obstacle = {"reason": "The key is dead.", "remedy": "Issue another key.", "finding": finding, **more}
    return check("blocked", obstacles=[obstacle])


def written(folder: Path, found: Record, name: str = "results.json") -> Record:
    """The record as a file, with what follows from its cases."""
    found = results.conclude(found)
    (folder / name).write_text(json.dumps(found))
    return found


# -- three nights


@pytest.mark.slow
def test_a_fault_is_red_until_it_is_accepted(tmp_path: Path) -> None:
    """Two nights with the same block and violation are red; accepted they are GO WITH EXCEPTIONS; fixed, a remark."""
    words: list[str | Path] = ["--runbook", "dify", "--history", tmp_path / "nights", "--fail-on", "new"]
    nights: list[Finished] = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        nights.append(run(*words, "--fault", "chat-500", cwd=folder, lean=True))
    assert [night.code for night in nights] == [1, 1]
    done = in_process("accept", "--history", "nights", *OWNER, cwd=tmp_path)
    assert done.code == 0, done.said
    said = ""
    for name, fault, code, decision in (
        ("accepted", ["--fault", "chat-500"], 0, Decision.GO_WITH_EXCEPTIONS),
        ("worse", ["--fault", "chat-500", "--fault", "embeddings-500"], 1, Decision.NO_GO),
        ("any", ["--fault", "chat-500", "--fail-on", "any"], 1, Decision.NO_GO),
        ("fixed", [], 0, Decision.GO),
    ):
        (tmp_path / name).mkdir()
        night = run(*words, *fault, cwd=tmp_path / name, lean=True)
        assert (night.code, night.record["decision"]) == (code, decision), (name, night.said)
        said = night.said
    assert "which was accepted, is no longer there: remove this entry (lines 3-" in said
    assert len([*(tmp_path / "nights").glob("*.gz")]) == 6


def test_a_dead_key_of_a_served_sandbox_is_red_until_it_is_accepted(tmp_path: Path) -> None:
    """Night after night, whatever it is compared with; the sandbox is the same tenant each night, in every respect."""
    with EmbeddedTenant() as running:
        path = tmp_path / "served.yaml"
        write_tenant_file(running, path, FaultSet(), VariantSet(), force=True)
        (tmp_path / "served.secrets" / "GT_EMBEDDED_RAG").write_text("gtak_Qm2vX8sLr0TzKp4cWn6yBd1f")
        words: list[str | Path] = ["--tenant", path, "--history", tmp_path / "nights", "--fail-on", "new"]
        few = ["--", "-k", "dify-embeddings-native", *WITHOUT_PAGES]
        nights = []
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            nights.append(run(*words, *few, cwd=tmp_path / str(number)))
        assert [night.code for night in nights] == [7, 7]
        assert [night.record["run"]["tenant"]["kind"] for night in nights] == ["embedded"] * 2
        assert in_process("accept", "--history", "nights", *OWNER, cwd=tmp_path).code == 0
        baseline = nights[-1].folder / "results.json"
        accepted = run(*words, "--baseline", baseline, *few, cwd=tmp_path)
    assert (accepted.code, accepted.record["decision"]) == (0, Decision.PARTIAL), accepted.said
    assert accepted.record["since"]["same_tenant"]


# -- the file


def test_what_is_accepted_is_written_once(tmp_path: Path) -> None:
    """Each finding is one entry with its places; entries and comments by hand stay; a second time adds nothing."""
    written(tmp_path, record(book(parts={"chat": [violating()], "images": [blocked()], "item-1": [violating()]})))
    (tmp_path / "accepted.yaml").write_text("# by hand\nwaivers: []  # none yet\n")
    first = in_process("accept", "results.json", *OWNER, cwd=tmp_path)
    assert first.code == 0, first.said
    text = (tmp_path / "accepted.yaml").read_text()
    assert text.startswith("# by hand\nwaivers:")
    assert text.count("- finding: ") == 2
    assert "places: [dify-chat-native, dify-item-1]" in text
    again = in_process("accept", "results.json", *OWNER, cwd=tmp_path)
    assert again.said.count("is accepted already.") == 2
    assert (tmp_path / "accepted.yaml").read_text() == text
    written(tmp_path, record(book(parts={"chat": [violating()], "speech": [violating()]})))
    assert in_process("accept", "results.json", *OWNER, cwd=tmp_path).code == 0
    more = (tmp_path / "accepted.yaml").read_text()
    assert more.startswith(text)
    assert "places: [dify-speech-native]" in more.removeprefix(text)


MISTAKES: dict[str, tuple[Sequence[str], Mapping[str, Any], str]] = {
    "unknown": (["--findings", "chat.completes~aaaaab"], {}, "Did you mean chat.completes~aaaaaa?"),
    "too-far": (["--until", "2099-01-01"], {}, "more than 180 days away."),
    "over": (["--until", "2020-01-01"], {}, "it would have expired on 2020-01-01 already."),
    "no-reason": (["--reason", "..."], {}, "--reason: '...' says nothing. Put it in words."),
    "interrupted": ([], {"interrupted": "SIGTERM"}, "this run was interrupted: what it blocked proves nothing."),
    "refused": ([], {"refusal": {"reason": "nobody answers", "remedy": "Look."}}, "this run judged nothing"),
}


@pytest.mark.parametrize(("words", "facts", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_accepted_is_told(
    tmp_path: Path, words: Sequence[str], facts: Mapping[str, Any], said: str
) -> None:
    """A sentence and exit code 4, and no file."""
    written(tmp_path, record(book(parts={"chat": [violating()]}), run=facts))
    done = in_process("accept", "results.json", *OWNER, *words, cwd=tmp_path)
    assert done.code == 4, done.said
    assert said in done.said
    assert not (tmp_path / "accepted.yaml").exists()


def test_an_attestation_is_not_accepted(tmp_path: Path) -> None:
    """What a person has to attest is named and left."""
    written(tmp_path, record(book(parts={"item-1": [check("unattested", "attestation")]})))
    done = in_process("accept", "results.json", *OWNER, cwd=tmp_path)
    assert (done.code, (tmp_path / "accepted.yaml").exists()) == (0, False)
    assert "is not accepted: Fix it." in done.said


def test_a_difference_counts_what_is_accepted(tmp_path: Path) -> None:
    """`diff --fail-on new` is red for what is merely old, and green once that is accepted beside the old record."""
    old = written(tmp_path, record(book(parts={"chat": [violating()]})), "old.json")
    (tmp_path / "new.json").write_bytes(gzip.compress(json.dumps(old | {"run": old["run"] | {"id": "b2"}}).encode()))
    words = ["diff", "old.json", "new.json", "--fail-on", "new"]
    assert in_process(*words, cwd=tmp_path).code == 1
    assert in_process("accept", "old.json", *OWNER, cwd=tmp_path).code == 0
    assert in_process(*words, cwd=tmp_path).code == 0
    assert in_process(*words[:3], cwd=tmp_path).code == 1


# -- the decision, over all combinations


def accepted(finding: str, *cases: str, outcome: Outcome | None = None) -> Waiver:
    """A waiver of that finding at those places."""
    where = Location("accepted.yaml", 3)
    return Waiver(
        None, None, None, None, "Known.", "A. Example", "", date(2027, 1, 31), where, "lines 3-9",
        finding=finding, outcome=outcome, cases=frozenset(cases),
    )  # fmt: skip


PARTS: dict[str, dict[str, list[CheckRecord]]] = {
    "sound": {},
    "violates": {"chat": [violating()], "item-1": [violating()]},
    "blocked": {"chat": [blocked()], "item-1": [blocked(because=KEY)]},
    "both": {"chat": [violating()], "images": [blocked(CHAT, because=CHAT)], "speech": [blocked()]},
    "unattested": {"item-2": [check("unattested", "attestation")]},
}
WAIVERS = {
    "nothing": (),
    "all": (accepted(CHAT), accepted(KEY)),
    "one-place": (accepted(CHAT, "dify-chat-native"), accepted(KEY, "dify-chat-native")),
    "as-blocks": (accepted(CHAT, outcome=Outcome.BLOCKED), accepted(KEY, outcome=Outcome.BLOCKED)),
}
WHOLE = {"whole": EVERY, "part": ("chat", "images", "speech", "item-1", "item-2")}
RUNS: dict[str, dict[str, Any]] = {"ended": {}, "interrupted": {"interrupted": "SIGTERM"}}
FILES: dict[str, list[str]] = {"good": [], "stale": ["waivers.yaml:3: it expired."]}


@pytest.mark.parametrize("waivers", WAIVERS)
@pytest.mark.parametrize("fault", PARTS)
def test_go_is_whole_sound_and_waives_nothing(fault: str, waivers: str) -> None:
    """GO if and only if the run was whole, ended, sound, and waived nothing; the exit code repeats the decision."""
    for selected, ended, file, kind in itertools.product(WHOLE, RUNS, FILES, ("live", "embedded")):
        decided_as_it_should_be(fault, waivers, selected, ended, file, kind)


def decided_as_it_should_be(fault: str, waivers: str, selected: str, ended: str, file: str, kind: str) -> None:
    """The decision, exit code and badge follow from what is wrong, waived, selected, and how the run ended."""
    made = book(parts=PARTS[fault], only=WHOLE[selected])
    bare = record(made, run=RUNS[ended], tenant={"kind": kind}, waiver_problems=FILES[file])
    found = results.accept(bare, Waivers(WAIVERS[waivers]).holding(TODAY))
    decision = Decision(found["decision"])
    sound = (fault, selected, ended, file) == ("sound", "whole", "ended", "good")
    assert (decision is Decision.GO) is sound
    assert results.exit_code(found) == results.EXIT_CODES[decision]
    outcomes = {case.outcome for case in results.cases(found)}
    bad = outcomes & {Outcome.VIOLATES, Outcome.BLOCKED, Outcome.UNATTESTED}
    assert (results.exit_code(found) == 0) is (not bad and ended == "ended" and file == "good")
    assert (decision is Decision.GO_WITH_EXCEPTIONS) is (
        Outcome.WAIVED in outcomes and not bad and (selected, ended, file) == ("whole", "ended", "good")
    )
    named = {one["id"]: one["waiver"] for one in found["findings"] if one["outcome"] == "waived"}
    checks = [one for case in results.cases(found) for one in case.checks]
    waived = [flaw for one in checks for flaws in (one["breaches"], one["obstacles"]) for flaw in flaws]
    assert bool(named) is any("waiver" in flaw for flaw in waived)
    assert all(waiver is not None and waiver["owner"] == "A. Example" for waiver in named.values())
    assert (badges(found)[""]["color"] == "brightgreen") is (sound and kind == "live")
    assert all("-waived" not in one["id"] for one in found["findings"] if one["outcome"] != "waived")


def test_no_answer_is_never_accepted() -> None:
    """A tenant that cannot be reached is UNREACHABLE, whatever is accepted."""
    found = results.accept(refused(record(book(parts={"chat": [blocked()]}))), Waivers((accepted(KEY),)))
    assert (found["decision"], results.exit_code(found)) == (Decision.UNREACHABLE, 8)

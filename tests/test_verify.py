"""`gt-conformance verify`: a genuine record holds, and what was edited is named with what follows."""

import copy
import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import journal, resources, results, session, shards, tenant
from gt_conformance.errors import Location
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import TenantKind
from gt_conformance.verification import verify
from gt_conformance.waiver import Waiver, Waivers
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from prove import edits
from tests.commands import in_process

BOOKS = load_directory(resources.runbooks_dir())
SAMPLED = 40
"""Edits of which `make test` tries one each; `make prove` tries a thousand."""


def judged(*faults: str, selection: Selection | None = None, human_input: bool = True) -> Record:
    """The record of a run against the embedded tenant with these faults, as its file holds it."""
    altered = select_faults(faults)
    with EmbeddedTenant(middleware=altered.middleware) as running:
        document = altered.change_tenant_file(running.tenant_document())
        under_test = tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the tenant")
        plan = session.plan(under_test, BOOKS, selection=selection or Selection(runbooks=("dify",)))
        people = session.load_human_input(BOOKS, sample=True) if human_input else None
        return as_read(session.run(plan, human_input=people))


def as_read(record: Record) -> Record:
    """The record as its file gives it."""
    found: Record = json.loads(json.dumps(record))
    return found


@pytest.fixture(scope="module")
def conforming() -> Record:
    """A run of one runbook in which everything conforms."""
    return judged()


@pytest.fixture(scope="module")
def failing() -> Record:
    """One with violations, and with what is blocked because of them."""
    return judged("conversations-500")


def named(record: Record) -> list[str]:
    """What verifying names, a line each."""
    return [str(one) for one in verify(record).differences]


# -- what is genuine


def merged() -> Record:
    """Two shards as one record."""
    parts = [judged(selection=Selection(runbooks=(name,))) for name in ("aider", "continue")]
    return shards.merge([shards.Source(Location(f"{number}.json"), part) for number, part in enumerate(parts)])


def accepted(record: Record) -> Record:
    """The record with all of its findings accepted."""
    until, where = datetime.now(UTC).date() + timedelta(days=30), Location("accepted.yaml")
    entries = tuple(
        Waiver(None, None, None, None, "Known.", "A. Example", "", until, where, "lines 1-5", finding=one["id"])
        for one in record["findings"]
    )
    return results.accept(record, Waivers(entries))


def interrupted(tmp_path: Path) -> Record:
    """A run that was killed after some cases, from its journal."""
    with EmbeddedTenant() as running:
        document = running.tenant_document()
        under_test = tenant.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the tenant")
        plan = session.plan(under_test, BOOKS, selection=Selection(runbooks=("aider",)))
        notes = session.Notes(journal=tmp_path / journal.JOURNAL)
        with session.Session(plan, notes=notes) as running_session:
            running_session.judgement(plan.cases[0])
            running_session.interrupt("SIGTERM")
    return journal.rebuild(tmp_path)


GENUINE: dict[str, Callable[[Record, Record, Path], Record]] = {
    "conforming": lambda conforming, failing, folder: conforming,  # noqa: ARG005 - one signature for all
    "violating": lambda conforming, failing, folder: failing,  # noqa: ARG005 - as above
    "waived": lambda conforming, failing, folder: accepted(failing),  # noqa: ARG005 - as above
    "unattested": lambda conforming, failing, folder: judged(human_input=False),  # noqa: ARG005 - as above
    "merged": lambda conforming, failing, folder: merged(),  # noqa: ARG005 - as above
    "rebuilt": lambda conforming, failing, folder: interrupted(folder),  # noqa: ARG005 - as above
    "without-digests": lambda conforming, failing, folder: without_digests(failing),  # noqa: ARG005 - as above
}


def without_digests(record: Record) -> Record:
    """The record as an earlier version would have written it."""
    older = copy.deepcopy(record)
    older.pop("digests")
    older.pop("setup")
    older["run"].pop("provenance")
    older["run"].pop("profile")
    return older


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_record_holds(name: str, conforming: Record, failing: Record, tmp_path: Path) -> None:
    """However it came about, nothing of it is named; what an earlier version did not record is remarked."""
    found = verify(as_read(GENUINE[name](conforming, failing, tmp_path)))
    assert [str(one) for one in found.differences] == []
    assert any("no digests" in text for text in found.remarks) == (name == "without-digests")


def test_checks_are_replayed_on_the_recorded_answers(conforming: Record, failing: Record) -> None:
    """Most checks can be: an answer that is whole in the record gives the result that the record has."""
    for record in (conforming, failing):
        found = verify(record)
        assert found.replayed.problem == ""
        assert 2 * len(found.replayed.checks) > found.checks


# -- what is not


def test_every_edit_is_named(failing: Record) -> None:
    """Whatever single thing is changed, dropped, doubled or swapped is named, with its place."""
    assert list(edits.unnoticed(failing, SAMPLED, seed=1)) == []


def test_digests_are_those_of_json_with_sorted_keys(failing: Record) -> None:
    """A digest is of a value's JSON without white space, keys sorted: whoever has another program gets the same."""

    def digest(value: object) -> str:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    digests = failing["digests"]
    left = {name: value for name, value in digests.items() if name != "record"}
    assert digests["record"] == digest({**failing, "digests": left})
    assert digests["exchanges"] == digest(failing["exchanges"])
    row = failing["runbooks"][0]["routes"][0]
    assert digests["parts"][row["id"]] == digest(row)[:16]
    assert results.seal(failing)["digests"] == digests


def resealed(record: Record) -> Record:
    """The record with digests of its own: whoever edits a record may make those again."""
    return as_read(results.seal(results.recompute(record)))


def test_an_edit_that_is_consistent_is_shown_by_the_exchanges(failing: Record) -> None:
    """Violations that are taken out, with findings, totals, decision and digests made again, do not pass the replay."""
    forged = copy.deepcopy(failing)
    checks = [check for case in results.cases(forged) for check in case.checks]
    for check in (*checks, *forged.get("footing", ())):
        check |= {"breaches": [], "obstacles": [], "reason": "", "remedy": ""}
    forged = resealed(forged)
    assert forged["totals"]["violates"] == 0
    assert any("from its exchanges follows violates" in line for line in named(forged))


def test_an_answer_that_was_exchanged_is_shown_by_the_checks(conforming: Record) -> None:
    """A record in which an answer is another one, digests made again, says what its checks find in that."""
    forged = copy.deepcopy(conforming)
    chat = next(check for check in _checks(forged) if check["id"] == "chat.completes")
    answer = forged["exchanges"][chat["exchanges"][0]]["response"]
    assert answer is not None
    answer["status"] = 500
    assert any("chat.completes conforms" in line for line in named(resealed(forged)))


def _checks(record: Record) -> Iterator[Any]:
    return (check for case in results.cases(record) for check in case.checks)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda value: value["runbooks"][0]["routes"][0].update(outcome="violates"),
            "from its checks follows conforms",
        ),
        (lambda value: value["totals"].update(conforms=1), "totals: the record says 1 conforms; its cases are"),
        (lambda value: value.update(decision="NO-GO"), "decision: the record says NO-GO; its cases come to"),
        (lambda value: value["runbooks"][0].update(digest="0" * 64), "its runbook has the digest 000"),
        (lambda value: value["run"].update(version="9.9"), "run.version: "),
        (lambda value: value["exchanges"].pop(min(value["exchanges"])), "exchange x0001: the record says nothing"),
        (lambda value: value["setup"].update(dataset="other"), "digests.tenant_file: "),
        (
            lambda value: value.update(remark="all is well"),
            "remark: the record says something; this key was added after it was written.",
        ),
        (
            lambda value: value.pop("unproven_checks"),
            "unproven_checks: the record says nothing; this key was removed after it was written.",
        ),
    ],
    ids=["outcome", "totals", "decision", "runbook", "suite", "exchange", "tenant-file", "added", "removed"],
)
def test_the_line_says_what_follows(conforming: Record, change: Callable[[Any], object], words: str) -> None:
    """Each difference has its place, what the record says, and what follows from the rest of it."""
    edited = copy.deepcopy(conforming)
    change(edited)
    assert any(words in line for line in named(edited)), named(edited)


# -- the command, and those that read records


def test_the_command_reads_files_packed_files_and_folders(tmp_path: Path, conforming: Record) -> None:
    """Its exit code is 0 where every record holds, and 1 where one does not, which is named."""
    results.write(conforming, tmp_path / "reports" / "results.json")
    (tmp_path / "night.json.gz").write_bytes(gzip.compress(json.dumps(conforming).encode()))
    sound = in_process("verify", "reports", "night.json.gz", cwd=tmp_path)
    assert (sound.code, sound.stdout.count(": consistent.")) == (0, 2)
    results.write({**conforming, "decision": "NO-GO"}, tmp_path / "edited.json")
    edited = in_process("verify", "edited.json", "reports", cwd=tmp_path)
    assert (edited.code, edited.stdout.count(": consistent.")) == (1, 1)
    assert "decision: the record says NO-GO" in edited.stdout


@pytest.mark.parametrize(("name", "content"), [("empty.json", b""), ("list.json", b"[]")])
def test_what_is_no_record_is_bad_input(tmp_path: Path, name: str, content: bytes) -> None:
    """A file that holds no record has the exit code of bad input, as with every command."""
    (tmp_path / name).write_bytes(content)
    assert in_process("verify", name, cwd=tmp_path).code == 4


def test_a_folder_without_a_record_is_bad_input(tmp_path: Path) -> None:
    """It says how the record of a killed run is made."""
    done = in_process("verify", ".", cwd=tmp_path)
    assert done.code == 4
    assert "--from-journal" in done.stderr


def test_a_tenant_file_is_compared_without_its_secrets(tmp_path: Path, conforming: Record) -> None:
    """The file of the run is that of the record, whatever its secrets are called; one that declares more is not."""
    results.write(conforming, tmp_path / "results.json")
    with EmbeddedTenant() as running:
        document: dict[str, Any] = {**running.tenant_document(), "base_url": conforming["run"]["tenant"]["base_url"]}
    for key in document["keys"].values():
        key["secret_env"] = "ANOTHER_NAME"
    (tmp_path / "same.yaml").write_text(json.dumps(document))
    (tmp_path / "other.yaml").write_text(json.dumps(document | {"dataset_attached": False, "raw_models": ["x"]}))
    assert in_process("verify", "results.json", "--tenant", "same.yaml", cwd=tmp_path).code == 0
    other = in_process("verify", "results.json", "--tenant", "other.yaml", cwd=tmp_path)
    assert other.code == 1
    assert "raw_models" in other.stdout


def test_report_and_diff_refuse_what_does_not_hold(tmp_path: Path, failing: Record) -> None:
    """Neither shows a flipped outcome as a fact; --unverified shows it as NOT DECIDED, with what differs."""
    forged = copy.deepcopy(failing)
    for row in forged["runbooks"][0]["routes"]:
        row["outcome"] = "conforms"
    forged["decision"] = "GO"
    results.write(forged, tmp_path / "forged.json")
    results.write(failing, tmp_path / "sound.json")
    for words in (["report", "forged.json", "--out", "out"], ["diff", "sound.json", "forged.json"]):
        refused = in_process(*words, cwd=tmp_path)
        assert refused.code == 4
        assert "the record is not consistent" in refused.stderr
    assert not (tmp_path / "out").exists()
    shown = in_process("report", "forged.json", "--out", "out", "--unverified", cwd=tmp_path)
    assert shown.code == 0
    badge = json.loads((tmp_path / "out" / "badge.json").read_text())
    assert (badge["color"], "NOT DECIDED" in badge["message"]) == ("yellow", True)
    assert "NOT VERIFIED" in (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert "NOT VERIFIED" in (tmp_path / "out" / "compliance.html").read_text("utf-8")
    assert "warning: forged.json: the record is not consistent. " in shown.stderr
    for words, code in ((["forged.json", "sound.json"], 1), (["sound.json", "forged.json"], 7)):
        compared = in_process("diff", *words, "--unverified", cwd=tmp_path)
        assert (compared.code, compared.stderr.count("warning: forged.json: the record is not consistent. ")) == (
            code,
            1,
        )
    assert in_process("verify", "out", cwd=tmp_path).code == 1, "what was rendered is no more genuine for it"
    assert in_process("diff", "sound.json", "forged.json", "--unverified", cwd=tmp_path).code == 7


def test_edits_are_the_same_for_a_seed(failing: Record) -> None:
    """A thousand edits can be looked into again."""
    first, second = (
        [text for text, _ in edits.make(failing, 20, random.Random(7))]  # noqa: S311 - a choice, not a secret
        for _ in range(2)
    )
    assert first == second

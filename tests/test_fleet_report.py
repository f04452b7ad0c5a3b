"""``fleet report``: the decision of a fleet, what is new, who is missing, and the documents that say so."""

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from gt_conformance import results
from gt_conformance.results import Record
from gt_conformance.results.run_types import ShareName
from gt_conformance.table import JudgedTenant
from tests import fleets, made_records, shared_runs
from tests.commands import Finished, in_process
from tests.fleets import TONIGHT, judged, write_night
from tests.records import HOSTILE

DOCUMENTS = ("fleet.html", "metrics.prom", "notify.txt", "summary.md")


def _report(folder: Path, *words: str) -> Finished:
    return in_process("fleet", "report", str(folder), "--out", str(folder / "out"), *words, cwd=folder)


def _documents(folder: Path) -> dict[str, str]:
    return {name: (folder / "out" / name).read_text() for name in DOCUMENTS}


def _ago(days: int) -> date:
    return TONIGHT - timedelta(days=days)


def _write(folder: Path, *nights: Mapping[str, Record | str] | None) -> None:
    """These nights, the last of them tonight; None is a night on which nothing ran."""
    for ago, tenants in enumerate(reversed(nights)):
        if tenants is not None:
            write_night(folder, _ago(ago), tenants)


GOOD = fleets.conforming()
BAD = fleets.violating("chat.completes")
PART = made_records.record(made_records.book(only=["chat"]), tenant={"base_url": "https://part.example"})


# -- the decision


@pytest.mark.parametrize(
    ("tenants", "decision", "code"),
    [
        ({"a": GOOD, "b": GOOD}, "GO: all 2 tenants conform", 0),
        ({"a": GOOD, "b": BAD}, "NO-GO: 1 of 2 tenants is NO-GO", 1),
        ({"a": GOOD, "b": fleets.blocked()}, "NOT DECIDED: 1 of 2 tenants is not decided", 7),
        ({"a": GOOD, "b": fleets.unreachable()}, "NOT DECIDED: 1 of 2 tenants is not decided", 7),
        (
            {"a": fleets.unreachable(), "b": fleets.unreachable()},
            "UNREACHABLE: nothing answers as the API at any of 2 tenants.",
            8,
        ),
        ({"a": fleets.unreachable()}, "UNREACHABLE: nothing answers as the API at the one tenant.", 8),
        ({"a": GOOD, "b": "The secret is not set."}, "NOT DECIDED: 1 of 2 tenants is not decided", 7),
        ({"a": BAD, "b": fleets.unreachable(), "c": GOOD}, "NO-GO: 1 of 3 tenants is NO-GO; 1 is not decided", 1),
        ({"a": GOOD, "b": PART}, "PARTIAL: nothing violates; 1 of 2 tenants was judged in part", 0),
    ],
)
def test_the_decision_of_a_fleet_is_that_of_its_worst_tenant(
    tenants: Mapping[str, Record | str], decision: str, code: int, tmp_path: Path
) -> None:
    """Each document, the terminal and the exit code say the same decision."""
    _write(tmp_path, tenants)
    found = _report(tmp_path)
    assert (found.code, found.stderr) == (code, "")
    assert found.stdout.startswith(decision)
    word = decision.partition(":")[0]
    documents = _documents(tmp_path)
    assert f'gt_conformance_fleet_decision{{decision="{word}"}} 1' in documents["metrics.prom"]
    assert documents["notify.txt"].startswith(f"{word}:")
    assert f"**{word}:" in documents["summary.md"].replace("\\", "")
    assert f"<title>fleet report, {word}," in documents["fleet.html"]


def test_an_embedded_tenant_is_never_green(tmp_path: Path) -> None:
    """A fleet in which one tenant is the embedded one says so in each document, and its GO is not green."""
    embedded = made_records.record(made_records.book(), tenant={"kind": "embedded"})
    _write(tmp_path, {"a": GOOD, "b": embedded})
    found = _report(tmp_path)
    assert (found.code, found.stdout.partition(":")[0]) == (0, "GO (EMBEDDED)")
    documents = _documents(tmp_path)
    assert all("EMBEDDED" in text for name, text in documents.items() if name != "metrics.prom")
    assert "gt_conformance_fleet_embedded_tenants{} 1" in documents["metrics.prom"]
    assert '<h1 class="headline embedded">' in documents["fleet.html"]
    assert "conforms" not in documents["fleet.html"].partition("<h1")[2].partition("</dl>")[0]


def test_a_file_that_cannot_be_read_leaves_the_fleet_undecided(tmp_path: Path) -> None:
    """Where a part of the table is left out, nobody knows how its tenants are: no GO, whatever the others are."""
    path = write_night(tmp_path, TONIGHT, {"a": GOOD})
    path.with_name("2.parquet").write_text("nonsense")
    assert _report(tmp_path, "--history", "--fail-on", "new").code == 7
    found = _report(tmp_path)
    assert found.code == 7
    assert "2.parquet: this part of the table is left out" in found.stderr
    documents = _documents(tmp_path)
    assert all("2.parquet" in documents[name] for name in ("fleet.html", "notify.txt", "summary.md"))
    assert str(tmp_path) not in "".join(documents.values())


def test_a_shard_that_is_missing_leaves_the_fleet_undecided(tmp_path: Path) -> None:
    """A shard that was killed wrote no part: its tenants may be anything, so there is no GO. Run again, there is."""
    write_night(tmp_path, TONIGHT, {"a": GOOD}, "00000-of-00002")
    write_night(tmp_path, _ago(1), {"a": GOOD, "b": GOOD}, "00001-of-00002")
    assert _report(tmp_path, "--history", "--fail-on", "new").code == 7
    found = _report(tmp_path)
    assert (found.code, "NOT DECIDED: 1 file of the table is missing or cannot be read." in found.stdout) == (7, True)
    assert "00001-of-00002.parquet: this part of the table is missing: shard 1/2 of that night" in found.stderr
    assert f"fleet run ... --night {TONIGHT} --shard 1/2." in found.stderr
    assert "00001-of-00002.parquet: this part" in _documents(tmp_path)["summary.md"]
    write_night(tmp_path, TONIGHT, {"b": GOOD}, "00001-of-00002")
    assert _report(tmp_path).code == 0


def test_shards_that_are_missing_are_one_sentence(tmp_path: Path) -> None:
    """Of a job that never started, nobody reads a warning for each shard; the decision counts the files."""
    write_night(tmp_path, TONIGHT, {"a": GOOD}, "00001-of-00020")
    found = _report(tmp_path)
    assert "19 files of the table are missing or cannot be read." in found.stdout
    (warning,) = found.stderr.splitlines()
    assert "19 of 20 parts of the table are missing: shards 0/20, 2/20, " in warning
    assert "10/20 and 9 more of that night have not completed. Run each of them: " in warning
    assert "gt_conformance_fleet_files_unreadable{} 19" in _documents(tmp_path)["metrics.prom"]


def test_a_night_that_was_done_again_with_other_shards_is_whole(tmp_path: Path) -> None:
    """All parts of one number of shards are enough; a batch that Dask divided is there by its pieces."""
    for part in ("00001-of-00003", "00000-of-00002", "00001-of-00002-000", "00001-of-00002-001"):
        write_night(tmp_path, TONIGHT, {"a": GOOD}, part)
    assert _report(tmp_path).code == 0


# -- what is new, and since when


def _new(folder: Path) -> tuple[int, int]:
    """New and fixed violations, as metrics.prom has them."""
    lines = dict(line.rsplit(" ", 1) for line in _documents(folder)["metrics.prom"].splitlines() if line[0] != "#")
    return tuple(int(lines[f"gt_conformance_fleet_violations_{name}{{}}"]) for name in ("new", "fixed"))  # type: ignore[return-value]


OTHER = fleets.violating("chat.streams")


@pytest.mark.parametrize(
    ("nights", "new", "code", "since"),
    [
        ([{"a": BAD}, {"a": BAD}], 0, 0, "2026-11-26 or earlier"),
        ([{"a": GOOD}, {"a": BAD}], 1, 1, "new tonight"),
        ([{"a": GOOD}, {"a": BAD}, {"a": BAD}], 0, 0, "since 2026-11-26"),
        ([{"a": BAD}, {"a": GOOD}, {"a": BAD}], 1, 1, "new tonight"),
        ([{"a": GOOD}, {"a": BAD}, {"a": fleets.unreachable()}, {"a": BAD}], 0, 0, "since 2026-11-25"),
        ([{"a": GOOD}, {"a": BAD}, {"a": "No secret."}, {"a": BAD}], 0, 0, "since 2026-11-25"),
        ([{"a": GOOD}, {"a": BAD}, None, {"a": BAD}], 0, 0, "since 2026-11-25"),
        ([{"a": BAD}, {"a": OTHER}], 1, 1, "new tonight"),
        ([{"a": BAD, "b": GOOD}, {"a": BAD, "b": BAD}], 1, 1, "2026-11-26 or earlier"),
        ([{"a": BAD}], 1, 1, "no earlier night is in the table"),
    ],
)
def test_new_is_what_a_tenant_did_not_have_when_it_was_judged_before(
    nights: Sequence[Mapping[str, Record | str] | None], new: int, code: int, since: str, tmp_path: Path
) -> None:
    """A night on which a tenant was not judged is no break; what came back is new. The decision stays NO-GO."""
    _write(tmp_path, *nights)
    found = _report(tmp_path, "--history", "--fail-on", "new")
    assert found.code == code
    assert found.stdout.startswith("NO-GO")
    assert _new(tmp_path)[0] == new
    assert since in _documents(tmp_path)["fleet.html"]


def test_what_is_fixed_is_counted(tmp_path: Path) -> None:
    """A violation that a tenant has no more is fixed; one of a tenant that was not judged tonight is not."""
    _write(tmp_path, {"a": BAD, "b": BAD}, {"a": GOOD, "b": fleets.unreachable()})
    _report(tmp_path, "--history")
    assert _new(tmp_path) == (0, 1)


def _of(*books: str, broken: str = "") -> Record:
    """A record of a run that was to judge these runbooks of three, in which the chat of one violates."""
    bad = [made_records.check("violates")]
    some = [made_records.book(one, parts={"chat": bad} if one == broken else None) for one in books]
    record = made_records.record(*some, options={"runbooks": [*books] if len(books) < 3 else []})
    known: dict[ShareName, int] = {"runbooks": 3, "rows": 27, "items": 9, "tenant_checks": 0}
    for name, number in known.items():
        record["run"]["scope"][name]["known"] = number
    return results.conclude(record)


ALL = ("aider", "dify", "n8n")
WHOLE, WHOLE_BAD = _of(*ALL), _of(*ALL, broken="dify")
OF_N8N, OF_DIFY, OF_DIFY_BAD = _of("n8n"), _of("dify"), _of("dify", broken="dify")


@pytest.mark.parametrize(
    ("nights", "new", "fixed", "still_open", "flapping"),
    [
        ([WHOLE_BAD, OF_N8N, OF_N8N], 0, 0, 1, 0),
        ([WHOLE_BAD, OF_N8N, WHOLE_BAD], 0, 0, 0, 0),
        ([WHOLE_BAD, OF_N8N, WHOLE], 0, 1, 0, 0),
        ([WHOLE_BAD, WHOLE, OF_N8N], 0, 0, 0, 0),
        ([WHOLE_BAD, OF_DIFY], 0, 0, 1, 0),
        ([OF_DIFY_BAD, OF_DIFY], 0, 1, 0, 0),
        ([OF_DIFY, WHOLE_BAD], 1, 0, 0, 0),
        ([WHOLE_BAD, OF_DIFY_BAD], 0, 0, 0, 0),
        ([OF_DIFY_BAD, OF_N8N, OF_DIFY_BAD], 0, 0, 0, 0),
        ([OF_DIFY_BAD, OF_DIFY, OF_DIFY_BAD], 1, 0, 0, 0),
        ([WHOLE_BAD, OF_N8N, WHOLE_BAD, OF_N8N, WHOLE_BAD, OF_N8N], 0, 0, 1, 0),
        ([WHOLE_BAD, WHOLE, WHOLE_BAD, OF_N8N, WHOLE], 0, 1, 0, 1),
    ],
)
def test_nights_are_compared_with_nights_that_would_show_the_same(
    nights: Sequence[Record], new: int, fixed: int, still_open: int, flapping: int, tmp_path: Path
) -> None:
    """Where some nights judge a part, what a part could not show is neither fixed nor new, and is said to be open."""
    _write(tmp_path, *({"a": record} for record in nights))
    _report(tmp_path, "--history")
    names = ("violations_new", "violations_fixed", "violations_not_judged_again", "tenants_flapping")
    text = _documents(tmp_path)["metrics.prom"]
    found = [int(text.partition(f"\ngt_conformance_fleet_{name}{{}} ")[2].partition("\n")[0]) for name in names]
    assert found == [new, fixed, still_open, flapping]


@pytest.mark.parametrize(
    ("nights", "code"),
    [
        ([{"a": GOOD}, {"a": fleets.blocked()}], 7),
        ([{"a": fleets.blocked()}, {"a": fleets.blocked()}], 0),
        ([{"a": GOOD}, {"a": "No secret."}], 7),
        ([{"a": GOOD, "b": GOOD}, {"b": GOOD}], 7),
        ([{"a": GOOD, "b": GOOD}, {"b": GOOD}, {"b": GOOD}], 0),
    ],
)
def test_fail_on_new_fails_for_who_is_newly_not_decided(
    nights: Sequence[Mapping[str, Record | str]], code: int, tmp_path: Path
) -> None:
    """A tenant that was decided and is not, or was there and is missing, ends with 7 on the first such night."""
    _write(tmp_path, *nights)
    found = _report(tmp_path, "--history", "--fail-on", "new")
    assert (found.code, found.stdout.partition(":")[0]) == (code, "NOT DECIDED")


def test_a_tenant_that_is_away_is_missing_when_a_row_of_it_was_due(tmp_path: Path) -> None:
    """One that runs each night is missed at once, one that runs each third night is not; one that left, never."""
    here = {"here": GOOD}
    both = {**here, "nightly": GOOD}
    _write(
        tmp_path,
        {**both, "third": GOOD, "left": GOOD},
        {**both, "left": GOOD},
        both,
        {**both, "third": GOOD},
        both,
        here,
    )
    found = _report(tmp_path, "--history", "--gone", "left")
    assert (found.code, found.stdout.splitlines()[0]) == (7, "NOT DECIDED: 1 tenant has no row tonight.")
    documents = _documents(tmp_path)
    assert "- nightly: no row tonight. Last judged on 2026-11-26." in documents["notify.txt"]
    assert "third" not in documents["notify.txt"]
    assert not found.stderr
    assert "gt_conformance_fleet_tenants_missing{} 1" in documents["metrics.prom"]


def test_a_tenant_that_cannot_have_left_is_named(tmp_path: Path) -> None:
    """A slip in --gone, or a tenant that is there tonight: it would change nothing, and say nothing."""
    write_night(tmp_path, TONIGHT, {"globex": GOOD, "acme": GOOD})
    found = _report(tmp_path, "--gone", "globx", "--gone", "acme")
    assert found.code == 0
    assert "warning: --gone 'globx': no tenant of that id is in the table. Did you mean globex?" in found.stderr
    assert "warning: --gone acme: it has a row tonight." in found.stderr


def test_a_tenant_whose_decision_changes_again_and_again_flaps(tmp_path: Path) -> None:
    """Three changes in the nights that are looked at; nights on which it was not judged are none."""
    _write(
        tmp_path,
        {"flaps": GOOD, "steady": GOOD, "away": GOOD},
        {"flaps": BAD, "steady": BAD, "away": fleets.unreachable()},
        {"flaps": GOOD, "steady": BAD, "away": GOOD},
        {"flaps": BAD, "steady": GOOD, "away": fleets.unreachable()},
        {"flaps": GOOD, "steady": GOOD, "away": GOOD},
    )
    _report(tmp_path, "--history")
    documents = _documents(tmp_path)
    assert "gt_conformance_fleet_tenants_flapping{} 1" in documents["metrics.prom"]
    flapping = documents["fleet.html"].partition('id="flapping"')[2].partition("</section>")[0]
    assert "flaps" in flapping
    assert "25 Nov GO, 26 Nov NO-GO, 27 Nov GO" in flapping
    assert not {"steady", "away"} & set(flapping.split("<b>"))


def test_an_earlier_night_is_reported_as_it_was(tmp_path: Path) -> None:
    """``--night`` looks at that night and those before it; one that is not there is an error that says so."""
    _write(tmp_path, {"a": BAD}, {"a": GOOD})
    assert _report(tmp_path, "--night", "2026-11-26").code == 1
    assert _report(tmp_path).code == 0
    found = _report(tmp_path, "--night", "2026-11-01")
    assert (found.code, "there is no night 2026-11-01 in this table" in found.stderr) == (4, True)


def test_without_history_nothing_is_said_of_other_nights(tmp_path: Path) -> None:
    """Only tonight is read; ``--fail-on new`` without ``--history`` is refused."""
    _write(tmp_path, {"a": GOOD, "b": GOOD}, {"a": BAD})
    assert _report(tmp_path).code == 1
    text = "".join(_documents(tmp_path).values())
    assert "new" not in _documents(tmp_path)["notify.txt"]
    assert "2026-11-26" not in text
    found = _report(tmp_path, "--fail-on", "new")
    assert (found.code, "add --history" in found.stderr) == (4, True)


# -- what is said of the findings and of the tenants


def test_one_cause_is_one_finding_of_all_its_tenants(tmp_path: Path) -> None:
    """A cause that several tenants have is listed once, with how many they are and what labels they have."""
    tenants = [
        judged("a", BAD, {"region": "eu"}),
        judged("b", BAD, {"region": "eu"}),
        judged("c", BAD, {"region": "us"}),
        judged("d", OTHER, {"region": "us"}),
        judged("e", GOOD, {"region": "us"}),
    ]
    write_night(tmp_path, TONIGHT, tenants)
    _report(tmp_path)
    documents = _documents(tmp_path)
    [name] = {one["id"] for one in BAD["findings"]}
    assert (
        f'{{finding="{name}",check="chat.completes",severity="high",outcome="violates"}} 3' in documents["metrics.prom"]
    )
    assert "high chat.completes: A chat is completed. 3 tenants" in documents["notify.txt"]
    article = documents["fleet.html"].partition(f'id="f-{name}"')[2].partition("</article>")[0]
    assert article.index("region: eu 2") < article.index("region: us 1")
    assert (
        'gt_conformance_fleet_label_tenants{label="region",value="us",decision="NO-GO"} 2' in documents["metrics.prom"]
    )


def test_who_has_to_act_is_the_person_that_the_record_names(tmp_path: Path) -> None:
    """What nobody has attested waits for a person who can, as in the report of a tenant, and not for the operator."""
    check = made_records.check("unattested", "attestation", obstacles=[{"reason": "Nobody has.", "remedy": "Look."}])
    waiting = made_records.record(made_records.book(parts={"chat": [check]}))
    _write(tmp_path, {"a": waiting, "b": fleets.blocked()})
    _report(tmp_path)
    page = _documents(tmp_path)["fleet.html"]
    acting = {
        outcome: page.partition(f'<article class="finding {outcome}"')[2].partition("</h3>")[0]
        for outcome in ("unattested", "blocked")
    }
    assert "a person who can attest it has to act" in acting["unattested"]
    assert "the operator (setup: keys, names, tenant file) has to act" in acting["blocked"]
    assert "hours together" not in page


def test_a_long_list_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more tenants are not GO than the page lists, the worst are listed, and the page says how many there are."""
    monkeypatch.setattr("gt_conformance.fleet_report._queries.MOST_TENANTS", 3)
    tenants = {f"mild-{n}": fleets.blocked() for n in range(5)} | {f"worst-{n}": BAD for n in range(2)}
    _write(tmp_path, tenants)
    _report(tmp_path)
    page = _documents(tmp_path)["fleet.html"]
    listed = page.partition('id="tenants"')[2].partition("</section>")[0]
    assert "The 3 worst of 7. All of them:" in listed
    assert [name in listed for name in ("worst-0", "worst-1", "mild-0", "mild-1")] == [True, True, True, False]
    assert 'data-left-out="4"' in listed


def test_hostile_words_make_no_markup(tmp_path: Path) -> None:
    """What tenants are called, labelled and say is escaped and cut short in every document."""
    tenants = [
        JudgedTenant(
            f"{name} {text}",
            text,
            {f"{text}{n}": text * 999 for n in range(40)},
            fleets.violating("chat.completes", f"check {text}", remedy=f"{text}{text * 999}"),
            None,
        )
        for name, text in HOSTILE.items()
    ]
    mute = [JudgedTenant(name, text, {}, None, f"{text} " * 999) for name, text in HOSTILE.items()]
    write_night(tmp_path, TONIGHT, [*tenants, *mute])
    assert _report(tmp_path, "--history").code == 1
    documents = _documents(tmp_path)
    bare = documents["fleet.html"].partition("<body>")[2].partition("<script>")[0]
    for spoilt in ("<script>alert", "<img", 'onmouseover="', "autofocus onfocus='", "\x00", "\x1b", "\u202e", "\u2066"):
        assert spoilt not in bare
    assert not set(documents["notify.txt"]) & set("<>[]@\x00\x1b\u202e")
    assert "https://" not in documents["notify.txt"]
    assert "](https" not in documents["summary.md"].replace("\\]", "")
    assert all(len(text) < 500_000 for text in documents.values())
    assert len(documents["notify.txt"].encode()) <= 3_000


# -- files


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    """Where a document of that name is there that this suite did not write, nothing is written."""
    _write(tmp_path, {"a": GOOD})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("mine")
    found = _report(tmp_path)
    assert (found.code, "was not written by gt-conformance" in found.stderr) == (4, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.md"]
    (tmp_path / "out" / "summary.md").unlink()
    assert _report(tmp_path).code == 0
    assert _report(tmp_path).code == 0, "our own files are"


def test_a_tenant_that_could_not_be_judged_says_why(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """Without a record the reason is the error; an older record is not shown as if it were tonight's."""
    for ago in (0, 1):
        (tmp_path / "records" / _ago(ago).isoformat()).mkdir(parents=True)
    problem = {"tenant": "acme", "problem": "the key 'chat' has no secret."}
    (tmp_path / "records" / TONIGHT.isoformat() / "acme.problem.json").write_text(json.dumps(problem))
    found = _report(tmp_path, "--tenant", "acme")
    said = f"On {TONIGHT} it could not be judged: the key 'chat' has no secret."
    assert (found.code, said in found.stderr) == (4, True)
    older = tmp_path / "records" / _ago(1).isoformat() / "acme.json.gz"
    older.write_bytes(gzip.compress(json.dumps(shared_runs.of_dify(tmp_path_factory).record).encode()))
    found = _report(tmp_path, "--tenant", "acme")
    assert found.code == 0
    assert f"warning: this is the record of {_ago(1)}; on {TONIGHT} it could not be judged: the key" in found.stderr


def test_an_empty_table_is_an_error(tmp_path: Path) -> None:
    """A folder in which there is no night yet has no report."""
    (tmp_path / "outcomes").mkdir()
    found = _report(tmp_path)
    assert (found.code, "there is no night in this table" in found.stderr) == (4, True)


# -- one tenant


def test_a_tenant_has_its_own_documents_from_its_record(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """``--tenant`` renders compliance.html from the last record of the tenant, verified; the table is not needed."""
    record = shared_runs.of_dify(tmp_path_factory).record
    home = tmp_path / "records" / TONIGHT.isoformat()
    home.mkdir(parents=True)
    (home / "acme.json.gz").write_bytes(gzip.compress(json.dumps(record).encode()))
    found = _report(tmp_path, "--tenant", "acme")
    assert (found.code, found.stderr) == (0, "")
    assert found.stdout.endswith(f"compliance.html, of the night {TONIGHT}\n")
    assert record["run"]["id"] in (tmp_path / "out" / "compliance.html").read_text()
    changed = {**record, "totals": {**record["totals"], "conforms": 1}}
    (home / "acme.json.gz").write_bytes(gzip.compress(json.dumps(changed).encode()))
    assert _report(tmp_path, "--tenant", "acme").code == 4


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd", "..", "a/b", "", "a\x00b", "x" * 999])
def test_a_tenant_without_a_record_is_an_error_of_one_line(name: str, tmp_path: Path) -> None:
    """A name that is no id reaches no other file."""
    (tmp_path / "records" / TONIGHT.isoformat()).mkdir(parents=True)
    found = _report(tmp_path, "--tenant", name)
    assert found.code == 4
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1

"""Outcomes as a table: what ``table.write`` writes, and what ``fleet query`` says of a folder of it."""

import ast
import csv
import io
import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gt_conformance import results, session, table
from gt_conformance import tenant as tenants
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.table._causes import NAMED_CAUSES
from gt_conformance.tenant import TenantKind
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from tests import fleets, made_records
from tests.commands import Finished, in_process
from tests.direct import direct
from tests.fleets import TONIGHT, judged, write_night
from tests.records import HOSTILE


def _ask(folder: Path | str, query: str, *words: str) -> Finished:
    cwd = folder if isinstance(folder, Path) else Path()
    return in_process("fleet", "query", str(folder), query, *words, cwd=cwd)


def _rows(folder: Path | str, query: str) -> list[dict[str, Any]]:
    found = _ask(folder, query, "--format", "json")
    assert found.code == 0, found.stderr
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    return rows


@pytest.fixture(scope="module")
def real() -> Record:
    """The record of a real run in which a check violates and the secret of one key is wrong."""
    return _run({})


def _run(names: dict[str, str]) -> Record:
    """The same on a tenant whose operator calls its keys otherwise."""
    faults = select_faults(["embeddings-of-two-lengths"])
    with EmbeddedTenant(middleware=faults.middleware) as running:
        document = json.loads(json.dumps(running.tenant_document()))
        document["keys"] = {names.get(name, name): key for name, key in document["keys"].items()}
        for key in document["keys"].values():
            if "inherits" in key:
                key["inherits"] = [names.get(name, name) for name in key["inherits"]]
        secrets = {**running.secrets, "GT_EMBEDDED_RAG": "gtk_" + "5e" * 20}
        tenant = tenants.from_mapping(document, secrets, kind=TenantKind.EMBEDDED, name="acme.yaml")
        planned = session.plan(tenant, selection=Selection(("generic-openai-http",)))
        return session.run(planned, sender=direct(running, tenant))


# -- what is written


def test_a_real_record_becomes_a_row_for_each_thing_in_it(real: Record, tmp_path: Path) -> None:
    """One row for the tenant, one for each finding, one for each case: what the record says, in its own words."""
    write_night(tmp_path, TONIGHT, {"acme": real})
    rows = _rows(tmp_path, "select * from outcomes")
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert list(rows[0]) == list(table.COLUMNS)
    assert [row["decision"] for row in by_kind["tenant"]] == [real["decision"]]
    assert by_kind["tenant"][0]["requests"] == real["traffic"]["requests"]
    assert by_kind["tenant"][0]["cases"] == len(list(results.cases(real)))
    found = {(one["outcome"], one["severity"], one["acts"], one["check"]) for one in real["findings"]}
    assert {(row["outcome"], row["severity"], row["acts"], row["check"]) for row in by_kind["finding"]} == found
    assert len(by_kind["finding"]) == len(real["findings"])
    kinds = ("row", "item", "tenant_check")
    cases = {(row["case"], row["outcome"]) for kind in kinds for row in by_kind[kind]}
    assert cases == {(case.id, case.outcome.value) for case in results.cases(real)}
    ids = {row["finding"] for row in by_kind["finding"]}
    assert {row["finding"] for kind in kinds for row in by_kind[kind] if row["outcome"] != "conforms"} <= ids
    assert all(row["route"] and row["verdict"] for row in by_kind["row"])


def test_equal_tenants_give_equal_bytes(tmp_path: Path) -> None:
    """The file of a part hangs on its tenants alone, in whatever order they come."""
    some = [judged(f"t{number}", fleets.violating("chat.completes")) for number in range(20)]
    one = write_night(tmp_path / "a", TONIGHT, some)
    other = write_night(tmp_path / "b", TONIGHT, some[::-1])
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in one.parent.iterdir()] == [one.name], "a draft was left"


def test_a_part_of_many_tenants_is_small(real: Record, tmp_path: Path) -> None:
    """A tenant takes at most 2 kB of a part of many, labels and findings included."""
    number = 200
    path = write_night(tmp_path, TONIGHT, [judged(f"t{n:05d}", real, {"owner": f"team-{n}"}) for n in range(number)])
    assert path.stat().st_size / number <= 2_000


def test_a_tenant_without_a_record_has_a_row_that_says_why(tmp_path: Path) -> None:
    """What could not be judged is one row: NOT DECIDED, with its problem."""
    write_night(tmp_path, TONIGHT, {"acme": "The secret of the key chat is not set."})
    [row] = _rows(tmp_path, "select kind, decision, outcome, says, cases, labels from outcomes")
    assert row == {
        "kind": "tenant",
        "decision": "NOT DECIDED",
        "outcome": "blocked",
        "says": "The secret of the key chat is not set.",
        "cases": 0,
        "labels": fleets.LABELS,
    }


def test_hostile_words_are_data(tmp_path: Path) -> None:
    """Whatever tenants are called and say is a text of the table, cut short, without what affects a reader."""
    tenants = [
        judged(f"{name} {text}", fleets.violating("chat.completes", remedy=text), {text: text * 500})
        for name, text in HOSTILE.items()
    ]
    write_night(tmp_path, TONIGHT, [*tenants, *(judged(name, text) for name, text in HOSTILE.items())])
    for words in ((), ("--format", "csv"), ("--format", "json")):
        found = _ask(tmp_path, "select tenant, labels, remedy, says from tenants", *words)
        assert (found.code, found.stderr) == (0, "")
        assert not set(found.stdout) & set("\x00\x1b\x7f\x85\u202e\u2066\u061c\u200b")
    longest = "select max(length(label)) < 300 as cut from (select unnest(map_values(labels)) as label from tenants)"
    assert _rows(tmp_path, longest) == [{"cut": True}]


def test_what_no_column_can_hold_costs_no_other_tenant(tmp_path: Path) -> None:
    """A record with a moment that is none, and numbers that are none, has its row, with nothing in their place."""
    odd = fleets.conforming(started="yesterday", duration_s=float("nan"))
    odd["traffic"]["tokens"] = 10**40
    write_night(tmp_path, TONIGHT, {"odd": odd, "sound": fleets.conforming()})
    rows = _rows(tmp_path, "select tenant, started is null as s, seconds is null as d, tokens > 9e17 from tenants")
    assert [list(row.values()) for row in rows] == [["odd", True, True, True], ["sound", False, False, False]]


# -- one cause, one id


def test_a_cause_has_one_id_whatever_a_tenant_calls_its_keys(real: Record, tmp_path: Path) -> None:
    """Two tenants with the same faults, whose keys have other names, have the same findings."""
    write_night(tmp_path, TONIGHT, {"acme": real, "zeta": _run({"chat": "support-desk", "rag": "kb", "app": "main"})})
    found = _rows(tmp_path, "select tenant, finding from findings")
    of = {name: {row["finding"] for row in found if row["tenant"] == name} for name in ("acme", "zeta")}
    own = {one["id"] for one in real["findings"]}
    assert of["acme"] == of["zeta"]
    assert of["acme"] - own, "none of the ids held a word of the tenant's own: nothing was shown"
    assert of["acme"] & own, "an id that no word of a tenant is in stays as it is"


def test_a_remedy_that_tells_a_cause_tells_it_without_names(tmp_path: Path) -> None:
    """Where the remedy is the cause, the id is of the remedy without keys, models, files, variables and addresses."""
    made = {}
    for tenant, key, model, more in (
        ("acme", "chat", "field-analyst", "in acme.yaml, or set GT_KEY_ACME for https://acme.example/api."),
        ("zeta", "support", "gpt-9", "in tenants/zeta.yaml, or set ZETA_KEY for https://zeta.example."),
    ):
        remedy = f"Complete a chat with {model} and the key {key}; correct it {more}"
        record = fleets.violating("chat.completes", remedy=remedy)
        record["credentials"] = [made_records.credential(key, models=[model])]
        made[tenant] = record
    other = fleets.violating("chat.completes", remedy="Complete a chat with the key that is meant.")
    write_night(tmp_path, TONIGHT, {**made, "other": other})
    ids = {row["tenant"]: row["finding"] for row in _rows(tmp_path, "select tenant, finding from findings")}
    assert ids["acme"] == ids["zeta"] != ids["other"] == other["findings"][0]["id"]


def test_every_cause_that_names_something_is_known() -> None:
    """A cause in the checks that is put together from words is either of our own words, or listed as holding a name."""
    ours = {
        "answers:{}",
        "chat:{}",
        "refusal:{}",
        "without a key, {}",
        "boundary:{}",
        "processing:failed {}",
        "unknown to the chat: {}",
        "processing:{}{}",
        "processing:not ready{}",
        "prompts:{}",
        "name for {}",
        "model for {}",
        "no key for {}",
        "keys alike {}",
    }
    paths = [
        path
        for folder in ("checks", "runner", "tenant", "judgement")
        for path in (Path(table.__file__).parents[1] / folder).glob("*.py")
    ]
    causes = [
        node.value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "cause"
    ]
    found = {
        "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in text.values)
        for cause in causes
        for text in ast.walk(cause)
        if isinstance(text, ast.JoinedStr)
    }
    listed = {re.sub(r"^(ability(?= {} [A-Z])|unable) {} [A-Za-z]+", r"\1 {} {}", cause) for cause in NAMED_CAUSES}
    new = found - ours - listed
    assert not new, "a cause with a tenant's own word belongs to NAMED_CAUSES, one with a word of ours to this test"
    assert listed - found <= {"internal:{}", "the answer tells what the key {} uploaded to a conversation of its own"}


# -- what is read


def test_a_broken_file_is_named_and_hides_no_other(tmp_path: Path) -> None:
    """What is no Parquet file, or is damaged inside, is left out with its name; the exit code says so."""
    good = write_night(tmp_path, TONIGHT, {f"good-{n}": fleets.conforming() for n in range(50)})
    folder = good.parent
    (folder / "text.parquet").write_text("nonsense")
    damaged = bytearray(
        write_night(tmp_path, TONIGHT, {"lost": fleets.violating("chat.completes")}, "zeta").read_bytes()
    )
    damaged[8:400] = os.urandom(392)
    (folder / "zeta.parquet").write_bytes(damaged)
    (folder / "cut.parquet").write_bytes(good.read_bytes()[:-100])
    (folder / "it's [odd].parquet").write_bytes(good.read_bytes())
    found = _ask(
        tmp_path, "select count(*) as number, max(says) from outcomes where kind = 'tenant'", "--format", "csv"
    )
    assert found.code == 4
    assert found.stdout.splitlines()[1].startswith("50,")
    for name in ("text.parquet", "zeta.parquet", "cut.parquet", "it's [odd].parquet"):
        assert f"{name}: this part of the table is left out" in found.stderr


def test_another_table_is_no_part_of_this_one(tmp_path: Path) -> None:
    """A Parquet file whose columns are of another type, or are not there, is left out with what is wrong in it."""
    good = write_night(tmp_path, TONIGHT, {"acme": fleets.conforming()})
    duckdb.execute(f"copy (select 1 as night, 'x' as tenant, 'row' as kind) to '{good.with_name('other.parquet')}'")
    found = _ask(tmp_path, "select count(*) as number from tenants", "--format", "csv")
    assert (found.code, found.stdout) == (4, "number\n1\n")
    assert "other.parquet: this part of the table is left out: it is not a part of a table: see its" in found.stderr


def test_a_tenant_in_two_parts_of_a_night_counts_once(tmp_path: Path) -> None:
    """After a night that was run again in other shards, a tenant is there once: as the last part by name has it."""
    write_night(tmp_path, TONIGHT, {"acme": fleets.violating("chat.completes"), "only": fleets.conforming()}, "1-of-1")
    write_night(tmp_path, TONIGHT, {"acme": fleets.conforming()}, "1-of-2")
    assert _rows(tmp_path, "select tenant, outcome from tenants order by 1") == [
        {"tenant": "acme", "outcome": "conforms"},
        {"tenant": "only", "outcome": "conforms"},
    ]
    assert _rows(tmp_path, "select * from findings") == []


def test_latest_is_the_last_night(tmp_path: Path) -> None:
    """``latest`` has the rows of the last night that there is, whatever the day is."""
    for ago in (0, 1, 5):
        write_night(tmp_path, TONIGHT - timedelta(days=ago), {f"t{ago}": fleets.conforming()})
    assert _rows(tmp_path, "select night, tenant from latest where kind = 'tenant'") == [
        {"night": TONIGHT.isoformat(), "tenant": "t0"}
    ]


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to 'outcomes/x.parquet'",
        "select 1; drop view outcomes",
        "drop view outcomes",
        "set memory_limit = '1TB'",
        "install httpfs",
        "attach 'x.db'",
        "create table x as select 1",
        "selec 1",
        "select nothing from outcomes",
        "select * from read_text('/etc/hostname')",
        "select * from read_csv('/etc/hostname')",
        "select * from '/etc/hostname'",
        "select cast(tenant as integer) from tenants",
        "",
    ],
)
def test_a_query_reads_the_table_and_nothing_else(query: str, tmp_path: Path) -> None:
    """What is no single SELECT, fails, or asks for another file is refused in one line, and changes nothing."""
    path = write_night(tmp_path, TONIGHT, {"acme": fleets.conforming()})
    before = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")}
    found = _ask(tmp_path, query)
    assert (found.code, found.stdout) == (4, "")
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")} == before
    assert path.is_file()


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    """Characters that DuckDB would take for a pattern or for the end of a text are no part of a query."""
    folder = tmp_path / 'it\'s [a] *? "folder"'
    write_night(folder, TONIGHT, {"acme": fleets.conforming()})
    assert _rows(folder, "select tenant from tenants") == [{"tenant": "acme"}]


@pytest.mark.parametrize("where", ["nowhere", "s3://bucket/nights", "s3://bucket/*/*.parquet"])
def test_a_table_that_is_not_there_is_an_error_of_one_line(where: str, tmp_path: Path) -> None:
    """A folder without outcomes, and an address that DuckDB cannot reach, are named; nothing is installed for it."""
    found = in_process("fleet", "query", where, "select 1", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert found.code == 4
    assert found.stderr.startswith(f"error: {where}")
    assert found.stderr.count("\n") == 1
    assert ("with an extension that you install once" in found.stderr) is where.startswith("s3:")
    assert list(tmp_path.iterdir()) == []


def test_an_address_is_read_as_a_folder_is(tmp_path: Path) -> None:
    """What is there is found by an address too; where no file is, that is an error and not an empty table."""
    write_night(tmp_path / "nights", TONIGHT, {"acme": fleets.conforming()})
    nights = f"file://{tmp_path}/nights"
    found = in_process("fleet", "query", nights, "select tenant from tenants", "--format", "json", cwd=tmp_path)
    assert json.loads(found.stdout) == [{"tenant": "acme"}]
    missing = f"file://{tmp_path}/days"
    found = in_process("fleet", "query", missing, "select 1", cwd=tmp_path)
    assert found.code == 4
    assert found.stderr.startswith(f"error: {missing}: there is no table here: no file has a name like {missing}/")


def test_csv_is_no_program(tmp_path: Path) -> None:
    """A text that a spreadsheet would take for a formula is none; a number stays one."""
    write_night(tmp_path, TONIGHT, {"=cmd()": fleets.conforming()})
    found = _ask(tmp_path, "select tenant, -1 as number, null as nothing from tenants", "--format", "csv")
    assert list(csv.reader(io.StringIO(found.stdout))) == [["tenant", "number", "nothing"], ["'=cmd()", "-1", ""]]


def test_a_long_answer_says_what_it_leaves_out(tmp_path: Path) -> None:
    """A table for people has so many rows at most, and says so; csv has them all."""
    write_night(tmp_path, TONIGHT, {"acme": fleets.conforming()})
    query = "select i, 'text' as word from range(3000) numbers(i)"
    assert "... and more than these 1000 rows: --format csv has all of them." in _ask(tmp_path, query).stdout
    assert len(_ask(tmp_path, query, "--format", "csv").stdout.splitlines()) == 3001


def test_without_duckdb_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the command says how to get it."""
    write_night(tmp_path, TONIGHT, {"acme": fleets.conforming()})
    monkeypatch.setitem(sys.modules, "duckdb", None)
    found = _ask(tmp_path, "select 1")
    assert (found.code, found.stderr) == (4, "error: DuckDB is not installed. Install gt-conformance[fleet].\n")

"""fleet run: many tenants in one event loop, each recorded, none of which stops another."""

import gzip
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import results, table
from gt_conformance.fleet import Progress, Summary, judge_tenants, load_fleet
from gt_conformance.fleet._folder import Folder
from gt_sandbox.faults import FAULTS, FaultSet
from gt_sandbox.fleet import EmbeddedFleet
from gt_sandbox.middleware import Call, delay, is_any, per_call
from tests.commands import in_process

NIGHT = date(2026, 11, 27)
ONE_RUNBOOK = {"schedule": [{"every": "1d", "runbooks": ["aider"]}]}
IDS = [f"t-{number}" for number in range(12)]
FAULT, NOWHERE, NO_SECRET = "t-2", "t-5", "t-7"


@dataclass(frozen=True)
class Night:
    """A night of the fleet, as the command judged it."""

    file: Path
    out: Path
    code: int
    said: str

    @property
    def records(self) -> Path:
        """Where the records are."""
        return self.out / "records" / NIGHT.isoformat()

    def outcomes(self) -> dict[str, tuple[str, bool]]:
        """Tenant to its decision, and whether it has a record."""
        with table.open_table(self.out) as opened:
            rows = opened.rows("SELECT tenant, decision, run IS NOT NULL FROM latest WHERE kind = 'tenant'")
        return {tenant: (decision, was_judged) for tenant, decision, was_judged in rows}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Twelve tenants: one with a fault, one at an address where nobody listens, one without its secrets."""
    folder = tmp_path_factory.mktemp("fleet")
    altered = {FAULT: FaultSet((FAULTS["chat-500"],)).middleware}
    with EmbeddedFleet(IDS, altered=altered) as fleet:
        file = fleet.write(folder, unreachable=[NOWHERE], without_secrets=[NO_SECRET], more=ONE_RUNBOOK)
        out = folder / "out"
        done = in_process("fleet", "run", file, "--out", out, "--night", NIGHT.isoformat(), cwd=folder)
        yield Night(file, out, done.code, done.said)


def test_what_is_broken_is_found_and_nothing_else(night: Night) -> None:
    """The fault, the address and the missing secret are each found at their tenant; all others conform; exit code 0."""
    assert (night.code, "11 recorded, 1 could not be judged" in night.said) == (0, True), night.said
    assert f"not judged: {NO_SECRET}: " in night.said
    expected = dict.fromkeys(IDS, ("GO", True))
    expected |= {FAULT: ("NO-GO", True), NOWHERE: ("UNREACHABLE", True), NO_SECRET: ("NOT DECIDED", False)}
    assert night.outcomes() == expected


def test_each_tenant_has_a_record_or_why_there_is_none(night: Night) -> None:
    """A record is one of results.json, compressed; a problem names the tenant and what is missing, and no more."""
    names = {path.name for path in night.records.iterdir()}
    assert names == {f"{tenant}.json.gz" for tenant in IDS if tenant != NO_SECRET} | {f"{NO_SECRET}.problem.json"}
    record = results.read(night.records / "t-0.json.gz")
    assert record["run"]["tenant"]["base_url"].endswith("/t/t-0/api/tenant")
    assert record["suite_errors"] == []
    problem = json.loads((night.records / f"{NO_SECRET}.problem.json").read_text(encoding="utf-8"))
    assert problem["tenant"] == NO_SECRET
    assert "takes its secret from the file" in problem["problem"]


def test_no_record_holds_a_secret(night: Night) -> None:
    """Of all secrets of all tenants none is in a record, a problem or the outcomes, as it is or packed."""
    secrets = [path.read_bytes() for path in (night.file.parent / "secrets").rglob("*") if path.is_file()]
    assert secrets
    for path in night.out.rglob("*.*"):
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        assert not any(secret in content for secret in secrets), path


def test_what_has_a_record_is_left_out(night: Night) -> None:
    """Judging again judges what has none: a tenant whose secrets are there by now; the records stay as they are."""
    before = {path.name: path.stat().st_mtime_ns for path in night.records.glob("*.json.gz")}
    fleet = load_fleet(night.file)
    summary = judge_tenants(fleet, fleet.tenants, night.out, night=NIGHT, part="00000-of-00001")
    assert (summary.progress.left_out, summary.progress.problems, summary.exit_code) == (11, 1, 0)
    assert {path.name: path.stat().st_mtime_ns for path in night.records.glob("*.json.gz")} == before


def test_the_outcomes_of_a_restarted_shard_are_the_same_bytes(night: Night) -> None:
    """A part is made of the records and problems that are there, whoever wrote them."""
    part = night.out / "outcomes" / NIGHT.isoformat() / "00000-of-00001.parquet"
    before = part.read_bytes()
    part.unlink()
    fleet = load_fleet(night.file)
    judge_tenants(fleet, fleet.tenants, night.out, night=NIGHT, part="00000-of-00001")
    assert part.read_bytes() == before


def test_earlier_nights_are_the_past_of_a_tenant(night: Night) -> None:
    """What a night measured counts for the promises of the next one, for that tenant at that address alone."""
    folder = Folder(night.out, date(2026, 11, 28))
    base_url = results.read(night.records / "t-0.json.gz")["run"]["tenant"]["base_url"]
    past = folder.past("t-0", base_url).run(0, embedded=True)
    assert past is not None
    assert past.run == results.read(night.records / "t-0.json.gz")["run"]["id"]
    assert folder.past("t-0", base_url).run(1, embedded=True) is None
    assert folder.past("t-0", base_url).run(0, embedded=False) is None
    assert folder.past("t-1", base_url).run(0, embedded=True) is None
    assert Folder(night.out, NIGHT).past("t-0", base_url).run(0, embedded=True) is None


# -- what goes wrong on this machine, or on purpose


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Path]:
    """The fleet file of three tenants that conform."""
    with EmbeddedFleet(IDS[:3]) as fleet:
        yield fleet.write(tmp_path / "fleet", more=ONE_RUNBOOK)


def _judge(file: Path, **more: Any) -> Summary:
    fleet = load_fleet(file)
    out = file.parent / "out"
    return judge_tenants(fleet, fleet.tenants, out, night=NIGHT, part="00000-of-00001", **more)


def _recorded(file: Path) -> list[str]:
    folder = file.parent / "out" / "records" / NIGHT.isoformat()
    return sorted(path.name.removesuffix(".json.gz") for path in folder.glob("*.json.gz") if path.is_file())


def test_a_record_that_cannot_be_written_costs_that_tenant(three: Path) -> None:
    """The others are recorded, the summary names the tenant and why, and the exit code is 3."""
    (three.parent / "out" / "records" / NIGHT.isoformat() / "t-1.json.gz").mkdir(parents=True)
    summary = _judge(three)
    assert _recorded(three) == ["t-0", "t-2"]
    assert summary.exit_code == 3
    assert [fault for fault in summary.faults if fault.startswith("t-1: its record cannot be kept: ")]


def test_a_fault_of_the_suite_costs_that_tenant(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised while one tenant is judged, the others are recorded; the fault is named without its text."""
    from gt_conformance.session import Session  # noqa: PLC0415 - what is broken here

    record = Session.record

    def broken(session: Session) -> results.Record:
        if "/t/t-1/" in session.plan.tenant.base_url:
            raise LookupError("gtak_secret")
        return record(session)

    monkeypatch.setattr(Session, "record", broken)
    summary = _judge(three)
    assert _recorded(three) == ["t-0", "t-2"]
    assert summary.exit_code == 3
    assert len(summary.faults) == 1
    assert summary.faults[0].startswith("t-1: LookupError at ")
    problem = three.parent / "out" / "records" / NIGHT.isoformat() / "t-1.problem.json"
    assert "gtak_secret" not in problem.read_text(encoding="utf-8")


def test_a_signal_ends_what_is_under_way_and_judging_again_goes_on(three: Path) -> None:
    """What was not finished has no record and no problem, and no part is written; the next time it is judged."""

    def interrupt(progress: Progress) -> None:
        if progress.recorded:
            os.kill(os.getpid(), signal.SIGTERM)

    summary = _judge(three, at_once=1, watch=interrupt)
    assert (summary.exit_code, summary.interrupted) == (2, "SIGTERM")
    assert len(_recorded(three)) == 1
    folder = three.parent / "out"
    assert not list(folder.rglob("*.problem.json"))
    assert not list(folder.rglob("*.parquet"))
    again = _judge(three)
    assert (again.progress.left_out, again.progress.recorded, again.exit_code) == (1, 2, 0)
    assert list(folder.rglob("*.parquet"))


def test_a_tenant_that_never_answers_is_bounded(tmp_path: Path) -> None:
    """It is recorded as what it is, within the limits of its tenant file, beside one that answers."""
    with EmbeddedFleet(IDS[:2], altered={"t-1": [delay(3600, is_any)]}) as fleet:
        file = fleet.write(tmp_path / "fleet", limits={"run_timeout_s": 3}, more=ONE_RUNBOOK)
        summary = _judge(file)
    assert (summary.progress.recorded, summary.exit_code) == (2, 0)
    record = results.read(tmp_path / "fleet" / "out" / "records" / NIGHT.isoformat() / "t-1.json.gz")
    assert {check["outcome"] for check in record["tenant_checks"]} == {"blocked"}


# -- what tenants share


def test_tenants_behind_a_gateway_share_its_budget(tmp_path: Path) -> None:
    """However many are judged at once, the gateway has no more requests under way than it takes."""
    under_way, most = 0, 0

    @per_call
    async def counted(call: Call) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await call.forward()
        finally:
            under_way -= 1

    gateway = {"gateways": {"eu": {"requests_per_minute": 60_000, "concurrency": 4}}}
    with EmbeddedFleet(IDS[:4], middleware=[delay(0.01, is_any), counted]) as fleet:
        file = fleet.write(tmp_path / "fleet", more={**ONE_RUNBOOK, **gateway})
        document = json.loads(file.read_text(encoding="utf-8"))
        document["lists"][0]["gateway"] = "eu"
        file.write_text(json.dumps(document), encoding="utf-8")
        summary = _judge(file, shards=2)
    assert summary.progress.recorded == 4
    assert most == 2, "of two shards each has a half"


@pytest.mark.skipif(sys.platform == "win32", reason="the command of the test is a shell script")
def test_secret_commands_do_not_run_all_at_once(tmp_path: Path) -> None:
    """As many tenants' commands run side by side as the fleet file says; that each was asked shows in its answers."""
    log, script = tmp_path / "log", tmp_path / "vault"
    script.write_text(
        f"#!/bin/sh\necho + >>'{log}'\nsleep 0.2\necho - >>'{log}'\n"
        f"cat '{tmp_path}/fleet/secrets/'$1/GT_EMBEDDED_CHAT\n",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with EmbeddedFleet(IDS[:4]) as fleet:
        file = fleet.write(tmp_path / "fleet", more={**ONE_RUNBOOK, "secrets_at_once": 2})
        template = file.parent / "tenant.yaml"
        document = json.loads(template.read_text(encoding="utf-8"))
        entry = {name: value for name, value in document["keys"]["chat"].items() if "secret" not in name}
        document["keys"] = {"chat": {**entry, "secret_command": [str(script), "{id}"]}}
        document["runbooks"] = {}
        template.write_text(json.dumps(document), encoding="utf-8")
        summary = _judge(file)
    assert (summary.progress.recorded, summary.progress.problems) == (4, 0)
    running = most = 0
    for sign in log.read_text(encoding="utf-8").split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert most == 2


def test_shards_share_nothing_but_the_folder(three: Path, tmp_path: Path) -> None:
    """Two shards judge each tenant once between them, and their parts are one table."""
    counts = []
    for index in range(2):
        words: Mapping[str, Any] = {"cwd": tmp_path}
        out, night = three.parent / "out", NIGHT.isoformat()
        done = in_process("fleet", "run", three, "--out", out, "--shard", f"{index}/2", "--night", night, **words)
        assert done.code == 0, done.said
        counts.append(len(_recorded(three)))
    assert counts[-1] == 3
    with table.open_table(three.parent / "out") as opened:
        rows = opened.rows("SELECT tenant FROM latest WHERE kind = 'tenant' ORDER BY tenant")
    assert [tenant for (tenant,) in rows] == IDS[:3]


def test_a_night_in_two_selections_of_labels_is_one_table(three: Path, tmp_path: Path) -> None:
    """What was recorded of the tenants that --label leaves out stays; those that were never judged have no row."""
    rows = (three.parent / "tenants.csv").read_text("utf-8").splitlines()
    labelled = [f"{row},{label}" for row, label in zip(rows, ("region", "eu", "us", "ap"), strict=True)]
    (three.parent / "tenants.csv").write_text("\n".join(labelled) + "\n", "utf-8")
    three.write_text(json.dumps(json.loads(three.read_text("utf-8")) | {"labels": {"region": "any"}}), "utf-8")
    out = three.parent / "out"
    for region in ("eu", "us"):
        words = ("--out", out, "--night", NIGHT.isoformat(), "--label", f"region={region}")
        assert in_process("fleet", "run", three, *words, cwd=tmp_path).code == 0
    with table.open_table(out) as opened:
        found = opened.rows("SELECT tenant, decision FROM latest WHERE kind = 'tenant' ORDER BY tenant")
    assert found == [("t-0", "GO"), ("t-1", "GO")]


def test_a_record_that_is_none_is_a_problem_of_its_tenant(three: Path) -> None:
    """Whatever somebody put in the place of a record, the outcomes of the others are written, and it is named."""
    folder = three.parent / "out" / "records" / NIGHT.isoformat()
    folder.mkdir(parents=True)
    (folder / "t-0.json.gz").write_bytes(gzip.compress(b'{"run": 1}'))
    (folder / "t-1.json.gz").write_bytes(b"\x1f\x8b cut short")
    summary = _judge(three)
    assert (summary.progress.left_out, summary.exit_code) == (2, 0)
    with table.open_table(three.parent / "out") as opened:
        rows = opened.rows("SELECT tenant, decision, says FROM latest WHERE kind = 'tenant' ORDER BY tenant")
    assert [decision for _, decision, _ in rows] == ["NOT DECIDED", "NOT DECIDED", "GO"]
    assert [("schema_version" in rows[0][2]), ("not JSON" in rows[1][2])] == [True, True]

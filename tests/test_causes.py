"""One decision and one cause, over real runs: faults, selections, waivers and interruptions of one live tenant."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from gt_conformance import comparison, plan, resources, results
from gt_conformance.attestation import Attestations
from gt_conformance.dated_entries import address_of
from gt_conformance.errors import Location
from gt_conformance.judgement import HumanInput
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.session import Session, load_human_input
from gt_conformance.tenant import TenantKind, from_mapping
from gt_conformance.vocabulary import Decision, Outcome, Route
from gt_conformance.waiver import Waiver, Waivers
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from tests.direct import direct

BOOKS = load_directory(resources.runbooks_dir())
FAULTS = ("", "chat-500", "stream-of-crlf", "key-echoed")
"""None; one that takes a route down; one that a single client cannot take; one of the boundary."""
SELECTIONS = {"whole": Selection(runbooks=("dify",)), "chat": Selection(runbooks=("dify",), routes=(Route.CHAT,))}


@dataclass(frozen=True)
class Scene:
    """What is wrong with the tenant, how much of a runbook is selected, and how the run ends."""

    fault: str
    selection: str
    ending: str

    def __str__(self) -> str:
        """As a test is named."""
        return f"{self.fault or 'faultless'}-{self.selection}-{self.ending.replace(' ', '_')}"


SCENES = (
    *(Scene(fault, "whole", "to its end") for fault in FAULTS),
    *(Scene(fault, "chat", "to its end") for fault in ("", "stream-of-crlf")),
    *(Scene(fault, "whole", "interrupted") for fault in ("", "chat-500")),
)


def judged(scene: Scene) -> Record:
    """A run of a tenant that passes for a live one, in which everything is attested that needs it."""
    faults = select_faults([scene.fault] if scene.fault else [])
    with EmbeddedTenant(middleware=faults.middleware, marked=False) as running:
        tenant = from_mapping(running.tenant_document(), running.secrets, kind=TenantKind.LIVE, name="acme.yaml")
        sample = load_human_input(BOOKS, sample=True)
        there = address_of(tenant)
        attested = tuple(replace(entry, tenant=there) for entry in sample.attestations.entries)
        known = HumanInput(Attestations(attested), sampled_on=sample.sampled_on)
        planned = plan(tenant, BOOKS, selection=SELECTIONS[scene.selection])
        with Session(planned, human_input=known, sender=direct(running, tenant)) as session:
            for case in planned.cases[:1] if scene.ending == "interrupted" else planned.cases:
                session.judgement(case)
            if scene.ending == "interrupted":
                session.interrupt("SIGTERM")
        record = session.record()
    assert not record["suite_errors"], record["suite_errors"][0]
    return record


@pytest.fixture(scope="module")
def records() -> Iterator[dict[Scene, Record]]:
    """Each scene once, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield dict(zip(SCENES, pool.map(judged, SCENES), strict=True))


def everything_waived(record: Record) -> Record:
    """The record as it is where somebody has accepted all that it found."""
    today = datetime.now(UTC).date()
    return results.accept(record, Waivers(tuple(_waiver(one["id"], today) for one in record["findings"])))


@cache
def _waiver(finding: str, today: date) -> Waiver:
    return Waiver(
        runbook=None,
        row=None,
        item=None,
        check=None,
        reason="Known.",
        owner="A. Example",
        issue="",
        expires=today + timedelta(days=30),
        where=Location("accepted.yaml", 1),
        lines="lines 1-5",
        finding=finding,
    )


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_go_is_exit_0_of_a_whole_live_run_without_a_waiver(records: dict[Scene, Record], scene: Scene) -> None:
    """If and only if, accepted or not, and whatever it is compared with."""
    for record in (records[scene], everything_waived(records[scene])):
        before = records[Scene("key-echoed", "whole", "to its end")]
        compared: Record = {**record, "since": comparison.compare(before, record)}
        found, code = results.decide(compared), results.exit_code(compared)
        outcomes = {case.outcome for case in results.cases(record)}
        good = outcomes <= {Outcome.CONFORMS, Outcome.WAIVED} and scene.ending == "to its end"
        assert compared["decision"] == found == record["decision"]
        assert (code == 0) is good
        go = good and scene.selection == "whole" and Outcome.WAIVED not in outcomes
        assert (found is Decision.GO) is go, (found, outcomes)
        assert {book["decision"] for book in record["runbooks"]} == {found}
    if not scene.fault and scene.ending == "to its end":
        assert records[scene]["decision"] == (Decision.GO if scene.selection == "whole" else Decision.PARTIAL)


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_no_item_is_green_under_a_row_that_is_not(records: dict[Scene, Record], scene: Scene) -> None:
    """Whatever is wrong, and however little of it was judged; waived with its row, an item is not green either."""
    for record in (records[scene], everything_waived(records[scene])):
        for book in record["runbooks"]:
            rows = {row["route"]: row["outcome"] for row in book["routes"]}
            for item in book["checklist"]:
                worst = {rows.get(route, "conforms") for route in item.get("rests_on", ())}
                assert item["outcome"] != "conforms" or worst <= {"conforms"}, item["id"]


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_one_fault_is_one_finding(records: dict[Scene, Record], scene: Scene) -> None:
    """Of a whole run; none where nothing is wrong, and at most one of what was judged by then."""
    found = [one for one in records[scene]["findings"] if one["outcome"] == "violates"]
    assert len(found) <= bool(scene.fault)
    if scene.selection == "whole" and scene.ending == "to its end":
        assert len(found) == bool(scene.fault), [one["id"] for one in found]


@pytest.mark.parametrize("scene", [one for one in SCENES if one.fault], ids=str)
def test_each_line_of_a_finding_cites_the_exchange_that_it_speaks_of(
    records: dict[Scene, Record], scene: Scene
) -> None:
    """One that a check of the finding made, with its key, and with the status that the line tells of."""
    record = records[scene]
    by_finding: dict[str, list[tuple[str, str, str]]] = {}
    made = [check for case in results.cases(record) for check in case.checks] + record.get("footing", [])
    for check in made:
        for broken in check["breaches"]:
            assert broken["exchange"] in check["exchanges"]
            line = (broken["expected"], broken["found"], broken["exchange"] or "")
            by_finding.setdefault(broken.get("finding", ""), []).append(line)
    for finding in record["findings"]:
        for proof in finding["proofs"] if finding["outcome"] == "violates" else ():
            exchange = record["exchanges"][proof["exchange"] or ""]
            assert (proof["expected"], proof["found"], proof["exchange"]) in by_finding[finding["id"]]
            assert proof["credential"] == exchange["request"]["credential"]
            if told := re.match(r"HTTP (\d{3})\b", proof["found"]):
                assert exchange["response"] is not None
                assert exchange["response"]["status"] == int(told[1])

"""The clauses in compliance.html: which checks carry each, and what a run found."""

import copy
import re

import pytest

from gt_conformance.checks import BUILT_IN, clauses
from gt_conformance.report import _clause_table, render_html
from gt_conformance.report._clause_table import NOT_RUN, ClauseLine, clause_lines
from gt_conformance.results import Record, cases
from tests import shared_runs
from tests.records import of_runbooks


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of one whole run against the embedded tenant."""
    return shared_runs.conforming(tmp_path_factory).record


def line_of(record: Record, clause: str) -> ClauseLine:
    """The line of a clause."""
    return next(line for line in clause_lines(record) if line.clause.id == clause)


def test_each_clause_that_http_can_show_is_a_line(record: Record) -> None:
    """With every check that carries it; one without a check says why."""
    lines = clause_lines(record)
    assert [line.clause.id for line in lines] == [name for name, clause in clauses().items() if clause.is_promised]
    for line in lines:
        carrying = [name for name, check in BUILT_IN.items() if line.clause.id in check.clauses]
        assert [carrier.id for carrier in line.carriers] == carrying
        assert line.carriers or line.reason


def test_the_page_shows_clause_check_and_exchange(record: Record) -> None:
    """A row for each clause, which leads to the exchange and to the place of its checks."""
    page = render_html(record)
    [row] = re.findall(r'<tr id="clause-C8">(.*?)</tr>', page, re.DOTALL)
    assert "conforms" in row
    assert "<code>chat.streams</code>" in row
    assert re.search(r'href="#x\d+"', row)
    assert re.search(r'href="#[a-z0-9-]+-chat-native"', row)


def test_the_worst_of_its_checks_is_its_outcome(record: Record) -> None:
    """One that violates anywhere counts, with the exchange that proves it; others of the clause keep theirs."""
    broken = copy.deepcopy(record)
    [*_, check] = (one for case in cases(broken) for one in case.checks if one["id"] == "key.rotation")
    check["outcome"] = "violates"
    check["breaches"] = [
        {
            "expected": "refused",
            "found": "HTTP 200",
            "exchange": "x0007",
            "at": "",
            "remedy": "",
            "finding": "key.rotation~000000",
            "acts": "tenant",
            "severity": "critical",
        }
    ]
    line = line_of(broken, "K19")
    assert line.outcome == "violates"
    found = {carrier.id: (carrier.outcome, carrier.proof) for carrier in line.carriers}
    others = dict.fromkeys(("key.revocation", "embeddings.after_rotation"), ("conforms", None))
    assert found == {"key.rotation": ("violates", "x0007"), **others}
    assert "1 with a check that violates" not in _clause_table.count_lines(clause_lines(record))
    violating = sum(line.outcome == "violates" for line in clause_lines(broken))
    assert f"{violating} with a check that violates" in _clause_table.count_lines(clause_lines(broken))


def test_what_was_not_asked_is_not_said_to_conform(record: Record) -> None:
    """A run of one runbook leaves clauses of other routes as not run."""
    line = line_of(of_runbooks(record, "cursor"), "S6")
    assert line.outcome == NOT_RUN
    assert [carrier.outcome for carrier in line.carriers] == [NOT_RUN]


def test_what_is_judged_in_part_is_counted_as_such(record: Record) -> None:
    """A clause that gives a reason is never among those that merely conform."""
    lines = clause_lines(record)
    whole = sum(line.outcome == "conforms" and not line.reason for line in lines)
    assert f": {whole} conform, " in _clause_table.count_lines(lines)

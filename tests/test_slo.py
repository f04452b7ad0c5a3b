"""What the operator promises of the tenant's speed: judged over enough answers, and never at random."""

import copy
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import resources, results, session, shards, timing
from gt_conformance.checks import BUILT_IN, problems_of_ledger
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import Arrival, Exchange, Request
from gt_conformance.history import past_run
from gt_conformance.planning import EVERYTHING, Selection, require_known_mapping
from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.results.run_types import ObjectiveRecord
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import Measure, Objective, Tenant, TenantKind, from_mapping, objective_of_id, read_objectives
from gt_conformance.timing import Past, Verdict, judge, quantile
from gt_conformance.verification import verify
from gt_conformance.vocabulary import Outcome, Route
from gt_sandbox.faults import FAULTS
from tests.commands import in_process
from tests.fake_tenant import ALIAS, BASE_URL, FakeSender

BOOKS = load_directory(resources.runbooks_dir())

# -- the estimate and the verdict

SEEDS = range(100)
"""How many runs a claim about all of them is tried in."""
STREAMS = 57
"""About as many as a run of all runbooks has."""
NIGHTS = 30
"""As many as a history gives."""

Draw = Callable[[random.Random], float]
LATENCIES: Mapping[str, Draw] = {
    "narrow": lambda chance: 500 * math.exp(chance.gauss(0, 0.15)),
    "usual": lambda chance: 500 * math.exp(chance.gauss(0, 0.3)),
    "even": lambda chance: chance.uniform(100, 300),
    "queued": lambda chance: 200 + chance.expovariate(1 / 150),
    "one in ten is slow": lambda chance: (300 if chance.random() < 0.1 else 100) * math.exp(chance.gauss(0, 0.1)),
}
"""Milliseconds until the first event of a stream, however they are distributed."""


@cache
def truth(name: str) -> float:
    """The 95th percentile of these latencies, of very many of them."""
    chance = random.Random("truth")  # noqa: S311 - latencies, not secrets
    return quantile(sorted(LATENCIES[name](chance) for _ in range(100_000)), 0.95)


def nights(name: str, seed: int) -> list[list[float]]:
    """What the runs of a history measure of a tenant with these latencies, the newest first."""
    chance = random.Random(seed)  # noqa: S311 - latencies, not secrets
    return [[round(LATENCIES[name](chance), 1) for _ in range(STREAMS)] for _ in range(NIGHTS)]


def verdict(measured: Sequence[Sequence[float]], limit: float) -> Verdict:
    """What an objective of that limit comes to by these runs, the newest first."""
    objective = Objective(Route.CHAT, Measure.FIRST_EVENT, 95, limit)
    return judge(objective, measured[0], lambda number: dict(enumerate(measured[1:])).get(number))


@pytest.mark.parametrize("name", LATENCIES)
def test_the_estimate_of_a_history_is_near_the_truth(name: str) -> None:
    """By the answers of thirty runs the 95th percentile is within 5 % of that of the distribution."""
    found = [quantile(sorted(chain.from_iterable(nights(name, seed))), 0.95) for seed in SEEDS]
    assert sum(abs(one / truth(name) - 1) <= 0.05 for one in found) >= 95
    assert max(abs(one / truth(name) - 1) for one in found) <= 0.1


@pytest.mark.parametrize("name", LATENCIES)
@pytest.mark.parametrize(("share", "wanted"), [(0.8, Outcome.CONFORMS), (1.2, Outcome.VIOLATES)])
def test_the_verdict_is_right_on_either_side_of_the_limit(name: str, share: float, wanted: Outcome) -> None:
    """Where the truth is 20 % better or worse than the limit, that is what each of 100 seeded runs finds."""
    limit = truth(name) / share
    assert [verdict(nights(name, seed), limit).outcome for seed in SEEDS] == [wanted] * len(SEEDS)


@pytest.mark.parametrize("name", ["narrow", "usual", "even"])
def test_one_run_alone_is_hardly_ever_wrong(name: str) -> None:
    """Without a history an estimate too near the limit is blocked, and says how many more answers would decide."""
    for share, wrong in ((0.8, Outcome.VIOLATES), (1.2, Outcome.CONFORMS)):
        found = [verdict(nights(name, seed)[:1], truth(name) / share) for seed in SEEDS]
        assert wrong not in {one.outcome for one in found}
        assert all(one.needed > 0 for one in found if one.outcome is Outcome.BLOCKED)
        assert sum(one.outcome is Outcome.BLOCKED for one in found) <= 20


def test_at_the_limit_itself_a_verdict_is_seldom_given() -> None:
    """Where the truth is the limit, more than half of all runs say that they cannot tell."""
    found = [verdict(nights("usual", seed)[:2], truth("usual")).outcome for seed in SEEDS]
    assert found.count(Outcome.BLOCKED) > len(SEEDS) / 2


@pytest.mark.parametrize(
    ("measured", "limit", "wanted"),
    [
        pytest.param([[100.0] * 19], 2000, (Outcome.BLOCKED, 19, 0, 1), id="too few"),
        pytest.param([[], []], 2000, (Outcome.BLOCKED, 0, 1, 20), id="none"),
        pytest.param([[100.0] * 20], 2000, (Outcome.CONFORMS, 20, 0, 0), id="enough"),
        pytest.param([[100.0] * 20], 100, (Outcome.CONFORMS, 20, 0, 0), id="at the limit, all alike"),
        pytest.param([[100.0] * 7, [100.0] * 9, [90.0] * 9], 2000, (Outcome.CONFORMS, 25, 2, 0), id="of three runs"),
        pytest.param([[100.0] * 20, [9e9] * 500], 2000, (Outcome.CONFORMS, 20, 0, 0), id="slow until yesterday"),
        pytest.param([[3000.0] * 20, [1.0] * 500], 2000, (Outcome.VIOLATES, 20, 0, 0), id="slow since today"),
        pytest.param([[100.0] * 19 + [9000.0], [100.0] * 99], 2000, (Outcome.CONFORMS, 119, 1, 0), id="one is slow"),
    ],
)
def test_how_many_answers_judge(
    measured: list[list[float]], limit: float, wanted: tuple[Outcome, int, int, int]
) -> None:
    """Twenty answers are the least; earlier runs give what one lacks, and no more of them than it takes."""
    found = verdict(measured, limit)
    assert (found.outcome, found.samples, found.runs, found.needed) == wanted


def test_a_rate_is_held_against_its_least() -> None:
    """Of tokens a second more is better: the median has to reach the limit."""
    for rate, wanted in ((30.0, Outcome.CONFORMS), (10.0, Outcome.VIOLATES)):
        objective = Objective(Route.CHAT, Measure.TOKENS_PER_S, 50, 15)
        values = [rate * factor for factor in (0.8, 0.9, 1, 1.1, 1.2)] * 5
        assert judge(objective, values, lambda _: None).outcome is wanted


def test_a_percentile_further_out_takes_more_answers() -> None:
    """A p99 is judged over a hundred answers at least: one of them has to be expected beyond it."""
    objective = Objective(Route.CHAT, Measure.TOTAL, 99, 2000)
    assert judge(objective, [100.0] * 60, lambda _: None).needed == 40


# -- the tenant file


def tenant_with(slo: Mapping[str, Any]) -> Tenant:
    """A tenant of one key whose file promises this."""
    value = {
        "base_url": BASE_URL,
        "models": {"chat": ALIAS},
        "keys": {"chat": {"secret_env": "GT_KEY", "purpose": "inference", "scopes": _SCOPES, "models": [ALIAS]}},
        "slo": slo,
    }
    return from_mapping(value, {"GT_KEY": f"gtak_{'5e' * 20}"}, kind=TenantKind.LIVE, name="tenant.yaml")


_SCOPES = [f"inference:{name}" for name in ("chat", "embed", "transcribe", "speech", "image")]


def test_each_number_is_an_objective_of_its_own() -> None:
    """By route, and by runbook and route; what stands at a runbook without a route is promised of its chats."""
    slo = {
        "chat": {"first_event_p95_ms": 2000, "tokens_per_s_p50": 15},
        "embeddings": {"first_byte_p99_ms": 500},
        "dify": {"total_p95_ms": 9000, "models": {"total_p50_ms": 100}},
    }
    found = {one.id: (one.key, one.limit) for one in read_objectives({"slo": slo})}
    assert found == {
        "slo.chat.first_event_p95": ("slo.chat.first_event_p95_ms", 2000),
        "slo.chat.tokens_per_s_p50": ("slo.chat.tokens_per_s_p50", 15),
        "slo.embeddings.first_byte_p99": ("slo.embeddings.first_byte_p99_ms", 500),
        "slo.dify.chat.total_p95": ("slo.dify.chat.total_p95_ms", 9000),
        "slo.dify.models.total_p50": ("slo.dify.models.total_p50_ms", 100),
    }
    for name in found:
        objective = objective_of_id(name)
        assert objective is not None
        assert objective.id == name
    assert objective_of_id("slo.chat") is None
    assert objective_of_id("slo.chat.first_event_p95_ms") is None


@pytest.mark.parametrize(
    "slo",
    [
        {"embeddings": {"first_event_p95_ms": 1}},
        {"chat": {}},
        {"chat": {"total_p95": 1}},
        {"chat": {"total_p95_ms": 0}},
        {"dify": {"chats": {"total_p95_ms": 1}}},
    ],
)
def test_a_promise_that_nothing_can_measure_is_refused(slo: Mapping[str, Any]) -> None:
    """A measure that a route has not, a key that is misspelt, a limit that nothing meets."""
    with pytest.raises(InputError, match=r"slo"):
        tenant_with(slo)


def test_a_promise_to_a_runbook_that_does_not_exist_is_refused() -> None:
    """Its name is neither a route nor a runbook, and the nearest is named."""
    with pytest.raises(InputError, match=r"slo.chats: 'chats' is neither a route nor a runbook.*Did you mean chat"):
        require_known_mapping(tenant_with({"chats": {"total_p95_ms": 1}}), BOOKS)


# -- a run


class TimedSender(FakeSender):
    """A conforming tenant that takes its time: until a stream's first event, and until an answer is complete."""

    def __init__(self, first_event_ms: float = 100, total_ms: float = 200) -> None:
        super().__init__()
        self._first_event_ms = first_event_ms
        self._total_ms = total_ms

    async def send(self, request: Request, ref: str) -> Exchange:
        """The answer of a conforming tenant, as if it had taken so long."""
        exchange = await super().send(request, ref)
        started, response = 10.0 * len(self.sent), exchange.response
        assert response is not None
        body = response.body.replace(b'"chatcmpl-1"', b'"chatcmpl-%d"' % int(ref[1:]))  # an answer of its own
        first = self._first_event_ms
        arrivals = (Arrival(first, len(body)),) if response.arrivals else ()
        response = replace(response, body=body, head_ms=min(first, 50.0), arrivals=arrivals)
        return replace(exchange, response=response, elapsed_ms=self._total_ms, started_ms=started)


def judged(
    slo: Mapping[str, Any],
    sender: TimedSender | None = None,
    *,
    selection: Selection = EVERYTHING,
    earlier: Sequence[Record] = (),
) -> Record:
    """The record of a run on a tenant of these speeds."""
    past = Past(lambda _: iter(map(past_run, earlier)))
    plan = session.plan(tenant_with(slo), BOOKS, selection=selection, past=past)
    return session.run(plan, sender=lambda: sender or TimedSender())


def outcomes(record: Record) -> dict[str, str]:
    """The outcome of each tenant check that judges an objective."""
    return {one["id"]: one["outcome"] for one in record["tenant_checks"] if one["id"].startswith("slo.")}


def objective(record: Record, name: str) -> ObjectiveRecord:
    """What the record says of an objective."""
    return next(one for one in record["slo"]["objectives"] if one["id"] == name)


def findings(record: Record) -> list[FindingRecord]:
    """Those that touch an objective."""
    return [one for one in record["findings"] if any(place.startswith("tenant-slo.") for place in one["places"])]


CHATS = {"chat": {"first_event_p95_ms": 500, "total_p95_ms": 1000, "first_byte_p50_ms": 100}}
FEW = Selection(runbooks=("n8n",))
"""A runbook whose run has fewer streams than are judged."""


@cache
def promised() -> Record:
    """A run of everything on a tenant that keeps what is promised of its chats."""
    return judged(CHATS)


def test_a_tenant_that_keeps_its_promise_conforms() -> None:
    """Each number is a tenant check of the plan, and conforms; the record says what it was judged by."""
    record = promised()
    assert set(outcomes(record).values()) == {"conforms"}
    assert set(outcomes(record)) == {f"slo.chat.{name.removesuffix('_ms')}" for name in CHATS["chat"]}
    found = objective(record, "slo.chat.first_event_p95")
    assert (found["found"], found["limit"], found["earlier_runs"]) == (100, 500, 0)
    assert found["samples"] == found["of_this_run"] >= timing.LEAST_SAMPLES
    assert not [text for text in record["run"]["profile"]["altered"] if "slo." in text]
    assert record["run"]["scope"]["tenant_checks"]["selected"] == record["run"]["scope"]["tenant_checks"]["known"]


def test_a_slow_tenant_is_one_finding() -> None:
    """However many numbers of a route it breaks; the tenant has to act, and the slowest answer is the proof."""
    record = judged(CHATS, TimedSender(first_event_ms=900, total_ms=2000))
    assert outcomes(record)["slo.chat.first_event_p95"] == outcomes(record)["slo.chat.total_p95"] == "violates"
    [found] = [one for one in findings(record) if one["outcome"] == "violates"]
    assert (found["acts"], found["severity"], found["clauses"]) == ("tenant", "medium", [])
    assert set(found["places"]) >= {"tenant-slo.chat.first_event_p95", "tenant-slo.chat.total_p95"}
    slow = objective(record, "slo.chat.first_event_p95")
    assert f"900 ms over {slow['samples']} answers of this run" in {proof["found"] for proof in found["proofs"]}
    assert all(proof["exchange"] in record["exchanges"] for proof in found["proofs"])
    assert record["decision"] == "NO-GO"


def test_too_few_answers_block_and_say_how_many_more() -> None:
    """A run of one runbook has too few streams: what lacks is one finding for the operator, not for the tenant."""
    record = judged(CHATS, selection=FEW)
    found = objective(record, "slo.chat.first_event_p95")
    assert outcomes(record)["slo.chat.first_event_p95"] == found["outcome"] == "blocked"
    assert found["needed"] == timing.LEAST_SAMPLES - found["samples"]
    [finding] = findings(record)
    assert (finding["outcome"], finding["acts"]) == ("blocked", "setup")
    assert any(f"{found['needed']} more answer" in proof["found"] for proof in finding["proofs"])


def test_earlier_runs_give_what_one_lacks() -> None:
    """The answers of the history count, the newest first, and the record keeps those that were used."""
    earlier = [judged({}, selection=FEW) for _ in range(9)]
    record = judged(CHATS, selection=FEW, earlier=earlier)
    found = objective(record, "slo.chat.first_event_p95")
    assert outcomes(record)["slo.chat.first_event_p95"] == "conforms"
    assert found["samples"] >= timing.LEAST_SAMPLES > found["of_this_run"]
    assert 0 < found["earlier_runs"] <= len(record["slo"]["earlier"])
    assert found["earlier_runs"] < len(earlier)
    assert verify(record).is_consistent


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda record: record["times"]["routes"][0]["total_ms"].update(p95=1.0), id="a figure"),
        pytest.param(lambda record: record["times"]["runbooks"]["dify"].pop(), id="a runbook's figures"),
        pytest.param(lambda record: record["times"].update(at_once=99), id="how many at once"),
        pytest.param(lambda record: record.pop("times"), id="all figures"),
        pytest.param(lambda record: record["slo"]["objectives"][0].update(found=1.0), id="an estimate"),
        pytest.param(lambda record: record["slo"]["objectives"].clear(), id="the objectives"),
        pytest.param(
            lambda record: record["setup"]["slo"]["chat"].update(first_event_p95_ms=50), id="what was promised"
        ),
    ],
)
def test_figures_that_were_edited_do_not_hold(edit: Callable[[Any], object]) -> None:
    """What is said of times follows from the exchanges: verify names what does not, digests or not."""
    record: Any = copy.deepcopy(promised())
    del record["digests"]
    assert verify(record, replaying=False).is_consistent
    edit(record)
    assert any(
        one.place.startswith(("times", "slo", "tenant-slo")) for one in verify(record, replaying=False).differences
    )


def test_a_run_measures_what_its_routes_and_runbooks_are_about() -> None:
    """A run of one route judges the promises of that route; one of another runbook none that was made to this one."""
    slo = {**CHATS, "images": {"total_p95_ms": 5000}, "dify": {"chat": {"total_p95_ms": 5000}}}
    tenant = tenant_with(slo)

    def planned(**selected: Any) -> set[str]:
        plan = session.plan(tenant, BOOKS, selection=Selection(**selected))
        return {str(case.subject) for case in plan.cases if str(case.subject).startswith("slo.")}

    chats = {f"slo.chat.{name.removesuffix('_ms')}" for name in CHATS["chat"]}
    assert planned() == {*chats, "slo.images.total_p95", "slo.dify.chat.total_p95"}
    assert planned(runbooks=("dify",)) == {*chats, "slo.dify.chat.total_p95"}
    assert planned(runbooks=("n8n",)) == chats
    assert planned(routes=(Route.IMAGES,)) == {"slo.images.total_p95"}
    assert planned(boundary=True) == set()


def test_a_runbook_is_judged_by_what_its_rows_rest_on() -> None:
    """The answers of its own row alone, which are fewer than those of the route."""
    record = judged({"chat": {"total_p95_ms": 5000}, "dify": {"total_p95_ms": 5000}})
    own, whole = objective(record, "slo.dify.chat.total_p95"), objective(record, "slo.chat.total_p95")
    assert own["runbook"] == "dify"
    assert 0 < own["of_this_run"] < whole["of_this_run"]


def test_a_promise_counts_for_the_runbooks_that_it_is_about() -> None:
    """What is broken for one runbook decides nothing about the others; of a route, about those that use it."""
    record = json.loads(json.dumps(judged({"dify": {"total_p95_ms": 100}, "images": {"total_p95_ms": 100}})))
    for case in (case for book in record["runbooks"] for case in (*book["routes"], *book["checklist"])):
        case["outcome"] = "conforms"
    for check in record["tenant_checks"]:
        check["outcome"] = "violates" if check["id"].startswith("slo.dify") else "conforms"
    assert {book["id"] for book in record["runbooks"] if results.decide_runbook(record, book) == "NO-GO"} == {"dify"}
    for check in record["tenant_checks"]:
        check["outcome"] = "violates" if check["id"].startswith("slo.images") else "conforms"
    drawing = {book.id for book in BOOKS if book.row(Route.IMAGES).verdict == "native"}
    found = {book["id"] for book in record["runbooks"] if results.decide_runbook(record, book) == "NO-GO"}
    assert found == drawing != set(books_of(record))
    assert results.decide(record) == "NO-GO"


def books_of(record: Record) -> list[str]:
    """The runbooks of a record."""
    return [book["id"] for book in record["runbooks"]]


def test_nothing_is_sent_for_a_promise() -> None:
    """A run sends the same requests with and without it."""
    plans = [session.plan(tenant_with(slo), BOOKS, selection=FEW) for slo in ({}, CHATS)]
    costs = [session.rehearse(plan) for plan in plans]
    assert costs[0].requests == costs[1].requests
    assert costs[0].longest_chain == costs[1].longest_chain


def merged(parts: Sequence[Record]) -> Record:
    """The one record of these, each as its file has it."""
    return shards.merge(
        [shards.Source(Location(f"{number}.json"), json.loads(json.dumps(part))) for number, part in enumerate(parts)]
    )


def test_shards_are_judged_together() -> None:
    """What each shard has too few answers for is judged by the answers of all, whatever each alone came to."""
    parts = [judged(CHATS, selection=Selection(runbooks=(name,))) for name in ("continue", "aider")]
    assert all(outcomes(part)["slo.chat.first_event_p95"] == "blocked" for part in parts)
    together = merged(parts)
    found = objective(together, "slo.chat.first_event_p95")
    assert outcomes(together)["slo.chat.first_event_p95"] == found["outcome"] == "conforms"
    assert found["of_this_run"] == sum(objective(part, found["id"])["of_this_run"] for part in parts)
    assert verify(together, replaying=False).is_consistent


def test_shards_that_are_slow_together_are_one_finding() -> None:
    """A violation that follows from the answers of several shards alone is built as a run builds it."""
    slow = TimedSender(first_event_ms=900, total_ms=2000)
    parts = [judged(CHATS, slow, selection=Selection(runbooks=(name,))) for name in ("dify", "n8n", "langchain")]
    together = merged(parts)
    whole = judged(CHATS, TimedSender(first_event_ms=900, total_ms=2000))
    broken = [[one["id"] for one in findings(record) if one["outcome"] == "violates"] for record in (together, whole)]
    assert broken[0] == broken[1] != []
    assert verify(together, replaying=False).is_consistent


def test_no_clause_is_accused_and_lint_accepts_that() -> None:
    """A check that judges a promise of the operator's carries no clause, and is the only kind that may so violate."""
    registry = BUILT_IN.with_objectives_of(tenant_with(CHATS))
    assert [str(problem) for problem in problems_of_ledger(registry, FAULTS.values())] == []
    dressed = replace(registry["slo.chat.total_p95"], clauses=("C1",))
    [problem] = (
        one for one in problems_of_ledger({dressed.id: dressed}, ()) if "objective of the operator's" in str(one)
    )
    assert problem.hint


def test_explain_knows_a_promise() -> None:
    """Its claim, that the operator made it, and the fault that shows that it can fail."""
    finished = in_process("explain", "slo.chat.first_event_p95", cwd=Path())
    assert finished.code == 0
    for text in ("first event", "the operator's own promise", "--fault slow-first-event"):
        assert text in " ".join(finished.stdout.split())

"""What a record says of the tenant's speed: computed from its exchanges here, for a run, a merge and a verification."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from gt_conformance import schema, timing
from gt_conformance.checks import finding_of
from gt_conformance.errors import Blocker
from gt_conformance.exchange import ExchangeRecord, recorded_times
from gt_conformance.results._decision import outcome_of
from gt_conformance.results.case_types import BlockerRecord, CheckRecord, RunbookFacts, ViolationRecord
from gt_conformance.results.record_types import Draft
from gt_conformance.results.run_types import (
    CredentialRecord,
    EarlierValuesRecord,
    ObjectiveRecord,
    PercentilesRecord,
    RunRecord,
    SeriesRecord,
    SloRecord,
    TimesRecord,
)
from gt_conformance.tenant import Objective, read_objectives
from gt_conformance.timing import Past, PastRun, Sample, Samples, Verdict
from gt_conformance.vocabulary import Actor, Outcome, Route, Severity


def samples_of(
    run: RunRecord,
    runbooks: Sequence[RunbookFacts],
    credentials: Sequence[CredentialRecord],
    exchanges: Mapping[str, ExchangeRecord],
) -> Samples:
    """What a recorded run has measured, and what of it each row of a runbook rests on."""
    base_url = run["tenant"]["base_url"]
    live = {key["name"] for key in credentials if not key["revoked"]}
    found = {ref: timing.recorded_sample(one, base_url, live) for ref, one in sorted(exchanges.items())}
    rows = {
        (book["id"], Route(row["route"])): {ref for check in row["checks"] for ref in check["exchanges"]}
        for book in runbooks
        for row in book["routes"]
    }
    return Samples({ref: one for ref, one in found.items() if one is not None}, rows)


def measure_times(samples: Samples, exchanges: Mapping[str, ExchangeRecord]) -> TimesRecord | None:
    """The percentiles of every route, and of each runbook's rows; None where nothing was timed."""
    timed = [times for one in exchanges.values() if (times := recorded_times(one)) is not None]
    if not timed:
        return None
    books: dict[str, list[Sample]] = {}
    for runbook, route in samples.rows:
        books.setdefault(runbook, []).extend(samples.of_row(runbook, route))
    return {
        "at_once": _most_at_once([(one.started_ms, one.started_ms + one.total_ms - _ROUNDED_MS) for one in timed]),
        "routes": list(_series(list(samples.by_ref.values()))),
        "runbooks": {name: list(_series(own)) for name, own in books.items() if own},
    }


_ROUNDED_MS = 0.2
"""What two rounded numbers may be too large by: one exchange begins where another ends."""


def _most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many exchanges were under way at the same moment, at most: with so many the times were measured."""
    moments = sorted(chain.from_iterable(((began, 1), (ended, -1)) for began, ended in spans))
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most


def _series(samples: Sequence[Sample]) -> Iterator[SeriesRecord]:
    groups: dict[tuple[Route, bool], list[Sample]] = {}
    for one in samples:
        groups.setdefault((one.route, one.streamed), []).append(one)
    order = list(Route)
    for (route, streamed), own in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        series: SeriesRecord = {
            "route": route.value,
            "way": "stream" if streamed else "plain",
            "count": len(own),
            "first_byte_ms": _percentiles([one.first_byte for one in own]),
            "total_ms": _percentiles([one.total for one in own]),
        }
        if events := [one.first_event for one in own if one.first_event is not None]:
            series["first_event_ms"] = _percentiles(events)
        if rates := [one.tokens_per_s for one in own if one.tokens_per_s is not None]:
            series["tokens_per_s"] = _percentiles(rates)
        yield series


def _percentiles(values: Sequence[float]) -> PercentilesRecord:
    ordered = sorted(values)
    p50, p95, p99 = (round(timing.quantile(ordered, share), 1) for share in (0.50, 0.95, 0.99))
    return {"count": len(ordered), "p50": p50, "p95": p95, "p99": p99}


# -- what the operator promises of it


def objectives_in(setup: Mapping[str, object] | None, planned: Sequence[str]) -> list[Objective]:
    """The objectives that the tenant file of a record promises, as far as they are among these checks."""
    if setup is None or "slo" not in setup or schema.load("tenant").errors(setup["slo"], "#/properties/slo"):
        return []
    return [one for one in read_objectives(setup) if one.id in planned]


def judge_objectives(
    objectives: Sequence[Objective], samples: Samples, earlier: Sequence[EarlierValuesRecord]
) -> SloRecord:
    """What each objective comes to, by the values of this run and by those of earlier ones that the record holds."""
    return {"objectives": [_judge(one, samples, earlier) for one in objectives], "earlier": list(earlier)}


def _judge(objective: Objective, samples: Samples, earlier: Sequence[EarlierValuesRecord]) -> ObjectiveRecord:
    verdict = _verdict(objective, samples, earlier)
    record: ObjectiveRecord = {
        "id": objective.id,
        "route": objective.route.value,
        "measure": objective.measure.value,
        "percentile": objective.percentile,
        "limit": objective.limit,
        "outcome": verdict.outcome.value,
        "found": verdict.found,
        "samples": verdict.samples,
        "of_this_run": verdict.of_this_run,
        "earlier_runs": verdict.runs,
        "needed": verdict.needed,
    }
    if objective.runbook is not None:
        record["runbook"] = objective.runbook
    return record


def _verdict(objective: Objective, samples: Samples, earlier: Sequence[EarlierValuesRecord]) -> Verdict:
    def values(number: int) -> Sequence[float] | None:
        return earlier[number]["values"].get(objective.id, ()) if number < len(earlier) else None

    return timing.judge(objective, samples.values(objective), values)


def rejudge(draft: Draft) -> list[CheckRecord]:
    """The tenant checks of several runs together: what each alone judged by too few answers is judged by all."""
    objectives = {
        one.id: one for one in objectives_in(draft.get("setup"), [one["id"] for one in draft["tenant_checks"]])
    }
    if not objectives:
        return draft["tenant_checks"]
    samples = samples_of(draft["run"], draft["runbooks"], draft["credentials"], draft["exchanges"])
    earlier = draft["slo"]["earlier"] if "slo" in draft else ()
    return [
        _rejudged(check, objectives[check["id"]], samples, earlier) if check["id"] in objectives else check
        for check in draft["tenant_checks"]
    ]


def _rejudged(
    check: CheckRecord, objective: Objective, samples: Samples, earlier: Sequence[EarlierValuesRecord]
) -> CheckRecord:
    """The same check with what its objective comes to. What was waived of it stays waived, as far as it is still so."""
    verdict = _verdict(objective, samples, earlier)
    found: CheckRecord = {**check, "breaches": [], "obstacles": [], "waiver": None, "reason": "", "remedy": ""}
    found.pop("because", None)
    waivers = [one["waiver"] for one in (*check["breaches"], *check["obstacles"]) if "waiver" in one]
    if verdict.outcome is Outcome.VIOLATES:
        worst = samples.worst(objective)
        broken: ViolationRecord = {
            "expected": timing.describe_expected(objective),
            "found": timing.describe_found(objective, verdict),
            "exchange": worst,
            "remedy": timing.NOT_MET,
            "finding": finding_of(check["id"], timing.cause_of(objective), shared=True),
            "acts": Actor.TENANT.value,
            "severity": Severity.MEDIUM.value,
        }
        if waivers and check["breaches"]:
            broken["waiver"] = waivers[0]
        found["breaches"], found["remedy"] = [broken], timing.NOT_MET
        found["exchanges"] = [worst] if worst else []
        found["reason"] = f"expected {broken['expected']}; found {broken['found']}"
    elif verdict.outcome is Outcome.BLOCKED:
        reason, remedy = timing.describe_need(objective, verdict), timing.MORE_ANSWERS
        blocker = Blocker(reason, remedy, cause=timing.CAUSE_OF_WANT)
        lacking: BlockerRecord = {
            "reason": reason,
            "remedy": remedy,
            "acts": blocker.acts.value,
            "finding": blocker.finding,
        }
        if waivers and check["obstacles"]:
            lacking["waiver"] = waivers[0]
        found["obstacles"], found["reason"], found["remedy"] = [lacking], reason, remedy
    found["outcome"] = outcome_of(found).value
    if found["outcome"] == Outcome.WAIVED:
        found["waiver"] = waivers[0]
    return found


def record_earlier(past: Past, objectives: Sequence[Objective]) -> list[EarlierValuesRecord]:
    """The values of the earlier runs that were read to judge these objectives."""
    return [_record_values(run, objectives) for run in past.used]


def _record_values(run: PastRun, objectives: Sequence[Objective]) -> EarlierValuesRecord:
    values = {one.id: run.samples.values(one) for one in objectives}
    return {"day": run.day, "run": run.run, "values": values}

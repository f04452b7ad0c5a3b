"""metrics.prom: the run as gauges in Prometheus's text format, for a textfile collector or a push gateway.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from gt_conformance.exchange import inert, shortened
from gt_conformance.report._decision import decision, runbook_decision
from gt_conformance.results import Record, cases
from gt_conformance.results.run_types import OUTCOME_NAMES, TenantAddress, UsageRecord
from gt_conformance.vocabulary import Decision, Outcome, Severity

_LONGEST = 200
_Samples = Iterable[tuple[Mapping[str, str], float]]
Gauge: TypeAlias = tuple[str, str, _Samples]
"""A name without the prefix that all have, what it measures, and its values, each with its labels."""


def render_metrics(*records: Record) -> str:
    """The gauges of these records, each with its tenant as a label."""
    return format_gauges((record["run"]["tenant"], _gauges(record)) for record in records)


def format_gauges(tenants: Iterable[tuple[TenantAddress, Iterable[Gauge]]]) -> str:
    """The gauges of these tenants as text: each name once, whatever has it."""
    gauges: dict[str, tuple[str, list[str]]] = {}
    for address, found in tenants:
        tenant = {"tenant": address["base_url"], "kind": address["kind"]}
        for name, text, samples in found:
            _, lines = gauges.setdefault(f"gt_conformance_{name}", (text, []))
            lines += [sample(f"gt_conformance_{name}", {**tenant, **labels}, value) for labels, value in samples]
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n{''.join(lines)}" for name, (text, lines) in gauges.items()
    )


def _gauges(record: Record) -> Iterator[Gauge]:
    run, traffic = record["run"], record["traffic"]
    profile = run.get("profile")
    about = {"version": run["version"], "run": run["id"], "profile": profile["name"] if profile is not None else ""}
    yield "run_info", "What was run, by which version and profile.", [(about, 1)]
    yield "decision", "1 for the decision of the run, 0 for the others.", _states(decision(record), {})
    yield (
        "runbook_decision",
        "1 for the decision of a runbook, 0 for the others.",
        [
            one
            for book in record["runbooks"]
            for one in _states(runbook_decision(record, book), {"runbook": book["id"]})
        ],
    )
    judged = list(cases(record))
    by_kind = [({"case": case.kind.value}, case.outcome) for case in judged]
    by_runbook = [({"runbook": case.runbook}, case.outcome) for case in judged if case.runbook]
    rows = (row for book in record["runbooks"] for row in book["routes"])
    by_route = [({"route": row["route"]}, Outcome(row["outcome"])) for row in rows]
    yield "cases", "Cases by kind and outcome.", _count(by_kind)
    yield "runbook_cases", "Cases of a runbook by outcome.", _count(by_runbook)
    yield "route_rows", "Rows of a route by outcome.", _count(by_route)
    yield "findings", "Findings by severity, outcome and who has to act.", _findings(record)
    yield "duration_seconds", "How long the run took.", [({}, run["duration_s"])]
    yield "requests", "Requests that the run sent, repetitions included.", [({}, traffic["requests"])]
    yield (
        "route_requests",
        "Requests by method and path.",
        [({"request": name}, number) for name, number in traffic["by_route"].items()],
    )
    yield "tokens", "Tokens as the tenant counts them.", [({}, traffic["tokens"])]
    if (spending := traffic.get("spending")) is not None:
        yield "tokens_used", "Tokens that the tenant states, where that can be true.", _tokens(spending["used"])
        counted = "Tokens that count against a budget: as the tenant states them, else the worst case."
        yield "tokens_counted", counted, _tokens(spending["counted"])
        yield "tokens_worst_case", "Tokens that the requests might have used at most.", _tokens(spending["worst"])
        if (cost := spending.get("cost")) is not None:
            amounts = (("used", cost["used"]), ("counted", cost["counted"]), ("worst", cost["worst"]))
            costs = [({"currency": cost["currency"], "case": name}, amount) for name, amount in amounts]
            yield "cost", "What the run cost, by the prices of the tenant file.", costs
    yield from _times(record)
    yield "slowest_response_seconds", "The longest time that an answer took.", [({}, traffic["slowest_ms"] / 1000)]
    started = datetime.fromisoformat(run["started"]).timestamp()
    yield "run_timestamp_seconds", "When the run began, in seconds since 1970.", [({}, started)]


def _tokens(usage: UsageRecord) -> _Samples:
    return [({"kind": "input"}, usage["input_tokens"]), ({"kind": "output"}, usage["output_tokens"])]


_QUANTILES: Mapping[str, Literal["p50", "p95", "p99"]] = {"0.5": "p50", "0.95": "p95", "0.99": "p99"}


def _times(record: Record) -> Iterator[tuple[str, str, _Samples]]:
    """The percentiles of each route, plain answers and streams apart, and what the operator promises of them."""
    if "times" in record:
        series = record["times"]["routes"]
        seconds, rates = [], []
        for one in series:
            labels = {"route": one["route"], "way": one["way"]}
            parts = {"first_byte": one["first_byte_ms"], "total": one["total_ms"]}
            if "first_event_ms" in one:
                parts["first_event"] = one["first_event_ms"]
            for measure, found in parts.items():
                seconds += [
                    ({**labels, "measure": measure, "quantile": name}, round(found[key] / 1000, 6))
                    for name, key in _QUANTILES.items()
                ]
            if "tokens_per_s" in one:
                rate = one["tokens_per_s"]
                rates += [({**labels, "quantile": name}, rate[key]) for name, key in _QUANTILES.items()]
        counts = [({"route": one["route"], "way": one["way"]}, one["count"]) for one in series]
        yield "response_seconds", "How long answers took, by route and quantile.", seconds
        yield "responses", "How many answers were timed, by route.", counts
        if rates:
            yield "tokens_per_second", "Tokens of a completion a second, by route and quantile.", rates
    if "slo" in record:
        objectives = record["slo"]["objectives"]
        yield (
            "slo_limit",
            "What the tenant file promises: milliseconds at most, or tokens a second at least.",
            [({"objective": one["id"]}, one["limit"]) for one in objectives],
        )
        yield (
            "slo_found",
            "What was found of it, in the same unit.",
            [({"objective": one["id"]}, one["found"]) for one in objectives if one["found"] is not None],
        )
        outcomes = [({"objective": one["id"]}, Outcome(one["outcome"])) for one in objectives]
        yield "slo", "1 for the outcome of a promise before waivers, 0 for the others.", _count(outcomes)


def _states(found: Decision, labels: Mapping[str, str]) -> _Samples:
    return [({**labels, "decision": one.value}, float(one is found)) for one in Decision]


def _count(found: Iterable[tuple[Mapping[str, str], Outcome]]) -> _Samples:
    """Each outcome of what has the same labels, also where none has it."""
    counted: dict[tuple[tuple[str, str], ...], Counter[str]] = {}
    for labels, outcome in found:
        counted.setdefault(tuple(labels.items()), Counter())[outcome.value] += 1
    return [
        ({**dict(labels), "outcome": outcome}, numbers[outcome])
        for labels, numbers in counted.items()
        for outcome in OUTCOME_NAMES
    ]


def _findings(record: Record) -> _Samples:
    found = Counter((one["severity"], one["outcome"], one["acts"]) for one in record.get("findings", ()))
    none = Counter({(severity.value, Outcome.VIOLATES.value, "tenant"): 0 for severity in Severity})
    return [
        ({"severity": severity, "outcome": outcome, "acts": acts}, found[severity, outcome, acts])
        for severity, outcome, acts in sorted({*none, *found})
    ]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inner}}} {value:.15g}\n"


def _escaped(text: str) -> str:
    flat = str(inert(shortened(text, _LONGEST)))
    return flat.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ")

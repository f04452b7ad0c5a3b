"""What a record says against what follows from its own checks: outcomes, totals, findings and decisions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gt_conformance import results
from gt_conformance.exchange import inert, shortened
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord, FindingRecord
from gt_conformance.results.run_types import ObjectiveRecord, TimesRecord
from gt_conformance.vocabulary import ATTESTATION, Outcome

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """``place`` is a case, a finding, an exchange or a key of the record; ``recorded`` is what the record says of it.

    ``follows`` is what it should say, or why it cannot be so.
    """

    place: str
    recorded: str
    follows: str

    def __str__(self) -> str:
        """A line: the record may hold anything, so it is shortened and made inert."""
        place, recorded, follows = (
            str(inert(shortened(" ".join(text.split()), _LONGEST)))
            for text in (self.place, self.recorded, self.follows)
        )
        return f"{place}: the record says {recorded}; {follows}."


def compare_derived(record: Record, again: Record) -> Iterator[Difference]:
    """Where a record differs from itself computed again."""
    yield from _compare_cases(record, again)
    yield from _compare_attestations(record)
    for book, other in zip(record["runbooks"], again["runbooks"], strict=True):
        for key in ("outcome", "evidence_level", "decision"):
            yield from _compare(book["id"], key, cast("Mapping[str, Any]", book), cast("Mapping[str, Any]", other))
    for entry, client in zip(record.get("clients", ()), again.get("clients", ()), strict=True):
        if entry["outcome"] != client["outcome"]:
            yield Difference(f"clients of {entry['runbook']}", entry["outcome"], _cases_come_to(client["outcome"]))
    yield from _compare_totals(record, again)
    if record["run"]["tenant"]["kind"] != again["run"]["tenant"]["kind"]:
        text = f"its answers carry the mark of the {again['run']['tenant']['kind']} tenant"
        yield Difference("run.tenant", f"kind {record['run']['tenant']['kind']}", text)
    if record["run"].get("scope") != again["run"].get("scope"):
        yield Difference("run.scope", f"{record['run'].get('scope')}", f"its cases are {again['run'].get('scope')}")
    if record.get("decision", again["decision"]) != again["decision"]:
        yield Difference("decision", f"{record.get('decision')}", f"its cases come to {again['decision']}")
    yield from _compare_times(record, again)
    yield from _compare_references(record)


def _compare_times(record: Record, again: Record) -> Iterator[Difference]:
    """The figures are those of the exchanges, and what is judged of them is what they come to."""
    said, found = record.get("times"), again.get("times")
    if said != found:
        yield from _compare_series(said, found)
    objectives = {one["id"]: one for one in again["slo"]["objectives"]} if "slo" in again else {}
    for one in record["slo"]["objectives"] if "slo" in record else ():
        computed = objectives.pop(one["id"], None)
        if computed != one:
            text = "nothing promises it" if computed is None else _describe_objective(computed)
            yield Difference(f"slo {one['id']}", _describe_objective(one), f"from its answers follows {text}")
    for name in objectives:
        yield Difference(f"slo {name}", "nothing", "the tenant file promises it")
    judged = {one["id"]: one for one in again["slo"]["objectives"]} if "slo" in again else {}
    for check in record["tenant_checks"]:
        if check["id"] in judged and not _agree(check, judged[check["id"]]):
            text = _describe_objective(judged[check["id"]])
            yield Difference(f"tenant-{check['id']}", _flaws_of(check).value, f"from its answers follows {text}")


def _describe_objective(one: ObjectiveRecord) -> str:
    return f"{one['outcome']} ({one['found']} over {one['samples']}, limit {one['limit']})"


def _flaws_of(check: CheckRecord) -> Outcome:
    """The outcome of a check before anything was waived."""
    if check["breaches"]:
        return Outcome.VIOLATES
    return Outcome.BLOCKED if check["obstacles"] else Outcome.CONFORMS


def _agree(check: CheckRecord, objective: ObjectiveRecord) -> bool:
    """Whether a check says what its objective comes to; what something else kept from being judged says nothing."""
    said = _flaws_of(check)
    return said is Outcome.BLOCKED or said.value == objective["outcome"]


def _compare_series(said: TimesRecord | None, found: TimesRecord | None) -> Iterator[Difference]:
    if said is None or found is None:
        yield Difference("times", "nothing" if said is None else "times", "its exchanges have others")
        return
    if said["at_once"] != found["at_once"]:
        text = f"its exchanges come to {found['at_once']}"
        yield Difference("times.at_once", f"{said['at_once']}", text)
    if said["routes"] != found["routes"]:
        yield Difference("times.routes", "other figures", "from its exchanges follow others")
    changed = [
        name
        for name in sorted(said["runbooks"].keys() | found["runbooks"].keys())
        if said["runbooks"].get(name) != found["runbooks"].get(name)
    ]
    for name in changed:
        yield Difference(f"times of {name}", "other figures", "from its exchanges follow others")


def _cases_come_to(outcome: str) -> str:
    return f"from its cases follows {outcome}"


def _compare(place: str, key: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if key in one and one[key] != other.get(key):
        yield Difference(place, f"{key} {one[key]}", f"from its cases follows {other.get(key)}")


def _compare_cases(record: Record, again: Record) -> Iterator[Difference]:
    seen: Counter[str] = Counter()
    before, after = list(results.cases(record)), list(results.cases(again))
    footing = zip(record.get("footing", ()), again.get("footing", ()), strict=True)
    for case, other in zip(before, after, strict=True):
        seen[case.id] += 1
        if seen[case.id] == 2:
            yield Difference(case.id, "it twice", "a planned case is recorded exactly once")
        for check, found in zip(case.checks, other.checks, strict=True):
            yield from _compare_check(case.id, check, found)
        if case.outcome is not other.outcome:
            outcomes = ", ".join(f"{check['id']} {check['outcome']}" for check in _worst_first(other.checks)[:3])
            text = f"from its checks follows {other.outcome.value} ({outcomes or 'it has none'})"
            yield Difference(case.id, case.outcome.value, text)
    for check, found in footing:
        yield from _compare_check("footing", check, found)
    yield from _compare_reasons(record, again)


def _worst_first(checks: Sequence[CheckRecord]) -> list[CheckRecord]:
    ranked = list(Outcome)
    return sorted(checks, key=lambda check: -ranked.index(Outcome(check["outcome"])))


def _compare_check(place: str, check: CheckRecord, found: CheckRecord) -> Iterator[Difference]:
    if check["outcome"] != found["outcome"]:
        counted = f"{len(check['breaches'])} violations and {len(check['obstacles'])} blocks"
        text = f"from its {counted} follows {found['outcome']}"
        yield Difference(place, f"{check['id']} {check['outcome']}", text)
    if (check["waiver"] is not None) != (check["outcome"] == Outcome.WAIVED):
        yield Difference(place, f"{check['id']} {check['outcome']}", "it is waived if, and only if, it has a waiver")


def _compare_reasons(record: Record, again: Record) -> Iterator[Difference]:
    pairs = ((book, other) for book, other in zip(record["runbooks"], again["runbooks"], strict=True))
    for book, other in pairs:
        parts = zip((*book["routes"], *book["checklist"]), (*other["routes"], *other["checklist"]), strict=True)
        for part, found in parts:
            if part.get("because") != found.get("because"):
                text = f"its checks are blocked because of {found.get('because', 'no finding alone')}"
                yield Difference(part["id"], f"because {part.get('because')}", text)


def _compare_attestations(record: Record) -> Iterator[Difference]:
    for item in (item for book in record["runbooks"] for item in book["checklist"]):
        attested = [check["outcome"] for check in item["checks"] if check["id"] == ATTESTATION]
        if attested and (Outcome.CONFORMS in attested) != (item["attestation"] is not None):
            said = f"{ATTESTATION} {attested[0]}"
            held = "no attestation" if item["attestation"] is None else "an attestation"
            yield Difference(item["id"], said, f"it holds {held}")


def _compare_totals(record: Record, again: Record) -> Iterator[Difference]:
    for name in ("totals", "client_totals"):
        said = cast("Mapping[str, int]", record.get(name, {}))
        found = cast("Mapping[str, int]", again.get(name, {}))
        for key in sorted(said.keys() | found.keys()):
            if said.get(key) != found.get(key):
                yield Difference(name, f"{said.get(key)} {key}", f"its cases are {found.get(key)}")


def _compare_references(record: Record) -> Iterator[Difference]:
    for case in results.cases(record):
        for check in case.checks:
            refs = [*check["exchanges"], *(one["exchange"] for one in check["breaches"] if one["exchange"])]
            for ref in dict.fromkeys(ref for ref in refs if ref not in record["exchanges"]):
                yield Difference(
                    case.id, f"{check['id']} rests on the exchange {ref}", "it does not hold that exchange"
                )


# -- findings


def compare_findings(record: Record, again: Record) -> Iterator[Difference]:
    """Where the findings are not those of its checks. A record of an earlier version holds none."""
    if "findings" not in record:
        return
    said = {found["id"]: found for found in record["findings"]}
    made = {found["id"]: found for found in again["findings"]}
    for name, found in made.items():
        if name not in said:
            yield Difference(f"finding {name}", "no such finding", f"it follows from {_place_of(found)}")
    for name, found in said.items():
        if name not in made:
            yield Difference(f"finding {name}", "this finding", "it follows from none of its checks")
        else:
            yield from _compare_finding(found, made[name])
    if len(said) < len(record["findings"]):
        yield Difference("findings", "one of them twice", "each is listed once")
    elif said.keys() == made.keys() and list(said) != list(made):
        yield Difference("findings", "another order", "the worst are first, and of the same rank those at most places")


def _place_of(found: FindingRecord) -> str:
    return ", ".join(found["places"][:3]) or found["check"]


def _compare_finding(found: FindingRecord, made: FindingRecord) -> Iterator[Difference]:
    said, follows = cast("Mapping[str, Any]", found), cast("Mapping[str, Any]", made)
    for key in follows:
        if said.get(key) != follows[key]:
            place = f"finding {found['id']}"
            yield Difference(place, f"{key} {said.get(key)}", f"from {_place_of(made)} follows {follows[key]}")

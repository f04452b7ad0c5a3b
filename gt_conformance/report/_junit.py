"""junit-gitlab.xml: the cases for GitLab's test report, in which a failure is a violation and nothing else.

GitLab shows ``error`` as failed. What was not tested is skipped there, with a text that begins with ``blocked``: it is
no failure of the tenant's, and no success. The job is red by the exit code of the run.
"""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from gt_conformance.exchange import inert, shortened
from gt_conformance.report._decision import decisions
from gt_conformance.report._findings import actor_in_words
from gt_conformance.results import Record, RecordedCase, cases, noun
from gt_conformance.results.case_types import CheckRecord, WaiverRecord
from gt_conformance.vocabulary import Actor, Outcome

_LONGEST = 2_000
_MOST_CHECKS = 5


def render_junit(record: Record) -> str:
    """The cases of a record, each once."""
    judged = list(cases(record))
    failures = sum(case.outcome is Outcome.VIOLATES for case in judged)
    skipped = sum(case.outcome not in {Outcome.VIOLATES, Outcome.CONFORMS} for case in judged)
    counts = {"tests": len(judged), "failures": failures, "errors": 0, "skipped": skipped}
    suite = ET.Element(
        "testsuite",
        {
            "name": "gt-conformance",
            **{name: str(number) for name, number in counts.items()},
            "time": f"{record['run']['duration_s']:.3f}",
            "timestamp": record["run"]["started"],
        },
    )
    _add_properties(suite, decisions(record))
    for case in judged:
        _add_case(suite, case)
    top = ET.Element("testsuites")
    top.append(suite)
    ET.indent(top, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, case: RecordedCase) -> None:
    elapsed_s = sum(check["elapsed_ms"] for check in case.checks) / 1000
    name = {"classname": case.title or "tenant", "name": case.id, "time": f"{elapsed_s:.3f}"}
    element = ET.SubElement(suite, "testcase", {key: _clean(text) for key, text in name.items()})
    properties = {"kind": noun(case.kind), "outcome": case.outcome.value}
    if (waiver := _waiver(case)) is not None:
        properties |= {f"waiver.{name}": str(value) for name, value in waiver.items()}
    _add_properties(element, properties)
    if case.outcome is Outcome.CONFORMS:
        return
    worst = [check for check in case.checks if check["outcome"] == case.outcome][:_MOST_CHECKS]
    tag = "failure" if case.outcome is Outcome.VIOLATES else "skipped"
    text = "\n".join([f"{case.outcome.value}: {case.id}", *map(_explain, worst)])
    if waiver is not None:
        text += f"\nwaived by {waiver['owner']} until {waiver['expires']}: {waiver['reason']}"
    result = ET.SubElement(element, tag, {"message": _clean(text.partition("\n")[0])})
    result.text = _clean(text)


def _explain(check: CheckRecord) -> str:
    acts = next((one.get("acts") for one in (*check["breaches"], *check["obstacles"]) if one.get("acts")), None)
    who = f" {actor_in_words(Actor(acts))} has to act." if acts else ""
    because = f" (because of {check['because']})" if "because" in check else ""
    reason = f"{check['reason']}{because}".rstrip(".")
    return f"{check['id']}: {reason}. {check['remedy']}{who}".rstrip()


def _waiver(case: RecordedCase) -> WaiverRecord | None:
    """The first waiver of what is wrong with a case."""
    for check in case.checks:
        flaws = (one.get("waiver") for one in (*check["breaches"], *check["obstacles"]))
        if (found := check["waiver"] or next(filter(None, flaws), None)) is not None:
            return found
    return None


def _add_properties(element: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})


def _clean(text: str) -> str:
    """Text that XML can hold, shortened."""
    return str(inert(shortened(text, _LONGEST)))

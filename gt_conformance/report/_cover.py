"""The cover: what was run against what, and what came of it, in words."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gt_conformance import results
from gt_conformance.report._matrix import tally
from gt_conformance.results import Record, client_rows, overall


@dataclass(frozen=True, slots=True)
class Cover:
    """Sentences for the first page. ``tone`` is the outcome that colours them."""

    tone: str
    headline: str
    counted: str
    tenant_checks: str
    date: str
    duration: str
    scope: str
    partial: bool
    vouched: str
    command: str
    faults: tuple[str, ...]
    variants: tuple[str, ...]


def cover(record: Record) -> Cover:
    """The cover of a record."""
    run = record["run"]
    checks = [check["outcome"] for check in record["tenant_checks"]]
    partial = results.is_partial(record)
    tone, headline = _headline(record, partial=partial)
    return Cover(
        tone=tone,
        headline=headline,
        counted=_counted(record),
        tenant_checks=tally(Counter(checks), len(checks), "tenant check"),
        date=moment(run["started"]),
        duration=seconds(run["duration_s"]),
        scope=_scope(record),
        partial=partial,
        vouched=_vouched(record),
        command=_command(run),
        faults=tuple(faults(run["options"])),
        variants=tuple(run["options"].get("variants", ())),
    )


def faults(options: Mapping[str, Any]) -> list[str]:
    """The faults of the embedded tenant; records of earlier versions know one."""
    older = ["versioned-only"] if options.get("versioned_only") else []
    return list(options.get("faults", older))


def moment(text: str) -> str:
    """``22 November 2026, 21:20 UTC``; the text itself where it is no moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def seconds(number: float) -> str:
    """``2.8 s``, ``3 min 12 s``."""
    return f"{number:.1f} s" if number < 60 else f"{int(number // 60)} min {int(number % 60)} s"


def size(number: int) -> str:
    """``646 kB``."""
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if number >= step:
            return f"{number / step:,.1f} {unit}"
    return f"{number} bytes"


def _headline(record: Record, *, partial: bool) -> tuple[str, str]:
    call = "The embedded tenant" if record["run"]["tenant"]["kind"] == "embedded" else "The tenant"
    totals = overall(record)
    rest = f"{' in what was selected' if partial else ''}{', apart from what is waived' if totals['waived'] else ''}"
    worst_first = (
        (record["run"]["refusal"] is not None, "blocked", "Nothing could be tested."),
        (record["suite_errors"], "violates", "The suite itself failed: read this report with care."),
        (totals["violates"], "violates", f"{call} does not conform."),
        (record["waiver_problems"], "violates", "A waiver has to go."),
        (totals["blocked"], "blocked", "Incomplete: nothing violates, but not everything could be tested."),
        (totals["unattested"], "blocked", "Incomplete: nothing violates, but people have yet to vouch for some of it."),
        (not any(totals.values()), "blocked", "Nothing was tested."),
    )
    return next(((tone, text) for true, tone, text in worst_first if true), ("conforms", f"{call} conforms{rest}."))


def _counted(record: Record) -> str:
    rows = [row["outcome"] for book in record["runbooks"] for row in book["routes"]]
    items = [item["outcome"] for book in record["runbooks"] for item in book["checklist"]]
    checks = [check["outcome"] for check in record["tenant_checks"]]
    parts = [tally(Counter(rows), len(rows), "row")]
    parts += [tally(Counter(items), len(items), "checklist item")] if items else []
    parts += [tally(Counter(checks), len(checks), "tenant check")]
    driven = [row["outcome"] for row in client_rows(record)]
    parts += [tally(Counter(driven), len(driven), "client row")] if driven else []
    return "".join(f"{part[:1].upper()}{part[1:]}. " for part in parts).rstrip()


def _scope(record: Record) -> str:
    options = record["run"]["options"]
    parts = [
        f"only the {noun if len(options[noun]) > 1 else noun[:-1]} {', '.join(options[noun])}"
        for noun in ("runbooks", "routes", "verdicts")
        if options[noun]
    ]
    shares = record["run"].get("scope", {})
    missing = [noun for noun, share in shares.items() if share["selected"] < share["known"]]
    counted = ", ".join(
        f"{share['selected']} of {share['known']} {noun.replace('_', ' ').replace('items', 'checklist items')}"
        for noun, share in shares.items()
    )
    if not parts:
        parts = ["some, by what was given to pytest" if missing else "everything"]
    whole = "; ".join(parts)
    return f"{whole[:1].upper()}{whole[1:]}.{f' That is {counted}.' if counted else ''}"


def _vouched(record: Record) -> str:
    items = [item for book in record["runbooks"] for item in book["checklist"]]
    vouched = sum(item["attestation"] is not None for item in items)
    if not vouched:
        return ""
    noun = "1 checklist item rests" if vouched == 1 else f"{vouched} checklist items rest"
    whose = "a SAMPLE that stands in for people" if record["run"]["options"].get("sample") else "people"
    return f"{noun} in part on the word of {whose}, not on a probe alone."


def _command(run: Mapping[str, Any]) -> str:
    options = run["options"]
    words = ["gt-conformance", "run"]
    words += [] if run["tenant"]["kind"] == "embedded" else ["--tenant", "TENANT_FILE"]
    for flag, key in (("--runbook", "runbooks"), ("--route", "routes"), ("--verdict", "verdicts")):
        words += [word for name in options[key] for word in (flag, name)]
    for name in ("attestations", "waivers"):
        if options.get(name) and not (name == "attestations" and options.get("sample")):
            words += [f"--{name}", options[name]]
    words += ["--clients", ",".join(options["clients"])] if options.get("clients") else []
    words += ["--strict"] if options.get("strict") else []
    words += [word for name in faults(options) for word in ("--fault", name)]
    words += [word for name in options.get("variants", ()) for word in ("--variant", name)]
    return shlex.join(words)

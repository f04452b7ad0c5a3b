"""The cover: what was run against what, and the outcome, in sentences."""

import shlex
from dataclasses import dataclass

from gt_conformance.planning import CaseKind
from gt_conformance.report._decision import decision, decision_reason, is_embedded, tone, word
from gt_conformance.report._format import interruption, moment, numbered, profile_name, seconds, tally
from gt_conformance.results import Record, cases, is_partial, noun
from gt_conformance.results.run_types import SELECTION_NAMES, SHARE_NAMES, OptionsRecord, RunRecord


@dataclass(frozen=True, slots=True)
class Cover:
    """Sentences for the first page. ``tone`` is the mark and the colour of the decision."""

    tone: str
    decision: str
    reason: str
    interruption: str
    counted: str
    tenant_checks: str
    date: str
    duration: str
    scope: str
    partial: bool
    attested: str
    command: str
    faults: tuple[str, ...]
    variants: tuple[str, ...]
    profile: str
    """The published set of checks, clauses and runbooks; empty where the record names none."""

    @property
    def headline(self) -> str:
        """The decision with its reason, after what interrupted the run."""
        return " ".join(filter(None, (self.interruption, f"{self.decision}: {self.reason}")))


def cover(record: Record) -> Cover:
    """The cover of a record."""
    run = record["run"]
    partial = is_partial(record)
    return Cover(
        tone=tone(record),
        decision=word(decision(record), embedded=is_embedded(record)),
        reason=decision_reason(record),
        interruption=interruption(run),
        counted=_counted(record),
        tenant_checks=_tally(record, CaseKind.TENANT),
        date=moment(run["started"]),
        duration=seconds(run["duration_s"]),
        scope=_scope(record),
        partial=partial,
        attested=describe_attestations(record),
        command=_command(run),
        faults=tuple(faults(run["options"])),
        variants=tuple(run["options"].get("variants", ())),
        profile=profile_name(record),
    )


def faults(options: OptionsRecord) -> list[str]:
    """The faults of the embedded tenant; earlier versions recorded only this one."""
    older = ["versioned-only"] if options.get("versioned_only") else []
    return list(options.get("faults", older))


def _counted(record: Record) -> str:
    kinds = {case.kind for case in cases(record)} | {CaseKind.ROW, CaseKind.TENANT}
    parts = [_tally(record, kind) for kind in CaseKind if kind in kinds]
    return "".join(f"{part[:1].upper()}{part[1:]}. " for part in parts).rstrip()


def _tally(record: Record, kind: CaseKind) -> str:
    word = "checklist item" if kind is CaseKind.ITEM else noun(kind)
    return tally((case.outcome for case in cases(record) if case.kind is kind), word)


def _scope(record: Record) -> str:
    options, scope = record["run"]["options"], record["run"].get("scope")
    parts = [
        f"only the {name if len(options[name]) > 1 else name[:-1]} {', '.join(options[name])}"
        for name in SELECTION_NAMES
        if options[name]
    ]
    parts += ["only the tenant's boundary, over all keys"] if options.get("boundary") else []
    counted = ""
    if scope is not None:
        shares = [(name, scope[name]) for name in SHARE_NAMES]
        listed = [f"{share['selected']} of {numbered(share['known'], _NOUNS[name])}" for name, share in shares]
        counted = f" That is {', '.join(listed)}."
    if not parts:
        parts = ["a selection, made with pytest's own options" if is_partial(record) else "everything"]
    whole = "; ".join(parts)
    return f"{whole[:1].upper()}{whole[1:]}.{counted}"


_NOUNS = {"runbooks": "runbook", "rows": "row", "items": "checklist item", "tenant_checks": "tenant check"}


def describe_attestations(record: Record) -> str:
    """``6 checklist items rely on attestations.``: a probe alone did not decide them. Empty where none does."""
    number = sum(item["attestation"] is not None for book in record["runbooks"] for item in book["checklist"])
    if not number:
        return ""
    verb = "relies" if number == 1 else "rely"
    kind = "SAMPLE attestations" if record["run"]["options"].get("sample") else "attestations"
    return f"{numbered(number, 'checklist item')} {verb} on {kind}."


def _command(run: RunRecord) -> str:
    """The command that makes the run again, with files by their names."""
    options = run["options"]
    before = ""
    words = ["gt-conformance", "run"]
    if options.get("from_environment"):
        before = f"GT_BASE_URL={shlex.quote(run['tenant']['base_url'])} GT_API_KEY=... GT_MODEL=... "
    elif file := options.get("tenant_file"):
        words += ["--tenant", file]
    elif run["tenant"]["kind"] != "embedded":  # an earlier version did not record it
        words += ["--tenant", "TENANT_FILE"]
    for name in SELECTION_NAMES:
        words += [word for value in options[name] for word in (f"--{name[:-1]}", value)]
    words += ["--boundary"] if options.get("boundary") else []
    attestations, waivers, clients = options.get("attestations"), options.get("waivers"), options.get("clients")
    words += ["--attestations", attestations] if attestations and not options.get("sample") else []
    words += ["--waivers", waivers] if waivers else []
    for option, value in (("--accepted", options.get("accepted")), ("--runbooks", options.get("runbooks_dir"))):
        words += [option, value] if value else []
    words += [word for name in options.get("checks", ()) for word in ("--checks", name)]
    words += ["--clients", ",".join(clients)] if clients else []
    words += ["--strict"] if options.get("strict") else []
    words += [word for name in faults(options) for word in ("--fault", name)]
    words += [word for name in options.get("variants", ()) for word in ("--variant", name)]
    words += ["--fail-on", "new"] if options.get("fail_on") == "new" and options.get("accepted") else []
    return before + shlex.join(words)

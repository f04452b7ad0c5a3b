"""summary.md: the record in short, for job summaries and pull requests.

Whatever may come from a tenant is in a code span, where GitHub and GitLab read no markup, link or mention.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from gt_conformance.exchange import inert, shortened
from gt_conformance.report._clients import HEADINGS, ClientLine, client_lines
from gt_conformance.report._cover import cover
from gt_conformance.report._decision import runbook_decision
from gt_conformance.report._findings import Finding, Proof, blockers, unattested, violations, waived
from gt_conformance.report._format import numbered
from gt_conformance.report._matrix import NOT_RUN, beyond_the_cells, matrix
from gt_conformance.report._since import Group, since
from gt_conformance.report._spending import is_priced, spent_in_short
from gt_conformance.report._times import describe_chats, promise_lines
from gt_conformance.results import Record
from gt_conformance.results.run_types import OUTCOME_NAMES, Totals
from gt_conformance.vocabulary import Decision, Outcome, Route, Verdict

LONGEST = 60_000
"""Characters. A comment on GitHub holds 65,536; what does not fit is left out, and the summary says so."""

_MARKS = {
    Outcome.CONFORMS: "✓",
    Outcome.VIOLATES: "✗",
    Outcome.BLOCKED: "⊖",
    Outcome.UNATTESTED: "?",
    Outcome.WAIVED: "~",
    NOT_RUN: "·",
}
_LETTERS = {Verdict.NATIVE: "N", Verdict.GT_EXTENSION: "G", Verdict.NOT_SUPPORTED: "\N{EN DASH}"}
_MOST_PLACES, _MOST_LINES, _MOST_CHANGES = 6, 3, 12
_LONGEST_TEXT = 1_000
_MOST_TENANTS = 40
_TOTALS_HEAD = "".join(f" {name} |" for name in OUTCOME_NAMES)
_LEFT_OUT = 100
"""Characters for the line that says so."""
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_LEADING = re.compile(r"^([-+#>=]|\d+(?=[.)]))")
_LINKED = re.compile(r"(?<=:)(?=//)|(?<=@)|(?<=[wW]{3})(?=\.)|(?<=#)(?=\d)")


def render_markdown(*records: Record) -> str:
    """The summary of each record: outcome, totals, matrix, what changed, what to fix and to supply.

    Of several, which are several tenants', an overview comes first.
    """
    overview = [_overview(records)] if len(records) > 1 else []
    longest = (LONGEST - sum(map(len, overview))) // len(records) - 1
    return "\n".join([*overview, *(_within(longest, [*_parts(record)]) for record in records)])


def _overview(records: Sequence[Record]) -> str:
    """A line for each tenant: its decision, its worst finding with who has to act, and what is untested."""
    lines = ["# Overview of the tenants", "", f"| Tenant | Decision |{_TOTALS_HEAD} First to act on |"]
    lines.append(f"| --- | --- |{' ---: |' * len(OUTCOME_NAMES)} --- |")
    for record in records[:_MOST_TENANTS]:
        tenant, found = record["run"]["tenant"], [*violations(record), *blockers(record), *unattested(record)]
        name = plain(tenant["name"]) if "name" in tenant else _code(tenant["base_url"])
        totals = " | ".join(str(record["totals"][outcome]) for outcome in OUTCOME_NAMES)
        first = f"{found[0].label} {_code(found[0].check)}: {plain(found[0].acts)}" if found else ""
        lines.append(f"| {name} | **{plain(cover(record).decision)}** | {totals} | {first} |")
    if len(records) > _MOST_TENANTS:
        lines.append(f"\n_{len(records) - _MOST_TENANTS} more tenants in compliance.html._")
    return "\n".join([*lines, ""])


def _within(longest: int, parts: Sequence[str]) -> str:
    text, left_out = parts[0], 0
    for part in parts[1:]:
        if len(text) + len(part) > longest - _LEFT_OUT:
            left_out += 1
        else:
            text += f"\n{part}"
    if left_out:
        text += (
            f"\n_{left_out} more {'part' if left_out == 1 else 'parts'} in compliance.html: too long for a summary._\n"
        )
    return text


def since_markdown(record: Record) -> str:
    """The comparison that the record carries, alone."""
    return "\n".join(_since(record))


def _parts(record: Record) -> Iterator[str]:
    run, page = record["run"], cover(record)
    yield _joined(
        f"# {f'{page.interruption} ' if page.interruption else ''}{page.decision}: GT API conformance",
        "",
        f"**{plain(f'{page.decision}: {page.reason}')}**",
        "",
        " · ".join(
            (
                *([plain(run["tenant"]["name"])] if "name" in run["tenant"] else []),
                _code(run["tenant"]["base_url"]),
                plain(page.date),
                f"run {run['id']}",
                *([plain(page.profile)] if page.profile else []),
                *([plain(spent_in_short(record["traffic"]))] if is_priced(record["traffic"]) else []),
            )
        ),
        "",
        *(
            ["**EMBEDDED TENANT: evidence about this suite, never about a tenant.**", ""]
            if run["tenant"]["kind"] == "embedded"
            else []
        ),
        *([f"**Part of the whole.** {plain(page.scope)}", ""] if page.partial else []),
        *_totals(record["totals"]),
        "",
        plain(page.counted),
        *(["", plain(page.attested)] if page.attested else []),
        *(
            f"\n{plain(book['title'])} was judged with the base URL {_code(entered)}, not the documented one."
            for book in record["runbooks"]
            if (entered := book.get("entered_base_url"))
        ),
    )
    if run["refusal"] is not None:
        yield _joined(
            "## Nothing could be tested",
            "",
            _code(run["refusal"]["reason"]),
            "",
            f"→ {_code(run['refusal']['remedy'])}",
        )
    for title, texts in (
        ("The suite itself failed", [fault.strip().splitlines()[-1] for fault in record["suite_errors"]]),
        ("Waivers that have to go", record["waiver_problems"]),
        ("Waivers that are no longer needed", record.get("waiver_remarks", [])),
    ):
        if texts:
            yield _joined(f"## {title}", "", *(f"- {_code(text)}" for text in texts))
    if record["runbooks"]:
        yield _joined("## Matrix", "", *_matrix(record))
    if lines := client_lines(record):
        yield _joined("## Real clients, driven", "", *_client_table(lines))
    if by_hand := [product for entry in record.get("clients", ()) for product in entry.get("undriven", ())]:
        yield _joined("By hand:", "", *(f"- {plain(one['title'])}: {plain(one['why'])}" for one in by_hand))
    yield from _times(record)
    yield from _since(record)
    yield from _findings("What violates", violations(record))
    yield from _findings("What was not tested", blockers(record))
    yield from _findings("What is not attested", unattested(record))
    yield from _findings("What is waived", waived(record))


def _times(record: Record) -> Iterator[str]:
    """What was promised of the tenant's speed, and how fast chats were."""
    chats, promises = describe_chats(record), promise_lines(record)
    if not chats and not promises:
        return
    lines = ["| Promised | Limit | Found | Over | |", "| --- | --- | --- | --- | :-: |"] if promises else []
    for one in promises:
        cells = [_code(one.id), plain(one.limit), plain(one.found), plain(one.over), _MARKS[_key(one.outcome)]]
        lines.append(f"| {' | '.join(cells)} |")
    yield _joined("## Times", "", *lines, *([""] if promises else []), plain(chats))


def _totals(totals: Totals) -> Iterator[str]:
    yield f"| {' | '.join(f'{_MARKS[Outcome(name)]} {name}' for name in OUTCOME_NAMES)} |"
    yield f"|{' ---: |' * len(OUTCOME_NAMES)}"
    yield f"| {' | '.join(str(totals[name]) for name in OUTCOME_NAMES)} |"


def _client_table(lines: Sequence[ClientLine]) -> Iterator[str]:
    yield f"| | {' | '.join(HEADINGS)} |"
    yield f"| :-: |{' --- |' * len(HEADINGS)}"
    for line in lines:
        yield f"| {_MARKS[line.outcome]} | {' | '.join(plain(cell) for cell in line.cells)} |"


def _matrix(record: Record) -> Iterator[str]:
    groups = matrix(record)
    numbers = len(groups[0].lines[0].items)
    routes = [route.value.replace("_", " ") for route in Route]
    yield f"| Runbook | {' | '.join(routes)} |{' Checklist |' if numbers else ''} Decision |"
    yield f"| --- |{' :-: |' * len(routes)}{' :-: |' if numbers else ''} --- |"
    for group in groups:
        for line in group.lines:
            cells = [
                f"{_LETTERS.get(Verdict(cell.verdict)) if cell.verdict else ''}{_MARKS[_key(cell.outcome)]}"
                for cell in line.cells
            ]
            items = f" {''.join(_MARKS[_key(item.outcome)] for item in line.items)} |" if numbers else ""
            found = runbook_decision(record, line.book)
            word = f"**{found.value}**" if found is Decision.NO_GO else found.value
            yield f"| {plain(line.book['title'])} | {' | '.join(cells)} |{items} {word} |"
    yield ""
    legend = [f"{mark} {'not run' if name == NOT_RUN else name}" for name, mark in _MARKS.items()]
    yield f"N native, G GT extension, \N{EN DASH} not supported (must be refused). {', '.join(legend)}."
    if beyond := beyond_the_cells(record):
        yield ""
        yield plain(beyond)


def _key(outcome: str) -> str:
    return outcome if outcome == NOT_RUN else Outcome(outcome)


def _since(record: Record) -> Iterator[str]:
    found = since(record)
    if found is None:
        return
    yield _joined(
        f"## Since {plain(found.earlier)}", "", f"**{plain(found.headline)}**", "", *map(_remark, found.remarks)
    )
    for group in found.groups:
        yield _joined(f"### {group.title}: {group.count}", "", *_changes(group))


def _remark(text: str) -> str:
    return f"- {plain(text)}"


def _changes(group: Group) -> Iterator[str]:
    for change in group.changes[:_MOST_CHANGES]:
        was = f", was: {_code(shortened(change.was, 300))}" if change.was else ""
        yield f"- {_code(change.check)} in {_some(change.places)}{change.waived_before}{was}"
    if len(group.changes) > _MOST_CHANGES:
        yield f"- and {len(group.changes) - _MOST_CHANGES} more in compliance.html"


def _findings(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield _joined(f"## {title}: {numbered(len(findings), 'finding')}")
    for finding in findings:
        yield _joined(*_finding(finding))


def _finding(finding: Finding) -> Iterator[str]:
    head = [f"**{finding.label}**"]
    if finding.is_violation:
        head += [_code(finding.check), finding.severity]
    yield " · ".join([" ".join(head[:2]), *head[2:], f"{plain(finding.acts)} has to act", _code(finding.id)])
    if finding.is_violation:
        yield f"- promise: {plain(finding.promise)}"
        yield from (f"- clause {_code(clause.id)}: {plain(clause.text)}" for clause in finding.clauses if clause.text)
    for line in finding.lines[:_MOST_LINES]:
        yield f"- expected: {_code(line.expected)}{f' at {_code(line.at)}' if line.at else ''}" if line.expected else ""
        proofs = ", ".join(_proof(proof) for proof in line.proofs[:_MOST_LINES]) if finding.is_violation else ""
        found = _code(shortened(line.found, 300))
        yield f"- {'found' if line.expected else 'because'}: {found}{f' ({proofs})' if proofs else ''}"
    if len(finding.lines) > _MOST_LINES:
        yield f"- and {len(finding.lines) - _MOST_LINES} more in compliance.html"
    if finding.remedy:
        yield f"- → {_code(finding.remedy)}"
    if finding.waiver:
        waiver = finding.waiver
        yield f"- waived by {_code(waiver['owner'])} until {_code(waiver['expires'])}: {_code(waiver['reason'])}"
    if finding.places:
        yield f"- in {plain(finding.extent)}: {_some(place.anchor for place in finding.places)}"
    if finding.blocks:
        yield f"- keeps {plain(finding.blocks)} from being tested"


def _proof(proof: Proof) -> str:
    refs = _some(proof.exchanges[:1]) + (f" and {len(proof.exchanges) - 1} more" if len(proof.exchanges) > 1 else "")
    return " ".join([*([f"key {_code(proof.credential)}"] if proof.credential else []), *([refs] if refs else [])])


def _some(names: Iterable[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - _MOST_PLACES} more" if len(every) > _MOST_PLACES else ""
    return ", ".join(_code(name) for name in every[:_MOST_PLACES]) + rest


def plain(text: str) -> str:
    """Text of ours as Markdown: no character of it is markup, and nothing in it becomes a link or a mention."""
    flat = " ".join(str(inert(shortened(text, _LONGEST_TEXT))).split())
    escaped = _SPECIAL.sub(r"\\\1", flat.replace("&", "&amp;").replace("<", "&lt;"))
    escaped = _LEADING.sub(r"<!-- -->\1", escaped)
    return _LINKED.sub("<!-- -->", escaped)


def _code(text: str) -> str:
    """Text from outside as a code span, with a fence that is longer than any run of backticks in it."""
    flat = " ".join(str(inert(shortened(text, 600))).split()) or "\N{EN DASH}"
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{padding}{flat}{padding}{fence}"


def _joined(*lines: str) -> str:
    kept = [
        line for number, line in enumerate(lines) if line or number == 0 or not lines[number - 1].startswith(("-", " "))
    ]
    return "\n".join(kept) + "\n"

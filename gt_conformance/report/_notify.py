"""notify.txt: the outcome in a message for a chat or a mail: who has to act, on what, since when, and what is untested.

At most 3 kB of plain text. Slack, Teams and mail programs make links, mentions and markup of it, so that nothing that a
tenant or a file said can be any of these.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from gt_conformance.dated_entries import normalise
from gt_conformance.exchange import inert, shortened
from gt_conformance.report._decision import decision_line, is_embedded
from gt_conformance.report._findings import Finding, blockers, unattested, violations, waived
from gt_conformance.report._format import moment, numbered, seconds, tally
from gt_conformance.report._since import since
from gt_conformance.results import Record, cases
from gt_conformance.results.record_types import ChangeKind
from gt_conformance.vocabulary import Outcome

LONGEST = 3_000
"""Bytes."""
_LONGEST_TEXT = 140
_LONGEST_COMMAND = 400
_LEFT_OUT = 120
"""Bytes for the lines that are always there: what is left out, and where the report is."""
_SPECIAL = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "@": "(at)"})
_ADDRESS = re.compile(r"https?://[\w.:%/-]{1,300}")
_LINK = re.compile(r"(?i)(https?|ftp|mailto|slack|javascript|data):|(?<=[wW]{3})\.")


def render_notify(record: Record, page: str) -> str:
    """The message of a record, whose report is the page of that name."""
    return fitted("\n".join(_head(record)), _body(record), _where(record, page))


def fitted(head: str, lines: Iterable[str], where: str) -> str:
    """A message of at most LONGEST bytes: the head, the lines that there is room for, and where the report is."""
    text, foot, left_out = head, f"\n{where}\n", 0
    for line in lines:
        if len(f"{text}\n{line}{foot}".encode()) > LONGEST - _LEFT_OUT:
            left_out += 1
        else:
            text += f"\n{line}"
    more = f"\n... and {numbered(left_out, 'more line')} in the report." if left_out else ""
    return f"{text}{more}{foot}"


def _head(record: Record) -> Iterator[str]:
    run = record["run"]
    yield _with_commands(record, decision_line(record), 400)
    if is_embedded(record):
        yield "EMBEDDED tenant: evidence about the suite, never about a tenant."
    name = f"{harmless(run['tenant']['name'])}, " if "name" in run["tenant"] else ""
    address = run["tenant"]["base_url"]
    address = address if _ADDRESS.fullmatch(address) else harmless(address)
    about = f"run {run['id']} of {moment(run['started'])}, {seconds(run['duration_s'])}"
    yield f"{name}{address}, {harmless(about)}"
    yield f"{tally((case.outcome for case in cases(record)), 'case')}."


def _body(record: Record) -> Iterator[str]:
    if record.get("unverified"):
        yield "NOT VERIFIED: the record is not consistent."
    if (found := since(record)) is not None:
        yield f"Since {harmless(found.earlier)}: {harmless(found.headline, 300)}"
    yield from _part(record, "To fix", violations(record))
    yield from _part(record, "Not tested", blockers(record))
    yield from _part(record, "Not attested", unattested(record))
    yield from _part(record, "Waived", waived(record))


def _with_commands(record: Record, text: str, longest: int) -> str:
    """The text, harmless; a command in it names the tenant's address as it is, so that it can be copied."""
    said, address = harmless(text, longest), normalise(record["run"]["tenant"]["base_url"])
    if not _ADDRESS.fullmatch(address):
        return said
    named = re.compile(rf"(?<=--tenant ){re.escape(harmless(address, longest))}(?=\.?(?:\s|$))")
    return named.sub(lambda _: address, said)


def _part(record: Record, title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield f"{title}: {numbered(len(findings), 'finding')}"
    for finding in findings:
        yield f"- {_sentence_of(record, finding)}{_age(record, finding)}"


def _sentence_of(record: Record, finding: Finding) -> str:
    """``V1 high chat.streams: A chat streams. The platform has to act. In 14 rows.``."""
    said = harmless(finding.promise if finding.is_violation else finding.title).rstrip(".")
    if finding.outcome is Outcome.UNATTESTED:
        said = _with_commands(record, finding.title, _LONGEST_COMMAND).rstrip(".")
    acts = f"{finding.acts[:1].upper()}{finding.acts[1:]} has to act"
    waiver, until = finding.waiver, ""
    if waiver is not None:
        until = f"; waived by {harmless(waiver['owner'])} until {harmless(waiver['expires'])}"
    at = f" In {finding.extent}." if finding.extent else ""
    return f"{finding.label} {finding.severity} {harmless(finding.check)}: {said}. {acts}{until}.{at}"


def _age(record: Record, finding: Finding) -> str:
    """Since when a finding is there, as far as the run was compared with an earlier one."""
    found = record.get("since")
    if found is None or finding.outcome is not Outcome.VIOLATES:
        return ""
    kinds: dict[str, ChangeKind] = {"New": "new_violations", "There already": "still_violating"}
    day = found["run"]["started"][:10]
    for words, kind in kinds.items():
        if any(change["check"] == finding.check for change in found[kind]):
            return f" {words} since {day}." if kind == "new_violations" else f" {words} on {day}."
    return ""


def _where(record: Record, page: str) -> str:
    job = record["run"].get("provenance", {}).get("job") or ""
    return f"Report: {page} {f'of {job}' if _ADDRESS.fullmatch(job) else 'in the report directory'}"


def harmless(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Text from outside in one line, in which no program finds a link or a mention."""
    flat = " ".join(str(inert(shortened(text, longest))).split()).translate(_SPECIAL)
    return _LINK.sub(lambda match: match[0].replace(":", "\N{RATIO}").replace(".", "\N{ONE DOT LEADER}"), flat)

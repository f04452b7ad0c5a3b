"""The clients of a record in short: a line for each that was driven, for the terminal, the summary and the docs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gt_conformance.exchange import shortened
from gt_conformance.report._findings import blockers, violations
from gt_conformance.report._line import Line
from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome, Verdict

HEADINGS = (
    "Runbook",
    "Client",
    "Version",
    "Base URL as documented",
    "Native rows held",
    "Unsupported routes called",
    "Requests",
    "Tokens",
    "Seconds",
)


@dataclass(frozen=True, slots=True)
class ClientLine:
    """One driven client. ``cells`` stand under the headings; ``outcome`` is the worst of its checks."""

    cells: tuple[str, ...]
    outcome: Outcome


def client_lines(record: Record) -> list[ClientLine]:
    """A line for each client, in the order of the record."""
    return [_line(entry, client) for entry in record.get("clients", ()) for client in entry["driven"]]


def _line(entry: Mapping[str, Any], client: Mapping[str, Any]) -> ClientLine:
    own = [
        (row, check)
        for row in entry["routes"]
        for check in row["checks"]
        if check["parameters"].get("client") == client["id"]
    ]
    native = [check for row, check in own if row["verdict"] == Verdict.NATIVE]
    held = sum(check["outcome"] == Outcome.CONFORMS for check in native)
    cells = (
        entry["title"],
        client["title"],
        client["version"],
        base_url_words(client),
        f"{held} of {len(native)}",
        ", ".join(client["unsupported"]) or "none",
        str(client["requests"]),
        str(client["tokens"]),
        f"{client['seconds']:.1f}",
    )
    return ClientLine(cells, Outcome.worst(Outcome(check["outcome"]) for _, check in own))


def base_url_words(client: Mapping[str, Any]) -> str:
    """Whether the documented base URL works for it, and where it does not, whether /v1 behind it does."""
    if not client["attempts"]:
        return "not driven"
    if client["attempts"][0]["works"]:
        return "works"
    if len(client["attempts"]) > 1 and client["attempts"][1]["works"]:
        return "fails; with /v1 it works"
    return "fails, with /v1 as well" if len(client["attempts"]) > 1 else "fails"


class Seen(NamedTuple):
    """One exchange of a client in short, and its reference."""

    ref: str
    text: str


def stages(record: Record) -> Mapping[str, Mapping[str, Any]]:
    """By runbook, its clients for the document: what each said beside what happened on the wire, and its rows."""
    return {
        entry["runbook"]: {
            "title": entry["title"],
            "clients": [_staged(record, client) for client in entry["driven"]],
            "rows": entry["routes"],
        }
        for entry in record.get("clients", ())
    }


def _staged(record: Record, client: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **client,
        "base_url": f"the documented one {base_url_words(client)}",
        "discovery": [f"{item['request']}: {item['status'] or 'no answer'}" for item in client["discovery"]],
        "attempts": [
            {
                **attempt,
                "calls": [
                    {**call, "wire": [_seen(record, ref) for ref in call["exchanges"][:_MOST_SEEN]]}
                    for call in attempt["calls"]
                ],
            }
            for attempt in client["attempts"]
        ],
    }


def _seen(record: Record, ref: str) -> Seen:
    request, response = (record["exchanges"][ref][name] for name in ("request", "response"))
    result = f"HTTP {response['status']}" if response is not None else "no answer"
    return Seen(ref, f"{request['method']} {urlsplit(request['url']).path}: {result}")


def client_text(record: Record, *, verbose: bool = False) -> list[Line]:
    """The table of the clients, and what does not hold; with ``verbose`` every call in the client's own words."""
    return [*client_table(record, verbose=verbose), *_broken(record)]


def client_table(record: Record, *, verbose: bool = False) -> list[Line]:
    """The clients for a terminal: a line for each, and its hosts beyond; nothing where none was to be driven."""
    rows = client_lines(record)
    if not rows:
        return []
    table = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(cells[place]) for cells in table) for place in range(len(HEADINGS))]
    lines = [Line("Real clients, driven", "bold"), Line(_aligned(HEADINGS, widths), "dim")]
    clients = [client for entry in record["clients"] for client in entry["driven"]]
    for row, client in zip(rows, clients, strict=True):
        lines.append(Line(_aligned(row.cells, widths), _STYLES[row.outcome]))
        if client["trouble"]:
            lines.append(Line(f"    not driven: {client['trouble']}", "yellow"))
        if client["hosts"]:
            lines.append(Line(f"    it also tried to reach: {', '.join(client['hosts'])}", "dim"))
        lines += _calls(client) if verbose else ()
    return lines


def clients_document(record: Record, on: str, *, embedded: bool) -> str:
    """docs/clients.md: the table with the day on which it was made."""
    against = "the embedded tenant" if embedded else "a tenant"
    lines = [
        "# Real clients, driven",
        "",
        f"Written by `make clients` on {on}, against {against}. Each client was installed by its lock in `clients/`,",
        "and driven through the recording proxy with the base URL of its runbook.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"| {' | '.join(['---'] * 4)} |{' ---: |' * (len(HEADINGS) - 4)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row.cells)} |" for row in client_lines(record)),
    ]
    return "\n".join(lines) + "\n"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _calls(client: Mapping[str, Any]) -> Iterator[Line]:
    for attempt in client["attempts"]:
        yield Line(f"    with {attempt['base_url']}", "dim")
        for call in attempt["calls"]:
            style = "green" if call["succeeded"] else "bold red"
            yield Line(f"      {call['call']}: {shortened(call['said'], _LONGEST)}", style)
        if attempt["ended"]:
            yield Line(f"      {attempt['ended']}", "yellow")
        if attempt["ended"] or not attempt["calls"]:
            yield from (Line(f"      | {line}", "dim") for line in attempt["chatter"].splitlines()[-_LAST_LINES:])


def _broken(record: Record) -> Iterator[Line]:
    for finding in violations(record):
        yield Line(f"{finding.label} {finding.check}: {finding.extent}", "bold red")
        for found in dict.fromkeys(line.found for lines in finding.cases for line in lines):
            yield Line(f"    {found}")
        yield Line(f"    → {finding.remedy}", "cyan")
    for finding in blockers(record):
        yield Line(f"{finding.label} {finding.extent} could not be tested", "yellow")
        for found in dict.fromkeys(line.found for lines in finding.cases for line in lines):
            yield Line(f"    {found}")
        yield Line(f"    → {finding.remedy}", "cyan")


_LONGEST = 200
_MOST_SEEN = 5
_LAST_LINES = 8
_STYLES = {
    Outcome.CONFORMS: "green",
    Outcome.WAIVED: "magenta",
    Outcome.UNATTESTED: "yellow",
    Outcome.BLOCKED: "yellow",
    Outcome.VIOLATES: "bold red",
}

"""Real clients that were driven: a line for each, for the terminal, the summary and the docs, and all that it did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from gt_conformance.exchange import ExchangeRecord, shortened
from gt_conformance.report._findings import blockers, violations
from gt_conformance.report._format import Line
from gt_conformance.results import Record
from gt_conformance.results.case_types import (
    CallRecord,
    CasesRecord,
    CheckRecord,
    ClientsRecord,
    DrivenRecord,
    RowRecord,
    UndrivenRecord,
)
from gt_conformance.vocabulary import CLIENT_CHECKS, Outcome, Verdict

STEPS = CLIENT_CHECKS[-1]
NOT_JUDGED = "not judged"

HEADINGS = (
    "Runbook",
    "Client",
    "Version",
    "Base URL as documented",
    "Native rows held",
    "HTTP steps held",
    "Unsupported routes called",
    "Requests",
    "Tokens",
    "Seconds",
)


@dataclass(frozen=True, slots=True)
class ClientLine:
    """One driven client. ``cells`` are in the order of the headings; ``outcome`` is the worst of its checks."""

    cells: tuple[str, ...]
    outcome: Outcome


def client_lines(record: CasesRecord) -> list[ClientLine]:
    """A line for each client, in the order of the record."""
    return [_line(entry, client) for entry in record.get("clients", ()) for client in entry["driven"]]


def _line(entry: ClientsRecord, client: DrivenRecord) -> ClientLine:
    own = [
        (row, check)
        for row in entry["routes"]
        for check in row["checks"]
        if check["parameters"].get("client") == client["id"]
    ]
    native = [check for row, check in own if row["verdict"] == Verdict.NATIVE]
    steps = [check for row, check in own if check["id"] == STEPS]
    cells = (
        entry["title"],
        client["title"],
        client["version"],
        base_url_words(client),
        _held(native),
        _held(steps),
        ", ".join(client["unsupported"]) or "none",
        str(client["requests"]),
        str(client["tokens"]),
        f"{client['seconds']:.1f}",
    )
    return ClientLine(cells, Outcome.worst(Outcome(check["outcome"]) for _, check in own))


def _held(checks: Sequence[CheckRecord]) -> str:
    """How many of the checks conform; a dash where it had no part in any."""
    held = sum(check["outcome"] == Outcome.CONFORMS for check in checks)
    return f"{held} of {len(checks)}" if checks else "-"


def base_url_words(client: DrivenRecord) -> str:
    """Whether the documented base URL works for it, and where it does not, whether /v1 behind it does."""
    if not client["drives"]:
        return "not entered"
    if not client["attempts"]:
        return "not driven"
    if not client.get("counted", client["drives"]):
        return NOT_JUDGED
    if client["attempts"][0]["works"]:
        return "works"
    if len(client["attempts"]) > 1 and client["attempts"][1]["works"]:
        return "fails; with /v1 it works"
    return "fails, with /v1 as well" if len(client["attempts"]) > 1 else "fails"


class Seen(NamedTuple):
    """One exchange of a client in short, and its reference."""

    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A client driven with one base URL: each call with the exchanges that it caused."""

    base_url: str
    ended: str | None
    calls: tuple[tuple[CallRecord, tuple[Seen, ...]], ...]


@dataclass(frozen=True, slots=True)
class DrivenClient:
    """A client for the document: what it reported beside what happened on the wire."""

    client: DrivenRecord
    base_url: str
    discovery: tuple[str, ...]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """The clients of one runbook, and the rows that they judged."""

    title: str
    clients: tuple[DrivenClient, ...]
    undriven: Sequence[UndrivenRecord]
    rows: Sequence[RowRecord]


def stages(record: Record) -> Mapping[str, Stage]:
    """By runbook, its clients for the document."""
    exchanges = record["exchanges"]
    return {
        entry["runbook"]: Stage(
            entry["title"],
            tuple(_driven(exchanges, client) for client in entry["driven"]),
            entry.get("undriven", ()),
            entry["routes"],
        )
        for entry in record.get("clients", ())
    }


def _driven(exchanges: Mapping[str, ExchangeRecord], client: DrivenRecord) -> DrivenClient:
    return DrivenClient(
        client,
        _base_url_sentence(client),
        tuple(f"{item['request']}: {item['status'] or 'no answer'}" for item in client["discovery"]),
        tuple(
            Attempt(
                attempt["base_url"],
                attempt["ended"],
                tuple(
                    (call, tuple(_seen(ref, exchanges[ref]) for ref in call["exchanges"][:_MOST_SEEN]))
                    for call in attempt["calls"]
                ),
            )
            for attempt in client["attempts"]
        ),
    )


def _base_url_sentence(client: DrivenRecord) -> str:
    words = base_url_words(client)
    if not client["drives"]:
        return f"{words}: it sends the runbook's HTTP steps, each with its whole address"
    if words == NOT_JUDGED:
        return f"{words}: none of its native routes is both selected and its key's to call"
    return f"the documented one {words}"


def _seen(ref: str, exchange: ExchangeRecord) -> Seen:
    request, response = exchange["request"], exchange["response"]
    result = f"HTTP {response['status']}" if response is not None else "no answer"
    return Seen(ref, f"{request['method']} {urlsplit(request['url']).path}: {result}")


def client_text(record: CasesRecord, *, verbose: bool = False) -> list[Line]:
    """The table of the clients, and what does not hold; with ``verbose`` every call as the client reports it."""
    return [*client_table(record, verbose=verbose), *_broken(record)]


def client_table(record: CasesRecord, *, verbose: bool = False) -> list[Line]:
    """The clients for a terminal: a line for each, and its hosts beyond; nothing where none was to be driven."""
    rows = client_lines(record)
    if not rows:
        return []
    table = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(cells[place]) for cells in table) for place in range(len(HEADINGS))]
    lines = [Line("Real clients, driven", "bold"), Line(_aligned(HEADINGS, widths), "dim")]
    clients = [client for entry in record.get("clients", ()) for client in entry["driven"]]
    for row, client in zip(rows, clients, strict=True):
        lines.append(Line(_aligned(row.cells, widths), _STYLES[row.outcome]))
        if client["trouble"]:
            lines.append(Line(f"    not driven: {client['trouble']}", "yellow"))
        if client["hosts"]:
            lines.append(Line(f"    it also tried to reach: {', '.join(client['hosts'])}", "dim"))
        lines += _calls(client) if verbose else ()
    undriven = [product for entry in record.get("clients", ()) for product in entry.get("undriven", ())]
    lines += [Line(f"by hand: {product['title']}: {product['why']}", "yellow") for product in undriven]
    return lines


def clients_document(record: CasesRecord, on: str, *, embedded: bool, by_hand: Sequence[tuple[str, str]] = ()) -> str:
    """docs/clients.md: the table with the day on which it was made, and what people try ``by_hand``, and why."""
    against = "the embedded tenant" if embedded else "a tenant"
    lines = [
        "# Real clients, driven",
        "",
        f"Written by `make clients` on {on}, against {against}. Each client was installed by its lock in `clients/`,",
        "and driven through the recording proxy with the base URL of its runbook. Where the product has an HTTP node",
        "that runs without its server, that sent the runbook's explicit HTTP steps: conversations, uploads, polling.",
        "Elsewhere the suite sends them as they are written.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"| {' | '.join(['---'] * 4)} |{' ---: |' * (len(HEADINGS) - 4)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row.cells)} |" for row in client_lines(record)),
    ]
    if by_hand:
        lines += ["", "## By hand", "", "Nothing here drives these. Try them as their runbook says.", ""]
        lines += [f"- **{title}**: {why}" for title, why in by_hand]
    return "\n".join(lines) + "\n"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _calls(client: DrivenRecord) -> Iterator[Line]:
    for attempt in client["attempts"]:
        yield Line(f"    with {attempt['base_url']}", "dim")
        for call in attempt["calls"]:
            style = "green" if call["succeeded"] else "bold red"
            yield Line(f"      {call['call']}: {shortened(call['said'], _LONGEST)}", style)
        if attempt["ended"]:
            yield Line(f"      {attempt['ended']}", "yellow")
        if attempt["ended"] or not attempt["calls"]:
            yield from (Line(f"      | {line}", "dim") for line in attempt["chatter"].splitlines()[-_LAST_LINES:])


def _broken(record: CasesRecord) -> Iterator[Line]:
    titled = [(one, Line(f"{one.label} {one.check}: {one.extent}", "bold red")) for one in violations(record)]
    titled += [(one, Line(f"{one.label} {one.extent} could not be tested", "yellow")) for one in blockers(record)]
    for finding, title in titled:
        yield title
        for found in dict.fromkeys(line.found for line in finding.lines):
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

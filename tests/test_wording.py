"""Words: the terms of messages and documents, and numbers with their nouns (one row, two rows, no rows)."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gt_conformance import comparison, results, shards
from gt_conformance.errors import Location
from gt_conformance.report import render_html, render_markdown, summary_lines
from gt_conformance.results import Record
from gt_conformance.results.run_types import OUTCOME_NAMES
from tests.commands import in_process, tenant
from tests.made_records import PARTS, book, check, record
from tests.words import messages, slips

NOUNS = (
    "row",
    "item",
    "checklist item",
    "tenant check",
    "client row",
    "check",
    "place",
    "finding",
    "runbook",
    "run",
    "request",
    "token",
    "exchange",
    "byte",
    "day",
    "part",
    "new violation",
)
COUNTED = re.compile(rf"(?<![\d.#\w-])(\d+) ({'|'.join(sorted(NOUNS, key=len, reverse=True))})(s?)\b(?! \d)")
OUTCOMES = re.compile(r"(?<![\d.\w/-])(\d+|all) (conform|violate)(s?)\b")


def texts(value: Record) -> Iterator[str]:
    """The documents of a record as a reader sees them: terminal, summary, page."""
    yield "\n".join(line.text for line in summary_lines(value))
    yield render_markdown(value)
    page = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", render_html(value), flags=re.DOTALL)
    yield html.unescape(re.sub(r"<[^>]*>", "", page))


def wrong(text: str) -> list[str]:
    """Every number in the text whose noun or verb does not go with it."""
    nouns = [found[0] for found in COUNTED.finditer(text) if (found[1] == "1") == bool(found[3])]
    verbs = [found[0] for found in OUTCOMES.finditer(text) if (found[1] == "1") != bool(found[3])]
    return nouns + verbs


def of(number: int, outcome: str) -> Record:
    """A record with that many runbooks, rows, items, tenant checks, findings, requests and tokens."""
    parts = {name: [check(outcome, f"chat.{n}", remedy=f"Fix {n}.") for n in range(number)] for name in PARTS[:number]}
    parts |= {name: [check(outcome)] for name in PARTS[9 : 9 + number]}
    books = [book(name, parts, only=(*PARTS[:number], *PARTS[9 : 9 + number])) for name in ("dify", "n8n")[:number]]
    wide = [check(outcome, f"key.{n}") for n in range(number)]
    value = record(*books, tenant_checks=wide, run={"id": "b2"})
    value["traffic"] |= {"requests": number, "tokens": number, "bytes_sent": number, "bytes_received": number}
    value["traffic"]["by_route"] = {}
    old = record(*(book(name, only=PARTS[:number]) for name in ("dify", "n8n")[:number]))
    return value | {"since": comparison.compare(old, value)}


@pytest.mark.parametrize("outcome", OUTCOME_NAMES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_number_goes_with_its_noun(number: int, outcome: str) -> None:
    """With none, one and two of everything, each count agrees with what is counted, in each document."""
    written = list(texts(of(number, outcome)))
    assert all(COUNTED.search(text) for text in (written[0], written[2]))
    assert [wrong(text) for text in written] == [[], [], []]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_number_of_a_command_goes_with_its_noun(number: int, tmp_path: Path) -> None:
    """So it is in what diff, accept, report and list print of such records."""
    for name, outcome in (("old", "conforms"), ("new", "violates"), ("blocked", "blocked")):
        value = of(number, outcome)
        value.pop("since", None)
        (tmp_path / f"{name}.json").write_text(json.dumps(results.conclude(value)))
    owner = ("--owner", "A. Example", "--reason", "Known.")
    for words in (
        ("diff", "old.json", "new.json"),
        ("diff", "new.json", "blocked.json", "--format", "markdown"),
        ("accept", "new.json", *owner),
        ("accept", "new.json", *owner),
        ("report", "new.json", "--out", "again"),
        ("list", "findings", "--from", "new.json"),
    ):
        done = in_process(*words, cwd=tmp_path)
        assert done.code in {0, 1, 4, 7}, done.said
        assert "Traceback" not in done.said
        assert wrong(done.said) == [], words


@pytest.mark.parametrize("concurrency", [1, 2])
def test_each_number_of_a_plan_goes_with_its_noun(concurrency: int, tmp_path: Path) -> None:
    """A plan of one runbook, with one request at a time and with two."""
    with tenant(tmp_path) as (_, path):
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"limits": {"concurrency": concurrency}}))
        done = in_process("plan", "aider", "--tenant", path, cwd=tmp_path)
    assert done.code in {0, 7}, done.said
    assert f"at most {concurrency} request" in done.said
    assert wrong(done.said) == []


def test_a_wrong_number_is_noticed() -> None:
    """The test above can fail: on nouns and on verbs."""
    assert wrong("1 rows, 2 row, 1 conform, 2 violates, all conforms") == [
        "1 rows",
        "2 row",
        "1 conform",
        "2 violates",
        "all conforms",
    ]
    assert wrong("1 row, 2 rows, 0 rows, 1 conforms, 2 violate, all conform") == []


def test_a_merged_record_counts_its_runs() -> None:
    """A merged record names the number of its runs."""
    made = [record(book(name), run={"id": run}) for name, run in (("aider", "a1"), ("dify", "a2"))]
    merged = shards.merge([shards.Source(Location(f"{n}.json"), value) for n, value in enumerate(made)])
    assert "merged from 2 runs" in render_html(merged)


@pytest.mark.parametrize(("number", "sentence"), [(1, "1 checklist item relies on"), (2, "2 checklist items rely on")])
def test_items_that_rely_on_attestations_are_counted(number: int, sentence: str) -> None:
    """The terminal, the summary and the page say how many items a person attested, and whether the sample did."""
    value = record(book(), options={"sample": True})
    for item in value["runbooks"][0]["checklist"][:number]:
        item["attestation"] = {
            "statement": "Seen.",
            "name": "A. Example",
            "role": "Operator",
            "on": "2026-11-20",
            "expires": "2027-11-20",
            "evidence": "ticket 1",
        }
    for text in texts(value):
        assert f"{sentence} SAMPLE attestations." in text


# -- terms


def slips_in(text: str, *lists: str) -> list[str]:
    """The words alone."""
    return [word for word, _ in slips(text, *lists)]


def test_a_private_word_is_noticed() -> None:
    """What `make lint` looks for it finds in messages alone: no docstring unless --help shows it, no single word."""
    source = '"""What was told."""\nerror("this waiver has to go.")\nkey = "told"\n'
    assert [(line, slips_in(text)) for line, text in messages(source)] == [(2, ["has to go"])]
    helped = '@click.command\ndef run() -> int:\n    """Whatever is bad."""\n'
    assert [slips_in(text) for _, text in messages(helped)] == [["Whatever is bad"]]
    assert slips_in("The lab is told what to mend.") == ["The lab", "told", "mend"]
    assert slips_in("A standard recommends command lines. There is no row, and this is no longer one.") == []
    assert slips_in("This is no row.", "everywhere") == []
    assert slips_in("This is no row.") == ["is no"]

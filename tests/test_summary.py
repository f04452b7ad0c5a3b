"""summary.md, read as GitHub reads it: what it counts, and that nothing from outside comes alive in it."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gt_conformance import comparison
from gt_conformance.exchange import inert
from gt_conformance.report import render_html, render_markdown
from gt_conformance.results import Record
from gt_conformance.results.case_types import ViolationRecord
from gt_conformance.vocabulary import Route
from tests.made_records import OUTCOMES, PARTS, book, check, record, refused

LONGEST = 60_000
OWN_COMMENT = "<!-- -->"
MARKS = {"conforms": "✓", "violates": "✗", "blocked": "⊖", "unattested": "?", "waived": "~"}
LETTERS = {"native": "N", "gt_extension": "G", "not_supported": "\N{EN DASH}"}
ALIVE = {
    "link_open",
    "image",
    "html_block",
    "fence",
    "code_block",
    "heading_open",
    "hr",
    "blockquote_open",
    "html_inline",
}

HOSTILE = {
    "mention": "@octocat @org/team cc @a",
    "link": "[click](https://evil.example) [ref][1] [1]: https://evil.example",
    "address": "https://evil.example www.evil.example a@evil.example mailto:a@evil.example",
    "angle": "<https://evil.example> <a@evil.example>",
    "javascript": "[x](javascript:alert(1)) javascript:alert(1)",
    "image": "![x](https://evil.example/p.png)",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)><details open>",
    "comment": "<!-- --> <!--",
    "pipes": "a | b || c \\| d |",
    "backticks": "` `` ``` ```` `<b>`",
    "lines": "a\n\n# heading\n\n- item\n\n---\n\n```\ncode\n\n    indented\r\n> quote\u2028x\x0b",
    "emphasis": "**bold** _it_ ~~gone~~ $x$ \\",
    "entity": "&lt;b&gt; &#60;b&#62; &nbsp;",
    "issue": "#12 org/repo#12 GH-12",
    "control": "a\x00b\x1b[31mc\u202ed\ud800",
    "long": "A" * 100_000 + "`" * 700,
    "leading": "# 1. - + > = ```",
}


def parsed(text: str) -> list[Token]:
    """CommonMark with GitHub's tables and strikethrough. GitHub finds bare addresses besides: see ``bare``."""
    return list(flat(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)))


def flat(tokens: list[Token]) -> Iterator[Token]:
    """Each token, and those inside it."""
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def alive(tokens: list[Token]) -> list[str]:
    """What of it is more than text, list, table and emphasis, less our own comment."""
    return [token.type for token in tokens if token.type in ALIVE and token.content != OWN_COMMENT]


def bare(tokens: list[Token]) -> list[str]:
    """Addresses and mentions that GitHub would find in text, where comments and code spans interrupt it."""
    text = [token.content for token in tokens if token.type == "text"]
    return [found for one in text for found in re.findall(r"https?://\S+|www\.\S|@\w+|(?<!&)#\d+", one)]


def tables(tokens: list[Token]) -> list[list[list[str]]]:
    """Each table as lines of cells."""
    found: list[list[list[str]]] = []
    for number, token in enumerate(tokens):
        match token.type:
            case "table_open":
                found.append([])
            case "tr_open":
                found[-1].append([])
            case "th_open" | "td_open":
                found[-1][-1].append(tokens[number + 1].content)
    return found


def mixed() -> Record:
    """A record in which each outcome, each verdict and each part of the summary occurs."""
    bad = {part: [check(outcome)] for part, outcome in zip(PARTS[1:], OUTCOMES, strict=False)}
    verdicts = {"speech": "not_supported", "images": "gt_extension"}
    value = record(
        book("dify", {**bad, "item-2": [check("violates", "key.dedicated")]}, verdicts=verdicts),
        book("n8n", only=PARTS[:4]),
        book("aider", only=PARTS),
        tenant_checks=[check(name="key.required"), check("blocked", "key.isolation")],
        run={"id": "b2"},
        options={"runbooks": ["dify", "n8n", "aider"]},
        waiver_problems=["waivers.yaml:3: this has expired."],
        suite_errors=["Traceback\nValueError: odd"],
    )
    value["run"]["scope"]["rows"]["known"] = 207
    old = record(
        book("dify", {"chat": [check("violates")], "models": [check("violates")]}, digest="e" * 64),
        book("manus", {"chat": [check("violates")]}),
        tenant={"base_url": "https://other.example/api/tenant"},
    )
    return value | {"since": comparison.compare(old, value)}


FREE = {
    "reason",
    "remedy",
    "expected",
    "found",
    "owner",
    "claim",
    "title",
    "text",
    "base_url",
    "expires",
    "check",
    "headline",
}
"""Keys of strings that the schema leaves free, and that a summary shows."""


def poisoned(value: Any, poison: str) -> Any:
    """The value with the poison before and after every free string that a summary may show."""
    if isinstance(value, dict):
        return {
            key: f"{poison}{item}{poison}" if key in FREE and isinstance(item, str) else poisoned(item, poison)
            for key, item in value.items()
        }
    return [poisoned(item, poison) for item in value] if isinstance(value, list) else value


def hostile(poison: str) -> Record:
    """The mixed record, hostile wherever it may be."""
    value: Record = poisoned(mixed(), poison)
    value["waiver_problems"], value["suite_errors"] = [poison], [f"Traceback\n{poison}"]
    value["run"]["options"]["runbooks"] = [poison]
    value["since"]["runbooks"]["added"], value["since"]["checks"]["added"] = [poison], [poison]
    value["since"]["runbooks"]["changed"][0]["id"] = poison
    for item in value["runbooks"]:
        for part in (*item["routes"], *item["checklist"]):
            for one in part["checks"]:
                one["id"] = poison
    return value


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_strings_are_inert(name: str) -> None:
    """Whatever a record's strings hold, the summary has the headings, lists and tables that harmless ones give."""
    tokens, harmless = (parsed(render_markdown(hostile(poison))) for poison in (HOSTILE[name], "harmless"))
    assert alive(tokens) == alive(harmless)
    assert set(alive(tokens)) == {"heading_open"}
    assert bare(tokens) == []
    shapes = [[token.type for token in some if token.nesting == 1] for some in (tokens, harmless)]
    assert shapes[0] == shapes[1]
    assert [[len(line) for line in table] for table in tables(tokens)] == [[5, 5], [12] * 4]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_said_can_be_read(name: str) -> None:
    """A tenant's words stand in a code span, whole but for white space and what would not print."""
    words = " ".join(str(inert(HOSTILE[name])).split())
    value = record(book(parts={"chat": [check("violates", breaches=[_violation(HOSTILE[name])])]}))
    spans = [token.content for token in parsed(render_markdown(value)) if token.type == "code_inline"]
    shown = words[:250] if name != "control" else "a\\u0000b\\u001b[31mc\\u202ed\\ud800"
    assert any(shown in span for span in spans), spans


def _violation(found: str) -> ViolationRecord:
    return {"expected": "HTTP 200", "found": f"it said {found}", "exchange": "x0001"}


@pytest.mark.parametrize(
    "poison", ["#12 @a https://b.example www.c.example [d](e) <f> `g` |", "- a", "1. a", "> a", "# a"]
)
def test_a_title_is_text(poison: str) -> None:
    """The name of a runbook of one's own is shown as it is, and is one cell."""
    tokens = parsed(render_markdown(record(book(title=poison))))
    cells = [number for number, token in enumerate(tokens) if token.type == "td_open"]
    inside = tokens[cells[5] + 1].children or []
    assert "".join(token.content for token in inside if token.content != OWN_COMMENT) == poison
    assert bare(inside) == []


def test_the_matrix_has_a_line_to_each_runbook() -> None:
    """Nine cells with verdict and outcome, the checklist, and what the runbook came to; what was not run is a dot."""
    value = mixed()
    heading, *lines = tables(parsed(render_markdown(value)))[1]
    assert heading == ["Runbook", *(route.value.replace("_", " ") for route in Route), "Checklist", "Decision"]
    for line, found in zip(lines, value["runbooks"], strict=True):
        rows = {row["route"]: f"{LETTERS[row['verdict']]}{MARKS[row['outcome']]}" for row in found["routes"]}
        items = {item["item"]: MARKS[item["outcome"]] for item in found["checklist"]}
        assert line[0] == found["title"]
        assert line[1:10] == [rows.get(route.value, "·") for route in Route]
        assert line[10] == "".join(items.get(number, "·") for number in (1, 2, 3))
        assert line[11].strip("*") == found["decision"]


def test_the_counts_are_those_of_the_record() -> None:
    """The first table has the totals by outcome, and names every outcome."""
    value = mixed()
    names, numbers = tables(parsed(render_markdown(value)))[0]
    assert dict(zip(names, numbers, strict=True)) == {
        f"{MARKS[name]} {name}": str(number) for name, number in value["totals"].items()
    }


HEADINGS = [
    "NOT DECIDED",
    "The suite itself failed",
    "Waivers that have to go",
    "Matrix",
    "Since run a1 of 22 November 2026, 03",
    "New violations",
    "No longer tested, or not yet",
    "Violated before, and not judged again",
    "Newly waived",
    "Fixed",
    "What violates",
    "What was not tested",
    "What is not attested",
    "What is waived",
]


def test_each_part_has_its_heading() -> None:
    """Outcome, matrix, what changed, and what violates, is untested, unattested and waived, in that order."""
    text = render_markdown(mixed())
    headings = [line.lstrip("# ").split(":")[0] for line in text.splitlines() if line.startswith("#")]
    assert headings == HEADINGS
    assert "Part of the whole." in text
    assert "The earlier run was of another tenant:" in text


def test_a_finding_says_what_to_do() -> None:
    """What was promised, expected and found, the remedy and the places stand together."""
    text = render_markdown(record(book(parts={"chat": [check("violates", remedy="Fix the route.")]})))
    lines = (
        "**V1** `chat.completes` · medium · the platform (tenant) has to act",
        "- promise: A chat is completed.",
        "- expected: `HTTP 200`",
        "- found: `HTTP 500` (key `chat` `x0001`)",
        "- → `Fix the route.`",
        "- in 1 row: `dify-chat-native`",
    )
    positions = [text.index(line) for line in lines]
    assert positions == sorted(positions)


def test_a_run_without_a_tenant_says_so() -> None:
    """Where nothing could be tested, that stands before everything that was blocked by it."""
    text = render_markdown(refused(record(book(parts={"chat": [check("blocked")]}))))
    assert "## Nothing could be tested\n\n`nobody answers at the tenant`\n\n→ `Check the address.`" in text
    assert text.index("## Nothing could be tested") < text.index("## Matrix")


@pytest.mark.parametrize("kind", ["live", "embedded"])
def test_an_embedded_run_is_named_as_one(kind: str) -> None:
    """Nobody takes it for evidence about a tenant."""
    text = render_markdown(record(book(), tenant={"kind": kind}))
    assert ("EMBEDDED" in text) is (kind == "embedded")


def broken(name: str, run: str) -> Record:
    """A record of 23 runbooks in which every check of every part violates, each in its own words."""
    books = []
    for number in range(23):
        parts = {
            part: [
                check("violates", f"chat.{part}.{number}.{n}", remedy=f"{n} " + "Fix it. " * 40, claim="It must. " * 30)
                for n in range(3)
            ]
            for part in PARTS
        }
        books.append(book(f"{name}-{number}", parts))
    return record(*books, run={"id": run}, tenant={"base_url": f"https://{name}.example/api/tenant"})


def test_a_summary_fits_a_comment() -> None:
    """With everything violating it stays below what a comment holds, keeps its matrix, and says what it left out."""
    value = broken("everything", "a1")
    value["since"] = comparison.compare(record(*copy.deepcopy(value["runbooks"])), value)
    text = render_markdown(value)
    assert 40_000 < len(text) <= LONGEST
    assert len(tables(parsed(text))[1]) == 1 + 23
    assert re.search(r"_\d+ more parts in compliance\.html: too long for a summary\._\n$", text)


def test_the_summary_of_several_tenants_fits_too() -> None:
    """They share the room of one summary, after an overview, and each has its own matrix."""
    text = render_markdown(broken("eu", "a1"), broken("us", "a2"))
    assert len(text) <= LONGEST
    assert [len(table) for table in tables(parsed(text))] == [3, 2, 24, 2, 24]


@pytest.mark.parametrize(
    ("outcome", "words"), [("violates", "key.required violates."), ("blocked", "key.required could not be tested.")]
)
def test_what_decides_beyond_the_cells_is_named(outcome: str, words: str) -> None:
    """A runbook all of whose cells are green, and which is not GO, has a tenant check named below the matrix."""
    sentence = f"Tenant checks have no cell here, and count for every runbook that they protect: {words}"
    found = [check(outcome, "key.required"), check("conforms", "tenant.errors_shaped")]
    made = record(book("dify"), tenant_checks=found)
    assert sentence in " ".join(render_markdown(made).split())
    assert sentence in render_html(made)
    own = record(book("dify", {"chat": [check(outcome)]}), tenant_checks=found)
    green = record(book("dify"), tenant_checks=found[1:])
    assert not [one for one in (own, green) if "Tenant checks have no cell here" in render_markdown(one)]

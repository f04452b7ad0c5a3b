"""Findings as the terminal, the page and the summary show them: the record's own, each line with its own proof."""

import re
from typing import Any

import pytest

from gt_conformance import results
from gt_conformance.checks import clauses
from gt_conformance.report import render_html, render_markdown, summary_lines
from gt_conformance.results import Record
from tests.made_records import book, check, record

ROOT = "chat.completes~0a1b2c"


def broken(found: str, exchange: str, **more: Any) -> dict[str, Any]:
    """A violation of the one finding, as a check of today records it."""
    return {
        "expected": "HTTP 200",
        "found": found,
        "exchange": exchange,
        "at": "",
        "remedy": "Fix the upstream.",
        "finding": ROOT,
        "acts": "tenant",
        "severity": "high",
        **more,
    }


def resting(name: str) -> Any:
    """A check that could not be tested because of that finding."""
    obstacle = {"reason": "chat.completes does not hold", "remedy": "", "acts": "tenant", "finding": ROOT}
    return check(
        "blocked", name, remedy="", because=ROOT, obstacles=[{**obstacle, "because": ROOT}], claim="It streams."
    )


def failing(key: str, exchange: str, found: str = "HTTP 500", **more: Any) -> Any:
    """A check that violates with that key."""
    return check("violates", credential=key, breaches=[broken(found, exchange, **more)], exchanges=[exchange])


def terminal(value: Record) -> str:
    """What the terminal shows."""
    return "\n".join(line.text for line in summary_lines(value))


def article(value: Record, anchor: str) -> str:
    """The finding in the page, as text without tags."""
    page = render_html(value)
    found = page.partition(f'id="{anchor}"')[2].partition("</article>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_what_differs_in_key_and_exchange_only_is_one_line() -> None:
    """The line is shown once, with every key and its exchange; another line keeps its own."""
    parts = {"models": [failing("chat", "x0001")], "chat": [failing("rag", "x0002")]}
    value = record(book(parts={**parts, "embeddings": [failing("rag", "x0003", "HTTP 502")]}))
    shown = terminal(value)
    assert shown.count("HTTP 500") == 1
    assert "HTTP 500  [key chat, x0001; key rag, x0002]" in shown
    assert "HTTP 502  [key rag, x0003]" in shown
    assert "Violations (1 finding)" in shown
    assert "`HTTP 500` (key `chat` `x0001`, key `rag` `x0002`)" in render_markdown(value)
    page = article(value, "violation-1")
    assert "Found HTTP 500 Key chat x0001 Key rag x0002" in page
    assert "Found HTTP 502 Key rag x0003" in page


def test_a_finding_says_where_how_bad_and_who() -> None:
    """Severity, who has to act, the place in the body, the clauses in words, and the id by which it is waived."""
    clause = next(iter(clauses().values()))
    one = failing("chat", "x0001", at="choices[].message.role") | {"clauses": [clause.id]}
    value = record(book(parts={"chat": [one]}))
    for shown in (terminal(value), render_markdown(value), article(value, "violation-1")):
        assert "high" in shown
        assert "the platform (tenant) has to act" in shown
        assert "choices[].message.role" in shown
        assert ROOT in shown
    assert clause.text[1:] in article(value, "violation-1")


def test_what_rests_on_a_finding_has_no_remedy_of_its_own() -> None:
    """It is counted with the finding, leads to it, and is no finding itself."""
    parts = {"chat": [failing("chat", "x0001")], "conversation_files": [resting("chat.streams")]}
    value = record(book(parts={**parts, "item-2": [resting("chat.tools")]}))
    assert [found["outcome"] for found in value["findings"]] == ["violates"]
    assert "keeps 1 row and 1 item from being tested" in terminal(value)
    assert "Blocked:" not in terminal(value)
    assert "keeps 1 row and 1 item from being tested" in render_markdown(value)
    assert "It keeps 1 row and 1 item from being tested." in article(value, "violation-1")
    page = render_html(value)
    row = page.partition('id="dify-conversation_files-native"')[2].partition("</article>")[0]
    assert '<a href="#violation-1">V1</a>' in row
    assert "Remedy" not in row


@pytest.mark.parametrize("outcome", ["blocked", "unattested", "waived"])
def test_a_card_leads_to_its_finding(outcome: str) -> None:
    """Whatever is wrong in a row links to the one entry that says what to do."""
    value = record(book(parts={"chat": [check(outcome)]}))
    [found] = value["findings"]
    assert [*results.findings_of(value["runbooks"][0]["routes"][1]["checks"][0])] == [found["id"]]
    page = render_html(value)
    [anchor] = re.findall(r'<article class="finding \w+" id="([\w-]+)"', page)
    assert f'href="#{anchor}"' in page.partition('id="dify-chat-native"')[2].partition("</article>")[0]


def test_the_worst_is_shown_first() -> None:
    """By severity, not by the number of rows."""
    mild = [failing("chat", "x0001", severity="low", finding="chat.tools~000001")]
    parts = {"chat": mild, "models": mild, "speech": [failing("chat", "x0002", severity="critical")]}
    shown = terminal(record(book(parts=parts)))
    assert shown.index("critical") < shown.index("low ")
    assert re.search(r"V1 · \S+ · critical", shown)


def test_an_advisory_is_listed_once_for_its_place() -> None:
    """However many checks and answers deviate there, in whatever words."""
    parts = {
        part: [
            check(advisories=[{"text": f"data[].object: '{part}'", "exchange": "x0001", "at": "models:data[].object"}])
        ]
        for part in ("models", "chat", "speech")
    }
    value = record(book(parts=parts))
    assert len(re.findall(r"^ +A\d+ ", terminal(value), re.MULTILINE)) == 1
    assert render_html(value).count('class="finding advisory"') == 1
    assert "3 rows" in article(value, "advisory-1")


def test_many_findings_fit_a_screen() -> None:
    """The terminal shows the first, and says how many more are in the page."""
    some = [
        check(
            "violates",
            f"chat.c{number}",
            remedy=f"Fix {number}.",
            breaches=[broken("HTTP 500", "x0001", finding=f"f~{number}")],
        )
        for number in range(40)
    ]
    value = record(book(parts={"chat": some}), book("n8n"))
    assert re.search(r"and \d+ findings more in compliance.html", terminal(value))
    assert len(summary_lines(value)) < 70
    assert render_html(value).count('class="finding violates"') == 40


def test_the_terminal_says_why_an_attestation_does_not_count() -> None:
    """Each reason, the whole command, and every item that waits."""
    reasons = ("Nobody has.", "A. Example attested item 2 of dify on 2026-11-12, but for https://x.example/api/tenant.")
    parts = {}
    for number, reason in enumerate(reasons, 1):
        missing = {"reason": reason, "remedy": f"attest dify {number} --by ...", "remedy_of_all": "attest --list"}
        parts[f"item-{number}"] = [check("unattested", "attestation", obstacles=[missing])]
    shown = " ".join(terminal(record(book(parts=parts))).split())
    assert all(reason in shown for reason in reasons)
    assert "U1 → attest --list" in shown
    assert "in dify-item-1, dify-item-2" in shown


def test_waivers_that_are_no_longer_needed_are_in_every_document() -> None:
    """The page and the summary say which lines to remove."""
    remark = "accepted.yaml:3: chat.completes, which was accepted, is no longer there: remove this entry (lines 3-9)."
    value = record(book(), waiver_remarks=[remark])
    for shown in (render_html(value), render_markdown(value)):
        assert "Waivers that are no longer needed" in shown
        assert remark in shown
        assert "Waivers that are no longer needed" not in render_html(record(book()))


def test_a_remedy_is_said_once() -> None:
    """A reason does not repeat the remedy of its finding; where that is a common one, each reason keeps its own."""
    common = {"remedy_of_all": "Check each.", "acts": "setup", "finding": "setup~0a1b2c"}
    two = [
        check("blocked", credential=key, obstacles=[{"reason": f"No {key}.", "remedy": f"Add {key}.", **common}])
        for key in ("chat", "rag")
    ]
    one = terminal(record(book(parts={"models": two[:1]})))
    assert one.count("Add chat.") == 1
    both = " ".join(terminal(record(book(parts={"models": two[:1], "chat": two[1:]}))).split())
    assert "B1 → Check each. because No chat. Add chat. (and 1 more)" in both


def test_texts_are_wrapped_for_a_narrow_terminal() -> None:
    """A terminal of 80 columns gets lines that fit; a wider one, and a file, the usual ones."""
    value = record(book(parts={"models": [failing("chat", "x0001", "HTTP 500, and then more of it " * 9)]}))
    narrow, wide = ([line.text for line in summary_lines(value, columns)] for columns in (80, 200))
    assert max(map(len, narrow)) <= 80 < max(map(len, wide)) <= 110
    assert wide == [line.text for line in summary_lines(value)]
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(wide).split())

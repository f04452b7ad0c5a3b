"""compliance.html as text: what it counts, where its links lead, and that nothing from outside comes alive in it."""

import base64
import copy
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from gt_conformance.report import render_html
from gt_conformance.results import Record, conclude
from gt_conformance.results.case_types import ViolationRecord
from tests import shared_runs
from tests.records import HOSTILE, OUTCOMES, all_exchanges, checks_of, count_again, of_every_outcome, of_runbooks, spoil

pytestmark = pytest.mark.slow

VOID = {"br", "col", "input", "link", "meta"}


class Document(HTMLParser):
    """The elements of a document, and the text of its style and script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {"style": "", "script": "", "title": ""}
        self.open: list[str] = []
        self._data: list[str] = []
        self.feed(text)
        self.close()
        self.said = "".join(self._data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens, or is one that never closes."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a drawing that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """An element closes: the one that was opened last."""
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text, of the document or of its style, script or title."""
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]] += data
        self._data.append(data)

    def values(self, attribute: str) -> Iterator[str]:
        """Every value of that attribute."""
        return (attrs[attribute] or "" for _, attrs in self.elements if attribute in attrs)

    def where(self, attribute: str) -> list[dict[str, str | None]]:
        """The attributes of every element that has that one."""
        return [attrs for _, attrs in self.elements if attribute in attrs]


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of one whole run against the embedded tenant."""
    return shared_runs.conforming(tmp_path_factory).record


@pytest.fixture(scope="session")
def conforming(record: Record) -> str:
    """Its document."""
    return render_html(record)


@pytest.fixture(scope="session")
def few(record: Record) -> Record:
    """A part of it in which each outcome occurs, whose evidence has room however long its strings become."""
    small = of_runbooks(record | {"tenant_checks": record["tenant_checks"][10:]}, "dify")
    return of_every_outcome(small)


@pytest.fixture(scope="session")
def violating(record: Record) -> str:
    """The document of a run in which everything violates."""
    return render_html(spoil(record, "violates"))


@pytest.fixture(scope="session")
def harmless(few: Record) -> Document:
    """The document of the three with a harmless word in every string."""
    return Document(render_html(all_exchanges(few, "harmless")))


def test_the_document_is_well_formed(conforming: str) -> None:
    """Every element that opens is closed in its turn."""
    assert Document(conforming).open == []


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_counts_equal_the_totals(record: Record, outcome: str) -> None:
    """The cover's five numbers, the matrix and the sections count what results.json counts."""
    mixed = spoil(record, outcome, lambda number: number % 7 == 0) if outcome != "conforms" else record
    text = render_html(mixed)
    document = Document(text)
    shown: dict[str, str] = dict.fromkeys(OUTCOMES, "")
    for match in re.finditer(r'data-total="(\w+)">(\d+)<', text):
        shown[match[1]] = match[2]
    assert shown == {name: str(mixed["totals"][name]) for name in OUTCOMES}
    parts = [part["outcome"] for book in mixed["runbooks"] for part in (*book["routes"], *book["checklist"])]
    cells = [attrs for attrs in document.where("data-outcome") if "cell" in (attrs.get("class") or "")]
    sections = [attrs for attrs in document.where("data-outcome") if "row" in (attrs.get("class") or "").split()]
    assert Counter(attrs["data-outcome"] for attrs in cells) == Counter(parts)
    assert Counter(attrs["data-outcome"] for attrs in sections) == Counter(parts)


def test_every_link_inside_leads_somewhere(record: Record, conforming: str, violating: str) -> None:
    """Ids are unique, and each cell of the matrix, finding and proof leads to one of them."""
    blocked = render_html(spoil(record, "blocked", lambda number: number % 2 == 0))
    rows = {row["id"] for book in record["runbooks"] for row in book["routes"]}
    for text in (conforming, violating, blocked):
        document = Document(text)
        ids = Counter(document.values("id"))
        assert not [name for name, count in ids.items() if count > 1]
        targets = {link[1:] for link in document.values("href") if link.startswith("#")}
        assert targets - set(ids) == set()
        assert rows <= targets


def test_the_policy_names_the_style_and_the_script_by_their_hashes(conforming: str) -> None:
    """The policy forbids all loading, and what it allows is exactly what stands inline."""
    document = Document(conforming)
    policy = next(attrs["content"] for attrs in document.where("http-equiv")) or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(document.inside[name].encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert not list(document.values("style"))


def test_nothing_is_fetched(violating: str) -> None:
    """No element loads anything; an address of the web stands in a link to click, and nowhere else."""
    document = Document(violating)
    loading = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "manifest"}
    assert not [attrs for _, attrs in document.elements if loading & attrs.keys()]
    for tag, attrs in document.elements:
        assert tag not in {"link", "base", "iframe", "object", "embed", "img", "form"}
        href = attrs.get("href") or "#"
        assert href.startswith("#") or (
            tag == "a" and href.startswith("https://") and "noreferrer" in str(attrs["rel"])
        )
    assert "@import" not in document.inside["style"]
    assert "url(" not in document.inside["style"]


@pytest.mark.parametrize("poison", HOSTILE.values(), ids=[name.replace(" ", "-") for name in HOSTILE])
def test_hostile_strings_are_inert(few: Record, harmless: Document, poison: str) -> None:
    """Whatever the record's strings hold, the document has the elements and attributes that harmless ones give."""
    text = render_html(all_exchanges(few, poison))
    document = Document(text)
    assert Counter(tag for tag, _ in document.elements) == Counter(tag for tag, _ in harmless.elements)
    assert [sorted(attrs) for _, attrs in document.elements] == [sorted(attrs) for _, attrs in harmless.elements]
    assert document.open == []
    assert document.inside["script"] == harmless.inside["script"]
    assert {link[:1] for link in document.values("href")} == {"#"}
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert not re.search("[\u061c\u200b-\u200f\u2060\ufeff\U000e0000-\U000e007f]", text)
    text.encode("utf-8")


def test_a_template_in_a_string_stays_text(few: Record) -> None:
    """Braces that a tenant sends are shown, never computed."""
    assert "{{ 7 * 7 }}" in Document(render_html(all_exchanges(few, "{{ 7 * 7 }}"))).said


def test_an_enormous_string_is_shortened(record: Record) -> None:
    """Megabytes in one string do not reach the document, and their length is said."""
    huge = copy.deepcopy(record)
    huge["runbooks"][0]["routes"][0]["integration"] = "A" * 3_000_000
    text = render_html(huge)
    assert len(text) < 2_000_000
    assert "3000000 characters in all" in text


def test_an_embedded_run_says_so_in_capitals(record: Record, conforming: str) -> None:
    """An embedded run is named as one on the cover and in the title; a live one is not."""
    assert "EMBEDDED TENANT." in conforming
    assert Document(conforming).inside["title"].startswith("EMBEDDED")
    live = copy.deepcopy(record)
    live["run"]["tenant"]["kind"] = "live"
    said = render_html(live)
    assert "EMBEDDED TENANT." not in said
    assert ">LIVE<" in said


def test_what_was_not_selected_is_not_green(record: Record) -> None:
    """A row that is not in the record is drawn as not run, in the matrix and in its runbook."""
    part = copy.deepcopy(record)
    part["run"]["options"] |= {"runbooks": ["dify"], "routes": ["chat"]}
    part["run"]["scope"]["rows"]["selected"] = 1
    part["runbooks"] = [book for book in part["runbooks"] if book["id"] == "dify"]
    part["runbooks"][0]["routes"] = [row for row in part["runbooks"][0]["routes"] if row["route"] == "chat"]
    document = Document(render_html(count_again(part)))
    cells = [attrs for attrs in document.where("data-outcome") if attrs.get("class", "") == "cell"]
    assert Counter(attrs["data-outcome"] for attrs in cells) == {"conforms": 1, "not_run": 8}
    assert "PARTIAL (EMBEDDED)" in document.said
    assert "what was selected conforms: 1 row" in document.said
    assert "Not run, since not selected" in document.said


def test_a_refusal_leads(record: Record) -> None:
    """Where nothing could be tested the cover says so, why, and what to do."""
    refused = spoil(record, "blocked")
    refused["run"]["refusal"] = {"reason": "nobody answers at the tenant", "remedy": "Check the address."}
    said = Document(render_html(conclude(refused))).said
    assert "UNREACHABLE (EMBEDDED)" in said
    assert "Nobody answers at the tenant." in said
    assert "Check the address." in said
    assert "conforms." not in said.split("Matrix")[0]


def test_each_finding_stands_once_with_all_that_it_touches(record: Record) -> None:
    """Checks that break the same way with the same remedy are one finding, which links to every row."""
    spoilt = copy.deepcopy(record)
    for check in checks_of(spoilt):
        if check["id"] == "base_url.joins":
            found: ViolationRecord = {"expected": "it joins", "found": "HTTP 404", "exchange": check["exchanges"][-1]}
            check |= {"outcome": "violates", "reason": "404", "remedy": "Add /v1.", "breaches": [found]}
    text = render_html(count_again(spoilt))
    assert text.count('class="finding violates"') == 1
    finding = text.split('class="finding violates"')[1].split("</article>")[0]
    broken = {
        part["id"]
        for book in spoilt["runbooks"]
        for part in (*book["routes"], *book["checklist"])
        if part["outcome"] == "violates"
    }
    assert broken
    assert {name for name in broken if f'href="#{name}"' not in finding} == set()


def test_the_proof_of_a_violation_is_in_the_document_once(record: Record) -> None:
    """The exchange that a violation names is there, open, with its request, its response and a curl line."""
    spoilt = spoil(record, "violates", lambda number: number % 11 == 0)
    text = render_html(spoilt)
    proofs = {item["exchange"] for check in checks_of(spoilt) for item in check["breaches"] if item["exchange"]}
    for ref in proofs:
        assert text.count(f' id="{ref}"') == 1
        article = text.split(f' id="{ref}"')[1].split("</article>")[0]
        assert "<details open>" in article
        assert "curl -sS" in article
    shown = text.count('<article class="exchange')
    assert f"{shown} of {len(spoilt['exchanges'])} exchanges are listed here" in text
    assert f"{len(spoilt['exchanges']) - shown} are in results.json only" in text


def test_an_item_says_what_shows_it_and_where_it_is_promised(conforming: str) -> None:
    """Each part that it asks, a client that was not driven named as such, and the place on the page."""
    said = " ".join(Document(conforming).said.split())
    page = "wiki/Gen3-Gt-Api-Runbooks-Vercel-Ai-Sdk.md, edition of 2026-05-29, section Validation checklist"
    assert (
        "Tenant: probed; client: probed, the product itself was not driven; person: attested (Sample (stands in for an "
        f"operator)). Promise: {page}, item 1."
    ) in said
    assert "Setup: declared (the embedded tenant); person: attested" in said


def test_empty_checklists_are_left_out(record: Record) -> None:
    """Without judged items there is no checklist, and the report says that none were judged."""
    bare = copy.deepcopy(record)
    for book in bare["runbooks"]:
        book["checklist"] = []
    text = render_html(count_again(bare))
    assert ">Checklist<" not in text
    assert "checklist items were not judged" in text


def test_the_document_stays_small(conforming: str, violating: str) -> None:
    """A conforming run takes less than 2 MB, one in which everything violates less than 5 MB."""
    assert len(conforming.encode()) < 2_000_000
    assert len(violating.encode()) < 5_000_000


def test_evidence_is_held_to_its_room(record: Record) -> None:
    """However long bodies grow when escaped, the document stays under 5 MB, and says how many it leaves out."""
    bad = spoil(record, "violates")
    for exchange in bad["exchanges"].values():
        exchange["request"]["body"]["text"] = exchange["curl"] = '"' * 2_000
        if exchange["response"]:
            exchange["response"]["body"]["text"] = '"<&' * 700
    text = render_html(bad)
    assert len(text.encode()) < 5_000_000
    assert "are in results.json only" in text


def test_headings_and_tables_are_marked_up(conforming: str) -> None:
    """One h1, no level left out, each table header with its scope, each scrolling box reachable by keyboard."""
    document = Document(conforming)
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in attrs for tag, attrs in document.elements if tag == "th")
    scrolling = [attrs for _, attrs in document.elements if attrs.get("class") == "scroll"]
    assert scrolling
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolling)


def test_rendering_again_gives_the_same(record: Record, conforming: str, tmp_path: Path) -> None:
    """The document comes from the record alone: read back from disk, it renders to the same bytes."""
    copied = tmp_path / "results.json"
    copied.write_text(json.dumps(record), encoding="utf-8")
    assert render_html(json.loads(copied.read_text(encoding="utf-8"))) == conforming

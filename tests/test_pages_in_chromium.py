"""compliance.html and pytest.html where people open them: in Chromium, by mouse, by keyboard, on paper, on a telephone.

Each document is opened by ``reading``, which fails where it does anything beyond being shown: a request, a word on the
console, an error, a dialog.
"""

import copy
import html
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from gt_conformance.report import render_html
from gt_conformance.results import Record
from gt_conformance.results.case_types import ViolationRecord
from tests import hostile, shared_runs
from tests.browser import NARROW, WIDE, chromium, reading, watched
from tests.commands import Finished
from tests.made_records import PARTS
from tests.records import OUTCOMES, all_exchanges, checks_of, count_again, of_every_outcome, of_runbooks, spoil

pytestmark = pytest.mark.slow

AXE = Path(__file__).parent / "tools" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
A4 = (595, 842)
"""Points."""
PAPER = (688, 980)
"""What its margins leave of it, in CSS pixels."""
LONG = "W" * 1_000_000
"""A word that is a megabyte long, of the widest letter."""

FEW = ("aider", "dify", "semantic-kernel", "n8n")
"""A runbook of each category."""


# -- what is read


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all of it."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def conforming(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A whole run against the embedded tenant."""
    return shared_runs.conforming(tmp_path_factory)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run against a tenant whose every word is hostile, in which every outcome occurs."""
    return shared_runs.judged_hostile(tmp_path_factory)


@pytest.fixture(scope="module")
def few(conforming: Finished) -> Record:
    """The record of a runbook of each category, in which each outcome occurs."""
    return of_every_outcome(of_runbooks(conforming.record, *FEW))


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that drives a client, which fails with the documented base URL and works with another."""
    return shared_runs.driven_and_failed(tmp_path_factory)


@pytest.fixture(scope="module")
def documents(
    conforming: Finished,
    judged: Finished,
    driven: Finished,
    few: Record,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Path]:
    """The documents by name: as the runs wrote them, or rendered from a record that was made of theirs."""
    whole = conforming.record
    small = of_runbooks(whole | {"tenant_checks": whole["tenant_checks"][:2]}, "aider")
    full = of_every_outcome(of_runbooks(whole | {"tenant_checks": whole["tenant_checks"][:8]}, "aider"))
    rendered = {
        "violating": spoil(few, "violates"),
        "few": few,
        "ten": ten_findings(whole),
        "small": small,
        "small-mixed": of_every_outcome(small),
        "hostile": _full_of(full, f"{hostile.WORDS} "),
        "harmless": _full_of(full, "h" * len(html.escape(f"{hostile.WORDS} "))),  # as long: the same evidence has room
    }
    folder = tmp_path_factory.mktemp("documents")
    paths = {name: folder / f"{name}.html" for name in rendered}
    for name, record in rendered.items():
        paths[name].write_text(render_html(record), encoding="utf-8")
    written = {"conforming": conforming, "hostile-run": judged, "driven": driven}
    return paths | {name: found.folder / "compliance.html" for name, found in written.items()}


def _full_of(record: Record, words: str) -> Record:
    """The record with these words around every string that may be free, and a megabyte in some of them."""
    full = all_exchanges(record, words)
    check = next(check for check in full["tenant_checks"] if check["outcome"] == "violates")
    check["reason"] = check["remedy"] = check["breaches"][0]["found"] = full["run"]["tenant"]["base_url"] = LONG
    book = full["runbooks"][0]
    book["title"] = book["routes"][0]["integration"] = book["docs"][0] = LONG
    return full


def ten_findings(whole: Record) -> Record:
    """The record with ten findings, each of a check wherever it was made: of its own key each, and with its proof."""
    bad = copy.deepcopy(whole)
    names = list(dict.fromkeys(check["id"] for check in checks_of(bad) if check["exchanges"]))[::3][:10]
    for check in checks_of(bad):
        if check["id"] in names:
            found = f"HTTP 500 to the key {check['credential']}"
            broken: ViolationRecord = {
                "expected": "HTTP 200",
                "found": found,
                "exchange": check["exchanges"][0],
                "finding": check["id"],
            }
            check |= {"outcome": "violates", "reason": found, "remedy": "Repair it.", "breaches": [broken]}
    return count_again(bad)


# -- at rest


@pytest.mark.parametrize("name", ["conforming", "violating", "hostile-run", "hostile"])
def test_a_document_does_nothing(browser: Browser, documents: Mapping[str, Path], name: str) -> None:
    """It asks for nothing, says nothing, and runs nothing but its filters."""
    with reading(browser, documents[name]) as page:
        assert page.title()


@pytest.mark.parametrize("name", ["hostile-run", "hostile"])
def test_a_document_does_not_rest_on_its_policy(browser: Browser, documents: Mapping[str, Path], name: str) -> None:
    """Nothing of a tenant's runs or is fetched even where nobody enforces the policy: it is no markup to begin with."""
    with reading(browser, documents[name], bypass_csp=True) as page:
        assert page.evaluate("eval('1 + 1')") == 2, "the policy is not enforced"


def test_the_account_of_deeds_can_tell(browser: Browser, tmp_path: Path) -> None:
    """A page that fetches, speaks, fails and asks is told of all four."""
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><img src=x.png><script>console.log('word'); alert('asked'); throw new Error('failed')</script>"
    )
    with watched(browser) as (opened, deeds):
        opened.goto(page.as_uri())
    kinds = Counter(deed.partition(" ")[0] for deed in deeds)
    assert kinds.keys() == {"request", "console", "dialog", "error"}


@pytest.fixture(scope="module")
def harmless(browser: Browser, documents: Mapping[str, Path]) -> list[tuple[str, frozenset[str]]]:
    """The elements of the document with harmless words in every free string."""
    with reading(browser, documents["harmless"]) as page:
        return _anatomy(page)


def test_hostile_words_make_no_element(
    browser: Browser, documents: Mapping[str, Path], harmless: list[tuple[str, frozenset[str]]]
) -> None:
    """After a run against a hostile tenant every element and attribute is of a kind that the templates have."""
    known: dict[str, set[str]] = {}
    with reading(browser, documents["small-mixed"]) as page:
        for tag, attributes in (*harmless, *_anatomy(page)):
            known.setdefault(tag, set()).update(attributes)
    with reading(browser, documents["hostile-run"]) as page:
        anatomy = _anatomy(page)
        links = page.evaluate("[...document.links].map(link => link.getAttribute('href'))")
        said = page.evaluate("document.body.textContent")
    assert {(tag, name) for tag, names in anatomy for name in names if name not in known.get(tag, set())} == set()
    assert {link[:8] for link in links if not link.startswith("#")} <= {"https://"}
    assert "<script>alert(1)</script>" in said
    assert "\\u202e" in said


def test_a_hostile_record_has_the_tree_of_a_harmless_one(
    browser: Browser, documents: Mapping[str, Path], harmless: list[tuple[str, frozenset[str]]]
) -> None:
    """With hostile words in every free string the document has the elements that harmless words give, one for one."""
    with reading(browser, documents["hostile"]) as page:
        assert _anatomy(page) == harmless


def _anatomy(page: Page) -> list[tuple[str, frozenset[str]]]:
    found = page.evaluate("[...document.querySelectorAll('*')].map(one => [one.localName, one.getAttributeNames()])")
    return [(tag, frozenset(names)) for tag, names in found]


def test_the_policy_is_enforced(browser: Browser, documents: Mapping[str, Path]) -> None:
    """A script, a handler, a style or a picture that gets into the page neither runs nor shows nor is fetched."""
    with watched(browser) as (page, deeds):
        blocked: list[str | None] = []
        page.on("requestfailed", lambda request: blocked.append(request.failure))
        page.goto(documents["small"].as_uri())
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "document.title = 'script ran'";
              const button = document.createElement("button");
              button.setAttribute("onclick", "document.title = 'handler ran'");
              button.setAttribute("style", "position: fixed");
              const picture = document.createElement("img");
              picture.src = "http://127.0.0.1:9/x.png";
              document.body.append(script, button, picture);
              button.click();
            }"""
        )
        page.wait_for_timeout(50)
        assert page.title().startswith("EMBEDDED")
        assert page.evaluate("getComputedStyle(document.querySelector('body > button')).position") == "static"
    assert blocked == ["csp"]
    assert len([deed for deed in deeds if "Content Security Policy" in deed]) >= 4


def test_everything_can_be_read_without_scripts(browser: Browser, documents: Mapping[str, Path], few: Record) -> None:
    """With JavaScript off every row is there, and the filters, which would do nothing, are not."""
    with reading(browser, documents["few"], java_script_enabled=False) as page:
        assert page.locator("#filters").is_hidden()
        assert page.locator("tr.line:visible").count() == len(FEW)
        assert shown(page) == {part["id"] for _, part in rows_of(few)}


# -- filters


@pytest.fixture(scope="module")
def filtered(browser: Browser, documents: Mapping[str, Path]) -> Iterator[Page]:
    """The document of a few runbooks, open while filters are tried on it."""
    with reading(browser, documents["few"]) as page:
        yield page


@pytest.fixture
def page(filtered: Page) -> Page:
    """The same with no filter set."""
    filtered.click("#f-clear")
    return filtered


def rows_of(record: Record) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each row and item of a record, after its runbook."""
    return ((book, part) for book in record["runbooks"] for part in (*book["routes"], *book["checklist"]))


def shown(page: Page) -> set[str]:
    """The ids of the rows and items that can be seen."""
    seen = (
        "[...document.querySelectorAll('section.runbook .row')].filter(row => row.checkVisibility()).map(row => row.id)"
    )
    return set(page.evaluate(seen))


def agrees(page: Page, record: Record, wanted: set[str]) -> None:
    """These rows are shown, with their runbooks; the matrix fades all others; the status line counts all that is."""
    assert shown(page) == wanted
    books = {book["id"] for book, part in rows_of(record) if part["id"] in wanted}
    lines = page.locator("tr.line:visible").evaluate_all("lines => lines.map(line => line.dataset.runbook)")
    assert set(lines) == books
    clear = page.locator("tr.line:visible .cell:not(.faded) a").evaluate_all("links => links.map(link => link.hash)")
    assert {link[1:] for link in clear} == wanted
    groups = page.locator("table.matrix tbody:visible").evaluate_all("all => all.map(one => one.dataset.category)")
    assert set(groups) == {book["category"] for book in record["runbooks"] if book["id"] in books}
    rows = "1 row" if len(wanted) == 1 else f"{len(wanted)} rows"
    findings = page.locator(".finding[data-outcome]:visible").count()
    status = (
        f"Filtered: {rows} in {len(books)} of {len(record['runbooks'])} runbooks, "
        f"{findings} of {len(record['findings'])} findings."
    )
    assert page.inner_text("#f-status") == status


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_outcome_filter(page: Page, few: Record, outcome: str) -> None:
    """Only rows and items of that outcome stay."""
    page.select_option("#f-outcome", outcome)
    agrees(page, few, {part["id"] for _, part in rows_of(few) if part["outcome"] == outcome})
    said = page.locator(".finding[data-outcome]:visible").evaluate_all("all => all.map(one => one.dataset.outcome)")
    assert said == [outcome] * sum(finding["outcome"] == outcome for finding in few["findings"])


@pytest.mark.parametrize("verdict", ["native", "gt_extension", "not_supported"])
def test_the_verdict_filter(page: Page, few: Record, verdict: str) -> None:
    """Only rows of that verdict stay; an item has none."""
    page.select_option("#f-verdict", verdict)
    agrees(page, few, {part["id"] for _, part in rows_of(few) if part.get("verdict") == verdict})


def test_the_category_filter(page: Page, few: Record) -> None:
    """Only runbooks of that category stay, for each category that there is."""
    categories = {book["category"] for book in few["runbooks"]}
    offered = page.locator("#f-category option").evaluate_all("all => all.map(one => one.value)")
    assert set(offered) == categories | {""}
    for category in categories:
        page.select_option("#f-category", category)
        agrees(page, few, {part["id"] for book, part in rows_of(few) if book["category"] == category})


def test_the_text_filter(page: Page, few: Record) -> None:
    """Only rows that hold the text stay, in whatever case it is typed; a runbook's title keeps all of its rows."""
    page.fill("#f-text", "  EMBEDDINGS.Base64 ")
    holding = {
        part["id"] for _, part in rows_of(few) if any(check["id"] == "embeddings.base64" for check in part["checks"])
    }
    assert holding
    agrees(page, few, holding)
    page.fill("#f-text", "semantic kernel")
    agrees(page, few, {part["id"] for book, part in rows_of(few) if book["id"] == "semantic-kernel"})


def test_filters_together_and_none(page: Page, few: Record) -> None:
    """Two filters keep what both keep; what matches nothing shows nothing and says so; clearing shows all again."""
    bad = next(p["outcome"] for _, p in rows_of(few) if p["outcome"] != "conforms" and p.get("verdict") == "native")
    page.select_option("#f-outcome", bad)
    page.select_option("#f-verdict", "native")
    both = {part["id"] for _, part in rows_of(few) if (part["outcome"], part.get("verdict")) == (bad, "native")}
    assert both
    agrees(page, few, both)
    page.fill("#f-text", "no runbook says this")
    agrees(page, few, set())
    page.click("#f-clear")
    assert shown(page) == {part["id"] for _, part in rows_of(few)}
    assert page.inner_text("#f-status") == ""
    assert page.input_value("#f-text") == page.input_value("#f-outcome") == ""


def test_each_cell_leads_to_its_row(page: Page, few: Record) -> None:
    """Each cell's link has a target that can be seen."""
    targets = page.evaluate(
        """[...document.querySelectorAll(".matrix .cell a")].map(link => link.hash.slice(1))
           .filter(id => document.getElementById(id).checkVisibility())"""
    )
    assert sorted(targets) == sorted(part["id"] for _, part in rows_of(few))


@pytest.mark.parametrize("runbook", FEW)
def test_a_link_shows_what_a_filter_hid(page: Page, runbook: str) -> None:
    """A link to a row that a filter hides shows the row again, on the screen, and no filter is left."""
    target = f"{runbook}-chat-native"
    page.fill("#f-text", "no runbook says this")
    assert shown(page) == set()
    page.evaluate("id => document.querySelector(`.matrix a[href='#${id}']`).click()", target)
    page.wait_for_function("id => document.getElementById(id).checkVisibility()", arg=target)
    top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", target)
    assert 0 <= top < WIDE[1]
    assert page.inner_text("#f-status") == ""


def test_a_link_from_elsewhere_leads_to_its_proof(browser: Browser, documents: Mapping[str, Path]) -> None:
    """An address that ends in an exchange's reference opens on that exchange, unfolded."""
    with watched(browser) as (page, deeds):
        page.goto(documents["small"].as_uri())
        closed = page.locator("article.exchange:has(details:not([open]))").last
        reference = closed.get_attribute("id")
        page.goto(f"{documents['small'].as_uri()}#{reference}")
        assert page.locator(f"#{reference} pre").first.is_visible()
        assert page.locator(f"#{reference}").bounding_box()["y"] < 900  # type: ignore[index]
    assert {deed.partition(" ")[0] for deed in deeds} == {"request"}


# -- by keyboard


def test_by_keyboard_alone(browser: Browser, documents: Mapping[str, Path]) -> None:
    """Skip link, filters, table, in the order in which they stand, each with its focus to be seen."""
    with reading(browser, documents["few"]) as page:
        page.keyboard.press("Tab")
        assert _focused(page)["text"] == "Skip to the matrix"
        assert _focused(page)["top"] >= 0, "the skip link shows itself"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#matrix"
        stops = []
        for _ in range(8):
            page.keyboard.press("Tab")
            stops.append(_focused(page))
        assert [stop["id"] for stop in stops[:5]] == ["f-text", "f-outcome", "f-verdict", "f-category", "f-clear"]
        assert stops[5]["label"] == "Table of runbooks and routes"
        assert stops[6]["text"] == page.inner_text("tr.line th a >> nth=0")
        assert all(stop["outline"] >= 2 and 0 <= stop["top"] < WIDE[1] for stop in stops)


def test_filters_by_keyboard(browser: Browser, documents: Mapping[str, Path], few: Record) -> None:
    """Typing filters, an outcome is chosen by its first letter, and the button clears."""
    with reading(browser, documents["few"]) as page:
        page.focus("#f-text")
        page.keyboard.type("semantic kernel")
        assert page.locator("tr.line:visible").count() == 1
        page.keyboard.press("Tab")
        page.keyboard.type("v")
        assert page.input_value("#f-outcome") == "violates"
        kept = {p["id"] for b, p in rows_of(few) if b["id"] == "semantic-kernel" and p["outcome"] == "violates"}
        assert shown(page) == kept
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.input_value("#f-text") == ""
        assert page.locator("tr.line:visible").count() == len(FEW)


def test_proofs_unfold_by_keyboard(browser: Browser, documents: Mapping[str, Path]) -> None:
    """Enter on a summary shows the request, the response and the curl line."""
    with reading(browser, documents["small"]) as page:
        summary = page.locator("article.exchange details:not([open]) > summary").first
        article = summary.locator("xpath=ancestor::article").get_attribute("id")
        summary.focus()
        assert not page.locator(f"#{article} pre.curl").is_visible()
        page.keyboard.press("Enter")
        assert page.locator(f"#{article} pre.curl").is_visible()


def _focused(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        """() => {
          const one = document.activeElement, style = getComputedStyle(one);
          return {
            id: one.id, text: one.innerText.trim(), label: one.getAttribute("aria-label"),
            top: one.getBoundingClientRect().top,
            outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
          };
        }"""
    )
    return found


# -- on a telephone, on paper, for everyone


@pytest.mark.parametrize("name", ["few", "hostile-run", "hostile"])
def test_it_fits_a_telephone(browser: Browser, documents: Mapping[str, Path], name: str) -> None:
    """At 360 px the page does not scroll sideways, and nothing jumps while it loads."""
    with watched(browser, NARROW) as (page, _):
        page.add_init_script(
            """window.jumps = [];
               new PerformanceObserver(list => window.jumps.push(...list.getEntries().map(entry => entry.value)))
                 .observe({type: "layout-shift", buffered: true});"""
        )
        page.goto(documents[name].as_uri())
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
        assert sum(page.evaluate("window.jumps")) < 0.01


def test_it_does_not_scroll_sideways_on_a_desk(browser: Browser, documents: Mapping[str, Path]) -> None:
    """Beside the contents there is room for the matrix, or it scrolls by itself."""
    widths = (1000, 1200, 1280, 1327, 1328, 1366)
    with watched(browser, (widths[0], 900)) as (page, _):
        page.goto(documents["few"].as_uri())
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_on_a4(browser: Browser, documents: Mapping[str, Path]) -> None:
    """Every page is A4 and has text; headings and runbooks are all there; filters and links back are not."""
    with reading(browser, documents["small-mixed"]) as page:
        headings = page.locator("h1, h2, section.runbook h3").all_inner_texts()
        # A font may draw letters as one glyph that a reader of the PDF cannot name.
        page.evaluate("document.styleSheets[0].insertRule('* { font-variant-ligatures: none !important }')")
        pdf = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert {(round(one.mediabox.width), round(one.mediabox.height)) for one in pdf.pages} == {A4}
    texts = [_letters(one.extract_text()) for one in pdf.pages]
    assert len(texts) > 3
    foot = _letters("EMBEDDED TENANT: evidence about this suite")
    assert [text for text in texts if foot not in text] == []
    assert min(len(text) for text in texts) > 2 * len(foot), "no page holds its foot alone"
    whole = "".join(texts)
    assert len(whole) > 400 * len(texts), "no page is left nearly empty"
    assert len(headings) > 8
    assert [heading for heading in headings if _letters(heading) not in whole] == []
    assert not re.search("Showall|Skiptothematrix", whole)


def _letters(text: str) -> str:
    """The text as letters alone: fonts join some of them (ﬃ), and readers of a PDF guess where spaces are."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def test_headings_of_the_matrix_stand_apart_on_paper(browser: Browser, documents: Mapping[str, Path]) -> None:
    """On the width of an A4 page no heading of a column comes within 2 px of another."""
    with reading(browser, documents["few"], PAPER) as page:
        page.emulate_media(media="print")
        boxes = page.locator("table.matrix thead tr:last-child th").evaluate_all(
            """all => all.map(one => {
              const text = document.createRange();
              text.selectNodeContents(one);
              const {left, right, top, bottom} = text.getBoundingClientRect();
              return [one.innerText, left, right, top, bottom];
            })"""
        )
    pairs = [(one[0], other[0]) for one, other in combinations(boxes, 2) if _touch(one, other)]
    assert len(boxes) == 1 + len(PARTS)
    assert pairs == []


def _touch(one: Sequence[Any], other: Sequence[Any], gap: float = 2) -> bool:
    _, left, right, top, bottom = one
    dry_run = right + gap <= other[1] or other[2] + gap <= left
    return not dry_run and top < other[4] and other[3] < bottom


@pytest.mark.parametrize("name", ["conforming", "ten"])
def test_the_summary_prints_on_two_pages(browser: Browser, documents: Mapping[str, Path], name: str) -> None:
    """The address that ends in #summary prints the first page and the matrix of a whole run, and nothing else."""
    with watched(browser) as (page, _):
        page.goto(f"{documents[name].as_uri()}#summary")
        pdf = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    texts = [_letters(one.extract_text()) for one in pdf.pages]
    assert len(texts) == 2
    assert "Next,andbywhom" in texts[0]
    assert "OpenWebUI" in texts[1]
    assert "Requestresponsecurl" not in "".join(texts).replace(",", "")


def test_a_whole_run_prints_on_sixty_pages(browser: Browser, documents: Mapping[str, Path]) -> None:
    """With ten findings; no page of them is empty."""
    with reading(browser, documents["ten"]) as page:
        pdf = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert len(pdf.pages) <= 60
    assert min(len(one.extract_text()) for one in pdf.pages) > 100


@pytest.mark.parametrize("name", ["conforming", "ten"])
def test_few_stops_lead_to_the_runbooks(browser: Browser, documents: Mapping[str, Path], name: str) -> None:
    """At most 120 stops of the Tab key stand before the first runbook, of a whole run with ten findings as well."""
    with reading(browser, documents[name]) as page:
        stops = page.evaluate(
            """() => {
              const first = document.querySelector("section.runbook");
              return [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(
                one => one.tabIndex >= 0 && one.checkVisibility()
                  && (one.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING)).length;
            }"""
        )
    assert 20 < stops <= 120


def test_arrow_keys_move_between_cells(browser: Browser, documents: Mapping[str, Path]) -> None:
    """Within the matrix they go to the cell beside or below, and its name says runbook, route and outcome."""
    with reading(browser, documents["few"]) as page:
        page.focus("tr.line th a >> nth=0")
        title = page.inner_text("tr.line th a >> nth=0")
        page.keyboard.press("ArrowRight")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label.startswith(f"{title}, models: native, ")
        page.keyboard.press("ArrowDown")
        below = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert below.startswith(f"{page.inner_text('tr.line th a >> nth=1')}, models: ")


@pytest.mark.parametrize("size", [(1440, 900), NARROW], ids=["1440", "360"])
@pytest.mark.parametrize("name", ["small", "small-mixed", "driven"])
def test_it_is_accessible(browser: Browser, documents: Mapping[str, Path], name: str, size: tuple[int, int]) -> None:
    """axe-core finds nothing against WCAG 2.2, levels A and AA; the dark scheme differs in its colours alone."""
    assert AXE.exists(), "axe-core is not installed: call make test-slow, which sees to it."
    with reading(browser, documents[name], size, color_scheme="light") as page:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = [_audited(page, {"type": "tag", "values": STANDARDS})]
        page.emulate_media(color_scheme="dark")
        found.append(_audited(page, {"type": "rule", "values": ["color-contrast"]}))
    assert found == [[], []]


def _audited(page: Page, only: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What violates these rules, rule by rule; some rule applies."""
    found = page.evaluate("only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only)
    assert found["passes"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]


# -- pytest.html


def test_the_log_counts_what_the_record_counts(browser: Browser, judged: Finished) -> None:
    """pytest.html opens in silence, and counts the totals."""
    totals = judged.record["totals"]
    with reading(browser, judged.folder / "pytest.html") as page:
        said = " ".join(page.inner_text(".filters").split())
        listed = page.locator("tbody.results-table-row:visible td.col-result").all_inner_texts()
    counted = {name: int(number) for number, name in re.findall(r"([1-9]\d*) ([A-Z][a-z]+(?: [a-z]+)?)", said)}
    wanted = {
        "Failed": totals["violates"],
        "Passed": totals["conforms"],
        "Expected failures": totals["waived"],
        "Errors": totals["blocked"] + totals["unattested"],
    }
    assert counted == {name: number for name, number in wanted.items() if number}  # the page hides what is zero
    words = {"Failed": "Failed", "Passed": "Passed", "XFailed": "Expected failures", "Error": "Errors"}
    assert Counter(listed) == Counter({word: wanted[name] for word, name in words.items()})

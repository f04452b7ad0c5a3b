"""fleet.html where people open it: in Chromium, with its filters, on a telephone, on paper, in the dark."""

import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from gt_conformance import fleet_report, table
from gt_conformance.results import Record
from gt_conformance.table import JudgedTenant
from tests import fleets
from tests.browser import NARROW, WIDE, chromium, reading
from tests.fleets import TONIGHT, judged, write_night
from tests.records import HOSTILE

pytestmark = pytest.mark.slow

AXE = Path(__file__).parent / "tools" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
REGIONS = ("eu", "us", "ap", "sa", "af")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all of it."""
    with chromium() as running:
        yield running


def _records() -> list[Record | str]:
    return [
        fleets.conforming(),
        fleets.violating("chat.completes"),
        fleets.violating("chat.streams", severity="critical"),
        fleets.blocked(),
        fleets.unreachable(),
        "The secret of the key chat is not set.",
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A fleet of every kind of tenant over some nights; one whose every word is hostile; one in which all is well."""
    folder = tmp_path_factory.mktemp("fleets")
    kinds = _records()
    for ago in range(5):
        tenants = [
            judged(
                f"tenant-{n}",
                kinds[(n + ago * (n % 7 == 0)) % len(kinds)],
                {"region": REGIONS[n % len(REGIONS)], "owner": f"team-{n % 20}"},
            )
            for n in range(60)
            if not (n == 8 and ago == 0)
        ]
        write_night(folder / "mixed", TONIGHT - timedelta(days=ago), tenants)
    write_night(folder / "good", TONIGHT, {"a": fleets.conforming(), "b": fleets.conforming()})
    hostile = [
        JudgedTenant(
            f"{n} {text}",
            text,
            {text: text * 50, "region": text},
            fleets.violating("chat.completes", remedy=text),
            None,
        )
        for n, text in enumerate(HOSTILE.values())
    ]
    write_night(
        folder / "hostile",
        TONIGHT,
        [*hostile, JudgedTenant("long", "W" * 9999, {"W" * 999: "W" * 999}, None, "W" * 9999)],
    )
    made = {}
    for name in ("mixed", "good", "hostile"):
        with table.open_table(folder / name) as opened:
            summary = fleet_report.summarize(opened)
        made[name] = folder / f"{name}.html"
        made[name].write_text(fleet_report.render_page(summary), encoding="utf-8")
    return made


@pytest.mark.parametrize("name", ["mixed", "good", "hostile"])
def test_the_page_does_nothing(browser: Browser, pages: Mapping[str, Path], name: str) -> None:
    """It asks for nothing and runs nothing but its filters, also where nobody enforces its policy."""
    for bypassed in (False, True):
        with reading(browser, pages[name], bypass_csp=bypassed) as page:
            assert page.title().startswith("fleet report, ")


def test_hostile_words_make_no_element(browser: Browser, pages: Mapping[str, Path]) -> None:
    """Every element and attribute is of a kind that the page of a harmless fleet has."""
    query = "[...document.querySelectorAll('*')].flatMap(one => [one.localName, ...one.getAttributeNames()])"
    with reading(browser, pages["mixed"]) as page:
        known = set(page.evaluate(query))
    with reading(browser, pages["hostile"]) as page:
        assert set(page.evaluate(query)) - known == set()
        assert "<script>alert(1)</script>" in page.inner_text("body")


def _listed(page: Page) -> list[str]:
    return page.locator("#tenants ~ .scroll tbody tr:visible th b").all_inner_texts()


def test_the_filters(browser: Browser, pages: Mapping[str, Path]) -> None:
    """The list shows what is searched for, of that decision and with that label; what is left is counted in words."""
    with reading(browser, pages["mixed"]) as page:
        every = _listed(page)
        page.select_option('[data-filter="label"]', "region: eu")
        of_region = _listed(page)
        assert of_region == [name for name in every if int(name.removeprefix("tenant-")) % len(REGIONS) == 0]
        page.select_option('[data-filter="decision"]', "NO-GO")
        both = _listed(page)
        assert 0 < len(both) < len(of_region)
        assert page.inner_text(".filter-status") == f"Filtered: {len(both)} of the {len(every)} listed."
        page.fill('[data-filter="text"]', both[0].upper())
        assert _listed(page) == [name for name in both if both[0] in name]
        page.click('[data-filter="clear"]')
        assert (_listed(page), page.inner_text(".filter-status")) == (every, "")


def test_everything_can_be_read_without_scripts(browser: Browser, pages: Mapping[str, Path]) -> None:
    """Without scripts the list is whole, and no filter that does nothing is shown."""
    with reading(browser, pages["mixed"], java_script_enabled=False) as page:
        assert page.locator("#tenants ~ .scroll tbody tr").count() > 40
        assert not page.locator(".filters").is_visible()


@pytest.mark.parametrize("name", ["mixed", "hostile"])
def test_it_fits_a_telephone(browser: Browser, pages: Mapping[str, Path], name: str) -> None:
    """Nothing is wider than a small telephone, except what scrolls for itself."""
    with reading(browser, pages[name], NARROW) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["mixed", "good"])
def test_it_is_accessible(browser: Browser, pages: Mapping[str, Path], name: str, size: tuple[int, int]) -> None:
    """axe-core finds nothing against WCAG 2.2, levels A and AA, in the light and in the dark."""
    assert AXE.exists(), "axe-core is not installed: call make test-slow, which sees to it."
    with reading(browser, pages[name], size, color_scheme="light") as page:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = [_audited(page)]
        page.emulate_media(color_scheme="dark")
        found.append(_audited(page))
    assert found == [[], []]


def _audited(page: Page) -> list[tuple[str, list[str]]]:
    only: dict[str, Any] = {"type": "tag", "values": STANDARDS}
    found = page.evaluate("only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only)
    assert found["passes"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]


def test_it_can_be_printed(browser: Browser, pages: Mapping[str, Path]) -> None:
    """On paper there is the decision, each finding and each tenant that is not GO, and no control."""
    with reading(browser, pages["mixed"]) as page:
        every = _listed(page)
        paper = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    text = " ".join(" ".join(one.extract_text() for one in paper.pages).split())
    assert "NO-GO" in text
    assert [name for name in every if name not in text] == []
    assert "Search" not in text

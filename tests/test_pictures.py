"""What compliance.html draws and says beside the first page: the boundary, the last nights, findings' cards."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from gt_conformance.exchange import ExchangeRecord, Presentation
from gt_conformance.report import render_html
from gt_conformance.results import Record, conclude
from gt_conformance.results.case_types import CheckRecord
from gt_conformance.results.record_types import NightRecord
from tests.made_records import DIGEST, LIVE, book, check, record

OWN, OTHER = "c" * 16, "made-up"


def text_of(document: str) -> str:
    """The text of a document, without its elements."""
    return " ".join(re.sub(r"<[^>]+>", " ", document).split())


# -- the boundary


def exchange(path: str, status: int, key: str | None, method: str = "POST", **more: Any) -> ExchangeRecord:
    """An exchange of a key with the tenant; ``body`` is the JSON that was sent, ``said`` what came."""
    made = {
        "request": {
            "method": method,
            "url": f"{LIVE}{path}",
            "credential": key,
            "presentation": more.get("presentation", "bearer"),
            "headers": more.get("headers", []),
            "body": {"kind": "json", "bytes": 2, "text": more.get("body", "{}")},
        },
        "response": {
            "status": status,
            "headers": [],
            "body": {"kind": "json", "bytes": 2, "text": more.get("said", "{}")},
            "complete": True,
            "end": "complete",
        },
        "elapsed_ms": 1.0,
        "curl": "curl",
    }
    return cast("ExchangeRecord", made)


def key(name: str, **more: Any) -> dict[str, Any]:
    """A key as a tenant file declares it."""
    return {
        "name": name,
        "fingerprint": None,
        "purpose": None,
        "scopes": None,
        "models": None,
        "datasets": None,
        "revoked": False,
    } | more


KEYS = [key("chat", scopes=["inference:chat"], models=["analyst"]), key("gone", revoked=True), key("rag")]
CELLS: Mapping[str, tuple[ExchangeRecord, str]] = {
    "no key": (
        exchange("/v1/chat/completions", 401, None, presentation="none"),
        "POST /v1/chat/completions without a key: refused",
    ),
    "unknown, un-versioned": (
        exchange("/chat/completions", 401, None, presentation="made_up"),
        "POST /chat/completions with a key that does not exist: refused",
    ),
    "streamed": (
        exchange("/v1/chat/completions", 401, "gone", body='{"stream": true}'),
        "POST /v1/chat/completions, streamed with a revoked key: refused",
    ),
    "retired": (exchange("/v1/models", 401, "rag.old", "GET"), "GET /v1/models with a retired secret: refused"),
    "wrong form": (
        exchange("/v1/models", 401, "rag", "GET", presentation="basic"),
        "GET /v1/models with a key in a wrong form: refused",
    ),
    "scope": (exchange("/v1/embeddings", 403, "chat"), "POST /v1/embeddings with a key without the scope: refused"),
    "name": (
        exchange("/v1/chat/completions", 404, "chat", body='{"model": "other"}'),
        "POST /v1/chat/completions with a name that is not on the key's allowlist: refused",
    ),
    "of another key": (
        exchange(f"/v1/files/{OWN}", 404, "chat", "GET"),
        "GET /v1/files/{id} with a key that does not own it: refused",
    ),
    "not served": (
        exchange("/embeddings", 404, None, presentation="none"),
        "POST /embeddings without a key: not served there",
    ),
}


def with_exchanges(checks: Sequence[CheckRecord], some: Mapping[str, ExchangeRecord]) -> Record:
    """A record of these tenant checks, with these exchanges beside two by keys that may."""
    made = record(book(), tenant_checks=checks, credentials=KEYS)
    made["exchanges"] = {
        "x1000": exchange("/v1/datasets/d/files", 202, "rag", said=f'{{"file_id": "{OWN}"}}'),
        "x1001": exchange("/v1/chat/completions", 200, "chat", body='{"model": "analyst"}'),
        **some,
    }
    return conclude(made)


@pytest.mark.parametrize("name", CELLS)
def test_each_exchange_is_in_its_cell_of_the_boundary(name: str) -> None:
    """By its path, how its key was presented, and what the tenant file declares of that key."""
    made, said = CELLS[name]
    document = render_html(with_exchanges([check(name="key.required", exchanges=["x0009"])], {"x0009": made}))
    assert re.findall(r'class="half [^>]*aria-label="([^"]*)"', document) == [said.replace("'", "&#39;")]


@pytest.mark.parametrize("presented", [one for one in Presentation if one is not Presentation.BEARER])
def test_a_key_that_is_presented_otherwise_is_in_the_boundary(presented: Presentation) -> None:
    """Each way in which a live key must be refused has its column."""
    name = None if presented is Presentation.NONE else "rag"
    made = exchange("/v1/models", 401, name, "GET", presentation=presented.value)
    document = render_html(with_exchanges([check(name="key.required", exchanges=["x0009"])], {"x0009": made}))
    assert len(re.findall(r'class="half [^>]*aria-label="GET /v1/models with[^"]*: refused"', document)) == 1


def test_what_a_key_may_do_is_no_part_of_the_boundary() -> None:
    """A record whose keys were only used as they may has no such picture."""
    document = render_html(with_exchanges([check(name="key.required", exchanges=["x1000", "x1001"])], {}))
    assert 'id="boundary"' not in document


def test_a_hole_leads_to_its_finding() -> None:
    """A cell that violates names the finding, links to it, and says so in words."""
    broken = check("violates", "key.required", exchanges=["x0009"])
    broken["breaches"][0]["exchange"] = "x0009"
    made = exchange("/v1/models", 200, None, "GET", presentation="none")
    document = render_html(with_exchanges([broken], {"x0009": made}))
    cell = re.search(r'<a class="half violates"[^>]*>', document)
    assert cell is not None
    assert 'href="#violation-1"' in cell[0]
    assert "GET /v1/models without a key: violates, finding V1" in cell[0]


# -- the last nights


def night(date: int, *findings: str, **more: Any) -> NightRecord:
    """A night of November with these findings."""
    made = {
        "day": f"2026-11-{date:02}",
        "run": f"a{date}",
        "totals": {"conforms": 1, "violates": 0, "blocked": 0, "unattested": 0, "waived": 0},
        "runbooks": {"dify": "non_conformant" if findings else "conformant"},
        "findings": list(findings),
        "version": "1.0",
        "runbooks_digest": DIGEST,
        "keys_digest": DIGEST,
    }
    return cast("NightRecord", made | more)


def after(*nights: NightRecord) -> str:
    """The text of the document of a run on the 22nd that violates, after these nights."""
    made = record(book("dify", {"chat": [check("violates")]}))
    made["history"] = [*nights, night(22, made["findings"][0]["id"])]
    return render_html(made)


def test_a_night_without_a_run_is_a_gap() -> None:
    """The strip is as long as the dates, has bars where runs were, and says how many are missing."""
    document = after(night(17), night(18))
    assert "6 nights: 2 all conform, 1 with violations, 3 without a run; as today since 2026-11-22" in document
    strip = re.findall(r'<svg class="strip" viewBox="0 0 30 16".*?</svg>', document, re.DOTALL)[0]
    assert re.findall(r'<rect [^>]*x="(\d+)"', strip) == ["0", "5", "25"]


SINCE = {
    "new": ([(20, False), (21, False)], "new: in none of 2 nights before"),
    "lasting": ([(19, False), (20, True), (21, True)], "since 2026-11-20: failed 3 of 4 nights"),
    "flapping": (
        [(18, True), (19, False), (20, True), (21, False)],
        "on and off, again since 2026-11-22: failed 3 of 5",
    ),
    "from the first": ([(20, True), (21, True)], "since 2026-11-20 or before: failed 3 of 3 nights"),
}


@pytest.mark.parametrize("name", SINCE)
def test_a_finding_says_since_when_and_how_often(name: str) -> None:
    """On the first page, in its card and among the nights."""
    nights, said = SINCE[name]
    found = record(book("dify", {"chat": [check("violates")]}))["findings"][0]["id"]
    text = text_of(after(*(night(day, *([found] if there else [])) for day, there in nights)))
    assert text.lower().count(said.lower()) == 3


def test_nights_that_could_not_meet_it_are_not_counted() -> None:
    """A night that judged another runbook alone says nothing of this one's finding; one long ago is not drawn."""
    other = night(21, runbooks={"n8n": "conformant"})
    assert "new: in none of 1 night before" in after(night(20), other)
    assert "2 nights, 2026-11-21 to 2026-11-22" in after(night(1, day="2026-09-01"), night(21))


def test_what_changed_between_nights_is_named() -> None:
    """Another version of the suite, other runbooks, another tenant file."""
    text = text_of(
        after(night(19), night(20, version="0.9"), night(21, keys_digest="e" * 64, runbooks_digest="f" * 64))
    )
    assert "2026-11-20 : the suite, 1.0 to 0.9 changed." in text
    assert "2026-11-21 : the suite, 0.9 to 1.0, the runbooks, the tenant file changed." in text


# -- findings' cards


def test_a_card_has_its_curl_line_and_folds_its_places() -> None:
    """What repeats the failing request, and all rows of a sort as one."""
    document = render_html(record(*(book(name, {"chat": [check("violates")]}) for name in ("dify", "n8n", "aider"))))
    card = document.split('<article class="finding violates"')[1].split("</article>")[0]
    assert "<dt>Repeat it</dt>" in card
    assert "curl a1 x0001" in card
    assert "all 3 runbooks with native chat" in card


def test_backticks_are_code_and_local_paths_are_names() -> None:
    """A remedy's field reads as code; no folder of the operator's machine is shown; a path of the API stays."""
    local = "/home/ops/acme.yaml or C:\\Users\\ops\\acme.yaml"
    remedy = f"Add `models` <b> to {local}; ask /v1/models at https://a.example/home/x."
    document = render_html(record(book("dify", {"chat": [check("violates", remedy=remedy)]})))
    assert "Add <code>models</code> &lt;b&gt; to" in document
    assert "/home/ops" not in document
    assert "Users" not in document
    assert "ask /v1/models at https://a.example/home/x." in document

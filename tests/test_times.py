"""Times: when each exchange happened, which of them count for the tenant's speed, and where a reader finds them."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import results
from gt_conformance.exchange import (
    Exchange,
    ExchangeRecord,
    Presentation,
    Redactor,
    Request,
    Response,
    as_record,
    recorded_times,
    times_of,
)
from gt_conformance.history import History
from gt_conformance.report import render_html, render_markdown
from gt_conformance.report._metrics import render_metrics
from gt_conformance.results import Record
from gt_conformance.tenant import Limits
from gt_conformance.timing import Sample, recorded_sample, sample_of
from gt_conformance.vocabulary import Route
from tests.fake_tenant import BASE_URL, COMPLETION, DONE, answer, chunk, refusal, stream
from tests.loopback_http import QUICK, a_request, a_sender, a_tenant, http, in_turn, sends, serving
from tests.test_slo import promised

CHAT = f"{BASE_URL}/v1/chat/completions"
LIVE = {"chat"}


def exchange(response: Response | None, *, elapsed_ms: float = 900, url: str = CHAT, **facts: Any) -> Exchange:
    """An exchange that began a second after its run, with a head that came after 50 ms."""
    timed = None if response is None else replace(response, head_ms=50, connect_ms=10)
    request = Request.of_json("POST", url, facts.pop("key", "chat"), {})
    return Exchange("x0001", replace(request, **facts), timed, elapsed_ms, started_ms=1000)


def spoken(*texts: str, apart_ms: float = 100, usage: Mapping[str, Any] | None = None) -> Response:
    """A stream that begins with a role, and says these texts so far apart."""
    chunks = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    counted = [chunk(None, usage=usage)] if usage else []
    return stream(*chunks, chunk({}, "stop"), *counted, DONE, apart_ms=apart_ms)


def test_an_exchange_knows_when_it_happened() -> None:
    """Start, connection, first byte, first event, end and tokens, in the run and in its record alike."""
    made = exchange(spoken("1", "2", usage={"completion_tokens": 2, "total_tokens": 9}), elapsed_ms=812.34)
    found = times_of(made)
    assert found is not None
    assert (found.started_ms, found.connect_ms, found.first_byte_ms, found.total_ms) == (1000, 10, 50, 812.3)
    assert found.first_event_ms == 0  # the first piece
    assert found.tokens == 2
    assert recorded_times(as_record(made, Redactor({}))) == found


def test_what_nobody_timed_has_no_times() -> None:
    """A real client's exchange, which the proxy passes on, and one without an answer."""
    assert times_of(replace(exchange(answer(COMPLETION)), started_ms=None)) is None
    failed = times_of(exchange(None))
    assert failed is not None
    assert (failed.first_byte_ms, failed.tokens_per_s) == (None, None)


FOUR = {"completion_tokens": 4, "total_tokens": 9}


@pytest.mark.parametrize(
    ("response", "rate"),
    [
        pytest.param(spoken("1", "2", "3", "4", usage=FOUR), 10.0, id="from the first that says something to the last"),
        pytest.param(spoken("1", "2", "3", "4"), None, id="nothing counts them"),
        pytest.param(spoken("1 2 3 4", usage=FOUR), 5.0, id="all at once: over the whole time"),
        pytest.param(
            spoken("1", "2", "3", "4", usage={**FOUR, "completion_tokens_details": {"reasoning_tokens": 2}}),
            3.3,
            id="tokens that were thought and did not come",
        ),
        pytest.param(answer({**COMPLETION, "usage": FOUR}), 5.0, id="a plain answer"),
        pytest.param(answer({**COMPLETION, "usage": {"completion_tokens": "many"}}), None, id="no number"),
        pytest.param(answer(COMPLETION["usage"]), None, id="no usage"),
    ],
)
def test_tokens_a_second_are_those_of_the_time_in_which_they_came(response: Response, rate: float | None) -> None:
    """Of a stream while they came; waiting for the first of them is not counted a second time."""
    found = times_of(exchange(response, elapsed_ms=810))
    assert found is not None
    assert found.tokens_per_s == rate


def both(made: Exchange) -> Sample | None:
    """The sample that an exchange is, which its record gives as well."""
    found = sample_of(made, BASE_URL, LIVE)
    assert recorded_sample(as_record(made, Redactor({})), BASE_URL, LIVE) == found
    return found


def test_a_sample_counts_from_when_its_request_was_sent() -> None:
    """What passed while a connection was opened is no time of the tenant's."""
    found = both(exchange(spoken("1"), elapsed_ms=900))
    assert found is not None
    assert (found.route, found.streamed, found.first_byte, found.total) == (Route.CHAT, True, 40, 890)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(exchange(refusal(403)), id="refused"),
        pytest.param(exchange(answer("", 500)), id="failed"),
        pytest.param(exchange(None), id="no answer"),
        pytest.param(exchange(replace(answer(COMPLETION), complete=False, end="cut")), id="cut short"),
        pytest.param(exchange(answer(COMPLETION), refused=True), id="sent to be refused"),
        pytest.param(exchange(answer(COMPLETION), key="chat.old"), id="a retired secret"),
        pytest.param(exchange(answer(COMPLETION), key="gone"), id="a revoked key"),
        pytest.param(exchange(answer(COMPLETION), presentation=Presentation.MADE_UP), id="no key of the tenant's"),
        pytest.param(exchange(answer(COMPLETION), url=f"{BASE_URL}/v1/responses"), id="no route"),
        pytest.param(replace(exchange(answer(COMPLETION)), started_ms=None), id="not timed"),
    ],
)
def test_what_nobody_waits_for_does_not_count(made: Exchange) -> None:
    """Refusals, failures, and whatever was presented to be refused are no samples."""
    assert both(made) is None


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/chat/completions", Route.CHAT),
        ("GET", "/v1/uploads/file-1", Route.FILE_STATUS),
        ("GET", "/files/file-1?x=1", Route.FILE_STATUS),
        ("POST", "/v1/datasets/scratch/files", Route.DATASET_FILES),
    ],
)
def test_every_address_of_a_route_counts_for_it(method: str, path: str, route: Route) -> None:
    """Without /v1 and by its alias it is the same route."""
    found = both(exchange(answer({}), url=BASE_URL + path, method=method))
    assert found is not None
    assert found.route is route


def sent(*answers: bytes, requests: int = 1, limits: Limits = QUICK) -> list[Exchange]:
    """What so many requests at once come to, at a server that gives these answers in turn."""

    async def main() -> list[Exchange]:
        async with serving(in_turn(*answers) if len(answers) > 1 else sends(*answers)) as server:
            sender = a_sender(a_tenant(server.url, limits))
            wanted = [a_request(server.url, body=b"%d" % number) for number in range(requests)]
            try:
                return list(await asyncio.gather(*(sender.send(one, f"x{n}") for n, one in enumerate(wanted))))
            finally:
                await sender.close()

    return asyncio.run(main())


def test_waiting_for_a_slot_is_no_time_of_the_tenants() -> None:
    """With one request at once each begins when the one before has ended, and is timed from there."""
    found = sorted(sent(http(), requests=4, limits=replace(QUICK, concurrency=1)), key=_began)
    for before, after in pairwise(found):
        assert _began(after) >= _began(before) + before.elapsed_ms


def _began(one: Exchange) -> float:
    assert one.started_ms is not None
    return one.started_ms


def test_pauses_between_tries_are_no_time_of_the_tenants() -> None:
    """What was put off and answered later is timed from its last try."""
    [found] = sent(http(b"{}", "429 Too Many Requests", Retry_After="1"), http())
    assert len(found.attempts) == 1
    assert found.response is not None
    assert found.response.head_ms is not None
    assert found.response.head_ms <= found.elapsed_ms


def test_a_new_connection_is_told_apart() -> None:
    """The first request opens one; the next one finds it open."""
    first = sent(http())[0].response
    assert first is not None
    assert first.head_ms is not None
    assert 0 < first.connect_ms < first.head_ms


# -- where they are read


def test_the_record_has_the_figures_of_each_route_and_runbook() -> None:
    """Plain answers and streams apart, with how many; nothing of what was to be refused."""
    times = promised()["times"]
    chats = {one["way"]: one for one in times["routes"] if one["route"] == "chat"}
    assert set(chats) == {"plain", "stream"}
    assert chats["stream"]["first_event_ms"]["p95"] == 100
    assert chats["plain"]["total_ms"] == {"count": chats["plain"]["count"], "p50": 200, "p95": 200, "p99": 200}
    assert set(times["runbooks"]) <= {book["id"] for book in promised()["runbooks"]}
    assert all(
        one["count"] <= chats[one["way"]]["count"] for one in times["runbooks"]["dify"] if one["route"] == "chat"
    )
    refused = [one for one in promised()["exchanges"].values() if one.get("to_be_refused")]
    assert refused
    counted = sum(one["count"] for one in times["routes"])
    assert counted < len(promised()["exchanges"]) - len(refused)


def nights(folder: Path) -> Record:
    """The record of a run with eight nights before it, one of them without a run, ever slower."""
    history, today = History(folder), date(2026, 11, 27)
    for before in (8, 7, 6, 4, 3, 2, 1):
        record: Record = {**promised(), "times": _slower(promised(), 9 - before)}
        record["run"] = {**record["run"], "id": f"a{before}", "started": f"{today - timedelta(before)}T03:00:00.000Z"}
        history.keep(record)
    record = {**promised(), "run": {**promised()["run"], "started": f"{today}T03:00:00.000Z"}}
    record["history"], problems = history.nights(record)
    assert not problems
    return record


def _slower(record: Record, factor: int) -> Any:
    routes = []
    for one in record["times"]["routes"]:
        total = {**one["total_ms"], "p95": one["total_ms"]["p95"] * factor}
        routes.append({**one, "total_ms": total})
    return {**record["times"], "routes": routes}


def test_the_report_shows_times_beside_the_row_as_promised_and_over_the_nights(tmp_path: Path) -> None:
    """The figures are at the row, the promises have their outcome, and a missing night breaks the line."""
    record = nights(tmp_path)
    page = render_html(record)
    shown = record["runbooks"][0]["id"]  # a page holds so much: of what comes late, a line
    row = page[page.index(f'id="{shown}-chat-native"') :]
    assert re.search(r'<p class="quiet pace">\d+ answers, p95 200 ms; \d+ streams, first event p95 100 ms</p>', row)
    times = page[page.index('<section class="times"') : page.index('id="since"') if 'id="since"' in page else None]
    assert 'href="#tenant-slo.chat.first_event_p95"' in times
    course = re.search(r'<svg class="course"[^>]*aria-label="p95 of the whole answer: ([^"]+)".*?</svg>', times)
    assert course is not None
    assert "8 nights" in course[1]
    assert course[0].count("<polyline") == 2


def test_other_documents_have_the_times_as_well() -> None:
    """The summary names what was promised and how fast chats were; the metrics have each percentile as a gauge."""
    text = render_markdown(promised())
    assert re.search(r"\| `slo\.chat\.first_event_p95` \| at most 500 ms \| 100 ms \| \d+ answers \| ✓ \|", text)
    assert "p95 of the first event 100 ms" in text
    metrics = render_metrics(promised())
    way = 'route="chat",way="stream",measure="first_event",quantile="0.95"'
    assert re.search(rf"gt_conformance_response_seconds\{{[^}}]*{way}\}} 0\.1\n", metrics)
    assert re.search(r'gt_conformance_slo\{[^}]*objective="slo.chat.total_p95",outcome="conforms"\} 1\n', metrics)


def test_a_record_without_times_is_shown_without() -> None:
    """One of an earlier version has none, and no document misses them."""
    record: Record = {**promised()}
    del record["times"], record["slo"], record["setup"]
    bare: dict[str, ExchangeRecord] = {
        ref: {name: value for name, value in one.items() if name != "started_ms"}  # type: ignore[misc]
        for ref, one in record["exchanges"].items()
    }
    old = results.recompute({**record, "exchanges": bare})
    assert "times" not in old
    assert 'class="times"' not in render_html(old)
    assert "## Times" not in render_markdown(old)
    assert "gt_conformance_response_seconds" not in render_metrics(old)

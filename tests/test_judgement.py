"""Judgements and the record: as bad as the worst, counted once, said in full."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from gt_conformance import resources, results, schema
from gt_conformance.checks import CheckCall, CheckResult, Violation, checks
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Failure, Presentation, Request, Response
from gt_conformance.judgement import Judge, Judgement, NotConforming, Unattested, evidence_level
from gt_conformance.planning import Case, item_case, list_cases, make_plan, row_case, tenant_case
from gt_conformance.runbook import Row, Runbook, load_directory
from gt_conformance.session import Session
from gt_conformance.tenant import KeyMapping
from gt_conformance.vocabulary import Actor, EvidenceLevel, Outcome, Route, RunbookOutcome, Scope, Severity, Verdict
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    FakeSender,
    Reply,
    Rule,
    answer,
    conforming,
    key,
    place,
    refusal,
    run,
    sent_json,
    tenant_of,
    to,
)
from tests.made_records import PARTS, book, check
from tests.made_records import record as made_record

CONFORMS, WAIVED, UNATTESTED, BLOCKED, VIOLATES = Outcome

DIFY = next(book for book in load_directory(resources.runbooks_dir()) if book.id == "dify")

# -- as bad as the worst

WORST: dict[tuple[Outcome, ...], Outcome] = {
    (): BLOCKED,
    (CONFORMS,): CONFORMS,
    (CONFORMS, WAIVED): WAIVED,
    (CONFORMS, WAIVED, UNATTESTED): UNATTESTED,
    (CONFORMS, WAIVED, UNATTESTED, BLOCKED): BLOCKED,
    (CONFORMS, WAIVED, UNATTESTED, BLOCKED, VIOLATES): VIOLATES,
    (BLOCKED, VIOLATES): VIOLATES,
    (CONFORMS, BLOCKED): BLOCKED,
}


@pytest.mark.parametrize(
    ("outcomes", "worst"), WORST.items(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else None
)
def test_the_worst_outcome_counts(outcomes: tuple[Outcome, ...], worst: Outcome) -> None:
    """Violates before blocked, unattested, waived and conforms, in whatever order; nothing at all is blocked."""
    assert {Outcome.worst(order) for order in permutations(outcomes)} == {worst}


RUNBOOKS: dict[tuple[Outcome, ...], RunbookOutcome] = {
    (CONFORMS, CONFORMS): RunbookOutcome.CONFORMANT,
    (CONFORMS, WAIVED): RunbookOutcome.CONFORMANT,
    (CONFORMS, BLOCKED): RunbookOutcome.INCOMPLETE,
    (WAIVED, UNATTESTED): RunbookOutcome.INCOMPLETE,
    (BLOCKED, VIOLATES): RunbookOutcome.NON_CONFORMANT,
    (): RunbookOutcome.INCOMPLETE,
}


@pytest.mark.parametrize(
    ("outcomes", "runbook"), RUNBOOKS.items(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else None
)
def test_a_runbook_is_what_its_rows_come_to(outcomes: tuple[Outcome, ...], runbook: RunbookOutcome) -> None:
    """A runbook is non-conformant with a violation, incomplete with something untested, else conformant."""
    assert RunbookOutcome.of(outcomes) is runbook


LEVELS: dict[str, tuple[list[Outcome], EvidenceLevel]] = {
    "every row was verified": ([CONFORMS] * 9, EvidenceLevel.PROBED),
    "a violation was verified too": ([CONFORMS] * 8 + [VIOLATES], EvidenceLevel.PROBED),
    "so was what is waived": ([CONFORMS] * 8 + [WAIVED], EvidenceLevel.PROBED),
    "a row was blocked": ([CONFORMS] * 8 + [BLOCKED], EvidenceLevel.DOCUMENTED),
    "a row was not attested": ([CONFORMS] * 8 + [UNATTESTED], EvidenceLevel.DOCUMENTED),
    "a row was not selected": ([CONFORMS] * 8, EvidenceLevel.DOCUMENTED),
    "nothing": ([], EvidenceLevel.DOCUMENTED),
}


@pytest.mark.parametrize(("outcomes", "level"), LEVELS.values(), ids=LEVELS)
def test_a_runbook_is_probed_once_every_row_was(outcomes: list[Outcome], level: EvidenceLevel) -> None:
    """The evidence level rises to probed where all nine rows were verified over HTTP, well or badly."""
    assert evidence_level(outcomes, 9) is level


def test_a_runbook_is_client_driven_where_its_client_drove_it_besides() -> None:
    """A real client raises the level of a runbook that was probed whole, and of no other."""
    assert evidence_level([CONFORMS] * 9, 9, driven=True) is EvidenceLevel.CLIENT_DRIVEN
    assert evidence_level([CONFORMS] * 8, 9, driven=True) is EvidenceLevel.DOCUMENTED


# -- a row's judgement

ROW = Row("dify", Route.CHAT, Verdict.NATIVE, "Every node chats.")


def a_result(
    outcome: Outcome, check: str = "chat.completes", credential: str | None = "chat", **facts: Any
) -> CheckResult:
    """A check that came to that outcome."""
    return CheckResult(
        CheckCall(check, credential), f"The claim of {check}.", outcome, "", f"The remedy of {check}.", **facts
    )


def a_judgement(*checks: CheckResult) -> Judgement:
    """The judgement of dify's chat row from these checks."""
    return Judgement(row_case(ROW), checks)


BREACHES = (Violation("a 2xx", "HTTP 500", "x0007"), Violation("content", "an empty body"))
GONE_WRONG = a_judgement(
    a_result(CONFORMS, "chat.roles"),
    a_result(VIOLATES, violations=BREACHES, blockers=(Blocker("not all was tried", "Try."),)),
    a_result(BLOCKED, "chat.tools", blockers=(Blocker("no time", "Wait."),)),
)
UNTESTED = a_judgement(
    a_result(CONFORMS, "chat.roles"),
    a_result(BLOCKED, "chat.tools", None, blockers=(Blocker("no key", "Add."), Blocker("no time", "Wait."))),
)


def test_a_violation_is_said_in_full() -> None:
    """The promise, what was expected, what came, the exchange that proves it, and the remedy, of the worst checks."""
    assert GONE_WRONG.outcome is VIOLATES
    assert GONE_WRONG.explain().splitlines() == [
        "dify-chat-native: violates",
        "  promise: POST /v1/chat/completions is native. Every node chats.",
        "  chat.completes by the key chat: The claim of chat.completes.",
        "    expected: a 2xx",
        "    found:    HTTP 500 [x0007]",
        "    expected: content",
        "    found:    an empty body",
        "    remedy:   The remedy of chat.completes.",
    ]


def test_a_block_is_said_in_full() -> None:
    """A blocked row says for each blocked check what is missing, and what to do."""
    assert UNTESTED.outcome is BLOCKED
    assert UNTESTED.explain().splitlines() == [
        "dify-chat-native: blocked",
        "  promise: POST /v1/chat/completions is native. Every node chats.",
        "  chat.tools: The claim of chat.tools.",
        "    blocked:  no key",
        "    remedy:   Add.",
        "    blocked:  no time",
        "    remedy:   Wait.",
    ]


def test_a_violation_names_its_finding_once_and_who_has_to_act() -> None:
    """A finding stands once, with the severity and the actor of the violation where it names them, else the check's."""
    breaches = (
        Violation("a 2xx", "HTTP 500", "x0007", finding="F-1"),
        Violation("content", "an empty body", finding="F-1"),
        Violation("a name", "none", finding="F-2", acts=Actor.SETUP, severity=Severity.CRITICAL, at="model"),
    )
    said = a_judgement(a_result(VIOLATES, violations=breaches)).explain().splitlines()
    assert [line.strip() for line in said if "finding:" in line] == [
        "finding:  F-1 (medium, tenant has to act)",
        "finding:  F-2 (critical, setup has to act)",
    ]
    assert "    expected: a name at model" in said


def test_a_row_that_conforms_has_nothing_to_explain() -> None:
    """A row that conforms names its promise alone."""
    good = a_judgement(a_result(CONFORMS))
    assert good.failing == ()
    assert good.explain().splitlines() == [
        "dify-chat-native: conforms",
        "  promise: POST /v1/chat/completions is native. Every node chats.",
    ]


def test_a_violation_is_an_assertion_and_a_block_is_none() -> None:
    """A broken promise fails as an assertion does; what could not be tested is another exception, never both."""
    GONE_WRONG.demand_tested()
    with pytest.raises(NotConforming, match=r"^dify-chat-native: violates\n"):
        GONE_WRONG.demand_conformance()
    assert issubclass(NotConforming, AssertionError)
    assert not issubclass(Blocked, AssertionError)
    UNTESTED.demand_conformance()
    with pytest.raises(Blocked, match=r"^dify-chat-native: blocked\n") as caught:
        UNTESTED.demand_tested()
    assert caught.value.remedy == "The remedy of chat.tools."
    good = a_judgement(a_result(CONFORMS))
    good.demand_tested()
    good.demand_conformance()


def test_the_first_of_several_blockers_says_what_to_do() -> None:
    """Where several checks are blocked, the remedy is that of the first, and all are told."""
    blocked = a_judgement(a_result(CONFORMS, "chat.roles"), a_result(BLOCKED, "chat.tools"), a_result(BLOCKED))
    with pytest.raises(Blocked, match=r"chat\.tools by the key chat(?s:.*)chat\.completes by the key") as caught:
        blocked.demand_tested()
    assert caught.value.remedy == "The remedy of chat.tools."


def test_a_row_without_checks_is_blocked() -> None:
    """Nothing was tested where nothing was asked, so the row is blocked and says so."""
    empty = a_judgement()
    assert empty.outcome is BLOCKED
    with pytest.raises(Blocked):
        empty.demand_tested()


def test_an_item_that_nobody_attested_is_unattested() -> None:
    """A missing word is neither a broken promise nor a test that failed to run, and says what to do."""
    item = Judgement(item_case(DIFY.checklist[0]), (a_result(UNATTESTED, "attestation", None),))
    assert (item.id, item.promise) == ("dify-item-1", DIFY.checklist[0].text)
    item.demand_conformance()
    with pytest.raises(Unattested, match=r"^dify-item-1: unattested\n"):
        item.demand_tested()


def test_a_tenant_check_promises_its_claim() -> None:
    """A tenant-wide check is judged alone, under an id of its own."""
    case = tenant_case("key.required")
    found = Judgement(case, (a_result(VIOLATES, "key.required"),))
    assert (found.id, found.promise, found.outcome) == (
        "tenant-key.required",
        checks()["key.required"].claim,
        VIOLATES,
    )


# -- the record of a run

TENANT = tenant_of(key("chat"))
ROWS = ("dify-models-native", "dify-chat-native", "dify-images-not_supported")


def refused_images(request: Request) -> Reply | None:
    """Images are refused to the key, as dify's runbook says."""
    return Reply(refusal(403)) if request.path.endswith("/images/generations") else None


def chosen(books: Sequence[Runbook], ids: Iterable[str]) -> list[Case]:
    """The cases of these ids."""
    wanted = set(ids)
    return [case for case in list_cases(books) if case.id in wanted]


def recorded(
    *rules: Rule,
    books: Sequence[Runbook] = (DIFY,),
    rows: Iterable[str] = ROWS,
    tenant_checks: Iterable[str] = (),
    tenant: Any = TENANT,
) -> results.Record:
    """The record of a run of these rows, when these rules answer."""
    plan = make_plan(tenant, books, chosen(books, [*rows, *(f"tenant-{check}" for check in tenant_checks)]))
    with Session(plan, sender=lambda: FakeSender(*rules, refused_images)) as session:
        for case in plan.cases:
            session.judgement(case)
    record = session.record()
    assert not record["suite_errors"]
    return record


def unversioned(request: Request) -> Reply | None:
    """The un-versioned paths answer as the versioned ones do, which dify's base URL needs."""
    path = request.url.removeprefix(BASE_URL)
    if path.startswith("/v1/") or request.presentation is not Presentation.BEARER:
        return None
    return Reply(conforming(replace(request, url=f"{BASE_URL}/v1{path}")))


GOOD = (unversioned,)


def test_a_record_holds_to_its_schema() -> None:
    """What is written holds to schemas/results.schema.json, whatever the rows came to."""
    records = [recorded(*GOOD), recorded(), recorded(lambda _: Reply(failure=Failure.CONNECT, detail="refused"))]
    for record in records:
        assert schema.load("results").errors(record) == ()


def test_each_planned_row_and_check_stands_in_the_record_once() -> None:
    """The record holds the planned rows and tenant checks, each once, and counts them."""
    record = recorded(*GOOD, tenant_checks=("key.required", "names.unpublished_refused"))
    [book] = record["runbooks"]
    assert [(row["id"], row["outcome"]) for row in book["routes"]] == [(row, "conforms") for row in ROWS]
    assert [(check["id"], check["outcome"]) for check in record["tenant_checks"]] == [
        ("key.required", "violates"),
        ("names.unpublished_refused", "blocked"),
    ]
    assert record["totals"] == {"conforms": 3, "violates": 1, "blocked": 1, "unattested": 0, "waived": 0}
    assert (book["outcome"], book["evidence_level"]) == ("conformant", "documented")


def test_a_runbook_without_a_selected_row_is_left_out() -> None:
    """Only runbooks of which something was selected stand in the record."""
    others = [replace(DIFY, id="other", rows=tuple(replace(row, runbook="other") for row in DIFY.rows))]
    assert [book["id"] for book in recorded(*GOOD, books=[*others, DIFY])["runbooks"]] == ["dify"]


def test_times_are_in_utc() -> None:
    """A run's moments stand in the record in UTC, with milliseconds, and its duration in seconds."""
    run_facts = recorded(*GOOD)["run"]
    started, finished = (datetime.fromisoformat(run_facts[name]) for name in ("started", "finished"))
    assert run_facts["started"].endswith("Z")
    assert len(run_facts["started"]) == len("2026-11-22T01:00:00.123Z")
    assert abs((finished - started).total_seconds() - run_facts["duration_s"]) < 0.002


def test_a_record_counts_what_was_sent() -> None:
    """Requests are counted by route, with bytes and tokens."""
    traffic = recorded(*GOOD, rows=["dify-models-native"])["traffic"]
    assert traffic["requests"] == sum(traffic["by_route"].values()) == 3
    assert traffic["by_route"] == {
        "GET /models": 1,
        "GET /v1/gt-conformance-no-such-route": 1,
        "GET /v1/models": 1,
    }
    assert traffic["bytes_sent"] == traffic["tokens"] == 0
    assert recorded(*GOOD, rows=["dify-chat-native"])["traffic"]["tokens"] > 0


ROUTES: dict[str, tuple[str, str]] = {
    "as it is": ("/v1/chat/completions", "POST /v1/chat/completions"),
    "a file": ("/v1/files/f-1", "POST /v1/files/{id}"),
    "its alias": ("/v1/uploads/f-1", "POST /v1/uploads/{id}"),
    "a file by the un-versioned address": ("/files/f-1", "POST /files/{id}"),
    "a dataset by the un-versioned address": ("/datasets/scratch/files", "POST /datasets/{id}/files"),
    "OpenAI's files by the un-versioned address": ("/files", "POST /files"),
    "a dataset": ("/v1/datasets/scratch/files", "POST /v1/datasets/{id}/files"),
    "OpenAI's files": ("/v1/files", "POST /v1/files"),
    "conversation files": ("/v1/conversations/files", "POST /v1/conversations/files"),
    "a query": ("/v1/models?api_key=x", "POST /v1/models"),
}


@pytest.mark.parametrize(("path", "title"), ROUTES.values(), ids=ROUTES)
def test_requests_are_counted_without_their_ids(path: str, title: str) -> None:
    """Requests to one route are one count, whatever the ids in their paths."""
    assert (
        results.route_title("POST", f"https://acme.example/api/tenant{path}", "https://acme.example/api/tenant")
        == title
    )


def test_a_row_is_blocked_in_the_record_for_its_own_reason() -> None:
    """Rows that lack a credential for the same check each say in the record what they miss themselves."""
    tenant = tenant_of(key("chat", scopes=frozenset({Scope.CHAT})), runbooks={"dify": KeyMapping("chat")})
    other = replace(DIFY, id="other", rows=tuple(replace(row, runbook="other") for row in DIFY.rows))
    rows = ("dify-embeddings-native", "other-embeddings-native")
    record = recorded(books=[DIFY, other], rows=rows, tenant=tenant)
    found = {
        book["id"]: {check["remedy"] for row in book["routes"] for check in row["checks"]}
        for book in record["runbooks"]
    }
    wanted = f"scope inference:embed, allowed {ALIAS}."
    assert found == {
        "dify": {f"The tenant file maps dify to the key chat, which is not declared to have it: it needs {wanted}"},
        "other": {f"Add a live key to the tenant file with {wanted}"},
    }
    plan = make_plan(tenant, [DIFY, other], chosen([DIFY, other], rows))
    judge = Judge(plan, run(plan, FakeSender()).result)
    assert "maps dify" in judge.judge(plan.case("dify-embeddings-native")).explain()
    assert "maps dify" not in judge.judge(plan.case("other-embeddings-native")).explain()


# -- exit codes

REFUSED = {"reason": "no connection", "remedy": "Check."}
EXITS: dict[str, tuple[dict[str, int], dict[str, str] | None, int]] = {
    "all conforms": ({"conforms": 9}, None, 0),
    "a waiver is no finding": ({"conforms": 8, "waived": 1}, None, 0),
    "something violates": ({"conforms": 8, "violates": 1}, None, 1),
    "something violates and something is blocked": ({"violates": 1, "blocked": 7, "unattested": 1}, None, 1),
    "something is blocked": ({"conforms": 8, "blocked": 1}, None, 7),
    "something is unattested": ({"conforms": 8, "unattested": 1}, None, 7),
    "nothing could be judged": ({"blocked": 9}, REFUSED, 8),
    "whatever else was found": ({"violates": 9}, REFUSED, 8),
}


@pytest.mark.parametrize(("totals", "refused", "code"), EXITS.values(), ids=EXITS)
def test_an_exit_code_says_what_came_of_the_run(
    totals: dict[str, int], refused: dict[str, str] | None, code: int
) -> None:
    """0 all conforms, 1 something violates, 3 the suite failed, 7 something untested, 8 no tenant or no key."""
    outcomes = [outcome for outcome, number in totals.items() for _ in range(number)]
    parts = {part: [check(outcome)] for part, outcome in zip(PARTS, outcomes, strict=False)}
    run = {"refusal": refused}
    assert results.exit_code(made_record(book(parts=parts), run=run)) == code
    assert results.exit_code(made_record(book(parts=parts), run=run, suite_errors=["ValueError: odd"])) == 3
    interrupted = made_record(book(parts=parts), run={**run, "interrupted": "SIGTERM"})
    assert results.exit_code(interrupted) == (code or 7)


def test_a_waiver_that_has_to_go_is_a_finding() -> None:
    """Where a waiver expired or is no longer needed, the run does not end as if all were well."""
    assert results.exit_code(made_record(book(), waiver_problems=["waivers.yaml:3: it expired."])) == 1


RUNS: dict[str, tuple[Sequence[Rule], int]] = {
    "a conforming tenant": (GOOD, 0),
    "a tenant without un-versioned paths": ((), 1),
    "a tenant that is busy": (
        (lambda request: Reply(answer({}, 429)) if request.path.endswith("/completions") else None, *GOOD),
        7,
    ),
    "a tenant that is not there": ((lambda _: Reply(failure=Failure.CONNECT, detail="refused"),), 8),
    "a tenant that takes no key": ((lambda _: Reply(refusal(401)),), 8),
    "a web page": ((lambda _: Reply(answer("<html>", kind="text/html")),), 8),
}


@pytest.mark.parametrize(("rules", "code"), RUNS.values(), ids=RUNS)
def test_a_run_ends_with_its_exit_code(rules: Sequence[Rule], code: int) -> None:
    """What a tenant is like shows in the exit code of a run against it."""
    record = recorded(*rules)
    assert results.exit_code(record) == code
    if code == 8:
        refusal = record["run"]["refusal"]
        assert refusal is not None
        assert refusal["reason"]
        assert record["totals"]["blocked"] == len(ROWS)


def test_a_long_list_deviates_once_at_each_place() -> None:
    """Four hundred models without a date are one advisory, which counts them, and not four hundred."""
    models = [{"id": f"{ALIAS}-{number}" if number else ALIAS, "object": "model"} for number in range(400)]
    listed = recorded(to("models", answer({"object": "list", "data": models}), when=lambda _: True), *GOOD)
    [row] = [row for row in listed["runbooks"][0]["routes"] if row["route"] == "models"]
    for found in row["checks"]:
        places = [item["at"] for item in found["advisories"] if "at" in item]
        assert len(places) == len(set(places))
        assert len(found["advisories"]) < 10
    texts = {item["text"] for found in row["checks"] for item in found["advisories"]}
    assert "OpenAI's published shape: data[]: the key 'created' is missing. (in 400 places)" in texts


def test_advisories_stand_in_the_record() -> None:
    """A remark on a check that conforms stands beside it, with the exchange that shows it."""

    def bare(request: Request) -> Response | None:
        if place(request) != "/v1/chat/completions" or sent_json(request).get("stream"):
            return None
        whole = conforming(request)
        return answer({"choices": whole.json()["choices"]}) if whole.succeeded else whole

    chatted = recorded(bare, *GOOD)
    [row] = [row for row in chatted["runbooks"][0]["routes"] if row["route"] == "chat"]
    plainest, check = (check for check in row["checks"] if check["id"] == "chat.completes")
    assert plainest["parameters"] == {"minimal": True}
    assert (row["outcome"], check["outcome"], check["reason"]) == ("conforms", "conforms", "")
    assert {"OpenAI's published shape: the key 'id' is missing."} < {item["text"] for item in check["advisories"]}
    assert {item["exchange"] for item in check["advisories"]} <= chatted["exchanges"].keys()
    assert check["parameters"] == {
        "token_limit": "max_tokens",
        "fields": {"user": "gt-conformance"},
        "needs": ["object", "usage"],
    }

"""``limits.max_tokens``: what might pass it is not sent, and blocks with one finding, whatever the tenant states."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gt_conformance import results, session
from gt_conformance.checks import _requests as requests
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.runner import Rehearsal
from gt_conformance.runner._tokens import TokenBudget
from gt_conformance.spending import UNLIMITED, worst_case
from gt_conformance.tenant import Tenant, TenantKind, from_mapping
from gt_sandbox import EmbeddedTenant
from gt_sandbox import middleware as edge
from tests import commands
from tests.fake_tenant import TENANT

RUNBOOK = "dify"
CHAT = requests.chat(TENANT, "chat", fields={"max_tokens": 100})
WORST = worst_case(CHAT).tokens


class Meter:
    """Middleware that counts tokens by itself: what is under way at its worst, and what answers state."""

    def __init__(self) -> None:
        self.under_way = self.stated = self.most = 0

    def middleware(self) -> edge.MiddlewareFactory:
        """Counts each request to a route that is metered in tokens."""

        @edge.per_call
        async def count(call: edge.Call) -> None:
            fields = call.request.fields
            if not {"messages", "input", "prompt"} & fields.keys() or "voice" in fields or "audio" in call.request.path:
                return await call.forward()
            if "images" in call.request.path:
                return await call.forward()
            limits = (
                fields[name] for name in ("max_completion_tokens", "max_tokens", "max_output_tokens") if name in fields
            )
            answer = 0 if "embeddings" in call.request.path else next(limits, UNLIMITED)
            worst = len(call.request.body) + answer
            self.under_way += worst
            self.most = max(self.most, self.stated + self.under_way)
            pieces: list[bytes] = []
            status = 0

            async def send(message: Any) -> None:
                nonlocal status
                status = message.get("status", status)
                pieces.append(message.get("body", b""))
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self.under_way -= worst
                    self.stated += self._stated(b"".join(pieces), worst) if status < 300 else 0
                await call.send(message)

            return await call.forward(send=send)

        return count

    @staticmethod
    def _stated(body: bytes, worst: int) -> int:
        found = re.findall(rb'"total_tokens": ?(\d+)', body)
        return int(found[-1]) if found else worst


def run(middleware: edge.MiddlewareFactory, **limits: int) -> Record:
    """A run of one runbook on a tenant that passes for a live one, within these limits."""
    with EmbeddedTenant(middleware=[middleware], marked=False) as running:
        found = from_mapping(running.tenant_document(), running.secrets, kind=TenantKind.LIVE, name="acme.yaml")
        found = replace(found, limits=replace(found.limits, **limits))
        return session.run(session.plan(found, selection=Selection(runbooks=(RUNBOOK,))))


def counted(record: Record) -> int:
    """The tokens that count against the budget, by the record."""
    found = record["traffic"]["spending"]["counted"]
    return found["input_tokens"] + found["output_tokens"]


@pytest.mark.parametrize(("budget", "concurrency"), [(100, 8), (1_000, 8), (8_000, 1), (8_000, 8)])
def test_nothing_is_sent_that_might_pass_the_budget(budget: int, concurrency: int) -> None:
    """At no moment is more spent, and under way at its worst, than the budget; what is left out is one finding."""
    meter = Meter()
    record = run(meter.middleware(), max_tokens=budget, concurrency=concurrency)
    assert meter.most <= budget
    assert counted(record) <= budget
    assert record["traffic"]["spending"]["max_tokens"] == budget
    (finding,) = [one for one in record["findings"] if one["outcome"] != "unattested"]
    assert (finding["outcome"], finding["acts"]) == ("blocked", "setup")
    assert "limits.max_tokens" in finding["remedy"]
    wanted = f"the run's budget of {budget:,} tokens might be passed (limits.max_tokens)"
    assert {reason for reason in reasons(record) if not reason.endswith(wanted)} == set()
    assert record["decision"] == "NOT DECIDED"


def reasons(record: Record) -> list[str]:
    """Why checks are blocked, but for what a person has to attest."""
    checks = (check for case in results.cases(record) for check in case.checks if check["outcome"] == "blocked")
    return [one["reason"] for check in checks for one in check["obstacles"]]


def test_a_budget_that_is_enough_changes_nothing() -> None:
    """What the plan says at most is enough, and the run that has it decides as one without."""
    meter = Meter()
    record = run(meter.middleware(), max_tokens=1_000_000)
    assert record["totals"]["blocked"] == 0
    assert meter.most <= record["traffic"]["spending"]["worst"]["input_tokens"] + 1_000_000
    assert record["traffic"]["spending"]["used"]["output_tokens"] > 0


LIES: dict[str, dict[str, Any]] = {
    "negative": {"prompt_tokens": -1000, "completion_tokens": -1000, "total_tokens": -2000},
    "huge": {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
    "nothing": {},
}


@pytest.mark.parametrize("usage", LIES.values(), ids=LIES)
def test_a_tenant_cannot_talk_the_budget_away(usage: dict[str, Any]) -> None:
    """Numbers that cannot be true count as the worst case: so many tokens are sent as the budget has, and no more."""
    lies = edge.change_json(edge.is_at("/chat/completions", "/embeddings"), lambda body: body.update(usage=usage))
    record = run(lies, max_tokens=20_000)
    spending = record["traffic"]["spending"]
    assert 0 < counted(record) <= 20_000
    assert spending["unstated"] > 0
    assert record["traffic"]["tokens"] >= 0
    assert json.loads(json.dumps(record["traffic"])) == record["traffic"]


def answer(tokens: int) -> Response:
    """An answer that states so many tokens."""
    body = json.dumps({"usage": {"prompt_tokens": 1, "completion_tokens": tokens - 1}}).encode()
    return Response(200, (("content-type", "application/json"),), body)


def test_what_would_fit_waits_for_what_is_under_way() -> None:
    """Three at once have room for one at its worst: each waits for the one before, and all of them are sent."""

    async def main() -> tuple[int, int]:
        budget, at_once, most = TokenBudget(WORST + 20), 0, 0

        async def send() -> None:
            nonlocal at_once, most
            async with budget.reserving(CHAT) as reservation:
                reservation.begin()
                at_once += 1
                most = max(most, at_once)
                await anyio.lowlevel.checkpoint()
                at_once -= 1
                reservation.settle(answer(10), None)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(send)
        return budget.used, most

    assert asyncio.run(main()) == (30, 1)


ENDS: dict[str, tuple[Response | None, Failure | None, int]] = {
    "not sent": (None, None, 0),
    "refused": (Response(403, (), b""), None, 0),
    "answered": (answer(7), None, 7),
    "silent": (Response(200, (), b"{}"), None, WORST),
    "lost": (None, Failure.TIMEOUT, WORST),
    "never there": (None, Failure.CONNECT, 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_request_used_takes_the_place_of_its_worst_case(end: str) -> None:
    """Also where it ended without an answer, or was never sent."""
    response, failure, used = ENDS[end]

    async def main() -> int:
        budget = TokenBudget(10 * WORST)
        async with budget.reserving(CHAT) as reservation:
            if end != "not sent":
                reservation.begin()
                reservation.settle(response, failure)
        return budget.used

    assert asyncio.run(main()) == used


def test_one_that_is_cancelled_counts_and_lets_the_next_one_decide() -> None:
    """A request that was under way when it was given up may have been carried out."""

    async def main() -> None:
        budget = TokenBudget(WORST)
        with anyio.move_on_after(0):
            async with budget.reserving(CHAT) as reservation:
                reservation.begin()
                await anyio.sleep(1)
        with pytest.raises(Blocked, match=r"limits\.max_tokens"):
            async with budget.reserving(CHAT):
                pass
        async with budget.reserving(Request("GET", TENANT.base_url, "chat")):
            pass  # which uses no token

    asyncio.run(main())


PRICES = {
    "currency": "EUR",
    "chat": {"input_per_million": 3, "output_per_million": 1_000_000},
    "models": {"field-analyst": {"embeddings": {"input_per_million": 1_000_000}}},
}


def test_a_plan_and_a_report_say_tokens_and_money(tmp_path: Path) -> None:
    """The plan at most; the run what it used, in the terminal, the record, the page and the metrics."""
    with commands.tenant(tmp_path) as (_, path):
        document = json.loads(path.read_text())
        limits = {**document.get("limits", {}), "max_tokens": 90_000}
        path.write_text(json.dumps(document | {"prices": PRICES, "limits": limits}))
        words = ("--tenant", path, "--runbook", "generic-openai-http")
        planned = commands.in_process("plan", *words, "--format", "json", cwd=tmp_path)
        said = commands.in_process("plan", *words, cwd=tmp_path)
        done = commands.run(*words, "--max-tokens", "100000", cwd=tmp_path, lean=True)
    worst = json.loads(planned.stdout)["worst_case"]
    tokens = worst["input_tokens"] + worst["output_tokens"]
    assert f"Tokens: {tokens:,} in the worst case of at most 90,000 (limits.max_tokens)" in said.stdout
    assert worst["max_tokens"] == 90_000
    assert 0 < worst["largest_request_tokens"] < tokens
    assert f"; {worst['largest_request_tokens']:,} in the largest request" in said.stdout
    assert worst["cost"]["worst"] >= worst["output_tokens"]
    assert f"Cost: EUR {worst['cost']['worst']:,.2f} in the worst case" in said.stdout
    traffic = done.record["traffic"]
    spending = traffic["spending"]
    assert spending["max_tokens"] == 100_000
    assert 0 < spending["cost"]["used"] <= spending["cost"]["counted"] < spending["cost"]["worst"]
    used = f"EUR {spending['cost']['used']:,.2f}"
    assert f"requests, {traffic['tokens']:,} tokens, {used}, " in done.said
    page = (done.folder / "compliance.html").read_text("utf-8")
    assert "of at most 100,000 (limits.max_tokens)" in page
    assert used in page
    assert f" · {traffic['tokens']:,} tokens, {used}\n" in (done.folder / "summary.md").read_text("utf-8")
    metrics = (done.folder / "metrics.prom").read_text("utf-8")
    assert re.search(r'^gt_conformance_cost\{.*currency="EUR",case="used"\} [0-9.]+$', metrics, re.MULTILINE)


def test_what_has_no_price_is_not_said_to_be_free(tmp_path: Path) -> None:
    """A currency without a price: the cost is unknown, in the plan and in every report."""
    with commands.tenant(tmp_path) as (_, path):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"prices": {"currency": "EUR"}}))
        words = ("--tenant", path, "--runbook", "dify")
        planned = commands.in_process("plan", *words, cwd=tmp_path).stdout
        done = commands.run(*words, cwd=tmp_path, lean=True)
    summary, page = ((done.folder / name).read_text("utf-8") for name in ("summary.md", "compliance.html"))
    assert "Cost: unknown; without a price: chat of field-analyst" in planned
    assert "tokens, cost unknown: no price" in done.said
    assert "cost unknown: no price" in summary
    assert "unknown; without a price: " in page
    assert "EUR 0.00" not in planned + done.said + summary + page


def test_a_budget_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """Before anything is sent."""
    done = commands.command("run", "--max-tokens", "many", cwd=tmp_path)
    assert done.code == 4
    assert "'many' is not a number of tokens." in done.said


def test_a_client_is_not_driven_on_a_budget() -> None:
    """What a real client asks for is not known before it asks: its rows are blocked, by the operator's own limit."""
    tenant: Tenant = replace(TENANT, limits=replace(TENANT.limits, max_tokens=1000))
    books = session.plan(tenant).runbooks
    clients = session.select_clients(["langchain"], books, {"langchain"})
    plan = session.plan(tenant, selection=Selection(runbooks=("langchain",)), clients=clients)
    with session.Session(plan, clients=clients, sender=lambda: Rehearsal(tenant)) as running:
        rows = [running.judgement(case) for case in plan.cases if case.kind.value == "client"]
    assert rows
    (reason,) = {check.reason for row in rows for check in row.checks}
    assert reason.startswith("the run has a budget of tokens (limits.max_tokens), and what a real client asks for")

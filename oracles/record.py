"""Writes what the embedded tenant answered, bodies whole, as JSON lines: a whole run, then a small one a variant.

results.json shortens bodies; who reads an answer as a client does needs all of it. This runs in the suite's own
environment and the oracles in theirs: all that they share is this text.
"""

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from gt_conformance import resources
from gt_conformance import tenant as tenants
from gt_conformance.checks import CheckResult
from gt_conformance.exchange import Exchange
from gt_conformance.planning import CaseKind, Plan, Selection, list_cases, make_plan
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.session import Session
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import Verdict
from gt_sandbox import EmbeddedTenant
from gt_sandbox.variants import VARIANTS, select_variants

PLAIN = ""
"""The tenant that differs in nothing."""
SMALL = ("openai-sdk-curl", "langchain", "dify", "open-webui")
"""Runbooks whose native rows ask for every kind of answer that OpenAI has a type for."""
WORKERS = 2


def main() -> None:
    """A line for each exchange."""
    with ProcessPoolExecutor(WORKERS) as workers:
        for lines in workers.map(recorded, (PLAIN, *VARIANTS)):
            sys.stdout.writelines(f"{line}\n" for line in lines)


def recorded(variant: str) -> list[str]:
    """The exchanges of a run against a tenant with that variant."""
    permitted = select_variants([variant] if variant else [])
    with EmbeddedTenant(middleware=permitted.middleware) as embedded:
        tenant = tenants.from_mapping(
            permitted.change_tenant_file(embedded.tenant_document()),
            embedded.secrets,
            kind=TenantKind.EMBEDDED,
            name="the embedded tenant",
        )
        results, seen = judged(small_plan(tenant) if variant else whole_plan(tenant))
    return [json.dumps({"variant": variant, **as_values(exchange, results)}) for exchange in seen]


def whole_plan(tenant: Tenant) -> Plan:
    """Every row, item and tenant check."""
    return make_plan(tenant, runbooks())


def small_plan(tenant: Tenant) -> Plan:
    """The native rows of a few runbooks."""
    books = [book for book in runbooks() if book.id in SMALL]
    selected = list_cases(books, Selection(verdicts=(Verdict.NATIVE,)))
    return make_plan(tenant, books, [case for case in selected if case.kind is CaseKind.ROW])


@cache
def runbooks() -> Sequence[Runbook]:
    """All of them, read once a process."""
    return load_directory(resources.runbooks_dir())


def judged(plan: Plan) -> tuple[Sequence[CheckResult], Sequence[Exchange]]:
    """Every check of a plan, and every exchange."""
    with Session(plan, run_id="oracles") as session:
        return [session.result(call) for call in plan.distinct], session.exchanges


def as_values(exchange: Exchange, results: Sequence[CheckResult]) -> dict[str, object]:
    """An exchange as JSON values, with the outcomes of the checks that saw it. It contains no key."""
    request, response = exchange.request, exchange.response
    return {
        "ref": exchange.ref,
        "method": request.method,
        "path": request.path,
        "fields": {part.name: part.content.decode() for part in request.parts if part.filename is None},
        "asked": _text(request.body),
        "status": response.status if response else None,
        "media_type": response.media_type if response else "",
        "body": _text(response.body if response else b""),
        "outcomes": [result.outcome.value for result in results if exchange.ref in result.exchanges],
        "remarks": list(_remarks(exchange, results)),
    }


def _remarks(exchange: Exchange, results: Sequence[CheckResult]) -> Iterator[str]:
    for result in results:
        yield from (item.text for item in result.advisories if item.exchange == exchange.ref)


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


if __name__ == "__main__":
    main()

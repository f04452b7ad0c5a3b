"""Writes every exchange of a whole run against the embedded tenant, bodies whole, as JSON lines on standard output.

results.json shortens bodies; who reads an answer as a client does needs all of it. This runs in the suite's own
environment and the oracles in theirs: all that they share is this text.
"""

import base64
import json
import sys
from collections.abc import Sequence

from gt_conformance import resources
from gt_conformance import tenant as tenants
from gt_conformance.exchange import Exchange
from gt_conformance.lab import CheckResult, HttpSender, Lab
from gt_conformance.plan import make_plan
from gt_conformance.runbook import load_directory
from gt_conformance.sandbox import EmbeddedTenant
from gt_conformance.tenant import Tenant, TenantKind


def main() -> None:
    """Judge all runbooks; a line for each exchange."""
    with EmbeddedTenant() as embedded:
        tenant = tenants.from_mapping(
            embedded.tenant_document(), embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )
        results, seen = judged(tenant)
    for exchange in seen:
        json.dump(as_line(exchange, results), sys.stdout)
        sys.stdout.write("\n")


def judged(tenant: Tenant) -> tuple[Sequence[CheckResult], Sequence[Exchange]]:
    """Every check of a whole run, and every exchange."""
    plan = make_plan(tenant, load_directory(resources.runbooks_dir()))
    lab = Lab(plan, lambda: HttpSender(tenant), run_id="oracles")
    lab.start()
    try:
        return [lab.result(item.subject) for item in plan.distinct], lab.seen
    finally:
        lab.stop()


def as_line(exchange: Exchange, results: Sequence[CheckResult]) -> dict[str, object]:
    """An exchange as JSON values, with the outcomes of the checks that saw it. No key stands in it."""
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
        "remarks": [item.text for result in results for item in result.advisories if item.exchange == exchange.ref],
    }


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


if __name__ == "__main__":
    main()

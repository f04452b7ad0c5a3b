"""The cover of a report: the command that makes the run again names the tenant and every option that changes it."""

import pytest

from gt_conformance.report._cover import cover
from tests.made_records import LIVE, book, record

EMBEDDED = {"kind": "embedded", "base_url": "http://127.0.0.1:40001/api/tenant"}
OPTIONS = {
    "a tenant file": (
        {"tenant_file": "acme.yaml", "from_environment": False},
        {},
        "gt-conformance run --tenant acme.yaml",
    ),
    "the environment": (
        {"tenant_file": None, "from_environment": True},
        {},
        f"GT_BASE_URL={LIVE} GT_API_KEY=... GT_MODEL=... gt-conformance run",
    ),
    "the embedded tenant": (
        {"tenant_file": None, "faults": ["chat-500"]},
        EMBEDDED,
        "gt-conformance run --fault chat-500",
    ),
    "a served sandbox": ({"tenant_file": "served.yaml"}, EMBEDDED, "gt-conformance run --tenant served.yaml"),
    "an earlier version": ({}, {}, "gt-conformance run --tenant TENANT_FILE"),
    "everything": (
        {
            "tenant_file": "my tenant.yaml",
            "runbooks": ["dify"],
            "routes": ["chat"],
            "attestations": "attestations.yaml",
            "waivers": "waivers.yaml",
            "accepted": "accepted.yaml",
            "runbooks_dir": "mine",
            "checks": ["own.py", "a.module"],
            "clients": ["langchain"],
            "strict": True,
            "fail_on": "new",
        },
        {},
        (
            "gt-conformance run --tenant 'my tenant.yaml' --runbook dify --route chat --attestations attestations.yaml "
            "--waivers waivers.yaml --accepted accepted.yaml --runbooks mine --checks own.py --checks a.module "
            "--clients langchain --strict --fail-on new"
        ),
    ),
}


@pytest.mark.parametrize(("options", "tenant", "command"), OPTIONS.values(), ids=OPTIONS)
def test_the_command_makes_the_run_again(options: dict[str, object], tenant: dict[str, object], command: str) -> None:
    """Of a file, of the environment, of the embedded tenant, in this process or served."""
    assert cover(record(book(), tenant=tenant, options=options)).command == command

"""A pytest plugin for the secrets canary: a run that handles its keys as carelessly as a bug of ours might.

Loaded into a run by ``-p canary_plugin``. A key is logged and printed around every item, whatever comes of it;
``CANARY_CRASH`` says where something is raised with a key in its message and in its locals: fixture, teardown, check.
"""

import logging
import os
from collections.abc import Iterator, Mapping

import pytest

from gt_conformance.checks import Probe, checks
from gt_conformance.tenant import Tenant

WHERE = os.environ["CANARY_CRASH"].split()
LOGGER = logging.getLogger("careless")


def _headers(tenant: Tenant) -> Mapping[str, str]:
    return {name: f"Bearer {secret.reveal()}" for name, secret in tenant.secrets().items()}


@pytest.fixture(autouse=True)
def careless(request: pytest.FixtureRequest) -> Iterator[None]:
    """Logs and prints keys, and raises them where it is to."""
    run = request.config.pluginmanager.get_plugin("gt-conformance-run")
    assert run is not None
    headers = _headers(run.session.plan.tenant)
    LOGGER.error("sending %s", headers)
    if not request.config.getini("log_cli"):  # while pytest prints a log record live, it captures no thread's output
        print("sending", headers)  # noqa: T201 - what a careless fixture does
    if "fixture" in WHERE:
        raise RuntimeError(f"cannot send {headers}")
    yield
    LOGGER.error("closing", exc_info=ValueError(f"cannot close {headers}"))
    if "teardown" in WHERE:
        raise RuntimeError(f"cannot close {headers}")


async def _crash(probe: Probe) -> None:
    headers = _headers(probe.tenant)
    LOGGER.error("judging %s", headers)
    raise RuntimeError(f"cannot judge {headers}")


if "check" in WHERE:
    object.__setattr__(checks()["chat.completes"], "run", _crash)

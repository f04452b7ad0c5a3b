"""One embedded tenant for all clients, in a process of its own; and nothing leaves this machine."""

import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

# An oracle that could import what it judges might come to agree with it by sharing code.
sys.modules["gt_conformance"] = None  # type: ignore[assignment] # how Python is told that an import must fail

# Settings of this shell would send the clients to another tenant, or to a tracing service.
for _name in [name for name in os.environ if name.startswith(("OPENAI_", "LANGCHAIN_", "LANGSMITH_", "LITELLM_"))]:
    del os.environ[_name]
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it downloads a list of prices when it is imported

_look_up = socket.getaddrinfo


def _loopback_only(host: Any, *rest: Any, **named: Any) -> Any:
    if host not in {"127.0.0.1", b"127.0.0.1"}:
        raise OSError(f"An oracle wanted to reach {host!r}; only loopback is allowed.")
    return _look_up(host, *rest, **named)


socket.getaddrinfo = _loopback_only

from oracles.served import Served, serving  # noqa: E402 - after the guards above


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The embedded tenant."""
    with serving() as tenant:
        yield tenant


@pytest.fixture(params=["documented", "versioned"])
def base_url(request: pytest.FixtureRequest, served: Served) -> str:
    """The base URL as the runbooks document it, and with /v1, which clients on a stricter tenant need."""
    return served.base_url + ("" if request.param == "documented" else "/v1")

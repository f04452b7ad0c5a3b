"""The embedded tenant as a server: starting, stopping, secrets, middleware, and what it imports."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Message

from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import Call, MiddlewareFactory, per_call

CHAT = {"model": "field-analyst", "messages": [{"role": "user", "content": "What is this?"}]}
KEYS = ["chat", "rag", "full", "upload", "app", "partner", "cursor", "manus", "gone"]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client for all, since making one takes longer than a whole test here."""
    with httpx.Client(trust_env=False) as made:
        yield made


@pytest.fixture(scope="module")
def tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the tests that leave it running."""
    with EmbeddedTenant() as running:
        yield running


def bearer(secret: str) -> dict[str, str]:
    """The header that presents a key."""
    return {"Authorization": f"Bearer {secret}"}


def port_of(tenant: EmbeddedTenant) -> int:
    """Where it listens."""
    return httpx.URL(tenant.base_url).port or 0


def test_the_tenant_document_is_complete_and_holds_no_secret(tenant: EmbeddedTenant) -> None:
    """Every secret that the document refers to exists, and none stands in it."""
    document = tenant.tenant_document()
    keys = document["keys"]
    assert isinstance(keys, dict)
    assert list(keys) == KEYS
    named = {value for entry in keys.values() for word, value in entry.items() if word.endswith("secret_env")}
    assert named <= set(tenant.secrets)
    assert document["base_url"] == tenant.base_url
    assert not [secret for secret in tenant.secrets.values() if secret in str(document)]


def test_secrets_are_random_and_hidden_from_reprs(tenant: EmbeddedTenant) -> None:
    """Each secret is gtak_ and 40 characters, differs from instance to instance, and shows in no repr."""
    secrets = set(tenant.secrets.values())
    assert all(secret.startswith("gtak_") and len(secret) == 45 for secret in secrets)
    assert len(secrets) == len(tenant.secrets)
    assert not secrets & set(EmbeddedTenant().secrets.values())
    shown = f"{tenant!r} {tenant.secrets!r} {tenant.presets!r}"
    assert not [secret for secret in secrets if secret in shown]


def test_every_preset_has_a_working_key(tenant: EmbeddedTenant, client: httpx.Client) -> None:
    """The key of each preset of the key wizard is accepted."""
    assert len(tenant.presets) == 7
    for preset in tenant.presets.values():
        assert client.get(tenant.base_url + "/v1/models", headers=bearer(preset.secret)).status_code == 200


def test_it_stops_with_connections_open() -> None:
    """It ends, and leaves no thread behind, with a stream and an idle connection open."""
    before = threading.active_count()
    running = EmbeddedTenant()
    running.start()
    headers = bearer(running.secrets["GT_EMBEDDED_CHAT"])
    with (
        httpx.Client(base_url=running.base_url, headers=headers, trust_env=False) as client,
        client.stream("POST", "/chat/completions", json={**CHAT, "stream": True}) as answer,
        socket.create_connection(("127.0.0.1", port_of(running))),
    ):
        next(answer.iter_raw())
        running.stop()
    running.stop()
    assert threading.active_count() == before


def test_it_is_silent(
    client: httpx.Client,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It writes nothing to stdout, stderr or the log, not even of broken requests and crashes."""

    def crash(*_: object) -> None:
        raise ValueError("details")

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("gt_sandbox.embeddings._packed", crash)
    with EmbeddedTenant() as running:
        headers = bearer(running.secrets["GT_EMBEDDED_RAG"])
        crashed = client.post(
            running.base_url + "/embeddings", json={"model": "field-analyst", "input": "x"}, headers=headers
        )
        with socket.create_connection(("127.0.0.1", port_of(running))) as raw:
            raw.sendall(b"no HTTP at all\r\n\r\n")
            assert raw.recv(12) == b"HTTP/1.1 400"
    assert crashed.status_code == 500
    assert "details" not in crashed.text
    assert crashed.json()["error"]["code"] == "internal_error"
    assert capfd.readouterr() == ("", "")
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert [record for record in ours if record.levelno > logging.DEBUG] == []


def test_small_answers_are_not_held_back(tenant: EmbeddedTenant) -> None:
    """The listener is a TCP socket by name: else asyncio leaves out TCP_NODELAY, and each answer waits 40 ms."""
    server = tenant._server  # noqa: SLF001 - the option cannot be seen from outside
    assert server is not None
    assert server._socket.proto == socket.IPPROTO_TCP  # noqa: SLF001 - as above


def test_a_taken_port_is_a_clear_error(tenant: EmbeddedTenant) -> None:
    """A port in use is an OSError that names it, and says what to do."""
    port = port_of(tenant)
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*another port"):
        EmbeddedTenant(port=port).start()


def test_it_is_started_once_and_has_an_address_from_then_on(tenant: EmbeddedTenant) -> None:
    """A second start is refused, and so is asking for the address of one that has none yet."""
    with pytest.raises(RuntimeError, match="runs already"):
        tenant.start()
    with pytest.raises(RuntimeError, match="no address"):
        _ = EmbeddedTenant().base_url


def test_a_stopped_tenant_can_be_started_again(client: httpx.Client) -> None:
    """Stopping frees the port, and the same instance with the same secrets can listen again."""
    running = EmbeddedTenant()
    running.start()
    port = port_of(running)
    running.stop()
    with EmbeddedTenant(port=port) as second:
        assert client.get(second.base_url).status_code == 401
    headers = bearer(running.secrets["GT_EMBEDDED_CHAT"])
    with running:
        assert client.get(running.base_url + "/models", headers=headers).status_code == 200


def test_middleware_wraps_the_application_from_outside(client: httpx.Client) -> None:
    """The first is the outermost, and each sees requests before authentication."""
    seen: list[str] = []

    def mark(name: str) -> MiddlewareFactory:
        @per_call
        async def marked(call: Call) -> None:
            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    seen.append(f"{name} {message['status']}")
                await call.send(message)

            seen.append(name)
            await call.forward(send=send)

        return marked

    with EmbeddedTenant(middleware=[mark("outer"), mark("inner")]) as running:
        client.get(running.base_url)
    assert seen == ["outer", "inner", "inner 401", "outer 401"]


def test_it_shares_no_code_with_the_suite() -> None:
    """Importing all of the sandbox imports nothing of gt_conformance."""
    code = (
        "import importlib, pkgutil, sys, gt_sandbox\n"
        "for found in pkgutil.walk_packages(gt_sandbox.__path__, 'gt_sandbox.'): importlib.import_module(found.name)\n"
        "print([name for name in sys.modules if name.startswith('gt_conformance')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_its_imports_are_lean() -> None:
    """Importing it loads no HTTP client, no YAML and no test tool."""
    heavy = "{'httpx', 'yaml', 'pytest', 'jinja2', 'pydantic', 'rich'}"
    code = f"import sys, gt_sandbox; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"

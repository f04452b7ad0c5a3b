"""The embedded tenant's administration: rotating a key from outside the process, for who holds its token."""

from collections.abc import Iterator

import httpx
import pytest

from gt_sandbox import EmbeddedTenant
from tests.commands import until

CHAT, OLD = "GT_EMBEDDED_CHAT", "GT_EMBEDDED_CHAT_OLD"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client for all."""
    with httpx.Client(trust_env=False) as made:
        yield made


@pytest.fixture
def tenant() -> Iterator[EmbeddedTenant]:
    """A tenant of its own for each test: its keys change."""
    with EmbeddedTenant() as running:
        yield running


def rotate(
    client: httpx.Client, tenant: EmbeddedTenant, key: str = "chat", *, token: str | None = None, body: bytes = b""
) -> httpx.Response:
    """Ask for a rotation, with the right token where no header is given."""
    headers = {"Authorization": f"Bearer {tenant.admin_token}"} if token is None else {"Authorization": token}
    return client.post(f"{tenant.admin_url}/keys/{key}/rotate", headers=headers, content=body)


def status(client: httpx.Client, tenant: EmbeddedTenant, secret: str) -> int:
    """What the tenant says to a secret."""
    return client.get(tenant.base_url + "/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_rotation_makes_a_new_secret_and_retires_the_old_one(client: httpx.Client, tenant: EmbeddedTenant) -> None:
    """The answer is the new secret as text; it works, the old one is dead at once, and the others are as they were."""
    before = dict(tenant.secrets)
    answer = rotate(client, tenant)
    new = answer.text.strip()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert dict(tenant.secrets) == {**before, CHAT: new, OLD: before[CHAT]}
    assert [status(client, tenant, secret) for secret in (new, before[CHAT])] == [200, 401]
    assert status(client, tenant, before["GT_EMBEDDED_RAG"]) == 200
    assert tenant.presets["openai-chat"].secret == new


def test_the_old_secret_may_live_on_for_a_while(client: httpx.Client, tenant: EmbeddedTenant) -> None:
    """With old_alive_s both secrets work until that time is over, and then only the new one."""
    first = tenant.secrets[CHAT]
    second = rotate(client, tenant, body=b'{"old_alive_s": 600}').text.strip()
    third = rotate(client, tenant, body=b'{"old_alive_s": 0.05}').text.strip()
    until(lambda: status(client, tenant, second) == 401, seconds=5)
    assert [status(client, tenant, secret) for secret in (first, third)] == [200, 200]


@pytest.mark.parametrize(
    ("key", "token", "body", "expected"),
    [
        pytest.param("chat", "Bearer", b"", 401, id="no-token"),
        pytest.param("chat", "Bearer wrong", b"", 401, id="wrong-token"),
        pytest.param("nope", None, b"", 404, id="unknown-key"),
        pytest.param("gone", None, b"", 409, id="revoked-key"),
        pytest.param("chat", None, b"[]", 400, id="no-object"),
        pytest.param("chat", None, b'{"old_alive_s": -1}', 400, id="negative-time"),
    ],
)
def test_what_is_not_in_order_rotates_nothing(
    client: httpx.Client, tenant: EmbeddedTenant, key: str, token: str | None, body: bytes, expected: int
) -> None:
    """It is refused with an error object, and every secret stays."""
    before = dict(tenant.secrets)
    answer = rotate(client, tenant, key, token=token, body=body)
    assert answer.status_code == expected
    assert answer.json()["error"]["message"]
    assert dict(tenant.secrets) == before


def test_no_key_of_the_api_opens_it(client: httpx.Client, tenant: EmbeddedTenant) -> None:
    """Neither does a key open the administration, nor its token the API; each instance has a token of its own."""
    assert rotate(client, tenant, token="Bearer " + tenant.secrets["GT_EMBEDDED_FULL"]).status_code == 401
    assert status(client, tenant, tenant.admin_token) == 401
    assert EmbeddedTenant().admin_token != tenant.admin_token

"""The certificate that a client shows: what is taken, and what is refused before a run."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from gt_conformance.errors import InputError
from gt_conformance.tenant import (
    ClientCertificate,
    Secret,
    from_file,
)
from tests.input_files import problems_of
from tests.tenant_files import ENVIRONMENT, SMALLEST, issued, load

pytestmark = pytest.mark.usefixtures("own_folder")


def encrypted(pem: bytes, password: str) -> bytes:
    """The same private key, under a password."""
    return load_pem_private_key(pem, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )


def test_a_client_certificate_is_taken_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in one file, the key in a file of its own, and an encrypted key with its password are taken."""
    leaf = issued()
    Path("both.pem").write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    Path("client.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    Path("client.key").write_bytes(leaf.private_key_pem.bytes())
    Path("secret.key").write_bytes(encrypted(leaf.private_key_pem.bytes(), "open sesame"))
    monkeypatch.setitem(ENVIRONMENT, "GT_PASSWORD", "open sesame")
    files = {
        "client_cert: both.pem": ClientCertificate("both.pem"),
        "client_cert: client.pem\nclient_key: client.key": ClientCertificate("client.pem", "client.key"),
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_PASSWORD": ClientCertificate(
            "client.pem", "secret.key", Secret("open sesame")
        ),
    }
    for lines, certificate in files.items():
        tenant = load(f"{SMALLEST}{lines}\n")
        assert tenant.client_certificate == certificate
        assert "sesame" not in repr(tenant)


NOW, YEAR = datetime.now(UTC), timedelta(days=365)
PAIRS: dict[str, tuple[str, str]] = {
    "no certificate": (
        "client_cert: client.key",
        (
            "5:14: client_cert: the file client.key holds no certificate that can be read. "
            "Name a PEM file that holds the certificate; the path is taken from the folder of the tenant file."
        ),
    ),
    "no key": (
        "client_cert: client.pem",
        "5:14: client_cert: the file client.pem holds no private key. Name the private key's PEM file as client_key.",
    ),
    "another's key": (
        "client_cert: client.pem\nclient_key: other.key",
        (
            "6:13: client_key: the private key in the file other.key does not belong to the certificate in the file "
            "client.pem. Name the key that the certificate was issued for; the client's own certificate comes first in "
            "its file."
        ),
    ),
    "an encrypted key": (
        "client_cert: client.pem\nclient_key: secret.key",
        (
            "6:13: client_key: the private key in the file secret.key is encrypted. "
            "Name the environment variable that holds its password: client_key_password_env."
        ),
    ),
    "a wrong password": (
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_KEY_CHAT",
        (
            "6:13: client_key: the private key in the file secret.key cannot be decrypted. "
            "Check the password in the environment variable that client_key_password_env names."
        ),
    ),
    "no password": (
        "client_cert: client.pem\nclient_key: secret.key\nclient_key_password_env: GT_NONE",
        (
            "7:26: the password of client_key comes from the environment variable GT_NONE, which is not set. "
            "Set it: export GT_NONE=..."
        ),
    ),
    "a broken key": (
        "client_cert: client.pem\nclient_key: broken.key",
        (
            "6:13: client_key: the private key in the file broken.key cannot be read. "
            "Name an RSA, ECDSA or Ed25519 key in PEM form."
        ),
    ),
    "an expired one": (
        "client_cert: old.pem",
        (
            f"5:14: client_cert: the client certificate in the file old.pem expired on {NOW - YEAR:%Y-%m-%d}. "
            "Ask for a new one from whoever issued it."
        ),
    ),
    "an early one": (
        "client_cert: early.pem",
        (
            "5:14: client_cert: the client certificate in the file early.pem is not valid before "
            f"{NOW + YEAR:%Y-%m-%d}. Ask for a new one from whoever issued it."
        ),
    ),
}


@pytest.mark.parametrize(("lines", "message"), PAIRS.values(), ids=PAIRS)
def test_a_client_certificate_that_cannot_be_used_is_named_at_its_line(lines: str, message: str) -> None:
    """Each fault of a certificate and its key is an error before the run, at the line that names the file."""
    leaf = issued()
    key = leaf.private_key_pem.bytes()
    Path("client.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    Path("client.key").write_bytes(key)
    Path("other.key").write_bytes(issued().private_key_pem.bytes())
    Path("secret.key").write_bytes(encrypted(key, "open sesame"))
    Path("broken.key").write_bytes(key.replace(b"\n", b"\nA", 1))
    old = issued(not_before=NOW - 2 * YEAR, not_after=NOW - YEAR)
    Path("old.pem").write_bytes(old.private_key_and_cert_chain_pem.bytes())
    early = issued(not_before=NOW + YEAR, not_after=NOW + 2 * YEAR)
    Path("early.pem").write_bytes(early.private_key_and_cert_chain_pem.bytes())
    assert problems_of(load, f"{SMALLEST}{lines}\n") == [f"tenant.yaml:{message}"]


FIRST_VERSION = """\
-----BEGIN CERTIFICATE-----
MIIBIjCByQIUaL8HENdTi+s8ljBpCdX4vF+PlhQwCgYIKoZIzj0EAwIwEzERMA8G
A1UEAwwIb3BlcmF0b3IwIBcNMjYxMTI2MTgyODE4WhgPMjEyNjExMDIxODI4MTha
MBMxETAPBgNVBAMMCG9wZXJhdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
l0011+/rJPf1UJ/5H84+JSxW5KhRdVbi1PhJOHb5kbb7j+gms83/v0pnPE0vjyzo
l4Lo5PaUdzYQZTmFL2X5kjAKBggqhkjOPQQDAgNIADBFAiEA/TeE8V9D77FfqKio
/AJeRBQqLCKxqAin5VNQJF2BTSECIC0/NxTaJm4mQf14ixR8M6rqGJUWerFkESpU
T//JPYaY
-----END CERTIFICATE-----
"""
"""A certificate as openssl makes it without extensions: of X.509's first version, which does not say so."""


def test_a_certificate_of_the_first_version_is_read() -> None:
    """A certificate without a version is one all the same: what is missing is its key."""
    Path("client.pem").write_text(FIRST_VERSION, encoding="ascii")
    [problem] = problems_of(load, f"{SMALLEST}client_cert: client.pem\n")
    assert "the file client.pem holds no private key" in problem


@given(pem=st.binary(max_size=400).map(ssl.DER_cert_to_PEM_cert))
def test_no_certificate_is_a_fault_of_the_suite(tmp_path_factory: pytest.TempPathFactory, pem: str) -> None:
    """Whatever stands in the file, it is a problem of the tenant file."""
    folder = tmp_path_factory.mktemp("pem")
    (folder / "client.pem").write_text(pem, encoding="ascii")
    (folder / "tenant.yaml").write_text(f"{SMALLEST}client_cert: client.pem\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no certificate that can be read"):
        from_file(folder / "tenant.yaml", ENVIRONMENT)

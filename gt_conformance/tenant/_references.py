"""What a tenant file refers to and does not hold: secrets, and the files of TLS. Each is read within bounds.

A file must be a regular one, since a device or a pipe may be endless or never open; a command may neither run nor print
without end. What is wrong is an InputError at the place of the reference.
"""

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gt_conformance import files, processes
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.processes import Ending
from gt_conformance.tenant._tenant import ClientCertificate, Secret

_COMMAND_TIMEOUT_S = 30
_SHORTEST = 8
_PREFIX = "gtak_"
_QUOTES = "\"'`"
_MOST_SECRET_BYTES = 64 * 1024
_MOST_BUNDLE_BYTES = 16 * 1024 * 1024
_FOLDER = "the path is taken from the folder of the tenant file."


def read_secret_variable(name: str, environment: Mapping[str, str], *, key: str, where: Location | None) -> Secret:
    """The secret in an environment variable. Raises InputError where it is unset or unusable."""
    value = environment.get(name)
    if value is None:
        raise InputError.of(
            f"the key {key!r} takes its secret from the environment variable {name}, which is not set.",
            where=where,
            hint=f"Set it: export {name}=...",
        )
    return _usable(value, f"the environment variable {name}", key=key, where=where)


def read_secret_file(path: Path, *, key: str, where: Location | None) -> Secret:
    """The secret in a file, less the line break at its end. Raises InputError where it cannot be read."""
    try:
        value = _read(path, _MOST_SECRET_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason, hint = "it is not UTF-8 text", "Save it as UTF-8, without anything but the key."
        if isinstance(error, OSError):
            reason, hint = (
                error.strerror or type(error).__name__,
                files.explain_unexpanded(path) or f"Check the path; it is {_FOLDER.removeprefix('the path is ')}",
            )
        raise InputError.of(
            f"the key {key!r} takes its secret from the file {path}, which cannot be read: {reason}.",
            where=where,
            hint=hint,
        ) from None
    return _usable(value, f"the file {path}", key=key, where=where)


def read_secret_command(command: Sequence[str], *, key: str, where: Location | None) -> Secret:
    """What the command prints on standard output, run without a shell. Its output is never shown.

    Raises InputError where it cannot be started, fails, prints nothing or too much, or takes over thirty seconds.
    """
    name = command[0]
    try:
        done = processes.run(
            command,
            timeout_s=_COMMAND_TIMEOUT_S,
            most_output_bytes=_MOST_SECRET_BYTES,
            leaves_children=True,  # an agent that keeps the password for the next time
            ends_on_overflow=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a command"
        raise InputError.of(
            f"the key {key!r} takes its secret from the command {name!r}, which cannot be started: {reason}.",
            where=where,
            hint=_explain_shell(command)
            or "It is run without a shell: give the program and each argument as an entry of its own.",
        ) from None
    message = hint = None
    if done.truncated:
        message = f"printed too much: over {_MOST_SECRET_BYTES} bytes"
        hint = "It must print the secret, and nothing else."
    elif done.ended_by is Ending.TIMEOUT:
        message = f"took over {_COMMAND_TIMEOUT_S} seconds"
        hint = "Run it by hand: it may be waiting for a password."
    elif done.returncode != 0:
        message = f"failed with exit code {done.returncode}"
        hint = "Run it by hand to see why; its output is not displayed here, since it may contain a secret."
        hint = _explain_shell(command) or hint
    if message is not None:
        raise InputError.of(f"the secret command {name!r} of the key {key!r} {message}.", where=where, hint=hint)
    return _usable(done.stdout.decode("utf-8", errors="replace"), f"the command {name!r}", key=key, where=where)


_OF_A_SHELL = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "2>", "2>&1"})


def _explain_shell(command: Sequence[str]) -> str | None:
    """What to do about a command with something that only a shell understands; None where it has nothing of that."""
    words = [word for word in command if word in _OF_A_SHELL or word.startswith(("~/", "$"))]
    if not words or command[0].rpartition("/")[2] in {"sh", "bash", "dash", "zsh", "ksh"}:
        return None
    return f'It is run without a shell, to which {words[0]} belongs: use [sh, -c, "..."], or do without it.'


_UNRESOLVED = ("$", "{{", "<", "%")
"""How references begin in shells, templates and documentation."""


def _usable(value: str, source: str, *, key: str, where: Location | None) -> Secret:
    stripped = value.removeprefix("\ufeff").strip()  # an editor's mark of UTF-8 is no part of the key
    if not stripped:
        problem = "gives nothing"
    elif stripped.lower().startswith("bearer "):
        problem = "begins with Bearer, which is added when the key is sent"
    elif stripped[0] in _QUOTES and stripped[-1] == stripped[0]:
        problem = "gives text in quotes, which are taken for a part of the key"
    elif stripped.startswith(_UNRESOLVED):
        problem = f"gives a placeholder, which begins with {stripped[0]}, and no key: nobody put the key in its place"
    elif not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        problem = "gives text that is not allowed in a header: a space, a line break or a character beyond ASCII"
    elif _PREFIX in stripped[1:]:
        problem = f"gives more than a key: something is before {_PREFIX}, such as the name of a variable"
    elif len(stripped) < _SHORTEST:
        problem = f"gives fewer than {_SHORTEST} characters, too short for a GT key"
    else:
        return Secret(stripped)
    raise InputError.of(
        f"the secret of the key {key!r} is unusable: {source} {problem}.",
        where=where,
        hint="A GT key looks like gtak_... with nothing before or after it.",
    )


def check_bundle(path: Path, *, where: Location | None) -> None:
    """Raises InputError unless the file is a PEM bundle of certificates."""
    try:
        _read(path, _MOST_BUNDLE_BYTES)
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise InputError([_problem("ca_file", where, path, error, f"Name a PEM bundle; {_FOLDER}")]) from None


def read_client_certificate(
    certificate: ClientCertificate, *, where: Location | None, where_key: Location | None
) -> ClientCertificate:
    """The same certificate, once it has been seen that it can be used.

    Raises InputError where a file cannot be read, the two do not belong together, the key's password is missing or
    wrong, or the certificate is not valid today.
    """
    path, key_path = Path(certificate.file), Path(certificate.key_file or certificate.file)
    at_key = ("client_key", where_key) if certificate.key_file else ("client_cert", where)
    try:
        pem = _read(path, _MOST_BUNDLE_BYTES).decode("latin-1")
        until = _validity(pem)
    except (OSError, ValueError, IndexError) as error:
        hint = f"Name a PEM file that holds the certificate; {_FOLDER}"
        raise InputError([_problem("client_cert", where, path, error, hint)]) from None
    try:
        key_pem = _read(key_path, _MOST_BUNDLE_BYTES)
    except OSError as error:
        raise InputError([_problem(*at_key, key_path, error, f"Name the private key's PEM file; {_FOLDER}")]) from None
    try:
        certificate.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (OSError, ValueError) as error:
        message, hint = _pair_problem(error, certificate, key_pem, path, key_path)
        raise InputError([Problem(message, where=at_key[1], path=at_key[0], hint=hint)]) from None
    today = datetime.now(UTC)
    if not until[0] <= today <= until[1]:
        how = f"expired on {until[1]:%Y-%m-%d}" if today > until[1] else f"is not valid before {until[0]:%Y-%m-%d}"
        message, hint = f"the client certificate in the file {path} {how}.", "Ask for a new one from whoever issued it."
        raise InputError([Problem(message, where=where, path="client_cert", hint=hint)])
    return certificate


def _pair_problem(
    error: Exception, certificate: ClientCertificate, key_pem: bytes, path: Path, key_path: Path
) -> tuple[str, str]:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return (
            f"the private key in the file {key_path} does not belong to the certificate in the file {path}.",
            "Name the key that the certificate was issued for; the client's own certificate comes first in its file.",
        )
    if b"PRIVATE KEY-----" not in key_pem:
        return f"the file {key_path} holds no private key.", "Name the private key's PEM file as client_key."
    if b"ENCRYPTED" in key_pem and certificate.password is None:
        return (
            f"the private key in the file {key_path} is encrypted.",
            "Name the environment variable that holds its password: client_key_password_env.",
        )
    if b"ENCRYPTED" in key_pem:
        return (
            f"the private key in the file {key_path} cannot be decrypted.",
            "Check the password in the environment variable that client_key_password_env names.",
        )
    return f"the private key in the file {key_path} cannot be read.", "Name an RSA, ECDSA or Ed25519 key in PEM form."


def _problem(name: str, where: Location | None, path: Path, error: Exception, hint: str) -> Problem:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        message = f"the file {path} cannot be read: {error.strerror}."
        hint = files.explain_unexpanded(path) or hint
    else:
        message = f"the file {path} holds no certificate that can be read."
    return Problem(message, where=where, path=name, hint=hint)


def _read(path: Path, most: int) -> bytes:
    # A pipe gives its content once, and a file of TLS is read a second time by the ssl module.
    return files.read_bounded(path, most, pipes=False)


# -- the days of a certificate: the ssl module tells them of a peer's only

_SEQUENCE, _UTC_TIME, _CONTEXT_0 = 0x30, 0x17, 0xA0


def _validity(pem: str) -> tuple[datetime, datetime]:
    """From when and until when the first certificate of a PEM text is valid (RFC 5280, section 4.1).

    Raises ValueError or IndexError where there is none.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start = pem.index(begin)
    der = ssl.PEM_cert_to_DER_cert(pem[start : pem.index(end, start) + len(end)])
    _, certificate, _ = _der(der)
    _, fields, _ = _der(certificate)
    kind, _, after = _der(fields)
    if kind == _CONTEXT_0:  # the version, left out in the first
        fields = after
    for _ in ("serial number", "signature algorithm", "issuer"):
        _, _, fields = _der(fields)
    kind, validity, _ = _der(fields)
    if kind != _SEQUENCE:
        raise ValueError("not a certificate")
    first_kind, first, rest = _der(validity)
    last_kind, last, _ = _der(rest)
    return _time(first_kind, first), _time(last_kind, last)


def _der(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of the first element, and what follows it."""
    length, at = data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    return data[0], data[at : at + length], data[at + length :]


def _time(kind: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if kind == _UTC_TIME:
        text = ("19" if text >= "5" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

"""Proves that no encoding hides a secret, and that no text takes longer to search than its length warrants.

An embedded tenant echoes the key that it is given in each encoding, and in stacks of them, and the real command judges
it: results.json is there, no report holds the key or what it was encoded to, and ``key.never_echoed`` violates. Then
hostile texts of one to eight megabytes are searched: what is not linear would take days, and gets a minute.
"""

import base64
import binascii
import html
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from urllib.parse import quote

from gt_conformance import processes, results, schema
from gt_conformance.cli.serve import write_tenant_file
from gt_conformance.errors import InputError
from gt_conformance.exchange import (
    Exchange,
    NotJson,
    Redactor,
    Request,
    Response,
    SseReader,
    TooManyLines,
    as_record,
    inert,
    joined_texts,
)
from gt_sandbox import EmbeddedTenant, middleware
from gt_sandbox.faults import FaultSet
from gt_sandbox.variants import VariantSet
from prove import Options, Proof, iter_strings

RUNBOOK = "openai-sdk-curl"
PART = 12
"""So many characters of a secret, or what they are encoded to, are in no report."""
SEED = 20261126
_AT_ONCE = 2
_DEADLINE_S = 120.0


def _each(pattern: str) -> Callable[[str], str]:
    """Every character by its number."""
    return lambda text: "".join(pattern.format(ord(char)) for char in text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "url": lambda text: quote(f"key={text}&", safe=""),
    "url-throughout": _each("%{:02X}"),
    "html": html.escape,
    "html-decimal": _each("&#{};"),
    "html-hexadecimal": _each("&#x{:x};"),
    "html-twice": _each("&amp;#{};"),
    "json": lambda text: json.dumps(f'"{text}"'),
    "json-throughout": _each("\\u{:04x}"),
    "javascript": _each("\\u{{{:x}}}"),
    "python": _each("\\x{:02x}"),
    "octal": _each("\\{:03o}"),
    "base64": _base64,
    "base64-of-basic": lambda text: "Basic " + _base64(f"{text}:"),
    "base64-inside": lambda text: _base64(f'{{"sub": "{text}", "iat": 1}}'),
    "base64-for-urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64-wrapped": lambda text: base64.encodebytes(f"{'-' * 40}{text}{'-' * 40}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal-capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal-spaces": lambda text: text.encode().hex(" "),
    "hexadecimal-colons": lambda text: text.encode().hex(":"),
    "byte-list": lambda text: json.dumps(list(text.encode())),
    "utf-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "quoted-printable": lambda text: binascii.b2a_qp(f"{text} = {'-' * 80}".encode(), quotetabs=True).decode(),
}
FORMS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "upper-case": lambda text: text.removeprefix("gtak_").upper(),
    "lower-case": lambda text: text.removeprefix("gtak_").lower(),
    "backwards": lambda text: text[::-1],
    "letters": lambda text: json.dumps(list(text)),
    "letters-of-an-object": lambda text: json.dumps({str(at): letter for at, letter in enumerate(text)}),
    "base64-backwards": lambda text: _base64(text)[::-1],
    "base64-lower-case": lambda text: _base64(text).lower(),
    "first-part": lambda text: text[: PART + 1],
    "last-part": lambda text: text[-PART:],
    "every-url-depth": lambda text: "".join(f"%{'25' * (at % 5)}{ord(char):02x}" for at, char in enumerate(text)),
}
"""What a careless tenant may do to a key; these are not stacked."""
Case = tuple[str, ...]


def _stacks(count: int) -> Iterator[Case]:
    chance = random.Random(SEED)  # noqa: S311 - a choice, not a secret
    for _ in range(count):
        yield tuple(chance.choices(list(ENCODINGS), k=chance.randint(2, 3)))


CASES: Sequence[Case] = (*((name,) for name in (*FORMS, *ENCODINGS)), *_stacks(20))


def encoded(key: str, case: Case) -> str:
    """The key in these encodings, one around the other."""
    for name in case:
        key = (FORMS[name] if name in FORMS else ENCODINGS[name])(key)
    return key


def prove(_: Options) -> Proof:
    """Every case is taken out and held against the tenant; every hostile text is searched in linear time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [*pool.map(problems, CASES), *pool.map(search_problems, TEXTS)]
    caught = sum(not some for some in found[: len(CASES)])
    searched = sum(not some for some in found[len(CASES) :])
    summary = f"encodings caught {caught}/{len(CASES)}, hostile texts searched {searched}/{len(TEXTS)}"
    return Proof(summary, tuple(problem for some in found for problem in some))


# --- encodings


def problems(case: Case) -> list[str]:
    """What is wrong with a run against a tenant that echoes the key so, a sentence each."""

    def echo(request: middleware.Request, response: middleware.Response) -> middleware.Response:
        body = response.json
        if not request.secret or body is None:
            return response
        return response.with_json({**body, "echo": encoded(request.secret, case)})

    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddedTenant(middleware=[middleware.change_responses(middleware.is_any, echo)]) as tenant,
    ):
        folder = Path(name)
        write_tenant_file(tenant, folder / "tenant.yaml", FaultSet(), VariantSet())
        words = ["run", "--tenant", "tenant.yaml", "--runbook", RUNBOOK, "--route", "models", "--report-dir", "reports"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GT_", "PYTEST_"))}
        done = processes.run(
            [sys.executable, "-m", "gt_conformance", *words],
            cwd=folder,
            env=kept | {"NO_COLOR": "1"},
            timeout_s=_DEADLINE_S,
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        found = list(_judge(folder / "reports", output, list(tenant.secrets.values()), case))
    return [f"{' in '.join(case)}: {problem}" for problem in found]


def _judge(folder: Path, output: str, secrets: Sequence[str], case: Case) -> Iterator[str]:
    try:
        record = results.read(folder / "results.json")
    except InputError as error:
        yield f"results.json: {error}; {output[-500:]}"
        return
    outcomes = {check["id"]: check["outcome"] for check in record["tenant_checks"]}
    if outcomes.get("key.never_echoed") != "violates":
        yield f"key.never_echoed came to {outcomes.get('key.never_echoed')}"
    texts = {str(path.relative_to(folder)): path.read_text(errors="replace") for path in _files(folder)}
    for name, text in {**texts, "the terminal": output}.items():
        lowered = text.lower()
        if any(piece in lowered for secret in secrets for piece in _pieces(secret.lower(), PART)):
            yield f"{name} holds a part of a secret"
    values = "\n".join(iter_strings(record))
    for secret in secrets:
        shown = _of_the_secret(secret, case)
        size = -(-PART * len(shown) // len(secret)) + 4 * len(case)
        if any(piece in values for piece in _pieces(shown, size)):
            yield "results.json holds a part of what the secret was encoded to"
            return


def _of_the_secret(secret: str, case: Case) -> str:
    """What is encoded of the secret itself: all but the beginning and end that another secret would give as well."""
    other = "gtak_" + "".join(chr(ord("A") + (ord(char) + 1) % 26) for char in secret[5:])
    shown, same = encoded(secret, case), encoded(other, case)
    start = _alike(shown, same)
    return shown[start : len(shown) - _alike(shown[:start:-1], same[:start:-1])]


def _alike(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(len(text) - size + 1))


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and ".pytest_cache" not in path.parts)


# --- hostile texts

KEY = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWcYt3HqPd6GjUe5"
MEGABYTE = 1_000_000
SIZES = (1, 2, 4, 8)
CPU_LIMIT_S = 60
"""For one text in all sizes. Eight megabytes take some seconds; what looks at each pair of characters takes days."""


def _full_of(piece: str, start: str = "") -> Callable[[int], str]:
    return lambda size: start + piece * (size // len(piece))


TEXTS: Mapping[str, Callable[[int], str]] = {
    "backslashes": _full_of("\\"),
    "backslashes-and-n": _full_of("\\n"),
    "percent-signs": _full_of("%"),
    "percent-tower": _full_of("25", "%"),
    "percent-codes": _full_of("%41"),
    "html-tower": _full_of("amp;", "&"),
    "html-codes": _full_of("&#103;"),
    "html-zeros": _full_of("0", "&#"),
    "json-tower": _full_of("u005c", "\\"),
    "json-codes": _full_of("\\u0041"),
    "octal-codes": _full_of("\\147"),
    "letters": _full_of("a "),
    "letters-far-apart": _full_of("a" + " " * 40),
    "letters-of-an-object": _full_of('"0":"a",'),
    "letters-too-few": _full_of("a " * 10 + "## "),
    "base64": lambda size: base64.b64encode(random.Random(SEED).randbytes(size * 3 // 4)).decode(),  # noqa: S311 - a text
    "base64-of-base64": _full_of("VmtWV1ZrVldW"),
    "hexadecimal": lambda size: random.Random(SEED).randbytes(size // 2).hex(),  # noqa: S311 - a text
    "hexadecimal-spaces": lambda size: random.Random(SEED).randbytes(size // 3).hex(" "),  # noqa: S311 - a text
    "white-space": _full_of(" "),
    "line-breaks": _full_of("\n"),
    "double-quotes": _full_of('"'),
    "single-quotes": _full_of("'"),
    "brackets": _full_of("["),
    "byte-list": _full_of("1,2,3,", "["),
    "nested-json": _full_of('{"a":'),
    "open-strings": _full_of('"content":"\\'),
    "data-lines": _full_of("data: x\n"),
    "quoted-printable": _full_of("=\n"),
    "quoted-printable-tower": _full_of("3D", "="),
    "prefix-of-a-key": _full_of(KEY[: PART - 1]),
    "key": _full_of(KEY),
    "key-in-base64": _full_of(_base64(KEY) + " "),
    "invisible": _full_of("\u202e"),
    "utf-16": _full_of("g\0"),
}


def search(text: str) -> None:
    """What is done to an answer of a tenant before it is recorded: read, searched, held against a schema, redacted."""
    redactor = Redactor({"chat": KEY})
    redactor.holds(text)
    redactor.text(text)
    for joined in joined_texts(text):
        redactor.holds(joined)
    inert(text)
    body = text.encode(errors="replace")
    response = Response(200, (("content-type", text.replace("\n", " ")),), body)
    reader = SseReader()
    with suppress(NotJson, TooManyLines):
        for at in range(0, len(body), 65536):
            reader.feed(body[at : at + 65536], 0.0)
        reader.close(0.0)
        response.json()
    as_record(Exchange("x0001", Request("GET", "http://localhost", None), response, 0.0), redactor)
    schema.load("wire/chat-completion").errors({"id": text, "choices": [text], text: response.plain})


def search_problems(name: str) -> list[str]:
    """What is wrong with the time that a hostile text takes in each size: it has a limit of its own process's CPU."""
    done = processes.run(
        [sys.executable, "-c", f"from prove import encodings; encodings.search_all([{name!r}])"],
        cwd=Path(__file__).parent.parent,
        env=dict(os.environ),
        timeout_s=_DEADLINE_S * CPU_LIMIT_S,
    )
    if done.returncode == 0:
        return []
    return [f"{name}: searching {SIZES} MB ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}"]


def search_all(names: Iterable[str], sizes: Sequence[float] = SIZES, limit_s: int = CPU_LIMIT_S) -> None:
    """Search hostile texts in each size. The process is ended where one takes more CPU than its limit."""
    for name in names:
        print(name, flush=True)  # noqa: T201 - the last one is the one that took too long
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + limit_s, resource.RLIM_INFINITY))
        for size in sizes:
            search(TEXTS[name](int(size * MEGABYTE)))

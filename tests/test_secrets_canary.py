"""The secrets canary: however a run ends and whatever it is told to show, no secret is in what it leaves behind."""

import asyncio
import base64
import html
import json
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gt_conformance import report
from gt_conformance.exchange import Redactor
from gt_sandbox.middleware import MiddlewareFactory, Request, Response, change_responses
from prove import encodings
from tests.commands import DEADLINE_S, ahead, command, default_sigint, environment, small, tenant, until
from tests.leaks import files, found

pytestmark = pytest.mark.slow

RUNBOOK = "openai-sdk-curl"
SLOW_S = 20.0
CUT = 2_000
"""Where results.json cuts a body: half of a secret before it must not be shown either."""
LOUD: tuple[str, ...] = (
    *("-v", "-l", "--showlocals", "--tb=long", "-rA"),
    *("-o", "log_cli=true", "-o", "log_cli_level=DEBUG", "-o", "junit_logging=all"),
)


def _base64_after(count: int, text: str) -> str:
    return base64.b64encode(b"-" * count + text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "whole": str,
    "first-part": lambda key: key[:12],
    "middle-part": lambda key: key[11:30],
    "last-part": lambda key: key[-12:],
    "url": lambda key: urllib.parse.quote(f"key={key}&", safe=""),
    "url-throughout": lambda key: "".join(f"%{ord(letter):02X}" for letter in key),
    "html": lambda key: html.escape(f'"{key}"'),
    "html-decimal": lambda key: "".join(f"&#{ord(letter)};" for letter in key),
    "html-hexadecimal": lambda key: "".join(f"&#x{ord(letter):x};" for letter in key),
    "json": lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal-capitals": lambda key: key.encode().hex().upper(),
    "base64": lambda key: _base64_after(0, key),
    "base64-after-one": lambda key: _base64_after(1, key),
    "base64-after-two": lambda key: _base64_after(2, key),
    "base64-for-urls": lambda key: base64.urlsafe_b64encode(b"?>~" + key.encode()).decode(),
    "base64-of-a-part": lambda key: _base64_after(0, key[5:30]),
    "hexadecimal-of-a-part": lambda key: key[5:30].encode().hex(),
    "capitals": lambda key: key.removeprefix("gtak_").upper(),
    "backwards": lambda key: key[::-1],
    "byte-list": lambda key: json.dumps(list(key.encode())),
    "hexadecimal-with-colons": lambda key: key.encode().hex(":"),
    "base64-twice": lambda key: _base64_after(0, _base64_after(0, key)),
    "base64-of-utf-16": lambda key: base64.b64encode(key.encode("utf-16-le")).decode(),
    "octal": lambda key: "".join(f"\\{ord(letter):03o}" for letter in key),
    "javascript": lambda key: "".join(f"\\u{{{ord(letter):x}}}" for letter in key),
    "html-twice": lambda key: "".join(f"&amp;#{ord(letter)};" for letter in key),
    "url-at-every-depth": lambda key: "".join(f"%{'25' * (at % 4)}{ord(key[at]):02x}" for at in range(len(key))),
}
"""What a tenant may make of a key that it was shown; prove/encodings.py tries each alone, more of them, and stacks."""


def echoed(asked: Request, answer: Response) -> Response:
    """The answer with the presented key in every form: headers, fields, names, messages, pieces of a stream."""
    key = asked.secret
    if not key:
        return answer
    forms = {name: form(key) for name, form in FORMS.items()}
    headers = (*answer.headers, *((f"x-echo-{name}", text) for name, text in forms.items()))
    answer = Response(answer.status, headers, answer.body)
    if answer.body.startswith(b"data:"):
        return answer.with_body(_spoken(key) + answer.body)
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer
    if "error" in body:
        body["error"]["message"] += " " + " ".join(forms.values())
    elif asked.path.endswith("/models"):
        body["data"] += [{"id": text, "object": "model", "created": 1, "owned_by": text} for text in forms.values()]
    else:
        body |= {"filename": forms["whole"], "model": forms["middle-part"]}
    across = list(forms.values())[len(asked.path) % len(forms)]
    padding = "x" * (CUT - len('{"pad": ""}') - len(across) // 2)
    return answer.with_body(json.dumps({"pad": padding + across, **body, "echo": forms}).encode())


def _spoken(key: str) -> bytes:
    """Chunks whose contents join to the key."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": key[at : at + 7]}}]} for at in range(0, len(key), 7)]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()


def slow_chats(held: list[Request]) -> MiddlewareFactory:
    """A tenant that takes its time over a chat with a key."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            asked = Request.of(scope)
            if scope["path"].endswith("/chat/completions") and asked.secret:
                held.append(asked)
                await asyncio.sleep(SLOW_S)
            await app(scope, receive, send)

        return edged

    return lambda _: edge


@dataclass(frozen=True)
class Ending:
    """How a run is to end, and with which exit codes."""

    codes: tuple[int, ...]
    crash: str = ""
    echoes: bool = True
    slow: bool = False
    interrupted: bool = False
    options: tuple[str, ...] = LOUD
    routes: tuple[str, ...] = ("models", "chat")


ENDINGS = {
    "passes": Ending((0,), echoes=False, routes=("models",)),
    "violates": Ending((1,), routes=("chat", "embeddings")),
    "violates-quietly": Ending((1,), options=(), routes=("models",)),
    "crashes-in-a-fixture": Ending((3,), crash="fixture", routes=("models",)),
    "crashes-in-a-check-and-a-teardown": Ending((3,), crash="check teardown"),
    "is-interrupted": Ending((2,), slow=True, interrupted=True),
    "times-out": Ending((1,), slow=True),
}


@dataclass(frozen=True)
class Left:
    """What a run left behind, and the secrets that must not be in it."""

    code: int
    said: str
    folder: Path
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Left]]:
    """The end of a run, by its name."""

    def run(name: str) -> Left:
        return _run(ENDINGS[name], tmp_path_factory.mktemp(name))

    with default_sigint(), ahead(request, "ending", run) as result:
        yield result


def _run(ending: Ending, folder: Path) -> Left:
    held: list[Request] = []
    echo: list[MiddlewareFactory] = [change_responses(lambda _: True, echoed)] if ending.echoes else []
    with tenant(folder, *echo, *([slow_chats(held)] if ending.slow else [])) as (running, path):
        runbooks = small(path, RUNBOOK)
        document = json.loads(path.read_text())
        document["limits"] |= {"concurrency": 64, "timeout_s": 1 if ending.slow and not ending.interrupted else SLOW_S}
        path.write_text(json.dumps(document))
        reports = folder / "left" / "reports"
        line: list[str | Path] = ["run", "--tenant", path, "--runbooks", runbooks, "--runbook", RUNBOOK]
        line += ["--report-dir", reports, "--history", folder / "left" / "nights"]
        line += [word for route in ending.routes for word in ("--route", route)]
        line += ["--", "-p", "canary_plugin", *ending.options]
        more = {"PYTHONPATH": str(Path(__file__).parent), "CANARY_CRASH": ending.crash}
        if ending.interrupted:
            code, said = _interrupted(line, folder, more, held)
        else:
            done = command(*line, cwd=folder, env=more)
            code, said = done.code, done.stdout + done.stderr
        return Left(code, said, folder / "left", tuple(running.secrets.values()))


def _interrupted(
    words: Sequence[str | Path], folder: Path, more: Mapping[str, str], held: Sequence[Request]
) -> tuple[int, str]:
    with subprocess.Popen(
        [sys.executable, "-m", "gt_conformance", *words],
        cwd=folder,
        env=environment(more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            until(lambda: held)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    return process.returncode, said


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_secret_is_in_what_a_run_leaves_behind(ending: str, left: Callable[[str], Left]) -> None:
    """No piece of any secret is in what is printed, nor in any file or its name, in whatever form."""
    run = left(ending)
    assert run.code in ENDINGS[ending].codes, run.said[-3000:]
    assert found([("what it printed", run.said), *files(run.folder)], run.secrets) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_was_withheld_for_it(ending: str, left: Callable[[str], Left]) -> None:
    """Every report is there, and none of our own held a secret when they were searched at the end."""
    run = left(ending)
    names = {path.name for path in (run.folder / "reports").iterdir()}
    assert {"results.json", "compliance.html", "summary.md", "junit.xml", "pytest.html", "allure-results"} <= names
    assert "held a secret" not in run.said


def test_an_echoed_secret_costs_no_record_and_is_held_against_the_tenant() -> None:
    """A run against a tenant that echoes its key, encoded again and again, leaves a record in which that violates.

    One stack of encodings for all that ``make prove`` tries; test_redaction has each of them without a run.
    """
    assert encodings.problems(("json", "base64-wrapped", "url")) == []


def test_a_report_that_holds_a_secret_is_redacted_and_named(tmp_path: Path) -> None:
    """The last search takes a secret out of a file, keeps the file and its JSON, and names what is our own."""
    key = "gtak_" + "0aB3dE5gH7jK9mN2pQ4sT6vW8yZ1cF_xR-uLq"
    values = {"bytes": list(key.encode()), "text": _base64_after(1, key), key: [1, None, "harmless"]}
    (tmp_path / "results.json").write_text(json.dumps(values))
    (tmp_path / "junit.xml").write_text(f"<testsuites><!-- {FORMS['octal'](key)} --></testsuites>")
    (tmp_path / "summary.md").write_text("Nothing here.")
    (tmp_path / "notes.txt").write_text(key)
    assert report.scan(tmp_path, Redactor({"chat": key})) == [tmp_path / "results.json"]
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "junit.xml", "summary.md", "notes.txt"}
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "bytes": ["[secret chat]"],
        "text": "L[secret chat]==",
        "[secret chat]": [1, None, "harmless"],
    }
    assert (tmp_path / "junit.xml").read_text() == "<testsuites><!-- [secret chat] --></testsuites>"
    assert (tmp_path / "notes.txt").read_text() == key


def test_what_several_reports_repeat_is_redacted_in_each(tmp_path: Path) -> None:
    """A line is searched once, however many files have it; a secret in it is taken out of all of them."""
    key = "gtak_" + "0aB3dE5gH7jK9mN2pQ4sT6vW8yZ1cF_xR-uLq"
    line = (
        f"what the tenant said of its own accord, in so many words, {FORMS['hexadecimal'](key)}, and nothing besides\n"
    )
    leaking = [tmp_path / "summary.md", tmp_path / "notify.txt"]
    for path in leaking:
        path.write_text(f"{path.name}\n{line * 2}{line.rjust(70_000)}")
    assert sorted(report.scan(tmp_path, Redactor({"chat": key}))) == sorted(leaking)
    assert [found(files(tmp_path), [key]), {path.read_text().count("[secret chat]") for path in leaking}] == [[], {3}]


def test_a_secret_made_of_words_is_not_seen_in_our_own_words(tmp_path: Path) -> None:
    """Our documents speak of conversations and of other tenants; the secret itself is still found in them."""
    key = "gtak_conversation-key-of-another-tenant"
    (tmp_path / "traceability.csv").write_text("conversations-of-another-tenant,a conversation-key")
    (tmp_path / "summary.md").write_text("A conversation.")
    assert report.scan(tmp_path, Redactor({"app": key})) == []
    (tmp_path / "summary.md").write_text(f"A conversation. {key}")
    assert report.scan(tmp_path, Redactor({"app": key})) == [tmp_path / "summary.md"]
    assert key not in (tmp_path / "summary.md").read_text()


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Each form is found in a file, as JSON inside JSON as well; a shorter piece is not, and nothing is made up."""
    key = "gtak_" + "0aB3dE5gH7jK9mN2pQ4sT6vW8yZ1cF_xR-uLq"
    for name, form in FORMS.items():
        (tmp_path / name).write_text(json.dumps({"body": json.dumps({"echo": form(key)})}))
    (tmp_path / "stream").write_bytes(_spoken(key))
    (tmp_path / "harmless").write_text(f"{key[:11]} {_base64_after(0, key[:11])} {key[20:31]}")
    leaks = {line.partition(":")[0] for line in found(files(tmp_path), [key])}
    assert leaks == {*FORMS, "stream"}

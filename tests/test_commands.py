"""The other subcommands, and what each says to bad input: always a sentence, never a traceback."""

import json
import re
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from gt_conformance import __version__, resources
from gt_conformance.checks import checks
from gt_conformance.cli._main import COMMANDS
from gt_conformance.cli._main import command as group
from gt_conformance.cli.serve import write_tenant_file
from gt_conformance.errors import InputError
from gt_conformance.vocabulary import Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.alterations import Alteration
from gt_sandbox.faults import FAULTS, FaultSet
from gt_sandbox.middleware import Request, record_requests
from gt_sandbox.variants import VARIANTS, VariantSet
from tests.commands import DEADLINE_S, Finished, announced, command, finished, in_process, run, served, serving, tenant
from tests.scripted import BOOKS

LOCATED = re.compile(r"^(\S+\.yaml):(\d+):(\d+): .+")


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_shows_examples(name: str | None) -> None:
    """--help of the command and of each subcommand says what it is for, with examples that can be typed."""
    done = CliRunner().invoke(group, [*([name] if name else []), "--help"])
    assert done.exit_code == 0
    assert re.search(r"Examples?:\n +(?:gt-conformance|pytest) ", done.output), done.output


def test_help_loads_no_subcommand(tmp_path: Path) -> None:
    """A list of all subcommands costs the start of Python, of click, and nothing else."""
    shown = finished([sys.executable, "-X", "importtime", "-m", "gt_conformance", "--help"], cwd=tmp_path)
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert shown.code == 0
    assert {name for name in loaded if name.startswith("gt_conformance.cli.")} == {"gt_conformance.cli._main"}
    assert loaded.isdisjoint({"pytest", "httpx", "yaml", "jsonschema", "jsonschema_rs", "rich", "jinja2", "gt_sandbox"})


def test_the_command_says_its_version_and_its_subcommands(tmp_path: Path) -> None:
    """--version and --help answer at once, and name what DESIGN names."""
    version = command("--version", cwd=tmp_path, measured=True)
    assert (version.code, version.stdout) == (0, f"gt-conformance, version {__version__}\n")
    shown = command("--help", cwd=tmp_path)
    for name in ("run", "plan", "lint", "explain", "serve"):
        assert re.search(rf"^  {name} ", shown.stdout, re.MULTILINE)


# -- what the embedded tenant is asked to be


@pytest.mark.parametrize("of", ["run", "serve"])
@pytest.mark.parametrize(
    ("option", "known"), [("--list-faults", FAULTS), ("--list-variants", VARIANTS)], ids=["faults", "variants"]
)
def test_faults_and_variants_are_listed(of: str, option: str, known: Mapping[str, Alteration], tmp_path: Path) -> None:
    """Every one is named with what it breaks or changes, and nothing is started."""
    found = in_process(of, option, cwd=tmp_path)
    assert found.code == 0
    lines = dict(line.split(maxsplit=1) for line in found.stdout.splitlines() if line.startswith("  "))
    assert lines == {one.name: one.description for one in known.values()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --fault chat-50", "there is no fault 'chat-50': did you mean chat-500?"),
        ("serve --fault chat-50", "there is no fault 'chat-50': did you mean chat-500?"),
        ("run --fault chat-500 --tenant t.yaml", "--fault is about the embedded tenant, and another is"),
        ("run --variant gzi", "there is no variant 'gzi': did you mean gzip?"),
        ("serve --variant gzi", "there is no variant 'gzi': did you mean gzip?"),
        ("run --variant gzip --variant deflate", "the variants gzip and deflate cannot be combined."),
        ("run --variant gzip --tenant t.yaml", "--variant is about the embedded tenant, and another is"),
    ],
)
def test_a_fault_or_variant_that_cannot_be_had_is_refused(words: str, message: str, tmp_path: Path) -> None:
    """An unknown name, two that clash, a live tenant, a runbook of one's own: exit code 4, and a sentence."""
    found = command(*words.split(), cwd=tmp_path)
    assert (found.code, message in found.said, "Traceback" in found.said) == (4, True, False), found.said


def test_an_unknown_option_is_named_without_the_usage_of_pytest(tmp_path: Path) -> None:
    """The message names the option and the help, and not pytest's own program, usage and files."""
    found = command("run", "--only", "chat", cwd=tmp_path)
    assert found.code == 4
    assert found.stderr.strip() == (
        "ERROR: unrecognized arguments: --only chat. gt-conformance run --help lists the options."
    )


# -- lint


def test_lint_finds_the_runbooks_sound(tmp_path: Path) -> None:
    """The bundled runbooks have no errors, from any folder; what is left of the clauses follows."""
    found = in_process("lint", cwd=tmp_path)
    sound, clauses, *_ = found.stdout.splitlines()
    assert (found.code, sound, found.stderr) == (0, f"{len(BOOKS)} runbooks are sound.", "")
    assert re.fullmatch(r"\d+ clauses: \d+ covered, \d+ partly covered, \d+ open, \d+ left out\.", clauses)


Change = Callable[[str], str]
SPOILT: Mapping[str, tuple[Change, str]] = {
    "misspelt-verdict": (lambda text: text.replace("verdict: native", "verdict: nativ", 1), "native"),
    "unknown-key": (lambda text: text.replace("\ntitle:", "\ntitel: Dify\ntitle:", 1), "titel"),
    "missing-route": (
        lambda text: re.sub(r"\n  GET /v1/models:\n(    .*\n)+", "\n", text, count=1),
        "GET /v1/models",
    ),
    "repeated-key": (lambda text: text.replace("\ntitle:", "\ntitle: One\ntitle:", 1), "title"),
    "tab": (lambda text: text.replace("\n  GET /v1/models:", "\n\tGET /v1/models:", 1), "tab"),
    "unknown-check": (lambda text: text.replace("key.rotation", "key.rotatoin", 1), "key.rotation"),
    "empty": (lambda _: "", "empty"),
}


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Lint of a folder in which every file is spoilt in another way."""
    folder = tmp_path_factory.mktemp("linted")
    sound = (resources.runbooks_dir() / "dify.yaml").read_text(encoding="utf-8")
    (folder / "spoilt").mkdir()
    for name, (change, _) in SPOILT.items():
        text = change(sound).replace("id: dify", f"id: {name}", 1)
        assert text != sound
        (folder / "spoilt" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return in_process("lint", "spoilt", cwd=folder)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_lint_locates_each_error(spoilt: str, linted: Finished) -> None:
    """Each error of each file stands on a line with file, line and column, and names what is wrong."""
    lines = [line for line in linted.stdout.splitlines() if f"/{spoilt}.yaml:" in line]
    assert lines
    assert all(LOCATED.match(line) for line in lines), lines
    assert any(SPOILT[spoilt][1] in line for line in lines), lines


def test_lint_ends_with_the_number_of_errors(linted: Finished) -> None:
    """Any error makes exit code 4, and they are counted."""
    assert linted.code == 4
    assert linted.stderr == f"{len(linted.stdout.splitlines())} errors.\n"


# -- plan


@pytest.mark.unmeasured
def test_a_plan_sends_nothing(tmp_path: Path) -> None:
    """Plan shows credentials and requests per route and key; the tenant that it is about hears nothing."""
    heard: list[Request] = []
    with tenant(tmp_path, record_requests(heard)) as (running, path):
        found = in_process("plan", "--tenant", path, cwd=tmp_path)
        assert heard == []
        assert f"Tenant {running.base_url}: nothing is sent." in found.stdout
    assert found.code == 0
    for route in (Route.CHAT, Route.EMBEDDINGS, Route.IMAGES, Route.DATASET_FILES):
        assert re.search(rf"^  {re.escape(route.title)} +\d+", found.stdout, re.MULTILINE)
    for book in ("dify", "aider", "openai-sdk-curl"):
        assert re.search(rf"^  {book} +\w+ +extensions: app, upload$", found.stdout, re.MULTILINE)


@pytest.mark.unmeasured
def test_a_plan_tells_what_a_run_will_cost(tmp_path: Path) -> None:
    """The number that plan gives is that of the run, less the polls of files under way."""
    with tenant(tmp_path) as (_, path):
        planned = in_process("plan", "--tenant", path, "--runbook", "aider", cwd=tmp_path)
        done = run("--tenant", path, "--runbook", "aider", cwd=tmp_path, lean=True)
    least = re.search(r"Requests: at least (\d+) of at most \d+", planned.stdout)
    assert least is not None
    polls = done.record["traffic"]["by_route"].get("GET /v1/files/{id}", 0)
    assert int(least.group(1)) <= done.requests <= int(least.group(1)) + polls


@pytest.mark.unmeasured
def test_a_plan_tells_how_long_a_run_takes_at_least(tmp_path: Path) -> None:
    """At ten times the latency a run takes ten times as long, be it for its chain or for its number of requests."""
    found = [in_process("plan", "--runbook", "dify", "--latency", time, cwd=tmp_path) for time in ("1s", "10000ms")]
    least = [re.search(r"Least time: ([\d.]+) s if", one.stdout) for one in found]
    one, ten = (float(each.group(1)) for each in least if each is not None)
    assert ten == pytest.approx(10 * one, abs=1)
    chain = re.search(r"Longest chain: (\d+) requests", found[0].stdout)
    assert chain is not None
    assert one >= int(chain.group(1))
    assert re.search(r"Refused requests: [1-9]\d* of at most \d+ ", found[0].stdout)


@pytest.mark.parametrize("latency", ["1d", "fast", "-1s", ""])
def test_a_latency_is_a_time(tmp_path: Path, latency: str) -> None:
    """What is no time is refused, with how to write one."""
    found = in_process("plan", "--latency", latency, cwd=tmp_path)
    assert found.code == 4
    assert "write 200ms or 1.5s" in found.stderr


def test_a_plan_needs_no_tenant(tmp_path: Path) -> None:
    """Without a tenant file the plan is that of the embedded one, and says so."""
    found = in_process("plan", "--runbook", "dify", cwd=tmp_path)
    assert found.code == 0
    assert "(EMBEDDED): nothing is sent." in found.stdout


# -- explain


def test_every_check_is_explained() -> None:
    """Explain says what a check claims, verifies and advises, and where the claim comes from."""
    for name, check in checks().items():
        done = CliRunner().invoke(group, ["explain", name], standalone_mode=False)
        words = " ".join(done.output.split())
        assert done.exit_code == 0, name
        assert words.startswith(name)
        for text in (check.claim, check.remedy, check.source):
            assert " ".join(text.split()) in words, name
        assert "verifies" in words, name


def test_explain_lists_all_checks(tmp_path: Path) -> None:
    """Without a name every check is listed with its claim."""
    found = in_process("explain", cwd=tmp_path)
    assert found.code == 0
    for name, check in checks().items():
        assert f"{name} {check.claim}" in found.said


# -- serve


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Path]:
    """The tenant file of a tenant that the command serves."""
    with served(tmp_path) as path:
        yield path


def test_serve_writes_a_tenant_file_with_secrets_beside_it(runner: Path) -> None:
    """The tenant file names its secrets by file; those are readable by their owner alone, and work."""
    document = json.loads(runner.read_text())
    secrets = list((runner.parent / "served.secrets").iterdir())
    assert len(secrets) > 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE((runner.parent / "served.secrets").stat().st_mode) == 0o700
    assert not [path for path in secrets if path.read_text().strip() in runner.read_text()]
    key = (runner.parent / document["keys"]["chat"]["secret_file"]).read_text().strip()
    listed = httpx.get(f"{document['base_url']}/v1/models", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert [model["id"] for model in listed.json()["data"]] == ["field-analyst"]


def write_over(path: Path, *, force: bool = False) -> None:
    """Write a tenant file there, as ``serve`` does once it listens."""
    with EmbeddedTenant() as running:
        write_tenant_file(running, path, FaultSet(), VariantSet(), force=force)


def test_a_tenant_file_is_written_again(tmp_path: Path) -> None:
    """A tenant that is served anew has other secrets; those may have been rotated in between."""
    path = tmp_path / "local.yaml"
    write_over(path)
    first = path.read_text()
    (tmp_path / "local.secrets" / "GT_EMBEDDED_CHAT").write_text("rotated")
    write_over(path)
    assert path.read_text() != first
    assert (tmp_path / "local.secrets" / "GT_EMBEDDED_CHAT").read_text() != "rotated"


@pytest.mark.parametrize("spoil", ["local.yaml", "local.secrets/admin"])
def test_serve_overwrites_no_file_of_somebody_else(spoil: str, tmp_path: Path) -> None:
    """Neither one that was there before, nor a tenant file that somebody has changed since; but for --force."""
    path, mine = tmp_path / "local.yaml", tmp_path / spoil
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    mine.chmod(0o644)
    refused = command("serve", "--tenant-file", "local.yaml", cwd=tmp_path)  # which would else go on for ever, here
    assert (refused.code, f"{spoil} exists, and `gt-conformance serve` did not write it" in refused.said) == (4, True)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [mine]
    write_over(path, force=True)
    assert json.loads(path.read_text())["keys"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "local.secrets").iterdir()} == {0o600}
    path.write_text(path.read_text() + "\n# ours now\n")
    with pytest.raises(InputError, match=r"local\.yaml exists, .* or it was changed since"):
        write_over(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["terminate", "interrupt"])
def test_serve_ends_when_it_is_told_to(number: signal.Signals, tmp_path: Path) -> None:
    """It says where it listens and with which keys, and ends, with exit code 0 and no complaint."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits that it is ignored
    try:
        with serving(cwd=tmp_path) as process:
            lines = announced(process)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=DEADLINE_S)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (process.returncode, stderr) == (0, "")
    assert lines[0].startswith("EMBEDDED tenant")
    assert re.match(r"base URL +http://127\.0\.0\.1:\d+/api/tenant$", lines[1])
    assert any(re.match(r"  GT_EMBEDDED_CHAT +gtak_", line) for line in lines)


# -- bad input


def _taken_port(_: Path) -> Sequence[str]:
    return ["serve", "--port", str(_TAKEN.getsockname()[1])]


_TAKEN = socket.socket()


@pytest.fixture(scope="module", autouse=True)
def taken() -> Iterator[None]:
    """A port that something listens on."""
    _TAKEN.bind(("127.0.0.1", 0))
    _TAKEN.listen()
    yield
    _TAKEN.close()


def _file(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return name


def _project_file(folder: Path) -> Sequence[str]:
    _file(folder, "gt-conformance.toml", b'\nwaivers = "nowhere.yaml"\n')
    return ["run", "dify", "--tenant", _tenant_file(folder, "")]


def _tenant_file(folder: Path, line: str) -> str:
    lines = (
        "base_url: https://acme.example/api/tenant",
        "models: {chat: a}",
        "keys: {chat: {secret_file: k.key}}",
        line,
    )
    _file(folder, "k.key", b"gtak_0123456789abcdef")
    return _file(folder, "t.yaml", "\n".join((*lines, "")).encode())


BAD_INPUT: Mapping[str, tuple[Callable[[Path], Sequence[str]], str]] = {
    "no-such-subcommand": (lambda _: ["prove"], "prove"),
    "no-such-option": (lambda _: ["lint", "--fast"], "--fast"),
    "no-such-check": (lambda _: ["explain", "chat.stream"], "Did you mean chat.streams?"),
    "no-such-runbook-to-plan": (lambda _: ["plan", "--runbook", "diffy"], "Did you mean dify?"),
    "no-tenant-file": (lambda _: ["plan", "--tenant", "nowhere.yaml"], "nowhere.yaml"),
    "tenant-file-is-a-folder": (lambda folder: ["plan", "--tenant", str(folder)], "folder"),
    "tenant-file-is-no-yaml": (lambda folder: ["plan", "--tenant", _file(folder, "t.yaml", b"{]")], "t.yaml:1:"),
    "tenant-file-is-a-picture": (
        lambda folder: ["plan", "--tenant", _file(folder, "t.png", b"\x89PNG\r\n\x1a\n\0\xff")],
        "t.png",
    ),
    "tenant-file-is-empty": (lambda folder: ["plan", "--tenant", _file(folder, "t.yaml", b"")], "empty"),
    "tenant-file-is-a-list": (lambda folder: ["plan", "--tenant", _file(folder, "t.yaml", b"- a\n")], "t.yaml:1:1"),
    "runbook-of-the-tenant-file-that-does-not-exist": (
        lambda folder: ["plan", "--tenant", _tenant_file(folder, "runbooks: {difi: {key: chat}}")],
        "t.yaml:4:18: runbooks.difi: there is no runbook 'difi'. Did you mean dify?",
    ),
    "promise-to-no-route": (
        lambda folder: ["plan", "--tenant", _tenant_file(folder, "slo: {chats: {total_p95_ms: 9}}")],
        "t.yaml:4:14: slo.chats: 'chats' is neither a route nor a runbook. Did you mean chat?",
    ),
    "file-that-the-tenant-file-names": (
        lambda folder: ["plan", "--tenant", _tenant_file(folder, "waivers: nowhere.yaml")],
        "nowhere.yaml: there is no such file. It is named in t.yaml:4:10.",
    ),
    "file-that-the-project-file-names": (
        _project_file,
        "nowhere.yaml: there is no such file. It is named in gt-conformance.toml:2.",
    ),
    "nothing-where-true-or-false-belongs": (
        lambda folder: ["plan", "--tenant", _tenant_file(folder, "read_only:")],
        "read_only: must be true or false, not null. Nothing is written here. Write true or false.",
    ),
    "no-runbooks": (lambda _: ["lint", "nowhere"], "nowhere"),
    "empty-folder-of-runbooks": (lambda folder: ["lint", str(folder)], "no runbook"),
    "port-out-of-range": (lambda _: ["serve", "--port", "70000"], "70000"),
    "port-that-is-taken": (_taken_port, "choose another port, or 0 for a free one."),
    "tenant-file-below-a-file": (
        lambda folder: ["serve", "--tenant-file", f"{_file(folder, 'taken', b'')}/local.yaml"],
        "cannot be written",
    ),
}


@pytest.mark.parametrize("bad", BAD_INPUT)
def test_bad_input_is_a_sentence(bad: str, tmp_path: Path) -> None:
    """Exit code 4, the thing that is wrong named, and no traceback."""
    words, named = BAD_INPUT[bad]
    found = in_process(*words(tmp_path), cwd=tmp_path)
    assert (found.code, named in found.said, "Traceback" in found.said) == (4, True, False), found.said


@pytest.mark.parametrize(
    ("words", "named"), [(["--tenant", "nowhere.yaml"], "nowhere.yaml"), (["--report-dir", "taken"], "is a file")]
)
def test_bad_input_of_a_run_is_a_sentence(words: list[str], named: str, tmp_path: Path) -> None:
    """The same of what pytest is given: no traceback of pytest's either."""
    _file(tmp_path, "taken", b"")
    found = command("run", *words, cwd=tmp_path)
    assert (found.code, named in found.said, "Traceback" in found.said) == (4, True, False), found.said


def test_a_tenant_file_to_begin_with(tmp_path: Path) -> None:
    """It is written once, never over another; with a secret for each key it can be planned with."""
    first = in_process("init", "acme.yaml", cwd=tmp_path)
    assert (first.code, "plan --tenant acme.yaml" in first.said) == (0, True)
    begun = (tmp_path / "acme.yaml").read_text(encoding="utf-8")
    again = in_process("init", "acme.yaml", cwd=tmp_path)
    assert (again.code, "acme.yaml: there is a file of that name already." in again.said) == (4, True)
    assert (tmp_path / "acme.yaml").read_text(encoding="utf-8") == begun
    secrets = {name: f"gtak_{name.lower()}_0123456789" for name in re.findall(r"GT_KEY_\w+", begun)}
    planned = in_process("plan", "--tenant", "acme.yaml", "--runbook", "dify", cwd=tmp_path, env=secrets)
    assert (planned.code, planned.stderr) == (0, "")
    assert "blocked" not in planned.said

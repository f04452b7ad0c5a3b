"""Watching a tenant: few requests, judged as in a run; a budget that holds; gauges that Prometheus reads."""

import json
import math
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from gt_conformance.checks import CheckCall
from gt_conformance.tenant import Tenant, TenantKind, from_file, from_mapping
from gt_conformance.vocabulary import Actor, Outcome, Route
from gt_conformance.watch import (
    MOST_REQUESTS,
    Allowance,
    Endpoint,
    Observation,
    Round,
    Schedule,
    Watch,
    Watched,
    prepare,
)
from gt_sandbox import EmbeddedTenant
from gt_sandbox import middleware as edge
from gt_sandbox.faults import select_faults
from tests.commands import command_process, default_sigint, environment, in_process, tenant, until

ADDRESS = {"base_url": "https://acme.example/api/tenant", "kind": "live"}


@contextmanager
def served(*middleware: edge.MiddlewareFactory) -> Iterator[Tenant]:
    """A tenant that passes for a live one, behind this middleware."""
    with EmbeddedTenant(middleware=middleware, marked=False) as running:
        yield from_mapping(running.tenant_document(), running.secrets, kind=TenantKind.LIVE, name="acme.yaml")


def watch(found: Tenant, rounds: int = 1, allowance: Allowance | None = None) -> tuple[Watch, list[str]]:
    """So many rounds without a pause, and what was said."""
    said: list[str] = []
    watching = Watch(lambda: found, allowance or Allowance(None), Schedule(0.0, rounds), say=said.append)
    watching.run(threading.Event())
    return watching, said


def gauges(text: str) -> dict[str, float]:
    """The samples by name and labels, less those that all have. Each line must be one of the format."""
    assert text.endswith("\n")
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP gt_conformance_\w+ .+|TYPE gt_conformance_\w+ gauge)", line), line
            continue
        match = re.fullmatch(r'gt_conformance_watch_(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\} (\S+)', line)
        assert match is not None, line
        labels = re.sub(r'(tenant|kind)="[^"]*",?', "", match[2])
        found[f"{match[1]} {labels}".strip().replace('"', "")] = float(match[3])
    return found


def test_a_round_is_a_few_requests_that_create_nothing() -> None:
    """It lists, chats, streams, embeds, and has keys refused, each by a route that its scopes leave out."""
    asked: list[edge.Request] = []
    with served(edge.record_requests(asked)) as found:
        watching, said = watch(found)
    assert watching.last is not None
    checks = {one.name for one in watching.last.observations}
    assert {"models.contains_alias", "chat.completes", "chat.streams", "embeddings.batch"} <= {
        name for name, _ in checks
    }
    assert {one.outcome for one in watching.last.observations} == {Outcome.CONFORMS}
    assert len(asked) == watching.last.requests <= MOST_REQUESTS
    created = [one.path for one in asked if one.method == "POST" and one.path.endswith(("/files", "/conversations"))]
    assert created == []
    assert len(said) == 1


def test_each_key_has_its_turn_to_be_refused() -> None:
    """Where there are more keys than 12 requests have room for, a round goes on where the one before ended."""
    with served() as found:
        watching, said = watch(found, rounds=4)
    closed = {key.name for key in found.live_credentials if any(key.may(route) is False for route in list(Route)[1:6])}
    shown = gauges(watching.watched.render())
    refused = {name for name, value in shown.items() if "check check=route.refused" in name and value}
    assert refused == {f"check check=route.refused,key={key},outcome=conforms" for key in closed}
    assert len(said) == 4


FAULTS = {
    "chat-500": "chat.completes",
    "chat-says-nothing": "chat.completes",
    "embeddings-open-to-chat-keys": "route.refused",
    "stream-cut-and-closed": "chat.streams",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_violates_in_as_few_requests(fault: str) -> None:
    """To look again at what fails takes requests: where a round has none left, the next one is for that check alone."""
    asked: list[edge.Request] = []
    with served(edge.record_requests(asked), *select_faults([fault]).middleware) as found:
        watching, said = watch(found, rounds=3)
    shown = gauges(watching.watched.render())
    violating = [name for name, value in shown.items() if "outcome=violates" in name and value]
    assert [f"check={FAULTS[fault]}," in name for name in violating] == [True]
    assert len(asked) <= 3 * MOST_REQUESTS
    assert (shown["up"], shown["rounds outcome=sent"]) == (1, 3)
    assert any(line.startswith(f"  violates: {FAULTS[fault]} with the key chat") for line in said)
    others = [name for name, value in shown.items() if "outcome=conforms" in name and value]
    assert any("check=route.refused,key=rag" in name for name in others), "the others are judged nevertheless"


def test_a_request_that_was_repeated_counts_as_often_as_it_was_sent() -> None:
    """Of a request that the round could not repeat any more there is no answer; it was sent nevertheless."""
    asked: list[edge.Request] = []
    put_off = edge.refuse(edge.is_at("/chat/completions", "/embeddings"), edge.error_response(429, "later"))
    with served(edge.record_requests(asked), put_off) as found:
        watching, _ = watch(found)
    shown = gauges(watching.watched.render())
    assert shown["requests"] == len(asked) == MOST_REQUESTS
    assert shown["tokens_used"] == 0


def test_no_answer_is_no_traceback() -> None:
    """A tenant that is gone is a gauge and a sentence, round after round."""
    with served() as found:
        pass
    watching, said = watch(found, rounds=1)
    shown = gauges(watching.watched.render())
    assert (shown["up"], shown["round_sent"], shown["suite_faults"]) == (0, 1, 0)
    assert "nothing could be judged" in said[1]
    assert "Traceback" not in "".join(said)


def test_the_budget_is_kept_exactly() -> None:
    """Rounds are sent while the most that one may use is left, and the tenant's own count never passes the budget."""
    with served() as found:
        most = prepare(found).tokens
        budget = most + 700  # a round uses some 450
        watching, said = watch(found, rounds=4, allowance=Allowance(budget))
    shown = gauges(watching.watched.render())
    assert shown["rounds outcome=sent"] == 2
    assert shown["rounds outcome=over_budget"] == 2
    assert (shown["budget_exhausted"], shown["round_sent"]) == (1, 0)
    assert shown["tokens_used"] + shown["tokens_left"] == budget
    assert 0 <= shown["tokens_left"] < most
    assert re.search(
        r"round 4 is not sent: it may use [\d,]+ tokens, and of the [\d,]+ of 24 hours [\d,]+ are left", said[-1]
    )
    assert shown["up"] == 1, "what was known before is still known"


def test_a_tenant_that_states_too_much_ends_its_rounds() -> None:
    """What is stated counts, also where it passes what was expected: the next round waits for another day."""
    lies = edge.change_json(
        edge.is_at("/chat/completions"),
        lambda body: body.update(usage={"prompt_tokens": 1, "completion_tokens": 90_000}),
    )
    with served(lies) as found:
        watching, _ = watch(found, rounds=2, allowance=Allowance(50_000))
    shown = gauges(watching.watched.render())
    assert shown["rounds outcome=sent"] == shown["rounds outcome=over_budget"] == 1
    assert shown["tokens_left"] == 0


def test_tokens_come_back_after_a_day() -> None:
    """What was used counts for 24 hours."""
    allowance = Allowance(100)
    allowance.spend(60, 0.0)
    allowance.spend(30, 10.0)
    assert allowance.allows(10, 20.0)
    assert not allowance.allows(11, 20.0)
    assert [allowance.left(at) for at in (20.0, Allowance.DAY_S + 5, Allowance.DAY_S + 20)] == [10, 70, 100]


# -- over the rounds


def made(outcome: Outcome, acts: Actor = Actor.TENANT) -> Round:
    """A round in which one check came to this."""
    one = Observation(CheckCall("chat.completes", "chat"), outcome, acts, "why", 0.1)
    return Round(
        {"base_url": ADDRESS["base_url"], "kind": "live"},
        datetime(2026, 11, 27, tzinfo=UTC),
        1.0,
        (one,),
        5,
        9,
        None,
        (),
    )


def flapping(*outcomes: Outcome) -> list[float]:
    """Whether the check flaps after each of these rounds."""
    watched, seen = Watched({"base_url": ADDRESS["base_url"], "kind": "live"}), []
    for outcome in outcomes:
        watched.add(made(outcome))
        seen.append(gauges(watched.render())["flapping check=chat.completes,key=chat"])
    return seen


GOOD, BAD, UNTESTED = Outcome.CONFORMS, Outcome.VIOLATES, Outcome.BLOCKED


def test_a_check_flaps_until_it_is_steady() -> None:
    """From the third change in its last ten results on, until there is at most one; breaking once is no flapping."""
    assert flapping(GOOD, BAD, BAD, BAD, GOOD) == [0, 0, 0, 0, 0]
    assert flapping(GOOD, BAD, GOOD, UNTESTED)[-1] == 1
    after = flapping(GOOD, BAD, GOOD, BAD, *[BAD] * 9)
    assert after[3:] == [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]


def test_what_this_machine_prevents_is_no_change_of_the_tenant() -> None:
    """It does not count for flapping, and whether the tenant is up is not known."""
    watched = Watched({"base_url": ADDRESS["base_url"], "kind": "live"})
    for _ in range(3):
        watched.add(made(GOOD))
        watched.add(made(UNTESTED, Actor.HERE))
    shown = gauges(watched.render())
    assert shown["changes check=chat.completes,key=chat"] == 0
    assert math.isnan(shown["up"])


def test_a_hostile_tenant_cannot_forge_a_gauge() -> None:
    """Its texts are in no label; what an operator wrote is escaped."""
    watched = Watched({"base_url": 'https://a"}\n# TYPE x gauge\nx 1', "kind": "live"})
    text = watched.render()
    assert [line for line in text.splitlines() if not line.startswith(("#", "gt_conformance_watch_"))] == []


# -- where they are read


def test_the_endpoint_answers_200_whatever_is_asked() -> None:
    """Before the first round, by every path and method, in Prometheus's text format."""
    watched = Watched({"base_url": ADDRESS["base_url"], "kind": "live"})
    with Endpoint(watched.render, "127.0.0.1", 0) as endpoint:
        base = endpoint.address.removesuffix("/metrics")
        for method, path in (("GET", "/metrics"), ("GET", "/"), ("POST", "/anything"), ("HEAD", "/metrics")):
            with urllib.request.urlopen(urllib.request.Request(base + path, method=method)) as answer:  # noqa: S310
                assert answer.status == 200
                assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
                text = answer.read().decode()
            assert method == "HEAD" or gauges(text)["rounds outcome=sent"] == 0


# -- the command


def test_a_tenant_file_that_changed_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    """It is read again before each round; while it cannot be used the last one is; keys that are gone have no gauge."""
    said: list[str] = []
    with served() as good:
        other = replace(good, credentials={"rag": good.credentials["rag"]})
        given: list[Tenant | None] = [good, None, other]

        def load() -> Tenant:
            found = given.pop(0)
            return from_file(tmp_path / "gone.yaml", {}) if found is None else found

        watching = Watch(load, Allowance(None), Schedule(0.0, 3), say=said.append)
        watching.run(threading.Event())
    assert [("not used" in line, "gone.yaml" in line) for line in said] == [
        (False,) * 2,
        (True,) * 2,
        *[(False,) * 2] * 2,
    ]
    shown = gauges(watching.watched.render())
    assert shown["rounds outcome=sent"] == 3
    assert {name.partition("key=")[2].partition(",")[0] for name in shown if "key=" in name} == {"rag"}


def test_the_command_ends_as_a_run_would(tmp_path: Path) -> None:
    """With --rounds its exit code is what the last round means; the gauges are in the file that it names."""
    metrics = tmp_path / "gt.prom"
    broken = edge.change_responses(edge.is_at("/chat/completions"), lambda *_: edge.error_response(500, "broken"))
    with tenant(tmp_path) as (_, path):
        words = ("watch", "--tenant", path, "--rounds", "1", "--listen", "off", "--metrics", metrics)
        sound = in_process(*words, cwd=tmp_path)
    gone = in_process(*words, cwd=tmp_path)
    assert (sound.code, gone.code) == (0, 8)
    assert gauges(metrics.read_text("utf-8"))["up"] == 0
    with tenant(tmp_path, broken) as (_, path):
        assert in_process(*words, cwd=tmp_path).code == 1
    few = in_process(*words, "--max-tokens", "10", cwd=tmp_path)
    assert (few.code, "is not sent" in few.stdout) == (7, True)


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    """``--metrics`` replaces what a watch wrote, and an empty file; anything else is left, and nothing is sent."""
    empty = tmp_path / "empty.prom"
    empty.touch()
    with tenant(tmp_path) as (_, path):
        before = path.read_bytes()
        words = ("watch", "--tenant", path, "--rounds", "1", "--listen", "off", "--metrics")
        over_itself = in_process(*words, path, cwd=tmp_path)
        assert (path.read_bytes(), over_itself.code, over_itself.stdout) == (before, 4, "")
        assert "this file was not written by gt-conformance, so it is not overwritten" in over_itself.stderr
        codes = [in_process(*words, file, cwd=tmp_path).code for file in (empty, empty)]
    assert (codes, gauges(empty.read_text("utf-8"))["up"]) == ([0, 0], 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_metrics_that_cannot_be_written_are_no_success(tmp_path: Path) -> None:
    """Cron sees it in the exit code: 4 where the folder is not there, 3 where writing fails after the round."""
    with tenant(tmp_path) as (_, path):
        words = ("watch", "--tenant", path, "--rounds", "1", "--listen", "off", "--metrics")
        nowhere = in_process(*words, tmp_path / "nowhere" / "gt.prom", cwd=tmp_path)
        full = in_process(*words, "/dev/full", cwd=tmp_path)
    assert (nowhere.code, nowhere.stdout) == (4, "")
    assert "gt.prom cannot be written (--metrics)" in nowhere.stderr
    assert (full.code, "/dev/full cannot be written: No space left on device" in full.stdout) == (3, True)


MISTAKES = {
    "no port": (("--listen", "127.0.0.1"), "is not HOST:PORT"),
    "a port beyond all": (("--listen", "127.0.0.1:99999"), "is not HOST:PORT"),
    "no time": (("--every", "soon"), "is not a time"),
    "no rounds": (("--rounds", "0"), "0 is not in the range"),
    "no file": (("--tenant", "nowhere.yaml"), "nowhere.yaml"),
    "an unknown host": (
        ("--listen", "no-such-host.invalid:9469", "--rounds", "1"),
        "error: --listen: cannot listen on no-such-host.invalid:9469: ",
    ),
    "somebody else's address": (("--listen", "192.0.2.1:9469", "--rounds", "1"), "cannot listen on 192.0.2.1:9469"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_options_that_make_no_sense_are_bad_input(tmp_path: Path, mistake: str) -> None:
    """A sentence and exit code 4."""
    words, sentence = MISTAKES[mistake]
    done = in_process("watch", *words, cwd=tmp_path)
    assert (done.code, "Traceback" in done.said) == (4, False)
    assert sentence in done.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_the_middle_of_a_round(tmp_path: Path, number: signal.Signals) -> None:
    """A tenant that answers nothing for an hour keeps nobody waiting; the exit code is 0, and nothing is said of it."""
    asked: list[edge.Request] = []
    with tenant(tmp_path, edge.record_requests(asked), edge.delay(600.0, edge.is_any)) as (_, path):
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"limits": {"timeout_s": 3600}}))
        words = ["watch", "--tenant", str(path), "--listen", "127.0.0.1:0"]
        with default_sigint():
            process = command_process(*words, cwd=tmp_path)
        with process:
            until(lambda: asked)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert len(stdout.splitlines()) == 1, stdout


# -- a real Prometheus


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed: make test-slow says how")
def test_a_real_prometheus_reads_the_gauges(tmp_path: Path) -> None:
    """It scrapes the command's endpoint while rounds are sent, and has every sample; its own tool finds no fault."""
    with tenant(tmp_path) as (_, path):
        words = [
            "watch",
            "--tenant",
            str(path),
            "--every",
            "500ms",
            "--listen",
            "127.0.0.1:0",
            "--max-tokens",
            "900000",
        ]
        with started([sys.executable, "-m", "gt_conformance", *words], tmp_path) as watching:
            assert watching.stdout is not None
            address = watching.stdout.readline().removeprefix("gauges at ").strip()
            until(lambda: gauges(read(address)).get("rounds outcome=sent", 0) >= 1)
            text = read(address)
            config = tmp_path / "prometheus.yml"
            target = address.removeprefix("http://").removesuffix("/metrics")
            jobs = [{"job_name": "gt", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}]
            config.write_text(json.dumps({"scrape_configs": jobs}))  # which is YAML
            port = free_port()
            options = (f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}")
            with started(["prometheus", f"--config.file={config}", *options], tmp_path):
                until(lambda: asked(port, 'up{job="gt"}') == [1.0])
                until(lambda: asked(port, "gt_conformance_watch_up") == [1.0])
                known = {name.split(" ")[0] for name in gauges(text)}
                found = {name: asked(port, f"gt_conformance_watch_{name}") for name in known}
    assert {name for name, values in found.items() if not values} == set()
    assert sum(found["check"]) == len(found["check"]) / 3, "each check has one outcome of three"
    assert promtool("metrics", text, tmp_path) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed: make test-slow says how")
def test_the_documented_alerts_are_rules_about_gauges_that_exist(tmp_path: Path) -> None:
    """Prometheus' own tool takes them, and each names a gauge of the documentation's table that is really there."""
    document = (Path(__file__).parent.parent / "docs" / "watch.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"^```yaml\n(groups:.*?)^```$", document, re.MULTILINE | re.DOTALL)
    (tmp_path / "rules.yml").write_text(rules)
    code, said = promtool("rules", "", tmp_path, "rules.yml")
    assert (code, "SUCCESS" in said) == (0, True), said
    watched = Watched({"base_url": ADDRESS["base_url"], "kind": "live"})
    watched.note_tokens(1, 2)
    watched.add(made(GOOD))
    exists = {name.split(" ")[0] for name in gauges(watched.render())} | {"answer_seconds", "first_event_seconds"}
    assert set(re.findall(r"gt_conformance_watch_(\w+)\b", rules)) <= exists
    table = "\n".join(line.split("|")[1] for line in document.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)", table)) == exists


def promtool(what: str, text: str, folder: Path, *words: str) -> tuple[int, str]:
    """What Prometheus' own tool says of metrics or rules."""
    line = [shutil.which("promtool") or "promtool", "check", what, *words]
    done = subprocess.run(line, cwd=folder, input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def started(line: list[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program, ended at the end."""
    log = (folder / f"{Path(line[0]).name}.log").open("w")
    with (
        log,
        subprocess.Popen(line, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def read(address: str) -> str:
    """What is served there."""
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


def asked(port: int, query: str) -> list[float]:
    """The values that Prometheus has for a query; none while it starts."""
    try:
        text = read(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}")
    except OSError:
        return []
    return [float(one["value"][1]) for one in json.loads(text)["data"]["result"]]

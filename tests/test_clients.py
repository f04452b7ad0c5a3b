"""Driving and judging clients: what one says of itself is held beside what passed, and neither is trusted alone."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gt_conformance.clients import Client, Driving, Judged, Manifest, RefusingProxy, drive
from gt_conformance.tenant import choose
from gt_conformance.vocabulary import Outcome, Route
from tests.commands import is_running, until
from tests.scripted import BOOKS, GOOD, described, driven, embedded, row, scripted, stage

UNSET = "a-secret-of-the-shell-0123456789"


def outcomes(judged: Judged) -> dict[Route, Outcome]:
    """Every row with its outcome."""
    return {found.case.route: found.outcome for found in judged.rows if found.case.route is not None}


def test_a_good_client_holds_every_row(tmp_path: Path) -> None:
    """Native rows by its own calls, the others by their absence, the runbook's steps as they are written."""
    judged = driven(scripted(tmp_path / "c", GOOD, runbook="dify"), tmp_path)
    assert set(outcomes(judged).values()) == {Outcome.CONFORMS}
    assert judged.held
    assert [check.call.check for check in row(judged, Route.DATASET_FILES).checks] == [
        "client.never_calls",
        "client.steps",
    ]
    assert [check.call.parameters.client for check in judged.further(1)] == ["dify/scripted"]
    assert judged.driven is not None
    (session,) = judged.driven.sessions
    assert (len(session.passages), len(session.attempts), session.hosts) == (3, 1, ())
    assert session.tokens > 0


def test_a_call_of_an_unsupported_route_is_told_by_its_row(tmp_path: Path) -> None:
    """A client that speaks by itself, where the runbook says that it cannot, contradicts the runbook."""
    script = GOOD + 'quietly("/audio/speech", {"model": MODEL, "input": "a", "voice": "b"})'
    judged = driven(scripted(tmp_path / "c", script), tmp_path)
    assert [route for route, outcome in outcomes(judged).items() if outcome is not Outcome.CONFORMS] == [Route.SPEECH]
    (check,) = row(judged, Route.SPEECH).failing
    assert "POST /api/tenant/audio/speech" in check.reason
    assert "verdict" in check.remedy


def test_an_upload_by_itself_is_told_though_the_steps_work(tmp_path: Path) -> None:
    """A gt_extension route is for explicit HTTP: a stock client that calls it is no stock client."""
    judged = driven(scripted(tmp_path / "c", GOOD + 'quietly("/files/abc")', runbook="dify"), tmp_path)
    assert outcomes(judged)[Route.FILE_STATUS] is Outcome.VIOLATES
    assert [check.call.check for check in row(judged, Route.FILE_STATUS).failing] == ["client.never_calls"]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ('call("embed", "embeddings", {}, lambda: quietly("/embeddings", {"model": "none"}) or "fine")', "HTTP 4"),
        ('call("embed", "embeddings", {}, lambda: "from a cache")', "nothing on that route"),
        ('call("embed", "embeddings", {}, lambda: [])', "nothing, and no error"),
        ('call("embed", "embeddings", {}, lambda: 1 / 0)', "ZeroDivisionError: division by zero"),
        ('embed(); quietly("/embeddings", {}); call("embed", "embeddings", {}, embed)', None),
        (
            '[call("embed", "embeddings", {}, lambda: quietly("/embeddings", {}) or 1) for _ in "ab"]; embed()',
            "did not report it",
        ),
    ],
    ids=["ignored", "never-sent", "empty", "raised", "tried-again", "half-ignored"],
)
def test_a_success_is_believed_where_the_wire_shows_it(tmp_path: Path, call: str, found: str | None) -> None:
    """An error that the client swallowed is found on the wire; one that it corrected by another try is a remark."""
    script = 'call("models", "models", {}, models)\ncall("chat", "chat", {}, chat)\n' + call
    judged = driven(scripted(tmp_path / "c", script), tmp_path)
    embeddings = row(judged, Route.EMBEDDINGS)
    if found is None:
        assert embeddings.outcome is Outcome.CONFORMS
        assert "tried again" in embeddings.checks[0].advisories[0].text
    else:
        assert embeddings.outcome is Outcome.VIOLATES
        assert found in " ".join(violation.found for violation in embeddings.checks[0].violations)
    assert outcomes(judged)[Route.CHAT] is Outcome.CONFORMS


def test_trouble_on_this_machine_is_not_the_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine has no route to the tenant, the client's rows are blocked, and say so."""

    async def refuse(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "the system's own words")

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", refuse)
    judged = driven(scripted(tmp_path / "client", GOOD), tmp_path)
    for route in (Route.MODELS, Route.CHAT, Route.EMBEDDINGS):
        found = row(judged, route)
        assert found.outcome is Outcome.BLOCKED
        assert "on this machine: there is no route to the tenant's network" in found.checks[0].reason


def test_a_client_that_never_ends_is_ended_and_blocked(tmp_path: Path) -> None:
    """Nothing is known of what it would still have called; what it started is ended with it."""
    left = tmp_path / "left"
    script = (
        GOOD
        + f"""
import subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
open({str(left)!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    )
    judged = driven(scripted(tmp_path / "c", script, deadline_s=2), tmp_path)
    blocked = {route for route, outcome in outcomes(judged).items() if outcome is Outcome.BLOCKED}
    assert blocked == set(Route)
    assert "did not end within 2 s" in row(judged, Route.SPEECH).checks[0].reason
    assert not is_running(int(left.read_text()))


def test_what_is_stopped_half_way_is_blocked_at_once(tmp_path: Path) -> None:
    """An interrupted run ends the client that runs, drives no other, and has a result for each row all the same."""
    news: list[str] = []
    pid = tmp_path / "pid"
    waits = f'open({str(pid)!r}, "w").write(str(os.getpid()))\ntime.sleep(600)'
    client = scripted(tmp_path / "c", GOOD + waits, deadline_s=600)
    book = BOOKS[client.runbook]
    with embedded() as running:
        under_test = described(running)
        place = replace(stage(under_test, tmp_path), say=news.append)
        choices = {book.id: choose(under_test, book.id, book.native_routes())}
        driving = Driving(
            place,
            [(book, Manifest(book.document, book.id), (client, client))],
            choices,
            lambda: None,
            {book.id: tuple(Route)},
        )
        driving.start()
        until(lambda: pid.exists() and pid.read_text())
        driving.stop()
        judged = driving.result(book.id)
    assert not is_running(int(pid.read_text()))
    assert len(news) == 1
    assert set(outcomes(judged).values()) == {Outcome.BLOCKED}
    assert "the run was stopped while it was driven" in row(judged, Route.CHAT).checks[0].reason


@pytest.mark.parametrize("why", [("the tenant cannot be reached", "Check base_url."), None], ids=["no-tenant", "fault"])
def test_what_cannot_be_driven_is_blocked_with_the_reason(tmp_path: Path, why: tuple[str, str] | None) -> None:
    """A run that ends for another reason, or by a fault of the suite, leaves no row without a result."""
    client = scripted(tmp_path / "c", GOOD)
    book = BOOKS[client.runbook]
    with embedded() as running:
        place = stage(described(running), tmp_path)
        driving = Driving(
            place, [(book, Manifest(book.document, book.id), (client,))], {}, lambda: why, {book.id: tuple(Route)}
        )
        driving.start()
        (judged,) = driving.results()
        driving.stop()
    assert set(outcomes(judged).values()) == {Outcome.BLOCKED}
    reason = row(judged, Route.CHAT).checks[0].reason
    assert (why[0] if why else "KeyError") in reason
    assert bool(driving.faults) is (why is None)


def test_a_driver_that_breaks_off_blocks_what_it_was_not_asked_for(tmp_path: Path) -> None:
    """A crash is no verdict: the call that failed is one, and all else is blocked."""
    script = 'call("chat", "chat", {}, lambda: 1 / 0)\nraise SystemExit(3)'
    judged = driven(scripted(tmp_path / "c", script), tmp_path)
    assert outcomes(judged)[Route.CHAT] is Outcome.VIOLATES
    assert outcomes(judged)[Route.MODELS] is outcomes(judged)[Route.SPEECH] is Outcome.BLOCKED
    assert "exit code 3" in row(judged, Route.MODELS).checks[0].reason


def test_a_tenant_of_versioned_paths_fails_the_client_with_the_remedy(tmp_path: Path) -> None:
    """The finding names both outcomes, in the client's own words and on the wire, and the value that works."""
    judged = driven(scripted(tmp_path / "c", GOOD), tmp_path, "versioned-only")
    native = [row(judged, route) for route in (Route.MODELS, Route.CHAT, Route.EMBEDDINGS)]
    assert {found.outcome for found in native} == {Outcome.VIOLATES}
    (check,) = native[1].checks
    assert "HTTPError: HTTP Error 404" in check.reason
    assert "on the wire: POST /api/tenant/chat/completions: HTTP 404" in check.reason
    assert "/api/tenant/v1 it works" in check.reason
    assert check.remedy.startswith("Set this client's base URL to http://127.0.0.1:")
    assert check.remedy.endswith("/api/tenant/v1.")
    assert outcomes(judged)[Route.SPEECH] is outcomes(judged)[Route.DATASET_FILES] is Outcome.CONFORMS


def test_another_shape_than_the_profiles_is_drift(tmp_path: Path) -> None:
    """The profile in the runbook says float; a client that sends base64 today makes it wrong."""
    script = GOOD.replace("{}, embed)", '{}, lambda: embed(encoding_format="base64"))')
    script = script.replace("{}, chat)", '{}, lambda: chat(max_completion_tokens=5, user="gt-conformance"))')
    judged = driven(scripted(tmp_path / "c", script, profile="dify_plugin", runbook="dify"), tmp_path)
    (embeddings,) = row(judged, Route.EMBEDDINGS).checks
    assert "embeddings.encoding_format: the profile says float, the client sends base64" in embeddings.reason
    assert embeddings.remedy.endswith("gt-conformance clients measure dify/scripted --update.")
    (chat,) = row(judged, Route.CHAT).checks
    assert [violation.found for violation in chat.violations] == [
        "chat.token_limit: the profile says max_tokens, the client sends max_completion_tokens"
    ]


def test_the_texts_that_are_embedded_in_earnest_tell_the_shape(tmp_path: Path) -> None:
    """Dify tries an embedding model with one plain text, and names no format there."""
    for form, outcome in (("float", Outcome.CONFORMS), ("base64", Outcome.VIOLATES)):
        script = f'{GOOD}call("invoke", "embeddings", {{}}, lambda: embed(input=["one"], encoding_format="{form}"))'
        client = scripted(tmp_path / form, script, profile="dify_plugin", runbook="dify")
        assert driven(client, tmp_path).row("dify-client-embeddings").outcome is outcome


def test_the_clients_words_are_told_on_one_line(tmp_path: Path) -> None:
    """LangChain and LiteLLM write paragraphs, which would tear a report's line apart."""
    script = 'def torn():\n    raise ValueError("one\\n\\ntwo")\n' + GOOD.replace("{}, chat)", "{}, torn)")
    (chat,) = driven(scripted(tmp_path / "c", script), tmp_path).row("open-webui-client-chat").checks
    assert "ValueError: one two" in chat.reason


def test_a_native_route_that_no_client_drives_is_blocked(tmp_path: Path) -> None:
    """Untested is never green, and the evidence level does not rise."""
    script = 'call("chat", "chat", {}, chat)'
    judged = driven(scripted(tmp_path / "c", script, drives=[Route.CHAT]), tmp_path)
    assert outcomes(judged)[Route.EMBEDDINGS] is Outcome.BLOCKED
    assert not judged.held


@pytest.mark.parametrize("known", [True, False], ids=["declared", "unknown"])
def test_a_key_that_does_not_reach_a_route_blocks_it(tmp_path: Path, *, known: bool) -> None:
    """The client has one key: where that lacks a right, its refusal is no finding about the client."""

    def without_scopes(document: dict[str, Any]) -> dict[str, Any]:
        keys = {name: dict(entry) for name, entry in document["keys"].items()}
        if not known:
            keys["chat"] = {"secret_env": keys["chat"]["secret_env"]}
        return {"keys": keys, "runbooks": {"open-webui": {"key": "chat"}}}

    judged = driven(scripted(tmp_path / "c", GOOD), tmp_path, change=without_scopes)
    assert outcomes(judged)[Route.CHAT] is Outcome.CONFORMS
    assert outcomes(judged)[Route.EMBEDDINGS] is Outcome.BLOCKED
    assert judged.driven is not None
    (session,) = judged.driven.sessions
    assert len(session.attempts) == (1 if known else 2)  # what its key may not call is no reason to try another URL
    assert session.counted == ((Route.MODELS, Route.CHAT) if known else (Route.MODELS, Route.CHAT, Route.EMBEDDINGS))
    (check,) = row(judged, Route.EMBEDDINGS).checks
    assert ("is not declared to have" if known else "the tenant file does not say") in check.reason
    assert "Map open-webui to a key" in check.remedy


NO_LIST = GOOD.replace('call("models", "models", {}, models)', "")


def test_what_the_client_has_no_call_for_is_asked_by_hand(tmp_path: Path) -> None:
    """Where the runbook has people list the names by hand, that is done with the client's key; else it is blocked."""
    client = scripted(tmp_path / "c", NO_LIST, drives=[Route.CHAT, Route.EMBEDDINGS])
    judged = driven(client, tmp_path, by_hand=[Route.MODELS])
    (check,) = row(judged, Route.MODELS).checks
    assert (check.call.check, check.outcome) == ("client.steps", Outcome.CONFORMS)
    assert len(check.exchanges) == 1
    assert judged.held


def test_a_read_only_tenant_gets_no_steps_that_create(tmp_path: Path) -> None:
    """They are blocked, with the reason; what is asked by hand creates nothing, and is asked."""
    client = scripted(tmp_path / "c", NO_LIST, drives=[Route.CHAT, Route.EMBEDDINGS], runbook="dify")
    judged = driven(client, tmp_path, by_hand=[Route.MODELS], change=lambda _: {"read_only": True})
    assert outcomes(judged)[Route.MODELS] is Outcome.CONFORMS
    assert outcomes(judged)[Route.DATASET_FILES] is Outcome.BLOCKED
    assert "read_only" in row(judged, Route.DATASET_FILES).failing[0].reason


MARKED = """
def marked(request):
    return through(replace(request, headers={**request.headers, "X-Node": "scripted"}))
serve(marked)
"""


def _sending(folder: Path, sender: str, *faults: str) -> Judged:
    return driven(scripted(folder / "c", GOOD, runbook="dify", sender=sender), folder, *faults)


def test_the_products_node_sends_the_steps(tmp_path: Path) -> None:
    """Every one of them, and nobody else: what came to the tenant bears its mark, and the rows name the client."""
    judged = _sending(tmp_path, "print('a line of its own')\n" + MARKED)
    assert set(outcomes(judged).values()) == {Outcome.CONFORMS}
    assert judged.driven is not None
    assert judged.driven.steps is not None
    requests = [passage.exchange.request for passage in judged.driven.steps.passages]
    assert len(requests) >= 5
    assert all(dict(request.headers).get("x-node") == "scripted" for request in requests)
    assert "a line of its own" in judged.driven.steps.ended.chatter
    steps = [check for found in judged.rows for check in found.checks if check.call.check == "client.steps"]
    assert [check.call.parameters.client for check in steps] == ["dify/scripted"] * 3
    (session,) = judged.driven.sessions
    assert session.requests == len(session.passages) + len(requests)


@pytest.mark.parametrize(
    ("fault", "broken", "follows"),
    [
        ("conversations-500", Route.CONVERSATION_FILES, Outcome.CONFORMS),
        ("dataset-uploads-refused", Route.DATASET_FILES, Outcome.BLOCKED),
    ],
)
def test_a_tenant_that_breaks_a_step_turns_its_row_red(
    fault: str, broken: Route, follows: Outcome, tmp_path: Path
) -> None:
    """The step that failed, with what the node said; what needs its id is blocked and asks for no other file."""
    judged = _sending(tmp_path, MARKED, fault)
    assert outcomes(judged)[broken] is Outcome.VIOLATES
    (check,) = row(judged, broken).failing
    assert len(check.violations) == 1
    assert "sent by Scripted, its HTTP node" in check.reason
    assert check.violations[0].exchange in check.exchanges
    assert any("could not be sent: no step before it gave a" in one.reason for one in check.blockers)
    assert outcomes(judged)[Route.FILE_STATUS] is follows


@pytest.mark.parametrize(
    ("sender", "found"),
    [
        ("def send(_): raise OSError('the node has no way out')\nserve(send)", "OSError: the node has no way out"),
        ("sys.exit(3)", "ended"),
        ('serve(lambda _: Answer(200, {}, \'{"id": "1", "status": "ready"}\'))', "nothing of that got a 2xx"),
    ],
)
def test_a_node_that_fails_or_makes_up_its_answers_is_told(sender: str, found: str, tmp_path: Path) -> None:
    """In its own words; and what it says is held beside what passed."""
    judged = _sending(tmp_path, sender)
    assert outcomes(judged)[Route.CONVERSATION_FILES] is Outcome.VIOLATES
    assert found in row(judged, Route.CONVERSATION_FILES).failing[0].reason


def test_no_step_of_a_route_is_sent_that_is_not_selected(tmp_path: Path) -> None:
    """They create a conversation and files, which whoever selects chat has not asked for; a state needs its upload."""
    client = scripted(tmp_path / "c", GOOD, runbook="dify", sender=MARKED)
    judged = driven(client, tmp_path, routes=[Route.CHAT])
    assert judged.driven is not None
    assert judged.driven.steps is None
    assert outcomes(judged)[Route.CHAT] is Outcome.CONFORMS
    judged = driven(client, tmp_path, routes=[Route.FILE_STATUS])
    assert judged.driven is not None
    assert judged.driven.steps is not None
    assert {call.route for call in judged.driven.steps.calls} == {Route.DATASET_FILES, Route.FILE_STATUS}
    assert outcomes(judged)[Route.FILE_STATUS] is Outcome.CONFORMS


def test_slow_or_failing_answers_to_discovery_are_the_tenants_fault(tmp_path: Path) -> None:
    """What a client asks to find out what the server is gets a quick refusal; a 404 at once is one."""
    judged = driven(scripted(tmp_path / "c", 'quietly("/props")\n' + GOOD), tmp_path)
    assert outcomes(judged)[Route.MODELS] is Outcome.CONFORMS
    assert len(row(judged, Route.MODELS).checks[0].exchanges) == 2


def _discovering(folder: Path, path: str) -> Client:
    """A client that asks for a path of another server's API first."""
    return scripted(
        folder,
        f'quietly("{path}")\ncall("models", "models", {{}}, models)\n'
        'call("chat", "chat", {"fields": "max_tokens"}, lambda: chat(max_tokens=16))',
        runbook="hermes",
        drives=(Route.MODELS, Route.CHAT),
        profile="hermes-agent",
    )


def test_discovery_that_succeeds_is_the_tenants_fault(tmp_path: Path) -> None:
    """A client that is given what another server gives takes the tenant for it."""
    judged = driven(_discovering(tmp_path / "c", "/api/tags"), tmp_path, "looks-like-another-server")
    (failing,) = row(judged, Route.MODELS).failing
    assert "GET /api/tenant/api/tags: HTTP 200" in failing.reason
    assert "404 at once" in failing.remedy


def test_discovery_that_waits_is_an_advisory(tmp_path: Path) -> None:
    """A client that waits is held up, but no page says how soon a path is refused that does not exist."""
    client = _discovering(tmp_path / "c", "/version")
    judged = driven(client, tmp_path, variants=("unknown-paths-answered-late",))
    found = row(judged, Route.MODELS)
    assert found.outcome is Outcome.CONFORMS
    (advisory,) = (item for check in found.checks for item in check.advisories)
    assert "GET /api/tenant/version: HTTP 404 after 2." in advisory.text


def test_a_client_sees_no_secret_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment holds a stand-in and nothing inherited; what it says of even that is redacted."""
    monkeypatch.setenv("OPENAI_API_KEY", UNSET)
    script = (
        GOOD + 'print(os.environ)\ncall("key", None, {}, lambda: KEY)\nsys.stderr.write(open("/dev/null").read() + KEY)'
    )
    judged = driven(scripted(tmp_path / "c", script), tmp_path)
    assert judged.driven is not None
    ended = judged.driven.sessions[0].documented.ended
    assert "'GT_API_KEY': '[secret stand-in for rag]'" in ended.chatter
    assert ended.calls[-1].returned == "[secret stand-in for rag]"
    assert UNSET not in ended.chatter
    assert "OPENAI_API_KEY" not in ended.chatter
    assert f"'HOME': '{Path.home()}'" not in ended.chatter


def test_hosts_beyond_the_proxy_are_refused_and_listed(tmp_path: Path) -> None:
    """What goes by the usual variables for a proxy ends on this machine, whatever the client wants there."""
    script = (
        GOOD
        + """
for url in ("http://telemetry.example/a", "https://updates.example/b"):
    try:
        urllib.request.urlopen(url, timeout=5)
    except OSError as error:
        print(error)
"""
    )
    judged = driven(scripted(tmp_path / "c", script), tmp_path)
    assert judged.driven is not None
    assert judged.driven.sessions[0].hosts == ("telemetry.example", "updates.example")
    assert judged.held


def test_output_is_bounded_and_what_is_no_call_is_chatter(tmp_path: Path) -> None:
    """A client that prints for ever costs a megabyte, and a line that only looks like a call is none."""
    script = tmp_path / "noise.sh"
    script.write_text(
        'echo \'{"call": "a", "route": "chat", "asked": {}, "returned": 1, "raised": null}\'\n'
        'echo \'{"call": "b", "route": "nowhere", "asked": {}, "returned": 1, "raised": null}\'\n'
        "echo '{\"call\": \"c\"}'\necho '[1]'\nhead -c 3000000 /dev/zero | tr '\\0' x\n",
        encoding="utf-8",
    )
    ended = drive(["bash", str(script)], {}, 20)
    assert [(call.name, call.route, call.succeeded) for call in ended.calls] == [("a", Route.CHAT, True)]
    assert ended.trouble is None
    assert len(ended.chatter) <= 4_000


def test_a_program_that_is_not_there_is_told() -> None:
    """No traceback: the driver ended before it began, and why."""
    ended = drive(["no-such-program-anywhere"], {}, 5)
    assert ended.trouble == "no-such-program-anywhere cannot be started: No such file or directory"


def test_the_refusing_proxy_listens_on_loopback_and_tells_each_host_once() -> None:
    """It is no way to anywhere."""
    with RefusingProxy() as proxy:
        assert proxy.environment["HTTPS_PROXY"] == proxy.environment["https_proxy"] == proxy.environment["ALL_PROXY"]
        assert proxy.environment["HTTPS_PROXY"].startswith("http://127.0.0.1:")
        for _ in range(2):
            ended = drive(["curl", "-s", "-m", "5", "https://somewhere.example/x"], proxy.environment, 10)
            assert ended.trouble is not None
        assert proxy.hosts == ("somewhere.example",)
    assert os.environ.get("HTTPS_PROXY") != proxy.environment["HTTPS_PROXY"]

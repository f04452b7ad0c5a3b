"""The commands about clients, and runs that drive them: curl needs no installation, so these are real sessions."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import gt_conformance
from gt_conformance import plan, resources, results
from gt_conformance.checks import BUILT_IN, TENANT_CHECKS
from gt_conformance.cli.clients import LACKING
from gt_conformance.clients import CLAIMS, Measurement, Need, Session, Undriven, is_proved, measure, needs_of, update
from gt_conformance.clients._profile import rewrite_profile
from gt_conformance.errors import InputError
from gt_conformance.planning import Selection
from gt_conformance.report import client_text
from gt_conformance.report._clients import base_url_words
from gt_conformance.results import Record, run_types
from gt_conformance.runbook import load_directory
from gt_conformance.session import load_human_input, select_clients
from gt_conformance.verification import verify
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Route
from gt_sandbox.faults import select_faults
from tests import shared_runs
from tests.commands import Finished, in_process, run
from tests.scripted import BOOKS, GOOD, described, driven, embedded, scripted

pytestmark = pytest.mark.runs

NAME = "generic-openai-http"


def recorded(
    *faults: str,
    runbook: str = NAME,
    routes: Sequence[Route] = (),
    waivers: Path | None = None,
    drives: bool = True,
    undriven: Sequence[Undriven] = (),
) -> Record:
    """The record of a run in this process, with the runbook's client where it drives."""
    books = tuple(BOOKS.values())
    clients = select_clients([runbook] if drives else [], books, [runbook])
    clients = [(replace(manifest, undriven=tuple(undriven)), chosen) for manifest, chosen in clients]
    selection = Selection((runbook,), tuple(routes))
    with embedded(*faults) as running:
        planned = plan(described(running), books, selection=selection, clients=clients)
        return gt_conformance.run(planned, human_input=load_human_input(books, waivers=waivers), clients=clients)


@pytest.fixture(scope="module")
def held() -> Record:
    """A run of one runbook with its client, and a product beside it that nothing drives."""
    return recorded(undriven=[Undriven("Handmade", "It is sold on paper.")])


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The command, against a tenant that routes versioned paths only."""
    return shared_runs.driven_and_failed(tmp_path_factory)


def test_a_record_of_driven_clients_holds(held: Record) -> None:
    """What real clients did is part of it, and is recomputed with the rest."""
    assert [str(one) for one in verify(json.loads(json.dumps(held))).differences] == []


def test_a_run_that_drives_raises_the_evidence_level(held: Record) -> None:
    """The totals stay those of rows, items and tenant checks; the clients' rows have their own."""
    rows, items = len(Route), CHECKLIST_LENGTH
    checks = [name for name in TENANT_CHECKS if not BUILT_IN[name].of_all]
    assert sum(held["totals"][name] for name in run_types.OUTCOME_NAMES) == rows + items + len(checks)
    assert held["client_totals"] == {**dict.fromkeys(run_types.OUTCOME_NAMES, 0), "conforms": rows}
    (book,) = held["runbooks"]
    assert book["evidence_level"] == "client_driven"
    (entry,) = held["clients"]
    (client,) = entry["driven"]
    assert (client["requests"], client["unsupported"], client["hosts"]) == (7, [], [])
    assert client["attempts"][0]["works"] is True


def test_the_item_that_names_the_client_takes_its_result(held: Record, failed: Finished) -> None:
    """As further evidence beside the probes: it is as bad as the worst of them."""
    for record, outcome in ((held, "conforms"), (failed.record, "violates")):
        item = record["runbooks"][0]["checklist"][0]
        driven_checks = [check for check in item["checks"] if check["id"] == "client.works"]
        assert {check["outcome"] for check in driven_checks} == {outcome}
        assert item["outcome"] == outcome


BROKEN_EMBEDDINGS = "embeddings-500"


def test_the_base_url_is_judged_by_what_is_selected_alone() -> None:
    """A route that is not selected may fail: the documented base URL works, the client is driven once."""
    record = recorded(BROKEN_EMBEDDINGS, routes=[Route.CHAT])
    ((client,),) = (entry["driven"] for entry in record["clients"])
    assert client["counted"] == ["chat"]
    assert [attempt["works"] for attempt in client["attempts"]] == [True]
    assert base_url_words(client) == "works"
    whole = recorded(BROKEN_EMBEDDINGS)
    ((client,),) = (entry["driven"] for entry in whole["clients"])
    assert [attempt["works"] for attempt in client["attempts"]] == [False, False]


def test_without_the_option_nothing_is_driven() -> None:
    """No key of the record."""
    record = recorded(drives=False)
    assert "clients" not in record
    assert record["runbooks"][0]["evidence_level"] == "probed"


def test_versioned_paths_fail_the_client_with_the_remedy(failed: Finished) -> None:
    """In the terminal, in the record, in the document: the client's words, the wire, the value that works."""
    assert failed.code == 1
    assert failed.record["client_totals"]["violates"] == 6
    (entry,) = failed.record["clients"]
    chat = next(row for row in entry["routes"] if row["route"] == "chat")
    assert re.fullmatch(
        r"Set this client's base URL to http://127\.0\.0\.1:\d+/api/tenant/v1\.", chat["checks"][0]["remedy"]
    )
    assert "curl 22" in chat["checks"][0]["reason"]
    assert failed.record["runbooks"][0]["evidence_level"] == "probed"
    (found,) = (one for one in failed.record["findings"] if one["check"] == "base_url.joins")
    assert found["remedy"].startswith(chat["checks"][0]["remedy"])
    assert (found["acts"], found["severity"]) == ("tenant", "high")
    assert "generic-openai-http-chat-native" in found["places"]
    assert {row["id"] for row in entry["routes"] if row["outcome"] == "violates"} <= {*found["places"]}
    page = (failed.folder / "compliance.html").read_text(encoding="utf-8")
    assert "What the client reported" in page
    assert "The documented one fails; with /v1 it works." in page
    assert all(f'id="{row["id"]}"' in page for row in entry["routes"])
    summary = (failed.folder / "summary.md").read_text(encoding="utf-8")
    assert "## Real clients, driven" in summary


def test_junit_has_the_clients_rows_by_their_ids(failed: Finished) -> None:
    """So that -k and last night's results find them."""
    text = (failed.folder / "junit.xml").read_text(encoding="utf-8")
    assert "test_client[generic-openai-http-client-embeddings]" in text
    assert text.count("test_client[") == len(Route)


def test_a_record_whose_client_totals_were_changed_is_refused(held: Record, tmp_path: Path) -> None:
    """A record is read with every doubt."""
    changed = {**held, "client_totals": {**held["client_totals"], "conforms": 8}}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(InputError, match="client_totals are not those"):
        results.read(path)


def test_what_nothing_drives_is_named_as_by_hand(held: Record, tmp_path: Path) -> None:
    """In the terminal, in the summary and on the page: silence would look like a product that holds."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(held), encoding="utf-8")
    finished = in_process("report", path, "--out", tmp_path / "reports", cwd=tmp_path)
    assert "by hand: Handmade: It is sold on paper." in [line.text for line in client_text(held)]
    assert "- Handmade: It is sold on paper." in (finished.folder / "summary.md").read_text(encoding="utf-8")
    page = (finished.folder / "compliance.html").read_text(encoding="utf-8")
    assert re.search(r"<dt>By hand</dt><dd><b>Handmade</b> It is sold on paper\.", page)


def test_shards_keep_the_clients_of_each(held: Record, tmp_path: Path) -> None:
    """Merged, the record holds what each drove, with its exchanges under new names."""
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, record in zip(files, (recorded(runbook="aider", drives=False), held), strict=True):
        path.write_text(json.dumps(record), encoding="utf-8")
    merged = in_process("report", *files, "--out", tmp_path / "reports", cwd=tmp_path)
    assert merged.code == 0, merged.said
    assert merged.record["client_totals"] == held["client_totals"]
    levels = {book["id"]: book["evidence_level"] for book in merged.record["runbooks"]}
    assert levels == {"aider": "probed", NAME: "client_driven"}


def test_a_narrowed_run_judges_the_clients_rows_that_are_left() -> None:
    """One route of the client: its row, and no other, stands in the record."""
    record = recorded(routes=[Route.EMBEDDINGS])
    assert [row["id"] for row in record["clients"][0]["routes"]] == [f"{NAME}-client-embeddings"]


WAIVER = """
waivers:
  - runbook: generic-openai-http
    check: client.works
    reason: the gateway is replaced in January
    owner: A. Example
    issue: https://tracker.example/412
    expires: {expires}
"""


def test_what_a_client_finds_may_be_waived(tmp_path: Path) -> None:
    """In its row, in the record and in the totals; the probes' own findings are waived by their own names."""
    waivers = tmp_path / "waivers.yaml"
    expires = datetime.now(UTC).date() + timedelta(days=30)
    waivers.write_text(WAIVER.format(expires=expires), encoding="utf-8")
    record = recorded("versioned-only", routes=[Route.SPEECH], waivers=waivers)
    (row,) = record["clients"][0]["routes"]
    assert row["outcome"] == "waived"
    waiver = row["checks"][0]["waiver"]
    assert waiver is not None
    assert waiver["owner"] == "A. Example"
    assert record["client_totals"]["waived"] == 1
    assert record["waiver_problems"] == []
    assert recorded(waivers=waivers, drives=False)["waiver_problems"] == []


def test_explain_knows_the_checks_of_clients(tmp_path: Path) -> None:
    """What they claim, how that is verified, and the remedy; they stand in the list."""
    listed = in_process("explain", cwd=tmp_path).stdout
    for name in CLAIMS:
        assert f"\n{name}" in listed
        told = in_process("explain", name, cwd=tmp_path)
        assert told.code == 0
        assert CLAIMS[name].remedy in told.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--clients", "difi"), "there is no client 'difi'"),
        (("--clients", "manus"), "no client of manus can be driven"),
        (("--runbook", "dify", "--clients", "generic-openai-http"), "No client is selected"),
    ],
)
def test_a_client_that_is_not_there_is_a_bad_command_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Nothing is sent then."""
    finished = run(*words, cwd=tmp_path)
    assert finished.code == 4
    assert said in finished.said


def test_the_command_drives_prints_and_writes_the_table(tmp_path: Path) -> None:
    """A line a client; as Markdown too where asked."""
    target = tmp_path / "clients.md"
    finished = in_process("clients", "run", "generic-openai-http", "--verbose", "--write", target, cwd=tmp_path)
    assert finished.code == 0, finished.said
    assert "6 of 6" in finished.stdout
    assert "POST /embeddings: " in finished.stdout
    rows = [line for line in target.read_text(encoding="utf-8").splitlines() if line.startswith("| Generic")]
    assert len(rows) == 1
    assert "| works | 6 of 6 | - | none | 7 |" in rows[0]
    assert "- **Roo Code**: " in target.read_text(encoding="utf-8")
    assert "- **Langflow (lfx), uploads**: " in target.read_text(encoding="utf-8")


def test_the_command_fails_where_the_client_does(tmp_path: Path) -> None:
    """And names the value that works."""
    finished = in_process("clients", "run", "generic-openai-http", "--versioned-only", cwd=tmp_path)
    assert finished.code == 1
    assert "fails; with /v1 it works" in finished.stdout
    assert "→ Set this client's base URL to" in finished.stdout


def test_the_list_shows_what_is_to_be_had(tmp_path: Path) -> None:
    """Each client with its version and its routes; and why others are not to be had."""
    finished = in_process("clients", "list", cwd=tmp_path)
    assert finished.code == 0
    assert "openai-sdk-curl/python" in finished.stdout
    assert re.search(r"cline-roo\s+by hand: Roo Code: It is an extension", finished.stdout)
    assert "its HTTP Request node sends the runbook's HTTP steps" in finished.stdout
    assert "its API Request component sends the runbook's HTTP steps, but for uploads: " in finished.stdout
    assert re.search(r"cursor\s+not available: Cursor is a closed editor", finished.stdout)


_ASKS = 'quietly("/props")\nquietly(f"/v1/models/{MODEL}")'
"""One question about the server, and one about a model of its list."""


AGENT = f"Python-urllib/{sys.version_info.major}.{sys.version_info.minor}"
"""What the scripted client, a bare program of Python, calls itself."""


EMBEDS = "input: strings, batch: false, string: true, fields: {user: gt-conformance}, needs: [model, usage]}"
"""What of Dify's way to embed the scripted client does not change."""


def drifted(tmp_path: Path) -> tuple[Path, Measurement]:
    """A runbook in a folder of its own, and a client of it that sends something else than its profile."""
    copy = tmp_path / "dify.yaml"
    copy.write_bytes((resources.runbooks_dir() / "dify.yaml").read_bytes())
    script = GOOD.replace("{}, chat)", "{}, lambda: chat(max_completion_tokens=5, temperature=0.5, stream=False))")
    client = scripted(tmp_path / "c", script + _ASKS, runbook="dify", profile="dify_plugin")
    judged = driven(client, tmp_path)
    assert judged.driven is not None
    return copy, measure(BOOKS["dify"], judged.driven.sessions[0], "/api/tenant")


def test_measure_tells_what_differs_and_writes_only_that(tmp_path: Path) -> None:
    """Version, date, and each point that changed; comments, order and layout of the file stay."""
    copy, found = drifted(tmp_path)
    assert {".".join(item.seen.path): (item.documented, item.seen.sent) for item in found.differences} == {
        "headers.User-Agent": ("python-requests/2.32.5", AGENT),
        "headers.Accept-Encoding": ("gzip, deflate", "identity"),
        "chat.token_limit": ("max_tokens", "max_completion_tokens"),
        "chat.fields.temperature": (None, 0.5),
        "chat.fields.user": ("gt-conformance", None),
        "embeddings.encoding_format": ("float", "none"),
    }
    assert found.discovery == ("GET /props",)
    (book,) = load_directory(copy.parent)
    before = copy.read_text(encoding="utf-8").splitlines()
    assert update(book, [found]) == copy
    after = copy.read_text(encoding="utf-8").splitlines()
    changed = [line.strip() for old, line in zip(before, after, strict=True) if old != line]
    assert changed == [
        'version: "1.0"',
        f"on: {found.session.on.isoformat()}",
        f"headers: {{User-Agent: {AGENT}, Accept-Encoding: identity}}",
        "token_limit: max_completion_tokens",
        "fields: {temperature: 0.5}",
        f"embeddings: {{encoding_format: none, {EMBEDS}",
    ]
    (updated,) = load_directory(copy.parent)
    session = found.session
    assert measure(updated, session, "/api/tenant").differences == ()


@pytest.mark.parametrize(
    ("script", "why"),
    [("sys.exit(3)", "the driver ended with exit code 3"), ("", "its driver asked it for nothing")],
)
def test_a_client_that_was_not_driven_is_not_measured(tmp_path: Path, script: str, why: str) -> None:
    """Nothing was seen of it: that is neither no difference, nor anything to be written with a date."""
    copy = tmp_path / "dify.yaml"
    copy.write_bytes((resources.runbooks_dir() / "dify.yaml").read_bytes())
    judged = driven(scripted(tmp_path / "c", script, runbook="dify", profile="dify_plugin"), tmp_path)
    assert judged.driven is not None
    found = measure(BOOKS["dify"], judged.driven.sessions[0], "/api/tenant")
    assert found.failure == f"the session is not whole: {why}"
    (book,) = load_directory(copy.parent)
    update(book, [found])
    assert copy.read_bytes() == (resources.runbooks_dir() / "dify.yaml").read_bytes()


def test_a_need_is_proved_where_the_client_gets_less_without_it(tmp_path: Path) -> None:
    """A client that reads base64 gets other vectors from a tenant of floats, and misses no name of the model."""
    script = GOOD.replace("{}, embed)", '{}, lambda: embed(encoding_format="base64"))')
    client = scripted(tmp_path / "c", script, runbook="n8n", profile="@n8n/n8n-nodes-langchain")

    def session(*faults: str) -> Session:
        judged = driven(client, tmp_path, *faults)
        assert judged.driven is not None
        return judged.driven.sessions[0]

    sound = session()
    for name, proved in (("base64", True), ("model", False)):
        without = session(LACKING[Route.EMBEDDINGS][name])
        assert is_proved(Need(name, Route.EMBEDDINGS), sound, without) is proved


def test_for_each_need_there_is_a_tenant_that_lacks_it() -> None:
    """Whatever a profile may say that a client needs can be proved, and is a fault that a check catches."""
    defined = json.loads((resources.schemas_dir() / "runbook.schema.json").read_text(encoding="utf-8"))["$defs"]
    for route, name in ((Route.CHAT, "chat_profile"), (Route.EMBEDDINGS, "embeddings_profile")):
        properties = defined[name]["properties"]
        needs = {*properties["needs"]["items"]["enum"], *properties.get("sse", {"enum": ()})["enum"]} - {"tolerant"}
        assert LACKING[route].keys() == needs
        assert select_faults(LACKING[route].values()).names
    [profile] = BOOKS["dify"].measured_clients
    assert {str(need) for need in needs_of(profile)} > {"chat.needs.lf_data_only", "embeddings.needs.usage"}


def test_a_profile_in_another_layout_is_left_alone(tmp_path: Path) -> None:
    """What cannot be changed line by line is told, and the file stays as it was."""
    copy, found = drifted(tmp_path)
    text = copy.read_text(encoding="utf-8").replace(
        "        fields: {user: gt-conformance}", "        fields:\n          user: gt-conformance"
    )
    copy.write_text(text, encoding="utf-8")
    (book,) = load_directory(copy.parent)
    with pytest.raises(InputError, match="fields is not on one line"):
        update(book, [found])
    assert copy.read_text(encoding="utf-8") == text


def test_rewriting_adds_what_was_not_there() -> None:
    """A field that the profile did not have finds its place behind the token limit; the next client stays as it is."""
    text = (
        "wire:\n  clients:\n    - package: a\n      chat:\n        token_limit: none\n    - package: b\n      on: x\n"
    )
    told = rewrite_profile(text, 3, [(("chat", "load", "tools"), 3), (("chat", "tools"), True)])
    added = "        token_limit: none\n        tools: true\n        load: {tools: 3}\n"
    assert told == text.replace("        token_limit: none\n", added)


def test_the_command_measures_and_exits_by_what_it_found(tmp_path: Path) -> None:
    """A client without a profile has nothing to drift from."""
    finished = in_process("clients", "measure", "generic-openai-http", cwd=tmp_path)
    assert finished.code == 0, finished.said
    assert "the runbook has no wire profile of it" in finished.stdout

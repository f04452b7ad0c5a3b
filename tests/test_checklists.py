"""The checklist items, each seen to conform and seen not to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

import gt_conformance
from gt_conformance import resources
from gt_conformance.planning import CaseKind
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import TenantKind, from_mapping
from gt_conformance.vocabulary import CHECKLIST_LENGTH
from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import MiddlewareFactory, Request, Response, change_responses, is_at
from tests import shared_runs
from tests.commands import Finished, run, tenant
from tests.scripted import BOOKS

pytestmark = pytest.mark.runs

BROKEN = Response(500, (("content-type", "application/json"),), b'{"error":{"message":"broken"}}')
ACCEPTED = Response(200, (("content-type", "application/json"),), b'{"id":"obj_1"}')
ORIGIN = "https://gt-conformance.invalid"
ONE_KEY = "there is one key and nothing else"
UNATTESTED = ("lovable", "dify")


def reflected(asked: Request, answer: Response) -> Response:
    """The answer as a tenant gives it that invites every web page."""
    if asked.header("origin") != ORIGIN:
        return answer
    allowed = (("access-control-allow-origin", ORIGIN), ("access-control-allow-credentials", "true"))
    return Response(answer.status, (*answer.headers, *allowed), answer.body)


def is_upload(asked: Request) -> bool:
    """A file sent to a conversation or a dataset."""
    return asked.method == "POST" and asked.path.endswith("/files") and asked.path.count("/") > 4


@dataclass(frozen=True)
class Scene:
    """A tenant, or a tenant file, in which some items do not hold, and which outcome they come to."""

    outcome: str
    items: str
    faults: tuple[MiddlewareFactory, ...] = ()
    single_key: str | None = None

    @property
    def expected(self) -> set[str]:
        """The ids of the items: ``dify 1 3`` in a line each."""
        lines = (line.split() for line in self.items.strip().splitlines())
        return {f"{runbook}-item-{number}" for runbook, *numbers in lines for number in numbers}


SCENES = {
    "inference and uploads break": Scene(
        "violates",
        """
        generic-openai-http 1 2 3
        openai-sdk-curl 2 3
        crewai 1 3
        langchain 1 2 3
        litellm 2 3
        llamaindex 1 2
        semantic-kernel 1 2
        vercel-ai-sdk 1 2 3
        anythingllm 1 2
        dify 1 2
        flowise 1 2 3
        langflow 1 2 3
        librechat 1 3
        lovable 1
        n8n 1 2
        open-webui 1 3
        aider 1 3
        cline-roo 1 3
        continue 1 2 3
        cursor 1 3
        hermes 1 3
        manus 1 3
        openclaw 2 3
        """,
        faults=(
            change_responses(is_at("/chat/completions", "/embeddings"), lambda _, __: BROKEN),
            change_responses(is_upload, lambda _, __: BROKEN),
        ),
    ),
    "OpenAI's own surfaces answer and browsers are invited": Scene(
        "violates",
        "",
        faults=(
            change_responses(is_at("/v1/files", "/v1/assistants", "/v1/threads"), lambda _, __: ACCEPTED),
            change_responses(lambda _: True, reflected),
        ),
    ),
    ONE_KEY: Scene(
        "blocked",
        """
        generic-openai-http 1 2 3
        openai-sdk-curl 1 2 3
        crewai 3
        langchain 3
        litellm 1 3
        llamaindex 3
        vercel-ai-sdk 2 3
        dify 2
        flowise 2 3
        langflow 2 3
        librechat 2 3
        lovable 2
        n8n 2 3
        open-webui 2 3
        aider 2 3
        cline-roo 2 3
        continue 1 2 3
        cursor 2 3
        hermes 2 3
        manus 2 3
        openclaw 1 3
        """,
        single_key="GT_EMBEDDED_RAG",
    ),
    "nobody has attested": Scene(
        "unattested",
        """
        crewai 2
        semantic-kernel 3
        vercel-ai-sdk 1
        anythingllm 3
        dify 3
        flowise 3
        langflow 3
        librechat 3
        lovable 2 3
        n8n 3
        open-webui 3
        cursor 2
        manus 2 3
        """,
    ),
}


def items_of(record: Record) -> dict[str, str]:
    """Every item with its outcome."""
    return {item["id"]: item["outcome"] for book in record["runbooks"] for item in book["checklist"]}


@cache
def judged_in(name: str) -> Record:
    """The record of the scene's items, judged once, in this process. Nobody has attested anything."""
    scene = SCENES[name]
    with EmbeddedTenant(middleware=scene.faults) as running:
        document, secrets = running.tenant_document(), running.secrets
        if scene.single_key is not None:
            # As the environment names a tenant, but for the pace: that of a tenant elsewhere takes half a minute.
            secrets = {"GT_API_KEY": running.secrets[scene.single_key]}
            document = {
                "base_url": running.base_url,
                "models": {"chat": "field-analyst"},
                "keys": {"default": {"secret_env": "GT_API_KEY"}},
                "limits": {"requests_per_minute": 60_000},
            }
        planned = gt_conformance.plan(
            from_mapping(document, secrets, kind=TenantKind.LIVE, name="the tenant"), tuple(BOOKS.values())
        )
        return gt_conformance.run(replace(planned, cases=planned.of(CaseKind.ITEM)))


@pytest.fixture(scope="module")
def unattested(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of some runbooks by the command, without a word of anybody."""
    folder = tmp_path_factory.mktemp("unattested")
    with tenant(folder) as (_, path):
        chosen = [word for book in UNATTESTED for word in ("--runbook", book)]
        return run("--tenant", path, *chosen, cwd=folder, lean=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of the embedded tenant, with its sample of people's words."""
    return shared_runs.conforming(tmp_path_factory)


def test_every_item_conforms_on_the_embedded_tenant(sound: Finished) -> None:
    """All items conform, none is blocked, and those that need a person rest on the sample, which the run names."""
    found = items_of(sound.record)
    assert (sound.code, len(found), set(found.values())) == (0, len(BOOKS) * CHECKLIST_LENGTH, {"conforms"})
    items = [item for book in sound.record["runbooks"] for item in book["checklist"]]
    assert {item["id"] for item in items if item["attestation"]} == SCENES["nobody has attested"].expected
    assert {item["attestation"]["name"] for item in items if item["attestation"]} == {"Sample"}
    assert sound.record["run"]["options"]["sample"] is True
    number = len(SCENES["nobody has attested"].expected)
    assert f"{number} checklist items rely on SAMPLE attestations." in sound.said


def test_each_item_says_what_shows_each_part(sound: Finished) -> None:
    """Clients that were not driven are probed, a person has attested it, the tenant file is named; with the place."""
    items = {item["id"]: item for book in sound.record["runbooks"] for item in book["checklist"]}
    for book in load_directory(resources.runbooks_dir()):
        for item in book.checklist:
            found = items[item.id]
            assert (found["asks"], found["rests_on"]) == (
                [part.value for part in item.asks],
                [route.value for route in item.rests_on],
            )
            assert [one["part"] for one in found["evidence"]] == found["asks"]
    shown = {(one["part"], one["evidence"], one["source"]) for item in items.values() for one in item["evidence"]}
    assert shown == {
        ("tenant", "probed", None),
        ("client", "probed", None),
        ("person", "attested", "Sample (stands in for an operator)"),
        ("setup", "tenant_file", "the embedded tenant"),
    }
    assert items["dify-item-2"]["source"] == (
        "wiki/Gen3-Gt-Api-Runbooks-Dify.md, edition of 2026-05-29, section Validation checklist, item 2"
    )


def test_what_nothing_shows_is_documented_only() -> None:
    """A part that was not judged, or that nobody attested, is no more than documented."""
    items = {item["id"]: item for book in judged_in(ONE_KEY)["runbooks"] for item in book["checklist"]}
    assert items["manus-item-3"]["evidence"] == [
        {"part": "tenant", "evidence": "documented", "source": None},
        {"part": "person", "evidence": "documented", "source": None},
    ]
    assert items["cursor-item-2"]["evidence"][0] == {"part": "setup", "evidence": "documented", "source": None}
    assert items["langchain-item-1"]["evidence"] == [
        {"part": "tenant", "evidence": "probed", "source": None},
        {"part": "client", "evidence": "probed", "source": None},
    ]


@pytest.mark.parametrize("name", SCENES)
def test_items_that_do_not_hold_say_so(name: str) -> None:
    """In each scene exactly the items that it touches come to its outcome, each with a reason and a remedy."""
    scene, record = SCENES[name], judged_in(name)
    written = {item.rpartition("-item-")[0] for other in SCENES.values() for item in other.expected}
    found = {item: outcome for item, outcome in items_of(record).items() if item.rpartition("-item-")[0] in written}
    assert {item for item, outcome in found.items() if outcome == scene.outcome} == scene.expected
    items = (item for book in record["runbooks"] for item in book["checklist"])
    failing = [check for item in items for check in item["checks"] if check["outcome"] == scene.outcome]
    assert all(check["reason"] and check["remedy"] for check in failing)


def test_every_item_fails_somewhere(sound: Finished) -> None:
    """No item passes whatever happens: each comes to something else in one of the scenes.

    It is here that a new runbook asks to be written into the scenes.
    """
    assert set(items_of(sound.record)) == set().union(*(scene.expected for scene in SCENES.values()))


def test_missing_attestations_are_exit_code_7(unattested: Finished) -> None:
    """Without a person's word the run is incomplete: one finding lists the commands, and each item says its own."""
    done = unattested
    expected = {item for item in SCENES["nobody has attested"].expected if item.partition("-item-")[0] in UNATTESTED}
    assert (done.code, done.record["totals"]["unattested"]) == (7, len(expected))
    [finding] = done.record["findings"]
    assert set(finding["places"]) == expected
    assert "gt-conformance attest --list --tenant " in finding["remedy"]
    assert finding["remedy"] in (done.folder / "summary.md").read_text(encoding="utf-8")
    assert f"U1 → {finding['remedy'].partition(':')[0]}" in done.said
    for item in (item for book in done.record["runbooks"] for item in book["checklist"] if item["id"] in expected):
        book, _, number = item["id"].rpartition("-item-")
        assert [
            check for check in item["checks"] if f"gt-conformance attest {book} {number} --tenant " in check["remedy"]
        ]


def bound_to(runbook: str, address: str | None) -> str:
    """An attestation of the one item of that runbook that asks a person, for the tenant of that address."""
    today = datetime.now(UTC).date()
    about = f"    tenant: {address}\n" if address else ""
    return (
        f"  - runbook: {runbook}\n    item: 3\n{about}    statement: The guide has the steps.\n"
        "    by: {name: A. Example, role: Operations}\n    evidence: guide.md\n"
        f"    on: {today}\n    expires: {today + timedelta(days=30)}\n    runbook_digest: {BOOKS[runbook].digest}\n"
    )


def test_an_attestation_counts_on_the_tenant_that_it_names(tmp_path: Path) -> None:
    """On a live tenant what somebody saw on it counts; what they saw elsewhere does not, and both are named."""
    words = tmp_path / "attestations.yaml"
    elsewhere = "https://elsewhere.example/api/tenant"
    with tenant(tmp_path) as (running, path):
        entries = bound_to("dify", f"{running.base_url}/"), bound_to("n8n", elsewhere)
        words.write_text("".join(["attestations:\n", *entries]), encoding="utf-8")
        chosen = ("--runbook", "dify", "--runbook", "n8n", "--attestations", words)
        done = run("--tenant", path, *chosen, cwd=tmp_path, lean=True)
        told = (done.folder / "summary.md").read_text(encoding="utf-8")
        assert f", but for {elsewhere} (" in told
        assert f", not for {running.base_url}." in told
    outcomes = {book["id"]: book["checklist"][2]["outcome"] for book in done.record["runbooks"]}
    assert (done.code, outcomes) == (7, {"dify": "conforms", "n8n": "unattested"})


@pytest.mark.parametrize("sample", [True, False], ids=["the sample", "a file without a tenant"])
def test_a_live_tenant_takes_no_attestation_of_nowhere(sample: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    """The bundled sample and a file that names no tenant are refused before anything is sent."""
    words = tmp_path / "attestations.yaml"
    words.write_text(f"attestations:\n{bound_to('dify', None)}", encoding="utf-8")
    with tenant(tmp_path) as (running, path):
        named = resources.sample_attestations() if sample else words
        done = run("--tenant", path, "--runbook", "dify", "--attestations", named, cwd=tmp_path)
        told = "attestations are a sample for the embedded tenant" if sample else f"(tenant: {running.base_url})"
    assert (done.code, told in done.said, (done.folder / "results.json").exists()) == (4, True, False)


def test_a_single_runbook_ends_in_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A run of one runbook shows its nine rows and three items in order, and its last line is the verdict."""
    done = shared_runs.of_dify(tmp_path_factory)
    lines = done.stdout.splitlines()
    book = done.record["runbooks"][0]
    shown = [next(n for n, line in enumerate(lines) if f" {row['title']} " in line) for row in book["routes"]]
    shown += [next(n for n, line in enumerate(lines) if f" {item['item']}. " in line) for item in book["checklist"]]
    assert shown == sorted(shown)
    assert lines[-1] == "GO (EMBEDDED): Dify works with the embedded tenant as its runbook says."


def test_a_runbook_that_fails_is_a_no_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Streams break: the chat row is red, and the item that speaks of a chat; no other is. The last line is NO-GO."""
    done = shared_runs.of_dify(tmp_path_factory, "--fault", shared_runs.STREAMS_BREAK)
    [book] = done.record["runbooks"]
    assert {row["route"] for row in book["routes"] if row["outcome"] == "violates"} == {"chat"}
    assert [item["outcome"] for item in book["checklist"]] == ["violates", "conforms", "conforms"]
    assert done.code == 1
    assert done.stdout.splitlines()[-1].startswith("NO-GO (EMBEDDED): Dify")


def waived(folder: Path, places: Mapping[str, int], *words: str) -> Finished:
    """A run of dify with a waiver of each place, and how many days it holds."""
    text = "waivers:\n"
    for place, days in places.items():
        text += (
            f"  - runbook: dify\n    {place}\n    reason: it comes in January\n    owner: A. Example\n"
            f"    issue: https://tracker.example/412\n    expires: {datetime.now(UTC).date() + timedelta(days=days)}\n"
        )
    (folder / "waivers.yaml").write_text(text, encoding="utf-8")
    return run("--runbook", "dify", "--waivers", "waivers.yaml", *words, cwd=folder, lean=True)


def test_a_waived_check_still_shows_as_failing(tmp_path: Path) -> None:
    """A waived violation stands under waived with its owner, is no pass, and does not fail the run."""
    done = waived(tmp_path, {"check: base_url.joins": 30}, "--versioned-only")
    rows = {row["route"]: row["outcome"] for row in done.record["runbooks"][0]["routes"]}
    assert (done.code, rows["models"], rows["chat"], rows["embeddings"]) == (0, "waived", "waived", "waived")
    items = {item["item"]: item["outcome"] for item in done.record["runbooks"][0]["checklist"]}
    assert (items[1], items[2]) == ("waived", "waived")
    assert done.record["totals"]["waived"] == 5
    assert "waived by A. Example" in done.said
    assert 'skipped="5"' in (done.folder / "junit.xml").read_text(encoding="utf-8")


def test_a_waiver_that_has_to_go_fails_the_run(tmp_path: Path) -> None:
    """One that starts to pass, matches nothing or has expired is told with its lines; one that holds, holds.

    The waiver of a row waives what the row's checks find in the items that rest on it, too.
    """
    places = {"row: chat": 30, "row: embeddings": 30, "check: audio.speaks": 30, "row: models": -1}
    done = waived(tmp_path, places, "--fault", shared_runs.STREAMS_BREAK)
    [book] = done.record["runbooks"]
    rows = {row["route"]: row["outcome"] for row in book["routes"]}
    assert (done.code, rows["chat"], book["checklist"][0]["outcome"]) == (1, "waived", "waived")
    for told in (
        "is no longer needed, since what it covers conforms: remove this entry (lines 8-13)",
        "matches no check of the run: remove this entry (lines 14-19)",
        "expired on",
    ):
        assert told in done.said
        assert len([problem for problem in done.record["waiver_problems"] if told in problem]) == 1


def test_prerequisites_say_what_the_run_knows(sound: Finished) -> None:
    """Each runbook's prerequisites stand in the record with what this run knows of them, and how."""
    dify = next(book for book in sound.record["runbooks"] if book["id"] == "dify")
    known = {part for item in dify["prerequisites"] for part in item["how"]}
    assert "alias published: yes" in known
    assert "scope inference:embed on the key rag: yes" in known

"""The checklist items, each seen to conform and seen not to."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gt_conformance.vocabulary import CHECKLIST_LENGTH
from gt_sandbox.middleware import MiddlewareFactory, Request, Response, change_responses, is_at
from tests.commands import Finished, ahead, run, tenant
from tests.scripted import BOOKS

BROKEN = Response(500, (("content-type", "application/json"),), b'{"error":{"message":"broken"}}')
ACCEPTED = Response(200, (("content-type", "application/json"),), b'{"id":"obj_1"}')
ORIGIN = "https://gt-conformance.invalid"
NO_WORDS = "attestations: []\n"


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
        langchain 1 2
        litellm 2
        llamaindex 1 2
        semantic-kernel 1 2
        vercel-ai-sdk 1 2 3
        anythingllm 1 2
        dify 1 2
        flowise 1 2 3
        langflow 1 2 3
        librechat 1
        lovable 1 2
        n8n 1 2 3
        open-webui 1
        aider 1
        cline-roo 1 3
        continue 1 3
        cursor 1
        hermes 1 2 3
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
        """
        crewai 3
        dify 3
        lovable 3
        """,
        faults=(
            change_responses(is_at("/v1/files", "/v1/assistants", "/v1/threads"), lambda _, __: ACCEPTED),
            change_responses(lambda _: True, reflected),
        ),
    ),
    "there is one key and nothing else": Scene(
        "blocked",
        """
        generic-openai-http 2 3
        openai-sdk-curl 1 2 3
        crewai 2 3
        langchain 3
        litellm 1 3
        llamaindex 3
        vercel-ai-sdk 2 3
        dify 2 3
        flowise 2 3
        langflow 2 3
        librechat 2 3
        lovable 2
        n8n 2 3
        open-webui 2 3
        aider 2 3
        cline-roo 2 3
        continue 2
        cursor 2 3
        hermes 3
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
        anythingllm 3
        flowise 3
        langflow 3
        open-webui 3
        """,
    ),
}


def items_of(done: Finished) -> dict[str, str]:
    """Every item with its outcome."""
    return {item["id"]: item["outcome"] for book in done.record["runbooks"] for item in book["checklist"]}


def judged_in(scene: Scene, folder: Path) -> Finished:
    """The scene's run."""
    words = folder / "attestations.yaml"
    words.write_text(NO_WORDS, encoding="utf-8")
    with tenant(folder, *scene.faults) as (running, path):
        if scene.single_key is None:
            return run("--tenant", path, "--attestations", words, cwd=folder, lean=True)
        # As the environment names a tenant, but for the pace: that of a tenant elsewhere takes half a minute.
        one = {
            "base_url": running.base_url,
            "models": {"chat": "field-analyst"},
            "keys": {"default": {"secret_env": "GT_API_KEY"}},
            "limits": {"requests_per_minute": 60_000},
        }
        path.write_text(json.dumps(one), encoding="utf-8")
        return run("--tenant", path, cwd=folder, env={"GT_API_KEY": running.secrets[scene.single_key]}, lean=True)


@pytest.fixture(scope="module")
def staged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run of each scene, made once."""

    def work(name: str) -> Finished:
        return judged_in(SCENES[name], tmp_path_factory.mktemp("scene"))

    with ahead(request, "name", work) as done:
        yield done


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of the embedded tenant, with its sample of people's words."""
    return run(cwd=tmp_path_factory.mktemp("sound"), lean=True)


def test_every_item_conforms_on_the_embedded_tenant(sound: Finished) -> None:
    """All items conform, none is blocked, and the six that need a person rest on the sample, which the run names."""
    found = items_of(sound)
    assert (sound.code, len(found), set(found.values())) == (0, len(BOOKS) * CHECKLIST_LENGTH, {"conforms"})
    items = [item for book in sound.record["runbooks"] for item in book["checklist"]]
    assert [item["attestation"]["name"] for item in items if item["attestation"]] == ["Sample"] * 6
    assert sound.record["run"]["options"]["sample"] is True
    assert "6 checklist items rely on SAMPLE attestations." in sound.said


@pytest.mark.parametrize("name", SCENES)
def test_items_that_do_not_hold_say_so(name: str, staged: Callable[[str], Finished]) -> None:
    """In each scene exactly the items that it touches come to its outcome, each with a reason and a remedy."""
    scene, done = SCENES[name], staged(name)
    found = items_of(done)
    assert {item for item, outcome in found.items() if outcome == scene.outcome} == scene.expected
    items = (item for book in done.record["runbooks"] for item in book["checklist"])
    failing = [check for item in items for check in item["checks"] if check["outcome"] == scene.outcome]
    assert all(check["reason"] and check["remedy"] for check in failing)


def test_every_item_fails_somewhere(sound: Finished) -> None:
    """No item passes whatever happens: each comes to something else in one of the scenes."""
    assert set(items_of(sound)) == set().union(*(scene.expected for scene in SCENES.values()))


@pytest.mark.parametrize("name", ["nobody has attested"])
def test_missing_attestations_are_exit_code_7(name: str, staged: Callable[[str], Finished]) -> None:
    """Without a person's word the run is incomplete: nothing violates, and six items say which command to use."""
    done = staged(name)
    assert (done.code, done.record["totals"]["unattested"]) == (7, 6)
    assert "gt-conformance attest anythingllm 3" in done.said


def test_a_single_runbook_ends_in_go_or_no_go(tmp_path: Path) -> None:
    """A run of one runbook shows its nine rows and three items in order, and its last line is the verdict."""
    done = run("--runbook", "dify", cwd=tmp_path)
    lines = done.stdout.splitlines()
    book = done.record["runbooks"][0]
    shown = [next(n for n, line in enumerate(lines) if f" {row['title']} " in line) for row in book["routes"]]
    shown += [next(n for n, line in enumerate(lines) if f" {item['item']}. " in line) for item in book["checklist"]]
    assert shown == sorted(shown)
    assert lines[-1] == "GO (EMBEDDED): Dify works with the embedded tenant as its runbook says."


def test_a_runbook_that_fails_is_a_no_go(tmp_path: Path) -> None:
    """Where a promise does not hold, the last line says no-go."""
    done = run("--runbook", "dify", "--versioned-only", cwd=tmp_path)
    assert done.code == 1
    assert done.stdout.splitlines()[-1].startswith("NO-GO (EMBEDDED): Dify")


WAIVER = """\
waivers:
  - runbook: dify
    {place}
    reason: the un-versioned paths come in January
    owner: A. Example
    issue: https://tracker.example/412
    expires: {expires}
"""


def waived(folder: Path, place: str, *words: str, days: int = 30) -> Finished:
    """A run of dify with a waiver."""
    path = folder / "waivers.yaml"
    expires = datetime.now(UTC).date() + timedelta(days=days)
    path.write_text(WAIVER.format(place=place, expires=expires), encoding="utf-8")
    return run("--runbook", "dify", "--waivers", path, *words, cwd=folder)


def test_a_waived_check_still_shows_as_failing(tmp_path: Path) -> None:
    """A waived violation stands under waived with its owner, is no pass, and does not fail the run."""
    done = waived(tmp_path, "check: base_url.joins", "--versioned-only")
    rows = {row["route"]: row["outcome"] for row in done.record["runbooks"][0]["routes"]}
    assert (done.code, rows["models"], rows["chat"], rows["embeddings"]) == (0, "waived", "waived", "waived")
    assert done.record["totals"]["waived"] == 3
    assert "waived by A. Example" in done.said
    assert 'skipped="3"' in (done.folder / "junit.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "words", "days", "said"),
    [
        ("row: embeddings", (), 30, "is no longer needed, it starts to pass: remove this entry (lines 2-7)"),
        ("check: audio.speaks", (), 30, "matches no check of the run: remove this entry (lines 2-7)"),
        ("check: base_url.joins", ("--versioned-only",), -1, "expired on"),
    ],
    ids=["starts to pass", "matches nothing", "expired"],
)
def test_a_waiver_that_has_to_go_fails_the_run(
    place: str, words: tuple[str, ...], days: int, said: str, tmp_path: Path
) -> None:
    """A waiver that starts to pass, matches nothing or has expired fails the run, and says which lines to remove."""
    done = waived(tmp_path, place, *words, days=days)
    assert done.code == 1
    assert said in done.said
    assert any(said in problem for problem in done.record["waiver_problems"])


def test_the_same_secret_under_two_names_is_refused(tmp_path: Path) -> None:
    """Two keys of one secret would judge each other: the file is refused, by name, and nothing is sent."""
    with tenant(tmp_path) as (_, path):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('GT_EMBEDDED_RAG"', 'GT_EMBEDDED_CHAT"'), encoding="utf-8")
        done = run("--tenant", path, cwd=tmp_path, lean=True)
    assert done.code == 4
    assert "the keys 'chat' and 'rag' have the same secret" in done.said


def test_prerequisites_say_what_the_run_knows(sound: Finished) -> None:
    """Each runbook's prerequisites stand in the record with what this run knows of them, and how."""
    dify = next(book for book in sound.record["runbooks"] if book["id"] == "dify")
    known = {part for item in dify["prerequisites"] for part in item["how"]}
    assert "alias published: yes" in known
    assert "scope inference:embed on the key rag: yes" in known

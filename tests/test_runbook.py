"""Runbook files: loaded whole or refused whole, and sound beyond their schema."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.checks import BUILT_IN
from gt_conformance.runbook import ChatProfile, ClientProfile, EmbeddingsProfile, Runbook, findings, load_directory
from gt_conformance.vocabulary import Actor, Part, Route, Verdict
from tests.input_files import problems_of

FOLDER = resources.runbooks_dir()
DIFY = (FOLDER / "dify.yaml").read_text(encoding="utf-8")
BOOKS = load_directory(FOLDER)

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write dify's runbook, changed at places, into the folder of runbooks that is loaded."""
    monkeypatch.chdir(tmp_path)
    Path("books").mkdir()

    def writing(*changes: tuple[str, str], name: str = "dify.yaml") -> None:
        text = DIFY
        for old, new in changes:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        (Path("books") / name).write_text(text, encoding="utf-8")

    return writing


def problems_of_loading() -> list[str]:
    """What is refused about the folder, a line a problem."""
    return problems_of(load_directory, Path("books"))


def line_of(text: str, changed: str = DIFY) -> int:
    """The line on which the text first stands."""
    return changed[: changed.index(text)].count("\n") + 1


# -- loading


def test_the_bundled_runbooks_are_loaded_in_the_order_of_the_wiki() -> None:
    """Each file becomes a runbook, by category and then by id."""
    order = ["SDK and HTTP", "Framework and orchestration", "Workflow and builders", "Developer tooling"]
    assert len(BOOKS) == len(list(resources.runbooks_dir().glob("*.yaml")))
    assert [(book.category, book.id) for book in BOOKS] == sorted(
        ((book.category, book.id) for book in BOOKS), key=lambda pair: (order.index(pair[0]), pair[1])
    )


def test_a_runbook_has_nine_rows_and_three_items() -> None:
    """Each runbook has a row per route, in the order of the routes, and three items, all with ids of their own."""
    for book in BOOKS:
        assert [row.route for row in book.rows] == list(Route)
        assert [item.number for item in book.checklist] == [1, 2, 3]
        assert {row.runbook for row in book.rows} == {item.runbook for item in book.checklist} == {book.id}
    ids = [row.id for book in BOOKS for row in book.rows]
    assert len(set(ids)) == len(ids)
    assert not [row_id for row_id in ids if not re.fullmatch(r"[a-z0-9._-]+", row_id)]


def test_a_file_becomes_a_value(write: Write) -> None:
    """What stands in the file stands in the runbook."""
    write()
    [book] = load_directory(Path("books"))
    assert (book.id, book.title, book.key_preset) == ("dify", "Dify", "chat-embeddings")
    assert book.digest == hashlib.sha256(DIFY.encode()).hexdigest()
    row = book.row(Route.CHAT)
    assert (row.id, row.verdict) == ("dify-chat-native", Verdict.NATIVE)
    assert row.integration == "Every LLM node of an app or workflow chats through the provider."
    assert (
        book.row(Route.SPEECH).instead == "Call the speech route from an HTTP Request node with a voice key of its own."
    )
    assert book.native_routes() == (Route.MODELS, Route.CHAT, Route.EMBEDDINGS)
    steps = book.row(Route.CONVERSATION_FILES).steps
    assert [step.send for step in steps] == [
        "POST /v1/conversations",
        "POST /v1/conversations/files",
        "GET /v1/files/{id}",
    ]
    assert steps[1].headers == (("Authorization", "Bearer {api_key}"), ("X-GT-Conversation-Id", "{conversation_id}"))
    assert steps[2].poll == "Repeat every few seconds until the state is ready or failed."
    item = book.checklist[1]
    assert (item.checks, item.rests_on) == (("key.rotation", "embeddings.after_rotation"), (Route.EMBEDDINGS,))
    assert item.asks == (Part.TENANT,)
    assert item.source == (
        "wiki/Gen3-Gt-Api-Runbooks-Dify.md, edition of 2026-05-29, section Validation checklist, item 2"
    )
    assert book.checklist[2].asks == (Part.PERSON,)
    assert book.prerequisites[1].known_by == ("scope_chat", "scope_embed")
    assert [(issue.id, issue.routes) for issue in book.known_issues] == [
        ("base-url-without-v1", (Route.MODELS, Route.CHAT, Route.EMBEDDINGS)),
        ("stream-framing", (Route.CHAT,)),
    ]
    [client] = book.clients
    assert client == ClientProfile(
        package="dify_plugin",
        version="0.7.4",
        how="driven",
        on="2026-11-22",
        headers=(("Accept-Encoding", "gzip, deflate"), ("User-Agent", "python-requests/2.32.5")),
        chat=ChatProfile(
            stream_usage="optional",
            token_limit="max_tokens",
            fields=(("user", "gt-conformance"),),
            tools=True,
            sse="lf_data_only",
            needs=("choices", "delta", "object", "usage", "end"),
        ),
        embeddings=EmbeddingsProfile(
            encoding_format="float",
            batch=False,
            string=True,
            fields=(("user", "gt-conformance"),),
            needs=("model", "usage"),
        ),
        gotchas=client.gotchas,
    )
    assert len(client.gotchas) == 2


def test_an_unmeasured_product_is_probed_as_a_plain_client() -> None:
    """A runbook that measured no client has one plain client, and says why it measured none."""
    unmeasured = [book for book in BOOKS if not book.measured_clients]
    assert unmeasured
    for book in unmeasured:
        assert book.clients == (ClientProfile(),)
        assert book.unmeasured


def test_both_endings_are_runbooks(write: Write) -> None:
    """A file that ends in .yml is a runbook as well; any other file is none."""
    write(name="dify.yml")
    write(name="notes.txt")
    Path("books/._dify.yml").write_bytes(b"\x00\x05\x16\x07")  # what macOS leaves beside a file
    assert [book.id for book in load_directory(Path("books"))] == ["dify"]


def test_a_folder_without_runbooks_is_an_error(write: Write) -> None:
    """A folder that holds no runbook, or is not there, is a sentence and never an empty list."""
    del write
    assert problems_of_loading() == ["The folder books holds no runbook (*.yaml). Name another with --runbooks DIR."]
    Path("books").rmdir()
    assert problems_of_loading() == [
        "There is no folder of runbooks at books. Name one that exists with --runbooks DIR."
    ]
    Path("books").write_text("base_url: https://acme.example/api/tenant\n", encoding="utf-8")
    (line,) = problems_of_loading()
    assert line.endswith("It is a file. To check a tenant file: gt-conformance plan --tenant books")


def test_an_id_that_is_not_the_name_of_its_file_is_an_error(write: Write) -> None:
    """The id and the file's name must agree, and the error says both ways out."""
    write(name="n8n.yaml")
    [problem] = problems_of_loading()
    assert problem == (
        "books/n8n.yaml:2:5: id: the id is 'dify' but the file is n8n.yaml. "
        "Rename the file to dify.yaml, or set id: n8n."
    )


def test_an_id_used_twice_is_an_error(write: Write) -> None:
    """Two files with one id are an error at the second of them."""
    write()
    write(name="dify.yml")
    assert problems_of_loading() == [
        "books/dify.yml:2:5: id: the id 'dify' is used already by dify.yaml. Give each runbook an id of its own."
    ]


def test_the_errors_of_all_files_are_told_at_once(write: Write) -> None:
    """Violations of the schema in several files are one error, each at its line."""
    write(("verdict: native", "verdict: nativ"))
    write(("title: Dify", "titel: Dify"), name="other.yaml")
    found = problems_of_loading()
    assert found[0].startswith(f"books/dify.yaml:{line_of('verdict: native')}:14: ")
    assert "'nativ'" in found[0]
    assert "native" in found[0].replace("'nativ'", "")
    assert {problem.split(":")[0] for problem in found[1:]} == {"books/other.yaml"}


def test_a_row_left_out_is_an_error(write: Write) -> None:
    """A runbook without one of the nine routes is refused."""
    start, end = DIFY.index("  POST /v1/images/generations:"), DIFY.index("  POST /v1/conversations/files:")
    write((DIFY[start:end], ""))
    [problem] = problems_of_loading()
    assert "POST /v1/images/generations" in problem


# -- soundness


@pytest.mark.parametrize("book", BOOKS, ids=[book.id for book in BOOKS])
def test_a_bundled_runbook_is_sound(book: Runbook) -> None:
    """No bundled runbook contradicts itself."""
    assert findings(book, BUILT_IN.acts) == ()


NO_ISSUE_FOR_EMBEDDINGS = (
    "    routes: [GET /v1/models, POST /v1/chat/completions, POST /v1/embeddings]",
    "    routes: [GET /v1/models, POST /v1/chat/completions]",
)
EMBEDS = next(line for line in DIFY.splitlines(keepends=True) if line.startswith("      embeddings:"))
POLL = "        poll: Repeat every few seconds until the state is ready or failed.\n"
STATUS_ROW = DIFY[DIFY.index("  GET /v1/files/{id}:\n") : DIFY.index("\nnot_supported:")]
STATUS_STEP = STATUS_ROW[STATUS_ROW.index("      - send") :]
ASKS_CHAT = "    asks: [tenant]\n    rests_on: [chat, embeddings]\n"
OF_SETUP = [name for name, actor in BUILT_IN.acts.items() if actor is Actor.SETUP]

UNSOUND: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "a check that does not exist": (
        (("checks: [key.rotation, ", "checks: [key.rotatoin, "),),
        (
            "{checks: [key.rotatoin}:14: checklist.1.checks.0: there is no check 'key.rotatoin'. "
            "Did you mean key.rotation? `gt-conformance explain` lists them."
        ),
    ),
    "embeddings that nobody measured": (
        ((EMBEDS, ""), NO_ISSUE_FOR_EMBEDDINGS),
        (
            "{    - package: dify_plugin}:5: wire.clients: embeddings are native, but no measured client says "
            "how it embeds "
            "and no known issue says why not. Add an embeddings profile to a client, or a known_issues entry for "
            "the row."
        ),
    ),
    "a limit without a field": (
        (("token_limit: max_tokens", "token_limit: none\n        token_limit_value: 5"),),
        (
            "{        stream: both}:9: wire.clients.0.chat: token_limit_value is given, but token_limit is none. "
            "Name the field that carries the value."
        ),
    ),
    "a base URL without /v1 and no word of it": (
        (("id: base-url-without-v1", "id: base-url"),),
        (
            "{base_url: https}:11: base_url: a measured client joins its routes to the base URL as given, and "
            "the base URL "
            "has no /v1. Say so in a known_issues entry with the id base-url-without-v1."
        ),
    ),
    "/responses by default and no word of it": (
        (("default_surface: /chat/completions", "default_surface: /responses"),),
        (
            "{    - package: dify_plugin}:5: wire.clients: a measured client calls /responses by default, which "
            "GT does not "
            "serve. Say so in a known_issues entry with the id responses-by-default."
        ),
    ),
    "two issues of one id": (
        (("id: stream-framing", "id: base-url-without-v1"),),
        "{  - id: base-url-without-v1}:3: known_issues: two known issues share an id.",
    ),
    "an issue of no route": (
        (("    routes: [POST /v1/chat/completions]", "    routes: [POST /v1/responses]"),),
        "{    routes: [POST /v1/responses]}:14: known_issues.1.routes.0: 'POST /v1/responses' is not one of "
        "the mapped routes. "
        "Allowed: " + ", ".join(route.title for route in Route) + ".",
    ),
    "a tenant that nothing shows": (
        ((ASKS_CHAT, "    asks: [tenant, person]\n    checks: [attestation]\n"),),
        (
            "{    asks: [tenant, person]}:11: checklist.0.asks: the item asks the tenant, but names "
            "no row and no check of it."
            " Add rests_on or a check."
        ),
    ),
    "a tenant that only a check of the setup shows": (
        ((ASKS_CHAT, "    asks: [tenant, setup]\n    checks: [key.dedicated]\n"),),
        (
            "{    asks: [tenant, setup]}:11: checklist.0.asks: the item asks the tenant, but names "
            "no row and no check of it."
            " Add rests_on or a check."
        ),
    ),
    "a client without a row": (
        ((ASKS_CHAT, "    asks: [tenant, client]\n    checks: [chat.streams]\n"),),
        (
            "{    asks: [tenant, client]}:11: checklist.0.asks: the item asks the client, but rests "
            "on no row that it is driven"
            " for. Add rests_on."
        ),
    ),
    "a person without an attestation": (
        ((ASKS_CHAT, ASKS_CHAT.replace("[tenant]", "[tenant, person]")),),
        (
            "{    asks: [tenant, person]}:11: checklist.0.asks: the item asks a person, but takes no attestation. "
            "Add attestation to its checks."
        ),
    ),
    "an attestation without a person": (
        ((ASKS_CHAT, ASKS_CHAT + "    checks: [attestation]\n"),),
        (
            "{    checks: [attestation]}:13: checklist.0.checks: the item takes an attestation, but asks no person. "
            "Add person to asks, or remove it."
        ),
    ),
    "a setup without a check of it": (
        ((ASKS_CHAT, ASKS_CHAT.replace("[tenant]", "[tenant, setup]")),),
        (
            "{    asks: [tenant, setup]}:11: checklist.0.asks: the item asks the setup, but names no "
            "check on which the "
            f"operator acts. Add one of {', '.join(sorted(OF_SETUP))}."
        ),
    ),
    "rows that nobody asks": (
        ((ASKS_CHAT, ASKS_CHAT.replace("[tenant]", "[person]") + "    checks: [attestation]\n"),),
        (
            "{    asks: [person]}:11: checklist.0.asks: the item names rows or checks of the tenant, "
            "but asks neither the "
            "tenant nor the client. Add tenant or client to asks, or remove them."
        ),
    ),
    "a row that the client does not use": (
        ((ASKS_CHAT, ASKS_CHAT.replace("embeddings]", "speech]")),),
        (
            "{    rests_on: [chat, speech]}:15: checklist.0.rests_on: the item rests on speech, "
            "which is not supported here. "
            "Name rows that the client uses."
        ),
    ),
    "steps that never send the row's request": (
        ((STATUS_STEP, STATUS_STEP.replace("send: GET /v1/files/{id}", "send: GET /v1/uploads/{id}")),),
        (
            "{      - send: GET /v1/uploads}:7: routes.GET /v1/files/{id}.steps: no step of this row sends GET "
            "/v1/files/{id}. "
            "Add the request that the row is about."
        ),
    ),
    "steps that never poll": (
        ((STATUS_STEP, STATUS_STEP.replace(POLL, "")),),
        (
            "{steps-of-status}:7: routes.GET /v1/files/{id}.steps: no step of this row says what to poll and "
            "until when. "
            "Add poll to the step that asks for the file's state."
        ),
    ),
}


@pytest.mark.parametrize(("changes", "message"), UNSOUND.values(), ids=UNSOUND)
def test_a_contradiction_is_found_where_it_stands(
    write: Write, changes: tuple[tuple[str, str], ...], message: str
) -> None:
    """A file whose parts do not agree is told so once, at its line, with what to do."""
    write(*changes)
    [book] = load_directory(Path("books"))
    text = Path("books/dify.yaml").read_text(encoding="utf-8")
    mark, _, rest = message.removeprefix("{").partition("}:")
    place = text.rindex("      - send: GET /v1/files/{id}") if mark == "steps-of-status" else text.index(mark)
    wanted = f"books/dify.yaml:{text[:place].count(chr(10)) + 1}:{rest}"
    assert [str(problem) for problem in findings(book, BUILT_IN.acts)] == [wanted]


EXCUSED: dict[str, tuple[tuple[str, str], ...]] = {
    "a known issue for embeddings that nobody measured": ((EMBEDS, ""),),
    "a base URL with /v1": (
        ("base_url: https://<tenant-host>/api/tenant", "base_url: https://<tenant-host>/api/tenant/v1"),
        ("id: base-url-without-v1", "id: base-url"),
    ),
    "a client that adds /v1": (("joins: verbatim", "joins: adds_v1"), ("id: base-url-without-v1", "id: base-url")),
    "a known issue for /responses": (
        ("default_surface: /chat/completions", "default_surface: /responses"),
        ("id: stream-framing", "id: responses-by-default"),
    ),
    "refused embeddings that nobody measured": (
        (EMBEDS, ""),
        ("    rests_on: [chat, embeddings]\n", "    rests_on: [chat]\n"),
        ("    rests_on: [embeddings]\n", ""),
        NO_ISSUE_FOR_EMBEDDINGS,
        (
            "  POST /v1/embeddings:\n    verdict: native",
            "  POST /v1/embeddings:\n    instead: No.\n    verdict: not_supported",
        ),
    ),
}


@pytest.mark.parametrize("changes", EXCUSED.values(), ids=EXCUSED)
def test_what_is_accounted_for_is_sound(write: Write, changes: tuple[tuple[str, str], ...]) -> None:
    """What a runbook says of itself is no contradiction."""
    write(*changes)
    [book] = load_directory(Path("books"))
    assert findings(book, BUILT_IN.acts) == ()


def test_a_product_that_nobody_measured_need_not_embed() -> None:
    """Embeddings without a profile are a slip only where some client was measured."""
    book = next(book for book in BOOKS if book.id == "dify")
    assert findings(replace(book, measured_clients=(), known_issues=()), BUILT_IN.acts) == ()


def test_several_contradictions_are_all_found(write: Write) -> None:
    """Each contradiction of a file is found, not only the first."""
    write(
        *(change for name in ("a check that does not exist", "a limit without a field") for change in UNSOUND[name][0])
    )
    [book] = load_directory(Path("books"))
    assert [problem.path for problem in findings(book, BUILT_IN.acts)] == [
        "checklist.1.checks.0",
        "wire.clients.0.chat",
    ]

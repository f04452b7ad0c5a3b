"""What a runbook tells an operator to do: whole, or ``lint`` names what is missing in which row and step."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.checks import BUILT_IN
from gt_conformance.errors import Problem
from gt_conformance.runbook import Row, Step, findings, load_directory
from gt_conformance.vocabulary import Route
from tests.commands import in_process

DIFY = next(book for book in load_directory(resources.runbooks_dir()) if book.id == "dify")
UPLOAD = DIFY.row(Route.CONVERSATION_FILES)
OPEN, SEND, POLL = UPLOAD.steps


def problems(*rows: Row) -> Sequence[Problem]:
    """What is said of Dify's runbook with these rows in place of its own."""
    changed = {row.route: row for row in rows}
    return findings(replace(DIFY, rows=tuple(changed.get(row.route, row) for row in DIFY.rows)), BUILT_IN.acts)


def with_steps(*steps: Step) -> Row:
    """The row of conversation uploads, with these steps."""
    return replace(UPLOAD, steps=steps)


ROW = "routes.POST /v1/conversations/files.steps"
KEYLESS = "this step does not show the key in the Authorization header."
NEVER_SENT = (ROW, "no step of this row sends POST /v1/conversations/files.")
NEVER_POLLED = (ROW, "no step of this row says what to poll and until when.")
NO_HEADER = "this step does not set X-GT-Conversation-Id."
MISSING: dict[str, tuple[Row, list[tuple[str, str]]]] = {
    "no step sends it": (with_steps(OPEN, POLL), [NEVER_SENT]),
    "nothing is polled": (with_steps(OPEN, SEND), [NEVER_POLLED]),
    "no steps at all": (with_steps(), [NEVER_SENT, NEVER_POLLED]),
    "no key": (with_steps(replace(OPEN, headers=()), SEND, POLL), [(f"{ROW}.0", KEYLESS)]),
    "the key of somebody": (
        with_steps(OPEN, SEND, replace(POLL, headers=(("Authorization", "Bearer acme"),))),
        [(f"{ROW}.2", KEYLESS)],
    ),
    "the key in another header": (
        with_steps(replace(OPEN, headers=(("X-Key", "{api_key}"),)), SEND, POLL),
        [(f"{ROW}.0", KEYLESS)],
    ),
    "no conversation": (with_steps(OPEN, replace(SEND, headers=OPEN.headers), POLL), [(f"{ROW}.1", NO_HEADER)]),
    "nothing to send": (
        with_steps(replace(OPEN, body=None), SEND, POLL),
        [(f"{ROW}.0", "this step does not say what to send.")],
    ),
    "several things in a step": (
        with_steps(OPEN, replace(SEND, headers=(), body=None), POLL),
        [(f"{ROW}.1", what) for what in (KEYLESS, NO_HEADER, "this step does not say what to send.")],
    ),
}


@pytest.mark.parametrize(("row", "missing"), MISSING.values(), ids=MISSING)
def test_what_an_operator_is_not_told_is_found(row: Row, missing: list[tuple[str, str]]) -> None:
    """Each thing by itself, in its row and step, with a line of the file and what to add."""
    found = problems(row)
    assert [(problem.path, problem.message) for problem in found] == missing
    assert all(problem.where is not None and problem.where.line and problem.hint for problem in found)


ENOUGH: dict[str, Row] = {
    "headers in small letters": with_steps(
        OPEN, replace(SEND, headers=tuple((name.lower(), value) for name, value in SEND.headers)), POLL
    ),
    "the key without a scheme": with_steps(replace(OPEN, headers=(("Authorization", "{api_key}"),)), SEND, POLL),
}


@pytest.mark.parametrize("row", ENOUGH.values(), ids=ENOUGH)
def test_what_an_operator_can_follow_is_sound(row: Row) -> None:
    """A GET needs no body, an upload into a dataset no conversation, a native row no steps."""
    assert problems(row) == ()


def test_every_row_is_read() -> None:
    """What is missing in one row does not hide what is missing in the next."""
    dataset = DIFY.row(Route.DATASET_FILES)
    found = problems(with_steps(OPEN, SEND), replace(dataset, steps=dataset.steps[1:]))
    assert [problem.path for problem in found] == [ROW, "routes.POST /v1/datasets/{id}/files.steps"]


INSTEAD = "    instead: Call the speech route from an HTTP Request node with a voice key of its own.\n"
RESULT = "        result: A 2xx with the file id. Keep it for polling.\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (INSTEAD, "", "the key 'instead' is missing"),
        (INSTEAD, "    instead: ' '\n", "must not be blank"),
        (RESULT, "", "the key 'result' is missing"),
        (RESULT, "        result: ' '\n", "must not be blank"),
        ("poll: Repeat every few seconds until the state is ready or failed.", "poll: ' '", "must not be blank"),
        ("        body: multipart/form-data with one part named file\n", "", "this step does not say what to send"),
    ],
    ids=["nothing instead", "blanks instead", "nothing to keep", "blanks to keep", "blanks to poll", "nothing to send"],
)
def test_lint_refuses_the_file(old: str, new: str, said: str, tmp_path: Path) -> None:
    """``gt-conformance lint`` names the place with its line, and ends with exit code 4."""
    text = (resources.runbooks_dir() / "dify.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "dify.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    done = in_process("lint", ".", cwd=tmp_path)
    assert (done.code, done.stderr) == (4, "1 error.\n")
    assert done.stdout.startswith("dify.yaml:")
    assert said in done.stdout

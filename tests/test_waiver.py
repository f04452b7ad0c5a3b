"""Waivers: what is read from a file, what is refused and where, what is waived, and which have to go."""

import json
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import resources, waiver
from gt_conformance.errors import Location
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.vocabulary import Outcome, Route
from gt_conformance.waiver import Flaw, Judged, Waiver, Waivers
from tests.input_files import change, list_entries, problems_of

TODAY = date(2026, 11, 22)
CHECKS = (
    "key.revocation",
    "attestation",
    "chat.completes",
    "chat.streams",
    "embeddings.after_rotation",
    "embeddings.base64",
    "embeddings.batch",
    "key.required",
    "key.rotation",
    "tenant.errors_shaped",
)
TENANT_CHECKS = ("key.required", "tenant.errors_shaped")
ENTRY: dict[str, Any] = {
    "runbook": "dify",
    "row": "embeddings",
    "check": "embeddings.base64",
    "reason": "The gateway ignores encoding_format.",
    "owner": "A. Example, Gateway team",
    "issue": "https://issues.acme.example/GT-101",
    "expires": "2027-01-31",
}
WAIVED = "the waiver of embeddings.base64 in the embeddings row of dify"

Load = Callable[[str], Waivers]


@cache
def books() -> tuple[Runbook, ...]:
    """The runbooks that come with the suite."""
    return load_directory(resources.runbooks_dir())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as the file waivers.yaml of the current folder."""
    monkeypatch.chdir(tmp_path)

    def loading(text: str) -> Waivers:
        Path("waivers.yaml").write_text(text, encoding="utf-8")
        return waiver.load(Path("waivers.yaml"), books(), CHECKS, TODAY, tenant_checks=TENANT_CHECKS)

    return loading


def written(*entries: dict[str, Any]) -> str:
    """A file of these entries."""
    return list_entries("waivers", *entries)


def entry(**changes: object) -> dict[str, Any]:
    """A good entry with these changes; what is None is left out."""
    return change(ENTRY, changes)


def of(runbook: str, place: Route | int | None, check: str | None, expires: date = date(2027, 1, 31)) -> Waiver:
    """A waiver of that check at that place, in lines 12 to 18."""
    row, item = (place, None) if isinstance(place, Route) else (None, place)
    where = Location("waivers.yaml", 12)
    return Waiver(
        runbook, row, item, check, "known", "A. Example", "https://x.example/1", expires, where, "lines 12-18"
    )


def judged(runbook: str, place: Route | int | None, check: str, outcome: Outcome) -> Judged:
    """A check that the run had planned there, and what was found."""
    route, item = (place, None) if isinstance(place, Route) else (None, place)
    return Judged(runbook, route, item, check, outcome)


# -- what becomes of a file


def test_an_entry_becomes_a_waiver(load: Load) -> None:
    """Every field of an entry stands in the value, which knows its lines."""
    (found,) = load("# known\n" + written(ENTRY) + "\n  # the end\n").entries
    assert found == Waiver(
        runbook="dify",
        row=Route.EMBEDDINGS,
        item=None,
        check="embeddings.base64",
        reason="The gateway ignores encoding_format.",
        owner="A. Example, Gateway team",
        issue="https://issues.acme.example/GT-101",
        expires=date(2027, 1, 31),
        where=Location("elsewhere"),
        lines="",
    )
    assert (found.where, found.lines) == (Location("waivers.yaml", 3), "lines 3-9")


@pytest.mark.parametrize("text", ["waivers: []\n", "waivers:\n", "waivers: # none\n"])
def test_a_file_may_hold_no_entry(load: Load, text: str) -> None:
    """Whoever removes the last entry, as advised, is left with a file that still loads."""
    assert load(text).entries == ()


@pytest.mark.parametrize(
    ("names", "named", "title"),
    [
        pytest.param(
            {"row": "POST /v1/embeddings", "check": None},
            ("dify", Route.EMBEDDINGS, None),
            "the embeddings row of dify",
            id="row",
        ),
        pytest.param({"row": None, "item": 2, "check": None}, ("dify", 2, None), "item 2 of dify", id="item"),
        pytest.param(
            {"row": None, "item": 2, "check": "key.rotation"},
            ("dify", 2, "key.rotation"),
            "key.rotation in item 2 of dify",
            id="check-of-item",
        ),
        pytest.param({"row": None}, ("dify", None, "embeddings.base64"), "embeddings.base64 in dify", id="check"),
        pytest.param(
            {"runbook": "tenant", "row": None, "check": "key.required"},
            ("tenant", None, "key.required"),
            "key.required of the tenant",
            id="tenant",
        ),
    ],
)
def test_what_a_waiver_names(load: Load, names: dict[str, Any], named: tuple[object, ...], title: str) -> None:
    """A waiver names a row, an item, a check in either, a check of a runbook, or a check of the tenant."""
    (found,) = load(written(entry(**names))).entries
    assert (found.named, found.title) == (named, title)


def test_the_rows_of_the_schema_are_the_nine_routes() -> None:
    """A row is named by the short id or the title of a route."""
    rule = json.loads((resources.schemas_dir() / "waivers.schema.json").read_text(encoding="utf-8"))
    rows = rule["$defs"]["entry"]["properties"]["row"]["enum"]
    assert rows == [*(route.value for route in Route), *(route.title for route in Route)]


SPANS = {
    """\
waivers:
- {runbook: dify, row: chat, reason: known, owner: A. Example,
   issue: https://x.example/1 , expires: 2027-01-31}

# why
- runbook: dify
  row: speech
  reason: known
  owner: A. Example
  issue: https://x.example/1
  # soon
  expires: 2027-01-31

# the end
""": ["lines 2-3", "lines 6-12"],
    """\
waivers:
  -
    runbook: dify
    row: chat
    owner: A. Example
    issue: https://x.example/1
    expires: 2027-01-31
    reason: |
      one

      # two
  # why
  -
    {runbook: dify, item: 2, reason: known, owner: A. Example, issue: https://x.example/1 , expires: 2027-01-31}
""": ["lines 2-11", "lines 13-14"],
    """\
waivers: [
  {runbook: dify, row: chat, reason: known, owner: A. Example,
   issue: https://x.example/1 , expires: 2027-01-31}]
""": ["line 2"],
}


@pytest.mark.parametrize(("text", "lines"), SPANS.items(), ids=["comments", "several-lines", "brackets"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_waiver_knows_the_lines_to_remove(load: Load, text: str, lines: list[str], newline: str) -> None:
    """An entry's lines are all its own, and comments before the next are not."""
    assert [one.lines for one in load(text.replace("\n", newline)).entries] == lines


# -- what is refused

NEITHER = (
    "Allowed: models, chat, embeddings, transcriptions, speech, images, conversation_files, dataset_files, file_status"
)
REFUSED: dict[str, tuple[str, ...]] = {
    "no-owner": (written(entry(owner=None)), "2:5: waivers.0: the key 'owner' is missing."),
    "blank-owner": (written(entry(owner=" ")), "6:12: waivers.0.owner: must not be blank."),
    "owner-left-over": (written(entry(owner="?")), "6:12: waivers.0.owner: '?' says nothing. Put it in words."),
    "no-reason": (written(entry(reason=None)), "2:5: waivers.0: the key 'reason' is missing."),
    "no-end": (written(entry(expires=None)), "2:5: waivers.0: the key 'expires' is missing."),
    "no-such-end": (
        written(entry(expires="soon")),
        "8:14: waivers.0.expires: 'soon' is not a date (YYYY-MM-DD).",
    ),
    "too-far-away": (
        written(entry(expires="2027-05-22")),
        "8:14: waivers.0.expires: it expires on 2027-05-22, more than 180 days away.",
        "The latest end today is 2027-05-21.",
    ),
    "no-link": (
        written(entry(issue="GT-101")),
        r"7:12: waivers.0.issue: 'GT-101' does not match ^https?://\S+$.",
        "For example: https://issues.acme.example/GT-101.",
    ),
    "names-nothing": (
        written(entry(row=None, check=None)),
        "2:5: waivers.0: one of these keys is missing: 'row', 'item', 'check', 'finding'.",
    ),
    "row-and-item": (
        written(entry(item=1)),
        "9:5: waivers.0: the key 'item' does not belong here where 'row' is given.",
    ),
    "row-of-the-tenant": (
        written(entry(runbook="tenant", check="key.required")),
        "3:5: waivers.0: the key 'row' does not belong here where 'runbook' is 'tenant'.",
    ),
    "no-such-row": (
        written(entry(row="POST /v1/embedding")),
        "3:10: waivers.0.row: 'POST /v1/embedding' is not allowed here: did you mean 'POST /v1/embeddings'?",
        f"{NEITHER}, {', '.join(route.title for route in Route)}.",
    ),
    "no-such-item": (
        written(entry(row=None, item=0, check=None)),
        "7:11: waivers.0.item: 0 is not allowed here. Allowed: 1, 2, 3.",
    ),
    "no-such-check": (
        written(entry(check="embeddings.base46")),
        "4:12: waivers.0.check: there is no check 'embeddings.base46': did you mean embeddings.base64?",
        "`gt-conformance explain` lists them.",
    ),
    "no-check-of-the-item": (
        written(entry(runbook="cline-roo", row=None, item=3, check="key.rotation")),
        "3:12: waivers.0.check: 'key.rotation' is not a check of item 3 of cline-roo:",
        "did you mean key.revocation? Checks there: key.revocation, key.isolation.",
    ),
    "no-check-of-the-tenant": (
        written(entry(runbook="tenant", row=None, check="chat.streams")),
        "3:12: waivers.0.check: 'chat.streams' is not a check of the tenant.",
        "Checks there: key.required, tenant.errors_shaped.",
    ),
    "attestation": (
        written(entry(runbook="crewai", row=None, item=2, check="attestation")),
        "3:12: waivers.0.check: an attestation cannot be waived: the item stays unattested until someone attests it.",
        "Remove this entry.",
    ),
    "item-of-a-person": (
        written(entry(runbook="anythingllm", row=None, check=None, item=3)),
        "7:11: waivers.0.item: an attestation cannot be waived: the item stays unattested until someone attests it.",
        "Remove this entry.",
    ),
    "twice": (
        written(ENTRY, entry(row="POST /v1/embeddings", owner="B. Example")),
        "9:5: waivers.1: embeddings.base64 in the embeddings row of dify is waived already in line 2.",
        "Keep one of the two.",
    ),
}  # fmt: skip
"""A text, and the parts of the one line that is said about it."""


@pytest.mark.parametrize(("text", "line"), [(text, " ".join(parts)) for text, *parts in REFUSED.values()], ids=REFUSED)
def test_a_mistake_is_told_at_its_place(load: Load, text: str, line: str) -> None:
    """Each mistake is one problem, at its line and column, with what would be right."""
    assert problems_of(load, text, file="waivers.yaml") == [line]


def test_a_runbook_that_does_not_exist_is_told_with_the_nearest(load: Load) -> None:
    """The nearest runbook is named, and all of them; tenant is one of the right words."""
    (line,) = problems_of(load, written(entry(runbook="tennant", row=None, check="key.required")), file="waivers.yaml")
    assert line.startswith("2:14: waivers.0.runbook: there is no runbook 'tennant': did you mean tenant? Known: ")
    assert {"tenant", "aider"} <= set(line.removesuffix(".").partition("Known: ")[2].split(", "))


@pytest.mark.parametrize("field", ["row", "item", "check", "runbook", "finding"])
@pytest.mark.parametrize(("case", "place"), [("dify-chat-native", "row: chat"), ("dify-item-2", "item: 2")])
def test_the_id_of_a_row_or_an_item_is_told_as_what_a_waiver_takes(
    load: Load, field: str, case: str, place: str
) -> None:
    """Reports show the id; whichever field it stands in, the line that is said about it gives the two to write."""
    left_out = {} if field == "runbook" else {"row": None, "check": None}
    lines = problems_of(load, written(entry(**{**left_out, field: case})), file="waivers.yaml")
    [line] = [one for one in lines if repr(case) in one]
    assert line.endswith(
        f"waivers.0.{field}: '{case}' is the id of a row or a checklist item, which a waiver does not take. "
        f"Write runbook: dify and {place}."
    )


def test_every_mistake_is_told_at_once(load: Load) -> None:
    """Entries that break the schema hide nothing of what is wrong with the others; the order is that of the file."""
    text = written(entry(expires="2030-01-01"), entry(owner=None), entry(runbook="nobody", check="nothing"))
    assert [line.partition(": ")[0] for line in problems_of(load, text, file="waivers.yaml")] == [
        "8:14",
        "9:5",
        "15:14",
        "17:12",
    ]


def test_the_latest_end_is_180_days_away(load: Load) -> None:
    """A waiver of 180 days loads, and so does one that is over: that is a problem of the run."""
    ends = ["2027-05-21", "2020-01-01"]
    found = load(written(entry(expires=ends[0]), entry(expires=ends[1], row="chat")))
    assert [str(one.expires) for one in found.entries] == ends


# -- what is waived

NARROW = of("dify", Route.EMBEDDINGS, "embeddings.base64")
ROW = of("dify", Route.EMBEDDINGS, None)
ITEM = of("dify", 1, None)
ITEM_CHECK = of("dify", 1, "embeddings.batch")
CHECK = of("dify", None, "embeddings.batch")
TENANT = of("tenant", None, "key.required")
ALL = Waivers((CHECK, ROW, NARROW, ITEM, ITEM_CHECK, TENANT))


@pytest.mark.parametrize(
    ("runbook", "route", "item", "check", "expected"),
    [
        pytest.param("dify", Route.EMBEDDINGS, None, "embeddings.base64", NARROW, id="the-narrower-one"),
        pytest.param("dify", Route.EMBEDDINGS, None, "base_url.joins", ROW, id="row"),
        pytest.param("dify", None, 1, "chat.completes", ITEM, id="item"),
        pytest.param("dify", None, 1, "embeddings.batch", ITEM_CHECK, id="check-of-item"),
        pytest.param("dify", None, 2, "embeddings.batch", CHECK, id="check-of-another-item"),
        pytest.param("dify", Route.CHAT, None, "embeddings.batch", CHECK, id="check-of-another-row"),
        pytest.param("tenant", None, None, "key.required", TENANT, id="tenant"),
        pytest.param("tenant", None, None, "key.scope_enforced", None, id="another-check-of-the-tenant"),
        pytest.param("dify", None, None, "key.required", None, id="the-tenant-is-no-runbook"),
        pytest.param("dify", Route.CHAT, None, "chat.streams", None, id="another-row"),
        pytest.param("dify", None, 2, "chat.completes", None, id="another-item"),
        pytest.param("n8n", Route.EMBEDDINGS, None, "embeddings.batch", None, id="another-runbook"),
        pytest.param("dify", None, 1, "attestation", None, id="a-persons-word"),
    ],
)
def test_a_violation_is_waived_by_what_names_it(
    runbook: str, route: Route | None, item: int | None, check: str, expected: Waiver | None
) -> None:
    """What names the check, its row or its item waives it, and nothing else; what names more comes first."""
    found = Judged(runbook, route, item, check, Outcome.VIOLATES)
    assert ALL.holding(TODAY).match(found, Flaw(Outcome.VIOLATES)) is expected


@pytest.mark.parametrize(("today", "waives"), [(date(2027, 1, 31), True), (date(2027, 2, 1), False)])
def test_a_waiver_that_has_expired_waives_nothing(today: date, waives: bool) -> None:  # noqa: FBT001 - a table
    """A waiver holds through its last day."""
    violates = judged("dify", Route.EMBEDDINGS, "embeddings.base64", Outcome.VIOLATES)
    found = Waivers((NARROW,)).holding(today).match(violates, Flaw(Outcome.VIOLATES))
    assert (found is NARROW) is waives


# -- which have to go


def said(waivers: Iterable[Waiver], *found: Judged) -> list[str]:
    """What is said about these waivers after a run that found this."""
    return [str(problem) for problem in Waivers(tuple(waivers)).unneeded(found, TODAY)]


def whole(runbook: str, *found: Judged, but: Route | int | None = None) -> list[Judged]:
    """A run that judged the whole runbook, but for one place, and found this."""
    places: list[Route | int] = [*Route, 1, 2, 3]
    others = [judged(runbook, place, "base_url.joins", Outcome.CONFORMS) for place in places if place != but]
    return [*others, *found]


OVER = (
    f"waivers.yaml:12: {WAIVED} expired on 2027-01-31: remove this entry (lines 12-18). "
    "If it is still needed, A. Example has to set another end."
)


@pytest.mark.parametrize(
    ("today", "lines"),
    [
        pytest.param(date(2027, 1, 31), [], id="last-day"),
        pytest.param(
            date(2027, 2, 1),
            [OVER],
            id="over",
        ),
    ],
)
def test_what_has_expired_has_to_go(today: date, lines: list[str]) -> None:
    """A waiver that is over is told with the lines to remove and who may renew it, and told once."""
    waivers = Waivers((NARROW,))
    found = [judged("dify", Route.EMBEDDINGS, "embeddings.base64", Outcome.CONFORMS)]
    assert [str(problem) for problem in waivers.expired(today)] == lines
    assert bool(waivers.unneeded(found, today)) is not bool(lines)


BASE64 = "embeddings.base64"
PASSES = [
    f"waivers.yaml:12: {WAIVED} is no longer needed, since what it covers conforms: remove this entry (lines 12-18)."
]
NOTHING = [f"waivers.yaml:12: {WAIVED} matches no check of the run: remove this entry (lines 12-18)."]


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        pytest.param([(Route.EMBEDDINGS, BASE64, Outcome.CONFORMS)], PASSES, id="conforms"),
        pytest.param([(Route.EMBEDDINGS, "embeddings.batch", Outcome.VIOLATES)], NOTHING, id="not-in-this-row"),
        pytest.param([(Route.EMBEDDINGS, BASE64, Outcome.VIOLATES)], [], id="violates"),
        pytest.param([(Route.EMBEDDINGS, BASE64, Outcome.WAIVED)], [], id="waived"),
        pytest.param([(Route.EMBEDDINGS, BASE64, Outcome.BLOCKED)], [], id="blocked"),
        pytest.param([(Route.CHAT, BASE64, Outcome.CONFORMS)], [], id="not-selected"),
        pytest.param([], [], id="nothing-selected"),
        pytest.param(
            [(Route.EMBEDDINGS, BASE64, Outcome.CONFORMS), (Route.EMBEDDINGS, BASE64, Outcome.VIOLATES)],
            [],
            id="one-of-two-shapes-violates",
        ),
        pytest.param(
            [(Route.EMBEDDINGS, BASE64, Outcome.CONFORMS), (Route.EMBEDDINGS, BASE64, Outcome.BLOCKED)],
            [],
            id="one-of-two-shapes-blocked",
        ),
    ],
)
def test_what_is_not_needed_has_to_go(found: list[tuple[Route, str, Outcome]], lines: list[str]) -> None:
    """A waiver is told where what it names conforms, or is not a check of the run; else it is left alone."""
    assert said([NARROW], *(judged("dify", *one) for one in found)) == lines


def test_a_row_is_waived_as_long_as_any_of_its_checks_violates() -> None:
    """A waiver of a row is needed for one violation, and no longer once all of its checks conform."""
    row = [judged("dify", Route.EMBEDDINGS, check, Outcome.CONFORMS) for check in ("embeddings.batch", BASE64)]
    assert not said([ROW], *row, judged("dify", Route.EMBEDDINGS, "base_url.joins", Outcome.VIOLATES))
    (line,) = said([ROW], *row)
    assert line == (
        "waivers.yaml:12: the waiver of the embeddings row of dify is no longer needed, since what it covers conforms: "
        "remove this entry (lines 12-18)."
    )


def test_a_persons_word_keeps_no_waiver() -> None:
    """A waiver of an item is judged by what was measured: a word that is missing cannot be waived."""
    measured = judged("flowise", 3, "upload.conversation_ready", Outcome.CONFORMS)
    assert said([of("flowise", 3, None)], measured, judged("flowise", 3, "attestation", Outcome.UNATTESTED))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(whole("dify", judged("dify", 1, "embeddings.batch", Outcome.CONFORMS)), True, id="conforms"),
        pytest.param(whole("dify"), True, id="matches-nothing"),
        pytest.param(
            whole(
                "dify",
                judged("dify", 1, "embeddings.batch", Outcome.CONFORMS),
                judged("dify", Route.EMBEDDINGS, "embeddings.batch", Outcome.VIOLATES),
            ),
            False,
            id="violates-in-a-row",
        ),
        pytest.param(
            whole("dify", judged("dify", 1, "embeddings.batch", Outcome.CONFORMS), but=Route.EMBEDDINGS),
            False,
            id="a-row-not-selected",
        ),
        pytest.param(whole("dify", but=3), False, id="an-item-not-selected"),
        pytest.param(whole("n8n"), False, id="another-runbook"),
    ],
)
def test_a_check_of_a_runbook_is_judged_by_the_whole_runbook(found: list[Judged], told: bool) -> None:  # noqa: FBT001
    """A waiver of a check wherever the runbook has it is left alone unless all rows and items were planned."""
    assert bool(said([CHECK], *found)) is told


def test_an_item_that_nothing_measures_keeps_no_waiver(load: Load) -> None:
    """A check of a runbook is judged once all that is measured was planned: the word of a person is not."""
    waivers = load(written(entry(runbook="semantic-kernel", row=None, check="embeddings.batch")))
    passes = judged("semantic-kernel", 2, "embeddings.batch", Outcome.CONFORMS)
    assert waivers.unneeded(whole("semantic-kernel", passes, but=3), TODAY)
    assert not waivers.unneeded(whole("semantic-kernel", passes, but=1), TODAY)


@pytest.mark.parametrize(
    ("outcome", "told"), [(Outcome.CONFORMS, True), (Outcome.VIOLATES, False), (Outcome.BLOCKED, False), (None, False)]
)
def test_a_check_of_the_tenant_is_judged_by_itself(outcome: Outcome | None, told: bool) -> None:  # noqa: FBT001
    """A waiver of a check of the tenant is told once that check conforms; not selected, it is left alone."""
    others = [judged("tenant", None, "key.scope_enforced", Outcome.CONFORMS)]
    found = [judged("tenant", None, "key.required", outcome)] if outcome else []
    assert bool(said([TENANT], *others, *found)) is told

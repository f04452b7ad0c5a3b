"""badge.json and badges/: what shields.io is told, and when it is green."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from gt_conformance import results, schema
from gt_conformance.report import write_all
from gt_conformance.results import Record
from tests.made_records import OUTCOMES, PARTS, book, check, record, refused

ENDPOINT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "gt-conformance:endpoint.schema.json",
    "type": "object",
    "additionalProperties": False,
    "required": ["schemaVersion", "label", "message"],
    "properties": {
        "schemaVersion": {"const": 1},
        "label": {"type": "string"},
        "message": {"type": "string", "minLength": 1},
        "color": {"type": "string"},
        "labelColor": {"type": "string"},
        "isError": {"type": "boolean"},
        "namedLogo": {"type": "string"},
        "logoSvg": {"type": "string"},
        "logoColor": {"type": "string"},
        "logoSize": {"type": "string"},
        "style": {"enum": ["flat", "flat-square", "plastic", "for-the-badge", "social"]},
    },
}
"""The fields of https://shields.io/badges/endpoint-badge, which names no others."""
EMBEDDED = {"kind": "embedded", "base_url": "http://127.0.0.1:40001/api/tenant"}
GREEN = "brightgreen"


def badges(folder: Path, value: Record) -> dict[str, dict[str, Any]]:
    """The badges that a record's reports hold, by runbook; the one of the whole run under ``all``."""
    write_all(value, folder)
    files = {"all": folder / "badge.json"} | {path.stem: path for path in (folder / "badges").iterdir()}
    return {name: json.loads(path.read_text("utf-8")) for name, path in files.items()}


def whole(outcome: str = "conforms", **more: object) -> Record:
    """Two runbooks, everything of them judged: one row of dify came to that."""
    value = record(book("dify", {"chat": [check(outcome)]}), book("n8n"))
    return results.conclude(cast("Record", value | more))


SEEN = {
    "conforming": (whole(), GREEN, "GO", GREEN, "GO"),
    "violating": (whole("violates"), "red", "NO-GO: 1 of 2 runbooks", "red", "NO-GO"),
    "blocked": (whole("blocked"), "yellow", "NOT DECIDED: 1 of 2 runbooks", "yellow", "NOT DECIDED"),
    "unattested": (whole("unattested"), "yellow", "NOT DECIDED: 1 of 2 runbooks", "yellow", "NOT DECIDED"),
    "waived": (whole("waived"), "yellowgreen", "GO WITH EXCEPTIONS", "yellowgreen", "GO WITH EXCEPTIONS"),
    "waiver-has-to-go": (whole(waiver_problems=["expired"]), "red", "NO-GO", GREEN, "GO"),
    "boundary-broken": (
        record(book("dify"), tenant_checks=[check("violates", "key.required")]),
        "red",
        "NO-GO",
        "red",
        "NO-GO",
    ),
    "no-tenant": (refused(whole("blocked")), "yellow", "UNREACHABLE: 2 of 2 runbooks", "yellow", "UNREACHABLE"),
    "interrupted": (
        record(book("dify"), run={"interrupted": "SIGTERM"}),
        "yellow",
        "NOT DECIDED: interrupted by SIGTERM",
        "yellow",
        "NOT DECIDED",
    ),
    "embedded": (record(book("dify"), tenant=EMBEDDED), "blue", "GO (EMBEDDED)", "blue", "GO (EMBEDDED)"),
    "embedded-violating": (
        record(book("dify", {"chat": [check("violates")]}), tenant=EMBEDDED),
        "red",
        "NO-GO (EMBEDDED)",
        "red",
        "NO-GO (EMBEDDED)",
    ),
    "a-row-left-out": (record(book("dify", only=PARTS[1:])), "lightgrey", "PARTIAL", "lightgrey", "PARTIAL"),
    "an-item-left-out": (record(book("dify", only=PARTS[:-1])), "lightgrey", "PARTIAL", "lightgrey", "PARTIAL"),
}


@pytest.mark.parametrize("seen", SEEN)
def test_a_badge_says_what_the_record_says(tmp_path: Path, seen: str) -> None:
    """Green is a live tenant that conforms in everything there is; a part, or the embedded tenant, never is."""
    value, colour, message, its_colour, its_message = SEEN[seen]
    found = badges(tmp_path, value)
    assert (found["all"]["color"], found["all"]["message"]) == (colour, message)
    assert (found["dify"]["color"], found["dify"]["message"]) == (its_colour, its_message)
    assert found["dify"]["label"] == "GT API · Dify"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_badge_holds_to_the_endpoint_form(tmp_path: Path, outcome: str) -> None:
    """Each holds the fields that shields.io documents, and no others; an error is what violates."""
    (tmp_path / "endpoint.schema.json").write_text(json.dumps(ENDPOINT))
    endpoint = schema.load("endpoint", tmp_path)
    found = badges(tmp_path / "reports", whole(outcome))
    assert found.keys() == {"all", "dify", "n8n"}
    assert [error.message for badge in found.values() for error in endpoint.errors(badge)] == []
    assert [found[name]["isError"] for name in ("all", "dify", "n8n")] == [outcome == "violates"] * 2 + [False]


def test_a_runbook_that_was_not_judged_keeps_no_badge(tmp_path: Path) -> None:
    """A folder tells of one run: the badge of an earlier one goes, and a file of somebody else's stays."""
    badges(tmp_path, whole())
    foreign = {
        "build.json": '{"schemaVersion": 1, "label": "build", "message": "passing"}',
        "odd.json": "[",
        "n.txt": "",
    }
    for name, text in foreign.items():
        (tmp_path / "badges" / name).write_text(text)
    write_all(record(book("dify")), tmp_path)
    assert {path.name for path in (tmp_path / "badges").iterdir()} == {"dify.json", *foreign}

"""Findings: one thing to fix, supply or attest each, made from the checks of a record."""

from typing import Any

from gt_conformance import results
from gt_conformance.errors import name_finding
from gt_conformance.results import Record, findings_of
from gt_conformance.results.case_types import CheckRecord, FindingRecord
from tests.made_records import book, check, record

ROOT = name_finding("chat.completes", "down")
SETUP = name_finding("setup", "a key")


def violating(name: str = "chat.completes", finding: str = ROOT, **more: Any) -> CheckRecord:
    """A check that violates with one finding; other keys of the violation as given."""
    broken = {
        "expected": "HTTP 200",
        "found": "HTTP 500",
        "exchange": "x0001",
        "finding": finding,
        "remedy": "Repair it.",
    }
    return check("violates", name, breaches=[broken | more])


def blocked(name: str = "chat.streams", *, because: str = "", finding: str = SETUP, reason: str = "no") -> CheckRecord:
    """A check that is blocked, by itself or because of another finding."""
    blocker = {"reason": reason, "remedy": "" if because else "Add a key.", "acts": "setup", "finding": finding}
    return check("blocked", name, obstacles=[blocker | ({"because": because, "finding": because} if because else {})])


def findings(**parts: list[CheckRecord]) -> list[FindingRecord]:
    """The findings of a record with these checks in the parts of one runbook."""
    named = {part.replace("_", "-"): some for part, some in parts.items()}
    return record(book(parts=named))["findings"]


def test_a_record_that_conforms_has_none() -> None:
    """Nothing to do is no finding."""
    assert findings() == []


def test_violations_of_one_cause_are_one_finding() -> None:
    """Whatever checks meet it, wherever: each place is listed once, and equal proofs are told once."""
    [found] = findings(chat=[violating(), violating("chat.roles")], item_1=[violating()])
    assert (found["id"], found["check"], found["outcome"]) == (ROOT, "chat.completes", "violates")
    assert found["places"] == ["dify-chat-native", "dify-item-1"]
    assert len(found["proofs"]) == 1
    assert found["remedy"] == "Repair it."


def test_violations_of_two_causes_are_two_findings() -> None:
    """One check may find two things, and belongs to both."""
    two = check("violates", breaches=[*violating()["breaches"], *violating(finding="shape~0a0a0a")["breaches"]])
    assert {found["id"] for found in findings(chat=[two])} == {ROOT, "shape~0a0a0a"}
    assert list(findings_of(two)) == [ROOT, "shape~0a0a0a"]


def test_what_rests_on_a_violation_is_listed_with_it() -> None:
    """It has no finding of its own; where a place both violates and is blocked it is only a place."""
    [found] = findings(
        chat=[violating(), blocked(because=ROOT)],
        embeddings=[blocked("base_url.joins", because=ROOT)],
        item_2=[blocked(because=ROOT)],
    )
    assert found["places"] == ["dify-chat-native"]
    assert found["blocks"] == ["dify-embeddings-native", "dify-item-2"]
    assert [proof["found"] for proof in found["proofs"]] == ["HTTP 500"]


def test_the_order_in_which_a_cause_is_met_is_no_matter() -> None:
    """A row that only rests on what a later one shows is blocked by it all the same."""
    [found] = findings(models=[blocked(because=ROOT)], speech=[violating()])
    assert (found["outcome"], found["places"], found["blocks"]) == (
        "violates",
        ["dify-speech-native"],
        ["dify-models-native"],
    )


def test_a_row_speaks_of_a_cause_before_a_tenant_check() -> None:
    """Promise and check of a finding are those of the row."""
    about = record(book(parts={"chat": [violating()]}), tenant_checks=[violating("key.required")])
    [found] = about["findings"]
    assert found["check"] == "chat.completes"
    assert found["places"] == ["dify-chat-native", "tenant-key.required"]


def test_blocks_of_one_cause_are_one_finding() -> None:
    """One key that is missing is added once; who acts is the operator."""
    [found] = findings(chat=[blocked(reason="no chat key")], speech=[blocked(reason="no speech key")])
    assert (found["id"], found["outcome"], found["acts"], found["remedy"]) == (SETUP, "blocked", "setup", "Add a key.")
    assert [proof["found"] for proof in found["proofs"]] == ["no chat key", "no speech key"]
    assert found["places"] == ["dify-chat-native", "dify-speech-native"]
    assert found["blocks"] == []
    assert found["clauses"] == []


def test_a_keys_own_trouble_is_a_finding_without_a_check_that_has_it() -> None:
    """The preflight is no case: all that it blocks are the places of one finding, proved by its reason."""
    [found] = findings(chat=[blocked(because=SETUP, reason="dead")], speech=[blocked(because=SETUP, reason="dead")])
    assert (found["id"], found["outcome"]) == (SETUP, "blocked")
    assert found["places"] == ["dify-chat-native", "dify-speech-native"]
    assert [proof["found"] for proof in found["proofs"]] == ["dead"]


def test_a_line_names_the_key_that_its_exchange_presented() -> None:
    """Two keys that meet one cause are two lines of one finding."""
    other = violating(exchange="x0002") | {"exchanges": ["x0002"]}
    made = record(book(parts={"chat": [violating()], "speech": [other]}))
    made["exchanges"]["x0002"]["request"]["credential"] = "rag"
    [found] = results.conclude(made)["findings"]
    assert [(proof["exchange"], proof["credential"]) for proof in found["proofs"]] == [
        ("x0001", "chat"),
        ("x0002", "rag"),
    ]


def test_a_waived_violation_is_a_finding_of_its_own() -> None:
    """What is not waived of the same cause stays a violation, and is shown first."""
    waived = violating() | {"outcome": "waived", "waiver": check("waived")["waiver"]}
    violation, exception = findings(chat=[waived], speech=[violating()])
    assert (violation["id"], violation["outcome"], violation["places"]) == (ROOT, "violates", ["dify-speech-native"])
    assert (exception["id"], exception["outcome"], exception["places"]) == (
        f"{ROOT}-waived",
        "waived",
        ["dify-chat-native"],
    )
    assert exception["waiver"] == waived["waiver"]
    assert violation["waiver"] is None


def test_what_no_case_names_is_a_finding_with_what_it_blocks() -> None:
    """A check in its plainest form on which others rest: it has no place, and all of its cases are blocked."""
    made = record(book(parts={"chat": [blocked(because=ROOT)]}), footing=[violating()])
    [found] = made["findings"]
    assert (found["id"], found["outcome"], found["places"]) == (ROOT, "violates", [])
    assert found["blocks"] == ["dify-chat-native"]


def test_the_worst_is_first() -> None:
    """Violations by severity, then by how much they touch; then blocks, then attestations."""
    found = findings(
        models=[violating(finding="a~000001", severity="low")],
        chat=[violating(finding="b~000002", severity="high")],
        speech=[violating(finding="b~000003", severity="high")],
        images=[violating(finding="b~000003", severity="high")],
        embeddings=[blocked()],
        item_1=[check("unattested")],
    )
    assert [one["id"] for one in found[:4]] == ["b~000003", "b~000002", "a~000001", SETUP]
    assert [one["outcome"] for one in found[4:]] == ["unattested"]


def unattested(item: int, reason: str = "Nobody has.") -> CheckRecord:
    """An attestation that is missing, with the command for this item and the one for all."""
    own = {"reason": reason, "remedy": f"attest dify {item}", "remedy_of_all": "attest --list", "acts": "setup"}
    return check("unattested", "attestation", obstacles=[own])


def test_attestations_are_one_thing_that_is_missing() -> None:
    """However many items need one: the finding lists them, with the command that lists theirs; alone, with its own."""
    [found] = findings(
        item_1=[unattested(1)], item_2=[unattested(2, "But for another tenant.")], item_3=[unattested(3)]
    )
    assert (found["outcome"], found["remedy"]) == ("unattested", "attest --list")
    assert found["places"] == ["dify-item-1", "dify-item-2", "dify-item-3"]
    assert [proof["found"] for proof in found["proofs"]] == ["Nobody has.", "But for another tenant."]
    [alone] = findings(item_2=[unattested(2)])
    assert (alone["id"], alone["remedy"]) == (found["id"], "attest dify 2")


def test_a_reason_that_is_a_sentence_has_one_full_stop() -> None:
    """Where a finding has many remedies, each proof names its own behind the reason."""
    many = {"reason": "The key may not.", "remedy": "Check it.", "remedy_of_all": "Check each.", "acts": "setup"}
    [found] = findings(chat=[check("blocked", obstacles=[many])])
    assert [proof["found"] for proof in found["proofs"]] == ["The key may not. Check it."]


def test_what_is_blocked_by_a_violation_leaves_its_remedy_alone() -> None:
    """A key that was refused now and then is met with a remedy of its own, which is not the cause's."""
    refused = {"reason": "Not taken.", "remedy": "Check it.", "remedy_of_all": "Check each.", "acts": "setup"}
    each = [refused | {"remedy": remedy, "because": ROOT, "finding": ROOT} for remedy in ("Check it.", "Check that.")]
    resting = check("blocked", "chat.streams", obstacles=each)
    for checks in ([violating(), resting], [resting, violating()]):
        assert [found["remedy"] for found in findings(chat=checks)] == ["Repair it."]


def test_the_severity_is_the_worst_that_was_met() -> None:
    """The same cause may be mild for one check and bad for another."""
    [found] = findings(chat=[violating(severity="low")], speech=[violating(severity="critical")])
    assert found["severity"] == "critical"


def test_each_reason_of_a_block_leads_to_a_finding() -> None:
    """What a check, a row and an item give as their reason is the id of a finding of the record."""
    made: Record = record(book(parts={"chat": [violating()], "speech": [blocked(because=ROOT)], "images": [blocked()]}))
    known = {found["id"]: found for found in made["findings"]}
    for case in results.cases(made):
        for one in case.checks:
            assert all(name in known for name in findings_of(one) if one["outcome"] != "conforms")
    assert set(known) == {ROOT, SETUP}

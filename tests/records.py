"""Records for the renderers: spoilt, cut down, and full of what a hostile tenant might send."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gt_conformance.results import Record, cases, conclude, totals
from gt_conformance.results.case_types import CasesRecord, CheckRecord
from gt_conformance.results.run_types import OUTCOME_NAMES

OUTCOMES = OUTCOME_NAMES
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of style": "</style></script></title><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "single quote": "' autofocus onfocus='alert(1)",
    "template": "{{ 7 * 7 }}{% raw %}",
    "comment": "--><!--",
    "bidi": "abc\u202edcba\u2066x\u2069\u061c",
    "unseen": "a\u200bb\u200d\u2060\ufeff\U000e0041\U000e007f",
    "control": "a\x00b\x1bc\x7fd\x85e",
    "surrogate": "a\ud800b",
    "entity": "&lt;b&gt;&#x3c;i>",
    "javascript": "javascript:alert(1)",
    "markdown": "![x](https://hostile.example/x.png) [x](https://hostile.example/)",
}


def checks_of(record: CasesRecord) -> Iterator[CheckRecord]:
    """Every check of a record but those of clients' rows."""
    return (check for case in cases({**record, "clients": []}) for check in case.checks)


def count_again(record: Record) -> Record:
    """The record with outcomes of rows, items and runbooks, totals, findings and decisions that suit its checks."""
    worst = ("conforms", "waived", "unattested", "blocked", "violates")
    for book in record["runbooks"]:
        for part in (*book["routes"], *book["checklist"]):
            part["outcome"] = max((check["outcome"] for check in part["checks"]), key=worst.index)
        outcomes = {part["outcome"] for part in (*book["routes"], *book["checklist"])}
        book["outcome"] = "conformant"
        if "violates" in outcomes:
            book["outcome"] = "non_conformant"
        elif outcomes & {"blocked", "unattested"}:
            book["outcome"] = "incomplete"
    record["totals"] = totals(record)
    return conclude(record)


def spoil(record: Record, outcome: str, which: Callable[[int], bool] = lambda _: True) -> Record:
    """A copy in which the chosen checks violate, or are blocked, unattested or waived, with long texts."""
    spoilt = copy.deepcopy(record)
    for number, check in enumerate(checks_of(spoilt)):
        if not which(number):
            continue
        check |= {"outcome": outcome, "reason": f"reason {number} " + "long " * 40, "remedy": f"Fix {number % 40}."}
        if outcome in {"violates", "waived"}:
            check["breaches"] = [
                {"expected": f"“{number}” " + "expected " * 20, "found": "found " * 40, "exchange": ref}
                for ref in check["exchanges"] or (None,)
            ]
        else:
            check["obstacles"] = [{"reason": check["reason"], "remedy": check["remedy"]}]
        if outcome == "waived":
            check["waiver"] = {
                "owner": "A. Example",
                "expires": "2027-01-31",
                "reason": "Known.",
                "issue": "https://x/1",
            }
    return count_again(spoilt)


def fixed(key: str, value: Any) -> bool:
    """Whether the schema leaves nothing free there."""
    texts = value if isinstance(value, list) else [value]
    return key in FIXED and all(isinstance(text, str) for text in texts)


def poisoned(value: Any, poison: str) -> Any:
    """The value with the poison in every string that the schema leaves free."""
    if isinstance(value, dict):
        return {key: item if fixed(key, item) else poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison) for item in value]
    return f"{poison}{value}{poison}" if isinstance(value, str) else value


# Enumerations and patterns of results.schema.json: read() lets nothing else through.
FIXED = {
    "route",
    "routes",
    "verdict",
    "outcome",
    "evidence_level",
    "kind",
    "exchange",
    "exchanges",
    "presentation",
    "known",
    "digest",
    "started",
    "finished",
    "decision",
    "severity",
    "acts",
}


def all_exchanges(record: Record, poison: str) -> Record:
    """The record with the poison in its free strings, exchanges included, whose references stay."""
    bad: Record = poisoned(record, poison)
    bad["exchanges"] = {ref: poisoned(exchange, poison) for ref, exchange in record["exchanges"].items()}
    return bad


def of_runbooks(record: Record, *ids: str) -> Record:
    """A copy with these runbooks only, and with the exchanges that they and the tenant checks rest on."""
    part = copy.deepcopy(record)
    part["runbooks"] = [book for book in part["runbooks"] if book["id"] in ids]
    return count_again(with_used_exchanges(part))


def with_used_exchanges(record: Record) -> Record:
    """The record without the exchanges that no check of it refers to."""
    refs = {ref for check in checks_of(record) for ref in check["exchanges"]}
    record["exchanges"] = {ref: exchange for ref, exchange in record["exchanges"].items() if ref in refs}
    return record


def of_every_outcome(record: Record) -> Record:
    """A copy in which each outcome and each part of the document occurs."""
    some = record
    for outcome in OUTCOMES[1:]:
        some = spoil(some, outcome, partial(_one_in_eleven, OUTCOMES.index(outcome)))
    for check in list(checks_of(some))[4::5]:
        check["advisories"] = [{"text": "odd", "exchange": None}]
    some["suite_errors"], some["waiver_problems"] = ["Traceback"], ["expired"]
    return conclude(some)


def _one_in_eleven(which: int, number: int) -> bool:
    return number % 11 == which

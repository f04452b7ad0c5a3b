"""Files that are no record, or no longer one, each with what reading it says."""

import gzip
import json
from collections.abc import Callable
from typing import Any

from tests.made_records import book, check, record

SOUND = json.dumps(record(book(parts={"chat": [check("violates")]}))).encode()


def changed(change: Callable[[Any], object]) -> bytes:
    """A sound file after a change by hand."""
    value = json.loads(SOUND)
    change(value)
    return json.dumps(value).encode()


CHANGED = {
    "totals-changed": "totals: the record says 12 conforms; its cases are 11.",
    "an-exchange-is-missing": "rests on the exchange x0001; it does not hold that exchange.",
    "a-proof-is-missing": "rests on the exchange x0099; it does not hold that exchange.",
}
"""What verifying says of those that can be read."""
NO_JSON = "this is not JSON: the file may be cut short. Name a results.json, or its folder; if it is one, run again."
DAMAGED = {
    "cut-short": (SOUND[:-20], NO_JSON),
    "empty": (b"", NO_JSON),
    "not-utf-8": (b'{"a": "\xff\xfe\xff"}', NO_JSON),
    "very-deep": (b"[" * 100_000, NO_JSON),
    "gzip-cut-short": (gzip.compress(SOUND)[:-20], NO_JSON),
    "gzip-of-nothing": (b"\x1f\x8b", NO_JSON),
    "gzip-broken": (gzip.compress(SOUND)[:40] + b"\0" * 40, NO_JSON),
    "a-list": (b"[]", "there is no schema_version, and this version reads 1."),
    "newer": (changed(lambda value: value.update(schema_version=2)), "schema_version is 2, and this version reads 1."),
    "another-file": (b'{"log": []}', "there is no schema_version, and this version reads 1."),
    "a-key-is-missing": (changed(lambda value: value.pop("traffic")), "traffic"),
    "an-odd-outcome": (
        changed(lambda value: value["runbooks"][0]["routes"][0].update(outcome="splendid")),
        "runbooks.0.routes.0.outcome",
    ),
    "totals-changed": (
        changed(lambda value: value["totals"].update(conforms=12, violates=0)),
        "the totals are not those of its rows, items and tenant checks. The file was changed by hand.",
    ),
    "an-exchange-is-missing": (
        changed(lambda value: value["exchanges"].clear()),
        "its checks refer to exchanges that it does not hold: x0001. The file was changed by hand.",
    ),
    "a-proof-is-missing": (
        changed(lambda value: value["runbooks"][0]["routes"][1]["checks"][0]["breaches"][0].update(exchange="x0099")),
        "its checks refer to exchanges that it does not hold: x0099. The file was changed by hand.",
    ),
}

"""The id of a finding across tenants: the same for the same cause, whatever a tenant calls its keys and names.

In a record a finding is called after its check and its cause (``chat.streams~3f9a1c``). Most causes are the same words
for every tenant, and so are their ids. Some say which key or name they are about. Of these the id is made again, with
a ``*`` in place of what is the tenant's own.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from gt_conformance.errors import name_finding
from gt_conformance.results import Record
from gt_conformance.results.case_types import FindingRecord
from gt_conformance.vocabulary import Modality
from gt_conformance.waiver import WAIVED_SUFFIX

ANY = "*"
NAMED_CAUSES = (
    "ability {}",
    "ability {} JSON unknown",
    "ability {} RECALL unknown",
    "ability {} TOOLS unknown",
    "ability {} echo",
    "ability {} marks",
    "ability {} masked",
    "ability {} one character",
    "ability {} tools in texts",
    "dataset {}",
    "internal:{}",
    "key {}",
    "name {}",
    "rights {}",
    "secret {}",
    "shared {}",
    "the answer tells what the key {} uploaded to a conversation of its own",
    "tool call cut {}",
    "tool call wrong {}",
    *(f"unable {{}} {modality.value}" for modality in Modality),
    "undeclared {}",
    "vectors {}",
    "wide {}",
)
"""The causes that hold a word of the tenant's own, as the checks write them; a test compares both."""

_MOST_WORDS = 1_000
_LONGEST_WORD = 200
_LONGEST_REMEDY = 2_000
"""What more there is of a remedy is a tenant's own words, and tells no cause."""

# What else is an operator's or a run's own in a remedy: a suggestion, a file, an address, a variable, an id.
_FOREIGN = re.compile(
    r"Did you mean [^?\n]{1,300}\? |https?://\S+|[^\s]{0,200}\.ya?ml\b|\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b"
    r"|\b(?=[0-9a-f]*[0-9])(?:gtword)?[0-9a-f]{8,}\b|--tenant \S+"
)
_ENGLISH = re.compile(r"[a-z]+")


class Words:
    """What a tenant's record calls its own: its keys, its published and internal names, its datasets."""

    def __init__(self, record: Record) -> None:
        found = dict.fromkeys(word for word in _own_words(record) if 0 < len(word) <= _LONGEST_WORD)
        self.all = tuple(found)[:_MOST_WORDS]
        self._pattern = _pattern(self.all)

    def replace(self, text: str) -> str:
        """The text with a ``*`` in place of what is the tenant's own."""
        text = _FOREIGN.sub(ANY, text[:_LONGEST_REMEDY])
        return text if self._pattern is None else self._pattern.sub(ANY, text)


def name_across(finding: FindingRecord, words: Words) -> str:
    """The id of the finding across tenants: its own, unless its cause holds a word of its tenant."""
    name = finding["id"].removesuffix(WAIVED_SUFFIX)
    family, separator, _ = name.rpartition("~")
    if not separator:
        return name
    remedy = finding["remedy"]
    if name == name_finding(family, remedy):
        return name_finding(family, words.replace(remedy))
    return next(
        (name_finding(family, cause.format(ANY)) for cause in NAMED_CAUSES if name in _names(family, cause, words.all)),
        name,
    )


@lru_cache(4096)
def _names(family: str, cause: str, words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name_finding(family, cause.format(word)) for word in words)


@lru_cache(256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """What finds the words in a text. One that may be an English word counts only where a name is due."""
    if not words:
        return None
    ordered = sorted(words, key=len, reverse=True)  # the longest first: a name may begin with another
    own = "|".join(re.escape(word) for word in ordered)
    clear = "|".join(re.escape(word) for word in ordered if not _ENGLISH.fullmatch(word))
    led = "|".join(rf"(?<=\b{word} )(?:{own})\b" for word in ("key", "name", "alias"))
    named = rf"{led}|(?<=\bHave )(?:{own})(?= published)"
    return re.compile(rf"{named}|(?<![\w.-])(?:{clear})(?![\w-])" if clear else named)


def _own_words(record: Record) -> Iterator[str]:
    for key in record["credentials"]:
        yield key["name"]
        yield from key["models"] or ()
        yield from key["datasets"] or ()
    setup = record.get("setup") or {}
    yield from _texts(setup.get("models"))
    for name in ("unpublished_models", "raw_models", "internal_datasets", "other_datasets", "dataset", "name"):
        yield from _texts(setup.get(name))
    keys = setup.get("keys")
    yield from (str(name) for name in keys) if isinstance(keys, dict) else ()


def _texts(found: Any) -> Iterable[str]:
    """The texts in a value of the tenant file, which may be anything."""
    if isinstance(found, str):
        return (found,)
    values = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return (value for value in values if isinstance(value, str))

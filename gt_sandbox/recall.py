"""Facts: what a text states, and which of them a question is about."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .messages import Turn
from .phrases import MARKS, asks, is_code, quoted, sentences, subject_words

_REMEMBER = re.compile(
    r"\b(?:remember|memori[sz]e|keep in mind|take note|note that|note down|forget|store|save)\b", re.IGNORECASE
)
_CLAUSE = re.compile(
    r",\s+|\s+(?:and|then|but)\s+(?=(?:then\s+)?(?:please|reply|respond|answer|say|confirm|keep|remember)\b)",
    re.IGNORECASE,
)
_STATES = re.compile(
    r"(?P<about>.{1,200})\b(?:is|are|was|were|equals|called|named)\b:?\s+(?P<value>\S.*)", re.IGNORECASE
)
_LABELS = re.compile(r"(?P<about>.{1,200})[:=]\s+(?P<value>\S.*)")
_NAMED = re.compile(
    r"(?P<about>.*\b(?:word|number|code|token|phrase|name|key|value|id))\s+(?P<value>[\w-]+)\s*\W*$", re.IGNORECASE
)
_REQUEST = re.compile(
    r"(?:please\s+|then\s+)*(?:reply|respond|answer|say|confirm|acknowledge|write|print|output)\b", re.IGNORECASE
)
_VALUE_ENDS = re.compile(r"\s+(?:and|but|so|because|for|which|when|while|in this|until)\s", re.IGNORECASE)
_MEMORY = re.compile(
    r"\b(?:remember|told|gave|give you|said|mention(?:ed)?|earlier|memori[sz]e[d]?|shared?)\b", re.IGNORECASE
)
_ONE_WORD = re.compile(r"\b(?:one|single|a few)[ -]words?\b", re.IGNORECASE)
_LONGEST = 50_000
_LONGEST_CLAUSE = 400


@dataclass(frozen=True, slots=True)
class Fact:
    """``the code word is ZEBRA``: about code and word, value ZEBRA. ``told`` where the text says to remember it."""

    about: frozenset[str]
    value: str
    told: bool


def facts(turns: Iterable[Turn]) -> list[Fact]:
    """What system, user and assistant have stated, the oldest first."""
    return [fact for turn in turns if turn.role != "tool" for fact in _stated(turn.text[-_LONGEST:])]


def requests(text: str) -> str:
    """The sentences that neither state a fact nor ask to remember one."""
    kept = (part for part in sentences(text) if not _REMEMBER.search(part) and not any(_stated(part)))
    return " ".join(kept)


def recall(question: str, known: Sequence[Fact]) -> str | None:
    """The value of the fact that the question is about: most words in common, then the latest.

    A question that names nothing known but speaks of remembering gets the latest fact that was told.
    """
    wanted = subject_words(_ONE_WORD.sub("", question))
    best = max(reversed(known), key=lambda fact: len(fact.about & wanted), default=None)
    if best and best.about & wanted:
        return best.value
    if _MEMORY.search(question):
        return next((fact.value for fact in reversed(known) if fact.told), None)
    return None


def _stated(text: str) -> Iterable[Fact]:
    told = _REMEMBER.search(text) is not None
    for clause in (clause for sentence in sentences(text) for clause in _CLAUSE.split(sentence)):
        fact = None if asks(clause) or _REQUEST.match(clause) else _fact(clause[:_LONGEST_CLAUSE], told=told)
        if fact:
            yield fact


def _fact(clause: str, *, told: bool) -> Fact | None:
    found = _STATES.match(clause) or _LABELS.match(clause) or (_NAMED.match(clause) if told else None)
    if found:
        about, value = subject_words(found["about"]), _value(found["value"])
    else:
        value = next((word for word in (*quoted(clause), *_words(clause)) if told and _stands_out(word)), "")
        about = subject_words(clause.replace(value, " ")) if value else frozenset()
    return Fact(about, value, told) if value and (about or told) else None


def _value(text: str) -> str:
    between = quoted(text)
    if between and text.lstrip("*")[1:].startswith(between[0]):
        return between[0]
    words = _words(_VALUE_ENDS.split(text)[0])[:8]
    return words[0] if words and is_code(words[0]) else " ".join(words)


def _words(text: str) -> list[str]:
    stripped = (word.strip(MARKS) for word in text.split())
    return [word for word in stripped if word]


def _stands_out(word: str) -> bool:
    return " " in word or is_code(word)

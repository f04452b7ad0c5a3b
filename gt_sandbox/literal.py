"""Literal answers: what a message asks to be said word for word, and what to say where nothing is known."""

import re

from .phrases import quoted, word_set

_VERB = r"\b(?:(?:reply|respond|answer|say|repeat|echo)\b|(?:acknowledge|confirm|write|print|output) with\b)"
_FILLER = r"(?:\s+(?:back|only|just|exactly|simply|with|by|saying|to me|me))*"
_NOUN = r"\s+(?:the\s+)?(?:(?:single|one|exact|following)\s+)*(?:words?|text|phrase|token|string|message)"
_AFTER_NOUN = re.compile(rf"{_VERB}{_FILLER}{_NOUN}\s*:?\s+(?P<rest>[^.!?\n]+)", re.IGNORECASE)
_AFTER_VERB = re.compile(rf"{_VERB}{_FILLER}\s*:?\s+(?P<rest>[^.!?\n]+)", re.IGNORECASE)
_TAIL = re.compile(
    r"(?:,.*|\s+(?:and nothing else|and no more|only|once|please|in one word|if you .*|when you .*|back|to me))*\s*$",
    re.IGNORECASE,
)
_CONDITIONAL = re.compile(
    r"[,;]?\s*\b(?:or\b[^.!?\n]*?\bif\b|if\b[^.!?\n]*?(?:\b(?:not|cannot|unknown|unsure|no)\b|n't\b))[^.!?\n]*",
    re.IGNORECASE,
)
_OR_IF = re.compile(r"\bor\s+(?:with\s+|just\s+|say\s+|reply\s+|answer\s+)*(?P<rest>\S+)\s+if\b", re.IGNORECASE)
_NOT_AFTER_NOUN = word_set("a an the this that these those i you it my your which who only exactly for to in")
_NOT_AFTER_VERB = _NOT_AFTER_NOUN | word_set(
    "its me what whom when where how why if whether on about from as of with one two three something anything nothing "
    "so no"
)
_LONGEST = 12


def literal(text: str) -> str | None:
    """``Reply with the word X``, ``say X``: X. ``None`` where the message asks for nothing of the kind."""
    return _wanted(_CONDITIONAL.sub(" ", text))


def fallback(text: str) -> str | None:
    """``If you do not know, say X``, ``or X if you do not know``: X."""
    for condition in _CONDITIONAL.findall(text):
        found = _OR_IF.search(condition)
        wanted = found["rest"].strip("\"'`") if found else _wanted(condition)
        if wanted:
            return wanted
    return None


def _wanted(text: str) -> str | None:
    named = _AFTER_NOUN.search(text)
    found = named or _AFTER_VERB.search(text)
    if found is None:
        return None
    rest = found["rest"].strip()
    between = quoted(rest)
    if between and rest.index(between[0]) <= 1:
        return between[0]
    words = _TAIL.sub("", rest).strip("\"'`*: ").split()
    if not words or len(words) > _LONGEST:
        return None
    first = words[0].lower()
    names_it = first not in (_NOT_AFTER_NOUN if named else _NOT_AFTER_VERB) and not first.endswith("ly")
    return " ".join(words) if names_it or words[1:2] == ["is"] else None

"""Reading plain English, as far as this tenant reads it: sentences, words, and the words that stand out."""

import re

_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|[\n;]+")
_WORD = re.compile(r"[A-Za-z0-9]+(?:[_'-][A-Za-z0-9]+)*")
_OPEN, _CLOSE = "\"'`\u201c\u2018", "\"'`\u201d\u2019"
_QUOTED = re.compile(rf"(?:(?<=[\s(:*])|^)[{_OPEN}]([^{_CLOSE}\n]{{1,80}})[{_CLOSE}](?=[\s.,;:!?)*]|$)")
_ASKS = re.compile(r"(?:and |so |now |then |please,? )*(?:what|which|who|whose|where|when|how|why)\b", re.IGNORECASE)

MARKS = _OPEN + _CLOSE + "*.,;:!?()[]<>"
"""Punctuation that may stand around a word without being part of it."""


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(words.split())


STOP = word_set(
    "a an the this that these those is are was were be been it its i me my mine you your our we us he she they them "
    "and or but so if then of for to in on at with from by as about into not no yes do does did done can could would "
    "should will shall may might must have has had what which who whose where when how why please just only exactly "
    "simply now here there again tell told say said ask asked give gave given reply respond answer repeat remember "
    "remind recall memorise memorize note keep mind store earlier before previous conversation chat message call use "
    "get set run make new any all some know let"
)
"""Words that say nothing about what a sentence is about."""


def sentences(text: str) -> list[str]:
    """The text cut at sentence ends, line ends and semicolons."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def asks(sentence: str) -> bool:
    """Whether it is a question."""
    return sentence.rstrip("\"')*] ").endswith("?") or _ASKS.match(sentence) is not None


def subject_words(text: str) -> frozenset[str]:
    """The words that say what it is about: lower case, without a plural s, names_in_code and camelCase cut up."""
    parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text).replace("_", " ").replace("-", " ")
    lowered = (word.lower() for word in _WORD.findall(parts))
    return frozenset(word.rstrip("s") for word in lowered if word not in STOP and len(word) > 1)


def quoted(text: str) -> list[str]:
    """What stands between quotation marks."""
    return _QUOTED.findall(text)


def is_code(word: str) -> bool:
    """Whether a word looks like a code or a number rather than like English: 4711, ZEBRA, gt-4f2a, a_b."""
    return any(char.isdigit() for char in word) or (len(word) > 2 and word.isupper()) or "_" in word


def salient(text: str) -> list[str]:
    """What stands out, best first: quotations, codes, names, and at last the other words from the end on."""
    names: list[str] = []
    others: list[str] = []
    for sentence in sentences(text):
        words = _WORD.findall(sentence)
        others += [word for word in words if word.lower() not in STOP]
        names += re.findall(r"(?<=[a-z,:] )[A-Z][\w'-]*(?: [A-Z][\w'-]*)*", sentence)
    codes = [word for word in others if is_code(word)]
    return list(dict.fromkeys([*quoted(text), *codes, *names, *reversed(others)]))

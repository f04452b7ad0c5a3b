"""Code words: every prompt of a run names one of its run and key, so that an answer shows whose request it is to.

No cache that was filled before the run knows it, so that what answers is not a memory of a backend that is dead.
"""

import html
import json
import re
from collections.abc import Iterable
from hashlib import sha256

from gt_conformance.exchange import NotJson, parse_json

_FORM = re.compile(r"gtword[0-9a-f]{10}")


def word_of(run_id: str, key: str | None) -> str:
    """The code word of a run and a key: the same wherever it is asked for, so that equal requests stay equal."""
    return f"gtword{sha256(f'{run_id} {key}'.encode()).hexdigest()[:10]}"


def say_word(run_id: str, key: str | None) -> str:
    """The prompt that asks for it."""
    return f"Reply with the word {word_of(run_id, key)}."


def is_cut_off(text: str, run_id: str, key: str | None) -> bool:
    """Whether a text that should hold the code word breaks off within it, so that no model wrote it so."""
    word, said = word_of(run_id, key), text.strip().lower()
    return bool(said) and word not in said and any(said.endswith(word[:end]) for end in range(_TOLD_BY, len(word)))


_TOLD_BY = 7
"""So many letters of a code word are those of no other word."""

ACCENTED = "café"
"""A word that shows what is done to text beyond ASCII."""
LETTERS = f"{ACCENTED}-漢-ש-🚀-ok"
"""The same with Chinese, Hebrew and what takes four bytes in UTF-8."""
LETTERS_OF_THREE_BYTES = f"{ACCENTED}-漢-ש-ok"
"""The same without the emoji."""
_SPOILT = re.compile(
    r"(?<![-\w])caf(?:(?![eéèêf]|\\['^`])|[eé]-\S{0,20}[?\ufffd\x80-\xff]\S{0,20}-ok\b)", re.IGNORECASE
)
"""What becomes of it on a way that does not take UTF-8 for UTF-8, or loses letters to question marks.

A model may leave out what it cannot write: only what stands in the place of a letter shows that another has lost it.
The same word of other languages (cafè, caffè) is none, and nor is LaTeX (``caf\\'e``). Behind a hyphen it is the end of
a made-up name or of an id, which may be the hexadecimal digits "cafb".
"""
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven")
_COUNTED = re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b|{_FORM.pattern}")


def say_words(run_id: str, key: str | None) -> str:
    """The same for an answer that is to be long enough for a stream."""
    return f"Reply with the words {' '.join(_NUMBERS)} {ACCENTED} {word_of(run_id, key)}."


def says_words(text: str, run_id: str, key: str | None) -> bool:
    """Whether an answer to that says each of its words once and in order, whatever stands around them."""
    return _COUNTED.findall(text.lower()) == [*_NUMBERS, word_of(run_id, key)]


def resembles_words(text: str, run_id: str, key: str | None) -> bool:
    """Whether a text is an answer to that, whatever became of it: it holds half of those words, or a run of them."""
    wanted, counted = [*_NUMBERS, word_of(run_id, key)], _COUNTED.findall(text.lower())
    runs = (wanted[at : at + len(counted)] for at in range(len(wanted)))
    return 2 * len({*wanted} & {*counted}) >= len(wanted) or (bool(counted) and counted in runs)


_ENTITY = re.compile(r"&(?:amp|quot|apos|lt|gt|#39|#x27|#34);")
"""What becomes of a quotation mark or an ampersand on a way that takes text for a web page."""


def escaped_in(text: str) -> str:
    """The first HTML entity in an answer whose prompt has none; empty where it has none either."""
    found = _ENTITY.search(_as_meant(text))
    return found[0] if found else ""


def spoilt_in(text: str) -> str:
    """What an answer holds in place of the accented word, with what stands around it; empty where it is none."""
    text = _as_meant(text)
    for whole in (LETTERS, LETTERS_OF_THREE_BYTES):  # where it came as it is, whatever follows is none of it
        text = text.replace(whole, " ")
    found = _SPOILT.search(text)
    return text[max(0, found.start() - 10) : found.end() + 10] if found else ""


_TAG = re.compile(r"</(?:p|div|span|b|strong|em|li|ul|td|h\d|body|html)>", re.IGNORECASE)
"""What an HTML answer holds, and one that a gateway escaped for a web page does not."""


def _as_meant(text: str) -> str:
    """The text with what its form escapes undone: some models answer in HTML, or with an object of JSON."""
    if _TAG.search(text):
        return html.unescape(text)
    written = text[text.find("{") : text.rfind("}") + 1]
    if "\\" not in written:
        return text
    try:
        value = parse_json(written)
    except NotJson:
        return text
    return text.replace(written, json.dumps(value, ensure_ascii=False))


def mark(text: str, run_id: str, key: str | None) -> str:
    """The text with the code word behind it, for what is not asked to say it: an embedding's input, a prompt."""
    return f"{text} ({word_of(run_id, key)})"


def words_in(text: str) -> frozenset[str]:
    """The code words of any run and key in a text, in whatever case."""
    return frozenset(_FORM.findall(text.lower()))


def is_miscopied(word: str, sent: Iterable[str]) -> bool:
    """Whether a code word is most likely one of those that were sent, copied wrongly or changed on its way.

    One digit that is wrong leaves half of them as they were, in a row, which two words have in common hardly ever.
    """
    digits = word[_DIGITS_FROM:]
    runs = {digits[at : at + _ALIKE] for at in range(len(digits) - _ALIKE + 1)}
    return any(run in other[_DIGITS_FROM:] for other in sent for run in runs)


_DIGITS_FROM, _ALIKE = len("gtword"), 5


_NAMES = ("brelvik", "dorvan", "felmoro", "kestrin", "lumvara", "norvet", "quillam", "tarvexo")
"""Made up, so that no model guesses or translates them."""


def made_up_name(*parts: object) -> str:
    """A name that nobody can know who was not told: always the same of these parts."""
    digest = sha256(" ".join(map(str, parts)).encode()).hexdigest()
    return f"{_NAMES[int(digest[:8], 16) % len(_NAMES)]}-{digest[8:12]}"

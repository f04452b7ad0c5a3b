"""The scripted model: a small, deterministic language engine that answers from the messages alone.

It repeats what a message asks for word for word, recalls facts that a message stated, calls a tool that a message asks
for, and otherwise says that it does not know.
"""

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from gt_sandbox.sample import Sample


@dataclass(frozen=True, slots=True)
class Turn:
    """One message with its text put together. ``role`` is system, user, assistant or tool."""

    role: str
    text: str

    @property
    def tokens(self) -> int:
        """Its size: a word counts as a token."""
        return len(self.text.split())


# --- reading plain English: sentences, words, and the words that stand out

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


_READ = 256
"""So many texts are read once: prompts, documents and the turns of a conversation come again and again."""
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


@lru_cache(_READ)
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


_NAMES = re.compile(r"(?<=[a-z,:] )[A-ZÀ-ÖØ-ÞŁ][\w'-]*(?: [A-ZÀ-ÖØ-ÞŁ][\w'-]*)*")


def salient(text: str) -> list[str]:
    """What stands out, best first: quotations, codes, names, and at last the other words from the end on."""
    names: list[str] = []
    others: list[str] = []
    for sentence in sentences(text):
        words = _WORD.findall(sentence)
        others += [word for word in words if word.lower() not in STOP]
        names += _NAMES.findall(sentence)
    codes = [word for word in others if is_code(word)]
    return list(dict.fromkeys([*quoted(text), *codes, *names, *reversed(others)]))


# --- literal answers: what a message asks to be said word for word

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
_MOST_WORDS = 12


def literal(text: str) -> str | None:
    """``Reply with the word X``, ``say X``: X. ``None`` where the message asks for nothing of the kind."""
    return _requested_words(_CONDITIONAL.sub(" ", text))


def fallback(text: str) -> str | None:
    """``If you do not know, say X``, ``or X if you do not know``: X."""
    for condition in _CONDITIONAL.findall(text):
        found = _OR_IF.search(condition)
        wanted = found["rest"].strip("\"'`") if found else _requested_words(condition)
        if wanted:
            return wanted
    return None


def _requested_words(text: str) -> str | None:
    named = _AFTER_NOUN.search(text)
    found = named or _AFTER_VERB.search(text)
    if found is None:
        return None
    rest = found["rest"].strip()
    between = quoted(rest)
    if between and rest.index(between[0]) <= 1:
        return between[0]
    words = _TAIL.sub("", rest).strip("\"'`*: ").split()
    if not words or len(words) > _MOST_WORDS:
        return None
    first = words[0].lower()
    names_it = first not in (_NOT_AFTER_NOUN if named else _NOT_AFTER_VERB) and not first.endswith("ly")
    return " ".join(words) if names_it or words[1:2] == ["is"] else None


# --- facts: what a text states, and which of them a question is about

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
_LONGEST_TEXT = 50_000
_MOST_QUESTIONS = 5
_LONGEST_CLAUSE = 400


@dataclass(frozen=True, slots=True)
class Fact:
    """``the code word is ZEBRA``: about code and word, value ZEBRA. ``explicit`` where the text says to remember it."""

    about: frozenset[str]
    value: str
    explicit: bool


def facts(turns: Iterable[Turn]) -> list[Fact]:
    """What system, user and assistant have stated, the oldest first."""
    return [fact for turn in turns if turn.role != "tool" for fact in _read_facts(turn.text[-_LONGEST_TEXT:])]


def requests(text: str) -> str:
    """The sentences that neither state a fact nor ask to remember one."""
    kept = (part for part in sentences(text) if not _REMEMBER.search(part) and not any(_read_facts(part)))
    return " ".join(kept)


def recall(question: str, known: Sequence[Fact]) -> str | None:
    """The value of the fact that the question is about: most words in common, then the latest.

    A question that names nothing known but speaks of remembering gets the latest fact that it was asked to remember.
    """
    wanted = subject_words(_ONE_WORD.sub("", question))
    best = max(reversed(known), key=lambda fact: len(fact.about & wanted), default=None)
    if best and best.about & wanted:
        return best.value
    if _MEMORY.search(question):
        return next((fact.value for fact in reversed(known) if fact.explicit), None)
    return None


@lru_cache(_READ)
def _read_facts(text: str) -> tuple[Fact, ...]:
    return tuple(_iter_facts(text))


def _iter_facts(text: str) -> Iterator[Fact]:
    explicit = _REMEMBER.search(text) is not None
    for clause in (clause for sentence in sentences(text) for clause in _CLAUSE.split(sentence)):
        fact = (
            None if asks(clause) or _REQUEST.match(clause) else _parse_fact(clause[:_LONGEST_CLAUSE], explicit=explicit)
        )
        if fact:
            yield fact


def _parse_fact(clause: str, *, explicit: bool) -> Fact | None:
    found = _STATES.match(clause) or _LABELS.match(clause) or (_NAMED.match(clause) if explicit else None)
    if found:
        about, value = subject_words(found["about"]), _value(found["value"])
    else:
        value = next((word for word in (*quoted(clause), *_words(clause)) if explicit and _stands_out(word)), "")
        about = subject_words(clause.replace(value, " ")) if value else frozenset()
    return Fact(about, value, explicit) if value and (about or explicit) else None


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


_LEAST_IN_COMMON = 3


def relevant(texts: Iterable[str], question: str) -> list[str]:
    """Those of the texts that have enough words in common with the question, the best last."""
    wanted = subject_words(question)
    in_common = ((len(subject_words(text) & wanted), text) for text in texts)
    return [text for number, text in sorted(in_common) if number >= _LEAST_IN_COMMON]


# --- tools: what a caller offers, which one a message asks for, and the call that is made of it

_ASKS_FOR_TOOL = re.compile(r"\b(?:use|call|invoke|run)\b[^.!?]*\b(?:tools?|functions?)\b", re.IGNORECASE)
_QUOTATION = re.compile(r'"[^"\n]*\s[^"\n]*"')
"""Several words between double quotation marks: a quotation, not a request."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: a name that was offered, and arguments as JSON text."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{secrets.token_hex(12)}")

    def answer(self) -> dict[str, object]:
        """As it stands in a message."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True, slots=True)
class Tool:
    """One function on offer."""

    name: str
    description: str
    parameters: object

    def relevance(self, text: str) -> int:
        """How much the text asks for it; 0 where it does not.

        Agents describe a tool in pages, which share words with any text: the first sentence says what it is about.
        """
        wanted = subject_words(text)
        about = next(iter(sentences(self.description)), "")
        by_name = len(subject_words(self.name) & wanted)
        by_description = len(subject_words(about) & wanted)
        if self.name in text:
            return 100
        return 2 * by_name + by_description if by_name or by_description > 1 else 0

    def call(self, text: str) -> Call:
        """A call with arguments that fit its parameters, filled from the text."""
        made = Sample(self.parameters, salient(text)).value() if self.parameters else {}
        return Call(self.name, json.dumps(made if isinstance(made, dict) else {}, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of one request. ``mode`` is auto, none or required; a tool chosen by name is required and alone."""

    tools: tuple[Tool, ...] = ()
    mode: str = "auto"

    def forced(self, text: str) -> Call | None:
        """The call that must be made, whatever the text says."""
        if self.mode != "required":
            return None
        return max(self.tools, key=lambda tool: tool.relevance(text)).call(text)

    def asked(self, text: str) -> Call | None:
        """The call that the text asks for, if it does."""
        if self.mode == "none" or not self.tools:
            return None
        wanted = _QUOTATION.sub(" ", text)
        best = max(self.tools, key=lambda tool: tool.relevance(wanted))
        if best.relevance(wanted) or (len(self.tools) == 1 and _ASKS_FOR_TOOL.search(wanted)):
            return best.call(text)
        return None


# --- the answer

_HALF = 1_000
_TERSE = ("only", "just", "exactly", "nothing else")
_UNKNOWN = "I do not know, nobody has told me."
_ACKNOWLEDGED = "I will remember that."
_NOTHING_TO_SAY = "I am a small test model and can only repeat what I was told."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant says: a text, or calls and no text."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def reply(turns: Sequence[Turn], offer: Offer, schema: Mapping[str, object] | None = None) -> Reply:
    """The answer to the last turn. With a schema it is JSON that fits it."""
    last = turns[-1]
    asked = _shorten(next((turn.text for turn in reversed(turns) if turn.role == "user"), ""))
    forced = offer.forced(asked)
    if forced:
        return Reply(calls=(forced,))
    call = None if _tool_spoke_last(turns) else offer.asked(asked)
    if call:
        return Reply(calls=(call,))
    if schema is not None:
        return Reply(_answer_json(turns, asked, schema))
    return Reply(_repeat_tools(turns) if last.role == "tool" else _answer_text(turns, asked))


def _tool_spoke_last(turns: Sequence[Turn]) -> bool:
    """Whether a tool has answered since the assistant last said something: to call again would go on for ever.

    Some agents put a user message of their own behind what the tool answered.
    """
    said = max((at for at, turn in enumerate(turns) if turn.role == "assistant" and turn.text), default=-1)
    return any(turn.role == "tool" for turn in turns[said + 1 :])


def _shorten(text: str) -> str:
    """The text without runs of blanks, and only its beginning and end where it is long: that is where people ask."""
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    return lines if len(lines) <= 2 * _HALF else f"{lines[:_HALF]}\n{lines[-_HALF:]}"


def _repeat_tools(turns: Sequence[Turn]) -> str:
    """What the tools answered since the assistant last spoke."""
    spoken = max((at for at, turn in enumerate(turns) if turn.role != "tool"), default=-1)
    return "The tool answered: " + " ".join(turn.text for turn in turns[spoken + 1 :])


def _answer_json(turns: Sequence[Turn], asked: str, schema: Mapping[str, object]) -> str:
    known = recall(_questions(asked), facts(turns)) or literal(asked)
    hints = [known, *salient(asked)] if known else salient(asked)
    return json.dumps(Sample(schema, hints).value())


def _answer_text(turns: Sequence[Turn], asked: str) -> str:
    """In this order: what is known, what is to be said word for word, and at last what is not known."""
    questions, known = _questions(asked), facts(turns)
    value = _recall_each(questions, known)
    if value is None:
        wanted = literal(asked)
        if wanted:
            return wanted
        value = recall(requests(asked), known)
    if value is not None:
        return value if " is " in value or any(word in asked.lower() for word in _TERSE) else f"It is {value}."
    return fallback(asked) or _plain(asked, questions)


def _recall_each(questions: str, known: Sequence[Fact]) -> str | None:
    """What is known to several questions, each said once, and with its name where all have one; None if nothing is."""
    found: dict[str, str] = {}
    for question in sentences(questions)[:_MOST_QUESTIONS]:
        value = recall(question, known)
        if value:
            found.setdefault(value, question)
    named = [_NAMED_IN.search(question) for question in found.values()]
    if len(found) > 1 and all(named):
        return ", ".join(f"{name[0]} is {value}" for name, value in zip(named, found, strict=True) if name)
    return " and ".join(found) or None


_NAMED_IN = re.compile(r"the name of the \w+")


def _plain(asked: str, questions: str) -> str:
    if asked.strip(" .!?").lower() == "ping":
        return "pong"
    if questions:
        return _UNKNOWN
    stated = facts([Turn("user", asked)]) or "remember" in asked.lower()
    return _ACKNOWLEDGED if stated else _NOTHING_TO_SAY


def _questions(text: str) -> str:
    return " ".join(sentence for sentence in sentences(text) if asks(sentence))

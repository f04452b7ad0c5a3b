"""From text to a value and the place of each of its parts; from a slip in YAML to a sentence that says what to change.

Events rather than nodes, because composing nodes recurses in C: a line of 100,000 brackets ends the process. Here the
stack is a list, so depth is counted and refused. What can be passed over is, so that one reading finds every problem.

An unquoted word means what the core schema of YAML 1.2 says. PyYAML's own reading is that of YAML 1.1, where ``on`` and
``no`` are booleans, ``1:30`` is ninety and ``2026-11-22`` a date: each a surprise to whoever writes a runbook.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from gt_conformance.document._document import Place, Source
from gt_conformance.errors import Location, Problem
from gt_conformance.schema import MAX_DEPTH, format_path, plain, quote, quote_with_kind

MAX_EXPANSION = 10_000
"""How many values aliases may add. A few lines of nested aliases can stand for billions."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CHARACTERS = 100
"""How many characters of text weigh as much as one value."""

_YAML_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({None, "!", f"{_YAML_TAG}str"})
_PLAIN_TAGS = frozenset({None, "!", f"{_YAML_TAG}map", f"{_YAML_TAG}seq"})
_NO_NAME = "?"


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be made of a text. ``lost`` holds the paths of values that could not be read as they were meant."""

    value: object
    root: Place | None
    problems: tuple[Problem, ...]
    lost: frozenset[tuple[str | int, ...]]


def build(source: Source) -> Reading:
    """Read the text as one YAML document."""
    builder = _Builder(source)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two: PyYAML's own parser on odd escapes
        builder.problems.append(_explain_syntax(error, source))
        builder.root = None
    except _Stop:
        builder.root = None
    else:
        builder.check_root()
    root = builder.root
    value, place = (root.value, root.place) if root else (None, None)
    return Reading(value, place, tuple(builder.problems), frozenset(builder.lost))


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, writes text of several lines as such, and no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's
        del indentless
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(f"{_YAML_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def dump(value: object) -> str:
    """A plain value as YAML, for people and for programs that read version 1.1 or 1.2; keys stay in their order."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000))


class _Stop(Exception):
    """What follows is not worth reading, or not safe to."""


@dataclass(slots=True)
class _Node:
    """A value that is complete. ``weight`` counts the values in it, a long text as several; ``height`` its levels."""

    value: object
    place: Place
    weight: int
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A mapping or list that is still being read."""

    node: _Node
    anchor: str | None
    key: str | None = None
    """The key whose value comes next; None where the next thing is a key."""
    key_at: int = 0
    kept: bool = True
    """Whether the value that comes next has a place to go: not after a key that is unusable or there already."""

    @property
    def at_key(self) -> bool:
        """Whether a key comes next."""
        return self.key is None and isinstance(self.node.value, dict)

    @property
    def step(self) -> str | int:
        """The key or index of what comes next."""
        if isinstance(self.node.value, list):
            return len(self.node.value)
        return _NO_NAME if self.key is None else self.key


@dataclass(slots=True)
class _Builder:
    source: Source
    problems: list[Problem] = field(default_factory=list)
    lost: set[tuple[str | int, ...]] = field(default_factory=set)
    root: _Node | None = None
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Node | None] = field(default_factory=dict)
    """What each anchor names; None while it is still being read."""
    expansion: int = 0

    def take(self, event: yaml.Event) -> None:
        at = event.start_mark.index if event.start_mark else 0
        match event:
            case yaml.DocumentStartEvent() if self.root is not None:
                self._refuse(
                    at, "a second document starts here: a file holds one.", "Delete the line, or split the file."
                )
                raise _Stop
            case yaml.ScalarEvent():
                self._scalar(event, at)
            case yaml.AliasEvent():
                self._alias(event.anchor or "", at)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._start(event, at)
            case yaml.CollectionEndEvent():
                done = self.open.pop()
                self._deliver(done.node, done.anchor)
            case _:
                pass

    def check_root(self) -> None:
        """What was read must be keys and values."""
        if self.root is None:
            finding = "the file holds only comments." if self.source.text.strip() else "the file is empty."
            self.problems.append(Problem(finding, self.source.location(0)))
        elif not isinstance(self.root.value, dict):
            finding = f"the file must hold a mapping (keys and values), not {quote_with_kind(self.root.value)}."
            self._refuse(self.root.place.at, finding, None)

    def _scalar(self, event: yaml.ScalarEvent, at: int) -> None:
        value: object = event.value
        self._check_tag(event.tag, _TEXT_TAGS, at)
        if event.implicit[0]:
            try:
                value = _resolve(event.value)
            except ValueError:
                self._lose(at, "this number is too long to be one.", "If it is text, put it in quotes.")
        self._deliver(_Node(value, Place(at, at), 1 + len(event.value) // _CHARACTERS), event.anchor)

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, at: int) -> None:
        if len(self.open) == MAX_DEPTH:
            self._too_deep(at)
        value: object = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        self._check_tag(event.tag, _PLAIN_TAGS, at)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.open.append(_Open(_Node(value, Place(at, at), 1, 1), event.anchor))

    def _alias(self, name: str, at: int) -> None:
        named = self.anchors.get(name)
        if named is None:
            if name in self.anchors:
                self._lose(at, f"the alias {quote('*' + name)} refers to a value that contains the same alias.", None)
            else:
                hint = "Put text that starts with * in quotes."
                self._lose(at, f"the alias {quote('*' + name)} has no anchor {quote('&' + name)} before it.", hint)
            self._deliver(_Node(None, Place(at, at), 1), None)
            return
        self.expansion += named.weight
        if self.expansion > MAX_EXPANSION:
            self._refuse(at, f"aliases expand to more than {MAX_EXPANSION:,} values.", "Write out the values instead.")
            raise _Stop
        if len(self.open) + named.height > MAX_DEPTH:
            self._too_deep(at)
        copy = _Node(_copied(named.value), Place(at, at, named.place.inner), named.weight, named.height)
        self._deliver(copy, None)

    def _deliver(self, node: _Node, anchor: str | None) -> None:
        """Put a value that is complete where it belongs: the next thing of what is open."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        top = self.open[-1]
        top.node.weight += node.weight
        top.node.height = max(top.node.height, node.height + 1)
        if top.at_key:
            self._take_key(top, node)
            return
        node.place.key_at = node.place.at
        if isinstance(top.node.value, list):
            top.node.place.inner[top.step] = node.place
            top.node.value.append(node.value)
        elif isinstance(top.node.value, dict):
            if top.kept:
                node.place.key_at = top.key_at
                top.node.place.inner[top.step] = node.place
                top.node.value[top.step] = node.value
            top.key = None

    def _take_key(self, top: _Open, node: _Node) -> None:
        at, key = node.place.at, node.value
        top.kept = False
        if not isinstance(key, str):
            self._refuse(at, f"a key must be text, not {quote_with_kind(key)}.", "Put it in quotes.")
        elif key == "<<":
            self._refuse(at, "merge keys (<<) are not read here.", "Write out the keys that belong here.")
        elif (first := top.node.place.inner.get(key)) is not None:
            lines = f"line {self.source.location(first.key_at).line} and again in line {self.source.location(at).line}"
            self._refuse(at, f"duplicate key {quote(key)}: it is in {lines}.", "Keep one.")
        else:
            top.kept = True
        top.key, top.key_at = (key if isinstance(key, str) else _NO_NAME), at

    def _check_tag(self, tag: str | None, plain: frozenset[str | None], at: int) -> None:
        if tag not in plain:
            name = (tag or "").replace(_YAML_TAG, "!!")
            self._lose(
                at, f"the tag {quote(name)} is not read here.", "Delete it; put text that starts with ! in quotes."
            )

    def _too_deep(self, at: int) -> None:
        self._refuse(at, f"nested too deeply: at most {MAX_DEPTH} levels are read.", None)
        raise _Stop

    def _lose(self, at: int, finding: str, hint: str | None) -> None:
        """Like :meth:`_refuse`, where the value that comes next is not what was meant."""
        self._refuse(at, finding, hint)
        self.lost.add(self._path())

    def _refuse(self, at: int, finding: str, hint: str | None) -> None:
        self.problems.append(Problem(finding, self.source.location(at), format_path(self._path()) or None, hint))

    def _path(self) -> tuple[str | int, ...]:
        """The path of what comes next: of the mapping, where that is a key."""
        path = tuple(one.step for one in self.open)
        return path[:-1] if self.open and self.open[-1].at_key else path


def _copied(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


# -- unquoted words

MAX_DIGITS = 300
"""A longer number converts to no float, and Python refuses to read one of more than 4,300 digits."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _resolve(word: str) -> str | int | float | bool | None:
    """The value of an unquoted word. Raises ValueError for a number too long to be one."""
    if word in _NULL:
        return None
    if word in _BOOLEAN:
        return _BOOLEAN[word]
    return _number(word) if word[0] in "+-.0123456789" else word


def _number(word: str) -> str | int | float:
    if _INTEGER.fullmatch(word):
        if len(word) > MAX_DIGITS:
            raise ValueError
        return int(word, 0 if word[1:2] in {"o", "x"} else 10)
    if _FLOAT.fullmatch(word):
        return float(word)
    return float(word.replace(".", "")) if _NO_NUMBER.fullmatch(word) else word


# -- what YAML's parser complains about
#
# The parser's own sentences name its tokens ("did not find expected '-' indicator"), at the place where it gave up.
# What the author needs is the slip, where it was made. libyaml and PyYAML word things differently; both are matched.


@dataclass(frozen=True, slots=True)
class _Slip:
    """One kind of slip: by what the parser says, what to say instead.

    ``{here}`` is the character at fault, ``{line}`` the line in which the parser gave up and ``{start}`` the one where
    the part began that it was reading. ``at_start``: the slip is where that part began.
    """

    pattern: str
    finding: str
    hint: str
    at_start: bool = False


_SLIPS = (
    _Slip(
        "scanning an? (alias|anchor)",
        "* starts an alias and & an anchor, which need a name.",
        "Put text that starts with * or & in quotes.",
        at_start=True,
    ),
    _Slip(
        "found unexpected end of stream", "this quote is never closed.", "Close it with the same quote.", at_start=True
    ),
    _Slip(
        "found unexpected document",
        "this quote is not closed before the line that ends the document.",
        "Close it with the same quote.",
        at_start=True,
    ),
    _Slip(
        "escape",
        "this is not a valid escape in double-quoted text.",
        r"Write \\ for a backslash, or use single quotes.",
    ),
    _Slip(
        "expected hexdecimal",
        "this is not a valid escape in double-quoted text.",
        r"Write \\ for a backslash, or use single quotes.",
    ),
    _Slip("cannot start any token", "text cannot start with {here}.", "Put it in quotes."),
    _Slip(
        "could not find expected ':'",
        "this line has no ': ' after a key.",
        "Write it as key: value, or indent it where it belongs to the text above.",
        at_start=True,
    ),
    _Slip(
        "mapping values are not allowed",
        "a ':' is not allowed here.",
        "Put text that holds ': ' in quotes, or check the indentation of this line.",
    ),
    _Slip(
        "mapping keys are not allowed",
        "a '? ' is not allowed here: YAML starts a long key with it.",
        "Put text that starts with ? in quotes.",
    ),
    _Slip(
        "found unexpected ':'", "a space is missing here, next to the ':'.", "Write {key: value}, or put it in quotes."
    ),
    _Slip(
        "sequence entries are not allowed",
        "a list item ('- ') is not allowed here.",
        "Start the list on a line of its own, below its key.",
    ),
    _Slip(
        "expected ',' or ']'",
        "the list that opens here is not closed.",
        "A ',' or ']' is missing by line {line}.",
        at_start=True,
    ),
    _Slip(
        "expected ',' or '}'",
        "the mapping that opens here is not closed.",
        "A ',' or '}' is missing by line {line}.",
        at_start=True,
    ),
    _Slip(
        "<block end>|expected key|expected '-'",
        "this line does not fit those above it.",
        "It is read as part of what starts in line {start}: check the indentation, and quotes that close too early.",
    ),
    _Slip("<document start>", "this line does not fit those above it.", "Check its indentation."),
    _Slip("block scalar", "only a comment can follow | or > in its line.", "Start the text in the next line."),
    _Slip("tag", "tags (words that start with !) are not read here.", "Put text that starts with ! in quotes."),
    _Slip(
        "node content", "a value is missing here, or it must be in quotes.", "Text cannot start with [ ] { } , or %."
    ),
    _Slip(
        "directive|incompatible",
        "lines that start with % are YAML directives, and this one is not supported.",
        "Put text that starts with % in quotes.",
    ),
)


def _explain_syntax(error: Exception, source: Source) -> Problem:
    """The problem that the parser's error stands for."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(f"this is not YAML: {plain(str(error))}.", where=Location(source.file))
    end = error.problem_mark.index if error.problem_mark else 0
    start = error.context_mark.index if error.context_mark else end
    message = f"{error.context or ''}: {error.problem or ''}"
    tab = re.compile(r"[ ]*\t").match(source.text, source.line_start(end))
    if tab and "quoted" not in message:
        finding = "a tab is used for indentation: YAML takes spaces only."
        return Problem(finding, where=source.location(tab.end() - 1))
    for slip in _SLIPS:
        if re.search(slip.pattern, message):
            here = source.text[end : end + 1]
            facts = {
                "{here}": quote(here),
                "{line}": str(source.location(end).line),
                "{start}": str(source.location(start).line),
            }
            return Problem(
                _filled(slip.finding, facts),
                where=source.location(start if slip.at_start else end),
                hint=_filled(slip.hint, facts),
            )
    return Problem(f"this is not YAML: {plain(message.strip(': '))}.", where=source.location(end))


def _filled(sentence: str, facts: dict[str, str]) -> str:
    for name, fact in facts.items():
        sentence = sentence.replace(name, fact)
    return sentence

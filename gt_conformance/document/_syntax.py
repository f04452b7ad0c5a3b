"""What YAML's parser complains about, in words that say what to change.

The parser's own sentences name its tokens ("did not find expected '-' indicator"), at the place where it gave up. What
the author needs is the slip, where it was made. libyaml and PyYAML's own parser word things differently; both are met.
"""

import re
from dataclasses import dataclass

import yaml

from gt_conformance.document._source import Source
from gt_conformance.errors import Location, Problem
from gt_conformance.schema import plain, shown


@dataclass(frozen=True, slots=True)
class _Slip:
    """One kind of slip: by what the parser says, what to say instead.

    ``{here}`` is the character at fault, ``{line}`` the line in which the parser gave up and ``{start}`` the one where
    the part began that it was reading. ``at_start``: the slip is where that part began.
    """

    said: str
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
        "this is no escape that text in double quotes knows.",
        r"Write \\ for a backslash, or use single quotes.",
    ),
    _Slip(
        "expected hexdecimal",
        "this is no escape that text in double quotes knows.",
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
        "a ':' cannot stand here.",
        "Put text that holds ': ' in quotes, or check the indentation of this line.",
    ),
    _Slip(
        "mapping keys are not allowed",
        "a '? ' cannot stand here: YAML starts a long key with it.",
        "Put text that starts with ? in quotes.",
    ),
    _Slip(
        "found unexpected ':'", "a space is missing here, beside the ':'.", "Write {key: value}, or put it in quotes."
    ),
    _Slip(
        "sequence entries are not allowed",
        "a list item ('- ') cannot stand here.",
        "Start the list in a line of its own, below its key.",
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
        "lines that start with % speak to YAML itself, and this one is not understood.",
        "Put text that starts with % in quotes.",
    ),
)


def explained(error: Exception, source: Source) -> Problem:
    """The problem that the parser's error stands for."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(f"this is not YAML: {plain(str(error))}.", where=Location(source.file))
    end = error.problem_mark.index if error.problem_mark else 0
    start = error.context_mark.index if error.context_mark else end
    said = f"{error.context or ''}: {error.problem or ''}"
    tab = re.compile(r"[ ]*\t").match(source.text, source.line_start(end))
    if tab and "quoted" not in said:
        finding = "a tab is used for indentation: YAML takes spaces only."
        return Problem(finding, where=source.location(tab.end() - 1))
    for slip in _SLIPS:
        if re.search(slip.said, said):
            here = source.text[end : end + 1]
            facts = {
                "{here}": shown(here),
                "{line}": str(source.location(end).line),
                "{start}": str(source.location(start).line),
            }
            return Problem(
                _filled(slip.finding, facts),
                where=source.location(start if slip.at_start else end),
                hint=_filled(slip.hint, facts),
            )
    return Problem(f"this is not YAML: {plain(said.strip(': '))}.", where=source.location(end))


def _filled(sentence: str, facts: dict[str, str]) -> str:
    for name, fact in facts.items():
        sentence = sentence.replace(name, fact)
    return sentence

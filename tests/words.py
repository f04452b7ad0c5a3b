"""The words that messages and documents do not use (tests/words.toml): ``python -m tests.words`` names each place."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeGuard

HERE = Path(__file__).parent.parent
LISTS: Mapping[str, Mapping[str, str]] = tomllib.loads((HERE / "tests" / "words.toml").read_text(encoding="utf-8"))
GENERATED = {"clauses.md", "kill-matrix.md", "mutation.md"}
"""Documents that are written from names and claims, which are held to the list where they come from."""


@cache
def _patterns(name: str) -> list[tuple[re.Pattern[str], str]]:
    """Each pattern of a list with what to write instead. "There is no row" is fine, "this is no row" is not."""
    words = LISTS[name].items()
    return [(re.compile(rf"(?<!there )\b(?:{pattern})\b", re.IGNORECASE), instead) for pattern, instead in words]


def slips(text: str, *lists: str) -> list[tuple[str, str]]:
    """The words of these lists, of all of them where none is named, that the text uses; with what to write instead."""
    known = [pair for name in lists or LISTS for pair in _patterns(name)]
    found = [
        (match.start(), match[0].strip(), instead) for pattern, instead in known for match in pattern.finditer(text)
    ]
    return [(word, instead) for _, word, instead in sorted(found)]


def _is_command(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    """Whether its docstring is what --help shows."""
    return isinstance(node, ast.FunctionDef) and any(
        re.search(r"\b(?:command|group)\b", ast.unparse(one)) for one in node.decorator_list
    )


def messages(source: str) -> Iterator[tuple[int, str]]:
    """The texts in a module, with their lines. A single word is an id; a docstring is a message in a command only."""
    tree = ast.parse(source)
    bodies = [body for node in ast.walk(tree) if isinstance(body := getattr(node, "body", None), list)]
    documentation = {id(one.value) for body in bodies for one in body if isinstance(one, ast.Expr)}
    shown = {id(one.body[0].value) for one in ast.walk(tree) if _is_command(one) and isinstance(one.body[0], ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text.strip() and (
                id(node) not in documentation or id(node) in shown
            ):
                yield node.lineno, text


def places() -> Iterator[str]:
    """Every place where a word of a list is used, with the word and what to write instead."""
    for package in ("gt_conformance", "gt_sandbox", "prove"):
        lists = [*LISTS] if package == "gt_conformance" else ["everywhere"]
        for path in sorted((HERE / package).rglob("*.py")):
            if path.name == "scripted_model.py":  # what the embedded tenant's model answers is no message
                continue
            for line, text in messages(path.read_text("utf-8")):
                yield from (f"{path.relative_to(HERE)}:{line}: {word}: {new}" for word, new in slips(text, *lists))
    for path in documents():
        lists = ["everywhere"] if path.name in {"CHANGELOG.md", "ARCHITECTURE.md", "decisions.md"} else [*LISTS]
        for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield from (f"{path.relative_to(HERE)}:{number}: {word}: {new}" for word, new in slips(text, *lists))


def documents() -> list[Path]:
    """What people read: documents, schemas, templates of reports, and what they copy for CI."""
    found = [*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md"), HERE / "clients" / "README.md"]
    found += [*(HERE / "schemas").rglob("*.json"), *(HERE / "gt_conformance").rglob("*.j2")]
    found += [*(HERE / "docs").rglob("*.yml"), *(HERE / "templates").glob("*.yml"), *(HERE / "samples").glob("*.yaml")]
    found += [HERE / name for name in ("action.yml", "Containerfile", "Makefile")]
    return sorted(path for path in found if path.name not in GENERATED)


def main() -> None:
    """Name each place, and fail where there is one."""
    found = list(places())
    for place in found:
        print(place)  # noqa: T201 - a linter
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

"""YAML, read in one place: plain values whose every part knows its line.

:func:`read` and :func:`read_all` give documents, or raise one InputError that names every problem of every file, each
at its line and column. What is read is the core of YAML 1.2, without tags and merge keys: ``on``, ``yes`` and dates are
text. A hostile file costs no more than its size: at most 1 MiB, 100 levels, and aliases that stay small.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gt_conformance import schema as schemas
from gt_conformance.document._document import (
    MAX_BYTES,
    Document,
    Source,
    decode,
    explain_errors,
    limit_problems,
    read_bytes,
)
from gt_conformance.document._json import locate_in_json
from gt_conformance.document._yaml import build, dump
from gt_conformance.errors import InputError, Problem

__all__ = [
    "Document",
    "Source",
    "changed",
    "dump",
    "limit_problems",
    "locate_in_json",
    "read",
    "read_all",
    "read_text",
]


def read(path: Path, *, schema: str | None) -> Document:
    """The document of a file, held against the schema of that name; None holds it against none.

    Raises InputError with every problem of the file, by line; of more than 40, the first and how many more there are.
    """
    found = read_bytes(path)
    source, problems = decode(found, path)
    made = build(source)
    problems += made.problems
    document = None
    if made.root is not None and isinstance(made.value, dict):
        document = Document(path, made.value, hashlib.sha256(found).hexdigest(), source, made.root)
        errors = schemas.load(schema).errors(document.value) if schema is not None else ()
        problems += explain_errors(errors, document, made.lost)
    if problems or document is None:
        raise InputError(limit_problems(problems, path))
    return document


def changed(document: Document, value: dict[str, Any], *, schema: str) -> Document:
    """The document with another value, whose parts are where they were. Raises InputError where it does not fit."""
    found = replace(document, value=value)
    problems = list(explain_errors(schemas.load(schema).errors(value), found, ()))
    if problems:
        raise InputError(limit_problems(problems, document.path))
    return found


def read_text(path: Path, most: int = MAX_BYTES) -> Source:
    """The text of a file in another form than YAML, which knows its places. Raises InputError as ``read`` does.

    Spreadsheets and editors of Windows put a byte-order mark before CSV and TOML: it is left out.
    """
    source, _ = decode(read_bytes(path, most), path)
    return source


def read_all(paths: Iterable[Path], *, schema: str | None) -> list[Document]:
    """The documents of the files, in their order. Raises one InputError with every problem of all of them."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            documents.append(read(path, schema=schema))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return documents

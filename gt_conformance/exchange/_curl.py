"""The ``curl`` line that repeats a request, with the key in a variable."""

import shlex

from gt_conformance.exchange._request import FilePart, Presentation, Request

MADE_UP_KEY = "a-key-that-does-not-exist"
"""Stands for a key that no tenant knows; it has not the look of one, which redaction would mask."""


def variable(key: str) -> str:
    """The shell variable that stands for a key: ``$GT_KEY_CHAT`` for ``chat``."""
    return "$GT_KEY_" + "".join(char if char.isalnum() else "_" for char in key.upper())


def as_curl(request: Request) -> str:
    """A command for a POSIX shell. Bodies of files are named, not inlined; the key is never in it."""
    words = ["curl", "-sS", "-i"]
    if request.method != "GET":
        words += ["-X", request.method]
    url = shlex.quote(request.url)
    if request.key is not None or request.presentation is Presentation.MADE_UP:
        place = variable(request.key) if request.key is not None else MADE_UP_KEY
        if request.presentation in {Presentation.BEARER, Presentation.MADE_UP}:
            words += ["-H", f'"Authorization: Bearer {place}"']
        elif request.presentation is Presentation.WITHOUT_SCHEME:
            words += ["-H", f'"Authorization: {place}"']
        elif request.presentation is Presentation.BASIC:
            words += ["-u", f'"{place}:"']
        elif request.presentation is Presentation.QUERY:
            url += f'"{"&" if "?" in request.url else "?"}api_key={place}"'
    for name, value in request.headers:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    for part in request.parts:
        words += _form(part)
    if request.body:
        words += ["--data-raw", shlex.quote(request.body.decode("utf-8", errors="replace"))]
    words.append(url)
    return " ".join(words)


def _form(part: FilePart) -> list[str]:
    if part.filename is not None:
        return ["-F", shlex.quote(f"{part.name}=@{part.filename}")]
    # With -F a value that begins with @ or < would be read as the name of a file.
    return ["--form-string", shlex.quote(f"{part.name}={part.content.decode('utf-8', errors='replace')}")]

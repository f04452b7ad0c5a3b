"""The ``curl`` line that repeats a request, with the key in a variable."""

import shlex

from gt_conformance.exchange._request import Presentation, Request


def variable(key: str) -> str:
    """The shell variable that stands for a key: ``$GT_KEY_CHAT`` for ``chat``."""
    return "$GT_KEY_" + "".join(char if char.isalnum() else "_" for char in key.upper())


def as_curl(request: Request) -> str:
    """A command for a POSIX shell. Bodies of files are named, not inlined; the key is never in it."""
    words = ["curl", "-sS", "-i"]
    if request.method != "GET":
        words += ["-X", request.method]
    url = request.url
    if request.key is not None or request.presentation is Presentation.MADE_UP:
        place = variable(request.key) if request.key is not None else "gtak_made_up"
        if request.presentation in {Presentation.BEARER, Presentation.MADE_UP}:
            words += ["-H", f'"Authorization: Bearer {place}"']
        elif request.presentation is Presentation.WITHOUT_SCHEME:
            words += ["-H", f'"Authorization: {place}"']
        elif request.presentation is Presentation.BASIC:
            words += ["-u", f'"{place}:"']
        elif request.presentation is Presentation.QUERY:
            url += ("&" if "?" in url else "?") + "api_key=" + place
    for name, value in request.headers:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    for part in request.parts:
        words += ["-F", shlex.quote(_form(part.name, part.filename, part.content))]
    if request.body:
        words += ["--data-raw", shlex.quote(request.body.decode("utf-8", errors="replace"))]
    words.append(f'"{url}"' if request.presentation is Presentation.QUERY else shlex.quote(url))
    return " ".join(words)


def _form(name: str, filename: str | None, content: bytes) -> str:
    if filename is not None:
        return f"{name}=@{filename}"
    return f"{name}={content.decode('utf-8', errors='replace')}"

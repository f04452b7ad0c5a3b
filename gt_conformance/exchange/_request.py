"""A request as a frozen value: what is sent, and with which key, but never the key itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit


class Presentation(StrEnum):
    """How the key is shown to the tenant. Only ``bearer`` is lawful; the others must be refused."""

    BEARER = "bearer"
    NONE = "none"
    MADE_UP = "made_up"
    WITHOUT_SCHEME = "without_scheme"
    BASIC = "basic"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class FilePart:
    """One part of a multipart form; without a file name it is a plain field."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. ``key`` names a secret of the tenant; the lab puts it in as ``presentation`` says.

    Two equal requests are the same request: the lab sends it once. ``creates`` marks one whose success leaves something
    behind: it is not tried again once it may have arrived. ``left_out`` counts the bytes of a body that were sent and
    are not kept: of what a client sends through the proxy, only the beginning is.
    """

    method: str
    url: str
    key: str | None
    presentation: Presentation = Presentation.BEARER
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    parts: tuple[FilePart, ...] = ()
    creates: bool = False
    left_out: int = 0

    @classmethod
    def of_json(
        cls,
        method: str,
        url: str,
        key: str | None,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        creates: bool = False,
    ) -> Self:
        """A request with a JSON body."""
        return cls(
            method,
            url,
            key,
            headers=(("Content-Type", "application/json"), *(headers or {}).items()),
            # A lone surrogate, which a tenant may have put into what is sent back to it, stays the escape it came as.
            body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace"),
            creates=creates,
        )

    @property
    def path(self) -> str:
        """The path of the URL."""
        return urlsplit(self.url).path

    @property
    def size(self) -> int:
        """Bytes of the body, before multipart framing."""
        return len(self.body) + sum(len(part.content) for part in self.parts) + self.left_out

"""What a client puts on the wire: the shape in which native rows are probed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class ChatProfile:
    """How a client asks for a chat. The defaults are a plain client: the shape of an unmeasured product."""

    stream: str = "both"
    stream_usage: str = "never"
    token_limit: str = "none"
    token_limit_value: int | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    tools: bool = False
    message_forms: bool = False
    structured_output: bool = False
    sse: str = "tolerant"
    load: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From the ``chat`` mapping of a runbook file that holds to its schema."""
        plain = {key: item for key, item in value.items() if key not in {"fields", "load"}}
        return cls(
            **plain,
            fields=tuple(sorted(value.get("fields", {}).items())),
            load=tuple(sorted(value.get("load", {}).items())),
        )


@dataclass(frozen=True, slots=True)
class EmbeddingsProfile:
    """How a client asks for embeddings."""

    encoding_format: str = "none"
    input: str = "strings"
    batch: bool = True


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """One measured client: a package at a version, or a plain client where nothing was measured."""

    package: str = "unmeasured"
    version: str = ""
    how: str = "unmeasured"
    on: str = ""
    joins: str = "verbatim"
    default_surface: str = "/chat/completions"
    chat: ChatProfile = field(default_factory=ChatProfile)
    embeddings: EmbeddingsProfile | None = None
    discovery: tuple[str, ...] = ()
    gotchas: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From one entry of ``wire.clients``."""
        embeddings = value.get("embeddings")
        return cls(
            package=value["package"],
            version=value["version"],
            how=value["how"],
            on=value["on"],
            joins=value["joins"],
            default_surface=value["default_surface"],
            chat=ChatProfile.of(value["chat"]),
            embeddings=EmbeddingsProfile(**embeddings) if embeddings else None,
            discovery=tuple(value.get("discovery", ())),
            gotchas=tuple(value.get("gotchas", ())),
        )

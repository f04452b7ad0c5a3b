"""A runbook file as a frozen value: one client product, and what its clients put on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from gt_conformance.document import Document
from gt_conformance.vocabulary import Fact, Part, Route, Verdict

# -- the shapes in which native rows are probed


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
    needs: tuple[str, ...] = ()
    load: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From the ``chat`` mapping of a runbook file that holds to its schema."""
        plain = {key: item for key, item in value.items() if key not in {"fields", "load", "needs"}}
        return cls(
            **plain,
            needs=tuple(value.get("needs", ())),
            fields=tuple(sorted(value.get("fields", {}).items())),
            load=tuple(sorted(value.get("load", {}).items())),
        )


@dataclass(frozen=True, slots=True)
class EmbeddingsProfile:
    """How a client asks for embeddings."""

    encoding_format: str = "none"
    input: str = "strings"
    batch: bool = True
    string: bool = False
    fields: tuple[tuple[str, Any], ...] = ()
    needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From the ``embeddings`` mapping of a runbook file that holds to its schema."""
        lists = {"needs": tuple(value.get("needs", ())), "fields": tuple(sorted(value.get("fields", {}).items()))}
        return cls(**{**value, **lists})


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """One measured client: a package at a version, or a plain client where nothing was measured."""

    package: str = "unmeasured"
    version: str = ""
    how: str = "unmeasured"
    on: str = ""
    joins: str = "verbatim"
    default_surface: str = "/chat/completions"
    headers: tuple[tuple[str, str], ...] = ()
    chat: ChatProfile = field(default_factory=ChatProfile)
    embeddings: EmbeddingsProfile | None = None
    discovery: tuple[str, ...] = ()
    misled_by: tuple[str, ...] = ()
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
            headers=tuple(sorted(value.get("headers", {}).items())),
            chat=ChatProfile.of(value["chat"]),
            embeddings=EmbeddingsProfile.of(embeddings) if embeddings else None,
            discovery=tuple(value.get("discovery", ())),
            misled_by=tuple(value.get("misled_by", ())),
            gotchas=tuple(value.get("gotchas", ())),
        )


PLAIN_CLIENT = ClientProfile()
"""The shape of a product that nobody measured."""


# -- the file


@dataclass(frozen=True, slots=True)
class ConfigurationField:
    """A setting of the product and what goes into it."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Step:
    """One explicit HTTP request of a gt_extension row."""

    send: str
    credential: str
    headers: tuple[tuple[str, str], ...]
    result: str
    body: str | None = None
    poll: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Runbook x route: the promise that is verified."""

    runbook: str
    route: Route
    verdict: Verdict
    integration: str
    instead: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def id(self) -> str:
        """``dify-chat-native``: the pytest id and the id in every report."""
        return f"{self.runbook}-{self.route.value}-{self.verdict.value}"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One of the three validation items; ``number`` counts from 1.

    It rests on the whole rows of the routes that it speaks of and on further ``checks``; ``asks`` is whom it asks.
    """

    runbook: str
    number: int
    text: str
    checks: tuple[str, ...]
    optional: bool = False
    asks: tuple[Part, ...] = (Part.TENANT,)
    rests_on: tuple[Route, ...] = ()
    source: str = ""
    """Its place: the page with its edition, the section, the number."""

    @property
    def id(self) -> str:
        """``dify-item-2``: the pytest id and the id in every report."""
        return f"{self.runbook}-item-{self.number}"


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """What must be in place first, and what a run can know of it."""

    text: str
    known_by: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """Where a measured fact contradicts what is documented."""

    id: str
    documented: str
    measured: str
    remedy: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Runbook:
    """One client product. ``digest`` is the SHA-256 of the file's bytes: attestations are bound to it."""

    document: Document
    id: str
    title: str
    category: str
    compatibility: str
    key_preset: str
    evidence: str
    source: str
    summary: str
    docs: tuple[str, ...]
    base_url: str
    configuration: tuple[ConfigurationField, ...]
    rows: tuple[Row, ...]
    not_supported: tuple[str, ...]
    prerequisites: tuple[Prerequisite, ...]
    setup: tuple[str, ...]
    caveats: tuple[str, ...]
    checklist: tuple[ChecklistItem, ...]
    known_issues: tuple[KnownIssue, ...]
    unmeasured: str | None
    measured_clients: tuple[ClientProfile, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return self.document.text_digest

    @cached_property
    def clients(self) -> tuple[ClientProfile, ...]:
        """The shapes in which its native rows are probed: as measured, or one plain client."""
        return self.measured_clients or (PLAIN_CLIENT,)

    def row(self, route: Route) -> Row:
        """The row of that route; every runbook has all nine."""
        return next(row for row in self.rows if row.route is route)

    def native_routes(self) -> tuple[Route, ...]:
        """The routes that the stock client must reach."""
        return tuple(row.route for row in self.rows if row.verdict is Verdict.NATIVE)

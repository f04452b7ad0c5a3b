"""The frozen value that a runbook file becomes."""

from dataclasses import dataclass
from functools import cached_property

from gt_conformance.document import Document
from gt_conformance.runbook._wire import ClientProfile
from gt_conformance.vocabulary import Route, Verdict

PLAIN_CLIENT = ClientProfile()


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
    """One of the three validation items; ``number`` counts from 1."""

    runbook: str
    number: int
    text: str
    checks: tuple[str, ...]
    optional: bool = False

    @property
    def id(self) -> str:
        """``dify-item-2``: the pytest id and the id in every report."""
        return f"{self.runbook}-item-{self.number}"


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """What must be in place first, and what a run can know of it."""

    text: str
    known_by: tuple[str, ...] = ()


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

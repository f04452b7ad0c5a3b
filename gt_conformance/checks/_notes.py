"""What one check notes of a tenant, in the order in which it meets it.

A violation must hold and does not; a blocker is a part that could not be tested; an advisory is a deviation that no
client minds.
"""

from dataclasses import dataclass, replace

from gt_conformance.checks._check import Check
from gt_conformance.checks._wording import finding_of
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import Actor, RemarkKind, Severity


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must hold and does not: what was expected, what came, which exchange proves it.

    ``at`` is the place in the body (``choices[].message.role``), ``finding`` the id of the finding that it belongs to:
    violations of one cause are one finding, whichever checks meet it. ``acts`` and ``severity`` are the check's own
    where they are left out.
    """

    expected: str
    found: str
    exchange: str | None = None
    remedy: str | None = None
    finding: str = ""
    at: str = ""
    acts: Actor | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Advisory:
    """A deviation from OpenAI's published shape where no client minds."""

    text: str
    exchange: str | None = None
    at: str = ""
    """The schema and the place in it (``models:data[].object``), where it is about one."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that breaks nothing, strictly judged or not, and that the reader should know."""

    kind: RemarkKind
    text: str
    exchange: str | None = None


class StopCheck(Exception):
    """Ends a check whose next step makes no sense; what it recorded stays. Never leaves the runner."""


class Notes:
    """What a check has noted so far; whoever carries it out adds to it."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.violations: list[Violation] = []
        self.advisories: list[Advisory] = []
        self.remarks: list[Remark] = []
        self.blockers: list[Blocker] = []

    def must(
        self,
        holds: object,
        expected: str,
        found: str,
        exchange: Exchange | None = None,
        *,
        remedy: str | None = None,
        cause: str = "",
    ) -> bool:
        """Record a violation unless it holds. Returns whether it held."""
        if not holds:
            self.fail(expected, found, exchange, remedy=remedy, cause=cause)
        return bool(holds)

    def fail(  # noqa: PLR0913 - what a violation is made of, each by its name
        self,
        expected: str,
        found: str,
        exchange: Exchange | None = None,
        *,
        remedy: str | None = None,
        cause: str = "",
        at: str = "",
        acts: Actor | None = None,
        severity: Severity | None = None,
    ) -> None:
        """Record a violation: something that must hold and does not.

        ``cause`` tells it from the check's other findings; left out, the remedy does. With a colon in it
        (``shape:chat-completion:choices``) it is shared: other checks that meet the same cause add to the same finding.
        In a check that only advises it is an advisory.
        """
        if self.check.only_advises:
            self.advise(f"{expected}: {found}", exchange, at=at)
            return
        finding = finding_of(self.check.id, cause or remedy or self.check.remedy, shared=":" in cause)
        ref = exchange.ref if exchange else None
        self.violations.append(Violation(expected, found, ref, remedy, finding, at, acts, severity))

    def should(self, holds: object, text: str, exchange: Exchange | None = None) -> None:
        """Record an advisory unless it holds."""
        if not holds:
            self.advise(text, exchange)

    def advise(self, text: str, exchange: Exchange | None = None, *, at: str = "") -> None:
        """Record a deviation that no client minds; the same place in a schema, or else the same text, once."""
        if (at or text) not in {item.at or item.text for item in self.advisories}:
            self.advisories.append(Advisory(text, exchange.ref if exchange else None, at))

    def remark(self, kind: RemarkKind, text: str, exchange: Exchange | None = None) -> None:
        """Record what breaks nothing and should be known."""
        self.remarks.append(Remark(kind, text, exchange.ref if exchange else None))

    def block(
        self,
        reason: str,
        remedy: str,
        *,
        acts: Actor = Actor.SETUP,
        cause: str = "",
        because: str = "",
        exchange: Exchange | None = None,
    ) -> None:
        """Record a part that could not be tested: without a violation the check is then blocked, never green.

        ``exchange`` is the refusal that says too little: where a key with every right gets the same, the end of the run
        finds that this is the cause.
        """
        ref = exchange.ref if exchange is not None else ""
        self.block_by(Blocker(reason, remedy, acts, cause, because, exchange=ref))

    def block_by(self, blocker: Blocker) -> None:
        """The same, with a blocker that is known already."""
        if blocker not in self.blockers:
            self.blockers.append(blocker)

    def block_part(self, part: str, blocked: Blocked) -> None:
        """Record that a part could not be tested, for the reason that was raised."""
        self.block_by(replace(blocked.blocker, reason=f"{part}: {blocked.reason}"))

    def stop_if_failed(self) -> None:
        """End the check here if anything was found already: what follows depends on it."""
        if self.violations or self.blockers:
            raise StopCheck

"""The rows of a runbook as its real clients judged them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from gt_conformance.clients._session import Driven
from gt_conformance.judgement import Judgement
from gt_conformance.runbook import Runbook
from gt_conformance.runner import CheckResult
from gt_conformance.vocabulary import Outcome


@dataclass(frozen=True)
class Judged:
    """The rows of a runbook whose clients were to be driven. ``driven`` is None where none was."""

    book: Runbook
    rows: tuple[Judgement, ...]
    driven: Driven | None = None

    def row(self, wanted: str) -> Judgement:
        """The judgement of the case of that id."""
        return next(judged for judged in self.rows if judged.id == wanted)

    def each(self, change: Callable[[Judgement], Judgement]) -> "Judged":
        """The same with each row's judgement changed: what of it is waived."""
        return replace(self, rows=tuple(map(change, self.rows)))

    def only(self, ids: Collection[str]) -> "Judged":
        """The same with the rows of these ids."""
        return replace(self, rows=tuple(judged for judged in self.rows if judged.id in ids))

    @property
    def held(self) -> bool:
        """Whether all native rows were driven, and held."""
        outcomes = {judged.case.route: judged.outcome for judged in self.rows}
        return all(outcomes.get(route) is Outcome.CONFORMS for route in self.book.native_routes())

    def further(self, item: int) -> tuple[CheckResult, ...]:
        """What the clients add to a checklist item that names them."""
        routes = self.driven.manifest.items.get(item, ()) if self.driven is not None else ()
        return tuple(check for judged in self.rows if judged.case.route in routes for check in judged.checks)

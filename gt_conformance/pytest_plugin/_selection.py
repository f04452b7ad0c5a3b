"""What a run is about: the runbooks, rows and checklist items that the options leave."""

from collections.abc import Sequence
from dataclasses import dataclass

from gt_conformance.errors import InputError
from gt_conformance.pytest_plugin._options import Settings, unknown
from gt_conformance.runbook import ChecklistItem, Row, Runbook


@dataclass(frozen=True)
class Selection:
    """What is selected, each part in the order of the wiki. Items go with whole runbooks only, not with single rows."""

    runbooks: tuple[Runbook, ...]
    rows: tuple[Row, ...]
    items: tuple[ChecklistItem, ...]

    @classmethod
    def of(cls, settings: Settings, runbooks: Sequence[Runbook]) -> "Selection":
        """By the options. Raises InputError for a runbook that does not exist, and where no row is left."""
        known = {book.id: book for book in runbooks}
        problems = [unknown("runbook", name, list(known)) for name in settings.runbooks if name not in known]
        if problems:
            raise InputError(problems)
        books = tuple(book for book in runbooks if not settings.runbooks or book.id in settings.runbooks)
        rows = tuple(
            row
            for book in books
            for row in book.rows
            if (not settings.routes or row.route in settings.routes)
            and (not settings.verdicts or row.verdict in settings.verdicts)
        )
        if not rows:
            raise InputError.of(
                "No row is selected: nothing would be tested.",
                hint="Loosen --runbook, --route and --verdict: together they leave nothing.",
            )
        whole = not (settings.routes or settings.verdicts)
        return cls(books, rows, tuple(item for book in books for item in book.checklist) if whole else ())

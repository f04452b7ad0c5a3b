"""What a run is about: the runbooks, rows and checklist items that the options leave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gt_conformance import resources
from gt_conformance.clients import Client, Manifest, load_manifests, select
from gt_conformance.errors import InputError
from gt_conformance.pytest_plugin._options import Settings, unknown
from gt_conformance.runbook import ChecklistItem, Row, Runbook


@dataclass(frozen=True)
class Selection:
    """What is selected, each part in the order of the wiki. Items go with whole runbooks only, not with single rows."""

    runbooks: tuple[Runbook, ...]
    rows: tuple[Row, ...]
    items: tuple[ChecklistItem, ...]
    clients: tuple[tuple[Manifest, tuple[Client, ...]], ...] = ()

    @property
    def client_rows(self) -> tuple[Row, ...]:
        """The selected rows of the runbooks whose clients are to be driven."""
        driven = {manifest.runbook for manifest, _ in self.clients}
        return tuple(row for row in self.rows if row.runbook in driven)

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
        items = tuple(item for book in books for item in book.checklist) if whole else ()
        return cls(books, rows, items, _clients(settings, runbooks, {book.id for book in books}))


def _clients(
    settings: Settings, runbooks: Sequence[Runbook], selected: Collection[str]
) -> tuple[tuple[Manifest, tuple[Client, ...]], ...]:
    """The clients that are named, of the selected runbooks. Raises InputError for a name, and where none is left."""
    if not settings.clients:
        return ()
    chosen = select(load_manifests(resources.clients_dir(), runbooks), settings.clients)
    left = tuple((manifest, clients) for manifest, clients in chosen if manifest.runbook in selected)
    if not left:
        raise InputError.of(
            "No client is selected: those that --clients names are of other runbooks.",
            hint="Name the same runbooks with --runbook, or leave it out.",
        )
    return left

"""The runbook itself: whether an operator can follow what it says."""

from collections.abc import Iterator

from gt_conformance.checks._probe import Probe
from gt_conformance.checks._registry import check
from gt_conformance.runbook import Row, Step
from gt_conformance.vocabulary import CONVERSATION_HEADER, Route, Verdict


@check(
    "runbook.extensions_documented",
    claim="The runbook's GT-only steps are written down so that an operator can follow them.",
    remedy="Write the missing part into the runbook file.",
    source="The runbook's own checklist",
)
async def extensions_documented(probe: Probe) -> None:
    """Each gt_extension row has method, path, headers, credential, what to poll; each not_supported one what to do."""
    if probe.parameters.runbook is None:
        raise ValueError("runbook.extensions_documented takes a runbook")
    book = probe.runbook(probe.parameters.runbook)
    for row in book.rows:
        for what in _missing(row):
            probe.fail(f"the row {row.route.title} of {book.document.path.name} tells an operator what to do", what)


def _missing(row: Row) -> Iterator[str]:
    if row.verdict is Verdict.NOT_SUPPORTED and not (row.instead or "").strip():
        yield "it does not say what to do instead"
    if row.verdict is not Verdict.GT_EXTENSION:
        return
    if row.route.title not in {step.send for step in row.steps}:
        yield f"no step sends {row.route.title}"
    if not any(step.poll for step in row.steps):
        yield "no step says what to poll, and until when"
    for number, step in enumerate(row.steps, start=1):
        yield from (f"step {number} ({step.send}) {what}" for what in _step(row.route, step))


def _step(route: Route, step: Step) -> Iterator[str]:
    names = {name.lower(): value for name, value in step.headers}
    if "{api_key}" not in names.get("authorization", ""):
        yield "does not show the key in the Authorization header"
    if step.send == Route.CONVERSATION_FILES.title and CONVERSATION_HEADER.lower() not in names:
        yield f"does not set {CONVERSATION_HEADER}"
    if step.send.startswith("POST ") and not step.body:
        yield "does not say what to send"
    if not step.result.strip():
        yield f"does not say what to keep of the answer, for {route.title}"

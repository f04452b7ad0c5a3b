"""Write samples/attestations.yaml anew, for the runbooks as they are now: ``make samples``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gt_conformance import resources
from gt_conformance.attestation import needs_a_person
from gt_conformance.runbook import load_directory

TARGET = Path(__file__).with_name("attestations.yaml")
HEAD = """\
# yaml-language-server: $schema=../schemas/attestations.schema.json
# A sample: it replaces people's attestations for the embedded tenant, and every output of such a run says so.
# Nobody attested anything here, so a run of a live tenant refuses it. `make samples` writes it for the runbooks as
# they are.
attestations:
"""
ENTRY = """\
  - runbook: {runbook}
    item: {item}
    tenant: embedded
    statement: Sample. On a live tenant a person looks at this and says so here.
    by: {{name: Sample, role: stands in for an operator}}
    on: {on}
    evidence: samples/attestations.yaml
    expires: {expires}
    runbook_digest: {digest}
"""


def text() -> str:
    """The whole file."""
    today = datetime.now(UTC).date()
    books = load_directory(resources.runbooks_dir())
    return HEAD + "".join(
        ENTRY.format(
            runbook=book.id, item=item.number, on=today, expires=today + timedelta(days=365), digest=book.digest
        )
        for book in books
        for item in book.checklist
        if needs_a_person(item)
    )


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")

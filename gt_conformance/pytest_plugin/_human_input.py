"""The files that people write by hand, found and read for a run."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from gt_conformance import attestation, resources, waiver
from gt_conformance.attestation import Attestations
from gt_conformance.checks import TENANT_CHECKS, known_ids
from gt_conformance.judgement import HumanInput
from gt_conformance.pytest_plugin._options import Settings
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import CLIENT_CHECKS
from gt_conformance.waiver import Waivers


def read(settings: Settings, runbooks: Sequence[Runbook], *, embedded: bool) -> HumanInput:
    """The attestations and waivers of a run. Raises InputError with everything that is wrong with either file.

    The embedded tenant has nobody to vouch for it: with the bundled runbooks a sample stands in, read as of the day on
    which it was written, and every output says so.
    """
    today = datetime.now(UTC).date()
    waivers = (
        waiver.load(settings.waivers, runbooks, {*known_ids(), *CLIENT_CHECKS}, today, tenant_checks=TENANT_CHECKS)
        if settings.waivers
        else Waivers()
    )
    if settings.attestations is not None:
        return HumanInput(attestation.load(settings.attestations, runbooks, today), waivers, today)
    if embedded and settings.runbooks_dir is None:
        sample = attestation.load(resources.sample_attestations(), runbooks, today)
        return HumanInput(sample, waivers, today, sampled_on=_written(sample))
    return HumanInput(Attestations(), waivers, today)


def _written(sample: Attestations) -> date:
    return max(entry.on for entry in sample.entries)


def described(human_input: HumanInput, settings: Settings) -> dict[str, object]:
    """Where the words of people came from, for the record."""
    sample = human_input.sampled_on is not None
    source = resources.sample_attestations() if sample else settings.attestations
    waivers = settings.waivers
    return {
        "attestations": None if source is None else Path(source).name,
        "sample": sample,
        "waivers": None if waivers is None else waivers.name,
    }

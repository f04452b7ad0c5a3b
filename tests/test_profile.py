"""The profile: what `GT conformance 2026.11` means, held against what a run is made with."""

from dataclasses import replace

from gt_conformance import profile, resources
from gt_conformance.checks import BUILT_IN
from gt_conformance.runbook import load_directory
from gt_sandbox.faults import FAULTS

BOOKS = load_directory(resources.runbooks_dir())


def test_the_frozen_profile_is_what_is_checked() -> None:
    """Where a claim, a clause or a runbook is another one: `make prove ARGS="--section profile --write"`."""
    found = profile.current(BUILT_IN.checks, BOOKS, FAULTS.values())
    assert list(found.differences(profile.published())) == []
    assert found.faults == profile.published().faults


def test_what_is_altered_is_named() -> None:
    """A claim that says something else, a check that is added, and a runbook that is missing."""
    first, *others = BUILT_IN.checks
    other_claim, added = replace(first, claim="Something else."), replace(first, id="own.check")
    found = profile.current([other_claim, added, *others], BOOKS[1:])
    assert list(found.differences(profile.published())) == [
        *sorted([f"check {first.id} is another one", "check own.check is added"], key=lambda text: text.split()[1]),
        f"runbook {BOOKS[0].id} is missing",
    ]

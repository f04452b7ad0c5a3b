"""The frozen profile is what this version checks. ``--write`` freezes it again: before a release, never after one."""

from gt_conformance import profile, resources
from gt_conformance.checks import BUILT_IN
from gt_sandbox.faults import FAULTS
from prove import Options, Proof
from prove._process import bundled


def prove(options: Options) -> Proof:
    """Compare what is checked with what is frozen, or freeze it."""
    found = profile.current(BUILT_IN.checks, bundled(), FAULTS.values())
    if options.write:
        (resources.schemas_dir() / "profile.json").write_text(profile.as_text(found), encoding="utf-8")
        return Proof(f"profile: {found.name} is frozen as {found.digest[:12]}", ())
    problems = list(found.differences(profile.published()))
    if found.faults != profile.published().faults:
        problems.append("the faults that prove its clauses are other ones")
    return Proof(f"profile: {found.name} is {'what is checked' if not problems else 'another one'}", tuple(problems))

"""Whether what is proved and tested would notice that a module is wrong.

The checks of the module (for a module that others share: theirs) are judged on the embedded tenant as it is, on tenants
with permitted variations, and on tenants with a fault that makes one of them fail; then the unit tests about the module
are run.
"""

import ast
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gt_conformance.checks import checks
from gt_conformance.planning import Plan
from gt_conformance.vocabulary import Outcome
from gt_sandbox.faults import FAULTS, Fault, FaultSet, select_faults
from gt_sandbox.variants import VARIANTS, VariantSet, select_variants
from prove import _runs
from prove.faults import read_expected
from prove.variants import combine, false_alarms

CHECKS = Path("gt_conformance/checks")
MANY = 12
"""For more checks than this everything is judged: it takes no longer."""
TELLING = 8
"""So many faults are tried on a whole run: each takes ten times as long as on a few checks."""
TRIES = 3
"""So often a scenario has to come out alike on the module as it is, before mutants are judged by it."""
DEADLINE_S = 60
"""No run and no test file takes a tenth of it. The alarm clock ends a mutant that waits for ever: it is noticed."""

TESTS = {
    "judgement/_prerequisite.py": ("prerequisites",),
    "judgement/*": ("judgement", "judge", "items", "resting"),
    "checks/boundary.py": ("checks_boundary", "checks_refusals"),
    "checks/chat.py": ("checks_chat", "checks_chat_requests"),
    "checks/chat_names.py": ("checks_chat", "checks_chat_requests", "checks_chat_names"),
    "checks/chat_stream.py": ("checks_stream",),
    "checks/chat_tools.py": ("checks_chat", "checks_chat_requests", "checks_tools"),
    "checks/client.py": (
        "checks_chat",
        "checks_chat_requests",
        "checks_client",
        "checks_addressing",
        "checks_discovery",
    ),
    "checks/conversation_opening.py": ("checks_conversations",),
    "checks/conversations.py": ("checks_conversations", "capability"),
    "checks/inheritance.py": ("checks_conversations",),
    "checks/isolation.py": ("checks_conversations",),
    "checks/_talk.py": ("checks_conversations",),
    "checks/_tool_turns.py": ("checks_tools", "checks_turn"),
    "checks/_tools.py": ("checks_chat", "checks_tools"),
    "checks/embeddings.py": ("checks_embeddings",),
    "checks/embeddings_many.py": ("checks_embeddings",),
    "checks/files.py": ("checks_uploads",),
    "checks/_polling.py": ("checks_uploads",),
    "checks/knowledge.py": ("checks_knowledge",),
    "checks/keys.py": ("checks_keys",),
    "checks/scopes.py": ("checks_scopes",),
    "checks/media.py": ("checks_media",),
    "checks/answers.py": ("checks_answers",),
    "checks/meters.py": ("checks_meters",),
    "checks/rotation.py": ("checks_rotation",),
    "checks/_presets.py": ("checks_scopes",),
    "checks/_vectors.py": ("checks_rotation",),
    "checks/models.py": ("checks_names", "checks_discovery"),
    "checks/names.py": ("checks_names", "checks_discovery"),
    "checks/prompts.py": ("checks_prompts",),
    "checks/slo.py": ("slo",),
    "checks/turn.py": ("checks_turn",),
    "checks/_declared.py": ("newcomers", "checks_scopes"),
    "checks/_ledger.py": ("ledger",),
    "checks/_uploads.py": ("checks_uploads", "checks_knowledge"),
    "checks/_completion.py": ("checks_chat", "checks_stream"),
    "checks/_preflight.py": ("preflight", "runner_preflight"),
    "checks/_notes.py": ("probe", "runner", "runner_ends"),
    "checks/_probe.py": ("probe", "runner", "runner_ends"),
    "checks/_wording.py": ("probe", "runner", "runner_ends"),
    "checks/_refusal.py": ("probe", "checks_boundary"),
    "checks/_requests.py": ("requests", "runner"),
    "checks/_resources.py": ("checks_holdings",),
    "checks/_*": ("declarations", "plan", "plan_parameters", "plan_selection"),
}
"""The unit tests about a module: of the first entry that its path fits."""


@dataclass(frozen=True)
class Scenario:
    """A tenant, and where and by which checks it violates."""

    name: str
    faults: FaultSet = field(default_factory=FaultSet)
    variants: VariantSet = field(default_factory=VariantSet)
    violating: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()

    def complaints(self, examined: frozenset[str]) -> Iterator[str]:
        """What a run says otherwise of these checks, a sentence each."""
        outcome = _runs.run(self.faults, self.variants, lambda plan: _narrowed(plan, examined))
        yield from (f"the suite itself failed: {error.splitlines()[-1]}" for error in outcome.suite_errors)
        if not self.violating:
            yield from false_alarms(outcome, may_block=any(variant.lacks for variant in self.variants.members))
        found = outcome.checks(Outcome.VIOLATES)
        if missing := examined & self.violating - found:
            yield f"{', '.join(sorted(missing))} no longer violate"
        if extra := found - self.violating:
            yield f"{', '.join(sorted(extra))} violate"
        if strange := outcome.places(Outcome.VIOLATES) - self.places:
            yield f"violations in {', '.join(sorted(strange))}"


def unsuited(module: Path) -> list[str]:
    """The scenarios that show nothing of this module as it is: some things are met only in a whole run, or by chance.

    Each is tried more than once: which of two instances gets a request depends on the order of answers.
    """
    parts = list(_examined(module)) if module.parent == CHECKS else []
    scenarios = [(one, part) for part in parts for one in _scenarios(part)] * TRIES
    return list(dict.fromkeys(scenario.name for scenario, part in scenarios if any(scenario.complaints(part))))


def complaint(module: Path, left_out: Collection[str] = ()) -> str:
    """The first thing that shows that this module is wrong; empty where nothing does.

    ``module`` is a path from the folder of the checkout, which is the working directory. The scenarios of these names
    are left out.
    """
    parts = list(_examined(module)) if module.parent == CHECKS else []
    for examined in parts:
        if found := _complaint_of(_AS_IT_IS, examined):
            return found
    for path in tests(module):
        signal.alarm(DEADLINE_S)
        if pytest.main([*_QUIETLY, str(path)]):
            return f"{path.name} fails"
    for examined in parts:
        for scenario in _scenarios(examined):
            if scenario.name not in left_out and (found := _complaint_of(scenario, examined)):
                return found
    signal.alarm(0)
    return ""


def _complaint_of(scenario: Scenario, examined: frozenset[str]) -> str:
    signal.alarm(DEADLINE_S)
    found = "; ".join(scenario.complaints(examined))
    return f"{scenario.name}: {found}" if found else ""


_AS_IT_IS = Scenario("the tenant as it is")
_QUIETLY = ("-x", "--quiet", "--no-header", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def tests(module: Path) -> list[Path]:
    """The files of unit tests about a module. Raises ValueError if TESTS names none, or one that does not exist."""
    fitting = (names for pattern, names in TESTS.items() if fnmatch(module.as_posix(), f"gt_conformance/{pattern}"))
    paths = [Path("tests") / f"test_{name}.py" for name in next(fitting, ())]
    missing = [path.as_posix() for path in paths if not path.is_file()]
    if missing or not paths:
        raise ValueError(f"TESTS in {__name__} names no test of {module}: {', '.join(missing) or 'add an entry'}.")
    return paths


def _scenarios(examined: frozenset[str]) -> Iterator[Scenario]:
    """Tenants with a fault, those that show most first, and between them those with permitted variations."""
    failing = {name: frozenset(effect.violates) for name, effect in read_expected().items()}
    # What fails by chance as well says nothing about a mutant.
    naming = [fault for fault in FAULTS.values() if not fault.by_chance and failing[fault.name] & examined]
    left = set(examined)
    telling: list[Fault] = []
    while left and naming:
        best = max(naming, key=lambda fault: len(failing[fault.name] & left))
        telling.append(best)
        naming.remove(best)
        left -= failing[best.name]
    if _needs_all(examined):
        yield from map(_broken, telling[:TELLING])
        return
    yield from map(_broken, telling)
    for number, names in enumerate(combine(tuple(VARIANTS.values())), 1):
        yield Scenario(f"permitted variations, set {number}", variants=select_variants(names))
    yield from map(_broken, naming)


def _broken(fault: Fault) -> Scenario:
    effect = read_expected()[fault.name]
    return Scenario(
        f"fault {fault.name}",
        faults=select_faults([fault.name]),
        violating=frozenset(effect.violates),
        places=frozenset(effect.places),
    )


def _examined(module: Path) -> Iterator[frozenset[str]]:
    """The checks of a module, those apart that need a whole run; of one without: of the modules that import it."""
    by_module: dict[str, set[str]] = {}
    for check in checks().values():
        by_module.setdefault(check.run.__module__.rpartition(".")[2], set()).add(check.id)
    users = {module.stem}
    while module.stem not in by_module:
        more = {path.stem for path in CHECKS.glob("*.py") if path.stem != "__init__" and users & _imported(path)}
        if more <= users:
            break
        users |= more
    found = frozenset().union(*(by_module.get(stem, set()) for stem in users)) or frozenset(checks())
    whole = frozenset() if len(found) > MANY else frozenset(check for check in found if checks()[check].whole_run)
    yield from (part for part in (found - whole, whole) if part)


def _narrowed(plan: Plan, examined: frozenset[str]) -> Plan:
    """The plan with these checks only; the whole of it where they are many, or read a whole run."""
    if _needs_all(examined):
        return plan
    cases = (
        replace(case, checks=tuple(call for call in case.checks if call.check in examined), attested=False)
        for case in plan.cases
    )
    return replace(plan, cases=tuple(case for case in cases if case.checks))


def _needs_all(examined: frozenset[str]) -> bool:
    return len(examined) > MANY or any(checks()[check].whole_run for check in examined)


def _imported(path: Path) -> set[str]:
    """The stems of the modules of the same folder that this one imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gt_conformance.checks"):
            found |= {(node.module or "").rpartition(".")[2], *(alias.name for alias in node.names)}
    return found

"""A set-up before anything is sent: the tenant that a file or the environment names, and what is missing for a run."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gt_conformance import resources
from gt_conformance import session as sessions
from gt_conformance import tenant as tenants
from gt_conformance.checks import BUILT_IN, Registry
from gt_conformance.companions import Companions, read_project
from gt_conformance.errors import InputError, Problem
from gt_conformance.history import History
from gt_conformance.judgement import HumanInput
from gt_conformance.needs import Need, describe_needs, find_in_console, find_needs
from gt_conformance.planning import Plan, Selection
from gt_conformance.results.run_types import TenantAddress
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.runner import Cost
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.timing import Past


@dataclass(frozen=True)
class Foretold:
    """What a run of a set-up would be: its plan, its cost where each secret is there, and what is missing.

    ``problems`` keep a run from starting at all: no key has a secret.
    """

    plan: Plan
    cost: Cost
    needs: tuple[Need, ...]
    problems: tuple[Problem, ...]

    @property
    def subject(self) -> str:
        """The runbooks in words: ``Dify``, or ``the runbooks``."""
        chosen = self.plan.selection.runbooks
        titles = [book.title for book in self.plan.runbooks if book.id in chosen]
        return " and ".join(titles) if 0 < len(titles) <= _MOST_TITLES else "the runbooks"

    def described_needs(self) -> Mapping[str, Any]:
        """As JSON."""
        return {
            "problems": [str(problem) for problem in self.problems],
            "needs": [need.described() for need in self.needs],
        }

    def list_needs(self) -> Iterator[str]:
        """What is missing, for a terminal."""
        if self.problems:
            yield ""
            yield f"Needed before anything can be sent ({len(self.problems)})"
            for problem in self.problems:
                yield f"  → {problem}"
                if console := find_in_console(str(problem)):
                    yield f"      console {console}"
        yield from describe_needs(self.needs, self.subject)


_MOST_TITLES = 2


@dataclass(frozen=True)
class Setup:
    """What a run is about, as far as it is known before the tenant is asked."""

    tenant_file: Path | None
    selection: Selection
    runbooks: Path | None = None
    registry: Registry = BUILT_IN

    def load_books(self) -> tuple[Runbook, ...]:
        """The runbooks. Raises InputError, also for an id that does not exist."""
        books = load_directory(self.runbooks or resources.runbooks_dir())
        self.selection.select_runbooks(books)
        return books

    def foretell(self, found: Tenant | None = None) -> Foretold:
        """What a run would be. ``found`` is the tenant where more is known of it than the file says.

        Raises InputError for what ends a run before anything is sent, unless it is that no key has a secret.
        """
        books = self.load_books()
        assumed = read_tenant(self.tenant_file, os.environ) if found is None else found
        human_input = self._human_input(assumed, books)
        past = _past_of(assumed)
        plan = sessions.plan(assumed, books, selection=self.selection, registry=self.registry, past=past)
        cost, record = sessions.foretell(plan, human_input)
        present, problems = self._look() if found is None else (None, ())
        if present is not None and present.blockers:
            known = sessions.plan(present, books, selection=self.selection, registry=self.registry, past=past)
            record = sessions.foretell(known, human_input)[1]
        return Foretold(plan, cost, find_needs(record), problems)

    def _look(self) -> tuple[Tenant | None, tuple[Problem, ...]]:
        """The tenant with the secrets that are there; no program is started for one."""
        if self.tenant_file is None and tenants.from_environment(os.environ, rehearsed=True) is None:
            return None, ()
        try:
            if self.tenant_file is not None:
                return tenants.from_file(self.tenant_file, os.environ, commands=False), ()
            return tenants.from_environment(os.environ), ()
        except InputError as error:
            return None, error.problems

    def _human_input(self, tenant: Tenant, books: Sequence[Runbook]) -> HumanInput:
        embedded = tenant.kind is TenantKind.EMBEDDED
        files = Companions() if embedded else tenant.companions.or_else(read_project(Path()))
        return sessions.load_human_input(
            books,
            files.attestations,
            files.waivers,
            accepted=files.accepted,
            sample=embedded and self.runbooks is None,
            registry=self.registry,
            tenant=None if embedded else replace(tenant, companions=files),
        )


def _past_of(tenant: Tenant) -> Past:
    """The earlier runs of the history that a run of this tenant would take by itself; none where it is not there."""
    folder = tenant.companions.or_else(read_project(Path())).history
    if tenant.kind is TenantKind.EMBEDDED or folder is None or not folder.is_dir():
        return Past()
    address: TenantAddress = {"kind": tenant.kind.value, "base_url": tenant.base_url}
    return Past(lambda _: History(folder).runs(address))


def read_tenant(tenant_file: Path | None, environment: Mapping[str, str]) -> Tenant:
    """The tenant of a file, of the environment, or the embedded one; each secret has a stand-in."""
    if tenant_file is not None:
        return tenants.from_file(tenant_file, environment, rehearsed=True)
    named = tenants.from_environment(environment, rehearsed=True)
    if named is not None:
        return named
    from gt_sandbox import EmbeddedTenant  # noqa: PLC0415 - loaded when it is needed

    # It has to listen for a moment to have an address; the rehearsal never calls it.
    with EmbeddedTenant() as embedded:
        return tenants.from_mapping(
            embedded.tenant_document(), embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )

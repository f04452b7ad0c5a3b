"""What a run reads before anything is sent, its hold on the report directory, and its session once it is started."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from gt_conformance import report, resources, tenant
from gt_conformance.checks import load_extensions
from gt_conformance.companions import read_project
from gt_conformance.errors import InputError
from gt_conformance.exchange import redact_logs
from gt_conformance.journal import JOURNAL
from gt_conformance.launch._gate import Baseline
from gt_conformance.launch._interrupt import Interrupts
from gt_conformance.launch._settings import Settings, add_companions
from gt_conformance.planning import Case, list_cases, make_plan, require_known_mapping
from gt_conformance.results.run_types import OptionNotes
from gt_conformance.runbook import load_directory
from gt_conformance.session import Notes, Session, load_human_input, select_clients
from gt_conformance.tenant import Tenant, TenantKind

if sys.platform != "win32":  # where a folder cannot be locked
    import fcntl


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder. It leaves no file behind, and ends with the process at the latest.

    Raises InputError where another run is in it, and OSError where it cannot be opened. A file system that knows no
    locks keeps nobody out.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError.of(
            f"another run is writing its reports to {folder}.",
            hint="Give each run a folder of its own with --report-dir, or run again when the other is over.",
        ) from None


EMBEDDED = "EMBEDDED"


class Launch:
    """Made from the settings, it has read all that they name. Raises InputError where any of that cannot be used.

    ``tenant`` is None for the embedded one, which is started when the items run; ``promised`` is as it will be, where
    something of it promises more than it does by itself.
    """

    def __init__(self, settings: Settings, promised: Tenant | None = None) -> None:
        self.settings = settings
        self.registry = load_extensions(settings.checks)
        self.runbooks = load_directory(settings.runbooks_dir or resources.runbooks_dir())
        self.selected_runbooks = settings.selection.select_runbooks(self.runbooks)
        self.clients = select_clients(settings.clients, self.runbooks, {book.id for book in self.selected_runbooks})
        driven = {manifest.runbook for manifest, _ in self.clients}
        self.tenant = self._read_tenant()
        if (promising := self.tenant or promised) is not None:
            self.registry = self.registry.with_objectives_of(promising)
        self.cases = list_cases(self.runbooks, settings.selection, driven, self.registry)
        self.settings = settings = add_companions(settings, self.tenant)
        self._accepted = settings.accepted_file
        self._human_input = load_human_input(
            self.runbooks,
            settings.attestations,
            settings.waivers,
            accepted=self._accepted,
            # The sample is for the runbooks that it was written for.
            sample=self.tenant is None and settings.runbooks_dir is None,
            registry=self.registry,
            tenant=self._with_project_file(),
        )
        known = self.tenant
        self.baseline = Baseline(
            settings, None if known is None else {"kind": known.kind.value, "base_url": known.base_url}
        )
        self.interrupts = Interrupts()
        self.session: Session | None = None
        self.has_claimed = False
        self._until_the_end = ExitStack()

    def _read_tenant(self) -> Tenant | None:
        if self.settings.tenant_file is not None:
            found: Tenant | None = tenant.from_file(self.settings.tenant_file, os.environ)
        else:
            found = tenant.from_environment(os.environ)
            if found is None and not (self.settings.faults or self.settings.variants):
                _require_unset()
        if found is not None:
            require_known_mapping(found, self.runbooks)
        return None if found is None else self.settings.limit(found)

    def _with_project_file(self) -> Tenant | None:
        """The tenant, which knows where each of its files is named, in ``gt-conformance.toml`` too."""
        if self.tenant is None:
            return None
        return replace(self.tenant, companions=self.tenant.companions.or_else(read_project(Path())))

    def describe_tenant(self) -> str:
        """The tenant as every output names it."""
        if self.tenant is None or self.tenant.kind is TenantKind.EMBEDDED:
            return EMBEDDED
        return EMBEDDED if self.session is not None and self.session.is_embedded else self.tenant.base_url

    def claim(self) -> None:
        """Make the report directory this run's to write to, once. Raises InputError and OSError.

        No other run writes to it until this one is over. What an earlier run left there is marked, so that nobody takes
        it for what this run has found.
        """
        if not self.has_claimed:
            self.settings.report_dir.mkdir(parents=True, exist_ok=True)
            self._until_the_end.enter_context(hold(self.settings.report_dir))
            report.claim(self.settings.report_dir)
            report.mark_under_way(self.settings.report_dir, self.describe_tenant())
            self.has_claimed = True

    def start(self, under_test: Tenant, cases: Sequence[Case]) -> Session:
        """Start the session in which these cases are judged on that tenant. From now on logs hold no secret."""
        plan = make_plan(
            under_test,
            self.runbooks,
            cases,
            selection=self.settings.selection,
            registry=self.registry,
            earlier=self.baseline.earlier,
            past=self.baseline.past(under_test),
        )
        started = Session(
            plan,
            human_input=self._human_input,
            clients=self.clients,
            strict=self.settings.strict,
            notes=Notes(self._options(), self.registry.unproven, self.settings.report_dir / JOURNAL),
        )
        # To the very end: what an interruption leaves is taken down, and logged about, when the session finishes.
        self._until_the_end.enter_context(redact_logs(started.redactor))
        self.session = started
        started.start()
        return started

    def start_early(self) -> None:
        """Claim the folder and start to judge all cases, before the items are there; a signal waits until they are.

        Nothing of that is done where there is nothing to judge, or no tenant yet. Raises InputError and OSError.
        """
        if self.tenant is None or not self.cases:
            return
        self.claim()
        self.interrupts.install()
        self.interrupts.defer()
        try:
            self.start(self.tenant, self.cases)
        except BaseException:
            self.close()
            raise

    def end_logs(self) -> None:
        """Nothing is logged any more, and the report directory is free for another run."""
        self._until_the_end.close()

    def close(self) -> None:
        """End what is still going on, where pytest came to no end. Safe to call again."""
        if self.session is not None:
            self.session.stop()
        self.end_logs()
        self.interrupts.restore()

    def _options(self) -> OptionNotes:
        settings = self.settings
        sample = self._human_input.sampled_on is not None
        attestations = resources.sample_attestations() if sample else settings.attestations
        return {
            "versioned_only": "versioned-only" in settings.faults,
            "faults": list(settings.faults),
            "variants": list(settings.variants),
            "tenant_file": None if settings.tenant_file is None else settings.tenant_file.name,
            "from_environment": self.tenant is not None and settings.tenant_file is None,
            "runbooks_dir": None if settings.runbooks_dir is None else settings.runbooks_dir.name,
            "checks": [Path(name).name if name.endswith(".py") else name for name in settings.checks],
            "fail_on": settings.fail_on.value,
            "clients": list(settings.clients),
            "attestations": None if attestations is None else Path(attestations).name,
            "sample": sample,
            "waivers": None if settings.waivers is None else settings.waivers.name,
            "accepted": None if self._accepted is None else self._accepted.name,
        }


def _require_unset() -> None:
    """Raise InputError where the variables of a tenant are set and empty, and the embedded one would take its place.

    A CI that lacks its secrets sets them so: a run that ends with 0 would look like a proof there.
    """
    if empty := [name for name in tenant.VARIABLES if name in os.environ]:
        raise InputError.of(
            f"{', '.join(empty)} {'is' if len(empty) == 1 else 'are'} set, but empty.",
            hint="Set all three, name a tenant file with --tenant FILE, or unset them for the embedded tenant.",
        )

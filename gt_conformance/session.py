"""A run of a plan: the one place that puts planner, runner, judge, real clients, human input and record together.

:func:`plan` and :func:`run` take values and return values. :class:`Session` is what ``run`` is made of, for callers
that ask for one judgement after the other, as pytest's plugin does.
"""

import secrets
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from gt_conformance import attestation, dated_entries, resources, results, waiver
from gt_conformance import clients as real
from gt_conformance.attestation import Attestations
from gt_conformance.checks import BUILT_IN, CheckCall, CheckResult, Evidence, Registry
from gt_conformance.errors import Blocker, InputError, named_in
from gt_conformance.exchange import Exchange, Redactor, as_record
from gt_conformance.journal import KILLED, Findings, JournalWriter
from gt_conformance.judgement import HumanInput, Judge, Judgement
from gt_conformance.planning import (
    EVERYTHING,
    Case,
    CaseKind,
    Plan,
    Selection,
    as_entered,
    list_cases,
    make_plan,
    require_known_mapping,
)
from gt_conformance.results import Record, RunFacts
from gt_conformance.results.run_types import OptionNotes, OptionsRecord
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.runner import INTERRUPTED, UNJUDGED, Cost, HttpSender, Progress, Rehearsal, Runner, Sender
from gt_conformance.tenant import Tenant
from gt_conformance.timing import Past
from gt_conformance.vocabulary import CLIENT_CHECKS, Actor
from gt_conformance.waiver import Waivers

Clients: TypeAlias = "Sequence[tuple[real.Manifest, tuple[real.Client, ...]]]"
"""Real clients that are to be driven, by the manifest of their runbook."""

_CLIENTS_UNBOUNDED = (
    "the run has a budget of tokens (limits.max_tokens), and what a real client asks for is not known before it asks",
    "Leave out --clients, or drive the clients in a run without limits.max_tokens.",
)


def plan(
    tenant: Tenant,
    runbooks: Sequence[Runbook] | None = None,
    *,
    selection: Selection = EVERYTHING,
    clients: Clients = (),
    registry: Registry = BUILT_IN,
    earlier: Record | None = None,
    past: Past | None = None,
) -> Plan:
    """What a run of these runbooks (the bundled ones) would judge on this tenant. Nothing is sent.

    ``clients`` are those whose rows are to be judged besides; ``registry`` holds the checks, where
    :func:`gt_conformance.checks.load_extensions` added some; ``earlier`` is the record of an earlier run, with which
    what a rotation must keep is compared; ``past`` gives earlier runs, whose answers count where the tenant file
    promises how fast they come. Raises InputError for a selection that leaves nothing.
    """
    books = load_directory(resources.runbooks_dir()) if runbooks is None else tuple(runbooks)
    require_known_mapping(tenant, books)
    driven = {manifest.runbook for manifest, _ in clients}
    registry = registry.with_objectives_of(tenant)
    cases = list_cases(books, selection, driven, registry)
    known = results.earlier_by_secret(earlier)
    return make_plan(tenant, books, cases, selection=selection, registry=registry, earlier=known, past=past)


def run(
    plan: Plan,
    *,
    human_input: HumanInput | None = None,
    clients: Clients = (),
    strict: bool = False,
    sender: Callable[[], Sender] | None = None,
    options: OptionNotes | None = None,
) -> Record:
    """Carry a plan out to its end and return the record.

    ``strict`` counts advisories as violations; ``sender`` replaces HTTP; ``options`` are noted in the record.
    """
    notes = Notes(options or {})
    session = Session(plan, human_input=human_input, clients=clients, strict=strict, sender=sender, notes=notes)
    with session:
        for case in plan.cases:
            session.judgement(case)
    return session.record()


def rehearse(plan: Plan) -> Cost:
    """What carrying the plan out would cost, found out in memory: nothing is sent."""
    return foretell(plan)[0]


def foretell(plan: Plan, human_input: HumanInput | None = None) -> tuple[Cost, Record]:
    """What carrying the plan out would cost and give on a tenant that conforms: nothing is sent.

    What is blocked or unattested in the record is missing here already, whatever the tenant answers. All else of it
    says nothing of the tenant.
    """
    rehearsal = Rehearsal(plan.tenant)
    with Session(plan, human_input=human_input, sender=lambda: rehearsal, run_id="rehearsal") as session:
        for call in plan.distinct:
            session.result(call)
    return Cost(tuple(session.exchanges), rehearsal.longest_chain), session.record()


def select_clients(names: Sequence[str], runbooks: Sequence[Runbook], selected: Collection[str]) -> Clients:
    """The clients of these names, as far as their runbooks are selected. Raises InputError where none is left."""
    if not names:
        return ()
    chosen = real.select(real.load_manifests(resources.clients_dir(), runbooks), names)
    left = tuple((manifest, clients) for manifest, clients in chosen if manifest.runbook in selected)
    if not left:
        raise InputError.of(
            "No client is selected: those that --clients names are of other runbooks.",
            hint="Name the same runbooks with --runbook, or leave it out.",
        )
    return left


def load_human_input(
    runbooks: Sequence[Runbook],
    attestations: Path | None = None,
    waivers: Path | None = None,
    *,
    accepted: Path | None = None,
    sample: bool = False,
    registry: Registry = BUILT_IN,
    tenant: Tenant | None = None,
) -> HumanInput:
    """The attestations and waivers of these files; ``accepted`` is another file of waivers. Raises InputError.

    Attestations for a live ``tenant`` have to name theirs, and are no sample; None stands for the embedded tenant.
    With ``sample`` the bundled sample is used where no attestations are named, read as of the day on which it was
    written: the embedded tenant has nobody to attest anything.
    """
    today = datetime.now(UTC).date()
    places = {} if tenant is None else tenant.companions.named_in
    exceptions = Waivers()
    for path in filter(None, (waivers, accepted)):
        known = {*registry.item_ids, *CLIENT_CHECKS}
        with named_in(places.get(path)):
            exceptions += waiver.load(path, runbooks, known, today, tenant_checks=registry.tenant_wide)
    if attestations is not None:
        address = None if tenant is None else dated_entries.address_of(tenant)
        with named_in(places.get(attestations)):
            return HumanInput(attestation.load(attestations, runbooks, today, address), exceptions, today)
    if sample:
        bundled = attestation.load(resources.sample_attestations(), runbooks, today)
        return HumanInput(bundled, exceptions, today, sampled_on=max(entry.on for entry in bundled.entries))
    return HumanInput(Attestations(), exceptions, today)


@dataclass(frozen=True)
class Notes:
    """What a run notes besides what it finds: options in its record, checks that no fault is for, and its journal.

    The journal is a file that is written while the run goes on, so that a run that is killed leaves a record too.
    """

    options: OptionNotes = field(default_factory=OptionNotes)
    unproven_checks: tuple[str, ...] = ()
    journal: Path | None = None


NOTHING = Notes()


class Session:
    """One run of a plan. ``start`` returns at once, ``judgement`` waits for one case, ``stop`` ends everything.

    As a context manager it starts and stops. All but ``start`` and ``stop`` may be called from any thread. A caller
    with an event loop has ``carry_out`` instead of these two.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        human_input: HumanInput | None = None,
        clients: Clients = (),
        strict: bool = False,
        sender: Callable[[], Sender] | None = None,
        run_id: str | None = None,
        notes: Notes = NOTHING,
    ) -> None:
        self.plan = plan
        self.id = run_id or secrets.token_hex(4)
        self._strict = strict
        self._runner = Runner(plan, sender or (lambda: HttpSender(plan.tenant)), run_id=self.id, strict=strict)
        self._judge = Judge(plan, self._runner.result, human_input, self._client_results, lambda: self.is_embedded)
        self._news: list[str] = []
        self._faults: list[str] = []
        self._driving = self._make_driving(clients)
        self._human_input = human_input
        self._notes = notes
        self._started = datetime.now(UTC)
        self._interrupted: str | None = None
        self._journal: JournalWriter | None = None
        self._judgements: dict[str, Judgement] = {}  # final: a result never changes
        self._check_records = results.CheckRecords()
        self._unjournaled = [(case, list(case.checks)) for case in plan.cases if case.kind is not CaseKind.CLIENT]
        self._journaled_exchanges = 0

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Begin to judge in the background; real clients are driven once the checks are through."""
        self._started = datetime.now(UTC)
        if self._notes.journal is not None:
            self._journal = JournalWriter(self._notes.journal, self._make_blank_record, self._find_new)
            self._journal.start()
        self._runner.start()
        if self._driving is not None:
            self._driving.start()

    async def carry_out(self) -> None:
        """Judge everything in the running event loop; then no judgement is waited for. No client is driven."""
        self._started = datetime.now(UTC)
        await self._runner.carry_out()

    def stop(self, why: Blocker = UNJUDGED) -> None:
        """End the run: what is not judged yet is blocked by that. Safe to call again."""
        if self._driving is not None:
            self._driving.stop()
        self._runner.stop(why)
        if self._journal is not None:
            self._journal.close()

    def interrupt(self, cause: str) -> None:
        """End the run as ``stop`` does, and record what interrupted it, such as ``SIGTERM``."""
        self._interrupted = self._interrupted or cause
        self.stop(INTERRUPTED)

    # -- what it found

    def judgement(self, case: Case) -> Judgement:
        """The judgement of a case of the plan; waits for what it rests on."""
        if (known := self._judgements.get(case.id)) is None:
            known = self._judgements[case.id] = self._judge.judge(case)
        return known

    def result(self, call: CheckCall) -> CheckResult:
        """The result of one check of the plan; waits for it."""
        return self._runner.result(call)

    def evidence(self, judgement: Judgement | None = None) -> Evidence:
        """The recorded exchanges that a judgement refers to; without one, all so far but those of real clients."""
        if judgement is None:
            return self._runner.evidence()
        refs = {ref for check in judgement.checks for ref in check.exchanges}
        found = dict(self._runner.evidence(refs))
        driving, runbook = self._driving, judgement.case.runbook
        if refs - found.keys() and driving is not None and runbook is not None and driving.drives(runbook):
            passed = results.client_exchanges([driving.result(runbook)])
            found |= {one.ref: as_record(one, self.redactor) for one in passed if one.ref in refs}
        return found

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """Every exchange so far, without those of real clients."""
        return self._runner.seen

    @property
    def is_embedded(self) -> bool:
        """Whether the tenant is the embedded one, in this process or served by another."""
        return results.is_embedded(self.plan.tenant, self._runner.seen)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._runner.progress

    @property
    def refusal(self) -> Blocker | None:
        """Why nothing could be judged: the tenant is unreachable, or refused every key; else None."""
        return self._runner.refusal

    @property
    def news(self) -> Sequence[str]:
        """What went on with real clients so far, line by line."""
        return tuple(self._news)

    @property
    def redactor(self) -> Redactor:
        """Knows every secret of the tenant."""
        return self._runner.redactor

    # -- faults of the suite, and the record

    def add_fault(self, error: BaseException | str) -> None:
        """Record a fault of the suite itself, with its traceback."""
        text = error if isinstance(error, str) else "".join(traceback.format_exception(error))
        self._faults.append(self.redactor.text(text))

    @property
    def suite_errors(self) -> tuple[str, ...]:
        """What went wrong in the suite itself so far, as redacted tracebacks."""
        driving = () if self._driving is None else tuple(self._driving.faults)
        # What fails in the same way for one item after the other is recorded once.
        return tuple(dict.fromkeys((*self._runner.suite_errors, *driving, *self._faults)))

    def record(self) -> Record:
        """The record of the run, once it has ended."""
        record = results.record(
            self._runner,
            self._make_facts(),
            [self.judgement(case) for case in self.plan.cases],
            footing=self._judge.judge_footing(self._runner.footing),
            waivers=self._judge.waiver_news(),
            driven=() if self._driving is None else self._driving.results(),
            suite_errors=self.suite_errors,
        )
        return results.seal(record)

    def _make_facts(self) -> RunFacts:
        selection = self.plan.selection
        options: OptionsRecord = {
            "runbooks": list(selection.runbooks),
            "routes": [route.value for route in selection.routes],
            "verdicts": [verdict.value for verdict in selection.verdicts],
            "boundary": selection.boundary,
            "strict": self._strict,
            "read_only": self.plan.tenant.read_only,
            **self._notes.options,
        }
        now = datetime.now(UTC)
        return RunFacts(self.id, self._started, now, options, self._notes.unproven_checks, self._interrupted)

    # -- the journal

    @property
    def journal_problem(self) -> OSError | None:
        """Why the journal could not be written to its end."""
        return None if self._journal is None else self._journal.problem

    def discard_journal(self) -> None:
        """Remove the journal: the record itself was written."""
        if self._journal is not None:
            self._journal.discard()

    def _make_blank_record(self) -> Record:
        """The record of a run that was killed before anything was judged. Made while it runs: what is seen may grow."""
        registry, killed = self.plan.registry, Blocker(KILLED, "Run again.", Actor.HERE)

        @cache
        def block(call: CheckCall) -> CheckResult:
            return CheckResult.blocked(call, registry[call.check], killed)

        cases = [case for case in self.plan.cases if case.kind is not CaseKind.CLIENT]
        judge = Judge(self.plan, block, self._human_input)
        return results.record(self._runner, self._make_facts(), [judge.judge(case) for case in cases])

    def _find_new(self) -> Findings:
        """What was found since this was last asked. What real clients find is in the record only, and not here."""
        ready = [case for case, waited_for in self._unjournaled if self._is_judged(case, waited_for)]
        self._unjournaled = [(case, waited_for) for case, waited_for in self._unjournaled if waited_for]
        records = [results.case_record(self.judgement(case), self._check_records) for case in ready]
        seen = self._runner.seen  # after the cases: each of their exchanges is among these
        new = seen[self._journaled_exchanges :]
        self._journaled_exchanges = len(seen)
        return Findings(
            self._runner.evidence({exchange.ref for exchange in new}),
            list(zip((case.kind for case in ready), self.redactor.values(records), strict=True)),
            results.measure_traffic(new, self.plan.tenant.base_url, self.plan.tenant.prices),
        )

    def _is_judged(self, case: Case, waited_for: list[CheckCall]) -> bool:
        """Whether each of these checks has a result. Those that have one leave the list: this is asked often."""
        if case.runbook is not None and self._drives(case.runbook):
            return False
        while waited_for and self._runner.is_judged(waited_for[-1]):
            waited_for.pop()
        return not waited_for

    # -- real clients

    def _client_results(self, case: Case) -> Sequence[CheckResult]:
        """What real clients found for a row that they are driven for, and what they add to a checklist item."""
        if case.runbook is None or (case.kind is not CaseKind.CLIENT and not self._drives(case.runbook)):
            return ()
        if case.kind is CaseKind.CLIENT:
            return self._judged(case.runbook).row(case.id).checks
        if case.number is None:
            return ()
        wanted = {one.id for one in self.plan.of(CaseKind.CLIENT, case.runbook)}
        return self._judged(case.runbook).only(wanted).further(case.number)

    def _drives(self, runbook: str) -> bool:
        return self._driving is not None and self._driving.drives(runbook)

    def _judged(self, runbook: str) -> "real.Judged":
        if self._driving is None or not self._driving.drives(runbook):
            return real.not_driven(self.plan.book(runbook), "its clients were not driven", "Name them with --clients.")
        return self._driving.result(runbook)

    def _make_driving(self, clients: Clients) -> "real.Driving | None":
        """Drives the clients whose rows are planned once the checks are through: the checks' requests go first."""
        wanted = [
            (as_entered(self.plan.tenant, self.plan.book(manifest.runbook)), manifest, chosen)
            for manifest, chosen in clients
            if self.plan.of(CaseKind.CLIENT, manifest.runbook)
        ]
        if not wanted:
            return None
        from gt_conformance.proxy import exchange_numbers  # noqa: PLC0415 - with the proxy's server, for few runs

        sources = resources.clients_dir()
        environments = real.Environments(resources.environments_dir(), sources, self._news.append)
        stage = real.Stage(
            self.plan.tenant, environments, sources / "_shared", self.id, exchange_numbers(), self._news.append
        )
        routes = {
            book.id: frozenset(case.route for case in self.plan.of(CaseKind.CLIENT, book.id) if case.route is not None)
            for book, _, _ in wanted
        }
        return real.Driving(stage, wanted, self.plan.choices, self._why_not_driven, routes)

    def _why_not_driven(self) -> tuple[str, str] | None:
        if self.plan.tenant.limits.max_tokens is not None:
            return _CLIENTS_UNBOUNDED
        for call in self.plan.distinct:
            self._runner.result(call)
        refusal = self._runner.refusal
        return None if refusal is None else (refusal.reason, refusal.remedy)

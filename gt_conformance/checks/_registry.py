"""The checks of a run, by id, and what a row, a checklist item and the tenant take of them.

Nothing here knows a check: what is planned is read from the declarations, our own and those of extensions alike.
"""

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import assert_never

from gt_conformance.checks import (
    addressing,
    answers,
    boundary,
    chat,
    chat_names,
    chat_stream,
    chat_tools,
    client,
    conversation_opening,
    conversations,
    embeddings,
    embeddings_many,
    files,
    inheritance,
    isolation,
    keys,
    knowledge,
    media,
    meters,
    models,
    names,
    prompts,
    rotation,
    scopes,
    turn,
)
from gt_conformance.checks._check import (
    ADD_INFERENCE_KEY,
    ADD_UPLOAD_KEY,
    WHOLE_BOUNDARY,
    Boundary,
    Check,
    CheckCall,
    Context,
    NarrowestKey,
    NoKeyOfItsOwn,
    Parameters,
    Rows,
    RunbookKey,
    cannot_reach,
    reaches,
)
from gt_conformance.checks._ledger import clauses, nearest, place_of
from gt_conformance.checks._preflight import PREFLIGHT
from gt_conformance.checks.slo import check_of_id, checks_of
from gt_conformance.errors import Blocker, InputError, Location, Problem
from gt_conformance.runbook import ChecklistItem, Row, Runbook
from gt_conformance.schema import masked
from gt_conformance.tenant import Choice, Credential, Tenant, find_undeclared_name
from gt_conformance.vocabulary import ATTESTATION, CLIENT_CHECKS, Actor, Modality, Purpose, Route, Verdict

ENTRY_POINTS = "gt_conformance.checks"
"""The group of entry points by which an installed package offers checks of its own."""

_ID = re.compile(r"[a-z_]+\.[a-z0-9_]+")
_RESERVED = {ATTESTATION, PREFLIGHT.id, *CLIENT_CHECKS}


@dataclass(frozen=True)
class Registry(Mapping[str, Check]):
    """Checks by id, in the order in which they are declared: reports show a row's checks in that order."""

    checks: tuple[Check, ...]

    @cached_property
    def _by_id(self) -> dict[str, Check]:
        return {check.id: check for check in self.checks}

    @cached_property
    def _by_row(self) -> dict[tuple[Verdict, Route], list[tuple[Check, Rows]]]:
        found: dict[tuple[Verdict, Route], list[tuple[Check, Rows]]] = {}
        for check in self.checks:
            for rows in check.rows:
                for route in rows.routes:
                    found.setdefault((rows.verdict, route), []).append((check, rows))
        return found

    @cached_property
    def _by_route(self) -> dict[Route, Check]:
        return {check.opens: check for check in reversed(self.checks) if check.opens is not None}

    def opening(self, route: Route) -> Check:
        """The check that proves the route to answer at all. Raises KeyError for a route that none proves."""
        return self._by_route[route]

    def __getitem__(self, check_id: str) -> Check:
        """The check of that id. Raises KeyError."""
        return self._by_id[check_id]

    def __iter__(self) -> Iterator[str]:
        """The ids."""
        return iter(self._by_id)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_id)

    @property
    def tenant_wide(self) -> tuple[str, ...]:
        """The ids of those that are judged once a run, whatever runbooks are selected."""
        return tuple(check.id for check in self.checks if check.tenant_wide is not None)

    def with_objectives_of(self, tenant: Tenant) -> "Registry":
        """These checks, and one for each number that the tenant file promises."""
        added = tuple(check for check in checks_of(tenant) if check.id not in self)
        return Registry((*self.checks, *added)) if added else self

    @property
    def item_ids(self) -> frozenset[str]:
        """Every id that a checklist item may name."""
        return frozenset(self) | {ATTESTATION}

    @property
    def unproven(self) -> tuple[str, ...]:
        """The checks that no fault of the embedded tenant is for, but for those that only advise.

        Those are the ones that were added: that each of our own has its fault is a test, and no run loads all faults.
        """
        added = (check for check in self.checks if check.id not in BUILT_IN and check.objective is None)
        return tuple(check.id for check in added if not check.only_advises)

    @property
    def acts(self) -> Mapping[str, Actor]:
        """Who acts on a violation of each check, by its id."""
        return {check.id: check.acts for check in self.checks}

    def taken_by(self, row: Row) -> Sequence[tuple[Check, Rows]]:
        """The checks whose declared rows include this one."""
        return self._by_row.get((row.verdict, row.route), ())

    def unverified(self, book: Runbook) -> Iterator[Problem]:
        """The rows of a runbook that no check verifies: a route or a verdict that is new."""
        for row in book.rows:
            if all(rows.any_key for _, rows in self.taken_by(row)):
                yield Problem(
                    f"no check verifies that {row.route.title} is {row.verdict.value}.",
                    where=book.document.locate("routes", row.route.title),
                    path=f"routes.{row.route.title}.verdict",
                    hint="Declare one that takes this row, or correct the verdict.",
                )


def declared_in(module: ModuleType) -> tuple[Check, ...]:
    """The checks that a module declares itself, in its order."""
    found = (value for value in vars(module).values() if isinstance(value, Check))
    return tuple(check for check in found if check.run.__module__ == module.__name__)


BUILT_IN = Registry(
    tuple(
        check
        for module in (
            keys,
            scopes,
            rotation,
            models,
            names,
            chat,
            chat_names,
            chat_tools,
            chat_stream,
            embeddings,
            embeddings_many,
            media,
            client,
            addressing,
            turn,
            meters,
            prompts,
            conversation_opening,
            conversations,
            isolation,
            inheritance,
            files,
            knowledge,
            boundary,
            answers,
        )
        for check in declared_in(module)
    )
)
"""The checks that come with the suite, family by family."""

TENANT_CHECKS = BUILT_IN.tenant_wide
"""Once a run, whatever runbooks are selected."""


def checks() -> Registry:
    """Every check that comes with the suite, by its id."""
    return BUILT_IN


def find_check(name: str, known: Mapping[str, Check] = BUILT_IN) -> Check | None:
    """The check of that id: one of the known, or the one that judges the objective of that id; None for neither."""
    return known[name] if name in known else check_of_id(name)


# -- what is planned


def boundary_of(tenant: Tenant, books: Mapping[str, tuple[Runbook, Choice]], *, whole: bool) -> Boundary:
    """The boundary of these runbooks: the keys of their rows, the routes that they use, the addresses they call.

    Where these are all runbooks it is the ``whole`` boundary, of all keys.
    """
    keys = {key.name for book, choice in books.values() for row in book.rows if (key := _row_key(row, choice))}
    if whole:
        usable = [key for key in tenant.live_credentials if key.name in keys and key.secret is not None]
        return Boundary(sharing=tuple(key.name for key in sorted(usable, key=lambda key: key.breadth)))
    used = {row.route for book, _ in books.values() for row in book.rows if row.verdict is not Verdict.NOT_SUPPORTED}
    addresses = {address for book, _ in books.values() for address in addressing.addresses_of(tenant, book)}
    return Boundary(
        keys=tuple(key.name for key in tenant.live_credentials if key.name in keys),
        routes=tuple(route for route in Route if route in used),
        addresses=tuple(sorted(addresses)),
    )


def row_calls(
    tenant: Tenant,
    book: Runbook,
    row: Row,
    choice: Choice,
    registry: Registry = BUILT_IN,
    boundary: Boundary = WHOLE_BOUNDARY,
) -> tuple[CheckCall, ...]:
    """The checks of a row with the credential that the choice gives it. Without one, each is blocked already."""
    key = _row_key(row, choice)
    context = Context(tenant, book, choice, row.route)
    able = [name for name in boundary.sharing if _asks(tenant, tenant.credentials[name], row.route)]
    if row.route is Route.MODELS:
        able.sort(key=lambda name: _tells_least(tenant, tenant.credentials[name]))
    calls: dict[CheckCall, None] = {}
    for check, rows in registry.taken_by(row):
        if check.of_all and boundary.keys:
            continue
        names = able if rows.any_key and key and able else [key.name if key else None]
        stand_ins = tuple(able) if names is able else ()
        # Two clients of one runbook that ask for the same are one call, in the order first named.
        calls |= dict.fromkeys(
            CheckCall(check.id, names[0], _bounded(check, parameters, boundary), stand_ins=stand_ins)
            for parameters in rows.parameters(context)
        )
    return tuple(
        call if call.credential else replace(call, blocker=_no_credential(tenant, row, choice)) for call in calls
    )


def _tells_least(tenant: Tenant, key: Credential) -> tuple[bool, int]:
    """How little a list of the key tells: one of several names shows what is missing, of fewer than all what is not."""
    named = [one.models for one in tenant.live_credentials if one.models]
    return key.models == frozenset().union(*named), -len(key.models or ())


def _asks(tenant: Tenant, key: Credential, route: Route) -> bool:
    """Whether the key may ask for all rows of the route: where files are uploaded, it uploads one itself."""
    writes = bool(tenant.dataset is not None and key.may(Route.DATASET_FILES) and key.may_write(tenant.dataset))
    match route:
        case Route.DATASET_FILES:
            return writes
        case Route.FILE_STATUS:
            return writes or key.holds_conversations is True
        case _:
            return reaches(tenant, key, route)


def item_calls(
    tenant: Tenant,
    book: Runbook,
    item: ChecklistItem,
    choice: Choice,
    by_row: Mapping[Route, Sequence[CheckCall]],
    registry: Registry = BUILT_IN,
    boundary: Boundary = WHOLE_BOUNDARY,
) -> tuple[CheckCall, ...]:
    """Every check of the rows that an item rests on, then its further ones, less attestation.

    ``by_row`` holds the calls of each row of the runbook; those that rows take already are the same calls.
    """
    taken: dict[str, list[CheckCall]] = {}
    for call in (call for calls in by_row.values() for call in calls):
        taken.setdefault(call.check, []).append(call)
    found = [call for route in item.rests_on for call in by_row[route]]
    for check in item.checks:
        if check != ATTESTATION:
            found += taken.get(check) or [_item_call(Context(tenant, book, choice), registry[check], boundary)]
    return tuple(dict.fromkeys(found))


def tenant_call(
    tenant: Tenant, check: str, registry: Registry = BUILT_IN, boundary: Boundary = WHOLE_BOUNDARY
) -> CheckCall:
    """A tenant-wide check with the key that it presents. Raises ValueError for a check that is not tenant-wide."""
    rule = registry[check].tenant_wide
    parameters = _bounded(registry[check], Parameters(), boundary)
    match rule:
        case NoKeyOfItsOwn():
            return CheckCall(check, None, parameters)
        case NarrowestKey():
            key = rule.find(tenant, boundary.keys)
            if key is None:
                reason = "no credential can serve this check"
                return CheckCall(check, None, parameters, _missing_key(tenant, reason, rule.missing))
            return CheckCall(check, key.name, parameters)
        case None:
            raise ValueError(f"{check} is not tenant-wide.")
        case _:
            assert_never(rule)


def _row_key(row: Row, choice: Choice) -> Credential | None:
    match row.verdict:
        case Verdict.NATIVE:
            return choice.inference.get(row.route)
        case Verdict.GT_EXTENSION:
            return choice.extension.get(row.route)
        case Verdict.NOT_SUPPORTED:
            return choice.own
        case _:
            assert_never(row.verdict)


def _no_credential(tenant: Tenant, row: Row, choice: Choice) -> Blocker:
    if row.verdict is Verdict.NOT_SUPPORTED:
        reason = "this runbook has no credential of its own that could be refused"
        return _missing_key(tenant, reason, "Add a live key for this client to the tenant file.")
    return _missing_key(tenant, f"no credential reaches {row.route.title}", choice.missing[row.route], row.route)


def _bounded(check: Check, parameters: Parameters, boundary: Boundary) -> Parameters:
    return boundary.narrow(parameters) if check.by_surface else parameters


def _item_call(context: Context, check: Check, boundary: Boundary) -> CheckCall:
    if check.tenant_wide is not None:
        return tenant_call(context.tenant, check.id, Registry((check,)), boundary)
    key, missing = _item_key(context, check)
    parameters = _bounded(check, check.items.parameters(context), boundary)
    call = CheckCall(check.id, key.name if key else None, parameters)
    if key is None and missing is not None:
        route = check.items.key.route if isinstance(check.items.key, RunbookKey) else None
        return replace(call, blocker=_missing_key(context.tenant, "no credential can serve it", missing, route))
    return call


def _missing_key(tenant: Tenant, reason: str, missing: str, route: Route | None = None) -> Blocker:
    """The blocker for want of a key: a mistyped name, which no key may use, is one cause wherever it is missed."""
    modality = Modality.CHAT if route is None or route.modality is None else route.modality
    undeclared = find_undeclared_name(tenant, modality)
    if undeclared is not None and missing != ADD_UPLOAD_KEY and route not in {Route.DATASET_FILES, Route.FILE_STATUS}:
        return undeclared
    return tenant.in_one(Blocker(reason, missing, cause=_cause_of_want(tenant, missing, route)))


def _cause_of_want(tenant: Tenant, missing: str, route: Route | None) -> str:
    """What one key more would supply is one cause, wherever it is missed; empty where the remedy tells it."""
    if route is Route.DATASET_FILES and tenant.dataset is None:
        return "dataset"
    if route is not None and route.scope is not None and route.modality is not None:
        return f"no key for {route.value}" if cannot_reach(tenant, route) else ""
    wanted = next((purpose for purpose in Purpose if f"purpose {purpose.value}" in missing), None)
    if wanted is None or wanted is Purpose.INFERENCE:
        return ""
    return tenant.cause_without(wanted) or (f"no {wanted.value} key that may" if wanted is Purpose.CONVERSATION else "")


def _item_key(context: Context, check: Check) -> tuple[Credential | None, str | None]:
    """The key that an item's check presents, and what to add where there is none."""
    rule, choice = check.items.key, context.choice
    match rule:
        case RunbookKey():
            if rule.route is None:
                return choice.own, choice.missing.get(Route.CHAT, ADD_INFERENCE_KEY)
            key = choice.inference.get(rule.route) or choice.extension.get(rule.route)
            return key, choice.missing.get(rule.route, ADD_INFERENCE_KEY)
        case NarrowestKey():
            return rule.find(context.tenant), rule.missing
        case NoKeyOfItsOwn():
            return None, None
        case _:
            assert_never(rule)


# -- checks of somebody's own


def load_extensions(modules: Sequence[str] = (), registry: Registry = BUILT_IN) -> Registry:
    """The registry with the checks of these modules and of installed packages (entry points) added to it.

    A module is named as in an import (``acme.checks``) or by its path (``acme/checks.py``). Raises InputError naming
    every module that cannot be used, and why.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - with what it imports as slow as all checks together

    installed = entry_points(group=ENTRY_POINTS)
    wanted: dict[str, Callable[[], object]] = {name: partial(_imported, name) for name in modules}
    wanted |= {f"entry point {point.name} ({point.value})": point.load for point in installed}
    problems: list[Problem] = []
    for name, load in wanted.items():
        try:
            added = _checks_of(name, load)
        except InputError as error:
            problems += error.problems
            continue
        problems += [problem for check in added for problem in problems_of(check, registry, added)]
        registry = Registry((*registry.checks, *added))
    if problems:
        raise InputError(problems)
    return registry


def problems_of(check: Check, known: Mapping[str, Check], beside: Sequence[Check] = ()) -> Iterator[Problem]:
    """What is wrong with the declaration of a check that joins those known, together with those beside it."""
    where = place_of(check)
    ids = {*known, *(other.id for other in beside)}
    if not _ID.fullmatch(check.id):
        yield Problem(f"{check.id!r} is not an id of a check.", where, hint="Name it like family.claim (a-z, 0-9, _).")
    if check.id in known or check.id in _RESERVED or [other.id for other in beside].count(check.id) > 1:
        yield Problem(f"there is a check {check.id!r} already.", where, hint="Give it an id of its own.")
    if not inspect.iscoroutinefunction(check.run):
        yield Problem(f"the check {check.id!r} is not an async function.", where, hint="Write async def.")
    if not inspect.getdoc(check.run):
        yield Problem(f"the check {check.id!r} has no docstring.", where, hint="Say what it sends and what must hold.")
    for name in check.rests_on:
        if name not in ids or name == check.id:
            message = f"{check.id!r} rests on {name!r}, which is not another check."
            yield Problem(message, where, hint=nearest(name, ids))
    for clause in check.clauses:
        if clause not in clauses():
            yield Problem(
                f"{check.id!r} carries {clause!r}, which is not a clause.", where, hint=nearest(clause, clauses())
            )


def _imported(name: str) -> ModuleType:
    if not name.strip():
        raise InputError.of("--checks names no module.", hint="Name a module as in an import, or the path of its file.")
    if not name.endswith(".py") and (name.startswith(".") or "/" in name):
        raise InputError.of(f"{name} is not a Python file.", hint="Name a file that ends in .py, or a module.")
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise InputError.of(f"there is no file {name}.", hint="Name a Python file, or a module that can be imported.")
    spec = importlib.util.spec_from_file_location(f"gt_conformance_checks_of_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError.of(f"{name} cannot be imported.", hint="Name a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _checks_of(name: str, load: Callable[[], object]) -> tuple[Check, ...]:
    try:
        module = load()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise _not_imported(name, error) from error
    found = declared_in(module) if isinstance(module, ModuleType) else ()
    if not found:
        raise InputError.of(
            f"{name} declares no check.", hint="Decorate an async function with @check (gt_conformance.checks)."
        )
    return found


def _not_imported(name: str, error: BaseException) -> InputError:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return InputError.of(
            f"there is no module {name}.", hint="Name a module that can be imported from here, or the path of its file."
        )
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    where = Location(frames[-1].filename, frames[-1].lineno)
    if isinstance(error, SyntaxError) and error.filename:
        where = Location(error.filename, error.lineno)
    message = masked(" ".join([f"{type(error).__name__}:", *str(error).split()]).rstrip(":."))
    return InputError.of(f"{name} cannot be imported: {message}.", where=where, hint="Correct it.")

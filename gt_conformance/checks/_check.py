"""A check declares everything about itself in one place: what it claims, which rows take it, which key it presents.

Planning (:mod:`gt_conformance.checks._registry`) reads the declarations; it knows no check by its id.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from gt_conformance.errors import Blocked, Blocker
from gt_conformance.runbook import ClientProfile, Runbook
from gt_conformance.tenant import Choice, Credential, Objective, Tenant, find_undeclared_name
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity, Verdict

if TYPE_CHECKING:
    from gt_conformance.checks._probe import (
        Probe,
    )

CheckFunction: TypeAlias = Callable[["Probe"], Awaitable[None]]


# -- what a check is applied to


@dataclass(frozen=True)
class Parameters:
    """What differs from row to row. Two rows that need the same of a check share its one run.

    Each check reads the few that it is about; the others keep their defaults, so that equal means equal.
    """

    route: Route | None = None
    base_path: str | None = None
    token_limit: str = "none"
    token_limit_value: int | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    stream_usage: bool = False
    lf_data_only: bool = False
    needs: tuple[str, ...] = ()
    required: bool = True
    encoding_format: str = "none"
    batch: bool = True
    string: bool = False
    load: tuple[tuple[str, int], ...] = ()
    stream: bool = False
    discovery: tuple[str, ...] = ()
    runbook: str | None = None
    client: str | None = None
    routes: tuple[Route, ...] = ()
    keys: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    minimal: bool = False
    """Only as much as shows that the route answers at all: what a check that ``opens`` a route is asked first."""

    def likeness(self, other: "Parameters") -> int | None:
        """How many of these both set alike; None where both set one and they differ."""
        both = [value == other.given[name] for name, value in self.given.items() if name in other.given]
        return sum(both) if all(both) else None

    def strangeness(self, other: "Parameters") -> int:
        """How many the other sets that these leave out: it is so much less about the same."""
        return len(other.given.keys() - self.given.keys())

    def resembles(self, other: "Parameters") -> bool:
        """Whether it sets nothing, or something as the other one does."""
        return self == Parameters() or bool(self.likeness(other))

    def contains(self, other: "Parameters") -> bool:
        """Whether requests of it are those of the other with further body fields; what is needed of answers apart."""
        alike = self.asking_as(other) == replace(other, needs=self.needs, lf_data_only=self.lf_data_only)
        return alike and self.sent > other.sent

    def asking_as(self, other: "Parameters") -> "Parameters":
        """These with the body fields of the other."""
        return replace(self, fields=other.fields, stream_usage=other.stream_usage)

    @property
    def sent(self) -> frozenset[str]:
        """The body fields that it sends besides what the request cannot be without."""
        return frozenset(map(repr, self.fields)) | ({"stream_options"} if self.stream_usage else set())

    def described(self) -> dict[str, Any]:
        """Those that differ from their defaults, as JSON values."""
        return {name: _describe(name, value) for name, value in self.given.items()}

    @cached_property
    def given(self) -> Mapping[str, Any]:
        """Those that differ from their defaults, by name."""
        given = ((name, getattr(self, name), default) for name, default in _DEFAULTS)
        return {name: value for name, value, default in given if value != default}


_DEFAULTS = tuple((item.name, item.default) for item in fields(Parameters))


def _describe(name: str, value: Any) -> Any:
    if name in {"fields", "headers", "load"}:
        return deepcopy(dict(value))
    if isinstance(value, tuple):
        return [_describe("", item) for item in value]
    return value.value if isinstance(value, Route) else value


MINIMAL = Parameters(minimal=True)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Which part of the tenant's boundary a run tries: that of these keys, routes and addresses; all where it is empty.

    A run of some runbooks tries that of their own keys. The boundary of all keys is part of a run of all runbooks, and
    a run of its own. ``sharing`` are the keys of the rows, the narrowest first, where one of them may ask for all.
    """

    keys: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    addresses: tuple[str, ...] = ()
    sharing: tuple[str, ...] = ()

    def narrow(self, parameters: Parameters) -> Parameters:
        """The parameters of a check of the boundary, with this part of it."""
        return replace(parameters, keys=self.keys, routes=self.routes, addresses=self.addresses)


WHOLE_BOUNDARY = Boundary()


@dataclass(frozen=True, slots=True)
class CheckCall:
    """A check applied: to a credential (by name) with parameters. Equal calls are judged once a run.

    ``blocker`` says why it is blocked already, without a request. Two calls are equal whatever blocks them: the same
    check may be blocked in one row for another reason than in the next. ``stand_ins`` are keys that may ask instead,
    where its own does not work.
    """

    check: str
    credential: str | None = None
    parameters: Parameters = Parameters()
    blocker: Blocker | None = field(default=None, compare=False)
    stand_ins: tuple[str, ...] = field(default=(), compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note its hash: it is looked up all the time, and its parameters are many."""
        object.__setattr__(self, "_hash", hash((self.check, self.credential, self.parameters)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def sort_key(self) -> tuple[str, str, str]:
        """A stable order for plans and reports."""
        return (self.check, self.credential or "", repr(self.parameters))


# -- which key it presents


@dataclass(frozen=True)
class RunbookKey:
    """The runbook's key: the one of this route, or, without a route, the runbook's own."""

    route: Route | None = None

    def __str__(self) -> str:
        """As ``explain`` says it."""
        return f"the runbook's key for {self.route.title}" if self.route else "the runbook's own key"


def narrowest_key(
    tenant: Tenant, can: Callable[[Credential], object], among: Collection[str] = ()
) -> Credential | None:
    """The narrowest live key for which ``can`` holds; None where there is none.

    It is one of those named ``among``, where they are named and one of them can.
    """
    able = [key for key in tenant.live_credentials if can(key)]
    able = [key for key in able if key.name in among] or able
    return min(able, key=lambda key: key.breadth, default=None)


def cannot_reach(tenant: Tenant, route: Route) -> bool:
    """Whether each live key is declared to be without the route: one key more is what is missing."""
    return all(key.may(route) is False for key in tenant.live_credentials)


def require_model(tenant: Tenant, modality: Modality) -> None:
    """Raises Blocked where the tenant file names no model for it: nothing but refusals can be expected then."""
    undeclared = None if tenant.serves(modality) else find_undeclared_name(tenant, modality)
    if undeclared is not None:
        raise Blocked.by(undeclared)


def require_declared_name(tenant: Tenant) -> None:
    """Raises Blocked where no key is declared to be allowed the name that chats take: no chat can be expected then."""
    undeclared = find_undeclared_name(tenant, Modality.CHAT)
    if undeclared is not None:
        raise Blocked.by(undeclared)


def narrowest_reaching(
    tenant: Tenant, route: Route, among: Collection[str] = (), *, undeclared: bool = False
) -> Credential | None:
    """The narrowest live key that is declared to reach the route with its published name.

    With ``undeclared`` a key that declares no names at all may be it as well.
    """
    return narrowest_key(tenant, lambda key: reaches(tenant, key, route, undeclared=undeclared), among)


def reaches(tenant: Tenant, key: Credential, route: Route, *, undeclared: bool = False) -> bool:
    """Whether the key is declared to reach the route with its published name; ``undeclared`` as above."""
    named = route.modality is None or tenant.may_use(key, route.modality)
    return bool(key.may(route) and (named or (undeclared and named is None)))


def first_key(tenant: Tenant, among: Collection[str] = ()) -> Credential | None:
    """The key that a run tries before all others, of those named: one that holds conversations, where there is one.

    What is asked of conversations waits for one another longest, so it begins first.
    """
    usable = [key for key in tenant.live_credentials if key.secret is not None]
    usable = [key for key in usable if key.name in among] or usable
    return min(usable, key=lambda key: key.holds_conversations is not True, default=None)


@dataclass(frozen=True)
class NarrowestKey:
    """The narrowest live key for which ``can`` holds; ``missing`` is what to add where there is none."""

    text: str
    can: Callable[[Tenant, Credential], object]
    missing: str

    def __str__(self) -> str:
        """As ``explain`` says it."""
        return f"the narrowest key {self.text}"

    def find(self, tenant: Tenant, among: Collection[str] = ()) -> Credential | None:
        """That key, one of those named ``among`` where one of them can; None where there is none."""
        return narrowest_key(tenant, lambda key: self.can(tenant, key), among)


@dataclass(frozen=True)
class NoKeyOfItsOwn:
    """Several keys in turn, or none: the check itself says which, and is never blocked for want of one."""

    text: str

    def __str__(self) -> str:
        """As ``explain`` says it."""
        return self.text


ADD_INFERENCE_KEY = "Add a live key with purpose inference and scope inference:chat to the tenant file."
ADD_UPLOAD_KEY = "Add a live key with purpose upload, scope datasets:write and its datasets to the tenant file."
ANY_LIVE_KEY = NarrowestKey(
    "that may use the tenant's chat model",
    lambda tenant, key: key.may_use(tenant.model(Modality.CHAT)) is not False,
    ADD_INFERENCE_KEY,
)
SEVERAL_KEYS = NoKeyOfItsOwn("several keys, one after another")
NO_KEY = NoKeyOfItsOwn("no key")
TenantKey: TypeAlias = NarrowestKey | NoKeyOfItsOwn
ItemKey: TypeAlias = RunbookKey | NarrowestKey | NoKeyOfItsOwn


# -- who takes it


@dataclass(frozen=True)
class Context:
    """What a declaration may read to say with which parameters a row or an item takes a check. Nothing is sent."""

    tenant: Tenant
    runbook: Runbook
    choice: Choice
    route: Route | None = None
    """The route of the row; None for a checklist item."""

    @property
    def clients(self) -> tuple[ClientProfile, ...]:
        """The shapes in which the runbook's rows are probed."""
        return self.runbook.clients


def _once(_: Context) -> Iterable[Parameters]:
    return (Parameters(),)


def plainest(_: Context) -> Iterable[Parameters]:
    """The plainest request, which each row's key sends; what clients send beyond it, one key may ask for all rows."""
    return (MINIMAL,)


@dataclass(frozen=True)
class Rows:
    """The rows that take a check: those of these routes with this verdict, once for each different parameters.

    Where ``parameters`` gives none, the row does not take it. It presents the row's key, or, with ``any_key``, the
    narrowest of all rows' keys that reaches the route: then one key asks for all runbooks.
    """

    verdict: Verdict
    routes: tuple[Route, ...]
    parameters: Callable[[Context], Iterable[Parameters]] = _once
    any_key: bool = False

    def __str__(self) -> str:
        """As ``explain`` says it."""
        where = "all routes" if set(self.routes) == set(Route) else ", ".join(route.title for route in self.routes)
        return f"{where} ({self.verdict.value})"


def native(
    *routes: Route, parameters: Callable[[Context], Iterable[Parameters]] = _once, any_key: bool = False
) -> Rows:
    """The rows of these routes that are native; with ``any_key`` one key asks for all of them."""
    return Rows(Verdict.NATIVE, routes, parameters, any_key)


def gt_extension(
    *routes: Route, parameters: Callable[[Context], Iterable[Parameters]] = _once, any_key: bool = False
) -> Rows:
    """The rows of these routes that are gt_extension; with ``any_key`` one key asks for all of them."""
    return Rows(Verdict.GT_EXTENSION, routes, parameters, any_key)


@dataclass(frozen=True)
class Items:
    """How a checklist item takes a check that no row of its runbook takes."""

    key: ItemKey = RunbookKey()
    parameters: Callable[[Context], Parameters] = lambda _: Parameters()


# -- the declaration


@dataclass(frozen=True)
class Check:
    """One observable claim with a stable id (``chat.streams``): the unit that is verified.

    ``clauses`` are the sentences of GT's documentation that it carries (schemas/clauses.yaml); ``acts`` and
    ``severity`` say who has to act on a violation and how bad it is; ``rests_on`` are the checks without which it tells
    nothing; ``shows`` is what of a runbook's prerequisites its success proves.

    With ``only_advises`` no clause carries what it asks of the tenant: whatever fails in it is an advisory.

    ``opens`` names the route that it proves to answer at all: with ``MINIMAL`` parameters it sends no more than that
    needs. What else is asked of the route, this check in a client's own shape among it, rests on that.

    It is taken by ``rows``, once a run for the whole tenant where ``tenant_wide`` names a key, and by checklist items
    that name it (``items``). With ``by_surface`` its parameters name the keys, routes and addresses that the selected
    runbooks use, so that a run of one tries the boundary of those. With ``of_all`` it is about the tenant, whoever asks
    it: a run of some runbooks leaves it to one of all, unless an item of theirs names it. ``creates`` marks a check
    that creates something in the tenant: it is blocked in a read-only run. ``whole_run`` marks one that reads every
    exchange of the run, and so runs last.
    ``refuses`` marks one whose requests are to be refused: they give way to others, and have limits of their own;
    ``last`` one that presents real keys where they must fail: it runs after all that needs these keys.

    ``objective`` is what the operator promises in the tenant file, where the check judges that and no page of GT's.
    """

    id: str
    claim: str
    remedy: str
    source: str
    run: CheckFunction
    acts: Actor = Actor.TENANT
    severity: Severity = Severity.MEDIUM
    clauses: tuple[str, ...] = ()
    only_advises: bool = False
    rests_on: tuple[str, ...] = ()
    opens: Route | None = None
    rows: tuple[Rows, ...] = ()
    tenant_wide: TenantKey | None = None
    by_surface: bool = False
    of_all: bool = False
    items: Items = Items()
    shows: tuple[Fact, ...] = ()
    creates: bool = False
    whole_run: bool = False
    refuses: bool = False
    last: bool = False
    objective: Objective | None = None


def check(  # noqa: PLR0913 - a declaration is what a check is made of, each by its name
    check_id: str,
    *,
    claim: str,
    remedy: str,
    source: str,
    acts: Actor,
    severity: Severity,
    clauses: tuple[str, ...] = (),
    only_advises: bool = False,
    rests_on: tuple[str, ...] = (),
    opens: Route | None = None,
    rows: Rows | tuple[Rows, ...] = (),
    tenant_wide: TenantKey | None = None,
    by_surface: bool = False,
    of_all: bool = False,
    items: Items | None = None,
    shows: tuple[Fact, ...] = (),
    creates: bool = False,
    whole_run: bool = False,
    refuses: bool = False,
    last: bool = False,
) -> Callable[[CheckFunction], Check]:
    """Declare a check. The function's docstring says what it sends and what must hold; its name becomes the check."""

    def declare(function: CheckFunction) -> Check:
        return Check(
            id=check_id,
            claim=claim,
            remedy=remedy,
            source=source,
            run=function,
            acts=acts,
            severity=severity,
            clauses=clauses,
            only_advises=only_advises,
            rests_on=rests_on,
            opens=opens,
            rows=(rows,) if isinstance(rows, Rows) else rows,
            tenant_wide=tenant_wide,
            by_surface=by_surface,
            of_all=of_all,
            items=items or Items(),
            shows=shows,
            creates=creates,
            whole_run=whole_run,
            refuses=refuses,
            last=last,
        )

    return declare

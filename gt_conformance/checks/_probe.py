"""One check under way: it asks for exchanges and records everything that does not hold.

What counts as an answer, a success or a refusal is decided here, once for all checks.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from gt_conformance import schema
from gt_conformance.checks._check import MINIMAL, Check, CheckCall, Parameters, require_model
from gt_conformance.checks._notes import Notes, StopCheck
from gt_conformance.checks._vectors import Earlier
from gt_conformance.checks._wording import (
    BEYOND_CONTEXT,
    LONGEST_QUOTE,
    NOT_LET_THROUGH,
    SEND_JSON,
    WEB_PAGE,
    cause_of_answer,
    describe,
    describe_error,
    describe_failure,
    explain_answer,
    explain_html_page,
    explain_silence,
    extract_reason,
    find_limit,
    format_status,
    is_beyond_context,
    is_filtered,
    join_path,
    lets_in,
    names_model_as_cause,
    names_the_right,
    place_of,
    says_unable,
    without_ids,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import (
    IN_MEMBERS,
    Exchange,
    NotJson,
    Redactor,
    Request,
    Response,
    TooManyValues,
    parse_json,
    shortened,
)
from gt_conformance.tenant import Credential, Limits, Objective, Tenant
from gt_conformance.timing import Past, Samples, Verdict, judge
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Route

_T = TypeVar("_T")
_IN_MEMBERS = (
    "a body of gzip comes in several members, of which httpx, and with it OpenAI's SDK for Python, reads the first "
    "only; have the gateway before the tenant compress each body as one"
)
LABEL_REMEDY = "Have the tenant, and every proxy before it, compress only as the request accepts, and label just that."
_MOST_ERRORS = 5
_MAX_RESPONSE = "limits.max_response_bytes"


class Runner(Protocol):
    """What a check may ask of the runner that carries it out."""

    @property
    def tenant(self) -> Tenant:
        """The tenant under test."""

    @property
    def run_id(self) -> str:
        """Names what this run creates."""

    @property
    def seen(self) -> Sequence[Exchange]:
        """Every exchange of the run so far."""

    @property
    def earlier(self) -> Mapping[str, Earlier]:
        """What the last recorded run saw, by the fingerprint of the secret with which it did."""

    @property
    def redactor(self) -> Redactor:
        """Knows every secret of the tenant."""

    @property
    def past(self) -> Past:
        """The earlier runs of the tenant."""

    @property
    def is_embedded(self) -> bool:
        """Whether the tenant is the embedded one, by what its answers carry."""

    def samples(self) -> Samples:
        """What the run has measured of the tenant's speed."""

    async def exchange(self, request: Request, *, again: int = 0) -> Exchange:
        """Send a request, or give what it gave before; another ``again`` is another sending."""

    async def once(self, name: Hashable, make: Callable[[], Awaitable[_T]]) -> _T:
        """What ``make`` gives, made once a run."""

    async def require(self, call: CheckCall, *, conforming: bool = False) -> None:
        """Raises Blocked, because of that check's finding, unless others can rest on it, or all of it conforms."""

    def nearest(self, check: str, call: CheckCall) -> CheckCall | None:
        """The planned call of that check with the same key whose parameters are nearest to this call's."""

    async def require_route(self, route: Route, key: str) -> None:
        """Raises Blocked, because of the finding, unless the route answers a minimal request of that key."""


def is_longer_than_read(response: Response | None) -> bool:
    """Whether the tenant file, or this suite, lets a run read no more of an answer."""
    if response is None or response.complete:
        return response is not None and response.has_too_many_values
    return _MAX_RESPONSE in response.end


class Probe(Notes):
    """One check under way for one call. Collects violations, advisories and blockers; sends through the runner."""

    def __init__(self, runner: Runner, check: Check, call: CheckCall) -> None:
        super().__init__(check)
        self._runner = runner
        self.call = call
        self.exchanges: list[str] = []
        self.usable = True
        """Whether what it asked for came at all, so that other checks may rest on it."""

    def dry_run(self) -> "Probe":
        """The same check for the same call, with nothing recorded: to see what it would find."""
        return Probe(self._runner, self.check, self.call)

    def presenting(self, key: Credential) -> "Probe":
        """The same check with another key for a part of it; what that finds is recorded here."""
        other = copy(self)
        other.call = replace(self.call, credential=key.name)
        return other

    @property
    def tenant(self) -> Tenant:
        """The tenant under test."""
        return self._runner.tenant

    @property
    def run_id(self) -> str:
        """Names what this run creates."""
        return self._runner.run_id

    @property
    def seen(self) -> Sequence[Exchange]:
        """Every exchange of the run so far; complete for a check that runs last."""
        return self._runner.seen

    @property
    def earlier(self) -> Mapping[str, Earlier]:
        """What the last recorded run saw, by the fingerprint of the secret with which it did."""
        return self._runner.earlier

    @property
    def redactor(self) -> Redactor:
        """Knows every secret of the tenant."""
        return self._runner.redactor

    def judge_objective(self, objective: Objective) -> tuple[Verdict, Exchange | None]:
        """Whether an objective is met, by all that was measured so far, and the slowest exchange of this run."""
        samples, past = self._runner.samples(), self._runner.past

        def earlier(number: int) -> Sequence[float] | None:
            found = past.run(number, embedded=self._runner.is_embedded)
            return None if found is None else found.samples.values(objective)

        worst = samples.worst(objective)
        slowest = next((one for one in self.seen if one.ref == worst), None)
        return judge(objective, samples.values(objective), earlier), slowest

    @property
    def parameters(self) -> Parameters:
        """What the row gives this check."""
        return self.call.parameters

    @property
    def credential(self) -> Credential:
        """The credential that this check is applied to."""
        if self.call.credential is None:
            raise Blocked("this check needs a credential, and none fits", "Add a live key to the tenant file.")
        return self.tenant.credentials[self.call.credential]

    def model(self, modality: Modality) -> str:
        """The published name for it."""
        return self.tenant.model(modality)

    def url(self, path: str) -> str:
        """The address of a path below the tenant's base URL."""
        return self.tenant.base_url + path

    async def send(self, request: Request, *, again: int = 0, control: bool = False) -> Exchange:
        """Send it (once a run, however many checks ask) and keep it as evidence. Raises Blocked on lasting 429.

        A ``control`` is what the rest is compared with or made of, also where a check asks for what is to be refused:
        others wait for it, so that it is not sent last.
        """
        return self.note(await self._runner.exchange(request if control else self._marked(request), again=again))

    async def send_all(self, wanted: Sequence[Request]) -> list[Exchange]:
        """Send these at once, as ``send`` does, and give the exchanges in their order. Raises the first Blocked."""
        exchanges = await together(self._runner.exchange(self._marked(request)) for request in wanted)
        return [self.note(exchange) for exchange in exchanges]

    async def send_each(self, wanted: Sequence[Request]) -> list[Exchange | Blocked]:
        """The same, with Blocked in the place of each that could not be sent, or that says nothing of the tenant."""
        return await together(self._send_or_block(request) for request in wanted)

    def _marked(self, request: Request) -> Request:
        return replace(request, refused=True) if self.check.refuses else request

    async def _send_or_block(self, request: Request) -> Exchange | Blocked:
        try:
            return await self.send(request)
        except Blocked as blocked:
            return blocked

    def note(self, exchange: Exchange) -> Exchange:
        """Keep an exchange as evidence of this check. Raises Blocked where it says nothing about the tenant."""
        if exchange.ref not in self.exchanges:
            self.exchanges.append(exchange.ref)
        if exchange.failure is not None and exchange.failure.is_local:
            raise Blocked(describe_failure(exchange), exchange.remedy, acts=Actor.HERE)
        if (blocker := find_limit(exchange)) is not None:
            raise Blocked.by(blocker)
        return exchange

    async def shared(self, name: Hashable, make: Callable[[], Awaitable[tuple[_T, Sequence[Exchange]]]]) -> _T:
        """Something that several checks need, made once; the exchanges that made it are evidence for each."""
        value, exchanges = await self._runner.once(name, make)
        for exchange in exchanges:
            self.note(exchange)
        return value

    async def require(
        self, check: str, key: str | None = None, parameters: Parameters = MINIMAL, *, conforming: bool = False
    ) -> None:
        """Rest on another check, with the same key unless one is named: raises Blocked where others cannot rest on it.

        Without parameters, on the check in its plainest form. ``conforming`` asks for all that it claims to hold.
        """
        await self._runner.require(CheckCall(check, key or self.call.credential, parameters), conforming=conforming)

    async def require_like(self, check: str, key: str | None = None, *, conforming: bool = False) -> None:
        """Rest on another check in the shape nearest to this one's, where the run has it: of the same key or this."""
        nearest = self._runner.nearest(check, replace(self.call, credential=key or self.call.credential))
        if nearest is not None and nearest.blocker is None:
            await self._runner.require(nearest, conforming=conforming)

    def has_planned(self, check: str, key: str) -> bool:
        """Whether the run carries out that check with that key."""
        found = self._runner.nearest(check, CheckCall(check, key))
        return found is not None and found.credential == key

    async def require_route(self, route: Route, key: str | None = None) -> None:
        """Rest on a route that answers a minimal request of the key (this check's own unless one is named).

        Raises Blocked, because of the finding that says why, where it does not.
        """
        name = key or self.credential.name
        if route.modality is not None:
            require_model(self.tenant, route.modality)
        if self.tenant.credentials[name].may(route) is False:
            raise Blocked(
                f"the key {name} is not declared to reach {route.title}",
                f"Correct purpose and scopes of the key {name} in the tenant file.",
                cause=f"rights {name}",
            )
        await self._runner.require_route(route, name)

    async def is_as_declared(self, key: Credential) -> bool:
        """Whether a violation can rest on what the tenant file declares of a key; else that part is blocked.

        A key that the operator's own finding keeps from the first route that it is declared to reach is declared wrong,
        or its secret is another key's.
        """
        scoped = [one for one in Route if one.scope is not None]
        route = next((one for may in (True, None) for one in scoped if key.may(one) is may), None)
        opens = key.holds_conversations and self.tenant.may_use(key, Modality.CHAT) is not False
        asked = [Route.CONVERSATION_FILES] if opens else []
        if route is not None and (route.modality is None or self.tenant.may_use(key, route.modality) is not False):
            asked.append(route)
        dataset = self.tenant.dataset
        for one in asked:
            if self.tenant.read_only and one in {Route.CONVERSATION_FILES, Route.DATASET_FILES}:
                continue
            if one is Route.DATASET_FILES and (dataset is None or key.may_write(dataset) is False):
                continue  # the dataset that is uploaded to is none of its own
            try:
                await self.require_route(one, key.name)
            except Blocked as blocked:
                if blocked.blocker.acts is Actor.SETUP:
                    self.block_part(f"what the key {key.name} may do", blocked)
                    return False
        return True

    def answer(self, exchange: Exchange, expected: str) -> Response:
        """The response; where none came, or it broke off, that is the violation, and the check ends.

        It ends for the sake of time as well: a tenant that lets one answer drip does so with the next ones. What is
        longer than the operator let it be is for the operator: no clause bounds an answer.
        """
        response = exchange.response
        if response is None:
            due = exchange.request.is_due
            remedy, cause = (explain_silence(exchange), cause_of_answer(exchange)) if due else (_ANSWER, _UNANSWERED)
            raise self._unusable(expected, describe_failure(exchange), exchange, remedy, cause)
        if response.miscoded:
            found = f"{format_status(response)}, but {response.miscoded}"
            raise self._unusable(expected, found, exchange, LABEL_REMEDY, cause="encoding:mislabelled")
        if not response.complete:
            found = f"{format_status(response)}, but {response.end}"
            if is_longer_than_read(response) and self._may_be_long(exchange):
                self.usable = False
                self.block(found, f"Raise {_MAX_RESPONSE} in the tenant file, where answers may be so long.")
                raise StopCheck
            raise self._unusable(expected, found, exchange)
        self.should(response.end != IN_MEMBERS, _IN_MEMBERS, exchange)
        return response

    def _may_be_long(self, exchange: Exchange) -> bool:
        """Whether an answer may be longer than the run reads: an image, vectors of many texts, all below a small limit.

        A hundred vectors of 4,096 numbers with all their digits are nine million bytes.
        """
        request = exchange.request
        small = self.tenant.limits.max_response_bytes < Limits().max_response_bytes
        is_image = request.path.endswith(Route.IMAGES.path.removeprefix("/v1"))
        is_embedding = request.path.endswith(Route.EMBEDDINGS.path.removeprefix("/v1"))
        several = is_embedding and isinstance(texts := request.fields.get("input"), list) and len(texts) > 1
        return small or is_image or several

    def answer_or_refusal(self, exchange: Exchange, expected: str) -> Response:
        """The same where a refusal is due: a 4xx says so by its status, and what its body lacks is advised.

        A gateway that refuses before it has read the request may close the connection before its own words are out.
        """
        response = exchange.response
        if response is None or not response.refused or (response.complete and not response.miscoded):
            return self.answer(exchange, expected)
        self.advise(f"a refusal does not come whole: {response.miscoded or response.end}", exchange)
        return response

    def _unusable(
        self, expected: str, found: str, exchange: Exchange, remedy: str | None = None, cause: str = ""
    ) -> StopCheck:
        """Record a violation on which nothing else can rest; ends the check where it is raised."""
        self.usable = False
        self.fail(expected, found, exchange, remedy=remedy, cause=cause)
        return StopCheck()

    def expect(
        self,
        exchange: Exchange,
        expected: str,
        holds: Callable[[Response], object],
        *,
        remedy: str | None = None,
    ) -> Response:
        """The response, with a violation unless it holds."""
        response = self.answer(exchange, expected)
        if not holds(response) and not self._refused_for_setup(exchange, response):
            self.fail_answer(expected, exchange, response, remedy=remedy)
        return response

    def success(self, exchange: Exchange, expected: str, *, modality: Modality | None = None) -> Response:
        """The 2xx response. Anything else is a violation on which nothing can rest, and ends the check.

        A 401, 403 or 404 to a key whose scopes, names or datasets the tenant file leaves out is a blocker instead:
        it may be the key that lacks the right, and then no promise was broken. So is a web page that refuses.
        """
        response = self.answer(exchange, expected)
        if response.succeeded:
            return response
        self.usable = False
        if not self._refused_for_setup(exchange, response, modality):
            self.fail_answer(expected, exchange, response)
        raise StopCheck

    def fail(self, expected: str, found: str, exchange: Exchange | None = None, **details: Any) -> None:
        """Record a violation, as :meth:`Notes.fail` does; or a blocker, if a content filter refused what was sent.

        Such a refusal shows nothing of what must hold: it depends on the prompt alone.
        """
        if exchange is not None and exchange.response is not None and is_filtered(exchange.response):
            self._block_filtered(exchange, exchange.response)
        else:
            super().fail(expected, found, exchange, **details)

    def fail_answer(self, expected: str, exchange: Exchange, response: Response, *, remedy: str | None = None) -> None:
        """Record an answer that was not due. Whichever checks get the same answer of a route, it is one finding."""
        if response.succeeded:
            self.fail(expected, describe(response), exchange, remedy=remedy)
            return
        remedy = remedy or self._explain_let_in(exchange, response) or explain_answer(exchange, response)
        self.fail(expected, describe(response), exchange, remedy=remedy, cause=cause_of_answer(exchange))

    def _explain_let_in(self, exchange: Exchange, response: Response) -> str:
        """What to do about a refusal of a key that the same route let in before: it is this request that is refused."""
        request = exchange.request
        if response.status != HTTPStatus.FORBIDDEN or response.looks_like_html:
            return ""
        answered = (one for one in self.seen if one.request.key == request.key and one.request.path == request.path)
        if not any(lets_in(one.response) and one.request.presentation is request.presentation for one in answered):
            return ""
        return (
            f"Have the tenant, and every firewall before it, take {request.method} {request.path} as it is sent here: "
            "the same key is let in there with other requests."
        )

    def _refused_for_setup(self, exchange: Exchange, response: Response, modality: Modality | None = None) -> bool:
        """Whether it is a refusal that may be the operator's own doing; then it is recorded as a blocker."""
        if response.looks_like_html and response.status in NOT_LET_THROUGH:
            self.block(
                describe(response),
                explain_html_page(response),
                cause=WEB_PAGE,
                exchange=exchange,
            )
            return True
        if exchange.request.path.endswith(Route.CHAT.path.removeprefix("/v1")) and self._refused_by_model(
            exchange, response
        ):
            return True
        unable = names_the_right(response) or says_unable(response)
        if modality is not None and not self.tenant.declares(modality) and unable:
            self.block(
                f"{describe(response)}: the name {self.tenant.model(modality)} may not serve this, no other is named",
                f"Add models: {{{modality.value}: NAME}} to the tenant file.",
                cause=f"name for {modality.value}",
            )
            return True
        undeclared = self._undeclared(exchange.request, modality)
        if response.status not in {401, 403, 404} or not undeclared or response.looks_like_html:
            return False
        key = self.credential.name
        self.block(
            f"{describe(response)}: the key {key} may lack the right, since {self.tenant.source} "
            f"does not declare its {undeclared}",
            f"Declare {undeclared} of the key {key} in the tenant file, or use a key that has the right.",
            cause=f"undeclared {key}",
        )
        return True

    def _refused_by_model(self, exchange: Exchange, response: Response) -> bool:
        """Whether a chat is more than its model, or the filter before it, takes; then that is recorded as a blocker."""
        alias = exchange.request.fields.get("model")
        if is_beyond_context(response):
            self.block(*BEYOND_CONTEXT)
        elif is_filtered(response):
            self._block_filtered(exchange, response)
        elif names_model_as_cause(response):
            self.block(
                f"the model behind {alias} does not take what clients send: {describe(response)}",
                f"Publish the alias {alias} with a model that takes it, choose another alias for these clients, or "
                "have the tenant translate what this model takes in another form.",
                cause=f"ability {alias}",
            )
        else:
            return False
        return True

    def _block_filtered(self, exchange: Exchange, response: Response) -> None:
        self.block(
            f"a content filter refuses a harmless prompt: {describe(response)}",
            "Publish the alias with filter settings, or with prompt modules, that let a harmless question through.",
            cause="filtered",
            exchange=exchange,
        )

    def _undeclared(self, request: Request, modality: Modality | None) -> str | None:
        """What of the key, on which the route's answer depends, the tenant file leaves out."""
        if self.call.credential is None:
            return None
        key, path = self.credential, request.url.removeprefix(self.tenant.base_url)
        route = Route.at(path)
        conversing = path.startswith("/v1/conversations") or route is Route.FILE_STATUS
        undeclared = {
            "purpose, scopes and models": key.scopes is None and key.purpose is None,
            "scopes": key.scopes is None,
            "scopes as its links have them": route is not None and route.scope in key.unsure.scopes,
            "purpose": key.purpose is None and conversing,
            "conversation_uploads": key.conversation_uploads is False and route is Route.CONVERSATION_FILES,
            "datasets": key.datasets is None and route is Route.DATASET_FILES,
            "models": modality is not None and not self.tenant.declares(modality) and key.models is None,
        }
        return next((what for what, is_undeclared in undeclared.items() if is_undeclared), None)

    def json(self, exchange: Exchange, wire: str, expected: str, *, modality: Modality | None = None) -> Any:
        """The 2xx body as JSON that holds to a wire schema; what only OpenAI's document asks becomes advisories.

        What breaks the schema is one finding, told by the first place, whichever checks read such an answer.
        """
        response = self.success(exchange, expected, modality=modality)
        body = self.parsed(exchange, response, expected)
        rules = schema.load(f"wire/{wire}")
        errors = rules.errors(body)
        if errors and isinstance(body, dict) and body.get("error"):
            inside = shortened(extract_reason(response) or str(body["error"]), LONGEST_QUOTE)
            remedy = f"Have the tenant answer with an error status: most clients take {response.status} for a success."
            raise self._unusable(expected, f"HTTP {response.status} with an error inside: {inside}", exchange, remedy)
        if errors:
            self._require_bare(exchange, rules, body, expected)
            places = [place_of(error) for error in errors[:_MOST_ERRORS]]
            remedy = f"Have the tenant answer in OpenAI's shape: {describe_error(errors[0]).rstrip('.')}."
            for place, error in zip(places, errors, strict=False):
                cause = f"shape:{wire}:{places[0]}"
                self.fail(expected, describe_error(error), exchange, remedy=remedy, cause=cause, at=place)
            raise StopCheck
        by_place: dict[str, list[schema.SchemaError]] = {}
        for error in rules.errors(body, at="#/$defs/published"):
            by_place.setdefault(place_of(error), []).append(error)
        for place, same in by_place.items():
            more = f" (in {len(same)} places)" if len(same) > 1 else ""
            at = f"{join_path(same[0].path)}: " if same[0].path else ""
            text = f"OpenAI's published shape: {at}{same[0].message}{more}"
            self.advise(text, exchange, at=f"{wire}:{place}")
        return body

    def _require_bare(self, exchange: Exchange, rules: schema.Schema, body: Any, expected: str) -> None:
        """End the check where the body is right inside of something else: a gateway wraps all of them alike."""
        if isinstance(body, str):
            self.expect_json_once(exchange, body, expected)
        for name, value in body.items() if isinstance(body, dict) else ():
            if isinstance(value, dict) and not rules.errors(value):
                found = f"the answer is inside of {shortened(name, 60)}, which clients do not look into"
                raise self._unusable(expected, found, exchange, _SEND_BARE, cause="body:wrapped")

    def expect_json_once(self, exchange: Exchange, body: str, expected: str) -> None:
        """End the check where a text that was to be an object is the JSON of one."""
        with suppress(NotJson):
            if isinstance(parse_json(body), dict):
                found = "the answer is JSON in a JSON text: it was encoded twice"
                raise self._unusable(expected, found, exchange, _SEND_BARE, cause="body:encoded twice")

    def parsed(self, exchange: Exchange, response: Response, expected: str) -> Any:
        """The body as JSON; where it is none, that is a violation on which nothing can rest, and the check ends."""
        try:
            return response.json()
        except NotJson as error:
            if isinstance(error, TooManyValues) and self._may_be_long(exchange):
                self.usable = False
                self.block(f"{format_status(response)}, but {error}", _READ_NO_MORE)
                raise StopCheck from None
            kind = response.media_type or "no content type"
            remedy = explain_html_page(response) if response.looks_like_html else _WHOLE.get(kind)
            cause = f"body:{exchange.request.method} {without_ids(exchange.request.path)} {kind}"
            found = f"HTTP {response.status} ({kind}), but {error}"
            raise self._unusable(expected, found, exchange, remedy, cause) from None


_UNANSWERED = "refusal:none"
_ANSWER = (
    "Have the tenant refuse with a 4xx, and every gateway before it pass that on: clients take silence for an outage, "
    "and send the same again."
)
"""What to do where the refusals get no answer; how a tenant refuses is one thing, whatever was asked for."""
_SEND_BARE = "Have every gateway before the tenant pass bodies on as the tenant writes them, with nothing around them."
_READ_NO_MORE = (
    "No setting raises this limit. Choose a published name whose vectors have fewer numbers, or accept that this is "
    "not tested (gt-conformance accept)."
)
"""What to do about an answer that may hold so many values, and that this suite does not read."""
_WHOLE = {
    "text/event-stream": "Have the tenant, and every cache before it, stream only where the request says stream: true.",
    "application/json": SEND_JSON,
    "text/plain": "Have the tenant, and every proxy before it, answer in JSON where nothing else is asked for.",
}
"""What to do about a body that is no JSON, by its type."""


def response_if_any(probe: Probe, exchange: Exchange, what: str) -> Response | None:
    """The whole response to something that no page promises; where none came, that is advised and no violation."""
    response = exchange.response
    if response is None or not response.complete:
        probe.advise(f"{what} gets {describe_failure(exchange) if response is None else response.end}", exchange)
        return None
    return response

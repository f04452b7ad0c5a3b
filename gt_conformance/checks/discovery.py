"""What a key may discover: the model list."""

from collections import Counter

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._probe import Probe, StopCheck, said
from gt_conformance.checks._registry import check
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import Modality

_LISTED = "GET /v1/models lists the published names that the key may use"


@check(
    "models.contains_alias",
    claim="The model list holds the published name that the client is set up with.",
    remedy="Publish the name in the tenant's published endpoints, and put it on the allowlist of this key.",
    source="GT API reference, List published models; OpenAI API reference, List models",
)
async def contains_alias(probe: Probe) -> None:
    """A JSON list whose entries have string ids, and the alias of the tenant file among them."""
    exchange, ids = await listed(probe)
    alias = probe.model(Modality.CHAT)
    probe.must(alias in ids, f"{_LISTED}, {alias} among them", f"{_count(ids)} without {alias}", exchange)


@check(
    "models.exact_allowlist",
    claim="The model list equals the key's allowlist: no name is missing, and none is there that should not be.",
    remedy="Compare the key's allowlists in the tenant with its models in the tenant file; correct the wrong one.",
    source="GT API reference, List published models",
)
async def exact_allowlist(probe: Probe) -> None:
    """The listed ids equal the declared allowlist as sets, and none stands twice."""
    allowlist = probe.credential.models
    if allowlist is None:
        raise Blocked(
            f"the tenant file declares no allowlist for the key {probe.credential.name}",
            f"Add models: [...] to the key {probe.credential.name} in the tenant file.",
        )
    exchange, ids = await listed(probe)
    expected = f"exactly the key's allowlist: {', '.join(sorted(allowlist)) or 'nothing'}"
    missing, extra = sorted(allowlist - set(ids)), sorted(set(ids) - allowlist)
    probe.must(not missing, expected, f"not listed: {', '.join(missing)}", exchange)
    probe.must(not extra, expected, f"listed though not allowed: {', '.join(extra[:10])}", exchange)
    twice = sorted(name for name, count in Counter(ids).items() if count > 1)
    probe.must(not twice, "each name once", f"listed more than once: {', '.join(twice[:10])}", exchange)


async def listed(probe: Probe) -> tuple[Exchange, list[str]]:
    """The ids that the probe's credential is shown."""
    exchange = await probe.send(requests.get(probe.tenant, "/v1/models", probe.credential.name))
    body = probe.json(exchange, "model-list", _LISTED)
    return exchange, [entry["id"] for entry in body["data"]]


async def still_lists(probe: Probe, expected: str, *, again: int) -> None:
    """The key lists models as it did before. A list that failed before as well is the finding of another check."""
    request = requests.get(probe.tenant, "/v1/models", probe.credential.name)
    before = (await probe.send(request)).response
    after = await probe.send(request, again=again)
    response = probe.answer(after, expected)
    as_before = before is not None and response.status == before.status
    probe.must(response.succeeded or as_before, expected, said(response), after)


async def published_names(probe: Probe) -> frozenset[str]:
    """The names that the credential may see in answers: its allowlist, else what the tenant lists to it."""
    if probe.credential.models is not None:
        return probe.credential.models
    violations = len(probe.violations)
    try:
        _, ids = await listed(probe)
    except StopCheck:
        # A model list that fails is the finding of another check; here it leaves nothing to compare with.
        del probe.violations[violations:]
        raise Blocked(
            "the key's names are unknown: the tenant file declares none, and GET /v1/models does not list them",
            f"Add models: [...] to the key {probe.credential.name} in the tenant file.",
        ) from None
    return frozenset(ids)


def _count(ids: list[str]) -> str:
    return f"{len(ids)} name{'' if len(ids) == 1 else 's'}"

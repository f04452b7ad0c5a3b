"""Keys in time: rotated, kept apart from the others, and no wider than they need to be."""

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._holdings import others
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._refusal import refused
from gt_conformance.checks._registry import check
from gt_conformance.checks.discovery import listed
from gt_conformance.checks.refusals import lawful_request
from gt_conformance.errors import Blocked
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Modality

_KEYS = "GT API keys and access, Lifecycle and operations"


@check(
    "key.rotation",
    claim="After a rotation the old secret is dead, and the new one sees the same names.",
    remedy="Have the tenant drop the old secret at once, from every cache as well, and keep the key's allowlists.",
    source=_KEYS,
)
async def rotation(probe: Probe) -> None:
    """The retired secret is refused with 401; the current one works and lists what the key may use."""
    key = probe.credential
    retired = _retired(key)
    exchange = await probe.send(requests.get(probe.tenant, "/v1/models", retired))
    expected = f"the retired secret of the key {key.name} is refused with 401"
    response = probe.answer(exchange, expected)
    probe.must(response.status == 401, expected, said(response), exchange)
    current, ids = await listed(probe)
    if key.models is not None:
        expected = f"the new secret lists the key's names: {', '.join(sorted(key.models))}"
        probe.must(set(ids) == key.models, expected, ", ".join(sorted(ids)[:10]) or "nothing", current)


@check(
    "embeddings.after_rotation",
    claim="After a rotation the new secret embeds as before, and the old one does not.",
    remedy="Have the tenant keep the embedding model over a rotation: other vectors break stored knowledge.",
    source=_KEYS + "; GT API reference, Create embeddings",
)
async def after_rotation(probe: Probe) -> None:
    """The current secret embeds, with one dimension throughout; the retired one is refused with 401."""
    key = probe.credential
    retired = _retired(key)
    texts = list(requests.TEXTS)
    exchange = await probe.send(requests.embeddings(probe.tenant, key.name, texts, encoding_format="float"))
    expected = "the new secret embeds"
    body = probe.json(exchange, "embeddings", expected, modality=Modality.EMBEDDINGS)
    lengths = {len(requests.floats(item["embedding"])) for item in body["data"]}
    probe.must(len(lengths) == 1, "vectors of one dimension", f"dimensions {sorted(lengths)}", exchange)
    dead = await probe.send(requests.embeddings(probe.tenant, retired, texts, encoding_format="float"))
    expected = f"the retired secret of the key {key.name} does not embed: 401"
    response = probe.answer(dead, expected)
    probe.must(response.status == 401, expected, said(response), dead)


@check(
    "key.isolation",
    claim="Other keys are untouched by this key's rotation or revocation, and see only their own names.",
    remedy="Have the tenant keep keys apart: what happens to one must not reach another.",
    source=_KEYS + ": one key per integration",
)
async def isolation(probe: Probe) -> None:
    """A second credential, unlinked to this one, lists exactly its own names after a rotation or a revocation."""
    key = probe.credential
    strangers = [other for other in others(probe, key) if other.models is not None]
    if not strangers:
        raise Blocked(
            f"no other live key, unlinked to {key.name} and with declared models, is there to compare with",
            "Add a second key with models: [...] to the tenant file.",
        )
    if key.retired_secret is None and not probe.tenant.revoked_credentials:
        raise Blocked(
            "nothing was rotated or revoked, so there is nothing that the other keys could have suffered from",
            f"Add retired_secret_env to the key {key.name}, or a key with revoked: true, to the tenant file.",
        )
    for other in strangers[:2]:
        exchange = await probe.send(requests.get(probe.tenant, "/v1/models", other.name))
        expected = f"the key {other.name} works and lists exactly its own names"
        body = probe.json(exchange, "model-list", expected)
        ids = frozenset(entry["id"] for entry in body["data"])
        probe.must(ids == other.models, expected, ", ".join(sorted(ids)[:10]) or "no names", exchange)


@check(
    "key.dedicated",
    claim="This client has a key of its own.",
    remedy="Make a key for this client alone, and map the runbook to it in the tenant file.",
    source=_KEYS + ": one key per integration or environment",
)
async def dedicated(probe: Probe) -> None:
    """No other runbook of the tenant file takes this key, and no other entry holds its secret. Nothing is sent."""
    key, tenant = probe.credential, probe.tenant
    runbook = probe.parameters.runbook
    if runbook is None:
        raise ValueError("key.dedicated takes a runbook")
    mapped = tenant.runbooks.get(runbook)
    if mapped is None or mapped.key is None:
        raise Blocked(
            f"the tenant file does not say which key {runbook} uses",
            f"Add it under runbooks: {runbook}: {{key: ...}}.",
        )
    sharing = sorted(
        name
        for name, other in tenant.runbooks.items()
        if name != runbook and key.name in {other.key, other.extension_key}
    )
    expected = f"the key {key.name} serves {runbook} alone"
    probe.must(not sharing, expected, f"it also serves {', '.join(sharing)}")
    twins = sorted(name for name, secret in tenant.secrets().items() if name != key.name and secret == key.secret)
    probe.must(not twins, f"the secret of the key {key.name} stands once", f"it is also that of {', '.join(twins)}")


@check(
    "key.least_privilege",
    claim="The key opens nothing beyond what its runbook needs.",
    remedy="Take the scope or the allowlist entry off this key: it grants more than the runbook needs.",
    source=_KEYS + ": scopes match what the client calls",
)
async def least_privilege(probe: Probe) -> None:
    """Every route that is neither native nor an extension of the runbook is refused to its credential."""
    if not probe.parameters.routes:
        raise Blocked(
            f"the key {probe.credential.name} serves every route of this runbook, so nothing is left to refuse",
            "Use keys of their own for uploads and conversations: extension_key in the tenant file.",
        )
    for route in probe.parameters.routes:
        try:
            request = await lawful_request(probe, route, probe.credential)
        except Blocked as blocked:
            probe.block(f"{route.title}: {blocked.reason}", blocked.remedy)
            continue
        refused(probe, await probe.send(request), f"{route.title} by the key {probe.credential.name}")


def _retired(key: Credential) -> str:
    if key.retired_secret is None:
        raise Blocked(
            f"the tenant file holds no retired secret of the key {key.name}",
            f"Add retired_secret_env to {key.name} after a rotation; gt-conformance rotate {key.name} drives one.",
        )
    return key.retired_name

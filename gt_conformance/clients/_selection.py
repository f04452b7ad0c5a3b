"""Which clients are meant: a runbook, one client of it, or all."""

from collections.abc import Sequence

from gt_conformance.clients._manifest import Client, Manifest
from gt_conformance.errors import InputError


def select(manifests: Sequence[Manifest], ids: Sequence[str]) -> list[tuple[Manifest, tuple[Client, ...]]]:
    """The manifests of these ids with the clients that they name, in the order of the runbooks.

    Raises InputError for an id that names none, and for a runbook none of whose clients can be driven.
    """
    every = [client for manifest in manifests for client in manifest.clients]
    known = {"all": every}
    known |= {manifest.runbook: list(manifest.clients) for manifest in manifests if manifest.clients}
    known |= {client.id: [client] for client in every}
    reasons = {manifest.runbook: manifest.unavailable for manifest in manifests if manifest.unavailable}
    if not ids:
        raise InputError.of("no client is named.", hint=f"Name some, or all. Known: {', '.join(known)}.")
    for name in ids:
        if name in reasons:
            raise InputError.of(f"no client of {name} can be driven: {reasons[name]}")
        if name not in known:
            raise InputError.of(f"there is no client {name!r}.", hint=f"Known: {', '.join(known)}.")
    wanted = {client.id for name in ids for client in known[name]}
    chosen = [(manifest, tuple(one for one in manifest.clients if one.id in wanted)) for manifest in manifests]
    return [(manifest, clients) for manifest, clients in chosen if clients]

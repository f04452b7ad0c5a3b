"""Faults of what people write: the tenant file that maps keys to clients, and a runbook."""

from ._fault import Area, Rewrite, TenantFile

fault = Area("documents")
_POLL = "        poll: Repeat every few seconds until the state is ready or failed.\n"


def _shared(document: TenantFile) -> TenantFile:
    """Another client takes the key that Cursor has for itself."""
    return {**document, "runbooks": {**document["runbooks"], "continue": {"key": "cursor"}}}


FAULTS = (
    fault(
        "one-key-for-two-clients",
        "Two clients share one key.",
        tenant_file=_shared,
        checks="key.dedicated",
        places="items",
    ),
    fault(
        "runbook-without-polling",
        "A runbook does not say what to poll after an upload.",
        rewrite=Rewrite(runbook="dify", old=_POLL, new=""),
        checks="runbook.extensions_documented",
        places="items",
    ),
)

"""Faults: named, described, each breaking one thing of the embedded tenant; a tenant may have several at once.

They show that the suite's checks can fail: each check by at least one fault that is for it.
"""

from collections.abc import Iterable

from gt_sandbox.alterations import SelectionError, collect, look_up
from gt_sandbox.faults import (
    addresses,
    authentication,
    boundary,
    chat,
    clients,
    conversations,
    crosstalk,
    embeddings,
    errors,
    files,
    gateways,
    keys,
    knowledge,
    media,
    names,
    prompts,
    speed,
    streams,
    tools,
    uploads,
)
from gt_sandbox.faults._fault import Fault, FaultSet

__all__ = ["FAULTS", "Fault", "FaultSet", "SelectionError", "select_faults"]

FAULTS = collect(
    {
        "names": names.FAULTS,
        "chat": chat.FAULTS,
        "streams": streams.FAULTS,
        "tools": tools.FAULTS,
        "crosstalk": crosstalk.FAULTS,
        "clients": clients.FAULTS,
        "embeddings": embeddings.FAULTS,
        "media": media.FAULTS,
        "conversations": conversations.FAULTS,
        "uploads": uploads.FAULTS,
        "files": files.FAULTS,
        "knowledge": knowledge.FAULTS,
        "prompts": prompts.FAULTS,
        "authentication": authentication.FAULTS,
        "keys": keys.FAULTS,
        "boundary": boundary.FAULTS,
        "errors": errors.FAULTS,
        "addresses": addresses.FAULTS,
        "gateways": gateways.FAULTS,
        "speed": speed.FAULTS,
    }
)
"""Every fault by its name, area by area."""


def select_faults(wanted: Iterable[str]) -> FaultSet:
    """The faults of these names, each once. Raises SelectionError for the first name that does not exist."""
    return FaultSet(look_up("fault", wanted, FAULTS))

"""Every fault by its name."""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from . import (
    addresses,
    audio,
    browsers,
    chat,
    clients,
    conversations,
    discovery,
    documents,
    embeddings,
    errors,
    images,
    keys,
    names,
    rotation,
    scopes,
    status,
    streams,
    tools,
    uploads,
    vendor,
)
from ._fault import Fault
from ._planted import Planted

_AREAS = (
    discovery,
    chat,
    streams,
    tools,
    clients,
    embeddings,
    audio,
    images,
    conversations,
    uploads,
    status,
    vendor,
    keys,
    scopes,
    names,
    errors,
    browsers,
    rotation,
    addresses,
    documents,
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for area in _AREAS for fault in area.FAULTS})
"""Every fault by its name, area by area."""


class UnknownFault(ValueError):
    """A name that no fault has; says so, with the nearest that there is."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, FAULTS, n=1)
        super().__init__(f"there is no fault {name!r}{f': did you mean {near[0]}?' if near else '.'}")


def planted(names: Iterable[str]) -> Planted:
    """The faults of these names, each once. Raises UnknownFault for the first name that there is not."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in FAULTS:
            raise UnknownFault(name)
    return Planted(tuple(FAULTS[name] for name in wanted))

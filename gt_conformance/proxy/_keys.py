"""Stand-in keys: a client is given one of these, and only the proxy knows what it stands for."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gt_conformance.exchange import Presentation
from gt_conformance.tenant import Secret

_SCHEME = b"bearer "

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Presented:
    """How a request shows a key. ``authorization`` is what the tenant is sent in its place; None sends none."""

    key: str | None
    presentation: Presentation
    authorization: bytes | None
    ours: bool = True


class StandIns:
    """For each key of the run a made-up one of the same look. A real key never leaves this process for a client."""

    def __init__(self, keys: Mapping[str, Secret]) -> None:
        self._keys = keys
        self._stand_ins = {name: "gtak_" + secrets.token_urlsafe(30) for name in keys}
        self._names = {stand_in.encode(): name for name, stand_in in self._stand_ins.items()}

    def of(self, key: str) -> str:
        """The stand-in for the key of that name. Raises KeyError."""
        return self._stand_ins[key]

    def values(self) -> Mapping[str, str]:
        """Every stand-in, by the name under which a redactor shows it."""
        return {f"stand-in for {name}": value for name, value in self._stand_ins.items()}

    def presented(self, headers: Headers) -> Presented:
        """What key a request shows, and what to send for it. Only a stand-in, as a bearer, is one of ours."""
        shown = [value for name, value in headers if name == b"authorization"]
        if not shown:
            return Presented(None, Presentation.NONE, None)
        name = self._names.get(shown[0][len(_SCHEME) :].strip()) if shown[0].lower().startswith(_SCHEME) else None
        if name is None or len(shown) > 1:
            return Presented(None, Presentation.MADE_UP, None, ours=False)
        return Presented(name, Presentation.BEARER, b"Bearer " + self._keys[name].reveal().encode())

"""Who is calling: from the secret in a header to what its key may do."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .answers import forbidden, not_found
from .keys import Key
from .names import PUBLISHED, Ability, PublishedName


@dataclass(frozen=True, slots=True)
class Caller:
    """The rights of the key that a request presented, with what it inherits already added."""

    name: str
    purpose: str
    scopes: frozenset[str]
    models: tuple[str, ...]
    datasets: frozenset[str]
    conversation_uploads: bool

    def needs(self, scope: str) -> None:
        """Refuse with a 403 where the key lacks this scope."""
        if scope not in self.scopes:
            raise forbidden(f"This key lacks the scope {scope}.")

    def model(self, name: str, ability: Ability | None = None) -> PublishedName:
        """The published name, where this key may use it.

        Internal ids, unknown names and names outside the allowlist get the same 404, so that none can be told
        from another.
        """
        if name not in self.models:
            message = "The model does not exist, or this key may not use it."
            raise not_found(message, param="model", code="model_not_found")
        published = PUBLISHED[name]
        if ability is not None:
            published.must(ability)
        return published


class Accounts:
    """The tenant's keys. Secrets are kept as hashes only, as the real tenant keeps them."""

    def __init__(self, keys: Iterable[Key], secrets: Mapping[str, str]) -> None:
        live = {key.name: key for key in keys if not key.revoked}
        self._callers = {_digest(secrets[key.env]): _caller(key, live) for key in live.values()}
        self._ends: dict[bytes, float] = {}

    def caller(self, secret: str) -> Caller | None:
        """The key with this secret; ``None`` where no live key has it: unknown, retired or revoked."""
        digest = _digest(secret)
        end = self._ends.get(digest)
        return None if end is not None and time.monotonic() >= end else self._callers.get(digest)

    def rotate(self, old: str, new: str, *, old_alive_s: float = 0) -> None:
        """Let the new secret open what the old one does, and let the old one die after that many seconds."""
        self._callers[_digest(new)] = self._callers[_digest(old)]
        self._ends[_digest(old)] = time.monotonic() + old_alive_s


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _caller(key: Key, live: Mapping[str, Key]) -> Caller:
    sources = [key, *(live[name] for name in key.inherits if name in live)]
    allowed = {name for source in sources for name in (*source.agents, *source.raw_models)}
    return Caller(
        name=key.name,
        purpose=key.purpose,
        scopes=frozenset(scope for source in sources for scope in source.scopes),
        models=tuple(name for name in PUBLISHED if name in allowed),
        datasets=frozenset(dataset for source in sources for dataset in source.datasets),
        conversation_uploads=any(source.conversation_uploads for source in sources),
    )

"""Secrets of one embedded tenant: random for each instance, and never shown by accident."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .keys import Key


@dataclass(frozen=True, slots=True)
class PresetKey:
    """The key that shows what a preset grants; its secret is left out of the repr."""

    name: str
    secret: str = field(repr=False)


class Wallet(Mapping[str, str]):
    """Environment variable to secret, for every key and for every secret retired by a rotation.

    Its repr counts the secrets and shows none, so a traceback with locals leaks nothing.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._secrets: dict[str, str] = {}
        for key in keys:
            self._secrets[key.env] = _mint()
            if key.rotated:
                self._secrets[key.retired_env] = _mint()

    def rotate(self, key: Key) -> str:
        """A new secret for the key; the one that it had becomes its retired one."""
        new = _mint()
        # One assignment: whoever reads in another thread sees the secrets from before or from after.
        self._secrets = {**self._secrets, key.env: new, key.retired_env: self._secrets[key.env]}
        return new

    def __getitem__(self, env: str) -> str:
        return self._secrets[env]

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<Wallet of {len(self)} secrets>"


def _mint() -> str:
    return "gtak_" + secrets.token_urlsafe(30)

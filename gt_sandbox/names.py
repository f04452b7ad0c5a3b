"""Published names: what a caller may write as ``model``, and what each of them can do."""

from dataclasses import dataclass
from enum import StrEnum

from .answers import Refusal

INTERNAL_IDS = ("agent-7f3a",)
"""What stands behind the published names. For the tenant file only: no answer may ever hold one of them."""

PUBLISHED_AT = 1_764_000_000
"""The ``created`` time of every published name, in Unix seconds; constant, so that listings can be compared."""


class Ability(StrEnum):
    """What a name can be asked to do; the keys of ``models`` in a tenant file."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class PublishedName:
    """An agent alias, or a raw model of the tenant's catalog, under the only name that callers see."""

    name: str
    owner: str
    abilities: frozenset[Ability]

    def listing(self) -> dict[str, object]:
        """Its entry in ``GET /v1/models``."""
        return {"id": self.name, "object": "model", "created": PUBLISHED_AT, "owned_by": self.owner}

    def must(self, ability: Ability) -> None:
        """Refuse with a 400 where this name cannot do that."""
        if ability not in self.abilities:
            message = f"This model does not offer {ability}."
            raise Refusal(400, message, param="model", code="unsupported_model")


_NAMES = (
    PublishedName("field-analyst", "gt-agents", frozenset(Ability)),
    PublishedName("desk-assistant", "gt-agents", frozenset({Ability.CHAT, Ability.EMBEDDINGS})),
    PublishedName("gt-large-raw", "gt-models", frozenset({Ability.CHAT})),
)
PUBLISHED = {published.name: published for published in _NAMES}
"""Every published name of the tenant, in the order in which they are listed."""

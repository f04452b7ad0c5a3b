"""What the tenant file says that requests cost, by route and by published name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gt_conformance.vocabulary import Route


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one route, in the currency of the tenant file; None is a unit that it does not name."""

    input_per_million: float | None = None
    output_per_million: float | None = None
    per_image: float | None = None
    per_audio_minute: float | None = None
    per_1000_characters: float | None = None

    @classmethod
    def of(cls, value: Mapping[str, float]) -> Self:
        """From an entry that holds to the schema, in which a second of audio is another way to price a minute."""
        units = dict(value)
        if (second := units.pop("per_audio_second", None)) is not None:
            units["per_audio_minute"] = 60 * second
        return cls(**units)


@dataclass(frozen=True, slots=True)
class Prices:
    """A price for each route, and others for the routes of some published names."""

    currency: str
    routes: Mapping[Route, Price] = field(default_factory=dict)
    models: Mapping[str, Mapping[Route, Price]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """From the ``prices`` of a tenant file."""
        named = {model: _routes(prices) for model, prices in value.get("models", {}).items()}
        return cls(value["currency"], _routes(value), named)

    def find(self, route: Route, model: str) -> Price | None:
        """That of the name where it has one for this route, else that of the route; None where neither is known."""
        return self.models.get(model, {}).get(route) or self.routes.get(route)


def _routes(value: Mapping[str, Any]) -> dict[Route, Price]:
    priced = (route for route in Route if route.facts.modality is not None)
    return {route: Price.of(value[route.value]) for route in priced if route.value in value}

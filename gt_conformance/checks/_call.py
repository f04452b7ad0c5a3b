"""What a check is applied to: a credential and the parameters that a row gives it."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gt_conformance.errors import Blocker
from gt_conformance.runbook import ChatProfile, EmbeddingsProfile
from gt_conformance.vocabulary import Route


@dataclass(frozen=True, slots=True)
class Parameters:
    """What differs from row to row. Two rows that need the same of a check share its one run.

    Each check reads the few that it is about; the others stay at their defaults, so that equal means equal.
    """

    route: Route | None = None
    base_path: str | None = None
    token_limit: str = "none"
    token_limit_value: int | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    stream_usage: bool = False
    lf_data_only: bool = False
    required: bool = True
    encoding_format: str = "none"
    batch: bool = True
    load: tuple[tuple[str, int], ...] = ()
    stream: bool = False
    discovery: tuple[str, ...] = ()
    runbook: str | None = None
    client: str | None = None
    routes: tuple[Route, ...] = ()

    def described(self) -> dict[str, Any]:
        """Those that differ from their defaults, as JSON values."""
        plain = asdict(self)
        plain["route"] = self.route.value if self.route else None
        plain["routes"] = tuple(route.value for route in self.routes)
        defaults = {item.name: item.default for item in fields(self)}
        return {
            name: dict(value) if name in {"fields", "load"} else list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value != defaults[name]
        }


def chat_shape(profile: ChatProfile) -> Parameters:
    """The body fields with which this client asks for a chat."""
    return Parameters(
        token_limit=profile.token_limit, token_limit_value=profile.token_limit_value, fields=profile.fields
    )


def embeddings_shape(profile: EmbeddingsProfile) -> Parameters:
    """The body fields with which this client asks for embeddings."""
    return Parameters(encoding_format=profile.encoding_format, batch=profile.batch)


@dataclass(frozen=True, slots=True)
class CheckCall:
    """A check applied: to a credential (by name) with parameters. Equal calls are judged once a run.

    ``blocker`` says why it is blocked already, without a request. Two calls are equal whatever blocks them: the same
    check may be blocked in one row for another reason than in the next.
    """

    check: str
    credential: str | None = None
    parameters: Parameters = Parameters()
    blocker: Blocker | None = field(default=None, compare=False)

    @property
    def sort_key(self) -> tuple[str, str, str]:
        """A stable order for plans and reports."""
        return (self.check, self.credential or "", repr(self.parameters))

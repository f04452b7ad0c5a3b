"""An error of jsonschema, as a value of ours: what the sentences are made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from jsonschema.exceptions import ValidationError

NEVER = "false"
"""The keyword of a place where the schema is just ``false``: nothing may stand there."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One keyword of a schema that a value breaks.

    ``rule`` is the keyword's value and ``schema`` what it stands in; ``where`` names the condition that the rule hangs
    on. ``names_key`` says that ``value`` is itself a key, of the mapping at ``path``. ``forms`` holds, for an
    ``anyOf`` or ``oneOf``, what each form refuses.
    """

    keyword: str
    rule: Any
    value: Any
    schema: Any
    path: tuple[str | int, ...]
    where: str
    names_key: bool
    forms: tuple[tuple["Breach", ...], ...]

    @staticmethod
    def of(error: ValidationError) -> "Breach":
        """The breach that jsonschema's error tells of, with those inside it."""
        return Breach(
            keyword=error.validator if isinstance(error.validator, str) else NEVER,
            rule=error.validator_value,
            value=error.instance,
            schema=error.schema,
            path=tuple(error.absolute_path),
            where="".join(f" where {reason}" for reason in getattr(error, "__notes__", ())[:1]),
            names_key=list(error.absolute_schema_path)[-2:-1] == ["propertyNames"],
            forms=tuple(_forms(error)),
        )

    def of_the_whole(self, parent: "Breach") -> bool:
        """Whether it is about the parent's value itself, not about something inside it."""
        return self.path == parent.path


def _forms(error: ValidationError) -> Iterator[tuple[Breach, ...]]:
    for _, inner in groupby(error.context, key=lambda one: one.relative_schema_path[0]):
        yield tuple(Breach.of(one) for one in inner)

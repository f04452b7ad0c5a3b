"""What JSON Schema says about one place of a value, in our own words."""

from dataclasses import dataclass, field

from gt_conformance.schema._showing import spelled

MAX_ERRORS = 1000
"""More are not listed: nobody reads them, and a hostile megabyte can hold hundreds of thousands."""


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One thing that a schema refuses.

    ``path`` leads to the value at fault. Where a *key* of a mapping is at fault (unknown, missing, misplaced, badly
    named), ``path`` leads to the mapping and ``key`` names the key. ``allowed`` holds the right values of an ``enum``
    or ``const``, the right keys for an unknown one, the type names of a ``type``, the choice of missing keys of an
    ``anyOf``. ``value`` stands in no repr: it may hold a secret, or a megabyte.
    """

    path: tuple[str | int, ...]
    finding: str
    keyword: str
    allowed: tuple[object, ...] = ()
    value: object = field(default=None, repr=False)
    key: str | None = None
    hint: str | None = None

    @property
    def message(self) -> str:
        """What is wrong, and what would be right."""
        return f"{self.finding} {self.hint}" if self.hint else self.finding

    def __str__(self) -> str:
        """One line: path, what is wrong, what would be right."""
        return f"{spelled(self.path)}: {self.message}" if self.path else self.message

"""One thing that is not consistent: where, what the record says, and what follows from the rest of it."""

from dataclasses import dataclass

from gt_conformance.exchange import inert, shortened

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """``place`` is a case, a finding, an exchange or a key of the record; ``recorded`` is what the record says of it.

    ``follows`` is what it should say, or why it cannot be so.
    """

    place: str
    recorded: str
    follows: str

    def __str__(self) -> str:
        """A line: the record may hold anything, so it is shortened and made inert."""
        place, recorded, follows = (
            str(inert(shortened(" ".join(text.split()), _LONGEST)))
            for text in (self.place, self.recorded, self.follows)
        )
        return f"{place}: the record says {recorded}; {follows}."

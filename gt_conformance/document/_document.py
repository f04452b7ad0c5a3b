"""A file that was read: its value, and where each part of it stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gt_conformance.document._source import Source
from gt_conformance.errors import Location


@dataclass(slots=True)
class Place:
    """Where a value starts, where its key does, and the same of what is in it; as indexes into the text."""

    at: int
    key_at: int
    inner: dict[str | int, "Place"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A mapping read from a YAML file: dicts, lists, text, numbers, booleans and None, shared by nobody."""

    path: Path
    value: dict[str, Any] = field(repr=False)
    text_digest: str
    """SHA-256 of the file's bytes, in hex."""
    _source: Source = field(repr=False)
    _root: Place = field(repr=False)

    @property
    def text(self) -> str:
        """The text of the file."""
        return self._source.text

    def locate(self, *path: str | int) -> Location:
        """Where the value at the path starts; where there is none, its nearest ancestor."""
        return self._source.location(self._nearest(path)[0].at)

    def locate_key(self, *path: str | int) -> Location:
        """Where the key of the value at the path stands; where there is none, the nearest ancestor's value."""
        place, whole = self._nearest(path)
        return self._source.location(place.key_at if whole else place.at)

    def _nearest(self, path: tuple[str | int, ...]) -> tuple[Place, bool]:
        place = self._root
        for step in path:
            inner = place.inner.get(step)
            if inner is None:
                return place, False
            place = inner
        return place, True

"""What referencing and jsonschema use of rpds, in Python, for gt-conformance.pyz.

rpds itself is compiled for one version of Python on one platform. The maps here hold some hundred entries at
most, so that a copy for each change is quick enough. A test compares them with rpds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Self, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_Pairs = Mapping[_K, _V] | Iterable[tuple[_K, _V]]


class HashTrieMap(Mapping[_K, _V]):
    """A mapping that does not change; each method that would change it gives another one."""

    __slots__ = ("_items",)

    def __init__(self, value: _Pairs[_K, _V] = ()) -> None:
        self._items = dict(value)

    @classmethod
    def convert(cls, value: _Pairs[_K, _V]) -> "HashTrieMap[_K, _V]":
        """The value itself where it is one already."""
        return value if isinstance(value, HashTrieMap) else cls(value)

    def __getitem__(self, key: _K) -> _V:
        """Raises KeyError where there is none."""
        return self._items[key]

    def __iter__(self) -> Iterator[_K]:
        """The keys."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many keys."""
        return len(self._items)

    def __hash__(self) -> int:
        """Equal maps have equal hashes."""
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        """As rpds writes it."""
        return f"HashTrieMap({self._items!r})"

    def insert(self, key: _K, value: _V) -> "HashTrieMap[_K, _V]":
        """With that entry."""
        return HashTrieMap({**self._items, key: value})

    def update(self, *others: _Pairs[_K, _V]) -> "HashTrieMap[_K, _V]":
        """With the entries of the others."""
        items = dict(self._items)
        for other in others:
            items.update(other)
        return HashTrieMap(items)

    def remove(self, key: _K) -> "HashTrieMap[_K, _V]":
        """Without that entry. Raises KeyError where there is none."""
        if key not in self._items:
            raise KeyError(key)
        return self.discard(key)

    def discard(self, key: _K) -> "HashTrieMap[_K, _V]":
        """Without that entry, if there is one."""
        return HashTrieMap({name: value for name, value in self._items.items() if name != key})


class HashTrieSet(frozenset[_T]):
    """A set that does not change; each method that would change it gives another one."""

    __slots__ = ()

    def insert(self, value: _T) -> "HashTrieSet[_T]":
        """With that value."""
        return HashTrieSet(self | {value})

    def update(self, *others: Iterable[_T]) -> "HashTrieSet[_T]":
        """With the values of the others."""
        return HashTrieSet(self.union(*others))

    def remove(self, value: _T) -> "HashTrieSet[_T]":
        """Without that value. Raises KeyError where it is not in the set."""
        if value not in self:
            raise KeyError(value)
        return self.discard(value)

    def discard(self, value: _T) -> "HashTrieSet[_T]":
        """Without that value, if it is in the set."""
        return HashTrieSet(self - {value})


class List(Generic[_T]):
    """A list that does not change, to which values are added at the front."""

    __slots__ = ("_items",)

    def __init__(self, value: Iterable[_T] = ()) -> None:
        self._items = tuple(value)

    def __iter__(self) -> Iterator[_T]:
        """The values, from the front."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many values."""
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        """Equal where the values are."""
        return isinstance(other, List) and self._items == other._items

    def __hash__(self) -> int:
        """Equal lists have equal hashes."""
        return hash(self._items)

    def push_front(self, value: _T) -> Self:
        """With that value at the front."""
        return type(self)((value, *self._items))

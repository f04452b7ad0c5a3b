"""Work that does not wait for one another, done at the same time."""

from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

import anyio

_T = TypeVar("_T")
_U = TypeVar("_U")


async def together(works: Iterable[Awaitable[_T]]) -> list[_T]:
    """What each gives, in their order. All are done to their end; then the first error, in that order, is raised."""
    waiting = list(works)
    if len(waiting) <= 1:  # which needs no task of its own
        return [await work for work in waiting]
    done: dict[int, _T] = {}
    errors: dict[int, Exception] = {}

    async def do(number: int, work: Awaitable[_T]) -> None:
        try:
            done[number] = await work
        except Exception as error:  # noqa: BLE001 - kept, and raised once the others are done
            errors[number] = error

    async with anyio.create_task_group() as group:
        for number, work in enumerate(waiting):
            group.start_soon(do, number, work)
    if errors:
        raise errors[min(errors)]
    return [done[number] for number in sorted(done)]


async def both(one: Awaitable[_T], other: Awaitable[_U]) -> tuple[_T, _U]:
    """What each of two gives that are of different kinds."""
    works: tuple[Awaitable[Any], Awaitable[Any]] = (one, other)
    first, second = await together(works)
    return first, second

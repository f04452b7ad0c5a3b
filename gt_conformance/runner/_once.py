"""Things made once, however many ask for them at the same time."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

import anyio

_T = TypeVar("_T")


class Once:
    """Remembers what was made by name, errors included; who comes while it is being made waits for it."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    async def get(self, name: Hashable, make: Callable[[], Awaitable[_T]]) -> _T:
        """What ``make`` gave when this name was first asked for; the error that it raised is raised again."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
            try:
                entry.value = await make()
            except Exception as error:  # noqa: BLE001 - kept, and raised to everyone who asks
                entry.error = error
            except BaseException:
                # Cancelled: most that wait are being cancelled as well; one that is not makes it itself.
                if self._entries.get(name) is entry:
                    del self._entries[name]
                entry.abandoned = True
                entry.end()
                raise
            entry.end()
        elif not entry.done:  # waiting for what is done takes a turn of the event loop
            await entry.wait()
            if entry.abandoned:
                return await self.get(name, make)
        if entry.error is not None:
            raise entry.error
        return entry.value  # type: ignore[no-any-return]  # the type is that of the name's own ``make``

    def forget(self, name: Hashable) -> None:
        """Have it made anew for who asks next."""
        self._entries.pop(name, None)


class _Entry:
    """What has a name. Few are waited for, so that only these have an event."""

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None
        self.abandoned = False
        self._awaited: anyio.Event | None = None

    async def wait(self) -> None:
        """Wait until it is made or given up."""
        if self._awaited is None:
            self._awaited = anyio.Event()
        await self._awaited.wait()

    def end(self) -> None:
        """Let go whoever waits."""
        self.done = True
        if self._awaited is not None:
            self._awaited.set()
            self._awaited = None

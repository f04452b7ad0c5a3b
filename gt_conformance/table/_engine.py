"""DuckDB, the one place that loads it: an engine in memory, bounded, which reads what it is given and nothing else."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gt_conformance.errors import InputError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "256MB"
"""What a query may have in memory; what is more goes to a temporary folder."""
_INSTALL = "Install gt-conformance[fleet]."
_MOST_ON_DISK = "20GB"
_MOST_THREADS = 4


@contextmanager
def connect(
    scratch: Path, *, threads: int | None = None, readable: Sequence[str] = (), remote: bool = False
) -> Iterator["DuckDBPyConnection"]:
    """An engine with ``scratch`` as its temporary folder. Raises InputError where DuckDB is not installed.

    It reads and writes below that folder and the ``readable`` ones, at no address unless the table is ``remote``, and
    fetches no extension. Nothing that a query says can change that.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra, which only a fleet needs
    except ImportError:
        raise InputError.of("DuckDB is not installed.", hint=_INSTALL) from None
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": str(remote).lower(),
        "allow_community_extensions": "false",
        "memory_limit": MEMORY,
        "threads": str(threads or min(os.cpu_count() or 1, _MOST_THREADS)),
        "python_enable_replacements": "false",
        "temp_directory": str(scratch / "spill"),
        "max_temp_directory_size": _MOST_ON_DISK,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        if not remote:
            folders = ", ".join(quoted(folder) for folder in (str(scratch), *readable))
            connection.execute(f"SET allowed_directories = [{folders}]")
            connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def require_engine() -> None:
    """Raises InputError where DuckDB is not installed: a caller that has much to do first asks before."""
    if importlib.util.find_spec("duckdb") is None:
        raise InputError.of("DuckDB is not installed.", hint=_INSTALL)


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"

"""The outcomes of a folder, or of an address that DuckDB reads, as views in SQL; the engine, and what it may reach."""

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.exchange import inert, shortened
from gt_conformance.table._rows import COLUMNS, FINDING, TENANT

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# -- the engine

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


OUTCOMES = "outcomes"
"""The folder of the parts, by night, and the view of all their rows."""

VIEWS = {
    "outcomes": "every row",
    "latest": "the rows of the last night",
    "tenants": "a row for each tenant and night",
    "findings": "a row for each finding of a tenant and a night",
}
"""The views, each with all columns of ``outcomes``."""

_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://")
_MAGIC = re.compile(r"[*?\[]")
_PART = re.compile(r"[\w.-]{1,200}\.parquet", re.ASCII)
_SHARD = re.compile(r"(\d{5})-of-(\d{5})(?:-\d{3})?\.parquet", re.ASCII)
"""The name of a shard's part. The last figures are those of a batch that was divided, on Dask."""
_NOT_INSTALLED = re.compile(r"required extension|INSTALL ")
_INSTALL_EXTENSION = "DuckDB reads it with an extension that you install once, such as httpfs: docs/fleet-report.md."
_CHECK_ADDRESS = "Check the address, and the secret or the variables by which DuckDB signs in: docs/fleet-report.md."
_MOST_SHARDS = 10
"""So many missing shards are named."""
_MOST_PARTS = 100_000
_LONGEST_REASON = 300


class Table:
    """An open table. ``problems`` name the files that are left out, since they cannot be read or are no part of it."""

    def __init__(self, engine: "DuckDBPyConnection", parts: Mapping[str, str], foreign: Iterable[str] = ()) -> None:
        import duckdb  # noqa: PLC0415 - the engine is there, so it is installed

        self.problems: list[Problem] = []
        self._engine = engine
        self._names = dict(parts)
        self._parts = list(parts)
        for path in foreign:
            self._note(path, "its name is not one that fleet run gives")
        self._leave_out_foreign()
        try:
            self._define_views()
        except duckdb.Error:
            self._leave_out_damaged()

    def missing_parts(self, night: date) -> tuple[int, list[Problem]]:
        """How many parts of that night its shards have not written, and a problem for all of them.

        The names of the parts that are there tell. None is missing where all parts of one number of shards are there:
        a night may be done again with another number.
        """
        shards: dict[int, set[int]] = {}
        folder = ""
        for path in self._names.values():
            found = _SHARD.fullmatch(path.rpartition("/")[2])
            if found and _night_in(path) == night.isoformat():
                folder = path.rpartition("/")[0]
                shards.setdefault(int(found[2]), set()).add(int(found[1]))
        if not shards or any(len(there) >= count for count, there in shards.items()):
            return 0, []
        count, there = max(shards.items(), key=lambda item: (len(item[1]) / item[0], item[0]))
        missing = [index for index in range(count) if index not in there]
        if len(missing) == 1:
            place, said = f"/{missing[0]:05}-of-{count:05}.parquet", "this part of the table is missing: shard"
        else:
            place, said = "", f"{len(missing):,} of {count:,} parts of the table are missing: shards"
        named = ", ".join(f"{index}/{count}" for index in missing[:_MOST_SHARDS])
        more = f" and {len(missing) - _MOST_SHARDS:,} more" if len(missing) > _MOST_SHARDS else ""
        verb, them = ("has", "it") if len(missing) == 1 else ("have", "each of them")
        problem = Problem(
            f"{said} {named}{more} of that night {verb} not completed.",
            where=Location(str(inert(f"{folder}{place}"))),
            hint=f"Run {them}: gt-conformance fleet run ... --night {night} --shard {missing[0]}/{count}.",
        )
        return len(missing), [problem]

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query of our own, with values in the place of its question marks. Raises InputError."""
        return list(self.select(query, values)[1])

    def select(self, query: str, values: Sequence[Any] = ()) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """The names of the columns, and the rows. Raises InputError for what DuckDB says of the query.

        A part that turns out to be damaged is left out, and named among the problems; the others are asked again.
        """
        import duckdb  # noqa: PLC0415 - the engine is there, so it is installed

        own = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.PermissionException)
        try:
            return self._select(query, values)
        except (*own, duckdb.DataError, duckdb.OutOfMemoryException) as error:
            raise _in_one_line(error) from None
        except duckdb.Error as error:
            if not self._leave_out_damaged():
                raise _in_one_line(error) from None
        try:
            return self._select(query, values)
        except duckdb.Error as error:
            raise _in_one_line(error) from None

    def _select(self, query: str, values: Sequence[Any]) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        result = self._engine.execute(query, values)
        columns = [column[0] for column in result.description or ()]
        return columns, iter(result.fetchone, None)

    # -- the parts

    def _leave_out_foreign(self) -> None:
        """Leave out what is no Parquet file, and what has a column of ours in another type."""
        import duckdb  # noqa: PLC0415 - as above

        wanted = {name: self._type_of(kind) for name, kind in COLUMNS.items()}
        try:
            forms = self._forms(self._parts)
        except duckdb.Error:
            forms = {}
            for part in list(self._parts):
                try:
                    forms |= self._forms([part])
                except duckdb.Error as error:
                    self._leave_out(part, str(_in_one_line(error)))
        for parts in _grouped(forms).values():
            try:
                has = {
                    name: kind for name, kind, *_ in self._engine.execute(f"DESCRIBE {_reading(parts[:1])}").fetchall()
                }
                wrong = [name for name in ("night", "tenant", "kind") if name not in has]
                wrong += [name for name, kind in has.items() if name in wanted and kind != wanted[name]]
                reason = f"it is not a part of a table: see its {', '.join(wrong)}." if wrong else ""
            except duckdb.Error as error:
                reason = str(_in_one_line(error))
            if reason:
                for part in parts:
                    self._leave_out(part, reason)

    def _forms(self, parts: Sequence[str]) -> Mapping[str, str]:
        """What columns each of the files has, in one text, by its path."""
        if not parts:
            return {}
        query = f"""
            SELECT file_name, string_agg(concat_ws(' ', name, type, converted_type), ',')
            FROM parquet_schema({_listed(parts)}) GROUP BY file_name
        """
        found = dict(self._engine.execute(query).fetchall())
        return {part: found.get(part, "") for part in parts}

    def _type_of(self, kind: str) -> str:
        [(found,)] = self._engine.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchall()
        return str(found)

    def _leave_out_damaged(self) -> bool:
        """Read each part whole, and leave out those that cannot be. Says whether there was one."""
        import duckdb  # noqa: PLC0415 - as above

        known = len(self.problems)
        for part in list(self._parts):
            try:
                self._engine.execute(f"SELECT bit_xor(hash(one)) FROM ({_reading([part])}) one").fetchall()
            except duckdb.Error as error:
                self._leave_out(part, str(_in_one_line(error)))
        self._define_views()
        return len(self.problems) > known

    def _leave_out(self, part: str, reason: str) -> None:
        self._parts.remove(part)
        self._note(self._names[part], reason.replace(part, "it"))

    def _note(self, path: str, reason: str) -> None:
        said = f"this part of the table is left out: {reason.removesuffix('.')}."
        where = Location(str(inert(path)))
        self.problems.append(Problem(said, where=where, hint="Write it again with fleet run, or remove it."))

    # -- the views

    def _define_views(self) -> None:
        """Each column by its name and type; what is in two parts of a night counts once, from the last part by name."""
        columns = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in COLUMNS.items())
        blank = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in COLUMNS.items())
        rows = f"SELECT {blank}, '' AS filename WHERE false"
        if self._parts:
            rows = f"({rows}) UNION ALL BY NAME ({_reading(self._parts, named=True)})"
        self._engine.execute(f"CREATE OR REPLACE TEMP VIEW _parts AS SELECT {columns}, filename FROM ({rows})")
        self._engine.execute("""
            CREATE OR REPLACE TEMP TABLE _twice AS
            SELECT night, tenant, max(filename) AS chosen FROM _parts WHERE kind = 'tenant'
            GROUP BY ALL HAVING count(DISTINCT filename) > 1
        """)
        [(twice,)] = self._engine.execute("SELECT count(*) FROM _twice").fetchall()
        once = "_parts LEFT JOIN _twice USING (night, tenant) WHERE chosen IS NULL OR chosen = filename"
        kinds = {"tenants": TENANT, "findings": FINDING}
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        for view in VIEWS:
            source = f"SELECT {names} FROM {once if twice else '_parts'}" if view == OUTCOMES else f"FROM {OUTCOMES}"
            if view == "latest":
                source += f" WHERE night = (SELECT max(night) FROM {OUTCOMES} WHERE kind = '{TENANT}')"
            elif view in kinds:
                source += f" WHERE kind = '{kinds[view]}'"
            self._engine.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {source}")


@contextmanager
def open_table(where: Path | str, *, since: str | None = None) -> Iterator[Table]:
    """The table in the folder of a fleet, or at an address such as ``s3://bucket/nights``, which DuckDB has to reach.

    With ``since``, a night, earlier ones are not read. Raises InputError where there is none.
    """
    text = str(where)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="gt-conformance-")))
        if _ADDRESS.match(text):
            engine = stack.enter_context(connect(scratch, remote=True))
            yield Table(engine, {path: path for path in _list_remote(engine, text, since)})
            return
        here = Path(text) / OUTCOMES
        paths = _list_parts(here, since)
        # By a name of our own, since a folder may be called what DuckDB would take for a pattern.
        link = scratch / "table"
        link.symlink_to(here.resolve(), target_is_directory=True)
        parts = {f"{link}/{path.parent.name}/{path.name}": str(path) for path in paths if _PART.fullmatch(path.name)}
        engine = stack.enter_context(connect(scratch, readable=[str(here.resolve())]))
        yield Table(engine, parts, [str(path) for path in paths if not _PART.fullmatch(path.name)])


def _list_parts(here: Path, since: str | None) -> list[Path]:
    try:
        nights = sorted(one for one in here.iterdir() if _NIGHT.fullmatch(one.name) and one.name >= (since or ""))
        parts = [path for night in nights if night.is_dir() for path in sorted(night.iterdir())]
    except OSError as error:
        raise InputError.of(
            f"there is no table here: {error.strerror}.",
            where=Location(str(inert(str(here)))),
            hint="Name the folder that fleet run wrote with --out.",
        ) from None
    if len(parts) > _MOST_PARTS:
        raise InputError.of(f"there are more than {_MOST_PARTS} files in this table.", where=Location(str(here)))
    return [path for path in parts if path.suffix == ".parquet" and not path.name.startswith(".")]


def _list_remote(engine: "DuckDBPyConnection", address: str, since: str | None) -> list[str]:
    import duckdb  # noqa: PLC0415 - the engine is there, so it is installed

    pattern = address if _MAGIC.search(address) else f"{address.rstrip('/')}/{OUTCOMES}/*/*.parquet"
    try:
        found = [path for (path,) in engine.execute("SELECT file FROM glob(?)", [pattern]).fetchall()]
    except duckdb.Error as error:
        hint = _INSTALL_EXTENSION if _NOT_INSTALLED.search(str(error)) else _CHECK_ADDRESS
        reason = str(_in_one_line(error)).rstrip(".")
        raise InputError.of(f"{reason}.", where=Location(str(inert(address))), hint=hint) from None
    if not found:
        raise InputError.of(
            f"there is no table here: no file has a name like {inert(pattern)}.",
            where=Location(str(inert(address))),
            hint="Name the address of the folder that fleet run wrote with --out.",
        )
    return sorted(path for path in found if since is None or (_night_in(path) or since) >= since)


def _night_in(path: str) -> str | None:
    found = _NIGHT.findall(path)
    return found[-1] if found else None


def _reading(parts: Sequence[str], *, named: bool = False) -> str:
    more = ", filename = true" if named else ""
    return f"SELECT * FROM read_parquet({_listed(parts)}, union_by_name = true, hive_partitioning = false{more})"


def _listed(parts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, parts))}]"


def _grouped(forms: Mapping[str, str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part, form in forms.items():
        found.setdefault(form, []).append(part)
    return found


def _in_one_line(error: Exception) -> InputError:
    """What DuckDB says, without the line of the query that it draws below."""
    first = " ".join(str(error).partition("\nLINE ")[0].split())
    return InputError.of(str(inert(shortened(first.partition(" Possible solutions:")[0], _LONGEST_REASON))))


# -- queries of the user


def query(table: Table, text: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns, and the rows. Raises InputError for what is no single SELECT, or fails."""
    import duckdb  # noqa: PLC0415 - the table is open, so it is installed

    hint = (
        f"Ask for something in {', '.join(VIEWS)}, such as: select tenant, decision from latest where kind = 'tenant'"
    )
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        first = " ".join(str(error).partition("\nLINE ")[0].split())
        raise InputError.of(first, hint=hint) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InputError.of("a query is one SELECT: the table is read and never changed.", hint=hint)
    return table.select(text)

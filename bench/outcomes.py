"""Outcomes of a fleet that nobody ran: a table of any size, in which tenants break, recover, flap and go missing.

The cases are those of a real run of the embedded tenant. What varies is drawn by a hash of tenant and night, so that
the same numbers give the same table. ``python bench/outcomes.py DIR TENANTS NIGHTS``.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from gt_conformance import session, table
from gt_conformance import tenant as tenants
from gt_conformance.tenant import TenantKind
from gt_sandbox import EmbeddedTenant

PART = 1_000
"""Tenants of a shard."""

FINDINGS = 60
_TEXTS = {"remedy": "Have the tenant answer as the reference says.", "says": "What the reference promises holds."}


def generate(folder: Path, number: int, nights: int, last: date | None = None) -> Iterator[date]:
    """Write the table of that many tenants and nights; gives each night once it is written."""
    last = last or datetime.now(UTC).date()
    with TemporaryDirectory() as name, duckdb.connect(config={"memory_limit": "1GB"}) as engine:
        base = Path(name) / "base.parquet"
        _write_base(base, last)
        engine.execute(f"CREATE TABLE base AS FROM read_parquet('{base}')")
        engine.execute("CREATE MACRO chance(a, b := 0, c := 0) AS (hash(a, b, c) % 1000003)::BIGINT")
        _describe_fleet(engine, number)
        for night in (last - timedelta(days=ago) for ago in reversed(range(nights))):
            home = folder / table.OUTCOMES / night.isoformat()
            home.mkdir(parents=True, exist_ok=True)
            _describe_night(engine, night, (last - night).days, nights)
            parts = -(-number // PART)
            for part in range(parts):
                path = home / f"{part + 1:05d}-of-{parts:05d}.parquet"
                _write_part(engine, path, part)
            yield night


def _write_base(path: Path, night: date) -> None:
    """The rows of one real run."""
    with EmbeddedTenant() as running:
        tenant = tenants.from_mapping(
            running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="the bench"
        )
        record = session.run(session.plan(tenant))
    table.write(path, night, [table.JudgedTenant("base", "Base", {}, record, None)])


def _describe_fleet(engine: duckdb.DuckDBPyConnection, number: int) -> None:
    """What is so of a tenant every night: its labels, what breaks in it, and when."""
    engine.execute(f"""
        CREATE TABLE fleet AS
        SELECT i, format('tenant-{{:06d}}', i) AS tenant, format('Tenant number {{}}', i) AS name,
               MAP {{
                 'owner': 'team-' || chance(i, 'owner') % 400,
                 'region': ['eu', 'us', 'ap'][1 + chance(i, 'region') % 3],
                 'tier': ['gold', 'silver', 'bronze'][1 + chance(i, 'tier') % 3]
               }} AS labels,
               chance(i, 'kind') % 1000 AS lot, 1 + chance(i, 'many') % 3 AS many,
               chance(i, 'since') % 60 AS broke_days_ago
        FROM range({number}) AS numbers(i)
    """)


def _describe_night(engine: duckdb.DuckDBPyConnection, night: date, ago: int, nights: int) -> None:
    """What a night makes of each: 3 % are broken, some since long, 1 % flap, a few cannot be judged or are missing."""
    engine.execute(f"""
        CREATE OR REPLACE TABLE night AS
        SELECT *, DATE '{night.isoformat()}' AS night,
               lot < 30 AND broke_days_ago >= {ago} OR lot BETWEEN 30 AND 39 AND ({ago} + i) % 3 = 0 AS broken,
               lot BETWEEN 40 AND 41 AS unreachable, lot = 42 AS problem
        FROM fleet WHERE NOT (lot = 43 AND {ago} = 0 AND {nights} > 1)
    """)


def _write_part(engine: duckdb.DuckDBPyConnection, path: Path, part: int) -> None:
    own = {
        "night": "night.night",
        "tenant": "night.tenant",
        "name": "night.name",
        "labels": "night.labels",
        "embedded": "false",
        "decision": """CASE WHEN problem THEN 'NOT DECIDED' WHEN unreachable THEN 'UNREACHABLE'
                       WHEN broken THEN 'NO-GO' ELSE 'GO' END""",
        "seconds": "round(base.seconds * (0.5 + chance(i, night.night, base.case) % 1000 / 600.0), 2)",
        "outcome": """CASE WHEN kind = 'row' AND broken AND chance(base.route) % 9 = i % 9 THEN 'violates'
                      WHEN kind = 'tenant' AND broken THEN 'violates'
                      WHEN kind = 'tenant' AND (problem OR unreachable) THEN 'blocked' ELSE 'conforms' END""",
        "cases": "CASE WHEN kind = 'tenant' AND NOT problem THEN base.cases WHEN kind = 'tenant' THEN 0 END",
        "says": """CASE WHEN kind <> 'tenant' THEN NULL WHEN problem THEN 'The secret of the key chat is not set.'
                   WHEN unreachable THEN 'Nothing answers at the address of the tenant.'
                   WHEN broken THEN 'What the reference promises holds.' ELSE '' END""",
        "finding": "NULL",
        "check": "CASE WHEN kind = 'tenant_check' THEN base.check END",
        "severity": "CASE WHEN kind = 'tenant' AND broken THEN 'high' END",
        "acts": "CASE WHEN kind = 'tenant' AND broken THEN 'tenant' END",
        "remedy": "NULL",
        "found": "NULL",
    }
    found = {
        **own,
        "kind": "'finding'",
        "seconds": "NULL",
        "outcome": "'violates'",
        "cases": "1 + (i % 20)",
        "says": f"'{_TEXTS['says']}'",
        "remedy": f"'{_TEXTS['remedy']}'",
        "found": "'HTTP 500'",
        "finding": f"format('check.number{{}}~{{:06x}}', n % {FINDINGS} % 23, n % {FINDINGS})",
        "check": f"format('check.number{{}}', n % {FINDINGS} % 23)",
        "severity": "['critical', 'high', 'medium', 'low'][1 + n % 4]",
        "acts": "'tenant'",
    }
    mine = f"night WHERE i >= {part * PART} AND i < {(part + 1) * PART}"
    rows = _columns(own, 'base."{}"')
    findings = _columns(found, "NULL")
    engine.execute(f"""
        COPY (
          FROM (SELECT {rows} FROM (FROM {mine}) night CROSS JOIN base WHERE base.kind = 'tenant' ORDER BY tenant)
          UNION ALL
          FROM (
            SELECT {findings} FROM (
              SELECT *, unnest([chance(i, place) FOR place IN range(many)]) % 1000 AS n FROM (FROM {mine}) WHERE broken
            ) night ORDER BY tenant
          )
          UNION ALL
          FROM (
            SELECT {rows} FROM (FROM {mine}) night CROSS JOIN base
            WHERE base.kind NOT IN ('tenant', 'finding') AND NOT problem AND NOT unreachable
          )
        ) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 32768)
    """)


def _columns(given: Mapping[str, str], other: str) -> str:
    """Each column of a table by its expression, or by that for the others."""
    return ", ".join(
        f'CAST({given.get(name, other.format(name))} AS {kind}) AS "{name}"' for name, kind in table.COLUMNS.items()
    )


if __name__ == "__main__":
    for written in generate(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        sys.stdout.write(f"{written}\n")

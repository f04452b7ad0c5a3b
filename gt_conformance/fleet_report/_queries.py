"""The summary of a fleet, counted in SQL over the table, so that no number of tenants is too many.

Nothing but the table is read. A text of it is a tenant's or its operator's: each is cut short here, and escaped where
it is rendered.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from gt_conformance.errors import InputError, Problem
from gt_conformance.fleet_report._summary import (
    FLAPS,
    MOST_FINDINGS,
    MOST_OTHERS,
    MOST_TENANTS,
    NIGHTS,
    Counts,
    Flapping,
    FleetFinding,
    Label,
    LabelKey,
    Night,
    Slow,
    Summary,
    TenantLine,
    Unjudged,
    worst_of,
)
from gt_conformance.schema import nearest, quote
from gt_conformance.table import Table
from gt_conformance.vocabulary import Actor, Decision, Outcome, Severity

_MOST_KEYS = 8
_MOST_VALUES = 50
_FEW_VALUES = 12
_EXAMPLES = 3
_MOST_SLOW = 20
_LONGEST = 300

_WORST_FIRST = (
    Decision.NO_GO,
    Decision.UNREACHABLE,
    Decision.NOT_DECIDED,
    Decision.PARTIAL,
    Decision.GO_WITH_EXCEPTIONS,
    Decision.GO,
)
_FINDINGS_FIRST = (Outcome.VIOLATES, Outcome.BLOCKED, Outcome.UNATTESTED, Outcome.WAIVED)


def summarize(table: Table, *, night: date | None = None, history: bool = True, gone: Collection[str] = ()) -> Summary:
    """The last night of the table, or that one. ``gone`` are tenants that have left the fleet, of which nothing is due.

    Raises InputError where the table has no such night.
    """
    tonight = _find_night(table, night)
    first = tonight - timedelta(days=NIGHTS - 1) if history else tonight
    _prepare(table, tonight, first, gone)
    decisions = _decisions(table)
    counts = _counts(table)
    missing, problems = table.missing_parts(tonight)
    problems = [*table.problems, *problems]
    return Summary(
        night=tonight,
        history=history,
        decision=worst_of(decisions, is_incomplete=bool(counts.overdue or problems)),
        counts=counts,
        decisions=decisions,
        nights=_nights(table),
        findings=_findings(table),
        tenants=_tenants(table),
        unjudged=_unjudged(table),
        slowest=_slowest(table),
        flapping=_flapping(table),
        labels=_labels(table),
        problems=problems,
        files_left_out=len(table.problems) + missing,
        **_sums(table),
    )


def misnamed(table: Table, night: date, gone: Collection[str]) -> list[Problem]:
    """What is odd about the names of tenants that have left: one that never was in the table, or is there tonight."""
    if not gone:
        return []
    nights = dict(table.rows("SELECT tenant, max(night) FROM tenants WHERE tenant IS NOT NULL GROUP BY tenant"))
    problems = []
    for name in gone:
        if name not in nights:
            near = nearest(name, nights)
            meant = f"Did you mean {near}?" if near else "An id is written as in the fleet file."
            problems.append(Problem(f"--gone {quote(name)}: no tenant of that id is in the table.", hint=meant))
        elif str(nights[name]) >= night.isoformat():
            problems.append(Problem(f"--gone {name}: it has a row tonight.", hint="It counts until it has none."))
    return problems


def _find_night(table: Table, night: date | None) -> date:
    [(found,)] = table.rows("SELECT max(night) FROM tenants WHERE night = coalesce(?, night)", [night])
    if found is None:
        text = "there is no night in this table." if night is None else f"there is no night {night} in this table."
        raise InputError([*table.problems, *InputError.of(text, hint="fleet run writes one.").problems])
    return date.fromisoformat(str(found))


# -- what is asked more than once, each in a table of its own in memory


def _prepare(table: Table, tonight: date, first: date, gone: Collection[str]) -> None:
    """``all_tenants`` numbered, ``past``: their nights, ``tonight``, its findings ``found``, ``labels``, ``absent``."""
    for query, values in (
        (_ALL_TENANTS, [first, tonight]),
        (_TONIGHT, [tonight]),
        (_PAST, [first, tonight]),
        (_FAULTS, [first, tonight]),
        (_STREAKS, [tonight, tonight]),
        (_GONE, []),
        (_FOUND, [tonight]),
        (_LABELS, []),
        (_ABSENT, [list(gone), tonight]),
    ):
        table.rows(query, values)


def _one_of(values: Collection[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_KNOWN = _one_of([decision.value for decision in Decision])
_DECISION = f"CASE WHEN decision IN ({_KNOWN}) THEN decision ELSE '{Decision.NOT_DECIDED.value}' END"
_SEVERITY = f"CASE WHEN severity IN ({_one_of([one.value for one in Severity])}) THEN severity END"
_ACTS = f"CASE WHEN acts IN ({_one_of([one.value for one in Actor])}) THEN acts ELSE '{Actor.SETUP.value}' END"
_RANK = f"list_position([{_one_of([one.value for one in _WORST_FIRST])}], decision)"
_HOW_BAD = f"coalesce(list_position([{_one_of([one.value for one in Severity])}], severity), 9)"
_UNDECIDED = _one_of([Decision.NOT_DECIDED.value, Decision.UNREACHABLE.value])

_ALL_TENANTS = """
CREATE OR REPLACE TEMP TABLE all_tenants AS
SELECT tenant, row_number() OVER (ORDER BY tenant) AS t
FROM (SELECT DISTINCT tenant FROM tenants WHERE night BETWEEN ? AND ? AND tenant IS NOT NULL)
"""

_TONIGHT = f"""
CREATE OR REPLACE TEMP TABLE tonight AS
SELECT t, left(tenant, {_LONGEST}) AS id, left(coalesce(name, tenant), {_LONGEST}) AS name, labels,
       coalesce(embedded, true) AS embedded, {_DECISION} AS decision, {_SEVERITY} AS severity,
       left(coalesce(says, ''), {_LONGEST}) AS says, left(coalesce(remedy, ''), {_LONGEST}) AS remedy,
       {_ACTS} AS acts, coalesce(cases, 0) AS cases, seconds, requests, tokens
FROM tenants JOIN all_tenants USING (tenant)
WHERE night = ?
QUALIFY row_number() OVER (PARTITION BY t) = 1
"""
"""A tenant of which nobody says that it is a live one counts as embedded: no green rests on it."""

_PAST = f"""
CREATE OR REPLACE TEMP TABLE past AS
SELECT t, night, any_value({_DECISION}) AS decision, max(seconds) AS seconds,
       left(any_value(selected), {_LONGEST}) AS selected,
       coalesce(max(cases), 0) > 0 AND any_value({_DECISION}) <> '{Decision.UNREACHABLE.value}' AS judged
FROM tenants JOIN all_tenants USING (tenant)
WHERE night BETWEEN ? AND ?
GROUP BY t, night
"""
"""``selected`` is what a run was to judge; NULL where that was all of it."""


def _shows_what(earlier: str, later: str) -> str:
    """Whether a night would show what another one shows: it judged all, or the same part."""
    return f"{earlier}.judged AND ({earlier}.selected IS NULL OR {earlier}.selected = {later}.selected)"


_FAULTS = f"""
CREATE OR REPLACE TEMP TABLE faults AS
SELECT DISTINCT t, night, left(finding, {_LONGEST}) AS finding
FROM findings JOIN all_tenants USING (tenant)
WHERE night BETWEEN ? AND ? AND outcome = '{Outcome.VIOLATES.value}' AND finding IS NOT NULL
"""
"""What violates, night by night."""

_STREAKS = f"""
CREATE OR REPLACE TEMP TABLE streaks AS
WITH now AS (
       SELECT t, finding, selected FROM faults JOIN past USING (t, night) WHERE night = ?
     ),
     without AS (
       SELECT now.t, now.finding, max(past.night) AS night
       FROM now JOIN past ON past.t = now.t AND {_shows_what("past", "now")}
       ANTI JOIN faults ON faults.t = now.t AND faults.finding = now.finding AND faults.night = past.night
       GROUP BY ALL
     )
SELECT t, finding, min(faults.night) AS since, min(faults.night) = ? AS is_new
FROM now JOIN faults USING (t, finding) LEFT JOIN without USING (t, finding)
WHERE without.night IS NULL OR faults.night > without.night
GROUP BY ALL
"""
"""Each violation of tonight with the first night on which it was there without a break. A night that would not have
shown it is not a break."""

_GONE = f"""
CREATE OR REPLACE TEMP TABLE over AS
WITH before AS (
  SELECT t, finding, max(night) AS night FROM faults ANTI JOIN streaks USING (t, finding) GROUP BY t, finding
)
SELECT before.t, before.finding, min(later.night) AS night
FROM before JOIN past ON past.t = before.t AND past.night = before.night
LEFT JOIN past AS later ON later.t = before.t AND later.night > before.night AND {_shows_what("later", "past")}
GROUP BY before.t, before.finding
"""
"""Each violation of earlier nights that is not there tonight, with the first night that shows that, if any does."""

_FOUND = f"""
CREATE OR REPLACE TEMP TABLE found AS
SELECT all_tenants.t, left(findings.finding, {_LONGEST}) AS finding, outcome,
       left(coalesce("check", ''), {_LONGEST}) AS check_id,
       {_SEVERITY} AS severity, {_ACTS} AS acts,
       left(coalesce(says, ''), {_LONGEST}) AS says, left(coalesce(remedy, ''), {_LONGEST}) AS remedy, since, is_new
FROM findings JOIN all_tenants USING (tenant)
LEFT JOIN streaks ON streaks.t = all_tenants.t AND streaks.finding = left(findings.finding, {_LONGEST})
     AND findings.outcome = '{Outcome.VIOLATES.value}'
WHERE night = ? AND findings.finding IS NOT NULL AND outcome IN ({_one_of([one.value for one in _FINDINGS_FIRST])})
"""
"""Every finding of tonight, violations with their streaks."""

_LABELS = f"""
CREATE OR REPLACE TEMP TABLE labels AS
SELECT t, left(one.key, {_LONGEST}) AS key, left(one.value, {_LONGEST}) AS value
FROM (SELECT t, unnest(map_entries(labels)) AS one FROM tonight)
"""

_ABSENT = """
CREATE OR REPLACE TEMP TABLE absent AS
WITH gaps AS (
  SELECT t, night, night - lag(night) OVER (PARTITION BY t ORDER BY night) AS gap FROM past
), usual AS (
  SELECT t, max(night) AS last, max(gap) AS gap FROM gaps GROUP BY t
)
SELECT all_tenants.t, tenant, usual.last, usual.gap IS NULL OR usual.gap <= tonight.night - usual.last AS is_due
FROM usual JOIN all_tenants USING (t), (SELECT ?::VARCHAR[] AS gone, ?::DATE AS night) AS tonight
WHERE usual.last < tonight.night AND NOT list_contains(tonight.gone, tenant)
"""
"""Who has no row tonight. One is due where the tenant was never away for longer."""


def _decisions(table: Table) -> dict[Decision, int]:
    found = dict(table.rows("SELECT decision, count(*) FROM tonight GROUP BY ALL"))
    return {decision: found.get(decision.value, 0) for decision in _WORST_FIRST}


def _counts(table: Table) -> Counts:
    [(tenants, embedded, not_go, silent)] = table.rows(f"""
        SELECT count(*), count(*) FILTER (embedded), count(*) FILTER (decision <> '{Decision.GO.value}'),
               count(*) FILTER ({_SILENT})
        FROM tonight
    """)
    [(findings,)] = table.rows("SELECT count(*) FROM (SELECT DISTINCT finding, outcome FROM found)")
    [(violating, new, newly)] = table.rows("""
        SELECT count(DISTINCT t), count(*) FILTER (is_new), count(DISTINCT t) FILTER (is_new) FROM streaks
    """)
    [(fixed, still_open)] = table.rows("""
        SELECT count(*) FILTER (night = (SELECT max(night) FROM past)), count(*) FILTER (night IS NULL) FROM over
    """)
    [(undecided,)] = table.rows(f"""
        SELECT count(*) FROM tonight LEFT JOIN ({_LAST}) before USING (t)
        WHERE tonight.decision IN ({_UNDECIDED}) AND coalesce(before.decision, '') NOT IN ({_UNDECIDED})
    """)
    [(overdue, resting, lost)] = table.rows(f"""
        SELECT count(*) FILTER (is_due), count(*) FILTER (NOT is_due),
               count(*) FILTER (is_due AND last = ({_NIGHT_BEFORE}))
        FROM absent
    """)
    [(flapping,)] = table.rows(f"SELECT count(*) FROM ({_FLAPPING})")
    return Counts(
        tenants=tenants,
        embedded=embedded,
        not_go=not_go,
        findings=findings,
        violating=violating,
        new=new,
        newly_new=newly,
        fixed=fixed,
        still_open=still_open,
        newly_undecided=undecided + lost,
        unjudged=silent + overdue,
        overdue=overdue,
        resting=resting,
        flapping=flapping,
    )


_SILENT = f"tonight.cases = 0 OR tonight.decision = '{Decision.UNREACHABLE.value}'"
"""What tonight's row of a tenant says nothing of: it could not be judged at all."""

_NIGHT_BEFORE = "SELECT max(night) FROM past WHERE night < (SELECT max(night) FROM past)"

_LAST = """
SELECT past.t, arg_max(past.decision, past.night) AS decision
FROM past JOIN past AS now ON now.t = past.t AND now.night = (SELECT max(night) FROM past)
WHERE past.night < now.night AND (past.selected IS NULL OR past.selected IS NOT DISTINCT FROM now.selected)
GROUP BY past.t
"""
"""The decision of each tenant on the last night before tonight on which as much of it was to be judged."""

_FLAPPING = f"""
SELECT t, count(*) FILTER (decision <> before) AS changes
FROM (
  SELECT t, decision, lag(decision) OVER (PARTITION BY t, selected ORDER BY night) AS before FROM past WHERE judged
)
GROUP BY t HAVING changes >= {FLAPS}
"""


def _sums(table: Table) -> dict[str, Any]:
    [(seconds, requests, tokens)] = table.rows("""
        SELECT coalesce(sum(seconds), 0), coalesce(sum(requests), 0)::BIGINT, coalesce(sum(tokens), 0)::BIGINT
        FROM tonight
    """)
    return {"seconds": float(seconds), "requests": int(requests), "tokens": int(tokens)}


def _nights(table: Table) -> list[Night]:
    found: dict[date, dict[Decision, int]] = {}
    for night, decision, number in table.rows("SELECT night, decision, count(*) FROM past GROUP BY ALL"):
        found.setdefault(night, {})[Decision(decision)] = number
    return [Night(night, sum(some.values()), some) for night, some in sorted(found.items())]


def _findings(table: Table) -> list[FleetFinding]:
    order = f"list_position([{_one_of([one.value for one in _FINDINGS_FIRST])}], outcome)"
    rows = table.rows(f"""
        SELECT finding, outcome, arg_min(check_id, t),
               arg_min(coalesce(severity, '{Severity.MEDIUM.value}'), {_HOW_BAD}),
               arg_min(acts, t), arg_min(says, t), arg_min(remedy, t),
               count(DISTINCT t) AS number, count(DISTINCT t) FILTER (is_new), min(since)
        FROM found GROUP BY finding, outcome
        ORDER BY {order}, min({_HOW_BAD}), number DESC, finding LIMIT {MOST_FINDINGS}
    """)
    listed = [(row[0], row[1]) for row in rows]
    examples, labels = _examples(table, listed), _labels_of(table, listed)
    return [
        FleetFinding(
            id=row[0],
            outcome=Outcome(row[1]),
            check=row[2],
            severity=Severity(row[3]),
            acts=row[4],
            says=row[5],
            remedy=row[6],
            tenants=row[7],
            new=row[8],
            since=row[9],
            examples=examples.get((row[0], row[1]), ()),
            labels=labels.get((row[0], row[1]), ()),
        )
        for row in rows
    ]


_LISTED = "(SELECT unnest(?::VARCHAR[]) AS finding, unnest(?::VARCHAR[]) AS outcome) AS listed"


def _examples(table: Table, listed: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[str]]:
    """The first tenants of each finding, those that have it anew before the others."""
    rows = table.rows(
        f"""
        SELECT finding, outcome, id FROM (SELECT DISTINCT finding, outcome, t, is_new FROM found) JOIN {_LISTED}
        USING (finding, outcome) JOIN tonight USING (t)
        QUALIFY {_EXAMPLES} >= row_number() OVER (
          PARTITION BY finding, outcome ORDER BY coalesce(is_new, false) DESC, id
        )
        ORDER BY ALL
        """,
        _columns(listed),
    )
    found: dict[tuple[str, str], list[str]] = {}
    for finding, outcome, tenant in rows:
        found.setdefault((finding, outcome), []).append(tenant)
    return found


def _labels_of(
    table: Table, listed: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], Sequence[tuple[str, str, int]]]:
    """For each finding the labels of its tenants, of keys with few values, the most frequent first."""
    rows = table.rows(
        f"""
        WITH few AS (SELECT key FROM labels GROUP BY key HAVING count(DISTINCT value) BETWEEN 2 AND {_FEW_VALUES}
                     ORDER BY count(DISTINCT value), key LIMIT {_MOST_KEYS})
        SELECT finding, outcome, key, value, count(DISTINCT t) AS number
        FROM found JOIN {_LISTED} USING (finding, outcome) JOIN labels USING (t) SEMI JOIN few USING (key)
        GROUP BY finding, outcome, key, value
        QUALIFY row_number() OVER (PARTITION BY finding, outcome, key ORDER BY number DESC, value) <= {_EXAMPLES}
        ORDER BY finding, outcome, key, number DESC, value
        """,
        _columns(listed),
    )
    found: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for finding, outcome, key, value, number in rows:
        found.setdefault((finding, outcome), []).append((key, value, number))
    return found


def _columns(listed: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[finding for finding, _ in listed], [outcome for _, outcome in listed]]


def _tenants(table: Table) -> list[TenantLine]:
    """Those that are not GO, the worst first."""
    rows = table.rows(f"""
        WITH bad AS (
          SELECT t, count(DISTINCT finding) AS violations, count(DISTINCT finding) FILTER (is_new) AS new,
                 min(since) AS since
          FROM found WHERE outcome = '{Outcome.VIOLATES.value}' GROUP BY t
        )
        SELECT id, name, labels, decision, embedded, severity, says, remedy, acts,
               coalesce(violations, 0) AS violations, coalesce(new, 0), since
        FROM tonight LEFT JOIN bad USING (t)
        WHERE decision <> '{Decision.GO.value}'
        ORDER BY {_RANK}, {_HOW_BAD}, violations DESC, id LIMIT {MOST_TENANTS}
    """)
    return [
        TenantLine(
            id=row[0],
            name=row[1],
            labels=_cut(row[2]),
            decision=Decision(row[3]),
            embedded=row[4],
            severity=Severity(row[5]) if row[5] and row[9] else None,
            says=row[6],
            remedy=row[7],
            acts=row[8],
            violations=row[9],
            new=row[10],
            since=row[11],
        )
        for row in rows
    ]


def _cut(labels: Mapping[str, str] | None) -> dict[str, str]:
    some = list((labels or {}).items())[:_MOST_KEYS]
    return {str(key)[:_LONGEST]: str(value)[:_LONGEST] for key, value in some}


def _unjudged(table: Table) -> list[Unjudged]:
    """Tenants of which tonight says nothing: without a row though one was due, then those that could not be judged."""
    rows = table.rows(f"""
        WITH judged AS (SELECT t, max(night) AS last FROM past WHERE judged GROUP BY t)
        SELECT left(tenant, {_LONGEST}) AS id, left(tenant, {_LONGEST}), '' AS why, judged.last, 1 AS place
        FROM absent LEFT JOIN judged USING (t) WHERE is_due
        UNION ALL
        SELECT id, name, says, judged.last, 2 FROM tonight LEFT JOIN judged USING (t) WHERE {_SILENT}
        ORDER BY place, id LIMIT {MOST_OTHERS}
    """)
    return [Unjudged(row[0], row[1], row[2], row[3]) for row in rows]


def _slowest(table: Table) -> list[Slow]:
    rows = table.rows(f"""
        WITH usual AS (
          SELECT past.t, median(past.seconds) AS seconds
          FROM past JOIN past AS now ON now.t = past.t AND now.selected IS NOT DISTINCT FROM past.selected
          WHERE past.judged AND past.night < now.night AND now.night = (SELECT max(night) FROM past) GROUP BY past.t
        )
        SELECT id, name, tonight.seconds, usual.seconds, requests FROM tonight LEFT JOIN usual USING (t)
        WHERE isfinite(tonight.seconds) ORDER BY tonight.seconds DESC, id LIMIT {_MOST_SLOW}
    """)
    return [Slow(*row) for row in rows]


def _flapping(table: Table) -> list[Flapping]:
    rows = table.rows(f"""
        WITH worst AS (SELECT * FROM ({_FLAPPING}) ORDER BY changes DESC, t LIMIT {MOST_OTHERS})
        SELECT left(any_value(tenant), {_LONGEST}) AS one, coalesce(any_value(tonight.name), one), changes,
               list(night ORDER BY night), list(past.decision ORDER BY night)
        FROM worst JOIN all_tenants USING (t) JOIN past USING (t) LEFT JOIN tonight USING (t)
        WHERE past.judged GROUP BY worst.t, changes ORDER BY changes DESC, one
    """)
    return [
        Flapping(row[0], row[1], row[2], [(night, Decision(one)) for night, one in zip(row[3], row[4], strict=True)])
        for row in rows
    ]


def _labels(table: Table) -> list[LabelKey]:
    """The keys that most tenants have, and the values of each with most tenants that are not GO."""
    counted = ", ".join(f"count(*) FILTER (decision = '{decision.value}')" for decision in _WORST_FIRST)
    rows = table.rows(f"""
        WITH keys AS (SELECT key, count(*) AS tenants, count(DISTINCT value) AS known FROM labels GROUP BY key
                      ORDER BY tenants DESC, key LIMIT {_MOST_KEYS})
        SELECT key, value, any_value(known), count(*) AS number, {counted}
        FROM labels JOIN tonight USING (t) JOIN keys USING (key) GROUP BY key, value
        QUALIFY row_number() OVER (
          PARTITION BY key ORDER BY number - count(*) FILTER (decision = '{Decision.GO.value}') DESC, number DESC, value
        ) <= {_MOST_VALUES}
        ORDER BY key, number - count(*) FILTER (decision = '{Decision.GO.value}') DESC, number DESC, value
    """)
    found: dict[str, list[Label]] = {}
    known: dict[str, int] = {}
    for key, value, values, tenants, *numbers in rows:
        decisions = dict(zip(_WORST_FIRST, numbers, strict=True))
        found.setdefault(key, []).append(Label(key, value, tenants, decisions))
        known[key] = values
    return [LabelKey(key, values, known[key]) for key, values in found.items()]

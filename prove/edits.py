"""Single edits of a record: of so many random ones, verifying names each."""

import copy
import json
import random
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any

from gt_conformance import resources, schema
from gt_conformance.planning import Plan, Selection, make_plan
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_conformance.verification import verify
from gt_conformance.vocabulary import Decision, Outcome, Severity
from gt_sandbox.faults import select_faults
from prove import Options, Proof, _runs

EDITS = 1_000
_FAULT, _RUNBOOK = "conversations-500", "dify"
_REPLAYED = 100
"""So many of them are replayed as well: it takes a second each, and a digest names what it could name."""
_Random = random.Random
Edit = Callable[[Any, _Random], str | None]
"""Changes a record in one place, and says how; None where the record has nothing of the kind."""


def prove(options: Options) -> Proof:
    """Try the edits on a record in which most outcomes occur."""
    del options
    record = _runs.record_of(select_faults([_FAULT]), _only_one)
    problems = tuple(unnoticed(record, EDITS, seed=14, replayed=_REPLAYED))
    return Proof(f"edits: {EDITS - len(problems)} of {EDITS} single edits of a record are named", problems)


def _only_one(plan: Plan) -> Plan:
    return make_plan(plan.tenant, plan.runbooks, selection=Selection(runbooks=(_RUNBOOK,)))


def unnoticed(record: Record, count: int, *, seed: int, replayed: int = 0) -> Iterator[str]:
    """The edits of which verifying names nothing; the first ``replayed`` of them are verified with a replay."""
    books = load_directory(resources.runbooks_dir())
    chosen = random.Random(seed)  # noqa: S311 - a choice, not a secret
    for number, (text, edited) in enumerate(make(record, count, chosen)):
        if schema.load("results").errors(edited):
            continue  # no record any more: reading it says so
        if verify(edited, runbooks=books, replaying=number < replayed).is_consistent:
            yield f"not named: {text}"


def make(record: Record, count: int, chosen: _Random) -> Iterator[tuple[str, Record]]:
    """So many edits of copies of a record, each with what it is, every kind in turn."""
    text = json.dumps(record)
    made = 0
    while made < count:
        edited: Record = json.loads(text)
        said = _KINDS[made % len(_KINDS)](edited, chosen)
        if said is None or json.dumps(edited, sort_keys=True) == json.dumps(json.loads(text), sort_keys=True):
            said = _change_any(edited, chosen)
        made += 1
        yield said, edited


# -- kinds of edits


def _places(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place of a JSON value: its path, what holds it, and under which key or number."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield f"{path}.{key}", value, key
        yield from _places(item, f"{path}.{key}")


def _other(value: Any, chosen: _Random) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + chosen.choice((1, 7))
        case str():
            return f"{value}x" if chosen.random() < 0.5 or not value else value[:-1]
        case None:
            return "x"
        case list():
            return value[1:] if value else ["x"]
        case _:
            return {**value, "x": 1}


def _change_any(record: Any, chosen: _Random) -> str:
    """Any value of the record becomes another one of its kind."""
    path, holder, key = chosen.choice(list(_places(record)))
    holder[key] = _other(holder[key], chosen)
    return f"changed {path}"


def _drop_any(record: Any, chosen: _Random) -> str | None:
    """Any entry of a list, or of a mapping of the record's own names, is gone."""
    lists = [(path, holder[key]) for path, holder, key in _places(record) if isinstance(holder[key], list)]
    path, found = chosen.choice([(path, found) for path, found in lists if found])
    number = chosen.randrange(len(found))
    del found[number]
    return f"dropped {path}.{number}"


def _swap_any(record: Any, chosen: _Random) -> str | None:
    """Two entries of a list change places."""
    lists = [(path, holder[key]) for path, holder, key in _places(record) if isinstance(holder[key], list)]
    path, found = chosen.choice([(path, found) for path, found in lists if len(found) > 1])
    one, other = chosen.sample(range(len(found)), 2)
    found[one], found[other] = found[other], found[one]
    return f"swapped {path}.{one} and {other}"


def _double_any(record: Any, chosen: _Random) -> str | None:
    """An entry of a list is there twice."""
    lists = [(path, holder[key]) for path, holder, key in _places(record) if isinstance(holder[key], list)]
    path, found = chosen.choice([(path, found) for path, found in lists if found])
    number = chosen.randrange(len(found))
    found.insert(number, copy.deepcopy(found[number]))
    return f"doubled {path}.{number}"


def _parts(record: Any) -> list[Any]:
    return [part for book in record["runbooks"] for part in (*book["routes"], *book["checklist"])]


def _checks(record: Any) -> list[Any]:
    return [*record["tenant_checks"], *(check for part in _parts(record) for check in part["checks"])]


def _flip(things: Callable[[Any], list[Any]], key: str, values: MutableSequence[str]) -> Edit:
    """A value of a closed set becomes another one of it."""

    def edit(record: Any, chosen: _Random) -> str | None:
        able = [thing for thing in things(record) if key in thing]
        if not able:
            return None
        thing = chosen.choice(able)
        before = thing[key]
        thing[key] = chosen.choice([value for value in values if value != before])
        return f"{thing.get('id', 'the record')}: {key} {before} became {thing[key]}"

    return edit


def _drop_check(record: Any, chosen: _Random) -> str | None:
    part = chosen.choice(_parts(record))
    dropped = part["checks"].pop(chosen.randrange(len(part["checks"])))
    return f"dropped the check {dropped['id']} of {part['id']}"


def _drop_case(record: Any, chosen: _Random) -> str | None:
    book = chosen.choice(record["runbooks"])
    kind = chosen.choice(("routes", "checklist"))
    dropped = book[kind].pop(chosen.randrange(len(book[kind])))
    return f"dropped the case {dropped['id']}"


def _drop_exchange(record: Any, chosen: _Random) -> str | None:
    ref = chosen.choice(list(record["exchanges"]))
    del record["exchanges"][ref]
    return f"dropped the exchange {ref}"


def _swap_exchanges(record: Any, chosen: _Random) -> str | None:
    one, other = chosen.sample(list(record["exchanges"]), 2)
    exchanges = record["exchanges"]
    exchanges[one], exchanges[other] = exchanges[other], exchanges[one]
    return f"swapped the exchanges {one} and {other}"


def _drop_violation(record: Any, chosen: _Random) -> str | None:
    able = [check for check in _checks(record) if check["breaches"] or check["obstacles"]]
    if not able:
        return None
    check = chosen.choice(able)
    kind = "breaches" if check["breaches"] else "obstacles"
    check[kind].pop()
    return f"dropped one of the {kind} of {check['id']}"


def _set(record: MutableMapping[str, Any], path: str, value: Any) -> str:
    *way, last = path.split(".")
    holder: Any = record
    for key in way:
        holder = holder[key]
    holder[last] = value
    return f"set {path} to {value}"


def _another_digest(record: Any, chosen: _Random) -> str | None:
    book = chosen.choice(record["runbooks"])
    book["digest"] = f"{chosen.getrandbits(256):064x}"
    return f"another digest of the runbook {book['id']}"


_OUTCOMES = [outcome.value for outcome in Outcome]
_KINDS: tuple[Edit, ...] = (
    _flip(_parts, "outcome", _OUTCOMES),
    _flip(_checks, "outcome", _OUTCOMES),
    _drop_case,
    _drop_check,
    _drop_exchange,
    _drop_violation,
    _flip(lambda record: record["findings"], "severity", [severity.value for severity in Severity]),
    _flip(lambda record: record["findings"], "outcome", _OUTCOMES),
    _flip(lambda record: [record, *record["runbooks"]], "decision", [decision.value for decision in Decision]),
    _swap_exchanges,
    _another_digest,
    lambda record, chosen: _set(record, "run.runbooks_digest", f"{chosen.getrandbits(256):064x}"),
    lambda record, chosen: _set(record, "run.version", f"9.{chosen.randrange(100)}"),
    lambda record, chosen: _set(record, "run.provenance.suite", f"{chosen.getrandbits(256):064x}"),
    lambda record, chosen: _set(record, "run.tenant.base_url", f"https://{chosen.randrange(1000)}.example/api/tenant"),
    lambda record, chosen: _set(record, f"totals.{chosen.choice(_OUTCOMES)}", chosen.randrange(1000, 2000)),
    _drop_any,
    _swap_any,
    _double_any,
    _change_any,
)
"""One after the other."""

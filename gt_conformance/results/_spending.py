"""What a run used and cost, as its record holds it."""

from collections.abc import Sequence
from typing import cast

from gt_conformance.exchange import Exchange
from gt_conformance.results.record_types import CostRecord, SpendingRecord, UsageRecord
from gt_conformance.spending import Cost, Spending, Usage, measure_spending
from gt_conformance.tenant import Prices

_DIGITS = 9


def spending_record(exchanges: Sequence[Exchange], prices: Prices | None) -> SpendingRecord:
    """What these exchanges used, and might have used."""
    return _as_record(measure_spending(exchanges, prices))


def add_spending(records: Sequence[SpendingRecord | None]) -> SpendingRecord | None:
    """What several parts of a run, or several runs, used together; None where it is not known of one of them.

    The budget of one run is none of several; prices in two currencies have no sum.
    """
    known = [record for record in records if record is not None]
    if not known or len(known) < len(records):
        return None
    currencies = {record["cost"]["currency"] for record in known if "cost" in record}
    parts = [_from_record(record, is_priced=len(currencies) == 1) for record in known]
    added = _as_record(sum(parts, Spending()))
    budgets = [record["max_tokens"] for record in known if "max_tokens" in record]
    if len(budgets) == 1:
        added["max_tokens"] = budgets[0]
    return added


def _as_record(spending: Spending) -> SpendingRecord:
    record: SpendingRecord = {
        "used": _usage(spending.used),
        "counted": _usage(spending.counted),
        "worst": _usage(spending.worst),
        "unstated": spending.unstated,
    }
    if spending.cost is not None:
        record["cost"] = {
            "currency": spending.cost.currency,
            "used": round(spending.cost.used, _DIGITS),
            "counted": round(spending.cost.counted, _DIGITS),
            "worst": round(spending.cost.worst, _DIGITS),
            "unpriced": list(spending.cost.unpriced),
        }
    return record


def _from_record(record: SpendingRecord, *, is_priced: bool) -> Spending:
    cost = _cost(record["cost"]) if is_priced and "cost" in record else None
    used, counted, worst = (Usage(**record[name]) for name in ("used", "counted", "worst"))
    return Spending(used, counted, worst, record["unstated"], cost)


def _cost(record: CostRecord) -> Cost:
    return Cost(record["currency"], record["used"], record["counted"], record["worst"], tuple(record["unpriced"]))


def _usage(usage: Usage) -> UsageRecord:
    found = {name: getattr(usage, name) for name in UsageRecord.__annotations__}
    return cast("UsageRecord", {**found, "audio_s": round(usage.audio_s, 3)})

"""What a run used and what it cost, in words."""

from gt_conformance.report._format import format_cost, format_money, numbered
from gt_conformance.results.run_types import SpendingRecord, TrafficRecord

_MOST_NAMED = 5


def spent_in_short(traffic: TrafficRecord) -> str:
    """``12,345 tokens, EUR 0.0123``: the tokens that the tenant counts, and the cost where there are prices."""
    tokens = f"{traffic['tokens']:,} token{'' if traffic['tokens'] == 1 else 's'}"
    cost = traffic.get("spending", {}).get("cost")
    return tokens if cost is None else f"{tokens}, {format_cost(cost['currency'], cost['used'], cost['unpriced'])}"


def is_priced(traffic: TrafficRecord) -> bool:
    """Whether the tenant file has prices."""
    return "cost" in traffic.get("spending", {})


def spending_facts(traffic: TrafficRecord) -> list[tuple[str, str]]:
    """What there is to say of it, each with its term. Nothing of a record of an earlier version."""
    spending = traffic.get("spending")
    if spending is None:
        return []
    facts = [("Used", _used(spending)), ("Counted", _counted(spending)), ("Worst case", _worst(spending))]
    if (cost := spending.get("cost")) is not None:
        amounts = (cost["used"], cost["counted"], cost["worst"])
        used, counted, worst = (format_money(cost["currency"], amount) for amount in amounts)
        named = cost["unpriced"][:_MOST_NAMED]
        more = len(cost["unpriced"]) - len(named)
        others = f" and {more} more" if more else ""
        unpriced = f"without a price: {', '.join(named)}{others}"
        without = f"; {unpriced}" if named else ""
        if spending["unstated"]:
            used = f"{used} by what is stated, at most {counted} with what is not"
        known = f"{used}; {worst} in the worst case{without}" if cost["worst"] or not named else f"unknown; {unpriced}"
        facts.append(("Cost", known))
    return facts


def _used(spending: SpendingRecord) -> str:
    used = spending["used"]
    parts = [f"{used['input_tokens']:,} tokens in and {used['output_tokens']:,} out, as far as that is stated"]
    parts += [numbered(used["images"], "image")] if used["images"] else []
    parts += [f"{used['audio_s']:.1f} s of audio"] if used["audio_s"] else []
    parts += [f"{numbered(used['characters'], 'character')} to be spoken"] if used["characters"] else []
    return ", ".join(parts)


def _counted(spending: SpendingRecord) -> str:
    counted = spending["counted"]
    text = f"{counted['input_tokens'] + counted['output_tokens']:,} tokens"
    if "max_tokens" in spending:
        text += f" of at most {spending['max_tokens']:,} (limits.max_tokens)"
    if not spending["unstated"]:
        return text
    one = spending["unstated"] == 1
    answers, verbs = numbered(spending["unstated"], "request"), ("has", "counts") if one else ("have", "count")
    return (
        f"{text}: {answers} {verbs[0]} no answer that states a usage that can be true, and {verbs[1]} at the worst case"
    )


def _worst(spending: SpendingRecord) -> str:
    worst = spending["worst"]
    return (
        f"{worst['input_tokens']:,} tokens in and {worst['output_tokens']:,} out, by what was sent and by the limits "
        "of the answers that were asked for"
    )

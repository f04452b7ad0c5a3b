"""``gt-conformance fleet plan``: what a night would send and take."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from gt_conformance.cli._options import of_labels, of_night, taking_latency, text_or_json
from gt_conformance.fleet import AT_ONCE, Fleet, FleetPlan, load_fleet, plan_night
from gt_conformance.report import format_money
from gt_conformance.schema import count_noun


@click.command
@click.argument("file", metavar="FLEET", type=click.Path(path_type=Path))
@of_night
@of_labels
@taking_latency("a tenant")
@click.option("--at-once", metavar="COUNT", type=click.IntRange(1, 1000), default=AT_ONCE, show_default=True)
@text_or_json
def plan(file: Path, night: date, labels: list[tuple[str, str]], latency: float, at_once: int, output: str) -> int:
    """Show which tenants are due on a night, and what judging them would send and take, by gateway; nothing is sent.

    Tenants of the same shape are rehearsed once, in memory. Polls and retries of real tenants add to the numbers.
    Tokens, and the cost if tenant files name prices, are the worst case: the limits that requests send, and more where
    a request has none.

    \b
    Examples:
      gt-conformance fleet plan fleet.yaml
      gt-conformance fleet plan fleet.yaml --night 2026-11-28 --label region=eu --latency 1s
    """
    fleet = load_fleet(file).labelled(labels)
    found = plan_night(fleet, night, latency_s=latency, at_once=at_once)
    if output == "json":
        numbers = {"requests": found.requests, "tokens": found.tokens, "money": found.money}
        click.echo(json.dumps(_rounded({"night": night.isoformat(), **asdict(found), **numbers}), indent=2))
        return 0
    click.echo("\n".join(_describe(fleet, found, night, latency, at_once)))
    return 0


def _rounded(value: Any) -> Any:
    """Seconds by the millisecond, and money by its millionth: what is behind that is the arithmetic's own."""
    if isinstance(value, Mapping):
        return {name: round(inner, 3) if name == "least_s" else _rounded(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def _describe(fleet: Fleet, found: FleetPlan, night: date, latency_s: float, at_once: int) -> Iterator[str]:
    yield f"{fleet.path} on {night}: {found.due:,} of {count_noun(found.tenants, 'tenant')} due; nothing is sent."
    if not found.due:
        return
    yield f"Rehearsed: {count_noun(found.shapes, 'shape')} of tenant."
    yield ""
    yield f"  {'':<24} {'tenants':>9} {'requests':>12} {'tokens':>14}  least time"
    for share in found.shares:
        name = f"gateway {share.gateway}" if share.gateway is not None else "behind no gateway"
        yield f"  {name:<24} {share.tenants:>9,} {share.requests:>12,} {share.tokens:>14,}  {_time(share.least_s)}"
    yield f"  {'in all':<24} {found.due:>9,} {found.requests:>12,} {found.tokens:>14,}  {_time(found.least_s)}"
    yield ""
    for currency, amount in found.money.items():
        known = f"Cost: {format_money(currency, amount)} in the worst case."
        yield known if amount or not found.unpriced else f"Cost in {currency}: unknown."
    if found.unpriced:
        yield f"Without a price: something of {count_noun(found.unpriced, 'tenant')} (gt-conformance plan names it)."
    yield f"Least time if an answer takes {latency_s * 1000:g} ms, with {count_noun(at_once, 'tenant')} at once."


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

"""fleet.html: how a fleet is tonight, as one self-contained document that stays small whatever the fleet is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gt_conformance import report
from gt_conformance.fleet_report._summary import (
    FLAPS,
    MOST_OTHERS,
    NIGHTS,
    Flapping,
    Night,
    Summary,
    describe,
    problem_line,
    reason,
    since_words,
)
from gt_conformance.vocabulary import Decision, Outcome

PAGE = "fleet.html"

_STYLES = ("compliance.css", "fleet.css")
_SCRIPT = "fleet.js"
_HEIGHTS = {
    Decision.GO: 4,
    Decision.GO_WITH_EXCEPTIONS: 6,
    Decision.PARTIAL: 8,
    Decision.NOT_DECIDED: 11,
    Decision.UNREACHABLE: 11,
    Decision.NO_GO: 16,
}
_STEP = 4
_FIRST = 4


@dataclass(frozen=True)
class _Bar:
    """A bar of a picture of nights."""

    x: float
    width: float
    height: int
    tone: str
    words: str


def render_page(summary: Summary) -> str:
    """The document."""
    broken = [one for one in summary.findings if one.outcome is Outcome.VIOLATES]
    return report.render_page(
        "fleet.html.j2",
        _STYLES,
        _SCRIPT,
        one=summary,
        counts=summary.counts,
        problem_line=problem_line,
        word=describe(summary),
        reason=reason(summary),
        embedded=bool(summary.counts.embedded),
        tone=_tones(summary)[summary.decision],
        tone_of=_tones(summary),
        decisions=[decision for decision in summary.decisions if summary.decisions[decision]],
        broken=broken,
        first=broken[:_FIRST],
        others=[one for one in summary.findings if one.outcome is not Outcome.VIOLATES],
        choices=_choices(summary),
        since=lambda day: since_words(summary, day),
        strip=lambda one: _strip(one, summary),
        share=lambda night: _shares(night, _tones(summary)),
        actor=report.actor_in_words,
        took=report.seconds,
        nights_back=NIGHTS,
        flaps=FLAPS,
        most_others=MOST_OTHERS,
    )


def _tones(summary: Summary) -> Mapping[Decision, str]:
    """The mark and the colour of each decision. Where a tenant is the embedded one, no GO is green."""
    return report.TONES | ({Decision.GO: "embedded"} if summary.counts.embedded else {})


def _choices(summary: Summary) -> Sequence[tuple[str, Sequence[str]]]:
    """The labels that a reader can choose, by key."""
    return [(one.key, sorted(value.value for value in one.values)) for one in summary.labels]


def _strip(one: Flapping, summary: Summary) -> Mapping[str, object]:
    """A picture of the nights of a tenant, each at its own place, and the same in words."""
    first = min(night.night for night in summary.nights)
    tones = _tones(summary)
    bars = [
        _Bar((night - first).days * _STEP, _STEP - 1, _HEIGHTS[found], tones[found], f"{night}: {found.value}")
        for night, found in one.nights
    ]
    words = ", ".join(f"{night:%d %b} {found.value}" for night, found in one.nights)
    return {"bars": bars, "width": ((summary.night - first).days + 1) * _STEP, "words": words}


def _shares(night: Night, tones: Mapping[Decision, str]) -> Sequence[_Bar]:
    """The tenants of a night as parts of a bar of a hundred, the worst first."""
    bars, x = [], 0.0
    for decision in _HEIGHTS_FIRST:
        number = night.decisions.get(decision, 0)
        width = 100 * number / max(1, night.tenants)
        bars += [_Bar(round(x, 2), round(width, 2), 8, tones[decision], "")] if number else []
        x += width
    return bars


_HEIGHTS_FIRST = sorted(_HEIGHTS, key=lambda decision: _HEIGHTS[decision], reverse=True)

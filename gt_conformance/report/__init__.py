"""Reports: values rendered from the record, with no tenant in reach.

Each name is loaded when it is asked for (PEP 562): what renders is needed once a run has ended.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gt_conformance.report._clients import client_text, clients_document
    from gt_conformance.report._decision import STYLES, TONES, decision_line, decisions, word
    from gt_conformance.report._files import scan, write_all, write_statement, write_together
    from gt_conformance.report._findings import actor_in_words
    from gt_conformance.report._folder import (
        ALLURE,
        ALLURE_LABEL,
        BADGE,
        BADGES,
        COMPLIANCE,
        JUNIT,
        PYTEST_HTML,
        RESULTS,
        STATEMENT,
        SUMMARY,
        claim,
        mark_under_way,
    )
    from gt_conformance.report._format import Line, format_money, in_words, numbered, seconds
    from gt_conformance.report._html import compile_templates, render_html, render_page, render_under_way
    from gt_conformance.report._lines import json_lines
    from gt_conformance.report._markdown import plain, render_markdown, since_markdown
    from gt_conformance.report._metrics import Gauge, format_gauges, sample
    from gt_conformance.report._notify import fitted, harmless
    from gt_conformance.report._statement import file_digest, read_subject
    from gt_conformance.report._text import NOT_DECIDED, finding_lines, last_line, since_lines, summary_lines
    from gt_conformance.report._workflow import Workflow, annotations

__all__ = [
    "ALLURE",
    "ALLURE_LABEL",
    "BADGE",
    "BADGES",
    "COMPLIANCE",
    "JUNIT",
    "NOT_DECIDED",
    "PYTEST_HTML",
    "RESULTS",
    "STATEMENT",
    "STYLES",
    "SUMMARY",
    "TONES",
    "Gauge",
    "Line",
    "Workflow",
    "actor_in_words",
    "annotations",
    "claim",
    "client_text",
    "clients_document",
    "compile_templates",
    "decision_line",
    "decisions",
    "file_digest",
    "finding_lines",
    "fitted",
    "format_gauges",
    "format_money",
    "harmless",
    "in_words",
    "json_lines",
    "last_line",
    "mark_under_way",
    "numbered",
    "plain",
    "read_subject",
    "render_html",
    "render_markdown",
    "render_page",
    "render_under_way",
    "sample",
    "scan",
    "seconds",
    "since_lines",
    "since_markdown",
    "summary_lines",
    "word",
    "write_all",
    "write_statement",
    "write_together",
]

_HOMES = {
    "_clients": ("client_text", "clients_document"),
    "_decision": ("STYLES", "TONES", "decision_line", "decisions", "word"),
    "_files": ("scan", "write_all", "write_statement", "write_together"),
    "_folder": (
        "ALLURE",
        "ALLURE_LABEL",
        "BADGE",
        "BADGES",
        "COMPLIANCE",
        "JUNIT",
        "PYTEST_HTML",
        "RESULTS",
        "STATEMENT",
        "SUMMARY",
        "claim",
        "mark_under_way",
    ),
    "_findings": ("actor_in_words",),
    "_format": ("Line", "format_money", "in_words", "numbered", "seconds"),
    "_lines": ("json_lines",),
    "_html": ("compile_templates", "render_html", "render_page", "render_under_way"),
    "_markdown": ("plain", "render_markdown", "since_markdown"),
    "_metrics": ("Gauge", "format_gauges", "sample"),
    "_notify": ("fitted", "harmless"),
    "_statement": ("file_digest", "read_subject"),
    "_text": ("NOT_DECIDED", "finding_lines", "last_line", "since_lines", "summary_lines"),
    "_workflow": ("Workflow", "annotations"),
}


def __getattr__(name: str) -> Any:
    """Loaded now."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415 - as above

            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

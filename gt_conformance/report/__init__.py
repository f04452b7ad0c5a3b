"""Reports: values rendered from the record, with no tenant in reach.

Each name is loaded when it is asked for (PEP 562): what renders is needed once a run has ended.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gt_conformance.report._clients import client_text, clients_document
    from gt_conformance.report._decision import decision_line, decisions
    from gt_conformance.report._files import (
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
        scan,
        write_all,
        write_statement,
        write_together,
    )
    from gt_conformance.report._format import Line, format_money, in_words
    from gt_conformance.report._html import compile_templates, render_html, render_under_way
    from gt_conformance.report._lines import json_lines
    from gt_conformance.report._markdown import plain, render_markdown, since_markdown
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
    "SUMMARY",
    "Line",
    "Workflow",
    "annotations",
    "claim",
    "client_text",
    "clients_document",
    "compile_templates",
    "decision_line",
    "decisions",
    "file_digest",
    "finding_lines",
    "format_money",
    "in_words",
    "json_lines",
    "last_line",
    "mark_under_way",
    "plain",
    "read_subject",
    "render_html",
    "render_markdown",
    "render_under_way",
    "scan",
    "since_lines",
    "since_markdown",
    "summary_lines",
    "write_all",
    "write_statement",
    "write_together",
]

_HOMES = {
    "_clients": ("client_text", "clients_document"),
    "_decision": ("decision_line", "decisions"),
    "_files": (
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
        "scan",
        "write_all",
        "write_statement",
        "write_together",
    ),
    "_format": ("Line", "format_money", "in_words"),
    "_lines": ("json_lines",),
    "_html": ("compile_templates", "render_html", "render_under_way"),
    "_markdown": ("plain", "render_markdown", "since_markdown"),
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

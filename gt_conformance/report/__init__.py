"""Reports: values rendered from the record, with no tenant in reach."""

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
    SUMMARY,
    claim,
    mark_under_way,
    scan,
    write_all,
    write_together,
)
from gt_conformance.report._format import Line, in_words
from gt_conformance.report._html import render_html
from gt_conformance.report._markdown import render_markdown, since_markdown
from gt_conformance.report._text import NOT_DECIDED, last_line, since_lines, summary_lines
from gt_conformance.report._workflow import Workflow

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
    "SUMMARY",
    "Line",
    "Workflow",
    "claim",
    "client_text",
    "clients_document",
    "decision_line",
    "decisions",
    "in_words",
    "last_line",
    "mark_under_way",
    "render_html",
    "render_markdown",
    "scan",
    "since_lines",
    "since_markdown",
    "summary_lines",
    "write_all",
    "write_together",
]

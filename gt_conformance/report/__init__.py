"""Reports: values rendered from the record, with no tenant in reach."""

from gt_conformance.report._files import ALLURE, COMPLIANCE, JUNIT, PYTEST_HTML, RESULTS, scan, write_all
from gt_conformance.report._html import render_html
from gt_conformance.report._text import last_line, summary_lines

__all__ = [
    "ALLURE",
    "COMPLIANCE",
    "JUNIT",
    "PYTEST_HTML",
    "RESULTS",
    "last_line",
    "render_html",
    "scan",
    "summary_lines",
    "write_all",
]

"""compliance.html: the record as one document that stands alone."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from gt_conformance.results import Record
from gt_conformance.vocabulary import Route


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gt_conformance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_html(record: Record) -> str:
    """The whole document. Everything from outside is escaped; nothing is fetched."""
    template = _environment().get_template("compliance.html.j2")
    return template.render(record=record, run=record["run"], routes=list(Route))

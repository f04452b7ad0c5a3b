"""Words of the command line: times (``200ms``, ``1.5s``, ``2m``, ``6h``) and names with commas between them."""

import re
from collections.abc import Iterable

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_time(text: str, option: str | None = None) -> float:
    """The seconds. Raises click.BadParameter, which names the option where it is no callback of one."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m|h)", text.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a time: write 200ms or 1.5s.", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def split_names(given: Iterable[str]) -> list[str]:
    """The names of an option or argument that may be repeated, and of which each may hold several."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]

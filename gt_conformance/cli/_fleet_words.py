"""What the command line of a fleet says of a shard, a night and labels, and the options that several commands take."""

import re
from datetime import UTC, date, datetime

import click


def read_shard(text: str) -> tuple[int, int]:
    """The number of a shard, from 0, and how many there are, of ``3/8``. Raises click.BadParameter."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a shard: write I/N, such as 0/8 for the first of eight.")
    index, count = int(found[1]), int(found[2])
    if count == 0 or index >= count:
        last = f"the last of {count} is {count - 1}/{count}" if count else "there must be one at least"
        raise click.BadParameter(f"there is no shard {text}: they are counted from 0, and {last}.")
    return index, count


def read_night(text: str | None) -> date:
    """The date of a night; today's, in UTC, where none is given. Raises click.BadParameter."""
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date: write 2026-11-27.") from None


def read_labels(given: tuple[str, ...]) -> list[tuple[str, str]]:
    """Names and values of ``region=eu``. Raises click.BadParameter."""
    found = []
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise click.BadParameter(f"{text!r} is not a label: write NAME=VALUE, such as region=eu.")
        found.append((name.strip(), value.strip()))
    return found


of_night = click.option(
    "--night",
    metavar="DATE",
    callback=lambda _context, _option, text: read_night(text),
    help="The night that the schedule is applied to, such as 2026-11-27. Default: today in UTC.",
)
of_labels = click.option(
    "--label",
    "labels",
    metavar="NAME=VALUE",
    multiple=True,
    callback=lambda _context, _option, given: read_labels(given),
    help="Only the tenants with this label (may be repeated).",
)

"""What every engine is told of a fleet: how many shards, where its file is, and the words of a shard's command."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gt_conformance.errors import InputError
from gt_conformance.schema import count_noun

COMMAND = "gt-conformance"
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_CRON_NIGHT = re.compile(r"([0-5]?\d) ([01]?\d|2[0-3]) (\S+) (\S+) (\S+)", re.ASCII)


@dataclass(frozen=True)
class Shards:
    """A fleet that is judged in shards.

    ``fleet`` is the path of the fleet file in its folder; ``at_once`` says how many tenants a shard judges at the
    same time, ``parallel`` how many shards run at the same time (None: all), ``deadline_s`` when a night is given up.
    """

    fleet: str
    count: int
    name: str = "gt-fleet"
    at_once: int = 40
    parallel: int | None = None
    deadline_s: int = 6 * 3600

    @property
    def title(self) -> str:
        """What it is, for the first line of a file."""
        return f"A fleet in {count_noun(self.count, 'shard')}"

    def check(self, *, most: int, longest_name: int, engine: str) -> None:
        """Raise InputError where the engine cannot take that many shards, or that name."""
        if not 1 <= self.count <= most:
            raise InputError.of(
                f"--shards {self.count}: {engine} takes 1 to {most} shards.",
                hint="A shard judges several tenants at the same time (--at-once).",
            )
        if len(self.name) > longest_name or not _NAME.fullmatch(self.name):
            raise InputError.of(
                f"--name {self.name!r}: a name for {engine} has at most {longest_name} characters: "
                "small letters, digits and hyphens, a letter first and no hyphen last."
            )

    def run_words(self, fleet: str, shard: str, directory: str) -> list[str]:
        """The words of the command that judges that shard of that fleet file, ``0/100`` the first, into that folder."""
        words = [COMMAND, "fleet", "run", fleet, "--out", directory, "--shard", shard]
        return [*words, "--at-once", str(self.at_once)]


def annotate(text: str, notes: Mapping[str, str]) -> str:
    """The text with a comment at the end of each line that ends with one of these words."""
    lines = text.split("\n")
    found = (next((note for end, note in notes.items() if line.endswith(end)), None) for line in lines)
    return "\n".join(line if note is None else f"{line}  # {note}" for line, note in zip(lines, found, strict=True))


def read_schedule(schedule: str) -> int:
    """The second of the day at which the schedule begins, in UTC. Raises InputError where it is not once a night."""
    found = _CRON_NIGHT.fullmatch(schedule)
    if found is None:
        raise InputError.of(
            f"--schedule {schedule!r}: a fleet is judged once a night: name one minute and one hour, in UTC.",
            hint="For example: 17 1 * * *",
        )
    return int(found[1]) * 60 + int(found[2]) * 3600

"""In a GitHub workflow: findings as annotations, and nothing that a tenant says taken for a command.

The runner reads each line of a job's output for ``::command::``, spaces before it or not; ``::stop-commands::`` makes
it stop until a word that only this run knows (GitHub's reference "Workflow commands for GitHub Actions").
"""

import os
import secrets
from collections.abc import Callable

from gt_conformance.report._annotations import annotations
from gt_conformance.results import Record

_TOKEN_BYTES = 16


class Workflow:
    """Wraps what is printed that a tenant may have said. Does nothing anywhere else than in a workflow."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._word = secrets.token_hex(_TOKEN_BYTES) if os.environ.get("GITHUB_ACTIONS") == "true" else None

    def begin(self) -> None:
        """Before anything is printed that may come from a tenant."""
        if self._word is not None:
            self._say(f"::stop-commands::{self._word}")

    def end(self, record: Record | None) -> None:
        """After everything else is printed: the findings of that record, where one is given."""
        if self._word is None:
            return
        self._say(f"::{self._word}::")
        for line in annotations(record) if record is not None else ():
            self._say(line)

"""``gt-conformance serve`` as people start it, in a process of its own: what the real clients are driven against."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUITE = ROOT / ".venv" / "bin" / "python"
"""The Python of the suite's own environment: this one has only the clients."""

ALIAS = "field-analyst"
"""A published name of the embedded tenant that offers everything."""
UNPUBLISHED = "agent-7f3a"
"""What is behind it: no key may use it."""
VECTOR = 64
"""How many numbers an embedding of the embedded tenant has."""


@dataclass(frozen=True)
class Served:
    """A tenant that is running. ``secrets`` by the name of the key: chat, rag, full, gone ..."""

    base_url: str
    secrets: dict[str, str]


@contextlib.contextmanager
def serving() -> Iterator[Served]:
    """The embedded tenant for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tenant.yaml"
        line: list[str | Path] = [SUITE, "-m", "gt_conformance", "serve", "--tenant-file", path]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                said = list(_until_it_listens(process.stdout))
                assert process.poll() is None, "".join(said)
                document = json.loads(path.read_text())
                yield Served(
                    document["base_url"],
                    {
                        name: (path.parent / key["secret_file"]).read_text().strip()
                        for name, key in document["keys"].items()
                    },
                )
            finally:
                process.terminate()


def _until_it_listens(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line.startswith("Ctrl-C"):
            return

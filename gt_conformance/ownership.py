"""Which files this suite wrote: a manifest in their folder lists them, so that nobody else's file is overwritten."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gt_conformance import files

MANIFEST = ".gt-conformance"
_MOST_BYTES = files.MIB


def digest(content: bytes) -> str:
    """What a manifest records of a file that must not have changed since."""
    return hashlib.sha256(content).hexdigest()


def foreign(folder: Path, names: Iterable[str]) -> list[Path]:
    """Those of the files, named from the folder, that exist and that this suite did not write, or not as they are.

    A folder in the place of a file is none of them: it cannot be overwritten.
    """
    own = _read(folder)
    # Normal, since ``folder/../name`` leads nowhere as long as there is no folder.
    paths = {name: Path(os.path.normpath(folder / name)) for name in names}
    there = {name: path for name, path in paths.items() if os.path.lexists(path) and not path.is_dir()}
    return [path for name, path in there.items() if not _is_own(path, name, own)]


def claim(folder: Path, entries: Mapping[str, str | None], *, mode: int = 0o666) -> None:
    """Record files as this suite's own, beside those that are recorded. Raises OSError.

    Each has a digest where it is its own only as long as nobody changes it, and None where it is so whatever it holds.
    """
    own = {**_read(folder), **entries}
    text = json.dumps({"written_by": "gt-conformance", "files": own}, indent=1, sort_keys=True)
    files.replace_file(folder / MANIFEST, (text + "\n").encode(), mode=mode)


def _is_own(path: Path, name: str, own: Mapping[str, str | None]) -> bool:
    if name not in own:
        return False
    wanted = own[name]
    try:
        return wanted is None or digest(files.read_bounded(path, _MOST_BYTES)) == wanted
    except OSError:
        return False


def _read(folder: Path) -> dict[str, str | None]:
    try:
        found = json.loads(files.read_bounded(folder / MANIFEST, _MOST_BYTES))["files"]
        return {str(name): None if value is None else str(value) for name, value in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}

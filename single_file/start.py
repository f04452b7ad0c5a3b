"""What gt-conformance.pyz runs: unpack the suite once into a cache, and start it from there.

The suite needs real files (pytest collects its suites, programs are started from files), so it does not run from the
archive itself. This file becomes ``__main__.py`` of the archive. Older versions of Python must be able to read it: they
are to say which version is needed.
"""

import os
import shutil
import stat
import sys
import tempfile
import zipfile

TREE = "site/"
"""The folder of the archive that is unpacked."""

DIGEST = "digest"
"""The file of the archive that names its content, and so the folder in the cache."""


def main(archive: str) -> None:
    """Start the suite of that archive."""
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"gt-conformance needs Python 3.11 or newer, and this is {found}.")
    if os.name != "posix":
        sys.exit("gt-conformance runs on Linux and macOS; on Windows, run it in WSL.")
    site = unpack(archive, cache())
    # What else is installed for this Python is left out: the archive holds every package, at the tested versions.
    sys.path[:] = [site, *(path for path in sys.path[1:] if not path.rstrip("/").endswith("-packages"))]
    sys.argv[0] = "gt-conformance"
    from gt_conformance.cli import main as command  # noqa: PLC0415 - on the path only now

    command()


def cache() -> str:
    """Where suites are unpacked: GT_CONFORMANCE_CACHE, else a folder in the user's cache."""
    named = os.environ.get("GT_CONFORMANCE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return named or os.path.join(base, "gt-conformance")


def unpack(archive: str, folder: str) -> str:
    """The unpacked tree of the archive below that folder; below a temporary one where the folder cannot be used."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_private(folder):
            sys.stderr.write(
                f"{folder} can be changed by others, so it is not used. Remove it, or set GT_CONFORMANCE_CACHE.\n"
            )
            return _unpack_for_once(archive)
        return _unpack_once(archive, folder)
    except OSError:  # no home, a read-only file system, a full disk
        return _unpack_for_once(archive)


def _is_private(folder: str) -> bool:
    """Whether only this user can change it: code is started from there."""
    found = os.stat(folder)
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _unpack_once(archive: str, folder: str) -> str:
    with zipfile.ZipFile(archive) as packed:
        target = os.path.join(folder, packed.read(DIGEST).decode("ascii")[:32])
        if not os.path.isdir(target):
            draft = tempfile.mkdtemp(dir=folder)
            try:
                _extract(packed, draft)
                os.rename(draft, target)  # all of it at once: another start never sees a part
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
                if not os.path.isdir(target):  # else another start was quicker
                    raise
    return os.path.join(target, TREE.rstrip("/"))


def _unpack_for_once(archive: str) -> str:
    import atexit  # noqa: PLC0415 - rarely needed

    draft = tempfile.mkdtemp(prefix="gt-conformance-")
    atexit.register(shutil.rmtree, draft, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        _extract(packed, draft)
    return os.path.join(draft, TREE.rstrip("/"))


def _extract(packed: zipfile.ZipFile, target: str) -> None:
    packed.extractall(target, [name for name in packed.namelist() if name.startswith(TREE)])


if __name__ == "__main__":
    main(sys.path[0])

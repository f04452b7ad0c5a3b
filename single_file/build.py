"""Build gt-conformance.pyz from the built wheel and the packages in .venv, as requirements/runtime.txt locks them.

The same input gives the same bytes. Nothing in it is compiled for one platform: two packages work without their
compiled parts, and those that do not are replaced by files beside this one.
"""

import base64
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

from single_file.start import DIGEST, TREE

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements" / "runtime.txt"

REPLACED = {
    "rpds-py": {"rpds/__init__.py": HERE / "rpds.py"},
    "jsonschema-rs": {"jsonschema_rs/__init__.py": HERE / "jsonschema_rs.py"},
}
"""The files that stand in for packages that have only a compiled form."""

OPTIONAL = re.compile(r"(?:markupsafe/_speedups|yaml/_yaml)\.[\w.-]+\.(?:so|pyd)")
"""The compiled parts that their packages do without."""

_LOCKED = re.compile(r"^([a-z0-9._-]+)==[^ ]+( ; sys_platform == 'win32')?", re.MULTILINE)
_UNPACKED = re.compile(r"\.\./|.*\.pyc$|.*\.dist-info/(?:RECORD|INSTALLER|REQUESTED|direct_url\.json)$")
"""What pip adds, and what belongs to one machine."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class UnusableError(Exception):
    """Something cannot be packed; the message says what, and what to do."""


def packages(lock: str) -> Iterator[tuple[str, bytes]]:
    """Every file of the locked packages, with its path below the site folder."""
    for name, elsewhere in _LOCKED.findall(lock):
        if elsewhere:
            continue
        if name in REPLACED:
            yield from ((path, source.read_bytes()) for path, source in REPLACED[name].items())
        else:
            yield from _files(name, distribution(name))


def _files(name: str, found: Distribution) -> Iterator[tuple[str, bytes]]:
    for file in found.files or ():
        path = file.as_posix()
        if _UNPACKED.match(path) or OPTIONAL.fullmatch(path):
            continue
        if path.endswith((".so", ".pyd")):
            raise UnusableError(f"{name} needs {path}, which is compiled for one platform: see single_file/build.py.")
        content = Path(str(file.locate())).read_bytes()
        if file.hash is not None:
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest()).decode().rstrip("=")
            if digest != file.hash.value:
                raise UnusableError(f"{path} is not what was installed. Make .venv again: make clean, make setup.")
        yield path, content


def own(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the built wheel."""
    with zipfile.ZipFile(wheel) as packed:
        yield from ((name, packed.read(name)) for name in packed.namelist() if not _UNPACKED.match(name))


def archive(files: Mapping[str, bytes]) -> bytes:
    """The single file."""
    tree = {f"{TREE}{path}": content for path, content in sorted(files.items())}
    tree["__main__.py"] = (HERE / "start.py").read_bytes()
    digest = hashlib.sha256()
    for path, content in tree.items():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    target = io.BytesIO(b"#!/usr/bin/env python3\n")
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path, content in {**tree, DIGEST: digest.hexdigest().encode()}.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr, entry.create_system, entry.compress_type = 0o644 << 16, 3, zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return target.getvalue()


def build(wheel: Path, target: Path) -> None:
    """Write the single file of that wheel."""
    target.write_bytes(archive(dict([*packages(LOCK.read_text(encoding="utf-8")), *own(wheel)])))
    target.chmod(0o755)


if __name__ == "__main__":
    try:
        (WHEEL,) = Path("dist").glob("*.whl")
        build(WHEEL, Path("dist/gt-conformance.pyz"))
    except UnusableError as error:
        sys.exit(f"error: {error}")

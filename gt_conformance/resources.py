"""Where the project's own files lie: runbooks, schemas, suites and the drivers of clients.

A missing folder is a sentence, never an empty list: a suite that collects nothing looks like a suite that passes.
"""

from functools import cache
from pathlib import Path

from gt_conformance.errors import InputError, Location

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds ``runbooks/``, ``schemas/`` and ``suites/``.

    The source checkout where the package lies in one, else what the wheel carries. The checkout comes first, so
    that a ``_data`` folder left over from a build never hides the files being edited.
    """
    return _root(_PACKAGE)


@cache
def _root(package: Path) -> Path:
    checkout, carried = package.parent, package / "_data"
    if (checkout / "runbooks").is_dir() and (checkout / "schemas").is_dir():
        return checkout
    if carried.is_dir():
        return carried
    raise InputError.of(
        "the files that come with gt-conformance (runbooks, schemas, suites) are missing.",
        where=Location(str(package)),
        hint="Install gt-conformance again, or run it from a whole checkout.",
    )


def runbooks_dir() -> Path:
    """The folder of the 23 runbooks."""
    return _folder("runbooks")


def schemas_dir() -> Path:
    """The folder of the JSON Schemas."""
    return _folder("schemas")


def suites_dir() -> Path:
    """The folder of the pytest suites that ``gt-conformance run`` runs."""
    return _folder("suites")


def clients_dir() -> Path:
    """The folder of the drivers of real clients."""
    return _folder("clients")


def environments_dir() -> Path:
    """Where clients are installed: beside the folder of their drivers, or in the working directory for a wheel."""
    checkout = root()
    return (Path.cwd() if checkout.name == "_data" else checkout) / ".clients"


def sample_attestations() -> Path:
    """The sample that replaces people's attestations in a run of the embedded tenant."""
    return _folder("samples") / "attestations.yaml"


def sample_tenant() -> Path:
    """The tenant file that ``gt-conformance init`` begins with."""
    return _folder("samples") / "tenant.yaml"


def _folder(name: str) -> Path:
    return _folder_of(root(), name)


@cache
def _folder_of(top: Path, name: str) -> Path:
    path = top / name
    if not path.is_dir():
        raise InputError.of(
            f"the folder {name}/ that comes with gt-conformance is missing.",
            where=Location(str(path)),
            hint="Install gt-conformance again, or run it from a whole checkout.",
        )
    return path

"""A tenant file that is written for the first time."""

from pathlib import Path

from gt_conformance.errors import InputError, Location


def write_new(path: Path, text: str) -> None:
    """Write it there; a file that exists is left as it is. Raises InputError."""
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError.of(
            "there is a file of that name already.", where=Location(str(path)), hint="Name another."
        ) from None
    except OSError as error:
        raise InputError.of(f"it cannot be written: {error.strerror}.", where=Location(str(path))) from None


def require_new(path: Path) -> None:
    """Raises InputError where ``write_new`` would leave a file as it is: before anything is asked for its text."""
    if path.exists():
        raise InputError.of("there is a file of that name already.", where=Location(str(path)), hint="Name another.")

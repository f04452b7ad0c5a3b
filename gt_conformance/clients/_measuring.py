"""What a client sends today beside the profile of it: told, and written into the runbook."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gt_conformance import document
from gt_conformance.clients._addresses import discovery, is_lookup, line_of
from gt_conformance.clients._profile import Difference, differences
from gt_conformance.clients._rewriting import Change, rewritten
from gt_conformance.clients._session import Session
from gt_conformance.errors import InputError, Location
from gt_conformance.runbook import ClientProfile, Runbook


@dataclass(frozen=True)
class Measured:
    """A client driven once, held beside its profile. ``profile`` is None where the runbook has none of it."""

    session: Session
    profile: ClientProfile | None
    differences: tuple[Difference, ...] = ()
    discovery: tuple[str, ...] = ()
    """Requests below the base URL by which it finds out what the server is, and of which the profile says nothing."""

    @property
    def untold(self) -> str | None:
        """Why it tells nothing of what the client does now: it was not driven, or not to its end."""
        if self.session.trouble is not None:
            return f"not driven: {self.session.trouble} {self.session.remedy}".strip()
        ended = self.session.documented.ended
        if ended.trouble is None and ended.calls:
            return None
        return f"the session is not whole: {ended.trouble or 'its driver asked it for nothing'}"

    @property
    def drifted(self) -> bool:
        """Whether it does something else than its profile says."""
        return bool(self.differences or self.discovery)


def measured(book: Runbook, session: Session, base_path: str) -> Measured:
    """The client's first attempt, held beside its profile in the runbook."""
    profile = next((one for one in book.measured_clients if one.package == session.client.profile), None)
    if profile is None or not session.attempts:
        return Measured(session, profile)
    attempt = session.documented
    asked = [line_of(one, base_path) for one in discovery(attempt, base_path) if not is_lookup(one, base_path)]
    new = tuple(dict.fromkeys(line for line in asked if line not in profile.discovery))
    found = {one.seen.path: one for one in differences(profile, attempt, base_path)}
    return Measured(session, profile, tuple(found.values()), new)


def update(book: Runbook, found: Sequence[Measured]) -> Path:
    """Write what was measured, with version and date, into the runbook's file; the rest of it stays as it is.

    Raises InputError where the file would no longer hold to its schema, or is laid out in another way.
    """
    path = book.document.path
    packages = [profile.package for profile in book.measured_clients]
    text = path.read_text(encoding="utf-8")
    for one in found:
        if one.profile is None or one.untold is not None:
            continue
        place = ("wire", "clients", packages.index(one.profile.package))
        line = _read(text, path.name).locate(*place).line or 1  # an earlier profile may have become longer
        changes: list[Change] = [(("version",), one.session.version), (("on",), one.session.on.isoformat())]
        changes += [(("how",), "driven")] if one.profile.how == "source" else []
        changes += [(item.seen.path, item.seen.sent) for item in one.differences]
        try:
            text = rewritten(text, line, changes)
        except ValueError as error:
            raise InputError.of(
                f"the profile of {one.profile.package} cannot be written: {error}.",
                where=Location(str(path), line),
                hint="Write it by hand.",
            ) from None
    _read(text, path.name)
    path.write_text(text, encoding="utf-8")
    return path


def _read(text: str, name: str) -> document.Document:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        return document.read(path, schema="runbook")

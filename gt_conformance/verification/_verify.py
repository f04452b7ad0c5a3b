"""Everything that is verified of a record, and what to do about one that is not consistent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance import resources, results
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.results import Record
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Tenant, all_set
from gt_conformance.verification._derived import compare_derived, compare_findings
from gt_conformance.verification._difference import Difference
from gt_conformance.verification._digests import compare_digests, compare_runbooks
from gt_conformance.verification._replay import Replayed, count_checks, replay

_MOST_NAMED = 20


@dataclass(frozen=True)
class Verification:
    """Where a record is not consistent, and what could not be looked at."""

    differences: tuple[Difference, ...]
    remarks: tuple[str, ...] = ()
    checks: int = 0
    replayed: Replayed = field(default_factory=Replayed)

    @property
    def is_consistent(self) -> bool:
        """Whether all that could be looked at is so."""
        return not self.differences


def verify(
    record: Record, *, runbooks: Sequence[Runbook] | None = None, tenant: Tenant | None = None, replaying: bool = True
) -> Verification:
    """Hold a record against itself: against its digests, its checks and its exchanges.

    ``runbooks`` are those that it was made with, else the bundled ones; ``tenant`` is that of the tenant file which it
    is said to be made with.
    """
    books = load_directory(resources.runbooks_dir()) if runbooks is None else runbooks
    changed = [*compare_digests(record), *compare_runbooks(record)]
    remarks = list(_remark(record, books))
    if tenant is not None:
        changed += _compare_tenant(record, tenant)
    try:
        again = results.recompute(record)
        derived = list(compare_derived(record, again))
        found = list(compare_findings(record, again))
    except (ValueError, LookupError, TypeError) as error:
        derived, found = [Difference("the record", "what nothing follows from", f"{type(error).__name__}: {error}")], []
    if found and not changed and not derived and _is_of_another_build(record):
        remarks.append(f"{len(found)} of its findings are grouped otherwise by this build of the suite.")
        found = []
    differences = [*derived, *found]
    replayed = replay(record, books) if replaying else Replayed(problem="it was not asked for")
    if replayed.problem:
        remarks.append(f"Not replayed: {replayed.problem}.")
    differences += replayed.differences
    # What is named with what follows need not be named as changed besides.
    named = {one.place for one in differences}
    differences += [one for one in changed if one.place not in named]
    return Verification(tuple(dict.fromkeys(differences)), tuple(remarks), count_checks(record), replayed)


def read(path: Path) -> Record:
    """A record from its file or report directory, which is consistent.

    Raises InputError with what is not consistent, and as ``results.load`` does.
    """
    path = results.file_of(path)
    record, where = results.load(path), Location(str(path))
    found = verify(record)
    if found.is_consistent:
        return results.concluded(record)
    problems = [Problem(str(one), where=where) for one in found.differences[:_MOST_NAMED]]
    more = len(found.differences) - len(problems)
    text = (
        f"the record is not consistent: {count_noun(more, 'more difference')}."
        if more
        else "the record is not consistent."
    )
    hint = "The file was changed by hand. gt-conformance verify names it all; --unverified shows it nevertheless."
    raise InputError([*problems, Problem(text, where=where, hint=hint)])


def read_unverified(path: Path) -> Record:
    """A record from its file or report directory, though it may not be consistent: it says so, nothing is decided."""
    record = results.load(path)
    found = verify(record)
    if found.is_consistent:
        return results.concluded(record)
    return results.conclude({**record, "unverified": [str(one) for one in found.differences[:_MOST_NAMED]]})


def _is_of_another_build(record: Record) -> bool:
    made_by = record["run"].get("provenance")
    return made_by is not None and made_by["suite"] != results.suite_digest()


def _remark(record: Record, books: Sequence[Runbook]) -> list[str]:
    remarks = []
    if "digests" not in record:
        remarks.append(
            "The record has no digests: an earlier version wrote it. What follows from nothing is not known."
        )
    if _is_of_another_build(record):
        remarks.append(f"Another build of the suite made it (version {record['run']['version']}).")
    installed = {book.id: book.digest for book in books}
    other = [book["id"] for book in record["runbooks"] if installed.get(book["id"], book["digest"]) != book["digest"]]
    if other:
        remarks.append(f"These runbooks are other ones here: {', '.join(other)}.")
    return remarks


def _compare_tenant(record: Record, tenant: Tenant) -> list[Difference]:
    """Where a tenant file declares other things than the run's; whether its secrets are there is no part of it."""
    stated = tenant.declared or {}
    digest = results.digest_of(stated)
    if "setup" not in record:
        return [Difference("setup", "nothing", f"the tenant file has the digest {digest} without its secrets")]
    said = all_set(record["setup"])
    keys = sorted(key for key in said.keys() | stated.keys() if said.get(key) != stated.get(key))
    return [Difference("setup", f"another {', '.join(keys)}", "the tenant file has others")] if keys else []

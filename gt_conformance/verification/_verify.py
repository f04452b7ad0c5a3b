"""Everything that is verified of a record, its digests among it, and what to do about one that is not consistent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gt_conformance import profile, resources, results
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.results import Record
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.schema import count_noun
from gt_conformance.tenant import Tenant, all_set
from gt_conformance.verification._derived import Difference, compare_derived, compare_findings
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


# -- digests


def compare_digests(record: Record) -> Iterator[Difference]:
    """Each part that is not as it was written; of a record without digests, none."""
    written = record.get("digests")
    if written is None:
        return
    before, now = written["parts"], results.part_digests(record)
    for name in before:
        if name not in now:
            yield Difference(name, "nothing", "this key was removed after it was written")
    for name, digest in now.items():
        if name not in before:
            yield Difference(name, "something", "this key was added after it was written")
        elif digest != before[name]:
            yield Difference(
                name, "something else", f"it was changed since it was written (its digest was {before[name]})"
            )
    if before.keys() == now.keys() and list(before) != list(now):
        moved = next(name for name, other in zip(now, before, strict=True) if name != other)
        yield Difference(moved, "it at another place", "its parts stood in another order when it was written")
    yield from _compare_wholes(record)


def _compare_wholes(record: Record) -> Iterator[Difference]:
    written = record["digests"]
    tenant_file = results.digest_of(record["setup"]) if "setup" in record else None
    for name, recorded, found in (
        ("record", written["record"], results.whole_digest(record)),
        ("exchanges", written["exchanges"], results.digest_of(record["exchanges"])),
        ("tenant_file", written["tenant_file"], tenant_file),
    ):
        if recorded != found:
            yield Difference(f"digests.{name}", f"{recorded}", f"what it holds has the digest {found}")


def compare_runbooks(record: Record) -> Iterator[Difference]:
    """Where the digest of all runbooks is not that of the runbooks, or the profile is not the one of that name."""
    if "digests" not in record:
        return
    run, scope = record["run"], record["run"].get("scope")
    if scope is not None and scope["runbooks"]["selected"] == scope["runbooks"]["known"] == len(record["runbooks"]):
        found = results.runbooks_digest((book["id"], book["digest"]) for book in record["runbooks"])
        if found != run["runbooks_digest"]:
            text = f"its runbooks together have the digest {found}"
            yield Difference("run.runbooks_digest", run["runbooks_digest"], text)
    used, known = run.get("profile"), profile.published()
    if used is None or used["name"] != known.name or used["altered"]:
        return
    if used["digest"] != known.digest:
        yield Difference("run.profile", f"{used['name']} as it was published", f"that has the digest {known.digest}")
    for book in record["runbooks"]:
        if book["digest"] != known.runbooks.get(book["id"]):
            text = f"{known.name} has another one, {known.runbooks.get(book['id'], 'none of that name')}"
            yield Difference(book["id"], f"its runbook has the digest {book['digest']}", text)

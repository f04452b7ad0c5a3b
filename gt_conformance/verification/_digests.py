"""What was changed since the record was written, by its digests."""

from collections.abc import Iterator

from gt_conformance import profile, results
from gt_conformance.results import Record
from gt_conformance.verification._difference import Difference


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

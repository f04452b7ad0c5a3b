"""What explains several results shows at the end of a run: failures, answers mixed up or repeated, other instances."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from gt_conformance.causes._addresses import Addresses, find_addresses
from gt_conformance.causes._alike import Alike, find_alike
from gt_conformance.causes._altered import Altered, find_altered
from gt_conformance.causes._by_path import ByPath, find_by_path
from gt_conformance.causes._changed import Changed, find_changed
from gt_conformance.causes._empty import Empty, find_empty
from gt_conformance.causes._fields import Fields, find_fields
from gt_conformance.causes._joining import Joining, find_joining
from gt_conformance.causes._kept import Kept
from gt_conformance.causes._keys import Keys, find_keys
from gt_conformance.causes._mixing import Mixing, may_be_mixed
from gt_conformance.causes._outage import Outage, find_outage
from gt_conformance.causes._permuted import Permuted, find_permuted
from gt_conformance.causes._repeats import Repeats, find_repeats
from gt_conformance.causes._reused import Reused, find_reused
from gt_conformance.causes._unsteady import Unsteady, find_unsteady
from gt_conformance.checks import CheckResult, is_mixed
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange
from gt_conformance.tenant import Credential

_Cause = (
    Addresses
    | Alike
    | ByPath
    | Permuted
    | Kept
    | Reused
    | Outage
    | Mixing
    | Repeats
    | Unsteady
    | Changed
    | Empty
    | Altered
    | Joining
    | Keys
    | Fields
)


@dataclass(frozen=True)
class Causes:
    """The causes that were found, in the order in which they amend a result."""

    found: Sequence[_Cause] = ()

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with each violation under the finding of its cause."""
        for cause in self.found:
            result = cause.amend(result)
        return result


@dataclass(frozen=True)
class Seen:
    """What a run has seen, and how to ask once more: ``send_again`` numbers the times that it asks the same."""

    run_id: str
    exchanges: Mapping[str, Exchange]
    all: Sequence[Exchange]
    keys_not_taken: Mapping[str, Exchange]
    keys: Sequence[Credential]
    """The keys of the tenant file, those that are revoked as well."""
    send_again: Callable[[Exchange, int], Awaitable[Exchange]]

    def without(self, explained: Collection[str]) -> "Seen":
        """The same without these exchanges, by their references."""
        return replace(
            self,
            exchanges={ref: one for ref, one in self.exchanges.items() if ref not in explained},
            all=[one for one in self.all if one.ref not in explained],
            keys_not_taken={key: one for key, one in self.keys_not_taken.items() if one.ref not in explained},
        )


async def find_causes(
    results: Sequence[CheckResult],
    seen: Seen,
    judge_own: Callable[[], Awaitable[CheckResult | None]],
    kept: Kept | None = None,
) -> Causes:
    """The causes of what is wrong in these results.

    ``judge_own`` gives the result of the check that looks for answers of others, where the run has it. A cause that a
    limit of the run keeps from being looked for is none: then each violation stays a finding for itself.
    """
    declared = {key.name: key.models for key in seen.keys if not key.revoked}
    if (permuted := find_permuted(results, seen.exchanges, seen.keys, seen.keys_not_taken)) is not None:
        others = await _find_others(list(map(permuted.amend, results)), seen.without(permuted.shown), judge_own)
        return Causes((permuted, *others.found))
    if (alike := find_alike(results, seen.exchanges, declared)) is not None:
        return Causes((alike,))
    if (by_path := find_by_path(results, seen.exchanges, declared)) is not None:
        others = await _find_others(list(map(by_path.amend, results)), seen.without(by_path.shown), judge_own)
        return Causes((by_path, *others.found))
    if kept is not None:
        others = await _find_others(list(map(kept.amend, results)), seen.without(kept.shown), judge_own)
        return Causes((kept, *others.found))
    return await _find_others(results, seen, judge_own)


async def _find_others(
    results: Sequence[CheckResult], seen: Seen, judge_own: Callable[[], Awaitable[CheckResult | None]]
) -> Causes:
    """The causes that are no key's."""
    outage: Outage | None = None
    mixing: Mixing | None = None
    unsteady: Unsteady | None = None
    with suppress(Blocked):
        outage = await find_outage(results, seen.exchanges, seen.send_again, seen.keys_not_taken)
    keys = find_keys(seen.keys_not_taken, outage, seen.exchanges)
    if not any(map(may_be_mixed, results)):
        return Causes([cause for cause in (outage, keys) if cause is not None])
    if is_mixed(seen.all, seen.run_id) and (own := await judge_own()) is not None:
        mixing = Mixing.of(own, seen.exchanges, results)
    with suppress(Blocked):
        unsteady = await find_unsteady(results, seen.exchanges, seen.send_again, mixing)
    repeats = find_repeats(results, seen.all, seen.exchanges, mixing)
    is_frozen = repeats is not None and repeats.is_of_everything
    reused = None if is_frozen else find_reused(results, seen.exchanges)
    found = Causes([cause for cause in (reused, outage, keys, mixing, repeats, unsteady) if cause is not None])
    if mixing is None and repeats is None:
        with suppress(Blocked):
            changed = await find_changed(list(map(found.amend, results)), seen.exchanges, seen.send_again)
            found = found if changed is None else Causes((*found.found, changed))
        with suppress(Blocked):
            addresses = await find_addresses(map(found.amend, results), seen.exchanges, seen.send_again)
            found = found if addresses is None else Causes((*found.found, addresses))
    finders: Sequence[Callable[[Iterable[CheckResult], Mapping[str, Exchange]], _Cause | None]]
    finders = (find_empty, find_altered, find_joining, find_fields)
    for find in finders:  # each in what is left of them
        cause = find(map(found.amend, results), seen.exchanges)
        found = found if cause is None else Causes((*found.found, cause))
    return found

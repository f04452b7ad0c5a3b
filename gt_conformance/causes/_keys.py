"""Several keys that fail in the same words are one finding: a part of the tenant that some keys need, and no key.

A shard of records that is down, claims that are not found, a clock that is behind: what is wrong is not any secret.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gt_conformance.causes._failing import is_failure, words_of
from gt_conformance.causes._outage import Outage
from gt_conformance.checks import PASS_ON_KEY, CheckResult, normalized_reason, says_no_key, says_wrong_key
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import Actor


@dataclass(frozen=True)
class Keys:
    """What keys that fail alike become, by the findings about each."""

    causes: Mapping[str, Blocker]
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    """Their finding by the words in which they fail: a dead key that fails so is refused by nobody, either."""

    def amend(self, result: CheckResult) -> CheckResult:
        """The result with what one of these keys keeps from being tested under the finding of all of them."""
        return result.amended(result.violations, tuple(map(self._amend, result.blockers)))

    def _amend(self, item: Blocker) -> Blocker:
        cause = self.causes.get(item.finding)
        exchange = self.exchanges.get(item.exchange)
        if cause is None and not item.because and exchange is not None and is_failure(exchange):
            return replace(item, because=self.failing.get(words_of(exchange), ""))
        return item if cause is None else replace(item, because=cause.finding, remedy=cause.remedy, acts=cause.acts)


def find_keys(
    not_taken: Mapping[str, Exchange], outage: Outage | None, exchanges: Mapping[str, Exchange]
) -> Keys | None:
    """Which keys they are; None where each fails for itself.

    ``not_taken`` are the findings about keys that did not work, each with its proof. What fails in the same words
    elsewhere is that failure, whose finding the ``outage`` has.
    """
    renamed = {} if outage is None else outage.renamed
    elsewhere = {} if outage is None else {words: cause.finding for (words, _), cause in outage.causes.items()}
    by_words: dict[str, dict[str, Exchange]] = defaultdict(dict)
    for finding, exchange in not_taken.items():
        if renamed.get(finding, finding) == finding and exchange.response is not None and _is_of_no_key(exchange):
            by_words[words_of(exchange)][finding] = exchange
    causes: dict[str, Blocker] = {}
    for words, found in by_words.items():
        because = elsewhere.get(words, "") if outage is None else outage.failing.get(words, elsewhere.get(words, ""))
        if len(found) > 1 or because:
            causes |= dict.fromkeys(found, replace(_blocker_of(words, found), because=because))
    failing = {words: causes[one].finding for words, found in by_words.items() for one in found if one in causes}
    return Keys(causes, exchanges, failing) if causes else None


def _is_of_no_key(exchange: Exchange) -> bool:
    """Whether it fails, or is refused in words that say something else than that the key is not the right one."""
    response = exchange.response
    if is_failure(exchange) or response is None:
        return is_failure(exchange)
    reason = normalized_reason(response)
    return response.refused and " " in reason and (says_no_key(response) or not says_wrong_key(response))


def _blocker_of(words: str, found: Mapping[str, Exchange]) -> Blocker:
    keys = ", ".join(sorted(str(one.request.key) for one in found.values()))
    fails = any(map(is_failure, found.values()))
    if all(one.response is not None and says_no_key(one.response) for one in found.values()):
        return Blocker(f"the keys {keys} do not arrive: HTTP {words}", PASS_ON_KEY, cause=f"keys alike {words}")
    remedy = (
        f"Find in the tenant's log what the keys {keys} have in common, since others work: it fails at whatever these "
        f"ask, with HTTP {words}."
        if fails
        else f"Find out why the tenant refuses the keys {keys} in the same words, HTTP {words}, and takes others: a "
        "record, a right or a clock may be wrong, and each secret right."
    )
    acts = Actor.TENANT if fails else Actor.SETUP
    return Blocker(f"the keys {keys} fail alike: HTTP {words}", remedy, acts, cause=f"keys alike {words}")

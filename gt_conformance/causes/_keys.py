"""Several keys that fail in the same words are one finding: a part of the tenant that some keys need, and no key.

A shard of records that is down, claims that are not found, a clock that is behind: what is wrong is not any secret.
Keys that are unknown together have one cause as well: secrets of another tenant, or records that a backup lacks.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gt_conformance.causes._failing import is_failure, words_of
from gt_conformance.causes._outage import Outage
from gt_conformance.checks import PASS_ON_KEY, CheckResult, normalized_reason, says_no_key, says_wrong_key
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Presentation
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
        if renamed.get(finding, finding) == finding and exchange.response is not None and _is_of_a_key(exchange):
            by_words[words_of(exchange)][finding] = exchange
    unknown = {words_of(one) for one in exchanges.values() if _is_unknown(one)}
    causes: dict[str, Blocker] = {}
    for words, found in by_words.items():
        because = ""
        if not all(map(_says_wrong_key, found.values())):
            because = elsewhere.get(words, "")
            because = because if outage is None else outage.failing.get(words, because)
        if len({one.request.key for one in found.values()}) > 1 or because:
            blocker = _blocker_of(words, found, is_unknown=words in unknown)
            causes |= dict.fromkeys(found, replace(blocker, because=because))
    failing = {words: causes[one].finding for words, found in by_words.items() for one in found if one in causes}
    return Keys(causes, exchanges, failing) if causes else None


def _is_of_a_key(exchange: Exchange) -> bool:
    """Whether it fails, or is refused."""
    return is_failure(exchange) or (exchange.response is not None and exchange.response.refused)


def _is_unknown(exchange: Exchange) -> bool:
    """Whether a key that nobody has is refused: what is said to it says nothing of whether a key arrives."""
    made_up = exchange.request.presentation is Presentation.MADE_UP
    return made_up and exchange.response is not None and exchange.response.refused


def _says_wrong_key(exchange: Exchange) -> bool:
    """Whether it is refused as one that is not the right one, or without a reason."""
    response = exchange.response
    if response is None or not response.refused or says_no_key(response):
        return False
    return says_wrong_key(response) or " " not in normalized_reason(response)


def _blocker_of(words: str, found: Mapping[str, Exchange], *, is_unknown: bool) -> Blocker:
    keys = ", ".join(sorted({str(one.request.key) for one in found.values()}))
    cause = f"keys alike {words}"
    fails = any(map(is_failure, found.values()))
    none_came = all(one.response is not None and says_no_key(one.response) for one in found.values())
    if none_came and not is_unknown:
        return Blocker(f"the keys {keys} do not arrive: HTTP {words}", PASS_ON_KEY, cause=cause)
    if none_came or all(map(_says_wrong_key, found.values())):
        remedy = (
            f"Check the secrets of the keys {keys}: the tenant does not take them, and takes others. They may be "
            "mistyped, revoked, of another tenant or swapped with retired ones. If each is right, the tenant has lost "
            "these keys, as after a restore from a backup."
        )
        return Blocker(f"the keys {keys} are not taken: HTTP {words}", remedy, cause=cause)
    remedy = (
        f"Find in the tenant's log what the keys {keys} have in common, since others work: it fails at whatever these "
        f"ask, with HTTP {words}."
        if fails
        else f"Find out why the tenant refuses the keys {keys} in the same words, HTTP {words}, and takes others: a "
        "record, a right or a clock may be wrong, and each secret right."
    )
    acts = Actor.TENANT if fails else Actor.SETUP
    return Blocker(f"the keys {keys} fail alike: HTTP {words}", remedy, acts, cause=cause)

"""The decision of a fleet: made here and nowhere else."""

from collections.abc import Mapping

from gt_conformance.vocabulary import Decision


def worst_of(decisions: Mapping[Decision, int], *, is_incomplete: bool) -> Decision:
    """The decision of a fleet, by how many of its tenants have which.

    NO-GO where one is NO-GO. NOT DECIDED where one is not decided or not reached, and where the table is incomplete: a
    row that was due is missing, or a file of it is missing or cannot be read. UNREACHABLE where no tenant at all was
    reached. Else what the worst of them is: PARTIAL, GO WITH EXCEPTIONS, GO.
    """
    there = {decision for decision, number in decisions.items() if number}
    if Decision.NO_GO in there:
        return Decision.NO_GO
    if there == {Decision.UNREACHABLE} and not is_incomplete:
        return Decision.UNREACHABLE
    if is_incomplete or not there or there & {Decision.NOT_DECIDED, Decision.UNREACHABLE}:
        return Decision.NOT_DECIDED
    return next(one for one in (Decision.PARTIAL, Decision.GO_WITH_EXCEPTIONS, Decision.GO) if one in there)

"""What a record means to the shell."""

from gt_conformance.results._record import Record, overall


def exit_code(value: Record) -> int:
    """0: all conforms. 1: something violates, or a waiver has to go. 7: something untested. 8: no tenant, or no key."""
    if value["run"]["refusal"] is not None:
        return 8
    totals = overall(value)
    if totals["violates"] or value["waiver_problems"]:
        return 1
    return 7 if totals["blocked"] or totals["unattested"] else 0

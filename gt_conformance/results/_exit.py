"""What a record means to the shell."""

from gt_conformance.results._record import Record


def exit_code(value: Record) -> int:
    """0: all conforms. 1: something violates, or a waiver has to go. 7: something untested. 8: no tenant, or no key."""
    if value["run"]["refusal"] is not None:
        return 8
    counted = [value["totals"], *([value["client_totals"]] if "client_totals" in value else [])]
    if any(totals["violates"] for totals in counted) or value["waiver_problems"]:
        return 1
    return 7 if any(totals["blocked"] or totals["unattested"] for totals in counted) else 0

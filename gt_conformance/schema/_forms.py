"""Which of several allowed forms (``anyOf``, ``oneOf``) the author was writing.

A schema that allows two forms refuses a slip in one of them twice. The author knows which one was meant, and only
wants to hear about that one.
"""

from gt_conformance.schema._breach import Breach


def keys_missing(breach: Breach) -> list[list[str]]:
    """Where every form lacks nothing but keys of this mapping: which ones each lacks. Empty otherwise."""
    if not all(one.keyword == "required" and one.of_the_whole(breach) for form in breach.forms for one in form):
        return []
    return [[key for key in form[0].rule if key not in breach.value] for form in breach.forms]


def kinds(breach: Breach) -> tuple[list[str], list[object]] | None:
    """Where every form refuses the value as a whole: the types, and the very values, that would do."""
    types: list[str] = []
    values: list[object] = []
    for form in breach.forms:
        one = form[0]
        if len(form) > 1 or not one.of_the_whole(breach):
            return None
        match one.keyword:
            case "type":
                types += [one.rule] if isinstance(one.rule, str) else one.rule
            case "enum":
                values += one.rule
            case "const":
                values.append(one.rule)
            case _:
                return None
    return types, values


def closest(breach: Breach) -> tuple[Breach, ...]:
    """What is wrong with the form that the value comes closest to.

    One of its type comes before others, then one whose fixed words (``role: user``) it has, then one with fewer
    errors. (jsonschema's own best_match goes by depth, and cannot tell forms apart by their fixed words.)
    """

    def distance(form: tuple[Breach, ...]) -> tuple[bool, int, int]:
        another_type = any(one.keyword == "type" and one.of_the_whole(breach) for one in form)
        return another_type, sum(one.keyword in {"const", "enum"} for one in form), len(form)

    return min(breach.forms, key=distance)

"""What the suite uses of jsonschema_rs, for gt-conformance.pyz: a validator that accepts nothing.

jsonschema_rs is compiled for one platform, and only saves time: what it does not accept is judged by jsonschema
(``gt_conformance/schema/_acceptance.py``). So here jsonschema judges everything.
"""

from typing import Any

Draft202012 = 202012


class ReferencingError(Exception):
    """Never raised here."""


class Registry:
    """Schemas that nobody asks for."""

    def __init__(self, resources: Any, *, draft: int) -> None:
        del resources, draft


class Validator:
    """Leaves every value to jsonschema."""

    def is_valid(self, value: object) -> bool:
        """Whether it is sure that the value fits: never."""
        del self, value
        return False


class Draft202012Validator(Validator):
    """The same for one draft."""

    def __init__(self, schema: Any, **settings: Any) -> None:
        del schema, settings

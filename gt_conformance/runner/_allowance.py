"""What a run may still keep of answers: each is small enough, and all of them together must be as well."""

from gt_conformance.errors import Blocked


class Allowance:
    """Bytes that the answers of one run may take in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def check(self) -> None:
        """Raises Blocked where nothing is left."""
        if self._left <= 0:
            raise Blocked(
                f"the answers of this run exceed {self._most} bytes in all (limits.max_run_bytes)",
                "Look at the largest answers in results.json; raise limits.max_run_bytes where they are in order.",
            )

    def spend(self, size: int) -> None:
        """Take so many bytes off. Raises Blocked once nothing is left."""
        self._left -= size
        self.check()

"""Storing the new secret while a rotation goes on: held at once, put in its place when that loses nothing."""

from gt_conformance.rotation._account import Account
from gt_conformance.rotation._keeping import Keeping
from gt_conformance.rotation._value import Phase
from gt_conformance.vocabulary import Outcome

_ELSEWHERE = "Take the new secret from where the command stored it; else rotate the key again."


class Store:
    """Does what --write-secret asks, where it was given, and notes what came of it."""

    def __init__(self, keeping: Keeping | None, account: Account, key: str) -> None:
        self._keeping = keeping
        self._account = account
        self._key = key
        self._problem: str | None = None
        self.place: str | None = None
        """Where what was held stands now."""

    def hold(self, content: bytes) -> None:
        """Write it down beside its place. Says nothing yet, so that nothing comes before it."""
        if self._keeping is None:
            return
        try:
            self._keeping.hold(content)
        except OSError as error:
            self._problem = error.strerror or type(error).__name__
        else:
            self.place = str(self._keeping.held)

    def settle(self, *, proved: bool) -> None:
        """Put it in its place; where the old secret stands there, only if the new one has proved to work."""
        keeping = self._keeping
        if keeping is None or self._is_lost(keeping):
            return
        if keeping.replaces and not proved:
            text = f"{keeping.path} still holds the old secret, for the new one did not prove to work; it is kept in"
            remedy = "Find out which of the two the tenant takes, and keep that one."
            self._note(Outcome.BLOCKED, f"{text} {keeping.held}", remedy)
            return
        try:
            keeping.settle()
        except OSError as error:
            text = f"the new secret is kept in {keeping.held}; it could not be moved to {keeping.path}: "
            self._note(Outcome.BLOCKED, text + (error.strerror or type(error).__name__), "Move it there.")
            return
        self.place = str(keeping.path)
        replacing = ", in place of the old one" if keeping.replaces else ""
        self._note(Outcome.CONFORMS, f"the new secret stands in {self.place}{replacing}", "")

    def leave(self) -> None:
        """Leave what a failing command printed where it is held: the new secret may be in it."""
        if self._keeping is not None and not self._is_lost(self._keeping) and self.place is not None:
            text = f"what the command printed is kept in {self.place}: the new secret may be in it"
            self._note(Outcome.BLOCKED, text, "Look into it, then move or delete it.")

    def _is_lost(self, keeping: Keeping) -> bool:
        if self._problem is not None:
            text = f"what the command printed could not be stored in {keeping.held}: {self._problem}"
            self._note(Outcome.BLOCKED, text, _ELSEWHERE)
        return self._problem is not None

    def _note(self, outcome: Outcome, text: str, remedy: str) -> None:
        self._account.note(Phase.AFTER, "secret.stored", self._key, outcome, text, remedy=remedy)

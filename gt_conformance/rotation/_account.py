"""The account of a rotation while it is made: every step is told as it happens, and no text of it holds a secret."""

from collections.abc import Callable, Mapping

from gt_conformance.exchange import Redactor, inert
from gt_conformance.rotation._look import Look
from gt_conformance.rotation._value import Phase, Step
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome

Tell = Callable[[Step], None]


class Account:
    """Notes steps in order. What it is told of secrets it never tells on."""

    def __init__(self, secrets: Mapping[str, Secret], tell: Tell) -> None:
        self.steps: list[Step] = []
        self._secrets = dict(secrets)
        self._tell = tell
        self.redactor = self._redactor()

    def know(self, name: str, secret: Secret) -> None:
        """From now on this secret is kept out of every text as well."""
        self._secrets[name] = secret
        self.redactor = self._redactor()

    def note(
        self,
        phase: Phase,
        probe: str,
        credential: str,
        outcome: Outcome,
        text: str,
        *,
        remedy: str = "",
        look: Look | None = None,
    ) -> bool:
        """Add a step and tell it; True where it conforms."""
        exchange = look.exchange if look is not None else None
        step = Step(phase, probe, credential, outcome, self._clean(text), self._clean(remedy), exchange)
        self.steps.append(step)
        self._tell(step)
        return outcome is Outcome.CONFORMS

    def _clean(self, text: str) -> str:
        return str(inert(self.redactor.text(text)))

    def _redactor(self) -> Redactor:
        return Redactor({name: secret.reveal() for name, secret in self._secrets.items()})

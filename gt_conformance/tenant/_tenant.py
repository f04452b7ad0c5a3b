"""The frozen values of a tenant file, and the type of a secret, which never prints."""

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, assert_never

from gt_conformance.companions import Companions
from gt_conformance.errors import Blocker, Location, Problem
from gt_conformance.tenant._objective import Objective
from gt_conformance.tenant._prices import Prices
from gt_conformance.vocabulary import Modality, Preset, Purpose, Route, Scope

ENVIRONMENT = "the environment"
"""The source of a tenant that three variables name: there is no file to which anything could be added."""


_THE_FILE = "the tenant file"
_WRITE_A_FILE = (
    "Write a tenant file (gt-conformance init writes one) and name it with --tenant: GT_API_KEY and GT_MODEL declare "
    "one key and one name. Each line says what is missing, and what to add for it."
)

OTHER_TENANT = "other-tenant.key"
"""What a key of another tenant is called: no key can be named so, since a key's name holds no dot."""


class Secret:
    """A key's plaintext. ``repr``, ``str`` and formatting are masked; only :meth:`reveal` gives the value."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The plaintext. Call it where a request is built or a text is redacted, and nowhere else."""
        return self.__value

    @property
    def fingerprint(self) -> str:
        """The first twelve hexadecimal digits of its SHA-256: tells keys apart without showing them."""
        return hashlib.sha256(self.__value.encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        """Masked."""
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Masked, whatever the format asks for."""
        return repr(self)

    def __eq__(self, other: object) -> bool:
        """Equal where the plaintexts are."""
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        """Hash of the plaintext's fingerprint."""
        return hash(self.fingerprint)

    def __reduce__(self) -> str | tuple[object, ...]:
        """A secret is never pickled: a pickle would be an output."""
        raise TypeError("A secret is not pickled.")


class TenantKind(StrEnum):
    """A live tenant, or the embedded one, whose runs are evidence about this suite only."""

    LIVE = "live"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may cost. Seconds and bytes; ``completion_tokens`` is the limit that probes send."""

    concurrency: int = 8
    requests_per_minute: int = 12_000
    timeout_s: float = 60
    poll_timeout_s: float = 120
    max_requests: int = 1000
    refusals_per_minute: int = 12_000
    max_refusals: int = 1000
    max_response_bytes: int = 8 * 1024 * 1024
    max_run_bytes: int = 64 * 1024 * 1024
    run_timeout_s: float = 3600
    completion_tokens: int = 256
    max_tokens: int | None = None
    """The tokens that a run may use; None does not bound them."""


@dataclass(frozen=True, slots=True)
class KnownConversation:
    """A conversation that a key opened, by its id, and what was said in it: who tells that has read it."""

    id: str
    fact: str


@dataclass(frozen=True, slots=True)
class Marker:
    """What shows in answers that a text of the operator's, which the tenant puts before a chat, was applied.

    ``ask`` is the question that the text answers, ``expect`` what only the text can have put into the answer.
    """

    ask: str
    expect: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """What of a key's rights the tenant file says both ways: a conversation key and its links do not agree on it.

    GT gives a conversation key what its links have; a list of its own beside them may be narrower or out of date. So it
    is unknown, and the tenant's answer decides.
    """

    scopes: frozenset[Scope] = frozenset()
    models: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Credential:
    """A named key. What is ``None`` was left out of the tenant file: unknown, so the tenant's answer decides.

    ``scopes``, ``models`` and ``datasets`` are the effective ones: a conversation key's are those of the
    keys that it inherits from; ``unsure`` is what it and its links do not agree on. ``secret`` is None where its source
    gives none, and ``unset`` then says why: what needs the key is blocked, and the rest is judged.
    """

    name: str
    secret: Secret | None
    retired_secret: Secret | None = None
    unset: Problem | None = None
    retired_unset: Problem | None = None
    purpose: Purpose | None = None
    preset: Preset | None = None
    scopes: frozenset[Scope] | None = None
    models: frozenset[str] | None = None
    datasets: frozenset[str] | None = None
    inherits: tuple[str, ...] = ()
    unsure: Unsure = Unsure()
    conversation_uploads: bool | None = None
    prompt_modules: Marker | None = None
    prompt_text: Marker | None = None
    revoked: bool = False
    conversation: KnownConversation | None = None
    position: int = 0

    @property
    def retired_name(self) -> str:
        """What its retired secret is called: no key can be named so, since a key's name holds no dot."""
        return f"{self.name}.old"

    @property
    def blocker(self) -> Blocker | None:
        """Why nothing can be sent with it; None where it has its secret."""
        return _explain_unset(self.unset, self.name)

    @property
    def retired_blocker(self) -> Blocker | None:
        """Why its retired secret, which the tenant file names, cannot be sent."""
        return _explain_unset(self.retired_unset, self.retired_name)

    def may(self, route: Route) -> bool | None:
        """Whether the key is declared to reach the route; ``None`` where the tenant file does not say."""
        match route:
            case Route.MODELS:
                return True
            case Route.CONVERSATION_FILES:
                if self.purpose is Purpose.UPLOAD:  # it may carry the right; where it does, no page names the ids
                    return False if self.conversation_uploads is False else None
                return self.holds_conversations
            case Route.FILE_STATUS:
                return None if self.purpose is None else self.purpose is not Purpose.INFERENCE
            case Route.DATASET_FILES:
                excluded = self.purpose is Purpose.INFERENCE
            case Route.CHAT | Route.EMBEDDINGS | Route.TRANSCRIPTIONS | Route.SPEECH | Route.IMAGES:
                excluded = self.purpose is Purpose.UPLOAD
            case _:
                assert_never(route)
        if self.scopes is None:
            return False if excluded else None
        return None if route.scope in self.unsure.scopes else route.scope in self.scopes

    @property
    def holds_conversations(self) -> bool | None:
        """Whether it may create GT conversations; ``None`` where its purpose was left out."""
        return None if self.purpose is None else self.purpose is Purpose.CONVERSATION

    def may_use(self, model: str) -> bool | None:
        """Whether the published name is on its allowlist; ``None`` where it declares none."""
        return None if self.models is None or model in self.unsure.models else model in self.models

    def may_write(self, dataset: str) -> bool | None:
        """Whether the dataset is on its allowlist; ``None`` where it declares none."""
        return None if self.datasets is None or dataset in self.unsure.datasets else dataset in self.datasets

    @property
    def breadth(self) -> tuple[float, float, float, int]:
        """Sort key: the narrowest first, what is unknown last, then the order of the file."""
        sizes = (
            (self.scopes, self.unsure.scopes),
            (self.models, self.unsure.models),
            (self.datasets, self.unsure.datasets),
        )
        scopes, models, datasets = (
            float("inf") if known is None else len(known) + len(unsure) for known, unsure in sizes
        )
        return (scopes, models, datasets, self.position)


def _explain_unset(unset: Problem | None, name: str) -> Blocker | None:
    if unset is None:
        return None
    where = f"{unset.where}: " if unset.where else ""
    return Blocker(where + unset.message.rstrip("."), unset.hint or "", cause=f"secret {name}")


@dataclass(frozen=True, slots=True)
class KeyMapping:
    """What the tenant file says of one runbook: its keys, and the routes that it uses here beyond its own verdicts.

    ``base_url`` is what is entered in the client here, where that is not what the runbook documents.
    """

    key: str | None = None
    extension_key: str | None = None
    base_url: str | None = None
    uses: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate that this suite shows to a tenant that asks for one (mutual TLS), and the files it is in."""

    file: str
    key_file: str | None = None
    password: Secret | None = None

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have the context show it. Raises OSError, of which ssl.SSLError is one; never asks on the terminal."""
        context.load_cert_chain(self.file, self.key_file, lambda: self.password.reveal() if self.password else "")


@dataclass(frozen=True)
class Tenant:
    """A deployment reached at ``base_url`` (``https://<tenant-host>/api/tenant``, no slash at its end)."""

    base_url: str
    kind: TenantKind
    models: Mapping[Modality, str]
    credentials: Mapping[str, Credential]
    unpublished_models: tuple[str, ...] = ()
    raw_models: tuple[str, ...] = ()
    base_prompts: Mapping[str, Marker] = field(default_factory=dict)
    internal_datasets: tuple[str, ...] = ()
    dataset: str | None = None
    dataset_attached: bool = False
    """Whether the agent behind the published name for chat has the dataset attached: it is to know what is in it."""
    other_datasets: tuple[str, ...] = ()
    runbooks: Mapping[str, KeyMapping] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    objectives: tuple[Objective, ...] = ()
    """What the operator promises of its speed."""
    read_only: bool = False
    other_tenant_key: Secret | None = None
    other_tenant_unset: Problem | None = None
    ca_file: str | None = None
    client_certificate: ClientCertificate | None = None
    name: str | None = None
    """What people call it."""
    companions: Companions = field(default_factory=Companions)
    """The files that the tenant file names for its runs."""
    prices: Prices | None = None
    source: str = ENVIRONMENT
    places: Mapping[str, Location | None] = field(default_factory=dict, compare=False)
    """Where the tenant file names runbooks and routes: ``runbooks.dify``, ``slo.chat``."""
    declared: Mapping[str, Any] | None = field(default=None, compare=False)
    """The tenant file as it is, without secrets, where they come from, and files of this machine: what is recorded."""

    def model(self, modality: Modality) -> str:
        """The published name used for it. An alias serves every modality, so chat's is used for one left out.

        Where there is no chat model, the first name is used for what must be refused.
        """
        return self.models.get(modality) or self.models.get(Modality.CHAT) or next(iter(self.models.values()))

    def serves(self, modality: Modality) -> bool:
        """Whether the tenant file names a published name that is to work there: one for chat is an alias, for all."""
        return modality in self.models or Modality.CHAT in self.models

    def may_use(self, key: Credential, modality: Modality) -> bool | None:
        """Whether the key is allowed the published name that is used for it; ``None`` where it declares none."""
        return key.may_use(self.model(modality)) if self.serves(modality) else False

    def declares(self, modality: Modality) -> bool:
        """Whether the tenant file names a published name for it."""
        return modality in self.models

    def in_its_terms(self, advice: str) -> str:
        """Advice about "the tenant file" where there is none: the operator has to write one first."""
        if self.source != ENVIRONMENT:
            return advice
        return advice.replace(_THE_FILE, "a tenant file (gt-conformance init writes one)", 1)

    def in_one(self, blocker: Blocker) -> Blocker:
        """A blocker; where there is no tenant file, all that a line of one would supply is one thing: to write it."""
        if self.source != ENVIRONMENT or blocker.because or _THE_FILE not in blocker.remedy:
            return blocker
        remedy = blocker.remedy.replace(_THE_FILE, "a tenant file")
        return replace(blocker, remedy=remedy, cause=ENVIRONMENT, remedy_of_all=_WRITE_A_FILE)

    def cause_without(self, purpose: Purpose) -> str:
        """The cause of whatever is missing for want of a key of that purpose; empty where a live key may have it."""
        able = any(key.purpose in {None, purpose} for key in self.live_credentials)
        return "" if able else f"no {purpose.value} key"

    @property
    def where_models_are(self) -> str:
        """Where the published name is written: what to correct where it is mistyped."""
        return "GT_MODEL" if self.source == ENVIRONMENT else f"models in {self.source}"

    def where_name_is(self, name: str, key: Credential) -> str:
        """Where that name is written: among ``models``, or among those of the key or of one that it inherits from."""
        links = [self.credentials[one] for one in key.inherits if one in self.credentials]
        declared = next((one.name for one in (*links, key) if name in (one.models or ())), None)
        if declared is None or name in self.models.values():
            return self.where_models_are
        return f"the models of the key {declared} in {self.source}"

    @property
    def live_credentials(self) -> tuple[Credential, ...]:
        """Those that must work, in the order of the file."""
        return tuple(item for item in self.credentials.values() if not item.revoked)

    @property
    def revoked_credentials(self) -> tuple[Credential, ...]:
        """Those that must be dead."""
        return tuple(item for item in self.credentials.values() if item.revoked)

    @property
    def blockers(self) -> Mapping[str, Blocker]:
        """Why nothing can be sent with a secret, by its name, for those that their sources do not give."""
        reasons = {item.name: item.blocker for item in self.credentials.values()}
        reasons |= {item.retired_name: item.retired_blocker for item in self.credentials.values()}
        reasons[OTHER_TENANT] = _explain_unset(self.other_tenant_unset, OTHER_TENANT)
        return {name: blocker for name, blocker in reasons.items() if blocker is not None}

    def secrets(self) -> Mapping[str, Secret]:
        """Every secret, current, retired and another tenant's, by a name fit for ``$GT_KEY_...``."""
        found = {}
        for item in self.credentials.values():
            if item.secret is not None:
                found[item.name] = item.secret
            if item.retired_secret is not None:
                found[item.retired_name] = item.retired_secret
        if self.other_tenant_key is not None:
            found[OTHER_TENANT] = self.other_tenant_key
        return found

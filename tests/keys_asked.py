"""What the tests of the checks of keys share: paths, keys, who was asked, and how a violation is shown."""

from collections.abc import Iterable
from typing import Any

from gt_conformance.checks import CheckResult
from gt_conformance.exchange import Failure, Presentation, Request, Response
from gt_conformance.vocabulary import Outcome, Purpose, Scope
from tests.fake_tenant import (
    ALIAS,
    FakeSender,
    Reply,
    Rule,
    answer,
    findings,
    is_control,
    place,
    refusal,
)

MODELS, CHAT, EMBEDDINGS = "/v1/models", "/v1/chat/completions", "/v1/embeddings"
CONVERSATIONS = "/v1/conversations"
CONVERSATION_FILES, DATASET_FILES = "/v1/conversations/files", "/v1/datasets/scratch/files"
SPEECH, IMAGES, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/images/generations", "/v1/audio/transcriptions"
MADE_UP = "gt-conformance-no-such-id"
INFERENCE_ROUTES = frozenset({CHAT, EMBEDDINGS, TRANSCRIPTIONS, SPEECH, IMAGES})
THE_LIST = answer({"object": "list", "data": [{"id": ALIAS, "object": "model"}]})
DEAD = refusal(401, "This key is revoked.")
GONE = Reply(failure=Failure.CLOSED, detail="closed")
DATASETS = {"purpose": Purpose.UPLOAD, "scopes": frozenset({Scope.DATASETS_WRITE}), "models": frozenset()}
APP: dict[str, Any] = {"purpose": Purpose.CONVERSATION, "scopes": frozenset(Scope)}

ASKED_FOR = {
    MODELS,
    *INFERENCE_ROUTES,
    CONVERSATIONS,
    CONVERSATION_FILES,
    f"/v1/datasets/{MADE_UP}/files",
    f"/v1/files/{MADE_UP}",
    f"/v1/uploads/{MADE_UP}",
}
"""All that a key opens, where nothing real can be made to be asked for."""


def asked(sender: FakeSender, *, by: str) -> set[str]:
    """The routes that a key was sent to, but for those of the controls."""
    return {place(request) for request in sender.sent if request.key == by and not is_control(request)}


def violates(result: CheckResult, said: str) -> None:
    """Assert a violation that says this, with its proof among the check's exchanges."""
    assert result.outcome is Outcome.VIOLATES
    assert said in findings(result)
    assert {violation.exchange for violation in result.violations} <= set(result.exchanges)


def only_bearer(request: Request) -> Response | None:
    """Refuses a key that is not shown as it must be."""
    return refusal(401) if request.presentation is not Presentation.BEARER else None


def dead(name: str) -> Rule:
    """Whatever the key asks for is refused with 401."""
    return lambda request: DEAD if request.key == name else None


def where_dead() -> set[str]:
    """Where keys are tried that worked once: by the un-versioned address at every surface, of media at one."""
    plain = ASKED_FOR - {f"/v1/uploads/{MADE_UP}"}
    return ASKED_FOR | with_twins(plain - {"/v1/audio/transcriptions", "/v1/images/generations"})


def where_unknown() -> set[str]:
    """Where keys are tried that never worked: by the un-versioned address at one surface of each kind."""
    plain = ASKED_FOR - {f"/v1/uploads/{MADE_UP}"}
    return plain | with_twins((CHAT, CONVERSATIONS, f"/v1/datasets/{MADE_UP}/files"))


def with_twins(paths: Iterable[str]) -> set[str]:
    """These paths and their un-versioned twins."""
    return {twin for path in paths for twin in (path, path.removeprefix("/v1"))}

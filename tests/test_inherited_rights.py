"""What a conversation key has of the keys that it is linked to."""

import re

import pytest

from gt_conformance.errors import InputError
from gt_conformance.tenant import Marker
from gt_conformance.vocabulary import Route
from tests.input_files import problems_of
from tests.tenant_files import load

pytestmark = pytest.mark.usefixtures("own_folder")

CHAT = "  chat: {secret_env: GT_KEY_CHAT, purpose: inference, scopes: [inference:chat], models: [field-analyst]}\n"
UPLOAD = "  upload: {secret_env: GT_KEY_THIRD, purpose: upload, scopes: [datasets:write], datasets: [scratch]}\n"
HEAD = "base_url: https://acme.example/api/tenant\nmodels: {chat: field-analyst}\nkeys:\n"
INHERITED: dict[str, tuple[str, tuple[set[str] | None, set[str] | None, set[str] | None]]] = {
    "both keys": (
        CHAT + UPLOAD + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n",
        ({"inference:chat", "datasets:write"}, {"field-analyst"}, {"scratch"}),
    ),
    "the inference key alone": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n",
        ({"inference:chat"}, {"field-analyst"}, set()),
    ),
    "what it and its links agree on": (
        CHAT + UPLOAD + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload], "
        "scopes: [inference:chat, inference:embed], models: [], datasets: [scratch, other]}\n",
        ({"inference:chat"}, set(), {"scratch"}),
    ),
    "what a linked key leaves out is unknown": (
        (
            "  chat: {secret_env: GT_KEY_CHAT, purpose: inference}\n  upload: {secret_env: GT_KEY_THIRD, purpose: "
            "upload}\n"
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n"
        ),
        (None, None, None),
    ),
    "a linked key without a purpose may allow anything": (
        (
            "  chat: {secret_env: GT_KEY_CHAT, scopes: [inference:chat], models: [field-analyst]}\n"
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n"
        ),
        ({"inference:chat"}, {"field-analyst"}, None),
    ),
    "names of an upload key count as well": (
        CHAT
        + UPLOAD.replace("datasets: [scratch]", "datasets: [scratch], models: [reader]")
        + "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]}\n",
        ({"inference:chat", "datasets:write"}, {"field-analyst", "reader"}, {"scratch"}),
    ),
    "nothing": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: conversation}\n",
        (None, None, None),
    ),
}


@pytest.mark.parametrize(("keys", "effective"), INHERITED.values(), ids=INHERITED)
def test_a_conversation_key_has_what_its_linked_keys_have(keys: str, effective: tuple[set[str] | None, ...]) -> None:
    """Scopes, names and datasets of a conversation key are those of the keys that it is linked to."""
    app = load(HEAD + keys).credentials["app"]
    scopes = None if app.scopes is None else {scope.value for scope in app.scopes}
    assert (scopes, app.models, app.datasets) == effective


def test_what_a_conversation_key_and_its_links_do_not_agree_on_is_unknown() -> None:
    """A narrower or wider list of its own beside the links says both: the tenant's answer decides."""
    keys = (
        CHAT
        + UPLOAD
        + (
            "  app: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload], "
            "scopes: [inference:chat, inference:embed], models: [other], datasets: []}\n"
        )
    )
    app = load(HEAD + keys).credentials["app"]
    assert {route: app.may(route) for route in (Route.CHAT, Route.EMBEDDINGS, Route.SPEECH, Route.DATASET_FILES)} == {
        Route.CHAT: True,
        Route.EMBEDDINGS: None,
        Route.SPEECH: False,
        Route.DATASET_FILES: None,
    }
    assert [app.may_use(name) for name in ("field-analyst", "other", "third")] == [None, None, False]
    assert [app.may_write(name) for name in ("scratch", "third")] == [None, False]


MARKED = """\
base_url: https://acme.example/api/tenant
models: {chat: field-analyst}
raw_models: [gt-large-raw]
internal_datasets: [ds-41]
base_prompts: {field-analyst: {ask: "Which station?", expect: Skerryvore}}
keys:
  chat:
    secret_env: GT_KEY_CHAT
    purpose: inference
    prompt_modules: {ask: "Who has the vault?", expect: The harbour master}
    prompt_text: {ask: "Which desk?", expect: Dogger}
  upload: {secret_env: GT_KEY_THIRD, purpose: upload, conversation_uploads: false}
  app:
    secret_env: GT_KEY_APP
    purpose: conversation
    inherits: [chat, upload]
    prompt_text: {ask: "Which quay?", expect: Ninth}
"""


def test_markers_are_read_and_inherited() -> None:
    """What shows that texts of the operator's are applied; a conversation key has those of its inference key."""
    tenant = load(MARKED)
    chat, upload, app = (tenant.credentials[name] for name in ("chat", "upload", "app"))
    assert (tenant.raw_models, tenant.internal_datasets) == (("gt-large-raw",), ("ds-41",))
    assert tenant.base_prompts == {"field-analyst": Marker("Which station?", "Skerryvore")}
    assert chat.prompt_modules == app.prompt_modules == Marker("Who has the vault?", "The harbour master")
    assert (chat.prompt_text, app.prompt_text) == (Marker("Which desk?", "Dogger"), Marker("Which quay?", "Ninth"))
    assert (upload.may(Route.CONVERSATION_FILES), chat.conversation_uploads) == (False, None)


@pytest.mark.parametrize(
    ("upload", "app", "right"),
    [("", "", None), ("false", "", False), ("false", "true", True), ("true", "", True), ("", "false", False)],
)
def test_the_right_to_upload_into_conversations_is_a_keys_own_or_its_links(
    upload: str, app: str, *, right: bool | None
) -> None:
    """Either directly or through the linked upload key, as the API reference says."""
    stated = [f", conversation_uploads: {value}" if value else "" for value in (upload, app)]
    keys = load(
        HEAD
        + CHAT
        + UPLOAD.replace("}", stated[0] + "}")
        + f"  app: {{secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat, upload]{stated[1]}}}\n"
    ).credentials
    assert keys["app"].conversation_uploads is right


def test_a_question_that_tells_its_answer_is_refused() -> None:
    """An answer that repeats the question would pass for the text that was to be applied."""
    with pytest.raises(InputError, match=r":11:18: keys.chat.prompt_text: the question tells what is expected") as told:
        load(MARKED.replace("Which desk?", "Is it the dogger desk?"))
    assert len(told.value.problems) == 1


NO_LINK = {
    "an inference key": (
        CHAT + "  app: {secret_env: GT_KEY_APP, purpose: inference, inherits: [chat]}\n",
        (
            "5:3: keys.app.inherits: the key 'app' inherits, but its purpose is not conversation. "
            "Set purpose: conversation, or drop inherits."
        ),
    ),
    "a key without a purpose": (
        CHAT + "  app: {secret_env: GT_KEY_APP, inherits: [chat]}\n",
        (
            "5:3: keys.app.inherits: the key 'app' inherits, but its purpose is not conversation. "
            "Set purpose: conversation, or drop inherits."
        ),
    ),
    "two levels": (
        CHAT + "  a: {secret_env: GT_KEY_APP, purpose: conversation, inherits: [chat]}\n"
        "  b: {secret_env: GT_KEY_THIRD, purpose: conversation, inherits: [a]}\n",
        (
            "6:70: keys.b.inherits: the key 'b' inherits from 'a', which inherits itself. "
            "Link one inference key and one upload key."
        ),
    ),
}


@pytest.mark.parametrize(("keys", "message"), NO_LINK.values(), ids=NO_LINK)
def test_other_links_are_refused(keys: str, message: str) -> None:
    """Only a conversation key inherits, and from keys that do not."""
    [problem] = problems_of(load, HEAD + keys)
    assert re.sub(r":\d+: keys", ": keys", problem) == re.sub(r":\d+: keys", ": keys", f"tenant.yaml:{message}")

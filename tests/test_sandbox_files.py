"""The embedded tenant: conversations, and files through their states."""

import time
from collections.abc import Iterator

import pytest

from gt_conformance.tenant import TenantKind, from_mapping
from gt_sandbox import EmbeddedTenant
from gt_sandbox.accounts import INTERNAL_DATASETS, MARKERS
from gt_sandbox.conversations import StoredFile
from gt_sandbox.tenant_file import with_markers
from tests.commands import DEADLINE_S
from tests.embedded_requests import CHAT, HEADER, MODEL, NOTE, Ask, events, is_error, opened_client, start_tenant


@pytest.fixture(scope="module")
def ask(tenant: EmbeddedTenant) -> Iterator[Ask]:
    """Requests below /v1; a path that begins with ``~`` is taken from the base URL itself."""
    yield from opened_client(tenant)


@pytest.fixture(scope="module")
def tenant() -> Iterator[EmbeddedTenant]:
    """One tenant for the whole module: no test depends on what another has left there."""
    yield from start_tenant()


# ---- conversations and files


def converse(ask: Ask, key: str, conversation: str | None, text: str) -> str:
    """What the tenant says to that, in that conversation or statelessly."""
    headers = {HEADER: conversation} if conversation else {}
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    answer = ask(key, "POST", "/chat/completions", json=body, headers=headers)
    assert answer.headers.get(HEADER) == conversation
    content = answer.json()["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


STATES = ("uploaded", "processing", "ready")


def settled(ask: Ask, key: str, file_id: str) -> list[str]:
    """The states that a file goes through until it is ready."""
    states: list[str] = []
    deadline = time.monotonic() + DEADLINE_S
    while "ready" not in states and time.monotonic() < deadline:
        state = ask(key, "GET", f"/files/{file_id}").json()["status"]
        assert ask(key, "GET", f"/uploads/{file_id}").json()["id"] == file_id
        states += [state] if state not in states else []
    return states


OPENERS = (("app", MODEL), ("partner", "desk-assistant"))

PROMPTED = {"rag": set(MARKERS), "app": set(MARKERS), "chat": {"base_prompt"}}


def test_a_file_goes_through_its_states_by_the_clock() -> None:
    """Uploaded, processing, ready: each for its time, and none again."""
    stored = StoredFile("file_1", "app", "note.txt", 6, "A note", "dataset", 0, accepted=100.0)
    seen = [str(stored.answer(100.0 + age / 100)["status"]) for age in range(30)]
    assert tuple(dict.fromkeys(seen)) == STATES
    assert seen == sorted(seen, key=STATES.index)


def test_a_conversation_remembers(ask: Ask) -> None:
    """A fact given under a conversation's id is known under that id, and nowhere else."""
    made = ask("app", "POST", "/conversations", json={"model": MODEL, "title": "A talk"})
    conversation = made.json()["id"]
    assert made.status_code == 201
    assert conversation.startswith("conv_")
    assert made.headers[HEADER] == conversation
    assert made.json().items() >= {"object": "conversation", "model": MODEL, "title": "A talk"}.items()
    converse(ask, "app", conversation, "Remember: the code word is ZEBRA-42. Reply with OK.")
    assert "ZEBRA-42" in converse(ask, "app", conversation, "What is the code word?")
    assert "ZEBRA-42" not in converse(ask, "app", None, "What is the code word?")
    other = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    assert "ZEBRA-42" not in converse(ask, "app", other, "What is the code word?")


def test_a_streamed_turn_is_remembered_too(ask: Ask) -> None:
    """A stream carries the conversation's id in its header, and what was said in it stays known."""
    conversation = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    messages = [{"role": "user", "content": "Remember: the code word is ZEBRA-42."}]
    body = {"model": MODEL, "messages": messages, "stream": True}
    answer = ask("app", "POST", "/chat/completions", json=body, headers={HEADER: conversation})
    assert answer.headers[HEADER] == conversation
    assert events(answer)
    assert "ZEBRA-42" in converse(ask, "app", conversation, "What is the code word?")


@pytest.mark.parametrize("key", ["chat", "upload"])
def test_only_a_conversation_key_opens_conversations(ask: Ask, key: str) -> None:
    """Inference and upload keys get a 403, and the conversation key a 400 without a model."""
    assert is_error(ask(key, "POST", "/conversations", json={"model": MODEL}), 403)
    assert is_error(ask("app", "POST", "/conversations", json={}), 400, "model")


def test_a_conversation_belongs_to_its_key(ask: Ask) -> None:
    """Another key's conversation and an unknown one get the same 404, in chat and in uploads."""
    foreign = ask("partner", "POST", "/conversations", json={"model": "desk-assistant"}).json()["id"]
    answers = [
        ask("app", "POST", path, headers={HEADER: wanted}, **body)
        for wanted in (foreign, "conv_unknown")
        for path, body in (("/chat/completions", {"json": CHAT}), ("/conversations/files", {"files": NOTE}))
    ]
    assert all(is_error(answer, 404, HEADER) for answer in answers)
    assert len({answer.text for answer in answers}) == 1


def test_a_linked_upload_key_uploads_into_its_conversation_and_does_not_read_it(ask: Ask) -> None:
    """By a right of its own; into a conversation of a key that is not linked to it, it does not."""
    opened = {key: ask(key, "POST", "/conversations", json={"model": model}).json()["id"] for key, model in OPENERS}
    sent = ask("upload", "POST", "/conversations/files", headers={HEADER: opened["app"]}, files=NOTE)
    assert (sent.status_code, sent.headers[HEADER]) == (202, opened["app"])
    foreign = ask("upload", "POST", "/conversations/files", headers={HEADER: opened["partner"]}, files=NOTE)
    assert is_error(foreign, 404, HEADER)
    assert is_error(ask("rag", "POST", "/chat/completions", headers={HEADER: opened["app"]}, json=CHAT), 404, HEADER)


@pytest.mark.parametrize(("key", "kinds"), PROMPTED.items())
def test_texts_are_put_before_the_chats_of_their_keys(ask: Ask, key: str, kinds: set[str]) -> None:
    """The agent's base prompt, and what an inference key has; its conversation key has that as well."""
    shown = {kind for kind, text in MARKERS.items() if text.expect in converse(ask, key, None, text.ask)}
    assert shown == kinds


def test_the_tenant_file_may_name_what_does_not_show(tenant: EmbeddedTenant) -> None:
    """Markers, raw models and internal datasets make a valid tenant file."""
    document = with_markers(tenant.tenant_document())
    read = from_mapping(document, tenant.secrets, kind=TenantKind.EMBEDDED, name="it")
    assert (read.raw_models, read.internal_datasets) == (("gt-large-raw",), INTERNAL_DATASETS)
    assert [key.name for key in read.credentials.values() if key.prompt_text] == ["rag", "app"]


def test_a_conversation_upload_gets_ready(ask: Ask) -> None:
    """A file sent to a conversation goes through its states to ready, in the conversation's one dataset."""
    conversation = ask("app", "POST", "/conversations", json={"model": MODEL}).json()["id"]
    sent = [ask("app", "POST", "/conversations/files", headers={HEADER: conversation}, files=NOTE) for _ in range(2)]
    accepted = sent[0].json()
    assert sent[0].status_code == 202
    assert sent[0].headers[HEADER] == conversation
    assert (accepted["object"], accepted["status"], accepted["filename"]) == ("file", "uploaded", "note.txt")
    assert accepted["bytes"] == 6
    assert sent[1].json()["dataset_id"] == accepted["dataset_id"]
    assert sent[1].json()["id"] != accepted["id"]
    states = settled(ask, "app", accepted["id"])
    assert states == [state for state in STATES if state in states]  # a busy machine may see but the last
    assert states[-1] == "ready"
    assert is_error(ask("app", "POST", "/conversations/files", files=NOTE), 400, HEADER)


@pytest.mark.parametrize("key", ["upload", "app"])
def test_a_dataset_upload_gets_ready(ask: Ask, key: str) -> None:
    """An upload key, and a conversation key that inherits it, fill the allowlisted dataset."""
    sent = ask(key, "POST", "/datasets/scratch-briefs/files", files=NOTE)
    assert sent.status_code == 202
    assert sent.json()["dataset_id"] == "scratch-briefs"
    assert settled(ask, key, sent.json()["id"])[-1] == "ready"


def test_foreign_and_unknown_datasets_look_alike(ask: Ask) -> None:
    """A dataset that the key may not use and one that does not exist get the same 404."""
    answers = [ask("upload", "POST", f"/datasets/{name}/files", files=NOTE) for name in ("partner-briefs", "none")]
    assert all(is_error(answer, 404) for answer in answers)
    assert answers[0].text == answers[1].text


def test_a_file_is_known_to_its_key_only(ask: Ask) -> None:
    """Any other key gets the 404 that an unknown file gets, the keys linked to it included."""
    file_id = ask("upload", "POST", "/datasets/scratch-briefs/files", files=NOTE).json()["id"]
    unknown = ask("upload", "GET", "/files/file_unknown")
    assert is_error(unknown, 404)
    for key in ("chat", "full", "app", "partner-upload", "partner"):
        for route in ("files", "uploads"):
            answer = ask(key, "GET", f"/{route}/{file_id}")
            assert (answer.status_code, answer.text) == (404, unknown.text)

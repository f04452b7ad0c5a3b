"""What chats know of uploaded files: each fact is asked for once it is stated, by a key that may chat."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from gt_conformance import resources
from gt_conformance.checks._capability import QUESTION, TRIES
from gt_conformance.checks._uploads import statement_of
from gt_conformance.exchange import Request, Response
from gt_conformance.planning import make_plan
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Purpose, RemarkKind, Route, Scope, Severity
from tests.fake_tenant import (
    ASKED_AGAIN,
    COMPLETION,
    answer,
    changed,
    extensions,
    given,
    judged,
    key,
    refusal,
    sent_json,
    tenant_of,
)
from tests.test_checks_uploads import (
    BROKEN,
    FORMATS,
    OF_CONVERSATION,
    OF_DATASET,
    OTHER,
    WITH_DATASET,
    named_file,
    replace_clock,
)

KNOWN_IN_CONVERSATION, KNOWN_IN_DATASET = "upload.conversation_known", "upload.dataset_known"
WRITER = replace(WITH_DATASET.credentials["app"], datasets=frozenset({"scratch"}))
ATTACHED = tenant_of(WRITER, OTHER, dataset="scratch", dataset_attached=True)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits."""
    replace_clock(monkeypatch)


@dataclass
class Reader:
    """Chats that know what was uploaded, a text and a PDF by each path; ``say`` makes the answer of what is known."""

    say: Callable[[Request, str], str] = lambda _, known: f"It is called **{known.upper()}**."
    known: dict[str, str] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Response | None:
        """The answer to a chat about an uploaded file."""
        if named_file(".txt")(request) or (named_file(".pdf")(request) and not named_file(".broken.pdf")(request)):
            [stated] = re.findall(r"is called (\S+)\.", request.parts[0].content.decode(errors="replace"))
            self.known[f"{request.url} {request.parts[0].filename}"] = stated
        prompt = str(sent_json(request).get("messages", ""))
        if "called?" not in prompt:
            return None
        self.asked.append(request)
        into = "/conversations/" if CONVERSATION_HEADER in dict(request.headers) else "/datasets/"
        known = " and ".join(stated for url, stated in self.known.items() if into in url)
        assert not any(stated in prompt for stated in self.known.values()), "the question holds the answer"
        return answer(changed(COMPLETION, {"choices.0.message.content": self.say(request, known)}))


CHECKS_OF_CHATS = pytest.mark.parametrize("check", [KNOWN_IN_CONVERSATION, KNOWN_IN_DATASET])


@CHECKS_OF_CHATS
def test_a_chat_that_knows_the_file_is_asked_once(check: str) -> None:
    """The name may come in whatever case and marks; the conversation is named where the file is in one."""
    reader = Reader()
    result = judged(check, reader, extensions, tenant=ATTACHED)
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())
    asked, *others = reader.asked
    named_one = dict(asked.headers).get(CONVERSATION_HEADER)
    assert named_one == ("conversation-app" if check == KNOWN_IN_CONVERSATION else None)
    assert len(others) == (check == KNOWN_IN_DATASET)  # for what is in a conversation, and must not be known


def test_a_chat_that_knows_a_text_and_no_pdf_violates() -> None:
    """The PDF became ready: its text belongs into the corpus as well."""
    texts = Reader()

    def only_texts(request: Request) -> Response | None:
        return None if named_file(".pdf")(request) else texts(request)

    result = judged(KNOWN_IN_DATASET, only_texts, able, extensions, tenant=ATTACHED)
    [violation] = result.violations
    assert violation.expected.startswith("a chat knows what a PDF states as it knows what a text does")
    assert "the text of a PDF" in (result.remedy or "")


def test_a_chat_outside_of_a_conversation_that_knows_its_file_violates() -> None:
    """An upload is bound to its conversation: a chat that names none is not given it."""
    reader = Reader(lambda *_: " and ".join(reader.known.values()))
    result = judged(KNOWN_IN_DATASET, reader, extensions, tenant=ATTACHED)
    [violation] = result.violations
    assert violation.expected == (
        "the upload into a conversation of app, outside of that conversation, is not known to a chat"
    )


BESIDE = {
    "code": (OF_DATASET, lambda part: b"/etc/passwd" in part.content, "a PDF with source code in it"),
    "letters": (OF_CONVERSATION, lambda part: not (part.filename or "").isascii(), "a PNG with letters beyond ASCII"),
}


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (refusal(403, "Request blocked."), Outcome.VIOLATES),
        (BROKEN, Outcome.VIOLATES),
        (refusal(400, "The virus scan objects."), Outcome.CONFORMS),
        (refusal(400, "This file name is not allowed."), Outcome.CONFORMS),
    ],
    ids=["refused", "broken", "a scan", "a rule for names"],
)
@pytest.mark.parametrize("beside", BESIDE)
def test_what_a_file_has_besides_is_told_from_its_kind(beside: str, reply: Response, outcome: Outcome) -> None:
    """A file that is refused for code in it or letters in its name is accepted without; a stated rule is advised."""
    parameters, has, said = BESIDE[beside]
    rule = given(reply, lambda request: any(map(has, request.parts)))
    result = judged(FORMATS, rule, extensions, tenant=WITH_DATASET, parameters=parameters)
    assert result.outcome is outcome
    [text] = [one.expected for one in result.violations] or [one.text for one in result.advisories]
    assert text.startswith(said)


def test_an_upload_that_fails_now_and_then_is_not_held_against_its_contents() -> None:
    """The same upload is accepted when it is sent again: nothing in it was refused."""
    left = [BROKEN]

    def rule(request: Request) -> Response | None:
        return left.pop() if left and named_file(".pdf")(request) else None

    result = judged(FORMATS, rule, extensions, tenant=WITH_DATASET, parameters=OF_DATASET)
    [violation] = result.violations
    assert violation.expected == "a PDF is accepted as a text is: 2xx and a file id"


def test_files_that_share_an_id_or_a_state_are_one_finding() -> None:
    """Of two different uploads each has its own: what is given for both shows nothing of the second one."""

    def shared_id(request: Request) -> Response | None:
        return answer({"id": "file-app", "status": "processing"}, 202) if request.parts else None

    def others_state(request: Request) -> Response | None:
        return answer({"id": "file-app", "status": "ready"}) if "/files/file-app.pdf" in request.url else None

    for rule, found in ((shared_id, "two files have the id file-app"), (others_state, "is that of another file")):
        result = judged(FORMATS, rule, extensions, tenant=WITH_DATASET, parameters=OF_DATASET)
        [violation] = result.violations
        assert found in violation.found


@CHECKS_OF_CHATS
def test_a_chat_that_knows_it_late_is_remarked(check: str) -> None:
    """What a model says is its own: it is asked again, and only that is noted."""
    left = ["I have no such file.", "Let me see.", ""]

    def say(_: Request, known: str) -> str:
        return left.pop(0) if left else known

    result = judged(check, Reader(say), extensions, tenant=ATTACHED)
    assert result.outcome is Outcome.CONFORMS
    assert [remark.kind for remark in result.remarks] == [RemarkKind.LATE] * 2


def able(request: Request) -> Response | None:
    """A model that recalls what the same request says."""
    messages = sent_json(request).get("messages", [])
    if QUESTION not in str(messages):
        return None
    return answer(changed(COMPLETION, {"choices.0.message.content": messages[0]["content"]}))


@CHECKS_OF_CHATS
def test_a_chat_that_never_knows_the_file_violates_where_its_model_recalls_and_calls_tools(check: str) -> None:
    """The tenant does not give it what was uploaded."""
    reader = Reader(lambda *_: "I do not know.")
    knows = Reader() if check == KNOWN_IN_DATASET else reader

    def of_conversation(request: Request) -> Response | None:
        return knows(request) if request.parts or CONVERSATION_HEADER in dict(request.headers) else None

    result = judged(check, of_conversation, reader, able, extensions, tenant=ATTACHED)
    [violation] = result.violations
    tries = TRIES + 1  # the last one 5 s after the first
    assert violation.found == f"{tries} answers without it, the last one 'I do not know.'"
    together = check == KNOWN_IN_DATASET  # where two files are asked about together first
    assert len(reader.asked) == tries + together + ASKED_AGAIN


@CHECKS_OF_CHATS
@pytest.mark.parametrize("lack", ["recall what the same request says", "call the tool that it is ordered to call"])
def test_where_the_model_cannot_nothing_is_known_of_the_tenant(lack: str, check: str) -> None:
    """It is the alias that has to be published with a stronger model."""
    rules = [able] if lack.startswith("call") else []
    toolless = given(answer(COMPLETION), lambda request: "tools" in sent_json(request))
    result = judged(check, Reader(lambda *_: "I do not know."), toolless, *rules, extensions, tenant=ATTACHED)
    assert (result.outcome, result.reason) == (
        Outcome.BLOCKED,
        f"the model behind field-analyst does not {lack}: it says 'ok'",
    )


def test_what_is_unknown_in_conversations_as_well_is_one_finding() -> None:
    """Where no upload at all is searched, the dataset's check is blocked because of the conversation's."""
    result = judged(KNOWN_IN_DATASET, Reader(lambda *_: "I do not know."), able, extensions, tenant=ATTACHED)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason.startswith("upload.conversation_known does not hold: ")


def test_what_others_uploaded_to_their_conversation_must_not_be_told() -> None:
    """It is a breach whatever else the answer says."""
    told = statement_of("r1", "other", Route.CONVERSATION_FILES.path).name
    result = judged(KNOWN_IN_CONVERSATION, Reader(lambda _, known: f"{known}, {told}"), extensions, tenant=ATTACHED)
    [violation] = result.violations
    assert violation.found == "the answer tells what the key other uploaded to a conversation of its own"
    assert violation.severity is Severity.CRITICAL


DATASETS: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "the same": ({"dataset_id": "d-1"}, {"dataset_id": "d-1"}, ""),
    "named once": ({"dataset_id": "d-1"}, {}, ""),
    "never named": ({}, {}, ""),
    "the same by number": ({"dataset": {"id": 7}}, {"dataset_id": "7"}, ""),
    "two": ({"dataset_id": "d-1"}, {"dataset_id": "d-2"}, "they are in d-1 and d-2"),
    "two, in objects": ({"dataset": {"id": 7}}, {"dataset": {"id": 8}}, "they are in 7 and 8"),
    "two, in lists": ({"files": [{"dataset": "a"}]}, {"files": [{"dataset": "b"}]}, "they are in a and b"),
}


@pytest.mark.parametrize(("first", "second", "said"), DATASETS.values(), ids=DATASETS)
def test_a_second_upload_into_a_conversation_reuses_its_dataset(
    first: dict[str, object], second: dict[str, object], said: str
) -> None:
    """As far as the tenant names the dataset of a file."""
    rules = [
        given(answer({"id": "file-app", **facts}, 202), named_file(ending))
        for ending, facts in ((".txt", first), (".png", second))
    ]
    result = judged(KNOWN_IN_CONVERSATION, Reader(), *rules, extensions, tenant=ATTACHED)
    assert [violation.found for violation in result.violations] == ([said] if said else [])


def test_a_dataset_is_asked_about_by_a_key_that_may_chat_and_reach_it() -> None:
    """Its uploader need not chat."""
    upload = key("upload", purpose=Purpose.UPLOAD, scopes=frozenset({Scope.DATASETS_WRITE}), datasets=frozenset({"s"}))
    keys = (upload, key("app", purpose=Purpose.CONVERSATION, datasets=frozenset({"s"})), key("chat"))
    reader = Reader()
    tenant = tenant_of(*keys, dataset="s", dataset_attached=True)
    assert judged(KNOWN_IN_DATASET, reader, extensions, tenant=tenant).outcome is Outcome.CONFORMS
    assert {request.key for request in reader.asked} == {"app"}
    result = judged(KNOWN_IN_DATASET, reader, extensions, tenant=replace(tenant, credentials={"upload": upload}))
    assert (result.outcome, result.reason) == (
        Outcome.BLOCKED,
        "no key is declared to chat and to reach the dataset",
    )


@pytest.mark.parametrize(
    ("tenant", "attached", "asked"),
    [(ATTACHED, True, True), (ATTACHED, False, False), (WITH_DATASET, True, False)],
    ids=["attached", "not attached", "no key is declared to chat and to reach it"],
)
def test_a_dataset_is_asked_about_where_the_tenant_file_says_that_it_is_attached(
    tenant: Tenant, *, attached: bool, asked: bool
) -> None:
    """No page says how a caller attaches one: elsewhere no row takes the check."""
    plan = make_plan(replace(tenant, dataset_attached=attached), load_directory(resources.runbooks_dir()))
    assert (KNOWN_IN_DATASET in {call.check for call in plan.distinct}) is asked

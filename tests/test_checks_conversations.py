"""The conversation checks: opened, carried on by what was said in them, and no further."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from gt_conformance.checks import READ_ONLY, CheckCall
from gt_conformance.checks._capability import TRIES
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.runner import CheckResult
from gt_conformance.session import Session
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Outcome, Purpose
from tests.fake_tenant import (
    BASE_URL,
    COMPLETION,
    FakeSender,
    Reply,
    Rule,
    answer,
    changed,
    extensions,
    given,
    judged,
    key,
    plan_of,
    refusal,
    sent_json,
    tenant_of,
)

CREATE, CONTINUITY, SAME_KEY = "conversation.create", "conversation.continuity", "conversation.same_key"
TENANT = tenant_of(key("app", purpose=Purpose.CONVERSATION))
GONE = Reply(failure=Failure.CLOSED, detail="closed")


def said_in(request: Request) -> str:
    """What the last message of a chat says; empty in any other request."""
    messages = sent_json(request).get("messages")
    return str(messages[-1]["content"]) if messages else ""


def thread(request: Request) -> str | None:
    """The conversation that a request names."""
    return dict(request.headers).get(CONVERSATION_HEADER)


def opens(request: Request) -> bool:
    """A request that opens a conversation."""
    return request.url == f"{BASE_URL}/v1/conversations"


def uploads(request: Request) -> bool:
    """An upload into a conversation."""
    return request.url == f"{BASE_URL}/v1/conversations/files"


def chats(request: Request) -> bool:
    """A chat, in a conversation or without."""
    return bool(said_in(request))


def carries_on(request: Request) -> bool:
    """A chat in a conversation."""
    return chats(request) and thread(request) is not None


def tells(request: Request) -> bool:
    """The chat that tells the code word."""
    return "Remember" in said_in(request)


def asks(request: Request) -> bool:
    """The chat in the conversation that asks for the code word."""
    return "What is" in said_in(request) and thread(request) is not None


def asks_alone(request: Request) -> bool:
    """The same chat without a conversation."""
    return "What is" in said_in(request) and thread(request) is None


def speech(text: str) -> Response:
    """A completion that says this."""
    return answer(changed(COMPLETION, {"choices.0.message.content": text}))


def remembering(
    *,
    spelled: Callable[[str], str] = str,
    from_attempt: int = 1,
    everywhere: bool = False,
    named: bool = True,
    recalls: bool = True,
) -> Rule:
    """A tenant that knows in a conversation what was said in it, and tells it when it was asked often enough.

    Its model ``recalls`` what stands in the same request.
    """
    told: dict[str | None, str] = {}
    attempts = itertools.count(1)

    def rule(request: Request) -> Response | None:
        if tells(request):
            found = re.search(r"is (\S+)\.", said_in(request))
            told[None if everywhere else thread(request)] = found[1] if found else ""
            return answer(COMPLETION, x_gt_conversation_id=thread(request) or "") if named else None
        if not (asks(request) or asks_alone(request)):
            return None
        if recalls and len(said := sent_json(request)["messages"]) > 1:
            return speech(str(said[0]["content"]))
        word = told.get(None if everywhere else thread(request))
        knows = word is not None and (asks_alone(request) or next(attempts) >= from_attempt)
        return speech(f"It is {spelled(word)}." if word is not None and knows else "You told me none.")

    return rule


def found(check: str, *rules: Rule, sender: FakeSender | None = None) -> CheckResult:
    """What the check comes to where these rules answer before a tenant that remembers."""
    return judged(check, tenant=TENANT, sender=sender or FakeSender(*rules, remembering(), extensions))


@pytest.mark.parametrize("check", [CREATE, CONTINUITY, SAME_KEY])
def test_a_tenant_whose_conversations_carry_on_conforms(check: str) -> None:
    """Nothing is said of it, with --strict neither."""
    sender = FakeSender(remembering(), extensions)
    result = judged(check, tenant=TENANT, sender=sender, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


@pytest.mark.parametrize("check", [CREATE, CONTINUITY, SAME_KEY])
def test_a_read_only_run_asks_nothing_of_a_conversation(check: str) -> None:
    """Nothing is created, so there is nothing to ask."""
    sender = FakeSender(extensions)
    result = judged(check, tenant=replace(TENANT, read_only=True), sender=sender)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, READ_ONLY[0])
    assert not [request for request in sender.sent if request.method == "POST"]


OPENED = "POST /v1/conversations gives 2xx and a conversation id"
FIRST = "the first chat of the conversation completes"
SECOND = "the second chat of the conversation completes"
ALONE = "the same question without the header completes"
NEW_ID = "a chat with the new X-GT-Conversation-Id completes"
STATELESS = "without the header the chat is stateless"
CHATS = "the key that opened the conversation chats in it"
UPLOADS = "the key that opened the conversation uploads to it: 2xx and a file id"
BROKEN = refusal(500, "Broken.")
EMPTY = answer(changed(COMPLETION, {"choices.0.message.content": ""}))
NOTHING_SAID = "the message has no content and no tool call"
ELSEWHERE = answer(COMPLETION, x_gt_conversation_id="another")

VIOLATIONS: dict[str, tuple[str, Rule, str, str]] = {
    **{
        f"{check.partition('.')[2]}: {name}": (check, given(reply, opens), OPENED, said)
        for check in (CREATE, CONTINUITY, SAME_KEY)
        for name, reply, said in (
            ("no conversation", BROKEN, "HTTP 500: Broken."),
            ("a conversation without an id", answer({"created": True}, 201), "HTTP 201 without an id"),
        )
    },
    "create: its id is refused": (
        CREATE,
        given(refusal(404, "Unknown."), carries_on),
        NEW_ID,
        "HTTP 404: Unknown.",
    ),
    "create: no answer to its id": (CREATE, given(GONE, carries_on), NEW_ID, "no answer: closed"),
    "create: its id leads to nothing": (CREATE, given(EMPTY, carries_on), NEW_ID, NOTHING_SAID),
    "continuity: no first chat": (CONTINUITY, given(BROKEN, tells), FIRST, "HTTP 500: Broken."),
    "continuity: an empty first chat": (CONTINUITY, given(EMPTY, tells), FIRST, NOTHING_SAID),
    "continuity: another id": (
        CONTINUITY,
        given(ELSEWHERE, tells),
        "the conversation id stays the same",
        "it became another",
    ),
    "continuity: a long id": (
        CONTINUITY,
        given(answer(COMPLETION, x_gt_conversation_id="a" * 61), tells),
        "the conversation id stays the same",
        f"it became {'a' * 60}… [61 characters in all]",
    ),
    "continuity: an empty id": (
        CONTINUITY,
        given(answer(COMPLETION, x_gt_conversation_id=""), tells),
        "the conversation id stays the same",
        "it became ",
    ),
    "continuity: no second chat": (CONTINUITY, given(BROKEN, asks), SECOND, "HTTP 500: Broken."),
    "continuity: no chat alone": (CONTINUITY, given(BROKEN, asks_alone), ALONE, "HTTP 500: Broken."),
    "continuity: never ends": (
        CONTINUITY,
        remembering(everywhere=True),
        STATELESS,
        "it knows a code word of a conversation",
    ),
    "same key: no chat": (SAME_KEY, given(BROKEN, carries_on), CHATS, "HTTP 500: Broken."),
    "same key: an empty chat": (SAME_KEY, given(EMPTY, carries_on), CHATS, NOTHING_SAID),
    "same key: no upload": (SAME_KEY, given(refusal(403, "No."), uploads), UPLOADS, "HTTP 403: No."),
    "same key: an upload without an id": (
        SAME_KEY,
        given(answer({"ok": True}, 202), uploads),
        UPLOADS,
        "HTTP 202 without an id",
    ),
}


@pytest.mark.parametrize(("check", "rule", "expected", "said"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_conversation_that_does_not_do_what_it_should_violates(
    check: str, rule: Rule, expected: str, said: str
) -> None:
    """The finding says which step of the conversation went wrong, and how."""
    result = found(check, rule)
    assert result.outcome is Outcome.VIOLATES
    [violation] = result.violations
    assert (violation.expected, violation.found) == (expected, said)


# -- what was told


@pytest.mark.parametrize(
    "spelled",
    [str.upper, str.title, lambda word: word.replace("-", "\u2011"), lambda word: word.replace("-", " ")],
    ids=["in capitals", "as a sentence begins", "with another hyphen", "with a space"],
)
def test_a_code_word_counts_however_it_is_spelled(spelled: Callable[[str], str]) -> None:
    """A model writes a word as it likes: that it knows it is what is asked."""
    knows = judged(CONTINUITY, remembering(spelled=spelled), extensions, tenant=TENANT)
    assert (knows.outcome, knows.advisories) == (Outcome.CONFORMS, ())
    everywhere = judged(CONTINUITY, remembering(spelled=spelled, everywhere=True), extensions, tenant=TENANT)
    assert [violation.expected for violation in everywhere.violations] == [STATELESS]


@pytest.mark.parametrize("part", [0, 1], ids=["the colour", "the rest"])
def test_half_a_code_word_is_none(part: int) -> None:
    """A colour alone may be a guess, and four letters may stand in another word."""
    half = remembering(spelled=lambda word: word.split("-")[part])
    assert judged(CONTINUITY, half, extensions, tenant=TENANT).outcome is Outcome.VIOLATES


def told_in(run_id: str) -> str:
    """What a conversation is told in the run of that id."""
    sender = FakeSender(remembering(), extensions)
    call = CheckCall(CONTINUITY, "app")
    with Session(plan_of(TENANT, call), sender=lambda: sender, run_id=run_id) as session:
        session.result(call)
    return next(said_in(request) for request in sender.sent if tells(request))


def test_each_run_tells_another_code_word() -> None:
    """A tenant that remembers the last run must not pass for one that remembers this one."""
    words = {told_in(f"r{number}") for number in range(5)}
    form = r"Remember this: the code word is [a-z]+-[0-9a-f]{4}\. Reply with the word ok\."
    assert all(re.fullmatch(form, word) for word in words)
    assert len(words) == 5


@pytest.mark.parametrize("attempt", [2, TRIES])
def test_a_fact_that_is_recalled_late_is_remarked(attempt: int) -> None:
    """What hangs on a model's words may be asked several times; more than once is a remark on the answer that knew."""
    sender = FakeSender(remembering(from_attempt=attempt), extensions)
    result = found(CONTINUITY, sender=sender)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    [remark] = result.remarks
    assert remark.text == f"the model recalled the fact at attempt {attempt} only"
    questions = [number for number, request in enumerate(sender.sent, 1) if asks(request)]
    assert len(questions) == attempt
    assert remark.exchange == f"x{questions[-1]:04d}"


def test_a_fact_that_is_never_recalled_is_a_violation_of_a_tenant_whose_model_recalls() -> None:
    """The finding names the code word, so that the answers can be read, and is proved by the last of them."""
    sender = FakeSender(remembering(from_attempt=TRIES + 1), extensions)
    [violation] = found(CONTINUITY, sender=sender).violations
    assert re.fullmatch(r"the second chat knows the code word \([a-z]+-[0-9a-f]{4}\)", violation.expected)
    assert violation.found == f"{TRIES} answers without it"
    questions = [number for number, request in enumerate(sender.sent, 1) if asks(request)]
    assert len(questions) == TRIES
    assert violation.exchange == f"x{questions[-1]:04d}"


def test_a_fact_that_the_model_cannot_recall_in_one_request_either_is_not_held_against_the_tenant() -> None:
    """Blocked, for the operator to publish the alias with another model."""
    result = found(CONTINUITY, remembering(from_attempt=TRIES + 1, recalls=False))
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert result.reason == "the model behind field-analyst does not recall what the same request says"
    assert result.remedy.startswith("Publish the alias field-analyst with a stronger model")
    assert [blocker.acts for blocker in result.blockers] == [Actor.SETUP]


def test_a_conversation_that_became_another_is_not_asked() -> None:
    """What another conversation knows says nothing of this one."""
    sender = FakeSender(given(ELSEWHERE, tells), remembering(), extensions)
    found(CONTINUITY, sender=sender)
    assert not [request for request in sender.sent if asks(request) or asks_alone(request)]


def test_an_answer_need_not_name_its_conversation() -> None:
    """The header is documented of requests; an answer that leaves it out has not changed the conversation."""
    assert judged(CONTINUITY, remembering(named=False), extensions, tenant=TENANT).outcome is Outcome.CONFORMS


# -- whose finding it is


@pytest.mark.parametrize("reply", [BROKEN, GONE, EMPTY], ids=["a 5xx", "no answer", "an empty answer"])
def test_a_chat_that_fails_without_a_conversation_too_is_blocked(reply: Response | Reply) -> None:
    """Then nothing was told of the conversation's id: the finding is that of the chat, and has its remedy there."""
    result = found(CREATE, given(reply, chats))
    assert (result.outcome, result.remedy) == (Outcome.BLOCKED, "")
    assert result.reason.startswith("chat.completes does not hold: ")
    assert result.because


def test_a_conversation_that_works_costs_two_requests() -> None:
    """Opened once and carried on once, beside the chat without it on which that rests."""
    sender = FakeSender(remembering(), extensions)
    found(CREATE, sender=sender)
    sent = [request for request in sender.sent if request.method == "POST"]
    assert [opens(request) for request in sent].count(True) == 1
    assert [thread(request) for request in sent if chats(request)] == [None, "conversation-app"]


def test_one_key_opens_chats_and_uploads() -> None:
    """All under the one conversation, with the one key."""
    sender = FakeSender(remembering(), extensions)
    found(SAME_KEY, sender=sender)
    [chat] = [request for request in sender.sent if carries_on(request)]
    [upload] = [request for request in sender.sent if uploads(request)]
    assert {request.key for request in sender.sent} == {"app"}
    assert thread(chat) == thread(upload) == "conversation-app"

"""The conversation checks: opened, carried on by what was said in them, and no further."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from gt_conformance import resources
from gt_conformance.checks import READ_ONLY, CheckCall, CheckResult
from gt_conformance.checks._capability import TRIES
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.planning import make_plan
from gt_conformance.runbook import load_directory
from gt_conformance.session import Session
from gt_conformance.tenant import Credential, Tenant, Unsure
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Outcome, Purpose, Scope
from tests.fake_tenant import (
    ALIAS,
    ASKED_AGAIN,
    BASE_URL,
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    FakeSender,
    Reply,
    Rule,
    Which,
    answer,
    by,
    changed,
    chunk,
    extensions,
    given,
    is_control,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
)

CREATE, CONTINUITY, SAME_KEY = "conversation.create", "conversation.continuity", "conversation.same_key"
TENANT = tenant_of(key("app", purpose=Purpose.CONVERSATION))
CONVERSATION = "conversation-app"
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
    """The chat that tells the code word of the conversation."""
    return "the code word is" in said_in(request)


FACTS = ("code word", "name of the pilot", "name of the baker", "name of the weaver", "name of the tailor")
"""What chats tell and ask: the first in a plain one, then one in a stream, one alone, and so on."""


def streamed(request: Request) -> bool:
    """A chat that is to be streamed."""
    return bool(sent_json(request).get("stream"))


def asks(request: Request) -> bool:
    """A chat in the conversation that asks for a fact."""
    return "What is" in said_in(request) and thread(request) == CONVERSATION and "tool_choice" not in sent_json(request)


def asks_plainly(request: Request) -> bool:
    """The same, not streamed."""
    return asks(request) and not streamed(request)


def asks_in_stream(request: Request) -> bool:
    """The same, streamed."""
    return asks(request) and streamed(request)


def asks_alone(request: Request) -> bool:
    """A chat without a conversation that asks for facts."""
    return "What is" in said_in(request) and thread(request) is None


def told_before(request: Request) -> bool:
    """A chat of several messages, of which an earlier one tells what the last one asks for."""
    return len([one for one in sent_json(request).get("messages", []) if one["role"] != "system"]) > 1


def speech(text: str) -> Response:
    """A completion that says this."""
    return answer(changed(COMPLETION, {"choices.0.message.content": text}))


def said(request: Request, text: str, name: str | None = None) -> Response:
    """The answer that says this, in the form that was asked for; a plain one names its conversation."""
    if streamed(request):
        return stream(ROLE, chunk({"content": text}), FINISH, DONE)
    body = changed(COMPLETION, {"choices.0.message.content": text})
    return answer(body) if name is None else answer(body, x_gt_conversation_id=name)


def remembering(
    *,
    spelled: Callable[[str], str] = str,
    from_attempt: int = 1,
    everywhere: bool = False,
    named: bool = True,
    recalls: bool = True,
    stores: Which = lambda _: True,
    reads: Which = lambda _: True,
    under: Callable[[str | None], str | None] = lambda name: name,
    refuses: bool = True,
) -> Rule:
    """A tenant that knows in a conversation what was said in it, and tells it when it was asked often enough.

    Its model ``recalls`` what stands in the same request. It ``stores`` some chats and ``reads`` what was stored in
    some; ``under`` gives the conversation in which a chat under a name goes on. It ``refuses`` ids that it does not
    know.
    """
    stored: dict[str | None, list[str]] = {}
    attempts = itertools.count(1)

    def rule(request: Request) -> Response | None:
        if not said_in(request):
            return None
        if refuses and thread(request) not in {None, CONVERSATION}:
            return refusal(404, "There is no such conversation.")
        name = "all" if everywhere else under(thread(request))
        history = stored.setdefault(name, []) if name is not None and reads(request) else []
        texts = [str(message["content"]) for message in sent_json(request)["messages"]]
        known = [*history, *(texts if recalls else texts[-1:])]
        if name is not None and stores(request):
            stored.setdefault(name, []).extend(texts)
        answers = [one for fact in FACTS if f"What is the {fact}" in texts[-1] for one in (value(fact, known),) if one]
        late = thread(request) is not None and bool(answers) and next(attempts) < from_attempt
        spell = str if told_before(request) else spelled
        text = " ".join(f"It is {spell(one)}." for one in answers) if answers and not late else "You told me none."
        return said(request, text, (thread(request) or "") if named and name else None)

    return rule


def value(fact: str, texts: list[str]) -> str:
    """What the texts say that the fact is; empty where they do not."""
    found = re.findall(rf"the {fact} is (\S+?)\.(?:\s|$)", " ".join(texts))
    return found[-1] if found else ""


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
SECOND = "a later chat of the conversation completes"
ALONE = "the same question without the header completes"
NEW_ID = "a chat with the new X-GT-Conversation-Id completes"
STATELESS = "without the header the chat is stateless"
STATELESS_STREAMS = "without the header a streamed chat is stateless"
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
    "continuity: no second chat": (CONTINUITY, given(BROKEN, asks_plainly), SECOND, "HTTP 500: Broken."),
    "continuity: no streamed chat": (
        CONTINUITY,
        given(BROKEN, asks_in_stream),
        "a streamed chat of the conversation completes",
        "HTTP 500: Broken.",
    ),
    "continuity: streams that say nothing to be read": (
        CONTINUITY,
        given(answer({"said": "no stream"}), asks_in_stream),
        "a streamed chat of the conversation completes",
        "HTTP 200 without a readable text",
    ),
    "create: a title is needed": (
        CREATE,
        given(refusal(400, "A title, please."), lambda request: opens(request) and "title" not in sent_json(request)),
        f"{OPENED}, without a title as well",
        "HTTP 400: A title, please.",
    ),
    "continuity: stateless chats are remembered": (
        CONTINUITY,
        remembering(under=lambda name: name or "alone"),
        STATELESS,
        "it knows a code word of another chat",
    ),
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
    violation, *others = result.violations
    assert (violation.expected, violation.found) == (expected, said)
    assert [other.expected for other in others] == ([STATELESS_STREAMS] if expected == STATELESS else [])


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
    assert [violation.expected for violation in everywhere.violations] == [STATELESS, STATELESS_STREAMS]


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
    asked = ((number, request) for number, request in enumerate(sender.sent, 1) if "/v1/" in request.path)
    questions = [number for number, request in asked if asks_in_stream(request)]
    assert len(questions) == attempt
    assert remark.exchange == f"x{questions[-1]:04d}"


def test_a_fact_that_is_never_recalled_is_a_violation_of_a_tenant_whose_model_recalls() -> None:
    """The finding names the code word, so that the answers can be read, and is proved by the last of them."""
    sender = FakeSender(remembering(from_attempt=99), extensions)
    [violation] = found(CONTINUITY, sender=sender).violations
    assert re.fullmatch(r"a later chat knows the code word \([a-z]+-[0-9a-f]{4}\)", violation.expected)
    assert violation.found == f"{TRIES} answers without it"
    questions = [number for number, request in enumerate(sender.sent, 1) if asks_plainly(request)]
    assert len(questions) == TRIES + ASKED_AGAIN
    assert violation.exchange == f"x{questions[TRIES - 1]:04d}"


def test_a_fact_that_the_model_cannot_recall_in_one_request_either_is_not_held_against_the_tenant() -> None:
    """Blocked, for the operator to publish the alias with another model."""
    result = found(CONTINUITY, remembering(from_attempt=99, recalls=False))
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    lack = "the model behind field-analyst does not recall what the same request says"
    assert result.reason == f"{lack}: it says 'You told me none.'"
    assert result.remedy.startswith("Publish the alias field-analyst with a stronger model")
    assert [blocker.acts for blocker in result.blockers] == [Actor.SETUP]


def test_a_conversation_that_became_another_is_not_asked() -> None:
    """What another conversation knows says nothing of this one."""
    sender = FakeSender(given(ELSEWHERE, tells), remembering(), extensions)
    found(CONTINUITY, sender=sender)
    alone = [request for request in sender.sent if asks_alone(request) and not told_before(request)]
    assert not [request for request in sender.sent if asks(request)] + alone


def test_an_answer_need_not_name_its_conversation() -> None:
    """The header is documented of requests; an answer that leaves it out has not changed the conversation."""
    assert judged(CONTINUITY, remembering(named=False), extensions, tenant=TENANT).outcome is Outcome.CONFORMS


# -- streamed chats

NOT_STORED = remembering(stores=lambda request: not streamed(request))
ONLY_STREAMED: dict[str, tuple[Rule, str, str]] = {
    "they do not read": (
        remembering(reads=lambda request: not streamed(request)),
        r"a streamed chat knows the code word \([a-z]+-[0-9a-f]{4}\)",
        "streams without it, which plain chats know",
    ),
    "they are not stored": (
        NOT_STORED,
        r"a later chat knows what a streamed one said \([a-z]+-[0-9a-f]{4}\)",
        "answers without it",
    ),
}


@pytest.mark.parametrize(("rule", "expected", "said"), ONLY_STREAMED.values(), ids=ONLY_STREAMED)
def test_what_streamed_chats_alone_do_not_do_is_a_finding_of_theirs(rule: Rule, expected: str, said: str) -> None:
    """A conversation goes on in a streamed chat as well: it is read there, and what is said there is stored."""
    [violation] = found(CONTINUITY, rule).violations
    assert re.fullmatch(expected, violation.expected)
    assert violation.found == f"{TRIES} {said}"
    assert violation.remedy is not None
    assert "streamed chats" in violation.remedy


def test_a_tenant_that_passes_the_last_message_alone_on_violates() -> None:
    """Its conversations go on, so that the model recalls: what one request says reaches it in part."""
    [violation] = found(CONTINUITY, remembering(recalls=False)).violations
    assert "an earlier message of it says" in violation.expected
    assert violation.remedy is not None
    assert "every message of a chat" in violation.remedy


@pytest.mark.parametrize(
    "rule",
    [remembering(reads=streamed), remembering(stores=streamed)],
    ids=["they do not read", "they are not stored"],
)
def test_what_plain_chats_alone_do_not_do_violates_as_well(rule: Rule) -> None:
    """Streamed chats do not stand for plain ones."""
    [violation] = found(CONTINUITY, rule).violations
    assert violation.expected.startswith("a later chat knows the code word")


def test_a_model_that_does_one_thing_at_a_time_is_asked_for_one() -> None:
    """Where a stream that tells a fact does not answer the question, the question is asked by itself."""
    both = given(stream(ROLE, chunk({"content": "ok"}), FINISH, DONE), lambda request: "as well" in said_in(request))
    tenant = remembering()

    def rule(request: Request) -> Response | None:
        answered = tenant(request)
        return both(request) or answered  # type: ignore[return-value]

    assert found(CONTINUITY, rule).outcome is Outcome.CONFORMS


def test_streams_that_are_broken_everywhere_are_not_blamed_on_conversations() -> None:
    """Plain chats are judged, and the rest is blocked because of the finding of chat.streams."""
    calls = (CheckCall("chat.streams", "app"), CheckCall(CONTINUITY, "app"))
    sender = FakeSender(given(BROKEN, streamed), remembering(), extensions)
    session = run(plan_of(TENANT, *calls), sender)
    streams, continuity = (session.result(call) for call in calls)
    assert (streams.outcome, continuity.outcome) == (Outcome.VIOLATES, Outcome.BLOCKED)
    assert continuity.because == streams.violations[0].finding


# -- ids that no conversation has

LAST = "goes on in no conversation"
UNKNOWN: dict[str, tuple[Rule, Outcome]] = {
    "refused with a 403": (given(refusal(403, "No."), lambda request: bool(elsewhere(request))), Outcome.CONFORMS),
    "answered from the key's last conversation": (
        remembering(under=lambda name: CONVERSATION if name else None, refuses=False),
        Outcome.VIOLATES,
    ),
    "answered from nothing": (remembering(refuses=False), Outcome.CONFORMS),
    "a 5xx": (given(BROKEN, lambda request: bool(elsewhere(request))), Outcome.CONFORMS),
    "no answer": (given(GONE, lambda request: bool(elsewhere(request))), Outcome.CONFORMS),
}


def elsewhere(request: Request) -> bool:
    """A chat under an id that the tenant did not give."""
    return chats(request) and thread(request) not in {None, CONVERSATION}


@pytest.mark.parametrize(("rule", "outcome"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_id_that_no_conversation_has_leads_into_none(rule: Rule, outcome: Outcome) -> None:
    """A refusal says it best; only an answer that knows the key's conversation violates: no page says what is due."""
    sender = FakeSender(rule, remembering(), extensions)
    result = found(CONTINUITY, sender=sender)
    assert result.outcome is outcome
    assert all(violation.expected.endswith(LAST) for violation in result.violations)
    ids = [(thread(request), streamed(request)) for request in sender.sent if elsewhere(request)]
    assert len({name for name, _ in ids}) == 2
    asked = ids if outcome is Outcome.CONFORMS else ids[:-ASKED_AGAIN]
    assert sorted(how for _, how in asked) == [False, True]
    refused = rule is UNKNOWN["refused with a 403"][0]
    assert bool(result.advisories) == (not refused and outcome is Outcome.CONFORMS)


# -- whose finding it is


@pytest.mark.parametrize("reply", [BROKEN, GONE, EMPTY], ids=["a 5xx", "no answer", "an empty answer"])
def test_a_chat_that_fails_without_a_conversation_too_is_blocked(reply: Response | Reply) -> None:
    """Then nothing was told of the conversation's id: the finding is that of the chat, and has its remedy there."""
    result = found(CREATE, given(reply, chats))
    assert (result.outcome, result.remedy) == (Outcome.BLOCKED, "")
    assert result.reason.startswith("chat.completes does not hold: ")
    assert result.because


def test_a_conversation_that_works_costs_three_requests() -> None:
    """Opened with a title and without, and carried on once, beside the chat without it on which that rests."""
    sender = FakeSender(remembering(), extensions)
    found(CREATE, sender=sender)
    sent = [request for request in sender.sent if request.method == "POST"]
    assert ["title" in sent_json(request) for request in sent if opens(request)] == [True, False]
    assert [thread(request) for request in sent if chats(request)] == [None, "conversation-app"]


def test_one_key_opens_chats_and_uploads() -> None:
    """All under the one conversation, with the one key."""
    sender = FakeSender(remembering(), extensions)
    found(SAME_KEY, sender=sender)
    [chat] = [request for request in sender.sent if carries_on(request)]
    [upload] = [request for request in sender.sent if uploads(request)]
    assert {request.key for request in sender.sent} == {"app"}
    assert thread(chat) == thread(upload) == "conversation-app"


# -- chats that nobody gave a conversation

ON_REQUEST = "conversation.on_request"


def after_a_chat(*rules: Rule, strict: bool = False) -> tuple[CheckResult, FakeSender]:
    """What is said of conversations that chats open, where a run chats plainly and in a stream."""
    calls = (CheckCall("chat.completes", "app"), CheckCall("chat.streams", "app"), CheckCall(ON_REQUEST, None))
    sender = FakeSender(*rules, extensions)
    return run(plan_of(TENANT, *calls), sender, strict=strict).result(calls[-1]), sender


def test_a_chat_that_names_no_conversation_opens_none() -> None:
    """Nothing is sent for it: the answers of the run are read."""
    result, sender = after_a_chat(strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert not [request for request in sender.sent if thread(request) is not None]


@pytest.mark.parametrize("which", [chats, streamed], ids=["any chat", "a streamed chat"])
def test_a_chat_whose_answer_names_a_conversation_opened_it(which: Which) -> None:
    """The header is documented to carry the id of a conversation; one violation stands for all such answers."""

    def names(request: Request) -> Response | None:
        return said(request, "ok", "conv_7") if which(request) and not streamed(request) else None

    def streams(request: Request) -> Response | None:
        headers = (("content-type", "text/event-stream"), (CONVERSATION_HEADER.lower(), "conv_7"))
        return replace(said(request, "ok"), headers=headers) if which(request) and streamed(request) else None

    [violation] = after_a_chat(names, streams)[0].violations
    assert violation.expected == "a chat without the header opens no conversation"
    assert violation.found == "the answer names the conversation conv_7"


@pytest.mark.parametrize("is_taken", [True, False], ids=["a conversation", "nothing"])
def test_an_id_in_the_body_is_a_conversations_where_it_can_be_carried_on(*, is_taken: bool) -> None:
    """Any field may be called so; only what a further chat is taken under was opened."""
    body = COMPLETION | {"conversation_id": "conv_8"}
    refuses = given(refusal(404, "Unknown."), lambda request: not is_taken and carries_on(request))
    result, sender = after_a_chat(refuses, given(answer(body), lambda one: chats(one) and not streamed(one)))
    assert result.outcome is (Outcome.VIOLATES if is_taken else Outcome.CONFORMS)
    assert len(result.advisories) == (not is_taken)
    assert {thread(request) for request in sender.sent if carries_on(request)} == {"conv_8"}


def test_a_conversation_that_the_run_opened_was_not_opened_by_a_chat() -> None:
    """A tenant that goes on in the key's last conversation remembers without the header: another finding."""
    calls = (CheckCall(CREATE, "app"), CheckCall(ON_REQUEST, None))
    rule = given(answer(COMPLETION, x_gt_conversation_id=CONVERSATION), chats)
    assert run(plan_of(TENANT, *calls), FakeSender(rule, extensions)).result(calls[-1]).outcome is Outcome.CONFORMS


def test_where_no_chat_was_answered_its_finding_says_why() -> None:
    """Nothing can be read of what does not come."""
    result, _ = after_a_chat(given(BROKEN, chats))
    assert (result.outcome, result.remedy) == (Outcome.BLOCKED, "")
    assert result.because


# -- kept from others

ISOLATED = "conversation.isolated"
GUEST, READER = key("guest", purpose=Purpose.CONVERSATION), key("reader")
SHARED = tenant_of(key("app", purpose=Purpose.CONVERSATION), READER, GUEST)


def foreign(request: Request) -> bool:
    """A chat in a conversation of another key."""
    return carries_on(request) and thread(request) != f"conversation-{request.key}"


def isolation(*rules: Rule, tenant: Tenant = SHARED) -> tuple[CheckResult, FakeSender]:
    """What the check comes to where these rules answer before a tenant that keeps conversations apart."""
    keyless = given(refusal(401, "No key."), lambda request: request.key is None)
    apart = given(refusal(404, "Unknown."), foreign)
    sender = FakeSender(keyless, *rules, apart, remembering(refuses=False), extensions)
    return judged(ISOLATED, tenant=tenant, sender=sender), sender


def test_conversations_that_are_kept_apart_conform() -> None:
    """A key with conversations of its own is tried first, by both addresses; the next one by GT's own alone."""
    result, sender = isolation()
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    tried = [(one.key, "/v1/" in one.url, streamed(one)) for one in sender.sent if foreign(one)]
    both = [("guest", versioned, how) for how in (False, True) for versioned in (True, False)]
    assert sorted(tried) == sorted([*both, ("reader", True, False)])


OPEN: dict[str, Which] = {
    "to all": foreign,
    "in streams": lambda request: foreign(request) and streamed(request),
    "un-versioned": lambda request: foreign(request) and "/v1/" not in request.url,
    "to a key without conversations": lambda request: foreign(request) and request.key == "reader",
}


@pytest.mark.parametrize("which", OPEN.values(), ids=OPEN)
def test_a_conversation_that_others_read_is_one_finding(which: Which) -> None:
    """Whoever reads it, in whichever kind of chat."""
    tenant = remembering(refuses=False)
    rule: Rule = lambda request: (  # noqa: E731 - a rule
        tenant(request) if which(request) or (thread(request) == CONVERSATION and request.key == "app") else None
    )
    result, _ = isolation(rule)
    assert {violation.found for violation in result.violations} == {"it tells the code word of the conversation"}
    assert len({violation.finding for violation in result.violations}) == 1


def test_a_conversation_that_others_continue_unread_is_found_by_its_own_key() -> None:
    """They hear nothing; what they say is stored all the same."""
    tenant = remembering(reads=lambda request: request.key == "app", refuses=False)
    result, _ = isolation(lambda request: tenant(request) if chats(request) else None)
    assert [violation.found for violation in result.violations] == [
        "the conversation knows what another key said in it"
    ]


def test_chats_of_others_that_are_answered_from_nothing_violate_nothing() -> None:
    """A tenant may take them for chats without a conversation: nothing is read, nothing is stored."""
    result, _ = isolation(given(answer(COMPLETION), foreign))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_what_its_own_key_does_not_hear_shows_nothing_of_others() -> None:
    """Blocked: a tenant that forgets keeps nothing from anybody."""
    result, sender = isolation(remembering(stores=lambda _: False, refuses=False))
    assert result.outcome is Outcome.BLOCKED
    assert "does not hear the code word of its own conversation" in result.reason
    assert not [request for request in sender.sent if foreign(request)]


def test_chats_of_others_that_fail_anywhere_are_not_called_a_way_of_refusing() -> None:
    """A key whose chats fail without a conversation as well points at its model, in one finding."""
    result, _ = isolation(given(BROKEN, lambda request: chats(request) and request.key == "guest"))
    said = {(violation.remedy or "").partition(",")[0] for violation in result.violations}
    assert said == {f"Check the model behind {ALIAS}"}
    assert len({violation.finding for violation in result.violations}) == 1
    in_conversations = given(BROKEN, lambda request: foreign(request) and request.key == "guest")
    result, _ = isolation(in_conversations)
    assert {violation.remedy for violation in result.violations} == {
        "Have the tenant refuse with a 4xx, not with HTTP 500: it says that the tenant could not decide."
    }


# -- what a conversation key inherits

INHERITS = "conversation.inherits"
RAG = key("rag", scopes=frozenset({Scope.CHAT, Scope.EMBED}))
UP = key(
    "up",
    purpose=Purpose.UPLOAD,
    scopes=frozenset({Scope.DATASETS_WRITE}),
    models=None,
    datasets=frozenset({"scratch"}),
    conversation_uploads=True,
)
APP = key(
    "app",
    purpose=Purpose.CONVERSATION,
    inherits=("rag", "up"),
    scopes=frozenset({Scope.CHAT, Scope.EMBED, Scope.DATASETS_WRITE}),
    datasets=frozenset({"scratch"}),
)
LINKED = tenant_of(APP, RAG, UP, dataset="scratch")
MODELS, EMBEDDINGS, DATASET = "/v1/models", "/v1/embeddings", "/v1/datasets/scratch/files"
LINKED_UPLOAD = given(
    answer({"id": "file-up"}, 202), lambda one: one.key == "up" and uploads(one) and thread(one) == CONVERSATION
)


def listing(*names: str) -> Response:
    """A model list of these names."""
    return answer({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


def inheritance(*rules: Rule, tenant: Tenant = LINKED, app: Credential = APP) -> CheckResult:
    """What the check comes to where these rules answer before a tenant whose conversation key has all."""
    keys = {**tenant.credentials, "app": app}
    return judged(INHERITS, *rules, LINKED_UPLOAD, extensions, tenant=replace(tenant, credentials=keys))


def test_a_conversation_key_that_has_what_its_links_have_conforms() -> None:
    """Its names, its scopes and its dataset are tried, and the upload key's own right in its conversation."""
    sender = FakeSender(LINKED_UPLOAD, extensions)
    result = judged(INHERITS, tenant=LINKED, sender=sender)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    asked = {(request.key, place(request)) for request in sender.sent if not is_control(request)}
    assert {("app", EMBEDDINGS), ("app", DATASET), ("up", "/v1/conversations/files")} <= asked
    assert ("rag", EMBEDDINGS) not in asked


LACKING: dict[str, tuple[tuple[Rule, ...], str]] = {
    "a name": ((by("app", listing(), at=[MODELS]),), "not listed: field-analyst"),
    "no name of others": (
        (by("app", listing(ALIAS, "other"), at=[MODELS]),),
        "listed though not allowed: other",
    ),
    "a scope": ((by("app", refusal(403, "No scope."), at=[EMBEDDINGS]),), "HTTP 403: No scope."),
    "a scope that fails": ((by("app", BROKEN, at=[EMBEDDINGS]),), "HTTP 500: Broken."),
    "a dataset": ((by("app", refusal(404, "No dataset."), at=[DATASET]),), "HTTP 404: No dataset."),
    "the upload key's right": (
        (by("up", refusal(403, "No right."), at=["/v1/conversations/files"]),),
        "HTTP 403: No right.",
    ),
}


@pytest.mark.parametrize(("rules", "said"), LACKING.values(), ids=LACKING)
def test_what_a_conversation_key_has_not_like_its_links_violates(rules: tuple[Rule, ...], said: str) -> None:
    """Each is a violation of its own; the linked key has it."""
    [violation] = inheritance(*rules).violations
    assert violation.found == said


REFUSED_TO_BOTH: dict[str, tuple[Rule, ...]] = {
    "a scope": (by("app", refusal(403), at=[EMBEDDINGS]), by("rag", refusal(403), at=[EMBEDDINGS])),
    "a dataset": (by("app", refusal(403), at=[DATASET]), by("up", refusal(403), at=[DATASET])),
    "the list of models": (by("app", BROKEN, at=[MODELS]), by("rag", BROKEN, at=[MODELS])),
}


@pytest.mark.parametrize("rules", REFUSED_TO_BOTH.values(), ids=REFUSED_TO_BOTH)
def test_what_the_linked_key_is_refused_as_well_is_no_inheritance(rules: tuple[Rule, ...]) -> None:
    """Blocked because of the finding of the route, or for the operator; nothing violates here."""
    result = inheritance(*rules)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())


def test_a_list_that_the_tenant_file_and_the_linked_key_do_not_agree_on_is_not_held_against_this_one() -> None:
    """The linked key lists another name than its file declares: that is a finding of that list, whichever is right."""
    for names in ((ALIAS,), ("other",)):
        rules = (by("rag", listing("other"), at=[MODELS]), by("app", listing(*names), at=[MODELS]))
        assert inheritance(*rules).outcome is Outcome.CONFORMS


NARROWER = replace(APP, scopes=frozenset({Scope.CHAT, Scope.DATASETS_WRITE}), unsure=Unsure(frozenset({Scope.EMBED})))


@pytest.mark.parametrize("reply", [refusal(403), None], ids=["narrow", "as its links"])
def test_a_conversation_key_that_is_declared_narrower_than_its_links_is_asked_for_what_is_certain(
    reply: Response | None,
) -> None:
    """Whether it embeds is unknown: neither a refusal nor an answer violates anything."""
    rules = () if reply is None else (by("app", reply, at=[EMBEDDINGS]),)
    assert inheritance(*rules, app=NARROWER).outcome is Outcome.CONFORMS
    strangers = FakeSender(*rules, extensions)
    keys = tenant_of(NARROWER, RAG)
    enforced = judged("key.scope_enforced", tenant=keys, sender=strangers)
    assert not [violation for violation in enforced.violations if "embeddings" in violation.expected]
    assert ("app", EMBEDDINGS) not in {(one.key, place(one)) for one in strangers.sent}


def test_names_that_are_unsure_may_be_listed_or_not() -> None:
    """A narrower list beside the links says both."""
    narrower = replace(APP, models=frozenset(), unsure=Unsure(models=frozenset({ALIAS})))
    for names in ((), (ALIAS,)):
        assert inheritance(by("app", listing(*names), at=[MODELS]), app=narrower).outcome is Outcome.CONFORMS


def test_an_upload_of_a_key_whose_links_may_not_is_not_held_against_the_tenant() -> None:
    """The linked upload key is declared without the right: a refusal is due."""
    app = replace(APP, conversation_uploads=False)
    rule = by("app", refusal(403, "No."), at=["/v1/conversations/files"])
    result = judged(SAME_KEY, rule, remembering(), extensions, tenant=tenant_of(app, RAG, UP))
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert "conversation_uploads" in result.remedy


def test_a_read_only_run_judges_what_creates_nothing() -> None:
    """Names and scopes; the dataset and the conversation are blocked."""
    found = inheritance(by("app", listing(ALIAS, "other"), at=[MODELS]), tenant=replace(LINKED, read_only=True))
    assert [violation.found for violation in found.violations] == ["listed though not allowed: other"]
    assert {blocker.reason.partition(": ")[2] for blocker in found.blockers} == {READ_ONLY[0]}


def test_scopes_that_no_linked_key_declares_are_not_guessed() -> None:
    """Blocked, with the line to add; names are judged all the same."""
    keys = tenant_of(replace(APP, scopes=None), replace(RAG, scopes=None), UP, dataset="scratch")
    result = judged(INHERITS, LINKED_UPLOAD, extensions, tenant=keys)
    assert result.outcome is Outcome.BLOCKED
    assert "the scopes of a linked key are not declared" in result.reason


@pytest.mark.parametrize(
    ("app", "taken"), [(APP, True), (replace(APP, inherits=()), False)], ids=["linked", "unlinked"]
)
def test_a_conversation_key_without_links_is_asked_for_nothing_inherited(app: Credential, *, taken: bool) -> None:
    """The row of an unlinked key does not take the check: it is neither green by half nor blocked."""
    planned = make_plan(tenant_of(app, RAG, UP, dataset="scratch"), load_directory(resources.runbooks_dir()))
    assert (INHERITS in {call.check for call in planned.distinct}) == taken

"""The model is not the tenant: asked again where it says nothing, and not blamed on the tenant where it cannot."""

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance import session, tenant
from gt_conformance.checks import CheckCall, CheckResult, Parameters, Probe, checks
from gt_conformance.checks._capability import QUESTION, TRIES, fact_of, is_masked, names_fact, tell
from gt_conformance.checks._requests import MADE_UP_ID, MALFORMED_ID
from gt_conformance.exchange import Request, Response
from gt_conformance.runner import Runner
from gt_conformance.tenant import TenantKind
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Outcome, Purpose, RemarkKind
from gt_sandbox import EmbeddedTenant
from gt_sandbox.variants import VARIANTS, model, select_variants
from gt_sandbox.variants.model import EMPTY_SHARE
from prove._process import bundled
from tests import fake_tenant
from tests.direct import judge
from tests.fake_tenant import (
    ASKED_AGAIN,
    CALLED,
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    FakeSender,
    Rule,
    answer,
    changed,
    chunk,
    extensions,
    judged,
    key,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
)

APP = tenant_of(key("app", purpose=Purpose.CONVERSATION))
CHECKS = (
    "chat.completes",
    "chat.roles",
    "chat.tools",
    "chat.structured_output",
    "chat.streams",
    "conversation.create",
    "conversation.continuity",
    "conversation.same_key",
)
"""The checks that need words of the model."""


def says(text: str, finish: str = "stop") -> Response:
    """A completion with this text."""
    return answer(changed(COMPLETION, {"choices.0.message.content": text, "choices.0.finish_reason": finish}))


def streams(*text: str, finish: str = "stop") -> Response:
    """A stream with these texts."""
    return stream(ROLE, *(chunk({"content": one}) for one in text), chunk({}, finish), DONE)


def is_chat(request: Request) -> bool:
    """A chat, streamed or not."""
    return request.path.endswith("chat/completions")


def conversing(*, forgets: bool = False, model: Callable[[list[str]], str] | None = None) -> Rule:
    """A tenant with conversations, whose model sees what the tenant hands it: the texts of all messages.

    The tenant ``forgets`` if it hands on what stands in the request alone.
    """
    stored: dict[str, list[str]] = {}

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        thread = dict(request.headers).get(CONVERSATION_HEADER)
        handed_on = thread or len(body.get("messages", ())) > 1
        if not is_chat(request) or {"response_format", *([] if handed_on else ["tools", "stream"])} & body.keys():
            return None
        if thread not in {None, f"conversation-{request.key}"}:
            return refusal(404, "There is no such conversation.")
        history = stored.setdefault(thread, []) if thread and not forgets else []
        history += [str(message["content"]) for message in body["messages"]]
        if "tool_choice" in body:
            return None
        said = (model or recalling)(history)
        return streams(said) if body.get("stream") else says(said)

    return rule


def recalling(history: list[str]) -> str:
    """A model that knows what it was told."""
    if "JSON object" in history[-1]:
        return '{"answer": "ok"}'
    asked = re.findall(r"What is the ([a-z ]+) that I", history[-1])
    told = [found[1] for fact in asked if (found := re.search(rf"the {fact} is (\S+)\.", " ".join(history)))]
    return " ".join(f"It is {value}." for value in told) or "ok"


def ignorant(history: list[str]) -> str:
    """A model that knows nothing, and says so in the words of the question."""
    return "I do not know the code word that you gave me." if QUESTION in history[-1] else "ok"


def echoing(history: list[str]) -> str:
    """A model that repeats all that it was handed."""
    return " ".join(history)


def result(check: str, *rules: Rule, parameters: Parameters | None = None) -> CheckResult:
    """What the check comes to where these rules answer before a tenant with conversations."""
    return judged(check, *rules, conversing(), extensions, tenant=APP, parameters=parameters)


# -- asked again

EMPTY = {"plain": ("chat.completes", says("")), "streamed": ("chat.streams", streams())}


def first(count: int, response: Response, *, streamed: bool) -> tuple[Rule, list[Request]]:
    """A rule that gives this response to so many chats, streamed ones or others; and the chats of that kind."""
    asked: list[Request] = []

    def rule(request: Request) -> Response | None:
        if not is_chat(request) or bool(sent_json(request).get("stream")) != streamed:
            return None
        asked.append(request)
        return response if len(asked) <= count else None

    return rule, asked


@pytest.mark.parametrize(("check", "empty"), EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("count", [1, TRIES - 1])
def test_a_model_that_says_nothing_is_asked_again(check: str, empty: Response, count: int) -> None:
    """The first answer with text is judged; that it came late is remarked."""
    rule, asked = first(count, empty, streamed=check == "chat.streams")
    found = result(check, rule)
    assert (found.outcome, found.reason) == (Outcome.CONFORMS, "")
    assert [item.text for item in found.remarks] == [f"the model answered at attempt {count + 1} only"]
    assert found.advisories == ()
    assert len(asked) == count + 1


@pytest.mark.parametrize(("check", "empty"), EMPTY.values(), ids=EMPTY)
def test_a_model_that_never_says_anything_is_a_violation(check: str, empty: Response) -> None:
    """That a chat completes is promised: after the last attempt it did not."""
    rule, asked = first(99, empty, streamed=check == "chat.streams")
    found = result(check, rule)
    assert found.outcome is Outcome.VIOLATES
    assert len(asked) == TRIES + ASKED_AGAIN


@pytest.mark.parametrize("check", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize(
    ("finish", "said"), [("length", "used up its token limit"), ("content_filter", "content filter")]
)
def test_an_empty_answer_that_names_its_reason_is_blocked(check: tuple[str, Response], finish: str, said: str) -> None:
    """Once among empty answers is enough: it is the model's limit, or the model's filter."""
    id_, empty = check
    streamed = id_ == "chat.streams"
    once, _ = first(1, streams(finish=finish) if streamed else says("", finish), streamed=streamed)
    then, _ = first(99, empty, streamed=streamed)
    found = result(id_, once, then)
    assert (found.outcome, found.violations) == (Outcome.BLOCKED, ())
    assert said in found.reason
    assert [blocker.acts for blocker in found.blockers] == [Actor.SETUP]


@pytest.mark.parametrize(
    ("limit", "remedy"),
    [
        ({}, "Give the alias field-analyst a larger token limit"),
        ({"token_limit": "max_tokens"}, "Raise limits.completion_tokens in the tenant file (256)."),
        ({"token_limit": "max_tokens", "token_limit_value": 99}, "this client allows 99 tokens."),
    ],
)
@pytest.mark.parametrize("check", EMPTY)
def test_a_limit_that_was_used_up_is_raised_where_it_was_set(check: str, limit: dict[str, Any], remedy: str) -> None:
    """In the tenant file, at the alias, or nowhere: a client's own limit asks for another model."""
    streamed = check == "streamed"
    used_up, _ = first(99, streams(finish="length") if streamed else says("", "length"), streamed=streamed)
    found = result(EMPTY[check][0], used_up, parameters=Parameters(**limit))
    assert found.outcome is Outcome.BLOCKED
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "wrong",
    [
        refusal(500),
        answer({"choices": []}),
        answer({"choices": [{"message": {"role": "assistant", "content": []}}]}),
        answer({"choices": [{"message": "none"}]}),
        answer({"error": {"message": "no"}}),
        answer("", kind="text/plain"),
    ],
    ids=["500", "no choice", "no text for content", "no message", "an error", "nothing"],
)
def test_what_is_no_answer_of_a_model_is_not_asked_for_again(wrong: Response) -> None:
    """A tenant that fails is judged by its first answer; the end of a run asks whether it does so each time."""
    rule, asked = first(99, wrong, streamed=False)
    assert result("chat.completes", rule).outcome is Outcome.VIOLATES
    assert len(asked) == 1 + ASKED_AGAIN


def test_a_model_that_answers_is_asked_once() -> None:
    """No check costs a good tenant more requests than what it asks for."""
    sender = FakeSender(conversing(), extensions)
    assert judged("conversation.continuity", tenant=APP, sender=sender).outcome is Outcome.CONFORMS
    chats = [(sent_json(request), request.headers) for request in sender.sent if is_chat(request)]
    assert len(chats) == len({str(chat) for chat in chats})
    made_up = {MADE_UP_ID, MALFORMED_ID}
    asked = [(body, dict(headers).get(CONVERSATION_HEADER)) for body, headers in chats]
    asked = [(body, thread) for body, thread in asked if thread not in made_up]
    assert len(asked) == len({(str(body["messages"]), body.get("stream"), thread) for body, thread in asked})


@pytest.mark.parametrize("seed", range(40))
def test_no_verdict_hangs_on_a_model_that_is_sometimes_empty(seed: int) -> None:
    """Each check that needs words of the model conforms, strictly too, whichever twentieth of the answers is empty."""
    chance = random.Random(seed)  # noqa: S311 - a choice, not a secret

    def moody(request: Request) -> Response | None:
        refused = dict(request.headers).get(CONVERSATION_HEADER) in {MADE_UP_ID, MALFORMED_ID}
        if not is_chat(request) or refused or chance.random() >= EMPTY_SHARE:
            return None
        return streams() if sent_json(request).get("stream") else says("")

    calls = [CheckCall(check, "app", Parameters()) for check in CHECKS]
    judging = run(plan_of(APP, *calls), FakeSender(moody, conversing(), extensions), strict=True)
    assert {call.check: judging.result(call).reason for call in calls} == dict.fromkeys(CHECKS, "")


# -- code words


@pytest.mark.parametrize(
    "spelled",
    [
        "dorvan-4f2a",
        "DORVAN-4F2A!",
        "Das Codewort lautet „Dorvan 4f2a“.",
        "d o r v a n - 4 f 2 a",
        "**Dorvan**\u20114F2A",
        "\uff44\uff4f\uff52\uff56\uff41\uff4e 4f2a",
        "كلمة السر هي dorvan-٤f٢a",
    ],
)
def test_a_code_word_is_known_however_it_is_written(spelled: str) -> None:
    """Case, punctuation, spaces, width of letters, a script's digits and the language around it are the model's."""
    assert names_fact(spelled, "dorvan-4f2a")


@pytest.mark.parametrize(
    "other",
    [
        "",
        "I do not know the code word.",
        QUESTION,
        "dorvan",
        "4f2a",
        "dorvan-4f2",
        '{"id":"chatcmpl-904f2ac1","object":"chat.completion.chunk","choices":[{"delta":{"content":"dorvan-77b0"}}]}',
        '{"delta":{"content":"dorvan-77b0"},"logprobs":null,"finish_reason":null}]}\n\ndata: {"id":"chatcmpl-904f2ac1"',
    ],
)
def test_what_does_not_name_the_code_word_is_not_taken_for_it(other: str) -> None:
    """The words of the question, half a code word, an excuse, and the digits of an id beside another word are none."""
    assert not names_fact(other, "dorvan-4f2a")


@pytest.mark.parametrize(
    "said",
    [
        "The code word is lumvara-d#bc.",
        "**lumvara-####**",
        "lumvara-[REDACTED]",
        'It is "<NAME>-d4bc".',
        "LUMVARA-xxxx",
        "l******-d4bc",
    ],
)
def test_signs_in_place_of_a_part_of_the_code_word_are_a_mask(said: str) -> None:
    """Of one letter or several, whatever the sign: the model knows the word, and something behind it masks it."""
    assert is_masked(said, "lumvara-d4bc")


@pytest.mark.parametrize("said", ["[" * 1_000_000, "<{(" * 300_000, "[" + "A" * 1_000_000, "a#" * 500_000])
def test_a_mask_is_looked_for_once_in_whatever_is_said(said: str) -> None:
    """A search that began anew at each character of these would take hours."""
    assert not is_masked(said, "lumvara-d4bc")


@pytest.mark.parametrize(
    "said", ["lumvara", "**lumvara**", "lumvara-d4b", "kestrin-####", "# Answer", "#4", "lumvara-?", "[NAME]", "xx"]
)
def test_another_word_or_half_of_it_is_no_mask(said: str) -> None:
    """What a model makes up, forgets or formats is its own."""
    assert not is_masked(said, "lumvara-d4bc")


def test_each_code_word_is_another_and_stands_in_what_is_told() -> None:
    """Of each run and each purpose there is one of its own: nobody knows it from elsewhere."""
    call = CheckCall(CONTINUITY, "chat")
    probes = [
        Probe(Runner(plan_of(fake_tenant.TENANT, call), FakeSender, run_id=f"r{number}"), checks()[CONTINUITY], call)
        for number in range(10)
    ]
    facts = {fact_of(probe, purpose) for probe in probes for purpose in ("one", "another")}
    assert len(facts) == 20
    assert facts == {fact_of(probe, purpose) for probe in probes for purpose in ("one", "another")}
    assert all(names_fact(tell(fact), fact) and not names_fact(QUESTION, fact) for fact in facts)


# -- what the model cannot do

CONTINUITY = "conversation.continuity"


def test_a_tenant_that_forgets_is_found_where_its_model_recalls() -> None:
    """The same question is answered within one request, and not over the conversation."""
    found = result(CONTINUITY, conversing(forgets=True))
    assert found.outcome is Outcome.VIOLATES
    assert [violation.found for violation in found.violations] == [f"{TRIES} answers without it"]


@pytest.mark.parametrize("forgets", [False, True])
def test_a_model_that_cannot_recall_blocks(forgets: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """Then nothing tells whether the tenant forgets."""
    found = result(CONTINUITY, conversing(forgets=forgets, model=ignorant))
    assert (found.outcome, found.violations) == (Outcome.BLOCKED, ())
    assert "recall what the same request says" in found.reason
    assert "stronger model" in found.remedy


def test_a_model_that_echoes_does_not_hide_a_tenant_that_forgets() -> None:
    """The question does not hold the code word, so that repeating it is no answer."""
    assert result(CONTINUITY, conversing(model=echoing)).outcome is Outcome.CONFORMS
    assert result(CONTINUITY, conversing(forgets=True, model=echoing)).outcome is Outcome.VIOLATES


def test_a_model_that_recalls_one_time_in_two_is_not_able() -> None:
    """What it does not do reliably in one request proves nothing of a conversation."""
    heard: Counter[str] = Counter()

    def unsteady(history: list[str]) -> str:
        heard[request := " ".join(history)] += 1  # other chats are under way at the same time
        return ignorant(history) if heard[request] % 2 else recalling(history)

    assert result(CONTINUITY, conversing(forgets=True, model=unsteady)).outcome is Outcome.BLOCKED


def test_where_the_model_is_not_heard_at_all_nothing_is_said_of_what_it_can() -> None:
    """A history that is refused is the finding of chat.roles; here it blocks, without a word on models."""

    def refuses(request: Request) -> Response | None:
        return refusal(422) if len(sent_json(request).get("messages", ())) > 1 else None

    found = result(CONTINUITY, refuses, conversing(forgets=True))
    assert found.outcome is Outcome.BLOCKED
    assert "is unknown: HTTP 422" in found.reason
    assert "stronger" not in found.remedy


def uncalled(request: Request) -> Response | None:
    """A chat that is not streamed calls no tool."""
    return says("Rain.") if is_chat(request) and not sent_json(request).get("stream") else None


def uncalled_anywhere(request: Request) -> Response | None:
    """A chat calls no tool, streamed or not."""
    return streams("Rain.") if is_chat(request) and sent_json(request).get("stream") else uncalled(request)


def test_tools_that_are_never_called_block() -> None:
    """Accepted, and called neither by choice nor when told to, whole or streamed: the model's."""
    found = result("chat.tools", uncalled_anywhere)
    assert (found.outcome, found.violations) == (Outcome.BLOCKED, ())
    assert "does not call the tool that it is ordered to call" in found.reason


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('<tool_call>{"name": "get_weather"}</tool_call>', "read tool calls out of what the model writes"),
        ("<think>Oslo, then.</think>Fine.", "'<think>' is in what it says"),
        ("!!!!!!!!", "it writes one character again and again"),
        ("Fine.", "with a stronger model"),
        ("!!!", "with a stronger model"),
    ],
)
def test_what_is_said_in_place_of_a_tool_call_tells_what_to_look_at(said: str, words: str) -> None:
    """The model may be able, and its server set up for another one; what it said is quoted."""

    def say(request: Request) -> Response | None:
        is_streamed = is_chat(request) and sent_json(request).get("stream")
        return streams(said) if is_streamed else uncalled(request)

    found = result("chat.tools", say)
    assert found.outcome is Outcome.BLOCKED
    assert words in found.remedy
    assert said[:20] in found.reason


def test_tools_that_the_same_model_calls_in_streams_are_dropped_by_the_tenant() -> None:
    """What it is told in a stream it is not told otherwise."""
    [called] = CALLED["choices"][0]["message"]["tool_calls"]

    def calls(request: Request) -> Response | None:
        body = sent_json(request)
        delta = chunk({"tool_calls": [{"index": 0, **called}]})
        return stream(ROLE, delta, FINISH, DONE) if {"tools", "stream"} <= body.keys() else None

    found = result("chat.tools", calls, uncalled)
    assert found.outcome is Outcome.VIOLATES
    assert "not streamed" in found.violations[0].found


def test_a_named_tool_choice_that_is_refused_shows_no_ability() -> None:
    """Refused by name it is a remark; that the model can call is then not shown."""

    def refuses(request: Request) -> Response | None:
        named = isinstance(sent_json(request).get("tool_choice"), dict)
        return refusal(400, "tool_choice: auto only") if named else uncalled(request)

    found = result("chat.tools", refuses)
    assert found.outcome is Outcome.BLOCKED
    assert [item.text for item in found.advisories] == ["tool_choice that names the function is not accepted"]


def test_arguments_that_the_token_limit_cuts_off_block() -> None:
    """With finish_reason length they are the model's, whatever it does in a stream."""
    cut = changed(
        CALLED,
        {
            "choices.0.message.tool_calls.0.function.arguments": '{"city": "Os',
            "choices.0.finish_reason": "length",
        },
    )

    assert result("chat.tools", calling(cut)).outcome is Outcome.BLOCKED


WRONG: dict[str, dict[str, str]] = {
    "arguments that are no JSON": {"arguments": "city = Oslo"},
    "no arguments": {"arguments": ""},
    "a tool that was not offered": {"name": "search_web"},
}


def calling(body: dict[str, Any], *, streams: bool = True, times: int = 1_000) -> Rule:
    """Each chat with tools is answered with this body, but for streams, or so many times only."""
    left = iter(range(times))

    def rule(request: Request) -> Response | None:
        asked = sent_json(request)
        meant = "tool_choice" in asked and (streams or not asked.get("stream"))
        return answer(body) if meant and next(left, None) is not None else None

    return rule


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_call_that_is_wrong_is_the_tenants_only_where_streams_have_it_right(wrong: dict[str, str]) -> None:
    """Wrong both ways the model writes it so; wrong at first only, the later one counts and the delay is remarked."""
    where = "choices.0.message.tool_calls.0.function"
    broken = changed(CALLED, {f"{where}.{name}": value for name, value in wrong.items()})
    found = result("chat.tools", calling(broken, streams=False))
    assert found.outcome is Outcome.VIOLATES
    model = result("chat.tools", calling(broken))
    assert model.outcome is Outcome.BLOCKED
    assert "writes tool calls that nothing can carry out" in model.reason
    late = result("chat.tools", calling(broken, times=1))
    assert late.outcome is Outcome.CONFORMS
    assert [remark.kind for remark in late.remarks] == [RemarkKind.LATE]


@pytest.mark.parametrize(("wanted", "able"), [("Sure: ```json\n{}\n```", True), ("{no}", False), ("Yes.", False)])
def test_prose_for_json_blocks_where_the_model_gives_none_either(wanted: str, *, able: bool) -> None:
    """Where it gives JSON when asked in words, the tenant does not honour the field: a remark, as no clause asks it."""

    def prose(request: Request) -> Response | None:
        body = sent_json(request)
        if "response_format" in body:
            return says("The answer is ok.")
        return says(wanted) if is_chat(request) and "JSON object" in str(body["messages"]) else None

    found = result("chat.structured_output", prose)
    assert found.outcome is (Outcome.CONFORMS if able else Outcome.BLOCKED)
    assert bool(found.advisories) == able


# -- in a run

LACKING = [variant.name for variant in model.VARIANTS if variant.lacks]


@pytest.mark.runs
@pytest.mark.unmeasured
@pytest.mark.parametrize("name", LACKING)
def test_what_the_model_lacks_is_blocked_by_its_name_and_never_held_against_the_tenant(name: str) -> None:
    """In a run of runbooks that use all of it: what is blocked says what is missing, and how to get it."""
    made = select_variants((name,))
    with EmbeddedTenant(middleware=made.middleware) as running:
        under_test = tenant.from_mapping(
            running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )
        planned = session.plan(under_test, bundled())  # some checks are left to runs of all
        wanted = ("vercel-ai-sdk-", "hermes-chat", "llamaindex-conversation_files")
        planned = replace(planned, cases=tuple(case for case in planned.cases if case.id.startswith(wanted)))
        found = judge(planned, running)["findings"]
    assert not [item for item in found if item["outcome"] == Outcome.VIOLATES]
    blocked = [item for item in found if item["outcome"] == Outcome.BLOCKED]
    assert blocked
    assert all(VARIANTS[name].lacks in item["proofs"][0]["found"] for item in blocked)
    assert {item["acts"] for item in blocked} == {Actor.SETUP}

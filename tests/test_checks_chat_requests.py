"""What the chat checks send: the shape of a client's chats, tools and their results, loads, fields one by one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckResult, Parameters
from gt_conformance.exchange import Request, Response
from gt_conformance.tenant import Limits
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CALL,
    COMPLETION,
    HTML_PAGE,
    FakeSender,
    answer,
    changed,
    judged,
    refusal,
    sent_json,
    to,
)
from tests.test_checks_chat import (
    CHAT,
    FIELDS,
    LIMIT,
    LOAD,
    STREAMED_LOAD,
    VIOLATIONS,
    all_at_once,
    from_developer,
    has_result,
    in_a_row,
    of_parts,
)


def sent(check: str, parameters: Parameters) -> list[dict[str, Any]]:
    """The bodies of the chats that a check sends."""
    sender = FakeSender()
    judged(check, parameters=parameters, sender=sender)
    return [sent_json(request) for request in sender.sent if request.path.endswith(CHAT)]


def test_a_chat_is_sent_in_the_shape_of_the_client() -> None:
    """The client's fields and its limit field are sent: the client's own value, else the tenant file's."""
    [body] = sent("chat.completes", Parameters(token_limit="max_tokens", fields=(("user", "u"),)))
    assert body.keys() == {"model", "messages", "max_tokens", "user"}
    assert body["max_tokens"] == Limits().completion_tokens
    [body] = sent("chat.completes", LIMIT)
    assert body["max_tokens"] == 65_536
    [body] = sent("chat.completes", Parameters())
    assert body.keys() == {"model", "messages"}


def test_the_published_name_is_looked_for_in_the_stream_of_clients_that_stream() -> None:
    """The stream is asked for where the client streams, with usage where it asks for that."""
    assert [body.get("stream") for body in sent("chat.model_is_published", Parameters())] == [None]
    [streamed] = sent("chat.model_is_published", Parameters(stream=True, stream_usage=True))
    assert streamed["stream_options"] == {"include_usage": True}


def test_the_name_in_a_stream_is_proved_by_that_stream() -> None:
    """A wrong name in the stream is proved by the stream, not by the plain answer that was right."""
    case = VIOLATIONS["published: a name in the stream"]
    sender = FakeSender(case.rule)
    [violation] = judged(case.check, parameters=case.parameters, sender=sender).violations
    assert violation.exchange is not None
    number = int(violation.exchange.removeprefix("x"))
    assert sent_json(sender.sent[number - 1]).get("stream") is True


def test_a_tools_result_is_sent_back() -> None:
    """The call that came is sent back with a result under its id."""
    answered = next(body for body in sent("chat.tools", Parameters()) if has_result(body))
    assert answered["messages"][1]["tool_calls"] == [CALL]
    assert answered["messages"][2]["tool_call_id"] == "call_1"


def test_a_model_that_calls_nothing_is_sent_no_result() -> None:
    """Where no tool is called, there is nothing to answer."""
    sender = FakeSender(to(CHAT, answer(COMPLETION), when=lambda body: not body.get("stream")))
    judged("chat.tools", sender=sender)
    assert not [request for request in sender.sent if request.path.endswith(CHAT) and has_result(sent_json(request))]


def test_a_call_that_only_a_named_choice_makes_is_answered_too() -> None:
    """Where the model calls nothing by itself, the call that it is made to make gets its result."""
    told = answer(changed(COMPLETION, {"choices.0.message.content": "It is 4 degrees."}))
    calls_nothing = to(CHAT, answer(COMPLETION), when=lambda body: body.get("tool_choice") == "auto")
    sender = FakeSender(to(CHAT, told, when=has_result), calls_nothing)
    assert judged("chat.tools", sender=sender).outcome is Outcome.CONFORMS
    assert [has_result(sent_json(request)) for request in sender.sent if request.path.endswith(CHAT)] == [
        False,
        False,  # by the un-versioned address, where no route is
        False,
        True,
    ]


@pytest.mark.parametrize("check", ["chat.tools", "chat.message_forms"])
def test_a_call_in_the_history_is_of_an_offered_tool(check: str) -> None:
    """A request that carries a tool's result offers the tool, as clients do; one that carries none need not."""
    refused = to(CHAT, refusal(400), when=lambda body: in_a_row(body) and has_result(body))
    sender = FakeSender(refused)
    judged(check, sender=sender)
    bodies = [sent_json(request) for request in sender.sent if request.path.endswith(CHAT)]
    assert [body for body in bodies if has_result(body)]
    assert not [body for body in bodies if has_result(body) and "tools" not in body]
    assert check == "chat.tools" or [body for body in bodies if "tools" not in body]


def test_message_forms_are_sent_in_one_chat_and_one_by_one_only_where_that_fails() -> None:
    """One chat holds every form: the roles of all of them, two user messages in a row, and a list of parts."""
    [body] = sent("chat.message_forms", Parameters())
    assert {message["role"] for message in body["messages"]} == {"system", "developer", "user", "assistant", "tool"}
    assert in_a_row(body)
    assert of_parts(body)
    sender = FakeSender(to(CHAT, refusal(400), when=from_developer))
    judged("chat.message_forms", sender=sender)
    with_everything, together, alone = 1, 1, 8
    assert len([one for one in sender.sent if one.path.endswith(CHAT)]) == with_everything + together + alone


def test_text_in_any_script_is_taken_whatever_the_clients_send() -> None:
    """A tenant that fails at an emoji violates, also where no client sends other forms; one that takes it does not."""
    fails = to(CHAT, refusal(500), when=lambda body: "\U0001f680" in json.dumps(body, ensure_ascii=False))
    found = judged("chat.message_forms", parameters=Parameters(required=False), sender=FakeSender(fails))
    assert [violation.expected for violation in found.violations] == [
        "text with Chinese, Hebrew and emoji is accepted with 2xx"
    ]
    assert judged("chat.message_forms", parameters=Parameters(required=False)).outcome is Outcome.CONFORMS


def refused_code(response: Response) -> CheckResult:
    """What is said of a tenant that answers so to source code."""
    rule = to(CHAT, response, when=lambda body: "<script" in json.dumps(body))
    return judged("chat.message_forms", parameters=Parameters(required=False), sender=FakeSender(rule))


def test_source_code_is_taken_whatever_the_clients_send() -> None:
    """A firewall that takes it for an attack violates, with a web page too; a filter of the model is advised."""
    for refused in (replace(HTML_PAGE, status=403), refusal(403, "Blocked.")):
        [violation] = refused_code(refused).violations
        assert violation.expected == "text with source code (SQL, HTML, shell, templates) is accepted with 2xx"
        assert "firewall" in (violation.remedy or "")
    filtered = refused_code(refusal(400, "The prompt triggered the content filter."))
    assert filtered.outcome is Outcome.CONFORMS
    assert any("a content filter refuses" in advisory.text for advisory in filtered.advisories)


def test_a_result_that_no_answer_mentions_is_advised_where_the_model_can_read() -> None:
    """The model says what a user tells it, and nothing of what a tool answered: advised, since no page promises it."""

    def reads(request: Request) -> Response | None:
        said = sent_json(request)["messages"][-1]["content"] if request.path.endswith(CHAT) else None
        heard = isinstance(said, str) and "weather station" in said
        return answer(changed(COMPLETION, {"choices.0.message.content": said})) if heard else None

    silent = to(CHAT, answer(COMPLETION), when=has_result)
    found = judged("chat.tools", sender=FakeSender(reads, silent))
    assert found.outcome is Outcome.CONFORMS
    assert [item.text for item in found.advisories if "nothing of a tool's result" in item.text]
    assert judged("chat.tools").advisories == ()


def test_a_load_is_as_large_as_the_clients() -> None:
    """A load has as many tools and as long a prompt as the client sends, and at least its size."""
    sender = FakeSender()
    judged("chat.client_load", parameters=LOAD, sender=sender)
    request = max(sender.sent, key=lambda one: one.size)
    body = sent_json(request)
    assert len(body["tools"]) == len({tool["function"]["name"] for tool in body["tools"]}) == 3
    assert len(body["messages"][0]["content"]) >= 500
    assert 4_000 <= request.size < 4_200
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    small = sent("chat.client_load", Parameters(load=(("system_prompt_chars", 500),)))[0]
    assert len(small["messages"][0]["content"]) == 500
    assert "tools" not in small
    streamed = sent("chat.client_load", STREAMED_LOAD)[0]
    assert streamed["stream"] is True
    assert [message["role"] for message in streamed["messages"]] == ["user"]


@pytest.mark.parametrize("prompt", [0, 500], ids=["without a system prompt", "with one"])
def test_a_load_is_padded_only_where_it_is_too_small(prompt: int) -> None:
    """A request that has the client's size is sent as it is; one that lacks a byte is not."""

    def request_for(size: int) -> Request:
        sender = FakeSender()
        judged(
            "chat.client_load",
            parameters=Parameters(load=(("system_prompt_chars", prompt), ("body_bytes", size))),
            sender=sender,
        )
        return max(sender.sent, key=lambda one: one.size)

    unpadded = request_for(0)
    assert request_for(unpadded.size).body == unpadded.body
    assert request_for(unpadded.size + 1).size > unpadded.size


def test_a_prompt_that_may_be_cut_is_advised_where_a_short_one_is_known() -> None:
    """The model answers what a short system prompt says, and not what the ends of the client's own say."""

    def reads(most: int) -> FakeSender:
        def rule(request: Request) -> Response | None:
            messages = sent_json(request).get("messages", [])
            if not messages or messages[0]["role"] != "system":
                return None
            says = messages[0]["content"][:most]
            return answer(changed(COMPLETION, {"choices.0.message.content": says}))

        return FakeSender(rule)

    load = Parameters(load=(("system_prompt_chars", 5_000),))
    cut = judged("chat.client_load", parameters=load, sender=reads(1_000))
    assert cut.outcome is Outcome.CONFORMS
    assert [item.text for item in cut.advisories if "may be cut" in item.text]
    assert judged("chat.client_load", parameters=load, sender=reads(10_000)).advisories == ()


def test_sampling_fields_are_sent_at_once_and_one_by_one_only_where_that_fails() -> None:
    """One request does where all fields are taken together."""
    assert len(sent("chat.sampling_fields", Parameters())) == 1


def test_sampling_fields_have_values_that_every_model_takes() -> None:
    """One answer, a low temperature, and a say about tool calls only where tools are offered."""
    [body] = sent("chat.sampling_fields", Parameters())
    assert body.keys() > FIELDS.keys()
    assert 0 <= body["temperature"] <= 1
    assert (body["n"], body["parallel_tool_calls"]) == (1, True)
    sender = FakeSender(to(CHAT, refusal(400), when=all_at_once))
    judged("chat.sampling_fields", sender=sender)
    alone = [sent_json(request) for request in sender.sent if request.path.endswith(CHAT)][2:]
    assert sorted(name for body in alone for name in FIELDS if name in body) == sorted(FIELDS)
    assert all(("tools" in body) == ("parallel_tool_calls" in body) for body in alone)


def test_structured_output_is_asked_for_as_openai_wants_it() -> None:
    """A strict schema names every property as required and allows no other."""
    [body] = sent("chat.structured_output", Parameters())
    wanted = body["response_format"]["json_schema"]
    assert wanted["strict"] is True
    assert wanted["schema"]["additionalProperties"] is False
    assert wanted["schema"]["required"] == list(wanted["schema"]["properties"])


@pytest.mark.parametrize(("whole", "said"), [(True, "comes in chunks"), (False, "max_completion_tokens alone")])
def test_a_body_in_chunks_that_is_refused_is_sent_with_its_length(*, whole: bool, said: str) -> None:
    """What is accepted so is advised of as that, and else as the field that is refused."""

    def refuse(request: Request) -> Response | None:
        is_one = "max_completion_tokens" in sent_json(request)
        is_refused = is_one and (not whole or ("Transfer-Encoding", "chunked") in request.headers)
        return refusal(411, "How long is it?") if is_refused else None

    result = judged("chat.token_limits", refuse, parameters=Parameters(token_limit="max_tokens"))
    assert [said in one.text for one in result.advisories] == [True]

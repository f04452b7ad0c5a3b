"""The embedded tenant's language engine: what it says, recalls, calls and fits."""

import json
from collections.abc import Mapping

import pytest

from gt_sandbox.sample import Sample
from gt_sandbox.scripted_model import Offer, Tool, Turn, reply

WEATHER = Tool(
    "get_weather",
    "Get the current weather in a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
)
SEARCH = Tool("web_search", "Search the web", {"type": "object", "properties": {"query": {"type": "string"}}})
BOTH = Offer((SEARCH, WEATHER))
RECALL = Tool(
    "session_search",
    "Search past sessions. One call finds them by a word or by several; it never says more than one session at a time.",
    {"type": "object", "properties": {"query": {"type": "string"}}},
)


def said(*texts: str) -> str:
    """What it answers to these user messages in a row."""
    return reply([Turn("user", text) for text in texts], Offer()).text


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("Reply with the word pong.", "pong"),
        ("Reply with the single word: pong", "pong"),
        ("Reply only with OK", "OK"),
        ("reply ok", "ok"),
        ("Say hello in one word.", "hello"),
        ('Say "hello world".', "hello world"),
        ("Say this is a test", "this is a test"),
        ("Please answer with exactly PONG-7 and nothing else.", "PONG-7"),
        ("ping", "pong"),
    ],
)
def test_it_says_what_it_is_asked_to_say(message: str, answer: str) -> None:
    """A message that dictates the answer gets that answer and nothing else."""
    assert said(message) == answer


@pytest.mark.parametrize(
    ("told", "question", "value"),
    [
        ("Remember: the code word is ZEBRA-42.", "What is the code word?", "ZEBRA-42"),
        ("Remember that the code word here is gtc-4f2a. Reply with OK.", "Which code word did I give you?", "gtc-4f2a"),
        (
            "Remember the code word gtc-4f2a.",
            "Tell me the code word, or say UNKNOWN if you do not know it.",
            "gtc-4f2a",
        ),
        ("Please remember this word: marmalade. Just say OK.", "What word did I ask you to remember?", "marmalade"),
        ("Remember this number for me: 48213", "Which number did I tell you earlier?", "48213"),
        ('Keep this in mind: the secret fruit is "kumquat".', "Name the secret fruit.", "kumquat"),
        ("The magic word is kumquat. Do not forget it.", "What was the magic word?", "kumquat"),
        ("Please store this fact: project codename = quartz", "What is the project codename?", "quartz"),
        ("My favourite colour is dark green.", "What's my favourite colour?", "dark green"),
        ("The build number is 7. The port is 8080.", "And what is the port?", "8080"),
        ("Remember the word kumquat.", "Reply with the word I told you.", "kumquat"),
    ],
)
def test_it_recalls_what_it_was_told(told: str, question: str, value: str) -> None:
    """A fact of an earlier message, or of the same one, answers the question about it."""
    assert value in said(told, question)
    assert value in said(f"{told}\n{question}")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the code word?", "do not know"),
        ("In this conversation, what is the code word I gave you? Answer with the word only.", "do not know"),
        ("What is the code word? If you do not know it, reply with UNKNOWN.", "UNKNOWN"),
        ("What is the code word? Reply with only the code word, or UNKNOWN if you do not know it.", "UNKNOWN"),
    ],
)
def test_it_admits_what_it_was_not_told(question: str, answer: str) -> None:
    """Without the fact it says that it does not know, in the words that it was given for that."""
    assert answer in said(question)


def test_it_takes_no_fact_for_another() -> None:
    """A question about something else is not answered with the fact at hand."""
    assert "ZEBRA" not in said("Remember: the code word is ZEBRA.", "What is the capital of France?")
    assert said("Remember: the code word is ZEBRA.", "Reply with the word pong.") == "pong"


@pytest.mark.parametrize(
    ("message", "offer", "called"),
    [
        ("What is the weather in Paris?", BOTH, "get_weather"),
        ("Search the web for kumquats.", BOTH, "web_search"),
        ("Use the tool.", Offer((WEATHER,)), "get_weather"),
        ("What is 2 + 2?", Offer((WEATHER,), "required"), "get_weather"),
        ("Reply with the word pong.", BOTH, None),
        ("Say hello in one word.", Offer((RECALL, WEATHER)), None),
        ("Search the past sessions for kumquats.", Offer((WEATHER, RECALL)), "session_search"),
        ("What is the weather in Paris?", Offer((WEATHER,), "none"), None),
        ('Data, not instructions: "Web search sessions: none"', BOTH, None),
    ],
)
def test_it_calls_the_tool_that_is_asked_for(message: str, offer: Offer, called: str | None) -> None:
    """A tool is called where the message asks for it or the request forces it, and never otherwise."""
    calls = reply([Turn("user", message)], offer).calls
    assert [call.name for call in calls] == ([called] if called else [])


def test_arguments_are_filled_from_the_message() -> None:
    """A call's arguments fit the parameters, and take their words from the message."""
    (call,) = reply([Turn("user", "Tell me the weather for New York in fahrenheit, please")], BOTH).calls
    assert json.loads(call.arguments) == {"city": "New York", "unit": "fahrenheit"}


def test_a_tools_result_reaches_the_answer() -> None:
    """After the results of its calls it answers with them, and calls nothing again."""
    turns = [Turn("user", "What is the weather in Paris?"), Turn("assistant", "")]
    answer = reply([*turns, Turn("tool", "21 degrees"), Turn("tool", "no wind")], BOTH)
    assert not answer.calls
    assert "21 degrees" in answer.text
    assert "no wind" in answer.text


def test_it_calls_nothing_again_until_it_has_answered() -> None:
    """An agent that says something itself behind what a tool answered gets an answer, and does not go on for ever."""
    turns = [Turn("user", "What is the weather in Paris?"), Turn("assistant", ""), Turn("tool", "21 degrees")]
    again = Turn("user", "Is there any weather to tell of?")
    assert reply([*turns, again], BOTH) == reply([again], Offer())
    assert reply([*turns, Turn("assistant", "It is 21 degrees."), again], BOTH).calls


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "none"),
        ({"type": ["null", "integer"]}, 0),
        ({"type": "integer", "minimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "exclusiveMaximum": -2}, -3),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "string", "minLength": 6}, "nonexx"),
        ({"type": "string", "maxLength": 2}, "no"),
        ({"type": "string", "pattern": "^[0-9]{2}$"}, "00"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}], "type": "object"}, {"a": 1}),
        ({"$ref": "#/$defs/one", "$defs": {"one": {"const": 1}}}, 1),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "none"}),
    ],
)
def test_a_sample_fits_its_schema(schema: Mapping[str, object], value: object) -> None:
    """Each keyword of JSON Schema that clients send is honoured."""
    assert Sample(schema).value() == value


def test_a_schema_without_end_ends() -> None:
    """A schema that refers to itself, in width and in depth, still gives a value, and soon."""
    tree = {"$ref": "#"}
    Sample({"type": "object", "properties": dict.fromkeys("abcd", tree), "required": ["a", "b", "c", "d"]}).value()
    Sample({"anyOf": [tree, tree, {"allOf": [tree, tree]}]}).value()

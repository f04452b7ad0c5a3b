"""The tools that a chat offers, the question that has one of them called, and chats in which they were called."""

from typing import Any

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city's name."}},
            "required": ["city"],
        },
    },
}

_OTHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "convert_currency",
        "description": "Convert an amount of money from one currency into another.",
        "parameters": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("amount", "from", "to")},
            "required": ["amount", "from", "to"],
        },
    },
}
"""What no question asks for: clients offer several tools."""
SEVERAL_TOOLS = (_OTHER_TOOL, TOOL)
"""The tool that is to be called is the last of them."""
TOOL_NAME = TOOL["function"]["name"]
REQUIRED = TOOL["function"]["parameters"]["required"]
CITY = "Łódź"
"""Two of its letters are beyond Latin-1, one is within: models write it so, or as Lodz."""
QUESTION = f"What is the weather in {CITY} now, and which station reports it? Use the tool."
DEGREES = 4


def _called_before(question: str, *cities: str, first: int = 1, text: str | None = None) -> list[dict[str, Any]]:
    """A question, calls of the tool for these cities at once, and a result each; ``text`` is beside the calls.

    Clients send back the ids that the tenant gave, so made-up ones are of a shape that all servers take: Mistral's take
    nine letters and digits, and nothing else.
    """
    ids = {f"callgtc{number:02}": city for number, city in enumerate(cities, first)}
    functions = {one: {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'} for one, city in ids.items()}
    calls = [{"id": one, "type": "function", "function": function} for one, function in functions.items()]
    result = f'{{"temperature_c": {DEGREES}, "sky": "clear"}}'
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": text, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": one, "content": result} for one in ids),
    ]


CALL_MESSAGES = _called_before(QUESTION, CITY, "Bergen")
"""Two calls at once, as models make them, each with its result."""
EMPTY_CALL_MESSAGES = _called_before(QUESTION, CITY, first=3, text="")
"""A call beside an empty text, as the Vercel AI SDK sends it back; others send none."""
EARLIER_CALLS = [
    *_called_before("How is the sky in Lima, and in Quito?", "Lima", "Quito"),
    {"role": "assistant", "content": "The sky is clear there."},
]
"""The same as a turn that is over, about something else than what is asked next."""

"""The tools that probes offer, and a history in which one was called."""

from typing import Any

WEATHER_TOOL: dict[str, Any] = {
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

WEATHER_QUESTION = "What is the weather in Oslo now? Use the tool."

CALL_MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": WEATHER_QUESTION},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_gtconformance1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_gtconformance1", "content": '{"temperature_c": 4, "sky": "clear"}'},
]


def numbered_tool(number: int) -> dict[str, Any]:
    """One of many tools that have nothing to do with the question."""
    return {
        "type": "function",
        "function": {
            "name": f"workspace_tool_{number}",
            "description": "Reads a file of the workspace.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        },
    }

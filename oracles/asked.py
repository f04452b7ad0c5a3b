"""What every client asks, so that what they give back can be compared."""

from typing import Any

from pydantic import create_model

WORD = "ZEBRA"
SAY_IT = f"Reply with the word {WORD} only."
"""The embedded tenant reads English as far as this, and does as it is told."""

WEATHER = "What is the weather in Paris?"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TEXTS = ["a cat sat on the mat", "two dogs"]


City = create_model("City", name=str, inhabitants=int)
"""A structured answer."""
ABOUT_A_CITY = "Lyon has 520000 inhabitants. Which city is it?"


def message(text: str) -> Any:
    """A user's message."""
    return {"role": "user", "content": text}

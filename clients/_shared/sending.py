"""What a product in Python needs to send requests for steps.py: each comes on a line of its input."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

_LONGEST = 2_000
_LONGEST_ANSWER = 100_000


@dataclass(frozen=True)
class File:
    """What is uploaded, in the part named ``file`` of a form."""

    name: str
    content: str
    kind: str


@dataclass(frozen=True)
class Request:
    """One request as the runbook describes it: with JSON, with a form that holds a file, or with no body.

    How it is built, and what else its headers hold, is the product's affair.
    """

    method: str
    url: str
    headers: dict[str, str]
    json: str | None = None
    file: File | None = None

    def line(self) -> str:
        """As the product's program reads it."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True)
class Answer:
    """What the product hands to its user; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    text: str


def serve(send: Callable[[Request], Answer]) -> None:
    """Send every request of the input by the product. ``send`` raises what a user of the product would see."""
    for line in sys.stdin:
        said: dict[str, Any] = {"answer": None, "raised": None}
        try:
            value = json.loads(line)
            file = File(**value.pop("file")) if value["file"] else value.pop("file")
            answer = send(Request(**value, file=file))
            said["answer"] = {**asdict(answer), "text": answer.text[:_LONGEST_ANSWER]}
        except Exception as error:
            said["raised"] = {"type": type(error).__name__, "message": str(error)[:_LONGEST]}
        sys.stdout.write("\n" + json.dumps(said) + "\n")
        sys.stdout.flush()

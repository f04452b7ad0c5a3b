"""Faults by which an answer is to another request: of another key, plain or streamed."""

from gt_sandbox.faults._fault import fault
from gt_sandbox.middleware import (
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_responses,
    is_stream,
    is_whole_chat,
    with_secrets,
)


def _mix_keys(wanted: Predicate) -> MiddlewareFactory:
    """A chat gets what was answered to the same kind of chat of another key, where there was one."""

    def make(_: Secrets) -> MiddlewareFactory:
        answered: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded:
                return response
            others = [given for secret, given in answered.items() if secret != request.secret]
            answered.setdefault(request.secret, response)
            return others[0] if others else response

        return change_responses(wanted, change)

    return with_secrets(make)


def _says_a_word(request: Request) -> bool:
    """Whether it is one message that asks for a word."""
    asked = [str(message.get("content")) for message in request.messages]
    plain = not {"tools", "response_format"} & request.fields.keys()
    return len(asked) == 1 and plain and asked[0].startswith("Reply with the word") and "gtword" in asked[0]


FAULTS = (
    fault(
        "chat-answers-of-other-keys",
        "A chat is answered from a cache that does not look at the key.",
        _mix_keys(lambda request: is_whole_chat(request) and _says_a_word(request)),
        caught_by="answers.own",
        breaks=("C3",),
    ),
    fault(
        "stream-answers-of-other-keys",
        "A streamed chat gets the stream of another key.",
        _mix_keys(lambda request: is_stream(request) and _says_a_word(request)),
        caught_by="answers.own",
        breaks=("C3",),
    ),
)

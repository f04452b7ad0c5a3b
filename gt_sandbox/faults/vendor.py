"""Faults of OpenAI's own routes, which are no GT surface."""

from ..edges import Answer, EdgeMaker, answering
from ._fault import Area
from ._parts import answer, at, error

fault = Area("vendor")


def _answers(path: str, wrong: Answer) -> EdgeMaker:
    """A route that the tenant should not have answers to a key that works."""
    return answering(at(path, method="POST"), lambda _, right: wrong if right.status == 404 else right)


FAULTS = (
    fault(
        "vendor-files-accepted",
        "OpenAI's own file upload is accepted.",
        _answers("/files", answer(200, {"id": "file-1", "object": "file", "status": "uploaded"})),
        checks="vendor.files_refused",
        places="conversation_files dataset_files items",
    ),
    fault(
        "vendor-files-500",
        "OpenAI's own file upload fails with 500.",
        _answers("/files", error(500, "no route")),
        checks="vendor.files_refused",
        places="conversation_files dataset_files items",
    ),
    fault(
        "vendor-responses-500",
        "OpenAI's responses fail with 500.",
        _answers("/responses", error(500, "no route")),
        checks="vendor.responses_refused",
        places="chat",
    ),
    fault(
        "vendor-responses-half-answered",
        "OpenAI's responses are answered with 200 and a chat completion.",
        _answers("/responses", answer(200, {"id": "c1", "object": "chat.completion", "choices": []})),
        checks="vendor.responses_refused",
        places="chat",
    ),
    fault(
        "vendor-assistants-accepted",
        "OpenAI's assistants are accepted.",
        _answers("/assistants", answer(200, {"id": "asst_1", "object": "assistant"})),
        checks="vendor.assistants_refused",
        places="items",
    ),
    fault(
        "vendor-threads-accepted",
        "OpenAI's threads are accepted.",
        _answers("/threads", answer(200, {"id": "thread_1", "object": "thread"})),
        checks="vendor.assistants_refused",
        places="items",
    ),
)

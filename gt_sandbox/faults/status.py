"""Faults of the state of an upload."""

from collections import Counter

from ..edges import Answer, Asked, Edge, EdgeMaker, Secrets, answering
from ._fault import Area
from ._owners import as_owner
from ._parts import amended, answer, error, file_state, instead

fault = Area("status")


def _late() -> EdgeMaker:
    """The first time that a file's state is asked for, it is not known yet."""

    def made(secrets: Secrets) -> Edge:
        asked_before: Counter[str] = Counter()

        def change(asked: Asked, right: Answer) -> Answer:
            asked_before[asked.path] += right.succeeded
            return (
                error(404, "The file does not exist.") if right.succeeded and asked_before[asked.path] == 1 else right
            )

        return answering(file_state, change)(secrets)

    return made


def _unknown(asked: Asked, right: Answer) -> Answer:
    made_up = "/file_" not in asked.path
    return answer(200, {"status": "processing"}) if made_up and right.status == 404 else right


def _crashed(asked: Asked, right: Answer) -> Answer:
    made_up = "/file_" not in asked.path
    return error(500, "no such row") if made_up and right.status == 404 else right


FAULTS = (
    fault(
        "file-state-500",
        "Asking for the state of a file fails with 500.",
        instead(file_state, error(500, "no state")),
        checks="files.status",
        places="file_status",
        blocks="upload.conversation_ready upload.dataset_ready",
    ),
    fault(
        "file-state-late",
        "The state of a file is unknown when it is asked for first.",
        _late(),
        checks="files.status",
        places="file_status",
        blocks="upload.conversation_ready upload.dataset_ready",
    ),
    fault(
        "file-state-not-told",
        "The answer about a file does not tell its state.",
        amended(file_state, lambda body: body.pop("status")),
        checks="files.status",
        places="file_status",
        blocks="upload.conversation_ready upload.dataset_ready",
    ),
    fault(
        "file-state-of-unknown-files",
        "An unknown file id has a state.",
        answering(file_state, _unknown),
        checks="files.status",
        places="file_status",
    ),
    fault(
        "file-state-crashes-on-unknown",
        "An unknown file id gives 500.",
        answering(file_state, _crashed),
        checks="files.status",
        places="file_status",
    ),
    fault(
        "file-state-open-to-all",
        "The state of a file is shown to every key.",
        as_owner(lambda asked: asked.path.rpartition("/")[2] if file_state(asked) else ""),
        checks="files.isolated key.least_privilege key.scope_enforced route.refused",
        places="file_status items tenant",
    ),
)

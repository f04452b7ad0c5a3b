"""How the processing of a file is told."""

from collections import Counter
from typing import Any

from ..edges import Edge, EdgeMaker
from ._parts import amended, file_states, reshaped
from ._variant import Area

variant = Area("states")
_NAMES = "GT API reference: states before ready and failed are not documented"
_PLACE = "GT API reference: where the state stands is not documented"
_PLACES = "state-as-processing-status state-in-data state-in-file"
_OTHER = {"uploaded": "queued", "processing": "indexing"}


def _slow(polls: int) -> EdgeMaker:
    """Every file is in processing for so many polls more."""

    def made(secrets: Any) -> Edge:
        asked: Counter[str] = Counter()

        def change(body: Any) -> None:
            asked[body["id"]] += 1
            if asked[body["id"]] <= polls:
                body["status"] = "processing"

        return amended(file_states, change)(secrets)

    return made


VARIANTS = (
    variant(
        "ready-at-once",
        "A file is ready at the first poll.",
        amended(file_states, lambda body: body.update(status="ready")),
        lawful=_NAMES,
        conflicts="slow-processing",
    ),
    variant(
        "slow-processing",
        "A file takes some polls more to become ready.",
        _slow(2),
        lawful="GT API reference: poll until ready or failed",
        conflicts="ready-at-once",
    ),
    variant(
        "other-states",
        "A file is queued and indexing before it is ready.",
        amended(file_states, lambda body: body.update(status=_OTHER.get(body["status"], body["status"]))),
        lawful=_NAMES,
    ),
    variant(
        "states-in-capitals",
        "States are written in capitals.",
        amended(file_states, lambda body: body.update(status=body["status"].upper())),
        lawful=_NAMES,
    ),
    variant(
        "state-as-processing-status",
        "The state stands under processing_status.",
        reshaped(
            file_states,
            lambda body: {
                **{key: value for key, value in body.items() if key != "status"},
                "processing_status": body["status"],
            },
        ),
        lawful=_PLACE,
        conflicts=_PLACES,
    ),
    variant(
        "state-in-data",
        "The state stands inside data, and the envelope has a status of its own.",
        reshaped(
            file_states,
            lambda body: {
                "status": "success",
                "code": 200,
                "data": {"id": body["id"], "state": body["status"], "progress": 0.5},
            },
        ),
        lawful=_PLACE,
        conflicts=_PLACES,
    ),
    variant(
        "state-in-file",
        "The state stands inside file.",
        reshaped(file_states, lambda body: {"object": "result", "file": body}),
        lawful=_PLACE,
        conflicts=_PLACES,
    ),
)

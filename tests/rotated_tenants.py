"""Tenants whose faults show only once a key was rotated."""

import json
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator

from gt_sandbox.middleware import (
    CONVERSATION_HEADER,
    MODELS,
    Middleware,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_responses,
    is_any,
    is_at,
    is_dataset_upload,
    is_live,
    is_stream,
    is_whole_chat,
    json_response,
    with_secrets,
)


def once_rotated(change: Callable[[Request, Response, Secrets], Response]) -> MiddlewareFactory:
    """Change answers of the API from the moment at which a key was rotated, knowing the secrets from before."""

    def made(secrets: Secrets) -> Middleware:
        before = dict(secrets)
        rotations: list[Request] = []

        def wanted(asked: Request) -> bool:
            if is_at("/rotate")(asked):
                rotations.append(asked)
                return False
            return bool(rotations)

        return change_responses(wanted, lambda asked, answer: change(asked, answer, before))(secrets)

    return made


def of_new_secret(change: Callable[[Response], Response], wanted: Predicate) -> MiddlewareFactory:
    """Change what the new secret gets, and no other."""
    return once_rotated(
        lambda asked, answer, secrets: (
            change(answer) if wanted(asked) and asked.secret not in set(secrets.values()) else answer
        )
    )


def saying(status: int, *headers: tuple[str, str]) -> Response:
    """An answer in JSON: no names, or a refusal."""
    body = b'{"data": []}' if 200 <= status < 300 else b'{"error": {"message": "no"}}'
    return Response(status, (("content-type", "application/json"), *headers), body)


def old_gets(*statuses: int, wanted: Predicate = is_any, key: str = "CHAT") -> MiddlewareFactory:
    """What the old secret gets at each such place once the key was rotated: one status after the other.

    The last from then on; where none is given, the tenant's own answer.
    """

    def made(secrets: Secrets) -> Middleware:
        looks: dict[tuple[str, bool], Iterator[int]] = {}

        def change(asked: Request, answer: Response, before: Secrets) -> Response:
            if asked.secret != before[f"GT_EMBEDDED_{key}"] or not wanted(asked):
                return answer
            left = looks.setdefault((asked.path, is_stream(asked)), iter(statuses))
            return saying(next(left, statuses[-1]))

        return once_rotated(change)(secrets)

    return made


def is_unversioned(asked: Request) -> bool:
    """By the address that clients build."""
    return "/v1/" not in asked.path


def not_served(_: Request, __: Response) -> Response:
    """What a path gets that nothing is at."""
    return saying(404)


def is_in_conversation(asked: Request) -> bool:
    """A request that names a conversation."""
    return bool(asked.header(CONVERSATION_HEADER))


def without_file(asked: Request) -> bool:
    """A dataset upload that holds no file."""
    return is_dataset_upload(asked) and b"filename=" not in asked.body


def embedded_by_another_model(answer: Response) -> Response:
    """Vectors of the same length that mean something else."""
    body = json.loads(answer.body)
    for item in body["data"]:
        vector = item["embedding"]
        if isinstance(vector, list):
            vector.reverse()
        else:
            numbers = array("f", b64decode(vector))
            numbers.reverse()
            item["embedding"] = b64encode(numbers.tobytes()).decode("ascii")
    return answer.with_json(body)


def forgetful(answer: Response) -> Response:
    """A chat whose model was told nothing."""
    body = json.loads(answer.body)
    body["choices"][0]["message"]["content"] = "I do not know any."
    return answer.with_json(body)


OTHER_NAMES = of_new_secret(lambda answer: answer.with_body(answer.body.replace(b"field-", b"marsh-")), MODELS)
OTHER_VECTORS = of_new_secret(
    lambda answer: answer.with_body(b'{"data": [{"index": 0, "embedding": [0.6, 0.8]}]}'), is_at("/embeddings")
)
OTHER_MODEL = of_new_secret(embedded_by_another_model, is_at("/embeddings"))
NEW_REFUSED = of_new_secret(lambda _: saying(401), MODELS)
NEW_ONLY_LISTS = of_new_secret(lambda _: saying(401), lambda asked: not MODELS(asked))
NEW_EMBEDS = of_new_secret(lambda _: saying(200), is_at("/v1/embeddings"))
CONVERSATION_LOST = of_new_secret(lambda _: saying(404), is_in_conversation)
CONVERSATION_FORGOTTEN = of_new_secret(forgetful, lambda asked: is_whole_chat(asked) and is_in_conversation(asked))
DATASET_LOST = of_new_secret(lambda _: saying(404), is_dataset_upload)
BREAKS_FULL = once_rotated(
    lambda asked, answer, secrets: saying(401) if asked.secret == secrets["GT_EMBEDDED_FULL"] else answer
)
ALL_TOO_MANY = once_rotated(lambda *_: saying(429, ("retry-after", "0")))
NO_LIST_FOR_UPLOADS = with_secrets(
    lambda secrets: change_responses(
        lambda asked: MODELS(asked) and is_live(asked, secrets, "UPLOAD"), lambda *_: saying(403)
    )
)
FILE_IS_LOOKED_FOR_FIRST = change_responses(without_file, lambda *_: saying(422))
ANYBODY_LISTS = change_responses(MODELS, lambda *_: json_response(200, {"data": [{"id": "field-analyst"}]}))

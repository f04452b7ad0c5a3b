"""Faults of errors: refusals that are none, and requests that break the tenant."""

import json
from dataclasses import replace

from ..edges import Asked, answering, refusals
from ._fault import Area
from ._parts import CHAT, EMBEDDINGS, TRANSCRIPTIONS, answer, elsewhere, error, page

fault = Area("errors")


def _messages_empty(asked: Asked) -> bool:
    return CHAT(asked) and asked.fields.get("messages") == []


def _message_empty(asked: Asked) -> bool:
    return CHAT(asked) and asked.fields.get("messages") == [{}]


def _not_json(asked: Asked) -> bool:
    try:
        json.loads(asked.body)
    except ValueError:
        return CHAT(asked) and asked.method == "POST"
    return False


FAULTS = (
    fault(
        "refusals-are-500",
        "A key that lacks a scope gets 500.",
        refusals(lambda _, right: replace(right, status=500) if right.status == 403 else right),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings transcriptions speech images conversation_files dataset_files items tenant",
    ),
    fault(
        "refusals-are-html",
        "A key that lacks a scope gets a web page.",
        refusals(lambda _, right: page(403) if right.status == 403 else right),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings transcriptions speech images conversation_files dataset_files items tenant",
    ),
    fault(
        "refusals-are-redirects",
        "A key that lacks a scope is redirected to a login page.",
        refusals(lambda _, right: elsewhere(302) if right.status == 403 else right),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings transcriptions speech images conversation_files dataset_files items tenant",
    ),
    fault(
        "refusals-are-200",
        "A key that lacks a scope gets 200 with an error object in it.",
        refusals(lambda _, right: replace(right, status=200) if right.status == 403 else right),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings transcriptions speech images conversation_files dataset_files items tenant",
    ),
    fault(
        "refusals-say-nothing",
        "A key that lacks a scope gets a 403 with an empty object.",
        refusals(lambda _, right: answer(403, {}) if right.status == 403 else right),
        checks="key.least_privilege key.scope_enforced route.refused",
        places="embeddings transcriptions speech images conversation_files dataset_files items tenant",
    ),
    fault(
        "unknown-routes-get-html",
        "An unknown route gets a web page.",
        refusals(lambda _, right: page(404) if b"unknown_route" in right.body else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "wrong-methods-get-500",
        "A method that a route does not take gives 500.",
        refusals(lambda _, right: error(500, "method") if right.status == 405 else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "malformed-json-500",
        "Malformed JSON gives 500.",
        answering(_not_json, lambda _, right: error(500, "JSONDecodeError") if right.status == 400 else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "unknown-models-get-500",
        "A model that does not exist gives 500.",
        refusals(lambda _, right: error(500, "KeyError") if b"model_not_found" in right.body else right),
        checks="names.not_allowlisted_refused names.unpublished_refused tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "missing-file-500",
        "A transcription without its file gives 500.",
        answering(TRANSCRIPTIONS, lambda _, right: error(500, "KeyError") if right.status in {400, 422} else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "no-messages-500",
        "A chat with an empty list of messages gives 500.",
        answering(_messages_empty, lambda _, right: error(500, "IndexError") if right.status == 400 else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "empty-message-html",
        "A chat with an empty message gets a web page.",
        answering(_message_empty, lambda _, right: page(400) if right.status == 400 else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "no-input-500",
        "Embeddings of nothing give 500.",
        answering(EMBEDDINGS, lambda _, right: error(500, "IndexError") if right.status == 400 else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "errors-without-message",
        "An unknown model is refused with a bare status in a list.",
        refusals(lambda _, right: answer(404, [404]) if b"model_not_found" in right.body else right),
        checks="tenant.errors_shaped",
        places="tenant",
    ),
)

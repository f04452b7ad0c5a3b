"""Faults of names: which work, and which show."""

import json
from dataclasses import replace

from ..edges import Answer, Asked, Edge, EdgeMaker, Secrets, answering, asking, refusals
from ._fault import Area
from ._parts import ALIAS, CHAT, INTERNAL, error

fault = Area("names")


def _post(asked: Asked) -> bool:
    return asked.method == "POST"


def _works(name: str) -> EdgeMaker:
    """This name works as the alias does."""
    return asking(_post, lambda body: body.replace(name.encode(), ALIAS.encode()))


def _unlisted_works(secrets: Secrets) -> Edge:
    """The name of another key's agent works with every key."""
    owner = secrets["GT_EMBEDDED_PARTNER"]
    return asking(
        lambda asked: _post(asked) and asked.secret != owner,
        lambda body: body.replace(b"desk-assistant", ALIAS.encode()),
    )(secrets)


def _guessed(body: bytes) -> bytes:
    """Any model that is not known is taken for the alias."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    if (
        not isinstance(fields, dict)
        or "model" not in fields
        or fields["model"] in {ALIAS, "desk-assistant", "gt-large-raw"}
    ):
        return body
    return json.dumps({**fields, "model": ALIAS}).encode()


def _explained(asked: Asked, right: Answer) -> Answer:
    """A refusal that says what the alias stands for."""
    return error(404, f"No route {asked.path} for the agent {INTERNAL}.") if right.status == 404 else right


def _marked(_: Asked, right: Answer) -> Answer:
    return replace(right, headers=(*right.headers, ("x-agent", INTERNAL)))


FAULTS = (
    fault(
        "internal-id-works",
        "The internal id of an agent works as a model.",
        _works(INTERNAL),
        checks="names.unpublished_refused",
        places="tenant",
    ),
    fault(
        "any-name-works",
        "A model that does not exist is taken for the default one.",
        asking(CHAT, _guessed),
        checks="names.unpublished_refused tenant.errors_shaped",
        places="tenant",
    ),
    fault(
        "allowlist-ignored",
        "A published name works with keys whose allowlist does not hold it.",
        _unlisted_works,
        checks="names.not_allowlisted_refused",
        places="tenant",
    ),
    fault(
        "internal-id-in-errors",
        "An error names the internal id of the agent.",
        refusals(_explained),
        checks="tenant.no_raw_model_ids",
        places="items tenant",
    ),
    fault(
        "internal-id-in-header",
        "A header of every chat names the internal id of the agent.",
        answering(CHAT, _marked),
        checks="tenant.no_raw_model_ids",
        places="items tenant",
    ),
)

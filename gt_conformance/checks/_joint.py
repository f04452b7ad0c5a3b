"""Findings that are one cause where they come together, and are findings for themselves where each comes alone.

A gateway that leaves the model's own name in chats does so in embeddings as well; a cache of keys knows neither who
was revoked nor whose secret was retired.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from gt_conformance.checks._completion import EMPTY, EMPTY_LARGE, EMPTY_STREAM, FIND_THE_TEXT
from gt_conformance.checks._resources import CONVERSATIONS_OPEN, FILES_OPEN, KEEP_FROM_OTHERS, READ_BY_OTHERS
from gt_conformance.checks._surfaces import (
    AUTHENTICATE,
    LET_IN_BY_TURNS,
    TO_ANY_KEY,
    WITHOUT_A_KEY,
    WITHOUT_SCOPE,
    Address,
    hole,
)
from gt_conformance.checks._wording import LIST_DIFFERENTLY, finding_of
from gt_conformance.checks.boundary import ENFORCE_SCOPES, SCOPES_NOT_ENFORCED
from gt_conformance.checks.chat_tools import LETTERS_OF_CALLS
from gt_conformance.checks.conversations import LETTERS_STORED
from gt_conformance.checks.embeddings import ALONE, LENGTHS, NO_VECTOR, ORDER, OTHER_VALUES, STRING
from gt_conformance.checks.knowledge import LETTERS_IN_FILES
from gt_conformance.checks.media import LETTERS
from gt_conformance.checks.models import LIST_OWN, NOT_ALLOWED, NOT_LISTED, OTHERS_LISTED, unpublished_in
from gt_conformance.checks.names import NAMES_OPEN, NOT_ALLOWED_UNVERSIONED
from gt_conformance.checks.rotation import DROP_DEAD
from gt_conformance.checks.scopes import OPENED_WITHOUT_A_NAME
from gt_conformance.vocabulary import Route

KEYS_ALIKE = "keys:not distinguished"
"""The cause of all that goes wrong because the tenant takes several keys for one."""


@dataclass(frozen=True)
class Joint:
    """Causes that are another one where at ``least`` so many of them are met, all those among them that ``needs`` has.

    Where a finding is a check's own, its id is given in place of the cause.
    """

    causes: tuple[str, ...]
    cause: str
    remedy: str
    least: int = 2
    needs: tuple[str, ...] = ()

    @property
    def finding(self) -> str:
        """The id of the finding that they become."""
        return _finding_of(self.cause)

    @property
    def findings(self) -> frozenset[str]:
        """The ids of theirs."""
        return frozenset(map(_finding_of, self.causes))

    def joins(self, met: AbstractSet[str]) -> bool:
        """Whether so many of its findings, and those that it needs, are among these."""
        return len(met & self.findings) >= self.least and met >= set(map(_finding_of, self.needs))


def _finding_of(cause: str) -> str:
    return cause if "~" in cause else finding_of("", cause, shared=True)


def _of_dead_keys() -> Iterator[Joint]:
    for at in Address:
        yield Joint(
            (hole(at, "with a revoked key"), hole(at, "with a retired secret")),
            hole(at, "with a key that is dead"),
            DROP_DEAD,
        )
    for dead in ("with a revoked key", "with a retired secret"):  # what is live at one address is so at the other
        yield Joint(tuple(hole(at, dead) for at in Address), hole(Address.VERSIONED, dead), DROP_DEAD)


def _of_rights() -> Iterator[Joint]:
    """Scopes and allowlists are looked up in one place, and so are the names that are listed and those that work."""
    remedy = "Have the tenant check each key's scopes and allowlists on every route"
    yield Joint(
        (SCOPES_NOT_ENFORCED, NAMES_OPEN, OPENED_WITHOUT_A_NAME, NOT_ALLOWED, OTHERS_LISTED),
        "key:rights not checked",
        f"{remedy}.",
        needs=(SCOPES_NOT_ENFORCED, NAMES_OPEN),
    )
    yield Joint(
        (hole(Address.UNVERSIONED, WITHOUT_SCOPE), NOT_ALLOWED_UNVERSIONED),
        hole(Address.UNVERSIONED, "without the right"),
        f"{remedy}, by the un-versioned address as by the versioned one.",
    )
    yield Joint(
        (NOT_ALLOWED, OTHERS_LISTED, NAMES_OPEN),
        "names:allowlists not applied",
        "Have the tenant apply each key's allowlists, to what it lists to the key as to the names that it accepts from "
        "it: the key is given names that are not on them.",
        needs=(NAMES_OPEN,),
    )


LETTERS_LOST = Joint(
    ("chat:utf-8", "embeddings:letters", LETTERS, LETTERS_OF_CALLS, LETTERS_STORED, LETTERS_IN_FILES),
    "text:utf-8",
    "Have the tenant, and every proxy before it, read and write UTF-8, and pass on every letter, on every route.",
)

_OF_KEYS = ("with a key", "with a key of another tenant")
"""What a dead key opens beside that is let in nowhere else: it is a finding of its own."""


def _of_nobody(at: Address, state: str) -> Joint:
    return Joint(tuple(hole(at, one) for one in (*_OF_KEYS, TO_ANY_KEY)), hole(at, state), AUTHENTICATE)


OPEN_TO_ANY_KEY = {at: _of_nobody(at, TO_ANY_KEY) for at in Address}
"""By address: what nobody's key opens there. A key's own conversations and files are not found there either.

Where that is open on several routes, keys are not looked at: what another state of a key opens is no hole of its own.
"""
OPEN_WITHOUT_A_KEY = {at: _of_nobody(at, WITHOUT_A_KEY) for at in Address}
"""The same of what is open without any key."""

JOINT = (
    *_of_dead_keys(),
    Joint(
        (FILES_OPEN, CONVERSATIONS_OPEN, READ_BY_OTHERS, SCOPES_NOT_ENFORCED, OPENED_WITHOUT_A_NAME),
        KEYS_ALIKE,
        "Have the tenant distinguish its keys: rights, conversations and files of each are open to others, as if all "
        "of them were one key.",
        least=3,
    ),
    Joint((CONVERSATIONS_OPEN, READ_BY_OTHERS), READ_BY_OTHERS, KEEP_FROM_OTHERS),
    *_of_rights(),
    Joint((SCOPES_NOT_ENFORCED, OPENED_WITHOUT_A_NAME), SCOPES_NOT_ENFORCED, ENFORCE_SCOPES),
    Joint((OTHERS_LISTED, NOT_LISTED), OTHERS_LISTED, LIST_OWN),
    Joint(
        (NAMES_OPEN, OPENED_WITHOUT_A_NAME),
        NAMES_OPEN,
        "Have the tenant check the key's allowlists wherever a name is used: on every inference route, and where a "
        "conversation is opened.",
    ),
    Joint(
        tuple(f"prompts:{name}" for name in ("base_prompts", "prompt_modules", "prompt_text")),
        "prompts:not applied",
        "Have the tenant apply base prompts, prompt modules and additional prompt text to every chat on the server.",
    ),
    Joint(
        tuple(map(unpublished_in, Route)),
        "model:several routes",
        "Have the tenant put the published name into `model` of every answer and stream chunk, on every route.",
    ),
    Joint(
        (ALONE, ORDER, LENGTHS, OTHER_VALUES, STRING, NO_VECTOR),
        ALONE,
        "Have one model make all vectors: of single texts and of several, in every form and encoding_format, each in "
        "the place of its text.",
    ),
    Joint(
        (LIST_DIFFERENTLY, LET_IN_BY_TURNS),
        LIST_DIFFERENTLY,
        "Have every instance of the tenant behind its load balancer, and every cache, list a key's own names to it and "
        "nothing to a key that is not valid: the same request now gets other names, and is now let in and now refused.",
    ),
    Joint((EMPTY, EMPTY_STREAM, EMPTY_LARGE), EMPTY, FIND_THE_TEXT),
    LETTERS_LOST,
)

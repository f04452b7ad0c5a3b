"""Faults of what the tenant puts before chats on the server: base prompts, prompt modules, a key's additional text."""

from gt_sandbox.accounts import MARKERS
from gt_sandbox.faults._fault import Fault, fault
from gt_sandbox.faults._parts import replace_bytes
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    Predicate,
    combine,
    has_field,
    has_role,
    is_live,
    is_stream,
    with_secrets,
)
from gt_sandbox.tenant_file import with_markers


def _unsaid(name: str, description: str, kind: str, wanted: Predicate = CHAT, *, breaks: tuple[str, ...]) -> Fault:
    """A text of that kind shows in no answer to some chats."""
    marker = MARKERS[kind].expect.encode()
    return fault(
        name,
        description,
        replace_bytes(wanted, marker, b"unknown"),
        tenant_file=with_markers,
        caught_by="prompts.applied",
        breaks=breaks,
    )


FAULTS = (
    _unsaid("base-prompts-dropped", "The base prompt of an agent is not applied.", "base_prompt", breaks=("K10",)),
    _unsaid("prompt-modules-dropped", "Prompt modules are not applied.", "prompt_modules", breaks=("K8", "K7")),
    _unsaid(
        "prompt-modules-dropped-in-streams",
        "Prompt modules are not applied to streamed chats.",
        "prompt_modules",
        is_stream,
        breaks=("K8",),
    ),
    _unsaid(
        "prompt-modules-dropped-unversioned",
        "Prompt modules are not applied to chats by the un-versioned path, which clients call.",
        "prompt_modules",
        lambda request: CHAT(request) and "/v1/" not in request.path,
        breaks=("K8", "A2"),
    ),
    _unsaid(
        "prompt-modules-dropped-for-system-messages",
        "Prompt modules are not applied to chats that have a system message of their own.",
        "prompt_modules",
        has_role("system"),
        breaks=("K8",),
    ),
    _unsaid(
        "prompt-modules-dropped-for-tools",
        "Prompt modules are not applied to chats with tools.",
        "prompt_modules",
        has_field("tools"),
        breaks=("K8",),
    ),
    _unsaid(
        "prompt-modules-dropped-in-streams-unversioned",
        "Prompt modules are not applied to streamed chats by the un-versioned path, which clients call.",
        "prompt_modules",
        lambda request: is_stream(request) and "/v1/" not in request.path,
        breaks=("K8", "A2"),
    ),
    _unsaid(
        "prompt-modules-dropped-in-conversations",
        "Prompt modules are not applied to chats in a conversation.",
        "prompt_modules",
        lambda request: CHAT(request) and bool(request.header(CONVERSATION_HEADER)),
        breaks=("K8", "K7"),
    ),
    fault(
        "prompts-dropped-in-streams",
        "No base prompt, no prompt module and no additional text is applied to streamed chats.",
        combine(
            *(
                replace_bytes(is_stream, MARKERS[kind].expect.encode(), b"unknown")
                for kind in ("base_prompt", "prompt_modules", "prompt_text")
            )
        ),
        tenant_file=with_markers,
        caught_by="prompts.applied",
        breaks=("K8", "K9", "K10"),
    ),
    _unsaid(
        "prompt-text-dropped", "The additional prompt text of a key is not applied.", "prompt_text", breaks=("K9",)
    ),
    fault(
        "prompt-modules-not-inherited",
        "A conversation key does not have the prompt modules of its linked inference key.",
        with_secrets(
            lambda secrets: replace_bytes(
                lambda request: CHAT(request) and is_live(request, secrets, "APP"),
                MARKERS["prompt_modules"].expect.encode(),
                b"unknown",
            )
        ),
        tenant_file=with_markers,
        caught_by="prompts.applied",
        breaks=("K7",),
    ),
)

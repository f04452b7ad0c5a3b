"""Answers are to the request that was sent: none holds the code word of another key or of another run."""

from gt_conformance.checks._check import SEVERAL_KEYS, check
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._words import word_of, words_in
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Request, Response, joined_text
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Severity


@check(
    "answers.own",
    claim="Each answer is to its own request, never to another key's or an earlier one.",
    remedy="Have the tenant, and every cache before it, answer each chat by itself, whoever asked before.",
    source="GT API reference, Run a chat completion; GT API reference, Conversation continuity header",
    clauses=("A9", "C3"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def own(probe: Probe) -> None:
    """No answer of the whole run, plain or streamed, holds a code word that neither its request nor its thread does."""
    asked = [exchange for exchange in probe.seen if _sent(exchange.request) and exchange.response is not None]
    if not any(exchange.response.succeeded for exchange in asked if exchange.response):
        for key in dict.fromkeys(exchange.request.key for exchange in asked):
            if key in probe.tenant.credentials:
                await probe.require("chat.completes", key)  # why no chat is answered is its finding
        raise Blocked("no chat with a code word was answered in this run", "Select something that chats.")
    for exchange in probe.seen:
        request, response = exchange.request, exchange.response
        if response is None:
            continue
        own_words = _sent(request)
        if CONVERSATION_HEADER in dict(request.headers):
            own_words |= {word_of(probe.run_id, request.key)}
        for word in sorted(_said(response) - own_words):
            probe.note(exchange)
            probe.fail("no answer holds the code word of another request", _whose(probe, word), exchange)


def _sent(request: Request) -> frozenset[str]:
    return words_in(request.body.decode(errors="replace"))


def _said(response: Response) -> frozenset[str]:
    return words_in(response.plain) | words_in(joined_text(response))


def _whose(probe: Probe, word: str) -> str:
    """Whose word it is, as far as this run knows."""
    for key in probe.tenant.credentials:
        if word == word_of(probe.run_id, key):
            return f"{word}, which was asked for with the key {key}"
    return f"{word}, which this run asked for with no key: it is of another run"

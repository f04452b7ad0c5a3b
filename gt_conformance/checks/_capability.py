"""The model is not the tenant: it is asked again where it says nothing, and what it cannot do is told apart.

A check asks for what it needs. Only where that does not come, the model is asked for the same without the tenant's
part in it, once a run for each alias and key. What it cannot do then blocks the check (setup: publish the alias with
a stronger model); what it can do there, and does not do through the tenant's part, is the tenant's violation.
"""

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gt_conformance.checks._completion import (
    COMPLETES,
    FILTERED,
    bodies_in,
    choices_in,
    delta_in,
    expect_completion,
    has_output,
    is_accepted,
    is_whole,
    plain_chat,
    raise_limit,
    read_stream,
    text_in,
    tool_calls_in,
)
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import describe, describe_failure
from gt_conformance.checks._words import made_up_name, resembles_words, says_words
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response, shortened
from gt_conformance.vocabulary import Modality, RemarkKind

TRIES = 5
"""How often an answer without text is asked for.

A model that gives no text 5 % of the time gives none in five answers once in 0.05⁻⁵ = 3,200,000 askings. A run of
everything asks for some 60 texts, so that 100 runs flip a verdict with a probability of 6,000 / 3,200,000 = 0.2 %.
With three tries (1 in 8,000) every other hundred runs would flip one. A model that always answers is asked once.
"""

_RECALL_ENOUGH, _RECALL_TRIES = 3, 4
"""The model is able to recall if it does so in three of four single requests.

One that recalls in half of its answers would miss five in a conversation and then pass here in 1 % of all runs; one
that recalls in 99 of 100 passes here in 99.9 %.
"""

QUESTION = "What is the code word that I gave you?"
_JSON_WANTED = 'Reply with exactly this JSON object and nothing else: {"answer": "ok"}'


class Ability(StrEnum):
    """What a check may need of the model behind an alias."""

    RECALL = "recall what the same request says"
    TOOLS = "call the tool that it is ordered to call"
    JSON = "answer in JSON"


# -- asked again


async def ask_again(probe: Probe, request: Request, *, first: int = 0) -> Exchange:
    """The first answer with output, whole or streamed, or anything that is no empty chat completion.

    Each asking is an exchange of its own, numbered from ``first`` on; what came late is remarked. Where all answers are
    empty it is one that names a reason for it (its token limit, a content filter), else the last.
    """
    empty: list[Exchange] = []
    for number in range(TRIES):
        exchange = await probe.send(request, again=first + number)
        if not is_empty(exchange.response):
            remark_late(probe, "answered", number, exchange)
            return exchange
        empty.append(exchange)
    return next((one for one in empty if finish_reasons(one.response) & _UNFINISHED), empty[-1])


def remark_late(probe: Probe, what: str, number: int, exchange: Exchange) -> None:
    """Remark that the model did it at a later attempt only (``number`` counts from 0).

    No advisory, which --strict counts as a violation: it is the model's, and another run may not see it.
    """
    if number:
        probe.remark(RemarkKind.LATE, f"the model {what} at attempt {number + 1} only", exchange)


async def complete(
    probe: Probe, request: Request, expected: str = COMPLETES, *, first: int = 0
) -> tuple[Exchange, Mapping[str, Any]]:
    """The completion of a chat that is asked for until it has output, judged, with its first choice."""
    exchange = await ask_again(probe, request, first=first)
    return exchange, expect_completion(probe, exchange, expected)


def is_empty(response: Response | None) -> bool:
    """Whether it is a chat completion, whole or streamed, in which the model says nothing at all."""
    messages = _messages(response)
    return bool(messages) and not any(map(has_output, messages))


def _messages(response: Response | None) -> list[Mapping[str, Any]]:
    """The messages, or the deltas, of a whole answer; none where it is not sound enough to tell."""
    if response is None or not is_whole(response) or not is_accepted(response):
        return []
    messages = [delta_in(choice) or choice.get("message", {}) for choice in _choices(response)]
    sound = all(isinstance(one, dict) and isinstance(one.get("content"), str | None) for one in messages)
    return messages if sound else []


def _choices(response: Response) -> list[Mapping[str, Any]]:
    if response.media_type == "text/event-stream":
        stream = read_stream(response)
        return [] if stream.malformed else [choice for chunk in stream.chunks for choice in choices_in(chunk)]
    try:
        body = response.json()
    except NotJson:
        return []
    return list(choices_in(body))[:1] if isinstance(body, dict) else []


def finish_reasons(response: Response | None) -> set[object]:
    """Why an answer ended, whole or streamed; empty where it does not say so."""
    reasons = (choice.get("finish_reason") for choice in (_choices(response) if response else ()))
    return {reason for reason in reasons if isinstance(reason, str)}


@dataclass(frozen=True)
class Recalled:
    """A question that was asked until its answer held the words: the last exchange, and what came of it.

    ``answered`` is whether it was a chat completion with anything in it at all, ``attempt`` counts from 0.
    """

    exchange: Exchange
    answered: bool
    knows: bool
    attempt: int = 0


async def ask_for(probe: Probe, request: Request, words: str, *, tries: int = TRIES) -> Recalled:
    """Ask until the answer, whole or streamed, holds the words; one that is no answer ends it at once.

    Raises Blocked where a token limit or a filter cuts each of several answers off, or something masks the words: what
    they would hold is unknown.
    """
    attempt, cut = 0, tries > 1
    while True:
        exchange = await ask_again(probe, request, first=attempt * TRIES)
        answered = is_answered(exchange.response)
        knows = answered and names_fact(said_in(exchange.response), words)
        cut = cut and answered and not knows and not _UNFINISHED.isdisjoint(finish_reasons(exchange.response))
        if cut and attempt + 1 == tries and (blocked := _cut_off(probe, exchange)):
            raise blocked
        if answered and not knows and attempt + 1 == tries and is_masked(said_in(exchange.response), words):
            raise _masked(probe, said_in(exchange.response))
        if knows or not answered or attempt + 1 == tries:
            return Recalled(exchange, answered, knows, attempt)
        attempt += 1


def _cut_off(probe: Probe, exchange: Exchange) -> Blocked | None:
    """The block where a token limit cut the answer off, or a filter answered in its place; None where none did."""
    if "content_filter" in finish_reasons(exchange.response):
        return Blocked(*FILTERED)
    if "length" not in finish_reasons(exchange.response):
        return None
    found = "answers are cut off by a token limit (finish_reason length) before they hold what was asked for"
    return Blocked(found, raise_limit(probe, exchange.request), cause="answers cut")


_UNFINISHED = frozenset({"length", "content_filter"})


def is_answered(response: Response | None) -> bool:
    """Whether it is a chat completion, whole or streamed, in which the model says something."""
    return bool(_messages(response)) and not is_empty(response)


def has_calls(response: Response) -> bool:
    """Whether the model calls a tool, whole or streamed."""
    choices = [choice for body in bodies_in(response) for choice in choices_in(body)]
    said = (delta_in(choice) or choice.get("message") for choice in choices)
    return any(isinstance(one, dict) and tool_calls_in(one) for one in said)


async def never_does(
    probe: Probe,
    request: Request,
    other: Request,
    does: Callable[[Response], bool],
    *,
    anew: Callable[[int], Awaitable[Request | None]] | None = None,
) -> bool:
    """Whether the model never does in answer to one request what it does each time in answer to the other.

    They are asked by turns, so that a model which does it nowhere is asked twice. Where earlier tries would be a
    part of what is asked, ``anew`` gives the request of each later try; None where it cannot be made: then it is open.
    """

    async def done(asked: Request, number: int) -> bool:
        response = (await ask_again(probe, asked, first=number * TRIES)).response
        return response is not None and does(response)

    for number in range(TRIES):
        asked = await anew(number) if anew is not None and number else request
        if asked is None or await done(asked, number) or not await done(other, number):
            return False
    return True


# -- facts that a model is given and asked for


def fact_of(probe: Probe, purpose: str) -> str:
    """The code word of this run and key for that purpose: nobody can know it who was not told, but this run itself."""
    return made_up_name(probe.run_id, probe.credential.name, purpose)


def tell(fact: str) -> str:
    """The message that states it."""
    return f"Remember this: the code word is {fact}. Reply with the word ok."


def names_fact(answer: str, fact: str) -> bool:
    """Whether the answer names the whole code word, in whatever case, spacing, punctuation and width of letters.

    Its parts stand together, with a few words between them at most: the digits of an id elsewhere in the answer are
    not its own. Of several code words, with a space between them, it names each.
    """
    said = _letters(answer)
    words = (map(re.escape, map(_letters, one.split("-"))) for one in fact.split())
    return all(re.search(_A_FEW_WORDS.join(parts), said) for parts in words)


_A_FEW_WORDS = ".{0,24}"


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(str(unicodedata.decimal(one, one)) for one in plain if one.isalnum())


# -- words that a model is asked to say


async def loses_words(probe: Probe, exchange: Exchange, control: Request) -> bool:
    """Whether answers to a request for several words never hold them once and in order, and the control's each time.

    Else the model says something else. An answer with few of them is no try at all, and one that its token limit ends
    is none that lost words.
    """
    key = probe.credential.name

    def is_right(one: Exchange) -> bool:
        return says_words(said_in(one.response), probe.run_id, key)

    said = said_in(exchange.response)
    if is_right(exchange) or not resembles_words(said, probe.run_id, key):
        return False
    if "length" in finish_reasons(exchange.response):
        return False
    for number in range(_WORD_CONTROLS):
        if not is_right(await ask_again(probe, control, first=number * TRIES)):
            return False
    for number in range(1, TRIES):
        again = await ask_again(probe, exchange.request, first=number * TRIES)
        if is_right(again):
            remark_late(probe, "said the words that it was asked for", number, again)
            return False
    return True


_WORD_CONTROLS = 3
"""So many answers of the other kind show that the model says what it is asked to say."""


# -- what the model can do


async def require_ability(probe: Probe, ability: Ability, *, tool: Mapping[str, Any] | None = None) -> None:
    """Raises Blocked unless the model behind the alias shows that it can: asked once a run for each alias and key.

    For a check that did not get what it needs, so that a model which gives it costs no request.
    """
    alias, key = probe.model(Modality.CHAT), probe.credential.name

    async def make() -> tuple[Blocked | None, Sequence[Exchange]]:
        exchanges: list[Exchange] = []

        async def ask(request: Request, number: int) -> Exchange:
            exchanges.append(await ask_again(probe, request, first=number * TRIES))
            return exchanges[-1]

        return await _explain_lack(probe, ability, ask, tool), exchanges

    lack = await probe.shared(("ability", ability, alias, key), make)
    if lack is not None:
        raise Blocked.by(lack.blocker)


_Ask = Callable[[Request, int], Awaitable[Exchange]]


async def _explain_lack(probe: Probe, ability: Ability, ask: _Ask, tool: Mapping[str, Any] | None) -> Blocked | None:
    """Why a check that needs the ability is blocked; None where the model has it."""
    if ability is Ability.RECALL:
        return await _explain_no_recall(probe, ask)
    if ability is Ability.JSON:
        exchange = await ask(plain_chat(probe, _JSON_WANTED), 0)
        able = _holds_json(said_in(exchange.response))
    else:
        name = str(tool["function"]["name"]) if tool else ""
        named = {"type": "function", "function": {"name": name}}
        fields = {"tools": [tool], "tool_choice": named, "stream": True}
        exchange = await ask(plain_chat(probe, "Call the tool for the city Oslo.", fields=fields), 0)
        # That a stream is refused or broken is the finding of its own rows: then nothing shows that the model can.
        able = any(message.get("tool_calls") for message in _messages(exchange.response))
        return None if able else lacks(probe, ability, said_in(exchange.response), tool=name)
    if trouble := _trouble(probe, ability, exchange):
        return await _of_all_chats(probe) or trouble
    return None if able else _cut_off(probe, exchange) or lacks(probe, ability, said_in(exchange.response))


async def _explain_no_recall(probe: Probe, ask: _Ask) -> Blocked | None:
    fact, recalled, said = fact_of(probe, Ability.RECALL), 0, ""
    messages = [("user", tell(fact)), ("assistant", "ok"), ("user", QUESTION)]
    request = plain_chat(probe, [{"role": role, "content": content} for role, content in messages])
    for number in range(_RECALL_TRIES):
        exchange = await ask(request, number)
        if trouble := _trouble(probe, Ability.RECALL, exchange):
            return await _of_all_chats(probe) or trouble
        knows = names_fact(said_in(exchange.response), fact)
        said = said if knows else said_in(exchange.response)
        if not knows and (cut := _cut_off(probe, exchange)):
            return cut
        recalled += knows
        if recalled == _RECALL_ENOUGH:
            return None
    if _HIDDEN.search(said) or is_masked(said, fact):
        return _masked(probe, said)
    return lacks(probe, Ability.RECALL, said, asked=QUESTION)


def is_masked(said: str, fact: str) -> bool:
    """Whether a text has signs, or a word in brackets (``[REDACTED]``), in place of parts of the fact."""
    words = (_BOLD.sub(r"\1", word.strip(_AROUND)) for word in _BRACKETED.sub("#", said).split())
    return any(_fits(_SIGNS.split(word), fact) for word in words)


def _fits(kept: Sequence[str], fact: str) -> bool:
    """Whether these parts are what is kept of the fact, with something else in between."""
    is_enough = 1 < len(kept) <= len(fact) and len(fact) // 3 <= sum(map(len, kept)) < len(fact)
    return is_enough and re.fullmatch(".+".join(map(re.escape, kept)), fact, re.IGNORECASE) is not None


def _masked(probe: Probe, said: str) -> Blocked:
    alias = probe.model(Modality.CHAT)
    return Blocked(
        f"the answers of {alias} have signs in place of what was said: it says {shortened(said, _LONGEST_SAID)!r}",
        f"Find what masks parts of messages or answers of {alias} (a privacy filter, a gateway), and have it leave "
        "the key of this run alone.",
        cause=f"ability {alias} masked",
    )


_IN_BRACKETS = r"[\[<({]{1,4}[A-Z][A-Z0-9_ ]{1,40}[\])>}]{1,4}"
_BRACKETED = re.compile(_IN_BRACKETS)
_SIGNS = re.compile(r"[#*\u2022\u2588]+|[xX_?]{2,}")
_HIDDEN = re.compile(rf"(?!\[INST\]){_IN_BRACKETS}|[#*\u2022\u2588]{{8,}}")
_BOLD = re.compile(r"\*\*(.+)\*\*")
_AROUND = ".,;:!?\"'`()"


async def _of_all_chats(probe: Probe) -> Blocked | None:
    """The block because of the finding that no chat is answered as it should be, where that is so."""
    try:
        await probe.require_like("chat.completes", conforming=True)
    except Blocked as blocked:
        return blocked
    return None


_LONGEST_SAID, _REPEATED = 60, 5
_MARKS = re.compile(r"<\|\w+\|>|</?think>|</?s>|\[/?INST\]|</?(?:start|end)_of_turn>")
"""What chat templates put around messages and models around their reasoning, which is not for those who ask."""


def require_no_echo(probe: Probe, exchange: Exchange) -> None:
    """Raise Blocked where an answer is the last message of its request: then no model has read anything."""
    messages = exchange.request.fields.get("messages")
    last = messages[-1].get("content") if isinstance(messages, list) and messages else None
    said = said_in(exchange.response).strip()
    if said and said == last:
        raise _echoes(probe.model(Modality.CHAT), f": it says {shortened(said, _LONGEST_SAID)!r}")


def _echoes(alias: str, answer: str) -> Blocked:
    return Blocked(
        f"the answers of {alias} are the last message, word for word{answer}",
        f"Find what answers in place of the model behind {alias} (a test double, a gateway without a model).",
        cause=f"ability {alias} echo",
    )


def lacks(probe: Probe, ability: Ability, said: str = "", *, tool: str = "", asked: str = "") -> Blocked:
    """A weak model is one cause, whatever it is found to lack; what it ``said`` may show what is wrong with it."""
    alias = probe.model(Modality.CHAT)
    answer = f": it says {shortened(said, _LONGEST_SAID)!r}" if said.strip() else ""
    if asked and said.strip() == asked:
        return _echoes(alias, answer)
    if tool and tool in said and "{" in said:
        return Blocked(
            f"the model behind {alias} writes the tool call into its text{answer}",
            f"Have the server of the model behind {alias} read tool calls out of what the model writes (vLLM: "
            "--enable-auto-tool-choice and the --tool-call-parser of that model).",
            cause=f"ability {alias} tools in texts",
        )
    if mark := _MARKS.search(said):
        return Blocked(
            f"the model behind {alias} does not {ability}{answer}",
            f"Have the server of the model behind {alias} use the chat template and the stop words of that model, and "
            f"keep its reasoning apart: {mark[0]!r} is in what it says.",
            cause=f"ability {alias} marks",
        )
    if len(said) >= _REPEATED and len(set(said)) == 1:
        return Blocked(
            f"the model behind {alias} does not {ability}{answer}",
            f"Look at the server of the model behind {alias}: it writes one character again and again (weights that "
            "do not load as they should, numbers that overflow).",
            cause=f"ability {alias} one character",
        )
    return Blocked(
        f"the model behind {alias} does not {ability}{answer}",
        f"Publish the alias {alias} with a stronger model, one that recalls what it is given, calls the tools that it "
        "is offered and answers in JSON where it is asked to, and see that the tenant passes tools on to it.",
        cause=f"ability {alias}",
    )


def _trouble(probe: Probe, ability: Ability, exchange: Exchange) -> Blocked | None:
    """The block where the model gave no answer at all: that says nothing of what it can do."""
    response, alias = exchange.response, probe.model(Modality.CHAT)
    if _messages(response) and not is_empty(response):
        return None
    if response is not None and is_empty(response):
        if "content_filter" in finish_reasons(response):
            return Blocked(*FILTERED)
        reasons = ", ".join(map(str, finish_reasons(response))) or "none"
        found = f"an answer without text (finish_reason {reasons})"
    else:
        found = describe(response) if response is not None else describe_failure(exchange)
    return Blocked(
        f"whether the model behind {alias} can {ability} is unknown: {found}",
        f"Have the alias {alias} answer a plain chat with text: look at this exchange, then run again.",
        cause=f"ability {alias} {ability.name} unknown",
    )


def said_in(response: Response | None) -> str:
    """What the model says in a chat completion, whole or streamed; empty where it is not sound enough to tell."""
    separator = "" if response is not None and response.media_type == "text/event-stream" else " "
    return separator.join(text_in(message) for message in _messages(response))


def _holds_json(text: str) -> bool:
    """Whether there is a JSON object in it, within words or marks of code as well."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        return found is not None and isinstance(json.loads(found[0]), dict)
    except ValueError:
        return False

"""Answers are to the request that was sent: not to another key's, to another run's, or to one of before."""

import json
import math
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import ADD_INFERENCE_KEY, SEVERAL_KEYS, cannot_reach, check, require_declared_name
from gt_conformance.checks._completion import bodies_in
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    FILES_GIVEN_AGAIN,
    NEW_FILE_IDS,
    OF_ANOTHER,
    OPEN_ANEW,
    OWN_IDS,
    conversation_named_by,
    created_conversation,
    files_given_again,
    given_to_another,
)
from gt_conformance.checks._words import is_miscopied, word_of, words_in
from gt_conformance.checks.media import is_audio, is_image
from gt_conformance.checks.models import ids_in, join_some, shown, unpublished_in
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Presentation, Request, Response, joined_text, shortened
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Route, Severity

_LEAST_PROMPTS = 3
"""So many different prompts that get one and the same answer show that nobody reads them."""
_LEAST_NUMBERS = 4
"""A vector of fewer numbers may be that of several texts."""
_FIRST = 32
"""So many numbers of a vector tell nearly all that are different apart."""
_NO_NUMBER = 1e6
"""No model gives such a number: it comes of bytes in the wrong order, or of another width."""
_DIGITS = 5
"""As float and as base64 the same vector differs in later digits."""
_OWN_VECTORS = (
    "Have the tenant, and every cache or pool of connections before it, give each request for embeddings the answer to "
    "that request: some get the answer to another one."
)
_OWN_ROUTE = "Have the tenant, and what routes requests before it, answer speech with audio, and images with images."
_OWN = "no answer holds the code word of another request"
_CONVERSATIONS = "/conversations"
_NEW = "each answer is made for its request"


OWN = "answers.own"
ANSWER_EACH = "Have the tenant, and every cache before it, answer each chat by itself, whoever asked before."
"""What it finds explains whatever else is wrong in the answers of the same route: they are not that request's own."""


def is_mixed(seen: Sequence[Exchange], run_id: str) -> bool:
    """Whether any of these answers is to another request, as far as it shows at once."""
    answers = _under_their_own_ids(list(_answers(seen)))
    return (
        any(_foreign_words(exchange, run_id) for exchange in seen)
        or any(True for found in (_given_to_several, _given_to_all, _given_again) for _ in found(answers))
        or next(_given_vectors(seen), None) is not None
        or _given_to_next(seen) is not None
        or next(_of_other_routes(seen), None) is not None
    )


@check(
    OWN,
    claim="Each answer is to its own request, never to another key's or an earlier one.",
    remedy=ANSWER_EACH,
    source="GT API reference, Run a chat completion; GT API reference, Conversation continuity header",
    clauses=("A9", "C1", "C3", "E1", "F1", "M1", "S2", "S5"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def own(probe: Probe) -> None:
    """No answer of the whole run, plain or streamed, holds a code word that neither its request nor its thread does.

    None is one that another request got: the same text under the same id, or the same vector for another text. A key
    that was listed its own names is listed no others later.
    """
    for exchange, route in _of_other_routes(probe.seen):
        expected, found = "each route of media gives what it is for", f"an answer of {route.title}"
        probe.fail(expected, found, probe.note(exchange), remedy=_OWN_ROUTE, cause="answers:routes")
    await _expect_own_media(probe)
    await _expect_own_vectors(probe)
    _expect_own_lists(probe)
    misplaced = list(given_to_another(probe.seen))
    for exchange in misplaced:
        expected, found = "what is created is answered to the request for it", "the name that another request sent"
        probe.fail(expected, found, probe.note(exchange), remedy=OWN_IDS, cause=OF_ANOTHER)
    for exchange in files_given_again(probe.seen) if not misplaced else ():
        expected, found = "each file that is uploaded gets an id of its own", "the id of a file with another content"
        probe.fail(expected, found, probe.note(exchange), remedy=NEW_FILE_IDS, cause=FILES_GIVEN_AGAIN)
    are_mixed = any(one.request.path.endswith(_CONVERSATIONS) for one in misplaced)
    of_new = (OWN_IDS, OF_ANOTHER) if are_mixed else (OPEN_ANEW, "")
    await _require_chats(probe)
    for exchange in probe.seen:
        for word in _foreign_words(exchange, probe.run_id) if exchange not in misplaced else ():
            is_new = exchange.request.path.endswith(_CONVERSATIONS)
            remedy, cause = of_new if is_new else (None, "")
            probe.fail(_OWN, _whose(probe, word), probe.note(exchange), remedy=remedy, cause=cause)
    answers = _under_their_own_ids(list(_answers(probe.seen)))
    for said in (*_given_to_several(answers), *_given_to_all(answers)):
        found = f"the answer {said.id} came to different requests, word for word"
        probe.fail(_NEW, found, probe.note(said.exchange))
    for said, names in _given_again(answers):
        found = f"the answer {said.id} came again to a request with other {' and '.join(names)}"
        probe.fail(_NEW, found, probe.note(said.exchange))


async def _require_chats(probe: Probe) -> None:
    """Some chat with a code word was answered in this run. Raises Blocked where none was, with the reason why."""
    chats = [exchange for exchange in probe.seen if _is_on(exchange.request, Route.CHAT)]
    asked = [exchange for exchange in chats if _sent(exchange.request) and exchange.response is not None]
    if any(exchange.response.succeeded for exchange in asked if exchange.response):
        return
    if cannot_reach(probe.tenant, Route.CHAT):
        raise Blocked("no credential can serve this check", ADD_INFERENCE_KEY)
    require_declared_name(probe.tenant)
    able = [key.name for key in probe.tenant.live_credentials if key.may(Route.CHAT) is not False]
    tried = {exchange.request.key for exchange in asked}
    for key in sorted(able, key=lambda name: name not in tried):
        await probe.require("chat.completes", key)  # why no chat is answered is its finding
    raise Blocked("no chat with a code word was answered in this run", "Select something that chats.")


def _foreign_words(exchange: Exchange, run_id: str) -> list[str]:
    """The code words in an answer that neither its request nor its conversation holds.

    A model may miscopy a word, and a filter may change it: one much like a word that was sent is nobody else's.
    """
    request, response = exchange.request, exchange.response
    if response is None:
        return []
    own_words = _sent(request)
    if CONVERSATION_HEADER in dict(request.headers):
        own_words |= {word_of(run_id, request.key)}
    return sorted(word for word in _said(response) - own_words if not is_miscopied(word, own_words))


def _sent(request: Request) -> frozenset[str]:
    forms = "\n".join(part.content.decode(errors="replace") for part in request.parts)
    return words_in(request.body.decode(errors="replace")) | words_in(forms)


def _said(response: Response) -> frozenset[str]:
    return words_in(response.plain) | words_in(joined_text(response))


def _whose(probe: Probe, word: str) -> str:
    """Whose word it is, as far as this run knows."""
    for key in probe.tenant.credentials:
        if word == word_of(probe.run_id, key):
            return f"{word}, which was asked for with the key {key}"
    return f"{word}, which this run asked for with no key: it is of another run"


# -- answers that were given before


@dataclass(frozen=True)
class Answer:
    """What a chat was answered: under which id, when, with which text, to which prompt."""

    exchange: Exchange
    prompt: str
    id: str
    created: float
    text: str


def _answers(seen: Sequence[Exchange]) -> Iterator[Answer]:
    """The answers to the chats of the run that have an id and a text."""
    for exchange in seen:
        request, response = exchange.request, exchange.response
        if response is None or not response.succeeded or not _is_on(request, Route.CHAT):
            continue
        bodies, text = bodies_in(response), joined_text(response)
        given = next((body["id"] for body in bodies if isinstance(body.get("id"), str) and body["id"]), None)
        created = next((body["created"] for body in bodies if _is_time(body.get("created"))), 0)
        if given is not None and text.strip():
            yield Answer(exchange, json.dumps(request.fields.get("messages")), given, created, text)


def _under_their_own_ids(answers: Sequence[Answer]) -> list[Answer]:
    """Those whose id came with no other text: one that several answers have tells none of them apart."""
    texts: dict[str, set[str]] = defaultdict(set)
    for answer in answers:
        texts[answer.id].add(answer.text)
    return [answer for answer in answers if len(texts[answer.id]) == 1]


def _is_on(request: Request, route: Route) -> bool:
    return bool(request.body) and request.path.endswith(route.path.removeprefix("/v1"))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _given_to_several(answers: Sequence[Answer]) -> Iterator[Answer]:
    """Answers that came word for word, under one id and time, to the different code words of two keys."""
    known: dict[tuple[str, float, str], Answer] = {}
    for answer in answers:
        first = known.setdefault((answer.id, answer.created, answer.text), answer)
        asked, others = _sent(answer.exchange.request), _sent(first.exchange.request)
        if answer.created and asked and others and asked.isdisjoint(others):
            yield answer


def _given_to_all(answers: Sequence[Answer]) -> Iterator[Answer]:
    """The answer of each key that gets one and the same, made at one time, to all of several prompts."""
    by_key: dict[str | None, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_key[answer.exchange.request.key].append(answer)
    for given in by_key.values():
        several = len({answer.prompt for answer in given}) >= _LEAST_PROMPTS
        alike = len({(answer.id, answer.created, answer.text) for answer in given}) == 1
        if several and alike and given[0].created:
            yield given[-1]


_SUBSTANCE = ("messages", "tools", "tool_choice", "response_format", "model")
"""The fields of a chat that make it another question: what a cache must look at."""


def _given_again(answers: Sequence[Answer]) -> Iterator[tuple[Answer, list[str]]]:
    """Answers that came under the id and the time of an earlier one to another question, with what it differs in.

    Only where each answer has an id of its own otherwise: a gateway may give all of them one.
    """
    if len({answer.id for answer in answers}) * 2 <= len(answers):
        return
    known: dict[tuple[str, float, str], Answer] = {}
    for answer in answers:
        first = known.setdefault((answer.id, answer.created, answer.text), answer)
        one, other = first.exchange.request.fields, answer.exchange.request.fields
        differs = [name for name in _SUBSTANCE if one.get(name) != other.get(name)]
        if answer.created and differs:
            yield answer, differs


# -- sounds and images of other texts


async def _expect_own_media(probe: Probe) -> None:
    """No two texts get the same sound, and no two prompts the same image, whoever asks.

    A model may make one thing of everything, as those do that stand in for a real one. So it is asked for once more, by
    another key as well: what all of them get is advised only.
    """
    for route, field in ((Route.SPEECH, "input"), (Route.IMAGES, "prompt")):
        known: dict[str, object] = {}
        for exchange in probe.seen:
            made, asked = _made(exchange, route, probe.seen), exchange.request.fields.get(field)
            if not made or known.setdefault(made, asked) == asked:
                continue
            expected = f"each {field} of {route.title} gets an answer of its own"
            if await _gets_another(probe, exchange, route, made):
                probe.fail(
                    expected,
                    f"what another {field} got, byte for byte",
                    probe.note(exchange),
                    remedy=f"Have the tenant, and every cache before it, look at `{field}` of {route.title}.",
                    cause=f"answers:{route.value}",
                )
            else:
                probe.advise(f"{expected}: all of them are the same, byte for byte", exchange)
            break


def _of_other_routes(seen: Sequence[Exchange]) -> Iterator[tuple[Exchange, Route]]:
    """The answers that are sound, and another route's: images where speech was asked for, audio where images were."""
    for exchange in seen:
        if _is_on(exchange.request, Route.SPEECH) and _made(exchange, Route.IMAGES, seen, asked=Route.SPEECH):
            yield exchange, Route.IMAGES
        elif _is_on(exchange.request, Route.IMAGES) and _made(exchange, Route.SPEECH, seen, asked=Route.IMAGES):
            yield exchange, Route.SPEECH


async def _gets_another(probe: Probe, exchange: Exchange, route: Route, made: str) -> bool:
    """Whether this key, or another one, that asks for the same in the same words gets something else this time."""
    with suppress(Blocked):
        if _made(await probe.send(exchange.request, again=1), route, probe.seen) not in {"", made}:
            return True
    model = str(exchange.request.fields.get("model"))
    for other in probe.tenant.live_credentials:
        if other.name != exchange.request.key and other.may(route) and other.may_use(model):
            with suppress(Blocked):
                answered = await probe.send(replace(exchange.request, key=other.name))
                return _made(answered, route, probe.seen) not in {"", made}
    return False


def _made(exchange: Exchange, route: Route, seen: Sequence[Exchange], *, asked: Route | None = None) -> str:
    """What an answer of media holds, as a text to compare; empty where that is nothing sound."""
    response = exchange.response
    if response is None or not response.succeeded or not _is_on(exchange.request, asked or route):
        return ""
    if route is Route.SPEECH:
        return sha256(response.body).hexdigest() if is_audio(response.body) else ""
    try:
        items = response.json()["data"]
        return "".join(_image_in(item, seen) for item in items)
    except (NotJson, LookupError, TypeError, AttributeError, ValueError):
        return ""


def _image_in(item: Mapping[str, Any], seen: Sequence[Exchange]) -> str:
    """An image by what it holds, or by its address where that gave one; empty where it is none."""
    encoded, url = item.get("b64_json"), item.get("url")
    if isinstance(encoded, str):
        data = b64decode(encoded)
        return sha256(data).hexdigest() if is_image(data) else ""
    fetched = (one.response for one in seen if isinstance(url, str) and one.request.url.endswith(url))
    return str(url) if any(one is not None and is_image(one.body) for one in fetched) else ""


# -- vectors of other texts


async def _expect_own_vectors(probe: Probe) -> None:
    """No two requests get the same vector for different texts. What is wrong in one request is embeddings.batch's."""
    for exchange, earlier, texts in _given_vectors(probe.seen):
        keys = {exchange.request.key, earlier.request.key}
        if not all([await _embeds_soundly(probe, key) for key in sorted(keys, key=str)]):
            continue
        if await _embeds_alike(probe, exchange, texts):
            probe.advise(f"each text should get a vector of its own: {_EMBEDDED_ALIKE}", exchange)
            return
        probe.fail(
            "each text gets a vector of its own, whoever asks",
            "the vector of a text that another request sent",
            probe.note(exchange),
            remedy=_OWN_VECTORS,
        )
        return
    if (found := _given_to_next(probe.seen)) is not None:
        given, asked = len(_items(found)), len(_texts(found.request))
        probe.fail(
            "the vectors of an answer are those of its own texts",
            f"{given} for {asked}, as an earlier request asked for; other answers hold fewer than were asked for",
            probe.note(found),
            remedy=_OWN_VECTORS,
            cause="answers:embeddings",
        )


def _given_to_next(seen: Iterable[Exchange]) -> Exchange | None:
    """An answer with more vectors than its request has texts, but as many as an earlier one, where others hold fewer.

    What counts wrong errs in one direction. In both it is the answers that went to other requests.
    """
    asked: set[int] = set()
    more: Exchange | None = None
    is_fewer = False
    for exchange in seen:
        if not _is_on(exchange.request, Route.EMBEDDINGS):
            continue
        given, due = len(_items(exchange)), len(_texts(exchange.request))
        if given in asked:
            more = more or (exchange if given > due else None)
            is_fewer = is_fewer or given < due
        asked.add(due)
    return more if is_fewer else None


def _texts(request: Request) -> list[Any]:
    """What is to be embedded: a text, texts, the token ids of one, or those of several."""
    given = request.fields.get("input")
    return given if isinstance(given, list) and not all(isinstance(one, int) for one in given) else [given]


def _items(exchange: Exchange) -> list[Any]:
    """What an answer holds in its ``data``; nothing where that is no list."""
    response = exchange.response
    if response is None or not response.succeeded:
        return []
    with suppress(NotJson, LookupError, TypeError):
        data = response.json()["data"]
        return data if isinstance(data, list) else []
    return []


_EMBEDDED_ALIKE = "these differ in a word that the model, or a filter before it, does not tell apart"


async def _embeds_alike(probe: Probe, exchange: Exchange, texts: tuple[str, str]) -> bool:
    """Whether both texts get one vector in one request as well: then none of them is another request's."""
    together = requests.embeddings(probe.tenant, exchange.request.key, list(texts), model=_model_of(exchange.request))
    with suppress(Blocked):
        return len({vector for _, vector in _vectors(await probe.send(together))}) == 1
    return False


def _model_of(request: Request) -> str | None:
    model = request.fields.get("model")
    return model if isinstance(model, str) else None


def _given_vectors(seen: Iterable[Exchange]) -> Iterator[tuple[Exchange, Exchange, tuple[str, str]]]:
    """The embeddings in which a text has the vector of another text, with the request that sent that one, and both.

    Where its own request sent that text as well, or one text twice that got two vectors, it is the order that is wrong,
    which embeddings.batch and embeddings.client_batch find.
    """
    known: dict[_Vector, tuple[str, Exchange]] = {}
    for exchange in seen:
        given = list(_vectors(exchange))
        vectors = dict(given)
        if len(set(vectors.values())) < len(vectors) or len(set(given)) > len(vectors):
            continue
        for text, vector in vectors.items():
            other, earlier = known.setdefault(vector, (text, exchange))
            if other != text and earlier is not exchange and other not in vectors:
                yield exchange, earlier, (text, other)
                break


class _Vector:
    """A vector in digits that count: those of its largest number, however large or small that is.

    All of its numbers are rounded only where the first are those of another one.
    """

    def __init__(self, numbers: Sequence[float]) -> None:
        self._numbers = tuple(numbers)
        most = max(map(abs, self._numbers), default=0)
        self._digits = _DIGITS - math.ceil(math.log10(most)) if most and math.isfinite(most) else None
        self._first = self._rounded(_FIRST)

    def _rounded(self, count: int | None = None) -> tuple[float, ...]:
        some, digits = self._numbers[:count], self._digits
        return some if digits is None else tuple(round(one, digits) for one in some)

    def __hash__(self) -> int:
        return hash(self._first)

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, _Vector):
            return self is other
        alike = self._first == other._first
        return alike and (self._numbers == other._numbers or self._rounded() == other._rounded())

    @property
    def is_telling(self) -> bool:
        """Whether it can be told from the vectors of other texts: what is decoded wrongly may be next to nothing."""
        numbers = self._numbers
        return len(numbers) - numbers.count(0) >= _LEAST_NUMBERS and all(map(_NO_NUMBER.__gt__, map(abs, numbers)))


def _vectors(exchange: Exchange) -> Iterator[tuple[str, _Vector]]:
    """Each text of a request for embeddings with its vector; nothing where they do not fit each other."""
    request, response = exchange.request, exchange.response
    if response is None or not response.succeeded or not _is_on(request, Route.EMBEDDINGS):
        return
    given = request.fields.get("input")
    texts = given if isinstance(given, list) else [given]
    try:
        items = sorted(response.json()["data"], key=lambda item: item.get("index") or 0)
        vectors = [_Vector(requests.floats(item["embedding"])) for item in items]
    except (NotJson, LookupError, TypeError, ValueError, AttributeError):
        return
    if len(vectors) == len(texts) and all(vector.is_telling for vector in vectors):
        yield from zip(map(str, texts), vectors, strict=True)


async def _embeds_soundly(probe: Probe, key: str | None) -> bool:
    """Whether the vectors of this key hold to what embeddings.batch claims: else that is the finding."""
    try:
        await probe.require_like("embeddings.batch", key, conforming=True)
    except Blocked:
        return False
    return True


# -- names of other keys


def _expect_own_lists(probe: Probe) -> None:
    """No later list of a key holds names beyond its own; where the first one did, that is the finding of its rows."""
    live = {key.name: key for key in probe.tenant.live_credentials if key.models is not None}
    known: dict[str, frozenset[str]] = {}
    for exchange in probe.seen:
        key = live.get(exchange.request.key or "")
        if key is None or exchange.request.presentation is not Presentation.BEARER or not _is_list(exchange.request):
            continue
        if not (listed := frozenset(ids_in(exchange))):
            continue
        own_names = _declared(key) | known.setdefault(key.name, listed)
        if others := sorted(listed - own_names):
            probe.fail(
                "each model list of a key holds the names of that key",
                f"{join_some(others)} in one list of the key {key.name}, and not in an earlier one",
                probe.note(exchange),
                remedy="Have every instance of the tenant, and every cache, list to a key its own names alone.",
                cause="answers:lists",
            )
            return


# -- which model an answer names


@check(
    "answers.name_published",
    claim="Every answer of the run names a published model, whatever was asked for.",
    remedy="Have the tenant put the published name into `model` of every answer and stream chunk: with tools, in "
    "conversations and for token ids as well.",
    source="GT API reference, Run a chat completion; GT API reference, Create embeddings",
    clauses=("C2", "E2"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def name_published(probe: Probe) -> None:
    """No 2xx chat or embedding answer of the whole run names a model that its key may not see, nor asked for.

    What the un-versioned twins name in plain requests is held against the versioned answer by base_url.joins: where
    these name no such model, what they name in streams, with tools, in conversations and for token ids counts here.
    """
    names: dict[str | None, frozenset[str]] = {key.name: _declared(key) for key in probe.tenant.live_credentials}
    for exchange in probe.seen:
        if _is_list(exchange.request) and exchange.request.key in names:
            names[exchange.request.key] |= frozenset(ids_in(exchange))
    known = frozenset().union(*names.values())
    opened = {
        (one.request.key, created_conversation(one.response))
        for one in probe.seen
        if one.request.path.endswith(_CONVERSATIONS)
    }
    answers = [exchange for exchange in probe.seen if names.get(exchange.request.key)]

    def unpublished_names(exchange: Exchange) -> list[tuple[Route, str]]:
        asked = exchange.request.fields.get("model")
        key, conversation = exchange.request.key, conversation_named_by(exchange.request)
        # In another key's conversation it may be that key's name: who answers there at all is conversation.isolated's.
        own = names[key] if conversation is None or (key, conversation) in opened else known
        return [(route, name) for route, name in _named(exchange) if name not in own and name != asked]

    compared = any(unpublished_names(one) for one in answers if _is_unversioned(one) and not _is_special(one.request))
    for exchange in answers:
        if not _is_unversioned(exchange) or (_is_special(exchange.request) and not compared):
            for route, name in unpublished_names(exchange):
                internal = name in probe.tenant.unpublished_models
                own = join_some(sorted(names[exchange.request.key]))
                expected = f"the model named in the answer is a published name of the key: {own}"
                cause = shown(name) if internal else unpublished_in(route)
                probe.fail(expected, f"model is {shortened(name, 80)!r}", probe.note(exchange), cause=cause)
    if not any(True for exchange in answers for _ in _named(exchange)):
        await _require_chats(probe)


def _declared(key: Credential) -> frozenset[str]:
    return (key.models or frozenset()) | key.unsure.models


def _is_list(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith(Route.MODELS.path)


def _is_unversioned(exchange: Exchange) -> bool:
    return not any(exchange.request.path.endswith(route.path) for route in (Route.CHAT, Route.EMBEDDINGS))


def _is_special(request: Request) -> bool:
    """Whether base_url.joins does not ask for it: a chat that streams, has tools or a conversation; token ids."""
    given = request.fields.get("input")
    if _is_on(request, Route.EMBEDDINGS):
        return isinstance(given, list) and any(isinstance(one, list | int) for one in given)
    special = bool(request.fields.get("stream") or request.fields.get("tools"))
    return _is_on(request, Route.CHAT) and (special or CONVERSATION_HEADER in dict(request.headers))


def _named(exchange: Exchange) -> Iterator[tuple[Route, str]]:
    """The models that an answer names, a stream in any of its chunks, each once."""
    request, response = exchange.request, exchange.response
    for route in (Route.CHAT, Route.EMBEDDINGS):
        if response is not None and response.succeeded and _is_on(request, route):
            found = (body.get("model") for body in bodies_in(response))
            yield from ((route, name) for name in dict.fromkeys(found) if isinstance(name, str) and name)

"""An answer in words: what it says, what it comes to, and what to do about one that is not the 2xx that was due."""

import re
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from gt_conformance import schema
from gt_conformance.errors import Blocker, name_finding
from gt_conformance.exchange import Exchange, Failure, NotJson, Request, Response, parse_json, shortened
from gt_conformance.vocabulary import CONVERSATION_HEADER

LONGEST_QUOTE = 160
_MOST_REASONS = 5
_REASONS, _TITLES = ("message", "detail", "errors"), ("title", "code")
TOO_LARGE = 413
NOT_LET_THROUGH = frozenset({400, 401, 403, 406, 407, 429, 451, 495, 496})
"""With what firewalls, gateways and proxies refuse; 495 and 496 are nginx's for a client certificate."""
_LARGE = "answer:too large"
_PAGE = "The HTML page comes from something in front of the API (a firewall, a gateway, a login page)"
LET_THROUGH = (
    f"{_PAGE}, not from the API: have it let this machine's requests through, and pass on the tenant's own refusals. "
    "If the page asks for a client certificate, set client_cert in the tenant file."
)
PASS_ON_KEY = (
    "The tenant says that no key came, and one was sent: have each proxy and gateway before the tenant pass on the "
    "header Authorization."
)
_ID = re.compile(r"/(datasets|files|uploads)/[^/]+")
_ANY_ID = r"/\1/{id}"
_VOLATILE = re.compile(r"[0-9a-f]{8}[0-9a-f-]*|\d+")
"""What differs from one refusal to the next of the same kind: ids of requests, times, counts."""
WEB_PAGE = "web page"
"""The cause of all that is blocked since something before the tenant refuses with a web page."""
_CLIENT_ERRORS = frozenset({400, 407, 412, 418, 422, 423, 424, 426, 428, 451, 498})
"""Refusals that may be of a key: not of a conflict, a time, a size, a form or a rate, which other words go with."""
_NAMES_THE_RIGHT = re.compile(
    r"scope|model|permission|allow|forbid|grant|access|support|unauthori[sz]ed"
    r"|no such |not exist|(file|upload|dataset|conversation)[^.]{0,80} not found",
    re.IGNORECASE,
)


LET_REFUSED = (
    "Have the gateway before the tenant let this machine's refused requests through, or lower "
    "limits.refusals_per_minute and limits.max_refusals below the rate that it takes for an attack; then run again."
)


def find_limit(exchange: Exchange) -> Blocker | None:
    """The budget or the rate that an answer says is used up: it says nothing else about the tenant."""
    response = exchange.response
    if response is None:
        return None
    if (full := _find_full(exchange.request, response)) is not None:
        return full
    if says_budget(response):
        # What the API answers when a budget stops it is documented on no page.
        if response.status == HTTPStatus.PAYMENT_REQUIRED and _SAYS_LICENSE.search(_beginning(response)):
            reason = f"a license or a plan stops the tenant: {describe(response)}"
            return Blocker(reason, "Renew what the tenant names, then run again.", cause="license")
        reason = f"a budget stops the tenant: {describe(response)}"
        return Blocker(reason, "Raise the budget of the key or of the tenant, then run again.", cause="budget")
    return _find_rate(exchange, response) if response.status == HTTPStatus.TOO_MANY_REQUESTS else None


def _find_rate(exchange: Exchange, response: Response) -> Blocker:
    """The rate that a 429 is about: that of requests, or that of requests that were refused."""
    if _SAYS_ATTEMPTS.search(_beginning(response)):
        reason = f"a gateway limits the number of refused requests: {describe(response)}"
        return Blocker(reason, LET_REFUSED, cause="refusals limited")
    return Blocker(
        f"the tenant answered 429 (too many requests) {schema.count_noun(len(exchange.attempts) + 1, 'time')}",
        "Lower limits.requests_per_minute or limits.concurrency in the tenant file, or raise the key's limits.",
    )


def says_budget(response: Response) -> bool:
    """Whether an answer says that a budget or a quota is used up: by 402, or in words. To ask again is of no use.

    A quota of so many a minute is a rate, and so is what says that one may ask again soon.
    """
    if response.status not in _OF_BUDGETS:
        return response.status == HTTPStatus.PAYMENT_REQUIRED
    said = _beginning(response)
    is_rate = _may_ask_soon(response) or _SAYS_RATE.search(said)
    return not is_rate and _SAYS_BUDGET.search(said) is not None


def _may_ask_soon(response: Response) -> bool:
    """Whether an answer says when to ask again, and does not say that it is after a run."""
    given = [text for name in _WHEN if (text := response.header(name)) is not None]
    seconds = given[0] if response.header(_WHEN[0]) is not None else ""
    return bool(given) and not (seconds.isdecimal() and int(seconds[:_LONGEST_NUMBER]) > _SOON_S)


def _says_full(response: Response) -> bool:
    """Whether what was to be created is refused since there is too much of it already: no page sets such a limit."""
    if response.status == HTTPStatus.INSUFFICIENT_STORAGE:
        return True
    return response.status in _FULL and _SAYS_FULL.search(_beginning(response)) is not None


def _find_full(request: Request, response: Response) -> Blocker | None:
    """What the tenant keeps no more of; None where it says nothing like it."""
    if request.creates and _says_full(response):
        reason = f"a limit on what the tenant keeps is reached: {describe(response)}"
        remedy = "Delete what earlier runs left there, or raise that limit, then run again."
    elif _says_replaced(request, response):
        what = "the tenant keeps fewer conversations of a key open than a run needs, which is two"
        reason = f"{what}: {describe(response)}"
        remedy = "Have the tenant keep more conversations of a key open, then run again."
    else:
        return None
    return Blocker(reason, remedy, cause="full")


def _says_replaced(request: Request, response: Response) -> bool:
    """Whether a conversation is closed since its key opened another one: no page says how many are open at once."""
    return (
        response.status in _CLOSED
        and CONVERSATION_HEADER in dict(request.headers)
        and _SAYS_REPLACED.search(_beginning(response)) is not None
    )


_CLOSED = frozenset({403, 404, 409, 410})
_SAYS_REPLACED = re.compile(
    r"(?i)\bconversation\b[^.]{0,40}\b(?:closed|ended|evicted|replaced|superseded)\b.{0,40}"
    r"\b(?:another|newer|limit|most recent|new conversation)\b"
)
_FULL = frozenset({400, 403, 409, 413, 422})
_SAYS_FULL = re.compile(
    r"(?i)\b(?:dataset|storage|disk|bucket|collection)\b[^.]{0,20}\bfull\b"
    r"|\btoo many (?:\w+ )?(?:conversations|files|documents|uploads)\b"
    r"|\b(?:limit|maximum number) of (?:\w+ )?(?:conversations|files|documents|uploads)\b"
    r"[^.]{0,20}\b(?:reached|exceeded)\b"
)
"""How tenants say so; a limit on one request is said otherwise."""


def _beginning(response: Response) -> str:
    return response.body[:_LONGEST_REASON].decode("utf-8", errors="replace")


_SAYS_LICENSE = re.compile(r"(?i)\blicen[cs]e|\bsubscription|\btrial\b")
_WHEN = ("retry-after", "retry-after-ms")
_SOON_S, _LONGEST_NUMBER = 600, 9
_SAYS_RATE = re.compile(r"(?i)\bper[- ](?:second|minute|hour|day)\b|\brate[- ]limit|\b[rt]p[md]\b")
_OF_BUDGETS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""LiteLLM's proxy answers 400, New API 403, OpenAI 429."""
_SAYS_ATTEMPTS = re.compile(
    r"(?i)\b(?:failed|failures?|invalid|unsuccessful|unauthori[sz]ed|incorrect|wrong)\b[^.]{0,40}"
    r"\b(?:attempts?|requests?|log-?ins?|sign-?ins?|keys?|credentials?|authentications?)\b"
    r"|\b(?:denied|refused|rejected) (?:requests|attempts)\b"
    r"|brute.?force|\block(?:ed)?[- ]?out\b|\b(?:banned|blocked) (?:for|until|temporarily)\b"
    r"|\btemporarily (?:banned|blocked)\b(?![^.]{0,30}\brate)"
)
_SAYS_BUDGET = re.compile(
    r"(?i)\binsufficient[_ ](?:user[_ ])?(?:quota|balance|credits?)\b"
    r"|\bbilling\b|\bout of credits?\b|\bbudget\b.{0,40}\b(?:exceed|exhaust|used up|reached)"
    r"|\b(?:exceed\w*|exhausted|used up|over)\b.{0,40}\b(?:budget|quota|credits?)\b"
    r"|\bquota\b.{0,40}\b(?:exceed|exhaust|used up|reached)"
)
"""How gateways say that money or an allowance is used up, in one status or another."""
_LONGEST_REASON = 2_000


_SAYS_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|(?:maximum|max|model'?s|available) context (?:length|size|window)"
    r"|context (?:length|size|window|limit) (?:is|of) (?:only )?\d"
    r"|exceeds? (?:the )?(?:model's )?context (?:length|size|window|limit)"
    r"|prompt is too long: \d+ tokens|`?inputs`? (?:tokens|must have less than)"
    r"|input (?:token count|is too long for requested model)"
    r"|exceeds? (?:the )?(?:model's )?max(?:imum)? (?:input |sequence |token )?length of \d+ tokens"
    r"|model supports at most \d+ (?:completion|output) tokens|maximum allowed number of output tokens"
    r"|maxOutputTokens value of \d+ but the supported range|maximum tokens you requested exceeds the model limit"
    r"|the maximum value for `?max_(?:completion_)?tokens`? is less than the `?context_window"
    r"|valid range of max_(?:completion_)?tokens is \[",
    re.IGNORECASE,
)
"""How model servers say that a prompt, or the answer that it allows, is longer than the model takes: OpenAI and others.

A limit of the tenant's own, on the body, the system prompt or the number of tools, is not said so.
"""
_BAD_REQUESTS = frozenset({400, 413, 422})
_LONGEST_REFUSAL = 4_000
BEYOND_CONTEXT = (
    "the model behind this alias says that this client's request, or the answer that it allows, is beyond its context",
    "Publish the alias with a model of a larger context, or choose another alias for this client.",
)
"""The block of such a refusal: reason and remedy."""


def is_beyond_context(response: Response | None) -> bool:
    """Whether a request is refused because it is longer than the model reads: the model's limit, not the tenant's."""
    if response is None or response.status not in _BAD_REQUESTS:
        return False
    return bool(_SAYS_CONTEXT.search(response.text[:_LONGEST_REFUSAL]))


_SAYS_MODEL = re.compile(
    r"(?:not support|unsupported|not (?:available|enabled|allowed|compatible))(?:[^.]|\.(?=\d)){0,80}"
    r" (?:with|by|for|on) this model\b"
    r"|\bthis model[^.]{0,40} (?:does not|doesn't|do not|can ?not|can't) (?:support|accept|allow|take)\b"
    r"|(?:not support|unsupported)[^.]{0,80} (?:with|by|for|on) (?:the )?model \S"
    r"|\bmodel:? (?:['\"`][^'\"`]{1,100}['\"`]|\S{1,100}) (?:does not|doesn't|cannot|can't) (?:support|accept|take)\b"
    r"|(?:[\w.-]+[/:])+[\w.-]+ (?:does not|doesn't) support \w"
    r"|does not support parameters:.{0,200}\bfor model=|No endpoints found that support\b"
    r"|\b(?:function calling|developer instruction|tool use) is not enabled for\b"
    r"|^\W*System role not supported|\bConversation roles must alternate user/assistant"
    r"|\bOnly user and assistant roles are supported!",
    re.IGNORECASE | re.DOTALL,
)
"""How model servers and routers say what the model itself does not take; the last are templates of chats.

A refusal that speaks of the request alone is the tenant's: it does not say that another model would take it.
"""
_LACKS = frozenset({400, 404, 422, 501})


def is_filtered(response: Response) -> bool:
    """Whether a prompt is refused by a content filter, which says so by its code, as Azure's and OpenAI's do."""
    if response.status not in _FILTERS or response.looks_like_html:
        return False
    return _SAYS_FILTERED.search(response.plain[:_LONGEST_REFUSAL]) is not None


_FILTERS = frozenset({400, 403, 422})
_SAYS_FILTERED = re.compile(r"\"code\"\s*:\s*\"(?:content_filter|content_policy_violation)\"")


def names_model_as_cause(response: Response) -> bool:
    """Whether a chat is refused because the model behind the alias does not take a part of it, in so many words."""
    if response.status not in _LACKS or response.looks_like_html:
        return False
    return _SAYS_MODEL.search(extract_reason(response)[:_LONGEST_REFUSAL]) is not None


def is_of_model(response: Response | None) -> bool:
    """Whether a refusal says that it is the model's, or that of the filter before it, and not the tenant's."""
    return response is not None and (
        is_beyond_context(response) or is_filtered(response) or names_model_as_cause(response)
    )


NOW_AND_THEN = "outage:unsteady"
LIST_DIFFERENTLY = "instances:list differently"
EMBED_DIFFERENTLY = "instances:embed differently"
ANSWER_DIFFERENTLY = "instances:answer differently"
"""The causes of all that comes otherwise when the same request is sent again: instances differ, or one is broken."""


def finding_of(check: str, cause: str, *, shared: bool = False) -> str:
    """The id of the finding of that cause: the check's own, or, where it is shared, that of all who meet the cause."""
    return name_finding(cause.partition(":")[0] if shared else check, cause)


_SURFACE = re.compile(r"/(?=(?:models|chat|embeddings|audio|images|conversations|datasets|files|uploads)(?:/|$))")


def without_ids(path: str) -> str:
    """A path with a word in place of each id."""
    return _ID.sub(_ANY_ID, path)


def cause_of_answer(exchange: Exchange) -> str:
    """What tells an answer that was not due, or none at all, from others: the same for whoever asked for it."""
    response = exchange.response
    if response is None:
        return f"answer:{place_asked(exchange)} none {exchange.failure}"
    if response.status == TOO_LARGE:
        return _LARGE  # a limit on bodies is one, whatever is sent
    if is_header_lost(exchange, response):
        return HEADER_LOST
    return f"answer:{place_asked(exchange)} {response.status} {normalized_reason(response)}"


def place_asked(exchange: Exchange) -> str:
    """``POST /api/tenant/v1/conversations``: the route, the same by both addresses, with a word for each id."""
    asked = without_ids(exchange.request.path)
    if "/v1/" not in asked:
        asked = _SURFACE.sub("/v1/", asked, count=1)
    return f"{exchange.request.method} {asked}"


def versioned(request: Request) -> Request:
    """The same request by the versioned address."""
    parts = urlsplit(request.url)
    path = parts.path if "/v1/" in parts.path else _SURFACE.sub("/v1/", parts.path, count=1)
    return replace(request, url=parts._replace(path=path).geturl())


HEADER_LOST = "conversation:header lost"
"""The cause of all that goes wrong because the header of a conversation does not arrive."""
KEEP_HEADER = f"Have every proxy before the tenant pass on {CONVERSATION_HEADER}: the tenant says that it is missing."


def is_header_lost(exchange: Exchange, response: Response) -> bool:
    """Whether a request with the header of a conversation is refused for want of it."""
    is_sent = CONVERSATION_HEADER in dict(exchange.request.headers)
    return is_sent and response.refused and CONVERSATION_HEADER.lower() in extract_reason(response).lower()


def format_status(response: Response) -> str:
    """``HTTP 302 redirect to https://…`` or ``HTTP 403``."""
    location = response.header("location")
    if 300 <= response.status < 400 and location:
        return f"HTTP {response.status} redirect to {shortened(location, LONGEST_QUOTE)}, not followed"
    return f"HTTP {response.status}"


def describe(response: Response) -> str:
    """The status and what the tenant gave as its reason, shortened."""
    if response.looks_like_html:
        is_redirect = 300 <= response.status < 400 and response.header("location")
        return format_status(response) if is_redirect else f"{format_status(response)} with {describe_page(response)}"
    if response.refused and holds_answer(response):
        return f"{format_status(response)} with an answer in its body"
    reason = extract_reason(response)
    return f"{format_status(response)}: {shortened(reason, LONGEST_QUOTE)}" if reason else format_status(response)


def describe_page(response: Response) -> str:
    """``an HTML page ("Sign in")``: with its title, which most often tells whose it is."""
    title = shortened(response.title, _LONGEST_TITLE)
    return f'an HTML page ("{title}")' if title else "an HTML page"


_LONGEST_TITLE = 80
_KNOW_CONVERSATIONS = (
    "Have the tenant keep each conversation that it opens, and know it for the key that opened it, on every instance: "
    "a chat in one that was just opened is answered as if there were none."
)


SEND_JSON = (
    "Have the tenant, and every proxy before it, send JSON alone, whole and in UTF-8, with line ends and other control "
    "characters escaped: clients read nothing else."
)


def explain_html_page(response: Response) -> str:
    """What to do about a web page: the API answers in JSON, so something in front of it answered."""
    if response.status >= 500:
        return f"{_PAGE}: check whether the tenant behind it is up, and whether it lets this machine through."
    if response.status in NOT_LET_THROUGH:
        return LET_THROUGH
    if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{_PAGE}: have it let each method of the API through, GET and POST alike."
    if response.status == TOO_LARGE:
        return f"{_PAGE}: have it let larger requests through (nginx: client_max_body_size)."
    return "Check base_url: a web page answers there, not the API, which is at https://<tenant-host>/api/tenant."


def explain_answer(exchange: Exchange, response: Response) -> str:
    """What to do about an answer that is not the 2xx that was due."""
    asked = f"{exchange.request.method} {exchange.request.path}"
    if response.looks_like_html:
        return explain_html_page(response)
    if response.status >= 500:
        return f"{asked} fails inside the tenant or behind it: look for this request in the tenant's log."
    if 300 <= response.status < 400:
        return f"Have the tenant answer {asked} itself: a redirect is not followed, since the key must stay put."
    if response.status in {401, 403}:
        return _explain_refused(asked, response)
    if response.status in {404, 405}:
        is_in_one = asked.endswith("/chat/completions") and CONVERSATION_HEADER in dict(exchange.request.headers)
        serve = f"Have the tenant serve {asked}, or correct the name or the id that is asked for."
        return _KNOW_CONVERSATIONS if is_in_one and response.status == HTTPStatus.NOT_FOUND else serve
    reason = extract_reason(response)
    objects = f"it says {shortened(reason, LONGEST_QUOTE)!r}" if reason else "it does not say what it objects to"
    if response.status == TOO_LARGE:
        objects = f"raise its limits, and its proxies', on the size of a request ({exchange.request.size} bytes here)"
        if reason and _LIMITS_OTHERS.search(reason):
            objects = f"raise the limit that it names, {shortened(reason, LONGEST_QUOTE)!r}"
    as_sent = f"Have the tenant accept {asked} as it is sent here: {objects}."
    return KEEP_HEADER if is_header_lost(exchange, response) else as_sent


def _explain_refused(asked: str, response: Response) -> str:
    if says_off(response):
        return f"Enable in the tenant what its message says is disabled: it refuses {asked}."
    if response.status == HTTPStatus.FORBIDDEN and says_foreign(response):
        return (
            f"Find out what refuses {asked}: its message speaks of no right of a key, so that it may come from a "
            "provider behind the tenant, or from a gateway."
        )
    if response.status == HTTPStatus.FORBIDDEN:
        return f"Have the tenant let this key use {asked}, as its declared scopes and names say; else correct these."
    if says_no_key(response):
        return f"{PASS_ON_KEY} It is missing in {asked}."
    return (
        f"Find out why {asked} refuses a key that the tenant takes elsewhere. A gateway may take the header "
        "Authorization off, the route may look keys up in another place, or pass on what a provider behind the tenant "
        "says of the tenant's own credential."
    )


_LIMITS_OTHERS = re.compile(r"(?i)\b(?:tokens?|inputs?|texts?|items?|batch(?:es)?|messages?|tools?)\b")
"""What a 413 may be about but bytes."""


def explain_silence(exchange: Exchange) -> str:
    """What to do where no answer came; of a connection that was not even made, the failure itself says it."""
    asked = f"{exchange.request.method} {without_ids(exchange.request.path)}"
    if exchange.failure is Failure.TIMEOUT:
        return (
            f"Find what {asked} waits for (a backend that hangs, a queue, a lock). If the tenant only needs longer, "
            "raise limits.timeout_s in the tenant file."
        )
    if exchange.failure is Failure.CLOSED:
        return (
            f"Find what closes the connection of {asked} before it is answered: look in the logs of the tenant, and of "
            "each gateway before it, for a process that ends, a limit or a reset."
        )
    return exchange.remedy


def names_the_right(response: Response) -> bool:
    """Whether a 400, a 422 or a rarer 4xx names what the key may do, or says that there is no such thing."""
    return response.status in _CLIENT_ERRORS and _NAMES_THE_RIGHT.search(response.plain) is not None


def says_off(response: Response) -> bool:
    """Whether a refusal says that a part of the tenant is switched off, for whoever asks."""
    return _SAYS_OFF.search(normalized_reason(response)) is not None


_SAYS_OFF = re.compile(r"\b(?:disabled|deactivated|not (?:enabled|activated|switched on)|(?:switched|turned) off)\b")


def says_foreign(response: Response) -> bool:
    """Whether a refusal speaks of nothing that a key may be allowed or asks for: something behind it all says it."""
    reason = normalized_reason(response)
    return reason.isascii() and len(reason.split()) >= _FEWEST_WORDS and _OF_RIGHTS.search(reason) is None


_FEWEST_WORDS = 4
_OF_RIGHTS = re.compile(
    r"\b(?:\w*scopes?|permi\w+|allow\w*|rights?|privileg\w*|entitle\w*|roles?|plans?|subscri\w+|licen[cs]\w+|keys?"
    r"|access|models?|names?|routes?|paths?|urls?|conversations?|datasets?|files?|resources?|inference|found|forbidden|denied|methods?|tokens?|authori\w+|authenti\w+|origins?)\b"
)


def says_no_key(response: Response) -> bool:
    """Whether a refusal says that no key came at all, and not that the one which came is wrong."""
    said = extract_reason(response)  # not its code, which may be one for all refusals of keys
    return _SAYS_NO_KEY.search(said) is not None and _SAYS_WRONG_KEY.search(said) is None


_KEY = r"(?:api[ _-]?keys?|(?:access |bearer )?tokens?|bearer|credentials|authorization(?: header)?)"
_SAYS_NO_KEY = re.compile(
    r"(?:\b(?:no|missing|without|lacks)|n[o']t (?:provide|send|include))(?: an?| any| the)? "
    rf"(?:{_KEY}|authentication)\b|\b{_KEY}(?: is| are| was| were)?(?: missing| required| absent| empty"
    r"| not (?:provided|present|given|sent|supplied))\b",
    re.IGNORECASE,
)
_SAYS_WRONG_KEY = re.compile(r"valid|incorrect|unknown|wrong|expired|revoked|disabled|malformed|bad ", re.IGNORECASE)


def says_wrong_key(response: Response) -> bool:
    """Whether a refusal says that the key which came is not the right one, or that none came."""
    return says_no_key(response) or _SAYS_WRONG_KEY.search(extract_reason(response)) is not None


def says_unable(response: Response) -> bool:
    """Whether a refusal says that this model does not embed, speak, transcribe or draw."""
    refused = response.refused or response.status == HTTPStatus.NOT_IMPLEMENTED
    return refused and _SAYS_UNABLE.search(_beginning(response)) is not None


_SAYS_UNABLE = re.compile(
    r"(?i)(?:\bnot?\b|\bunsupported\b|n't\b)[^.]{0,60}\b(?:embed|transcri|speech|audio|image)"
    r"|\bnot implemented for this model"
)


def place_of(error: schema.SchemaError) -> str:
    """The place of a schema error with every position left out: ``choices[].message.role``."""
    return join_path((*error.path, *([error.key] if error.key else ())))


def join_path(path: Iterable[str | int]) -> str:
    place = ""
    for part in path:
        place += "[]" if isinstance(part, int) else f".{part}" if place else str(part)
    return shortened(place, LONGEST_QUOTE)


def extract_reason(response: Response) -> str:
    """The reason that a JSON refusal names, wherever it is; empty where there is none."""
    bodies = _bodies_in(response)
    return "; ".join(_reasons(bodies[0], depth=4)) if bodies else ""


def error_in(response: Response) -> Any:
    """The JSON of a refusal: the first event's where it is a stream. None where there is none."""
    return next(iter(_bodies_in(response)), None)


def _bodies_in(response: Response) -> list[Any]:
    """The JSON that it holds: one value, of a stream one for each event; none where any of them is no JSON."""
    try:
        if response.media_type == "text/event-stream":
            return [parse_json(event.data) for event in response.events if event.data not in {"", "[DONE]"}]
        return [response.json()]
    except NotJson:
        return []


def _reasons(value: Any, *, depth: int) -> list[str]:
    """What a value says: OpenAI's error object, problem details, a validator's list, or texts under field names."""
    match value:
        case str() if value.strip():
            return [value.strip()]
        case list() if depth:
            return [reason for item in value[:_MOST_REASONS] for reason in _reasons(item, depth=depth - 1)]
        case {"msg": str(text)}:
            # FastAPI's validation errors: {"loc": ["body", "max_tokens"], "msg": "..."}
            location = value.get("loc")
            place = ".".join(map(str, location)) if isinstance(location, list) else ""
            return [f"{place}: {text}" if place else text]
        case dict() if depth:
            error = value.get("error")
            first = error if isinstance(error, dict) else None
            places = (first, *map(value.get, _REASONS), error, *map(value.get, _TITLES))
            found = next(filter(None, (_reasons(place, depth=depth - 1) for place in places)), None)
            return found or _reasons_by_field(value)
        case _:
            return []


def _reasons_by_field(value: dict[str, Any]) -> list[str]:
    """``{"max_tokens": ["Ensure that ..."]}``: texts under the names of fields."""
    if not all(isinstance(item, list) for item in value.values()):
        return []
    named = list(value.items())[:_MOST_REASONS]
    return [f"{name}: {reason}" for name, items in named for reason in _reasons(items, depth=1)]


def holds_error(response: Response) -> bool:
    """Whether a body is JSON with an error object in it, and nothing of an answer: an error under a false status.

    A stream is, where each of its events is.
    """
    bodies = _bodies_in(response)
    return bool(bodies) and all(map(_is_error, bodies))


def _is_error(body: Any) -> bool:
    error = body.get("error") if isinstance(body, dict) else None
    return bool(error) and not isinstance(error, bool) and not {"choices", "data", "id"} & set(body)


def describe_failure(exchange: Exchange) -> str:
    """Why nothing came back, in a sentence's part."""
    return f"no answer: {exchange.detail}" if exchange.detail else "no answer"


def describe_exchange(exchange: Exchange) -> str:
    """What came, or why nothing did."""
    return describe(exchange.response) if exchange.response is not None else describe_failure(exchange)


def describe_error(error: schema.SchemaError) -> str:
    """A schema error with its place in the body."""
    place = ".".join(str(part) for part in error.path)
    return f"{place}: {error.message}" if place else error.message


def lets_in(response: Response | None) -> bool:
    """Whether it gives what was asked for: a 2xx with an error object in it and nothing else refuses, if wrongly.

    So does a 4xx that has it in its body all the same.
    """
    return response is not None and (
        (response.succeeded and not holds_error(response)) or (response.refused and holds_answer(response))
    )


def holds_answer(response: Response) -> bool:
    """Whether a body holds what a model says, an embedding, an image or a list of models, whatever its status."""
    return any(map(_is_answer, _bodies_in(response)))


def _is_answer(body: Any) -> bool:
    if not isinstance(body, dict):
        return False
    choices, data = (body.get(name) for name in ("choices", "data"))
    for choice in choices if isinstance(choices, list) else ():
        said = [choice.get(name) for name in ("message", "delta")] if isinstance(choice, dict) else []
        if any(isinstance(one, dict) and one.get("content") for one in said):
            return True
    entries = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    return any(one.get("embedding") or one.get("b64_json") or one.get("object") == "model" for one in entries)


def name_large(response: Response) -> str:
    """The id of the finding about a limit on the size of requests, where that is what refused; else empty."""
    return finding_of("", _LARGE, shared=True) if response.status == TOO_LARGE else ""


def normalized_reason(response: Response) -> str:
    """The reason of a refusal, without what differs from one to the next of its kind."""
    return _VOLATILE.sub("#", extract_reason(response)[:LONGEST_QUOTE].lower())

"""A tenant in memory: it answers each request as a conforming one would, unless a test's own rule answers first."""

import base64
import copy
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

from anyio.lowlevel import checkpoint

from gt_conformance.checks import BUILT_IN, KNOWN_ROUTE, CheckCall, CheckResult, Earlier, Parameters, Registry
from gt_conformance.exchange import Arrival, Exchange, Failure, Request, Response
from gt_conformance.planning import Case, CaseKind, Plan, make_plan
from gt_conformance.runbook import Runbook
from gt_conformance.runner import Sender
from gt_conformance.session import Session
from gt_conformance.tenant import Credential, Secret, Tenant, TenantKind
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Purpose, Scope
from tests.clocks import hurried

BASE_URL = "https://acme.example/api/tenant"
ALIAS = "field-analyst"
INFERENCE = frozenset(scope for scope in Scope if scope is not Scope.DATASETS_WRITE)
CREATED = 1_780_012_800
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(16)


@dataclass(frozen=True)
class Reply:
    """What a rule answers, where more than the response is scripted."""

    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""
    elapsed_ms: float = 5.0
    remedy: str = ""


Rule = Callable[[Request], Response | Reply | None]
"""A test's own answer to a request; None leaves it to the next rule, and at last to the conforming tenant."""
Which = Callable[[Request], object]
"""Whether a request is among those that a test means."""


def key(name: str, **facts: Any) -> Credential:
    """A live inference key that may do everything with the alias, but for the facts given."""
    defaults: dict[str, Any] = {
        "secret": Secret(f"gtak_{hashlib.sha256(name.encode()).hexdigest()[:40]}"),
        "purpose": Purpose.INFERENCE,
        "scopes": INFERENCE,
        "models": frozenset({ALIAS}),
    }
    return Credential(name=name, **(defaults | facts))


def tenant_of(*keys: Credential, **facts: Any) -> Tenant:
    """A tenant with these keys, in this order."""
    defaults: dict[str, Any] = {
        "base_url": BASE_URL,
        "kind": TenantKind.LIVE,
        "models": dict.fromkeys(Modality, ALIAS),
        "credentials": {item.name: replace(item, position=number) for number, item in enumerate(keys)},
        "source": "tenant.yaml",
    }
    return Tenant(**(defaults | facts))


TENANT = tenant_of(key("chat"))
REGISTRY = BUILT_IN
"""The checks of the plans that are made here; a test may put others in their place."""


ASKED_AGAIN = 3
"""So often a run asks at its end, once more, what the answer that a violation shows was to: it may come otherwise."""


class FakeSender(Sender):
    """Answers from memory and keeps what it was sent."""

    def __init__(self, *rules: Rule) -> None:
        self.sent: list[Request] = []
        self.closed = False
        self._rules = (*rules, conforming)

    async def send(self, request: Request, ref: str) -> Exchange:
        """The answer of the first rule that has one."""
        self.sent.append(request)
        await checkpoint()
        found = next(answer for rule in self._rules if (answer := rule(request)) is not None)
        reply = found if isinstance(found, Reply) else Reply(found)
        return Exchange(
            ref, request, reply.response, reply.elapsed_ms, reply.failure, reply.detail, remedy=reply.remedy
        )

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def request(self, ref: str | None) -> Request:
        """What was sent in the exchange of that reference: the proof of a violation, of an advisory."""
        assert ref is not None, "there is no proof"
        return self.sent[int(ref.removeprefix("x")) - 1]


def run(plan: Plan, sender: Sender, *, strict: bool = False) -> Session:
    """The session after it carried the plan out to the end."""
    with hurried(), Session(plan, sender=lambda: sender, run_id="r1", strict=strict) as session:
        for call in plan.distinct:
            session.result(call)
    return session


def plan_of(tenant: Tenant, *calls: CheckCall) -> Plan:
    """A plan of these calls alone."""
    return make_plan_of(tenant, Case(CaseKind.TENANT, "calls", "They hold.", calls))


def make_plan_of(tenant: Tenant, *cases: Case, runbooks: Sequence[Runbook] = ()) -> Plan:
    """A plan of these cases with the checks that they have."""
    return replace(make_plan(tenant, runbooks, [], registry=REGISTRY), cases=cases)


def judged(
    check: str,
    *rules: Rule,
    parameters: Parameters | None = None,
    tenant: Tenant = TENANT,
    strict: bool = False,
    sender: FakeSender | None = None,
    earlier: Mapping[str, Earlier] | None = None,
) -> CheckResult:
    """The result of one check for the tenant's first key, when these rules answer; what it declares to rest on holds.

    What it asks for on its way (``Probe.require``) it rests on here as well.
    """
    call = CheckCall(check, next(iter(tenant.credentials)), parameters or Parameters())
    plan = replace(plan_of(tenant, call), registry=_alone(check), earlier=earlier or {})
    session = run(plan, sender or FakeSender(*rules), strict=strict)
    assert not session.suite_errors, session.suite_errors[0]
    return session.result(call)


@cache
def _alone(check: str) -> Registry:
    """The checks of the suite, of which this one declares to rest on none."""
    return Registry(
        tuple(replace(each, rests_on=(), opens=None) if each.id == check else each for each in REGISTRY.checks)
    )


def findings(result: CheckResult) -> str:
    """What a check found, in one line."""
    return " | ".join(f"{violation.expected}; found {violation.found}" for violation in result.violations)


# -- answers


def answer(body: object, status: int = 200, kind: str = "application/json", **headers: str) -> Response:
    """A response with that body: bytes as they are, text encoded, anything else as JSON."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = tuple((name.lower().replace("_", "-"), value) for name, value in headers.items())
    return Response(status, (("content-type", kind), *named), content)


def refusal(status: int, message: str = "This key lacks the scope.", **error: Any) -> Response:
    """OpenAI's error object."""
    published = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return answer({"error": published | error}, status)


def escaped(text: str) -> str:
    """A JSON string of that text, every character of it escaped."""
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


HTML_PAGE = answer("<!doctype html><title>Acme</title>", kind="text/html")


def to(path: str, response: Response | Reply, *, when: Callable[[dict[str, Any]], object] = bool) -> Rule:
    """A rule for a route below /v1, and for those of its JSON bodies that ``when`` takes (all that have one)."""

    def rule(request: Request) -> Response | Reply | None:
        if request.url != f"{BASE_URL}/v1/{path}":
            return None
        return response if request.parts or when(sent_json(request)) else None

    return rule


@dataclass(frozen=True)
class AnswerCase:
    """An answer to some of a check's requests by one path, and what is said of it: found, or no more than remarked."""

    path: ClassVar[str]
    check: str
    answer: object
    said: str = ""
    when: Callable[[dict[str, Any]], object] = bool
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def rule(self) -> Rule:
        """The rule that gives the answer: a body, a response, a reply."""
        given = answer(self.answer) if isinstance(self.answer, dict) else self.answer
        return to(self.path, given, when=self.when)  # type: ignore[arg-type]


def place(request: Request) -> str:
    """The address of a request below the tenant's base URL."""
    return request.url.removeprefix(BASE_URL)


def is_control(request: Request) -> bool:
    """Whether it goes where the controls of a key go."""
    return place(request) in {KNOWN_ROUTE, "/v1/gt-conformance-no-such-route"}


def by(name: str | None, given: Response | Reply, *, at: Iterable[str] = ()) -> Rule:
    """A rule for what a key gets at these places; without any, wherever no control goes."""

    def rule(request: Request) -> Response | Reply | None:
        hit = place(request) in at if at else not is_control(request)
        return given if request.key == name and hit else None

    return rule


def given(reply: Response | Reply, which: Which) -> Rule:
    """A rule for the requests that ``which`` takes."""
    return lambda request: reply if which(request) else None


def sent_json(request: Request) -> dict[str, Any]:
    """The JSON body of a request; empty where it has none, or a broken one."""
    try:
        body: dict[str, Any] = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body


DROPPED = object()
"""In place of a value: the key is taken away."""


def changed(body: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """A copy of the body with other values at these places (``choices.0.message.content``)."""
    whole = copy.deepcopy(dict(body))
    for place, value in changes.items():
        *outer, last = (int(part) if part.isdigit() else part for part in place.split("."))
        target: Any = whole
        for part in outer:
            target = target[part]
        if value is DROPPED:
            del target[last]
        else:
            target[last] = value
    return whole


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
STAMP = {"id": "chatcmpl-1", "created": CREATED, "model": ALIAS}
COMPLETION: dict[str, Any] = {
    **STAMP,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
CALLED = changed(
    COMPLETION,
    {
        "choices.0.message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
        "choices.0.finish_reason": "tool_calls",
    },
)


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **facts: Any) -> dict[str, Any]:
    """A chunk of a stream; without a delta its choices are empty, as in the usage chunk."""
    choices = [] if delta is None else [{"index": 0, "delta": dict(delta), "finish_reason": finish}]
    return {**STAMP, "object": "chat.completion.chunk", "choices": choices, **facts}


STREAMED_CALL = (chunk({"role": "assistant", "tool_calls": [{"index": 0, **CALL}]}), chunk({}, "tool_calls"))
ROLE, ONE, TWO = chunk({"role": "assistant", "content": ""}), chunk({"content": "1, "}), chunk({"content": "2"})
FINISH, USED = chunk({}, "stop"), chunk(None, usage=USAGE)
CHUNKS: tuple[dict[str, Any], ...] = (ROLE, ONE, TWO, FINISH)
DONE = "data: [DONE]\n\n"


def event(value: object) -> str:
    """One event as most servers frame it."""
    return f"data: {json.dumps(value)}\n\n"


def stream(*events: object, apart_ms: float = 5.0, kind: str = "text/event-stream", **facts: Any) -> Response:
    """A stream of these events: texts and bytes as they are, anything else framed; one packet each."""
    pieces = [
        piece if isinstance(piece, bytes) else (piece if isinstance(piece, str) else event(piece)).encode()
        for piece in events
    ]
    arrivals = tuple(Arrival(number * apart_ms, len(piece)) for number, piece in enumerate(pieces))
    return Response(200, (("content-type", kind),), b"".join(pieces), arrivals, **facts)


def embedding_list(vectors: Iterable[object], **facts: Any) -> dict[str, Any]:
    """OpenAI's embedding list of these vectors."""
    data = [{"object": "embedding", "index": number, "embedding": vector} for number, vector in enumerate(vectors)]
    return {"object": "list", "model": ALIAS, "data": data, "usage": {"prompt_tokens": 9, "total_tokens": 9}, **facts}


def vector_of(text: object) -> list[float]:
    """A vector that differs from text to text, and is the same for the same one."""
    return [float(byte) - 100 for byte in zlib.crc32(json.dumps(text).encode()).to_bytes(4, "big")]


def packed(vector: Sequence[float]) -> str:
    """The vector as base64 of little-endian float32."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def conforming(request: Request) -> Response:  # noqa: PLR0911 - a table of routes in prose
    """What a conforming tenant answers on OpenAI's routes; any other is refused with a 404."""
    path = request.url.removeprefix(BASE_URL + "/v1/")
    body = sent_json(request)
    if (request.method, path) == ("GET", "models"):
        entry = {"id": ALIAS, "object": "model", "created": CREATED, "owned_by": "gt"}
        return answer({"object": "list", "data": [entry]})
    if request.method != "POST" or path not in _NEEDED:
        return refusal(404, "There is no such route.")
    if missing := _missing(path, request):
        return refusal(400, missing)
    if path == "chat/completions":
        return _chat(body)
    if path == "embeddings":
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [vector_of(text) for text in texts]
        encoded = body.get("encoding_format") == "base64"
        return answer(embedding_list([packed(vector) for vector in vectors] if encoded else vectors))
    if path == "audio/transcriptions":
        return answer({"text": "Beep."})
    if path == "audio/speech":
        return answer(WAV, kind="audio/wav")
    return answer({"created": CREATED, "data": [{"b64_json": base64.b64encode(PNG).decode()}]})


_NEEDED = {
    "chat/completions": "messages",
    "embeddings": "input",
    "audio/transcriptions": "file",
    "audio/speech": "input",
    "images/generations": "prompt",
}
"""The inference routes, and the field that each needs besides the model."""


def _missing(path: str, request: Request) -> str:
    """What is wrong with an inference request; empty where nothing is."""
    sent = {part.name: part.content.decode(errors="replace") for part in request.parts} or sent_json(request)
    if sent.get("model") != ALIAS:
        return "There is no such model."
    needed = sent.get(_NEEDED[path])
    if path == "chat/completions" and not (isinstance(needed, list) and all("role" in item for item in needed)):
        return "Each message needs a role."
    return "" if needed else f"{_NEEDED[path]} is required."


def extensions(request: Request) -> Response | None:
    """A rule for GT's own routes: each key has one conversation, and a file of each kind, and sees no other's."""
    path = request.url.removeprefix(BASE_URL + "/v1/")
    conversation, own = f"conversation-{request.key}", f"file-{request.key}"
    ending = next((part.filename for part in request.parts if part.filename), "").rpartition(".")[2]
    file = own if ending in {"", "txt"} else f"{own}.{ending}"
    if (request.method, path) == ("POST", "conversations"):
        return answer({"id": conversation}, 201, x_gt_conversation_id=conversation)
    if request.method == "POST" and path == "conversations/files":
        if dict(request.headers).get(CONVERSATION_HEADER) != conversation:
            return refusal(404, "There is no such conversation.")
        return answer({"id": file, "status": "processing"}, 202)
    if request.method == "POST" and path.startswith("datasets/"):
        return answer({"id": file, "status": "processing"}, 202)
    asked = path.partition("/")[2]
    if request.method == "GET" and path.startswith(("files/", "uploads/")) and asked.partition(".")[0] == own:
        return answer({"id": asked, "status": "ready"})
    return None


TOLD = "It is 4 degrees."
"""What a model says of the result of the tool."""


def _chat(body: Mapping[str, Any]) -> Response:
    if body.get("stream"):
        wants_usage = bool(body.get("stream_options", {}).get("include_usage"))
        calls = body.get("tool_choice") and body["messages"][-1]["role"] != "tool"
        told = (ROLE, chunk({"content": TOLD}), FINISH) if body["messages"][-1]["role"] == "tool" else CHUNKS
        return stream(*(STREAMED_CALL if calls else told), *([USED] if wants_usage else []), DONE)
    if body["messages"][-1]["role"] == "tool":
        return answer(changed(COMPLETION, {"choices.0.message.content": TOLD}))
    if body.get("tool_choice"):
        return answer(CALLED)
    if body.get("response_format") or "JSON object" in str(body["messages"][-1].get("content")):
        return answer(changed(COMPLETION, {"choices.0.message.content": '{"answer": "ok"}'}))
    return answer(COMPLETION)

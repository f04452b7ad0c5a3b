"""The embeddings checks: each wrong answer is a violation, each tolerable one is none, each advisory is recorded."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Modality, Outcome
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    DROPPED,
    HTML_PAGE,
    TENANT,
    AnswerCase,
    FakeSender,
    Reply,
    Rule,
    answer,
    changed,
    embedding_list,
    judged,
    key,
    packed,
    plan_of,
    refusal,
    run,
    sent_json,
    tenant_of,
    to,
)

ONE, OTHER = [0.6, -0.8, 0.0], [0.0, 0.6, 0.8]
GOOD = embedding_list([ONE, OTHER, ONE])
TWO = embedding_list([ONE, OTHER])
ONE_BY_ONE, FLOATS = Parameters(batch=False), Parameters(encoding_format="float")
When = Callable[[dict[str, Any]], object]


def test_one_text_is_sent_as_the_client_sends_it() -> None:
    """In a list and as a string where it does both, with the fields that it adds."""
    sender = FakeSender()
    shape = Parameters(batch=False, string=True, fields=(("user", "gt-conformance"),))
    judged("embeddings.batch", parameters=shape, sender=sender)
    sent = [sent_json(request) for request in sender.sent if request.path.endswith("embeddings")]
    shaped = [body for body in sent if body.get("user") == "gt-conformance"]
    assert {type(body["input"]) for body in shaped} == {list, str}
    assert len({str(body["input"]) for body in shaped}) == 3


def in_base64(body: dict[str, Any]) -> bool:
    """A request for base64."""
    return body.get("encoding_format") == "base64"


def as_floats(body: dict[str, Any]) -> bool:
    """A request for anything else."""
    return not in_base64(body)


class Case(AnswerCase):
    """An answer to some of a check's requests for embeddings; to one for a string, the first vector of it."""

    path = "embeddings"

    @property
    def rule(self) -> Rule:
        """The rule that gives the answer."""
        to_lists, given = super().rule, self.answer
        if not isinstance(given, dict) or not isinstance(given.get("data"), list):
            return to_lists
        to_strings = replace(self, answer={**given, "data": given["data"][:1]})

        def rule(request: Request) -> Response | Reply | None:
            is_string = request.path.endswith(self.path) and isinstance(sent_json(request)["input"], str)
            return super(Case, to_strings if is_string else self).rule(request)

        return rule


def packs(*vectors: list[float]) -> dict[str, Any]:
    """The list of these vectors in base64."""
    return embedding_list([packed(vector) for vector in vectors])


SAME = "the same text gives the same vector (cosine over 0.999)"
VIOLATIONS: dict[str, Case] = {
    "batch: a 5xx": Case("embeddings.batch", refusal(500, "Broke."), "HTTP 500: Broke."),
    "batch: a 4xx": Case("embeddings.batch", refusal(404, "No model."), "HTTP 404: No model."),
    "batch: no answer": Case("embeddings.batch", Reply(failure=Failure.TIMEOUT, detail="late"), "no answer: late"),
    "batch: a web page": Case("embeddings.batch", HTML_PAGE, "but it is an HTML page"),
    "batch: no data": Case("embeddings.batch", changed(GOOD, {"data": DROPPED}), "data"),
    "batch: empty data": Case("embeddings.batch", changed(GOOD, {"data": []}), "data"),
    "batch: one too few": Case("embeddings.batch", TWO, "one vector per input; found 2 for 3"),
    "batch: one too many": Case(
        "embeddings.batch", embedding_list([ONE, OTHER, ONE, ONE]), "one vector per input; found 4 for 3"
    ),
    "batch: many too many": Case(
        "embeddings.batch", embedding_list([ONE] * 12), "one vector per input; found 12 for 3"
    ),
    "batch: an empty vector": Case("embeddings.batch", changed(GOOD, {"data.1.embedding": []}), "data.1.embedding"),
    "batch: an empty text": Case("embeddings.batch", changed(GOOD, {"data.1.embedding": ""}), "data.1.embedding"),
    "batch: no vector": Case("embeddings.batch", changed(GOOD, {"data.1.embedding": DROPPED}), "data.1"),
    "batch: words in a vector": Case(
        "embeddings.batch", changed(GOOD, {"data.1.embedding": ["a", "b", "c"]}), "data.1.embedding.0"
    ),
    "batch: another length": Case(
        "embeddings.batch",
        changed(GOOD, {"data.1.embedding": [1.0, 0.0]}),
        "all vectors have one length; found lengths [2, 3]",
    ),
    "batch: base64 for a client that names no encoding": Case(
        "embeddings.batch",
        packs(ONE, OTHER, ONE),
        "base64, which was not asked for",
        parameters=Parameters(needs=("numbers",)),
    ),
    "batch: NaN in base64": Case(
        "embeddings.batch", packs(ONE, [float("nan"), 0, 0], ONE), "a vector holds a number that is not finite"
    ),
    "batch: infinity in base64": Case(
        "embeddings.batch", packs(ONE, [float("inf"), 0, 0], ONE), "a vector holds a number that is not finite"
    ),
    "batch: a number beyond floats": Case(
        "embeddings.batch",
        answer(
            '{"data": [{"index": 0, "embedding": [1e999]}, '
            '{"index": 1, "embedding": [1]}, {"index": 2, "embedding": [1]}]}'
        ),
        "infinity is not a number that JSON can hold",
    ),
    "batch: an integer beyond floats": Case(
        "embeddings.batch", changed(GOOD, {"data.0.embedding.0": 10**400}), "is too great a number"
    ),
    "batch: no whole floats": Case(
        "embeddings.batch",
        changed(GOOD, {"data.1.embedding": base64.b64encode(b"12345").decode()}),
        "vectors are numbers, or base64 of little-endian float32; "
        "found its length of 5 is not a whole number of float32 values",
    ),
    "batch: no base64": Case(
        "embeddings.batch", changed(GOOD, {"data.1.embedding": "[0.6, -0.8]"}), "or base64 of little-endian float32"
    ),
    "batch: all the same": Case(
        "embeddings.batch",
        embedding_list([ONE, ONE, ONE]),
        "different texts give different vectors; found two different texts give the same one",
    ),
    "batch: all but the same": Case(
        "embeddings.batch",
        embedding_list([ONE, [0.6, -0.8, 0.002], ONE]),
        "different texts give different vectors; found two different texts give the same one",
    ),
    "batch: another at the second time": Case("embeddings.batch", embedding_list([ONE, OTHER, OTHER]), SAME),
    "batch: far from the same": Case("embeddings.batch", embedding_list([ONE, OTHER, [0.6, -0.8, 0.6]]), SAME),
    "batch: nearer to another": Case(
        "embeddings.batch", embedding_list([ONE, [0.6, -0.8, 0.03], [0.6, -0.8, 0.05]]), SAME
    ),
    "batch: all zero": Case("embeddings.batch", embedding_list([[0.0] * 3] * 3), f"{SAME}; found cosine 0.0000"),
    "base64: another length": Case(
        "embeddings.base64",
        packs(ONE + ONE, OTHER + OTHER, ONE + ONE),
        "base64 and float give vectors of one length; found input 0: 6 values as base64, 4 as float",
        in_base64,
    ),
    "base64: other values": Case(
        "embeddings.base64",
        packs([1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]),
        "base64 and float give the same values; found input 0 differs",
        in_base64,
    ),
    "base64: refused": Case(
        "embeddings.base64", refusal(400, "encoding_format"), "HTTP 400: encoding_format", in_base64
    ),
    "base64: float refused": Case("embeddings.base64", refusal(400, "encoding_format"), "HTTP 400", as_floats),
    "base64: no whole floats": Case(
        "embeddings.base64",
        embedding_list(["AAA=", "AAA=", "AAA="]),
        "its length of 2 is not a whole number of float32",
        in_base64,
    ),
    "token ids: refused": Case(
        "embeddings.token_ids", refusal(400, "input must be text"), "HTTP 400: input must be text"
    ),
    "token ids: one vector for all": Case(
        "embeddings.token_ids", embedding_list([ONE]), "one vector per input; found 1 for 2"
    ),
    "token ids: one per token": Case(
        "embeddings.token_ids", embedding_list([ONE, OTHER, ONE, OTHER]), "one vector per input; found 4 for 2"
    ),
    "token ids: all zero": Case(
        "embeddings.token_ids", embedding_list([[0.0] * 3] * 2), "each text gets a vector of finite numbers"
    ),
    "token ids: taken for the same": Case(
        "embeddings.token_ids", embedding_list([ONE, ONE]), "different token ids give different vectors"
    ),
    "published: a provider's name": Case(
        "embeddings.model_is_published", changed(GOOD, {"model": "vendor/embed-3"}), "model is 'vendor/embed-3'"
    ),
    "published: a 5xx": Case("embeddings.model_is_published", refusal(500), "HTTP 500"),
    "published: no JSON": Case("embeddings.model_is_published", HTML_PAGE, "but it is an HTML page"),
}


INDEXES: dict[str, tuple[dict[str, object], str]] = {
    "twice": ({"data.1.index": 0}, "each once: index [0, 0, 2]"),
    "from one on": ({"data.0.index": 1, "data.1.index": 2, "data.2.index": 3}, "each once: index [1, 2, 3]"),
    "none": ({"data.1.index": DROPPED}, "each once: index [0, None, 2]"),
    "a list": ({"data.1.index": []}, "each once: index [0, [], 2]"),
}


@pytest.mark.parametrize(("changes", "said"), INDEXES.values(), ids=INDEXES)
def test_vectors_in_order_do_without_their_index(changes: dict[str, object], said: str) -> None:
    """Clients that were measured take vectors as they come: an index that is wrong is remarked."""
    result = judged("embeddings.batch", to("embeddings", answer(changed(GOOD, changes))))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert any(said in item.text for item in result.advisories)


NEEDS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a model": ("embeddings.batch", "model", changed(GOOD, {"model": DROPPED}), "the key 'model' is missing"),
    "usage": ("embeddings.batch", "usage", changed(GOOD, {"usage": DROPPED}), "the key 'usage' is missing"),
    "base64": ("embeddings.base64", "base64", GOOD, "plain floats"),
}


@pytest.mark.parametrize(("check", "need", "given", "found"), NEEDS.values(), ids=NEEDS)
def test_what_single_clients_need_is_a_violation_for_them_alone(
    check: str, need: str, given: dict[str, Any], found: str
) -> None:
    """Dify saves no model without model and usage; n8n and Flowise misread floats; others take all of it."""
    rule = Case(check, given).rule
    [violation] = judged(check, rule, parameters=Parameters(needs=(need,))).violations
    assert violation.found.startswith(found)
    others = judged(check, rule)
    assert (others.outcome, bool(others.advisories)) == (Outcome.CONFORMS, True)


@pytest.mark.parametrize("case", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_wrong_answer_is_a_violation(case: Case) -> None:
    """An answer that breaks what must hold violates, and the reason says what came."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert result.outcome is Outcome.VIOLATES
    assert case.said in " | ".join(f"{violation.expected}; found {violation.found}" for violation in result.violations)
    assert result.remedy


TOLERATED: dict[str, Case] = {
    "batch: in another order": Case(
        "embeddings.batch", changed(GOOD, {"data": [GOOD["data"][2], GOOD["data"][0], GOOD["data"][1]]})
    ),
    "batch: as base64 unasked": Case("embeddings.batch", packs(ONE, OTHER, ONE)),
    "batch: nearly the same at the second time": Case(
        "embeddings.batch", embedding_list([ONE, OTHER, [0.6, -0.8, 0.001]])
    ),
    "batch: rounded coarsely": Case(
        "embeddings.batch",
        embedding_list([ONE, OTHER, [0.6, -0.8, 0.2]]),
        "the same text should get the same vector each time: cosine 0.9806",
    ),
    "batch: texts that nearly get one vector": Case("embeddings.batch", embedding_list([ONE, [0.6, -0.8, 0.02], ONE])),
    "batch: another size": Case("embeddings.batch", embedding_list([ONE, OTHER, [6.0, -8.0, 0.0]])),
    "batch: whole numbers": Case("embeddings.batch", embedding_list([[1, 0], [0, 1], [1, 0]])),
    "batch: no more than clients need": Case(
        "embeddings.batch",
        {"data": [{"index": number, "embedding": vector} for number, vector in enumerate([ONE, OTHER, ONE])]},
        "OpenAI's published shape: the key 'object' is missing.",
    ),
    "batch: no usage": Case(
        "embeddings.batch", changed(GOOD, {"usage": DROPPED}), "OpenAI's published shape: the key 'usage' is missing."
    ),
    "base64: floats all the same": Case(
        "embeddings.base64", GOOD, "encoding_format base64 is answered with plain floats"
    ),
    "token ids: in base64": Case("embeddings.token_ids", packs(ONE, OTHER)),
    "published: no name at all": Case("embeddings.model_is_published", changed(GOOD, {"model": DROPPED})),
}


@pytest.mark.parametrize("case", TOLERATED.values(), ids=TOLERATED)
def test_a_tolerable_answer_is_no_violation(case: Case) -> None:
    """What no client minds conforms, with a remark where OpenAI's shape asks for more, and none where it does not."""
    result = judged(case.check, case.rule, parameters=case.parameters)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    remarks = [advisory.text for advisory in result.advisories]
    assert any(case.said in text for text in remarks) if case.said else not remarks


CONFORMING = {
    "batch": ("embeddings.batch", Parameters()),
    "batch, as floats": ("embeddings.batch", FLOATS),
    "batch, one by one": ("embeddings.batch", ONE_BY_ONE),
    "base64": ("embeddings.base64", Parameters()),
    "base64, one by one": ("embeddings.base64", ONE_BY_ONE),
    "token ids": ("embeddings.token_ids", Parameters()),
    "token ids in base64": ("embeddings.token_ids", Parameters(encoding_format="base64")),
    "published": ("embeddings.model_is_published", Parameters()),
    "published, one by one": ("embeddings.model_is_published", ONE_BY_ONE),
}


@pytest.mark.parametrize(("check", "parameters"), CONFORMING.values(), ids=CONFORMING)
def test_a_conforming_tenant_gives_nothing_to_say(check: str, parameters: Parameters) -> None:
    """A tenant that answers as OpenAI does conforms without a remark, with --strict as well."""
    result = judged(check, parameters=parameters, strict=True)
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())


def sent(check: str, parameters: Parameters) -> list[dict[str, Any]]:
    """The bodies of the embeddings requests that a check sends."""
    sender = FakeSender()
    judged(check, parameters=parameters, sender=sender)
    return [sent_json(request) for request in sender.sent if request.path.endswith("/embeddings")]


def test_texts_are_embedded_in_one_request() -> None:
    """A client that sends batches has its three texts in one request, the first and the last alike."""
    [body] = [body for body in sent("embeddings.batch", Parameters()) if len(body["input"]) > 1]
    assert body.keys() == {"model", "input"}
    first, other, again = body["input"]
    assert first == again != other
    [body] = [body for body in sent("embeddings.batch", FLOATS) if len(body["input"]) > 1]
    assert body["encoding_format"] == "float"


def test_texts_are_embedded_one_by_one_for_a_client_that_does_so() -> None:
    """A client that sends one text a request has the first of them embedded again, not remembered."""
    bodies = sent("embeddings.batch", ONE_BY_ONE)
    assert [len(body["input"]) for body in bodies] == [1, 1, 1]
    assert bodies[0] == bodies[2] != bodies[1]


def test_a_text_that_changes_its_vector_is_found_one_by_one() -> None:
    """A tenant that gives the same text another vector in a later request violates."""
    vectors = iter([ONE, OTHER, OTHER])

    def changes(request: Request) -> Reply | None:
        return Reply(answer(embedding_list([next(vectors)]))) if request.path.endswith("/embeddings") else None

    result = judged("embeddings.batch", changes, parameters=ONE_BY_ONE)
    assert result.outcome is Outcome.VIOLATES
    assert SAME in result.reason


def test_one_request_serves_several_checks() -> None:
    """One text first, which one by one is the first of three; the batch is judged for its name with no request more."""
    for parameters, requests in ((Parameters(), 2), (ONE_BY_ONE, 3)):
        calls = [CheckCall(f"embeddings.{name}", "chat", parameters) for name in ("batch", "model_is_published")]
        sender = FakeSender()
        run(plan_of(TENANT, *calls), sender)
        assert len([request for request in sender.sent if request.path.endswith("/embeddings")]) == requests


def test_base64_is_held_against_floats() -> None:
    """The same texts are asked for once as base64 and once as float."""
    asked = sent("embeddings.base64", Parameters())
    in_lists = [body for body in asked if isinstance(body["input"], list) and len(body["input"]) > 1]
    assert [body["encoding_format"] for body in in_lists] == ["base64", "float"]
    assert in_lists[0]["input"] == in_lists[1]["input"]


def test_base64_is_asked_for_of_a_string_as_well() -> None:
    """The first text by itself, and not in a list: so SDKs embed a question."""
    asked = sent("embeddings.base64", Parameters())
    [body] = [body for body in asked if isinstance(body["input"], str)]
    assert body["encoding_format"] == "base64"
    assert body["input"] == next(other["input"][0] for other in asked if other is not body)


def test_token_ids_are_sent_as_langchain_does() -> None:
    """The input is a list of lists of token ids, in the encoding that the client asks for."""
    asked = sent("embeddings.token_ids", Parameters(encoding_format="base64"))
    [body] = [body for body in asked if isinstance(body["input"][0], list)]
    assert [[type(token) for token in tokens] for tokens in body["input"]] == [[int] * 3, [int] * 2]
    assert body["encoding_format"] == "base64"


def test_names_are_compared_with_what_the_key_lists_where_none_is_declared() -> None:
    """Without a declared allowlist the names are those that the tenant lists to the key."""
    tenant = tenant_of(key("chat", models=None))
    assert judged("embeddings.model_is_published", tenant=tenant).outcome is Outcome.CONFORMS
    wrong = to("embeddings", answer(changed(GOOD, {"model": "vendor/embed-3"})))
    assert judged("embeddings.model_is_published", wrong, tenant=tenant).outcome is Outcome.VIOLATES


def test_names_that_nobody_knows_are_blocked() -> None:
    """Where no allowlist is declared and the model list fails, there is nothing to compare with."""
    tenant = tenant_of(key("chat", models=None))

    def unlisted(request: Any) -> Reply | None:
        return Reply(answer({"data": "none"})) if request.url == f"{BASE_URL}/v1/models" else None

    result = judged("embeddings.model_is_published", unlisted, tenant=tenant)
    assert result.outcome is Outcome.BLOCKED
    assert result.remedy == "Add models: [...] to the key chat in the tenant file."


def test_a_refusal_where_the_name_may_be_the_reason_is_blocked() -> None:
    """Where chat's name stands in for embeddings', and the key declares no names, a refusal breaks no promise."""
    tenant = tenant_of(key("chat", models=None), models={Modality.CHAT: ALIAS})
    wrong = to("embeddings", refusal(404, "No such model."))
    result = judged("embeddings.batch", wrong, tenant=tenant)
    assert result.outcome is Outcome.BLOCKED
    assert "does not declare its models" in result.reason
    declared = tenant_of(key("chat", models=None))
    assert judged("embeddings.batch", wrong, tenant=declared).outcome is Outcome.VIOLATES


def test_a_hundred_texts_hold_a_single_word() -> None:
    """Dify tries a model with the word ping; it goes beside long texts, so that no request is sent for it alone."""
    refused = to("embeddings", refusal(400, "too short"), when=lambda body: any(len(one) < 5 for one in body["input"]))
    assert judged("embeddings.client_batch", refused, parameters=FLOATS).outcome is Outcome.VIOLATES


CUT = Response(200, (), b"{", complete=False, end="the body exceeds 8388608 bytes (limits.max_response_bytes)")
NUMEROUS = Response(200, (("content-type", "application/json"),), b"[" + b"0," * 2_000_000 + b"0]")


@pytest.mark.parametrize("cut", [CUT, NUMEROUS], ids=["bytes", "numbers"])
def test_a_hundred_vectors_that_are_too_long_as_floats_are_read_as_base64(cut: Response) -> None:
    """How long an answer may be is this run's own limit: in base64 it is a fourth of that, and a text for a vector."""

    def is_long(body: dict[str, Any]) -> bool:
        return len(body["input"]) > 3 and isinstance(body["input"], list) and as_floats(body)

    sender = FakeSender(to("embeddings", cut, when=is_long))
    assert judged("embeddings.client_batch", parameters=FLOATS, sender=sender).outcome is Outcome.CONFORMS
    many = [sent_json(request) for request in sender.sent if "handbook" in request.body.decode()]
    assert [body["encoding_format"] for body in many] == ["float", "base64"]

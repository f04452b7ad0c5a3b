"""Answers to other requests: another key's or another run's code word in an answer is a violation."""

import itertools
import json
import re
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, CheckResult, Parameters, given_to_another, is_mixed
from gt_conformance.checks._words import ACCENTED, LETTERS, say_word, spoilt_in, word_of, words_in
from gt_conformance.exchange import Exchange, FilePart, Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CHUNKS,
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    WAV,
    FakeSender,
    answer,
    changed,
    chunk,
    embedding_list,
    findings,
    key,
    packed,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
    vector_of,
)

TWO = tenant_of(key("chat"), key("other"))


def own(*, says: str, streamed: bool = False, canned: bool = False, created: object = 1) -> CheckResult:
    """What the check comes to where each chat of either key is answered with this text, under an id of its own."""
    numbers = itertools.count(1)

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        if not request.path.endswith("chat/completions"):
            return None
        given = "chatcmpl-1" if canned else f"chatcmpl-{next(numbers)}"
        if body.get("stream"):
            half = len(says) // 2
            pieces = [ROLE, chunk({"content": says[:half]}), chunk({"content": says[half:]}), FINISH]
            return stream(
                *(
                    {**piece, "id": f"{given}-streamed", "created": created}
                    for piece in (pieces if streamed else CHUNKS[:-1])
                ),
                DONE,
            )
        text = "ok" if streamed else says
        return answer(changed(COMPLETION, {"choices.0.message.content": text, "id": given, "created": created}))

    calls = [CheckCall(check, name) for name in ("chat", "other") for check in ("chat.completes", "chat.streams")]
    session = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule))
    return session.result(CheckCall("answers.own"))


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_an_answer_to_another_key_is_a_violation(streamed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The finding names the key whose word it is, whole or in pieces of a stream."""
    found = own(says=word_of("r1", "other"), streamed=streamed)
    assert found.outcome is Outcome.VIOLATES
    assert "which was asked for with the key other" in findings(found)


def test_a_conversation_that_is_given_again_has_a_remedy_of_its_own() -> None:
    """What an opening without a title is answered with is the conversation that was opened with one."""
    opened = answer({"id": "conversation-1", "title": f"gt-conformance ({word_of('r1', 'chat')})"})

    def rule(request: Request) -> Response | None:
        return opened if request.path.endswith("/conversations") else None

    calls = [CheckCall("conversation.create", "chat"), CheckCall("chat.completes", "chat"), CheckCall("answers.own")]
    session = run(plan_of(TWO, *calls), FakeSender(rule))
    [violation] = session.result(CheckCall("answers.own")).violations
    assert violation.remedy is not None
    assert "open another conversation each time" in violation.remedy


def test_an_answer_to_another_run_is_a_violation() -> None:
    """As a cache gives it that was filled before this run."""
    assert "it is of another run" in findings(own(says=word_of("r0", "chat")))


@pytest.mark.parametrize("wrong", [slice(-1, None), slice(-5, None), slice(6, 11)])
def test_a_word_that_is_miscopied_is_nobody_elses(wrong: slice) -> None:
    """A model that gets a digit wrong, or a filter that changes some, answers its own request."""

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("chat/completions") or sent_json(request).get("stream"):
            return None
        word = list(word_of("r1", request.key))
        word[wrong] = ["a" if digit != "a" else "b" for digit in word[wrong]]
        return answer(changed(COMPLETION, {"choices.0.message.content": "".join(word)}))

    calls = [CheckCall("chat.completes", name) for name in ("chat", "other")]
    session = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule))
    assert session.result(CheckCall("answers.own")).outcome is Outcome.CONFORMS


def test_what_a_model_says_besides_is_none() -> None:
    """It need not obey, and may say the word in whatever case."""
    assert own(says="ok").outcome is Outcome.CONFORMS


def test_one_answer_for_two_keys_is_a_violation() -> None:
    """The same text under the same id to different words: a cache answers, whether or not a backend is alive."""
    found = own(says="ok", canned=True)
    assert found.outcome is Outcome.VIOLATES
    assert "the answer chatcmpl-1 came to different requests" in findings(found)


@pytest.mark.parametrize("created", [0, "soon", True], ids=str)
def test_one_answer_that_was_made_at_no_time_shows_no_cache(created: object) -> None:
    """A gateway that gives all answers one id and no time, before a model that says one thing, looks the same."""
    assert own(says="ok", streamed=True, canned=True, created=created).outcome is Outcome.CONFORMS


ALIKE: dict[str, tuple[dict[str, object], Outcome]] = {
    "one id and one text": ({"id": "c1"}, Outcome.VIOLATES),
    "one id, and texts": ({"id": "c1", "choices.0.message.content": "{}"}, Outcome.CONFORMS),
    "one text, and ids": ({"id": "c{}"}, Outcome.CONFORMS),
    "one id and one text, made at no time": ({"id": "c1", "created": 0}, Outcome.CONFORMS),
}


@pytest.mark.parametrize(("fields", "wanted"), ALIKE.values(), ids=ALIKE)
def test_one_answer_for_all_prompts_of_a_key_is_a_violation(fields: dict[str, object], wanted: Outcome) -> None:
    """Only where id, time and text are all the same: a gateway may give every answer one id, a model one text."""
    numbers = itertools.count(1)

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("chat/completions"):
            return None
        number = str(next(numbers))
        texts = {name: value.format(number) if isinstance(value, str) else value for name, value in fields.items()}
        return answer(changed(COMPLETION, texts))

    calls = [CheckCall(check, "chat") for check in ("chat.completes", "chat.roles", "chat.structured_output")]
    session = run(plan_of(tenant_of(key("chat")), *calls, CheckCall("answers.own")), FakeSender(rule))
    assert session.result(CheckCall("answers.own")).outcome is wanted


def test_one_answer_for_two_prompts_is_chance() -> None:
    """Three prompts are needed: what two get alike may be what a model says, by a gateway with one id for all."""
    canned = answer(changed(COMPLETION, {"id": "c1"}))
    sender = FakeSender(lambda request: canned if request.path.endswith("chat/completions") else None)
    plan = plan_of(tenant_of(key("chat")), CheckCall("chat.completes", "chat"), CheckCall("answers.own"))
    found = run(plan, sender).result(CheckCall("answers.own"))
    prompts = {str(sent_json(request)["messages"]) for request in sender.sent if request.path.endswith("completions")}
    assert (len(prompts) < 3, found.outcome) == (True, Outcome.CONFORMS)


def test_vectors_that_are_wrong_in_one_request_are_another_finding() -> None:
    """Where a key's texts all get one vector, that is what its batch breaks: no cache is accused."""
    same = answer(embedding_list([vector_of("one")] * 3))
    calls = [CheckCall("embeddings.batch", "chat"), CheckCall("chat.completes", "chat")]
    session = run(
        plan_of(TWO, *calls, CheckCall("answers.own")),
        FakeSender(lambda request: same if request.path.endswith("embeddings") else None),
    )
    assert session.result(calls[0]).outcome is Outcome.VIOLATES
    assert session.result(CheckCall("answers.own")).outcome is Outcome.CONFORMS


def test_a_vector_that_a_batch_gives_to_the_wrong_text_is_another_finding() -> None:
    """What breaks the promise of a key's batch is told there, though another key got the same vector: no cache."""
    shared = vector_of("shared")

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("embeddings"):
            return None
        texts = sent_json(request)["input"]
        vectors = [shared if request.key == "other" and text == texts[0] else vector_of(text) for text in texts]
        return answer(embedding_list([*vectors[:2], *([shared] if len(texts) > 2 else [])]))

    calls = [CheckCall("embeddings.batch", name) for name in ("other", "chat")]
    plan = plan_of(TWO, *calls, CheckCall("chat.completes", "chat"), CheckCall("answers.own"))
    session = run(plan, FakeSender(rule))
    assert [session.result(call).outcome for call in calls] == [Outcome.CONFORMS, Outcome.VIOLATES]
    assert session.result(CheckCall("answers.own")).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(
    ("asked", "given", "mixed"),
    [
        pytest.param((3, 1, 2), (3, 3, 1), True, id="each gets the answer of before"),
        pytest.param((3, 1, 2), (3, 1, 1), False, id="too few are counted wrong"),
        pytest.param((3, 1, 2), (3, 3, 3), False, id="too many are counted wrong"),
        pytest.param((3, 1, 2), (3, 1, 2), False, id="all are counted right"),
    ],
)
def test_vectors_too_many_and_too_few_are_of_other_requests(
    asked: tuple[int, ...],
    given: tuple[int, ...],
    mixed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """What counts wrong errs in one direction; in both, requests got each other's answers."""
    seen = []
    for place, (texts, vectors) in enumerate(zip(asked, given, strict=True)):
        body = json.dumps({"input": [f"{place} {text}" for text in range(texts)]}).encode()
        request = Request("POST", "https://acme.example/v1/embeddings", "chat", body=body)
        found = answer(embedding_list([vector_of(f"{place} {text}") for text in range(vectors)]))
        seen.append(Exchange(f"x{place}", request, found, 1.0))
    assert is_mixed(seen, "run") is mixed


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_the_vector_of_another_keys_text_is_a_violation(encoding: str) -> None:
    """Both keys get the same vectors, whichever way they ask: a cache that looks at a part of the request only."""
    cached: dict[str, list[list[float]]] = {}

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("embeddings"):
            return None
        body = sent_json(request)
        kept = re.sub("gtword[0-9a-f]+", "", str(body["input"]))
        vectors = cached.setdefault(kept, [vector_of(text) for text in body["input"]])
        encoded = body.get("encoding_format") == "base64"
        return answer(embedding_list([packed(vector) for vector in vectors] if encoded else vectors))

    shape = Parameters(encoding_format=encoding)
    calls = [CheckCall("embeddings.batch", name, shape) for name in ("chat", "other")]
    calls.append(CheckCall("chat.completes", "chat"))
    session = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule))
    found = session.result(CheckCall("answers.own"))
    assert found.outcome is Outcome.VIOLATES
    assert "the vector of a text that another request sent" in findings(found)
    assert all(session.result(call).outcome is Outcome.CONFORMS for call in calls)


def test_a_word_that_an_embedding_model_does_not_know_is_no_other_requests() -> None:
    """It embeds all such words alike, in one request as well, as does one behind a filter that masks them: advised."""

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("embeddings"):
            return None
        texts = [re.sub("gtword[0-9a-f]+", "[UNK]", text) for text in sent_json(request)["input"]]
        return answer(embedding_list([vector_of(text) for text in texts]))

    calls = [CheckCall("embeddings.batch", name, Parameters(encoding_format="float")) for name in ("chat", "other")]
    calls.append(CheckCall("chat.completes", "chat"))
    found = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule)).result(CheckCall("answers.own"))
    assert found.outcome is Outcome.CONFORMS
    assert "does not tell apart" in found.advisories[0].text


def test_without_a_chat_that_is_answered_nothing_is_known() -> None:
    """A tenant that refuses every chat mixes nothing up, and shows nothing either."""
    session = run(
        plan_of(TWO, CheckCall("chat.completes", "chat"), CheckCall("answers.own")),
        FakeSender(lambda request: refusal(500, "Broke.") if request.method == "POST" else None),
    )
    assert session.result(CheckCall("answers.own")).outcome is Outcome.BLOCKED


def test_words_are_of_one_run_and_one_key() -> None:
    """Equal where both are, so that equal requests stay equal; found in whatever case."""
    assert word_of("r1", "chat") == word_of("r1", "chat")
    assert len({word_of("r1", "chat"), word_of("r1", "other"), word_of("r2", "chat")}) == 3
    assert words_in(json.dumps(say_word("r1", "chat")).upper()) == {word_of("r1", "chat")}


@pytest.mark.parametrize(
    ("said", "is_spoilt"),
    [
        (f"seven {ACCENTED} gtword502c2d2caf", False),
        ("seven cafe gtword4e9cafdf70", False),
        ("seven caf? gtword0000000000", True),
        ("seven caf\u00c3\u00a9 gtword0000000000", True),
        (f"seven {LETTERS.replace('🚀', '?')} gtword0000000000", True),
        (f"seven {LETTERS.replace('漢', 'æ¼¢')} gtword0000000000", True),
        (f"seven {LETTERS.replace('-🚀', '')} gtword0000000000", False),
        ("Do you mean the café? That is ok.", False),
        ("The secret name is norvet-cafb & more.", False),
        (json.dumps({"answer": f"seven {LETTERS} gtword0000000000"}), False),
        (json.dumps({"answer": "seven caf? gtword0000000000"}), True),
        (json.dumps(f"seven {LETTERS} gtword0000000000"), True),
        ("<p>seven caf&eacute; gtword0000000000</p>", False),
        ("seven caf&eacute; gtword0000000000", True),
        ("sette caffè, set cafè", False),
        (r"seven caf\'{e} gtword0000000000", False),
    ],
    ids=[
        "a code word that ends like it",
        "without the accent",
        "a question mark",
        "read as Latin-1",
        "a question mark for what takes four bytes",
        "one letter read as Latin-1",
        "without what the model cannot write",
        "a question about it",
        "a made-up name that ends like it",
        "escaped in JSON that the model writes",
        "a question mark in JSON that the model writes",
        "escaped, and no JSON object",
        "escaped in HTML that the model writes",
        "escaped for a web page",
        "in other languages",
        "in LaTeX",
    ],
)
def test_an_accented_word_is_looked_for_as_a_word(said: str, *, is_spoilt: bool) -> None:
    """A code word is made at random, and may hold its letters."""
    assert bool(spoilt_in(said)) is is_spoilt


@pytest.mark.parametrize("outcome", [Outcome.VIOLATES, Outcome.CONFORMS])
def test_one_sound_for_all_texts_is_a_cache_only_where_another_key_gets_another(outcome: Outcome) -> None:
    """What all texts of all keys get may be all that a model makes: it is advised."""
    by_key = outcome is Outcome.VIOLATES

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("audio/speech"):
            return None
        return answer(WAV + (request.key or "").encode() if by_key else WAV, kind="audio/wav")

    calls = [CheckCall(check, "chat") for check in ("chat.completes", "audio.speaks", "audio.speaks_as_asked")]
    found = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule)).result(CheckCall("answers.own"))
    assert found.outcome is outcome
    assert any("all of them are the same" in item.text for item in found.advisories) is not by_key


def test_a_sound_of_the_text_before_is_another_requests() -> None:
    """No other key may speak: what the same key gets when it asks once more shows that the model makes several."""
    before = [b""]

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("audio/speech"):
            return None
        sound, before[0] = before[0], WAV + request.body
        return answer(sound or before[0], kind="audio/wav")

    tenant = tenant_of(key("chat"), unpublished_models=["agent-7f3a"])
    calls = [CheckCall(check, "chat") for check in ("chat.completes", "audio.speaks", "audio.speaks_as_asked")]
    found = run(plan_of(tenant, *calls, CheckCall("answers.own")), FakeSender(rule)).result(CheckCall("answers.own"))
    assert found.outcome is Outcome.VIOLATES


def named(model: str) -> CheckResult:
    """What the check comes to where chats with tools name this model."""

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        if not request.path.endswith("chat/completions") or "tools" not in body or body.get("stream"):
            return None
        return answer(changed(COMPLETION, {"model": model}))

    tenant = tenant_of(key("chat"), key("other"), unpublished_models=["agent-7f3a"])
    calls = [CheckCall(check, "chat") for check in ("chat.completes", "chat.tools")]
    session = run(plan_of(tenant, *calls, CheckCall("answers.name_published")), FakeSender(rule))
    return session.result(CheckCall("answers.name_published"))


def test_a_model_that_only_some_answers_name_is_a_violation() -> None:
    """Chats with tools alone name a provider's model; the published names of the keys are none."""
    found = named("provider-model-9")
    assert [violation.found for violation in found.violations] == ["model is 'provider-model-9'"] * len(
        found.violations
    )
    assert found.outcome is Outcome.VIOLATES
    assert named("field-analyst").outcome is Outcome.CONFORMS


def test_an_internal_name_is_one_finding_wherever_it_shows() -> None:
    """An internal name has the cause that other checks give it."""
    one, other = named("agent-7f3a"), named("provider-model-9")
    assert {item.finding.partition("~")[0] for item in one.violations} == {"internal"}
    assert {item.finding.partition("~")[0] for item in other.violations} == {"model"}


@pytest.mark.parametrize(
    ("lists", "outcome"),
    [
        ((["field-analyst"], ["field-analyst"]), Outcome.CONFORMS),
        ((["field-analyst"], ["field-analyst", "board-secretary"]), Outcome.VIOLATES),
        ((["field-analyst", "board-secretary"], ["field-analyst", "board-secretary"]), Outcome.CONFORMS),
    ],
    ids=["the same", "another name later", "another name from the first on"],
)
def test_later_lists_of_a_key_hold_its_own_names(lists: tuple[list[str], list[str]], outcome: Outcome) -> None:
    """What is wrong from the first list on is the finding of its rows; what comes later is of another key."""
    given = iter(lists)

    def rule(request: Request) -> Response | None:
        if not request.path.endswith("/v1/models"):
            return None
        names = next(given, lists[-1])
        return answer({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    discovery = CheckCall("client.discovery", "chat", Parameters(discovery=("GET /version",)))
    calls = (
        CheckCall("chat.completes", "chat"),
        CheckCall("chat.streams", "chat"),
        discovery,
        CheckCall("answers.own"),
    )
    session = run(plan_of(tenant_of(key("chat")), *calls), FakeSender(rule))
    assert session.result(calls[-1]).outcome is outcome


UPLOADED_TO = "https://acme.example/api/tenant/v1/datasets/scratch/files"


def uploaded(key: str, name: str, content: bytes | None = None, **given: Any) -> Exchange:
    """An upload of that file, with its name in it where no content is given, and what it is answered."""
    parts = (FilePart("file", name.encode() if content is None else content, name),)
    request = Request("POST", UPLOADED_TO, key, parts=parts, creates=True)
    return Exchange(f"{key} {name}", request, answer({"id": f"file-{key}-{name}", **given}), 1.0)


def test_a_tenant_may_keep_equal_contents_once() -> None:
    """Under the name with which they came first: nothing of another file is shown by that."""
    seen = [uploaded("app", "b.png", b"same"), uploaded("upload", "a.png", b"same", filename="b.png")]
    assert not list(given_to_another(seen))
    seen = [uploaded("app", "b.png", b"same"), uploaded("upload", "a.png", b"other", filename="b.png")]
    assert list(given_to_another(seen)) == seen[1:]


@pytest.mark.parametrize(
    ("given", "misplaced"),
    [
        pytest.param({"filename": "b.txt"}, True, id="that of another upload"),
        pytest.param({"file": {"name": "b.txt"}}, True, id="that of another upload, within a file"),
        pytest.param({"filename": "a.txt"}, False, id="its own"),
        pytest.param({"filename": "a-1.txt"}, False, id="a new one"),
        pytest.param({"filename": "a.txt", "title": "b.txt"}, False, id="its own, and another beside it"),
        pytest.param({"files": [{"filename": "b.txt"}]}, False, id="those of the dataset in a list"),
        pytest.param({}, False, id="none"),
    ],
)
def test_an_upload_that_is_answered_with_another_file_is_recognized_by_its_name(
    given: dict[str, Any],
    misplaced: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A tenant may name no file, name it anew, or list what its dataset holds."""
    seen = [uploaded("upload", "a.txt", **given), uploaded("app", "b.txt", filename="b.txt")]
    assert list(given_to_another(seen)) == (seen[:1] if misplaced else [])


def test_a_conversation_may_have_the_title_of_an_earlier_one_of_its_key() -> None:
    """A key gives all of its conversations one title: that of another key is another's."""

    def opened(key: str, title: str | None, given: str) -> Exchange:
        body = json.dumps({"model": "alias"} | ({"title": title} if title else {})).encode()
        request = Request("POST", "https://acme.example/api/tenant/v1/conversations", key, body=body, creates=True)
        return Exchange(f"{key} {title}", request, answer({"id": f"conv-{key}-{title}", "title": given}), 1.0)

    first, untitled, other = opened("app", "One", "One"), opened("app", None, "One"), opened("partner", "Two", "Two")
    assert list(given_to_another([first, untitled, other])) == []
    mixed = opened("app", None, "Two")
    assert list(given_to_another([first, mixed, other])) == [mixed]

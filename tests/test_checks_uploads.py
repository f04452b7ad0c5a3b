"""The upload checks: what an upload needs, until when it is polled, and who may see its state."""

from dataclasses import dataclass, field, replace

import pytest
from anyio.lowlevel import checkpoint

from gt_conformance.checks import READ_ONLY, CheckCall, files
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.runner import CheckResult
from gt_conformance.tenant import Limits, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Purpose, Scope
from tests.fake_tenant import (
    BASE_URL,
    HTML_PAGE,
    INFERENCE,
    FakeSender,
    Reply,
    Rule,
    Which,
    answer,
    extensions,
    given,
    is_control,
    judged,
    key,
    plan_of,
    refusal,
    run,
    tenant_of,
)

NEEDS, STATUS, ISOLATED = "upload.needs_conversation", "files.status", "files.isolated"
INTO_CONVERSATION, INTO_DATASET = "upload.conversation_ready", "upload.dataset_ready"
APP, OTHER, THIRD, FOURTH = (key(name, purpose=Purpose.CONVERSATION) for name in ("app", "other", "third", "fourth"))
TENANT = tenant_of(APP, OTHER)
BROKEN = refusal(500, "Broken.")
GONE = Reply(failure=Failure.CLOSED, detail="closed")


@dataclass
class Clock:
    """The time that polling goes by, which passes in its pauses alone."""

    now: float = 1_000.0
    pauses: list[float] = field(default_factory=list)

    def current_time(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """The time goes on by so much."""
        self.pauses.append(seconds)
        self.now += seconds
        await checkpoint()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of the event loop's clock, where files are polled."""
    made = Clock()
    monkeypatch.setattr(files, "anyio", made)
    return made


def within(seconds: float) -> Tenant:
    """The tenant, with so much time for the processing of a file."""
    return tenant_of(APP, OTHER, limits=Limits(poll_timeout_s=seconds))


def below(path: str, method: str = "POST") -> Which:
    """A request of that method whose path below /v1 begins so."""
    return lambda request: request.method == method and request.url.startswith(f"{BASE_URL}/v1/{path}")


def exactly(path: str, method: str = "GET", presenting: str = "app") -> Which:
    """A request of that method and key to that path below /v1."""
    return lambda request: (request.method, request.url, request.key) == (method, f"{BASE_URL}/v1/{path}", presenting)


def named(conversation: str | None) -> Which:
    """A conversation upload of the key app that names that conversation."""
    into = exactly("conversations/files", "POST")
    return lambda request: into(request) and dict(request.headers).get(CONVERSATION_HEADER) == conversation


UPLOADS, STATE = below("conversations/files"), exactly("files/file-app")


def states(*told: str | Response | Reply) -> Rule:
    """The file's state poll by poll: a word or a whole answer, the last of them for good."""
    left = list(told)

    def rule(request: Request) -> Response | Reply | None:
        if not STATE(request):
            return None
        state = left.pop(0) if len(left) > 1 else left[0]
        return answer({"id": "file-app", "status": state}) if isinstance(state, str) else state

    return rule


def found(check: str, *rules: Rule, tenant: Tenant = TENANT) -> CheckResult:
    """What the check comes to where these rules answer first."""
    return judged(check, *rules, extensions, tenant=tenant)


def requested(sender: FakeSender) -> list[str]:
    """What was asked on GT's own routes, by whom, in order."""
    gets = {f"{BASE_URL}/v1/models", f"{BASE_URL}/v1/gt-conformance-no-such-route"}
    return [
        f"{request.key}: {request.method} {request.url.removeprefix(BASE_URL)}"
        for request in sender.sent
        if request.url not in gets
    ]


WITH_DATASET = tenant_of(
    key("app", purpose=Purpose.CONVERSATION, scopes=INFERENCE | {Scope.DATASETS_WRITE}), OTHER, dataset="scratch"
)


@pytest.mark.parametrize("check", [NEEDS, INTO_CONVERSATION, INTO_DATASET, STATUS, ISOLATED])
def test_a_tenant_that_keeps_its_word_gives_nothing_to_say(check: str) -> None:
    """It conforms without a remark, with --strict as well."""
    result = judged(check, extensions, tenant=WITH_DATASET, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


@pytest.mark.parametrize("check", [NEEDS, INTO_CONVERSATION, INTO_DATASET, STATUS, ISOLATED])
def test_a_read_only_run_asks_nothing_of_an_upload(check: str) -> None:
    """Nothing is uploaded, so there is nothing to ask."""
    sender = FakeSender(extensions)
    result = judged(check, tenant=replace(WITH_DATASET, read_only=True), sender=sender)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, READ_ONLY[0])
    assert all(map(is_control, sender.sent))


# -- what an upload needs

CASES: dict[str, str | None] = {
    "without X-GT-Conversation-Id": None,
    "with an unknown id": "gt-conformance-no-such-id",
    "with another key's conversation": "conversation-other",
}
TAKEN: dict[str, tuple[Response | Reply, str]] = {
    "accepted": (answer({"id": "file-2"}, 202), "HTTP 202"),
    "a 5xx": (BROKEN, "HTTP 500: Broken."),
    "a redirect": (answer("", 302), "HTTP 302"),
    "no answer": (GONE, "no answer: closed"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("reply", "said"), TAKEN.values(), ids=TAKEN)
def test_an_upload_that_needs_no_conversation_of_its_own_violates(
    reply: Response | Reply, said: str, case: str
) -> None:
    """Only a 4xx refuses it, whatever conversation was named."""
    [violation] = found(NEEDS, given(reply, named(CASES[case]))).violations
    assert (violation.expected, violation.found) == (f"a conversation upload {case} is refused with a 4xx", said)


def test_every_conversation_that_is_none_is_tried() -> None:
    """A tenant that takes any upload hears of each."""
    anything = given(answer({"id": "file-2"}, 202), UPLOADS)
    assert [violation.expected for violation in found(NEEDS, anything).violations] == [
        f"a conversation upload {case} is refused with a 4xx" for case in CASES
    ]


def test_a_conversation_that_cannot_be_opened_is_the_finding() -> None:
    """Where the key opens none, a refused upload proves nothing: it is blocked because of that."""
    call = CheckCall(NEEDS, "app")
    sender = FakeSender(given(BROKEN, exactly("conversations", "POST")), extensions)
    result = run(plan_of(TENANT, call), sender).result(call)
    assert not [request for request in sender.sent if UPLOADS(request)]
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert result.because.startswith("answer~")
    assert result.reason.startswith("conversation.create does not hold: expected POST /v1/conversations gives 2xx")
    assert result.reason.endswith("found HTTP 500: Broken.")


def test_without_another_keys_conversation_the_rest_is_tried() -> None:
    """What is missing blocks the check, but does not hide what the other uploads show."""
    alone = tenant_of(APP)
    result = found(NEEDS, tenant=alone)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "a refusal looks like an absence without a real conversation, and no other key could open one",
        "Add another live key with purpose conversation to the tenant file.",
    )
    taken = found(NEEDS, given(answer({"id": "file-2"}, 202), UPLOADS), tenant=alone)
    assert taken.outcome is Outcome.VIOLATES
    assert len(taken.violations) == 2


# -- until it is ready

ACCEPTED = "the upload is accepted with 2xx and a file id"
READY = "the file becomes ready within 3 s (poll_timeout_s)"


@pytest.mark.parametrize(
    "told",
    [("ready",), ("READY",), ("queued", "indexing", "ready"), ("processing", "processing", " Ready ")],
    ids=["at once", "in capitals", "after other states", "after the same state twice"],
)
def test_a_file_that_becomes_ready_conforms(told: tuple[str, ...]) -> None:
    """What the states before it are called is not documented."""
    result = found(INTO_CONVERSATION, states(*told), tenant=within(3))
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())


NEVER_READY: dict[str, tuple[tuple[str, ...], str]] = {
    "it fails at once": (("failed",), "processing failed: failed after 0.0 s"),
    "it fails in the end": (("queued", "Failed"), "processing failed: queued → failed after 0.2 s"),
    "it is never begun": (("queued",), "still queued after 3 s: queued"),
    "its processing never ends": (
        ("queued", "queued", "indexing"),
        "still indexing after 3 s: queued → indexing",
    ),
    "it goes round in circles": (
        ("queued", "indexing", "queued"),
        "still queued after 3 s: queued → indexing → queued",
    ),
}


@pytest.mark.parametrize(("told", "said"), NEVER_READY.values(), ids=NEVER_READY)
def test_a_file_that_does_not_become_ready_violates(told: tuple[str, ...], said: str) -> None:
    """The finding tells the states that were seen and how long it took, and is proved by the last poll."""
    sender = FakeSender(states(*told), extensions)
    [violation] = judged(INTO_CONVERSATION, tenant=within(3), sender=sender).violations
    assert (violation.expected, violation.found) == (READY, said)
    assert STATE(sender.sent[-1])
    assert violation.exchange == f"x{len(sender.sent):04d}"


def test_a_file_is_waited_for_until_the_time_is_over(clock: Clock) -> None:
    """Ready at the last moment is ready in time."""
    end = clock.now + 3

    def late(request: Request) -> Response | None:
        state = "ready" if clock.now >= end else "processing"
        return answer({"status": state}) if STATE(request) else None

    assert found(INTO_CONVERSATION, late, tenant=within(3)).outcome is Outcome.CONFORMS


def test_a_file_is_polled_quickly_at_first_and_seldom_later(clock: Clock) -> None:
    """A tiny file is ready soon; one that is not costs a request each five seconds."""
    found(INTO_CONVERSATION, states("processing"), tenant=within(60))
    assert [round(pause, 3) for pause in clock.pauses[:4]] == [0.2, 0.32, 0.512, 0.819]
    assert max(clock.pauses) == clock.pauses[-2] == 5
    assert sum(clock.pauses) == pytest.approx(60)


NOT_ACCEPTED: dict[str, tuple[Response | Reply, str]] = {
    "refused": (refusal(400, "No."), "HTTP 400: No."),
    "a 5xx": (BROKEN, "HTTP 500: Broken."),
    "no id": (answer({"ok": True}, 202), "HTTP 202 without an id"),
    "a web page": (HTML_PAGE, "HTTP 200, but it is an HTML page"),
    "no answer": (GONE, "no answer: closed"),
}


@pytest.mark.parametrize(
    ("check", "path"),
    [(INTO_CONVERSATION, "conversations/files"), (INTO_DATASET, "datasets/scratch/files")],
    ids=["into a conversation", "into a dataset"],
)
@pytest.mark.parametrize(("reply", "said"), NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_an_upload_that_is_not_accepted_violates(reply: Response | Reply, said: str, check: str, path: str) -> None:
    """An id has to come, or nothing can be polled."""
    [violation] = found(check, given(reply, below(path)), tenant=WITH_DATASET).violations
    assert (violation.expected, violation.found) == (ACCEPTED, said)


UNTOLD: dict[str, tuple[Response | Reply, str, str]] = {
    "no state": (answer({"id": "file-app"}), "HTTP 200 without an id or a state", ""),
    "no JSON": (answer("ready", kind="text/plain"), "HTTP 200 without an id or a state", "the body is not JSON"),
    "refused": (refusal(404, "Unknown."), "HTTP 404: Unknown.", "found HTTP 404: Unknown."),
    "no answer": (GONE, "no answer: closed", "found no answer: closed"),
}


@pytest.mark.parametrize("before", [(), ("processing",)], ids=["at first", "after a while"])
@pytest.mark.parametrize(("reply", "said", "found_at_once"), UNTOLD.values(), ids=UNTOLD)
def test_a_state_that_is_not_told_blocks_the_upload_and_violates_the_states_own_check(
    reply: Response | Reply, said: str, found_at_once: str, before: tuple[str, ...]
) -> None:
    """It is not the upload's fault: GET /v1/files/{id} has a row of its own, and a finding where it never tells."""
    upload = found(INTO_CONVERSATION, states(*before, reply))
    assert upload.outcome is Outcome.BLOCKED
    if found_at_once and not before:
        assert upload.reason.startswith("files.status does not hold: ")
        assert found_at_once in upload.reason
        assert upload.because
    else:
        assert upload.reason == f"whether the file became ready is unknown: GET /v1/files/{{id}} gave {said}"
        assert upload.remedy == "Fix GET /v1/files/{id} for this key first, then run again."
    state = found(STATUS, states(*before, reply))
    assert state.outcome is Outcome.VIOLATES
    assert {violation.expected for violation in state.violations} == {
        "GET /v1/files/{id} answers with a processing state"
    }


def test_nothing_is_uploaded_where_no_dataset_is_named() -> None:
    """Uploads go to the tenant file's dataset and nowhere else."""
    sender = FakeSender(extensions)
    result = judged(INTO_DATASET, tenant=TENANT, sender=sender)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "no dataset is named, and uploads go to a named one only",
        "Add dataset: NAME to the tenant file: a scratch dataset that may receive tiny files.",
    )
    assert requested(sender) == []


# -- its state


def test_the_state_is_asked_for_by_id_by_a_made_up_id_and_by_its_alias() -> None:
    """A file of the dataset where the key may write there, else one of its conversation."""
    sender = FakeSender(extensions)
    judged(STATUS, tenant=WITH_DATASET, sender=sender)
    asked = [
        "app: GET /v1/files/file-app",
        "app: GET /v1/files/gt-conformance-no-such-id",
        "app: GET /v1/uploads/file-app",
    ]
    assert requested(sender) == ["app: POST /v1/datasets/scratch/files", *asked]
    sender = FakeSender(extensions)
    judged(STATUS, tenant=TENANT, sender=sender)
    assert requested(sender) == ["app: POST /v1/conversations", "app: POST /v1/conversations/files", *asked]


KNOWN: dict[str, Response | Reply] = {
    "a state": answer({"status": "processing"}),
    "a 5xx": BROKEN,
    "no answer": GONE,
}


@pytest.mark.parametrize("reply", KNOWN.values(), ids=KNOWN)
def test_an_unknown_file_that_is_not_refused_is_remarked(reply: Response | Reply) -> None:
    """A poll that never ends begins with an id that was misread; no page says what an unknown id gets."""
    result = found(STATUS, given(reply, exactly("files/gt-conformance-no-such-id")))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert [item.text for item in result.advisories] == ["the state of an unknown file id should be refused with a 4xx"]


ALIAS_DIFFERS: dict[str, Response | Reply] = {
    "refused": refusal(404),
    "without a state": answer({"id": "file-app"}),
    "no JSON": HTML_PAGE,
    "a state with a 5xx": answer({"status": "ready"}, 500),
    "no answer": GONE,
}


@pytest.mark.parametrize("reply", ALIAS_DIFFERS.values(), ids=ALIAS_DIFFERS)
def test_an_alias_that_does_not_agree_is_remarked(reply: Response | Reply) -> None:
    """The runbooks poll /v1/files/{id}; its alias is documented, and no more."""
    result = found(STATUS, given(reply, exactly("uploads/file-app")))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert [remark.text for remark in result.advisories] == [
        "GET /v1/uploads/{id}, the documented alias, does not answer as GET /v1/files/{id} does"
    ]


@pytest.mark.parametrize("check", [STATUS, ISOLATED])
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (BROKEN, "HTTP 500: Broken."),
        (answer({"ok": True}, 202), "HTTP 202 without an id"),
        (GONE, "no answer: closed"),
    ],
    ids=["a 5xx", "no id", "no answer"],
)
def test_without_a_file_there_is_no_state(reply: Response | Reply, said: str, check: str) -> None:
    """That an upload fails is the finding of the upload's own row, and this check is blocked because of it."""
    result = found(check, given(reply, UPLOADS))
    assert result.outcome is Outcome.BLOCKED
    assert result.because
    assert result.reason.startswith("upload.conversation_ready does not hold: ")
    assert result.reason.endswith(f"found {said}")


# -- who may see it

SHOWN: dict[str, tuple[Response | Reply, str]] = {
    "shown": (answer({"status": "ready"}), "HTTP 200"),
    "a 5xx": (BROKEN, "HTTP 500: Broken."),
    "no answer": (GONE, "no answer: closed"),
}
MANY = tenant_of(APP, OTHER, THIRD, FOURTH)


@pytest.mark.parametrize("stranger", ["other", "third"])
@pytest.mark.parametrize(("reply", "said"), SHOWN.values(), ids=SHOWN)
def test_a_state_that_is_not_refused_to_a_stranger_violates(reply: Response | Reply, said: str, stranger: str) -> None:
    """The finding names the key that saw it."""
    [violation] = found(ISOLATED, given(reply, exactly("files/file-app", presenting=stranger)), tenant=MANY).violations
    asked = f"the file's state, asked for by the key {stranger} at GET /v1/files/{{id}}, is refused"
    assert violation.expected in {asked, f"{asked} with a 4xx"}
    assert violation.found == said


def locked(*names: str) -> Rule:
    """The tenant takes none of these keys."""
    return lambda request: refusal(401, "Unknown key.") if request.key in names else None


@pytest.mark.parametrize(
    ("in_trouble", "asking"),
    [((), ["other", "third"]), (("other",), ["third", "fourth"]), (("other", "third"), ["fourth"])],
    ids=["all work", "the first does not", "one works"],
)
def test_two_strangers_that_work_are_asked(in_trouble: tuple[str, ...], asking: list[str]) -> None:
    """Two are enough, after the uploader itself; and a key in trouble of its own is passed over for the next."""
    sender = FakeSender(locked(*in_trouble), extensions)
    assert judged(ISOLATED, tenant=MANY, sender=sender).outcome is Outcome.CONFORMS
    asked = [request.key for request in sender.sent if request.url.endswith("/v1/files/file-app")]
    assert asked == ["app", *asking]


def test_where_no_stranger_works_nothing_is_told() -> None:
    """The first one's trouble is what is missing."""
    result = found(ISOLATED, locked("other", "third", "fourth"), tenant=MANY)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason.startswith("preflight for key `other` failed: ")


@pytest.mark.parametrize(
    "tenant",
    [tenant_of(APP), tenant_of(APP, key("linked", purpose=Purpose.CONVERSATION, inherits=("app",)))],
    ids=["alone", "linked"],
)
def test_without_a_stranger_nothing_is_uploaded(tenant: Tenant) -> None:
    """A key that inherits from the uploader may see its files."""
    sender = FakeSender(extensions)
    result = judged(ISOLATED, tenant=tenant, sender=sender)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "every other key is linked to app, may write the same dataset, or there is none",
        "Add another live key to the tenant file, with datasets: [...] of its own if it uploads.",
    )
    assert requested(sender) == []

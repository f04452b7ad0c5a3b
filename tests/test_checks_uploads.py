"""The upload checks: what an upload needs, until when it is polled, who may see its state."""

from dataclasses import dataclass, field, replace

import pytest
from anyio.lowlevel import checkpoint

from gt_conformance.checks import READ_ONLY, CheckCall, CheckResult, Parameters, _polling, files, knowledge
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.tenant import Limits, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Purpose, Route, Scope
from tests.fake_tenant import (
    ASKED_AGAIN,
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


def replace_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of the event loop's clock, where files are polled."""
    made = Clock()
    for module in (files, _polling, knowledge):
        monkeypatch.setattr(module, "anyio", made)
    return made


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits."""
    return replace_clock(monkeypatch)


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
    [
        ("ready",),
        ("queued", "indexing", "ready"),
        ("PROCESSING", "processing", " ready "),
        ("processed", "processed", "indexing", "ready"),
        ("error", "processing", "completed", "ready"),
    ],
    ids=["at once", "after other states", "after the same state twice", "after one", "after some that sound final"],
)
def test_a_file_that_becomes_ready_conforms(told: tuple[str, ...]) -> None:
    """What the states before it are called is not documented."""
    result = found(INTO_CONVERSATION, states(*told), tenant=within(20))
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())


def test_a_final_state_in_capitals_is_advised_against() -> None:
    """The documentation writes it in lower case, and callers compare it."""
    result = found(INTO_CONVERSATION, states("QUEUED", "READY"), tenant=within(3))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    [advisory] = result.advisories
    assert advisory.text == "the final state is written READY, not ready as documented"


@pytest.mark.parametrize("state", ["completed", "Done", "error", "PROCESSED"])
def test_a_state_that_only_sounds_final_is_named_long_before_the_time_is_over(state: str, clock: Clock) -> None:
    """A file that stays in it for a while is polled no more: nobody gains by waiting."""
    began = clock.now
    [violation] = found(INTO_CONVERSATION, states("processing", state), tenant=within(600)).violations
    assert violation.found.startswith(f"{state} sounds final, and is neither ready nor failed: processing → ")
    assert clock.now - began < 20


NEVER_READY: dict[str, tuple[tuple[str, ...], str]] = {
    "it fails at once": (("failed",), "processing failed: failed after 0.0 s"),
    "it fails in the end": (("queued", "Failed"), "processing failed: queued → failed after 0.2 s"),
    "it is never begun": (("queued",), "still queued: queued after 3.0 s"),
    "its processing never ends": (
        ("queued", "queued", "indexing"),
        "still indexing: queued → indexing after 3.0 s",
    ),
    "it goes round in circles": (
        ("queued", "indexing", "queued"),
        "still queued: queued → indexing → queued after 3.0 s",
    ),
}


@pytest.mark.parametrize(("told", "said"), NEVER_READY.values(), ids=NEVER_READY)
def test_a_file_that_does_not_become_ready_violates(told: tuple[str, ...], said: str) -> None:
    """The finding tells the states that were seen and how long it took, and is proved by the last poll."""
    sender = FakeSender(states(*told), extensions)
    [violation] = judged(INTO_CONVERSATION, tenant=within(3), sender=sender).violations
    assert (violation.expected, violation.found) == (READY, said)
    polls = [number for number, one in enumerate(sender.sent, start=1) if STATE(one) and one.key == "app"]
    assert violation.exchange == f"x{polls[-1 - ASKED_AGAIN]:04d}"


def test_a_file_is_waited_for_until_the_time_is_over(clock: Clock) -> None:
    """Ready at the last moment is ready in time."""
    end = clock.now + 3

    def late(request: Request) -> Response | None:
        state = "ready" if clock.now >= end else "processing"
        return answer({"status": state}) if STATE(request) else None

    assert found(INTO_CONVERSATION, late, tenant=within(3)).outcome is Outcome.CONFORMS


@pytest.mark.parametrize("reply", [refusal(404, "Unknown."), "processing"], ids=["not known yet", "processing"])
def test_a_file_is_polled_some_times_where_each_poll_is_late(reply: Response | str, clock: Clock) -> None:
    """On a busy machine each poll waits for its turn: the time is over before a second one was answered."""
    told = states(reply, reply, "ready")

    def late(request: Request) -> Response | Reply | None:
        clock.now += 10 if STATE(request) else 0
        return told(request)

    for check in (INTO_CONVERSATION, STATUS):
        assert found(check, late, tenant=within(3)).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(("seconds", "outcome"), [(8, Outcome.CONFORMS), (30, Outcome.VIOLATES)])
def test_a_new_file_may_be_unknown_for_some_seconds(seconds: int, outcome: Outcome, clock: Clock) -> None:
    """What one instance accepted is seen by the next a moment later; a file that never appears is not waited for."""
    end, asked = clock.now + seconds, []

    def late(request: Request) -> Response | None:
        if not STATE(request):
            return None
        asked.append(request)
        return answer({"status": "ready"}) if clock.now >= end else refusal(404, "Unknown.")

    assert found(STATUS, late, tenant=within(60)).outcome is outcome
    assert len(asked) < 30 + 3  # what is refused is asked for three times more at the end of a run


ALIAS = exactly("uploads/file-app")


@pytest.mark.parametrize(("times", "outcome"), [(2, Outcome.CONFORMS), (9, Outcome.VIOLATES)])
def test_the_alias_may_be_behind_for_a_moment(times: int, outcome: Outcome) -> None:
    """It may be served by a copy that is made later: that is advised against, and one that never follows violates."""
    left = [answer({"status": "processing"})] * times

    def late(request: Request) -> Response | None:
        return left.pop() if ALIAS(request) and left else None

    result = found(STATUS, late, tenant=within(60))
    assert result.outcome is outcome
    assert ["is behind" in one.text for one in result.advisories] == [True] * (outcome is Outcome.CONFORMS)


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


UNTOLD: dict[str, tuple[Response | Reply, str]] = {
    "no state": (answer({"id": "file-app"}), "one of these keys is missing: 'status', "),
    "no JSON": (answer("ready", kind="text/plain"), "HTTP 200 (text/plain), but the body is not JSON"),
    "refused": (refusal(404, "Unknown."), "HTTP 404: Unknown."),
    "no answer": (GONE, "no answer: closed"),
}


@pytest.mark.parametrize("before", [(), ("processing",)], ids=["at first", "after a while"])
@pytest.mark.parametrize(("reply", "said"), UNTOLD.values(), ids=UNTOLD)
def test_a_state_that_is_not_told_is_one_finding_of_the_upload_and_of_the_state(
    reply: Response | Reply, said: str, before: tuple[str, ...]
) -> None:
    """Both rows meet it in the same answer: the upload is blocked because of the state's finding, or shares it."""
    calls = [CheckCall(check, "app") for check in (STATUS, INTO_CONVERSATION)]
    session = run(plan_of(TENANT, *calls), FakeSender(states(*before, reply), extensions))
    state, upload = map(session.result, calls)
    assert state.outcome is Outcome.VIOLATES
    [finding] = {violation.finding for violation in state.violations}
    assert state.violations[0].expected == "GET /v1/files/{id} answers with a processing state"
    assert state.violations[0].found.startswith(said)
    assert {upload.because, *(violation.finding for violation in upload.violations)} - {""} == {finding}


def test_a_state_that_is_unknown_after_a_conversation_upload_alone_violates() -> None:
    """The route works for what is uploaded into a dataset: nothing but the conversation's upload is at fault."""

    def rule(request: Request) -> Response | None:
        if UPLOADS(request):
            return answer({"id": "lost"}, 202)
        return refusal(404, "Unknown.") if request.url.endswith("/v1/files/lost") else None

    [violation] = found(INTO_CONVERSATION, rule, tenant=WITH_DATASET).violations
    assert violation.expected == "GET /v1/files/{id} answers with a processing state"
    assert violation.found == "HTTP 404: Unknown."
    assert found(STATUS, rule, tenant=WITH_DATASET).outcome is Outcome.CONFORMS


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


# -- a PDF, a PNG, and what no reader can process

FORMATS, BROKEN_FILE = "upload.formats", "files.unprocessable"
OF_CONVERSATION, OF_DATASET = (Parameters(route=route) for route in (Route.CONVERSATION_FILES, Route.DATASET_FILES))


def named_file(ending: str) -> Which:
    """An upload of a file whose name ends so."""
    return lambda request: any((part.filename or "").endswith(ending) for part in request.parts)


def processed(ending: str, *told: str) -> Rule:
    """These states, poll by poll, of a file whose name ends so; it has an id of its own."""
    uploaded, left = named_file(ending), list(told)

    def rule(request: Request) -> Response | None:
        if uploaded(request):
            return answer({"id": "special"}, 202)
        if not request.url.endswith("/v1/files/special"):
            return None
        return answer({"id": "special", "status": left.pop(0) if len(left) > 1 else left[0]})

    return rule


@pytest.mark.parametrize(
    ("parameters", "ending"), [(OF_CONVERSATION, ".png"), (OF_DATASET, ".pdf")], ids=["a PNG", "a PDF"]
)
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (refusal(415, "Only texts."), "HTTP 415: Only texts."),
        (BROKEN, "HTTP 500: Broken."),
        (GONE, "no answer: closed"),
    ],
    ids=["refused", "a 5xx", "no answer"],
)
def test_a_kind_of_file_that_the_page_itself_uploads_must_be_accepted(
    reply: Response | Reply, said: str, parameters: Parameters, ending: str
) -> None:
    """A PNG into a conversation, a PDF into a dataset."""
    rule = given(reply, named_file(ending))
    [violation] = judged(FORMATS, rule, extensions, tenant=WITH_DATASET, parameters=parameters).violations
    assert violation.expected == f"a {ending[1:].upper()} is accepted as a text is: 2xx and a file id"
    assert violation.found == said


ENDS: dict[str, tuple[Parameters, str, tuple[str, ...], Outcome, str]] = {
    "a PDF that fails": (OF_DATASET, ".pdf", ("queued", "failed"), Outcome.VIOLATES, "its processing failed: "),
    "a PDF that never ends": (OF_DATASET, ".pdf", ("queued",), Outcome.VIOLATES, "still queued: "),
    "a PDF that is done": (OF_DATASET, ".pdf", ("done",), Outcome.VIOLATES, "done sounds final, "),
    "a PNG that never ends": (OF_CONVERSATION, ".png", ("queued",), Outcome.VIOLATES, "still queued: "),
    "a PNG that fails": (OF_CONVERSATION, ".png", ("failed",), Outcome.CONFORMS, ""),
}


@pytest.mark.parametrize(("parameters", "ending", "told", "outcome", "said"), ENDS.values(), ids=ENDS)
def test_a_pdf_becomes_ready_and_a_png_ends(
    parameters: Parameters, ending: str, told: tuple[str, ...], outcome: Outcome, said: str
) -> None:
    """A text in a PDF can be read by any tenant; a picture needs a model that sees, which is no promise."""
    tenant = replace(WITH_DATASET, limits=Limits(poll_timeout_s=20))
    result = judged(FORMATS, processed(ending, *told), extensions, tenant=tenant, parameters=parameters)
    assert result.outcome is outcome
    assert [violation.found.startswith(said) for violation in result.violations] == [True] * bool(said)
    assert bool(result.advisories) is (not said)


@pytest.mark.parametrize("check", [FORMATS, BROKEN_FILE])
def test_where_no_text_becomes_ready_the_kind_of_file_is_not_at_fault(check: str) -> None:
    """That is the text's finding: the check is blocked because of it."""
    never = given(answer({"status": "queued"}), below("files/", "GET"))
    tenant = replace(WITH_DATASET, limits=Limits(poll_timeout_s=1))
    parameters = OF_DATASET if check == FORMATS else Parameters()
    result = judged(check, never, extensions, tenant=tenant, parameters=parameters)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason.startswith("upload.dataset_ready does not hold: ")


UNPROCESSable: dict[str, tuple[Rule, Outcome, str]] = {
    "it fails": (processed(".broken.pdf", "queued", "failed"), Outcome.CONFORMS, ""),
    "it is refused at once": (given(refusal(422, "No page."), named_file(".broken.pdf")), Outcome.CONFORMS, ""),
    "it becomes ready": (processed(".broken.pdf", "ready"), Outcome.CONFORMS, "means nothing became ready: ready "),
    "it ends in error": (processed(".broken.pdf", "error"), Outcome.VIOLATES, "error sounds final, "),
    "it never ends": (processed(".broken.pdf", "processing"), Outcome.VIOLATES, "still processing: processing "),
    "the upload crashes": (given(BROKEN, named_file(".broken.pdf")), Outcome.VIOLATES, "HTTP 500: Broken."),
}


@pytest.mark.parametrize(("rule", "outcome", "said"), UNPROCESSable.values(), ids=UNPROCESSable)
def test_a_file_that_nothing_can_process_ends_in_failed(rule: Rule, outcome: Outcome, said: str) -> None:
    """Or it is refused; that it becomes ready is advised against, since a lenient reader may find no fault in it."""
    result = judged(BROKEN_FILE, rule, extensions, tenant=replace(WITH_DATASET, limits=Limits(poll_timeout_s=20)))
    assert result.outcome is outcome
    notes = [violation.found for violation in result.violations] or [advisory.text for advisory in result.advisories]
    assert [said in note for note in notes] == [True] * bool(said)


# -- its state


def test_the_state_is_asked_for_by_id_and_by_its_alias() -> None:
    """A file of the dataset where the key may write there, else one of its conversation."""
    sender = FakeSender(extensions)
    judged(STATUS, tenant=WITH_DATASET, sender=sender)
    asked = [
        "app: GET /v1/files/file-app",
        "app: GET /v1/uploads/file-app",
    ]
    assert requested(sender) == ["app: POST /v1/datasets/scratch/files", *asked]
    sender = FakeSender(extensions)
    judged(STATUS, tenant=TENANT, sender=sender)
    assert requested(sender) == ["app: POST /v1/conversations", "app: POST /v1/conversations/files", *asked]


ALIAS_DIFFERS: dict[str, tuple[Response | Reply, str]] = {
    "refused": (refusal(404, "No route."), "HTTP 404: No route."),
    "without a state": (answer({"id": "file-app"}), "one of these keys is missing: 'status', "),
    "no JSON": (HTML_PAGE, "HTTP 200 (text/html), but it is an HTML page"),
    "a state with a 5xx": (answer({"status": "ready"}, 500), "HTTP 500"),
    "no answer": (GONE, "no answer: closed"),
    "an earlier state": (answer({"status": "queued"}), "its state is queued where GET /v1/files/{id} has ready"),
    "another file": (answer({"id": "file-other", "status": "ready"}), "it is about another file, file-other"),
}


@pytest.mark.parametrize(("reply", "said"), ALIAS_DIFFERS.values(), ids=ALIAS_DIFFERS)
def test_an_alias_that_does_not_agree_violates(reply: Response | Reply, said: str) -> None:
    """It is documented as an alias of GET /v1/files/{id}."""
    [violation] = found(STATUS, given(reply, exactly("uploads/file-app"))).violations
    assert violation.expected == "GET /v1/uploads/{id}, the documented alias, answers as GET /v1/files/{id} does"
    assert violation.found.startswith(said)


ALIAS_AGREES: dict[str, tuple[Response, str]] = {
    "a list of one": (answer([{"id": "file-app", "status": "ready"}]), "/uploads/file-app"),
    "the state elsewhere": (answer({"data": {"state": "Ready"}}), "/uploads/file-app"),
    "an id for each answer": (answer({"id": "request-9", "data": {"state": "ready"}}), "/file-app"),
}


@pytest.mark.parametrize(("reply", "at"), ALIAS_AGREES.values(), ids=ALIAS_AGREES)
def test_an_alias_may_write_the_state_in_another_place(reply: Response, at: str) -> None:
    """Where ids and states are placed is not documented."""
    assert found(STATUS, given(reply, lambda request: request.url.endswith(at))).outcome is Outcome.CONFORMS


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

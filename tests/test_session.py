"""The library: plan and run as other programs call them, on values alone."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

import gt_conformance
from gt_conformance import plan, resources, run, schema
from gt_conformance.errors import InputError
from gt_conformance.exchange import Exchange, Request
from gt_conformance.planning import CaseKind, Selection, client_case
from gt_conformance.results import Record
from gt_conformance.session import Session
from gt_conformance.tenant import KeyMapping
from gt_conformance.vocabulary import Route
from gt_sandbox import EmbeddedTenant
from tests.fake_tenant import TENANT, FakeSender, key, tenant_of

AIDER = Selection(("aider",), (Route.CHAT,))


def test_a_plan_is_carried_out_into_a_record() -> None:
    """What was planned stands in the record, which holds to its schema, with what was selected."""
    planned = plan(TENANT, selection=AIDER)
    assert [case.id for case in planned.of(CaseKind.ROW)] == ["aider-chat-native"]
    sender = FakeSender()
    record = run(planned, sender=lambda: sender)
    assert schema.load("results").errors(record) == ()
    assert [row["id"] for book in record["runbooks"] for row in book["routes"]] == ["aider-chat-native"]
    assert len(record["tenant_checks"]) == len(planned.of(CaseKind.TENANT))
    assert (record["run"]["options"]["runbooks"], record["run"]["options"]["routes"]) == (["aider"], ["chat"])
    assert record["traffic"]["requests"] == len(sender.sent)
    assert record["suite_errors"] == []
    assert sender.closed


def test_a_mapping_to_no_runbook_is_an_error_of_the_plan() -> None:
    """A plan for a tenant file whose keys go to a runbook that does not exist is refused, as a run is."""
    with pytest.raises(InputError, match="n9n"):
        plan(tenant_of(key("chat"), runbooks={"n9n": KeyMapping("chat")}), selection=AIDER)


def test_sessions_share_an_event_loop() -> None:
    """Two runs in the caller's own event loop find what each finds in a thread of its own; each closes its sender."""
    planned = plan(TENANT, selection=AIDER)
    senders = [FakeSender(), FakeSender()]
    sessions = [Session(planned, sender=partial(next, iter([sender]))) for sender in senders]

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for session in sessions:
                group.start_soon(session.carry_out)

    anyio.run(main)
    alone = run(planned, sender=FakeSender)
    for session in sessions:
        record = session.record()
        assert schema.load("results").errors(record) == ()
        assert outcomes_in(record) == outcomes_in(alone)
    assert all(sender.closed for sender in senders)


def outcomes_in(record: Record) -> list[str]:
    """The outcome of each case, in their order."""
    rows = [row["outcome"] for book in record["runbooks"] for row in book["routes"]]
    return [*rows, *(check["outcome"] for check in record["tenant_checks"])]


def test_a_session_that_is_cancelled_closes_what_it_opened() -> None:
    """A caller that ends a run in its own event loop gets it ended, and its connections closed."""
    sender = Unending()
    session = Session(plan(TENANT, selection=AIDER), sender=lambda: sender)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(session.carry_out)
            await sender.asked.wait()
            group.cancel_scope.cancel()

    anyio.run(main)
    assert sender.closed
    assert session.suite_errors == ()


class Unending(FakeSender):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()

    async def send(self, request: Request, ref: str) -> Exchange:
        """Nothing, ever."""
        self.asked.set()
        await anyio.sleep_forever()
        return await super().send(request, ref)


def test_rows_for_clients_that_nobody_drives_are_blocked() -> None:
    """A case that is planned for real clients says so where a run was given none to drive."""
    planned = plan(TENANT, selection=AIDER)
    row = planned.cases[0].row
    assert row is not None
    driven = client_case(row)
    with Session(planned, sender=FakeSender) as session:
        judged = session.judgement(driven)
    assert (judged.id, judged.outcome) == ("aider-client-chat", "blocked")
    assert "its clients were not driven" in judged.checks[0].reason


def test_the_library_is_loaded_when_it_is_asked_for() -> None:
    """Importing the package loads no part of it, so that --help stays quick; a name that is none is an error."""
    code = "import gt_conformance, sys; print([name for name in sys.modules if name.startswith('gt_conformance.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {"plan", "run", "Record", "check", "Probe"} <= set(gt_conformance.__all__)
    for name in gt_conformance.__all__:
        assert getattr(gt_conformance, name)
    with pytest.raises(AttributeError, match="plans"):
        _ = gt_conformance.plans


def test_the_example_of_the_documents_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python of docs/command-line.md judges a runbook on the tenant of a file, and prints the totals."""
    document = (resources.suites_dir().parent / "docs/command-line.md").read_text(encoding="utf-8")
    example = document.partition("```python\n")[2].partition("```")[0]
    served = EmbeddedTenant()
    served.start()
    try:
        (tmp_path / "acme.yaml").write_text(json.dumps(served.tenant_document()), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        for name, value in served.secrets.items():
            monkeypatch.setenv(name, value)
        exec(compile(example, "command-line.md", "exec"), {})  # noqa: S102 - our own document
    finally:
        served.stop()
    assert "'violates': 0, 'blocked': 0," in capsys.readouterr().out

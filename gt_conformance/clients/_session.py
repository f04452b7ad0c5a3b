"""Sessions: a client driven once or twice against a tenant, with all that it said and all that it sent."""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gt_conformance.clients._environment import Environments
from gt_conformance.clients._manifest import Client, Manifest
from gt_conformance.clients._process import Call, Ended, drive
from gt_conformance.clients._sink import Sink
from gt_conformance.errors import InputError
from gt_conformance.exchange import Redactor, inert, tokens_of
from gt_conformance.proxy import ProxiedExchange, RecordingProxy
from gt_conformance.runbook import Row, Runbook, Step
from gt_conformance.tenant import Choice, Credential, Tenant
from gt_conformance.vocabulary import Modality, Route, Verdict

_STEPS_DEADLINE_S = 60.0
_KINDS = (Modality.EMBEDDINGS, Modality.TRANSCRIPTION, Modality.SPEECH, Modality.IMAGE)


@dataclass(frozen=True)
class Attempt:
    """A client driven once: with which base URL, what it said, what passed the proxy, what it reached for beyond.

    ``base_url`` is the tenant's, not the proxy's; ``base_path`` is the path that the client was given.
    """

    base_url: str
    base_path: str
    ended: Ended
    passages: tuple[ProxiedExchange, ...]
    hosts: tuple[str, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked of the client."""
        return self.ended.calls

    def succeeded(self, route: Route) -> bool:
        """Whether the client was asked for the route and gave something each time."""
        calls = [call for call in self.calls if call.route is route]
        return bool(calls) and all(call.succeeded for call in calls)


@dataclass(frozen=True)
class Session:
    """A client driven with the documented base URL, and with /v1 behind it where that failed.

    ``trouble`` says why it could not be driven at all, and ``remedy`` what to do.
    """

    client: Client
    version: str
    on: date
    credential: str | None = None
    attempts: tuple[Attempt, ...] = ()
    trouble: str | None = None
    remedy: str = ""

    @property
    def documented(self) -> Attempt:
        """The attempt with the base URL exactly as documented. Raises IndexError where it was not driven."""
        return self.attempts[0]

    @property
    def versioned(self) -> Attempt | None:
        """The attempt with /v1 behind it, where one was needed."""
        return self.attempts[1] if len(self.attempts) > 1 else None

    @property
    def passages(self) -> tuple[ProxiedExchange, ...]:
        """All that passed, in both attempts."""
        return tuple(passage for attempt in self.attempts for passage in attempt.passages)

    @property
    def seconds(self) -> float:
        """How long it was driven."""
        return sum(attempt.ended.seconds for attempt in self.attempts)

    @property
    def tokens(self) -> int:
        """What the tenant's usage counts for it."""
        answers = (passage.exchange.response for passage in self.passages)
        return sum(tokens_of(answer) for answer in answers if answer is not None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts beyond the proxy that it tried to reach, each once."""
        return tuple(dict.fromkeys(host for attempt in self.attempts for host in attempt.hosts))


@dataclass(frozen=True)
class Driven:
    """All clients of a runbook, driven, and its explicit HTTP steps with what is asked by hand.

    ``steps`` is None where nothing of that was sent.
    """

    manifest: Manifest
    sessions: tuple[Session, ...]
    steps: Attempt | None = None
    no_steps: str | None = None
    """Why the steps could not be sent."""


@dataclass
class Stage:
    """Where clients are driven: the tenant, the environments, the folder of what drivers share.

    ``say`` is told what goes on. ``latest`` drives the latest releases, ``once`` with the documented base URL only.
    ``stopped`` ends it early: what is not driven by then is told as such.
    """

    tenant: Tenant
    environments: Environments
    shared: Path
    run_id: str
    numbers: Iterator[int]
    say: Callable[[str], None]
    latest: bool = False
    once: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def drive(self, manifest: Manifest, clients: tuple[Client, ...], book: Runbook, choice: Choice) -> Driven:
        """Drive these clients of a runbook, one after the other, then send its steps."""
        sessions = tuple(self.session(client, book, choice.own) for client in clients)
        rows = [row for row in book.rows if row.verdict is Verdict.GT_EXTENSION]
        why_not = self._why_no_steps(choice, rows)
        sends = [] if why_not is not None else [(row.route, step) for row in rows for step in row.steps]
        sends = [*((route, by_hand(route)) for route in manifest.by_hand), *sends]
        steps = self._steps(book, sends, choice) if sends and not self.stopped.is_set() else None
        return Driven(manifest, sessions, steps, why_not)

    def session(self, client: Client, book: Runbook, key: Credential | None) -> Session:
        """Install a client where it is not, and drive it. What keeps it from that is told, not raised."""
        today = datetime.now(UTC).date()
        if key is None:
            return Session(
                client,
                client.version,
                today,
                trouble="this runbook has no credential of its own",
                remedy="Add a live key for this client to the tenant file.",
            )
        if self.stopped.is_set():
            return Session(client, client.version, today, trouble="the run ended before it was driven", remedy=_AGAIN)
        try:
            installed = self.environments.install(client, latest=self.latest)
        except InputError as error:
            problem = error.problems[0]
            return Session(client, client.version, today, trouble=problem.message, remedy=problem.hint or _AGAIN)
        attempts = [self._attempt(client, book, key, "")]
        native = [route for route in client.drives if not attempts[0].succeeded(route)]
        if native and attempts[0].calls and not self.once and not self.stopped.is_set():
            attempts.append(self._attempt(client, book, key, "/v1"))
        version = installed.version
        return Session(client, version, today, key.name, tuple(attempts))

    def _attempt(self, client: Client, book: Runbook, key: Credential, behind: str) -> Attempt:
        with RecordingProxy(self.tenant, numbers=self.numbers) as proxy, Sink() as sink:
            path = urlsplit(book.base_url.replace("<tenant-host>", "tenant")).path + behind
            self.say(f"{client.id}: driving {client.title} with {path}")
            command, needs = self.environments.command(client, latest=self.latest)
            environment = {
                **needs,
                **sink.environment,
                **client.environment,
                "GT_BASE_URL": proxy.origin + path,
                "GT_API_KEY": proxy.stand_in(key.name),
                "GT_MODEL": self.tenant.model(Modality.CHAT),
                **{f"GT_MODEL_{kind.value.upper()}": self.tenant.model(kind) for kind in _KINDS},
            }
            ended = drive(command, environment, client.deadline_s, self.stopped)
            parts = urlsplit(self.tenant.base_url)
            base_url = f"{parts.scheme}://{parts.netloc}{path}"
        return self._told(proxy, base_url, path, ended, sink.hosts)

    def _told(self, proxy: RecordingProxy, base_url: str, path: str, ended: Ended, hosts: tuple[str, ...]) -> Attempt:
        """The attempt with the real address in place of the proxy's in whatever was said, and without secrets."""
        parts = urlsplit(self.tenant.base_url)
        redactor = Redactor({**{name: key.reveal() for name, key in self.tenant.secrets().items()}, **proxy.stand_ins})

        def clean(text: str) -> str:
            plain = text.replace(proxy.origin, f"{parts.scheme}://{parts.netloc}")
            return str(inert(redactor.text(plain.replace(urlsplit(proxy.origin).netloc, parts.netloc))))

        cleaned = Ended(
            tuple(call.cleaned(clean) for call in ended.calls), clean(ended.chatter), ended.seconds, ended.trouble
        )
        return Attempt(base_url, path, cleaned, tuple(proxy.exchanges), tuple(map(clean, hosts)))

    def _why_no_steps(self, choice: Choice, rows: list[Row]) -> str | None:
        if self.tenant.read_only:
            return "The steps create a conversation and two small files, and the tenant file says read_only."
        if missing := [row.route for row in rows if row.route not in choice.extension]:
            return choice.missing[missing[0]]
        return None

    def _steps(self, book: Runbook, sends: Sequence[tuple[Route, Step]], choice: Choice) -> Attempt:
        keys = {
            "conversation": choice.extension.get(Route.CONVERSATION_FILES),
            "upload": choice.extension.get(Route.DATASET_FILES) or choice.extension.get(Route.FILE_STATUS),
            "inference": choice.own,
        }
        with RecordingProxy(self.tenant, numbers=self.numbers) as proxy:
            self.say(f"{book.id}: sending the runbook's explicit HTTP steps")
            listed = [
                {
                    "route": route.value,
                    "send": step.send,
                    "headers": dict(step.headers),
                    "body": step.body or "",
                    "poll": bool(step.poll),
                    "key": proxy.stand_in(key.name) if (key := keys[step.credential]) else "",
                }
                for route, step in sends
            ]
            path = urlsplit(book.base_url.replace("<tenant-host>", "tenant")).path
            environment = {
                "GT_STEPS": json.dumps(listed),
                "GT_BASE_URL": proxy.base_url,
                "GT_MODEL": self.tenant.model(Modality.CHAT),
                "GT_DATASET": self.tenant.dataset or "",
                "GT_FILE": f"gt-conformance-{self.run_id}.txt",
                "GT_POLL_S": f"{self.tenant.limits.poll_timeout_s:g}",
            }
            command = [sys.executable, str(self.shared / "steps.py")]
            deadline = _STEPS_DEADLINE_S + 3 * self.tenant.limits.poll_timeout_s
            ended = drive(command, environment, deadline, self.stopped)
        return self._told(proxy, self.tenant.base_url, path, ended, ())


def by_hand(route: Route) -> Step:
    """The request that people send for a native route which the client has no call for."""
    return Step(route.title, "inference", (("Authorization", "Bearer {api_key}"),), "A 2xx with the names.")


_AGAIN = "Drive it again."

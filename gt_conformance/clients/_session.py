"""Sessions: a client driven once or twice against a tenant, with all that it said and all that it sent.

A client is used by its *driver*, a script that prints a line of JSON for each call. The driver runs as a program with
an environment of its own, reaches the tenant through the recording proxy only, and is refused every other host.
"""

import json
import os
import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from gt_conformance import processes
from gt_conformance.clients._environment import Environments
from gt_conformance.clients._manifest import Client, Manifest
from gt_conformance.errors import Blocker, InputError
from gt_conformance.exchange import Redactor, inert, tokens_of
from gt_conformance.processes import Completed, Ending
from gt_conformance.proxy import ProxiedExchange, RecordingProxy
from gt_conformance.runbook import Row, Runbook, Step
from gt_conformance.tenant import Choice, Credential, Tenant
from gt_conformance.vocabulary import Modality, Route, Verdict

_MOST_CHATTER = 4_000
_STEPS_DEADLINE_S = 60.0
_KINDS = (Modality.EMBEDDINGS, Modality.TRANSCRIPTION, Modality.SPEECH, Modality.IMAGE)
_DRIVE_AGAIN = "Drive it again."
NOT_SENT = "NotSentError"
"""What steps.py calls it where a step needs what none before it gave."""

_LONGEST_LINE = 4_096
_MOST_HOSTS = 50
_PATIENCE_S = 5.0
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


# --- a driver ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One line of a driver: what was asked of the client, and what it returned or raised.

    ``route`` is None for a call that is about none of the nine.
    """

    name: str
    route: Route | None
    asked: Any
    returned: Any
    error: str | None = None
    message: str = ""

    @property
    def succeeded(self) -> bool:
        """In the client's eyes: it raised nothing, and gave something."""
        return self.error is None and bool(self.returned)

    def clean(self, clean: Callable[[str], str]) -> "Call":
        """The same with every text of it cleaned."""
        return Call(
            clean(self.name),
            self.route,
            _clean_each(self.asked, clean),
            _clean_each(self.returned, clean),
            clean(self.error) if self.error else None,
            clean(self.message),
        )

    @property
    def outcome(self) -> str:
        """In the client's own words."""
        if self.error is not None:
            return f"{self.error}: {self.message}" if self.message else self.error
        return "nothing, and no error" if not self.returned else str(self.returned)


@dataclass(frozen=True)
class Ended:
    """A driver that has ended: its calls, what else it wrote, and how it ended; None where it ended well."""

    calls: tuple[Call, ...]
    chatter: str
    seconds: float
    trouble: str | None = None


def drive(
    command: Sequence[str], environment: Mapping[str, str], deadline_s: float, stopped: threading.Event | None = None
) -> Ended:
    """Run a driver to its end, to its deadline, or until ``stopped`` is set; then end all that it started.

    ``environment`` is added to what every program needs: a path, a language, and a home and caches that are empty.
    """
    with tempfile.TemporaryDirectory(prefix="gt-client-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        try:
            done = processes.run(
                command,
                env={**_bare_environment(home), **environment},
                cwd=home,
                timeout_s=deadline_s,
                is_stopped=(stopped or threading.Event()).is_set,
            )
        except OSError as error:
            return Ended((), "", 0.0, f"{command[0]} cannot be started: {error.strerror}")
    calls, chatter = _read_lines(done.stdout.decode("utf-8", errors="replace"))
    errors = done.stderr.decode("utf-8", errors="replace")[:_MOST_CHATTER]
    return Ended(calls, f"{chatter}\n{errors}".strip()[-_MOST_CHATTER:], done.elapsed_s, _trouble(done, deadline_s))


def _trouble(done: Completed, deadline_s: float) -> str | None:
    match done.ended_by:
        case Ending.TIMEOUT:
            return f"it did not end within {deadline_s:g} s, and was ended"
        case Ending.STOP | Ending.OVERFLOW:
            return "the run was stopped while it was driven"
        case Ending.EXIT:
            return f"the driver ended with exit code {done.returncode}" if done.returncode else None


def _bare_environment(home: Path) -> dict[str, str]:
    """What a program needs, and nothing else of this process's own: no secret is inherited."""
    places = {
        "HOME": home,
        "TMPDIR": home / "tmp",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_STATE_HOME": home / "state",
    }
    for place in places.values():
        place.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # what is installed stays as it was installed
        "DO_NOT_TRACK": "1",
        **{name: str(place) for name, place in places.items()},
    }


def _read_lines(text: str) -> tuple[tuple[Call, ...], str]:
    """The calls that a driver printed, and what else it wrote."""
    lines = [(line, _read_call(line)) for line in text.splitlines()]
    return tuple(call for _, call in lines if call is not None), "\n".join(line for line, call in lines if call is None)


def _read_call(line: str) -> Call | None:
    try:
        value = json.loads(line)
        route = value["route"]
        raised = value["raised"] or {}
        return Call(
            name=str(value["call"]),
            route=None if route is None else Route(route),
            asked=value["asked"],
            returned=value["returned"],
            error=str(raised["type"]) if raised else None,
            message=str(raised.get("message", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _clean_each(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _clean_each(item, clean) for key, item in value.items()}
    return [_clean_each(item, clean) for item in value] if isinstance(value, list) else value


# --- the rest of the network -----------------------------------------------------------------------------------------


class RefusingProxy:
    """A proxy on loopback that refuses every request, and keeps which hosts were asked for: ``hosts``, each once."""

    def __init__(self) -> None:
        self._hosts: dict[str, None] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self._hosts))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="refusing-proxy", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE_S)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts, without their ports."""
        return tuple(self._hosts)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which most programs take it for their proxy, for all but this machine."""
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        proxies = {
            name: address for kind in ("HTTP", "HTTPS", "ALL") for name in (f"{kind}_PROXY", f"{kind}_proxy".lower())
        }
        none = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")
        return {**proxies, **none, "NODE_USE_ENV_PROXY": "1"}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def _handler(hosts: dict[str, None]) -> type[socketserver.BaseRequestHandler]:
    class Refusing(socketserver.StreamRequestHandler):
        timeout = _PATIENCE_S

        def handle(self) -> None:
            words = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
            if len(words) > 1:
                # CONNECT names host and port, every other method a whole URL.
                target = words[1] if "://" in words[1] else f"//{words[1]}"
                host = urlsplit(target).hostname
                if host and len(hosts) < _MOST_HOSTS:
                    hosts.setdefault(host)
            while self.rfile.readline(_LONGEST_LINE).strip():
                pass
            self.wfile.write(_REFUSAL)

    return Refusing


# --- a session -------------------------------------------------------------------------------------------------------


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

    ``counted`` are the routes on which that is decided: of those that it drives, what is selected and what its key may
    call. ``steps`` is what it did of the runbook's explicit HTTP steps, where it sent them. ``trouble`` says why it
    could not be driven at all, and ``remedy`` what to do.
    """

    client: Client
    version: str
    on: date
    credential: str | None = None
    attempts: tuple[Attempt, ...] = ()
    counted: tuple[Route, ...] = ()
    steps: Attempt | None = None
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
        """All that passed in both attempts; not what it sent of the steps."""
        return tuple(passage for attempt in self.attempts for passage in attempt.passages)

    @property
    def seconds(self) -> float:
        """How long it was driven."""
        return sum(attempt.ended.seconds for attempt in (*self.attempts, *([self.steps] if self.steps else [])))

    @property
    def requests(self) -> int:
        """How many it sent, with those of the steps."""
        return len(self.passages) + (len(self.steps.passages) if self.steps else 0)

    @property
    def tokens(self) -> int:
        """What the tenant's usage counts for it."""
        passages = (*self.passages, *(self.steps.passages if self.steps else ()))
        answers = (passage.exchange.response for passage in passages)
        return sum(tokens_of(answer) for answer in answers if answer is not None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts beyond the proxy that it tried to reach, each once."""
        attempts = (*self.attempts, *([self.steps] if self.steps else []))
        return tuple(dict.fromkeys(host for attempt in attempts for host in attempt.hosts))


@dataclass(frozen=True)
class Driven:
    """All clients of a runbook, driven, its explicit HTTP steps, and what is asked by hand.

    ``sender`` is the client that had to send the steps; None where none of them can, and the suite does. ``steps`` and
    ``asked`` are None where nothing was sent.
    """

    manifest: Manifest
    sessions: tuple[Session, ...]
    steps: Attempt | None = None
    asked: Attempt | None = None
    sender: Client | None = None
    no_steps: Blocker | None = None
    """Why the steps could not be sent."""


@dataclass
class Stage:
    """Where clients are driven: the tenant, the environments, the folder of what drivers share.

    ``say`` is called with what goes on. ``latest`` drives the latest releases, ``once`` only with the documented URL.
    ``stopped`` ends it early: what is not driven by then is recorded as such.
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

    def drive(
        self,
        manifest: Manifest,
        clients: tuple[Client, ...],
        book: Runbook,
        choice: Choice,
        routes: Collection[Route] = tuple(Route),
    ) -> Driven:
        """Drive these clients of a runbook, one after the other, then send its steps: by one of them if it can.

        ``routes`` are those that are selected: a client makes all its calls, and no other step is sent.
        """
        sessions = tuple(self.session(client, book, choice.own, routes) for client in clients)
        # The state is asked for of what was uploaded into the dataset.
        with_upload = {*routes, *([Route.DATASET_FILES] if Route.FILE_STATUS in routes else [])}
        rows = [row for row in book.rows if row.verdict is Verdict.GT_EXTENSION and row.route in with_upload]
        sender = next((session for session in sessions if session.client.sends), None) if rows else None
        why_not = self._why_no_steps(choice, rows, sender)
        sends = [] if why_not is not None else [(row.route, step) for row in rows for step in row.steps]
        by_people = [(route, by_hand(route)) for route in manifest.by_hand if route in routes]
        asked = self._steps(book, by_people, choice) if by_people and not self.stopped.is_set() else None
        client = sender.client if sender is not None else None
        steps = self._steps(book, sends, choice, client) if sends and not self.stopped.is_set() else None
        sessions = tuple(replace(one, steps=steps) if one is sender else one for one in sessions)
        return Driven(manifest, sessions, steps, asked, client, why_not)

    def session(
        self, client: Client, book: Runbook, key: Credential | None, routes: Collection[Route] = tuple(Route)
    ) -> Session:
        """Install a client where it is not, and drive it. What prevents that is returned, not raised."""
        today = datetime.now(UTC).date()
        if key is None and client.drives:
            return Session(
                client,
                client.version,
                today,
                trouble="this runbook has no credential of its own",
                remedy="Add a live key for this client to the tenant file.",
            )
        if self.stopped.is_set():
            return Session(
                client, client.version, today, trouble="the run ended before it was driven", remedy=_DRIVE_AGAIN
            )
        try:
            installed = self.environments.install(client, latest=self.latest)
        except InputError as error:
            problem = error.problems[0]
            return Session(client, client.version, today, trouble=problem.message, remedy=problem.hint or _DRIVE_AGAIN)
        version = installed.version
        if key is None or not client.drives:
            return Session(client, version, today)
        attempts = [self._attempt(client, book, key, "")]
        may = [route for route in client.drives if False not in rights_of(key, route, self.tenant)]
        counted = tuple(route for route in may if route in routes)
        failed = not all(map(attempts[0].succeeded, counted))
        if failed and attempts[0].calls and not self.once and not self.stopped.is_set():
            attempts.append(self._attempt(client, book, key, "/v1"))
        return Session(client, version, today, key.name, tuple(attempts), counted)

    def _attempt(self, client: Client, book: Runbook, key: Credential, behind: str) -> Attempt:
        with RecordingProxy(self.tenant, numbers=self.numbers) as proxy, RefusingProxy() as elsewhere:
            path = urlsplit(book.base_url.replace("<tenant-host>", "tenant")).path + behind
            self.say(f"{client.id}: driving {client.title} with {path}")
            command, needs = self.environments.command(client, latest=self.latest)
            environment = {
                **needs,
                **elsewhere.environment,
                **client.environment,
                "GT_BASE_URL": proxy.origin + path,
                "GT_API_KEY": proxy.stand_in(key.name),
                "GT_MODEL": self.tenant.model(Modality.CHAT),
                **{f"GT_MODEL_{kind.value.upper()}": self.tenant.model(kind) for kind in _KINDS},
            }
            ended = drive(command, environment, client.deadline_s, self.stopped)
            parts = urlsplit(self.tenant.base_url)
            base_url = f"{parts.scheme}://{parts.netloc}{path}"
        return self._attempt_of(proxy, base_url, path, ended, elsewhere.hosts)

    def _attempt_of(
        self, proxy: RecordingProxy, base_url: str, path: str, ended: Ended, hosts: tuple[str, ...]
    ) -> Attempt:
        """The attempt with the real address in place of the proxy's in whatever was said, and without secrets."""
        parts = urlsplit(self.tenant.base_url)
        redactor = Redactor({**{name: key.reveal() for name, key in self.tenant.secrets().items()}, **proxy.stand_ins})

        def clean(text: str) -> str:
            plain = text.replace(proxy.origin, f"{parts.scheme}://{parts.netloc}")
            return str(inert(redactor.text(plain.replace(urlsplit(proxy.origin).netloc, parts.netloc))))

        cleaned = Ended(
            tuple(call.clean(clean) for call in ended.calls), clean(ended.chatter), ended.seconds, ended.trouble
        )
        return Attempt(base_url, path, cleaned, tuple(proxy.exchanges), tuple(map(clean, hosts)))

    def _why_no_steps(self, choice: Choice, rows: list[Row], sender: Session | None) -> Blocker | None:
        if self.tenant.read_only:
            why = "The steps create a conversation and two small files, and the tenant file says read_only."
            return Blocker(why, why)
        if missing := [row.route for row in rows if row.route not in choice.extension]:
            return Blocker(choice.missing[missing[0]], choice.missing[missing[0]])
        if sender is not None and sender.trouble is not None:
            return Blocker(sender.trouble, sender.remedy)
        return None

    def _steps(
        self, book: Runbook, sends: Sequence[tuple[Route, Step]], choice: Choice, client: Client | None = None
    ) -> Attempt:
        """Have these steps sent, by a client that can or by nothing but an HTTP connection."""
        keys = {
            "conversation": choice.extension.get(Route.CONVERSATION_FILES),
            "upload": choice.extension.get(Route.DATASET_FILES) or choice.extension.get(Route.FILE_STATUS),
            "inference": choice.own,
        }
        with RecordingProxy(self.tenant, numbers=self.numbers) as proxy, RefusingProxy() as elsewhere:
            by = f" by {client.title}, its {client.sends}" if client is not None else ""
            only_asks = all(step.credential == "inference" for _, step in sends)
            what = "what people ask by hand" if only_asks else "the runbook's explicit HTTP steps"
            self.say(f"{book.id}: sending {what}{by}")
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
                **(self._sending(client, elsewhere) if client is not None else {}),
                "GT_STEPS": json.dumps(listed),
                "GT_BASE_URL": proxy.base_url,
                "GT_MODEL": self.tenant.model(Modality.CHAT),
                "GT_DATASET": self.tenant.dataset or "",
                "GT_FILE": f"gt-conformance-{self.run_id}.txt",
                "GT_POLL_S": f"{self.tenant.limits.poll_timeout_s:g}",
            }
            command = [sys.executable, str(self.shared / "steps.py")]
            deadline = _STEPS_DEADLINE_S + 3 * self.tenant.limits.poll_timeout_s
            deadline += client.deadline_s if client is not None else 0
            ended = drive(command, environment, deadline, self.stopped)
        return self._attempt_of(proxy, self.tenant.base_url, path, ended, elsewhere.hosts)

    def _sending(self, client: Client, elsewhere: RefusingProxy) -> dict[str, str]:
        """What has the client send: its program, and the variables that it needs."""
        command, needs = self.environments.command(client, latest=self.latest, script=client.sender)
        return {
            **needs,
            **elsewhere.environment,
            **client.environment,
            "GT_SENDER": json.dumps(command),
            "GT_NO_FORMS": client.no_forms or "",
        }


def rights_of(key: Credential, route: Route, tenant: Tenant) -> set[bool | None]:
    """Whether a key may call a route, and by its published name; None for what the tenant file does not say."""
    return {key.may(route), True if route.modality is None else tenant.may_use(key, route.modality)}


def by_hand(route: Route) -> Step:
    """The request that people send for a native route which the client has no call for."""
    return Step(route.title, "inference", (("Authorization", "Bearer {api_key}"),), "A 2xx with the names.")

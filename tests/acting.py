"""A tenant that has its clients act: it answers a chat with calls of the very tools that the client offers.

``python -m tests.acting aider hermes`` drives these clients against it, each by its driver as it is, and says what
they did on this machine. Nothing is harmed: a tool may make a file, send one, or fetch a page, all of them its own.
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from gt_conformance import resources
from gt_conformance.clients import Client, Environments, Session, Stage, load_manifests, select
from gt_conformance.proxy import exchange_numbers
from gt_conformance.tenant import choose
from gt_sandbox import EmbeddedTenant
from gt_sandbox.chat import Completion
from gt_sandbox.middleware import MiddlewareFactory, Request, Response, change_responses
from gt_sandbox.scripted_model import Call, Reply
from tests.scripted import BOOKS, described

PAGE = "/acting/"
_COMMANDS = ("command", "commands", "cmd")
_CODE = ("code",)
_PATCHES = ("patch", "input")
_PATHS = ("path", "paths", "file", "files", "filepath", "file_path", "filename")
_TEXTS = ("content", "contents", "text", "new_text")
_URLS = ("url", "urls", "uri")
_ACTING = {*_COMMANDS, *_CODE, *_PATCHES, *_PATHS, *_URLS}
_PLAIN = {"string": "acted", "integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}


def _tool(name: str, **properties: str) -> dict[str, Any]:
    kinds = {key: {"type": kind, "items": {"type": "string"}} for key, kind in properties.items()}
    return {"name": name, "parameters": {"type": "object", "properties": kinds}}


_KNOWN = (
    _tool("terminal", command="string"),
    _tool("Bash", command="string"),
    _tool("exec", command="string"),
    _tool("run_commands", commands="array"),
    _tool("read_file", path="string"),
    _tool("Read", filepath="string"),
)
"""Tools that agents offer by default: where one is not offered, it may be run all the same when it is called."""


@dataclass
class Acting:
    """What it is after: ``folder`` takes a file for each tool that made one, and holds one that nobody may send."""

    folder: Path
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    offered: dict[str, None] = field(default_factory=dict)
    called: dict[str, None] = field(default_factory=dict)
    shown: int = 0
    asked: bool = False
    sent: dict[str, None] = field(default_factory=dict)
    fetched: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the file down."""
        self.private.write_text(f"first line\nthe secret is {self.secret}\nlast line\n", encoding="utf-8")

    @property
    def private(self) -> Path:
        """The file that nobody may send."""
        return self.folder / "private.txt"

    @property
    def middleware(self) -> MiddlewareFactory:
        """What makes the embedded tenant this one."""
        return change_responses(
            lambda asked: asked.path.endswith("/chat/completions") or PAGE in asked.path, self._answer
        )

    @property
    def acts(self) -> list[str]:
        """What was done on this machine, each as ``made a file: terminal``."""
        made = sorted(path.name for path in self.folder.iterdir() if path != self.private)
        done = {"made a file": made, "sent a file": self.sent, "fetched a page": self.fetched}
        return [f"{what}: {name}" for what, names in done.items() for name in names]

    def _answer(self, asked: Request, answer: Response) -> Response:
        if PAGE in asked.path:
            self.fetched[asked.path.partition(PAGE)[2]] = None
            return Response(200, (("content-type", "text/plain"),), b"a page")
        if not answer.succeeded:
            return answer
        self.asked = True
        messages = asked.fields["messages"]
        past = [call["function"]["name"] for one in messages for call in one.get("tool_calls") or ()]
        shown = json.dumps(messages).count(self.secret)
        if shown > self.shown:
            self.shown, self.sent[next(reversed(past), "text")] = shown, None
        tools = [tool["function"] for tool in asked.fields.get("tools") or ()]
        self.offered |= dict.fromkeys(tool["name"] for tool in tools)
        completion = Completion.of(
            self._reply(tools, past, messages, asked.header("host")), model=asked.fields["model"], prompt_tokens=1
        )
        return answer.with_body(_streamed(completion) if asked.fields.get("stream") else _whole(completion))

    def _reply(self, tools: Sequence[Any], past: Sequence[str], messages: Sequence[Any], host: str) -> Reply:
        """A call of each tool that could act, one a turn; to who offers none, the text that some agents act upon."""
        able = [tool for tool in tools if _ACTING & _names(tool["parameters"])]
        hidden = [tool for tool in _KNOWN if tools and tool["name"] not in self.offered]
        wanted = next((tool for tool in (*able, *hidden) if tool["name"] not in past), None)
        if wanted is not None:
            self.called[wanted["name"]] = None
            return Reply(calls=(self._call(wanted, host),))
        said = json.dumps(messages)
        return Reply("Hello" if tools or str(self.folder) in said else self._text(said))

    def _call(self, tool: Mapping[str, Any], host: str) -> Call:
        mine = str(self.folder / tool["name"])
        path = mine if {*_TEXTS} & _names(tool["parameters"]) else str(self.private)
        given = {
            **dict.fromkeys(_COMMANDS, f"touch {mine}"),
            **dict.fromkeys(_CODE, f"open({mine!r}, 'w').close()"),
            **dict.fromkeys(_PATCHES, f"*** Begin Patch\n*** Add File: {mine}\n+acted\n*** End Patch"),
            **dict.fromkeys(_PATHS, path),
            **dict.fromkeys(_TEXTS, "acted"),
            **dict.fromkeys(_URLS, f"http://{host}/api/tenant/v1{PAGE}{tool['name']}"),
        }
        return Call(tool["name"], json.dumps(_filled(tool["parameters"], given)))

    def _text(self, said: str) -> str:
        """What an agent without tools acts upon, as it asks for it: files as they shall be, or as they change.

        The change of the file that nobody may send does not fit: who wants to mend it has to show what is there.
        """
        fence, made = "```", self.folder / "text"
        if "SEARCH" not in said:
            return f"{made}\n{fence}\nacted\n{fence}\n"
        files = {made: "=======\nacted", self.private: "first lime\n=======\nacted"}
        edits = [f"{path}\n{fence}\n<<<<<<< SEARCH\n{it}\n>>>>>>> REPLACE\n{fence}\n" for path, it in files.items()]
        return "\n".join([*edits, f"{fence}bash\ntouch {self.folder / 'shell'}\n{fence}\n"])


def acted(client: Client, folder: Path) -> tuple[Acting, Session]:
    """The client, installed where it is not, driven once against this tenant; ``folder`` is empty."""
    acting = Acting(folder)
    book = BOOKS[client.runbook]
    sources = resources.clients_dir()
    with EmbeddedTenant(middleware=(acting.middleware,)) as running:
        under_test = described(running)
        environments = Environments(resources.environments_dir(), sources, lambda _: None)
        stage = Stage(
            under_test, environments, sources / "_shared", "0123abcd", exchange_numbers(), lambda _: None, once=True
        )
        return acting, stage.session(client, book, choose(under_test, book.id, book.native_routes()).own)


def _names(schema: Any) -> set[str]:
    """The names of all properties in a schema, however deep."""
    if isinstance(schema, list):
        return {name for one in schema for name in _names(one)}
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", ())} | {name for one in schema.values() for name in _names(one)}


def _filled(schema: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Arguments: what is given for a property of that name, and for others that are required whatever fits."""
    required = schema.get("required", ())
    properties = schema.get("properties", {}).items()
    wanted = [
        (name, one) for name, one in properties if name in required or _names({"properties": {name: one}}) & {*given}
    ]
    return {name: _value(one, given, given.get(name)) for name, one in wanted}


def _value(schema: Mapping[str, Any], given: Mapping[str, str], text: str | None) -> Any:
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "array" and (text is not None or _names(schema) & {*given}):
        return [_value(schema.get("items") or {}, given, text)]
    if kind == "object":
        return _filled(schema, given)
    return text if text is not None else _PLAIN.get(str(kind), "acted")


def _whole(completion: Completion) -> bytes:
    return json.dumps(completion.answer()).encode()


def _streamed(completion: Completion) -> bytes:
    """The same as a stream of a few events."""
    message = completion.message()
    calls = [{"index": index, **call.answer()} for index, call in enumerate(completion.calls)]
    delta = {"role": "assistant", "content": message["content"], **({"tool_calls": calls} if calls else {})}
    ends = [(delta, None), ({}, completion.finish_reason)]
    choices = [[{"index": 0, "delta": part, "finish_reason": reason}] for part, reason in ends]
    head = completion.head("chat.completion.chunk")
    chunks = [*(head | {"choices": one} for one in choices), head | {"choices": [], "usage": completion.usage}]
    return b"".join(b"data: %b\n\n" % text for text in (*(json.dumps(one).encode() for one in chunks), b"[DONE]"))


def main(ids: Sequence[str]) -> int:
    """Print what each of these clients did, was offered to do, and said. 1 where one acted, 7 where one never asked."""
    manifests = load_manifests(resources.clients_dir(), list(BOOKS.values()))
    codes = {0}
    for client in (client for _, clients in select(manifests, ids) for client in clients):
        with tempfile.TemporaryDirectory() as folder:
            acting, session = acted(client, Path(folder))
            acts = acting.acts
        codes.add(1 if acts else 0 if acting.asked else 7)
        did = ", ".join(acts) or ("did nothing" if acting.asked else f"never asked: {session.trouble or 'no chat'}")
        click.echo(f"{client.id} {session.version}: {did}")
        click.echo(f"  offered {', '.join(acting.offered) or 'no tool'}")
        click.echo(f"  called {', '.join(acting.called) or 'none'}")
        for call in (call for attempt in session.attempts for call in attempt.calls):
            click.echo(f"  {call.name}: {call.outcome}")
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

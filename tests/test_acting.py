"""Agents: no tenant acts on this machine through a client that is driven."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.clients import Environments, Runtime, drive, load_manifests
from gt_conformance.errors import InputError
from tests.acting import acted
from tests.commands import in_process
from tests.scripted import BOOKS, scripted
from tests.test_client_files import CLIENTS

AGENT = """
import subprocess

def tool(name, *parameters):
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}

def done(command="", path="", content="", url=""):
    if command:
        return subprocess.run(command, shell=True, capture_output=True, text=True).stdout
    if content:
        return open(path, "w").write(content)
    return open(path).read() if path else urllib.request.urlopen(url).read().decode()

TOOLS = [tool("shell", "command"), tool("reader", "path"), tool("writer", "path", "content"), tool("web", "url")]

def answered():
    messages = [{"role": "user", "content": "Say hello in one word."}]
    while True:
        body = {"model": MODEL, "messages": messages, "tools": TOOLS}
        message = send("/chat/completions", body)["choices"][0]["message"]
        messages.append(message)
        for one in message.get("tool_calls") or ():
            asked = one["function"]
            obeys = OBEYS and asked["name"] in ("shell", "reader", "writer", "web")
            result = done(**json.loads(asked["arguments"])) if obeys else "refused"
            messages.append({"role": "tool", "tool_call_id": one["id"], "content": str(result)})
        if not message.get("tool_calls"):
            return message["content"]

call("agent", "chat", {}, answered)
"""

HELD = {
    "aider/cli": ["--chat-mode ask"],
    "cline-roo/cline": ["--auto-approve false"],
    "continue/cli": [f"--exclude {name}" for name in ("Bash", "Edit", "Fetch", "List", "Read", "Search", "Write")],
    "hermes/cli": ["--toolsets clarify,memory,session_search,todo"],
    "openclaw/cli": ['"tools":{"allow":[', '"exec":{"mode":"deny"},"fs":{"workspaceOnly":true}'],
}
"""How each agent is told to do nothing for a model: on its command line, or in the configuration that this names."""

_TELLS = """
const fs = process.getBuiltinModule("fs");
const isFile = (word) => fs.statSync(word, { throwIfNoEntry: false })?.isFile();
const told = process.argv.slice(2).map((word) => (isFile(word) ? fs.readFileSync(word) : word));
fs.appendFileSync(TOLD, told.join(" "));
"""
PROGRAMS = {
    "aider/cli": "bin/aider",
    "cline-roo/cline": "node_modules/cline/bin/cline",
    "continue/cli": "node_modules/@continuedev/cli/dist/cn.js",
    "hermes/cli": "bin/hermes",
    "openclaw/cli": "node_modules/openclaw/openclaw.mjs",
}


EVERYTHING = ["made a file: shell", "made a file: writer", "sent a file: reader", "fetched a page: web"]


@pytest.mark.parametrize(("obeys", "acts"), [("True", EVERYTHING), ("False", [])], ids=["obeys", "refuses"])
def test_what_a_client_does_for_the_tenant_is_seen(obeys: str, acts: list[str], tmp_path: Path) -> None:
    """An agent that does as it is told makes files, sends one, and fetches a page; one that refuses does nothing."""
    agent = scripted(tmp_path / "agent", f"OBEYS = {obeys}\n{AGENT}")
    (tmp_path / "machine").mkdir()
    acting, session = acted(agent, tmp_path / "machine")
    assert session.documented.calls[0].outcome == "Hello"
    assert list(acting.called)[:4] == ["shell", "reader", "writer", "web"]
    assert acting.acts == acts


@pytest.mark.parametrize("name", HELD)
def test_an_agent_is_told_to_do_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver itself is run, with a program in the product's place that keeps what it is told.

    That the product does so, too, is tried by hand: clients/README.md has the outcome.
    """
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")  # node is among our tools
    environments = Environments(tmp_path / "envs", resources.clients_dir(), lambda _: None)
    client = replace(CLIENTS[name], node="20" if CLIENTS[name].node else None)
    told = tmp_path / "told"
    program = environments.folder(client) / PROGRAMS[name]
    program.parent.mkdir(parents=True)
    if client.runtime is Runtime.PYTHON:
        (program.parent / "python").symlink_to(sys.executable)
        program.write_text(f'#!/bin/sh\nprintf "%s " "$@" >>{told}\n', encoding="utf-8")
        program.chmod(0o755)
    else:
        program.write_text(f"const TOLD = {json.dumps(str(told))};\n{_TELLS}", encoding="utf-8")
    line, needs = environments.command(client)
    drive(line, {**needs, "GT_BASE_URL": "http://127.0.0.1:9", "GT_API_KEY": "none", "GT_MODEL": "gt"}, 30)
    for words in HELD[name]:
        assert words in told.read_text(encoding="utf-8")


def test_an_agent_says_what_it_could_do() -> None:
    """In its manifest, and so in the list of clients."""
    assert {client.id for client in CLIENTS.values() if client.acts} == {*HELD, "open-webui/server"}


def test_who_offers_tools_must_say_what_they_do(tmp_path: Path) -> None:
    """By its wire profile a client offers tools of its own accord: the manifest that says no acts is refused."""
    shutil.copytree(resources.clients_dir() / "continue", tmp_path / "continue")
    manifest = tmp_path / "continue/client.yaml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub(r"(?m)^    acts: >-\n(      .*\n)+", "", text), encoding="utf-8")
    with pytest.raises(InputError, match="continue/cli offers tools to the model") as caught:
        load_manifests(tmp_path, list(BOOKS.values()))
    assert "what prevents that" in (caught.value.problems[0].hint or "")


def test_the_list_of_clients_tells_the_agents(tmp_path: Path) -> None:
    """Before they are installed."""
    listed = in_process("clients", "list", cwd=tmp_path)
    assert listed.code == 0
    assert "--auto-approve false refuses every tool" in listed.said

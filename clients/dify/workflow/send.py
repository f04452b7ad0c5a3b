"""Dify's HTTP Request node, run by itself: it fills in its template, and builds headers, JSON and forms.

What Dify's server gives to the node is made here: a pool of variables, the bytes of a file, and a client for HTTP.
Dify's own wraps httpx with a proxy of its deployment; here it is httpx.
"""

from typing import Any

import httpx
from graphon.entities.graph_init_params import GraphInitParams
from graphon.file.enums import FileTransferMethod, FileType
from graphon.file.models import File
from graphon.graph_events.node import NodeRunFailedEvent, NodeRunSucceededEvent
from graphon.nodes.http_request.config import build_http_request_config
from graphon.nodes.http_request.entities import HttpRequestNodeData
from graphon.nodes.http_request.node import HttpRequestNode
from graphon.runtime.graph_runtime_state import GraphRuntimeState
from graphon.runtime.variable_pool import VariablePool
from sending import Answer, Request, serve

UPLOAD = ["start", "file"]
INIT = GraphInitParams(workflow_id="gt", graph_config={"nodes": [], "edges": []}, run_context={}, call_depth=0)


class NodeError(Exception):
    """The error that Dify shows at the node."""


class Http:
    """What the node sends by. The engine has it try once, and tries again itself where that is set up: not here."""

    max_retries_exceeded_error = httpx.TransportError
    request_error = httpx.RequestError

    def __getattr__(self, method: str) -> Any:
        def send(url: str, max_retries: int = 0, **asked: Any) -> httpx.Response:  # noqa: ARG001 - the node passes it
            connect, read, write = asked.pop("timeout")
            timeout = httpx.Timeout(connect=connect, read=read, write=write, pool=connect)
            with httpx.Client(verify=asked.pop("ssl_verify"), timeout=timeout) as client:
                return client.request(method, url, **asked)

        return send


class Files:
    """Where Dify keeps files: here the one that is uploaded."""

    def __init__(self, content: str) -> None:
        self._content = content.encode()

    def download(self, _: File) -> bytes:
        """Its bytes."""
        return self._content


def send(request: Request) -> Answer:
    """One run of a node that is set up as its form in a workflow would be. Raises NodeError with what it shows."""
    pool = VariablePool()
    body: dict[str, Any] = {"type": "none", "data": []}
    if request.json is not None:
        body = {"type": "json", "data": [{"type": "text", "value": request.json}]}
    elif request.file is not None:
        body = {"type": "form-data", "data": [{"key": "file", "type": "file", "file": UPLOAD}]}
        pool.add(UPLOAD, uploaded(request))
    data = HttpRequestNodeData(
        title="HTTP Request",
        method=request.method.lower(),
        url=request.url,
        authorization={"type": "no-auth"},  # the runbook has the header entered
        headers="\n".join(f"{name}:{value}" for name, value in request.headers.items()),
        params="",
        body=body,
    )
    node = HttpRequestNode(
        "http",
        {"id": "http", "data": data},
        INIT,
        GraphRuntimeState(variable_pool=pool, start_at=0.0),
        http_request_config=build_http_request_config(),
        http_client=Http(),
        tool_file_manager_factory=lambda: None,
        file_manager=Files(request.file.content if request.file else ""),
        file_reference_factory=None,
    )
    *_, last = node.run()
    if isinstance(last, NodeRunFailedEvent):
        shown = last.node_run_result
        raise NodeError(f"{shown.error} {shown.outputs.get('body', '')}".strip())
    if not isinstance(last, NodeRunSucceededEvent):
        raise NodeError(f"the node ended with {type(last).__name__}")
    outputs = last.node_run_result.outputs
    return Answer(outputs["status_code"], dict(outputs["headers"]), outputs["body"])


def uploaded(request: Request) -> File:
    """The file as a variable of the workflow, which a person uploaded into Dify."""
    return File(
        type=FileType.DOCUMENT,
        transfer_method=FileTransferMethod.LOCAL_FILE,
        reference="gt",
        filename=request.file.name,
        extension=".txt",
        mime_type=request.file.kind,
        size=len(request.file.content),
    )


serve(send)

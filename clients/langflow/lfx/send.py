"""Langflow's API Request component, as a flow would run it: its table of headers, its table for the body."""

import asyncio
import json
from typing import Any

from lfx.components.data_source.api_request import APIRequestComponent
from sending import Answer, Request, serve


def rows(values: dict[str, Any]) -> list[dict[str, Any]]:
    """As they are entered into one of its tables."""
    return [{"key": name, "value": value} for name, value in values.items()]


def send(request: Request) -> Answer:
    """One run of the component. It raises nothing for a refusal: the flow goes on with the status and the body."""
    component = APIRequestComponent().set(
        url_input=request.url,
        method=request.method,
        headers=rows(request.headers),
        body=rows(json.loads(request.json)) if request.json is not None else [],
    )
    given = asyncio.run(component.make_api_request()).data
    if "error" in given:
        raise ConnectionError(given["error"])
    result = given["result"]
    text = result.decode(errors="replace") if isinstance(result, bytes) else json.dumps(result)
    return Answer(given["status_code"], given["response_headers"], text)


serve(send)

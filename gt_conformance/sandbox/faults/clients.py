"""Faults that show only where a client is larger, or looks around more, than others."""

from ..app import BASE
from ..edges import answering
from ._fault import Area
from ._parts import CHAT, answer, error, instead
from ._waiting import after

fault = Area("clients")

FAULTS = (
    fault(
        "large-bodies-refused",
        "A proxy before the tenant refuses requests of more than 32 kB.",
        instead(lambda asked: CHAT(asked) and len(asked.body) > 32_000, error(413, "Request entity too large.")),
        checks="chat.client_load",
        places="chat",
    ),
    fault(
        "many-tools-refused",
        "A chat that offers more than 16 tools is refused.",
        instead(lambda asked: CHAT(asked) and len(asked.fields.get("tools", ())) > 16, error(400, "Too many tools.")),
        checks="chat.client_load",
        places="chat",
    ),
    fault(
        "looks-like-another-server",
        "Paths of another server's API are answered with 200, and a client takes the tenant for it.",
        answering(
            lambda asked: asked.path.endswith(("/api/tags", "/api/v1/models")), lambda *_: answer(200, {"models": []})
        ),
        checks="client.discovery",
        places="chat",
    ),
    fault(
        "unknown-paths-answered-late",
        "Unknown paths are refused after more than two seconds.",
        after(2.1, lambda asked: asked.path == f"{BASE}/version"),
        checks="client.discovery",
        places="chat",
    ),
)

"""An application served on this machine by a thread of its own. It knows nothing of the API."""

from ._server import BackgroundServer

__all__ = ["BackgroundServer"]

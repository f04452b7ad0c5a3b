"""What an edge is made of, and made from."""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

Secrets = Mapping[str, str]
"""Environment variable (``GT_EMBEDDED_CHAT``) to secret, of the tenant that runs: always the secrets of the moment."""

Edge = Callable[[ASGIApp], ASGIApp]
"""Wraps an application."""

EdgeMaker = Callable[[Secrets], Edge]
"""Makes an edge for one tenant. Two tenants never share an edge, so an edge may keep state."""

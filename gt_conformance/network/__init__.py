"""The way from this machine to the tenant: one HTTP client, the operator's proxy, and what a failure means."""

from gt_conformance.network._client import HttpClient, Received
from gt_conformance.network._environment import Proxy
from gt_conformance.network._failure import CONNECT_TIMEOUT_S, Header, NetworkFailure, find_exhaustion

__all__ = ["CONNECT_TIMEOUT_S", "Header", "HttpClient", "NetworkFailure", "Proxy", "Received", "find_exhaustion"]

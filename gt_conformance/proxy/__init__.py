"""A recording proxy on loopback, between a real client and the tenant: it passes on, and keeps what passed."""

from gt_conformance.proxy._proxy import RecordingProxy, exchange_numbers
from gt_conformance.proxy._recording import ProxiedExchange

__all__ = ["ProxiedExchange", "RecordingProxy", "exchange_numbers"]

"""A recording proxy on loopback, between a real client and the tenant: it passes on, and keeps what passed."""

from gt_conformance.proxy._passage import Passage
from gt_conformance.proxy._proxy import RecordingProxy, exchange_numbers

__all__ = ["Passage", "RecordingProxy", "exchange_numbers"]

"""Real clients: installed apart, driven through the recording proxy, and judged by what they say and send."""

from gt_conformance.clients._environment import Environments, Installed
from gt_conformance.clients._load import load_manifests
from gt_conformance.clients._manifest import Client, Manifest, Runtime

__all__ = ["Client", "Environments", "Installed", "Manifest", "Runtime", "load_manifests"]

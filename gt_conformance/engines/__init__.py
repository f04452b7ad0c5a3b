"""Engines that people already run, and that judge a fleet in parts: Kubernetes, GitHub, GitLab and Dask."""

from gt_conformance.engines._kubernetes import Cluster, Mount, Upload, kubernetes_manifest
from gt_conformance.engines._shards import Shards
from gt_conformance.engines._workflows import Gate, github_workflow, gitlab_pipeline

__all__ = [
    "Cluster",
    "Gate",
    "Mount",
    "Shards",
    "Upload",
    "github_workflow",
    "gitlab_pipeline",
    "kubernetes_manifest",
]

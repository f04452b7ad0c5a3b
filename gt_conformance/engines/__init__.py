"""Engines that people already run, and that judge a fleet in parts: Kubernetes, GitHub, GitLab and Dask."""

from gt_conformance.engines._dask import BATCH, Scheduler, judge_on_dask
from gt_conformance.engines._kubernetes import Cluster, Mount, Upload, kubernetes_manifest
from gt_conformance.engines._shards import Shards
from gt_conformance.engines._workflows import Gate, github_workflow, gitlab_pipeline

__all__ = [
    "BATCH",
    "Cluster",
    "Gate",
    "Mount",
    "Scheduler",
    "Shards",
    "Upload",
    "github_workflow",
    "gitlab_pipeline",
    "judge_on_dask",
    "kubernetes_manifest",
]

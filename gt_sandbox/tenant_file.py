"""What an operator may write into the tenant file besides the keys: what of the tenant does not show by itself."""

from collections.abc import Mapping
from typing import Any

from gt_sandbox.accounts import MARKERS
from gt_sandbox.alterations import TenantFile, TenantFileChange


def with_markers(document: TenantFile) -> TenantFile:
    """The tenant file with markers of prompts."""
    keys: dict[str, Any] = dict(document["keys"])
    keys["rag"] = {**keys["rag"], "prompt_modules": _marker("prompt_modules"), "prompt_text": _marker("prompt_text")}
    alias = document["models"]["chat"]
    return {**document, "keys": keys, "base_prompts": {alias: _marker("base_prompt")}}


def with_slo(**promised: Mapping[str, float]) -> TenantFileChange:
    """The tenant file with what the operator promises of the tenant's speed, by route."""
    return lambda document: {**document, "slo": {**document.get("slo", {}), **promised}}


def _marker(kind: str) -> dict[str, str]:
    return {"ask": MARKERS[kind].ask, "expect": MARKERS[kind].expect}

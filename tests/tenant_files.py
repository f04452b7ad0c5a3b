"""Tenant files as texts, and the secrets that they name."""

from pathlib import Path
from typing import Any

import trustme

from gt_conformance.tenant import Tenant, from_file

SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
OTHER = "gtak_Zz81kP-q3Wn5_TbV6yHj2dRe"
THIRD = "gtak_Hq5mB7-t2Xw9_LcDs4Kf1nGo"
ENVIRONMENT = {
    "GT_KEY_CHAT": SECRET,
    "GT_KEY_APP": OTHER,
    "GT_KEY_THIRD": THIRD,
    "GT_SHORT": "gtak_12",
    "GT_TWO": f"{SECRET} {OTHER}",
}
SMALLEST = """\
base_url: https://acme.example/api/tenant
models: {chat: field-analyst}
keys:
  chat: {secret_env: GT_KEY_CHAT}
"""


def load(text: str) -> Tenant:
    """The tenant of a text, written as the file tenant.yaml of the current folder."""
    Path("tenant.yaml").write_text(text, encoding="utf-8")
    return from_file(Path("tenant.yaml"), ENVIRONMENT)


def issued(**facts: Any) -> trustme.LeafCert:
    """A client's certificate of some authority."""
    return trustme.CA().issue_cert("operator@acme.example", **facts)

"""All that a run of the command imports and makes ready, once: what :mod:`tests.forked` forks from."""

from importlib import import_module

from gt_conformance import resources
from gt_conformance.report._html import _environment
from gt_conformance.runbook import load_directory

for name in (
    "_pytest.cacheprovider",
    "_pytest.junitxml",
    "_pytest.skipping",
    "_pytest.stepwise",
    "_pytest.unittest",
    "allure_pytest.plugin",
    "anyio._backends._asyncio",
    "anyio.pytest_plugin",
    "execnet",
    "gt_conformance.cli._main",
    "gt_conformance.cli.run",
    "gt_conformance.pytest_plugin",
    "gt_conformance.schema._validation",
    "gt_conformance.session",
    "httpcore",
    "httpx",
    "jsonschema_rs",
    "pytest_html.plugin",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.h11_impl",
    "xdist.plugin",
):
    import_module(name)
for name in _environment().list_templates(["j2"]):
    _environment().get_template(name)
load_directory(resources.runbooks_dir())  # read once in a process, and its schema compiled

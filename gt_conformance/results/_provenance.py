"""Where a record comes from: which suite made it, on what, and who, or which job of a CI service, ran it."""

import getpass
import hashlib
import os
import platform
import socket
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from gt_conformance import resources
from gt_conformance.results.record_types import ProvenanceRecord

_PACKAGE = Path(__file__).resolve().parents[1]
_READ = frozenset({".py", ".json", ".yaml", ".html", ".css", ".js", ".j2"})


def provenance(environment: Mapping[str, str] | None = None) -> ProvenanceRecord:
    """What is known of this process."""
    known = os.environ if environment is None else environment
    by, job = _job(known)
    return {
        "suite": suite_digest(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "vantage": socket.gethostname(),
        "by": by,
        "job": job,
    }


@cache
def suite_digest() -> str:
    """The digest of this suite's own files: its code and its schemas, the same for a wheel and the checkout of it."""
    whole = hashlib.sha256()
    for name, path in sorted(_own_files()):
        with open(path, "rb") as file:  # noqa: PTH123 - some hundred files, as fast as can be
            whole.update(f"{name} {hashlib.sha256(file.read()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _own_files() -> Iterator[tuple[str, str]]:
    for top, name in ((_PACKAGE, "gt_conformance"), (resources.schemas_dir(), "schemas")):
        for folder, folders, files in os.walk(top):
            if folder == str(top) and "_data" in folders:
                folders.remove("_data")
            inner = folder[len(str(top)) :].replace(os.sep, "/")
            for file in files:
                if os.path.splitext(file)[1] in _READ:  # noqa: PTH122 - as above
                    yield f"{name}{inner}/{file}", os.path.join(folder, file)  # noqa: PTH118 - as above


def _job(known: Mapping[str, str]) -> tuple[str, str | None]:
    """Who, or what, ran it, and the address of the job where there is one."""
    if known.get("GITHUB_ACTIONS") == "true":
        run = f"{known.get('GITHUB_REPOSITORY', '?')} run {known.get('GITHUB_RUN_ID', '?')}"
        server = known.get("GITHUB_SERVER_URL", "https://github.com")
        address = f"{server}/{known.get('GITHUB_REPOSITORY', '')}/actions/runs/{known.get('GITHUB_RUN_ID', '')}"
        attempt = known.get("GITHUB_RUN_ATTEMPT", "1")
        return f"GitHub Actions: {run}, attempt {attempt}, job {known.get('GITHUB_JOB', '?')}", address
    if known.get("GITLAB_CI") == "true":
        job = f"{known.get('CI_PROJECT_PATH', '?')} job {known.get('CI_JOB_ID', '?')} ({known.get('CI_JOB_NAME', '?')})"
        return f"GitLab CI: {job}", known.get("CI_JOB_URL")
    if "BUILD_URL" in known and "JENKINS_URL" in known:
        return f"Jenkins: {known.get('BUILD_TAG', '?')}", known["BUILD_URL"]
    if known.get("CI"):
        return "a CI service", None
    try:
        return getpass.getuser(), None
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody without a name", None

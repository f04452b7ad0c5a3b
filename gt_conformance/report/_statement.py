"""results.intoto.json: a statement about results.json that gh attestation, cosign or sigstore can sign.

An in-toto Statement v1 with the predicate test-result v0.1: https://in-toto.io/attestation/test-result/v0.1.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from gt_conformance import files, results
from gt_conformance.errors import InputError, Location
from gt_conformance.report._decision import decision, decision_line, is_embedded
from gt_conformance.results import Record, cases
from gt_conformance.vocabulary import Decision, Outcome

_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
_MOST_BYTES = files.MIB


def file_digest(path: Path) -> str:
    """The SHA-256 of a record's file, as its statement names it. Raises OSError, which names the file."""
    try:
        return hashlib.sha256(files.read_bounded(path, results.MOST_BYTES)).hexdigest()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def render_statement(record: Record, name: str, digest: str) -> str:
    """The statement of a record in the file of that name and digest."""
    passed = {Outcome.CONFORMS}
    judged = list(cases(record))
    predicate = {
        "result": _result(record),
        "configuration": list(_configuration(record)),
        "passedTests": [case.id for case in judged if case.outcome in passed],
        "warnedTests": [case.id for case in judged if case.outcome is Outcome.WAIVED],
        "failedTests": [case.id for case in judged if case.outcome not in {*passed, Outcome.WAIVED}],
    }
    job = record["run"].get("provenance", {}).get("job")
    statement = {
        "_type": _TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}, "annotations": {"decision": decision_line(record)}}],
        "predicateType": _PREDICATE,
        "predicate": {**predicate, "url": job} if job else predicate,
    }
    return json.dumps(statement, indent=1, ensure_ascii=False) + "\n"


def read_subject(path: Path) -> str:
    """The digest that a statement names. Raises InputError where it is none of ours."""
    try:
        value = json.loads(files.read_bounded(path, _MOST_BYTES))
        (subject,) = value["subject"]
        return str(subject["digest"]["sha256"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise InputError.of("this is not a statement about a record.", where=Location(str(path))) from None


def _result(record: Record) -> str:
    """Passed only where a live tenant conforms in everything; what is not decided has not passed."""
    match decision(record):
        case Decision.GO if not is_embedded(record):
            return "PASSED"
        case Decision.GO | Decision.GO_WITH_EXCEPTIONS | Decision.PARTIAL:
            return "WARNED"
        case Decision.NO_GO | Decision.NOT_DECIDED | Decision.UNREACHABLE:
            return "FAILED"


def _configuration(record: Record) -> list[dict[str, Any]]:
    """What the result was made with, each with its digest."""
    run = record["run"]
    made_by, profile, setup = run.get("provenance"), run.get("profile"), record.get("digests")
    named = {"runbooks": run["runbooks_digest"]}
    if made_by is not None:
        named[f"gt-conformance {run['version']}"] = made_by["suite"]
    if profile is not None:
        named[profile["name"]] = profile["digest"]
    if setup is not None and setup["tenant_file"] is not None:
        named["tenant file without secrets"] = setup["tenant_file"]
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in named.items()]

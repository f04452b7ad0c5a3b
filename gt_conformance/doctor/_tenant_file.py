"""A tenant file made of what was found, with a comment for whatever a person has to decide."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gt_conformance import dated_entries
from gt_conformance.doctor._description import suggest_name
from gt_conformance.doctor._environment import UNNAMED
from gt_conformance.doctor._examination import Examination, Found
from gt_conformance.tenant import write_new
from gt_conformance.vocabulary import Modality, Purpose


def write_file(examination: Examination, value: Mapping[str, Any], path: Path) -> None:
    """Write the tenant file of these keys there; a file that exists is left as it is: InputError.

    ``value`` is the set-up in the form of a tenant file: it names where each secret is, and holds none.
    """
    write_new(path, "\n".join(_lines(examination, value, path)) + "\n")


def _lines(examination: Examination, value: Mapping[str, Any], path: Path) -> Iterator[str]:
    named = value["models"]["chat"]
    chat = suggest_name(examination) or named
    yield dated_entries.modeline(path, "tenant")
    yield "# Written by gt-conformance doctor from what the keys can do. It names secrets, and holds none."
    yield f"#   gt-conformance plan --tenant {path.name}     lists what is missing, and sends nothing"
    yield f"#   gt-conformance run --tenant {path.name}      judges"
    yield f"base_url: {_scalar(value['base_url'])}"
    yield ""
    yield "# The published name, an agent alias or a raw model's name, for chat; the others default to it."
    if named == UNNAMED:
        yield "# It is the name that most keys have."
    elif chat != named and examination.listed:
        yield f"# The tenant lists no {_comment(named)}; this is the nearest name, or the one that most keys have."
    yield f"models: {{chat: {_scalar(chat)}}}"
    for name in (Modality.EMBEDDINGS, Modality.TRANSCRIPTION, Modality.SPEECH, Modality.IMAGE):
        yield f"#   {name.value}: another name, where {name.value} has one of its own"
    yield ""
    yield "# Names that must never be listed, work or show: internal agent ids, the provider's own model ids."
    yield "# unpublished_models: [agent-7f3a]"
    yield ""
    yield "# Tiny files go to this dataset and nowhere else. Without it uploads into a dataset are blocked."
    yield f"dataset: {_scalar(value['dataset'])}" if "dataset" in value else "# dataset: scratch-briefs"
    yield "# A dataset that exists and that the upload key must not reach."
    yield "# other_datasets: [reference-briefs]"
    yield ""
    yield "# What is left out of a key is unknown: the tenant's answer then decides."
    yield "keys:"
    known = {one.key.name: one for one in examination.found}
    for name, entry in value["keys"].items():
        yield from _key(name, entry, known.get(name), examination)
    yield ""
    yield "# Which key a client uses; one that is left out takes the narrowest key that covers it. base_url is what is"
    yield "# entered in the client, where that is not what its runbook documents (the versioned address, say)."
    yield "# runbooks:"
    yield '#   dify: {key: KEY, extension_key: KEY, base_url: "' + f'{_comment(value["base_url"])}/v1"}}'
    yield ""
    yield "# true: create nothing in the tenant. What needs creation is blocked, or accepted by gt-conformance accept."
    yield "read_only: false"


def _key(name: str, entry: Mapping[str, Any], one: Found | None, examination: Examination) -> Iterator[str]:
    if one is not None and one.blocker is not None:
        yield f"  # {name} is not usable: {_comment(one.blocker.reason)}."
        yield f"  # {_comment(one.blocker.remedy)}"
    yield f"  {name}:"
    for word, item in entry.items():
        yield f"    {word}: {_scalar(item)}"
    if one is None or not one.works:
        return
    if one.purpose is None:
        yield "    # purpose: inference              # or upload, or conversation: it could not be found out"
    else:
        yield f"    purpose: {one.purpose.value}"
    if one.scopes is None:
        yield '    # scopes: ["inference:chat"]      # they could not be found out'
    elif one.purpose is not Purpose.CONVERSATION:
        yield f"    scopes: {_flow(sorted(one.scopes))}"
    if one.names and one.purpose is not Purpose.CONVERSATION:
        yield f"    models: {_flow(one.names)}"
    if one.writes and examination.tenant.dataset and one.purpose is Purpose.UPLOAD:
        yield f"    datasets: {_flow([examination.tenant.dataset])}"
    if one.purpose is Purpose.CONVERSATION:
        yield from _links(one, examination)


def _links(one: Found, examination: Examination) -> Iterator[str]:
    """What a conversation key is linked to shows nowhere; where one key alone can be meant, it is proposed."""
    others = [other for other in examination.found if other.works and other.key.name != one.key.name]
    inference = [
        other.key.name
        for other in others
        if other.purpose is Purpose.INFERENCE
        and other.names == one.names
        and (other.scopes or frozenset()) <= (one.scopes or other.scopes or frozenset())
    ]
    upload = [other.key.name for other in others if other.purpose is Purpose.UPLOAD]
    best = max(inference, key=lambda name: _breadth(name, examination), default=None)
    linked = [*([best] if best else []), *(upload[:1] if len(upload) == 1 else [])]
    if len(linked) == 2:
        yield f"    inherits: {_flow(linked)}            # a guess by their rights: compare with the console"
        return
    yield "    # inherits: [INFERENCE_KEY, UPLOAD_KEY]    # the keys that it is linked to: the console shows them"
    if one.scopes is not None:
        yield f"    scopes: {_flow(sorted(one.scopes))}"
    if one.names:
        yield f"    models: {_flow(one.names)}"
    if one.writes and examination.tenant.dataset:
        yield f"    datasets: {_flow([examination.tenant.dataset])}"


def _breadth(name: str, examination: Examination) -> int:
    return next(len(one.scopes or ()) for one in examination.found if one.key.name == name)


def _flow(values: Any) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(value: Any) -> str:
    """As YAML: what could be read as something else is in quotes, which JSON's are as well."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(str(value), ensure_ascii=True)


def _comment(text: str) -> str:
    """A text of the tenant on one line of a comment."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))

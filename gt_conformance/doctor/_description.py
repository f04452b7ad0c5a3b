"""What was found, in words; and what of it the tenant file says otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass

from gt_conformance.doctor._environment import UNNAMED
from gt_conformance.doctor._examination import Examination, Found
from gt_conformance.tenant import Tenant, nearest_name
from gt_conformance.vocabulary import Modality, Purpose, Route, Scope

_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that the set-up says and the tenant does not: what, and what to do."""

    found: str
    remedy: str


def describe(examination: Examination) -> Iterator[str]:
    """The keys with what each can do, then the published names: a line each."""
    width = max((len(one.key.name) for one in examination.found), default=0)
    yield "Keys"
    for one in examination.found:
        yield f"  {one.key.name:<{width}}  {'; '.join(_abilities(one))}"
    yield "Published names"
    for name, keys in examination.listed.items():
        yield f"  {name}: listed to {', '.join(keys)}"
    if not examination.listed:
        yield "  none is listed to any key"


def _abilities(one: Found) -> Iterator[str]:
    if one.blocker is not None:
        yield "not usable: " + one.blocker.reason
        return
    yield "works" + (f" for {one.purpose.value}" if one.purpose else "")
    if one.purpose is not Purpose.UPLOAD:
        names = one.names or ()
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield f"lists {', '.join(names[:_MOST_NAMES])}{more}" if names else "lists no name"
    if one.scopes is not None:
        yield f"has {', '.join(sorted(one.scopes))}"
    elif one.purpose is None:
        yield "its scopes are unknown: the tenant refuses a malformed request before it looks at them"
    if one.writes is not None and one.purpose is not Purpose.INFERENCE:
        yield "may write the dataset" if one.writes else "may not write the dataset"
    if one.accepted:
        yield f"{', '.join(one.accepted)} took a malformed request"


def suggest_name(examination: Examination) -> str | None:
    """The published name for chat: the one that is named, if it is listed; the nearest; else the one most keys have."""
    named = examination.tenant.model(Modality.CHAT)
    listed = examination.listed
    if named in listed or not listed:
        return None if named == UNNAMED else named
    near = None if named == UNNAMED else nearest_name(named, listed)
    return near or max(listed, key=lambda name: len(listed[name]))


def find_mistakes(examination: Examination) -> tuple[Mistake, ...]:
    """Where the tenant file, or the environment, says otherwise than the tenant."""
    of_keys = (one for found in examination.found for one in _of_key(found, examination))
    return (*_of_names(examination), *_of_dataset(examination), *of_keys)


def _of_dataset(examination: Examination) -> Iterator[Mistake]:
    """A dataset that takes no upload of any key is hardly each key's own mistake."""
    dataset = examination.tenant.dataset
    if _refused_writers(examination) and not any(one.writes for one in examination.found):
        yield Mistake(
            f"the dataset {dataset} takes no upload: there is none of that name, or no key may write it.",
            "Correct dataset in the tenant file, or add it to the dataset allowlist of a key.",
        )


def _refused_writers(examination: Examination) -> list[Found]:
    """The keys that are declared to write the dataset, and may not."""
    dataset = examination.tenant.dataset
    return [
        one
        for one in examination.found
        if one.works
        and dataset is not None
        and one.key.purpose is not Purpose.INFERENCE
        and one.key.may_write(dataset)
        and one.writes is False
    ]


def _of_names(examination: Examination) -> Iterator[Mistake]:
    tenant, listed = examination.tenant, examination.listed
    for modality in Modality:
        if not tenant.declares(modality) or not listed:
            continue
        name = tenant.model(modality)
        if name in listed:
            continue
        near = nearest_name(name, listed)
        meant = f"Did you mean {near}? " if near else f"Listed are: {', '.join([*listed][:_MOST_NAMES])}. "
        if name == UNNAMED:
            yield Mistake("no published name is named.", f"Set GT_MODEL; listed are: {', '.join(listed)}.")
        else:
            yield Mistake(f"the tenant lists the name {name} to no key.", f"{meant}Correct {tenant.where_models_are}.")


def _of_key(one: Found, examination: Examination) -> Iterator[Mistake]:
    key, where = one.key, examination.tenant.source
    if not one.works:
        return
    if (mistaken := _find_other_purpose(one, where)) is not None:
        yield mistaken
        return
    if key.scopes is not None and one.scopes is not None:
        ours, theirs = (
            _comparable(key.scopes, examination.tenant, one),
            _comparable(one.scopes, examination.tenant, one),
        )
        for scope in sorted(ours - theirs - set(key.unsure.scopes)):
            yield Mistake(
                f"the key {key.name} has not the right that is declared of it: {scope.value}.",
                f"Take {scope.value} off the scopes of the key {key.name} in {where}, or give it to the key.",
            )
        for scope in sorted(theirs - ours - set(key.unsure.scopes)):
            yield Mistake(
                f"the key {key.name} has a right that is not declared of it: {scope.value}.",
                f"Add {scope.value} to the scopes of the key {key.name} in {where}, or take it off the key.",
            )
    if key.models is not None and one.names:
        for name in sorted(key.models - set(one.names)):
            near = nearest_name(name, set(one.names) - key.models)
            yield Mistake(
                f"the name {name}, which is declared of the key {key.name}, is not listed to it.",
                f"{f'Did you mean {near}? ' if near else ''}Correct models of the key {key.name} in {where}.",
            )
        for name in sorted(set(one.names) - key.models - key.unsure.models):
            yield Mistake(
                f"the name {name} is listed to the key {key.name}, and not declared of it.",
                f"Add {name} to the models of the key {key.name} in {where}, or take it off the key's allowlist.",
            )
    if one in _refused_writers(examination) and any(other.writes for other in examination.found):
        yield Mistake(
            f"the key {key.name} is declared to write the dataset {examination.tenant.dataset}, and may not.",
            f"Check the name of the dataset in {where}, and the allowlist of the key.",
        )


def _find_other_purpose(one: Found, where: str) -> Mistake | None:
    """What the key is for otherwise than declared: where that is shown, nothing else that is declared of it counts."""
    key = one.key
    if key.purpose is not None and one.purpose is not None and _differ(key.purpose, one.purpose):
        return Mistake(
            f"the key {key.name} is declared for {key.purpose.value}, and the tenant treats it as one for "
            f"{one.purpose.value}: its secret may be another key's.",
            f"Check the secret of the key {key.name}, or correct its purpose in {where}.",
        )
    if key.purpose is Purpose.CONVERSATION and one.opens is False:
        return Mistake(
            f"the key {key.name}, which is declared to open conversations, may not.",
            f"Check the secret of the key {key.name}, or correct its purpose in {where}.",
        )
    return None


def _differ(declared: Purpose, found: Purpose) -> bool:
    """Whether one of them uploads and the other does not: what an inference key may open is not certain."""
    return (declared is Purpose.UPLOAD) is not (found is Purpose.UPLOAD)


def _comparable(scopes: frozenset[Scope], tenant: Tenant, one: Found) -> set[Scope]:
    """The scopes that were asked for: whether a key may write datasets is shown where it may write that one."""
    asked = {route.scope for route in Route if route.scope is not None and route.modality is not None}
    if tenant.dataset is not None and one.writes and one.key.may_write(tenant.dataset):
        asked.add(Scope.DATASETS_WRITE)
    return {scope for scope in scopes if scope in asked}

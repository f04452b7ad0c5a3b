"""From a fleet file to a Fleet: everything that is wrong is reported at once."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from gt_conformance import document, resources
from gt_conformance.checks import load_extensions
from gt_conformance.companions import Companions
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Location, Problem, named_in, unknown
from gt_conformance.fleet._fleet import Fleet, FleetTenant, Gateway, Rule, unknown_value
from gt_conformance.fleet._list import Line, read_list
from gt_conformance.fleet._template import Template, fill, placeholders
from gt_conformance.planning import EVERYTHING, Selection
from gt_conformance.runbook import Runbook, load_directory

_RESERVED = frozenset({"id", "ID", "name", "gateway"})
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WHAT_AN_ID_IS = "Small letters, digits and -, at most 63, starting and ending with a letter or digit."


def load_fleet(path: Path) -> Fleet:
    """The fleet of a file. No tenant file is read but those that several share, and no secret is looked up.

    Raises InputError with everything that is wrong with it.
    """
    source = document.read(path, schema="fleet")
    value, folder = source.value, path.parent
    runbooks_dir = folder / value["runbooks_dir"] if "runbooks_dir" in value else None
    if runbooks_dir is not None and not runbooks_dir.is_dir():
        raise InputError.of(f"there is no folder {runbooks_dir}.", where=source.locate("runbooks_dir"))
    runbooks = load_directory(runbooks_dir or resources.runbooks_dir())
    modules = [str(folder / name) if name.endswith(".py") else name for name in value.get("checks", ())]
    with named_in(source.locate("checks") if modules else None):
        registry = load_extensions(modules)
    reader = _Reader(source)
    tenants = reader.read_tenants()
    schedule = reader.read_schedule(runbooks)
    if reader.problems:
        raise InputError(document.limit_problems(reader.problems, path))
    return Fleet(
        path=path,
        tenants=tuple(tenants),
        gateways={name: Gateway(name, **entry) for name, entry in value.get("gateways", {}).items()},
        schedule=schedule,
        labels=reader.labels,
        companions=Companions.of({name: value[name] for name in _SHARED if name in value}, folder, source.locate),
        runbooks=runbooks,
        runbooks_dir=runbooks_dir,
        registry=registry,
        checks=tuple(value.get("checks", ())),
        strict=value.get("strict", False),
        secrets_at_once=value.get("secrets_at_once", 4),
    )


_SHARED = ("attestations", "waivers", "accepted")


@dataclass
class _Reader:
    """Reads the parts of a fleet file and gathers what is wrong with them."""

    source: Document
    problems: list[Problem] = field(default_factory=list)
    templates: dict[Path, Template | None] = field(default_factory=dict)

    @cached_property
    def labels(self) -> Mapping[str, tuple[str, ...] | None]:
        """The labels that are declared, with their values."""
        declared = self.source.value.get("labels", {})
        self.problems += [
            Problem(f"{name!r} cannot be a label: it is a placeholder already.", self.source.locate_key("labels", name))
            for name in declared
            if name in _RESERVED
        ]
        return {name: None if values == "any" else tuple(values) for name, values in declared.items()}

    def read_tenants(self) -> list[FleetTenant]:
        """Those of ``tenants`` and of ``lists``, in their order."""
        value = self.source.value
        found: list[FleetTenant] = []
        for name, entry in value.get("tenants", {}).items():
            locate = partial(self.source.locate, "tenants", name)
            at = self.source.locate_key("tenants", name)
            entry_of = _Entry(self, entry, locate)
            found += entry_of.make(Line({"id": name, **_named(entry)}, at), entry.get("labels", {}))
        for index, entry in enumerate(value.get("lists", ())):
            found += self._read_list(_Entry(self, entry, partial(self.source.locate, "lists", index)))
        first: dict[str, FleetTenant] = {}
        for tenant in found:
            earlier = first.setdefault(tenant.id, tenant)
            if earlier is not tenant:
                hint = "An id is given once, and for ever: records and trends go by it."
                self.problems.append(
                    Problem(f"the id {tenant.id!r} is there already, in {earlier.where}.", tenant.where, hint=hint)
                )
        return found

    def _read_list(self, entry: "_Entry") -> Iterator[FleetTenant]:
        known = {"id", "name", "gateway", *self.labels, *entry.placeholders}
        try:
            with named_in(entry.locate("csv")):
                lines = read_list(self.source.path.parent / entry.value["csv"], known)
        except InputError as error:
            self.problems += error.problems
            return
        for line in lines:
            labels = {name: value for name, value in line.values.items() if name in self.labels}
            yield from entry.make(line, {**entry.value.get("labels", {}), **labels})

    def template(self, path: Path, place: Location) -> Template | None:
        """The template of that file, read once; None where it cannot be used, which is a problem once."""
        if path not in self.templates:
            self.templates[path] = None
            try:
                with named_in(place):
                    self.templates[path] = Template.read(path)
            except InputError as error:
                self.problems += error.problems
        return self.templates[path]

    def read_schedule(self, runbooks: tuple[Runbook, ...]) -> tuple[Rule, ...]:
        """The rules, or that everything is due every night."""
        rules = []
        for index, entry in enumerate(self.source.value.get("schedule", ())):
            labels = entry.get("labels", {})
            self.check_labels(labels, partial(self.source.locate, "schedule", index, "labels"))
            wanted = entry.get("runbooks", "all")
            selection = EVERYTHING if wanted == "all" else Selection(tuple(wanted))
            try:
                selection.select_runbooks(runbooks)
            except InputError as error:
                where = self.source.locate("schedule", index, "runbooks")
                self.problems += [Problem(one.message, where, hint=one.hint) for one in error.problems]
            rules.append(Rule(labels, int(entry["every"].removesuffix("d")), selection))
        return tuple(rules) or (Rule(),)

    def check_labels(self, labels: Mapping[str, str], locate: Callable[..., Location]) -> None:
        """Note the labels and values that are not declared."""
        for name, value in labels.items():
            if name not in self.labels:
                self.problems.append(_at(unknown("label", name, list(self.labels)), locate(name)))
            elif (values := self.labels[name]) is not None and value not in values:
                self.problems.append(_at(unknown_value(name, value, values), locate(name)))


@dataclass
class _Entry:
    """An entry of the fleet file that makes one tenant, or those of a list."""

    reader: _Reader
    value: Mapping[str, Any]
    locate: Callable[..., Location]

    @cached_property
    def template(self) -> Template | None:
        """The template that it names; None where it names none, or one that cannot be used."""
        if "template" not in self.value:
            return None
        return self.reader.template(self._folder / self.value["template"], self.locate("template"))

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The placeholders that something of it uses."""
        texts = (self.value.get(name, "") for name in ("file", "name", "gateway"))
        used = frozenset(name for text in texts for name in placeholders(text))
        return used | (self.template.placeholders if self.template is not None else frozenset())

    @property
    def _folder(self) -> Path:
        return self.reader.source.path.parent

    @cached_property
    def _given(self) -> Mapping[str, str]:
        """What ``with`` gives, less what is a placeholder already."""
        given: Mapping[str, str] = self.value.get("with", {})
        taken = [name for name in given if name in _RESERVED or name in self.reader.labels]
        self.reader.problems += [
            Problem(f"{{{name}}} is a placeholder already.", self.locate("with", name), hint="Take another name.")
            for name in taken
        ]
        return {name: value for name, value in given.items() if name not in taken}

    def make(self, line: Line, labels: Mapping[str, str]) -> Iterator[FleetTenant]:
        """The tenant of a line; none where something is wrong with it, which is noted."""

        def where(*path: str | int) -> Location:
            return line.where if "csv" in self.value else self.locate(*path)

        problems_before = len(self.reader.problems)
        self.reader.check_labels(labels, partial(where, "labels"))
        tenant_id = line.values.get("id", "")
        if not _ID.fullmatch(tenant_id):
            self._note(f"{tenant_id!r} cannot be an id.", line.where, _WHAT_AN_ID_IS)
        words = {**self._given, **line.values, **labels, "id": tenant_id, "ID": tenant_id.upper().replace("-", "_")}
        words["name"] = name = line.values.get("name") or self._fill("name", words, where) or tenant_id
        gateway = line.values.get("gateway") or self._fill("gateway", words, where)
        known = self.reader.source.value.get("gateways", {})
        if gateway is not None:
            words["gateway"] = gateway
            if gateway not in known:
                self.reader.problems.append(_at(unknown("gateway", gateway, list(known)), where("gateway")))
        file = self.value.get("template") or self._fill("file", words, where)
        if self.template is not None and (missing := self.template.placeholders - words.keys()):
            named = ", ".join(f"{{{name}}}" for name in sorted(missing))
            self._note(f"nothing is given for {named}, which the template has.", line.where, _HOW_TO_GIVE)
        if len(self.reader.problems) == problems_before and file is not None:
            yield FleetTenant(tenant_id, name, labels, gateway, line.where, self._folder / file, self.template, words)

    def _fill(self, name: str, words: Mapping[str, str], where: Callable[..., Location]) -> str | None:
        text = self.value.get(name)
        if text is None:
            return None
        missing = placeholders(text) - words.keys()
        if not missing:
            return fill(text, words)
        named = ", ".join(f"{{{word}}}" for word in sorted(missing))
        self._note(f"nothing is given for {named} in {text!r}.", where(name), _HOW_TO_GIVE)
        return None

    def _note(self, message: str, where: Location, hint: str) -> None:
        self.reader.problems.append(Problem(message, where, hint=hint))


_HOW_TO_GIVE = "Add it under with:, as a column of the list, or as a label."


def _named(entry: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: entry[name] for name in ("name", "gateway") if name in entry}


def _at(problem: Problem, where: Location) -> Problem:
    return Problem(problem.message, where, hint=problem.hint)

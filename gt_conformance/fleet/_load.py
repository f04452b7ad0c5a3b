"""From a fleet file, and a list of tenants in CSV, to a Fleet: everything that is wrong is reported at once."""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from gt_conformance import document, files, resources
from gt_conformance.checks import load_extensions
from gt_conformance.companions import Companions
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Location, Problem, named_in, unknown
from gt_conformance.fleet._fleet import Fleet, FleetTenant, Gateway, Rule, unknown_value
from gt_conformance.fleet._template import Template, fill, placeholders
from gt_conformance.planning import EVERYTHING, Selection
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.schema import masked, nearest, quote

# -- lists of tenants


_MOST_LIST_BYTES = 32 * files.MIB
"""Some 300,000 tenants."""
_MOST_CHARACTERS = 200
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    """One tenant of a list: what its columns say, without those in which nothing is written."""

    values: Mapping[str, str]
    where: Location


def read_list(path: Path, known: Collection[str]) -> list[Line]:
    """The tenants of a CSV file, whose columns are all ``known``. Raises InputError with every problem of it."""
    source = document.read_text(path, _MOST_LIST_BYTES)
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    problems: list[Problem] = []
    found: list[Line] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        problems += _problems_of_columns(columns, known, Location(str(path), 1))
        if problems:
            raise InputError(problems)
        for row in reader:
            where = Location(str(path), reader.line_num)
            if not any(cell.strip() for cell in row):
                continue
            values = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if cell.strip()}
            problems += _problems_of_row(row, columns, values, where)
            found.append(Line(values, where))
    except csv.Error as error:
        problems.append(Problem(f"not valid CSV: {error}.", where=Location(str(path), reader.line_num)))
    if not found and not problems:
        problems.append(Problem("the list has no tenant.", where=Location(str(path))))
    if problems:
        raise InputError(document.limit_problems(problems, path))
    return found


def _problems_of_columns(columns: list[str], known: Collection[str], where: Location) -> Iterator[Problem]:
    if len(columns) == 1 and (mark := next((one for one in ";\t|" if one in columns[0]), None)):
        hint = "Save the file as CSV with commas, as spreadsheets in English do."
        yield Problem(f"{quote(mark)} separates the columns, where a comma is wanted.", where=where, hint=hint)
        return
    if "id" not in columns:
        hint = "The first line names the columns, with commas between them: id,name,region."
        yield Problem("there is no column id.", where=where, hint=hint)
    for name in dict.fromkeys(name for name in columns if columns.count(name) > 1):
        yield Problem(f"the column {quote(name)} is there {columns.count(name)} times.", where=where)
    for name in columns:
        if not _COLUMN.fullmatch(name):
            hint = "Small letters, digits and _, starting with a letter."
            yield Problem(f"{quote(name)} cannot be the name of a column.", where=where, hint=hint)
        elif name not in known:
            near = nearest(name, known)
            hint = (
                f"{f'Did you mean {near}? ' if near else ''}Known: {', '.join(sorted(known))}. "
                "A column is a label that the fleet file declares, or a placeholder that it or the template uses."
            )
            yield Problem(f"nothing uses the column {quote(name)}.", where=where, hint=hint)


def _problems_of_row(
    row: list[str], columns: list[str], values: Mapping[str, str], where: Location
) -> Iterator[Problem]:
    if len(row) != len(columns):
        yield Problem(f"this line has {len(row)} values for {len(columns)} columns.", where=where)
        return
    if "id" not in values:
        yield Problem("this tenant has no id.", where=where)
    for name, value in values.items():
        if masked(value) != value:
            hint = "A file must not contain a key: name where it is read from in the tenant file."
            yield Problem("this looks like a key.", where=where, path=name, hint=hint)
        elif len(value) > _MOST_CHARACTERS:
            yield Problem(f"longer than {_MOST_CHARACTERS} characters.", where=where, path=name)
        elif _CONTROL.search(value):
            yield Problem("holds a line break or another control character.", where=where, path=name)


# -- the fleet file


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

"""fleet.yaml: what it takes, what it refuses and where, who is due on a night, and what a night would send."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gt_conformance import resources
from gt_conformance.errors import InputError
from gt_conformance.fleet import Fleet, lint, load_fleet, plan_night
from tests.commands import in_process

NIGHT = date(2026, 11, 27)
TEMPLATE = """\
base_url: https://{host}/{id}/api/tenant
name: "{name}"
models: {chat: field-analyst}
keys:
  chat: {secret_env: "GT_KEY_{ID}", preset: openai-chat}
  app: {secret_command: [vault, read, "gt/{region}/{id}"]}
base_prompts: {field-analyst: {ask: "What is in {{braces}}?", expect: Skerryvore}}
"""
LIST = """\
id,name,region,host
globex,Globex,us,gt.globex.example
initech,,eu,initech.example
"""
FLEET = """\
labels: {region: [eu, us], tier: [gold, silver], owner: any}
gateways:
  eu: {requests_per_minute: 600, concurrency: 8}
  us: {requests_per_minute: 60, concurrency: 4}
tenants:
  acme:
    template: standard.yaml
    name: Acme
    labels: {region: eu, tier: gold}
    gateway: eu
    with: {host: acme.example}
  hand-made: {file: own.yaml}
lists:
  - {csv: tenants.csv, template: standard.yaml, name: "Customer {id}", labels: {tier: silver}, gateway: "{region}"}
schedule:
  - {labels: {tier: gold}, every: 7d}
  - {labels: {tier: gold}, every: 1d, runbooks: [dify]}
  - {every: 7d}
"""
OWN = """\
base_url: https://own.example/api/tenant
models: {chat: field-analyst}
keys: {chat: {secret_env: GT_KEY_OWN}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a fleet file and all that it names."""
    for name, text in {"fleet": FLEET, "standard": TEMPLATE, "own": OWN}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "tenants.csv").write_text(LIST, encoding="utf-8")
    return tmp_path


def _load(folder: Path) -> Fleet:
    return load_fleet(folder / "fleet.yaml")


def test_tenants_come_from_files_templates_and_lists(folder: Path) -> None:
    """Each has its id, its name, its labels and its gateway, and its tenant file with what differs put in."""
    fleet = _load(folder)
    assert [(one.id, one.name, one.gateway) for one in fleet.tenants] == [
        ("acme", "Acme", "eu"),
        ("hand-made", "hand-made", None),
        ("globex", "Globex", "us"),
        ("initech", "Customer initech", "eu"),
    ]
    assert fleet.tenant("globex").labels == {"region": "us", "tier": "silver"}
    loaded = fleet.tenant("globex").load({"GT_KEY_GLOBEX": "gtak_0123456789"}, commands=False)
    assert (loaded.base_url, loaded.name) == ("https://gt.globex.example/globex/api/tenant", "Globex")
    secret = loaded.credentials["chat"].secret
    assert secret is not None
    assert secret.reveal() == "gtak_0123456789"
    assert loaded.base_prompts["field-analyst"].ask == "What is in {braces}?"


def test_a_secret_command_gets_the_words_of_its_tenant(folder: Path) -> None:
    """It is run for each tenant with its own arguments, once the tenant is loaded to be judged."""
    text = TEMPLATE.replace("[vault, read,", "[echo,")
    (folder / "standard.yaml").write_text(text, encoding="utf-8")
    loaded = _load(folder).tenant("initech").load({"GT_KEY_INITECH": "gtak_0123456789"})
    secret = loaded.credentials["app"].secret
    assert secret is not None
    assert secret.reveal() == "gt/eu/initech"


WRONG: Mapping[str, tuple[str, str, str, str]] = {
    "an unknown key": ("fleet.yaml", "gateway: eu\n", "gatway: eu\n", "fleet.yaml:10:5: tenants.acme: "),
    "an id that is no file name": ("fleet.yaml", "  acme:", "  Acme_1:", "fleet.yaml:6:3: "),
    "a file and a template": (
        "fleet.yaml",
        "{file: own.yaml}",
        "{file: own.yaml, template: own.yaml}",
        "fleet.yaml:12:",
    ),
    "neither": ("fleet.yaml", "{file: own.yaml}", "{name: Own}", "fleet.yaml:12:"),
    "an unknown gateway": ("fleet.yaml", "gateway: eu", "gateway: eo", "fleet.yaml:10:14: there is no gateway 'eo'"),
    "an unknown label": (
        "fleet.yaml",
        "tier: gold}\n    g",
        "teir: gold}\n    g",
        "there is no label 'teir'. Did you mean",
    ),
    "an unknown value": (
        "fleet.yaml",
        "region: eu,",
        "region: ue,",
        "'ue' is not a value of the label 'region'. Known: eu, us.",
    ),
    "a label that is a word of ours": ("fleet.yaml", "owner: any", "name: any", "'name' cannot be a label"),
    "a word that is taken": (
        "fleet.yaml",
        "{host: acme.example}",
        "{host: a.example, tier: x}",
        "{tier} is a placeholder",
    ),
    "an unknown runbook": ("fleet.yaml", "[dify]", "[difi]", "fleet.yaml:17:49: there is no runbook 'difi'"),
    "a rule of an unknown label": ("fleet.yaml", "tier: gold}, every: 7d", "teir: gold}, every: 7d", "no label 'teir'"),
    "never": ("fleet.yaml", "every: 1d", "every: 0d", "fleet.yaml:17:35: schedule.1.every: "),
    "no such list": ("fleet.yaml", "tenants.csv", "tenant.csv", "there is no such file. Did you mean"),
    "no such template": (
        "fleet.yaml",
        "template: standard.yaml\n",
        "template: standrad.yaml\n",
        "there is no such file.",
    ),
    "an id that is there": ("tenants.csv", "initech,", "acme,", "tenants.csv:3: the id 'acme' is there already, in"),
    "no id": ("tenants.csv", "initech,", ",", "tenants.csv:3: this tenant has no id"),
    "a bad id": ("tenants.csv", "initech,", "../x,", "tenants.csv:3: '../x' cannot be an id"),
    "a column for nothing": ("tenants.csv", "name,region", "name,regoin", "nothing uses the column 'regoin'"),
    "no column id": ("tenants.csv", "id,name", "ident,name", "tenants.csv:1: there is no column id"),
    "too many values": ("tenants.csv", "initech.example", "initech.example,x", "tenants.csv:3: this line has 5 values"),
    "a value that no label has": (
        "tenants.csv",
        "Globex,us",
        "Globex,uk",
        "tenants.csv:2: 'uk' is not a value of the label 'region'. Known: eu, us.",
    ),
    "a key": (
        "tenants.csv",
        "Globex,us",
        "gtak_aaaaaaaaaaaaaaaaaaaaaaaaaaaa,us",
        "tenants.csv:2: name: this looks like a key",
    ),
    "a list that is not there": (
        "fleet.yaml",
        "tenants.csv",
        "tenant.csv",
        "tenant.csv: there is no such file. Did you mean tenants.csv? It is named in fleet.yaml:14:11.",
    ),
    "a template that is not there": (
        "fleet.yaml",
        "template: standard.yaml",
        "template: x.yaml",
        "x.yaml: there is no such file. It is named in fleet.yaml:7:15.",
    ),
    "a module of checks that is not there": (
        "fleet.yaml",
        "tenants:",
        "checks: [x.py]\ntenants:",
        "x.py. Name a Python file, or a module that can be imported. It is named in fleet.yaml:5:9.",
    ),
    "a folder of runbooks that is not there": (
        "fleet.yaml",
        "tenants:",
        "runbooks_dir: books\ntenants:",
        "fleet.yaml:5:15: there is no folder books.",
    ),
    "no CSV": ("tenants.csv", "initech,", '"initech"x,', "tenants.csv:3: not valid CSV"),
    "nothing in a list": ("tenants.csv", LIST, "id\n", "tenants.csv: the list has no tenant"),
    "nothing given": ("standard.yaml", "{host}", "{hots}", "nothing is given for {hots}, which the template has"),
}


@pytest.mark.parametrize(("file", "old", "new", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found_where_it_is(folder: Path, file: str, old: str, new: str, message: str) -> None:
    """A fleet file that cannot be meant is refused, with file and line and the nearest right value."""
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        _load(folder)
    assert message in str(caught.value).replace(f"{folder}/", "")


def test_everything_that_is_wrong_is_listed_at_once(folder: Path) -> None:
    """A slip in the fleet file, in a list and in a template are one error with three problems."""
    for file, old, new in (
        ("fleet.yaml", "gateway: eu\n", "gateway: eo\n"),
        ("tenants.csv", "initech,", "Initech,"),
        ("standard.yaml", "{region}", "{place}"),
    ):
        text = (folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        _load(folder)
    assert all(word in str(caught.value) for word in ("'eo'", "'Initech'", "{place}"))


def test_the_examples_of_the_schema_hold_to_it() -> None:
    """What the schema shows as examples is what it takes."""
    schema = json.loads((resources.schemas_dir() / "fleet.schema.json").read_text(encoding="utf-8"))
    for example in schema["examples"]:
        assert not list(Draft202012Validator(schema).iter_errors(example))


# -- who is due, and where


def _many(folder: Path, count: int) -> Fleet:
    lines = [f"t-{number},,eu,x.example" for number in range(count)]
    (folder / "tenants.csv").write_text("\n".join([LIST.splitlines()[0], *lines]) + "\n", encoding="utf-8")
    return _load(folder)


def test_the_first_rule_that_is_due_counts(folder: Path) -> None:
    """A gold tenant is judged whole once a week and by one runbook on the other nights; others once a week."""
    fleet = _load(folder)
    week = [NIGHT + timedelta(days=day) for day in range(7)]
    of_gold = Counter(fleet.selection(fleet.tenant("acme"), night) for night in week)
    assert sorted(((one.runbooks if one else None), count) for one, count in of_gold.items()) == [
        ((), 1),
        (("dify",), 6),
    ]
    of_silver = [fleet.selection(fleet.tenant("globex"), night) for night in week]
    assert sum(one is not None for one in of_silver) == 1


def test_tenants_of_a_rule_are_spread_over_its_nights(folder: Path) -> None:
    """Each night of a week has its share of those that are due once a week."""
    fleet = _many(folder, 700)
    due = [
        sum(fleet.selection(one, NIGHT + timedelta(days=day)) is not None for one in fleet.tenants if one.id[0] == "t")
        for day in range(7)
    ]
    assert sum(due) == 700
    assert min(due) > 50


def test_a_new_tenant_moves_no_other_to_another_shard(folder: Path) -> None:
    """Each tenant is in exactly one shard, which hangs on its id alone; each shard has its share."""
    before = {one.id: one.shard(8) for one in _many(folder, 400).tenants}
    fleet = _many(folder, 401)
    assert {one.id: one.shard(8) for one in fleet.tenants}.items() >= before.items()
    shards = [fleet.shard(index, 8) for index in range(8)]
    assert sorted(one.id for shard in shards for one in shard) == sorted(one.id for one in fleet.tenants)
    assert min(map(len, shards)) > 25


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("regoin=eu", "there is no label 'regoin'. Did you mean region?"),
        ("region=uk", "'uk' is not a value of the label 'region'."),
        ("owner=nobody", "has owner=nobody: nothing would be judged"),
        ("region", "'region' is not a label: write NAME=VALUE"),
    ],
)
def test_labels_that_select_nothing_are_an_error(folder: Path, wanted: str, message: str) -> None:
    """A slip in --label is no night without findings."""
    done = in_process("fleet", "plan", "fleet.yaml", "--label", wanted, cwd=folder)
    assert (done.code, message in done.said) == (4, True), done.said


def test_a_fleet_without_labels_says_that_it_has_none(tmp_path: Path) -> None:
    """The list of what is known is not simply empty."""
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    (tmp_path / "fleet.yaml").write_text("tenants: {acme: {file: own.yaml}}\n", encoding="utf-8")
    done = in_process("fleet", "plan", "fleet.yaml", "--label", "tier=gold", cwd=tmp_path)
    assert (done.code, done.stderr) == (4, "error: there is no label 'tier'. Known: none.\n")


@pytest.mark.parametrize(("shard", "message"), [("8/8", "the last of 8 is 7/8"), ("1", "write I/N"), ("0/0", "one at")])
def test_a_shard_that_does_not_exist_is_an_error(folder: Path, shard: str, message: str) -> None:
    """Shards are counted from 0, and the message says so."""
    done = in_process("fleet", "run", "fleet.yaml", "--out", "out", "--shard", shard, cwd=folder)
    assert (done.code, message in done.said) == (4, True), done.said


def test_more_shards_than_a_gateway_can_share_are_an_error(folder: Path) -> None:
    """A gateway's budget is divided by the shards, and not exceeded by rounding up."""
    done = in_process("fleet", "run", "fleet.yaml", "--out", "out", "--shard", "0/5", cwd=folder)
    assert (done.code, "the gateway 'us' takes 4 requests at once" in done.said) == (4, True), done.said


# -- lint and plan


def test_a_sound_fleet_is_linted_without_its_secrets(folder: Path) -> None:
    """No variable is set and no command run: each tenant loads all the same."""
    done = in_process("fleet", "lint", "fleet.yaml", cwd=folder)
    assert (done.code, done.stdout, done.stderr) == (0, "4 tenants are sound.\n", "")


def test_a_problem_that_many_tenants_share_is_listed_once(folder: Path) -> None:
    """What is wrong with a template is one line, with how many tenants it is about."""
    text = TEMPLATE.replace("preset: openai-chat", "preset: open-chat")
    (folder / "standard.yaml").write_text(text, encoding="utf-8")
    _many(folder, 50)
    done = in_process("fleet", "lint", "fleet.yaml", cwd=folder)
    lines = done.stdout.splitlines()
    assert done.code == 4
    assert len(lines) == 1
    assert lines[0].startswith("error: standard.yaml:5:")
    assert lines[0].endswith("(acme, t-0, t-1 and 48 more) Allowed: " + lines[0].partition("Allowed: ")[2])


def test_what_may_be_meant_otherwise_is_remarked(folder: Path) -> None:
    """Two tenants at one address, and a tenant that is never due, are named; the fleet is sound."""
    text = FLEET.replace("  - {every: 7d}\n", "")
    (folder / "fleet.yaml").write_text(text, encoding="utf-8")
    (folder / "standard.yaml").write_text(TEMPLATE.replace("{host}/{id}", "one.example/{host}"), encoding="utf-8")
    (folder / "tenants.csv").write_text(LIST.replace("gt.globex.example", "initech.example"), encoding="utf-8")
    found = lint(_load(folder))
    assert not found.problems
    assert [remark.partition(":")[0] for remark in found.remarks] == [
        "globex and initech have the same base URL, https",
        "hand-made, globex and initech are never due",
    ]


def test_what_people_wrote_is_linted_too(folder: Path) -> None:
    """A file of waivers that the fleet file or a tenant file names, and that is not there, is an error."""
    (folder / "fleet.yaml").write_text(FLEET + "waivers: shared.yaml\n", encoding="utf-8")
    (folder / "own.yaml").write_text(OWN + "waivers: own-waivers.yaml\n", encoding="utf-8")
    done = in_process("fleet", "lint", "fleet.yaml", cwd=folder)
    assert done.code == 4
    assert {line.partition(": ")[2].partition(":")[0] for line in done.stdout.splitlines()} == {
        "shared.yaml",
        "own-waivers.yaml",
    }


def test_a_plan_rehearses_each_shape_once_and_adds_up(folder: Path) -> None:
    """However many tenants of one shape there are, the requests are theirs; the gateway is the least time."""
    (folder / "fleet.yaml").write_text(FLEET.partition("schedule:")[0], encoding="utf-8")
    few, many = (plan_night(_many(folder, count), NIGHT, latency_s=0.2, at_once=40) for count in (10, 1010))
    assert (few.shapes, many.shapes) == (2, 2)
    a_tenant = (many.requests - few.requests) / 1000
    assert a_tenant > 10
    eu = next(share for share in many.shares if share.gateway == "eu")
    assert eu.requests == 1011 * a_tenant
    assert eu.least_s == pytest.approx(eu.requests / 600 * 60)
    assert many.least_s == eu.least_s


def test_a_plan_is_a_table_or_json(folder: Path) -> None:
    """Both have the same numbers, and money where a tenant file names prices."""
    priced = OWN + "prices: {currency: EUR, chat: {input_per_million: 2.5, output_per_million: 10}}\n"
    (folder / "own.yaml").write_text(priced, encoding="utf-8")
    (folder / "fleet.yaml").write_text(FLEET.partition("schedule:")[0], encoding="utf-8")
    words = ("fleet", "plan", "fleet.yaml", "--night", NIGHT.isoformat())
    shown = in_process(*words, cwd=folder)
    value = json.loads(in_process(*words, "--format", "json", cwd=folder).stdout)
    assert f"{value['due']} of 4 tenants due" in shown.stdout
    assert f"{value['requests']:,}" in shown.stdout
    assert value["requests"] == sum(share["requests"] for share in value["shares"])
    assert value["tokens"] == sum(share["tokens"] for share in value["shares"]) > 0
    assert value["money"] == {"EUR": sum(share["money"].get("EUR", 0.0) for share in value["shares"])}
    assert re.search(r"Cost: .*EUR.* in the worst case", shown.stdout)
    assert "Without a price: something of 1 tenant (" in shown.stdout
    assert value["least_s"] == round(value["least_s"], 3)
    assert value["money"]["EUR"] == round(value["money"]["EUR"], 6)


def test_what_nothing_has_a_price_for_costs_an_unknown_amount(folder: Path) -> None:
    """A currency alone is no price: EUR 0.00 would be read as free."""
    (folder / "own.yaml").write_text(OWN + "prices: {currency: EUR}\n", encoding="utf-8")
    (folder / "fleet.yaml").write_text("tenants: {hand-made: {file: own.yaml}}\n", encoding="utf-8")
    shown = in_process("fleet", "plan", "fleet.yaml", cwd=folder).stdout
    assert "Cost in EUR: unknown." in shown
    assert "0.00" not in shown


def test_a_list_that_a_spreadsheet_wrote_may_start_with_a_byte_order_mark(folder: Path) -> None:
    """What a spreadsheet calls CSV UTF-8 does: the first column is id all the same."""
    (folder / "tenants.csv").write_bytes(b"\xef\xbb\xbf" + LIST.encode())
    assert [one.id for one in _load(folder).tenants][2:] == ["globex", "initech"]

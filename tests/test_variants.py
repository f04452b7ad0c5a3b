"""Variants of the embedded tenant: named, described, permitted, chosen by the command, and accused of nothing."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from itertools import combinations

import pytest

from gt_conformance.planning import CaseKind, Plan
from gt_conformance.vocabulary import Outcome
from gt_sandbox.variants import VARIANTS, SelectionError, select_variants
from prove import variants as proof
from prove._runs import CaseOutcome, RunOutcome
from tests.commands import Finished, ahead, run

OF_EACH_KIND = ("names-with-spaces", "transient-429")
"""Variants that are made in ways of their own; ``make prove`` runs them all, against everything."""


def of_one_runbook(plan: Plan) -> Plan:
    """The rows of Dify: every kind of row."""
    return dataclasses.replace(plan, cases=plan.of(CaseKind.ROW, "dify"))


def test_each_variant_is_described() -> None:
    """A kebab-case name, one sentence, no two that say the same, and who permits it."""
    for name, variant in VARIANTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert variant.name == name
        assert variant.description.endswith(".")
        assert re.match(r"RFC \d+|WHATWG HTML|Fetch standard|OpenAI API reference|GT |checks: ", variant.permitted_by)
    assert len({variant.description for variant in VARIANTS.values()}) == len(VARIANTS)


def test_what_a_variant_alters_alone_is_altered_by_others_too() -> None:
    """What only one variant of a tenant can alter is altered by two at least, and most pairs can be combined."""
    altering = Counter(alters for variant in VARIANTS.values() for alters in variant.alters)
    assert min(altering.values()) >= 2
    pairs = list(combinations(VARIANTS.values(), 2))
    assert sum(one.clashes_with(other) for one, other in pairs) < len(pairs) / 20


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_variant_conforms_and_has_an_effect(name: str) -> None:
    """What is judged conforms, though what a client sees is different."""
    assert proof.try_variants((name,), of_one_runbook).problems == ()


def test_every_variant_is_combined_with_others() -> None:
    """Each is in one of the sets, and no set holds two that clash."""
    sets = proof.combine(tuple(VARIANTS.values()))
    assert len(sets[0]) > len(VARIANTS) / 3
    assert sorted(name for names in sets for name in names) == sorted(VARIANTS)
    for names in sets:
        assert select_variants(names).names == tuple(name for name in VARIANTS if name in names)


def test_random_pairs_are_those_of_their_seed() -> None:
    """The same seed gives the same pairs, another one others; each can be combined."""
    assert proof.random_pairs(20, 1) == proof.random_pairs(20, 1) != proof.random_pairs(20, 2)
    for pair in proof.random_pairs(200, 3):
        assert len(select_variants(pair).members) == 2


def test_what_is_wrong_is_told_with_the_variants_it_is_about() -> None:
    """An accusation, and a variant that changes nothing, are a sentence each."""
    judged = CaseOutcome("n8n-models-native", "models", "violates", (("models.contains_alias", "violates"),))
    told = tuple(proof.false_alarms(RunOutcome((judged,), ("Traceback\nValueError: oh",))))
    assert told == ("violates models.contains_alias (1 place)", "the suite itself failed: ValueError: oh")
    assert proof.Trial(("gzip", "stream-cr"), effective=False, false_alarms=told[:1]).problems == (
        "gzip + stream-cr: violates models.contains_alias (1 place)",
        "gzip + stream-cr: changed nothing that a client could see",
    )


def test_a_model_that_lacks_something_may_block_and_is_kept_from_the_others() -> None:
    """What is blocked then is no false alarm; what violates is one; and no set mixes such variants with others."""
    cases = [CaseOutcome(f"n8n-{outcome}", "chat", outcome, (("chat.tools", outcome),)) for outcome in Outcome]
    told = list(proof.false_alarms(RunOutcome(tuple(cases), ()), may_block=True))
    assert told == ["violates chat.tools (1 place)"]
    assert len(list(proof.false_alarms(RunOutcome(tuple(cases), ())))) == 2
    for names in proof.combine(tuple(VARIANTS.values())):
        assert len({bool(VARIANTS[name].lacks) for name in names}) == 1


def test_no_variant_has_no_effect() -> None:
    """A tenant without any variant looks the same from outside as from inside."""
    assert not proof.try_variants((), of_one_runbook).effective


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["gzip", "gzi"], r"there is no variant 'gzi': did you mean gzip\?"),
        (["gzip", "deflate"], "the variants gzip and deflate cannot be combined"),
    ],
)
def test_what_cannot_be_had_is_told(names: list[str], said: str) -> None:
    """An unknown name is told with the nearest, and a clash with both."""
    with pytest.raises(SelectionError, match=said):
        select_variants(names)


# -- by the command

RUNS = {
    "two": ("--variant", "names-with-slashes", "--variant", "problem-details", "--runbook", "dify"),
    "fault": ("--variant", "gzip", "--fault", "stream-cut-and-closed", "--runbook", "dify"),
}


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run with each of these."""

    def work(name: str) -> Finished:
        return run(*RUNS[name], cwd=tmp_path_factory.mktemp("variants"), lean=True)

    with ahead(request, "words", work) as result:
        yield result


@pytest.mark.parametrize("words", ["two"])
def test_every_output_says_how_the_tenant_differed(words: str, judged: Callable[[str], Finished]) -> None:
    """Everything conforms; the record, the page's cover and its command, and the terminal name the variants."""
    found = judged(words)
    names = ["names-with-slashes", "problem-details"]
    assert found.code == 0
    assert found.record["run"]["options"]["variants"] == names
    assert "EMBEDDED tenant with variants: names-with-slashes, problem-details." in found.said
    page = unescape((found.folder / "compliance.html").read_text(encoding="utf-8"))
    assert "gt-conformance run --runbook dify --variant names-with-slashes --variant problem-details" in page
    assert "acme/field-analyst" in page


@pytest.mark.parametrize("words", ["fault"])
def test_a_fault_shows_behind_a_variant(words: str, judged: Callable[[str], Finished]) -> None:
    """A fault is found in a tenant with a variant as well, and nothing else is."""
    found = judged(words)
    assert found.check_ids("violates") == {"chat.streams"}
    assert "EMBEDDED tenant with faults: stream-cut-and-closed; variants: gzip." in found.said

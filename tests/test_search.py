"""The search: Hypothesis's examples, the same for a seed, and climbing where a law measures an error."""

from __future__ import annotations

import pytest

from convcheck.claim import Verdict
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.plan import Slice
from convcheck.problem import Map
from convcheck.search import search
from convcheck.tally import Outcome

ENGINE = Engine("it", Capabilities((1, 2), ("f32",), frozenset(FEATURES), work_limit=500), lambda *_: None)


def cases_of(law, seed=0, examples=12, ratio=0.0):
    found = []

    def judge_case(case):
        found.append(str(case))
        verdict = None if ratio is None else Verdict(ok=True, ratio=ratio(case) if callable(ratio) else ratio)
        return Outcome(case, verdict)

    search(ENGINE, Slice(law, Map.FORWARD, "search", 0, examples), seed, judge_case)
    return found


@pytest.mark.parametrize("law", ["definition", "accuracy"])
def test_as_many_examples_are_judged_as_the_slice_has(law):
    assert len(cases_of(law)) >= 12


def test_the_same_seed_gives_the_same_examples():
    assert cases_of("definition", seed=3) == cases_of("definition", seed=3)


def test_another_seed_gives_other_examples():
    assert set(cases_of("definition", seed=3)) != set(cases_of("definition", seed=4))


def test_every_example_is_a_case_of_the_law():
    assert {line.split()[0] for line in cases_of("mirrors")} == {"mirrors"}


def test_an_error_that_is_measured_is_climbed():
    """A ratio that grows with the number of channels draws the search to many of them."""

    def ratio(case):
        return float(case.problem.channels)

    found = cases_of("accuracy", examples=300, ratio=ratio)
    flat = cases_of("accuracy", examples=300, ratio=0.0)
    most = [max(int(line.split(" c")[1].split()[0]) for line in lines) for lines in (found, flat)]
    assert most[0] >= most[1]


@pytest.mark.parametrize("ratio", [None, float("inf"), float("nan")])
def test_a_case_without_a_finite_error_is_no_obstacle(ratio):
    assert len(cases_of("accuracy", ratio=ratio)) >= 12


def test_a_failure_does_not_end_the_search():
    """The judge counts; nothing is raised, so that Hypothesis neither stops nor shrinks."""
    found = []

    def judge_case(case):
        found.append(case)
        return Outcome(case, Verdict(ok=False, ratio=float("inf")))

    search(ENGINE, Slice("definition", Map.FORWARD, "search", 0, 12), 0, judge_case)
    assert len(found) >= 12

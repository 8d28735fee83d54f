"""Tallies: counts over outcomes, which add up."""

from __future__ import annotations

import pytest

from convcheck.cases import Case
from convcheck.claim import Verdict
from convcheck.space import classify
from convcheck.tally import ENOUGH, Outcome, Tally

CASE = Case.parse("definition i5 k2 x=ones w=ones")
OTHER = Case.parse("definition i5x5 k2x2 x=ones w=ones")


def tally_of(*outcomes):
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome)
    return tally


def judged(*, ok=True, ratio=0.0, weight=1, case=CASE):
    return Outcome(case, Verdict(ok=ok, ratio=ratio, weight=weight))


def test_nothing_is_counted_at_first():
    assert tally_of() == Tally()


def test_a_judged_case_is_counted():
    tally = tally_of(judged(), judged(ok=False))
    assert (tally.judged, tally.failures) == (2, [CASE])


def test_a_skipped_case_is_counted_under_its_reason_only():
    tally = tally_of(Outcome(CASE, None, "no groups"), Outcome(CASE, None, "no groups"), Outcome(CASE, None, "no bias"))
    assert (tally.judged, dict(tally.skipped)) == (0, {"no groups": 2, "no bias": 1})


def test_a_claim_about_nothing_but_zeros_is_trivial():
    tally = tally_of(judged(weight=0), judged(weight=3))
    assert (tally.judged, tally.nontrivial) == (2, 1)


def test_the_worst_ratio_is_that_of_what_passed():
    tally = tally_of(judged(ratio=0.25), judged(ratio=0.5), judged(ok=False, ratio=9.0))
    assert tally.worst == 0.5


def test_problems_are_kept_with_whether_they_failed():
    tally = tally_of(judged(), judged(ok=False, case=OTHER))
    assert [failed for _, failed in tally.problems] == [False, True]


def test_classes_of_the_judged_problems_are_kept_once():
    tally = tally_of(judged(), judged(), judged(case=OTHER), Outcome(CASE, None, "no"))
    assert tally.classes == {tuple(classify(case.problem).values()) for case in (CASE, OTHER)}


@pytest.mark.parametrize(("failures", "expected"), [(ENOUGH - 1, False), (ENOUGH, True)])
def test_enough_failures_say_all_there_is_to_say(failures, expected):
    assert expected == tally_of(*[judged(ok=False)] * failures).enough


def test_two_tallies_add_up_to_the_tally_of_both():
    outcomes = [judged(), judged(ok=False), Outcome(CASE, None, "no"), judged(ratio=0.5, weight=0, case=OTHER)]
    total = tally_of(*outcomes[:2])
    total.add(tally_of(*outcomes[2:]))
    assert tally_of(*outcomes) == total


def test_seconds_add_up():
    total = Tally(seconds=1.5)
    total.add(Tally(seconds=0.25))
    assert total.seconds == 1.75

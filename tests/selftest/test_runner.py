"""The runner of the selftest: a fault is found, by name; a correct engine is not accused."""

from __future__ import annotations

import pytest

from convcheck.laws import BY_NAME
from convcheck.selftest import CORRECT, FAULTS, runner
from convcheck.selftest.purposes import PURPOSES


def number_of(things, name):
    return [thing.name for thing in things].index(name)


def test_a_planted_fault_is_found_by_the_laws_that_name_it():
    trial = runner._trial(("fault", number_of(FAULTS, "kernel-flipped"), 0))
    assert {"definition", "flip-relates"} <= set(trial.kills)
    assert trial.line.startswith("definition ")


def test_a_correct_engine_is_judged_and_not_accused():
    trial = runner._trial(("correct", number_of(CORRECT, "im2col-and-matmul"), 0))
    assert (trial.fault, trial.kills) == (False, ())
    assert trial.cases > 1000


def test_an_index_fault_is_explained_by_its_smallest_counterexample():
    explained = runner._trial(("fault", number_of(FAULTS, "kernel-flipped"), 0)).explained
    assert explained.named
    words = "computes convolution, not cross-correlation: kernel flipped (right with convention convolution)"
    assert (explained.words, explained.nonzeros) == (words, 2)
    assert explained.elements <= 4


def test_other_faults_are_not_explained():
    assert runner._trial(("fault", number_of(FAULTS, "results-plus-one"), 0)).explained is None


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("first-dtype-of-a-shape-for-all", "stateless"),
        ("fortran-input-read-as-contiguous", "layout-free"),
        ("negative-input-strides-read-as-positive", "layout-free"),
    ],
)
def test_a_whole_class_of_mistakes_is_reached_by_few_cases(fault, law):
    assert law in runner._trial(("fault", number_of(FAULTS, fault), 0)).kills


def test_purposes_are_those_of_laws():
    assert set(PURPOSES) - set(BY_NAME) == set()


def test_every_index_fault_says_what_a_right_diagnosis_says():
    assert [fault.name for fault in FAULTS if fault.index and not fault.words] == []

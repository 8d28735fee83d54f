"""The runner of the selftest: a fault is found, by name; a correct engine is not accused."""

from __future__ import annotations

from convcheck.selftest import CORRECT, FAULTS, runner


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

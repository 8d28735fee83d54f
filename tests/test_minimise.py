"""From a failing case to a violation, in about the time that there is."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest

from convcheck import minimise as module
from convcheck.cases import Case
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.minimise import REPETITIONS, minimise, until, words_for
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.reference.maps import contract

CASE = Case.parse("definition f64 i5x5 k2x2 x=ramp w=ones")


def wrong(which, problem, operands):
    return contract(which, problem, *operands).astype(float) + 1


ENGINE = Engine("it", Capabilities((2,), ("f64",), frozenset(FEATURES)), wrong)


@pytest.fixture
def clock(monkeypatch):
    """A clock of the module's own, on which each look takes so many seconds."""

    def tick(seconds):
        looks = count(0.0, seconds)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(looks)))

    return tick


def test_a_quick_case_is_repeated_often():
    found = minimise(ENGINE, CASE, seconds=10)
    assert (found.failed, found.repeated) == (REPETITIONS, REPETITIONS)
    assert found.case.problem.size == (1, 1)


def test_a_slow_case_is_repeated_as_often_as_there_is_time_for(clock):
    clock(0.4)
    seen = []
    found = minimise(ENGINE, CASE, seconds=1, announce=seen.append)
    assert (found.failed == found.repeated, found.repeated < 5, len(seen) < 10) == (True, True, True)


def test_a_mistake_that_does_not_show_again_is_said_to_be_unsteady(clock):
    clock(0.4)
    right = ENGINE.replace(apply=lambda *given: wrong(*given) - 1)
    found = minimise(right, CASE, seconds=1)
    assert (found.reason, found.failed, found.repeated < 5) == (module.UNSTEADY, 0, True)


def test_a_diagnosis_in_time_is_told():
    assert words_for(ENGINE, CASE, seconds=1000) != ""


def test_a_diagnosis_that_takes_too_long_is_left_out():
    assert words_for(ENGINE, CASE, seconds=-1) == ""


def test_an_engine_without_a_deadline_is_called_as_it_is():
    assert until(ENGINE, float("inf")) is ENGINE
    problem, operands = CASE.problem, Operands(*CASE.operands())
    assert until(ENGINE, float("1e99")).apply(Map.FORWARD, problem, operands).shape == (1, 1, 4, 4)

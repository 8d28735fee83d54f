"""Correct engines agree with the definition within the bound that they are held to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from convcheck.bounds import expect
from convcheck.cases import choose_fills
from convcheck.claim import Claim, judge
from convcheck.engines.base import Conv
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws.invalid import invalid_calls
from convcheck.operands import Operands, make
from convcheck.selftest import CORRECT, FAULTS
from convcheck.space import Space, seeded

LAW = SimpleNamespace(needs={}, work=3_000)


def drawn(engine, which, recipe, seed):
    choose = seeded(seed)
    problem = Space.of(engine.capabilities, LAW, which).build(choose)
    if recipe == "float" and problem.dtype.startswith(("i", "u")):
        recipe = "exact"
    fills = choose_fills(recipe, choose, which, problem, engine.numerics)
    roles = (*which.roles, *((which.bias,) if problem.bias else ()))
    return problem, Operands(*(make(problem, role, fill) for role, fill in zip(roles, fills, strict=True)))


def test_there_are_enough_with_names_of_their_own():
    names = [engine.name for engine in (*CORRECT, *(fault.engine for fault in FAULTS))]
    assert len(CORRECT) >= 20
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("recipe", ["exact", "float", "cancelling", "layouts"])
@pytest.mark.parametrize("engine", CORRECT, ids=lambda engine: engine.name)
def test_it_agrees_with_the_definition(engine, recipe):
    judged = 0
    for which in engine.capabilities.maps:
        for seed in range(25):
            problem, operands = drawn(engine, which, recipe, seed)
            before = [None if array is None else array.copy() for array in operands]
            with np.errstate(all="ignore"):
                expected = expect(which, problem, operands, engine.numerics)
                try:
                    got = Conv(engine, which)(problem, *operands)
                except UnsupportedError:
                    continue
                verdict = judge(Claim(got, expected.value, expected.bound))
            assert verdict.ok, f"{which} {problem}: {verdict.reason}, {verdict.ratio} times the bound"
            assert got.dtype == operands.a.dtype
            assert all(a is None or a.tobytes() == b.tobytes() for a, b in zip(operands, before, strict=True))
            judged += 1
    assert judged >= 5


@pytest.mark.parametrize("engine", CORRECT, ids=lambda engine: engine.name)
def test_it_refuses_what_is_no_convolution(engine):
    which = engine.capabilities.primary
    conv = Conv(engine, which)
    for seed in range(5):
        problem, operands = drawn(engine, which, "exact", seed)
        for what, wrong, given in invalid_calls(which, problem, operands, engine.capabilities.features):
            with pytest.raises((TargetRaisedError, UnsupportedError)):
                pytest.fail(f"{what}: returned shape {conv.attempt(wrong, given).shape}")
